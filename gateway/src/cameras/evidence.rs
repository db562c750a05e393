//! Pictures of arrivals and departures: when a space that a camera sees becomes occupied or free, the picture nearest to
//! that moment is kept, and its SHA-256 goes to the tracker, which writes it into the session's record.
//!
//! Files are `evidence/<sha256>.jpg` under the folder of recordings, masked, bounded by bytes and by age; the record
//! stays when the file has gone. A picture that cannot be had costs nothing but itself: the session does not wait.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking::{CameraId, ClockQuality, Input, Picture, SpaceId, SpaceNow, SpaceState, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Cameras;

/// Greatest width of a picture, pixels.
const WIDTH_MAX: u16 = 1_280;
/// Pictures of one space that are taken for one change.
const CAMERAS_A_SPACE_MAX: usize = 2;
/// Changes that wait for their picture. Full: the oldest goes without.
const WAITING_MAX: usize = 256;
/// A keyframe of after the moment is waited for so long, so that it can be the nearest.
const SETTLE: Duration = Duration::from_secs(2);

/// Where pictures are kept and how many.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    bytes_max: u64,
    age_max: Duration,
}

impl Store {
    /// A store under the folder of recordings.
    pub fn new(ring_dir: &Path, bytes_max: u64, age_max: Duration) -> Self {
        Self {
            folder: ring_dir.join("evidence"),
            bytes_max,
            age_max,
        }
    }

    /// The file of a picture.
    pub fn path(&self, sha256: &parking::Sha256) -> PathBuf {
        self.folder.join(format!("{sha256}.jpg"))
    }

    /// Keeps a picture durably, and returns its name.
    fn keep(&self, jpeg: &[u8]) -> std::io::Result<parking::Sha256> {
        std::fs::create_dir_all(&self.folder)?;
        let sha256 = parking::Sha256::from(<[u8; 32]>::from(Sha256::digest(jpeg)));
        let path = self.path(&sha256);
        let part = path.with_extension("part");
        let mut file = std::fs::File::create(&part)?;
        std::io::Write::write_all(&mut file, jpeg)?;
        file.sync_data()?;
        std::fs::rename(&part, &path)?;
        std::fs::File::open(&self.folder)?.sync_all()?;
        Ok(sha256)
    }

    /// Removes the oldest beyond the bounds. Age counts by the file's own time against that of the newest file, so that
    /// no wrong clock removes anything.
    fn trim(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let Some(newest) = files.last().map(|(modified, ..)| *modified) else {
            return Ok(());
        };
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (modified, length, path) in files {
            let age = newest.duration_since(modified).unwrap_or_default();
            if bytes <= self.bytes_max && age <= self.age_max {
                break;
            }
            std::fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }
}

/// The task.
pub struct Evidence {
    /// Cameras.
    pub cameras: Cameras,
    /// Spaces as the tracker knows them.
    pub spaces: watch::Receiver<Arc<Vec<SpaceNow>>>,
    /// Where pictures are kept.
    pub store: Store,
    /// Where they are told.
    pub facts: mpsc::Sender<Input>,
}

/// A change of a space that wants a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    space: SpaceId,
    at: Timestamp,
}

/// What was last known of each space.
#[derive(Debug, Default)]
struct Watch {
    known: BTreeMap<SpaceId, (SpaceState, Option<Timestamp>)>,
}

impl Watch {
    /// What changed. A space that is seen for the first time has not changed.
    fn changes(&mut self, spaces: &[SpaceNow]) -> Vec<Change> {
        let mut changes = Vec::new();
        for now in spaces {
            let state = (now.state, now.occupied_since);
            let before = self.known.insert(now.space.clone(), state);
            let Some((state_before, since_before)) = before else {
                continue;
            };
            let at = match (state_before, now.state) {
                (_, SpaceState::Occupied) if since_before != now.occupied_since => now.occupied_since,
                (SpaceState::Occupied, SpaceState::Free) => now.heard,
                _ => None,
            };
            let space = now.space.clone();
            changes.extend(at.map(|at| Change { space, at }));
        }
        changes
    }
}

impl Evidence {
    /// Runs until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut watch = Watch::default();
        watch.changes(&self.spaces.borrow_and_update().clone());
        let mut waiting: VecDeque<(tokio::time::Instant, Change)> = VecDeque::new();
        loop {
            let due = waiting.front().map(|(due, _)| *due);
            tokio::select! {
                () = cancel.cancelled() => return,
                changed = self.spaces.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let spaces = self.spaces.borrow_and_update().clone();
                    for change in watch.changes(&spaces) {
                        if self.cameras.that_see(&change.space).next().is_none() {
                            continue;
                        }
                        if waiting.len() >= WAITING_MAX {
                            waiting.pop_front();
                        }
                        waiting.push_back((tokio::time::Instant::now() + SETTLE, change));
                    }
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                    if let Some((_, change)) = waiting.pop_front() {
                        self.take(&change).await;
                    }
                }
            }
        }
    }

    async fn take(&self, change: &Change) {
        let cameras: Vec<CameraId> = self.cameras.that_see(&change.space).take(CAMERAS_A_SPACE_MAX).cloned().collect();
        for camera in cameras {
            let snapshot = match self.cameras.snapshot(&camera, Some(change.at), WIDTH_MAX).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    tracing::debug!(space = %change.space, %camera, %error, "no evidence picture");
                    continue;
                }
            };
            let store = self.store.clone();
            let kept = tokio::task::spawn_blocking(move || {
                let sha256 = store.keep(&snapshot.jpeg)?;
                store.trim()?;
                Ok::<_, std::io::Error>((sha256, snapshot.stamp))
            });
            match kept.await {
                Ok(Ok((sha256, stamp))) => {
                    let picture = Picture {
                        space: change.space.clone(),
                        camera,
                        at: stamp.at,
                        unset: (stamp.clock == ClockQuality::Unset).then_some(stamp.boot),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(name: &str, state: SpaceState, since: Option<i64>, heard: i64) -> SpaceNow {
        SpaceNow {
            space: SpaceId::new(name).unwrap(),
            zone: parking::ZoneId::new("z").unwrap(),
            state,
            occupied_since: since.map(Timestamp::from_millis),
            heard: Some(Timestamp::from_millis(heard)),
            sensor: None,
        }
    }

    #[test]
    fn an_arrival_and_a_departure_want_a_picture_and_a_heartbeat_does_not() {
        let mut watch = Watch::default();
        let times = |changes: Vec<Change>| changes.iter().map(|change| change.at.as_millis()).collect::<Vec<_>>();
        assert!(watch.changes(&[space("A1", SpaceState::Free, None, 1)]).is_empty(), "nothing is known before");
        assert_eq!(times(watch.changes(&[space("A1", SpaceState::Occupied, Some(10), 12)])), [10]);
        assert!(watch.changes(&[space("A1", SpaceState::Occupied, Some(10), 20)]).is_empty());
        assert_eq!(times(watch.changes(&[space("A1", SpaceState::Free, None, 30)])), [30]);
        assert!(watch.changes(&[space("A1", SpaceState::Unknown, None, 30)]).is_empty());
        assert_eq!(times(watch.changes(&[space("A1", SpaceState::Occupied, Some(40), 40)])), [40]);
    }

    #[test]
    fn pictures_are_named_by_their_hash_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), 10, Duration::from_secs(1_000));
        let first = store.keep(b"12345678").unwrap();
        assert_eq!(first.to_string(), format!("{:x}", Sha256::digest(b"12345678")));
        let second = store.keep(b"abcdefgh").unwrap();
        store.trim().unwrap();
        assert_eq!((store.path(&first).exists(), store.path(&second).exists()), (false, true));
    }
}
