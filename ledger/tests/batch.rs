//! Batches: what goes in comes out, and nothing else does.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use ledger::batch::{Batch, BatchError, Limits, decode, encode};
use ledger::{Frontier, LOG_SIZE_MAX, leaf_hash};
use proptest::prelude::*;

mod common;
use common::{ORIGIN, frontier_of, record, signer};

fn batch(first_index: u64, count: u64) -> Batch {
    Batch {
        first_index,
        records: (first_index..first_index + count).map(record).collect(),
        signature: signer().sign(&frontier_of(first_index + count).checkpoint(ORIGIN)),
    }
}

/// What the city does: recompute the root and verify the signature.
fn accepted(batch: &Batch, mut frontier: Frontier) -> bool {
    batch.records.iter().for_each(|record| frontier.push(leaf_hash(record)));
    let indexes_follow = batch.first_index + batch.records.len() as u64 == frontier.size();
    indexes_follow
        && signer()
            .verifier()
            .verify(&frontier.checkpoint(ORIGIN), &batch.signature)
            .is_ok()
}

/// Where the frame begins in a batch whose first index and count have one byte each.
const FRAME: usize = 2 + 1 + 1 + 64;

#[test]
fn a_batch_is_read_back_at_every_level() {
    for level in [-7, 1, 3, 9, 19, 22] {
        for count in [1, 2, 20, 500] {
            let batch = batch(40, count);
            let bytes = encode(&batch, level).unwrap();
            assert_eq!(decode(&bytes, &Limits::default()).unwrap(), batch, "{count} at {level}");
        }
    }
}

#[test]
fn the_header_is_as_documented() {
    let bytes = encode(&batch(40, 3), 3).unwrap();
    assert_eq!(bytes[..4], [1, 1, 40, 3]);
    assert_eq!(bytes[4..FRAME], batch(40, 3).signature);
    assert_ne!(bytes[FRAME..FRAME + 4], [0x28, 0xb5, 0x2f, 0xfd]);
}

#[test]
fn every_cut_of_a_batch_is_refused() {
    let bytes = encode(&batch(40, 20), 19).unwrap();
    for cut in 0..bytes.len() {
        assert!(decode(&bytes[..cut], &Limits::default()).is_err(), "{cut}");
    }
}

#[test]
fn no_flipped_bit_gets_other_records_accepted() {
    for count in [1, 20] {
        let intact = batch(40, count);
        let bytes = encode(&intact, 19).unwrap();
        let (mut refused, mut forged, mut same) = (0, 0, 0);
        for place in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            match decode(&flipped, &Limits::default()) {
                Err(_) => refused += 1,
                // A frame can say the same in another way (an unused bit, the window's size): what counts is what it says.
                Ok(batch) if batch == intact => same += 1,
                Ok(batch) => {
                    assert!(!accepted(&batch, frontier_of(40)), "bit {place}");
                    forged += 1;
                }
            }
        }
        let few = same * 20 < refused + forged;
        assert!(
            refused > 0 && forged > 0 && few,
            "{refused} refused, {forged} forged, {same} the same"
        );
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let bytes = encode(&batch(40, 2), 3).unwrap();
    let result = decode(&[&bytes[..], &[0]].concat(), &Limits::default());
    assert!(matches!(result, Err(BatchError::Trailing(1))), "{result:?}");
    let twice = [&bytes[..], &[0x28, 0xb5, 0x2f, 0xfd], &bytes[FRAME..]].concat();
    let result = decode(&twice, &Limits::default());
    assert!(matches!(result, Err(BatchError::Trailing(_))), "{result:?}");
}

#[test]
fn unknown_versions_and_dictionaries_are_told_apart() {
    let mut bytes = encode(&batch(40, 2), 3).unwrap();
    bytes[1] = 9;
    assert!(matches!(
        decode(&bytes, &Limits::default()),
        Err(BatchError::Dictionary(9))
    ));
    bytes[0] = 2;
    assert!(matches!(
        decode(&bytes, &Limits::default()),
        Err(BatchError::Version(2))
    ));
}

#[test]
fn a_count_that_is_not_the_number_of_records_is_refused() {
    let mut bytes = encode(&batch(40, 2), 3).unwrap();
    bytes[3] = 3;
    assert!(matches!(
        decode(&bytes, &Limits::default()),
        Err(BatchError::Count { stated: 3, found: 2 })
    ));
    bytes[3] = 0;
    assert!(matches!(decode(&bytes, &Limits::default()), Err(BatchError::Empty)));
}

#[test]
fn overlong_numbers_are_refused() {
    let bytes = encode(&batch(40, 2), 3).unwrap();
    let overlong = [&bytes[..2], &[0x80 | 0x28, 0], &bytes[3..]].concat();
    assert!(matches!(
        decode(&overlong, &Limits::default()),
        Err(BatchError::Header("first index"))
    ));
}

#[test]
fn indexes_beyond_any_log_are_refused_on_both_sides() {
    let largest_index = [1, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 1];
    let largest_number = [1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1];
    for (first_index, wire) in [(LOG_SIZE_MAX, &largest_index[..]), (u64::MAX, &largest_number)] {
        let batch = Batch {
            first_index,
            ..batch(40, 1)
        };
        let expected =
            |error: BatchError| matches!(error, BatchError::Range { first, count: 1 } if first == first_index);
        assert!(expected(encode(&batch, 3).unwrap_err()));
        assert!(expected(decode(wire, &Limits::default()).unwrap_err()));
    }
}

#[test]
fn records_that_cannot_be_told_apart_again_are_not_encoded() {
    let with = |record: &[u8]| {
        encode(
            &Batch {
                records: vec![b"{}".to_vec(), record.to_vec()],
                ..batch(40, 1)
            },
            3,
        )
    };
    assert!(matches!(with(b""), Err(BatchError::EmptyRecord(1))));
    assert!(matches!(with(b"a\nb"), Err(BatchError::Newline(1))));
    let none = Batch {
        records: Vec::new(),
        ..batch(40, 1)
    };
    assert!(matches!(encode(&none, 3), Err(BatchError::Empty)));
}

#[test]
fn a_decompression_bomb_is_refused_at_the_limit() {
    let bomb = Batch {
        records: vec![vec![b'a'; 64 << 20]],
        ..batch(40, 1)
    };
    let bytes = encode(&bomb, 1).unwrap();
    assert!(bytes.len() < 16 << 10, "{} bytes make a bomb", bytes.len());
    let result = decode(&bytes, &Limits::default());
    assert!(
        matches!(
            result,
            Err(BatchError::Limit {
                what: "bytes of records",
                ..
            })
        ),
        "{result:?}"
    );
}

#[test]
fn a_frame_that_asks_for_a_huge_window_is_refused() {
    let mut bytes = encode(&batch(40, 2), 3).unwrap();
    bytes[FRAME + 1] = 21 << 3; // 2^31 bytes
    assert!(matches!(decode(&bytes, &Limits::default()), Err(BatchError::Frame(_))));
}

#[test]
fn each_limit_holds_to_the_byte() {
    let batch = batch(40, 3);
    let bytes = encode(&batch, 3).unwrap();
    let exact = Limits {
        compressed_bytes: bytes.len(),
        uncompressed_bytes: batch.records.iter().map(|record| record.len() + 1).sum(),
        records: 3,
        record_bytes: record(40).len(),
    };
    assert_eq!(decode(&bytes, &exact).unwrap(), batch);
    let tight = [
        Limits {
            compressed_bytes: exact.compressed_bytes - 1,
            ..exact
        },
        Limits {
            uncompressed_bytes: exact.uncompressed_bytes - 1,
            ..exact
        },
        Limits { records: 2, ..exact },
        Limits {
            record_bytes: exact.record_bytes - 1,
            ..exact
        },
    ];
    for limits in tight {
        assert!(
            matches!(decode(&bytes, &limits), Err(BatchError::Limit { .. })),
            "{limits:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_records_without_newlines_come_back(
        first_index in 0..LOG_SIZE_MAX - 64,
        records in prop::collection::vec(prop::collection::vec((0_u8..255).prop_map(|b| b + u8::from(b >= 10)), 1..600), 1..40),
        signature in prop::array::uniform32(any::<u8>()),
        level in 1..6,
    ) {
        let signature = [signature, signature].concat().try_into().unwrap();
        let batch = Batch { first_index, records, signature };
        let bytes = encode(&batch, level).unwrap();
        prop_assert_eq!(decode(&bytes, &Limits::default()).unwrap(), batch);
    }
}
