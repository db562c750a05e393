//! From what a sensor shows again and again to what the box says of its space.

use std::time::Duration;

use parking::{Reading, SensorId, Stamp};
use wired::Steady;

use super::Voice;

/// A space as one sensor shows it, of those that show it often.
#[derive(Debug, Clone)]
pub struct Presence {
    steady: Steady,
    voice: Voice,
    /// A pause longer than this leaves open what was there meanwhile, milliseconds.
    gap_ms: u64,
    /// When it showed something last, milliseconds.
    shown_ms: Option<u64>,
}

impl Presence {
    /// A state counts when it has been shown for `hold_s`, without a pause longer than `gap`.
    pub fn new(sensor: SensorId, hold_s: f64, gap: Duration) -> Self {
        Self {
            steady: Steady::new(hold_s),
            voice: Voice::new(sensor),
            gap_ms: u64::try_from(gap.as_millis()).unwrap_or(u64::MAX),
            shown_ms: None,
        }
    }

    /// It shows neither: what was about to change has to hold anew.
    pub fn is_unclear(&mut self) {
        self.steady.interrupted();
    }

    /// It cannot be asked, or what it shows means nothing.
    pub fn lost_sight(&mut self) {
        self.steady.interrupted();
        self.voice.lost_sight();
    }

    /// It shows something, whatever it is.
    pub fn shows_something(&mut self, now: Stamp) {
        let before_ms = self.shown_ms.replace(now.mono_ms);
        if before_ms.is_some_and(|before| now.mono_ms.saturating_sub(before) > self.gap_ms) {
            self.steady.interrupted();
        }
    }

    /// It shows a state.
    pub fn shows(&mut self, now: Stamp, is_occupied: bool) -> Option<Reading> {
        self.shows_something(now);
        let at_s = Duration::from_millis(now.mono_ms).as_secs_f64();
        let change = self.steady.step(at_s, is_occupied);
        match (change, self.steady.state()?) {
            (Some(change), state) => {
                let ago = Duration::from_secs_f64((at_s - change.since_s).max(0.0));
                Some(self.voice.changed(now, state, ago))
            }
            // What is about to change would be dated before this.
            (None, state) if state == is_occupied => self.voice.still(now, state, Duration::ZERO),
            (None, _) => None,
        }
    }
}
