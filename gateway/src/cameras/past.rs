//! Pictures of moments that have passed: out of the keyframes in memory, which reach back some seconds, and where these do
//! not reach, out of the recording.
//!
//! The recorder's thread is asked for nothing but which files there are; they are read on another.

use std::time::Duration;

use parking::{BootId, CameraId, ClockQuality, Timestamp};

use super::Cameras;
use super::camera::EVIDENCE_DISTANCE_MAX_MS;
use super::recorder::RingHandle;
use super::ring::{RecordedKey, key_near};
use super::snapshot::{Snapshot, SnapshotError};

/// A picture that is so far from the moment, or further, may have a nearer one in the recording. Milliseconds.
const FAR_MS: u64 = 2_000;

/// A picture of a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PastPicture {
    /// JPEG with masks burnt in.
    pub jpeg: Vec<u8>,
    /// When it was received, on the box's axis.
    pub at: Timestamp,
    /// The boot, if its clock was not set then.
    pub unset: Option<BootId>,
}

impl From<Snapshot> for PastPicture {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { jpeg, stamp } = snapshot;
        Self {
            jpeg,
            at: stamp.at,
            unset: (stamp.clock == ClockQuality::Unset).then_some(stamp.boot),
        }
    }
}

impl Cameras {
    /// The picture of a camera that is nearest to a moment and within [`EVIDENCE_DISTANCE_MAX_MS`] of it, from whichever
    /// stream has it; one in memory that is about as near as another is preferred if it is larger.
    pub async fn picture_at(&self, camera: &CameraId, at: Timestamp, width: u16) -> Result<PastPicture, SnapshotError> {
        let kept = match self.snapshot(camera, Some(at), width).await {
            Err(SnapshotError::Dark(id, why)) => Err(SnapshotError::Dark(id, why)),
            Err(error) => return Err(error),
            Ok(snapshot) if snapshot.stamp.at.millis_since(at).unsigned_abs() < FAR_MS => return Ok(snapshot.into()),
            Ok(snapshot) => Ok(PastPicture::from(snapshot)),
        };
        let distance_max_ms = kept.as_ref().map_or(EVIDENCE_DISTANCE_MAX_MS, |kept| {
            kept.at.millis_since(at).unsigned_abs().saturating_sub(1)
        });
        let Some(known) = self.0.get(camera) else { return kept };
        let Some(key) = nearest(&known.rings, at, Duration::from_millis(distance_max_ms)).await else {
            return kept;
        };
        let received = Timestamp::from_millis(key.at.as_millisecond());
        match known.pictures.make(known.index, key.sample, width).await {
            Ok(made) => Ok(PastPicture {
                jpeg: made.jpeg,
                at: received,
                unset: None,
            }),
            Err(error) => kept.map_err(|_| error.into()),
        }
    }
}

/// The nearest keyframe of several rings, the first of them at the same distance.
async fn nearest<P>(rings: &[(P, RingHandle)], at: Timestamp, distance_max: Duration) -> Option<RecordedKey> {
    let moment = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    let mut found: Option<RecordedKey> = None;
    for (_, ring) in rings {
        let segments = ring.segments().await;
        let folder = ring.folder().to_owned();
        let read = tokio::task::spawn_blocking(move || key_near(&folder, &segments, moment, distance_max));
        let Ok(Some(key)) = read.await else { continue };
        if found
            .as_ref()
            .is_none_or(|known| key.distance(moment) < known.distance(moment))
        {
            found = Some(key);
        }
    }
    found
}
