//! One space and its magnetometer: samples in, readings out.

use std::time::Duration;

use parking::{BootId, ClockQuality, Reading, Stamp, Timestamp};
use serde::{Deserialize, Serialize};
use wired::Field;
use wired::adaptive::{Detector, RuleError, Sample, State};

use super::super::super::codecs::Health;
use super::super::Voice;
use super::{Probe, Seen};
use crate::state;

/// A baseline is this old when nobody knows how old it is, seconds: it has seen a night or a noon.
const AGE_UNKNOWN_S: f64 = 12.0 * 3_600.0;

/// What a sample told.
pub(super) struct Said {
    /// To be kept.
    pub reading: Option<(Reading, Health)>,
    /// The state is another.
    pub is_decided: bool,
}

/// A baseline as it is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    baseline: Field,
    at: Timestamp,
    boot: BootId,
    mono_ms: u64,
    clock: ClockQuality,
}

/// A space.
pub(super) struct Space {
    probe: Probe,
    detector: Detector,
    voice: Voice,
    last: Option<(Stamp, Field)>,
    /// When measurements began again after a gap, seconds.
    resumed_s: f64,
    failed: Option<String>,
    is_stuck_told: bool,
    is_uncalibrated_told: bool,
}

impl Space {
    pub fn new(probe: Probe) -> Result<Self, RuleError> {
        Ok(Self {
            detector: Detector::new(probe.rules)?,
            voice: Voice::new(probe.sensor.clone()),
            probe,
            last: None,
            resumed_s: 0.0,
            failed: None,
            is_stuck_told: false,
            is_uncalibrated_told: false,
        })
    }

    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// It is not measured, and why.
    pub fn failed(&mut self, reason: String) {
        self.failed = Some(reason);
    }

    /// A measurement on the axis of time that does not step.
    pub fn sample(now: Stamp, field: Field) -> Sample {
        let at_s = Duration::from_millis(now.mono_ms).as_secs_f64();
        Sample { at_s, field }
    }

    /// Whether `now` is after the last sample. A thread that was held up measures twice in a tick of the clock: the second
    /// tells nothing.
    pub fn is_later(&self, now: Stamp) -> bool {
        self.last.is_none_or(|(last, _)| now.mono_ms > last.mono_ms)
    }

    /// Takes a sample that is later than the last.
    pub fn step(&mut self, now: Stamp, sample: Sample) -> Said {
        self.failed = None;
        let before = self.last.replace((now, sample.field));
        let gap_s = before.map(|(before, _)| now.mono_ms.saturating_sub(before.mono_ms));
        if gap_s.is_some_and(|gap| Duration::from_millis(gap).as_secs_f64() > self.probe.rules.gap_s) {
            self.voice.lost_sight();
            self.resumed_s = sample.at_s;
        }
        let decided = self.detector.step(sample);
        if !self.detector.view().is_stuck {
            self.is_stuck_told = false;
        }
        let is_occupied = match self.detector.state() {
            State::Unknown => None,
            State::Free => Some(false),
            State::Occupied => Some(true),
        };
        let ago = |since_s: f64| Duration::from_secs_f64((sample.at_s - since_s).max(0.0));
        let reading = match (decided, is_occupied) {
            (_, None) => {
                self.voice.lost_sight();
                None
            }
            (Some(decision), Some(is_occupied)) => Some(self.voice.changed(now, is_occupied, ago(decision.since_s))),
            (None, Some(is_occupied)) => {
                let sure_s = self.detector.sure_until_s();
                let sure_s = sure_s.filter(|sure_s| *sure_s >= self.resumed_s);
                sure_s.and_then(|sure_s| self.voice.still(now, is_occupied, ago(sure_s)))
            }
        };
        Said {
            reading: reading.map(|reading| (reading, self.health())),
            is_decided: decided.is_some(),
        }
    }

    fn health(&self) -> Health {
        let view = self.detector.view();
        Health {
            field_off_nt: view.distance_nt.map(f64::round),
            stuck: view.is_stuck.then_some(true),
            ..Health::default()
        }
    }

    /// What a technician should know and was not told.
    pub fn trouble(&mut self) -> Option<(&'static str, String)> {
        let view = self.detector.view();
        if view.is_stuck && !std::mem::replace(&mut self.is_stuck_told, true) {
            let reason = "the vehicle has not moved for longer than is plausible: look at the space, and calibrate it if it is free";
            return Some(("stuck", reason.to_owned()));
        }
        if view.baseline.is_none() && !std::mem::replace(&mut self.is_uncalibrated_told, true) {
            let reason = format!(
                "it was never calibrated, its space is unknown: when no vehicle is there, run `gateway sensors calibrate CONFIG {}`",
                self.probe.sensor
            );
            return Some(("uncalibrated", reason));
        }
        None
    }

    /// Somebody says that no vehicle is there.
    pub fn calibrate(&mut self, now: Stamp) -> Result<(Field, Option<(Reading, Health)>), String> {
        if let Some(reason) = &self.failed {
            return Err(format!("it is not measured: {reason}"));
        }
        let was = self.detector.state();
        let baseline = self.detector.calibrate().map_err(|error| error.to_string())?;
        self.is_uncalibrated_told = false;
        let said = match was {
            State::Free => None,
            // Nobody saw when it became free.
            State::Unknown | State::Occupied => {
                self.voice.lost_sight();
                Some(self.voice.changed(now, false, Duration::ZERO))
            }
        };
        Ok((baseline, said.map(|reading| (reading, self.health()))))
    }

    /// What it shows.
    pub fn seen(&self) -> Seen {
        let view = self.detector.view();
        let uncalibrated = || view.baseline.is_none().then(|| "not calibrated".to_owned());
        let stuck = || view.is_stuck.then(|| "has not moved for a day or more".to_owned());
        Seen {
            at: self.last.map(|(stamp, _)| stamp.at),
            field: self.last.map(|(_, field)| field),
            baseline: view.baseline,
            distance_nt: view.distance_nt,
            enter_nt: self.probe.rules.enter_nt,
            state: view.state,
            trouble: self.failed.clone().or_else(uncalibrated).or_else(stuck),
        }
    }

    /// Writes the baseline down, as it is now.
    pub fn keep(&self, memory: &state::Board) {
        let view = self.detector.view();
        let (Some(baseline), Some((last, _))) = (view.baseline, self.last) else {
            return;
        };
        // Of a space that is unknown, the baseline is as old as before.
        if view.state == State::Unknown {
            return;
        }
        let kept = Kept {
            baseline,
            at: last.at,
            boot: last.boot,
            mono_ms: last.mono_ms,
            clock: last.clock,
        };
        if let Ok(bytes) = serde_json::to_vec(&kept) {
            memory.remember(&self.memory_name(), &bytes);
        }
    }

    /// Takes the baseline that was written down, if there is one.
    pub fn recall(&mut self, memory: &state::Board, now: Stamp) {
        let kept = memory.recall(&self.memory_name());
        let Some(kept) = kept.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok()) else {
            return;
        };
        let is_dated = |clock| clock != ClockQuality::Unset;
        let age_ms = if kept.boot == now.boot {
            now.mono_ms.checked_sub(kept.mono_ms)
        } else if is_dated(kept.clock) && is_dated(now.clock) {
            u64::try_from(now.at.millis_since(kept.at)).ok()
        } else {
            None
        };
        let age_s = age_ms.map_or(AGE_UNKNOWN_S, |age| Duration::from_millis(age).as_secs_f64());
        self.detector.resume(kept.baseline, age_s);
    }

    fn memory_name(&self) -> String {
        format!("baseline/{}", self.probe.sensor)
    }
}

#[cfg(test)]
mod tests;
