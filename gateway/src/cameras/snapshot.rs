//! What somebody asks of a camera: a picture above all.

use parking::{CameraId, Stamp, Timestamp};
use tokio::sync::oneshot;

use super::pictures::PictureError;

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
