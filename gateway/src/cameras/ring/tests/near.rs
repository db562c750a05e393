//! Keyframes of moments that have passed.

use jiff::{SignedDuration, Timestamp};

use super::support::{BFRAMES, H265, PLAIN, fragment_of, limits, open, record, seconds, split, start};
use crate::cameras::ring::{
    ClockQuality, Fragment, Init, Limits, MemoryIndex, Ring, SegmentId, key_near, picture, segment_path,
};

/// Seconds after the tests' start.
fn at(seconds: f64) -> Timestamp {
    start() + SignedDuration::from_secs_f64(seconds)
}

/// Where a key lies that is nearest to that second, if one is near, seconds after the tests' start.
fn found(ring: &Ring, second: f64) -> Option<f64> {
    let key = key_near(ring.folder(), &ring.segments(), at(second), seconds(60))?;
    Some(key.at.duration_since(start()).as_secs_f64())
}

#[test]
fn the_nearest_keyframe_is_found_and_is_the_one_that_was_recorded() {
    for sample in [PLAIN, BFRAMES, H265] {
        let folder = tempfile::tempdir().unwrap();
        let (mut ring, _) = open(folder.path());
        let stream = split(sample);
        record(&mut ring, &stream, start());
        for (wanted, fragment) in [(0.0, 0), (4.9, 2), (5.1, 3), (30.0, 4)] {
            let key = key_near(folder.path(), &ring.segments(), at(wanted), seconds(60)).unwrap();
            let init = Init::parse(&stream.init).unwrap();
            let recorded = picture::key_sample(&init, &stream.fragments[fragment][0]).unwrap();
            assert_eq!((key.at, key.sample), (start() + seconds(2 * fragment as u64), recorded));
        }
    }
}

#[test]
fn of_several_files_the_nearest_is_taken_and_what_cannot_be_read_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let short = Limits {
        segment_duration_max: seconds(5),
        ..limits()
    };
    let (mut ring, _) = Ring::open(folder.path(), short, MemoryIndex::default()).unwrap();
    let stream = split(PLAIN);
    record(&mut ring, &stream, start());
    record(&mut ring, &stream, at(100.0));
    assert_eq!(ring.segments().len(), 6);
    // At 3.9 the second file, which begins at 4, is nearer than the first, in which the moment lies.
    for (wanted, second) in [(3.9, 4.0), (40.0, 8.0), (60.0, 100.0), (103.1, 104.0)] {
        assert_eq!(found(&ring, wanted), Some(second), "{wanted}");
    }
    std::fs::remove_file(segment_path(folder.path(), SegmentId(2))).unwrap();
    std::fs::write(segment_path(folder.path(), SegmentId(3)), b"no recording").unwrap();
    assert_eq!(found(&ring, 3.9), Some(2.0));
    assert_eq!(found(&ring, 9.0), Some(2.0));
}

#[test]
fn nothing_is_found_too_far_away_or_by_a_clock_that_was_never_set() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let stream = split(PLAIN);
    record(&mut ring, &stream, start());
    assert_eq!(found(&ring, 68.0), Some(8.0), "just as far as is allowed");
    assert_eq!(found(&ring, 68.1), None);
    assert_eq!(found(&ring, -60.5), None);
    ring.begin(&stream.init).unwrap();
    let unset = Fragment {
        clock: ClockQuality::Unset,
        ..fragment_of(&stream, at(200.0), 0)
    };
    ring.append(&unset).unwrap();
    assert_eq!(found(&ring, 200.0), None);
}
