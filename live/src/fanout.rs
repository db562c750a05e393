//! From one camera stream to several viewers: a pure machine.
//!
//! It holds the stream's description and init segment (together the *header*), the latest state of the camera, and one
//! log of chunks that all viewers share. A viewer is a place in that log, so a chunk is held once, however many wait
//! for it, and publishing does not depend on how slow somebody is.
//!
//! ```text
//!  log   K c c c c K c c c c c          K: begins with a keyframe, c: continues
//!        ^         ^       ^   ^
//!        slow      |       |   viewer at the live edge
//!        viewer    |       viewer, two chunks behind
//!                  start of the current GOP: where a joining viewer begins
//! ```
//!
//! **Invariants.** What [`Fanout::take`] gives to one viewer is: `stream`, init segment, a chunk that begins with a
//! keyframe, then chunks without a gap. After a gap it is `skipped`, then a chunk that begins with a keyframe. After a new
//! header it is `stream`, init segment, then a chunk that begins with a keyframe. `state` may come anywhere; only the
//! latest is told. `ended` is last.
//!
//! **Slow viewers.** After each chunk, a viewer whose queue exceeds [`Limits::queue`] or [`Limits::queue_span_max`] is
//! moved to the start of the current GOP if that is short enough ([`Limits::restart_span_max`], and half of the queue's
//! bound), else it waits for the next keyframe. One that, having been moved, does not even ask for a message during
//! [`Limits::stuck_max`] is ended. Spans are measured by when chunks were published, which for a live stream is
//! how much media they hold; no byte of the media is parsed.
//!
//! **Bounds.** A GOP that exceeds [`Limits::gop`] is not kept: viewers that follow are served, but one that joins waits
//! for the next keyframe. The log holds at most the larger of [`Limits::gop`] and [`Limits::queue`], and one chunk more
//! while it is being published. There are at most [`Limits::viewers_max`] viewers, ended ones included until they
//! leave; a further one is told that the place is taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{CameraState, Chunk, Init, Message, StreamInfo};

mod limits;
mod log;
mod viewer;

pub use limits::{Bound, Limits};
use log::{Entry, Log, Seq};
pub use viewer::ViewerCounters;
use viewer::{Place, Viewer};

/// Reason in the `ended` message for a viewer that took nothing for too long.
pub const REASON_TOO_SLOW: &str = "too_slow";

/// Identifies a viewer within one [`Fanout`]; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewerId(u64);

/// No place for a further viewer. Sent to it as [`Message::Busy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {viewers_max} viewers already\n  hint: close one, or raise the limit if the uplink can carry more")]
pub struct Busy {
    /// How many viewers there may be.
    pub viewers_max: u32,
}

impl From<Busy> for Message {
    fn from(busy: Busy) -> Self {
        Self::Busy {
            viewers_max: busy.viewers_max,
        }
    }
}

/// Why a message was not published. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// A chunk came before `stream` and init segment, or an init segment before `stream`.
    #[error("live stream has no `stream` and init segment before its first chunk")]
    NoHeader,
    /// Something came after `ended`.
    #[error("live stream has ended, nothing can follow")]
    Ended,
    /// A message that is no part of a stream.
    #[error("`busy` is no part of a live stream; it answers a request for one")]
    NotOfAStream,
}

/// What came of one call of [`Fanout::publish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It goes to the viewers.
    Taken,
    /// A chunk that continues nothing: no keyframe came since the header or the last gap. It was left out.
    AwaitingKeyframe,
}

/// Sums over the life of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of chunks that were published.
    pub published_bytes: u64,
    /// Bytes of init segments and chunks that viewers took.
    pub delivered_bytes: u64,
    /// How often a viewer was moved to a newer keyframe.
    pub skips: u64,
    /// How much viewers were told to have missed.
    pub skipped: Duration,
    /// How many viewers found no place.
    pub busy: u64,
    /// How many viewers were ended because they took nothing.
    pub too_slow: u64,
    /// Chunks that were left out because they continue nothing.
    pub unusable_chunks: u64,
}

/// Description and init segment of the chunks that follow.
#[derive(Debug)]
struct Header {
    stream: StreamInfo,
    init: Init,
    generation: u64,
}

/// The latest state of the camera, and how many there have been.
#[derive(Debug, Default)]
struct Latest {
    state: Option<CameraState>,
    version: u64,
}

/// One stream and its viewers. See the module's head.
#[derive(Debug)]
pub struct Fanout {
    limits: Limits,
    /// A `stream` message whose init segment has not come yet, or the current one.
    stream: Option<StreamInfo>,
    header: Option<Arc<Header>>,
    /// Headers so far; a viewer that has been told none is at 0.
    generations: u64,
    state: Latest,
    log: Log,
    /// A keyframe must come before anything else: after a header, after a gap.
    needs_keyframe: bool,
    /// How much the source has left out before the next chunk.
    source_gap: Option<Duration>,
    ended: Option<String>,
    viewers: BTreeMap<ViewerId, Viewer>,
    viewers_ever: u64,
    totals: Totals,
}

impl Fanout {
    /// Makes a stream that nobody watches and nothing is known about.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stream: None,
            header: None,
            generations: 0,
            state: Latest::default(),
            log: Log::default(),
            needs_keyframe: true,
            source_gap: None,
            ended: None,
            viewers: BTreeMap::new(),
            viewers_ever: 0,
            totals: Totals::default(),
        }
    }

    /// Lets a viewer in. It begins with the current GOP, if that is kept, else with the next keyframe.
    pub fn join(&mut self, now: Instant) -> Result<ViewerId, Busy> {
        if self.viewers.len() >= usize::try_from(self.limits.viewers_max).unwrap_or(usize::MAX) {
            self.totals.busy = self.totals.busy.saturating_add(1);
            return Err(Busy {
                viewers_max: self.limits.viewers_max,
            });
        }
        let place = self.log.gop().map_or(Place::Keyframe, Place::At);
        self.viewers_ever = self.viewers_ever.saturating_add(1);
        let id = ViewerId(self.viewers_ever);
        self.viewers.insert(id, Viewer::new(now, place));
        Ok(id)
    }

    /// Lets a viewer go. Its counters come back; `None` if it had gone before.
    pub fn leave(&mut self, viewer: ViewerId) -> Option<ViewerCounters> {
        let gone = self.viewers.remove(&viewer)?;
        self.trim();
        Some(gone.counters)
    }

    /// Takes the next message of the source.
    pub fn publish(&mut self, now: Instant, message: Message) -> Result<Published, PublishError> {
        if self.ended.is_some() {
            return Err(PublishError::Ended);
        }
        match message {
            Message::Busy { .. } => return Err(PublishError::NotOfAStream),
            Message::Stream(info) => {
                self.stream = Some(info);
                self.header = None;
                self.interrupt(None);
            }
            Message::Init(init) => {
                let stream = self.stream.clone().ok_or(PublishError::NoHeader)?;
                self.generations = self.generations.saturating_add(1);
                self.header = Some(Arc::new(Header {
                    stream,
                    init,
                    generation: self.generations,
                }));
                self.interrupt(None);
            }
            Message::State(state) => {
                self.state = Latest {
                    state: Some(state),
                    version: self.state.version.saturating_add(1),
                };
            }
            Message::Skipped(gap) => self.interrupt(Some(gap)),
            Message::Ended { reason } => self.ended = Some(reason),
            Message::Chunk(chunk) => return self.publish_chunk(now, chunk),
        }
        Ok(Published::Taken)
    }

    /// Takes the next message for a viewer; `None` when there is nothing for now, after `ended`, and for one that left.
    pub fn take(&mut self, viewer: ViewerId) -> Option<Message> {
        let viewer = self.viewers.get_mut(&viewer)?;
        viewer.stuck_since = None;
        if viewer.over {
            return None;
        }
        if viewer.too_slow {
            viewer.over = true;
            return Some(Message::Ended {
                reason: REASON_TOO_SLOW.to_owned(),
            });
        }
        if let Some(state) = self.state.state.as_ref()
            && viewer.told_state != self.state.version
        {
            viewer.told_state = self.state.version;
            return Some(Message::State(state.clone()));
        }
        let entry = viewer.seq().and_then(|seq| self.log.get(seq));
        let header = entry.map(|entry| &entry.header).or(self.header.as_ref());
        if let Some(message) = header.and_then(|header| viewer.tell_header(header)) {
            if let Message::Init(init) = &message {
                viewer.count(&mut self.totals, init.wire_bytes());
            }
            return Some(message);
        }
        if let Some(entry) = entry {
            if let Some(skipped) = viewer.tell_skipped(entry) {
                self.totals.skipped = self.totals.skipped.saturating_add(skipped);
                return Some(Message::Skipped(skipped));
            }
            viewer.count(&mut self.totals, entry.chunk.wire_bytes());
            viewer.advance();
            return Some(Message::Chunk(entry.chunk.clone()));
        }
        let reason = self.ended.clone()?;
        viewer.over = true;
        Some(Message::Ended { reason })
    }

    /// Tells whether the viewer has been ended for taking nothing; its connection may be closed without more ado.
    pub fn is_too_slow(&self, viewer: ViewerId) -> bool {
        self.viewers.get(&viewer).is_some_and(|viewer| viewer.too_slow)
    }

    /// Returns how many viewers there are.
    pub fn viewers(&self) -> usize {
        self.viewers.len()
    }

    /// Returns what a viewer has received and missed so far.
    pub fn counters(&self, viewer: ViewerId) -> Option<ViewerCounters> {
        self.viewers.get(&viewer).map(|viewer| viewer.counters)
    }

    /// Returns the sums over the life of the stream.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Returns the size of the chunks that are held now.
    pub fn held(&self) -> Bound {
        self.log.size()
    }

    /// Makes the next chunk start afresh. `gap`: how much the source has left out, if it says so.
    fn interrupt(&mut self, gap: Option<Duration>) {
        self.log.end_gop();
        self.needs_keyframe = true;
        self.source_gap = gap.map(|gap| gap.saturating_add(self.source_gap.unwrap_or_default()));
        self.trim();
    }

    fn publish_chunk(&mut self, now: Instant, chunk: Chunk) -> Result<Published, PublishError> {
        let header = self.header.clone().ok_or(PublishError::NoHeader)?;
        if self.needs_keyframe && !chunk.keyframe() {
            self.totals.unusable_chunks = self.totals.unusable_chunks.saturating_add(1);
            return Ok(Published::AwaitingKeyframe);
        }
        self.needs_keyframe = false;
        let keyframe = chunk.keyframe();
        let bytes = u64::try_from(chunk.wire_bytes()).unwrap_or(u64::MAX);
        self.totals.published_bytes = self.totals.published_bytes.saturating_add(bytes);
        let seq = self.log.push(Entry {
            chunk,
            header,
            published: now,
            source_gap: self.source_gap.take(),
        });
        if keyframe {
            self.log.begin_gop(seq);
            for viewer in self.viewers.values_mut().filter(|viewer| viewer.awaits_keyframe()) {
                viewer.move_to(now, Place::At(seq));
            }
        }
        if self
            .log
            .gop()
            .is_some_and(|gop| self.log.size_from(gop).exceeds(self.limits.gop))
        {
            self.log.end_gop();
        }
        self.judge(now);
        self.trim();
        Ok(Published::Taken)
    }

    /// Moves the viewers whose queues are too long, and ends those that were moved and still take nothing.
    fn judge(&mut self, now: Instant) {
        let restart = self.restart(now);
        for viewer in self.viewers.values_mut().filter(|viewer| !viewer.too_slow) {
            if viewer
                .stuck_since
                .is_some_and(|since| now.saturating_duration_since(since) >= self.limits.stuck_max)
            {
                viewer.end_too_slow();
                self.totals.too_slow = self.totals.too_slow.saturating_add(1);
                continue;
            }
            let Some((seq, oldest)) = viewer.seq().and_then(|seq| Some((seq, self.log.get(seq)?))) else {
                continue;
            };
            let waited = now.saturating_duration_since(oldest.published.max(viewer.placed_at));
            if waited <= self.limits.queue_span_max && !self.log.size_from(seq).exceeds(self.limits.queue) {
                continue;
            }
            let place = restart.filter(|start| *start > seq).map_or(Place::Keyframe, Place::At);
            viewer.skip(now, oldest.published, place);
            self.totals.skips = self.totals.skips.saturating_add(1);
        }
    }

    /// Where a viewer that is moved may continue at once, if the current GOP is short enough.
    fn restart(&self, now: Instant) -> Option<Seq> {
        let gop = self.log.gop()?;
        let span = now.saturating_duration_since(self.log.get(gop)?.published);
        let short = span <= self.limits.restart_span_max && !self.log.size_from(gop).exceeds(self.limits.queue.half());
        short.then_some(gop)
    }

    /// Lets go of what neither a viewer nor the current GOP needs.
    fn trim(&mut self) {
        let slowest = self.viewers.values().filter_map(Viewer::seq).min();
        let keep = [self.log.gop(), slowest].into_iter().flatten().min();
        self.log.trim(keep);
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
