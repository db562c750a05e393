//! Power cuts and disk errors at every single operation of a scenario.

use super::super::simulated::{Disk, Fault, Survives};
use super::{commit, input, noise, open, record, records, replayed, small};
use crate::journal::store::Store;
use crate::journal::{Entry, JournalError, Sequence, Status};

const CAPACITY: u64 = 1 << 20;

/// What the scenario was told to be durable.
#[derive(Debug, Default)]
struct Told {
    appends: Vec<Vec<Entry>>,
    /// The append that was under way when it ended.
    pending: Option<Vec<Entry>>,
    /// Appends that the durable snapshot stands for.
    snapshot: Option<usize>,
    snapshot_pending: bool,
    released: u64,
}

impl Told {
    fn records(&self) -> u64 {
        self.appends.len() as u64
    }
}

/// Appends of all sizes over several segments, snapshots, releases: every kind of operation, twice at least.
fn scenario(store: &mut Store, told: &mut Told) -> Result<(), JournalError> {
    for round in 0..60_u64 {
        let size = [40, 300, 2_500, 5_000, 90][usize::try_from(round % 5).unwrap()];
        let entries = vec![input(format!("input {round}")), record(noise(round, size))];
        told.pending = Some(entries.clone());
        let sequences = commit(store, &entries)?;
        assert_eq!(sequences.start, Sequence(told.records()));
        told.appends.extend(told.pending.take());
        if round % 7 == 6 {
            told.snapshot_pending = true;
            store.save_snapshot(told.appends.len().to_string().as_bytes())?;
            told.snapshot = Some(told.appends.len());
            told.snapshot_pending = false;
        }
        if round % 11 == 10 {
            told.released = told.records() - 3;
            store.release(Sequence(told.released))?;
        }
    }
    Ok(())
}

/// Everything told is there, once and in order, and nothing else but what was under way.
fn check(disk: &Disk, told: &Told, context: &str) {
    let (mut store, recovered) = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(recovered.damage, [], "{context}");
    let mut appends = told.appends.clone();
    if recovered.next.0 > told.records() {
        appends.extend(told.pending.clone());
    }
    assert_eq!(recovered.next.0, appends.len() as u64, "{context}");

    let snapshot = recovered
        .snapshot
        .as_deref()
        .map(|state| String::from_utf8_lossy(state).parse().unwrap());
    let newer = told.snapshot_pending && snapshot == Some(told.appends.len());
    assert!(
        newer || snapshot == told.snapshot,
        "{context}: snapshot {snapshot:?} of {:?}",
        told.snapshot
    );
    let expected: Vec<Entry> = appends[snapshot.unwrap_or_default()..].concat();
    assert_eq!(replayed(recovered), expected, "{context}");

    let expected: Vec<_> = (0..)
        .zip(appends.iter().map(|entries| entries[1].bytes.clone()))
        .collect();
    let from = usize::try_from(told.released).unwrap();
    assert_eq!(records(&store, told.released), expected[from..], "{context}");

    // And it goes on: what is appended now comes after what was there, also for the next opening.
    commit(&mut store, &[record("after")]).unwrap();
    let next = expected.len() as u64;
    drop(store);
    let (store, _) = open(disk).unwrap();
    assert_eq!(records(&store, next), [(next, b"after".to_vec())], "{context}");
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_told_to_be_durable() {
    for survives in [
        Survives::Nothing,
        Survives::Everything,
        Survives::Some(1),
        Survives::Some(2),
        Survives::Some(3),
    ] {
        for operation in 0.. {
            let disk = Disk::new(CAPACITY);
            disk.fault_after(operation, Fault::PowerCut);
            let mut told = Told::default();
            if let Ok((mut store, _)) = open(&disk) {
                let ended = scenario(&mut store, &mut told);
                assert_eq!(ended.is_err(), disk.is_off());
            }
            let was_cut = disk.is_off();
            check(
                &disk.after_power_cut(survives),
                &told,
                &format!("{survives:?}, operation {operation}"),
            );
            if !was_cut {
                assert!(operation > 200, "the scenario has {operation} operations");
                break;
            }
        }
    }
}

#[test]
fn a_disk_error_at_any_operation_ends_the_journal_and_loses_nothing_that_was_told_to_be_durable() {
    for operation in 0.. {
        let disk = Disk::new(CAPACITY);
        disk.fault_after(operation, Fault::Error);
        let mut told = Told::default();
        if let Ok((mut store, _)) = open(&disk) {
            // A snapshot that fails is no end; the scenario stops there all the same.
            if scenario(&mut store, &mut told).is_ok() {
                assert!(operation > 200, "the scenario has {operation} operations");
                return;
            }
        }
        disk.no_fault();
        for survives in [Survives::Nothing, Survives::Some(operation)] {
            check(
                &disk.after_power_cut(survives),
                &told,
                &format!("{survives:?}, operation {operation}"),
            );
        }
    }
}

#[test]
fn a_torn_frame_is_forgotten_even_when_the_next_one_stands_on_the_next_page() {
    let mut torn = 0;
    for seed in 0..200 {
        let disk = Disk::new(CAPACITY);
        let (mut store, _) = open(&disk).unwrap();
        // Ends 700 bytes before the page does.
        commit(&mut store, &[record(noise(1, 3_350))]).unwrap();
        disk.fault_after(0, Fault::PowerCut);
        commit(&mut store, &[record(noise(2, 4_500))]).unwrap_err();
        let disk = disk.after_power_cut(Survives::Some(seed));
        let (mut store, recovered) = open(&disk).unwrap();
        if recovered.tail_cut_bytes == 0 {
            continue;
        }
        torn += 1;
        assert_eq!(recovered.next, Sequence(1));
        commit(&mut store, &[record(noise(3, 854))]).unwrap();
        let expected = [(0, noise(1, 3_350)), (1, noise(3, 854))];
        assert_eq!(records(&store, 0), expected);
        let (store, recovered) = open(&disk).unwrap();
        assert_eq!((recovered.damage, recovered.tail_cut_bytes), (vec![], 0));
        assert_eq!(records(&store, 0), expected);
    }
    assert!(torn > 20, "only {torn} cuts left a header without its payload");
}

#[test]
fn what_a_failed_sync_left_in_memory_is_on_disk_before_anything_is_built_on_it() {
    let disk = Disk::new(CAPACITY);
    let (mut store, _) = open(&disk).unwrap();
    commit(&mut store, &[record("first")]).unwrap();
    // The next operation is the write, the one after it the sync.
    disk.fault_after(1, Fault::Error);
    commit(&mut store, &[record("second")]).unwrap_err();
    disk.fault_after(1, Fault::Error);
    store.save_snapshot(b"state").unwrap_err();
    disk.no_fault();

    // The process starts again, the box does not.
    let (mut store, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.next, Sequence(2), "the frame reads back from memory");
    commit(&mut store, &[record("third")]).unwrap();
    let seen = records(&store, 0);

    let (store, recovered) = open(&disk.after_power_cut(Survives::Nothing)).unwrap();
    assert_eq!(recovered.damage, []);
    assert_eq!(records(&store, 0), seen);
}

#[test]
fn a_full_disk_changes_nothing_and_the_same_append_succeeds_when_there_is_space() {
    let disk = Disk::new(CAPACITY);
    let (mut store, _) = open(&disk).unwrap();
    disk.set_capacity(disk.used());
    let mut expected = Vec::new();
    let full = loop {
        let number = expected.len() as u64;
        let bytes = noise(number, 3_000);
        match commit(&mut store, &[record(bytes.clone())]) {
            Ok(_) => expected.push((number, bytes)),
            Err(error) => break error,
        }
    };
    assert!(full.is_disk_full(), "{full}");
    // The reserve's two segments have room for four such records each.
    assert_eq!(expected.len(), 2 * 4, "all of the reserve was used");
    assert_eq!(status(&store).spares, 0);
    assert!(commit(&mut store, &[record(noise(8, 3_000))]).is_err_and(|error| error.is_disk_full()));

    disk.set_capacity(CAPACITY);
    commit(&mut store, &[record(noise(8, 3_000))]).unwrap();
    expected.push((8, noise(8, 3_000)));
    assert_eq!(records(&store, 0), expected);
    assert!(store.replenish().unwrap());
    assert_eq!(status(&store).spares, 2, "the reserve is whole again");
}

#[test]
fn release_makes_room_on_a_full_disk_and_snapshots_need_none() {
    let disk = Disk::new(CAPACITY);
    let (mut store, _) = open(&disk).unwrap();
    store.save_snapshot(b"none").unwrap();
    store.save_snapshot(b"none").unwrap();
    disk.set_capacity(disk.used());
    let mut number = 0;
    let mut append = |store: &mut Store| commit(store, &[record(noise(number, 3_000))]).map(|_| number += 1);
    while append(&mut store).is_ok() {}
    store.save_snapshot(b"all").unwrap();
    store.save_snapshot(b"all").unwrap();
    store.release(Sequence(8)).unwrap();
    for _ in 0..4 {
        append(&mut store).unwrap();
    }
    assert_eq!(status(&store).oldest, Sequence(4), "the segment of the snapshots stays");
}

#[test]
fn released_segments_are_recycled_so_that_the_disk_use_stays_the_same() {
    let disk = Disk::new(CAPACITY);
    let (mut store, _) = open(&disk).unwrap();
    let mut used = Vec::new();
    for number in 0..400 {
        commit(&mut store, &[record(noise(number, 2_000))]).unwrap();
        if store.catalog().snapshot_due() {
            store.save_snapshot(b"state").unwrap();
            store.release(Sequence(number)).unwrap();
            used.push(disk.used());
        }
    }
    assert!(used.len() > 50);
    assert_eq!(used.iter().skip(4).min(), used.iter().skip(4).max());
    assert!(status(&store).spares <= 2 + 2);
    assert!(disk.files().len() < 12, "{:?}", disk.files());
}

#[test]
fn spares_of_another_segment_length_are_replaced() {
    let disk = Disk::new(CAPACITY);
    let (mut store, _) = open(&disk).unwrap();
    commit(&mut store, &[record("small")]).unwrap();
    let larger = crate::journal::Options {
        segment_bytes: 32 << 10,
        ..small()
    };
    let (store, recovered) = crate::journal::recovery::open(&larger, &disk.storage()).unwrap();
    assert_eq!(recovered.damage, []);
    assert_eq!(records(&store, 0), [(0, b"small".to_vec())]);
    let lengths: Vec<_> = disk
        .files()
        .iter()
        .filter(|f| f.contains(".spare"))
        .map(|f| disk.content(f).len())
        .collect();
    assert_eq!(lengths, [32 << 10]);
}

fn status(store: &Store) -> Status {
    let mut status = Status::default();
    store.status(&mut status);
    status
}
