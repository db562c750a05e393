//! The room that the link has for video: none while records wait, and a bitrate for all streams together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A record that waits for its receipt for longer stops all streams.
const RECEIPT_WAIT_MAX: Duration = Duration::from_secs(5);
/// More records that wait for their receipt stop all streams.
const BACKLOG_MAX: u64 = 2_000;

/// What a stream asks before it sends.
#[derive(Debug, Clone)]
pub(in crate::cameras) struct Gate {
    budget: Arc<Budget>,
    may_send: watch::Receiver<bool>,
}

impl Gate {
    /// The gate of streams that keep to `budget` and send while `may_send`.
    pub fn new(budget: Arc<Budget>, may_send: watch::Receiver<bool>) -> Self {
        Self { budget, may_send }
    }

    /// Whether the ledger lane leaves room now.
    pub fn is_open(&mut self) -> bool {
        *self.may_send.borrow_and_update()
    }

    /// Waits until the ledger lane begins or ceases to leave room.
    pub async fn changed(&mut self) {
        if self.may_send.changed().await.is_err() {
            // The sender lives as long as all streams.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until so many bytes lie within the bitrate. Cancelled, they count as sent.
    pub async fn within_rate(&self, bytes: usize) {
        self.budget.take(bytes).await;
    }

    /// Waits until so many bytes may be sent.
    pub async fn admit(&mut self, bytes: usize) {
        while !self.is_open() {
            self.changed().await;
        }
        self.within_rate(bytes).await;
    }
}

/// Whether the ledger lane leaves room for video.
pub(super) struct LedgerWatch {
    receipted_next: u64,
    moved: Instant,
}

impl LedgerWatch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            receipted_next: 0,
            moved: now,
        }
    }

    /// Looks at `now`: `waiting` records wait, and those below `receipted_next` do not.
    pub(super) fn look(&mut self, now: Instant, receipted_next: u64, waiting: u64) -> bool {
        if waiting == 0 || receipted_next != self.receipted_next {
            self.receipted_next = receipted_next;
            self.moved = now;
        }
        waiting <= BACKLOG_MAX && now - self.moved <= RECEIPT_WAIT_MAX
    }
}

/// A token bucket for all streams together, of one second.
#[derive(Debug)]
pub(in crate::cameras) struct Budget {
    bytes_a_second: f64,
    free_at: tokio::sync::Mutex<Instant>,
}

impl Budget {
    /// A budget of so many kilobits a second.
    pub fn new(kbit_max: u32) -> Self {
        Self {
            bytes_a_second: f64::from(kbit_max) * 1_000.0 / 8.0,
            free_at: tokio::sync::Mutex::new(Instant::now()),
        }
    }

    /// Waits until what was sent before lies within the rate; a second's worth may go at once.
    async fn take(&self, bytes: usize) {
        const BURST: Duration = Duration::from_secs(1);
        #[allow(clippy::cast_precision_loss)] // a message has at most 8 MiB
        let length = Duration::from_secs_f64(bytes as f64 / self.bytes_a_second);
        let mut free_at = self.free_at.lock().await;
        let now = Instant::now();
        *free_at = (*free_at).max(now) + length;
        let wait = free_at.checked_duration_since(now + BURST);
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn video_waits_while_a_record_waits_for_its_receipt() {
        let start = Instant::now();
        let mut watch = LedgerWatch::new(start);
        assert!(watch.look(second(start, 1), 10, 0));
        assert!(watch.look(second(start, 3), 10, 4), "records are on their way");
        assert!(watch.look(second(start, 6), 10, 9));
        assert!(
            !watch.look(second(start, 7), 10, 9),
            "no receipt for more than five seconds"
        );
        assert!(watch.look(second(start, 8), 19, 2), "a receipt came");
    }

    #[test]
    fn video_waits_while_a_backlog_is_worked_off() {
        let start = Instant::now();
        let mut watch = LedgerWatch::new(start);
        assert!(!watch.look(start, 1, BACKLOG_MAX + 1));
        assert!(!watch.look(start, 500, BACKLOG_MAX + 1), "though receipts come");
        assert!(watch.look(start, 900, BACKLOG_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn all_streams_together_keep_to_the_rate() {
        let budget = Budget::new(800); // 100,000 bytes a second
        let start = Instant::now();
        for _ in 0..10 {
            budget.take(50_000).await;
        }
        let took = start.elapsed();
        assert_eq!(took.as_secs(), 4, "500,000 bytes less the burst of one second");
    }
}
