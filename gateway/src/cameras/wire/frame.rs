//! Frames as bytes: lengths, kinds, and where one ends and the next begins. What a body holds is told elsewhere.

use std::io::{self, IoSlice, Read, Write};

use bytes::{Buf, BytesMut};
use serde::Serialize;

/// Longest frame, bytes without those of its length: two seconds at 32 Mbit/s. A longer one ends the connection.
pub const FRAME_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// Least room that is kept for what comes next, bytes.
const READ_BYTES: usize = 64 * 1_024;

/// Command or event.
pub(super) const JSON: u8 = 0;
/// Initialisation segment.
pub(super) const INIT: u8 = 1;
/// Chunk of a stream.
pub(super) const CHUNK: u8 = 2;
/// Keyframe to decode.
pub(super) const PICTURE_WANTED: u8 = 3;
/// What was decoded.
pub(super) const PICTURE: u8 = 4;
/// Part of a stream to publish.
pub(super) const PUBLISH: u8 = 5;

/// A frame that cannot be read. The connection has to end.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The kind is unknown, or the body is shorter than its kind demands.
    #[error("a frame of kind {kind} with {bytes} bytes makes no sense")]
    Malformed {
        /// Its kind.
        kind: u8,
        /// Bytes after the kind.
        bytes: usize,
    },
    /// The JSON is not a message.
    #[error("a frame's JSON is no message: {0}")]
    Json(#[from] serde_json::Error),
}

/// Takes the next frame, without its length, out of what was read so far. `None`: it is not whole yet; then there is room
/// for the rest of it, and never memory for more than four of the longest frames. An error ends the connection.
pub fn take_frame(buffer: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    let Some((length, _)) = buffer.split_first_chunk() else {
        buffer.reserve(READ_BYTES);
        return Ok(None);
    };
    let length = checked(*length)?;
    if buffer.len() >= 4 + length {
        buffer.advance(4);
        return Ok(Some(buffer.split_to(length)));
    }
    // The frame gets memory of its own size, for it may be kept.
    buffer.reserve(4 + length - buffer.len());
    Ok(None)
}

/// Reads a frame, without its length, and waits for it; `None` at the end of the connection.
pub fn read_frame(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if let Err(error) = from.read_exact(&mut length) {
        let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
        return if is_end { Ok(None) } else { Err(error) };
    }
    let mut frame = vec![0; checked(length)?];
    from.read_exact(&mut frame)?;
    Ok(Some(frame))
}

fn checked(length: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(length)
}

/// Kind and body of a frame without its length.
pub(super) fn split(frame: &[u8]) -> Result<(u8, &[u8]), WireError> {
    let (kind, body) = frame.split_first().ok_or(WireError::Malformed { kind: 0, bytes: 0 })?;
    Ok((*kind, body))
}

/// The length and the kind of a frame whose body has so many bytes. Fails for one that nobody would take.
pub(super) fn prefix(kind: u8, body_bytes: usize) -> io::Result<[u8; 5]> {
    let length = body_bytes + 1;
    if length > FRAME_BYTES_MAX {
        let message = format!("a frame of {length} bytes is longer than the {FRAME_BYTES_MAX} that are taken");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let [a, b, c, d] = length.to_be_bytes();
    Ok([a, b, c, d, kind])
}

/// A frame with its length, of a message as JSON.
pub(super) fn json<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message).map_err(io::Error::other)?;
    let mut frame = prefix(JSON, body.len())?.to_vec();
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Writes all of several parts, in as few calls as the system takes.
pub(super) fn write_all_vectored(to: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match to.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_were_cut() {
        let sent = [&b"\0\0\0\x03abc"[..], b"\0\0\0\0", b"\0\0\0\x01d"].concat();
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for byte in sent {
            assert_eq!(take_frame(&mut buffer).unwrap(), None);
            buffer.extend_from_slice(&[byte]);
            if let Some(frame) = take_frame(&mut buffer).unwrap() {
                frames.push(frame);
            }
        }
        assert_eq!(frames, [&b"abc"[..], b"", b"d"]);
    }

    #[test]
    fn a_length_beyond_the_longest_ends_the_connection_before_it_is_believed() {
        let length = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
        let error = take_frame(&mut BytesMut::from(&length[..])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = read_frame(&mut &length[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(prefix(JSON, FRAME_BYTES_MAX).is_err(), "nor is such a frame written");
    }

    #[test]
    fn a_connection_may_end_between_frames_and_not_within() {
        let mut sent = &b"\0\0\0\x02ab\0\0\0\x02a"[..];
        assert_eq!(read_frame(&mut sent).unwrap().unwrap(), b"ab");
        assert!(read_frame(&mut sent).is_err());
        assert_eq!(read_frame(&mut &b""[..]).unwrap(), None);
    }
}
