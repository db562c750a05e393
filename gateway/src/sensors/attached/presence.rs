//! From what a sensor shows again and again to what the box says of its space.

use std::time::Duration;

use parking::{Reading, SensorId, Stamp};
use wired::Steady;

use super::{SILENT, Voice};

/// A space as one sensor shows it, of those that show it often.
#[derive(Debug, Clone)]
pub struct Presence {
    hold_s: f64,
    steady: Steady,
    voice: Voice,
    /// A pause longer than this leaves open what was there meanwhile, milliseconds.
    gap_ms: u64,
    /// When it showed something last, milliseconds.
    shown_ms: Option<u64>,
    /// When that was a state.
    state_ms: Option<u64>,
}

impl Presence {
    /// A state counts when it has been shown for `hold_s`, without a pause longer than `gap`.
    pub fn new(sensor: SensorId, hold_s: f64, gap: Duration) -> Self {
        Self {
            hold_s,
            steady: Steady::new(hold_s),
            voice: Voice::new(sensor),
            gap_ms: millis(gap),
            shown_ms: None,
            state_ms: None,
        }
    }

    /// It cannot be asked, or what it shows means nothing: whatever it shows next has to hold as after a start, and is no
    /// change that was seen.
    pub fn lost_sight(&mut self) {
        self.steady = Steady::new(self.hold_s);
        self.voice.lost_sight();
    }

    /// It shows something that means neither: what was about to change has to hold anew.
    pub fn shows_neither(&mut self, now: Stamp) {
        self.shows_something(now);
        self.steady.interrupted();
    }

    /// It shows a state.
    pub fn shows(&mut self, now: Stamp, is_occupied: bool) -> Option<Reading> {
        self.shows_something(now);
        let before_ms = self.state_ms.replace(now.mono_ms);
        // It may have shown neither all the time.
        if before_ms.is_some_and(|before| now.mono_ms.saturating_sub(before) > self.blind_ms()) {
            self.lost_sight();
        }
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

    fn shows_something(&mut self, now: Stamp) {
        let before_ms = self.shown_ms.replace(now.mono_ms);
        let pause_ms = before_ms.map_or(0, |before| now.mono_ms.saturating_sub(before));
        if pause_ms > self.blind_ms() {
            self.lost_sight();
        } else if pause_ms > self.gap_ms {
            self.steady.interrupted();
        }
    }

    /// Who saw nothing for so long does not know what happened meanwhile, milliseconds.
    fn blind_ms(&self) -> u64 {
        millis(SILENT).max(self.gap_ms)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use ReportKind::{Heartbeat, Status};
    use parking::{BootId, ClockQuality, ReportKind, Timestamp};

    use super::*;

    struct Space {
        presence: Presence,
        now_ms: u64,
        said: Vec<(ReportKind, bool)>,
    }

    impl Space {
        fn new() -> Self {
            let sensor = SensorId::new("p-1").unwrap();
            Self {
                presence: Presence::new(sensor, 1.0, Duration::from_secs(2)),
                now_ms: 0,
                said: Vec::new(),
            }
        }

        fn look(&mut self, later_ms: u64, state: Option<bool>) {
            self.now_ms += later_ms;
            let now = Stamp {
                at: Timestamp::from_millis(1_767_600_000_000 + i64::try_from(self.now_ms).unwrap()),
                boot: BootId(7),
                mono_ms: self.now_ms,
                clock: ClockQuality::Synced,
            };
            let Some(state) = state else {
                return self.presence.shows_neither(now);
            };
            let reading = self.presence.shows(now, state).map(|reading| reading.report);
            self.said
                .extend(reading.map(|report| (report.kind, report.occupied.unwrap())));
        }

        fn shows(&mut self, seconds: u64, state: Option<bool>) {
            (0..seconds * 10).for_each(|_| self.look(100, state));
        }
    }

    #[test]
    fn a_change_is_one_that_was_seen_and_a_short_doubt_does_not_hide_it() {
        let mut space = Space::new();
        space.shows(5, Some(true));
        space.shows(2, None);
        space.shows(5, Some(false));
        assert_eq!(space.said, [(Heartbeat, true), (Status, false)]);
    }

    #[test]
    fn after_an_hour_of_neither_another_state_is_no_change_that_was_seen() {
        let mut space = Space::new();
        space.shows(5, Some(true));
        space.shows(3_600, None);
        space.shows(5, Some(false));
        assert_eq!(space.said, [(Heartbeat, true), (Heartbeat, false)]);
    }

    #[test]
    fn after_a_loss_of_sight_one_glimpse_is_no_state() {
        let mut space = Space::new();
        space.shows(5, Some(true));
        space.presence.lost_sight();
        space.look(600_000, Some(true));
        space.look(20, Some(false));
        space.shows(5, Some(false));
        assert_eq!(space.said, [(Heartbeat, true), (Heartbeat, false)]);
    }
}
