//! What frames from a worker hold: written by the worker, read by the gateway.

use std::io::{self, IoSlice, Write};

use super::event::Event;
use super::frame::{self, CHUNK, INIT, JSON, PICTURE, WireError, prefix, write_all_vectored};
use super::source::Profile;

/// A frame from the worker, its bytes borrowed from what was read.
#[derive(Debug, PartialEq)]
pub enum FromWorker<'a> {
    /// An event.
    Event(Event),
    /// A new run of a stream: its initialisation segment.
    Init(Profile, &'a [u8]),
    /// A chunk of the run that began last: `moof` and `mdat`.
    Chunk(Profile, ChunkHead, &'a [u8]),
    /// A picture: number of the request, [`Features`](crate::cameras::picture::Features) as JSON, JPEG (empty if none was wanted).
    Picture(u64, &'a [u8], &'a [u8]),
}

/// Head of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHead {
    /// Begins with a keyframe: a fragment starts here.
    pub keyframe: bool,
    /// When the frame that it shows first was received, smoothed; `CLOCK_BOOTTIME`, nanoseconds.
    pub at_ns: u64,
    /// Frames in it.
    pub frames: u16,
}

impl ChunkHead {
    /// Length on the wire.
    pub const BYTES: usize = 11;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = u8::from(self.keyframe);
        bytes[1..9].copy_from_slice(&self.at_ns.to_be_bytes());
        bytes[9..11].copy_from_slice(&self.frames.to_be_bytes());
        bytes
    }

    fn take(body: &[u8]) -> Option<(Self, &[u8])> {
        let (keyframe, rest) = body.split_first()?;
        let (at_ns, rest) = rest.split_first_chunk()?;
        let (frames, rest) = rest.split_first_chunk()?;
        let head = Self {
            keyframe: *keyframe != 0,
            at_ns: u64::from_be_bytes(*at_ns),
            frames: u16::from_be_bytes(*frames),
        };
        Some((head, rest))
    }
}

impl<'a> FromWorker<'a> {
    /// Reads a frame without its length.
    pub fn read(frame: &'a [u8]) -> Result<Self, WireError> {
        let (kind, body) = frame::split(frame)?;
        let malformed = || WireError::Malformed {
            kind,
            bytes: body.len(),
        };
        let stream = || {
            let (profile, rest) = body.split_first().ok_or_else(malformed)?;
            let profile = Profile::from_byte(*profile).ok_or_else(malformed)?;
            Ok::<_, WireError>((profile, rest))
        };
        match kind {
            JSON => Ok(Self::Event(serde_json::from_slice(body)?)),
            INIT => stream().map(|(profile, init)| Self::Init(profile, init)),
            CHUNK => {
                let (profile, rest) = stream()?;
                let (head, chunk) = ChunkHead::take(rest).ok_or_else(malformed)?;
                Ok(Self::Chunk(profile, head, chunk))
            }
            PICTURE => {
                let (request, rest) = body.split_first_chunk().ok_or_else(malformed)?;
                let (length, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
                let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed())?;
                let (features, jpeg) = rest.split_at_checked(length).ok_or_else(malformed)?;
                Ok(Self::Picture(u64::from_be_bytes(*request), features, jpeg))
            }
            _ => Err(malformed()),
        }
    }
}

/// Writes an event.
pub fn write_event(to: &mut impl Write, event: &Event) -> io::Result<()> {
    to.write_all(&frame::json(event)?)
}

/// Writes an initialisation segment.
pub fn write_init(to: &mut impl Write, profile: Profile, init: &[u8]) -> io::Result<()> {
    let [a, b, c, d, kind] = prefix(INIT, init.len() + 1)?;
    write_all_vectored(
        to,
        &mut [IoSlice::new(&[a, b, c, d, kind, profile.byte()]), IoSlice::new(init)],
    )
}

/// Writes a chunk whose bytes lie in several places, without putting them together first.
pub fn write_chunk(to: &mut impl Write, profile: Profile, head: ChunkHead, parts: &[&[u8]]) -> io::Result<()> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let [a, b, c, d, kind] = prefix(CHUNK, 1 + ChunkHead::BYTES + bytes)?;
    let start = [a, b, c, d, kind, profile.byte()];
    let head = head.to_bytes();
    let mut slices = vec![IoSlice::new(&start), IoSlice::new(&head)];
    slices.extend(parts.iter().map(|part| IoSlice::new(part)));
    write_all_vectored(to, &mut slices)
}

/// Writes a picture.
pub fn write_picture(to: &mut impl Write, request: u64, features: &[u8], jpeg: &[u8]) -> io::Result<()> {
    let prefix = prefix(PICTURE, 12 + features.len() + jpeg.len())?;
    let length = u32::try_from(features.len()).map_err(io::Error::other)?.to_be_bytes();
    let request = request.to_be_bytes();
    let parts: [&[u8]; 5] = [&prefix, &request, &length, features, jpeg];
    write_all_vectored(to, &mut parts.map(IoSlice::new))
}

#[cfg(test)]
mod tests {
    use super::super::frame::FRAME_BYTES_MAX;
    use super::*;

    fn frame_of(written: &[u8]) -> Vec<u8> {
        frame::read_frame(&mut &written[..]).unwrap().unwrap()
    }

    #[test]
    fn a_chunk_in_parts_arrives_whole() {
        let head = ChunkHead {
            keyframe: true,
            at_ns: 12_345,
            frames: 5,
        };
        let mut written = Vec::new();
        write_chunk(&mut written, Profile::Sub, head, &[b"moof", b"", b"mdat"]).unwrap();
        let frame = frame_of(&written);
        let read = FromWorker::read(&frame).unwrap();
        assert_eq!(read, FromWorker::Chunk(Profile::Sub, head, b"moofmdat"));
    }

    #[test]
    fn a_picture_without_jpeg_arrives_whole() {
        let mut written = Vec::new();
        write_picture(&mut written, 9, b"{}", b"").unwrap();
        assert_eq!(
            FromWorker::read(&frame_of(&written)).unwrap(),
            FromWorker::Picture(9, b"{}", b"")
        );
    }

    #[test]
    fn a_short_or_unknown_frame_is_refused() {
        for frame in [
            &b""[..],
            b"\x01",
            b"\x01\x07x",
            b"\x02\x00short",
            b"\x04short",
            b"\x09",
            b"\x00{}",
        ] {
            assert!(FromWorker::read(frame).is_err(), "{frame:?}");
        }
    }

    #[test]
    fn a_frame_that_nobody_would_take_is_not_written() {
        let too_long = vec![0; FRAME_BYTES_MAX];
        assert!(write_init(&mut Vec::new(), Profile::Main, &too_long).is_err());
    }
}
