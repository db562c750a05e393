//! Whatever text comes as a signed checkpoint: no panic, and what is read is written again as it was.

use ledger::SignedCheckpoint;

mod common;
use common::{CITY, checkpoint_of, cosigner, signed, signer};

#[test]
fn any_text_is_read_as_a_checkpoint_or_refused() {
    let note = signed(checkpoint_of(7)).to_note();
    let (log, city) = (signer().verifier(), cosigner(CITY).verifier());
    bolero::check!()
        .with_type::<(Vec<u8>, u16, u16)>()
        .for_each(|(bytes, from, length)| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            // Most texts fail at once; a good note with a part replaced gets further.
            let begin = note.floor_char_boundary(usize::from(*from) % note.len());
            let end = note.floor_char_boundary(begin + usize::from(*length % 32));
            let spliced = format!("{}{text}{}", &note[..begin], &note[end.max(begin)..]);
            for text in [&text, &spliced] {
                if let Ok(read) = SignedCheckpoint::from_note(text) {
                    assert_eq!(&read.to_note(), text);
                    if read.verify(&log).is_ok() && read.verify_cosigner(&city).is_ok() {
                        assert_eq!(read.checkpoint(), &checkpoint_of(7));
                    }
                    drop(read.receipts());
                }
            }
        });
}
