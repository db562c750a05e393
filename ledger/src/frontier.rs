//! The right edge of a growing tree: enough to append leaves and to know the root, in logarithmic space.

use serde::{Deserialize, Serialize};

use crate::hash::{Hash, node_hash};
use crate::{Checkpoint, LOG_SIZE_MAX};

/// A compact range from leaf 0: the log's size and the roots of its perfect subtrees, left to right.
///
/// There is one such root for each bit set in the size; a log of a million records needs at most 20 hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// Why bytes or a document are no [`Frontier`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// The bytes are not 8 plus a multiple of 32.
    #[error("a frontier of {0} bytes: expected 8 for the size and 32 for each peak")]
    Length(usize),
    /// The number of peaks does not belong to the size.
    #[error("a frontier of size {size} with {found} peaks: expected {}", size.count_ones())]
    Peaks {
        /// The size given.
        size: u64,
        /// The number of peaks given.
        found: usize,
    },
    /// The size is larger than any log.
    #[error("a frontier of size {0}: a log has at most {LOG_SIZE_MAX} records")]
    Size(u64),
}

#[derive(Deserialize)]
struct Unchecked {
    size: u64,
    peaks: Vec<Hash>,
}

impl TryFrom<Unchecked> for Frontier {
    type Error = FrontierError;
    fn try_from(unchecked: Unchecked) -> Result<Self, FrontierError> {
        Self::from_peaks(unchecked.size, unchecked.peaks)
    }
}

impl Frontier {
    /// The frontier of the empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of a log of `size` leaves from the roots of its perfect subtrees, left to right.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, FrontierError> {
        if size > LOG_SIZE_MAX {
            return Err(FrontierError::Size(size));
        }
        if peaks.len() != size.count_ones() as usize {
            return Err(FrontierError::Peaks {
                size,
                found: peaks.len(),
            });
        }
        Ok(Self { size, peaks })
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut subtree = leaf;
        // Each trailing one of the size is a perfect subtree that the new leaf completes to the next larger one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                subtree = node_hash(left, subtree);
            }
        }
        self.peaks.push(subtree);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, left to right.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The root of the tree (RFC 6962, section 2.1); of the empty log the SHA-256 of nothing.
    pub fn root(&self) -> Hash {
        let from_the_right = self.peaks.iter().rev().copied();
        from_the_right
            .reduce(|right, left| node_hash(left, right))
            .unwrap_or_else(|| tlog_tiles::EMPTY_HASH.into())
    }

    /// The checkpoint of the log `origin` at this size.
    pub fn checkpoint(&self, origin: impl Into<String>) -> Checkpoint {
        Checkpoint {
            origin: origin.into(),
            size: self.size,
            root: self.root(),
        }
    }

    /// The frontier as bytes: the size, big-endian, then the peaks.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        for peak in &self.peaks {
            bytes.extend_from_slice(peak.as_bytes());
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk().ok_or(FrontierError::Length(bytes.len()))?;
        let (peaks, odd) = rest.as_chunks();
        if !odd.is_empty() {
            return Err(FrontierError::Length(bytes.len()));
        }
        Self::from_peaks(
            u64::from_be_bytes(*size),
            peaks.iter().copied().map(Hash::new).collect(),
        )
    }
}
