//! Segments: the header page, and finding frames in a file that may be torn, rotted or foreign.

use std::sync::Arc;

use super::error::JournalError;
use super::frame::{FRAME_ALIGN, FrameHeader, HEADER_BYTES, PAGE, PAGE_BYTES, RAW_BYTES_MAX, Seed, u32_at, u64_at};
use super::storage::StorageFile;

const MAGIC: &[u8; 8] = b"PKRJRNL\n";
const VERSION: u32 = 1;
const SEGMENT_HEADER_BYTES: usize = 56;
/// Bytes of segment for each sequence that it may hold: bounds how far sequences jump over an unreadable one.
pub(super) const BYTES_PER_SEQUENCE: u64 = 8;
/// Bytes read from a file at a time.
const WINDOW_BYTES: u64 = 64 << 10;

/// Who a journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// Short and readable, for session ids.
    pub(super) tag: [u8; 4],
    /// Random, for checksums.
    pub(super) id: u64,
}

/// The name of segment `number`.
pub(super) fn file_name(number: u64) -> String {
    format!("{number:010}.segment")
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) identity: Identity,
    pub(super) number: u64,
    /// Sequence of its first record.
    pub(super) first: u64,
    /// Length of the file.
    pub(super) bytes: u64,
    /// Frames in segment `number - 1`.
    pub(super) frames_before: u32,
}

impl SegmentHeader {
    /// The whole header page.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..8].copy_from_slice(MAGIC);
        page[8..12].copy_from_slice(&VERSION.to_le_bytes());
        page[12..16].copy_from_slice(&self.frames_before.to_le_bytes());
        page[16..24].copy_from_slice(&self.number.to_le_bytes());
        page[24..32].copy_from_slice(&self.first.to_le_bytes());
        page[32..40].copy_from_slice(&self.bytes.to_le_bytes());
        page[40..48].copy_from_slice(&self.identity.id.to_le_bytes());
        page[48..52].copy_from_slice(&self.identity.tag);
        let checksum = crc32c::crc32c(&page[..52]);
        page[52..56].copy_from_slice(&checksum.to_le_bytes());
        page
    }

    /// Reads the header of segment file `number`; `None` if it is short, rotted or another segment's.
    pub(super) fn read(file: &dyn StorageFile, number: u64) -> Result<Option<Self>, JournalError> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        // A page that the disk can not give back is as good as a rotted one.
        let read = file.read_at(0, &mut bytes).unwrap_or_default();
        if read < bytes.len() || &bytes[..8] != MAGIC || crc32c::crc32c(&bytes[..52]) != u32_at(&bytes, 52) {
            return Ok(None);
        }
        let version = u32_at(&bytes, 8);
        if version > VERSION {
            return Err(JournalError::Version {
                file: file_name(number),
                found: version,
                known: VERSION,
            });
        }
        let mut tag = [0; 4];
        tag.copy_from_slice(&bytes[48..52]);
        let header = Self {
            identity: Identity {
                tag,
                id: u64_at(&bytes, 40),
            },
            number: u64_at(&bytes, 16),
            first: u64_at(&bytes, 24),
            bytes: u64_at(&bytes, 32),
            frames_before: u32_at(&bytes, 12),
        };
        Ok((header.number == number).then_some(header))
    }
}

/// A frame that was read back whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) header: FrameHeader,
    /// Its begin in the file.
    pub(super) offset: u64,
    /// Its encoded entries.
    pub(super) raw: Vec<u8>,
}

/// A place in a segment, between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Offset in the file.
    pub(super) offset: u64,
    /// Index of the frame after it.
    pub(super) index: u32,
    /// Sequence of the record after it.
    pub(super) sequence: u64,
}

impl Place {
    /// Before the first frame of a segment that begins with `sequence`.
    pub(super) fn begin(sequence: u64) -> Self {
        Self {
            offset: PAGE_BYTES,
            index: 0,
            sequence,
        }
    }
}

/// Reads a segment's frames in order. What does not verify is passed over: the next frame that does is searched for,
/// and its index and sequence tell how much is missing.
#[derive(Debug)]
pub(super) struct Scanner {
    window: Window,
    seed: Seed,
    place: Place,
    /// Frames that are known to be there, if that is known.
    frames: Option<u32>,
    /// The last frame whose header verified and whose payload did not.
    broken: Option<Place>,
}

impl Scanner {
    /// Reads from `place` up to `limit`, or up to frame `frames`.
    pub(super) fn new(file: Arc<dyn StorageFile>, seed: Seed, place: Place, limit: u64, frames: Option<u32>) -> Self {
        Self {
            window: Window::new(file, limit),
            seed,
            place,
            frames,
            broken: None,
        }
    }

    /// Lets a segment that is being written be read further.
    pub(super) fn extend(&mut self, limit: u64, frames: Option<u32>) {
        self.window.limit = limit;
        self.frames = frames;
    }

    /// Where the next frame is expected.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Where the last frame begins whose header verified and whose payload did not.
    pub(super) fn broken(&self) -> Option<Place> {
        self.broken
    }

    /// Whether the disk refused to give back a part of the file.
    pub(super) fn unreadable(&self) -> bool {
        self.window.unreadable
    }

    /// The next frame that verifies.
    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        while self.frames != Some(self.place.index) {
            let (offset, header) = self.locate()?;
            let payload_offset = offset + HEADER_BYTES as u64;
            let raw = self
                .window
                .bytes(payload_offset, header.stored_bytes())
                .and_then(|stored| header.decode_payload(stored, self.seed, offset));
            if raw.is_none() {
                self.broken = Some(Place {
                    offset,
                    index: header.index,
                    sequence: header.first,
                });
            }
            self.place = Place {
                offset: (offset + header.frame_bytes()).next_multiple_of(FRAME_ALIGN),
                index: header.index + 1,
                sequence: header.next(),
            };
            if let Some(raw) = raw {
                return Some(Frame { header, offset, raw });
            }
        }
        None
    }

    /// The nearest frame header: here, on the next page, else wherever one verifies.
    fn locate(&mut self) -> Option<(u64, FrameHeader)> {
        let here = self.place.offset;
        let on_page = here.next_multiple_of(PAGE_BYTES);
        if let Some(header) = self.header_at(here) {
            return Some((here, header));
        }
        // Only if it is the very next one: between here and there may be frames behind one that rotted.
        let next = self.place.index;
        if let Some(header) = self.header_at(on_page).filter(|header| header.index == next) {
            return Some((on_page, header));
        }
        let mut offset = here + FRAME_ALIGN;
        while offset + HEADER_BYTES as u64 <= self.window.limit {
            if let Some(header) = self.header_at(offset) {
                return Some((offset, header));
            }
            offset += FRAME_ALIGN;
        }
        None
    }

    fn header_at(&mut self, offset: u64) -> Option<FrameHeader> {
        let (seed, place, limit) = (self.seed, self.place, self.window.limit);
        let bytes = self.window.bytes(offset, HEADER_BYTES)?;
        let header = FrameHeader::decode(bytes.try_into().ok()?, seed, offset)?;
        let fits = header.index >= place.index
            && header.index < u32::MAX
            && header.first >= place.sequence
            && offset + header.frame_bytes() <= limit;
        fits.then_some(header)
    }
}

/// A part of a file in memory.
#[derive(Debug)]
struct Window {
    file: Arc<dyn StorageFile>,
    begin: u64,
    content: Vec<u8>,
    /// Nothing is read from here on: it may still be written.
    limit: u64,
    unreadable: bool,
}

impl Window {
    fn new(file: Arc<dyn StorageFile>, limit: u64) -> Self {
        Self {
            file,
            begin: 0,
            content: Vec::new(),
            limit,
            unreadable: false,
        }
    }

    /// The bytes at `offset`; `None` if the file, or the limit, ends before them.
    fn bytes(&mut self, offset: u64, count: usize) -> Option<&[u8]> {
        debug_assert!(count <= RAW_BYTES_MAX, "frames are bounded");
        let end = offset.checked_add(count as u64)?;
        if end > self.limit {
            return None;
        }
        if offset < self.begin || end > self.begin + self.content.len() as u64 {
            self.fill(offset, end);
        }
        let start = usize::try_from(offset - self.begin).ok()?;
        self.content.get(start..start + count)
    }

    fn fill(&mut self, offset: u64, end: u64) {
        self.begin = offset / PAGE_BYTES * PAGE_BYTES;
        let stop = end.max(self.begin + WINDOW_BYTES).min(self.limit);
        let bytes = usize::try_from(stop - self.begin).unwrap_or_default();
        self.content.clear();
        self.content.resize(bytes, 0);
        match self.file.read_at(self.begin, &mut self.content) {
            Ok(read) => self.content.truncate(read),
            Err(_) => self.fill_page_by_page(),
        }
    }

    /// Saves what the disk still gives; the rest reads as zeros, which verify as nothing.
    fn fill_page_by_page(&mut self) {
        let mut offset = self.begin;
        for page in self.content.chunks_mut(PAGE) {
            let read = self.file.read_at(offset, page);
            self.unreadable |= read.is_err();
            page[read.unwrap_or_default()..].fill(0);
            offset += PAGE_BYTES;
        }
    }
}
