//! Pictures of arrivals and departures: when a space that a camera sees becomes occupied or free, the picture nearest to
//! that moment is kept, and its SHA-256 goes to the tracker, which writes it into the session's record.
//!
//! A moment may have passed for some minutes when it is known: a sensor's report was late, or the box was starting. Then
//! the picture comes out of the recording.
//!
//! Files are `evidence/<sha256>.jpg` under the folder of recordings, masked, bounded by bytes and by age; the record
//! stays when the file has gone. A picture that cannot be had costs nothing but itself: the session does not wait.

mod store;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use parking::{CameraId, Input, Picture, SpaceNow};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::store::Store;
use self::waiting::{Change, Waiting, Watch};
use super::Cameras;
use crate::clock::Clock;
use crate::state::Board;

/// Greatest width of a picture, pixels.
const WIDTH_MAX: u16 = 1_280;
/// Pictures of one space that are taken for one change.
const CAMERAS_A_SPACE_MAX: usize = 2;
/// How often pictures are looked through for what is too old, beside each time that one is added.
const TRIM_EVERY: Duration = Duration::from_secs(3_600);

/// The task.
pub struct Evidence {
    /// Time.
    pub clock: Arc<Clock>,
    /// Cameras.
    pub cameras: Cameras,
    /// Spaces as the tracker knows them.
    pub spaces: watch::Receiver<Arc<Vec<SpaceNow>>>,
    /// Where pictures are kept.
    pub store: Store,
    /// Where changes that wait for their picture are kept.
    pub board: Arc<Board>,
    /// Where they are told.
    pub facts: mpsc::Sender<Input>,
}

impl Evidence {
    /// Runs until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut watch = Watch::default();
        watch.changes(&self.spaces.borrow_and_update().clone());
        let mut waiting = Waiting::new(Arc::clone(&self.board));
        // The first comes at once.
        let mut trims = tokio::time::interval(TRIM_EVERY);
        trims.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = trims.tick() => self.trim().await,
                changed = self.spaces.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let spaces = self.spaces.borrow_and_update().clone();
                    for change in watch.changes(&spaces) {
                        if self.cameras.that_see(&change.space).next().is_some() {
                            waiting.push(change);
                        }
                    }
                }
                change = waiting.due() => {
                    self.take(&change).await;
                    waiting.done();
                }
            }
        }
    }

    async fn trim(&self) {
        let (store, now) = (self.store.clone(), self.clock.now());
        match tokio::task::spawn_blocking(move || store.trim(now)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "old evidence pictures were not removed"),
            Err(error) => tracing::error!(%error, "old evidence pictures were not removed"),
        }
    }

    async fn take(&self, change: &Change) {
        let cameras: Vec<CameraId> = self
            .cameras
            .that_see(&change.space)
            .take(CAMERAS_A_SPACE_MAX)
            .cloned()
            .collect();
        for camera in cameras {
            let past = match self.cameras.picture_at(&camera, change.at, WIDTH_MAX).await {
                Ok(past) => past,
                Err(error) => {
                    tracing::debug!(space = %change.space, %camera, %error, "no evidence picture");
                    continue;
                }
            };
            let (store, now) = (self.store.clone(), self.clock.now());
            let kept = tokio::task::spawn_blocking(move || store.keep(&past.jpeg, now.at));
            match kept.await {
                Ok(Ok(sha256)) => {
                    let picture = Picture {
                        space: change.space.clone(),
                        camera,
                        at: past.at,
                        unset: past.unset,
                        sha256,
                    };
                    if self.facts.send(Input::Picture(picture)).await.is_err() {
                        return;
                    }
                }
                Ok(Err(error)) => tracing::warn!(%error, "an evidence picture was not kept"),
                Err(error) => tracing::error!(%error, "an evidence picture was not kept"),
            }
        }
        self.trim().await;
    }
}
