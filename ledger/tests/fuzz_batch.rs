//! Whatever bytes come as a batch: no panic, no more than the limits, and what is read can be written again.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use ledger::batch::{Limits, decode, encode};

#[test]
fn any_bytes_are_read_as_a_batch_or_refused() {
    let limits = Limits {
        compressed_bytes: 4 << 10,
        uncompressed_bytes: 64 << 10,
        records: 100,
        record_bytes: 1 << 10,
    };
    bolero::check!().for_each(|bytes: &[u8]| {
        // Most bytes fail at the header; these get through to the frame.
        let framed = [&[1, 1, 0, 1], &[0; 64][..], bytes].concat();
        for bytes in [bytes, &framed] {
            if let Ok(batch) = decode(bytes, &limits) {
                assert!(batch.records.len() <= limits.records);
                assert!(
                    batch
                        .records
                        .iter()
                        .all(|record| (1..=limits.record_bytes).contains(&record.len()))
                );
                assert_eq!(decode(&encode(&batch, 1).unwrap(), &Limits::default()).unwrap(), batch);
            }
        }
    });
}
