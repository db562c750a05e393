//! Asking the running daemon over its Unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;

/// Longest wait for an answer. A picture may wait for others before it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the daemon gave no answer that is of use.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing answers.
    #[error(
        "the daemon does not answer on {socket}\n  hint: is it running? `systemctl status gateway`, or start it with `gateway run`"
    )]
    Absent {
        /// Where it should.
        socket: PathBuf,
        /// Why.
        source: reqwest::Error,
    },
    /// It answers that it cannot.
    #[error("the daemon says: {message}")]
    Refused {
        /// HTTP's status.
        status: StatusCode,
        /// Why, in its words.
        message: String,
    },
    /// Its answer is not what was asked for.
    #[error("the answer of the daemon cannot be read\n  hint: is it of another version? restart it")]
    Unreadable(#[from] serde_json::Error),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its content.
    pub body: Bytes,
}

/// The running daemon, if there is one.
pub struct Daemon {
    socket: PathBuf,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Daemon {
    /// The daemon that listens on `socket`.
    pub fn at(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            socket: socket.to_owned(),
            client: reqwest::Client::builder()
                .unix_socket(socket.to_owned())
                .timeout(ANSWER_TIMEOUT)
                .build()?,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// What it answers, from JSON.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        Ok(serde_json::from_slice(&self.fetch(path)?.body)?)
    }

    /// What it answers, as it is.
    pub fn fetch(&self, path: &str) -> Result<Answer, AskError> {
        self.ask(Method::GET, path)
    }

    /// Has it do something, and reads what came of it.
    pub fn order<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        Ok(serde_json::from_slice(&self.ask(Method::POST, path)?.body)?)
    }

    /// What it goes on answering for a time: each piece is handed to `take`, which says whether to go on.
    pub fn follow(
        &self,
        path: &str,
        lasting: Duration,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let absent = |source| AskError::Absent {
            socket: self.socket.clone(),
            source,
        };
        self.runtime.block_on(async {
            let end = tokio::time::Instant::now() + lasting;
            let request = self.client.get(format!("http://gateway{path}"));
            let request = request.timeout(lasting + ANSWER_TIMEOUT);
            let mut response = request.send().await.map_err(absent)?;
            let status = response.status();
            if !status.is_success() {
                let message = response.text().await.map_err(absent)?;
                return Err(AskError::Refused { status, message }.into());
            }
            while let Ok(piece) = tokio::time::timeout_at(end, response.chunk()).await {
                match piece.map_err(absent)? {
                    Some(piece) => take(&piece)?,
                    None => break,
                }
            }
            Ok(())
        })
    }

    /// Has it do something.
    pub fn tell(&self, path: &str) -> Result<(), AskError> {
        self.ask(Method::POST, path).map(drop)
    }

    fn ask(&self, method: Method, path: &str) -> Result<Answer, AskError> {
        let answer = self.runtime.block_on(async {
            let response = self
                .client
                .request(method, format!("http://gateway{path}"))
                .send()
                .await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok((status, headers, response.bytes().await?))
        });
        let (status, headers, body) = answer.map_err(|source| AskError::Absent {
            socket: self.socket.clone(),
            source,
        })?;
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        let message = match String::from_utf8_lossy(&body).trim() {
            "" => format!("{status}; is it of another version? restart it"),
            words => words.to_owned(),
        };
        Err(AskError::Refused { status, message })
    }
}
