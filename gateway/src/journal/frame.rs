//! Frames: one commit each, and the entries in them. Formats only; nothing here touches a file.

use super::{Entry, EntryKind};

/// What a disk reads and writes at a time, bytes.
pub(super) const PAGE: usize = 4096;
/// The same, for offsets.
pub(super) const PAGE_BYTES: u64 = PAGE as u64;
/// Frames begin at multiples of this.
pub(super) const FRAME_ALIGN: u64 = 8;
/// Length of a frame's header.
pub(super) const HEADER_BYTES: usize = 32;
/// Most bytes of encoded entries in a frame.
pub(super) const RAW_BYTES_MAX: usize = 256 << 10;
/// Most entries in an append.
pub(super) const APPEND_ENTRIES_MAX: usize = 1024;
/// Most bytes that are left unused so that a frame begins on the next page.
const SKIP_BYTES_MAX: u64 = 1024;
/// Of 256 session records in 99 KB it makes 13 KB in 0.07 ms; level 1 makes 8 KB in 0.11 ms, and a disk that takes a
/// commit in 0.1 ms would wait for it. `zstd -b FILE` and `zstd --fast=3 -b FILE` compare them.
const COMPRESSION_LEVEL: i32 = -3;

/// Checksums of a segment's frames start from here, so that a frame verifies only at the place it was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    /// For the frames of segment `number` of the journal `id`.
    pub(super) fn new(id: u64, number: u64) -> Self {
        Self(crc32c::crc32c_append(
            crc32c::crc32c(&id.to_le_bytes()),
            &number.to_le_bytes(),
        ))
    }

    fn checksum(self, offset: u64, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &offset.to_le_bytes()), bytes)
    }
}

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    payload_checksum: u32,
    stored_bytes: u32,
    raw_bytes: u32,
    /// Index of the frame in its segment, from 0.
    pub(super) index: u32,
    /// Records in it.
    pub(super) records: u32,
    /// Sequence of the first of them, or of the next record if there is none.
    pub(super) first: u64,
}

impl FrameHeader {
    /// Reads a header that stands at `offset`; `None` if it does not verify.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES], seed: Seed, offset: u64) -> Option<Self> {
        let header = Self {
            payload_checksum: u32_at(bytes, 4),
            stored_bytes: u32_at(bytes, 8),
            raw_bytes: u32_at(bytes, 12),
            index: u32_at(bytes, 16),
            records: u32_at(bytes, 20),
            first: u64_at(bytes, 24),
        };
        // Cheap checks first: a search for a frame tries every eighth byte of a segment.
        let plausible = header.stored_bytes > 0
            && header.stored_bytes <= header.raw_bytes
            && header.raw_bytes as usize <= RAW_BYTES_MAX
            && header.records <= header.raw_bytes
            && header.first.checked_add(u64::from(header.records)).is_some();
        (plausible && u32_at(bytes, 0) == seed.checksum(offset, &bytes[4..])).then_some(header)
    }

    fn encode(&self, seed: Seed, offset: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[4..8].copy_from_slice(&self.payload_checksum.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.raw_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.index.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.records.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        let checksum = seed.checksum(offset, &bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Bytes of the payload as it is on disk.
    pub(super) fn stored_bytes(&self) -> usize {
        self.stored_bytes as usize
    }

    /// Bytes of the frame on disk.
    pub(super) fn frame_bytes(&self) -> u64 {
        (HEADER_BYTES + self.stored_bytes()) as u64
    }

    /// Sequence after the frame's last record.
    pub(super) fn next(&self) -> u64 {
        self.first + u64::from(self.records)
    }

    /// The encoded entries of a payload, if all of it verifies.
    pub(super) fn decode_payload(&self, stored: &[u8], seed: Seed, offset: u64) -> Option<Vec<u8>> {
        if seed.checksum(offset, stored) != self.payload_checksum {
            return None;
        }
        let raw = if self.stored_bytes == self.raw_bytes {
            stored.to_vec()
        } else {
            zstd::bulk::decompress(stored, self.raw_bytes as usize).ok()?
        };
        let records = count_records(&raw)?;
        (raw.len() == self.raw_bytes as usize && records == self.records).then_some(raw)
    }
}

/// Lays frames out. Keeps its buffers and the compressor from one to the next.
pub(super) struct FrameWriter {
    compressor: zstd::bulk::Compressor<'static>,
    compressed: Vec<u8>,
    frame: Vec<u8>,
}

impl std::fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameWriter").finish_non_exhaustive()
    }
}

/// What a frame is made of, besides its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    /// Encoded entries.
    pub(super) raw: &'a [u8],
    /// How many of them are records.
    pub(super) records: u32,
    /// Sequence of the first record.
    pub(super) first: u64,
}

impl FrameWriter {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            compressor: zstd::bulk::Compressor::new(COMPRESSION_LEVEL)?,
            compressed: Vec::with_capacity(zstd::zstd_safe::compress_bound(RAW_BYTES_MAX)),
            frame: Vec::new(),
        })
    }

    /// Chooses how `raw` is stored after `offset`; gives the offset of the frame's begin and its length.
    pub(super) fn choose(&mut self, raw: &[u8], offset: u64) -> Placed {
        let plain_bytes = HEADER_BYTES + raw.len();
        let plain = Placed::after(offset, plain_bytes, false);
        if plain.pages() <= 1 {
            return plain;
        }
        self.compressed.clear();
        match self.compressor.compress_to_buffer(raw, &mut self.compressed) {
            // What hardly gets smaller is not worth the reader's time.
            Ok(bytes) if bytes < raw.len() - raw.len() / 8 => Placed::after(offset, HEADER_BYTES + bytes, true),
            _ => plain,
        }
    }

    /// The bytes of the frame that [`FrameWriter::choose`] has just placed.
    pub(super) fn encode(&mut self, placed: &Placed, content: Content<'_>, index: u32, seed: Seed) -> &[u8] {
        let stored = if placed.compressed {
            self.compressed.as_slice()
        } else {
            content.raw
        };
        let header = FrameHeader {
            payload_checksum: seed.checksum(placed.offset, stored),
            stored_bytes: length_u32(stored),
            raw_bytes: length_u32(content.raw),
            index,
            records: content.records,
            first: content.first,
        };
        self.frame.clear();
        self.frame.extend_from_slice(&header.encode(seed, placed.offset));
        self.frame.extend_from_slice(stored);
        &self.frame
    }
}

/// Where a frame will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Its begin.
    pub(super) offset: u64,
    /// Its length, header included.
    pub(super) bytes: u64,
    compressed: bool,
}

impl Placed {
    fn after(offset: u64, bytes: usize, compressed: bool) -> Self {
        let here = Self {
            offset: offset.next_multiple_of(FRAME_ALIGN),
            bytes: bytes as u64,
            compressed,
        };
        let on_page = Self {
            offset: offset.next_multiple_of(PAGE_BYTES),
            ..here
        };
        if on_page.pages() < here.pages() && on_page.offset - here.offset <= SKIP_BYTES_MAX {
            on_page
        } else {
            here
        }
    }

    /// Pages that writing it touches.
    fn pages(&self) -> u64 {
        (self.offset + self.bytes).div_ceil(PAGE_BYTES) - self.offset / PAGE_BYTES
    }

    /// Offset after it.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// Appends the encoding of `entry` to `raw`.
pub(super) fn encode_entry(raw: &mut Vec<u8>, entry: &Entry) {
    let mut length = entry.bytes.len();
    while length >= 0x80 {
        raw.push(low_bits(length) | 0x80);
        length >>= 7;
    }
    raw.push(low_bits(length));
    raw.push(entry.kind as u8);
    raw.extend_from_slice(&entry.bytes);
}

/// Takes the entry at the begin of `raw` and moves `raw` behind it; `None` if there is none or it is malformed.
pub(super) fn take_entry<'a>(raw: &mut &'a [u8]) -> Option<(EntryKind, &'a [u8])> {
    let mut length = 0_usize;
    let mut shift = 0;
    loop {
        let (&byte, rest) = raw.split_first()?;
        *raw = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        // Three bytes of varint hold more than the longest frame.
        if shift > 14 {
            return None;
        }
    }
    let (&kind, rest) = raw.split_first()?;
    let kind = match kind {
        1 => EntryKind::Input,
        2 => EntryKind::Record,
        3 => EntryKind::Mark,
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(length)?;
    *raw = rest;
    Some((kind, bytes))
}

fn count_records(mut raw: &[u8]) -> Option<u32> {
    let mut records = 0;
    while !raw.is_empty() {
        let (kind, _) = take_entry(&mut raw)?;
        records += u32::from(kind == EntryKind::Record);
    }
    Some(records)
}

#[allow(clippy::cast_possible_truncation)] // masked to seven bits
fn low_bits(length: usize) -> u8 {
    (length & 0x7f) as u8
}

#[allow(clippy::cast_possible_truncation)] // payloads are bounded by RAW_BYTES_MAX
fn length_u32(bytes: &[u8]) -> u32 {
    bytes.len() as u32
}

/// The little-endian integer at `offset`, which lies within `bytes`.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

/// The little-endian integer at `offset`, which lies within `bytes`.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}
