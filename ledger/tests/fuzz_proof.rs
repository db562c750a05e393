//! Whatever text comes as a proof: no panic, what is read is written again as it was, and only the true record verifies.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use ledger::{Proof, tiles};

mod common;
use common::{CITY, Store, checkpoint_of, cosigner, record, signed, signer};

#[test]
fn any_text_is_read_as_a_proof_or_refused() {
    let path = tiles::inclusion_proof(5, &checkpoint_of(7), &Store::of(7).0).unwrap();
    let proof = Proof::new(5, path, signed(checkpoint_of(7))).to_text();
    let (log, city) = (signer().verifier(), [cosigner(CITY).verifier()]);
    bolero::check!()
        .with_type::<(Vec<u8>, u16, u16)>()
        .for_each(|(bytes, from, length)| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            // Most texts fail at once; a good proof with a part replaced gets further.
            let begin = proof.floor_char_boundary(usize::from(*from) % proof.len());
            let end = proof.floor_char_boundary(begin + usize::from(*length % 32));
            let spliced = format!("{}{text}{}", &proof[..begin], &proof[end.max(begin)..]);
            for text in [&text, &spliced] {
                if let Ok(read) = Proof::from_text(text) {
                    assert_eq!(&read.to_text(), text);
                    assert!(read.verify(&record(6), &log, &city).is_err());
                }
            }
        });
}
