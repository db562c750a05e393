//! What a worker is told to do. A command that is none for its mode ends it.

use serde::{Deserialize, Serialize};

use super::source::{Credentials, Profile, Source};

/// What the worker is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Connect a stream; one that is open is closed first. Its chunks are those of nobody watching, until told otherwise.
    Open {
        /// Which.
        profile: Profile,
        /// From where.
        source: Source,
    },
    /// Close a stream: what the muxer holds is given out, TEARDOWN, then nothing more comes of it, no
    /// [`Event::Ended`](super::Event::Ended) either.
    Close {
        /// Which.
        profile: Profile,
    },
    /// Where chunks of an open stream end from now on, other than before each keyframe. Nothing happens if it is not open.
    Chunks {
        /// Which.
        profile: Profile,
        /// Frames a chunk. 0: nobody watches; a keyframe is a chunk of its own, and the rest of its group of pictures
        /// another, or several of 2 s.
        frames: u16,
    },
    /// What to cover in the pictures of a camera, before its first kind-3 frame: no picture is made without.
    Masks {
        /// Number of the camera whose masks these are; [`PictureHead::camera`](super::PictureHead::camera) names it.
        camera: u16,
        /// Polygons, each a list of corners x, y, from 0 to 1 of the picture's width and height. None: nothing is covered.
        polygons: Vec<Vec<[f64; 2]>>,
    },
    /// Publish what comes in kind-5 frames to a media server, by RTSP RECORD.
    Publish {
        /// `rtsps://host:port/path`, or `rtsp://`, without user and password.
        url: String,
        /// What to show if it asks.
        credentials: Option<Credentials>,
    },
}
