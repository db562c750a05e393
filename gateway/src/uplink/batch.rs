//! From records in the journal to signed batches.

use ledger::batch::{Batch, BatchError};
use ledger::{Frontier, LogSigner, leaf_hash};

use crate::journal::{Item, JournalError, Reader, Sequence};

/// zstd level of a small batch, where every byte of a metered link counts.
const LEVEL_SMALL: i32 = 19;
/// zstd level of a large batch: a backlog drains at the link's rate, not at the compressor's.
const LEVEL_LARGE: i32 = 9;
/// Records from which a batch is large.
const LARGE_RECORDS: usize = 64;

/// Why no batch could be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record or batch breaks the rules of the wire; the daemon must not have written it.
    #[error("records from journal sequence {first} cannot be sent: {source}")]
    Encode {
        /// Sequence of the first record.
        first: u64,
        /// What is wrong.
        source: BatchError,
    },
}

/// A batch ready to send.
#[derive(Debug)]
pub struct Built {
    /// Its bytes on the wire.
    pub payload: Vec<u8>,
    /// Edge of the log after it.
    pub frontier: Frontier,
    /// The journal's sequence after it.
    pub next: Sequence,
    /// Records in it.
    pub records: usize,
}

/// Limits of one batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Most records.
    pub records_max: usize,
    /// Most bytes before compression; a single record may be larger.
    pub bytes_max: usize,
}

/// A hole in the journal: its records cannot be read back and get no index in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// First sequence that is missing.
    pub first: Sequence,
    /// First sequence after it.
    pub next: Sequence,
    /// The file.
    pub file: String,
}

/// What reading for a batch came to.
#[derive(Debug, Default)]
pub struct Taken {
    /// The batch; `None` when there was no record to send.
    pub built: Option<Built>,
    /// Holes met on the way.
    pub holes: Vec<Hole>,
    /// The sequence after what was read, if anything was.
    pub reached: Option<Sequence>,
}

/// Reads records from `reader`, up to the durable end of the journal, and signs a batch that continues `frontier`.
pub fn build(
    reader: &mut Reader,
    frontier: &Frontier,
    limits: BatchLimits,
    signer: &LogSigner,
) -> Result<Taken, BuildError> {
    let mut taken = Taken::default();
    let mut edge = frontier.clone();
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut span: Option<(Sequence, Sequence)> = None;
    while records.len() < limits.records_max && bytes < limits.bytes_max {
        match reader.next()? {
            Some(Item::Record {
                sequence,
                bytes: record,
            }) => {
                edge.push(leaf_hash(&record));
                bytes += record.len() + 1;
                records.push(record);
                let next = Sequence(sequence.0 + 1);
                span = Some((span.map_or(sequence, |(first, _)| first), next));
                taken.reached = Some(next);
            }
            Some(Item::Lost { first, next, file }) => {
                taken.holes.push(Hole { first, next, file });
                taken.reached = Some(next);
            }
            None => break,
        }
    }
    let Some((first, next)) = span else { return Ok(taken) };
    let count = records.len();
    let signature = signer.sign(&edge.checkpoint(signer.name()));
    let batch = Batch {
        first_index: frontier.size(),
        records,
        signature,
    };
    let level = if count < LARGE_RECORDS {
        LEVEL_SMALL
    } else {
        LEVEL_LARGE
    };
    let encoded = ledger::batch::encode(&batch, level);
    let payload = encoded.map_err(|source| BuildError::Encode { first: first.0, source })?;
    taken.built = Some(Built {
        payload,
        frontier: edge,
        next,
        records: count,
    });
    Ok(taken)
}

/// Computes the edge of the log at `size` by hashing on from `frontier`. `None` if the journal ends before.
pub fn edge_at(
    reader: &mut Reader,
    frontier: &Frontier,
    mut next: Sequence,
    size: u64,
) -> Result<Option<(Frontier, Sequence)>, JournalError> {
    let mut edge = frontier.clone();
    while edge.size() < size {
        match reader.next()? {
            Some(Item::Record { sequence, bytes }) => {
                edge.push(leaf_hash(&bytes));
                next = Sequence(sequence.0 + 1);
            }
            Some(Item::Lost { .. }) => {}
            None => return Ok(None),
        }
    }
    Ok(Some((edge, next)))
}
