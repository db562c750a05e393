//! A made-up clock that runs faster than time, for demonstrations and tests. Its times are marked `simulated`.

use std::str::FromStr;

use parking::Timestamp;

/// A straight line from real to simulated time: `<START>@<RATE>x<REAL0>`, where `START` is RFC 3339, `RATE` how many
/// simulated seconds pass in a real one, and `REAL0` the real time of `START` in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedClock {
    start: Timestamp,
    rate: f64,
    real_start_ms: i64,
}

/// Why a text is no simulated clock.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{0}\" is no simulated clock; expected START@RATExUNIX_MILLISECONDS, e.g. 2026-01-05T06:00:00+07:00@120x1767571200000"
)]
pub struct SimulatedClockError(String);

impl SimulatedClock {
    /// The simulated time at the real time `real_ms`.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // a demonstration's clock may be off by a microsecond
    pub fn at_real(&self, real_ms: i64) -> Timestamp {
        self.start
            .plus_millis(((real_ms - self.real_start_ms) as f64 * self.rate) as i64)
    }

    /// How long a real span of time lasts on this clock.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // as above
    pub fn span_ms(&self, real_ms: u64) -> u64 {
        (real_ms as f64 * self.rate) as u64
    }

    /// How many simulated seconds pass in a real one.
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

impl FromStr for SimulatedClock {
    type Err = SimulatedClockError;

    fn from_str(text: &str) -> Result<Self, SimulatedClockError> {
        let parse = || {
            let (start, line) = text.rsplit_once('@')?;
            let (rate, real_start_ms) = line.split_once('x')?;
            let rate: f64 = rate.parse().ok()?;
            (rate.is_finite() && rate > 0.0).then_some(())?;
            Some(Self {
                start: start.parse().ok()?,
                rate,
                real_start_ms: real_start_ms.parse().ok()?,
            })
        };
        parse().ok_or_else(|| SimulatedClockError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_runs_at_its_rate_from_its_start() {
        let clock: SimulatedClock = "2026-01-05T06:00:00+07:00@120x1000".parse().unwrap();
        assert_eq!(clock.at_real(1_000).to_string(), "2026-01-04T23:00:00Z");
        assert_eq!(clock.at_real(31_000).to_string(), "2026-01-05T00:00:00Z");
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for bad in [
            "",
            "2026-01-05T06:00:00Z",
            "now@1x0",
            "2026-01-05T06:00:00Z@0x0",
            "2026-01-05T06:00:00Z@infx0",
        ] {
            assert!(bad.parse::<SimulatedClock>().is_err(), "{bad}");
        }
    }
}
