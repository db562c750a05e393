//! What somebody asks of a camera: a picture above all.

use parking::{CameraId, Stamp, Timestamp};
use tokio::sync::oneshot;

use super::pictures::PictureError;
use super::stream::Key;

/// Requests to one camera that wait. Full: the asker waits.
pub const REQUESTS_MAX: usize = 16;

/// A picture for somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// JPEG with masks burnt in.
    pub jpeg: Vec<u8>,
    /// When it was received.
    pub stamp: Stamp,
}

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Nothing came for too long.
    #[error("camera {0} gives no picture now: {1}")]
    Dark(CameraId, String),
    /// It came, but could not be made.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

/// A larger picture is taken instead of the nearest one if it is at most so much further off, milliseconds.
const ABOUT_AS_NEAR_MS: u64 = 2_000;

/// The keyframe to make a picture of a moment from: the nearest, or a larger one that is about as near.
pub(super) fn best<'a>(keys: impl Iterator<Item = &'a Key>, moment: Timestamp) -> Option<&'a Key> {
    let distance_ms = |key: &&Key| key.stamp.at.millis_since(moment).unsigned_abs();
    let keys: Vec<&Key> = keys.collect();
    let nearest_ms = keys.iter().map(distance_ms).min()?;
    keys.into_iter()
        .filter(|key| distance_ms(key) <= nearest_ms + ABOUT_AS_NEAR_MS)
        .max_by_key(|key| key.init.info().width)
}

/// What can be asked of a camera.
pub enum Request {
    /// To take what it shows now as its usual view; answered when it is so.
    AcceptView {
        /// Told when it is done.
        done: oneshot::Sender<()>,
    },
    /// A picture; the newest, or the one nearest to a time. Of two that are about as near, the larger.
    Snapshot {
        /// Of which moment.
        at: Option<Timestamp>,
        /// Greatest width, pixels.
        width: u16,
        /// Where it goes.
        answer: oneshot::Sender<Result<Snapshot, SnapshotError>>,
    },
}
