//! What was reported, in order of time, bounded.
//!
//! Events wait in their order until they are folded: what follows from them is then settled and can no longer change.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::{BootId, Timestamp};

/// Folded events remembered, so that one of them that comes again is known.
const FOLDED_KEPT: usize = 16;

/// Events of one space or one counter.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct History {
    /// The last events that were folded. What is not after them can no longer be added.
    folded: Vec<Event>,
    #[serde(rename = "history")]
    recent: Vec<Event>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It stands at this place among those that are not folded.
    At(usize),
    /// It was there already.
    Duplicate,
    /// It is older than what is folded.
    TooLate,
}

impl History {
    /// Events that are not folded.
    pub fn recent(&self) -> &[Event] {
        &self.recent
    }

    /// The time of the last event; the beginning of time before the first.
    pub fn last_at(&self) -> Timestamp {
        let last = self.recent.last().or(self.folded.last());
        last.map_or(Timestamp::from_millis(i64::MIN), |event| event.at)
    }

    /// Moves an event that must not be lost behind what can no longer change.
    pub fn placed(&self, mut event: Event) -> Event {
        if let Some(last) = self.folded.last().filter(|last| event <= **last) {
            event.at = last.at;
            if event <= *last {
                event.at = last.at.plus_seconds(1);
            }
        }
        event
    }

    /// Whether `event` may be added, and where.
    pub fn place(&self, event: &Event) -> Placed {
        if self
            .recent
            .iter()
            .rev()
            .chain(&self.folded)
            .any(|known| known.is_same(event))
        {
            return Placed::Duplicate;
        }
        if self.folded.last().is_some_and(|last| event < last) {
            return Placed::TooLate;
        }
        Placed::At(self.recent.partition_point(|known| known <= event))
    }

    /// Adds an event at the place that [`History::place`] gave for it.
    pub fn insert(&mut self, place: usize, event: Event) {
        self.recent.insert(place, event);
    }

    /// Moves what the unset clock of `boot` dated by `offset_ms`, and with it all that lies after `limit`. Whether there was
    /// anything.
    pub fn correct_clock(&mut self, boot: BootId, offset_ms: i64, limit: Timestamp) -> bool {
        let mut moved = false;
        for event in self.folded.iter_mut().chain(&mut self.recent) {
            let unset = event.unset == Some(boot);
            if !unset && event.at <= limit {
                continue;
            }
            event.received = event.received.plus_millis(offset_ms);
            let at = if unset {
                event.received.plus_seconds(-i64::from(event.seen_s))
            } else {
                event.at.plus_millis(offset_ms)
            };
            event.at = at.floor_to_second();
            event.unset = event.unset.filter(|_| !unset);
            moved = true;
        }
        if moved {
            self.restore_order();
        }
        moved
    }

    /// Puts events into their order after something moved them; none comes before what is folded.
    fn restore_order(&mut self) {
        self.folded.sort();
        self.recent.sort();
        let folded = self.folded.last().cloned();
        for event in self.recent.iter_mut().filter(|event| folded.as_ref() > Some(*event)) {
            event.at = folded.as_ref().map_or(event.at, |folded| folded.at);
        }
        self.recent.sort();
    }

    /// How many events are to be folded, if any: those before `horizon` once there are some before `slack`, and those
    /// beyond `max`, down to `kept`.
    pub fn foldable(&self, horizon: Timestamp, slack: Timestamp, max: usize, kept: usize) -> Option<usize> {
        let is_stale = self.recent.first().is_some_and(|event| event.at < slack);
        let is_full = self.recent.len() > max;
        let old = self.recent.partition_point(|event| event.at < horizon);
        let surplus = if is_full { self.recent.len() - kept } else { 0 };
        (is_stale || is_full).then(|| old.max(surplus))
    }

    /// Takes the first `count` events out; the last of them are remembered.
    pub fn fold(&mut self, count: usize) {
        self.folded.extend(self.recent.drain(..count));
        self.folded.drain(..self.folded.len().saturating_sub(FOLDED_KEPT));
    }
}
