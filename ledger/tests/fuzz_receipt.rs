//! Whatever bytes come as a receipt: no panic, and one encoding for each receipt.

use ledger::Receipt;

#[test]
fn any_bytes_are_read_as_a_receipt_or_refused() {
    bolero::check!().for_each(|bytes: &[u8]| {
        // Most bytes fail at the version or the length; these get through to the numbers.
        let mut framed = [&[1], bytes].concat();
        framed.resize(framed.len() + 68, 0);
        for bytes in [bytes, &framed] {
            if let Ok(receipt) = Receipt::from_bytes(bytes) {
                assert_eq!(receipt.to_bytes(), bytes);
            }
        }
    });
}
