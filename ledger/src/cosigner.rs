//! A witness's key: the city confirms with it what it has stored (C2SP tlog-cosignature, signature type 0x04).

use std::fmt;

use rand_core::CryptoRngCore;

use crate::key::{KeyError, KeyType, PrivateKey, PublicKey};
use crate::{Checkpoint, Receipt, SignatureError};

/// Latest time that a cosignature may carry, seconds since 1970 (C2SP tlog-cosignature).
pub(crate) const TIME_MAX_S: u64 = i64::MAX.unsigned_abs();

/// Cosigns checkpoints of any log.
#[derive(Clone)]
pub struct Cosigner(PrivateKey);

impl Cosigner {
    /// Makes a new key named `name` from `random`.
    pub fn generate(name: &str, random: &mut impl CryptoRngCore) -> Result<Self, KeyError> {
        PrivateKey::generate(name, KeyType::Cosigner, random).map(Self)
    }

    /// Reads the private key from its text: `PRIVATE+KEY+<name>+<key id>+<base64(0x04 || seed)>`.
    ///
    /// It is the text form of a log's private key with the signature type of cosignatures, so that neither can be
    /// taken for the other.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        PrivateKey::from_text(text, KeyType::Cosigner).map(Self)
    }

    /// The private key as [`Cosigner::from_text`] reads it. Whoever has it can sign as this cosigner.
    pub fn to_text(&self) -> String {
        self.0.to_text()
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.0.public().name
    }

    /// Cosigns a checkpoint at `time_s`, seconds since 1970; later times than 2^63-1 count as that.
    pub fn cosign(&self, checkpoint: &Checkpoint, time_s: u64) -> Receipt {
        let time_s = time_s.min(TIME_MAX_S);
        Receipt {
            size: checkpoint.size,
            time_s,
            key_id: self.0.public().id,
            signature: self.0.sign(message(checkpoint, time_s).as_bytes()),
        }
    }

    /// The public half.
    pub fn verifier(&self) -> CosignerVerifier {
        CosignerVerifier(self.0.public().clone())
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cosigner").field(&self.name()).finish()
    }
}

/// Verifies the cosignatures of one cosigner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignerVerifier(PublicKey);

impl CosignerVerifier {
    /// Reads a C2SP verifier key of type 0x04.
    pub fn from_vkey(text: &str) -> Result<Self, KeyError> {
        PublicKey::from_text(text, KeyType::Cosigner).map(Self)
    }

    /// The C2SP verifier key, without a newline.
    pub fn to_vkey(&self) -> String {
        self.0.to_text()
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The key id that stands in signature lines and receipts.
    pub fn key_id(&self) -> u32 {
        self.0.id
    }

    /// Verifies that `receipt` is this cosigner's cosignature of `checkpoint`.
    pub fn verify(&self, checkpoint: &Checkpoint, receipt: &Receipt) -> Result<(), SignatureError> {
        if receipt.key_id != self.0.id {
            return Err(SignatureError::KeyId {
                key: self.0.name.clone(),
                expected: self.0.id,
                found: receipt.key_id,
            });
        }
        if receipt.size != checkpoint.size {
            return Err(SignatureError::Size {
                key: self.0.name.clone(),
                receipt: receipt.size,
                checkpoint: checkpoint.size,
            });
        }
        let in_time = receipt.time_s <= TIME_MAX_S;
        if !in_time
            || !self
                .0
                .verifies(message(checkpoint, receipt.time_s).as_bytes(), &receipt.signature)
        {
            return Err(SignatureError::Forged {
                key: self.0.name.clone(),
                size: checkpoint.size,
            });
        }
        Ok(())
    }
}

/// The message of a `cosignature/v1`.
fn message(checkpoint: &Checkpoint, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{}", checkpoint.body())
}
