//! When a stream that has ended is opened again: soon at first, then ever more rarely.
//!
//! Five tries a second apart, five after 5 s, ten after 10 s, then one a minute, each with some jitter so that cameras
//! behind one switch do not come back in step. A camera that refuses the password is asked once a minute at most: many
//! lock an account after a few tries. A stream that ran for [`STEADY`] starts from the first rung again.

use std::time::Duration;

use super::wire::Cause;

/// A stream that has run so long was well.
const STEADY: Duration = Duration::from_secs(30);
/// Least wait after a refused password, seconds.
const AUTH_WAIT_S: u64 = 60;
/// Rungs: so many tries with so many seconds between them.
const RUNGS: [(u32, u64); 3] = [(5, 1), (5, 5), (10, 10)];
/// Wait after all of them, seconds.
const LAST_S: u64 = 60;

/// How often a stream failed in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ladder {
    failures: u32,
}

impl Ladder {
    /// How long to wait after a stream ended that had played for `played`. `jitter`: from 0 to 1, random.
    pub fn next(&mut self, cause: Cause, played: Option<Duration>, jitter: f64) -> Duration {
        if played.is_some_and(|played| played >= STEADY) {
            self.failures = 0;
        }
        let mut before = self.failures;
        let mut seconds = LAST_S;
        for (tries, wait_s) in RUNGS {
            if before < tries {
                seconds = wait_s;
                break;
            }
            before -= tries;
        }
        self.failures = self.failures.saturating_add(1);
        if matches!(cause, Cause::AuthFailed | Cause::AuthUnsupported) {
            seconds = seconds.max(AUTH_WAIT_S);
        }
        Duration::from_secs(seconds).mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(cause: Cause, count: usize) -> Vec<u64> {
        let mut ladder = Ladder::default();
        (0..count).map(|_| ladder.next(cause, None, 0.0).as_secs()).collect()
    }

    #[test]
    fn tries_become_rarer() {
        let waits = waits(Cause::Refused, 22);
        assert_eq!(waits[..5], [1; 5]);
        assert_eq!(waits[5..10], [5; 5]);
        assert_eq!(waits[10..20], [10; 10]);
        assert_eq!(waits[20..], [60; 2]);
    }

    #[test]
    fn a_refused_password_is_tried_once_a_minute() {
        assert_eq!(waits(Cause::AuthFailed, 3), [60; 3]);
    }

    #[test]
    fn a_stream_that_ran_well_starts_from_the_first_rung() {
        let mut ladder = Ladder { failures: 30 };
        assert_eq!(ladder.next(Cause::Stalled, Some(STEADY), 0.0).as_secs(), 1);
        assert_eq!(ladder.next(Cause::Stalled, Some(Duration::from_secs(2)), 0.0).as_secs(), 1);
    }

    #[test]
    fn jitter_only_lengthens() {
        let mut ladder = Ladder::default();
        assert_eq!(ladder.next(Cause::Ended, None, 1.0), Duration::from_millis(1_250));
    }
}
