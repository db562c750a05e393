//! Receipts: the cosignature with which the city confirms that it has stored a log up to a size.
//!
//! On the wire: version byte (1), size (LEB128), time (LEB128), key id (4 bytes, big-endian), signature (64 bytes).

use crate::cosigner::TIME_MAX_S;
use crate::varint;

const VERSION: u8 = 1;

/// A cosignature without its checkpoint: the box knows the checkpoint, having signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Size of the checkpoint that it confirms.
    pub size: u64,
    /// When it was made, seconds since 1970.
    pub time_s: u64,
    /// The cosigner's key id.
    pub key_id: u32,
    /// The Ed25519 signature over time and checkpoint.
    pub signature: [u8; 64],
}

/// Why bytes are no [`Receipt`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The bytes are of another version of the format.
    #[error("receipt of version {0}: this program reads version {VERSION}; upgrade it")]
    Version(u8),
    /// The bytes are too short, too long or hold a malformed number.
    #[error("malformed receipt of {0} bytes")]
    Form(usize),
    /// The time is later than cosignatures can say.
    #[error("receipt of time {0}: a cosignature's time is at most 2^63-1 seconds")]
    Time(u64),
}

impl Receipt {
    /// The receipt as bytes for the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        varint::write(self.size, &mut bytes);
        varint::write(self.time_s, &mut bytes);
        bytes.extend_from_slice(&self.key_id.to_be_bytes());
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Reads what [`Receipt::to_bytes`] wrote. It is not verified yet: see `CosignerVerifier::verify`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let malformed = || ReceiptError::Form(bytes.len());
        let (&version, rest) = bytes.split_first().ok_or_else(malformed)?;
        if version != VERSION {
            return Err(ReceiptError::Version(version));
        }
        let (size, rest) = varint::read(rest).ok_or_else(malformed)?;
        let (time_s, rest) = varint::read(rest).ok_or_else(malformed)?;
        let (key_id, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        let signature = rest.try_into().map_err(|_| malformed())?;
        if time_s > TIME_MAX_S {
            return Err(ReceiptError::Time(time_s));
        }
        Ok(Self {
            size,
            time_s,
            key_id: u32::from_be_bytes(*key_id),
            signature,
        })
    }
}
