//! Names of things, checked once where they enter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest identifier in bytes.
const ID_BYTES_MAX: usize = 64;
/// Longest name of a session in bytes: a gateway's, a journal's tag and a number.
const SESSION_BYTES_MAX: usize = 128;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty or too long: its bytes, and how many it may have.
    #[error("\"{0}\" has {1} bytes; an identifier has 1 to {2}")]
    Length(String, usize, usize),
    /// The text holds something else than ASCII letters, digits, `-`, `_` and `.`, or starts with one of the last three.
    #[error("\"{0}\" holds a character that an identifier may not: only A-Z a-z 0-9 - _ . and a letter or digit first")]
    Character(String),
}

fn check(text: &str, bytes_max: usize) -> Result<(), IdError> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(IdError::Length(text.to_owned(), text.len(), bytes_max));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.chars().all(allowed) || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(IdError::Character(text.to_owned()));
    }
    Ok(())
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $bytes_max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text` and wraps it.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text, $bytes_max)?;
                Ok(Self(text))
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

identifier! {
    /// A gateway box. Also its MQTT user name, its certificate's common name and a path segment of its topics.
    GatewayId, ID_BYTES_MAX
}
identifier! {
    /// A zone (zona, ruas): a stretch of street with one tariff and one set of session rules.
    ZoneId, ID_BYTES_MAX
}
identifier! {
    /// A parking space (petak, satuan ruang parkir).
    SpaceId, ID_BYTES_MAX
}
identifier! {
    /// A sensor. For LoRaWAN the device EUI, 16 lower-case hexadecimal digits.
    SensorId, ID_BYTES_MAX
}
identifier! {
    /// A camera.
    CameraId, ID_BYTES_MAX
}
identifier! {
    /// A tariff schedule, as a record names it.
    TariffId, ID_BYTES_MAX
}
identifier! {
    /// A parking session: `<gateway>-<journal tag>-<counter>`; unique in a city, fit for a file name.
    SessionId, SESSION_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_that_could_leave_its_topic_or_folder_is_refused() {
        for bad in ["", "../x", "a/b", "a+b", "#", "-a", "a b", "é", &"x".repeat(65)] {
            assert!(GatewayId::new(bad).is_err(), "{bad}");
        }
        assert_eq!(GatewayId::new("sudirman-01").unwrap().to_string(), "sudirman-01");
    }
}
