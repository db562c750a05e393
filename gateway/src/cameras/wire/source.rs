//! Which stream of a camera, and where it comes from.

use serde::{Deserialize, Serialize};

/// RTSP's port (RFC 2326).
pub const RTSP_PORT: u16 = 554;

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
    /// Both, the large one first.
    pub const ALL: [Self; 2] = [Self::Main, Self::Sub];

    /// As in configuration, folders and addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
        }
    }

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Main => 0,
            Self::Sub => 1,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_show_in_a_log() {
        let credentials = Credentials {
            user: "admin".to_owned(),
            password: "rahasia".to_owned(),
        };
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }
}
