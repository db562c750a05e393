//! What ends up in files, and when a file ends.

use super::support::{
    BFRAMES, FRAMES, H265, PLAIN, decoded_frames, fragment_of, limits, open, record, seconds, split, start,
};
use crate::cameras::ring::{
    ClockQuality, Fragment, Limits, MemoryIndex, Ring, RingError, SegmentId, SegmentIndex, State, segment_path,
};

#[test]
fn every_file_of_a_ring_is_playable_and_no_frame_is_lost() {
    for sample in [PLAIN, BFRAMES, H265] {
        let folder = tempfile::tempdir().unwrap();
        let short = Limits {
            segment_duration_max: seconds(5),
            ..limits()
        };
        let (mut ring, _) = Ring::open(folder.path(), short, MemoryIndex::default()).unwrap();
        let stream = split(sample);
        record(&mut ring, &stream, start());
        let segments = ring.segments();
        assert_eq!(segments.len(), 3, "2, 2 and 1 fragments in 5 s at most");
        ring.close();
        let mut frames = 0;
        for segment in segments {
            let path = segment_path(folder.path(), segment.id);
            let decoded = decoded_frames(&path);
            assert_eq!(decoded, segment.frames, "{}", path.display());
            frames += decoded;
        }
        assert_eq!(frames, FRAMES * stream.fragments.len() as u64);
    }
}

#[test]
fn times_and_counts_of_segments_are_those_of_the_fragments() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    assert_eq!(ring.state(), &State::Idle);
    record(&mut ring, &split(BFRAMES), start());
    assert_eq!(ring.state(), &State::Recording);
    let segment = &ring.segments()[0];
    assert_eq!((segment.from, segment.to), (start(), start() + seconds(10)));
    assert_eq!((segment.fragments, segment.frames), (5, 100));
    assert_eq!(segment.clock, ClockQuality::Synced);
    assert_eq!((ring.counters().fragments, ring.counters().frames), (5, 100));
    let length = std::fs::metadata(segment_path(folder.path(), segment.id))
        .unwrap()
        .len();
    assert_eq!(segment.bytes, length);
}

#[test]
fn a_new_file_begins_with_a_run_a_jump_a_step_of_the_clock_or_its_quality() {
    let stream = split(PLAIN);
    let at = |number: usize, plus: u64, clock| Fragment {
        at: start() + seconds(2 * number as u64 + plus),
        clock,
        chunks: stream.fragments[number].clone(),
    };
    let synced = ClockQuality::Synced;
    let timeline = Fragment {
        at: start() + seconds(2),
        ..at(2, 0, synced)
    };
    for (what, next, files) in [
        ("the next fragment", at(1, 0, synced), 1),
        ("a fragment is missing", at(2, 0, synced), 2),
        ("the clock stepped", at(1, 5, synced), 2),
        ("the timeline stepped", timeline, 2),
        ("the clock is less sure", at(1, 0, ClockQuality::Holdover), 2),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (mut ring, _) = open(folder.path());
        ring.begin(&stream.init).unwrap();
        assert!(ring.append(&at(0, 0, synced)).unwrap().is_first);
        let appended = ring.append(&next).unwrap();
        assert_eq!(
            (appended.is_first, ring.segments().len()),
            (files == 2, files),
            "{what}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    record(&mut ring, &stream, start());
    record(&mut ring, &stream, start() + seconds(10));
    assert_eq!(ring.segments().len(), 2, "a run of the worker");
}

#[test]
fn what_is_no_fragment_is_refused_counted_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let stream = split(PLAIN);
    let whole = fragment_of(&stream, start(), 0);
    assert!(matches!(ring.append(&whole), Err(RingError::NotBegun { .. })));
    ring.begin(&stream.init).unwrap();
    let torn = whole.chunks[0].slice(..whole.chunks[0].len() - 1);
    let backwards = vec![
        whole.chunks[0].clone(),
        whole.chunks[2].clone(),
        whole.chunks[1].clone(),
    ];
    let many = vec![whole.chunks[0].clone(); 5_001];
    for chunks in [vec![], whole.chunks[1..].to_vec(), vec![torn], backwards, many] {
        let fragment = Fragment {
            chunks,
            ..whole.clone()
        };
        assert!(matches!(ring.append(&fragment), Err(RingError::Invalid { .. })));
        assert!(matches!(ring.state(), State::Failing { .. }));
    }
    assert!(ring.segments().is_empty(), "nothing was written");
    assert_eq!(ring.counters().fragments_dropped, 6);
    ring.append(&whole).unwrap();
    assert_eq!(ring.state(), &State::Recording);
}

#[test]
fn a_ring_goes_on_behind_its_last_file_and_trusts_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let index = MemoryIndex::default();
    let (mut ring, _) = Ring::open(folder.path(), limits(), index.clone()).unwrap();
    let stream = split(PLAIN);
    record(&mut ring, &stream, start());
    let before = ring.segments();
    ring.close();

    let (mut ring, recovered) = Ring::open(folder.path(), limits(), index.clone()).unwrap();
    assert_eq!(
        (recovered.segments, recovered.files_unknown, recovered.frames),
        (1, 0, 100)
    );
    ring.begin(&stream.init).unwrap();
    let appended = ring.append(&fragment_of(&stream, start() + seconds(60), 0)).unwrap();
    assert_eq!((appended.segment, appended.is_first), (SegmentId(2), true));
    assert_eq!(ring.segments()[0].frames, before[0].frames);
    assert_eq!(index.all().len(), 1, "the open file is not in the index");
}

#[test]
fn an_index_that_is_lost_or_stale_is_made_good_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let stream = split(H265);
    record(&mut ring, &stream, start());
    record(&mut ring, &stream, start() + seconds(20));
    ring.begin(&stream.init).unwrap();
    let segments = ring.segments();

    let index = MemoryIndex::default();
    let mut wrong = segments[0].clone();
    wrong.bytes += 1;
    index.put(&wrong);
    wrong.id = SegmentId(77);
    index.put(&wrong);
    let (reopened, recovered) = Ring::open(folder.path(), limits(), index.clone()).unwrap();
    let found = reopened.segments();
    assert_eq!(found, segments);
    assert_eq!((recovered.files_unknown, recovered.entries_removed), (2, 1));
    assert_eq!((recovered.bytes_lost, recovered.reasons.len()), (0, 0));
    assert_eq!(index.all(), segments);
}
