//! Where vehicles may have come and gone unseen.
//!
//! A lost report need not show in the states that are known: of a vehicle whose arrival and departure were both lost,
//! nothing is left. What is left may be a trace: a silence, or a frame counter that says how many frames are missing.
//! Each such span is kept as a [`Doubt`], with what bears on the number of vehicles in it. How many there were is not
//! judged here, as that depends on how busy the street was (`report::unseen`).
//!
//! A sensor that counts its own changes ends all doubt between two of its totals.

use serde::{Deserialize, Serialize};

use super::{Began, Limits, Walk};
use crate::Timestamp;
use crate::event::{Event, Said};
use crate::stay::Stay;

/// Doubts that are kept of one space; beyond that, the oldest two become one.
const DOUBTS_MAX: usize = 64;
/// A frame counter that jumps by more than this was set anew.
const FRAMES_MISSING_MAX: u32 = 10_000;
/// A frame that is this far behind was overtaken; one further behind is of a sensor that has started anew. Frames are in
/// their order wherever the box knows the time.
const OVERTAKEN_MAX: u32 = 64;

/// A span in which vehicles may have come and gone unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    pub from: Timestamp,
    pub until: Timestamp,
    /// The state at its begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<bool>,
    /// The state right before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<bool>,
    /// Frames that were sent in it and did not arrive, no more than which can have told of changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// Until when these frames were sent, if that is later than the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_until: Option<Timestamp>,
    /// The state in it is unknown.
    pub blind: bool,
    /// By how many the vehicles that came, as the sensor counted them, differ from the stays that are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<i32>,
}

impl Doubt {
    /// A span in which the state is unknown.
    pub fn blind(from: Timestamp, until: Timestamp, before: Option<bool>, after: Option<bool>) -> Self {
        Self {
            from,
            until,
            before,
            after,
            frames: None,
            frames_until: None,
            blind: true,
            uncounted: None,
        }
    }
}

/// A sensor's total of changes, and the stays that were known then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Total {
    at: Timestamp,
    changes: u32,
    opened: u32,
    occupied: bool,
}

impl Limits {
    /// Heartbeats that were certainly due between two reports, the one at the end left out.
    fn heartbeats_due(&self, from: Timestamp, until: Timestamp) -> i64 {
        let longest_ms = self.heartbeat_ms + self.heartbeat_ms / 4;
        if longest_ms > 0 {
            until.millis_since(from) / longest_ms
        } else {
            0
        }
    }
}

impl Walk {
    pub(super) fn doubt(&mut self, mut doubt: Doubt) {
        if let Some(total) = self
            .last_total
            .filter(|total| doubt.from < total.at && doubt.uncounted.is_none())
        {
            // What was before is counted, and the state at that time known.
            (doubt.from, doubt.before) = (total.at, Some(total.occupied));
        }
        if doubt.from >= doubt.until {
            return;
        }
        self.doubts.push(doubt);
        if let [first, second, ..] = self.doubts[..]
            && self.doubts.len() > DOUBTS_MAX
        {
            self.doubts[1] = Doubt {
                blind: first.blind && second.blind,
                ..Doubt::blind(first.from, second.until, first.before, second.after)
            };
            self.doubts.remove(0);
        }
    }

    /// Stays whose begin was inferred in `doubt`.
    pub fn inferred_in(&self, doubt: &Doubt) -> u32 {
        let is_inferred = |stay: &&Stay| {
            stay.start.bounds.is_some() && doubt.from <= stay.start.point && stay.start.point <= doubt.until
        };
        u32::try_from(self.stays.iter().filter(is_inferred).count()).unwrap_or(u32::MAX)
    }

    /// Counts the frames that are missing before one that has arrived.
    pub(super) fn count_frames(&mut self, sequence: Option<u32>) {
        let (Some(last), Some(now)) = (self.sequence, sequence) else {
            self.frames_missing = None;
            self.sequence = sequence.or(self.sequence);
            return;
        };
        if now < last && last - now <= OVERTAKEN_MAX {
            self.frames_missing = self.frames_missing.map(|missing| missing.saturating_sub(1));
            return;
        }
        let step = now.checked_sub(last).map(|step| step.saturating_sub(1));
        let step = step.filter(|missing| *missing <= FRAMES_MISSING_MAX);
        self.frames_missing = self.frames_missing.zip(step).map(|(before, more)| before + more);
        self.sequence = Some(now);
    }

    /// Frames are missing since a state was last said. With one more than the states at either end explain, a pair of
    /// changes may have been lost. With fewer than the heartbeats that were due, the sensor was off for a while.
    pub(super) fn doubt_frames(
        &mut self,
        from: Timestamp,
        event: &Event,
        states: (bool, bool),
        said: Said,
        limits: &Limits,
    ) {
        let Some(mut frames) = self.frames_missing else { return };
        let (before, mut after) = states;
        let mut until = event.at;
        if let Some(began) = Began::of(event, said) {
            if began.covers(from) {
                return;
            }
            // Only what was before the state that ends now is in doubt; the change to that state was lost.
            until = began.within(from, event.at).earliest();
            after = said.occupied == Some(true);
            frames = frames.saturating_sub(1);
        }
        let was_off = i64::from(frames) < limits.heartbeats_due(from, event.at);
        if was_off || frames >= 2 + u32::from(before != after) {
            self.doubt(Doubt {
                frames: Some(frames).filter(|_| !was_off),
                frames_until: Some(event.at).filter(|at| !was_off && until < *at),
                blind: false,
                ..Doubt::blind(from, until, Some(before), Some(after))
            });
        }
    }

    /// A silence is over; before the report that ends it, the state was `after`.
    pub(super) fn doubt_silence(
        &mut self,
        from: Timestamp,
        until: Timestamp,
        states: (Option<bool>, bool),
        limits: &Limits,
    ) {
        let (before, after) = states;
        // A sensor that sent less than its heartbeats was off, and what it missed shows in no counter.
        let due = limits.heartbeats_due(from, until);
        let frames = self.frames_missing.filter(|frames| i64::from(*frames) >= due);
        self.doubt(Doubt {
            frames,
            ..Doubt::blind(from, until, before, Some(after))
        });
    }

    /// Whether a status that says the known state again tells of a change that was lost: its sensor sends none without a
    /// change, and this is no repetition of the one before.
    pub(super) fn tells_of_a_lost_change(&self, event: &Event, said: Said, limits: &Limits) -> bool {
        /// Whoever repeats what was not acknowledged, and counts no frames, does so within this time.
        const REPEATED_MS: i64 = 300_000;
        let is_owed = |total: &Total| Some(total.occupied) != self.state && Some(total.at) >= self.said;
        let is_news = match (said.sequence, self.frames_missing) {
            // The sensor's total has told of it already.
            _ if self.last_total.as_ref().is_some_and(is_owed) => true,
            (Some(_), Some(missing)) => missing > 0,
            // The frame counter was set anew: the sensor has started.
            (Some(_), None) => false,
            (None, _) => self
                .said
                .is_some_and(|before| event.at.millis_since(before) > REPEATED_MS),
        };
        limits.on_change && said.change && is_news
    }

    /// The state that ends now had begun at `began`: no doubt remains since then.
    pub(super) fn settle_doubts(&mut self, began: Began) {
        self.doubts.retain(|doubt| !began.covers(doubt.from));
        if let Some(doubt) = self.doubts.last_mut().filter(|doubt| doubt.until > began.latest) {
            doubt.until = began.latest.max(doubt.from);
        }
    }

    /// The sensor's total of changes came in a known state.
    pub(super) fn total(&mut self, at: Timestamp, changes: u32) {
        let Some(occupied) = self.state else { return };
        let mut now = Total {
            at,
            changes,
            opened: self.opened,
            occupied,
        };
        let earlier = self
            .last_total
            .and_then(|total| Some((total, changes.checked_sub(total.changes)?)));
        let Some((before, more)) = earlier else {
            self.last_total = Some(now);
            return;
        };
        // Whether the last change was lost shows in the parity. The next report will tell of it, and open a stay.
        now.occupied = before.occupied ^ (more % 2 == 1);
        now.opened = self.opened.wrapping_add(u32::from(now.occupied && !occupied));
        self.last_total = Some(now);
        // Who begins free arrives first.
        let arrivals = more.saturating_add(u32::from(!before.occupied)) / 2;
        let known = now.opened.wrapping_sub(before.opened);
        let uncounted = i32::try_from(i64::from(arrivals) - i64::from(known)).ok();
        let within: Vec<Doubt> = self
            .doubts
            .iter()
            .filter(|doubt| doubt.until > before.at)
            .copied()
            .collect();
        self.doubts.retain(|doubt| doubt.until <= before.at);
        self.frames_missing = self.frames_missing.map(|_| 0);
        if uncounted != Some(0) {
            let from = within.first().map_or(before.at, |doubt| doubt.from);
            let until = within.last().map_or(at, |doubt| doubt.until);
            self.doubt(Doubt {
                uncounted,
                blind: false,
                ..Doubt::blind(from, until, None, None)
            });
        }
        for doubt in within.iter().filter(|doubt| doubt.blind) {
            // What the state was in it remains unknown.
            self.doubt(Doubt {
                uncounted: Some(0),
                ..*doubt
            });
        }
    }
}
