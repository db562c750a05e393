//! A fragment on its way to the ring.

use std::io::IoSlice;
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;

use super::boxes::{FourCc, ParseError};
use super::chunk::{Chunk, Moof};
use super::error::RingError;
use super::format::{PRFT_BYTES, Prft};
use super::init::Init;
use super::scan::{CHUNKS_MAX, FRAMES_MAX};
use super::time::{ClockQuality, plus_ticks};

/// What the worker delivered between two keyframes that begin a fragment.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// UTC time of the first frame, a keyframe.
    pub at: Timestamp,
    /// Quality of that time.
    pub clock: ClockQuality,
    /// Its chunks, each a `moof` and a `mdat`, in order. The first begins with the keyframe.
    pub chunks: Vec<Bytes>,
}

/// A fragment that was looked through, ready to be written.
#[derive(Debug)]
pub(super) struct Checked<'a> {
    pub at: Timestamp,
    pub clock: ClockQuality,
    prft: Vec<u8>,
    chunks: &'a [Bytes],
    /// Decode time of its first frame, ticks.
    pub decode_time: u64,
    /// Decode time at which its last frame ends, ticks.
    pub decode_end: u64,
    /// Time at which its last frame ends.
    pub to: Timestamp,
    pub frames: u64,
    /// What it adds to a file.
    pub bytes: u64,
}

impl<'a> Checked<'a> {
    pub fn check(folder: &Path, init: &Init, fragment: &'a Fragment) -> Result<Self, RingError> {
        let invalid = |part: String, source| RingError::Invalid {
            path: folder.to_owned(),
            part,
            source,
        };
        let whole = |source| invalid("a fragment".to_owned(), source);
        if fragment.chunks.len() > CHUNKS_MAX {
            let what = "more than 5000 chunks in a fragment";
            return Err(whole(ParseError::Unsupported { what }));
        }
        let mut chunks = Vec::with_capacity(fragment.chunks.len());
        let mut bytes = PRFT_BYTES as u64;
        for (number, chunk) in fragment.chunks.iter().enumerate() {
            let parsed = Chunk::parse(init, chunk)
                .map_err(|error| invalid(format!("chunk {} of a fragment", number + 1), error))?;
            let goes_back = chunks
                .last()
                .is_some_and(|last: &Moof| parsed.moof.decode_time < last.decode_time);
            if goes_back {
                let what = "a chunk is earlier than the one before";
                return Err(whole(ParseError::Inconsistent { what }));
            }
            bytes += chunk.len() as u64;
            chunks.push(parsed.moof);
        }
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else {
            return Err(whole(ParseError::Missing { kind: FourCc(*b"moof") }));
        };
        if !first.begins_with_keyframe() {
            let what = "it does not begin with a keyframe";
            return Err(whole(ParseError::Inconsistent { what }));
        }
        let frames = chunks.iter().map(|moof| moof.samples.len()).sum::<usize>();
        if frames > FRAMES_MAX {
            let what = "more than 65000 frames in a fragment";
            return Err(whole(ParseError::Unsupported { what }));
        }
        let mut prft = Vec::with_capacity(PRFT_BYTES);
        let times = Prft {
            at: fragment.at,
            media_time: first.first_presentation_time(),
        };
        times.write(init, &mut prft).ok_or_else(|| {
            let what = "its time is not between 1968 and 2104";
            whole(ParseError::Inconsistent { what })
        })?;
        Ok(Self {
            at: fragment.at,
            clock: fragment.clock,
            prft,
            chunks: &fragment.chunks,
            decode_time: first.decode_time,
            decode_end: last.end(),
            to: plus_ticks(
                fragment.at,
                i128::from(last.end()) - i128::from(first.decode_time),
                init.info().timescale,
            ),
            frames: frames as u64,
            bytes,
        })
    }

    /// What is to be written, behind what begins the file if it is new.
    pub fn parts<'b>(&'b self, init: &'b [u8], head: &'b [u8]) -> Vec<IoSlice<'b>> {
        let own = [init, head, &self.prft];
        let chunks = self.chunks.iter().map(AsRef::as_ref);
        own.into_iter()
            .chain(chunks)
            .filter(|part| !part.is_empty())
            .map(IoSlice::new)
            .collect()
    }
}
