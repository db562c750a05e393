//! One byte for each of 64 by 36 blocks of a picture.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Blocks in a row.
pub const BLOCKS_WIDE: usize = 64;
/// Rows of blocks.
pub const BLOCKS_HIGH: usize = 36;
/// Blocks of a picture.
pub const BLOCKS: usize = BLOCKS_WIDE * BLOCKS_HIGH;

/// One byte for each block of a picture, row after row. Serialised as base64 without padding (RFC 4648): 3,072
/// characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Grid(Box<[u8; BLOCKS]>);

impl Grid {
    /// A grid with the same value everywhere.
    pub fn filled(value: u8) -> Self {
        Self(Box::new([value; BLOCKS]))
    }

    /// The grid of these values, row after row; none unless there are 64 by 36.
    pub fn from_bytes(values: &[u8]) -> Option<Self> {
        <[u8; BLOCKS]>::try_from(values)
            .ok()
            .map(|values| Self(Box::new(values)))
    }

    /// The values, row after row.
    pub fn values(&self) -> &[u8; BLOCKS] {
        &self.0
    }

    pub(super) fn values_mut(&mut self) -> &mut [u8; BLOCKS] {
        &mut self.0
    }
}

impl std::fmt::Debug for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Grid(..)")
    }
}

impl Serialize for Grid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(*self.0))
    }
}

impl<'de> Deserialize<'de> for Grid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD_NO_PAD
            .decode(text)
            .ok()
            .and_then(|values| Self::from_bytes(&values))
            .ok_or_else(|| serde::de::Error::custom("a grid is 64 by 36 bytes as base64 without padding"))
    }
}
