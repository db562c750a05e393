//! Commands by which the city makes a box send a live view, and stop.
//!
//! A box lies behind its carrier's address translation, so nobody can call it. It listens to commands on its MQTT topic
//! and dials out to where a command says ([`crate::link`] is what follows). As whoever may write to the broker could
//! else aim a box's camera anywhere, each command is signed with a key that only the city's portal has.
//!
//! **Form.** A C2SP signed note with a plain Ed25519 signature (type 0x01). Its text has two lines: the box that is meant
//! (`<log domain>/<box>/command`, see [`origin_of`]) and a JSON object:
//!
//! | type | keys | meaning |
//! | --- | --- | --- |
//! | `start` | `id`, `issued_ms`, `camera`, `profile`, `ttl_s`, `to` | send this stream there for this long; for an `id` that is being sent already, from now on for this long |
//! | `stop` | `id`, `issued_ms` | stop sending it |
//! | `ready` | `id`, `issued_ms`, `ttl_s`, `server` | hold one idle connection to `server` for this long, for the next `start`; for an `id` that is held already, from now on for this long |
//!
//! `id` has 32 lower-case hexadecimal digits (128 random bits). `issued_ms` are Unix milliseconds by the city's clock; an
//! instance of the city never gives two commands the same. `profile` is `main` or `sub`. `to` is
//! `{"type":"kominfo","server":"HOST:PORT"}` or `{"type":"media_server","url":"rtsps://…"}`. Keys that a reader does not
//! know are ignored, a command of an unknown type is refused: a box that does not know `ready` logs that as
//! [`CommandError::UnknownType`] and does nothing.
//!
//! **Invariants.** What [`verify`] gives out was signed with the expected key for the expected box and is within all
//! bounds; [`sign`] signs nothing that [`verify`] refuses. [`check_fresh`] is pure: the box's time and the newest command
//! that it took come from the caller.
//!
//! **Limits.** [`COMMAND_BYTES_MAX`], [`TTL_S_MIN`] to [`TTL_S_MAX`], [`READY_TTL_S_MAX`], [`AGE_MAX`], [`CAMERA_BYTES_MAX`],
//! [`DESTINATION_BYTES_MAX`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ledger::{TextError, TextSigner, TextVerifier};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::UnixMillis;

/// Largest command, signature included, bytes. A larger one is refused before it is read.
pub const COMMAND_BYTES_MAX: usize = 4096;

/// Shortest time that a stream may be asked for, seconds. Less is refused.
pub const TTL_S_MIN: u64 = 10;

/// Longest time that a stream may be asked for, seconds. More is refused.
pub const TTL_S_MAX: u64 = 3600;

/// Longest time that an idle connection may be asked for, seconds. More is refused.
pub const READY_TTL_S_MAX: u64 = 60;

/// Oldest command that a box takes when its clock is set, and how far ahead of that clock it may be.
pub const AGE_MAX: Duration = Duration::from_secs(60);

/// Longest identifier of a camera, bytes. A longer one is refused.
pub const CAMERA_BYTES_MAX: usize = 64;

/// Longest address to send to, bytes. A longer one is refused.
pub const DESTINATION_BYTES_MAX: usize = 400;

/// Why a command was not signed or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Larger than any command.
    #[error("command has {bytes} bytes, at most {COMMAND_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size, bytes.
        bytes: usize,
    },
    /// It is no signed note, or not signed with the expected key.
    #[error("command: {0}")]
    Note(#[from] TextError),
    /// It is meant for another box.
    #[error("command is for \"{found}\", not for \"{expected}\"")]
    Origin {
        /// The box that was expected.
        expected: String,
        /// The first line of the command.
        found: String,
    },
    /// The note's text has not two lines.
    #[error("command has not two lines: for whom, and a JSON object")]
    Lines,
    /// The second line is not the JSON that it should be.
    #[error("command is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// A command that does not exist.
    #[error("command is of unknown type `{0}`\n  hint: the city may run a newer version")]
    UnknownType(String),
    /// A value is out of its bounds.
    #[error("command has an impossible `{field}`: expected {expected}")]
    Value {
        /// The key.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// Why a command that is genuine is not acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StaleError {
    /// It was issued too long ago.
    #[error("command is {} s old, at most {} s are allowed", age.as_secs(), AGE_MAX.as_secs())]
    Old {
        /// Its age.
        age: Duration,
    },
    /// It was issued in the future.
    #[error("command is {} s ahead of this clock\n  hint: compare the clocks of box and city", ahead.as_secs())]
    Ahead {
        /// How far.
        ahead: Duration,
    },
    /// One that was issued at the same time or later has been taken.
    #[error("command was issued before one that was taken already, or is that one")]
    Replayed,
}

/// Identifies one stream from a box to where it is sent, or one idle connection; made of 128 random bits and never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId([u8; 16]);

impl StreamId {
    /// Makes an identifier of random bytes.
    pub fn from_bytes(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for StreamId {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        let bad = CommandError::Value {
            field: "id",
            expected: "32 lower-case hexadecimal digits",
        };
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(digits) {
            return Err(bad);
        }
        u128::from_str_radix(text, 16)
            .map(|number| Self(number.to_be_bytes()))
            .map_err(|_| bad)
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Which of a camera's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The full picture.
    Main,
    /// The smaller one, which costs less data.
    Sub,
}

impl Profile {
    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
        }
    }
}

impl FromStr for Profile {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        match text {
            "main" => Ok(Self::Main),
            "sub" => Ok(Self::Sub),
            _ => Err(CommandError::Value {
                field: "profile",
                expected: "`main` or `sub`",
            }),
        }
    }
}

/// Where a box sends a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Destination {
    /// An instance of the city's receiving end, as [`crate::link`] describes.
    Kominfo {
        /// `HOST:PORT`; an IPv6 address stands in brackets.
        server: String,
    },
    /// A media server, by RTSP over TLS.
    MediaServer {
        /// `rtsps://…`
        url: String,
    },
}

/// What to send, where and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Identifier of the camera in the box's configuration.
    pub camera: String,
    /// Which of its streams.
    pub profile: Profile,
    /// For how long from when the command is taken; whole seconds.
    pub ttl: Duration,
    /// Where to.
    pub to: Destination,
}

/// Where to hold an idle connection and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// For how long from when the command is taken; whole seconds.
    pub ttl: Duration,
    /// `HOST:PORT` of an instance of the city; an IPv6 address stands in brackets.
    pub server: String,
}

/// What a box is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Send a stream, or go on sending it.
    Start(Start),
    /// Stop sending it.
    Stop,
    /// Hold a connection on which the next stream can begin at once, or go on holding it.
    Ready(Ready),
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCommand {
    /// The stream, or the idle connection, that it is about.
    pub id: StreamId,
    /// When it was issued, by the city's clock.
    pub issued: UnixMillis,
    /// What is to be done.
    pub order: Order,
}

/// The JSON of a command.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Wire {
    Start {
        id: StreamId,
        issued_ms: u64,
        camera: String,
        profile: Profile,
        ttl_s: u64,
        to: Destination,
    },
    Stop {
        id: StreamId,
        issued_ms: u64,
    },
    Ready {
        id: StreamId,
        issued_ms: u64,
        ttl_s: u64,
        server: String,
    },
}

/// Every `type` of [`Wire`].
const TYPES: [&str; 3] = ["start", "stop", "ready"];

/// The one key that every command has.
#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    kind: String,
}

/// Returns the first line of the commands for the box whose log is `log_origin` (`<log domain>/<box>`).
pub fn origin_of(log_origin: &str) -> String {
    format!("{log_origin}/command")
}

/// Signs a command for the box whose commands begin with `origin`.
pub fn sign(command: &LiveCommand, origin: &str, signer: &TextSigner) -> Result<Vec<u8>, CommandError> {
    check(command)?;
    let (id, issued_ms) = (command.id, command.issued.get());
    let wire = match &command.order {
        Order::Start(start) => Wire::Start {
            id,
            issued_ms,
            camera: start.camera.clone(),
            profile: start.profile,
            ttl_s: start.ttl.as_secs(),
            to: start.to.clone(),
        },
        Order::Stop => Wire::Stop { id, issued_ms },
        Order::Ready(ready) => Wire::Ready {
            id,
            issued_ms,
            ttl_s: ready.ttl.as_secs(),
            server: ready.server.clone(),
        },
    };
    if origin.contains('\n') {
        return Err(CommandError::Lines);
    }
    let note = signer.sign(&format!("{origin}\n{}\n", serde_json::to_string(&wire)?))?;
    bounded(note.len())?;
    Ok(note.into_bytes())
}

/// Reads a command that came from elsewhere: signed with this key, for the box whose commands begin with
/// `expected_origin`. Whether it is fresh is for [`check_fresh`].
pub fn verify(bytes: &[u8], expected_origin: &str, verifier: &TextVerifier) -> Result<LiveCommand, CommandError> {
    bounded(bytes.len())?;
    let text = verifier.open(bytes)?;
    let (origin, rest) = text.split_once('\n').ok_or(CommandError::Lines)?;
    if origin != expected_origin {
        return Err(CommandError::Origin {
            expected: expected_origin.to_owned(),
            found: origin.to_owned(),
        });
    }
    let json = rest.strip_suffix('\n').filter(|json| !json.contains('\n'));
    let json = json.ok_or(CommandError::Lines)?;
    let kind = serde_json::from_str::<TypeOnly>(json)?.kind;
    if !TYPES.contains(&kind.as_str()) {
        return Err(CommandError::UnknownType(kind.chars().take(40).collect()));
    }
    let command = of_wire(serde_json::from_str(json)?)?;
    check(&command)?;
    Ok(command)
}

fn of_wire(wire: Wire) -> Result<LiveCommand, CommandError> {
    let (id, issued_ms, order) = match wire {
        Wire::Stop { id, issued_ms } => (id, issued_ms, Order::Stop),
        Wire::Ready {
            id,
            issued_ms,
            ttl_s,
            server,
        } => {
            let ttl = Duration::from_secs(ttl_s);
            (id, issued_ms, Order::Ready(Ready { ttl, server }))
        }
        Wire::Start {
            id,
            issued_ms,
            camera,
            profile,
            ttl_s,
            to,
        } => {
            let start = Start {
                camera,
                profile,
                ttl: Duration::from_secs(ttl_s),
                to,
            };
            (id, issued_ms, Order::Start(start))
        }
    };
    let issued = UnixMillis::new(issued_ms).ok_or(CommandError::Value {
        field: "issued_ms",
        expected: "milliseconds since 1970",
    })?;
    Ok(LiveCommand { id, issued, order })
}

/// Tells whether a genuine command is to be acted on. `now` is the box's time, `None` while its clock is not known to be
/// right: then only the order of commands counts. `last_issued` is that of the newest command taken, which the caller
/// keeps; a command is taken when this returns `Ok`, whatever comes of it.
pub fn check_fresh(
    command: &LiveCommand,
    now: Option<UnixMillis>,
    last_issued: Option<UnixMillis>,
) -> Result<(), StaleError> {
    if last_issued.is_some_and(|last| command.issued <= last) {
        return Err(StaleError::Replayed);
    }
    let Some(now) = now else {
        return Ok(());
    };
    let age = Duration::from_millis(now.get().saturating_sub(command.issued.get()));
    if age > AGE_MAX {
        return Err(StaleError::Old { age });
    }
    let ahead = Duration::from_millis(command.issued.get().saturating_sub(now.get()));
    if ahead > AGE_MAX {
        return Err(StaleError::Ahead { ahead });
    }
    Ok(())
}

/// Tells whether a text can be a camera's identifier: 1 to 64 bytes of `A-Z a-z 0-9 - _ .`, beginning with a letter or
/// digit.
pub fn is_camera_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= CAMERA_BYTES_MAX
        && text.bytes().all(allowed)
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

fn bounded(bytes: usize) -> Result<(), CommandError> {
    if bytes > COMMAND_BYTES_MAX {
        return Err(CommandError::TooLarge { bytes });
    }
    Ok(())
}

/// Checks what types cannot say; the same on both ways, so that nobody signs what others refuse.
fn check(command: &LiveCommand) -> Result<(), CommandError> {
    match &command.order {
        Order::Stop => Ok(()),
        Order::Ready(ready) => {
            let is_ttl = is_ttl(ready.ttl, READY_TTL_S_MAX);
            value(is_ttl, "ttl_s", "10 to 60 seconds")?;
            value(is_server(&ready.server), "server", "HOST:PORT")
        }
        Order::Start(start) => {
            let is_camera = is_camera_name(&start.camera);
            value(is_camera, "camera", "1 to 64 bytes of A-Z a-z 0-9 - _ .")?;
            value(is_ttl(start.ttl, TTL_S_MAX), "ttl_s", "10 to 3600 seconds")?;
            match &start.to {
                Destination::Kominfo { server } => value(is_server(server), "server", "HOST:PORT"),
                Destination::MediaServer { url } => value(is_rtsps(url), "url", "rtsps://HOST…"),
            }
        }
    }
}

fn value(is_right: bool, field: &'static str, expected: &'static str) -> Result<(), CommandError> {
    if is_right {
        Ok(())
    } else {
        Err(CommandError::Value { field, expected })
    }
}

/// Whether it is whole seconds, from [`TTL_S_MIN`] to `max_s`.
fn is_ttl(ttl: Duration, max_s: u64) -> bool {
    ttl.subsec_nanos() == 0 && (TTL_S_MIN..=max_s).contains(&ttl.as_secs())
}

/// Tells whether a text is `HOST:PORT`, `[IPv6]:PORT` included.
pub fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = address.map_or_else(
        || {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
            !host.is_empty() && host.bytes().all(allowed)
        },
        |address| address.parse::<std::net::Ipv6Addr>().is_ok(),
    );
    text.len() <= DESTINATION_BYTES_MAX && is_port && is_host
}

fn is_rtsps(url: &str) -> bool {
    let host = url.strip_prefix("rtsps://").and_then(|rest| rest.bytes().next());
    url.len() <= DESTINATION_BYTES_MAX
        && url.bytes().all(|byte| byte.is_ascii_graphic())
        && host.is_some_and(|first| first.is_ascii_alphanumeric() || first == b'[')
}

#[cfg(test)]
mod tests;
