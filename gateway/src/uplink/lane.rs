//! The ledger lane as a pure machine: what the city has receipted, what is in flight, and what a receipt means.

use std::collections::VecDeque;
use std::time::Duration;

use ledger::{Checkpoint, CosignerVerifier, Frontier, Receipt, SignatureError};
use serde::{Deserialize, Serialize};

use crate::journal::Sequence;

/// The point up to which the city holds the log: kept in the journal as a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipted {
    /// Right edge of the log at the last receipt.
    pub frontier: Frontier,
    /// The journal's sequence after the last record receipted.
    pub next: u64,
    /// When the city signed, Unix seconds by its clock; 0 before the first receipt.
    pub time_s: u64,
}

impl Receipted {
    /// Records that the city holds.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The journal's sequence after the last record receipted.
    pub fn next(&self) -> Sequence {
        Sequence(self.next)
    }
}

/// A batch that was sent and is not receipted.
#[derive(Debug, Clone)]
struct InFlight {
    frontier: Frontier,
    next: Sequence,
    bytes: usize,
    sent: Duration,
}

/// What a receipt came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It moved the receipted point.
    Advanced,
    /// The point was there already, or further.
    Old,
    /// It is for a size that was not sent in this session: the root at that size has to be computed first; see
    /// [`LedgerLane::receipt_at`].
    UnknownSize(u64),
    /// It is not the city's signature on this box's log.
    Invalid(SignatureError),
}

/// The ledger lane.
#[derive(Debug)]
pub struct LedgerLane {
    origin: String,
    cosigner: CosignerVerifier,
    window_bytes: usize,
    receipted: Receipted,
    in_flight: VecDeque<InFlight>,
}

impl LedgerLane {
    /// A lane that continues from `receipted`, with at most `window_bytes` in flight.
    pub fn new(origin: String, cosigner: CosignerVerifier, window_bytes: usize, receipted: Receipted) -> Self {
        Self {
            origin,
            cosigner,
            window_bytes,
            receipted,
            in_flight: VecDeque::new(),
        }
    }

    /// What the city holds.
    pub fn receipted(&self) -> &Receipted {
        &self.receipted
    }

    /// Edge of the log and next sequence after all that was sent.
    pub fn tip(&self) -> (&Frontier, Sequence) {
        self.in_flight
            .back()
            .map_or((&self.receipted.frontier, self.receipted.next()), |sent| {
                (&sent.frontier, sent.next)
            })
    }

    /// Whether another batch may be sent. One may always be, so that no batch is too large for the window.
    pub fn has_room(&self) -> bool {
        self.in_flight.is_empty() || self.in_flight.iter().map(|sent| sent.bytes).sum::<usize>() < self.window_bytes
    }

    /// Notes a batch as sent at monotonic time `now`: it ends at `frontier`, and the journal goes on at `next`.
    pub fn sent(&mut self, now: Duration, frontier: Frontier, next: Sequence, bytes: usize) {
        debug_assert!(frontier.size() > self.tip().0.size() && next > self.tip().1);
        self.in_flight.push_back(InFlight {
            frontier,
            next,
            bytes,
            sent: now,
        });
    }

    /// When the oldest batch in flight is overdue.
    pub fn deadline(&self, receipt_timeout: Duration) -> Option<Duration> {
        self.in_flight.front().map(|sent| sent.sent + receipt_timeout)
    }

    /// Forgets what is in flight: a new session sends again from the last receipt.
    pub fn restart(&mut self) {
        self.in_flight.clear();
    }

    /// Takes a receipt.
    pub fn receipt(&mut self, receipt: &Receipt) -> Verdict {
        if receipt.size <= self.receipted.size() {
            return Verdict::Old;
        }
        let Some(position) = self
            .in_flight
            .iter()
            .position(|sent| sent.frontier.size() == receipt.size)
        else {
            return Verdict::UnknownSize(receipt.size);
        };
        let sent = &self.in_flight[position];
        let (frontier, next) = (sent.frontier.clone(), sent.next);
        self.receipt_at(receipt, frontier, next)
    }

    /// Takes a receipt whose size was not sent in this session, with the edge of the log computed at that size.
    /// Batches in flight that it covers in part stay in flight; their own receipts come.
    pub fn receipt_at(&mut self, receipt: &Receipt, frontier: Frontier, next: Sequence) -> Verdict {
        if frontier.size() != receipt.size || receipt.size <= self.receipted.size() {
            return Verdict::Old;
        }
        let checkpoint: Checkpoint = frontier.checkpoint(self.origin.clone());
        if let Err(error) = self.cosigner.verify(&checkpoint, receipt) {
            return Verdict::Invalid(error);
        }
        self.receipted = Receipted {
            frontier,
            next: next.0,
            time_s: receipt.time_s,
        };
        self.in_flight.retain(|sent| sent.frontier.size() > receipt.size);
        Verdict::Advanced
    }
}

#[cfg(test)]
mod tests {
    use ledger::{Cosigner, leaf_hash};

    use super::*;

    fn city() -> Cosigner {
        Cosigner::generate("kominfo.example", &mut rand_core::OsRng).unwrap()
    }

    fn grown(from: &Frontier, records: u64) -> Frontier {
        let mut frontier = from.clone();
        for _ in 0..records {
            let record = format!("record {}", frontier.size());
            frontier.push(leaf_hash(record.as_bytes()));
        }
        frontier
    }

    fn lane(city: &Cosigner) -> LedgerLane {
        LedgerLane::new(
            "parkir.example/box".to_owned(),
            city.verifier(),
            1_000,
            Receipted::default(),
        )
    }

    fn send(lane: &mut LedgerLane, records: u64, bytes: usize) -> Checkpoint {
        let (frontier, next) = lane.tip();
        let (frontier, next) = (grown(frontier, records), Sequence(next.0 + records));
        let checkpoint = frontier.checkpoint("parkir.example/box");
        lane.sent(Duration::ZERO, frontier, next, bytes);
        checkpoint
    }

    #[test]
    fn a_later_receipt_covers_the_batches_before_it() {
        let city = city();
        let mut lane = lane(&city);
        send(&mut lane, 3, 400);
        let second = send(&mut lane, 4, 400);
        assert!(lane.has_room());
        send(&mut lane, 5, 400);
        assert!(!lane.has_room(), "1,200 bytes are in flight");
        assert_eq!(lane.receipt(&city.cosign(&second, 77)), Verdict::Advanced);
        assert_eq!((lane.receipted().size(), lane.receipted().next), (7, 7));
        assert_eq!(lane.tip().1, Sequence(12), "the third stays in flight");
        assert!(lane.has_room());
    }

    #[test]
    fn an_old_receipt_moves_nothing_back() {
        let city = city();
        let mut lane = lane(&city);
        let first = send(&mut lane, 3, 10);
        let second = send(&mut lane, 4, 10);
        assert_eq!(lane.receipt(&city.cosign(&second, 1)), Verdict::Advanced);
        assert_eq!(lane.receipt(&city.cosign(&first, 2)), Verdict::Old);
        assert_eq!(lane.receipted().size(), 7);
    }

    #[test]
    fn a_receipt_of_another_key_or_another_log_releases_nothing() {
        let city = city();
        let mut lane = lane(&city);
        let sent = send(&mut lane, 3, 10);
        let forged = Cosigner::generate("kominfo.example", &mut rand_core::OsRng)
            .unwrap()
            .cosign(&sent, 1);
        assert!(matches!(lane.receipt(&forged), Verdict::Invalid(_)));
        let other_log = Checkpoint {
            origin: "parkir.example/other".to_owned(),
            ..sent.clone()
        };
        assert!(matches!(lane.receipt(&city.cosign(&other_log, 1)), Verdict::Invalid(_)));
        let other_content = Checkpoint {
            root: leaf_hash(b"something else"),
            ..sent
        };
        assert!(matches!(
            lane.receipt(&city.cosign(&other_content, 1)),
            Verdict::Invalid(_)
        ));
        assert_eq!(lane.receipted().size(), 0);
    }

    #[test]
    fn a_receipt_from_before_a_restart_is_taken_once_its_edge_is_computed() {
        let city = city();
        let mut lane = lane(&city);
        let before = send(&mut lane, 6, 10);
        lane.restart();
        send(&mut lane, 4, 10);
        let receipt = city.cosign(&before, 1);
        assert_eq!(lane.receipt(&receipt), Verdict::UnknownSize(6));
        assert_eq!(
            lane.receipt_at(&receipt, grown(&Frontier::new(), 6), Sequence(6)),
            Verdict::Advanced
        );
        assert_eq!(lane.tip().1, Sequence(6), "the batch of four lies below it");
    }

    #[test]
    fn the_oldest_batch_in_flight_sets_the_deadline() {
        let city = city();
        let mut lane = lane(&city);
        assert_eq!(lane.deadline(Duration::from_secs(30)), None);
        send(&mut lane, 1, 10);
        assert_eq!(lane.deadline(Duration::from_secs(30)), Some(Duration::from_secs(30)));
    }
}
