//! Reading a segment file fragment by fragment, without ever trusting it.
//!
//! A fragment is a `prft` and one or more chunks, up to the next `prft`, the summary or the end. Reading stops for good
//! at the first thing that is not what the ring writes; everything before it stands. In a file that was torn within a
//! fragment, the fragment's whole chunks count as the fragment.

use std::io;

use bytes::Bytes;
use jiff::Timestamp;

use super::boxes::{Boxes, FourCc, HEADER_BYTES_MAX, Header, ParseError};
use super::chunk::{Moof, may_precede_moof};
use super::format::{HEAD_BYTES, Head, PRFT_BYTES, Prft, SUMMARY_BYTES, Summary};
use super::init::{INIT_BYTES_MAX, Init};
use super::storage::ReadAt;

/// Most bytes of a `moof`; one of 10800 samples has under 200 kB. A larger one counts as damage.
const MOOF_BYTES_MAX: u64 = 1 << 20;
/// Most chunks of a fragment, 17 minutes at 200 ms. What is beyond counts as damage, and is refused when written.
pub(super) const CHUNKS_MAX: usize = 5_000;
/// Most frames of a fragment, 17 minutes at 60 a second. What is beyond counts as damage, and is refused when written.
pub(super) const FRAMES_MAX: usize = 65_000;

/// Why a segment file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The system failed.
    #[error("cannot read at {offset}: {source}")]
    Read {
        /// Where, bytes.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The content is not what the ring writes.
    #[error("damaged at {offset}: {source}")]
    Damaged {
        /// Where the damaged part begins, bytes.
        offset: u64,
        /// What is wrong.
        source: ParseError,
    },
}

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Boxes only.
    Boxes,
    /// The lengths of NAL units within the frames as well: finds blocks that never reached the disk.
    Frames,
}

/// A chunk in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredChunk {
    pub moof: Moof,
    /// Where its data begins, bytes.
    pub data: u64,
    /// Where it ends.
    pub end: u64,
}

/// A fragment in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredFragment {
    /// Time of the first frame.
    pub at: Timestamp,
    /// Its presentation time.
    pub media_time: u64,
    pub chunks: Vec<StoredChunk>,
    /// Where the last chunk ends.
    pub end: u64,
}

impl StoredFragment {
    /// From the first frame's decode time to the end of the last one, ticks.
    pub fn duration(&self) -> i128 {
        let first = self.chunks.first().map_or(0, |chunk| chunk.moof.decode_time);
        let end = self.chunks.last().map_or(first, |chunk| chunk.moof.end());
        i128::from(end.max(first)) - i128::from(first)
    }
}

/// A segment file that is being read.
pub(super) struct SegmentReader<'a, R: ReadAt + ?Sized> {
    file: &'a R,
    end: u64,
    offset: u64,
    check: Check,
    pub head: Head,
    pub init: Init,
    finished: bool,
    pub damage: Option<ScanError>,
}

/// What stands at a place within a fragment.
enum Next {
    Chunk(StoredChunk),
    /// Another fragment, the summary or the end.
    Other,
}

impl<'a, R: ReadAt + ?Sized> SegmentReader<'a, R> {
    /// Reads the head of a file, of which the first `end` bytes count.
    pub fn open(file: &'a R, end: u64, check: Check) -> Result<Self, ScanError> {
        let mut offset = 0;
        loop {
            let header = read_header(file, offset, end)?;
            if header.kind.0 == *b"uuid" {
                break;
            }
            offset += header.bytes;
            if offset > INIT_BYTES_MAX as u64 {
                return Err(damaged(0, ParseError::Missing { kind: FourCc(*b"uuid") }));
            }
        }
        let init = read(file, 0, offset)?;
        let head = read(file, offset, HEAD_BYTES as u64)?;
        Ok(Self {
            head: Head::parse(&head).map_err(|error| damaged(offset, error))?,
            init: Init::parse(&Bytes::from(init)).map_err(|error| damaged(0, error))?,
            file,
            end,
            offset: offset + HEAD_BYTES as u64,
            check,
            finished: false,
            damage: None,
        })
    }

    /// Where reading stands: everything before is whole.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next fragment; `None` at the end or where damage begins, which is then in `damage`.
    pub fn next_fragment(&mut self) -> Option<StoredFragment> {
        if self.finished {
            return None;
        }
        match self.read_fragment() {
            Ok(Some(fragment)) => {
                self.offset = fragment.end;
                Some(fragment)
            }
            Ok(None) => {
                self.finished = true;
                None
            }
            Err(error) => {
                self.finished = true;
                self.damage = Some(error);
                None
            }
        }
    }

    fn read_fragment(&mut self) -> Result<Option<StoredFragment>, ScanError> {
        let begin = self.offset;
        if begin == self.end {
            return Ok(None);
        }
        let header = read_header(self.file, begin, self.end)?;
        if header.kind.0 == *b"uuid" {
            let summary = read(self.file, begin, header.bytes.min(SUMMARY_BYTES as u64))?;
            Summary::parse(&summary).map_err(|error| damaged(begin, error))?;
            self.offset = begin + header.bytes;
            // Nothing follows a summary.
            if self.offset < self.end {
                return Err(damaged(self.offset, ParseError::Unexpected { kind: header.kind }));
            }
            return Ok(None);
        }
        if header.bytes != PRFT_BYTES as u64 {
            return Err(damaged(begin, ParseError::Unexpected { kind: header.kind }));
        }
        let prft = Prft::parse(&read(self.file, begin, header.bytes)?).map_err(|error| damaged(begin, error))?;
        let mut fragment = StoredFragment {
            at: prft.at,
            media_time: prft.media_time,
            chunks: Vec::new(),
            end: begin + header.bytes,
        };
        let mut frames = 0;
        loop {
            let next = self.read_chunk(fragment.end);
            if let Ok(Next::Chunk(chunk)) = &next {
                frames += chunk.moof.samples.len();
            }
            match next {
                Ok(Next::Chunk(chunk)) if fragment.chunks.len() < CHUNKS_MAX && frames <= FRAMES_MAX => {
                    fragment.end = chunk.end;
                    fragment.chunks.push(chunk);
                }
                Ok(_) if fragment.chunks.is_empty() => {
                    return Err(damaged(fragment.end, ParseError::Missing { kind: FourCc(*b"moof") }));
                }
                Ok(_) => break,
                Err(error) if fragment.chunks.is_empty() => return Err(error),
                Err(error) => {
                    self.damage = Some(error);
                    self.finished = true;
                    break;
                }
            }
        }
        let keyframe = fragment.chunks.first().is_some_and(|c| c.moof.begins_with_keyframe());
        if !keyframe {
            self.damage = None;
            return Err(damaged(
                begin,
                ParseError::Inconsistent {
                    what: "a fragment that does not begin with a keyframe",
                },
            ));
        }
        Ok(Some(fragment))
    }

    fn read_chunk(&self, begin: u64) -> Result<Next, ScanError> {
        let mut offset = begin;
        let header = loop {
            if offset == self.end {
                return Ok(Next::Other);
            }
            let header = read_header(self.file, offset, self.end)?;
            match &header.kind.0 {
                b"moof" => break header,
                b"prft" | b"uuid" if offset == begin => return Ok(Next::Other),
                _ if may_precede_moof(header.kind) => offset += header.bytes,
                _ => return Err(damaged(begin, ParseError::Unexpected { kind: header.kind })),
            }
        };
        if header.bytes > MOOF_BYTES_MAX {
            let what = "a movie fragment box of more than 1 MiB";
            return Err(damaged(begin, ParseError::Unsupported { what }));
        }
        let bytes = read(self.file, offset, header.bytes)?;
        let moof = Boxes::new(&bytes)
            .require(*b"moof")
            .and_then(|found| Moof::parse(&self.init, found))
            .map_err(|error| damaged(begin, error))?;
        let mdat_at = offset + header.bytes;
        let mdat = read_header(self.file, mdat_at, self.end)?;
        if mdat.kind.0 != *b"mdat" {
            return Err(damaged(begin, ParseError::Unexpected { kind: mdat.kind }));
        }
        moof.check_data(header.bytes + mdat.body_offset, mdat.bytes - mdat.body_offset)
            .map_err(|error| damaged(begin, error))?;
        let chunk = StoredChunk {
            moof,
            data: mdat_at + mdat.body_offset,
            end: mdat_at + mdat.bytes,
        };
        if self.check == Check::Frames {
            self.check_frames(&chunk, begin)?;
        }
        Ok(Next::Chunk(chunk))
    }

    /// Follows the lengths of NAL units through each frame.
    fn check_frames(&self, chunk: &StoredChunk, begin: u64) -> Result<(), ScanError> {
        let length_bytes = u64::from(self.init.nal_length_bytes);
        let mut offset = chunk.data;
        for sample in &chunk.moof.samples {
            let end = offset + u64::from(sample.bytes);
            while offset < end {
                let mut length = [0; 4];
                for byte in read(self.file, offset, length_bytes)? {
                    length = [length[1], length[2], length[3], byte];
                }
                let length = u64::from(u32::from_be_bytes(length));
                offset += length_bytes + length;
                if length == 0 || offset > end {
                    let what = "a frame whose parts do not fill it";
                    return Err(damaged(begin, ParseError::Inconsistent { what }));
                }
            }
        }
        Ok(())
    }
}

/// Reads the summary at the end of a finished file, and the stream's codec; `None` where there is none.
pub(super) fn read_summary<R: ReadAt + ?Sized>(file: &R, bytes: u64) -> Option<(Summary, String)> {
    let offset = bytes.checked_sub(SUMMARY_BYTES as u64)?;
    let summary = Summary::parse(&read(file, offset, SUMMARY_BYTES as u64).ok()?).ok()?;
    let reader = SegmentReader::open(file, offset, Check::Boxes).ok()?;
    (summary.offset == offset).then(|| (summary, reader.init.info().codec.clone()))
}

fn damaged(offset: u64, source: ParseError) -> ScanError {
    ScanError::Damaged { offset, source }
}

fn read_header<R: ReadAt + ?Sized>(file: &R, offset: u64, end: u64) -> Result<Header, ScanError> {
    let mut buffer = [0; HEADER_BYTES_MAX];
    let count = file
        .read_at(offset, &mut buffer)
        .map_err(|source| ScanError::Read { offset, source })?;
    Header::parse(buffer.get(..count).unwrap_or_default(), end.saturating_sub(offset))
        .map_err(|error| damaged(offset, error))
}

/// Reads exactly `count` bytes, which the caller has bounded.
pub(super) fn read<R: ReadAt + ?Sized>(file: &R, offset: u64, count: u64) -> Result<Vec<u8>, ScanError> {
    let mut buffer = vec![0; usize::try_from(count).unwrap_or_default()];
    let done = file
        .read_at(offset, &mut buffer)
        .map_err(|source| ScanError::Read { offset, source })?;
    if done as u64 == count {
        return Ok(buffer);
    }
    let within = FourCc(*b"file");
    Err(damaged(offset, ParseError::Short { within }))
}
