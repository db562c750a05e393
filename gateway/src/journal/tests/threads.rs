//! The journal as its users see it: the writer thread, waiting, closing, and the real file system.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::super::simulated::{Disk, Fault};
use super::{input, noise, record, small};
use crate::journal::{Directory, Entry, Item, Journal, JournalError, Options, Reader, Sequence, Storage};

const CAPACITY: u64 = 1 << 20;

fn start(disk: &Disk) -> Journal {
    Journal::open(&small(), &disk.storage()).unwrap().0
}

async fn append(journal: &Journal, entries: &[Entry]) -> Result<std::ops::Range<Sequence>, JournalError> {
    journal.append(entries).await?.await
}

fn drain(reader: &mut Reader) -> Vec<(u64, Vec<u8>)> {
    std::iter::from_fn(|| reader.next().unwrap())
        .map(|item| match item {
            Item::Record { sequence, bytes } => (sequence.0, bytes),
            lost @ Item::Lost { .. } => panic!("{lost:?}"),
        })
        .collect()
}

/// Waits until the status says so. It is set by another thread at no moment that could be awaited.
async fn until(journal: &Journal, wanted: impl Fn(&crate::journal::Status) -> bool) {
    while !wanted(&journal.status()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_is_too_much_for_one_append_goes_into_several_in_order() {
    let disk = Disk::new(CAPACITY);
    let journal = start(&disk);
    let texts: Vec<_> = (0..3_000_u64).map(|n| n.to_string().into_bytes()).collect();
    let entries: Vec<_> = texts.iter().cloned().map(record).collect();
    assert!(append(&journal, &entries).await.is_err(), "it is not too much");
    journal.append_in_parts(&entries).await.unwrap().await.unwrap();
    let expected: Vec<_> = (0..).zip(texts).collect();
    assert_eq!(drain(&mut journal.reader(Sequence(0))), expected);
    let refused = journal.append_in_parts(&[record(noise(1, 1 << 20))]).await;
    assert!(matches!(refused, Err(JournalError::AppendSize { .. })), "{refused:?}");
}

#[tokio::test]
async fn appends_are_numbered_in_the_order_of_the_calls_and_many_share_a_commit() {
    let disk = Disk::new(CAPACITY);
    let journal = start(&disk);
    let mut waiting = Vec::new();
    for number in 0..500_u64 {
        waiting.push(
            journal
                .append(&[input("in"), record(number.to_string())])
                .await
                .unwrap(),
        );
    }
    for (number, append) in (0..).zip(waiting) {
        assert_eq!(append.await.unwrap(), Sequence(number)..Sequence(number + 1));
    }
    let status = journal.status();
    assert!(status.commits < 500, "{} commits", status.commits);
    assert_eq!(status.next, Sequence(500));
    let expected: Vec<_> = (0..500_u64).map(|n| (n, n.to_string().into_bytes())).collect();
    assert_eq!(drain(&mut journal.reader(Sequence(0))), expected);
}

#[tokio::test]
async fn a_reader_waits_for_the_durable_tip_and_goes_on_across_segments() {
    let disk = Disk::new(CAPACITY);
    let journal = Arc::new(start(&disk));
    let mut durable = journal.durable();
    let mut reader = journal.reader(Sequence(0));
    let writing = Arc::clone(&journal);
    let writer = tokio::spawn(async move {
        for number in 0..60 {
            append(&writing, &[record(noise(number, 1_500))]).await.unwrap();
        }
    });
    let mut read = Vec::new();
    while read.len() < 60 {
        durable.wait_for(|next| next.0 > read.len() as u64).await.unwrap();
        read.extend(drain(&mut reader));
    }
    writer.await.unwrap();
    assert_eq!(read, (0..60).map(|n| (n, noise(n, 1_500))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_that_is_overtaken_by_release_goes_on_with_what_is_kept() {
    let disk = Disk::new(CAPACITY);
    let journal = start(&disk);
    let mut behind = journal.reader(Sequence(0));
    append(&journal, &[record("first")]).await.unwrap();
    assert_eq!(behind.next().unwrap().map(|_| ()), Some(()));
    for number in 1..40 {
        append(&journal, &[record(noise(number, 3_000))]).await.unwrap();
    }
    for _ in 0..2 {
        journal.save_snapshot(b"state").await.unwrap().await.unwrap();
    }
    journal.release(Sequence(40));
    until(&journal, |status| status.segments == 1).await;
    // Recycled files are written again under its nose.
    for number in 40..60 {
        append(&journal, &[record(noise(number, 3_000))]).await.unwrap();
    }
    let read = drain(&mut behind);
    let oldest = read[0].0;
    assert!(oldest >= 36, "{oldest}");
    assert_eq!(read, (oldest..60).map(|n| (n, noise(n, 3_000))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failed_sync_tells_everybody_and_nothing_is_accepted_after_it() {
    let disk = Disk::new(CAPACITY);
    let journal = start(&disk);
    append(&journal, &[record("durable")]).await.unwrap();
    // The next operation is the write, the one after it the sync.
    disk.fault_after(1, Fault::Error);
    let lost = append(&journal, &[record("lost")]).await.unwrap_err();
    assert!(matches!(lost, JournalError::Failed { .. }), "{lost}");
    assert!(
        lost.to_string().contains("cannot sync /simulated/0000000001.segment"),
        "{lost}"
    );
    until(&journal, |status| status.failed.is_some()).await;
    let after = append(&journal, &[record("after")]).await.unwrap_err();
    assert!(matches!(after, JournalError::Failed { .. }), "{after}");
    assert_eq!(drain(&mut journal.reader(Sequence(0))), [(0, b"durable".to_vec())]);
    drop(journal);

    let journal = start(&disk.copy());
    append(&journal, &[record("goes on")]).await.unwrap();
}

#[tokio::test]
async fn a_full_journal_makes_appends_wait_says_so_and_goes_on_when_something_is_released() {
    let disk = Disk::new(CAPACITY);
    let journal = Arc::new(start(&disk));
    for _ in 0..2 {
        journal.save_snapshot(b"state").await.unwrap().await.unwrap();
    }
    disk.set_capacity(disk.used());
    // The reserve is two segments of four such records each.
    for number in 0..8 {
        append(&journal, &[record(noise(number, 3_000))]).await.unwrap();
        if number == 4 {
            for _ in 0..2 {
                journal.save_snapshot(b"state").await.unwrap().await.unwrap();
            }
        }
    }
    let waiting = journal.append(&[record(noise(8, 3_000))]).await.unwrap();
    until(&journal, |status| status.full).await;
    journal.release(Sequence(8));
    assert_eq!(waiting.await.unwrap(), Sequence(8)..Sequence(9));
    assert!(!journal.status().full);
}

#[tokio::test]
async fn closing_a_full_journal_fails_what_waits_instead_of_hanging() {
    let disk = Disk::new(CAPACITY);
    let journal = start(&disk);
    disk.set_capacity(disk.used());
    for number in 0..8 {
        append(&journal, &[record(noise(number, 3_000))]).await.unwrap();
    }
    let waiting = journal.append(&[record(noise(8, 3_000))]).await.unwrap();
    until(&journal, |status| status.full).await;
    drop(journal);
    assert!(waiting.await.unwrap_err().is_disk_full());
}

#[tokio::test]
async fn closing_writes_what_is_queued() {
    let disk = Disk::new(CAPACITY);
    let journal = start(&disk);
    let mut waiting = Vec::new();
    for number in 0..50 {
        waiting.push(journal.append(&[record(noise(number, 400))]).await.unwrap());
    }
    let snapshot = journal.save_snapshot(b"fifty").await.unwrap();
    drop(journal);
    for append in waiting {
        append.await.unwrap();
    }
    snapshot.await.unwrap();
    let (_journal, recovered) = Journal::open(&small(), &disk.storage()).unwrap();
    assert_eq!(recovered.snapshot.as_deref(), Some(b"fifty".as_slice()));
    assert_eq!((recovered.next, recovered.replay.count()), (Sequence(50), 0));
}

#[tokio::test]
async fn an_append_that_no_frame_can_hold_is_refused_at_once() {
    let disk = Disk::new(CAPACITY);
    let journal = start(&disk);
    for entries in [vec![], vec![record(noise(0, 13_000))], vec![record("x"); 1_025]] {
        let error = journal.append(&entries).await.unwrap_err();
        assert!(matches!(error, JournalError::AppendSize { .. }), "{error}");
    }
    append(&journal, &[record(noise(0, 12_000))]).await.unwrap();
    append(&journal, &vec![record("x"); 1_024]).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_that_finds_no_space_leaves_the_journal_going() {
    let disk = Disk::new(CAPACITY);
    let journal = start(&disk);
    append(&journal, &[record("one")]).await.unwrap();
    disk.set_capacity(disk.used());
    let refused = journal.save_snapshot(b"state").await.unwrap().await.unwrap_err();
    assert!(refused.is_disk_full(), "{refused}");
    append(&journal, &[record("two")]).await.unwrap();
    disk.set_capacity(CAPACITY);
    journal.save_snapshot(b"state").await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_real_folder_keeps_what_was_appended_and_admits_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(&path).unwrap());
    let options = Options {
        reserve_bytes: 8 << 20,
        ..Options::default()
    };
    let (journal, recovered) = Journal::open(&options, &storage).unwrap();
    assert!(recovered.created && recovered.tag.len() == 4);
    append(&journal, &[input("in"), record("out")]).await.unwrap();
    assert_eq!(journal.status().spares, 2);

    let second = Directory::open(&path).unwrap_err();
    assert!(second.to_string().contains("another process has it open"), "{second}");
    drop((journal, recovered.replay, storage));

    let storage: Arc<dyn Storage> = Arc::new(Directory::open(&path).unwrap());
    let (_journal, again) = Journal::open(&options, &storage).unwrap();
    assert!(!again.created && again.tag == recovered.tag && again.damage.is_empty());
    let replay: Vec<_> = again.replay.map(Result::unwrap).collect();
    assert_eq!(replay, [input("in"), record("out")]);
}

#[test]
fn what_stands_in_the_way_is_named_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    std::fs::write(&path, "a file").unwrap();
    let error = Directory::open(&path).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");

    let options = Options {
        segment_bytes: 5_000,
        ..Options::default()
    };
    let error = Journal::open(&options, &Disk::new(CAPACITY).storage())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "journal: segment_bytes is 5000, must be 16 KiB to 64 MiB and a multiple of 4096"
    );
}

#[test]
fn a_file_without_permission_is_named_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(folder.path()).unwrap());
    let segment = folder.path().join("0000000001.segment");
    std::fs::write(&segment, "").unwrap();
    std::fs::set_permissions(&segment, std::fs::Permissions::from_mode(0o000)).unwrap();
    match Journal::open(&small(), &storage) {
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains("0000000001.segment") && text.contains("must belong to the gateway's user"),
                "{text}"
            );
        }
        // The superuser may read everything: then it is an empty segment.
        Ok((_, recovered)) => assert!(
            recovered
                .damage
                .iter()
                .any(|damage| damage.file == "0000000001.segment")
        ),
    }
}
