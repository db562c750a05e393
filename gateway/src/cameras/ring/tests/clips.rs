//! Clips, as `ffprobe` sees them.

use std::path::Path;

use jiff::Timestamp;

use super::support::{
    BFRAMES, H265, PLAIN, Stream, decoded_frames, ffprobe, fragment_of, limits, open, record, seconds, split, start,
};
use crate::cameras::ring::clip::{self, ClipError, ClipReport, Gap};
use crate::cameras::ring::{ClockQuality, Fragment, Limits, MemoryIndex, Ring, segment_path};

/// Milliseconds after the tests' start.
fn at(millis: i64) -> Timestamp {
    start() + jiff::SignedDuration::from_millis(millis)
}

fn export(ring: &Ring, from: Timestamp, to: Timestamp, path: &Path) -> ClipReport {
    let plan = clip::plan(ring.folder(), &ring.segments(), from, to).unwrap();
    let report = clip::export(&plan, path).unwrap();
    for file in &report.files {
        assert_eq!(decoded_frames(&file.path), file.frames);
        assert_eq!(std::fs::metadata(&file.path).unwrap().len(), file.bytes);
        assert!(file.bytes <= plan.bytes_max());
        let flags = ffprobe(&file.path, &["-show_entries", "packet=flags"]);
        assert!(flags[0].starts_with('K'), "the first frame is a keyframe: {}", flags[0]);
    }
    report
}

/// Presentation times in decoding order, ticks after the earliest.
fn presentation_times(path: &Path) -> Vec<i64> {
    let lines = ffprobe(path, &["-show_entries", "packet=pts"]);
    let times: Vec<i64> = lines.iter().map(|line| line.parse().unwrap()).collect();
    let first = times.iter().min().unwrap();
    times.iter().map(|time| time - first).collect()
}

#[test]
fn a_clip_of_all_that_was_recorded_is_the_stream_frame_by_frame() {
    for (sample, files) in [(PLAIN, 1), (BFRAMES, 1), (H265, 1), (BFRAMES, 3), (H265, 5)] {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::write(&source, sample).unwrap();
        let short = Limits {
            segment_duration_max: seconds([60, 60, 5, 5, 2][files - 1]),
            ..limits()
        };
        let (mut ring, _) = Ring::open(&folder.path().join("ring"), short, MemoryIndex::default()).unwrap();
        record(&mut ring, &split(sample), start());
        assert_eq!(ring.segments().len(), if files == 1 { 1 } else { files });
        let path = folder.path().join("clip.mp4");
        let report = export(&ring, at(0), at(10_000), &path);
        let file = &report.files[0];
        assert_eq!((report.files.len(), file.frames, file.gaps.len()), (1, 100, 0));
        assert_eq!(
            (file.from, file.to, file.clock),
            (at(0), at(10_000), ClockQuality::Synced)
        );
        assert_eq!((file.width, file.height), (160, 120));
        assert_eq!(presentation_times(&path), presentation_times(&source));
        let created = ffprobe(&path, &["-show_entries", "format_tags=creation_time"]);
        assert_eq!(created, ["2026-01-05T07:00:00.000000Z"]);
        let duration = ffprobe(&path, &["-show_entries", "stream=duration"]);
        assert_eq!(duration, ["10.000000"]);
    }
}

#[test]
fn the_index_of_a_clip_lies_before_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    record(&mut ring, &split(PLAIN), start());
    let path = folder.path().join("clip.mp4");
    export(&ring, at(0), at(10_000), &path);
    let content = std::fs::read(&path).unwrap();
    let place = |kind: &[u8; 4]| content.windows(4).position(|window| window == kind).unwrap();
    assert!(place(b"ftyp") < place(b"moov") && place(b"moov") < place(b"mdat"));
    assert!(
        !content.windows(4).any(|window| window == b"ctts"),
        "each is shown when it is decoded"
    );
    assert!(!content.windows(4).any(|window| window == b"moof" || window == b"prft"));
}

#[test]
fn a_clip_begins_at_the_keyframe_before_and_ends_after_the_frame_at_its_end() {
    for (sample, segment_seconds) in [(PLAIN, 60), (BFRAMES, 60), (H265, 60), (PLAIN, 2), (BFRAMES, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let short = Limits {
            segment_duration_max: seconds(segment_seconds),
            ..limits()
        };
        let (mut ring, _) = Ring::open(&folder.path().join("ring"), short, MemoryIndex::default()).unwrap();
        record(&mut ring, &split(sample), start());
        for (from, to, begins, ends) in [
            (3_300, 6_050, 2_000, 6_000),
            (2_000, 2_050, 2_000, 2_000),
            (1_999, 3_999, 0, 3_900),
            (-5_000, 100, 0, 100),
            (9_950, 60_000, 8_000, 9_900),
        ] {
            let path = folder.path().join("clip.mp4");
            let report = export(&ring, at(from), at(to), &path);
            let file = &report.files[0];
            let case = format!("{from} to {to} in files of {segment_seconds} s");
            assert_eq!(file.from, at(begins), "{case}");
            let shown = presentation_times(&path);
            let wanted = (ends - begins) / 100 + 1;
            for frame in 0..wanted {
                assert!(
                    shown.iter().any(|time| (time - frame * 100).abs() <= 1),
                    "{case}: {frame}"
                );
            }
            let reordered = i64::try_from(shown.len()).unwrap() - wanted;
            assert!(
                (0..=if sample == PLAIN { 0 } else { 4 }).contains(&reordered),
                "{case}: {reordered}"
            );
        }
    }
}

#[test]
fn an_interruption_is_one_long_frame_and_is_told() {
    for sample in [PLAIN, BFRAMES] {
        let folder = tempfile::tempdir().unwrap();
        let (mut ring, _) = open(&folder.path().join("ring"));
        let stream = split(sample);
        record(&mut ring, &stream, start());
        record(&mut ring, &stream, at(30_000));
        let path = folder.path().join("clip.mp4");
        let report = export(&ring, at(0), at(40_000), &path);
        let gap = Gap {
            from: at(10_000),
            to: at(30_000),
            clip_ms: 30_000,
        };
        assert_eq!((report.files[0].frames, &report.files[0].gaps[..]), (200, &[gap][..]));
        let source = folder.path().join("source");
        std::fs::write(&source, sample).unwrap();
        let once = presentation_times(&source);
        let later: Vec<i64> = once.iter().map(|time| time + 30_000).collect();
        assert_eq!(presentation_times(&path), [once, later].concat());
    }
}

#[test]
fn fragments_that_were_dropped_within_a_run_are_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    let stream = split(BFRAMES);
    ring.begin(&stream.init).unwrap();
    for number in [0, 1, 4] {
        ring.append(&fragment_of(&stream, start(), number)).unwrap();
    }
    let path = folder.path().join("clip.mp4");
    let report = export(&ring, at(0), at(10_000), &path);
    let gaps: Vec<_> = report.files[0]
        .gaps
        .iter()
        .map(|gap| (gap.from, gap.to, gap.clip_ms))
        .collect();
    assert_eq!(gaps, [(at(4_000), at(8_000), 8_000)]);
    assert_eq!(report.files[0].frames, 60);
}

#[test]
fn a_clock_that_was_set_back_repeats_times_but_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    let stream = split(PLAIN);
    record(&mut ring, &stream, start());
    record(&mut ring, &stream, at(4_000));
    let path = folder.path().join("clip.mp4");
    let report = export(&ring, at(6_000), at(14_000), &path);
    let file = &report.files[0];
    assert_eq!((file.frames, file.from, file.to), (40 + 80, at(6_000), at(14_000)));
    assert_eq!(file.gaps.len(), 1);
    assert!(file.gaps[0].to < file.gaps[0].from);
    let shown = presentation_times(&path);
    assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 100));
}

#[test]
fn small_jitter_of_the_times_of_files_of_one_run_does_not_reach_the_film() {
    let folder = tempfile::tempdir().unwrap();
    let short = Limits {
        segment_duration_max: seconds(2),
        ..limits()
    };
    let (mut ring, _) = Ring::open(&folder.path().join("ring"), short, MemoryIndex::default()).unwrap();
    let stream = split(PLAIN);
    ring.begin(&stream.init).unwrap();
    for (number, jitter) in [(0, 0), (1, 150), (2, -200), (3, 90), (4, 0)] {
        let at = at(2_000 * i64::try_from(number).unwrap() + jitter);
        let fragment = Fragment {
            at,
            ..fragment_of(&stream, start(), number)
        };
        ring.append(&fragment).unwrap();
    }
    assert_eq!(ring.segments().len(), 5);
    let path = folder.path().join("clip.mp4");
    let report = export(&ring, at(0), at(10_000), &path);
    assert_eq!((report.files[0].frames, report.files[0].gaps.len()), (100, 0));
    assert!(
        presentation_times(&path)
            .windows(2)
            .all(|pair| pair[1] - pair[0] == 100)
    );
    let report = export(&ring, at(2_100), at(3_000), &path);
    assert!(
        report.files[0].from <= at(2_100),
        "the keyframe before is in the file before"
    );
}

#[test]
fn a_change_of_the_format_begins_a_further_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    record(&mut ring, &split(PLAIN), start());
    record(&mut ring, &split(H265), at(10_000));
    record(&mut ring, &split(BFRAMES), at(20_000));
    let report = export(&ring, at(2_000), at(25_950), &folder.path().join("clip.mp4"));
    let told: Vec<_> = report
        .files
        .iter()
        .map(|file| {
            (
                file.path.file_name().unwrap().to_str().unwrap(),
                &file.codec[..4],
                file.from,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("clip.mp4", "avc1", at(2_000)),
            ("clip-2.mp4", "hev1", at(10_000)),
            ("clip-3.mp4", "avc1", at(20_000))
        ]
    );
}

#[test]
fn damaged_and_removed_files_cost_what_was_in_them_and_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    let stream = split(PLAIN);
    for run in 0..4 {
        record(&mut ring, &stream, at(10_000 * run));
    }
    let segments = ring.segments();
    let damaged = segment_path(ring.folder(), segments[1].id);
    let mut content = std::fs::read(&damaged).unwrap();
    let moofs: Vec<_> = (0..content.len() - 4)
        .filter(|at| &content[*at..at + 4] == b"moof")
        .collect();
    content[moofs[25]] ^= 1;
    std::fs::write(&damaged, content).unwrap();
    std::fs::remove_file(segment_path(ring.folder(), segments[2].id)).unwrap();
    let report = export(&ring, at(0), at(40_000), &folder.path().join("clip.mp4"));
    let file = &report.files[0];
    assert!((240..260).contains(&file.frames), "{}", file.frames);
    let ids: Vec<_> = report
        .unreadable
        .iter()
        .map(|unreadable| unreadable.segment.0)
        .collect();
    assert_eq!(ids, [2, 3]);
    assert_eq!((file.gaps.len(), file.gaps[0].to), (1, at(30_000)));
}

#[test]
fn a_file_that_vanishes_while_its_frames_are_copied_fails_the_clip_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    record(&mut ring, &split(PLAIN), start());
    let plan = clip::plan(ring.folder(), &ring.segments(), at(0), at(10_000)).unwrap();
    let read = clip::Clip::read(&plan).unwrap();
    let mut out = Vec::new();
    read.write(&read.movies()[0], &mut out).unwrap();
    assert_eq!(out.len() as u64, read.movies()[0].bytes());
    std::fs::remove_file(segment_path(ring.folder(), ring.segments()[0].id)).unwrap();
    let failed = read.write(&read.movies()[0], &mut Vec::new());
    assert!(matches!(failed, Err(ClipError::Gone { .. })));
    let target = folder.path().join("clip.mp4");
    assert!(matches!(clip::export(&plan, &target), Err(ClipError::Empty { .. })));
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "only the ring's folder"
    );
}

#[test]
fn what_cannot_be_a_clip_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    let stream: Stream = split(PLAIN);
    record(&mut ring, &stream, start());
    let plan = |from, to| clip::plan(ring.folder(), &ring.segments(), at(from), at(to));
    assert!(matches!(plan(5, 5), Err(ClipError::Order { .. })));
    assert!(matches!(plan(0, 7_200_001), Err(ClipError::TooLong { .. })));
    assert!(matches!(plan(20_000, 30_000), Err(ClipError::Empty { .. })));
    assert!(plan(0, 7_200_000).is_ok());
}

#[test]
fn pictures_that_are_shown_before_their_decode_time_are_told_in_version_1() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    record(&mut ring, &split(BFRAMES), start());
    let path = folder.path().join("clip.mp4");
    export(&ring, at(0), at(10_000), &path);
    let content = std::fs::read(&path).unwrap();
    let place = content.windows(4).position(|window| window == b"ctts").unwrap();
    assert_eq!(content[place + 4], 1);
}

#[test]
fn timelines_of_two_runs_are_never_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(&folder.path().join("ring"));
    let stream = split(PLAIN);
    for (number, millis) in [(0, 0), (1, 2_000), (2, 4_500)] {
        if number != 1 {
            ring.begin(&stream.init).unwrap();
        }
        let fragment = Fragment {
            at: at(millis),
            ..fragment_of(&stream, start(), number)
        };
        ring.append(&fragment).unwrap();
    }
    let path = folder.path().join("clip.mp4");
    let report = export(&ring, at(0), at(10_000), &path);
    assert_eq!(report.files[0].gaps, [], "it is shorter than a gap that is told");
    let shown = presentation_times(&path);
    assert_eq!(shown[39..41], [3_900, 4_500]);
}
