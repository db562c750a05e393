//! The WebSocket by which a box sends one stream to the city.
//!
//! 1. A box that takes a [`crate::command::Start`] for `kominfo` opens TCP to `server`, then TLS with its own client
//!    certificate (the one it has for the broker), believing the city's authority only, and asks `GET /live/ID` as a
//!    WebSocket (RFC 6455). No subprotocol, no extension.
//! 2. The city answers 101 if it issued ID for this very box and nobody has used it, else 403; 503 when it has no place.
//! 3. The box sends [`crate::message`]s, each a WebSocket message of its own: first `stream` or `state`, the rest in the
//!    order described there. `camera` and `profile` of `stream` are those of the command. When there is nothing to send for
//!    [`PING_EVERY`], it sends a ping.
//! 4. The city sends pongs and at last a close frame ([`Close`]), nothing else. The box ends by `ended` with its reason
//!    and a close frame 1000.
//!
//! An ID is good for one connection. The box may dial again only as long as it was never answered 101; after that, and
//! after 403, it waits for the next command. Whoever still wants the stream asks for it under a new ID.
//!
//! **Limits.** [`crate::message::MESSAGE_BYTES_MAX`], [`IDLE_MAX`], [`DIAL_WAIT`], the command's time to live, which both
//! sides keep.

use std::time::Duration;

use crate::command::StreamId;

/// A connection on which nothing came for so long, a ping neither, is given up by the city.
pub const IDLE_MAX: Duration = Duration::from_secs(15);

/// The box sends a ping when it has sent nothing for so long.
pub const PING_EVERY: Duration = Duration::from_secs(5);

/// How soon after a command the box should have dialled; what took longer is told to those who wait.
pub const DIAL_WAIT: Duration = Duration::from_secs(10);

/// Returns the path that a box asks for.
pub fn path_of(id: StreamId) -> String {
    format!("/live/{id}")
}

/// Why the city closes a box's connection: code and reason of its close frame (RFC 6455, section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The city's instance stops; another may ask.
    Stopping,
    /// A message could not be read, was out of order or larger than allowed.
    Malformed,
    /// Nobody watches any more.
    NobodyWatches,
    /// The command's time is over and was not prolonged.
    TimeOver,
    /// Nothing came for [`IDLE_MAX`].
    Silent,
    /// The stream is of another camera or profile than the command's.
    OtherStream,
}

impl Close {
    /// Returns the close code.
    pub fn code(self) -> u16 {
        match self {
            Self::Stopping => 1001,
            Self::Malformed => 1002,
            Self::NobodyWatches => 4000,
            Self::TimeOver => 4001,
            Self::Silent => 4002,
            Self::OtherStream => 4003,
        }
    }

    /// Returns the close frame's reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Malformed => "malformed message",
            Self::NobodyWatches => "nobody watches",
            Self::TimeOver => "time over",
            Self::Silent => "silent",
            Self::OtherStream => "not the stream asked for",
        }
    }
}
