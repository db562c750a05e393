//! Arbitrary bytes in place of what a worker delivers or of a segment file: nothing panics, what a ring opens it also
//! records behind, and what stood before the damage is there.
//!
//! Runs as a test with a fixed number of inputs, and as a fuzz target with `cargo bolero test`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use gateway::cameras::ring::{
    ClockQuality, Fragment, Init, Limits, MemoryIndex, Ring, Segment, SegmentId, clip, key_near, picture, segment_path,
};
use jiff::Timestamp;

const SAMPLES: [&[u8]; 3] = [
    include_bytes!("../src/cameras/ring/tests/samples/plain.cmaf"),
    include_bytes!("../src/cameras/ring/tests/samples/bframes.cmaf"),
    include_bytes!("../src/cameras/ring/tests/samples/h265.cmaf"),
];
const START: Timestamp = Timestamp::UNIX_EPOCH;
const LIMITS: Limits = Limits {
    bytes_max: 1 << 20,
    age_max: None,
    free_bytes_min: 0,
    segment_duration_max: Duration::from_secs(60),
    segment_bytes_max: 1 << 18,
};

/// The init segment of a sample, and its chunks.
fn split(sample: &'static [u8]) -> (Bytes, Vec<Bytes>) {
    let (mut begin, mut end, mut init, mut chunks) = (0, 0, Bytes::new(), Vec::new());
    while end < sample.len() {
        let (size, kind) = (&sample[end..end + 4], &sample[end + 4..end + 8]);
        end += u32::from_be_bytes(size.try_into().unwrap()) as usize;
        match kind {
            b"moov" => init = Bytes::from_static(&sample[begin..end]),
            b"mdat" => chunks.push(Bytes::from_static(&sample[begin..end])),
            _ => continue,
        }
        begin = end;
    }
    (init, chunks)
}

/// `bytes` over a part of `content`, or in its place.
fn spoil(content: &[u8], whole: bool, offset: u16, bytes: &[u8]) -> Vec<u8> {
    if whole {
        return bytes.to_vec();
    }
    let mut content = content.to_vec();
    let begin = usize::from(offset) % content.len();
    let end = content.len().min(begin + bytes.len());
    content[begin..end].copy_from_slice(&bytes[..end - begin]);
    content
}

#[test]
fn arbitrary_bytes_from_a_worker_never_panic_and_never_spoil_a_ring() {
    let streams = SAMPLES.map(split);
    bolero::check!()
        .with_type::<(u8, u8, bool, u16, Vec<u8>)>()
        .for_each(|(sample, what, whole, offset, bytes)| {
            let (init, chunks) = &streams[usize::from(*sample) % streams.len()];
            let spoilt_init = Bytes::from(spoil(init, *whole, *offset, bytes));
            let spoilt = Bytes::from(spoil(&chunks[0], *whole, *offset, bytes));
            let init = if what % 2 == 0 { &spoilt_init } else { init };
            let Ok(parsed) = Init::parse(init) else { return };
            picture::key_sample(&parsed, &spoilt).ok();

            let folder = tempfile::tempdir().unwrap();
            let (mut ring, _) = Ring::open(folder.path(), LIMITS, MemoryIndex::default()).unwrap();
            ring.begin(init).unwrap();
            let fragment = Fragment {
                at: START,
                clock: ClockQuality::Synced,
                chunks: vec![spoilt, chunks[1].clone()],
            };
            let frames = ring.append(&fragment).map_or(0, |appended| appended.frames);
            let segments = ring.segments();
            drop(ring);
            let (_, recovered) = Ring::open(folder.path(), LIMITS, MemoryIndex::default()).unwrap();
            assert!(recovered.frames <= frames);
            export(folder.path(), &segments, START);
        });
}

/// Makes a clip and looks for a keyframe. Both may fail, but must not panic, and what is reported must be on disk.
fn export(folder: &Path, segments: &[Segment], from: Timestamp) {
    let to = from + Duration::from_secs(3_600);
    let exported = clip::plan(folder, segments, from, to).and_then(|plan| clip::export(&plan, &folder.join("clip")));
    for file in exported.iter().flat_map(|report| &report.files) {
        assert_eq!(std::fs::metadata(&file.path).unwrap().len(), file.bytes);
    }
    let distance_max = Duration::from_secs(60);
    if let Some(key) = key_near(folder, segments, from, distance_max) {
        assert!(key.distance(from) <= distance_max);
    }
}

#[test]
fn arbitrary_bytes_in_a_segment_file_never_panic_and_cost_only_what_lies_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (init, chunks) = split(SAMPLES[1]);
    let parsed = Init::parse(&init).unwrap();
    let (mut ring, _) = Ring::open(folder.path(), LIMITS, MemoryIndex::default()).unwrap();
    ring.begin(&init).unwrap();
    let begins = (0..chunks.len()).filter(|at| picture::key_sample(&parsed, &chunks[*at]).is_ok());
    let begins: Vec<usize> = begins.chain([chunks.len()]).collect();
    let fragments: Vec<Fragment> = begins
        .windows(2)
        .zip(0..)
        .map(|(pair, number)| Fragment {
            at: START + Duration::from_secs(2 * number),
            clock: ClockQuality::Synced,
            chunks: chunks[pair[0]..pair[1]].to_vec(),
        })
        .collect();
    // The frames that are whole at each length.
    let mut whole_at = vec![(0, 0)];
    for fragment in &fragments {
        let frames = ring.append(fragment).unwrap().frames;
        whole_at.push((ring.bytes(), whole_at.last().unwrap().1 + frames));
    }
    let head = whole_at[1].0 - fragments[0].chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
    drop(ring);
    let content = std::fs::read(segment_path(folder.path(), SegmentId(1))).unwrap();

    bolero::check!()
        .with_type::<(bool, u16, Vec<u8>)>()
        .for_each(|(whole, offset, bytes)| {
            let folder = tempfile::tempdir().unwrap();
            let path = segment_path(folder.path(), SegmentId(1));
            std::fs::write(&path, spoil(&content, *whole, *offset, bytes)).unwrap();
            let (mut ring, recovered) = Ring::open(folder.path(), LIMITS, MemoryIndex::default()).unwrap();
            let damage = (usize::from(*offset) % content.len()) as u64;
            if !whole && damage >= head {
                let before = whole_at.iter().rev().find(|(bytes, _)| *bytes <= damage).unwrap().1;
                assert!(recovered.frames >= before, "{recovered:?}");
            }
            assert!(recovered.frames <= 100);
            ring.begin(&init).unwrap();
            ring.append(&fragments[0]).unwrap();
            let segments = ring.segments();
            for segment in &segments {
                export(folder.path(), &segments, segment.from);
            }
        });
}
