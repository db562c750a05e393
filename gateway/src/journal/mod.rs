//! The durable store of the ledger's records, and of what is needed to come back to the same state.
//!
//! One append-only sequence of entries in segment files of one folder. An [`Append`] resolves once its entries are on
//! disk; after a power cut all of them are there, once, in order, and nothing else except possibly the last appends
//! that nobody was told of.
//!
//! # Limits
//!
//! - A segment holds [`Options::segment_bytes`] (4 MiB); an append at most 256 KiB and 1,024 entries.
//! - The queue in front of the disk holds [`Options::queue_bytes`] (1 MiB); `append` waits for room.
//! - [`Options::reserve_bytes`] (64 MiB) are allocated when the journal is opened and used when the disk is full.
//!   When they are used up too, the journal is *full*: appends wait, [`Status::full`] says so, and the writer tries
//!   again every second and whenever something is released. Nothing is ever dropped to make room.
//! - Memory does not depend on the backlog: one frame for the writer and for each reader, and some 64 bytes a segment.
//! - Opening reads the header of every segment, and the frames after the newest snapshot; never the backlog.
//! - `damaged/` takes 16 segments; a damaged segment released after that is recycled like any other.
//!
//! # On disk
//!
//! | file | what |
//! | --- | --- |
//! | `lock` | locked (`flock`) while a process has the journal open |
//! | `tag` | the journal's identity: tag (part of session ids) and random id, with a checksum |
//! | `<number>.segment` | one header page, then frames; numbers rise by one and are never used again |
//! | `<number>.spare` | allocated space for a coming segment, never written |
//! | `<number>.recycled` | a former segment, space for a coming one; content without meaning |
//! | `snapshot-0`, `snapshot-1` | two slots, the older one is overwritten by the next snapshot |
//! | `damaged/` | released segments of which something could not be read, for inspection |
//!
//! Integers are little-endian, checksums CRC-32C. A segment's header page: magic, format version, number, first
//! sequence, journal id and tag, its own length, count of frames in the segment before, checksum.
//!
//! A frame is one commit: 32 bytes of header (checksum of the header, checksum of the payload, stored length, raw
//! length, frame's index in the segment, count of records, sequence of the first), then the payload: entries, each
//! as varint length, kind, bytes; compressed with zstd when the stored length is not the raw length. Both checksums
//! start from the journal's id, the segment's number and the frame's offset. That, and rising sequences, is why
//! what a recycled file held in its former life, or a copy at another place, never passes for a frame.
//!
//! Frames begin at multiples of 8, and on the next page instead where that saves touching a page. Pages are what a
//! disk writes, so small frames stay plain, and one that would not fit the page is compressed.
//!
//! # Why what is read back can be trusted
//!
//! - A frame is written with one `write` and made durable with one `fdatasync` before the next is begun. So only the
//!   last frame can be torn: it is cut off and its place written again. A frame header that verifies proves that every
//!   frame before it was durable; what of those cannot be read is *damage*, and its sequences stay lost for good.
//! - Index and sequence in each frame, and the count in the following segment's header, show every hole and its size.
//!   Where the end of a hole is not known (the last segment is unreadable) sequences go on after the most that the
//!   segment can have held; one sequence for each 8 bytes of segment is the enforced limit.
//! - A rotted last frame can not be told from a torn one, and is cut.
//! - A write or sync that fails ends the journal: all waiting appends get the error, and only opening it again, which
//!   believes nothing but the disk, goes on. A failed `fdatasync` is not repeated: the kernel may have dropped the pages.
//!   They may still be read from memory, though: so opening writes the last frame and the newest snapshot once more.
//!
//! # Life of a segment
//!
//! 1. Made of a spare beyond the reserve, else newly allocated, else (disk full) of a spare of the reserve. Blocks that
//!    were never written are filled with zeros first: a commit that turns reserved blocks into written ones costs a commit
//!    of the file system's journal, more than its own page. The header is synced, the file renamed to
//!    `<number>.segment`, the folder synced; then the first frame is written.
//! 2. Closed when the next frame does not fit. [`Journal::snapshot_due`] tells that a snapshot would now let it go.
//! 3. When all its records are released and it lies before the older of the two snapshots, it becomes a spare. Beyond
//!    the reserve and two more it is deleted; if something in it could not be read, it goes into `damaged/`.
//!
//! Snapshots are overwritten in place, in turn, so that they seldom need space; one that grows on a full disk takes a
//! segment's worth of the reserve. A checksum tells which are whole. Everything after the *older* one is kept, so that
//! one of them may rot.

mod catalog;
mod error;
mod frame;
mod reader;
mod recovery;
mod segment;
mod snapshot;
mod storage;
mod store;
mod writer;

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

pub use error::JournalError;
pub use reader::{Item, Reader, Replay};
pub use storage::{Directory, Listed, Storage, StorageFile};

/// What an entry is to the journal's user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// An input of the tracker: replayed after a restart.
    Input = 1,
    /// A record of the ledger: numbered, kept until released, given to readers, and replayed.
    Record = 2,
    /// A small opaque state, such as the last receipt: replayed like an input.
    Mark = 3,
}

/// One entry: its kind and its bytes, which the journal does not look into.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The number of a record in this journal, from 0. A number that was given out is never given to another record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

/// How a journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Length of a segment file: 16 KiB to 64 MiB, a multiple of 4 KiB.
    pub segment_bytes: u32,
    /// Space allocated ahead for a full disk, rounded up to whole segments.
    pub reserve_bytes: u64,
    /// Longest time that a commit waits for as many appends as the one before it had. A lone appender never waits.
    pub commit_window: Duration,
    /// Records after which a commit takes no further append: 1 to 1,024.
    pub commit_records: u32,
    /// Bytes of appends that may wait for the disk; at least 256 KiB.
    pub queue_bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 4 << 20,
            reserve_bytes: 64 << 20,
            commit_window: Duration::from_millis(20),
            commit_records: 64,
            queue_bytes: 1 << 20,
        }
    }
}

/// What was on disk when the journal was opened.
#[derive(Debug)]
pub struct Recovered {
    /// Four hexadecimal digits, drawn when the journal was made; part of every session id given out under it.
    pub tag: String,
    /// Whether the journal was made just now.
    pub created: bool,
    /// The newest snapshot that could be read.
    pub snapshot: Option<Vec<u8>>,
    /// Every entry after that snapshot that could be read, in order.
    pub replay: Replay,
    /// The sequence that the next record will get.
    pub next: Sequence,
    /// What could not be read, as far as opening looked: headers, snapshots, and every frame to be replayed.
    pub damage: Vec<Damage>,
    /// Bytes of a torn last frame that were cut off. No append of it was ever acknowledged (or it rotted since).
    pub tail_cut_bytes: u64,
}

/// Something in the journal that can not be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// First sequence that is missing.
    pub first: Sequence,
    /// First sequence after the hole; equal to `first` when no record is missing but something else is.
    pub next: Sequence,
    /// The file, relative to the journal's folder.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a journal holds and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Segments that hold entries.
    pub segments: usize,
    /// Spare segments, reserve included.
    pub spares: usize,
    /// Spare segments that the reserve should have.
    pub reserve: usize,
    /// Bytes allocated on disk by segments, spares and snapshots.
    pub disk_bytes: u64,
    /// Oldest sequence that is still kept; equal to `next` when there is none.
    pub oldest: Sequence,
    /// Sequence of the next record.
    pub next: Sequence,
    /// Whether appends wait because there is neither space on disk nor reserve.
    pub full: bool,
    /// Why the journal ended, once it has.
    pub failed: Option<String>,
    /// Commits since the journal was opened.
    pub commits: u64,
    /// Bytes of entries handed in since then.
    pub payload_bytes: u64,
    /// Bytes of frames written since then, before rounding to pages.
    pub written_bytes: u64,
    /// Duration of the last `fdatasync`.
    pub sync_last: Duration,
}

/// Appended entries on their way to the disk. Resolves once they are durable, with the sequences of their records.
/// Dropping it takes nothing back.
#[derive(Debug)]
#[must_use = "an append is durable only once this resolves"]
pub struct Append(oneshot::Receiver<Result<Range<Sequence>, JournalError>>);

impl Future for Append {
    type Output = Result<Range<Sequence>, JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|outcome| outcome.unwrap_or(Err(JournalError::Closed)))
    }
}

/// A snapshot on its way to the disk. Resolves once it is durable. Dropping it takes nothing back.
#[derive(Debug)]
#[must_use = "a snapshot is durable only once this resolves"]
pub struct SnapshotSaved(oneshot::Receiver<Result<(), JournalError>>);

impl Future for SnapshotSaved {
    type Output = Result<(), JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|outcome| outcome.unwrap_or(Err(JournalError::Closed)))
    }
}

/// The journal: one writer thread, any number of readers. Dropping it writes what is queued and then ends the thread.
#[derive(Debug)]
pub struct Journal {
    writer: writer::Writer,
}

impl Journal {
    /// Opens the journal in `storage`, or makes it there, and starts its writer thread.
    pub fn open(options: &Options, storage: &Arc<dyn Storage>) -> Result<(Self, Recovered), JournalError> {
        let (store, recovered) = recovery::open(options, storage)?;
        let writer = writer::Writer::start(options, store)?;
        Ok((Self { writer }, recovered))
    }

    /// Queues `entries`, which become durable together or not at all; waits only for room in the queue. The order of
    /// calls is the order on disk.
    pub async fn append(&self, entries: &[Entry]) -> Result<Append, JournalError> {
        self.writer.append(entries).await.map(Append)
    }

    /// Queues `entries` as one append if they fit, else as several in order. Resolves once the last of them is durable;
    /// after a power cut before that, the first appends of them may be there and the others not.
    pub async fn append_in_parts(&self, entries: &[Entry]) -> Result<Append, JournalError> {
        let mut rest = entries;
        loop {
            let (part, after) = rest.split_at(self.writer.fitting(rest));
            let append = self.append(part).await?;
            if after.is_empty() {
                return Ok(append);
            }
            rest = after;
        }
    }

    /// Queues `state` behind every append before it; it stands for exactly those and replaces their replay.
    ///
    /// An error of the returned future leaves the former snapshots in force; the journal goes on.
    pub async fn save_snapshot(&self, state: &[u8]) -> Result<SnapshotSaved, JournalError> {
        self.writer.save_snapshot(state).await.map(SnapshotSaved)
    }

    /// Whether a segment was closed since the last snapshot, so that a new one would let it be released.
    pub fn snapshot_due(&self) -> bool {
        self.writer.catalog().snapshot_due()
    }

    /// A reader of the durable records from `from` on.
    pub fn reader(&self, from: Sequence) -> Reader {
        Reader::new(Arc::clone(self.writer.catalog()), from)
    }

    /// The sequence after the last durable record, and every change of it.
    pub fn durable(&self) -> watch::Receiver<Sequence> {
        self.writer.catalog().durable()
    }

    /// Gives up all records below `below`: the city has receipted them. Space is freed by whole segments, in the
    /// background, up to the older snapshot.
    pub fn release(&self, below: Sequence) {
        self.writer.release(below);
    }

    /// What the journal holds and how it is.
    pub fn status(&self) -> Status {
        self.writer.status()
    }
}
