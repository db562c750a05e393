//! The constants of the adaptive threshold.

use serde::{Deserialize, Serialize};

/// What the machine goes by. Defaults are those of the field's practice; each profile and each sensor of a site may have
/// its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// A field further than this from the baseline may be a vehicle, nanotesla; so may one that moves.
    pub enter_nt: f64,
    /// A field nearer than this to the baseline is that of a free space, nanotesla. What is quiet beyond it after something
    /// moved is a vehicle.
    pub leave_nt: f64,
    /// So many samples in a row have to be beyond `enter_nt`.
    pub enter_samples: u32,
    /// And then the field has to be quiet for this long, seconds.
    pub enter_quiet_s: f64,
    /// A vehicle has left when the field is near the baseline for this long, seconds.
    pub leave_s: f64,
    /// A field is quiet while its standard deviation is below this, nanotesla: the chip's own noise, and some more.
    pub quiet_nt: f64,
    /// The baseline follows a quiet field of a free space with this time constant, seconds.
    pub follow_s: f64,
    /// A quiet field does not change faster than this by itself, nanotesla a minute: heat. What changes so slowly under a
    /// parked vehicle is taken for a change of the baseline too.
    pub drift_nt_per_min: f64,
    /// A vehicle that does not move for so long is doubtful, seconds.
    pub stuck_s: f64,
    /// Samples further apart than this say nothing of what was between them, seconds.
    pub gap_s: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            enter_nt: 6_000.0,
            leave_nt: 3_000.0,
            enter_samples: 3,
            enter_quiet_s: 3.0,
            leave_s: 5.0,
            quiet_nt: 1_000.0,
            follow_s: 60.0,
            drift_nt_per_min: 500.0,
            stuck_s: 86_400.0,
            gap_s: 10.0,
        }
    }
}

/// A rule by its name.
type Access = (&'static str, fn(&mut Rules) -> &mut f64);

const ACCESS: [Access; 9] = [
    ("enter_nt", |rules| &mut rules.enter_nt),
    ("leave_nt", |rules| &mut rules.leave_nt),
    ("enter_quiet_s", |rules| &mut rules.enter_quiet_s),
    ("leave_s", |rules| &mut rules.leave_s),
    ("quiet_nt", |rules| &mut rules.quiet_nt),
    ("follow_s", |rules| &mut rules.follow_s),
    ("drift_nt_per_min", |rules| &mut rules.drift_nt_per_min),
    ("stuck_s", |rules| &mut rules.stuck_s),
    ("gap_s", |rules| &mut rules.gap_s),
];

/// A rule that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{key} = {value}: {reason}")]
pub struct RuleError {
    /// The rule.
    pub key: &'static str,
    /// What it is.
    pub value: f64,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Rules {
    /// Every rule that is a measure, by name.
    pub fn pairs(mut self) -> [(&'static str, f64); 9] {
        ACCESS.map(|(name, of)| (name, *of(&mut self)))
    }

    /// Gives a rule another value.
    ///
    /// # Errors
    /// When there is no rule of this name: tells those that there are.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), String> {
        if name == "enter_samples" {
            let samples = (1..=100_u32).find(|samples| (f64::from(*samples) - value).abs() < 1e-9);
            self.enter_samples = samples.ok_or("expected a whole number from 1 to 100")?;
            return Ok(());
        }
        let Some((_, of)) = ACCESS.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = ACCESS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "there is no rule \"{name}\"; expected one of {}, enter_samples",
                names.join(", ")
            ));
        };
        *of(self) = value;
        Ok(())
    }

    /// What is wrong with these rules, if anything is.
    pub fn check(&self) -> Result<(), RuleError> {
        let error = |key, value, reason| Err(RuleError { key, value, reason });
        for (key, value) in self.pairs() {
            if !value.is_finite() || value < 0.0 || value == 0.0 && key != "drift_nt_per_min" {
                return error(key, value, "it must be more than 0");
            }
        }
        if self.enter_samples == 0 {
            return error("enter_samples", 0.0, "it must be 1 or more");
        }
        if self.leave_nt >= self.enter_nt {
            return error(
                "leave_nt",
                self.leave_nt,
                "it must be below enter_nt: half of it, usually",
            );
        }
        if self.quiet_nt >= self.leave_nt {
            return error("quiet_nt", self.quiet_nt, "it must be below leave_nt");
        }
        Ok(())
    }
}
