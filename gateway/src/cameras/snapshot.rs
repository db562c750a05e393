//! What somebody asks of a camera: a picture above all.

use parking::{CameraId, Stamp, Timestamp};
use tokio::sync::oneshot;

use super::pictures::PictureError;
use super::stream::Key;
use crate::words::{Language, Phrase, Text, Value};

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
    #[error("camera {0} gives no picture now: {en}", en = .1.en)]
    Dark(CameraId, Phrase),
    /// It came, but could not be made.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

const DARK: Text = Text::new(
    "Kamera {} tidak memberi gambar sekarang: {}",
    "Camera {} gives no picture now: {}",
);
const BUSY: Text = Text::new(
    "Terlalu banyak gambar sedang dibuat; coba lagi beberapa detik lagi.",
    "Too many pictures are being made; try again in some seconds.",
);
const UNDECODED: Text = Text::new(
    "Gambar tidak dapat dibaca: {}. Coba lagi; jika berulang, pilih H.264 di kamera.",
    "The picture cannot be decoded: {}. Try again; if it happens again, choose H.264 in the camera.",
);
const STOPPING: Text = Text::new(
    "Gateway sedang berhenti; coba lagi setelah dimulai.",
    "The gateway is stopping; try again when it has started.",
);

impl SnapshotError {
    /// In words for people.
    pub fn text(&self, language: Language) -> String {
        let name = |name: &str| Value::Name(name.to_owned());
        let phrase = match self {
            Self::Dark(camera, why) => DARK.with(&[name(camera.as_str()), name(why.in_(language))]),
            Self::Picture(PictureError::Busy) => BUSY.into(),
            Self::Picture(PictureError::Failed(why)) => UNDECODED.with(&[name(why)]),
            Self::Stopping => STOPPING.into(),
        };
        phrase.in_(language).to_owned()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_there_is_no_picture_is_told_in_the_reader_s_language() {
        let why = Text::new("kabel lepas.", "a loose cable.").into();
        let error = SnapshotError::Dark(CameraId::new("gate-1").unwrap(), why);
        let told = error.text(Language::Indonesian);
        assert_eq!(told, "Kamera gate-1 tidak memberi gambar sekarang: kabel lepas.");
        assert!(error.text(Language::English).ends_with("now: a loose cable."));
        assert_eq!(error.to_string(), "camera gate-1 gives no picture now: a loose cable.");
    }
}
