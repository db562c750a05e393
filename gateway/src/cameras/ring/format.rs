//! The ring's own boxes in a segment file, and `prft`.
//!
//! Both own boxes are of type `uuid` (ISO/IEC 14496-12 §11.1), which players skip. Numbers have their most significant
//! byte first.
//!
//! | Box | Where | Content after the 16 bytes of its extended type |
//! |---|---|---|
//! | head | behind the init segment | version `u8` = 1, clock quality `u8`, reserved `u16`, sequence `u64`, run `u64` |
//! | summary | at the end of a finished file | version `u8` = 1, clock quality `u8`, reserved `u16`, fragments `u32`, frames `u64`, from `i64`, to `i64` (nanoseconds since 1970), offset of this box `u64` |
//!
//! Clock quality: 1 synced, 2 holdover, 3 unset, 4 simulated. The run is the sequence of the first file of one run of
//! the worker: files of one run share a timeline. The summary only saves reading the file when the index is lost; it
//! counts only if it ends the file and its offset is where it is.
//!
//! `prft` (ISO/IEC 14496-12 §8.16.5), version 1, flags 24: the UTC time is that of the scene shown by the frame whose
//! presentation time is the media time, up to a small and steady offset.

use jiff::Timestamp;

use super::boxes::{FourCc, Header, ParseError, Parsed, Reader, write_box, write_full_box};
use super::init::Init;
use super::time::{ClockQuality, from_ntp, to_ntp};

/// Version of both boxes.
const VERSION: u8 = 1;
/// Extended type of the head.
const HEAD: [u8; 16] = *b"\x6f\x1d\x9a\x0c\x57\xb2\x4e\x63\x8c\x41\x2e\x90\xd5\x7a\xb3\x18";
/// Extended type of the summary.
const SUMMARY: [u8; 16] = *b"\xc3\x84\x0b\x5e\x19\xfa\x47\xd0\xa6\x2b\x71\x4c\x08\xe9\x35\xd2";
/// Bytes of a whole head.
pub(super) const HEAD_BYTES: usize = 24 + 20;
/// Bytes of a whole summary.
pub(super) const SUMMARY_BYTES: usize = 24 + 40;
/// Flags of `prft`: a steady and small offset from the time of the scene.
const PRFT_FLAGS: u32 = 24;
/// Bytes of a whole `prft`.
pub(super) const PRFT_BYTES: usize = 8 + 4 + 4 + 8 + 8;

/// What the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub clock: ClockQuality,
    pub sequence: u64,
    pub run: u64,
}

/// What the summary says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    pub clock: ClockQuality,
    pub fragments: u32,
    pub frames: u64,
    pub from: Timestamp,
    pub to: Timestamp,
    /// Where the box begins, bytes.
    pub offset: u64,
}

/// What `prft` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prft {
    pub at: Timestamp,
    pub media_time: u64,
}

/// Reads the start of a `uuid` box of the ring; the reader stands behind the reserved bytes.
fn own_box(bytes: &[u8], extended: [u8; 16]) -> Parsed<(ClockQuality, Reader<'_>)> {
    let kind = FourCc(*b"uuid");
    let header = Header::parse(bytes, bytes.len() as u64)?;
    let mut reader = Reader::new(kind, bytes);
    reader.take(8)?;
    if header.kind != kind || header.body_offset != 8 || reader.array::<16>()? != extended {
        return Err(ParseError::Missing { kind });
    }
    let [version, clock, _, _] = reader.array()?;
    let clock = ClockQuality::from_code(clock).filter(|_| version == VERSION);
    let clock = clock.ok_or(ParseError::Unsupported {
        what: "a segment file of another version",
    })?;
    Ok((clock, reader))
}

impl Head {
    pub fn write(&self, out: &mut Vec<u8>) {
        write_box(out, *b"uuid", |out| {
            out.extend_from_slice(&HEAD);
            out.extend_from_slice(&[VERSION, self.clock.code(), 0, 0]);
            out.extend_from_slice(&self.sequence.to_be_bytes());
            out.extend_from_slice(&self.run.to_be_bytes());
        });
    }

    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let (clock, mut reader) = own_box(bytes, HEAD)?;
        Ok(Self {
            clock,
            sequence: reader.u64()?,
            run: reader.u64()?,
        })
    }
}

impl Summary {
    pub fn write(&self, out: &mut Vec<u8>) {
        let nanos = |time: Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        write_box(out, *b"uuid", |out| {
            out.extend_from_slice(&SUMMARY);
            out.extend_from_slice(&[VERSION, self.clock.code(), 0, 0]);
            out.extend_from_slice(&self.fragments.to_be_bytes());
            out.extend_from_slice(&self.frames.to_be_bytes());
            out.extend_from_slice(&nanos(self.from).to_be_bytes());
            out.extend_from_slice(&nanos(self.to).to_be_bytes());
            out.extend_from_slice(&self.offset.to_be_bytes());
        });
    }

    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let (clock, mut reader) = own_box(bytes, SUMMARY)?;
        let fragments = reader.u32()?;
        let frames = reader.u64()?;
        let mut time = || {
            let nanos = i128::from(reader.i64()?);
            Timestamp::from_nanosecond(nanos).map_err(|_| ParseError::Inconsistent {
                what: "a summary's time is out of the calendar",
            })
        };
        Ok(Self {
            clock,
            fragments,
            frames,
            from: time()?,
            to: time()?,
            offset: reader.u64()?,
        })
    }
}

impl Prft {
    /// Appends the box; `None` if the time is outside 1968 to 2104.
    pub fn write(&self, init: &Init, out: &mut Vec<u8>) -> Option<()> {
        let ntp = to_ntp(self.at)?;
        write_full_box(out, *b"prft", 1, PRFT_FLAGS, |out| {
            out.extend_from_slice(&init.track.to_be_bytes());
            out.extend_from_slice(&ntp.to_be_bytes());
            out.extend_from_slice(&self.media_time.to_be_bytes());
        });
        Some(())
    }

    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let within = FourCc(*b"prft");
        let mut reader = Reader::new(within, bytes);
        let header = Header::parse(bytes, bytes.len() as u64)?;
        reader.take(8)?;
        let (version, flags) = reader.version_and_flags()?;
        if header.kind != within || version != 1 || flags != PRFT_FLAGS {
            return Err(ParseError::Missing { kind: within });
        }
        let _track = reader.u32()?;
        let at = from_ntp(reader.u64()?).ok_or(ParseError::Inconsistent {
            what: "a fragment's time is out of the calendar",
        })?;
        Ok(Self {
            at,
            media_time: reader.u64()?,
        })
    }
}
