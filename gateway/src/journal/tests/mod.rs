//! Tests of the journal. `model` and `power` drive the store itself, so that a seed repeats a run exactly; `threads`
//! drives the writer thread; `damage` spoils what is on disk.

mod damage;
mod model;
mod power;
mod threads;

use super::frame::encode_entry;
use super::reader::Reader;
use super::recovery;
use super::simulated::Disk;
use super::store::Store;
use super::{Entry, EntryKind, Item, JournalError, Options, Recovered, Sequence};

/// Segments so small that roll-over and recycling happen all the time.
fn small() -> Options {
    Options {
        segment_bytes: 16 << 10,
        reserve_bytes: 32 << 10,
        queue_bytes: 256 << 10,
        ..Options::default()
    }
}

fn input(text: impl Into<Vec<u8>>) -> Entry {
    Entry {
        kind: EntryKind::Input,
        bytes: text.into(),
    }
}

fn record(text: impl Into<Vec<u8>>) -> Entry {
    Entry {
        kind: EntryKind::Record,
        bytes: text.into(),
    }
}

/// `bytes` bytes that do not compress, and differ from number to number.
fn noise(number: u64, bytes: usize) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut content = vec![0; bytes];
    rand::rngs::StdRng::seed_from_u64(number).fill_bytes(&mut content);
    content
}

fn open(disk: &Disk) -> Result<(Store, Recovered), JournalError> {
    recovery::open(&small(), &disk.storage())
}

fn commit(store: &mut Store, entries: &[Entry]) -> Result<std::ops::Range<Sequence>, JournalError> {
    let mut raw = Vec::new();
    for entry in entries {
        encode_entry(&mut raw, entry);
    }
    let records = entries.iter().filter(|entry| entry.kind == EntryKind::Record).count();
    store.commit(&raw, u32::try_from(records).unwrap())
}

fn replayed(recovered: Recovered) -> Vec<Entry> {
    recovered.replay.map(Result::unwrap).collect()
}

fn reader(store: &Store, from: u64) -> Reader {
    Reader::new(std::sync::Arc::clone(store.catalog()), Sequence(from))
}

fn read_all(mut reader: Reader) -> Vec<Item> {
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

/// The records from `from` on, none of which may be lost.
fn records(store: &Store, from: u64) -> Vec<(u64, Vec<u8>)> {
    let items = read_all(reader(store, from)).into_iter();
    items
        .map(|item| match item {
            Item::Record { sequence, bytes } => (sequence.0, bytes),
            lost @ Item::Lost { .. } => panic!("{lost:?}"),
        })
        .collect()
}
