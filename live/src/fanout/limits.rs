//! The bounds of one stream's fan-out, and their defaults.

use std::time::Duration;

/// How large the chunks of a GOP or a queue may be together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Bytes, heads of the messages included.
    pub bytes: usize,
    /// Number of chunks.
    pub chunks: usize,
}

impl Bound {
    pub(super) fn exceeds(self, bound: Self) -> bool {
        self.bytes > bound.bytes || self.chunks > bound.chunks
    }

    pub(super) fn half(self) -> Self {
        Self {
            bytes: self.bytes / 2,
            chunks: self.chunks / 2,
        }
    }
}

/// Largest GOP that is kept for a joining viewer, bytes: 8 s of 4 Mbit/s. A larger one is not kept.
pub const GOP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest GOP that is kept, chunks: 20 s of chunks of 40 ms. A longer one is not kept.
pub const GOP_CHUNKS_MAX: usize = 512;

/// Largest queue of a viewer, bytes. When it is exceeded the viewer is moved to the newest keyframe.
pub const QUEUE_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Longest queue of a viewer, chunks. When it is exceeded the viewer is moved to the newest keyframe.
pub const QUEUE_CHUNKS_MAX: usize = 640;

/// Longest time that a chunk waits for a viewer. When it is exceeded the viewer is moved to the newest keyframe. Above
/// the longest chunk, 2 s.
pub const QUEUE_SPAN_MAX: Duration = Duration::from_secs(3);

/// Longest GOP into which a viewer is moved back; behind a longer one it waits for the next keyframe.
pub const RESTART_SPAN_MAX: Duration = Duration::from_secs(1);

/// How long a viewer that was moved may take nothing before it is ended.
pub const STUCK_MAX: Duration = Duration::from_secs(10);

/// Viewers of one stream. A further one is told that the place is taken.
pub const VIEWERS_MAX: u32 = 8;

/// The bounds of one stream's fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest GOP that is kept for a joining viewer.
    pub gop: Bound,
    /// Largest queue of a viewer; at least [`Limits::gop`], or viewers that join into a full GOP are moved at once.
    pub queue: Bound,
    /// Longest time that a chunk waits for a viewer.
    pub queue_span_max: Duration,
    /// Longest GOP into which a viewer is moved back.
    pub restart_span_max: Duration,
    /// How long a viewer that was moved may take nothing.
    pub stuck_max: Duration,
    /// Number of viewers.
    pub viewers_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            gop: Bound {
                bytes: GOP_BYTES_MAX,
                chunks: GOP_CHUNKS_MAX,
            },
            queue: Bound {
                bytes: QUEUE_BYTES_MAX,
                chunks: QUEUE_CHUNKS_MAX,
            },
            queue_span_max: QUEUE_SPAN_MAX,
            restart_span_max: RESTART_SPAN_MAX,
            stuck_max: STUCK_MAX,
            viewers_max: VIEWERS_MAX,
        }
    }
}
