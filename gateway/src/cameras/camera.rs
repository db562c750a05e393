//! The task of one camera: its worker, its streams, its health.
//!
//! Everything that a camera does wrong ends here. The task decides when a stream is opened again, kills a worker that
//! says nothing, asks for pictures at the pace that health needs, and tells others by a watch channel how things are.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use live::message::Message;
use parking::{CameraId, Input, Stamp, Timestamp, Timezone};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::health::{self, Effect, Event as HealthEvent, HealthMachine};
use super::looks::{self, Answer, Looks};
use super::owed::Owed;
use super::pictures::{PictureError, Pictures};
use super::series;
use super::snapshot::{self, Request, SnapshotError};
use super::stream::{Key, Phase, Stream};
use super::told::{self, CameraStatus};
use super::translation;
use super::wire::{self, Cause, Command, Event, FromWorker, Profile};
use super::worker::{Program, Worker};
use crate::clock::Clock;
use crate::state::Board;
use crate::words::{Text, Value};

/// A keyframe older than this is no picture of now.
const PICTURE_AGE_MAX: Duration = Duration::from_secs(20);
/// An evidence picture lies at most so far from the moment that it shows, milliseconds.
pub(super) const EVIDENCE_DISTANCE_MAX_MS: u64 = 60_000;
/// How often the task looks around when nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// How often what is usual for this camera is written down.
const BASELINE_EVERY: Duration = Duration::from_secs(15 * 60);
/// How often the city is told figures that only drift.
const BOARD_EVERY: Duration = Duration::from_secs(300);

/// What a task needs of the rest of the box.
#[derive(Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<Clock>,
    /// How to start workers.
    pub program: Program,
    /// Who makes pictures.
    pub pictures: Pictures,
    /// What is told to the city, and what is kept of cameras.
    pub board: Arc<Board>,
    /// Where facts for the ledger go.
    pub facts: mpsc::Sender<Input>,
    /// Where the camera is.
    pub timezone: Timezone,
    /// How often a picture is looked at.
    pub picture_every: Duration,
}

const NO_KEYFRAME: Text = Text::new("tidak ada keyframe selama {} detik.", "no keyframe came for {} s.");
const NOT_KEPT: Text = Text::new("tidak ada gambar dari {} yang disimpan.", "nothing of {} is kept.");

/// The task.
pub struct CameraTask {
    id: CameraId,
    title: String,
    around: Surroundings,
    streams: Vec<Stream>,
    /// The place of the one whose health is the camera's.
    looked: usize,
    looks: Looks,
    worker: Option<Worker>,
    workers_started: u64,
    health: HealthMachine,
    health_since: Stamp,
    clock_offset_ms: Option<i64>,
    tick_due: Instant,
    baseline_due: Instant,
    board_due: Instant,
    urgent_on_board: told::Urgent,
    owed: Owed,
    requests: mpsc::Receiver<Request>,
    status: watch::Sender<Option<CameraStatus>>,
}

impl CameraTask {
    /// The task of a camera, the `index`th of the configuration, with its streams. The smallest one is looked at.
    pub fn new(
        (id, title, index): (CameraId, String, u16),
        around: Surroundings,
        streams: Vec<Stream>,
        requests: mpsc::Receiver<Request>,
        status: watch::Sender<Option<CameraStatus>>,
    ) -> Self {
        let now = around.clock.now();
        let baseline = around
            .board
            .recall(&baseline_key(&id))
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let start = Instant::now();
        Self {
            health: HealthMachine::new(translation::now(now, around.timezone), baseline),
            health_since: now,
            id,
            title,
            // The smallest.
            looked: streams
                .iter()
                .position(|stream| stream.profile == Profile::Sub)
                .unwrap_or(0),
            looks: Looks::new(around.pictures.clone(), index, around.picture_every),
            around,
            streams,
            worker: None,
            workers_started: 0,
            clock_offset_ms: None,
            tick_due: start,
            owed: Owed::default(),
            baseline_due: start + BASELINE_EVERY,
            board_due: start,
            urgent_on_board: told::Urgent::default(),
            requests,
            status,
        }
    }

    /// Runs until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            if let Err(error) = self.drive().await {
                self.worker_lost(&error.to_string()).await;
            }
            let wake = self.wake();
            let changed = self.streams.iter_mut().map(|stream| Box::pin(stream.viewers.changed()));
            let mut viewers: FuturesUnordered<_> = changed.collect();
            let worker = &mut self.worker;
            let happened = tokio::select! {
                () = cancel.cancelled() => break,
                frame = next_frame(worker) => Happened::Frame(frame),
                Some(request) = self.requests.recv() => Happened::Request(request),
                seen = self.looks.seen() => Happened::Seen(seen),
                Some(_) = viewers.next(), if !viewers.is_empty() => Happened::Viewers,
                () = self.owed.hand_over(&self.around.facts) => Happened::Nothing,
                () = tokio::time::sleep_until(wake) => Happened::Nothing,
            };
            drop(viewers);
            match happened {
                Happened::Frame(Ok(frame)) => {
                    // What a camera sends may not end more than its own connection.
                    let taken = AssertUnwindSafe(self.frame(frame)).catch_unwind().await;
                    if taken.is_err() {
                        self.worker_lost("what it sent made this program panic; please send the log")
                            .await;
                    }
                }
                Happened::Frame(Err(error)) => self.worker_lost(&error.to_string()).await,
                Happened::Request(Request::Snapshot { at, width, answer }) => self.snapshot(at, width, answer),
                Happened::Request(Request::AcceptView { done }) => {
                    self.health_step(HealthEvent::ViewAccepted);
                    self.keep_baseline();
                    self.look_now();
                    done.send(()).ok();
                }
                Happened::Seen(seen) => self.seen(seen),
                Happened::Viewers => self.tell(),
                Happened::Nothing => {}
            }
            // Whatever woke the task: frames of a camera that is watched come more often than ticks.
            if self.tick_due <= Instant::now() {
                self.tick_due = Instant::now() + TICK;
                self.tick();
            }
        }
        for stream in &mut self.streams {
            stream.stopped();
        }
        self.keep_baseline();
        self.owed.leave(&self.id, &self.around.facts);
        if let Some(worker) = self.worker.take() {
            // A session that is not taken leave of keeps the next one out for a while, at some cameras.
            worker.end().await;
        }
    }

    /// When to look around again.
    fn wake(&self) -> Instant {
        let now = Instant::now();
        let mut wake = self.tick_due;
        for stream in &self.streams {
            if let Phase::Waiting(until) = stream.phase {
                wake = wake.min(until);
            }
            wake = wake.min(stream.wanted_until().unwrap_or(wake).max(now));
        }
        wake
    }

    /// Opens and closes streams as they are wanted, and tells the worker how long chunks should be.
    async fn drive(&mut self) -> std::io::Result<()> {
        let now = Instant::now();
        if let Some(worker) = &self.worker
            && worker.silent_at() <= now
            && self.streams.iter().any(|stream| stream.is_overdue(now))
        {
            return Err(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "it said nothing for too long",
            ));
        }
        for index in 0..self.streams.len() {
            let Some(stream) = self.streams.get_mut(index) else {
                continue;
            };
            let is_wanted = stream.is_wanted(now);
            let profile = stream.profile;
            match stream.phase {
                Phase::Closed if is_wanted => stream.phase = Phase::Waiting(now),
                Phase::Waiting(_) if !is_wanted => stream.phase = Phase::Closed,
                Phase::Opening(_) | Phase::Playing(_) if !is_wanted => {
                    stream.phase = Phase::Closed;
                    stream.stopped();
                    self.send(&Command::Close { profile }).await?;
                }
                _ => {}
            }
            let Some(stream) = self.streams.get_mut(index) else {
                continue;
            };
            if let Phase::Waiting(until) = stream.phase
                && until <= now
            {
                stream.phase = Phase::Opening(now);
                let source = stream.source.clone();
                if index == self.looked {
                    self.health_step(HealthEvent::Connecting);
                }
                self.send(&Command::Open { profile, source }).await?;
            }
            let Some(stream) = self.streams.get_mut(index) else {
                continue;
            };
            let frames = stream.chunk_frames_wanted();
            if matches!(stream.phase, Phase::Playing(_)) && frames != stream.chunk_frames {
                stream.chunk_frames = frames;
                self.send(&Command::Chunks { profile, frames }).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, command: &Command) -> std::io::Result<()> {
        let frame = wire::command_frame(command)?;
        let worker = match &mut self.worker {
            Some(worker) => worker,
            none => {
                self.workers_started += 1;
                none.insert(self.around.program.start("ingest", self.id.as_str())?)
            }
        };
        worker.send(&frame).await
    }

    fn stream(&mut self, profile: Profile) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.profile == profile)
    }

    fn is_looked(&self, profile: Profile) -> bool {
        self.streams
            .get(self.looked)
            .is_some_and(|stream| stream.profile == profile)
    }

    async fn worker_lost(&mut self, why: &str) {
        let mut cause = Cause::Worker;
        if let Some(worker) = self.worker.take() {
            tracing::warn!(camera = %self.id, pid = worker.pid(), why, "the camera's worker is lost; another is started");
            worker.kill().await;
        } else {
            cause = Cause::WorkerMissing;
            tracing::error!(camera = %self.id, why, program = %self.around.program.path().display(), "the camera's worker does not start");
        }
        let open: Vec<Profile> = self
            .streams
            .iter()
            .filter(|stream| matches!(stream.phase, Phase::Opening(_) | Phase::Playing(_)))
            .map(|stream| stream.profile)
            .collect();
        for profile in open {
            self.stream_ended(profile, cause, why.to_owned());
        }
    }

    fn stream_ended(&mut self, profile: Profile, cause: Cause, message: String) {
        tracing::info!(camera = %self.id, %profile, ?cause, message, "a stream ended");
        let jitter = rand::random::<f64>();
        if let Some(stream) = self.stream(profile) {
            stream.ended(Instant::now(), cause, message, jitter);
        }
        if self.is_looked(profile) {
            self.health_step(HealthEvent::Failed(cause.into()));
        }
    }

    async fn frame(&mut self, mut frame: BytesMut) {
        let read = match FromWorker::read(&frame) {
            Ok(read) => read,
            Err(error) => return self.worker_lost(&error.to_string()).await,
        };
        match read {
            FromWorker::Event(event) => self.event(event),
            FromWorker::Init(profile, init) => {
                let init = Bytes::copy_from_slice(init);
                let parsed = self.stream(profile).map(|stream| stream.init(&init));
                if let Some(Err(error)) = parsed {
                    tracing::warn!(camera = %self.id, %profile, %error, "an initialisation segment makes no sense");
                }
            }
            FromWorker::Chunk(profile, head, chunk) => {
                // What stands before it is read already, and makes room for the head of a live message.
                let chunk = frame.split_off(frame.len() - chunk.len() - live::message::HEAD_BYTES);
                let stamp = self.around.clock.at_boottime(head.at_ns);
                let brought_key = self
                    .stream(profile)
                    .is_some_and(|stream| stream.chunk(head, stamp, chunk));
                if brought_key && self.looks.is_wanted() && self.is_looked(profile) {
                    self.looks.by_pace(current_key(&self.streams, self.looked));
                }
            }
            FromWorker::Picture(..) => self.worker_lost("it sent a picture that nobody asked for").await,
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Playing { profile, server, audio } => {
                tracing::info!(camera = %self.id, %profile, server, audio, "a stream plays");
                if let Some(stream) = self.stream(profile) {
                    stream.played(Instant::now());
                }
                if self.is_looked(profile) {
                    self.health_step(HealthEvent::Playing);
                }
            }
            Event::Format { profile, format } => {
                if let Some(stream) = self.stream(profile) {
                    stream.format(format);
                }
            }
            Event::Ended {
                profile,
                cause,
                message,
            } => self.stream_ended(profile, cause, message),
            Event::Stats { profile, stats } => {
                series::of_stream(self.around.board.telemetry(), &self.id, profile, &stats);
                if let Some(stream) = self.stream(profile) {
                    stream.stats(stats);
                }
                if self.is_looked(profile) {
                    let mono = translation::mono(self.around.clock.now());
                    self.health_step(HealthEvent::Statistics(translation::statistics(&stats, mono)));
                    self.tell();
                }
            }
            Event::CameraClock {
                profile,
                camera_unix_ms,
                at_ns,
            } if self.is_looked(profile) => {
                let stamp = self.around.clock.at_boottime(at_ns);
                let offset_ms = camera_unix_ms.saturating_sub(stamp.at.as_millis());
                self.clock_offset_ms = Some(offset_ms);
                let quality = translation::quality(stamp.clock);
                if quality == health::ClockQuality::Trusted {
                    series::of_clock(self.around.board.telemetry(), &self.id, offset_ms);
                }
                self.health_step(HealthEvent::CameraClock { offset_ms, quality });
            }
            _ => {}
        }
    }

    fn snapshot(&mut self, at: Option<Timestamp>, width: u16, answer: Answer) {
        let now = self.around.clock.now().at;
        let keys = self.streams.iter().filter_map(|stream| match at {
            None => stream.newest_key(),
            Some(at) => stream.key_at(at),
        });
        let of_moment = keys.filter(|key| self.is_of_moment(key, at));
        if let Some(key) = snapshot::best(of_moment, at.unwrap_or(now)).cloned() {
            self.looks.make_for(&key, width, answer);
        } else {
            let why = match at {
                None if self.health.health().state == health::State::Up => {
                    let seconds = i64::try_from(PICTURE_AGE_MAX.as_secs()).unwrap_or(i64::MAX);
                    NO_KEYFRAME.with(&[Value::Whole(seconds)])
                }
                None => told::likely(self.health.health().cause),
                Some(at) => NOT_KEPT.with(&[Value::Name(at.to_string())]),
            };
            answer.send(Err(SnapshotError::Dark(self.id.clone(), why))).ok();
        }
    }

    fn is_of_moment(&self, key: &Key, at: Option<Timestamp>) -> bool {
        match at {
            None => {
                let now_ms = self.around.clock.now().mono_ms;
                let age_ms = now_ms.saturating_sub(key.at_ns / 1_000_000);
                Duration::from_millis(age_ms) <= PICTURE_AGE_MAX
            }
            Some(at) => key.stamp.at.millis_since(at).unsigned_abs() <= EVIDENCE_DISTANCE_MAX_MS,
        }
    }

    fn seen(&mut self, seen: Result<looks::Seen, PictureError>) {
        match seen {
            Ok(looks::Seen { stream_time, features }) => {
                self.health_step(HealthEvent::Picture { stream_time, features });
            }
            Err(error) => tracing::debug!(camera = %self.id, %error, "no picture for health"),
        }
    }

    /// Looks at the picture because something may be wrong.
    fn look_now(&mut self) {
        tracing::debug!(camera = %self.id, "a look out of turn");
        self.looks.by_reason(current_key(&self.streams, self.looked));
    }

    fn tick(&mut self) {
        self.health_step(HealthEvent::Tick);
        let now = Instant::now();
        let stream = self.streams.get(self.looked);
        if self.looks.is_due() && stream.is_some_and(|stream| matches!(stream.phase, Phase::Playing(_))) {
            self.looks.by_pace(current_key(&self.streams, self.looked));
        }
        if self.baseline_due <= now {
            self.baseline_due = now + BASELINE_EVERY;
            self.keep_baseline();
        }
        self.tell();
    }

    fn keep_baseline(&self) {
        if let Ok(bytes) = serde_json::to_vec(self.health.baseline()) {
            self.around.board.remember(&baseline_key(&self.id), &bytes);
        }
    }

    fn health_step(&mut self, event: HealthEvent) {
        let now = self.around.clock.now();
        for effect in self.health.step(translation::now(now, self.around.timezone), event) {
            match effect {
                Effect::Changed(health) => {
                    self.health_since = self.stamp_of(health.since);
                    let numbers: Vec<String> = health.evidence.iter().map(ToString::to_string).collect();
                    tracing::info!(camera = %self.id, state = ?health.state, cause = ?health.cause, ?numbers, "health");
                    self.board_due = Instant::now();
                    self.tell_viewers();
                    self.tell();
                }
                Effect::RequestPicture => self.look_now(),
                Effect::Record(record) => {
                    let body = translation::record(&self.id, &record, |mono| self.stamp_of(mono).at, now.at);
                    self.owed.push(&self.id, body);
                }
            }
        }
    }

    fn stamp_of(&self, mono: Duration) -> Stamp {
        let nanos = u64::try_from(mono.as_nanos()).unwrap_or(u64::MAX);
        self.around.clock.at_boottime(nanos)
    }

    fn tell_viewers(&self) {
        let health = self.health.health();
        let state = told::for_viewers(health.state, health.cause);
        for stream in &self.streams {
            stream.hub.publish(Message::State(state.clone())).ok();
        }
    }

    /// Tells others how things are.
    fn tell(&mut self) {
        let health = self.health.health();
        let of = |profile| {
            let stream = self.streams.iter().find(|stream| stream.profile == profile);
            stream.map(Stream::status)
        };
        let status = CameraStatus {
            id: self.id.clone(),
            title: self.title.clone(),
            state: health.state,
            cause: health.cause,
            since: self.health_since.at,
            evidence: health.evidence.clone(),
            looked_at: self.looks.looked_at(),
            clock_offset_ms: self.clock_offset_ms,
            worker_pid: self.worker.as_ref().and_then(Worker::pid),
            workers_started: self.workers_started,
            main: of(Profile::Main),
            sub: of(Profile::Sub),
        };
        let now = Instant::now();
        let urgent = status.urgent();
        if self.board_due <= now || self.urgent_on_board != urgent {
            (self.board_due, self.urgent_on_board) = (now + BOARD_EVERY, urgent);
            let value = told::on_board(&status);
            self.around.board.put(&format!("camera/{}", self.id), value);
        }
        self.status.send_replace(Some(status));
    }
}

enum Happened {
    Frame(std::io::Result<BytesMut>),
    Request(Request),
    Seen(Result<looks::Seen, PictureError>),
    Viewers,
    Nothing,
}

/// The newest keyframe of the stream at `looked`; none from before an outage.
fn current_key(streams: &[Stream], looked: usize) -> Option<&Key> {
    streams.get(looked).and_then(Stream::current_key)
}

async fn next_frame(worker: &mut Option<Worker>) -> std::io::Result<BytesMut> {
    match worker {
        Some(worker) => worker.next().await,
        None => std::future::pending().await,
    }
}

fn baseline_key(camera: &CameraId) -> String {
    format!("baseline/{camera}")
}
