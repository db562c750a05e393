//! The WebSocket by which a box sends one stream to the city.
//!
//! 1. A box that takes a [`crate::command::Start`] for `kominfo` opens TCP to `server`, then TLS with its own client
//!    certificate (the one it has for the broker), believing the city's authority only, and asks `GET /live/ID` as a
//!    WebSocket (RFC 6455). No subprotocol, no extension.
//! 2. The city answers 101 if it issued ID for this very box and nobody has used it, else 403; 503 when it has no place.
//! 3. The box sends [`crate::message`]s, each a WebSocket message of its own: first `stream` or `state`, the rest in the
//!    order described there. `camera` and `profile` of `stream` are those of the command. When there is nothing to send for
//!    [`PING_EVERY`], it sends a ping.
//! 4. The city sends pongs and at last a close frame ([`Close`]), nothing else. The box ends by `ended` with its
//!    [`Reason`] and a close frame 1000. A box that hears nothing for [`UNHEARD_MAX`], no pong either, gives the
//!    connection up.
//! 5. A box that refuses a command all the same dials, if it lists `server`: then `ended` is its only message.
//! 6. While records wait for their receipt the box sends `state` `link_held` and no media; then `state` `up`, and begins
//!    anew with `stream`.
//!
//! **A connection that waits.** A box that takes a [`crate::command::Ready`] dials in the same way, with the `ready`'s ID,
//! and sends nothing but pings. When a `start` for the same server comes, its first message is [`begin_text`] with the
//! stream's ID, which the city takes if it issued that for this very box and nobody has used it; from there on the
//! connection is the stream's, by the rules above. Nobody acknowledges it: the `stream` goes right behind. The box closes
//! with [`Reason::TimeOver`] when the `ready` was not prolonged in time, and the city by [`Close::TimeOver`] a little later.
//! A box holds one at a time, and hands over only what it has heard from in the last [`FRESH_MAX`]; else it dials.
//!
//! An ID is good for one connection. The box may dial again only as long as it was never answered 101; after that, and
//! after 403, it waits for the next command. Whoever still wants the stream asks for it under a new ID.
//!
//! **Limits.** [`crate::message::MESSAGE_BYTES_MAX`], [`IDLE_MAX`], [`UNHEARD_MAX`], [`DIAL_WAIT`], the command's time to live, which both
//! sides keep.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::StreamId;
use crate::message::TEXT_BYTES_MAX;

/// A connection on which nothing came for so long, a ping neither, is given up by the city.
pub const IDLE_MAX: Duration = Duration::from_secs(15);

/// The box sends a ping when it has sent nothing for so long.
pub const PING_EVERY: Duration = Duration::from_secs(5);

/// A connection on which the box heard nothing for so long, a pong neither, is given up by the box. Longer than
/// [`IDLE_MAX`]: a pong may stand behind a large keyframe that a slow link still carries.
pub const UNHEARD_MAX: Duration = Duration::from_secs(20);

/// How soon after a command the box should have dialled; what took longer is told to those who wait.
pub const DIAL_WAIT: Duration = Duration::from_secs(10);

/// A waiting connection on which nothing was heard for longer, a pong neither, may be dead: no stream begins on it. One
/// ping and the way back of its pong.
pub const FRESH_MAX: Duration = Duration::from_secs(8);

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FirstWord {
    Begin { id: StreamId },
}

/// Returns the first message on a connection that has waited: from now on it is this stream's.
pub fn begin_text(id: StreamId) -> String {
    format!(r#"{{"type":"begin","id":"{id}"}}"#)
}

/// Reads a text message that should be [`begin_text`]; `None` when it is not. Keys of a later version are ignored.
pub fn parse_begin(text: &str) -> Option<StreamId> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    serde_json::from_str(text).ok().map(|FirstWord::Begin { id }| id)
}

/// Returns the path that a box asks for.
pub fn path_of(id: StreamId) -> String {
    format!("/live/{id}")
}

/// The box's `state` while records wait for their receipt and video waits for them.
pub const HELD: &str = "link_held";

/// Why a box ends a stream or refuses to begin one: the `reason` of its `ended`, and what viewers are told with
/// `link_refused`. The set is open; a reader shows an unknown one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The command's time is over and was not prolonged, or the box allows no more.
    TimeOver,
    /// The city asked for the end.
    Stopped,
    /// The box stops.
    BoxStopping,
    /// The box's link cannot carry the stream.
    TooSlow,
    /// The box has no camera of this name.
    NoCamera,
    /// The camera has no such stream.
    NoStream,
    /// The box sends as many streams as it may.
    StreamsTaken,
    /// All places of this stream at the box are taken.
    ViewersTaken,
    /// The command's time and the box's clock lie too far apart.
    Clock,
    /// The box does not send to this server. Told by its [`Reach`], as it does not dial.
    ServerNotListed,
    /// The box knows another key for commands, or none. Told by its [`Reach`], as it reads no such command.
    OtherKey,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::TimeOver,
        Self::Stopped,
        Self::BoxStopping,
        Self::TooSlow,
        Self::NoCamera,
        Self::NoStream,
        Self::StreamsTaken,
        Self::ViewersTaken,
        Self::Clock,
        Self::ServerNotListed,
        Self::OtherKey,
    ];

    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TimeOver => "time_over",
            Self::Stopped => "stopped",
            Self::BoxStopping => "box_stopping",
            Self::TooSlow => "too_slow",
            Self::NoCamera => "no_camera",
            Self::NoStream => "no_stream",
            Self::StreamsTaken => "streams_taken",
            Self::ViewersTaken => "viewers_taken",
            Self::Clock => "clock",
            Self::ServerNotListed => "server_not_listed",
            Self::OtherKey => "other_key",
        }
    }

    /// Tells whether a stream with this reason may well go on when it is asked for again at once.
    pub fn is_passing(word: &str) -> bool {
        [Self::TimeOver, Self::BoxStopping, Self::TooSlow]
            .iter()
            .any(|reason| reason.as_str() == word)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The key of the box's state that holds its [`Reach`].
pub const REACH_KEY: &str = "far_view";

/// Whose commands a box takes and where it sends streams: part of its state, so that the city knows before it asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Servers of the city, `HOST:PORT`.
    #[serde(default)]
    pub servers: Vec<String>,
    /// The key of commands as `<name>+<hash>`, which is the beginning of its public text; `None` when it takes none.
    #[serde(default)]
    pub key: Option<String>,
    /// It takes [`crate::command::Ready`]. Older boxes do not tell it, and would only log that they know no such command.
    #[serde(default)]
    pub ready: bool,
}

impl Reach {
    /// The reach of a box that takes commands signed with the key of the public text `vkey`.
    pub fn new(servers: Vec<String>, vkey: &str) -> Self {
        Self {
            servers,
            key: Some(key_name(vkey).to_owned()),
            ready: true,
        }
    }

    /// Whether it takes commands that are signed with the key of the public text `vkey`.
    pub fn knows(&self, vkey: &str) -> bool {
        self.key.as_deref() == Some(key_name(vkey))
    }

    /// Why a command that is signed with the key of the public text `vkey` and names `server` would be refused.
    pub fn refuses(&self, server: &str, vkey: &str) -> Option<Reason> {
        if !self.knows(vkey) {
            return Some(Reason::OtherKey);
        }
        let is_listed = self.servers.iter().any(|listed| listed == server);
        (!is_listed).then_some(Reason::ServerNotListed)
    }
}

/// `<name>+<hash>` of the public text `<name>+<hash>+<key>`.
fn key_name(vkey: &str) -> &str {
    vkey.rsplit_once('+').map_or(vkey, |(name, _)| name)
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
    /// A connection that waited named a stream that was not asked for, or that has no place.
    NotAskedFor,
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
            Self::NotAskedFor => 4004,
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
            Self::NotAskedFor => "a stream that was not asked for",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_takes_commands_of_its_key_for_its_servers_only() {
        let reach = Reach::new(vec!["a:1".to_owned()], "city/command+0a+AZyS");
        assert_eq!(reach.refuses("a:1", "city/command+0a+AZyS"), None);
        assert_eq!(
            reach.refuses("b:1", "city/command+0a+AZyS"),
            Some(Reason::ServerNotListed)
        );
        assert_eq!(reach.refuses("a:1", "city/command+0b+AZyT"), Some(Reason::OtherKey));
        let none = Reach::default();
        assert_eq!(none.refuses("a:1", "city/command+0a+AZyS"), Some(Reason::OtherKey));
    }

    #[test]
    fn a_connection_begins_with_the_documented_message_and_no_other() {
        let id = StreamId::from_bytes([7; 16]);
        let text = format!(r#"{{"type":"begin","id":"{}"}}"#, "07".repeat(16));
        assert_eq!(begin_text(id), text);
        assert_eq!(parse_begin(&text), Some(id));
        assert_eq!(parse_begin(&text.replace('}', r#","more":1}"#)), Some(id));
        for other in [
            "",
            "{}",
            r#"{"type":"begin"}"#,
            r#"{"type":"begin","id":"07"}"#,
            &text.replace("begin", "ended"),
            &format!("{text}{}", " ".repeat(TEXT_BYTES_MAX)),
        ] {
            assert_eq!(parse_begin(other), None, "{other}");
        }
    }

    #[test]
    fn the_reach_has_the_documented_json() {
        let reach = Reach::new(vec!["a:1".to_owned()], "c/command+0a+AZyS");
        let json = r#"{"servers":["a:1"],"key":"c/command+0a","ready":true}"#;
        assert_eq!(serde_json::to_string(&reach).unwrap(), json);
        assert_eq!(serde_json::from_str::<Reach>(json).unwrap(), reach);
        let newer = serde_json::from_str::<Reach>(r#"{"more":1}"#).unwrap();
        assert_eq!(newer, Reach::default());
    }
}
