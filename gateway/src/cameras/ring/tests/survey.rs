//! Looking into a folder that belongs to somebody else.

use super::support::{PLAIN, fragment_of, limits, open, record, seconds, split, start};
use crate::cameras::ring::{Limits, MemoryIndex, Ring, SegmentId, segment_path, survey};

#[test]
fn a_survey_finds_what_the_ring_at_work_knows() {
    let folder = tempfile::tempdir().unwrap();
    let short = Limits {
        segment_duration_max: seconds(5),
        ..limits()
    };
    let (mut ring, _) = Ring::open(folder.path(), short, MemoryIndex::default()).unwrap();
    record(&mut ring, &split(PLAIN), start());
    let found = survey(folder.path()).unwrap();
    assert_eq!((found.segments.len(), found.damaged.len()), (3, 0));
    assert_eq!(found.segments, ring.segments());
}

#[test]
fn a_torn_file_is_read_up_to_the_tear_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    for number in 0..2 {
        ring.append(&fragment_of(&stream, start(), number)).unwrap();
    }
    let path = segment_path(folder.path(), SegmentId(1));
    let mut torn = std::fs::read(&path).unwrap();
    torn.truncate(torn.len() - 100);
    let other = tempfile::tempdir().unwrap();
    let path = segment_path(other.path(), SegmentId(7));
    std::fs::write(&path, &torn).unwrap();
    std::fs::write(segment_path(other.path(), SegmentId(8)), b"no recording").unwrap();
    let found = survey(other.path()).unwrap();
    assert_eq!(found.segments.len(), 1);
    assert_eq!((found.segments[0].id, found.segments[0].fragments), (SegmentId(7), 2));
    let damaged: Vec<u64> = found.damaged.iter().map(|(id, _)| id.0).collect();
    assert_eq!(damaged, [7, 8]);
    assert_eq!(std::fs::read(&path).unwrap(), torn);
    assert!(segment_path(other.path(), SegmentId(8)).exists());
}

#[test]
fn a_folder_that_is_absent_holds_nothing_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("kamera");
    assert!(survey(&absent).unwrap().segments.is_empty());
    assert!(!absent.exists());
}
