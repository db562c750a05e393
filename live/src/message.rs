//! Messages of a live view, on every WebSocket that carries one: from the box to a viewer near it, from the box to the
//! city, and from the city to a far viewer.
//!
//! The media is one CMAF track (ISO/IEC 23000-19): an init segment, then chunks, each one `moof` and its `mdat`. A
//! fragment starts with a chunk that begins with a keyframe.
//!
//! **Text messages** are JSON objects with a key `type`. Keys that a reader does not know are ignored; so are whole
//! messages of an unknown type, which [`Message::parse`] tells by [`MessageError::UnknownType`].
//!
//! | type | keys | meaning |
//! | --- | --- | --- |
//! | `stream` | `camera`, `profile`, `codecs` (RFC 6381), `width`, `height`, `fps`?, `bitrate_kbit`? | what follows; comes before each init segment |
//! | `skipped` | `seconds` | this much was left out before the next chunk, because the connection was too slow |
//! | `busy` | `viewers_max` | no place for a further viewer; nothing follows |
//! | `state` | `state`, `message`?, `advice`? | state of the camera, or of the way to it; the set of states is open. `advice`, an object with `id` (Bahasa Indonesia) and `en` (English), says what to do about it |
//! | `ended` | `reason` | the live view is over; nothing follows |
//!
//! **Binary messages** have a head of nine bytes, then the payload to the end of the message:
//!
//! | offset | bytes | content |
//! | --- | --- | --- |
//! | 0 | 1 | kind: 1 init segment, 2 chunk that begins with a keyframe, 3 chunk that continues |
//! | 1 | 8 | big-endian: wall-clock time of the chunk's first frame in Unix milliseconds as the box knows it, 0 when unknown; unused with an init segment |
//! | 9 | rest | payload, at least one byte |
//!
//! **Invariants.** A binary message is held in the form that is sent, so encoding it is a reference count and never a
//! copy, however many viewers there are. Whatever [`Message::parse`] accepts encodes again to an equal message.
//!
//! **Limits.** [`MESSAGE_BYTES_MAX`], [`TEXT_BYTES_MAX`], [`FIELD_BYTES_MAX`]. What is larger is refused.

use std::num::NonZeroU64;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Largest message, head included. A larger one is refused; the WebSocket should be configured with the same bound.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest text message. A larger one is refused before it is parsed.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Largest string within a text message. A message with a larger one is refused.
pub const FIELD_BYTES_MAX: usize = 400;

/// Fewest frames a second that a stream may claim. Less is refused.
const FPS_MIN: f64 = 0.001;

/// Most frames a second that a stream may claim. More is refused.
const FPS_MAX: f64 = 1000.0;

/// Longest skip that a message may claim, seconds (100 days). More is refused.
const SKIPPED_SECONDS_MAX: f64 = 8_640_000.0;

const KIND_INIT: u8 = 1;
const KIND_KEYFRAME: u8 = 2;
const KIND_CONTINUES: u8 = 3;
/// Bytes of a message before its content: kind and time.
pub const HEAD_BYTES: usize = 9;

/// Why a message cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Larger than the bound for its form.
    #[error("live message has {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// Size of the message, bytes.
        bytes: usize,
        /// The bound, bytes.
        bytes_max: usize,
    },
    /// A binary message without a payload.
    #[error("live message has {bytes} bytes, too few for a head of {HEAD_BYTES} bytes and a payload")]
    TooShort {
        /// Size of the message, bytes.
        bytes: usize,
    },
    /// A binary message of a kind that does not exist.
    #[error("binary live message is of unknown kind {0}\n  hint: the other side may run a newer version")]
    UnknownKind(u8),
    /// A text message of a type that does not exist; a reader passes over it.
    #[error("text live message is of unknown type `{0}`\n  hint: the other side may run a newer version")]
    UnknownType(String),
    /// A text message that is not the JSON it should be.
    #[error("text live message is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// A text message with a value that cannot be.
    #[error("text live message has an impossible `{field}`")]
    Value {
        /// The key.
        field: &'static str,
    },
}

/// A wall-clock time in milliseconds since 1970 (UTC), never 0, as the box knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(NonZeroU64);

impl UnixMillis {
    /// The latest time.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// Takes milliseconds since 1970; `None` for 0, which stands for an unknown time.
    pub fn new(millis: u64) -> Option<Self> {
        NonZeroU64::new(millis).map(Self)
    }

    /// Returns milliseconds since 1970.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// What a stream is: the content of a `stream` message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Identifier of the camera in the box's configuration.
    pub camera: String,
    /// Which of the camera's streams, for example `sub`.
    pub profile: String,
    /// Codecs as in RFC 6381, for example `avc1.42c028`.
    pub codecs: String,
    /// Width of the picture, pixels.
    pub width: u32,
    /// Height of the picture, pixels.
    pub height: u32,
    /// Frames a second, where known; sent with three decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Bitrate in kbit/s, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitrate_kbit: Option<u32>,
}

/// State of the camera: the content of a `state` message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraState {
    /// `up`, `stalled`, `auth_failed` and further ones; a reader shows an unknown one as it is.
    pub state: String,
    /// What belongs to the state and is the same in every language: a time, a [`crate::link::Reason`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

/// Words for people in both languages: whoever sends them does not know who reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Bahasa Indonesia.
    pub id: String,
    /// English.
    pub en: String,
}

impl CameraState {
    /// Makes a state from words of any length; what exceeds [`FIELD_BYTES_MAX`] is cut off.
    pub fn new(state: &str, message: Option<&str>) -> Self {
        Self {
            state: cut(state).to_owned(),
            message: message.map(|words| cut(words).to_owned()),
            advice: None,
        }
    }

    /// The state with words on what to do, of any length; what exceeds [`FIELD_BYTES_MAX`] is cut off.
    #[must_use]
    pub fn with_advice(self, id: &str, en: &str) -> Self {
        let advice = Some(Advice {
            id: cut(id).to_owned(),
            en: cut(en).to_owned(),
        });
        Self { advice, ..self }
    }
}

/// An init segment (`ftyp` and `moov`), in the form that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    wire: Bytes,
}

impl Init {
    /// Makes the message; copies the segment once.
    pub fn new(segment: &[u8]) -> Result<Self, MessageError> {
        binary(KIND_INIT, 0, segment).map(|wire| Self { wire })
    }

    /// Returns the segment without the message's head.
    pub fn payload(&self) -> Bytes {
        payload(&self.wire)
    }

    /// Returns the size of the message, bytes.
    pub fn wire_bytes(&self) -> usize {
        self.wire.len()
    }
}

/// A chunk (`moof` and `mdat`), in the form that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    keyframe: bool,
    wall: Option<UnixMillis>,
    wire: Bytes,
}

impl Chunk {
    /// Makes the message; copies the chunk once. `keyframe`: the chunk begins with a keyframe. `wall`: time of its
    /// first frame.
    pub fn new(keyframe: bool, wall: Option<UnixMillis>, chunk: &[u8]) -> Result<Self, MessageError> {
        binary(kind_of(keyframe), wall.map_or(0, UnixMillis::get), chunk).map(|wire| Self { keyframe, wall, wire })
    }

    /// Makes the message where the chunk lies, without copying it: `room` begins with [`HEAD_BYTES`] that are overwritten.
    pub fn in_place(keyframe: bool, wall: Option<UnixMillis>, mut room: BytesMut) -> Result<Self, MessageError> {
        let bytes = room.len();
        bound(bytes, MESSAGE_BYTES_MAX)?;
        match room.split_first_chunk_mut::<HEAD_BYTES>() {
            Some((head, chunk)) if !chunk.is_empty() => {
                let (kind, time) = (kind_of(keyframe), wall.map_or(0, UnixMillis::get));
                head[0] = kind;
                head[1..].copy_from_slice(&time.to_be_bytes());
            }
            _ => return Err(MessageError::TooShort { bytes }),
        }
        let wire = room.freeze();
        Ok(Self { keyframe, wall, wire })
    }

    /// Tells whether the chunk begins with a keyframe.
    pub fn keyframe(&self) -> bool {
        self.keyframe
    }

    /// Returns the time of the chunk's first frame, where known.
    pub fn wall(&self) -> Option<UnixMillis> {
        self.wall
    }

    /// Returns the chunk without the message's head.
    pub fn payload(&self) -> Bytes {
        payload(&self.wire)
    }

    /// Returns the size of the message, bytes.
    pub fn wire_bytes(&self) -> usize {
        self.wire.len()
    }
}

/// One message of a live view.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// What follows; comes before each init segment.
    Stream(StreamInfo),
    /// This much was left out before the next chunk; sent to the millisecond.
    Skipped(Duration),
    /// No place for a further viewer.
    Busy {
        /// How many viewers there may be.
        viewers_max: u32,
    },
    /// State of the camera.
    State(CameraState),
    /// The live view is over.
    Ended {
        /// Why, as a short code such as `ttl`.
        reason: String,
    },
    /// An init segment.
    Init(Init),
    /// A chunk.
    Chunk(Chunk),
}

/// A WebSocket message, text or binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

/// The JSON of a text message.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Text {
    Stream(StreamInfo),
    Skipped { seconds: f64 },
    Busy { viewers_max: u32 },
    State(CameraState),
    Ended { reason: String },
}

const TEXT_TYPES: [&str; 5] = ["stream", "skipped", "busy", "state", "ended"];

/// The one key that every text message has.
#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    kind: String,
}

impl Message {
    /// Encodes the message. Init segments and chunks are shared, not copied.
    pub fn encode(&self) -> Result<Frame, MessageError> {
        let text = match self {
            Self::Init(init) => return Ok(Frame::Binary(init.wire.clone())),
            Self::Chunk(chunk) => return Ok(Frame::Binary(chunk.wire.clone())),
            Self::Stream(info) => Text::Stream(info.clone()),
            Self::Skipped(span) => Text::Skipped {
                seconds: span.as_secs_f64(),
            },
            Self::Busy { viewers_max } => Text::Busy {
                viewers_max: *viewers_max,
            },
            Self::State(state) => Text::State(state.clone()),
            Self::Ended { reason } => Text::Ended { reason: reason.clone() },
        };
        check(&text)?;
        let json = serde_json::to_string(&text)?;
        bound(json.len(), TEXT_BYTES_MAX)?;
        Ok(Frame::Text(json))
    }

    /// Reads a message that came from elsewhere. A binary message is kept, not copied.
    pub fn parse(frame: Frame) -> Result<Self, MessageError> {
        match frame {
            Frame::Text(text) => Self::parse_text(&text),
            Frame::Binary(wire) => Self::parse_binary(wire),
        }
    }

    /// Reads a text message.
    pub fn parse_text(text: &str) -> Result<Self, MessageError> {
        bound(text.len(), TEXT_BYTES_MAX)?;
        let kind = serde_json::from_str::<TypeOnly>(text)?.kind;
        if !TEXT_TYPES.contains(&kind.as_str()) {
            return Err(MessageError::UnknownType(kind.chars().take(40).collect()));
        }
        let text: Text = serde_json::from_str(text)?;
        check(&text)?;
        Ok(match text {
            Text::Stream(info) => Self::Stream(StreamInfo {
                fps: info.fps.map(thousandths),
                ..info
            }),
            Text::Skipped { seconds } => Self::Skipped(skipped(seconds)?),
            Text::Busy { viewers_max } => Self::Busy { viewers_max },
            Text::State(state) => Self::State(state),
            Text::Ended { reason } => Self::Ended { reason },
        })
    }

    /// Reads a binary message, without a copy.
    pub fn parse_binary(wire: Bytes) -> Result<Self, MessageError> {
        bound(wire.len(), MESSAGE_BYTES_MAX)?;
        let too_short = MessageError::TooShort { bytes: wire.len() };
        let Some((head, rest)) = wire.split_first_chunk::<HEAD_BYTES>() else {
            return Err(too_short);
        };
        if rest.is_empty() {
            return Err(too_short);
        }
        let [kind, wall @ ..] = *head;
        let wall = UnixMillis::new(u64::from_be_bytes(wall));
        match kind {
            KIND_INIT => Ok(Self::Init(Init { wire })),
            KIND_KEYFRAME => Ok(Self::Chunk(Chunk {
                keyframe: true,
                wall,
                wire,
            })),
            KIND_CONTINUES => Ok(Self::Chunk(Chunk {
                keyframe: false,
                wall,
                wire,
            })),
            other => Err(MessageError::UnknownKind(other)),
        }
    }
}

fn kind_of(keyframe: bool) -> u8 {
    if keyframe { KIND_KEYFRAME } else { KIND_CONTINUES }
}

fn binary(kind: u8, wall: u64, content: &[u8]) -> Result<Bytes, MessageError> {
    let bytes = content.len().saturating_add(HEAD_BYTES);
    bound(bytes, MESSAGE_BYTES_MAX)?;
    if content.is_empty() {
        return Err(MessageError::TooShort { bytes });
    }
    let mut wire = BytesMut::with_capacity(bytes);
    wire.put_u8(kind);
    wire.put_u64(wall);
    wire.put_slice(content);
    Ok(wire.freeze())
}

fn payload(wire: &Bytes) -> Bytes {
    let mut payload = wire.clone();
    payload.split_off(HEAD_BYTES.min(wire.len()))
}

fn bound(bytes: usize, bytes_max: usize) -> Result<(), MessageError> {
    if bytes > bytes_max {
        return Err(MessageError::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

fn cut(words: &str) -> &str {
    words
        .get(..words.floor_char_boundary(FIELD_BYTES_MAX))
        .unwrap_or_default()
}

/// Reads a number of seconds, to the millisecond.
fn skipped(seconds: f64) -> Result<Duration, MessageError> {
    if !(0.0..=SKIPPED_SECONDS_MAX).contains(&seconds) {
        return Err(MessageError::Value { field: "seconds" });
    }
    Duration::try_from_secs_f64(thousandths(seconds)).map_err(|_| MessageError::Value { field: "seconds" })
}

/// Rounds to three decimals, which JSON carries exactly.
fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Checks what the JSON's types cannot say; the same on both ways, so that nobody sends what others refuse.
fn check(text: &Text) -> Result<(), MessageError> {
    let short = |field: &'static str, value: &str| {
        if value.len() > FIELD_BYTES_MAX {
            Err(MessageError::Value { field })
        } else {
            Ok(())
        }
    };
    match text {
        Text::Stream(info) => {
            short("camera", &info.camera)?;
            short("profile", &info.profile)?;
            short("codecs", &info.codecs)?;
            if info.fps.is_some_and(|fps| !(FPS_MIN..=FPS_MAX).contains(&fps)) {
                return Err(MessageError::Value { field: "fps" });
            }
            Ok(())
        }
        Text::Skipped { seconds } => skipped(*seconds).map(|_| ()),
        Text::Busy { .. } => Ok(()),
        Text::State(state) => {
            short("state", &state.state)?;
            short("message", state.message.as_deref().unwrap_or_default())?;
            let advice = state.advice.as_ref();
            advice.map_or(Ok(()), |Advice { id, en }| short("advice", id).and(short("advice", en)))
        }
        Text::Ended { reason } => short("reason", reason),
    }
}

#[cfg(test)]
mod tests;
