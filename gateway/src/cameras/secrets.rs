//! User names and passwords of cameras: a TOML file of its own, mode 600 or a systemd credential, with a line a camera:
//!
//! ```toml
//! simpang-1 = { user = "gateway", password = "..." }
//! ```
//!
//! They go to the worker over its socket and to nobody else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parking::CameraId;
use serde::Deserialize;

use super::wire::Credentials;

/// Why the file could not be used. Never tells what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not as it should be.
    #[error("{path}, line {line}: {message}\n  hint: write a line a camera, as in: simpang-1 = {{ user = \"…\", password = \"…\" }}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// First line that is wrong.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: String,
    password: String,
}

/// Credentials by camera.
pub type Secrets = BTreeMap<CameraId, Credentials>;

/// Reads the file.
pub fn load(path: &Path) -> Result<Secrets, SecretsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SecretsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|(line, message)| SecretsError::Malformed {
        path: path.to_owned(),
        line,
        message,
    })
}

/// Reads the file's text; else the line and what is wrong with it, without quoting it.
pub fn parse(text: &str) -> Result<Secrets, (usize, String)> {
    let read: BTreeMap<CameraId, Login> = toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
        (before.matches('\n').count() + 1, "this is no camera with user and password".to_owned())
    })?;
    let credentials = |Login { user, password }| Credentials { user, password };
    Ok(read.into_iter().map(|(camera, login)| (camera, credentials(login))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_has_its_own_login() {
        let secrets = parse("simpang-1 = { user = \"u\", password = \"p\" }\n").unwrap();
        let known = &secrets[&CameraId::new("simpang-1").unwrap()];
        assert_eq!((known.user.as_str(), known.password.as_str()), ("u", "p"));
    }

    #[test]
    fn a_mistake_is_told_by_line_and_without_the_password() {
        for text in [
            "\nsimpang-1 = { user = \"u\", pasword = \"rahasia\" }",
            "\nsimpang-1 = \"rahasia\"",
            "\n= rahasia",
            "\n\"../x\" = { user = \"u\", password = \"rahasia\" }",
        ] {
            let (line, message) = parse(text).unwrap_err();
            assert_eq!(line, 2, "{text}");
            assert!(!message.contains("rahasia"));
        }
    }
}
