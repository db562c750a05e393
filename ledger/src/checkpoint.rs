//! Checkpoints: a log's size and root, and the signed note that carries them (C2SP tlog-checkpoint, signed-note).

use signed_note::{Note, Signature};

use crate::{CosignerVerifier, Hash, LogVerifier, Receipt};

/// What a log says of itself at one size.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// The log's name, which is also its key's name: `<log domain>/<gateway>`.
    pub origin: String,
    /// Number of records.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The exact text that is signed: origin, size and root, a line each (no extension lines).
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    fn from_body(text: &[u8]) -> Result<Self, NoteError> {
        let parsed = tlog_tiles::Checkpoint::from_bytes(text).map_err(|_| NoteError::Body)?;
        let checkpoint = Self {
            origin: parsed.origin().to_owned(),
            size: parsed.size(),
            root: (*parsed.hash()).into(),
        };
        if !parsed.extension().is_empty() {
            return Err(NoteError::Extension(checkpoint.origin));
        }
        if checkpoint.body().as_bytes() != text {
            return Err(NoteError::Body);
        }
        Ok(checkpoint)
    }
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The checkpoint is of another log.
    #[error("checkpoint of log \"{origin}\", but the key is of \"{key}\"")]
    Origin {
        /// The checkpoint's origin.
        origin: String,
        /// The key's name.
        key: String,
    },
    /// The receipt was made with another key.
    #[error("receipt by key {found:08x}, but the key of \"{key}\" is {expected:08x}")]
    KeyId {
        /// The cosigner's name.
        key: String,
        /// The cosigner's key id.
        expected: u32,
        /// The receipt's key id.
        found: u32,
    },
    /// The receipt is for another size.
    #[error("receipt of \"{key}\" for size {receipt}, but the checkpoint has size {checkpoint}")]
    Size {
        /// The cosigner's name.
        key: String,
        /// The receipt's size.
        receipt: u64,
        /// The checkpoint's size.
        checkpoint: u64,
    },
    /// The signature is not this key's over this checkpoint.
    #[error("invalid signature of \"{key}\" on the checkpoint of size {size}: forged, or of another tree")]
    Forged {
        /// The key's name.
        key: String,
        /// The checkpoint's size.
        size: u64,
    },
    /// The note bears no signature of this key.
    #[error("no signature of \"{key}\" (key {id:08x}) on the checkpoint")]
    Absent {
        /// The key's name.
        key: String,
        /// The key's id.
        id: u32,
    },
    /// A signature line of this key has another length than its type has.
    #[error("signature of \"{key}\" with {found} bytes: expected {expected}")]
    Length {
        /// The key's name.
        key: String,
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
}

/// Why a text is no [`SignedCheckpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is no signed note.
    #[error("malformed signed note: expected a text, an empty line and signature lines (c2sp.org/signed-note)")]
    Note,
    /// The note's text is no checkpoint.
    #[error("malformed checkpoint: expected origin, size and base64 root, a line each (c2sp.org/tlog-checkpoint)")]
    Body,
    /// The checkpoint has extension lines.
    #[error("checkpoint of \"{0}\" with extension lines: the logs of this system have none")]
    Extension(String),
}

/// A checkpoint with signatures on it. Reading one verifies nothing: see [`SignedCheckpoint::verify`].
///
/// Signature lines of unknown keys are kept and ignored, as C2SP signed-note demands.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    signatures: Vec<Signature>,
}

impl SignedCheckpoint {
    /// Puts the log's signature under its checkpoint, after verifying it.
    pub fn new(checkpoint: Checkpoint, signature: &[u8; 64], log: &LogVerifier) -> Result<Self, SignatureError> {
        log.verify(&checkpoint, signature)?;
        // The only way to fail is a bad name, and a key's name was checked when the key was read.
        let line = Signature::new(log.name().to_owned(), log.key_id(), signature.to_vec());
        Ok(Self {
            checkpoint,
            signatures: line.into_iter().collect(),
        })
    }

    /// Adds a cosignature below the others, after verifying it. One of the same key that is there already goes.
    pub fn add_receipt(&mut self, receipt: &Receipt, cosigner: &CosignerVerifier) -> Result<(), SignatureError> {
        cosigner.verify(&self.checkpoint, receipt)?;
        let mut bytes = receipt.time_s.to_be_bytes().to_vec();
        bytes.extend_from_slice(&receipt.signature);
        self.signatures
            .retain(|line| !is_by(line, cosigner.name(), cosigner.key_id()));
        self.signatures
            .extend(Signature::new(cosigner.name().to_owned(), cosigner.key_id(), bytes));
        Ok(())
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The cosignatures on it with their cosigners' names, in their order; none of them is verified by this.
    pub fn receipts(&self) -> Vec<(String, Receipt)> {
        let read = |line: &Signature| {
            let receipt = self.receipt_from(line).ok()?;
            Some((line.name().to_owned(), receipt))
        };
        self.signatures.iter().filter_map(read).collect()
    }

    /// Verifies the log's signature, and that the checkpoint is of this log.
    pub fn verify(&self, log: &LogVerifier) -> Result<(), SignatureError> {
        for line in self.lines_of(log.name(), log.key_id())? {
            let signature = line.signature().try_into().map_err(|_| wrong_length(line, 64))?;
            log.verify(&self.checkpoint, signature)?;
        }
        Ok(())
    }

    /// Verifies a cosigner's signature and gives it as a receipt.
    pub fn verify_cosigner(&self, cosigner: &CosignerVerifier) -> Result<Receipt, SignatureError> {
        let mut first = None;
        let lines = self.lines_of(cosigner.name(), cosigner.key_id())?;
        for line in &lines {
            let receipt = self.receipt_from(line)?;
            cosigner.verify(&self.checkpoint, &receipt)?;
            first.get_or_insert(receipt);
        }
        first.ok_or_else(|| absent(cosigner.name(), cosigner.key_id()))
    }

    /// The C2SP signed note; when made here, the log's signature line comes first.
    pub fn to_note(&self) -> String {
        let mut note = self.checkpoint.body();
        note.push('\n');
        for line in &self.signatures {
            note.push_str(&String::from_utf8_lossy(&line.to_bytes()));
        }
        note
    }

    /// Reads a C2SP signed note whose text is a checkpoint.
    pub fn from_note(text: &str) -> Result<Self, NoteError> {
        let note = Note::from_bytes(text.as_bytes()).map_err(|_| NoteError::Note)?;
        let checkpoint = Checkpoint::from_body(note.text())?;
        // `Note` keeps its signatures to itself, but has checked each of these lines.
        let lines = text.get(note.text().len() + 1..).unwrap_or_default();
        let signatures = lines.lines().map(|line| Signature::from_bytes(line.as_bytes()));
        Ok(Self {
            checkpoint,
            signatures: signatures.collect::<Result<_, _>>().map_err(|_| NoteError::Note)?,
        })
    }

    /// The lines of one key: at least one.
    fn lines_of(&self, name: &str, id: u32) -> Result<Vec<&Signature>, SignatureError> {
        let lines: Vec<_> = self.signatures.iter().filter(|line| is_by(line, name, id)).collect();
        if lines.is_empty() {
            Err(absent(name, id))
        } else {
            Ok(lines)
        }
    }

    fn receipt_from(&self, line: &Signature) -> Result<Receipt, SignatureError> {
        let (time, signature) = line
            .signature()
            .split_first_chunk()
            .ok_or_else(|| wrong_length(line, 72))?;
        let signature = signature.try_into().map_err(|_| wrong_length(line, 72))?;
        Ok(Receipt {
            size: self.checkpoint.size,
            time_s: u64::from_be_bytes(*time),
            key_id: line.id(),
            signature,
        })
    }
}

fn is_by(line: &Signature, name: &str, id: u32) -> bool {
    line.name() == name && line.id() == id
}

fn absent(key: &str, id: u32) -> SignatureError {
    SignatureError::Absent {
        key: key.to_owned(),
        id,
    }
}

fn wrong_length(line: &Signature, expected: usize) -> SignatureError {
    SignatureError::Length {
        key: line.name().to_owned(),
        found: line.signature().len(),
        expected,
    }
}
