//! Occupied or free by a magnetic field: an adaptive threshold.
//!
//! A vehicle bends the Earth's field. How far the field is from what it is without one, the baseline, tells whether
//! one stands there; but the baseline wanders by more in a day, with the heat, than a small vehicle makes. So:
//!
//! - While the space is free and the field quiet, the baseline follows it slowly.
//! - A field beyond [`Rules::enter_nt`] for some samples, or one that moves, opens a candidate; when it has become quiet
//!   beyond [`Rules::leave_nt`], a vehicle has stopped, and it came when the candidate opened. A bus in the next lane moves
//!   on, and leaves the field where it was. What moves and stays within `leave_nt` is no vehicle: a neighbour.
//! - Under a vehicle the baseline cannot be seen. What changes there slowly, and no faster than heat does, is taken for a
//!   change of the baseline; a step is another position of the vehicle, or a neighbour.
//! - The vehicle has left when the field is near the baseline for some time; or, if a neighbour came meanwhile, when far
//!   less is left of it for a minute than a vehicle makes.
//! - Should the baseline be wrong after all, the street tells: a field that is the same before and after a vehicle is that
//!   of the free space.
//!
//! Where nothing was measured for long, the baseline may have wandered: the state is unknown until the field tells it.

mod median;
mod rules;
mod window;

use serde::{Deserialize, Serialize};

use self::median::Median;
pub use self::rules::{RuleError, Rules};
use self::window::{Level, Window};
use crate::Field;

/// A field with so many times the deviation of a quiet one is that of something that moves near the sensor.
const MOVEMENT_FACTOR: f64 = 2.0;
/// A candidate is one for so long after the last that was seen of it, seconds: who manoeuvres stops in between.
const CANDIDATE_S: f64 = 15.0;
/// Another quiet field under a vehicle counts when it has been there for so long, seconds.
const SETTLED_S: f64 = 60.0;
/// A free space whose field is beyond `leave_nt`, but quiet, is followed so much more slowly: a neighbour.
const NEIGHBOUR_FACTOR: f64 = 10.0;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When, seconds since any fixed moment.
    pub at_s: f64,
    /// What.
    pub field: Field,
}

/// What is known of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing yet.
    Unknown,
    /// No vehicle.
    Free,
    /// A vehicle.
    Occupied,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// What it is now.
    pub state: State,
    /// Since when, by the samples' clock: some seconds before the decision.
    pub since_s: f64,
}

/// What the machine sees, for plots and for the technician.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// What the field would be without a vehicle; none before it is calibrated.
    pub baseline: Option<Field>,
    /// How far the field is from it, nanotesla.
    pub distance_nt: Option<f64>,
    /// The state.
    pub state: State,
    /// Whether a vehicle has not moved for longer than is plausible.
    pub is_stuck: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// No baseline.
    Uncalibrated,
    /// The baseline may have wandered by up to `slack_nt`. `seen`: the last quiet level.
    Unsure { slack_nt: f64, seen: Option<Field> },
    Free {
        /// Samples in a row beyond the threshold, or with movement.
        beyond: u32,
        /// When the first of them was taken.
        since_s: f64,
        /// When the last of a candidate was.
        candidate_s: Option<f64>,
    },
    Occupied {
        /// By how much the baseline may be off.
        slack_nt: f64,
        /// The quiet field under the vehicle.
        level: Field,
        /// The one before that, if it changed.
        before: Option<Field>,
        /// Another quiet field, and since when: a bus beside it, or another position.
        other: Option<(f64, Field)>,
        /// When it last was another.
        moved_s: f64,
        /// When it was last seen to be quiet.
        quiet_s: f64,
        /// Since when the field is near the baseline.
        near_s: Option<f64>,
    },
}

const FREE: Phase = Phase::Free {
    beyond: 0,
    since_s: 0.0,
    candidate_s: None,
};

/// The machine. See the module.
#[derive(Debug, Clone)]
pub struct Detector {
    rules: Rules,
    median: Median,
    /// As long as an arrival must be quiet.
    short: Window,
    /// As long as a departure must be.
    long: Window,
    baseline: Option<Field>,
    phase: Phase,
    last: Option<Sample>,
    /// The last sample before a gap, until what is seen after it confirms the state.
    blind_since_s: Option<f64>,
}

impl Detector {
    /// A sensor that was never calibrated: its state stays unknown.
    ///
    /// # Errors
    /// When a rule makes no sense.
    pub fn new(rules: Rules) -> Result<Self, RuleError> {
        rules.check()?;
        Ok(Self {
            rules,
            median: Median::default(),
            short: Window::new(rules.enter_quiet_s),
            long: Window::new(rules.leave_s),
            baseline: None,
            phase: Phase::Uncalibrated,
            last: None,
            blind_since_s: None,
        })
    }

    /// Takes over a baseline of `age_s` ago.
    pub fn resume(&mut self, baseline: Field, age_s: f64) {
        self.baseline = Some(baseline);
        self.phase = Phase::Unsure {
            slack_nt: self.slack_nt(age_s),
            seen: None,
        };
    }

    /// Somebody says that no vehicle is there: the field of the last seconds is the baseline.
    ///
    /// # Errors
    /// When they were not quiet.
    pub fn calibrate(&mut self) -> Result<Field, NotQuiet> {
        let level = self.long.level().ok_or(NotQuiet { deviation_nt: None })?;
        if level.deviation > self.rules.quiet_nt {
            return Err(NotQuiet {
                deviation_nt: Some(level.deviation),
            });
        }
        self.baseline = Some(level.mean);
        self.phase = FREE;
        Ok(level.mean)
    }

    /// What the machine sees.
    pub fn view(&self) -> View {
        let seen = self.last.zip(self.baseline);
        let is_stuck = |last: Sample| match self.phase {
            Phase::Occupied { moved_s, .. } => last.at_s - moved_s >= self.rules.stuck_s,
            _ => false,
        };
        View {
            baseline: self.baseline,
            distance_nt: seen.map(|(last, baseline)| last.field.distance(baseline)),
            state: self.state(),
            is_stuck: self.last.is_some_and(is_stuck),
        }
    }

    /// What is known of the space.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Uncalibrated | Phase::Unsure { .. } => State::Unknown,
            Phase::Free { .. } => State::Free,
            Phase::Occupied { .. } => State::Occupied,
        }
    }

    /// Until when the state is certain: no later decision begins before this. None while nothing is known.
    pub fn sure_until_s(&self) -> Option<f64> {
        let last_s = self.last?.at_s;
        match self.phase {
            Phase::Uncalibrated | Phase::Unsure { .. } => None,
            _ if self.blind_since_s.is_some() => self.blind_since_s,
            Phase::Free {
                beyond,
                since_s,
                candidate_s,
            } => Some(if beyond > 0 || candidate_s.is_some() {
                since_s
            } else {
                last_s
            }),
            Phase::Occupied { other, near_s, .. } => {
                // All departures but one are dated by the begin of as much quiet as they need.
                let since_s = other.map_or(last_s, |(since_s, _)| since_s.min(last_s));
                let quiet_s = since_s - self.rules.leave_s;
                Some(near_s.map_or(quiet_s, |near_s| near_s.min(quiet_s)))
            }
        }
    }

    /// Takes a sample; one that is not later than the last is ignored.
    pub fn step(&mut self, sample: Sample) -> Option<Decision> {
        let elapsed_s = self.last.map_or(0.0, |last| sample.at_s - last.at_s);
        if self.last.is_some() && elapsed_s.is_nan() || elapsed_s < 0.0 || (elapsed_s == 0.0 && self.last.is_some()) {
            return None;
        }
        let lost = if elapsed_s > self.rules.gap_s {
            self.interrupted(elapsed_s)
        } else {
            None
        };
        let field = self.median.push(sample.field);
        let sample = Sample { field, ..sample };
        self.last = Some(sample);
        self.short.push(sample);
        self.long.push(sample);
        self.confirm();
        let Some(baseline) = self.baseline else { return lost };
        let decided = match self.phase {
            Phase::Uncalibrated => None,
            Phase::Unsure { slack_nt, seen } => self.find_out(sample, baseline, slack_nt, seen),
            Phase::Free { .. } => self.watch_free(sample, baseline, elapsed_s),
            Phase::Occupied { .. } => self.watch_occupied(sample, baseline),
        };
        decided.or(lost)
    }

    /// After a gap, a quiet field tells whether the state is still what it was.
    fn confirm(&mut self) {
        let Some((baseline, _)) = self.baseline.zip(self.blind_since_s) else {
            return;
        };
        let is_confirmed = match self.phase {
            Phase::Uncalibrated | Phase::Unsure { .. } => true,
            Phase::Free { .. } => self
                .quiet(&self.short)
                .is_some_and(|level| level.mean.distance(baseline) < self.rules.enter_nt),
            Phase::Occupied { near_s, .. } => near_s.is_none() && self.quiet(&self.long).is_some(),
        };
        if is_confirmed {
            self.blind_since_s = None;
        }
    }

    /// Nothing was measured for `gap_s`.
    fn interrupted(&mut self, gap_s: f64) -> Option<Decision> {
        self.median = Median::default();
        self.short.clear();
        self.long.clear();
        let slack_nt = self.slack_nt(gap_s);
        let was = self.state();
        match &mut self.phase {
            Phase::Uncalibrated => {}
            Phase::Unsure { slack_nt: slack, seen } => (*slack, *seen) = (*slack + slack_nt, None),
            Phase::Free { .. } | Phase::Occupied { .. } if slack_nt > self.rules.leave_nt => {
                self.phase = Phase::Unsure { slack_nt, seen: None };
            }
            Phase::Free { .. } => self.phase = FREE,
            Phase::Occupied { near_s, .. } => *near_s = None,
        }
        let since_s = self.last.map_or(0.0, |last| last.at_s);
        self.blind_since_s.get_or_insert(since_s);
        (self.state() != was).then_some(Decision {
            state: State::Unknown,
            since_s,
        })
    }

    /// By how much the baseline may have wandered.
    fn slack_nt(&self, age_s: f64) -> f64 {
        self.rules.drift_nt_per_min * age_s.max(0.0) / 60.0
    }

    fn quiet(&self, window: &Window) -> Option<Level> {
        window.level().filter(|level| level.deviation <= self.rules.quiet_nt)
    }

    fn find_out(&mut self, sample: Sample, baseline: Field, slack_nt: f64, seen: Option<Field>) -> Option<Decision> {
        let level = self.quiet(&self.long)?;
        let off = level.mean.distance(baseline);
        let is_another = seen.filter(|seen| level.mean.distance(*seen) >= self.rules.enter_nt);
        let is_free = match is_another {
            // Of two levels, one is without a vehicle.
            Some(seen) if off < seen.distance(baseline) => {
                self.baseline = Some(level.mean);
                true
            }
            Some(seen) => {
                self.baseline = Some(seen);
                false
            }
            None if off < self.rules.leave_nt => true,
            None if off >= self.rules.enter_nt + slack_nt => false,
            None => {
                // It wanders on; what jumps is another.
                let seen = Some(level.mean);
                self.phase = Phase::Unsure { slack_nt, seen };
                return None;
            }
        };
        Some(if is_free {
            self.free(sample.at_s)
        } else {
            let slack_nt = if is_another.is_some() { 0.0 } else { slack_nt };
            self.occupied(level.mean, sample.at_s, sample.at_s, slack_nt)
        })
    }

    fn free(&mut self, since_s: f64) -> Decision {
        self.blind_since_s = None;
        self.phase = FREE;
        Decision {
            state: State::Free,
            since_s,
        }
    }

    fn occupied(&mut self, level: Field, since_s: f64, now_s: f64, slack_nt: f64) -> Decision {
        self.blind_since_s = None;
        self.phase = Phase::Occupied {
            slack_nt,
            level,
            before: None,
            other: None,
            moved_s: now_s,
            quiet_s: now_s,
            near_s: None,
        };
        Decision {
            state: State::Occupied,
            since_s,
        }
    }

    fn watch_free(&mut self, sample: Sample, baseline: Field, elapsed_s: f64) -> Option<Decision> {
        let Phase::Free {
            mut beyond,
            mut since_s,
            mut candidate_s,
        } = self.phase
        else {
            return None;
        };
        let level = self.short.level();
        let moves = level.is_some_and(|level| level.deviation >= MOVEMENT_FACTOR * self.rules.quiet_nt);
        let distance = sample.field.distance(baseline);
        if distance < self.rules.leave_nt {
            // Whoever comes has not come before this.
            since_s = sample.at_s;
            candidate_s = candidate_s.filter(|last_s| sample.at_s - last_s < CANDIDATE_S);
        }
        if moves || distance >= self.rules.enter_nt {
            if beyond == 0 && candidate_s.is_none() {
                since_s = sample.at_s;
            }
            beyond = beyond.saturating_add(1);
            if beyond >= self.rules.enter_samples {
                candidate_s = Some(sample.at_s);
            }
        } else {
            beyond = 0;
        }
        if let Some(level) = level.filter(|level| level.deviation <= self.rules.quiet_nt) {
            let off = level.mean.distance(baseline);
            match candidate_s {
                Some(_) if off >= self.rules.leave_nt && sample.at_s - since_s >= self.rules.enter_quiet_s => {
                    return Some(self.occupied(level.mean, since_s, sample.at_s, 0.0));
                }
                Some(_) if off >= self.rules.leave_nt => {}
                // It may be manoeuvring.
                Some(_) => since_s = sample.at_s,
                None if off < self.rules.enter_nt => {
                    let slower = if off < self.rules.leave_nt {
                        1.0
                    } else {
                        NEIGHBOUR_FACTOR
                    };
                    let share = (elapsed_s / (self.rules.follow_s * slower)).min(1.0);
                    self.baseline = Some(baseline + (level.mean - baseline) * share);
                }
                None => {}
            }
        }
        self.phase = Phase::Free {
            beyond,
            since_s,
            candidate_s,
        };
        None
    }

    fn watch_occupied(&mut self, sample: Sample, baseline: Field) -> Option<Decision> {
        let Phase::Occupied {
            slack_nt,
            mut level,
            mut before,
            mut other,
            mut moved_s,
            mut quiet_s,
            mut near_s,
        } = self.phase
        else {
            return None;
        };
        // Of a vehicle that is hardly seen, half of what it makes.
        let near = self.rules.leave_nt.min(level.distance(baseline) / 2.0);
        if sample.field.distance(baseline) < near {
            let since_s = *near_s.get_or_insert(sample.at_s);
            if sample.at_s - since_s >= self.rules.leave_s {
                return Some(self.free(since_s));
            }
        } else {
            near_s = None;
        }
        if let Some(now) = self.quiet(&self.long) {
            let same = self.rules.quiet_nt / 2.0;
            if now.mean.distance(level) < same {
                let most = self.slack_nt(sample.at_s - quiet_s);
                let drift = (now.mean - level).map(|axis| axis.clamp(-most, most));
                level = level + drift;
                before = before.map(|before| before + drift);
                self.baseline = Some(baseline + drift);
                other = None;
            } else if before.is_some_and(|before| self.is_street(before, level, now.mean)) {
                self.baseline = Some(now.mean);
                return Some(self.free(sample.at_s - self.rules.leave_s));
            } else if now.mean.distance(baseline) >= near {
                let since_s = other.filter(|(_, other)| now.mean.distance(*other) < same);
                let since_s = since_s.map_or(sample.at_s, |(since_s, _)| since_s);
                other = Some((since_s, now.mean));
                if sample.at_s - since_s >= SETTLED_S {
                    // It stood for long, and what is left is less than a vehicle: a neighbour who came meanwhile.
                    let has_left = now.mean.distance(level) >= 2.0 * self.rules.enter_nt
                        && now.mean.distance(baseline) < self.rules.enter_nt + slack_nt;
                    if has_left && since_s - moved_s >= SETTLED_S {
                        self.baseline = Some(now.mean);
                        return Some(self.free(since_s - self.rules.leave_s));
                    }
                    (level, before, other, moved_s) = (now.mean, Some(level), None, since_s);
                }
            }
            quiet_s = sample.at_s;
        }
        self.phase = Phase::Occupied {
            slack_nt,
            level,
            before,
            other,
            moved_s,
            quiet_s,
            near_s,
        };
        None
    }
}

impl Detector {
    /// Whether `now` is the street without a vehicle: the field was the same before a vehicle came, and no two vehicles leave
    /// the same.
    fn is_street(&self, before: Field, vehicle: Field, now: Field) -> bool {
        now.distance(before) < self.rules.quiet_nt && vehicle.distance(now) >= 2.0 * self.rules.enter_nt
    }
}

/// A baseline cannot be taken now.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the field is not quiet ({}): wait until nothing moves near the sensor, and try again",
    .deviation_nt.map_or("too few samples".to_owned(), |nt| format!("standard deviation {nt:.0} nT")))]
pub struct NotQuiet {
    /// The standard deviation, nanotesla, if there were enough samples.
    pub deviation_nt: Option<f64>,
}

#[cfg(test)]
mod tests;
