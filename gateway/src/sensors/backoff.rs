//! How long to wait before trying again.

use std::time::Duration;

use rand::Rng;

/// Waits that double, with jitter, up to a bound.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The next wait: between half and all of it, so that many boxes do not knock at once.
    pub(super) fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.max);
        wait.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// What was tried went well: start over.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_start_over_after_success() {
        let (min, max) = (Duration::from_millis(250), Duration::from_secs(30));
        let mut backoff = Backoff::new(min, max);
        for _ in 0..40 {
            assert!(backoff.next_wait() <= max);
        }
        assert!(backoff.next_wait() >= max / 2);
        backoff.reset();
        assert!(backoff.next_wait() <= min);
    }
}
