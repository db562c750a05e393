//! What sensors said last, for the technician. Lost with the daemon; the ledger needs none of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use parking::{Reading, SensorId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::sensors::codecs::Health;

/// Changes of state that are kept of a sensor, the latest; of more in an hour there is no need to know.
const FLIPS_MAX: usize = 999;
/// An hour, seconds.
const HOUR_S: i64 = 3_600;

/// What a sensor said last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Last {
    /// When it saw what it said.
    pub observed: Option<Timestamp>,
    /// When the box took it in.
    pub received: Option<Timestamp>,
    /// The last state that it told.
    pub occupied: Option<bool>,
    /// The last total that it told, for sensors that count.
    pub count: Option<u32>,
    /// Readings since the daemon started.
    pub readings: u64,
    /// Readings with a state or a total among them.
    pub telling: u64,
    /// Changes of state in the last hour.
    pub flips: usize,
    /// How it is.
    pub health: Health,
}

#[derive(Debug, Default)]
struct Entry {
    last: Last,
    flipped: VecDeque<Timestamp>,
}

/// Of all sensors. Shared by the engine, which writes, and the local API.
#[derive(Debug, Default)]
pub struct Heard(Mutex<HashMap<SensorId, Entry>>);

impl Heard {
    /// Takes down what a sensor said.
    pub fn note(&self, reading: &Reading, health: &Health) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !heard.contains_key(&reading.sensor) {
            heard.insert(reading.sensor.clone(), Entry::default());
        }
        let Some(Entry { last, flipped }) = heard.get_mut(&reading.sensor) else {
            return;
        };
        last.readings += 1;
        last.received = Some(reading.received.at);
        last.telling += u64::from(reading.report.occupied.is_some() || reading.report.count.is_some());
        // What was late is not the last word, and what is ahead of its receipt will not be for ever.
        let observed = reading.observed.min(reading.received.at);
        if last.observed.is_some_and(|before| observed < before) {
            return;
        }
        last.observed = Some(observed);
        last.health.update(health);
        last.count = reading.report.count.or(last.count);
        if let Some(occupied) = reading.report.occupied {
            let was = last.occupied.replace(occupied);
            if was.is_some_and(|was| was != occupied) {
                if flipped.len() == FLIPS_MAX {
                    flipped.pop_front();
                }
                flipped.push_back(observed);
            }
        }
    }

    /// What a sensor said last, at `now`.
    pub fn of(&self, sensor: &SensorId, now: Timestamp) -> Last {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Entry { last, flipped }) = heard.get_mut(sensor) else {
            return Last::default();
        };
        flipped.retain(|at| now.seconds_since(*at) < HOUR_S);
        last.flips = flipped.len();
        last.clone()
    }
}

#[cfg(test)]
mod tests {
    use parking::{BootId, ClockQuality, Report, Stamp};

    use super::*;

    fn reading(seconds: i64, occupied: Option<bool>) -> Reading {
        let at = Timestamp::from_millis(1_767_600_000_000).plus_seconds(seconds);
        Reading {
            sensor: SensorId::new("s-1").unwrap(),
            observed: at,
            received: Stamp {
                at,
                boot: BootId(1),
                mono_ms: 0,
                clock: ClockQuality::Synced,
            },
            sequence: None,
            message: None,
            report: Report {
                occupied,
                ..Report::default()
            },
        }
    }

    #[test]
    fn flips_are_those_of_the_last_hour_and_late_words_are_not_the_last() {
        let heard = Heard::default();
        let health = |battery_v| Health {
            battery_v,
            ..Health::default()
        };
        for (seconds, occupied) in [(0, Some(false)), (10, Some(true)), (20, None), (30, Some(false))] {
            heard.note(&reading(seconds, occupied), &health(Some(3.6)));
        }
        heard.note(&reading(5, Some(true)), &health(Some(1.0)));
        heard.note(&reading(40, None), &health(None));
        let sensor = reading(0, None).sensor;
        let at = |seconds| heard.of(&sensor, reading(seconds, None).observed);
        assert_eq!((at(60).flips, at(60).readings, at(60).occupied), (2, 6, Some(false)));
        assert_eq!(at(60).health.battery_v, Some(3.6), "what is not said again stays");
        assert_eq!(at(3_615).flips, 1);
        assert_eq!(at(9_000).flips, 0);
        // Nobody has looked for long: the latest count.
        for seconds in 10_000..13_000 {
            heard.note(&reading(seconds, Some(seconds % 2 == 0)), &health(None));
        }
        assert_eq!(at(13_000).flips, FLIPS_MAX);
    }
}
