//! The made-up clock that simulator and gateway share: a straight line from real to simulated time.
//!
//! Both sides get the same text (`gateway run --simulated-clock TEXT`) and read the same kernel clock, so that no
//! message is needed to keep them together, not even over a restart.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use parking::Timestamp;

/// `<START>@<RATE>x<REAL0>`: at the real time `REAL0` (Unix milliseconds) it is `START`, and `RATE` simulated seconds
/// pass in a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulatedClock {
    start: Timestamp,
    rate: u32,
    real_start_ms: i64,
}

impl SimulatedClock {
    /// A clock that says `start` once `lead` has passed from now. The lead gives servers time to start.
    pub fn starting_in(lead: Duration, start: Timestamp, rate: u32) -> Self {
        let lead_ms = i64::try_from(lead.as_millis()).unwrap_or(i64::MAX);
        Self {
            start,
            rate: rate.max(1),
            real_start_ms: unix_ms().saturating_add(lead_ms),
        }
    }

    /// Simulated seconds in a real one.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The simulated time at the real time `real_ms`, Unix milliseconds.
    pub fn at_real(&self, real_ms: i64) -> Timestamp {
        self.start
            .plus_millis((real_ms - self.real_start_ms).saturating_mul(i64::from(self.rate)))
    }

    /// The simulated time now.
    pub fn now(&self) -> Timestamp {
        self.at_real(unix_ms())
    }

    /// Real time until the clock says `time`; zero when it has passed.
    pub fn until(&self, time: Timestamp) -> Duration {
        let simulated_ms = u64::try_from(time.millis_since(self.now())).unwrap_or(0);
        Duration::from_millis(simulated_ms.div_ceil(u64::from(self.rate)))
    }

    /// Returns once the clock says `time`.
    pub async fn reach(&self, time: Timestamp) {
        tokio::time::sleep(self.until(time)).await;
    }
}

impl fmt::Display for SimulatedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}x{}", self.start, self.rate, self.real_start_ms)
    }
}

impl FromStr for SimulatedClock {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let shape = || format!("\"{text}\" is no simulated clock; expected START@RATExUNIX_MILLISECONDS");
        let (start, line) = text.rsplit_once('@').with_context(shape)?;
        let (rate, real_start_ms) = line.split_once('x').with_context(shape)?;
        let rate = rate.parse().with_context(shape)?;
        if rate == 0 {
            bail!("{}; a rate of 0 would never reach any time", shape());
        }
        Ok(Self {
            start: start.parse().with_context(shape)?,
            rate,
            real_start_ms: real_start_ms.parse().with_context(shape)?,
        })
    }
}

/// The kernel's wall clock, Unix milliseconds.
#[allow(clippy::disallowed_methods)] // the one place
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_reads_back_as_itself_and_runs_at_its_rate() {
        let clock: SimulatedClock = "2026-01-05T00:00:00+07:00@360x1767571200123".parse().unwrap();
        assert_eq!(clock.to_string().parse::<SimulatedClock>().unwrap(), clock);
        assert_eq!(clock.at_real(1_767_571_200_123).to_string(), "2026-01-04T17:00:00Z");
        assert_eq!(clock.at_real(1_767_571_210_123).to_string(), "2026-01-04T18:00:00Z");
    }

    #[test]
    fn a_text_that_is_no_clock_is_refused() {
        for bad in [
            "",
            "2026-01-05T00:00:00Z",
            "2026-01-05T00:00:00Z@0x1",
            "today@1x1",
            "2026-01-05T00:00:00Z@1x",
        ] {
            assert!(bad.parse::<SimulatedClock>().is_err(), "{bad}");
        }
    }
}
