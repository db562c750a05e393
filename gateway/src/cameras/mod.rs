//! Cameras: RTSP in, recordings, pictures, health, live view. Nothing here may cost the ledger anything.
//!
//! ```text
//!            worker process, one a camera                       gateway
//!  camera -> ingest -> cmafmux -> chunks --Unix socket--> camera --+--> live::Hub -> viewers, near and far
//!            (retina, rtspsrc)                            (task)   +--> recorder (thread) -> ring, files
//!                                                                  +--> keyframes -> pictures --> health, snapshots
//!            worker process for pictures  <--Unix socket-- (masked, decoded there)
//! ```
//!
//! **Invariants.** This program decodes nothing and links no codec. A worker can crash, leak or hang: its cameras are dark
//! for seconds, and everything else goes on. No picture leaves the decoding process without its masks. Nobody waits for a
//! disk here but the recorder's thread. Records of health go through the engine like any other.
//!
//! | file | what |
//! | --- | --- |
//! | [`wire`] | what gateway and worker say to each other |
//! | [`worker`], `starter` | a child process and its socket; the thread that starts it |
//! | [`camera`], [`stream`], [`snapshot`], [`ladder`] | the task of a camera, its streams, what it is asked for, when to try again |
//! | `looks` | when a camera's picture is looked at, and pictures on their way |
//! | [`told`] | what is told of a camera, and to whom |
//! | [`series`] | what of cameras goes into telemetry |
//! | [`recorder`], [`ring`], [`recordings`] | recordings, clips, what is recorded around a time |
//! | [`pictures`], [`picture`] | decoding elsewhere; masks, measures, JPEG |
//! | [`health`], [`measure`], [`audit`] | what is wrong with a camera, and what to do |
//! | `owed` | records of health that wait for the engine |
//! | `translation` | between the box's clock, ledger and workers and the health machine |
//! | [`evidence`], [`past`] | pictures of arrivals and departures, of moments that have passed |
//! | [`far`], `publisher` | live view from the city; to a media server |
//! | [`discovery`], [`profiles`], [`secrets`] | what a technician needs |
//! | [`words`] | Indonesian and English |
//! | [`plugins`] | what the worker needs of GStreamer |

pub mod audit;
pub mod camera;
pub mod discovery;
pub mod evidence;
pub mod far;
pub mod health;
pub mod ladder;
mod looks;
pub mod measure;
mod owed;
pub mod past;
pub mod picture;
pub mod pictures;
pub mod plugins;
pub mod profiles;
mod publisher;
pub mod recorder;
pub mod recordings;
pub mod ring;
pub mod secrets;
pub mod series;
pub mod snapshot;
mod starter;
pub mod stream;
pub mod told;
mod translation;
pub mod wire;
pub mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use live::fanout::Limits;
use live::hub::Hub;
use parking::{CameraId, Input, SpaceId, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use self::camera::{CameraTask, Surroundings};
use self::pictures::{PictureMaker, Pictures};
use self::recorder::{Recorder, RecorderThread, RingHandle};
use self::snapshot::{REQUESTS_MAX, Request, Snapshot, SnapshotError};
use self::stream::Stream;
use self::told::CameraStatus;
use self::wire::{Profile, Source};
use self::worker::Program;
use crate::clock::Clock;
use crate::config::{Camera, Config};
use crate::state::Board;

/// Viewers of one stream of the box's page. The newest is told that all places are taken.
pub const VIEWERS_MAX: u32 = 8;

impl From<parking::ClockQuality> for ring::ClockQuality {
    fn from(quality: parking::ClockQuality) -> Self {
        match quality {
            parking::ClockQuality::Synced => Self::Synced,
            parking::ClockQuality::Holdover => Self::Holdover,
            parking::ClockQuality::Unset => Self::Unset,
            parking::ClockQuality::Simulated => Self::Simulated,
        }
    }
}

impl From<wire::Cause> for health::Failure {
    fn from(cause: wire::Cause) -> Self {
        use wire::Cause;
        match cause {
            Cause::Refused => Self::Refused,
            Cause::Unreachable => Self::Unreachable,
            Cause::NoAnswer => Self::NoAnswer,
            Cause::NotRtsp => Self::NotRtsp,
            Cause::Rejected => Self::Rejected,
            Cause::NotFound => Self::NotFound,
            Cause::AuthFailed => Self::AuthFailed,
            Cause::AuthUnsupported => Self::AuthUnsupported,
            Cause::NoVideo => Self::NoVideo,
            Cause::UnsupportedCodec => Self::UnsupportedCodec,
            Cause::BadSdp => Self::BadSdp,
            Cause::Stalled => Self::Stalled,
            Cause::Ended => Self::Ended,
            Cause::NoKeyframes => Self::NoKeyframes,
            Cause::Mux => Self::Mux,
            Cause::Worker => Self::WorkerCrashed,
            Cause::WorkerMissing => Self::WorkerMissing,
        }
    }
}

/// All cameras of the box, for everybody who asks.
#[derive(Clone)]
pub struct Cameras(Arc<BTreeMap<CameraId, Known>>);

struct Known {
    /// Its place in the configuration, by which its masks are known.
    index: u16,
    pictures: Pictures,
    title: String,
    spaces: Vec<SpaceId>,
    hubs: Vec<(Profile, Hub)>,
    rings: Vec<(Profile, RingHandle)>,
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<Option<CameraStatus>>,
}

/// What runs for the cameras: to be started and stopped by the daemon.
pub struct Running {
    /// A task a camera.
    pub tasks: Vec<CameraTask>,
    /// The maker of pictures.
    pub maker: PictureMaker,
    /// The recorder's thread.
    pub recorder: RecorderThread,
}

/// Where cameras get what they need.
pub struct Sources {
    /// Time.
    pub clock: Arc<Clock>,
    /// Values for the city, and what is kept.
    pub board: Arc<Board>,
    /// Where facts for the ledger go.
    pub facts: mpsc::Sender<Input>,
    /// Users and passwords.
    pub logins: BTreeMap<CameraId, wire::Credentials>,
    /// How to start workers.
    pub program: Program,
}

impl Cameras {
    /// Everything that the configuration asks for; nothing runs yet but the recorder.
    pub fn start(config: &Config, mut sources: Sources) -> std::io::Result<(Self, Running)> {
        let recorder = Recorder::start(config, Arc::clone(&sources.clock), &sources.board)?;
        let (recorder, thread) = recorder;
        let (pictures, maker) = Pictures::new(sources.program.clone(), pictures::masks(&config.cameras));
        let around = Surroundings {
            clock: Arc::clone(&sources.clock),
            program: sources.program.clone(),
            pictures,
            board: Arc::clone(&sources.board),
            facts: sources.facts.clone(),
            timezone: config.site.timezone,
            picture_every: config.video.picture_every,
        };
        let mut known = BTreeMap::new();
        let mut tasks = Vec::new();
        for (index, camera) in config.cameras.iter().enumerate() {
            let credentials = sources.logins.remove(&camera.id);
            let streams = streams(camera, credentials.as_ref(), &recorder);
            let (requests, asked) = mpsc::channel(REQUESTS_MAX);
            let (status, told) = watch::channel(None);
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            known.insert(
                camera.id.clone(),
                Known {
                    index,
                    pictures: around.pictures.clone(),
                    title: camera.title.clone(),
                    spaces: camera.spaces.clone(),
                    hubs: streams
                        .iter()
                        .map(|stream| (stream.profile, stream.hub.clone()))
                        .collect(),
                    rings: Profile::ALL
                        .into_iter()
                        .filter_map(|profile| Some((profile, recorder.ring(&camera.id, profile)?)))
                        .collect(),
                    requests,
                    status: told,
                },
            );
            let name = (camera.id.clone(), camera.title.clone(), index);
            tasks.push(CameraTask::new(name, around.clone(), streams, asked, status));
        }
        let running = Running {
            tasks,
            maker,
            recorder: thread,
        };
        Ok((Self(Arc::new(known)), running))
    }

    /// Names of all cameras.
    pub fn ids(&self) -> impl Iterator<Item = &CameraId> {
        self.0.keys()
    }

    /// Cameras that see a space.
    pub fn that_see(&self, space: &SpaceId) -> impl Iterator<Item = &CameraId> {
        let sees = |(id, known): (_, &Known)| known.spaces.contains(space).then_some(id);
        self.0.iter().filter_map(sees)
    }

    /// How a camera is; `None` for one that does not exist or has not said anything yet.
    pub fn status(&self, camera: &CameraId) -> Option<CameraStatus> {
        self.0.get(camera)?.status.borrow().clone()
    }

    /// How all cameras are.
    pub fn statuses(&self) -> Vec<CameraStatus> {
        self.ids().filter_map(|id| self.status(id)).collect()
    }

    /// Name of a camera on screens.
    pub fn title(&self, camera: &CameraId) -> Option<&str> {
        self.0.get(camera).map(|known| known.title.as_str())
    }

    /// Where viewers of a stream join.
    pub fn hub(&self, camera: &CameraId, profile: Profile) -> Option<&Hub> {
        let hubs = &self.0.get(camera)?.hubs;
        hubs.iter().find(|(known, _)| *known == profile).map(|(_, hub)| hub)
    }

    /// The recording of a stream.
    pub fn ring(&self, camera: &CameraId, profile: Profile) -> Option<&RingHandle> {
        let rings = &self.0.get(camera)?.rings;
        rings.iter().find(|(known, _)| *known == profile).map(|(_, ring)| ring)
    }

    /// Streams that a camera has, the large one first.
    pub fn profiles(&self, camera: &CameraId) -> Vec<Profile> {
        let hubs = self.0.get(camera).map_or(&[][..], |known| &known.hubs);
        let mut profiles: Vec<Profile> = hubs.iter().map(|(profile, _)| *profile).collect();
        profiles.sort_unstable();
        profiles
    }

    /// Takes what a camera shows now as its usual view.
    pub async fn accept_view(&self, camera: &CameraId) -> Result<(), SnapshotError> {
        let (done, is_done) = oneshot::channel();
        self.ask(camera, Request::AcceptView { done }).await?;
        is_done.await.map_err(|_| SnapshotError::Stopping)
    }

    /// A picture of a camera; the newest, or the one nearest to a time of those in memory.
    pub async fn snapshot(
        &self,
        camera: &CameraId,
        at: Option<Timestamp>,
        width: u16,
    ) -> Result<Snapshot, SnapshotError> {
        let (answer, snapshot) = oneshot::channel();
        self.ask(camera, Request::Snapshot { at, width, answer }).await?;
        snapshot.await.unwrap_or(Err(SnapshotError::Stopping))
    }

    async fn ask(&self, camera: &CameraId, request: Request) -> Result<(), SnapshotError> {
        let known = self.0.get(camera);
        let requests = known.map(|known| &known.requests).ok_or(SnapshotError::Stopping)?;
        requests.send(request).await.map_err(|_| SnapshotError::Stopping)
    }
}

fn streams(camera: &Camera, credentials: Option<&wire::Credentials>, recorder: &Recorder) -> Vec<Stream> {
    let limits = Limits {
        viewers_max: VIEWERS_MAX,
        ..Limits::default()
    };
    let paths = [(Profile::Sub, &camera.sub), (Profile::Main, &camera.main)];
    let there: Vec<(Profile, &String)> = paths
        .into_iter()
        .filter_map(|(profile, path)| Some((profile, path.as_ref()?)))
        .collect();
    let stream = |(index, (profile, path)): (usize, &(Profile, &String))| {
        let source = Source {
            url: format!("rtsp://{}{path}", camera.host),
            credentials: credentials.cloned(),
            transport: camera.transport,
            client: camera.client,
            quirks: camera.quirks,
        };
        let ring = recorder.ring(&camera.id, *profile);
        // The first, which is the smallest, is looked at, and so is always open.
        Stream::new(camera.id.clone(), *profile, source, ring, Hub::new(limits), index == 0)
    };
    there.iter().enumerate().map(stream).collect()
}
