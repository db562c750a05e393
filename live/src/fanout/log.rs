//! The chunks that are held, oldest first, each with its number in the stream.
//!
//! Numbers rise by one from 0 and are never used twice. `held` counts the bytes of all entries; the size from any entry
//! to the end comes from sums kept with each entry, so no operation walks the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Header;
use super::limits::Bound;
use crate::message::Chunk;

/// A chunk's number in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seq(u64);

impl Seq {
    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) chunk: Chunk,
    pub(super) header: Arc<Header>,
    pub(super) published: Instant,
    /// How much the source left out just before this chunk.
    pub(super) source_gap: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    /// Each entry with the sum of bytes published before it.
    entries: VecDeque<(u64, Entry)>,
    /// Number of the first entry.
    first: u64,
    /// Bytes ever pushed.
    pushed_bytes: u64,
    /// Where the current GOP starts, if all of it is held.
    gop: Option<Seq>,
}

impl Log {
    pub(super) fn get(&self, seq: Seq) -> Option<&Entry> {
        self.slot(seq).map(|(_, entry)| entry)
    }

    pub(super) fn push(&mut self, entry: Entry) -> Seq {
        let seq = Seq(self.first.saturating_add(self.entries.len() as u64));
        let before = self.pushed_bytes;
        self.pushed_bytes = before.saturating_add(entry.chunk.wire_bytes() as u64);
        self.entries.push_back((before, entry));
        seq
    }

    pub(super) fn gop(&self) -> Option<Seq> {
        self.gop
    }

    pub(super) fn begin_gop(&mut self, seq: Seq) {
        self.gop = Some(seq);
    }

    pub(super) fn end_gop(&mut self) {
        self.gop = None;
    }

    /// Returns the size of what is held from `seq` to the end.
    pub(super) fn size_from(&self, seq: Seq) -> Bound {
        let Some((before, _)) = self.slot(seq) else {
            return Bound { bytes: 0, chunks: 0 };
        };
        let bytes = self.pushed_bytes.saturating_sub(*before);
        let end = self.first.saturating_add(self.entries.len() as u64);
        let chunks = end.saturating_sub(seq.0);
        Bound {
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            chunks: usize::try_from(chunks).unwrap_or(usize::MAX),
        }
    }

    /// Lets go of all entries before `keep`; of all, if there is nothing to keep.
    pub(super) fn trim(&mut self, keep: Option<Seq>) {
        while keep.is_none_or(|keep| self.first < keep.0) && self.entries.pop_front().is_some() {
            self.first = self.first.saturating_add(1);
        }
    }

    pub(super) fn size(&self) -> Bound {
        self.size_from(Seq(self.first))
    }

    fn slot(&self, seq: Seq) -> Option<&(u64, Entry)> {
        let index = seq.0.checked_sub(self.first)?;
        self.entries.get(usize::try_from(index).ok()?)
    }
}
