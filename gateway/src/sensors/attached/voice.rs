//! What the box says for a sensor that hangs on it.

use std::time::Duration;

use parking::{Reading, Report, ReportKind, SensorId, Stamp};

use super::SAY_EVERY;

/// Says the states of one sensor.
#[derive(Debug, Clone)]
pub struct Voice {
    sensor: SensorId,
    /// Of when it said something last, milliseconds.
    said_ms: Option<u64>,
    /// Nothing can have changed unseen since then.
    is_watching: bool,
}

impl Voice {
    /// A sensor of which nothing was said yet.
    pub fn new(sensor: SensorId) -> Self {
        Self {
            sensor,
            said_ms: None,
            is_watching: false,
        }
    }

    /// Nothing was seen for a while. What is seen next may have been so for long: it is said as a state, and not as a change.
    pub fn lost_sight(&mut self) {
        self.is_watching = false;
    }

    /// Its space is `is_occupied`, and became it `ago`.
    pub fn changed(&mut self, now: Stamp, is_occupied: bool, ago: Duration) -> Reading {
        let kind = if self.is_watching {
            ReportKind::Status
        } else {
            ReportKind::Heartbeat
        };
        self.say(now, kind, is_occupied, ago)
    }

    /// Its space was still `is_occupied` when it was last certain, `ago`. Said only now and then.
    pub fn still(&mut self, now: Stamp, is_occupied: bool, ago: Duration) -> Option<Reading> {
        let certain_ms = now.mono_ms.saturating_sub(millis(ago));
        let is_due = |said: u64| u128::from(certain_ms.saturating_sub(said)) >= SAY_EVERY.as_millis();
        let say = !self.is_watching || self.said_ms.is_none_or(is_due);
        say.then(|| self.say(now, ReportKind::Heartbeat, is_occupied, ago))
    }

    fn say(&mut self, now: Stamp, kind: ReportKind, is_occupied: bool, ago: Duration) -> Reading {
        self.said_ms = Some(now.mono_ms.saturating_sub(millis(ago)));
        self.is_watching = true;
        let observed = now.at.plus_millis(-i64::try_from(ago.as_millis()).unwrap_or(0));
        Reading {
            sensor: self.sensor.clone(),
            observed: observed.floor_to_second(),
            received: now,
            sequence: None,
            // The same reading may be handed on again.
            message: Some(format!("{}-{}", now.boot.0, now.mono_ms)),
            report: Report {
                kind,
                occupied: Some(is_occupied),
                ..Report::default()
            },
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
