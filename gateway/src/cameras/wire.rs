//! What `gateway` and its worker `gateway-camera` say to each other, over a Unix socket that the worker gets as its
//! standard input.
//!
//! A frame is a length (4 bytes, big-endian: the bytes after it), a kind (1 byte) and a body:
//!
//! | kind | direction | body |
//! | --- | --- | --- |
//! | 0 | both | JSON: a [`Command`] to the worker, an [`Event`] from it |
//! | 1 | from the worker | stream (1 byte), initialisation segment: `ftyp` and `moov` |
//! | 2 | from the worker | stream (1 byte), [`ChunkHead`], `moof` and `mdat` |
//! | 3 | to the worker | [`PictureHead::BYTES`] of head, codec configuration, access unit: decode this |
//! | 4 | from the worker | number of the request (8 bytes), length of the features (4), [`Features`](super::picture::Features) as JSON, JPEG |
//! | 5 | to the worker | bytes of a CMAF stream to publish |
//!
//! Times are nanoseconds of `CLOCK_BOOTTIME`, which both processes read from the same kernel.
//!
//! Neither side trusts the other's lengths: a frame above [`FRAME_BYTES_MAX`] ends the connection. A worker whose
//! connection has ended stops; so it cannot outlive its parent.

use std::io::{self, IoSlice, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest frame, bytes: two seconds at 32 Mbit/s. A longer one ends the connection.
pub const FRAME_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// A stream of one camera: which of its two profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The large picture.
    Main,
    /// The small picture.
    Sub,
}

impl Profile {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Main, Self::Sub];

    /// As in configuration, folders and addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Main => 0,
            Self::Sub => 1,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.byte() == byte)
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How a stream's packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Interleaved in the RTSP connection.
    #[default]
    Tcp,
    /// RTP over UDP; GStreamer's jitter buffer puts packets in order.
    Udp,
}

/// Which RTSP client takes a stream in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    /// Retina over TCP, GStreamer over UDP.
    #[default]
    Auto,
    /// `retina`.
    Retina,
    /// GStreamer's `rtspsrc`.
    Rtspsrc,
}

/// User name and password. Never logged: `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Where a stream comes from and how to take it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `rtsp://host:port/path`, without user and password.
    pub url: String,
    /// What to show if the camera asks.
    pub credentials: Option<Credentials>,
    /// How packets travel.
    pub transport: Transport,
    /// Which client.
    pub client: Client,
    /// What is peculiar about this make of camera.
    #[serde(default)]
    pub quirks: Quirks,
}

/// What is peculiar about a make of camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Data may come on channels that were not agreed on; ignore them (live555 before 2017).
    pub stray_channels: bool,
    /// The session's name changes between SETUP requests; the first is right.
    pub session_id_changes: bool,
    /// The camera rejects the keep-alive that it advertises; GStreamer's client is told to send none.
    pub no_keep_alive: bool,
}

/// What the worker is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Connect a stream; one that is open is closed first.
    Open {
        /// Which.
        profile: Profile,
        /// From where.
        source: Source,
    },
    /// Close a stream: TEARDOWN, then nothing more comes of it.
    Close {
        /// Which.
        profile: Profile,
    },
    /// From now on a chunk of a stream holds so many frames; 0: a whole fragment, from one keyframe to the next.
    Chunks {
        /// Which.
        profile: Profile,
        /// Frames a chunk.
        frames: u16,
    },
    /// What pictures are to be made like, before the first kind-3 frame.
    Masks {
        /// Name of the camera whose masks these are.
        camera: u16,
        /// Polygons with coordinates from 0 to 1.
        polygons: Vec<Vec<[f64; 2]>>,
    },
    /// Publish what comes in kind-5 frames to a media server, by RTSP RECORD.
    Publish {
        /// `rtsps://host:port/path`.
        url: String,
        /// What to show if it asks.
        credentials: Option<Credentials>,
    },
}

/// What the worker tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The worker runs.
    Ready {
        /// Its version: must be the parent's.
        version: String,
    },
    /// The camera has answered and plays; the first keyframe is awaited.
    Playing {
        /// Which stream.
        profile: Profile,
        /// What the server calls itself, if it does.
        server: Option<String>,
        /// Whether it offers sound as well, which is not taken.
        audio: bool,
    },
    /// What the stream is, at its first keyframe and when it changes.
    Format {
        /// Which stream.
        profile: Profile,
        /// What.
        format: Format,
    },
    /// A stream has ended; nothing more comes of it until it is opened again.
    Ended {
        /// Which stream.
        profile: Profile,
        /// Why.
        cause: Cause,
        /// In the words of whoever noticed. Without credentials.
        message: String,
    },
    /// What came in the last second.
    Stats {
        /// Which stream.
        profile: Profile,
        /// How much.
        stats: Stats,
    },
    /// The camera's sender report: its idea of time against the box's.
    CameraClock {
        /// Which stream.
        profile: Profile,
        /// The camera's clock, Unix milliseconds, at `at_ns`.
        camera_unix_ms: i64,
        /// When, by `CLOCK_BOOTTIME`.
        at_ns: u64,
    },
    /// A picture could not be made.
    PictureFailed {
        /// Number of the request.
        request: u64,
        /// Why.
        message: String,
    },
    /// The media server takes the stream, or does so no more.
    Published {
        /// Whether it does.
        running: bool,
        /// If not, why.
        message: String,
    },
}

/// What a stream is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Format {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Frames a second that the stream claims, if it does.
    pub fps_nominal: Option<f32>,
    /// Whether frames are shown in another order than they come (B-frames).
    pub reordered: bool,
}

/// Why a stream is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nobody listens at the port.
    Refused,
    /// No way to the address.
    Unreachable,
    /// A connection, but no whole answer in time.
    NoAnswer,
    /// Something answers, but not RTSP.
    NotRtsp,
    /// The camera refuses, with another status than those below.
    Rejected,
    /// The camera has no such stream (404).
    NotFound,
    /// User name or password is wrong, or missing.
    AuthFailed,
    /// The camera asks for a way of authentication that the client does not know.
    AuthUnsupported,
    /// There is no video in what the camera offers.
    NoVideo,
    /// The video is of a kind that is not taken.
    UnsupportedCodec,
    /// The description of the stream makes no sense.
    BadSdp,
    /// Connected, but nothing comes any more.
    Stalled,
    /// The camera has ended the stream or the connection.
    Ended,
    /// Frames come, but never one to begin with.
    NoKeyframes,
    /// The stream cannot be put into a file.
    Mux,
    /// The worker has ended or does not answer.
    Worker,
}

/// How much came of a stream in about one second.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Length of the time that this is about.
    pub span: Duration,
    /// Frames received.
    pub frames: u32,
    /// Keyframes among them.
    pub keyframes: u32,
    /// Bytes of video.
    pub bytes: u64,
    /// Bytes of the last keyframe.
    pub keyframe_bytes: u32,
    /// Bytes of the frame in the middle, of the frames between keyframes sorted by size.
    pub between_bytes: Option<u32>,
    /// Bytes of the largest frame between keyframes.
    pub between_bytes_max: u32,
    /// Frames of the last whole group of pictures.
    pub gop_frames: u32,
    /// RTP packets that the network lost.
    pub lost_packets: u32,
    /// Frames that the worker dropped: the parent was slow, or a keyframe was awaited.
    pub dropped_frames: u32,
    /// Jumps of the camera's timestamps that were taken out.
    pub jumps: u32,
}

/// Head of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHead {
    /// Begins with a keyframe: a fragment starts here.
    pub keyframe: bool,
    /// When the first frame was received, smoothed; `CLOCK_BOOTTIME`, nanoseconds.
    pub at_ns: u64,
    /// How long the chunk lasts.
    pub duration: Duration,
    /// Frames in it.
    pub frames: u16,
    /// Counts the initialisation segments of this stream; a chunk belongs to the last one.
    pub run: u32,
}

impl ChunkHead {
    /// Length on the wire.
    pub const BYTES: usize = 23;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let nanos = u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX);
        bytes[0] = u8::from(self.keyframe);
        bytes[1..9].copy_from_slice(&self.at_ns.to_be_bytes());
        bytes[9..17].copy_from_slice(&nanos.to_be_bytes());
        bytes[17..19].copy_from_slice(&self.frames.to_be_bytes());
        bytes[19..23].copy_from_slice(&self.run.to_be_bytes());
        bytes
    }

    fn take(body: &[u8]) -> Option<(Self, &[u8])> {
        let (keyframe, rest) = body.split_first()?;
        let (at_ns, rest) = rest.split_first_chunk()?;
        let (nanos, rest) = rest.split_first_chunk()?;
        let (frames, rest) = rest.split_first_chunk()?;
        let (run, rest) = rest.split_first_chunk()?;
        let head = Self {
            keyframe: *keyframe != 0,
            at_ns: u64::from_be_bytes(*at_ns),
            duration: Duration::from_nanos(u64::from_be_bytes(*nanos)),
            frames: u16::from_be_bytes(*frames),
            run: u32::from_be_bytes(*run),
        };
        Some((head, rest))
    }
}

/// Head of a request to decode a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureHead {
    /// Number of the request; the answer carries it.
    pub request: u64,
    /// Whose masks to apply; see [`Command::Masks`].
    pub camera: u16,
    /// H.265 instead of H.264.
    pub h265: bool,
    /// Width of the JPEG, pixels; 0: none is wanted, only features.
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

const JSON: u8 = 0;
const INIT: u8 = 1;
const CHUNK: u8 = 2;
const PICTURE_WANTED: u8 = 3;
const PICTURE: u8 = 4;
const PUBLISH: u8 = 5;

/// A frame to the worker, its bytes borrowed from `body`.
#[derive(Debug, PartialEq)]
pub enum ToWorker<'a> {
    /// A command.
    Command(Command),
    /// Decode a keyframe: head, codec configuration, access unit.
    Picture(PictureHead, &'a [u8], &'a [u8]),
    /// A part of a CMAF stream to publish.
    Publish(&'a [u8]),
}

/// A frame from the worker, its bytes borrowed from `body`.
#[derive(Debug, PartialEq)]
pub enum FromWorker<'a> {
    /// An event.
    Event(Event),
    /// An initialisation segment.
    Init(Profile, &'a [u8]),
    /// A chunk.
    Chunk(Profile, ChunkHead, &'a [u8]),
    /// A picture: number of the request, features as JSON, JPEG (empty if none was wanted).
    Picture(u64, &'a [u8], &'a [u8]),
}

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

fn split(frame: &[u8]) -> Result<(u8, &[u8]), WireError> {
    let (kind, body) = frame.split_first().ok_or(WireError::Malformed { kind: 0, bytes: 0 })?;
    Ok((*kind, body))
}

impl<'a> ToWorker<'a> {
    /// Reads a frame without its length.
    pub fn read(frame: &'a [u8]) -> Result<Self, WireError> {
        let (kind, body) = split(frame)?;
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

impl<'a> FromWorker<'a> {
    /// Reads a frame without its length.
    pub fn read(frame: &'a [u8]) -> Result<Self, WireError> {
        let (kind, body) = split(frame)?;
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

fn prefix(kind: u8, body_bytes: usize) -> io::Result<[u8; 5]> {
    let length = body_bytes + 1;
    if length > FRAME_BYTES_MAX {
        let message = format!("a frame of {length} bytes is longer than the {FRAME_BYTES_MAX} that are taken");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let [a, b, c, d] = length.to_be_bytes();
    Ok([a, b, c, d, kind])
}

fn json<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message).map_err(io::Error::other)?;
    let mut frame = prefix(JSON, body.len())?.to_vec();
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// A command as a frame with its length.
pub fn command_frame(command: &Command) -> io::Result<Vec<u8>> {
    json(command)
}

/// A request for a picture as a frame with its length.
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

/// Writes an event.
pub fn write_event(to: &mut impl Write, event: &Event) -> io::Result<()> {
    to.write_all(&json(event)?)
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

fn write_all_vectored(to: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
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

    fn frame_of(written: &[u8]) -> &[u8] {
        let (length, frame) = written.split_first_chunk().unwrap();
        assert_eq!(usize::try_from(u32::from_be_bytes(*length)).unwrap(), frame.len());
        frame
    }

    #[test]
    fn a_chunk_in_parts_arrives_whole() {
        let head = ChunkHead {
            keyframe: true,
            at_ns: 12_345,
            duration: Duration::from_millis(200),
            frames: 5,
            run: 2,
        };
        let mut written = Vec::new();
        write_chunk(&mut written, Profile::Sub, head, &[b"moof", b"", b"mdat"]).unwrap();
        let read = FromWorker::read(frame_of(&written)).unwrap();
        assert_eq!(read, FromWorker::Chunk(Profile::Sub, head, b"moofmdat"));
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
        let written = picture_request_frame(head, b"hvcC", b"unit").unwrap();
        let read = ToWorker::read(frame_of(&written)).unwrap();
        assert_eq!(read, ToWorker::Picture(head, b"hvcC", b"unit"));
    }

    #[test]
    fn a_picture_without_jpeg_arrives_whole() {
        let mut written = Vec::new();
        write_picture(&mut written, 9, b"{}", b"").unwrap();
        assert_eq!(
            FromWorker::read(frame_of(&written)).unwrap(),
            FromWorker::Picture(9, b"{}", b"")
        );
    }

    #[test]
    fn commands_and_events_arrive_as_they_were() {
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
        let written = command_frame(&command).unwrap();
        assert_eq!(ToWorker::read(frame_of(&written)).unwrap(), ToWorker::Command(command));
    }

    #[test]
    fn a_short_or_unknown_frame_is_refused_and_not_more() {
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
        for frame in [&b""[..], b"\x03short", b"\x01\x00", b"\x00[]"] {
            assert!(ToWorker::read(frame).is_err(), "{frame:?}");
        }
    }

    #[test]
    fn a_frame_that_nobody_would_take_is_not_written() {
        let too_long = vec![0; FRAME_BYTES_MAX];
        assert!(write_init(&mut Vec::new(), Profile::Main, &too_long).is_err());
    }

    #[test]
    fn a_password_does_not_show_in_a_log() {
        let credentials = Credentials {
            user: "admin".to_owned(),
            password: "rahasia".to_owned(),
        };
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }
}
