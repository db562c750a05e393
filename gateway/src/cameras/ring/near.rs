//! The recorded keyframe nearest to a moment, for whoever only reads.
//!
//! The ring may be at work meanwhile: its open file is read up to what was written when the segments were listed, and a
//! file that is gone or damaged is left out. Of each file the boxes are read, and of one fragment the first frame.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::chunk::Sample;
use super::picture::KeySample;
use super::scan::{Check, ScanError, SegmentReader, read};
use super::segment::Segment;
use super::storage::segment_path;
use super::time::ClockQuality;

/// Files that are looked through at most, the nearest first: those of some minutes, or of a stream that ends all the time.
const FILES_MAX: usize = 8;
/// Longest frame that is taken, bytes; keyframes of street cameras have some 100 kB.
const FRAME_BYTES_MAX: u32 = 4 << 20;

/// A keyframe out of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedKey {
    /// For a decoder.
    pub sample: KeySample,
    /// When it was received.
    pub at: Timestamp,
}

impl RecordedKey {
    /// How far it is from a moment.
    pub fn distance(&self, from: Timestamp) -> Duration {
        between(self.at, from)
    }
}

/// The keyframe nearest to `at` and at most `distance_max` away, of a ring's `segments`; of two the earlier.
///
/// Times of a clock that was never set are of no use here: they may belong to any moment.
pub fn key_near(folder: &Path, segments: &[Segment], at: Timestamp, distance_max: Duration) -> Option<RecordedKey> {
    let mut files: Vec<(Duration, &Segment)> = segments
        .iter()
        .filter(|segment| segment.clock != ClockQuality::Unset)
        .map(|segment| {
            (
                between(at.clamp(segment.from, segment.to.max(segment.from)), at),
                segment,
            )
        })
        .filter(|(distance, _)| *distance <= distance_max)
        .collect();
    files.sort_by_key(|(distance, segment)| (*distance, segment.id));
    let mut nearest: Option<RecordedKey> = None;
    for (distance, segment) in files.into_iter().take(FILES_MAX) {
        let limit = nearest.as_ref().map_or(distance_max, |key| key.distance(at));
        if nearest.is_some() && distance >= limit {
            break;
        }
        let found = key_in(folder, segment, at).ok().flatten();
        let is_nearer = |key: &RecordedKey| match &nearest {
            Some(_) => key.distance(at) < limit,
            None => key.distance(at) <= limit,
        };
        nearest = found.filter(is_nearer).or(nearest);
    }
    nearest
}

/// The keyframe of one file that is nearest to `at`.
fn key_in(folder: &Path, segment: &Segment, at: Timestamp) -> Result<Option<RecordedKey>, ScanError> {
    let failed = |source| ScanError::Read { offset: 0, source };
    let file = File::open(segment_path(folder, segment.id)).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len().min(segment.bytes);
    let mut reader = SegmentReader::open(&file, bytes, Check::Boxes)?;
    let mut nearest: Option<(Timestamp, u64, Sample)> = None;
    while let Some(fragment) = reader.next_fragment() {
        if nearest.is_some_and(|(known, ..)| between(known, at) <= between(fragment.at, at)) {
            // Within a file times only grow.
            break;
        }
        let first = fragment.chunks.first();
        let key = first.and_then(|chunk| Some((chunk.data, *chunk.moof.samples.first()?)));
        nearest = key.map(|(offset, sample)| (fragment.at, offset, sample)).or(nearest);
    }
    let Some((at, offset, sample)) = nearest.filter(|(.., sample)| sample.bytes <= FRAME_BYTES_MAX) else {
        return Ok(None);
    };
    let info = reader.init.info();
    Ok(Some(RecordedKey {
        sample: KeySample {
            video: info.video,
            codec_config: reader.init.codec_config().to_vec(),
            access_unit: Bytes::from(read(&file, offset, sample.bytes.into())?),
        },
        at,
    }))
}

fn between(a: Timestamp, b: Timestamp) -> Duration {
    a.duration_since(b).unsigned_abs()
}
