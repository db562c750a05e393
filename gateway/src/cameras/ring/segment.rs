//! Segments and the index of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time::ClockQuality;

/// Sequence of a segment file within its ring. Later files have higher ones, whatever the clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentId(pub u64);

impl SegmentId {
    /// Highest sequence, 30 million years of files of a second each. A higher one in a name or an index is none of a ring.
    pub(super) const MAX: Self = Self(999_999_999_999_999);

    /// Name of the file, such as `0000000001.mp4`.
    pub fn file_name(self) -> String {
        format!("{:010}.mp4", self.0)
    }

    /// From the name of a file; `None` if it is none of a ring.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".mp4")?;
        let id = Self(digits.parse().ok()?);
        (id.file_name() == name && id <= Self::MAX).then_some(id)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One file of a ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its sequence.
    pub id: SegmentId,
    /// Time of the first frame.
    pub from: Timestamp,
    /// Time at which the last frame ends.
    pub to: Timestamp,
    /// Quality of both times.
    pub clock: ClockQuality,
    /// A synchronised time by which the file certainly existed, where the clock was not sure of its own times. Its age
    /// counts from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existed_at: Option<Timestamp>,
    /// Length of the file.
    pub bytes: u64,
    /// Number of fragments.
    pub fragments: u32,
    /// Number of frames.
    pub frames: u64,
    /// RFC 6381 string.
    pub codec: String,
}

/// Remembers segments, so that opening a ring need not read its files. It may lose or keep anything at any time: opening
/// compares it with the files. What it cannot do it keeps to itself.
pub trait SegmentIndex: fmt::Debug + Send {
    /// All segments, in any order.
    fn all(&self) -> Vec<Segment>;
    /// Adds a segment, or puts it in the place of the one with its id.
    fn put(&self, segment: &Segment);
    /// Forgets a segment.
    fn remove(&self, id: SegmentId);
}

/// An index in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryIndex(Arc<Mutex<BTreeMap<SegmentId, Segment>>>);

impl SegmentIndex for MemoryIndex {
    fn all(&self) -> Vec<Segment> {
        let segments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        segments.values().cloned().collect()
    }

    fn put(&self, segment: &Segment) {
        let mut segments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        segments.insert(segment.id, segment.clone());
    }

    fn remove(&self, id: SegmentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
