//! Reading and writing the boxes of ISO/IEC 14496-12, as far as one video track needs them.
//!
//! Only boxes that are asked for are looked into, each at one fixed depth: there is no recursion, so that no nesting in
//! foreign bytes can exhaust the stack, and nothing is allocated because a number in a box says so.

use std::fmt;

/// Type of a box.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why bytes are not the video that is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes end too early.
    #[error("the bytes end within {within}")]
    Short {
        /// The box or part.
        within: FourCc,
    },
    /// The size of a box is impossible.
    #[error("box {kind} says {bytes} bytes, {bytes_left} are there")]
    Size {
        /// The box.
        kind: FourCc,
        /// Its size, bytes, header included.
        bytes: u64,
        /// What is left where it begins, bytes.
        bytes_left: u64,
    },
    /// A box that must be there is not.
    #[error("box {kind} is missing")]
    Missing {
        /// The box.
        kind: FourCc,
    },
    /// A box is where it must not be.
    #[error("box {kind} is not expected here")]
    Unexpected {
        /// The box.
        kind: FourCc,
    },
    /// Something that this program does not do.
    #[error("not supported: {what}")]
    Unsupported {
        /// The thing.
        what: &'static str,
    },
    /// Two numbers that must agree do not.
    #[error("{what}")]
    Inconsistent {
        /// Which.
        what: &'static str,
    },
}

/// Shorthand of this module's functions.
pub(super) type Parsed<T> = Result<T, ParseError>;

/// Header of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: FourCc,
    /// Bytes before what is in it: 8 or 16.
    pub body_offset: u64,
    /// Bytes of the box, header included.
    pub bytes: u64,
}

/// Bytes that are enough to read any header.
pub(super) const HEADER_BYTES_MAX: usize = 16;

impl Header {
    /// Reads the header at the start of `bytes`, of a box that may reach to `bytes_left`.
    pub fn parse(bytes: &[u8], bytes_left: u64) -> Parsed<Self> {
        let mut reader = Reader::new(FourCc(*b"    "), bytes);
        let short = reader.u32()?;
        let kind = FourCc(reader.array()?);
        reader.within = kind;
        // A size of 0, "up to the end of the file", is not used by any writer of fragments.
        let (header_bytes, total) = if short == 1 {
            (16, reader.u64()?)
        } else {
            (8, u64::from(short))
        };
        if total < header_bytes || total > bytes_left {
            return Err(ParseError::Size {
                kind,
                bytes: total,
                bytes_left,
            });
        }
        Ok(Self {
            kind,
            body_offset: header_bytes,
            bytes: total,
        })
    }
}

/// One box in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub kind: FourCc,
    /// The box, header included.
    pub whole: &'a [u8],
    /// What is in it.
    pub body: &'a [u8],
}

impl<'a> Found<'a> {
    /// Reads what is in the box.
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.kind, self.body)
    }
}

/// Boxes one after the other.
#[derive(Debug, Clone)]
pub(super) struct Boxes<'a>(&'a [u8]);

impl<'a> Boxes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next box; `None` at the end.
    pub fn next(&mut self) -> Parsed<Option<Found<'a>>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let header = Header::parse(self.0, self.0.len() as u64)?;
        let within = header.kind;
        let (Ok(bytes), Ok(body_offset)) = (usize::try_from(header.bytes), usize::try_from(header.body_offset)) else {
            return Err(ParseError::Short { within });
        };
        let (whole, rest) = self.0.split_at_checked(bytes).ok_or(ParseError::Short { within })?;
        let body = whole.get(body_offset..).ok_or(ParseError::Short { within })?;
        self.0 = rest;
        Ok(Some(Found {
            kind: header.kind,
            whole,
            body,
        }))
    }

    /// The first box of a type, from here on.
    pub fn find(mut self, kind: [u8; 4]) -> Parsed<Option<Found<'a>>> {
        while let Some(found) = self.next()? {
            if found.kind.0 == kind {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first box of a type, from here on, which must be there.
    pub fn require(self, kind: [u8; 4]) -> Parsed<Found<'a>> {
        self.find(kind)?.ok_or(ParseError::Missing { kind: FourCc(kind) })
    }
}

/// Reads numbers, most significant byte first.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    within: FourCc,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(within: FourCc, bytes: &'a [u8]) -> Self {
        Self { within, bytes }
    }

    pub fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(ParseError::Short { within: self.within })?;
        self.bytes = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(ParseError::Short { within: self.within })?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Parsed<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Parsed<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Parsed<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Parsed<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Parsed<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Parsed<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Version and flags of a full box.
    pub fn version_and_flags(&mut self) -> Parsed<(u8, u32)> {
        let [version, a, b, c] = self.array()?;
        Ok((version, u32::from_be_bytes([0, a, b, c])))
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Appends a box: `body` writes what is in it.
pub(super) fn write_box(out: &mut Vec<u8>, kind: [u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&kind);
    body(out);
    // Boxes that are written here are far smaller than 4 GiB: see the bounds on samples of a clip.
    let bytes = u32::try_from(out.len() - begin).unwrap_or(u32::MAX);
    if let Some(size) = out.get_mut(begin..begin + 4) {
        size.copy_from_slice(&bytes.to_be_bytes());
    }
}

/// Appends a full box.
pub(super) fn write_full_box(
    out: &mut Vec<u8>,
    kind: [u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    write_box(out, kind, |out| {
        let [_, a, b, c] = flags.to_be_bytes();
        out.extend_from_slice(&[version, a, b, c]);
        body(out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_of_impossible_size_is_refused() {
        for bytes in [
            &b"\0\0\0\x07free"[..],
            b"\0\0\0\x09free",
            b"\0\0\0\0free",
            b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f",
        ] {
            assert!(
                matches!(Boxes::new(bytes).next(), Err(ParseError::Size { .. })),
                "{bytes:?}"
            );
        }
        assert!(Boxes::new(b"\0\0\0").next().is_err());
    }

    #[test]
    fn boxes_with_short_and_long_sizes_are_walked() {
        let mut boxes = Boxes::new(b"\0\0\0\x09freeA\0\0\0\x01mdat\0\0\0\0\0\0\0\x12BC");
        assert_eq!(boxes.next().unwrap().unwrap().body, b"A");
        let found = boxes.next().unwrap().unwrap();
        assert_eq!((found.kind, found.body), (FourCc(*b"mdat"), &b"BC"[..]));
        assert!(boxes.next().unwrap().is_none());
    }
}
