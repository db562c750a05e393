//! One thread that writes all rings of the box: recording blocks on the disk, and nothing else may wait for that.
//!
//! Cameras hand over fragments through a bounded queue; when the disk is slower than the cameras for long, fragments are
//! dropped there, counted, and the camera's recording has a gap. The thread also ages the rings and answers where
//! recordings lie.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking::CameraId;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::ring::{Counters, Fragment, Limits, Ring, Segment, State};
use super::wire::Profile;
use crate::clock::Clock;
use crate::config::Config;
use crate::state::{Board, RecordingIndex};

/// Fragments that wait for the disk. Full: the fragment is dropped and counted.
const FRAGMENTS_MAX: usize = 64;
/// Bytes of these. Full: the same.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// How often rings are looked through for what is too old.
const MAINTAIN_EVERY: Duration = Duration::from_secs(60);
/// Longest time in one file of a ring.
const SEGMENT_DURATION_MAX: Duration = Duration::from_secs(60);
/// Most bytes in one file of a ring.
const SEGMENT_BYTES_MAX: u64 = 32 << 20;

/// How long recordings stay of which the configuration says nothing any more.
const LEFT_AGE_MAX: Duration = Duration::from_secs(168 * 3_600);

/// A stream that is recorded.
pub type RingName = (CameraId, Profile);

/// How a ring is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RingStatus {
    /// Whether it records, and why not.
    #[serde(flatten)]
    pub state: State,
    /// What happened since start.
    pub counters: Counters,
    /// Fragments dropped because the disk was slow.
    pub dropped_waiting: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Number of files.
    pub files: usize,
    /// Time of the oldest frame.
    pub oldest: Option<jiff::Timestamp>,
    /// Time at which the newest frame ends.
    pub newest: Option<jiff::Timestamp>,
}

enum Job {
    Begin(usize, Bytes),
    Append(usize, Fragment),
    Segments(usize, oneshot::Sender<Vec<Segment>>),
    Close,
}

/// The recorder's end for everybody else.
#[derive(Clone)]
pub struct Recorder {
    jobs: SyncSender<Job>,
    /// Those that are recorded, and behind them those that only age.
    rings: Arc<[Shared]>,
    recorded: usize,
    waiting_bytes: Arc<AtomicUsize>,
}

struct Shared {
    name: RingName,
    folder: PathBuf,
    status: Mutex<Option<RingStatus>>,
    dropped: Mutex<u64>,
}

/// One ring, to write to.
#[derive(Clone)]
pub struct RingHandle {
    recorder: Recorder,
    index: usize,
}

/// The thread, to be waited for at the end.
pub struct RecorderThread {
    jobs: SyncSender<Job>,
    thread: std::thread::JoinHandle<()>,
}

impl RecorderThread {
    /// Writes what waits, ends the files, and ends.
    pub fn close(self) {
        if self.jobs.send(Job::Close).is_ok() && self.thread.join().is_err() {
            tracing::error!("the recorder panicked");
        }
    }
}

/// Folder of the ring of a stream.
pub fn ring_folder(ring_dir: &Path, camera: &CameraId, profile: Profile) -> PathBuf {
    ring_dir.join(camera.as_str()).join(profile.name())
}

/// Every stream that has a folder.
fn left_behind(ring_dir: &Path) -> Vec<RingName> {
    let mut names = Vec::new();
    // None yet, or one that cannot be read: the rings themselves will tell.
    let folders = std::fs::read_dir(ring_dir).into_iter().flatten().flatten();
    for camera in folders.filter_map(|folder| CameraId::new(folder.file_name().to_str()?).ok()) {
        for profile in [Profile::Sub, Profile::Main] {
            if ring_folder(ring_dir, &camera, profile).is_dir() {
                names.push((camera.clone(), profile));
            }
        }
    }
    names
}

impl Recorder {
    /// Opens the rings that the configuration asks for, on a thread of their own. A ring that does not open is told and
    /// tried again.
    pub fn start(config: &Config, clock: Arc<Clock>, board: &Board) -> std::io::Result<(Self, RecorderThread)> {
        let mut rings = Vec::new();
        let mut limits = Vec::new();
        for camera in &config.cameras {
            for (profile, wanted) in [(Profile::Sub, camera.record.sub), (Profile::Main, camera.record.main)] {
                if wanted {
                    rings.push(Shared {
                        name: (camera.id.clone(), profile),
                        folder: ring_folder(&config.video.ring_dir, &camera.id, profile),
                        status: Mutex::default(),
                        dropped: Mutex::default(),
                    });
                    limits.push(Limits {
                        bytes_max: camera.ring.bytes_max,
                        age_max: Some(camera.ring.age_max),
                        free_bytes_min: config.video.free_bytes_min,
                        segment_duration_max: SEGMENT_DURATION_MAX,
                        segment_bytes_max: SEGMENT_BYTES_MAX.min(camera.ring.bytes_max / 4),
                    });
                }
            }
        }
        let recorded = rings.len();
        for name in left_behind(&config.video.ring_dir) {
            if rings.iter().any(|shared| shared.name == name) {
                continue;
            }
            tracing::info!(camera = %name.0, profile = %name.1, "recorded no more; what there is only ages");
            limits.push(Limits {
                bytes_max: u64::MAX,
                age_max: Some(LEFT_AGE_MAX),
                free_bytes_min: config.video.free_bytes_min,
                segment_duration_max: SEGMENT_DURATION_MAX,
                segment_bytes_max: SEGMENT_BYTES_MAX,
            });
            rings.push(Shared {
                folder: ring_folder(&config.video.ring_dir, &name.0, name.1),
                name,
                status: Mutex::default(),
                dropped: Mutex::default(),
            });
        }
        let rings: Arc<[Shared]> = rings.into();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let (jobs, queue) = sync_channel(FRAGMENTS_MAX);
        let opened = rings.iter().zip(limits).map(|(shared, limits)| Slot {
            index: board.recordings(&format!("{}/{}", shared.name.0, shared.name.1)),
            limits,
            ring: None,
            init: None,
        });
        let thread = Thread {
            slots: opened.collect(),
            rings: Arc::clone(&rings),
            recorded,
            waiting_bytes: Arc::clone(&waiting_bytes),
            clock,
        };
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || thread.run(&queue))?;
        let recorder = Self {
            jobs: jobs.clone(),
            rings,
            recorded,
            waiting_bytes,
        };
        Ok((recorder, RecorderThread { jobs, thread }))
    }

    /// The ring of a stream, if it is recorded.
    pub fn ring(&self, camera: &CameraId, profile: Profile) -> Option<RingHandle> {
        let is_its = |shared: &Shared| shared.name.0 == *camera && shared.name.1 == profile;
        let index = self.rings.iter().take(self.recorded).position(is_its)?;
        Some(RingHandle {
            recorder: self.clone(),
            index,
        })
    }
}

impl RingHandle {
    fn shared(&self) -> &Shared {
        &self.recorder.rings[self.index]
    }

    /// A new run of the stream, with its initialisation segment. Whether there was room for it in the queue.
    pub fn begin(&self, init: Bytes) -> bool {
        self.hand_over(Job::Begin(self.index, init))
    }

    /// Hands a fragment over.
    pub fn append(&self, fragment: Fragment) {
        let (waiting, bytes) = (&self.recorder.waiting_bytes, bytes_of(&fragment));
        let has_room = waiting.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES_MAX;
        if !has_room || !self.hand_over(Job::Append(self.index, fragment)) {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped();
        }
    }

    /// A fragment did not get here.
    pub fn dropped(&self) {
        *self.shared().dropped.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn hand_over(&self, job: Job) -> bool {
        self.recorder.jobs.try_send(job).is_ok()
    }

    /// What is recorded.
    pub async fn segments(&self) -> Vec<Segment> {
        let (answer, segments) = oneshot::channel();
        let (jobs, index) = (self.recorder.jobs.clone(), self.index);
        let asked = tokio::task::spawn_blocking(move || jobs.send(Job::Segments(index, answer)));
        if !matches!(asked.await, Ok(Ok(()))) {
            return Vec::new();
        }
        segments.await.unwrap_or_default()
    }

    /// Where the files lie.
    pub fn folder(&self) -> &Path {
        &self.shared().folder
    }

    /// How it is; `None` until it was opened.
    pub fn status(&self) -> Option<RingStatus> {
        let shared = self.shared();
        let mut status = shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        status.dropped_waiting = *shared.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        Some(status)
    }
}

fn bytes_of(fragment: &Fragment) -> usize {
    fragment.chunks.iter().map(Bytes::len).sum()
}

struct Slot {
    index: RecordingIndex,
    limits: Limits,
    ring: Option<Ring>,
    /// Of the run that is going on, for a ring that opens late.
    init: Option<Bytes>,
}

struct Thread {
    slots: Vec<Slot>,
    rings: Arc<[Shared]>,
    /// The first so many are written.
    recorded: usize,
    waiting_bytes: Arc<AtomicUsize>,
    clock: Arc<Clock>,
}

impl Thread {
    fn run(mut self, queue: &Receiver<Job>) {
        self.maintain();
        let mut maintained = Instant::now();
        loop {
            match queue.recv_timeout(MAINTAIN_EVERY.saturating_sub(maintained.elapsed())) {
                Ok(Job::Begin(index, init)) => self.begin(index, init),
                Ok(Job::Append(index, fragment)) => {
                    self.append(index, &fragment);
                    self.waiting_bytes.fetch_sub(bytes_of(&fragment), Ordering::Relaxed);
                }
                Ok(Job::Segments(index, answer)) => {
                    let ring = self.slots.get(index).and_then(|slot| slot.ring.as_ref());
                    answer.send(ring.map_or_else(Vec::new, Ring::segments)).ok();
                }
                Ok(Job::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if maintained.elapsed() >= MAINTAIN_EVERY {
                self.maintain();
                maintained = Instant::now();
            }
        }
        for slot in self.slots {
            if let Some(ring) = slot.ring {
                ring.close();
            }
        }
    }

    /// Opens what is not open, and removes what is too old.
    fn maintain(&mut self) {
        let now = self.clock.now();
        let at = jiff::Timestamp::from_millisecond(now.at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            if slot.ring.is_none() {
                slot.open(&self.rings[index].folder);
            }
            if let Some(ring) = &mut slot.ring {
                // What nobody goes on with makes room for what is recorded, whatever the time.
                let left = if index < self.recorded {
                    Ok(())
                } else {
                    ring.yield_space()
                };
                if let Err(error) = left.and_then(|()| ring.maintain(at, now.clock.into()).map(drop)) {
                    tracing::warn!(%error, "a recording cannot be aged");
                }
            }
            self.tell(index);
        }
    }

    fn begin(&mut self, index: usize, init: Bytes) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let Some(ring) = &mut slot.ring
            && let Err(error) = ring.begin(&init)
        {
            tracing::warn!(%error, "a stream cannot be recorded");
        }
        slot.init = Some(init);
    }

    fn append(&mut self, index: usize, fragment: &Fragment) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(ring) = &mut slot.ring else { return };
        let before = ring.state().clone();
        if let Err(error) = ring.append(fragment)
            && *ring.state() != before
        {
            tracing::warn!(%error, "recording stopped; it is tried again with every fragment");
        }
        self.tell(index);
    }

    fn tell(&self, index: usize) {
        let (Some(slot), Some(shared)) = (self.slots.get(index), self.rings.get(index)) else {
            return;
        };
        let status = slot.ring.as_ref().map(|ring| {
            let (files, extent) = ring.extent();
            RingStatus {
                state: ring.state().clone(),
                counters: ring.counters(),
                dropped_waiting: 0,
                bytes: ring.bytes(),
                files,
                oldest: extent.map(|(oldest, _)| oldest),
                newest: extent.map(|(_, newest)| newest),
            }
        });
        *shared.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

impl Slot {
    fn open(&mut self, folder: &Path) {
        match Ring::open(folder, self.limits, self.index.clone()) {
            Ok((mut ring, recovered)) => {
                if !recovered.reasons.is_empty() {
                    tracing::warn!(folder = %folder.display(), ?recovered, "a recording was repaired");
                }
                if let Some(init) = &self.init
                    && let Err(error) = ring.begin(init)
                {
                    tracing::warn!(%error, "a stream cannot be recorded");
                }
                self.ring = Some(ring);
            }
            Err(error) => tracing::warn!(%error, "a recording cannot be opened; tried again in a minute"),
        }
    }
}
