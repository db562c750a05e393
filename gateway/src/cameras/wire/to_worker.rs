//! What frames to a worker hold: written by the gateway, read by the worker.

use std::io;

use super::command::Command;
use super::frame::{self, JSON, PICTURE_WANTED, PUBLISH, WireError, prefix};

/// A frame to the worker, its bytes borrowed from what was read.
#[derive(Debug, PartialEq)]
pub enum ToWorker<'a> {
    /// A command.
    Command(Command),
    /// Decode a keyframe: head, codec configuration, access unit.
    Picture(PictureHead, &'a [u8], &'a [u8]),
    /// A part of a CMAF stream to publish, after [`Command::Publish`].
    Publish(&'a [u8]),
}

/// Head of a request to decode a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureHead {
    /// Number of the request; the answer carries it.
    pub request: u64,
    /// Whose masks to apply, and whose decoder to remember; see [`Command::Masks`].
    pub camera: u16,
    /// H.265 instead of H.264.
    pub h265: bool,
    /// Greatest width of the JPEG, pixels; 0: none is wanted, only features.
    pub jpeg_width: u16,
    /// Bytes of the codec's configuration (`avcC` or `hvcC`), which come before the access unit.
    pub config_bytes: u16,
}

impl PictureHead {
    /// Length on the wire.
    pub const BYTES: usize = 15;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0..8].copy_from_slice(&self.request.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.camera.to_be_bytes());
        bytes[10] = u8::from(self.h265);
        bytes[11..13].copy_from_slice(&self.jpeg_width.to_be_bytes());
        bytes[13..15].copy_from_slice(&self.config_bytes.to_be_bytes());
        bytes
    }

    fn take(body: &[u8]) -> Option<(Self, &[u8])> {
        let (request, rest) = body.split_first_chunk()?;
        let (camera, rest) = rest.split_first_chunk()?;
        let (h265, rest) = rest.split_first()?;
        let (jpeg_width, rest) = rest.split_first_chunk()?;
        let (config_bytes, rest) = rest.split_first_chunk()?;
        let head = Self {
            request: u64::from_be_bytes(*request),
            camera: u16::from_be_bytes(*camera),
            h265: *h265 != 0,
            jpeg_width: u16::from_be_bytes(*jpeg_width),
            config_bytes: u16::from_be_bytes(*config_bytes),
        };
        Some((head, rest))
    }
}

impl<'a> ToWorker<'a> {
    /// Reads a frame without its length.
    pub fn read(frame: &'a [u8]) -> Result<Self, WireError> {
        let (kind, body) = frame::split(frame)?;
        let malformed = || WireError::Malformed {
            kind,
            bytes: body.len(),
        };
        match kind {
            JSON => Ok(Self::Command(serde_json::from_slice(body)?)),
            PICTURE_WANTED => {
                let (head, rest) = PictureHead::take(body).ok_or_else(malformed)?;
                let parts = rest.split_at_checked(usize::from(head.config_bytes));
                let (config, unit) = parts.ok_or_else(malformed)?;
                Ok(Self::Picture(head, config, unit))
            }
            PUBLISH => Ok(Self::Publish(body)),
            _ => Err(malformed()),
        }
    }
}

/// A command as a frame with its length.
pub fn command_frame(command: &Command) -> io::Result<Vec<u8>> {
    frame::json(command)
}

/// A request for a picture as a frame with its length; `config_bytes` of the head is that of `config`.
pub fn picture_request_frame(mut head: PictureHead, config: &[u8], unit: &[u8]) -> io::Result<Vec<u8>> {
    head.config_bytes = u16::try_from(config.len()).map_err(io::Error::other)?;
    let mut frame = prefix(PICTURE_WANTED, PictureHead::BYTES + config.len() + unit.len())?.to_vec();
    frame.extend_from_slice(&head.to_bytes());
    frame.extend_from_slice(config);
    frame.extend_from_slice(unit);
    Ok(frame)
}

/// The prefix of a kind-5 frame with `bytes` of a stream to publish, which are to follow.
pub fn publish_prefix(bytes: usize) -> io::Result<[u8; 5]> {
    prefix(PUBLISH, bytes)
}

#[cfg(test)]
mod tests {
    use super::super::source::{Client, Credentials, Profile, Quirks, Source, Transport};
    use super::*;

    fn frame_of(written: &[u8]) -> Vec<u8> {
        frame::read_frame(&mut &written[..]).unwrap().unwrap()
    }

    #[test]
    fn a_request_for_a_picture_arrives_whole() {
        let head = PictureHead {
            request: 7,
            camera: 3,
            h265: true,
            jpeg_width: 640,
            config_bytes: 4,
        };
        let frame = frame_of(&picture_request_frame(head, b"hvcC", b"unit").unwrap());
        let read = ToWorker::read(&frame).unwrap();
        assert_eq!(read, ToWorker::Picture(head, b"hvcC", b"unit"));
    }

    #[test]
    fn a_command_arrives_as_it_was() {
        let command = Command::Open {
            profile: Profile::Main,
            source: Source {
                url: "rtsp://192.0.2.1/main".to_owned(),
                credentials: Some(Credentials {
                    user: "u".to_owned(),
                    password: "p".to_owned(),
                }),
                transport: Transport::Udp,
                client: Client::Auto,
                quirks: Quirks::default(),
            },
        };
        let frame = frame_of(&command_frame(&command).unwrap());
        assert_eq!(ToWorker::read(&frame).unwrap(), ToWorker::Command(command));
    }

    #[test]
    fn a_short_or_unknown_frame_is_refused() {
        for frame in [&b""[..], b"\x03short", b"\x01\x00", b"\x00[]"] {
            assert!(ToWorker::read(frame).is_err(), "{frame:?}");
        }
    }
}
