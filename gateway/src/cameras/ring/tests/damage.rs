//! Torn and damaged files.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::support::{BFRAMES, FRAMES, H265, PLAIN, Stream, fragment_of, open, record, seconds, split, start};
use crate::cameras::ring::{Ring, SegmentId, segment_path};

/// A file as a crash leaves it, and the length it had after each fragment.
fn unfinished(stream: &Stream) -> (Vec<u8>, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    ring.begin(&stream.init).unwrap();
    let mut ends = Vec::new();
    for number in 0..stream.fragments.len() {
        ring.append(&fragment_of(stream, start(), number)).unwrap();
        ends.push(usize::try_from(ring.bytes()).unwrap());
    }
    (std::fs::read(segment_path(folder.path(), SegmentId(1))).unwrap(), ends)
}

fn first_file(folder: &Path) -> PathBuf {
    segment_path(folder, SegmentId(1))
}

fn whole_fragments(ends: &[usize], until: usize) -> u64 {
    ends.iter().filter(|end| **end <= until).count() as u64
}

/// Opens a ring with this one file in it, and checks that it goes on and stays as it was repaired.
fn open_with(content: &[u8]) -> (Ring, u64, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(first_file(folder.path()), content).unwrap();
    let (ring, recovered) = open(folder.path());
    let frames = recovered.frames;
    let (_, again) = open(folder.path());
    assert_eq!((again.frames, again.bytes_lost), (frames, 0), "repaired for good");
    (ring, frames, folder)
}

#[test]
fn a_file_cut_anywhere_keeps_every_whole_fragment() {
    let stream = split(PLAIN);
    let (content, ends) = unfinished(&stream);
    for cut in (0..=content.len()).step_by(23) {
        let (_, frames, folder) = open_with(&content[..cut]);
        let least = whole_fragments(&ends, cut) * FRAMES;
        assert!(
            (least..least + FRAMES).contains(&frames),
            "cut at {cut}: {frames} frames"
        );
        assert_eq!(first_file(folder.path()).exists(), frames > 0, "cut at {cut}");
    }
}

#[test]
fn blocks_that_never_reached_the_disk_are_cut_off() {
    let stream = split(PLAIN);
    let (content, ends) = unfinished(&stream);
    for begin in (ends[3]..ends[4]).step_by(512) {
        let mut torn = content.clone();
        torn[begin..].fill(0);
        let (_, frames, _folder) = open_with(&torn);
        assert!((80..100).contains(&frames), "zeros from {begin} on: {frames} frames");
    }
}

#[test]
fn damage_in_the_middle_costs_what_lies_behind_it_in_its_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    let stream = split(PLAIN);
    for run in 0..3 {
        record(&mut ring, &stream, start() + seconds(10 * run));
    }
    let (content, ends) = unfinished(&stream);
    let mut damaged = content.clone();
    damaged[ends[1] + 4..ends[1] + 8].copy_from_slice(b"\xff\xff\xff\xff");
    std::fs::write(first_file(folder.path()), damaged).unwrap();
    let (mut ring, recovered) = open(folder.path());
    assert_eq!((recovered.segments, recovered.frames), (3, 40 + 100 + 100));
    assert_eq!((recovered.files_cut, recovered.reasons.len()), (1, 1));
    assert_eq!(recovered.bytes_lost, (content.len() - ends[1]) as u64);
    assert!(
        recovered.reasons[0].starts_with("0000000001.mp4: damaged at"),
        "{:?}",
        recovered.reasons
    );
    record(&mut ring, &stream, start() + seconds(30));
}

#[test]
fn files_without_a_frame_are_removed_and_foreign_ones_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let stream = split(PLAIN);
    std::fs::write(first_file(folder.path()), b"").unwrap();
    std::fs::write(segment_path(folder.path(), SegmentId(2)), &stream.init).unwrap();
    for foreign in [
        "note.txt",
        "1.mp4",
        "18446744073709551615.mp4",
        "0000000001.mp4.tmp",
        "00000000001.mp4",
    ] {
        std::fs::write(folder.path().join(foreign), b"mine").unwrap();
    }
    std::fs::create_dir(segment_path(folder.path(), SegmentId(9))).unwrap();
    let (mut ring, recovered) = open(folder.path());
    assert_eq!((recovered.files_removed, recovered.segments), (2, 0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 6);
    ring.begin(&stream.init).unwrap();
    let appended = ring.append(&fragment_of(&stream, start(), 0)).unwrap();
    assert_eq!(appended.segment, SegmentId(3), "a sequence is not used twice");
}

static UNFINISHED: LazyLock<[(Vec<u8>, Vec<usize>); 3]> =
    LazyLock::new(|| [PLAIN, BFRAMES, H265].map(|sample| unfinished(&split(sample))));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn one_bit_flipped_anywhere_keeps_every_whole_fragment_before_it(
        sample in 0_usize..3, place in any::<prop::sample::Index>(), bit in 0_u8..8
    ) {
        let stream = split([PLAIN, BFRAMES, H265][sample]);
        let (mut content, ends) = UNFINISHED[sample].clone();
        let place = place.index(content.len());
        content[place] ^= 1 << bit;
        let (mut ring, frames, _folder) = open_with(&content);
        // Without its init segment or head, no frame of a file can be shown.
        let head = stream.init.len() + 44;
        if place >= head {
            prop_assert!(frames >= whole_fragments(&ends, place) * FRAMES);
        }
        prop_assert!(frames <= 100);
        ring.begin(&stream.init).unwrap();
        ring.append(&fragment_of(&stream, start() + seconds(60), 0)).unwrap();
    }
}

#[test]
fn frames_of_zeros_are_no_frames() {
    let (content, _) = &UNFINISHED[0];
    let is_mdat = |at: &usize| content[*at..].starts_with(b"mdat");
    let places: Vec<usize> = (0..content.len()).filter(is_mdat).collect();
    assert_eq!(places.len(), 50, "two frames a chunk");
    // Also where a walk over empty NAL units would end exactly with the frame.
    for (number, place) in places.iter().enumerate() {
        let mut zeros = content.clone();
        let size = u32::from_be_bytes(content[place - 4..*place].try_into().unwrap()) as usize;
        zeros[place + 4..place - 4 + size].fill(0);
        let (_, frames, _folder) = open_with(&zeros);
        assert_eq!(frames, 2 * number as u64);
    }
}

#[test]
fn a_summary_of_another_length_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ring, _) = open(folder.path());
    record(&mut ring, &split(PLAIN), start());
    ring.close();
    let ends = &UNFINISHED[0].1;
    let content = std::fs::read(first_file(folder.path())).unwrap();
    let (_, frames, _folder) = open_with(&content);
    assert_eq!(frames, 100);
    let shorter = [&content[..ends[2]], &content[ends[3]..]].concat();
    let (_, frames, _folder) = open_with(&shorter);
    assert_eq!(frames, 80);
}
