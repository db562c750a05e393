//! SHA-256 hashes of the log's tree, as RFC 6962 defines them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A SHA-256 hash of the tree: of a leaf, an inner node or the root. Prints and serialises as standard base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; Hash::LENGTH_BYTES]);

/// Why a text is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no hash: expected 32 bytes in standard base64 (44 characters)")]
pub struct HashError(String);

impl Hash {
    /// Length of a hash, bytes.
    pub const LENGTH_BYTES: usize = 32;

    /// Wraps the bytes of a hash.
    pub const fn new(bytes: [u8; Self::LENGTH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The hash's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH_BYTES] {
        &self.0
    }
}

/// The hash of a record as a leaf of the tree: `SHA-256(0x00 || record)` (RFC 6962, section 2.1).
pub fn leaf_hash(record: &[u8]) -> Hash {
    tlog_tiles::record_hash(record).into()
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)` (RFC 6962, section 2.1).
pub(crate) fn node_hash(left: Hash, right: Hash) -> Hash {
    tlog_tiles::node_hash(left.into(), right.into()).into()
}

impl From<tlog_tiles::Hash> for Hash {
    fn from(hash: tlog_tiles::Hash) -> Self {
        Self(hash.0)
    }
}

impl From<Hash> for tlog_tiles::Hash {
    fn from(hash: Hash) -> Self {
        Self(hash.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashError;
    fn from_str(text: &str) -> Result<Self, HashError> {
        let mut bytes = [0; Self::LENGTH_BYTES];
        match STANDARD.decode_slice(text, &mut bytes) {
            Ok(Self::LENGTH_BYTES) => Ok(Self(bytes)),
            _ => Err(HashError(text.chars().take(64).collect())),
        }
    }
}

impl TryFrom<String> for Hash {
    type Error = HashError;
    fn try_from(text: String) -> Result<Self, HashError> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_back_from_its_text_and_nothing_else_is_a_hash() {
        let hash = leaf_hash(b"record");
        assert_eq!(hash.to_string().parse::<Hash>().unwrap(), hash);
        let text = hash.to_string();
        for bad in [
            "",
            "AAAA",
            &text[1..],
            &format!("{text}="),
            &format!("{text}AAAA"),
            &text.replace('=', ""),
        ] {
            assert!(bad.parse::<Hash>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_leaf_hash_of_nothing_is_that_of_certificate_transparency() {
        assert_eq!(
            leaf_hash(b"").to_string(),
            "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="
        );
    }
}
