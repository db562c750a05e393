//! User names and passwords of cameras and media servers: a TOML file of its own, mode 600 or a systemd credential, with a
//! line each:
//!
//! ```toml
//! simpang-1 = { user = "gateway", password = "..." }
//! "media.example.id:322" = { user = "kotak-1", password = "..." }
//! ```
//!
//! They go to the worker over its socket and to nobody else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parking::CameraId;
use serde::Deserialize;
use toml::Spanned;

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
    #[error(
        "{path}, line {line}: {message}\n  hint: write a line a camera or media server, as in: simpang-1 = {{ user = \"…\", password = \"…\" }}"
    )]
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

/// What the file holds.
#[derive(Debug, Default)]
pub struct Secrets {
    /// By camera.
    pub cameras: BTreeMap<CameraId, Credentials>,
    /// By `host:port` of a media server.
    pub media_servers: BTreeMap<String, Credentials>,
}

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
    let read: BTreeMap<Spanned<String>, Login> = toml::from_str(text).map_err(|error: toml::de::Error| {
        let begin = error.span().map_or(0, |span| span.start);
        (
            line_at(text, begin),
            "this is no name with user and password".to_owned(),
        )
    })?;
    let mut secrets = Secrets::default();
    for (name, Login { user, password }) in read {
        let credentials = Credentials { user, password };
        // No camera has a colon in its name.
        if is_host_and_port(name.get_ref()) {
            secrets.media_servers.insert(name.into_inner(), credentials);
            continue;
        }
        let camera = CameraId::new(name.get_ref()).map_err(|_| {
            let message = "this is neither a camera's name nor host:port of a media server";
            (line_at(text, name.span().start), message.to_owned())
        })?;
        secrets.cameras.insert(camera, credentials);
    }
    Ok(secrets)
}

fn is_host_and_port(name: &str) -> bool {
    name.rsplit_once(':').is_some_and(|(host, port)| {
        rustls::pki_types::ServerName::try_from(host).is_ok() && port.parse().is_ok_and(|port: u16| port > 0)
    })
}

/// The line of a text, from 1, that this byte is in.
fn line_at(text: &str, begin: usize) -> usize {
    text.get(..begin).unwrap_or_default().matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_has_its_own_login() {
        let secrets = parse("simpang-1 = { user = \"u\", password = \"p\" }\n").unwrap();
        let known = &secrets.cameras[&CameraId::new("simpang-1").unwrap()];
        assert_eq!((known.user.as_str(), known.password.as_str()), ("u", "p"));
    }

    #[test]
    fn a_media_server_is_known_by_its_port() {
        let secrets = parse("\"media.example.id:322\" = { user = \"u\", password = \"p\" }\n").unwrap();
        assert!(secrets.cameras.is_empty());
        assert_eq!(secrets.media_servers["media.example.id:322"].user, "u");
    }

    #[test]
    fn a_mistake_is_told_by_line_and_without_the_password() {
        for text in [
            "\nsimpang-1 = { user = \"u\", pasword = \"rahasia\" }",
            "\nsimpang-1 = \"rahasia\"",
            "\n= rahasia",
            "\n\"rtsp://u:rahasia@10.0.0.5\" = { user = \"u\", password = \"p\" }",
            "\n\"../x\" = { user = \"u\", password = \"rahasia\" }",
        ] {
            let (line, message) = parse(text).unwrap_err();
            assert_eq!(line, 2, "{text}");
            assert!(!message.contains("rahasia"));
        }
    }
}
