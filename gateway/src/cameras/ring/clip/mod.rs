//! Clips: a stretch of a recording as one ordinary MP4 file, made without decoding.
//!
//! A clip begins at the keyframe at or before the wanted time, or with the first recorded frame after it, and ends after
//! the frame at the wanted end. Its `moov` lies before its `mdat`, so that it can be played while it is fetched.
//!
//! - Presentation times are kept to the tick; the first picture is at 0. Decode times are made to increase strictly.
//!   Where pictures come before their decode time, `ctts` is of version 1.
//! - An interruption becomes one long last frame before it, so that the player's clock and UTC stay in step. It is
//!   listed with its UTC times. Where the box's clock was set back, the film goes on at once, and the step is listed.
//! - Where resolution, codec, parameter sets or timescale change, a further file begins (`-2`, `-3` and so on).
//! - Pictures that follow the first keyframe in the stream but are shown before it (open group of pictures) are kept,
//!   although a decoder may leave them out.
//! - What a damaged or meanwhile removed file held is missing, and told.
//!
//! Only sample tables are in memory, about 30 bytes a frame; see [`CLIP_DURATION_MAX`] and [`SAMPLES_MAX`]. Frames go from
//! file to file. Nothing here locks the ring: it goes on recording and removing. If it removes a file between reading
//! its tables and copying its frames, the export fails and may be tried again.

mod builder;
mod export;
mod movie;
mod tables;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use export::{ClipFile, ClipReport, export};
pub use movie::{Clip, Movie};

use super::segment::{Segment, SegmentId};
use super::store::STEP_MIN;
use super::time::elapsed;

/// Longest clip. A longer one is refused: it would take too long from an SD card that records at the same time.
pub const CLIP_DURATION_MAX: Duration = Duration::from_secs(2 * 3_600);
/// Most frames of a clip, two hours at 60 a second and more. A clip of more is refused.
pub const SAMPLES_MAX: usize = 500_000;

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// The end is not after the beginning.
    #[error("clip: it ends at {to}, which is not after its beginning at {from}")]
    Order {
        /// Wanted beginning.
        from: Timestamp,
        /// Wanted end.
        to: Timestamp,
    },
    /// It is too long.
    #[error(
        "clip: from {from} to {to} is longer than {} minutes\n  hint: ask for several clips",
        CLIP_DURATION_MAX.as_secs() / 60
    )]
    TooLong {
        /// Wanted beginning.
        from: Timestamp,
        /// Wanted end.
        to: Timestamp,
    },
    /// It has too many frames.
    #[error("clip: more than {SAMPLES_MAX} frames\n  hint: ask for several clips")]
    TooManyFrames,
    /// Nothing was recorded.
    #[error("clip: nothing was recorded from {from} to {to}")]
    Empty {
        /// Wanted beginning.
        from: Timestamp,
        /// Wanted end.
        to: Timestamp,
    },
    /// The ring removed a file while the clip was made.
    #[error("clip: segment {segment} was removed meanwhile\n  hint: try again, the clip will begin later")]
    Gone {
        /// The file.
        segment: SegmentId,
    },
    /// An operation on a file failed.
    #[error("clip: cannot {action} {path}: {source}")]
    Storage {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An interruption of the recording within a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Time at which the last frame before it ended.
    pub from: Timestamp,
    /// Time of the first frame after it. Earlier than `from` where the box's clock was set back.
    pub to: Timestamp,
    /// Where in the clip the first frame after it is, milliseconds.
    pub clip_ms: u64,
}

/// A file that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The file.
    pub segment: SegmentId,
    /// Why.
    pub reason: String,
}

/// What a clip is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    folder: PathBuf,
    segments: Vec<Segment>,
    from: Timestamp,
    to: Timestamp,
}

/// Chooses the files for a clip out of a ring's segments, which are ordered by sequence.
pub fn plan(folder: &Path, segments: &[Segment], from: Timestamp, to: Timestamp) -> Result<Plan, ClipError> {
    if from >= to {
        return Err(ClipError::Order { from, to });
    }
    if elapsed(from, to) > CLIP_DURATION_MAX {
        return Err(ClipError::TooLong { from, to });
    }
    // The ends of files overlap or gape by less than a step: the keyframe before `from` may be in the file before.
    let early = from.checked_sub(STEP_MIN).unwrap_or(from);
    let mut chosen: Vec<Segment> = segments
        .iter()
        .filter(|segment| segment.to >= early && segment.from <= to)
        .cloned()
        .collect();
    while let [first, second, ..] = chosen.as_slice()
        && first.to <= from
        && second.from <= from
    {
        chosen.remove(0);
    }
    if chosen.is_empty() {
        return Err(ClipError::Empty { from, to });
    }
    Ok(Plan {
        folder: folder.to_owned(),
        segments: chosen,
        from,
        to,
    })
}

impl Plan {
    /// Most bytes that the clip can have. Whoever exports it looks first whether the disk has them.
    pub fn bytes_max(&self) -> u64 {
        self.segments.iter().fold(0, |sum, s| sum.saturating_add(s.bytes))
    }
}
