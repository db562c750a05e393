//! Disks that fail.

use std::io::ErrorKind;
use std::path::Path;

use super::support::{FailingDisk, PLAIN, decoded_frames, fragment_of, limits, open, record, seconds, split, start};
use crate::cameras::ring::{MemoryIndex, Ring, RingError, State, segment_path};

fn ring_on(disk: &FailingDisk) -> Ring {
    Ring::open_on(Box::new(disk.clone()), limits(), Box::<MemoryIndex>::default())
        .unwrap()
        .0
}

#[test]
fn a_fragment_is_one_write_and_one_sync_and_names_are_synced_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let mut ring = ring_on(&disk);
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    for number in 0..2 {
        ring.append(&fragment_of(&stream, start(), number)).unwrap();
    }
    let log = disk.failures.lock().unwrap().log.join(", ");
    assert_eq!(log, "create 1, append, sync, sync names, append, sync");
}

#[test]
fn a_failed_write_costs_its_fragment_and_nothing_before_or_after() {
    for (kind, bytes) in [
        (ErrorKind::Other, 0),
        (ErrorKind::Other, 700),
        (ErrorKind::StorageFull, 9),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let disk = FailingDisk::new(folder.path());
        let mut ring = ring_on(&disk);
        let stream = split(PLAIN);
        ring.begin(&stream.init).unwrap();
        for number in 0..4 {
            if number == 2 {
                disk.set(|failures| failures.append = Some((kind, bytes)));
                ring.append(&fragment_of(&stream, start(), number)).unwrap_err();
                assert!(matches!(ring.state(), State::Failing { .. }));
                continue;
            }
            ring.append(&fragment_of(&stream, start(), number)).unwrap();
        }
        assert_eq!(ring.counters().fragments_dropped, 1);
        let segments = ring.segments();
        assert_eq!(segments.iter().map(|s| s.frames).collect::<Vec<_>>(), [40, 20]);
        for segment in &segments {
            assert_eq!(decoded_frames(&segment_path(folder.path(), segment.id)), segment.frames);
        }
        let (again, recovered) = open(folder.path());
        assert_eq!((recovered.frames, recovered.bytes_lost), (60, 0));
        assert_eq!(again.segments(), segments);
    }
}

#[test]
fn a_full_disk_without_a_floor_costs_the_oldest_file_and_not_the_newest_fragment() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let mut ring = ring_on(&disk);
    let stream = split(PLAIN);
    record(&mut ring, &stream, start());
    record(&mut ring, &stream, start() + seconds(10));
    ring.begin(&stream.init).unwrap();
    disk.set(|failures| failures.append = Some((ErrorKind::StorageFull, 100)));
    let appended = ring.append(&fragment_of(&stream, start() + seconds(20), 0)).unwrap();
    assert_eq!(appended.removed.len(), 1);
    assert_eq!(ring.counters().fragments_dropped, 0);
}

#[test]
fn a_sync_that_fails_ends_its_file_because_nobody_knows_what_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let mut ring = ring_on(&disk);
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    ring.append(&fragment_of(&stream, start(), 0)).unwrap();
    disk.set(|failures| failures.sync = Some(ErrorKind::Other));
    let error = ring.append(&fragment_of(&stream, start(), 1)).unwrap_err();
    assert!(error.to_string().contains("0000000001.mp4"), "{error}");
    assert!(ring.append(&fragment_of(&stream, start(), 2)).unwrap().is_first);
    assert_eq!(open(folder.path()).1.frames, 40);
}

#[test]
fn a_file_that_cannot_even_be_cut_is_left_to_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let mut ring = ring_on(&disk);
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    ring.append(&fragment_of(&stream, start(), 0)).unwrap();
    disk.set(|failures| {
        failures.append = Some((ErrorKind::Other, 900));
        failures.truncate = Some(ErrorKind::Other);
    });
    ring.append(&fragment_of(&stream, start(), 1)).unwrap_err();
    ring.append(&fragment_of(&stream, start(), 2)).unwrap();
    let (_, recovered) = open(folder.path());
    assert_eq!(
        (recovered.frames, recovered.files_cut, recovered.bytes_lost),
        (40, 1, 900)
    );
}

#[test]
fn a_folder_in_which_no_file_can_be_made_is_tried_again_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let mut ring = ring_on(&disk);
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    disk.set(|failures| failures.create = Some(ErrorKind::ReadOnlyFilesystem));
    for number in 0..2 {
        let error = ring.append(&fragment_of(&stream, start(), number)).unwrap_err();
        assert!(matches!(error, RingError::Storage { action: "make", .. }), "{error}");
    }
    disk.set(|failures| failures.create = None);
    ring.append(&fragment_of(&stream, start(), 2)).unwrap();
    assert_eq!(ring.counters().fragments_dropped, 2);
}

/// The second half of the next test, within a file system of its own.
fn on_a_small_disk(folder: &Path) {
    let (mut ring, _) = open(folder);
    let stream = split(PLAIN);
    for run in 0..60 {
        record(&mut ring, &stream, start() + seconds(20 * run));
    }
    assert_eq!((ring.counters().fragments, ring.counters().fragments_dropped), (300, 0));
    assert!(ring.counters().segments_removed > 0, "the disk was never full");
    let segments = ring.segments();
    assert!(segments.len() > 20 && segments.len() < 45, "{} files", segments.len());
    for segment in &segments {
        assert_eq!(decoded_frames(&segment_path(folder, segment.id)), segment.frames);
    }
    let frames: u64 = segments.iter().map(|segment| segment.frames).sum();
    assert_eq!(open(folder).1.frames, frames);
}

#[test]
fn on_a_real_disk_that_is_full_the_ring_lives_on_the_space_it_has() {
    const INSIDE: &str = "RING_TEST_ON_A_SMALL_DISK";
    if let Some(folder) = std::env::var_os(INSIDE) {
        on_a_small_disk(Path::new(&folder));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let script = "mount -t tmpfs -o size=1m tmpfs \"$0\" || exit 77; exec \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--", "sh", "-c", script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env(INSIDE, folder.path())
        .output();
    match output {
        Ok(output) if matches!(output.status.code(), Some(1 | 77)) && output.stdout.is_empty() => {
            println!("NOT TESTED: nothing can be mounted here");
        }
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && told.contains("1 passed"), "{told}");
        }
        Err(error) => println!("NOT TESTED: {error}"),
    }
}

#[test]
fn a_file_that_may_not_be_read_is_left_alone_and_its_sequence_is_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let stream = split(PLAIN);
    record(&mut ring_on(&disk), &stream, start());
    disk.set(|failures| failures.open = Some(ErrorKind::PermissionDenied));
    let opened = Ring::open_on(Box::new(disk.clone()), limits(), Box::<MemoryIndex>::default());
    let (mut ring, recovered) = opened.unwrap();
    assert_eq!((recovered.files_unreadable, recovered.segments), (1, 0));
    ring.begin(&stream.init).unwrap();
    let appended = ring.append(&fragment_of(&stream, start(), 0)).unwrap();
    assert_eq!(appended.segment.0, 2);
    disk.set(|failures| failures.open = None);
    assert_eq!(open(folder.path()).1.frames, 120, "it is part of the ring again");
}

#[test]
fn a_foreign_file_in_the_place_of_the_next_one_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    let foreign = segment_path(folder.path(), crate::cameras::ring::SegmentId(1));
    std::fs::write(&foreign, b"mine").unwrap();
    let error = ring.append(&fragment_of(&stream, start(), 0)).unwrap_err();
    assert!(error.to_string().contains("hint: something else"), "{error}");
    assert_eq!(ring.append(&fragment_of(&stream, start(), 1)).unwrap().segment.0, 2);
    assert_eq!(std::fs::read(foreign).unwrap(), b"mine");
}
