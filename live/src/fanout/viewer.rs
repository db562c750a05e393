//! One viewer: where it is in the log, and what it has been told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log::{Entry, Seq};
use super::{Header, Totals};
use crate::message::Message;

/// What one viewer has received and missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ViewerCounters {
    /// Bytes of init segments and chunks that it took.
    pub bytes: u64,
    /// How often it was moved to a newer keyframe.
    pub skips: u64,
    /// How much it was told to have missed.
    pub skipped: Duration,
}

/// Where a viewer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Its next chunk is this one, which may not have been published yet.
    At(Seq),
    /// It waits for a keyframe.
    Keyframe,
}

#[derive(Debug)]
pub(super) struct Viewer {
    place: Place,
    /// When it came to its place by joining or being moved.
    pub(super) placed_at: Instant,
    /// Since when it has taken nothing after being moved.
    pub(super) stuck_since: Option<Instant>,
    /// It is ended, and may not have been told.
    pub(super) too_slow: bool,
    /// It has been told `ended`.
    pub(super) over: bool,
    pub(super) told_state: u64,
    pub(super) counters: ViewerCounters,
    told_stream: u64,
    told_init: u64,
    /// When what it has not been given was published, until it is told.
    skipped_from: Option<Instant>,
    /// The chunk before which it was told of a gap.
    told_gap: Option<Seq>,
    /// It has taken a chunk, so a gap means something to it.
    started: bool,
}

impl Viewer {
    pub(super) fn new(now: Instant, place: Place) -> Self {
        Self {
            place,
            placed_at: now,
            stuck_since: None,
            too_slow: false,
            over: false,
            told_state: 0,
            counters: ViewerCounters::default(),
            told_stream: 0,
            told_init: 0,
            skipped_from: None,
            told_gap: None,
            started: false,
        }
    }

    /// Returns its place in the log, unless it waits for a keyframe.
    pub(super) fn seq(&self) -> Option<Seq> {
        match self.place {
            Place::At(seq) => Some(seq),
            Place::Keyframe => None,
        }
    }

    pub(super) fn awaits_keyframe(&self) -> bool {
        self.place == Place::Keyframe && !self.too_slow
    }

    pub(super) fn move_to(&mut self, now: Instant, place: Place) {
        self.place = place;
        self.placed_at = now;
    }

    /// Leaves out what was published from `oldest` on.
    pub(super) fn skip(&mut self, now: Instant, oldest: Instant, place: Place) {
        self.move_to(now, place);
        self.skipped_from.get_or_insert(oldest);
        self.stuck_since.get_or_insert(now);
        self.counters.skips = self.counters.skips.saturating_add(1);
    }

    pub(super) fn end_too_slow(&mut self) {
        self.too_slow = true;
        self.place = Place::Keyframe;
    }

    /// Returns the part of the header that it has not been told.
    pub(super) fn tell_header(&mut self, header: &Arc<Header>) -> Option<Message> {
        if self.told_stream != header.generation {
            self.told_stream = header.generation;
            return Some(Message::Stream(header.stream.clone()));
        }
        if self.told_init != header.generation {
            self.told_init = header.generation;
            return Some(Message::Init(header.init.clone()));
        }
        None
    }

    /// Returns how much is missing before the chunk, if it has not been told.
    pub(super) fn tell_skipped(&mut self, entry: &Entry) -> Option<Duration> {
        let own = self
            .skipped_from
            .take()
            .map(|from| entry.published.saturating_duration_since(from));
        let of_source = entry.source_gap.filter(|_| self.started && self.told_gap != self.seq());
        self.told_gap = self.seq();
        let skipped = own.or(of_source)?;
        self.counters.skipped = self.counters.skipped.saturating_add(skipped);
        Some(skipped)
    }

    pub(super) fn advance(&mut self) {
        if let Place::At(seq) = self.place {
            self.place = Place::At(seq.next());
        }
        self.started = true;
    }

    pub(super) fn count(&mut self, totals: &mut Totals, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.counters.bytes = self.counters.bytes.saturating_add(bytes);
        totals.delivered_bytes = totals.delivered_bytes.saturating_add(bytes);
    }
}
