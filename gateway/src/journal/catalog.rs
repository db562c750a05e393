//! Which segments there are and how far they are durable: written by the store, looked at by readers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Sequence;
use super::frame::Seed;
use super::storage::Storage;

/// One segment, as readers need to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// Sequence of its first record.
    pub(super) first: u64,
    /// Sequence after its last record; of the segment being written, after its last durable one.
    pub(super) next: u64,
    /// Length of the file.
    pub(super) bytes: u64,
    /// Offset up to which there may be frames.
    pub(super) limit: u64,
    /// Frames in it, where that is known.
    pub(super) frames: Option<u32>,
    /// Whether a part of it can not be read.
    pub(super) damaged: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) storage: Arc<dyn Storage>,
    journal_id: u64,
    state: Mutex<State>,
    durable: watch::Sender<Sequence>,
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct State {
    /// Rising by number; the last one is being written, or will be followed by a new one.
    pub(super) segments: VecDeque<Segment>,
    /// Sequences below this were given up in this run.
    pub(super) released: u64,
    /// Segment in which the newest snapshot's position lies; 0 if there is no snapshot.
    pub(super) snapshot_segment: u64,
}

impl Catalog {
    pub(super) fn new(storage: Arc<dyn Storage>, journal_id: u64, state: State, next: u64) -> Self {
        Self {
            storage,
            journal_id,
            state: Mutex::new(state),
            durable: watch::Sender::new(Sequence(next)),
        }
    }

    /// Locks the catalog for a moment; nobody does file operations meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seed(&self, number: u64) -> Seed {
        Seed::new(self.journal_id, number)
    }

    pub(super) fn durable(&self) -> watch::Receiver<Sequence> {
        self.durable.subscribe()
    }

    /// Tells readers that everything below `next` is durable.
    pub(super) fn publish(&self, next: u64) {
        self.durable.send_replace(Sequence(next));
    }

    /// Whether a segment was closed since the newest snapshot.
    pub(super) fn snapshot_due(&self) -> bool {
        let state = self.lock();
        let begin = state.snapshot_segment.max(1);
        state.segments.back().is_some_and(|last| last.number > begin)
    }

    /// Remembers that segment `number` can not be read whole.
    pub(super) fn mark_damaged(&self, number: u64) {
        if let Some(segment) = self.lock().segments.iter_mut().find(|s| s.number == number) {
            segment.damaged = true;
        }
    }

    /// The segment with that number, or else the next one.
    pub(super) fn at_or_after(&self, number: u64) -> Option<Segment> {
        let state = self.lock();
        let at = state.segments.partition_point(|s| s.number < number);
        state.segments.get(at).copied()
    }

    /// The segment in which `sequence` is or would be.
    pub(super) fn holding(&self, sequence: u64) -> Option<Segment> {
        let state = self.lock();
        let after = state.segments.partition_point(|s| s.first <= sequence);
        state.segments.get(after.saturating_sub(1)).copied()
    }

    /// Sequences below this were given up in this run.
    pub(super) fn released(&self) -> u64 {
        self.lock().released
    }
}
