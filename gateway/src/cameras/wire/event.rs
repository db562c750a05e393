//! What a worker tells of its streams, apart from the streams themselves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::source::Profile;

/// What the worker tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The worker runs; its first frame.
    Ready {
        /// Its version: must be the parent's.
        version: String,
    },
    /// The camera has answered and plays; the first frame is awaited.
    Playing {
        /// Which stream.
        profile: Profile,
        /// What the server calls itself, if it does.
        server: Option<String>,
        /// Whether it offers sound as well, which is not taken.
        audio: bool,
    },
    /// What the stream is: before each initialisation segment.
    Format {
        /// Which stream.
        profile: Profile,
        /// What.
        format: Format,
    },
    /// A stream has ended without being closed, or was never there; nothing more comes of it until it is opened again.
    Ended {
        /// Which stream.
        profile: Profile,
        /// Why.
        cause: Cause,
        /// In the words of whoever noticed. Without credentials.
        message: String,
    },
    /// What came in the last second, once a second while the stream plays.
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
        /// The camera's clock, Unix milliseconds.
        camera_unix_ms: i64,
        /// When it was read, by `CLOCK_BOOTTIME`, nanoseconds.
        at_ns: u64,
    },
    /// A picture could not be made.
    PictureFailed {
        /// Number of the request; see [`PictureHead`](super::PictureHead).
        request: u64,
        /// Why.
        message: String,
    },
    /// The media server takes the stream, or does so no more.
    Published {
        /// Whether it does.
        running: bool,
        /// If not, why; else empty.
        message: String,
    },
}

/// What a stream is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Format {
    /// Frames a second that the stream claims, if it does. Measured ones are in [`Stats`].
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
    /// No way to the address, or no connection in time.
    Unreachable,
    /// The host takes a connection, but no whole answer came in time.
    NoAnswer,
    /// Something answers, but not RTSP; or the address is none of RTSP.
    NotRtsp,
    /// The camera refuses, with another status than those below.
    Rejected,
    /// The camera has no such stream (404).
    NotFound,
    /// User name or password is wrong, or missing (401, 403).
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
    /// The camera has ended the stream or the connection, or sends what the client cannot go on with.
    Ended,
    /// Frames come, but never one to begin with.
    NoKeyframes,
    /// The stream cannot be put into a file.
    Mux,
    /// The worker has ended, does not answer or lacks a part of GStreamer.
    Worker,
    /// The worker's program does not start.
    WorkerMissing,
}

/// How much came of a stream in about one second.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Length of the time that this is about.
    pub span: Duration,
    /// Frames received, those that were dropped among them.
    pub frames: u32,
    /// Keyframes among them.
    pub keyframes: u32,
    /// Bytes of video.
    pub bytes: u64,
    /// Bytes of the last keyframe, which may have come earlier; 0 before the first.
    pub keyframe_bytes: u32,
    /// Bytes of the frame at the lower quarter, of the frames between keyframes sorted by size; `None`
    /// without any. Frames above 120 a second are not looked at.
    pub between_bytes: Option<u32>,
    /// Bytes of the largest of the same; 0 if there was none.
    pub between_bytes_max: u32,
    /// Frames of the last whole group of pictures, which may have ended earlier; 0 before the first.
    pub gop_frames: u32,
    /// RTP packets that the network lost.
    pub lost_packets: u32,
    /// Frames that the worker dropped: the parent was slow, too many came, or a keyframe was awaited.
    pub dropped_frames: u32,
    /// Jumps of the camera's timestamps that were taken out.
    pub jumps: u32,
}
