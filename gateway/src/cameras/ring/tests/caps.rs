//! What is removed, and what is not.

use std::time::Duration;

use super::support::{FailingDisk, PLAIN, fragment_of, limits, record, seconds, split, start};
use crate::cameras::ring::{ClockQuality, Fragment, Limits, MemoryIndex, Ring, RingError, SegmentId, SegmentIndex, State};

fn ids(ring: &Ring) -> Vec<u64> {
    ring.segments().iter().map(|segment| segment.id.0).collect()
}

#[test]
fn the_cap_of_bytes_removes_the_oldest_by_sequence_even_when_the_clock_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let small = Limits {
        bytes_max: 140_000,
        segment_bytes_max: 66_000,
        ..limits()
    };
    let index = MemoryIndex::default();
    let (mut ring, _) = Ring::open(folder.path(), small, index.clone()).unwrap();
    let stream = split(PLAIN);
    for run in 0..8 {
        record(&mut ring, &stream, start() - seconds(1_000 * run));
        assert!(ring.bytes() <= small.bytes_max);
    }
    assert_eq!(ids(&ring), [4, 5, 6, 7, 8]);
    assert_eq!(ring.counters().segments_removed, 3);
    assert_eq!(ring.counters().frames_removed, 300);
    assert_eq!(index.all().len(), 4);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
}

#[test]
fn the_cap_of_age_counts_only_for_a_synchronised_clock() {
    let folder = tempfile::tempdir().unwrap();
    let day = Limits {
        age_max: Some(seconds(86_400)),
        ..limits()
    };
    let (mut ring, _) = Ring::open(folder.path(), day, MemoryIndex::default()).unwrap();
    let stream = split(PLAIN);
    for hour in [0, 10, 20] {
        record(&mut ring, &stream, start() + seconds(3_600 * hour));
    }
    let late = start() + seconds(3_600 * 40);
    for clock in [ClockQuality::Unset, ClockQuality::Holdover, ClockQuality::Simulated] {
        assert_eq!(ring.maintain(late, clock).unwrap(), [], "{clock:?}");
    }
    let day_after = start() + seconds(86_400);
    assert_eq!(ring.maintain(day_after, ClockQuality::Synced).unwrap(), []);
    assert_eq!(
        ring.maintain(day_after + seconds(11), ClockQuality::Synced).unwrap(),
        [SegmentId(1)]
    );
    assert_eq!(ring.maintain(late, ClockQuality::Synced).unwrap(), [SegmentId(2)]);
    let much_later = start() + seconds(3_600 * 50);
    assert_eq!(
        ring.maintain(much_later, ClockQuality::Synced).unwrap(),
        [SegmentId(3)],
        "the camera stopped, so its last file was ended"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_recording_of_unsure_times_ages_from_when_a_sure_clock_found_it() {
    let folder = tempfile::tempdir().unwrap();
    let hour = Limits {
        age_max: Some(seconds(3_600)),
        ..limits()
    };
    let index = MemoryIndex::default();
    let (mut ring, _) = Ring::open(folder.path(), hour, index.clone()).unwrap();
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    let floor = Fragment {
        at: start() - seconds(86_400 * 365),
        clock: ClockQuality::Unset,
        ..fragment_of(&stream, start(), 0)
    };
    ring.append(&floor).unwrap();
    ring.begin(&stream.init).unwrap();
    assert_eq!(
        ring.maintain(start(), ClockQuality::Synced).unwrap(),
        [],
        "it may be new"
    );
    drop(ring);
    let (mut ring, _) = Ring::open(folder.path(), hour, index).unwrap();
    assert_eq!(
        ring.maintain(start() + seconds(3_599), ClockQuality::Synced).unwrap(),
        []
    );
    assert_eq!(
        ring.maintain(start() + seconds(3_601), ClockQuality::Synced).unwrap(),
        [SegmentId(1)]
    );
}

#[test]
fn what_is_older_by_sequence_than_an_expired_file_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let hour = Limits {
        age_max: Some(seconds(3_600)),
        ..limits()
    };
    let (mut ring, _) = Ring::open(folder.path(), hour, MemoryIndex::default()).unwrap();
    let stream = split(PLAIN);
    record(&mut ring, &stream, start() + seconds(86_400 * 3_650));
    record(&mut ring, &stream, start());
    record(&mut ring, &stream, start() + seconds(3_700));
    let removed = ring.maintain(start() + seconds(3_720), ClockQuality::Synced).unwrap();
    assert_eq!(removed, [SegmentId(1), SegmentId(2)]);
}

#[test]
fn below_the_floor_the_ring_gives_all_it_has_and_then_waits() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    disk.set(|failures| failures.capacity = Some(200_000));
    let floor = Limits {
        free_bytes_min: 100_000,
        ..limits()
    };
    let (mut ring, _) = Ring::open_on(Box::new(disk.clone()), floor, Box::<MemoryIndex>::default()).unwrap();
    let stream = split(PLAIN);
    for run in 0..6 {
        record(&mut ring, &stream, start() + seconds(20 * run));
    }
    assert_eq!(ids(&ring), [4, 5, 6], "what fits between floor and disk");

    disk.set(|failures| failures.capacity = Some(90_000));
    ring.begin(&stream.init).unwrap();
    let refused = ring.append(&fragment_of(&stream, start() + seconds(200), 0));
    assert!(
        matches!(refused, Err(RingError::NoSpace { free_bytes: 90_000, .. })),
        "{refused:?}"
    );
    assert_eq!(ring.state(), &State::NoSpace { free_bytes: 90_000 });
    assert!(ring.segments().is_empty());

    disk.set(|failures| failures.capacity = Some(200_000));
    ring.append(&fragment_of(&stream, start() + seconds(202), 1)).unwrap();
    assert_eq!(
        (ring.state(), ring.counters().fragments_dropped),
        (&State::Recording, 1)
    );
}

#[test]
fn the_file_being_written_is_never_removed_but_given_up_when_it_is_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FailingDisk::new(folder.path());
    let floor = Limits {
        free_bytes_min: 100_000,
        ..limits()
    };
    let (mut ring, _) = Ring::open_on(Box::new(disk.clone()), floor, Box::<MemoryIndex>::default()).unwrap();
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    ring.append(&fragment_of(&stream, start(), 0)).unwrap();
    disk.set(|failures| failures.capacity = Some(50_000));
    ring.append(&fragment_of(&stream, start(), 1)).unwrap_err();
    assert_eq!(ids(&ring), [1]);
    ring.append(&fragment_of(&stream, start(), 2)).unwrap_err();
    assert!(ids(&ring).is_empty());
}

#[test]
fn limits_out_of_bounds_and_fragments_beyond_them_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [
        Limits {
            bytes_max: 1 << 20,
            ..limits()
        },
        Limits {
            segment_bytes_max: 1_000,
            ..limits()
        },
        Limits {
            segment_duration_max: Duration::ZERO,
            ..limits()
        },
    ] {
        let opened = Ring::open(folder.path(), wrong, MemoryIndex::default());
        assert!(matches!(opened, Err(RingError::Limit { .. })), "{wrong:?}");
    }
    let small = Limits {
        segment_bytes_max: 66_000,
        ..limits()
    };
    let (mut ring, _) = Ring::open(folder.path(), small, MemoryIndex::default()).unwrap();
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    let huge = Fragment {
        chunks: vec![stream.fragments[0][0].clone(); 100],
        ..fragment_of(&stream, start(), 0)
    };
    let refused = ring.append(&huge);
    assert!(matches!(refused, Err(RingError::TooLarge { .. })), "{refused:?}");
}
