//! One stream of a camera, in the parent: when it is open, and where its chunks go.
//!
//! The same chunks go to viewers as they come and to the ring a whole fragment at a time. The last few keyframes are kept
//! for pictures. A stream is open while it is recorded, needed for pictures, or watched, and some seconds longer.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use live::hub::Hub;
use live::message::{Chunk, Init as InitMessage, Message, StreamInfo, UnixMillis};
use parking::{CameraId, Stamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use super::ladder::Ladder;
use super::recorder::{RingHandle, RingStatus};
use super::ring::{self, Fragment, Init};
use super::wire::{Cause, ChunkHead, Format, Profile, Source, Stats};
use super::worker::SILENCE_MAX;

/// Keyframes that are kept for pictures: half a minute of a usual small stream, ten seconds of a large one. Older ones are
/// in the recording.
const KEYS_MAX: usize = 16;
/// Most bytes of these.
const KEYS_BYTES_MAX: usize = 512 << 10;
/// Most bytes of one fragment. A longer one is cut there, and its rest is not recorded.
const FRAGMENT_BYTES_MAX: usize = 16 << 20;
/// How long a stream stays open that nobody needs any more.
const LINGER: Duration = Duration::from_secs(10);
/// Length of a chunk while somebody watches.
const LIVE_CHUNK: Duration = Duration::from_millis(100);

/// Whether a stream is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nobody needs it.
    Closed,
    /// It is opened at that time.
    Waiting(Instant),
    /// The camera was asked, at that time.
    Opening(Instant),
    /// The camera has answered, at that time.
    Playing(Instant),
}

/// A keyframe, alone in its chunk or first in it.
#[derive(Debug, Clone)]
pub struct Key {
    /// The stream's initialisation segment.
    pub init: Init,
    /// The chunk.
    pub chunk: Bytes,
    /// When it was received.
    pub at_ns: u64,
    /// The same on the box's axis.
    pub stamp: Stamp,
}

/// Whether a stream is open, for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseStatus {
    /// Nobody needs it.
    Closed,
    /// It is opened again soon.
    Waiting,
    /// The camera was asked.
    Opening,
    /// The camera has answered.
    Playing,
}

/// What is told of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Whether it is open.
    pub phase: PhaseStatus,
    /// Codec by RFC 6381.
    pub codecs: Option<String>,
    /// Width, pixels.
    pub width: Option<u32>,
    /// Height, pixels.
    pub height: Option<u32>,
    /// Frames a second, measured.
    pub fps: f64,
    /// Kilobits a second, measured.
    pub kbit: f64,
    /// Frames of a group of pictures.
    pub gop_frames: u32,
    /// Frames since start that reached this process.
    pub frames: u64,
    /// Frames that the worker dropped.
    pub dropped_frames: u64,
    /// RTP packets that the network lost.
    pub lost_packets: u64,
    /// Jumps of the camera's timestamps.
    pub jumps: u64,
    /// Connections since start.
    pub connections: u64,
    /// Whether frames are shown in another order than they come.
    pub reordered: bool,
    /// Why the last connection ended.
    pub ended: Option<(Cause, String)>,
    /// Viewers.
    pub viewers: usize,
    /// The recording.
    pub ring: Option<RingStatus>,
}

/// One stream.
pub struct Stream {
    /// Which.
    pub profile: Profile,
    /// Where it comes from.
    pub source: Source,
    /// Whether it is open.
    pub phase: Phase,
    /// When to try again.
    pub ladder: Ladder,
    /// Who watches.
    pub hub: Hub,
    /// Their number.
    pub viewers: watch::Receiver<usize>,
    /// Frames a chunk that the worker was told.
    pub chunk_frames: u16,
    camera: CameraId,
    ring: Option<RingHandle>,
    always_open: bool,
    needed_until: Option<Instant>,
    init: Option<Init>,
    ring_knows_init: bool,
    pending: Vec<Bytes>,
    pending_at: Option<Stamp>,
    pending_bytes: usize,
    keys: VecDeque<Key>,
    /// The newest of them came over the connection that is open.
    has_current_key: bool,
    figures: Figures,
}

#[derive(Default)]
struct Figures {
    stats: Stats,
    format: Option<Format>,
    frames: u64,
    dropped_frames: u64,
    lost_packets: u64,
    jumps: u64,
    connections: u64,
    ended: Option<(Cause, String)>,
}

impl Stream {
    /// A stream that is not open. `always_open`: needed whether or not somebody watches.
    pub fn new(
        camera: CameraId,
        profile: Profile,
        source: Source,
        ring: Option<RingHandle>,
        hub: Hub,
        always_open: bool,
    ) -> Self {
        Self {
            profile,
            source,
            phase: Phase::Closed,
            ladder: Ladder::default(),
            viewers: hub.viewers(),
            hub,
            chunk_frames: 0,
            camera,
            always_open: always_open || ring.is_some(),
            ring,
            needed_until: None,
            init: None,
            ring_knows_init: false,
            pending: Vec::new(),
            pending_at: None,
            pending_bytes: 0,
            keys: VecDeque::new(),
            has_current_key: false,
            figures: Figures::default(),
        }
    }

    /// Whether it should be open at `now`.
    pub fn is_wanted(&mut self, now: Instant) -> bool {
        if *self.viewers.borrow() > 0 {
            self.needed_until = Some(now + LINGER);
        }
        self.always_open || self.needed_until.is_some_and(|until| now < until)
    }

    /// Whether its worker should have said something of it by now: that it plays, or what came.
    pub fn is_overdue(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Opening(since) | Phase::Playing(since) => now.saturating_duration_since(since) >= SILENCE_MAX,
            Phase::Closed | Phase::Waiting(_) => false,
        }
    }

    /// When [`Stream::is_wanted`] may change by itself.
    pub fn wanted_until(&self) -> Option<Instant> {
        let may_close = self.phase != Phase::Closed && !self.always_open;
        self.needed_until.filter(|_| may_close)
    }

    /// Frames a chunk that viewers need now; 0 when nobody watches.
    pub fn chunk_frames_wanted(&self) -> u16 {
        if *self.viewers.borrow() == 0 {
            return 0;
        }
        let frames = self.fps() * LIVE_CHUNK.as_secs_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 1 and 60
        let frames = frames.round().clamp(1.0, 60.0) as u16;
        frames
    }

    fn fps(&self) -> f64 {
        let seconds = self.figures.stats.span.as_secs_f64();
        if seconds > 0.0 {
            f64::from(self.figures.stats.frames) / seconds
        } else {
            0.0
        }
    }

    fn kbit(&self) -> f64 {
        let seconds = self.figures.stats.span.as_secs_f64();
        #[allow(clippy::cast_precision_loss)] // bytes of a second
        let bits = self.figures.stats.bytes as f64 * 8.0;
        if seconds > 0.0 { bits / seconds / 1_000.0 } else { 0.0 }
    }

    /// The camera has answered.
    pub fn played(&mut self, now: Instant) {
        self.has_current_key = false;
        self.phase = Phase::Playing(now);
        self.figures.connections += 1;
        self.figures.ended = None;
    }

    /// The stream has ended and is tried again later.
    pub fn ended(&mut self, now: Instant, cause: Cause, message: String, jitter: f64) {
        let played = match self.phase {
            Phase::Playing(since) => Some(now - since),
            _ => None,
        };
        self.phase = Phase::Waiting(now + self.ladder.next(cause, played, jitter));
        self.figures.ended = Some((cause, message));
        self.stopped();
    }

    /// Nothing more comes until it is opened again.
    pub fn stopped(&mut self) {
        self.flush();
        self.chunk_frames = 0;
        self.figures.stats = Stats::default();
    }

    /// What the stream is.
    pub fn format(&mut self, format: Format) {
        self.figures.format = Some(format);
    }

    /// What came in the last second.
    pub fn stats(&mut self, stats: Stats) {
        // The last ones of a stream that was closed come behind.
        if matches!(self.phase, Phase::Playing(_)) {
            self.figures.stats = stats;
        }
        self.figures.dropped_frames += u64::from(stats.dropped_frames);
        self.figures.lost_packets += u64::from(stats.lost_packets);
        self.figures.jumps += u64::from(stats.jumps);
    }

    /// A new run: what comes next belongs to this initialisation segment.
    pub fn init(&mut self, bytes: &Bytes) -> Result<(), ring::ParseError> {
        self.flush();
        // Should this one make no sense, what follows belongs to none.
        self.init = None;
        self.ring_knows_init = false;
        let init = Init::parse(bytes)?;
        let info = init.info();
        let told = StreamInfo {
            camera: self.camera.to_string(),
            profile: self.profile.name().to_owned(),
            codecs: info.codec.clone(),
            width: u32::from(info.width),
            height: u32::from(info.height),
            fps: None,
            bitrate_kbit: None,
        };
        self.publish(Message::Stream(told));
        match InitMessage::new(bytes) {
            Ok(message) => self.publish(Message::Init(message)),
            Err(error) => tracing::warn!(camera = %self.camera, %error, "a stream cannot be shown"),
        }
        self.ring_knows_init = self.ring.as_ref().is_some_and(|ring| ring.begin(bytes.clone()));
        self.init = Some(init);
        Ok(())
    }

    /// A chunk that was received at `stamp`, behind room for the head of a live message. Whether it brought a keyframe.
    pub fn chunk(&mut self, head: ChunkHead, stamp: Stamp, with_room: BytesMut) -> bool {
        let Some(init) = &self.init else { return false };
        self.figures.frames += u64::from(head.frames);
        let wall = u64::try_from(stamp.at.as_millis()).ok().and_then(UnixMillis::new);
        let message = match Chunk::in_place(head.keyframe, wall, with_room) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(camera = %self.camera, %error, "a chunk makes no sense");
                return false;
            }
        };
        let bytes = message.payload();
        if head.keyframe {
            self.has_current_key = true;
            let key = Key {
                init: init.clone(),
                // Of its own: a part of what was read would keep the whole from being freed.
                chunk: Bytes::copy_from_slice(&bytes),
                at_ns: head.at_ns,
                stamp,
            };
            self.keep(key);
            self.flush();
            self.pending_at = Some(stamp);
        }
        self.publish(Message::Chunk(message));
        if self.ring.is_some() && self.pending_at.is_some() {
            self.pending_bytes += bytes.len();
            if self.pending_bytes <= FRAGMENT_BYTES_MAX {
                self.pending.push(bytes);
            }
        }
        head.keyframe
    }

    fn keep(&mut self, key: Key) {
        self.keys.push_back(key);
        let mut bytes: usize = self.keys.iter().map(|key| key.chunk.len()).sum();
        while self.keys.len() > KEYS_MAX || (bytes > KEYS_BYTES_MAX && self.keys.len() > 1) {
            bytes -= self.keys.pop_front().map_or(0, |key| key.chunk.len());
        }
    }

    /// The newest keyframe of the connection that is open.
    pub fn current_key(&self) -> Option<&Key> {
        self.keys.back().filter(|_| self.has_current_key)
    }

    /// The newest keyframe.
    pub fn newest_key(&self) -> Option<&Key> {
        self.keys.back()
    }

    /// The keyframe nearest to a time, of those that are kept.
    pub fn key_at(&self, at: parking::Timestamp) -> Option<&Key> {
        self.keys
            .iter()
            .min_by_key(|key| key.stamp.at.millis_since(at).unsigned_abs())
    }

    /// Hands the fragment that is under way to the ring.
    fn flush(&mut self) {
        let chunks = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let (Some(ring), Some(stamp)) = (&self.ring, self.pending_at.take()) else {
            return;
        };
        if !self.ring_knows_init
            && let Some(init) = &self.init
        {
            self.ring_knows_init = ring.begin(init.bytes().clone());
        }
        let at = jiff::Timestamp::from_millisecond(stamp.at.as_millis());
        if let (Ok(at), false) = (at, chunks.is_empty()) {
            let clock = stamp.clock.into();
            if self.ring_knows_init {
                ring.append(Fragment { at, clock, chunks });
            } else {
                ring.dropped();
            }
        }
    }

    fn publish(&self, message: Message) {
        if let Err(error) = self.hub.publish(message) {
            tracing::debug!(camera = %self.camera, %error, "not shown");
        }
    }

    /// What is told of it.
    pub fn status(&self) -> StreamStatus {
        let figures = &self.figures;
        let info = self.init.as_ref().map(Init::info);
        StreamStatus {
            phase: match self.phase {
                Phase::Closed => PhaseStatus::Closed,
                Phase::Waiting(_) => PhaseStatus::Waiting,
                Phase::Opening(_) => PhaseStatus::Opening,
                Phase::Playing(_) => PhaseStatus::Playing,
            },
            codecs: info.map(|info| info.codec.clone()),
            width: info.map(|info| u32::from(info.width)),
            height: info.map(|info| u32::from(info.height)),
            fps: (self.fps() * 10.0).round() / 10.0,
            kbit: self.kbit().round(),
            gop_frames: figures.stats.gop_frames,
            frames: figures.frames,
            dropped_frames: figures.dropped_frames,
            lost_packets: figures.lost_packets,
            jumps: figures.jumps,
            connections: figures.connections,
            reordered: figures.format.as_ref().is_some_and(|format| format.reordered),
            ended: figures.ended.clone(),
            viewers: *self.viewers.borrow(),
            ring: self.ring.as_ref().and_then(RingHandle::status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::wire::{Client, Quirks, Transport};

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_needs_any_more_is_closed_and_wakes_nobody() {
        let source = Source {
            url: "rtsp://camera/main".to_owned(),
            credentials: None,
            transport: Transport::Tcp,
            client: Client::Auto,
            quirks: Quirks::default(),
        };
        let hub = Hub::new(live::fanout::Limits::default());
        let camera = CameraId::new("gate-1").unwrap();
        let mut stream = Stream::new(camera, Profile::Main, source, None, hub.clone(), false);
        assert!(!stream.is_wanted(Instant::now()));
        let viewer = hub.join().unwrap();
        assert!(stream.is_wanted(Instant::now()));
        stream.phase = Phase::Playing(Instant::now());
        drop(viewer);
        tokio::time::advance(LINGER / 2).await;
        assert!(stream.is_wanted(Instant::now()), "whoever left may come back");
        let until = stream.wanted_until().unwrap();
        tokio::time::advance(LINGER).await;
        assert!(until <= Instant::now() && !stream.is_wanted(Instant::now()));
        stream.phase = Phase::Closed;
        stream.stopped();
        stream.stats(Stats {
            span: Duration::from_secs(1),
            bytes: 500_000,
            ..Stats::default()
        });
        assert!(stream.status().kbit < 1.0, "the rate of what is over is none");
        assert_eq!(
            stream.wanted_until(),
            None,
            "or the camera's task would never sleep again"
        );
    }
}
