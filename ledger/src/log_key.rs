//! The log's own key: the box signs its checkpoints with it (C2SP signed-note, signature type 0x01).

use std::fmt;

use rand_core::CryptoRngCore;

use crate::key::{KeyError, KeyType, PrivateKey, PublicKey};
use crate::{Checkpoint, SignatureError};

/// Signs the checkpoints of one log. The key's name is the log's origin.
#[derive(Clone)]
pub struct LogSigner(PrivateKey);

impl LogSigner {
    /// Makes a new key named `name` from `random`.
    pub fn generate(name: &str, random: &mut impl CryptoRngCore) -> Result<Self, KeyError> {
        PrivateKey::generate(name, KeyType::Log, random).map(Self)
    }

    /// Reads the private key from its text: `PRIVATE+KEY+<name>+<key id>+<base64(0x01 || seed)>`.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        PrivateKey::from_text(text, KeyType::Log).map(Self)
    }

    /// The private key as [`LogSigner::from_text`] reads it. Whoever has it can sign as this log.
    pub fn to_text(&self) -> String {
        self.0.to_text()
    }

    /// The name of the key and of the log.
    pub fn name(&self) -> &str {
        &self.0.public().name
    }

    /// Signs a checkpoint. Only one whose origin is the key's name will verify.
    pub fn sign(&self, checkpoint: &Checkpoint) -> [u8; 64] {
        self.0.sign(checkpoint.body().as_bytes())
    }

    /// The public half.
    pub fn verifier(&self) -> LogVerifier {
        LogVerifier(self.0.public().clone())
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogSigner").field(&self.name()).finish()
    }
}

/// Verifies the signatures of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogVerifier(PublicKey);

impl LogVerifier {
    /// Reads a C2SP verifier key of type 0x01.
    pub fn from_vkey(text: &str) -> Result<Self, KeyError> {
        PublicKey::from_text(text, KeyType::Log).map(Self)
    }

    /// The C2SP verifier key, without a newline.
    pub fn to_vkey(&self) -> String {
        self.0.to_text()
    }

    /// The name of the key and of the log.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The key id that stands in signature lines.
    pub fn key_id(&self) -> u32 {
        self.0.id
    }

    /// Verifies the log's signature of a checkpoint, and that the checkpoint is of this log.
    pub fn verify(&self, checkpoint: &Checkpoint, signature: &[u8; 64]) -> Result<(), SignatureError> {
        if checkpoint.origin != self.0.name {
            return Err(SignatureError::Origin {
                origin: checkpoint.origin.clone(),
                key: self.0.name.clone(),
            });
        }
        if !self.0.verifies(checkpoint.body().as_bytes(), signature) {
            return Err(SignatureError::Forged {
                key: self.0.name.clone(),
                size: checkpoint.size,
            });
        }
        Ok(())
    }
}
