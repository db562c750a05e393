//! Pictures of arrivals and departures: when a space that a camera sees becomes occupied or free, the picture nearest to
//! that moment is kept, and its SHA-256 goes to the tracker, which writes it into the session's record.
//!
//! A moment may have passed for some minutes when it is known: a sensor's report was late, or the box was starting. Then
//! the picture comes out of the recording.
//!
//! Files are `evidence/<sha256>.jpg` under the folder of recordings, masked, bounded by bytes and by age; the record
//! stays when the file has gone. A picture that cannot be had costs nothing but itself: the session does not wait.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking::{CameraId, ClockQuality, Input, Picture, SpaceId, SpaceNow, SpaceState, Stamp, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Cameras;
use crate::clock::Clock;

/// Greatest width of a picture, pixels.
const WIDTH_MAX: u16 = 1_280;
/// Pictures of one space that are taken for one change.
const CAMERAS_A_SPACE_MAX: usize = 2;
/// Changes that wait for their picture. Full: the oldest goes without.
const WAITING_MAX: usize = 256;
/// A keyframe of after the moment is waited for so long, so that it can be the nearest.
const SETTLE: Duration = Duration::from_secs(2);
/// How often pictures are looked through for what is too old, beside each time that one is added.
const TRIM_EVERY: Duration = Duration::from_secs(3_600);

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

    /// Keeps a picture durably, and returns its name. The file's time is `now`, on the box's axis.
    fn keep(&self, jpeg: &[u8], now: Timestamp) -> std::io::Result<parking::Sha256> {
        std::fs::create_dir_all(&self.folder)?;
        let sha256 = parking::Sha256::from(<[u8; 32]>::from(Sha256::digest(jpeg)));
        let path = self.path(&sha256);
        let part = path.with_extension("part");
        let mut file = std::fs::File::create(&part)?;
        std::io::Write::write_all(&mut file, jpeg)?;
        file.set_modified(system_time(now))?;
        file.sync_all()?;
        std::fs::rename(&part, &path)?;
        std::fs::File::open(&self.folder)?.sync_all()?;
        Ok(sha256)
    }

    /// Removes the oldest beyond the bounds. Age counts from now while the box's clock is synchronised, and else from the
    /// newest file, so that an unsure clock removes nothing.
    fn trim(&self, now: Stamp) -> std::io::Result<()> {
        let mut files = Vec::new();
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
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
        let present = match now.clock {
            ClockQuality::Synced | ClockQuality::Simulated => system_time(now.at),
            ClockQuality::Holdover | ClockQuality::Unset => newest,
        };
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (modified, length, path) in files {
            let age = present.duration_since(modified).unwrap_or_default();
            if bytes <= self.bytes_max && age <= self.age_max {
                break;
            }
            std::fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }
}

/// A time of the box's axis as files have it; none of before 1970.
fn system_time(at: Timestamp) -> SystemTime {
    let since_epoch = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0));
    SystemTime::UNIX_EPOCH
        .checked_add(since_epoch)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

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
        // The first comes at once.
        let mut trims = tokio::time::interval(TRIM_EVERY);
        trims.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = waiting.front().map(|(due, _)| *due);
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = trims.tick() => self.trim().await,
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
            let kept = tokio::task::spawn_blocking(move || {
                let sha256 = store.keep(&past.jpeg, now.at)?;
                store.trim(now)?;
                Ok::<_, std::io::Error>(sha256)
            });
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
        assert!(
            watch.changes(&[space("A1", SpaceState::Free, None, 1)]).is_empty(),
            "nothing is known before"
        );
        assert_eq!(
            times(watch.changes(&[space("A1", SpaceState::Occupied, Some(10), 12)])),
            [10]
        );
        assert!(
            watch
                .changes(&[space("A1", SpaceState::Occupied, Some(10), 20)])
                .is_empty()
        );
        assert_eq!(times(watch.changes(&[space("A1", SpaceState::Free, None, 30)])), [30]);
        assert!(watch.changes(&[space("A1", SpaceState::Unknown, None, 30)]).is_empty());
        assert_eq!(
            times(watch.changes(&[space("A1", SpaceState::Occupied, Some(40), 40)])),
            [40]
        );
    }

    fn now(second: i64, clock: ClockQuality) -> Stamp {
        Stamp {
            at: Timestamp::EPOCH.plus_seconds(second),
            boot: parking::BootId(1),
            mono_ms: 0,
            clock,
        }
    }

    #[test]
    fn pictures_go_by_age_without_a_new_one_while_the_clock_is_synchronised() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), 1_000, Duration::from_secs(1_000));
        store.trim(now(0, ClockQuality::Synced)).unwrap();
        let old = store.keep(b"old", now(100, ClockQuality::Unset).at).unwrap();
        let new = store.keep(b"new", now(900, ClockQuality::Synced).at).unwrap();
        let there = || [&old, &new].map(|picture| store.path(picture).exists());
        store.trim(now(1_100, ClockQuality::Synced)).unwrap();
        assert_eq!(there(), [true, true], "just as old as it may be");
        for unsure in [ClockQuality::Unset, ClockQuality::Holdover] {
            store.trim(now(9_000, unsure)).unwrap();
            assert_eq!(there(), [true, true]);
        }
        store.trim(now(1_101, ClockQuality::Synced)).unwrap();
        assert_eq!(there(), [false, true]);
        store.trim(now(1_901, ClockQuality::Simulated)).unwrap();
        assert_eq!(there(), [false, false]);
    }

    #[test]
    fn pictures_are_named_by_their_hash_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), 10, Duration::from_secs(1_000));
        let (earlier, later) = (now(1, ClockQuality::Synced), now(2, ClockQuality::Synced));
        let first = store.keep(b"12345678", earlier.at).unwrap();
        assert_eq!(first.to_string(), format!("{:x}", Sha256::digest(b"12345678")));
        let second = store.keep(b"abcdefgh", later.at).unwrap();
        store.trim(later).unwrap();
        assert_eq!(
            (store.path(&first).exists(), store.path(&second).exists()),
            (false, true)
        );
    }
}
