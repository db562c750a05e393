//! Asking the running daemon over its Unix socket.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;

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
            client: reqwest::Client::builder().unix_socket(socket.to_owned()).build()?,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// What it answers.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.runtime.block_on(async {
            self.client
                .get(format!("http://gateway{path}"))
                .send()
                .await?
                .error_for_status()?
                .json()
                .await
        });
        answer.with_context(|| {
            format!(
                "the daemon does not answer on {}\n  hint: is it running? `systemctl status gateway`, or start it with `gateway run`",
                self.socket.display()
            )
        })
    }
}
