//! Limits of a ring, its state and its counters.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::RingError;

/// Least bytes of a segment file: below, one fragment of a small stream would not fit.
const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// How much a ring may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of all its files. The oldest are removed first. At least twice `segment_bytes_max`.
    pub bytes_max: u64,
    /// Longest that a recording is kept; `None`: only bytes count.
    pub age_max: Option<Duration>,
    /// Floor of the file system's free space, bytes. Below it the oldest files are removed; when there are none, nothing
    /// is recorded.
    pub free_bytes_min: u64,
    /// Longest time in one file. A fragment that is longer gets a file of its own.
    pub segment_duration_max: Duration,
    /// Most bytes of one file, at least 64 KiB. A fragment that is larger is dropped.
    pub segment_bytes_max: u64,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), RingError> {
        let refuse = |limit, value, bounds| Err(RingError::Limit { limit, value, bounds });
        if self.segment_bytes_max < SEGMENT_BYTES_MIN {
            return refuse("segment_bytes_max", self.segment_bytes_max, "at least 65536");
        }
        if self.bytes_max / 2 < self.segment_bytes_max {
            return refuse("bytes_max", self.bytes_max, "at least twice segment_bytes_max");
        }
        if self.segment_duration_max.is_zero() {
            return refuse("segment_duration_max", 0, "more than 0");
        }
        Ok(())
    }
}

/// Whether a ring records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nothing has come yet.
    Idle,
    /// The last fragment is on disk.
    Recording,
    /// The last fragment was dropped: the floor of free space is reached, and the ring is empty.
    NoSpace {
        /// Free space at that time, bytes.
        free_bytes: u64,
    },
    /// The last fragment was dropped for another reason.
    Failing {
        /// Why.
        reason: String,
    },
}

/// What happened since a ring was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Fragments that were recorded.
    pub fragments: u64,
    /// Frames that were recorded.
    pub frames: u64,
    /// Fragments that were dropped.
    pub fragments_dropped: u64,
    /// Files that were removed because of a limit.
    pub segments_removed: u64,
    /// Frames in them.
    pub frames_removed: u64,
    /// Times that the system failed to write.
    pub write_errors: u64,
}
