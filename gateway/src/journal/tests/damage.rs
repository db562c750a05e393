//! What was on disk is spoilt: flipped bytes, missing, empty and foreign files.

use std::collections::BTreeSet;

use super::super::simulated::Disk;
use super::{commit, input, noise, open, read_all, reader, record, records, replayed};
use crate::journal::{Damage, Entry, Item, JournalError, Recovered, Sequence};

const CAPACITY: u64 = 1 << 20;

/// A disk with several segments, and the records in them. Snapshots only where told.
fn filled(snapshot_after: Option<u64>) -> (Disk, Vec<Vec<u8>>) {
    let disk = Disk::new(CAPACITY);
    let (mut store, _) = open(&disk).unwrap();
    let mut written = Vec::new();
    for number in 0..48 {
        let bytes = noise(number, 200 + 97 * usize::try_from(number % 16).unwrap());
        commit(&mut store, &[input(format!("input {number}")), record(bytes.clone())]).unwrap();
        written.push(bytes);
        if snapshot_after == Some(number) {
            store.save_snapshot(b"older").unwrap();
            store.save_snapshot(b"newer").unwrap();
        }
    }
    (disk, written)
}

fn segments(disk: &Disk) -> Vec<String> {
    disk.files()
        .into_iter()
        .filter(|name| name.ends_with(".segment"))
        .collect()
}

/// Every record is read as it was written, or is in exactly one hole, or was in the frame that was cut as torn.
fn check_records(disk: &Disk, written: &[Vec<u8>], context: &str) -> (Recovered, BTreeSet<u64>) {
    let (mut store, recovered) = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let mut next = 0;
    let mut lost = BTreeSet::new();
    for item in read_all(reader(&store, 0)) {
        match item {
            Item::Record { sequence, bytes } => {
                assert_eq!(sequence.0, next, "{context}");
                assert_eq!(bytes, written[usize::try_from(next).unwrap()], "{context}");
                next += 1;
            }
            Item::Lost { first, next: after, .. } => {
                assert_eq!(first.0, next, "{context}");
                lost.extend(first.0..after.0.min(written.len() as u64));
                next = after.0;
            }
        }
    }
    assert_eq!(next, recovered.next.0, "{context}");
    lost.extend(next..written.len() as u64);
    // What comes now is found again behind all that.
    commit(&mut store, &[record("after")]).unwrap();
    drop(store);
    let (store, again) = open(disk).unwrap();
    assert!(again.next > recovered.next, "{context}");
    assert_eq!(
        records(&store, recovered.next.0),
        [(recovered.next.0, b"after".to_vec())],
        "{context}"
    );
    (recovered, lost)
}

#[test]
fn a_flipped_byte_anywhere_costs_at_most_the_frame_that_it_is_in() {
    let (disk, written) = filled(Some(9));
    let mut flips = 0;
    for name in disk.files() {
        // Beyond the header page every byte of a frame is alike, so a stride that is prime to 8 sees all fields.
        let length = disk.content(&name).len();
        for offset in (0..length).filter(|offset| *offset < 80 || offset % 13 == 0) {
            let spoilt = disk.copy();
            spoilt.flip(&name, offset);
            let context = format!("{name} at {offset}");
            let (recovered, lost) = check_records(&spoilt, &written, &context);
            assert!(lost.len() <= 1, "{context}: lost {lost:?}");
            let is_last = lost.contains(&(written.len() as u64 - 1));
            let replayed_from = if recovered.snapshot.is_some() { 10 } else { 0 };
            let told = recovered.damage.iter().any(|damage| damage.next > damage.first);
            if let Some(lost) = lost.first().filter(|_| !is_last) {
                assert_eq!(told, *lost >= replayed_from, "{context}: {:?}", recovered.damage);
            }
            flips += 1;
        }
    }
    assert!(flips > 5_000, "{flips}");
}

#[test]
fn every_byte_of_frame_headers_and_of_the_segment_header_may_flip() {
    let (disk, written) = filled(None);
    let name = &segments(&disk)[1];
    // The second segment's header, and its first frame's header and first bytes.
    for offset in (0..64).chain(4_096..4_096 + 64) {
        for mask in [0x01, 0x80] {
            let spoilt = disk.copy();
            let mut content = disk.content(name);
            content[offset] ^= mask;
            spoilt.put(name, &content);
            let (_, lost) = check_records(&spoilt, &written, &format!("{offset} mask {mask}"));
            assert!(lost.len() <= 1);
        }
    }
}

#[test]
fn a_frame_that_rots_in_the_middle_is_told_with_its_sequences_and_replay_has_all_the_rest() {
    let (disk, written) = filled(None);
    let name = segments(&disk)[0].clone();
    disk.flip(&name, 4_096 + 700);
    let (_, recovered) = open(&disk).unwrap();
    let reason = "a part of the file does not verify".to_owned();
    let hole = Damage {
        first: Sequence(2),
        next: Sequence(3),
        file: name.clone(),
        reason,
    };
    assert_eq!(recovered.damage, [hole]);
    let mut expected: Vec<Entry> = Vec::new();
    for (number, bytes) in written.iter().enumerate().filter(|(number, _)| *number != 2) {
        expected.extend([input(format!("input {number}")), record(bytes.clone())]);
    }
    assert_eq!(replayed(recovered), expected);
}

#[test]
fn a_damaged_segment_is_set_aside_once_it_is_released_and_its_number_is_not_used_again() {
    let (disk, _) = filled(None);
    let name = segments(&disk)[0].clone();
    disk.flip(&name, 4_096 + 700);
    let (mut store, _) = open(&disk).unwrap();
    store.save_snapshot(b"state").unwrap();
    store.release(Sequence(48)).unwrap();
    assert!(disk.files().contains(&format!("damaged/{name}")), "{:?}", disk.files());
    assert!(!disk.files().contains(&name));
}

#[test]
fn an_input_that_rots_is_told_although_no_sequence_is_missing() {
    let disk = Disk::new(CAPACITY);
    let (mut store, _) = open(&disk).unwrap();
    commit(&mut store, &[record("first")]).unwrap();
    commit(&mut store, &[input("only an input, of some length")]).unwrap();
    commit(&mut store, &[record("second")]).unwrap();
    disk.flip(&segments(&disk)[0], 4_096 + 48 + 40);
    let (_, recovered) = open(&disk).unwrap();
    let found: Vec<_> = recovered.damage.iter().map(|d| (d.first.0, d.next.0)).collect();
    assert_eq!(found, [(1, 1)]);
    assert_eq!(replayed(recovered), [record("first"), record("second")]);
}

#[test]
fn a_missing_segment_in_the_middle_is_a_hole_of_the_right_size() {
    let (disk, written) = filled(None);
    let names = segments(&disk);
    assert!(names.len() >= 3, "{names:?}");
    disk.delete(&names[1]);
    let (recovered, lost) = check_records(&disk, &written, "one missing");
    assert_eq!(recovered.damage.len(), 1, "{:?}", recovered.damage);
    assert_eq!(recovered.damage[0].file, names[1]);
    assert_eq!(recovered.damage[0].reason, "the file is missing");
    let hole = recovered.damage[0].first.0..recovered.damage[0].next.0;
    assert_eq!(hole.collect::<BTreeSet<_>>(), lost);
}

#[test]
fn a_segment_that_is_empty_or_noise_or_foreign_is_a_hole_and_stays_where_it_is() {
    let (foreign_disk, _) = filled(None);
    for at in 0..3 {
        let (disk, written) = filled(None);
        let names = segments(&disk);
        let foreign = foreign_disk.content(&names[at]);
        for content in [Vec::new(), noise(1, 16 << 10), vec![0; 16 << 10], foreign] {
            let spoilt = disk.copy();
            spoilt.put(&names[at], &content);
            let (recovered, lost) = check_records(&spoilt, &written, &names[at]);
            assert!(!lost.is_empty());
            assert!(
                recovered
                    .damage
                    .iter()
                    .any(|d| d.file == names[at] && d.next == d.first)
            );
            assert!(
                recovered.damage.iter().any(|d| d.next > d.first),
                "{:?}",
                recovered.damage
            );
            assert_eq!(spoilt.content(&names[at]), content);
        }
    }
}

#[test]
fn sequences_jump_over_an_unreadable_last_segment_the_same_way_at_every_opening() {
    let (disk, written) = filled(None);
    let last = segments(&disk).pop().unwrap();
    disk.put(&last, b"");
    let (_, first) = open(&disk).unwrap();
    let (_, second) = open(&disk).unwrap();
    assert!(first.next.0 > written.len() as u64, "no number is given out twice");
    assert_eq!(first.next, second.next);
}

#[test]
fn a_rotted_tag_is_restored_from_the_segments() {
    let (disk, written) = filled(None);
    let (_, before) = open(&disk).unwrap();
    for content in [
        b"".as_slice(),
        b"noise",
        b"tag abcd id 0000000000000000 crc32c 00000000\n",
    ] {
        let spoilt = disk.copy();
        spoilt.put("tag", content);
        let (recovered, lost) = check_records(&spoilt, &written, "tag");
        assert_eq!(recovered.tag, before.tag);
        assert!(lost.is_empty() && !recovered.created);
        assert_eq!(spoilt.content("tag"), disk.content("tag"));
    }
}

#[test]
fn with_the_newer_snapshot_gone_the_older_one_and_its_replay_give_the_same() {
    let disk = Disk::new(CAPACITY);
    let (mut store, _) = open(&disk).unwrap();
    for number in 0..40_u64 {
        commit(&mut store, &[record(noise(number, 3_000))]).unwrap();
        if store.catalog().snapshot_due() {
            store.save_snapshot((number + 1).to_string().as_bytes()).unwrap();
            store.release(Sequence(number)).unwrap();
        }
    }
    let states = |name: &str| {
        let spoilt = disk.copy();
        spoilt.put(name, b"");
        let (_, recovered) = open(&spoilt).unwrap();
        assert_eq!(recovered.damage, []);
        let state: u64 = String::from_utf8(recovered.snapshot.clone().unwrap())
            .unwrap()
            .parse()
            .unwrap();
        let replay = replayed(recovered);
        let expected: Vec<_> = (state..40).map(|number| record(noise(number, 3_000))).collect();
        assert_eq!(replay, expected);
        state
    };
    assert_ne!(states("snapshot-0"), states("snapshot-1"));

    disk.put("snapshot-0", b"");
    disk.put("snapshot-1", b"");
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.damage[0].file, "snapshot-0");
    assert!(recovered.snapshot.is_none());
}

#[test]
fn a_segment_of_a_newer_format_stops_the_opening_and_says_so() {
    let (disk, _) = filled(None);
    let name = segments(&disk)[0].clone();
    let mut content = disk.content(&name);
    content[8] = 9;
    let checksum = crc32c::crc32c(&content[..52]);
    content[52..56].copy_from_slice(&checksum.to_le_bytes());
    disk.put(&name, &content);
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, JournalError::Version { found: 9, .. }), "{error}");
}

#[test]
fn with_every_file_noise_the_journal_begins_anew_under_another_identity() {
    let (disk, written) = filled(Some(5));
    let (_, before) = open(&disk).unwrap();
    for name in disk.files() {
        disk.put(&name, &noise(3, 5_000));
    }
    let (recovered, _) = check_records(&disk, &[], "all noise");
    assert!(recovered.created && recovered.next.0 > written.len() as u64);
    assert!(!recovered.damage.is_empty());
    // Four hexadecimal digits may come out alike once in 65,536 runs; the sequences differ in any case.
    assert!(before.tag.len() == 4 && recovered.tag.len() == 4);
}
