//! Arbitrary bytes in place of a segment, a snapshot or the tag: opening never panics and never gives up, what is read
//! back is what was written, and the journal goes on.
//!
//! Runs as a test with a fixed number of inputs, and as a fuzz target with `cargo bolero test`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::path::Path;
use std::sync::Arc;

use gateway::journal::{Directory, Entry, EntryKind, Item, Journal, Options, Sequence, Storage};

const RECORDS: u64 = 40;
const SEGMENT: &str = "0000000001.segment";
const FILES: [&str; 4] = [SEGMENT, "0000000002.segment", "snapshot-0", "tag"];

fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        reserve_bytes: 0,
        ..Options::default()
    }
}

fn record(number: u64) -> Entry {
    Entry {
        kind: EntryKind::Record,
        bytes: format!("{{\"record\":{number},\"text\":\"{}\"}}", "x".repeat(400)).into_bytes(),
    }
}

fn open(folder: &Path) -> (Journal, gateway::journal::Recovered) {
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(folder).unwrap());
    Journal::open(&options(), &storage).unwrap()
}

/// A journal of two segments and a snapshot.
fn fill(folder: &Path) {
    let (journal, _) = open(folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for number in 0..RECORDS {
            journal.append(&[record(number)]).await.unwrap().await.unwrap();
            if number == 4 {
                journal.save_snapshot(b"state").await.unwrap().await.unwrap();
            }
        }
    });
}

#[test]
fn opening_arbitrary_bytes_never_panics_and_never_invents_a_record() {
    let template = tempfile::tempdir().unwrap();
    fill(template.path());
    let contents = FILES.map(|name| std::fs::read(template.path().join(name)).unwrap());

    bolero::check!()
        .with_type::<(u8, bool, u16, Vec<u8>)>()
        .for_each(|(file, whole, offset, bytes)| {
            let spoilt_file = usize::from(*file) % FILES.len();
            let folder = tempfile::tempdir().unwrap();
            for (at, (name, content)) in FILES.iter().zip(&contents).enumerate() {
                let mut content = content.clone();
                if at == spoilt_file && *whole {
                    content.clone_from(bytes);
                } else if at == spoilt_file {
                    let begin = usize::from(*offset) % content.len();
                    let end = content.len().min(begin + bytes.len());
                    content[begin..end].copy_from_slice(&bytes[..end - begin]);
                }
                std::fs::write(folder.path().join(name), content).unwrap();
            }

            let (journal, recovered) = open(folder.path());
            assert!(recovered.replay.map(Result::unwrap).count() <= usize::try_from(RECORDS).unwrap());
            let mut reader = journal.reader(Sequence(0));
            let mut next = 0;
            while let Some(item) = reader.next().unwrap() {
                match item {
                    Item::Record { sequence, bytes } => {
                        assert_eq!((sequence.0, bytes), (next, record(next).bytes));
                        next += 1;
                    }
                    Item::Lost { first, next: after, .. } => {
                        assert_eq!(first.0, next);
                        next = after.0;
                    }
                }
            }
            assert_eq!(next, recovered.next.0);
        });
}
