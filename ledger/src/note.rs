//! Signed texts that are no checkpoints: C2SP signed notes with plain Ed25519 signatures (type 0x01).
//!
//! Such a key is the city's, for what it tells its boxes to do. Its text form is that of a log's key; the name tells them
//! apart, and so does the first line of what is signed.

use std::fmt;

use rand_core::CryptoRngCore;
use signed_note::{Note, Signature};

use crate::key::{KeyError, KeyType, PrivateKey, PublicKey};

/// Signs texts.
#[derive(Clone)]
pub struct TextSigner(PrivateKey);

/// Why a text was not signed, or a signed note gives no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text cannot stand in a note.
    #[error("a text with control characters, or that does not end with a newline, cannot be signed")]
    Text,
    /// It is no signed note.
    #[error("malformed signed note: expected a text, an empty line and signature lines (c2sp.org/signed-note)")]
    Note,
    /// No valid signature of the key is on it.
    #[error("{why} \"{key}\" (key {id:08x}) on the note")]
    Signature {
        /// What is wrong with it.
        why: &'static str,
        /// The key's name.
        key: String,
        /// The key's id.
        id: u32,
    },
}

impl TextSigner {
    /// Makes a new key named `name` from `random`.
    pub fn generate(name: &str, random: &mut impl CryptoRngCore) -> Result<Self, KeyError> {
        PrivateKey::generate(name, KeyType::Log, random).map(Self)
    }

    /// Reads the private key from its text: `PRIVATE+KEY+<name>+<key id>+<base64(0x01 || seed)>`.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        PrivateKey::from_text(text, KeyType::Log).map(Self)
    }

    /// The private key as [`TextSigner::from_text`] reads it. Whoever has it can sign in its name.
    pub fn to_text(&self) -> String {
        self.0.to_text()
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.0.public().name
    }

    /// Signs `text`, which ends with a newline; gives the signed note.
    pub fn sign(&self, text: &str) -> Result<String, TextError> {
        let public = self.0.public();
        let signature = self.0.sign(text.as_bytes()).to_vec();
        let line = Signature::new(public.name.clone(), public.id, signature).map_err(|_| TextError::Text)?;
        let note = Note::new(text.as_bytes(), &[line]).map_err(|_| TextError::Text)?;
        String::from_utf8(note.to_bytes()).map_err(|_| TextError::Text)
    }

    /// The public half.
    pub fn verifier(&self) -> TextVerifier {
        TextVerifier(self.0.public().clone())
    }
}

impl fmt::Debug for TextSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TextSigner").field(&self.name()).finish()
    }
}

/// Verifies the texts that one key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextVerifier(PublicKey);

impl TextVerifier {
    /// Reads a C2SP verifier key of type 0x01.
    pub fn from_vkey(text: &str) -> Result<Self, KeyError> {
        PublicKey::from_text(text, KeyType::Log).map(Self)
    }

    /// The C2SP verifier key, without a newline.
    pub fn to_vkey(&self) -> String {
        self.0.to_text()
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Reads a signed note and gives its text if it bears a valid signature of this key. Lines of other keys are ignored,
    /// as C2SP signed-note demands; each line of this key must be valid. The caller bounds the note's size.
    pub fn open(&self, note: &[u8]) -> Result<String, TextError> {
        let read = Note::from_bytes(note).map_err(|_| TextError::Note)?;
        // `Note` keeps its signatures to itself, but has checked each of these lines.
        let lines = note.get(read.text().len().saturating_add(1)..).unwrap_or_default();
        let mut is_signed = false;
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = Signature::from_bytes(line).map_err(|_| TextError::Note)?;
            if line.name() != self.0.name || line.id() != self.0.id {
                continue;
            }
            let is_valid = line
                .signature()
                .try_into()
                .is_ok_and(|signature| self.0.verifies(read.text(), signature));
            if !is_valid {
                return Err(self.refusal("invalid signature of"));
            }
            is_signed = true;
        }
        if !is_signed {
            return Err(self.refusal("no signature of"));
        }
        String::from_utf8(read.text().to_vec()).map_err(|_| TextError::Note)
    }

    fn refusal(&self, why: &'static str) -> TextError {
        TextError::Signature {
            why,
            key: self.0.name.clone(),
            id: self.0.id,
        }
    }
}
