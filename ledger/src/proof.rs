//! Proofs that hold offline: that a record is in a log (C2SP tlog-proof), that a log only ever grew.
//!
//! A proof file has lines `c2sp.org/tlog-proof@v1`, optionally `extra <base64>`, `index <n>`, the hashes from the
//! leaf's sibling upwards in base64, an empty line, and the signed checkpoint as it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{
    Checkpoint, CosignerVerifier, Hash, HashError, LogVerifier, NoteError, SignatureError, SignedCheckpoint, leaf_hash,
};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^64 leaves is 64 levels high.
const PATH_LENGTH_MAX: usize = 64;

/// A proof that a log holds a record at an index.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The record's index in the log.
    pub index: u64,
    /// Hashes beside the path from leaf to root, from the leaf's sibling upwards (RFC 6962, section 2.1.1).
    pub path: Vec<Hash>,
    /// The checkpoint whose tree holds the record.
    pub checkpoint: SignedCheckpoint,
    /// Bytes of the application's own, vouched for by nobody.
    pub extra: Option<Vec<u8>>,
}

/// Why a proof is not accepted, or a text is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The first line is another.
    #[error("not a proof: its first line must be \"{HEADER}\"")]
    Header,
    /// A line is not what it should be.
    #[error("proof, line {line}: expected {expected}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// A line of the path is no hash.
    #[error("proof, line {line}: {cause}")]
    Hash {
        /// The line, counted from 1.
        line: usize,
        /// Why.
        #[source]
        cause: HashError,
    },
    /// The path is longer than any tree is high.
    #[error("proof with {0} hashes: no tree needs more than {PATH_LENGTH_MAX}")]
    PathLength(usize),
    /// The checkpoint cannot be read.
    #[error("checkpoint of the proof: {0}")]
    Checkpoint(#[from] NoteError),
    /// A signature that is asked for is missing or wrong.
    #[error("checkpoint of the proof: {0}")]
    Signature(#[from] SignatureError),
    /// The index lies beyond the checkpoint.
    #[error("proof for index {index} of a log of {size} records")]
    Index {
        /// The index.
        index: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The path does not lead from this record to the checkpoint's root.
    #[error(
        "this record is not at index {index} of the log of {size} records: it was altered, or the proof is another's"
    )]
    NotIncluded {
        /// The index.
        index: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// Two checkpoints are of different logs.
    #[error("checkpoints of \"{old}\" and of \"{new}\" cannot be compared: they are of different logs")]
    Origins {
        /// The older checkpoint's log.
        old: String,
        /// The newer checkpoint's log.
        new: String,
    },
    /// The newer tree does not contain the older one.
    #[error(
        "the log of {new} records does not continue the one of {old}: history was rewritten, or the proof is wrong"
    )]
    NotConsistent {
        /// The older size.
        old: u64,
        /// The newer size.
        new: u64,
    },
}

impl Proof {
    /// A proof without extra bytes.
    pub fn new(index: u64, path: Vec<Hash>, checkpoint: SignedCheckpoint) -> Self {
        Self {
            index,
            path,
            checkpoint,
            extra: None,
        }
    }

    /// Verifies that the log holds exactly `record`, that the log signed for it, and that every one of `cosigners` did.
    pub fn verify(&self, record: &[u8], log: &LogVerifier, cosigners: &[CosignerVerifier]) -> Result<(), ProofError> {
        self.checkpoint.verify(log)?;
        for cosigner in cosigners {
            self.checkpoint.verify_cosigner(cosigner)?;
        }
        verify_inclusion(leaf_hash(record), self.index, &self.path, self.checkpoint.checkpoint())
    }

    /// The proof as a file's text; such files end in `.tlog-proof`.
    pub fn to_text(&self) -> String {
        let mut lines = vec![HEADER.to_owned()];
        lines.extend(
            self.extra
                .iter()
                .map(|extra| format!("extra {}", STANDARD.encode(extra))),
        );
        lines.push(format!("index {}", self.index));
        lines.extend(self.path.iter().map(Hash::to_string));
        format!("{}\n\n{}", lines.join("\n"), self.checkpoint.to_note())
    }

    /// Reads a proof file. Nothing is verified by this.
    pub fn from_text(text: &str) -> Result<Self, ProofError> {
        let (head, note) = text.split_once("\n\n").ok_or(ProofError::Line {
            line: text.lines().count(),
            expected: "an empty line and a checkpoint",
        })?;
        let mut lines = (1..).zip(head.split('\n')).peekable();
        if lines.next().is_none_or(|(_, line)| line != HEADER) {
            return Err(ProofError::Header);
        }
        let mut extra = None;
        if let Some((line, encoded)) = lines.next_if(|(_, text)| text.starts_with("extra ")) {
            let bytes = STANDARD.decode(&encoded["extra ".len()..]);
            let expected = "\"extra \" and standard base64";
            extra = Some(bytes.map_err(|_| ProofError::Line { line, expected })?);
        }
        let index = lines
            .next()
            .and_then(|(_, line)| read_index(line))
            .ok_or(ProofError::Line {
                line: 2 + usize::from(extra.is_some()),
                expected: "\"index \" and a decimal number",
            })?;
        let mut path = Vec::new();
        for (line, text) in lines {
            path.push(text.parse().map_err(|cause| ProofError::Hash { line, cause })?);
            check_length(&path)?;
        }
        Ok(Self {
            index,
            path,
            checkpoint: SignedCheckpoint::from_note(note)?,
            extra,
        })
    }
}

/// Reads `index <n>`; a number has no sign and no leading zero.
fn read_index(line: &str) -> Option<u64> {
    let digits = line.strip_prefix("index ")?;
    let index = digits.parse::<u64>().ok()?;
    (index.to_string() == digits).then_some(index)
}

fn check_length(path: &[Hash]) -> Result<(), ProofError> {
    if path.len() > PATH_LENGTH_MAX {
        Err(ProofError::PathLength(path.len()))
    } else {
        Ok(())
    }
}

fn to_tlog(path: &[Hash]) -> Vec<tlog_tiles::Hash> {
    path.iter().copied().map(Into::into).collect()
}

/// Verifies that the tree of `checkpoint` holds the leaf hash `leaf` at `index` (RFC 6962, section 2.1.1). The
/// checkpoint's signatures are not looked at.
pub fn verify_inclusion(leaf: Hash, index: u64, path: &[Hash], checkpoint: &Checkpoint) -> Result<(), ProofError> {
    let size = checkpoint.size;
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    check_length(path)?;
    tlog_tiles::check_record(&to_tlog(path), size, checkpoint.root.into(), index, leaf.into())
        .map_err(|_| ProofError::NotIncluded { index, size })
}

/// Verifies that the log of `new` continues the log of `old` (RFC 6962, section 2.1.2). The checkpoints' signatures are
/// not looked at. From the empty log no hash is needed.
pub fn verify_consistency(old: &Checkpoint, new: &Checkpoint, path: &[Hash]) -> Result<(), ProofError> {
    if old.origin != new.origin {
        return Err(ProofError::Origins {
            old: old.origin.clone(),
            new: new.origin.clone(),
        });
    }
    check_length(path)?;
    let consistent = if old.size == 0 {
        path.is_empty() && old.root == Hash::from(tlog_tiles::EMPTY_HASH) && (new.size > 0 || new.root == old.root)
    } else {
        tlog_tiles::check_tree(&to_tlog(path), new.size, new.root.into(), old.size, old.root.into()).is_ok()
    };
    if consistent {
        Ok(())
    } else {
        Err(ProofError::NotConsistent {
            old: old.size,
            new: new.size,
        })
    }
}
