//! The parent's end of a worker: a child process and the socket to it.
//!
//! A worker that says nothing for [`SILENCE_MAX`], sends a frame that makes no sense or is of another version is killed.
//! Its errors go into the log, a bounded number of lines.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::memory;

use super::starter::Starter;
use super::wire::{Event, FromWorker, take_frame};

/// A worker that is at work says something once a second.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a worker may take a command.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a worker may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// Lines of one worker's errors that are logged; further ones are dropped.
const LOG_LINES_MAX: usize = 50;
/// Longest line that is logged, bytes.
const LOG_LINE_BYTES_MAX: u64 = 400;

/// How to start workers.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program `gateway-camera`.
    path: PathBuf,
    starter: Starter,
}

impl Program {
    /// The worker that lies beside this program.
    pub fn beside(own: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: own.with_file_name("gateway-camera"),
            starter: Starter::new()?,
        })
    }

    /// Starts a worker in a mode; `name` is for the log.
    pub fn start(&self, mode: &str, name: &str) -> std::io::Result<Worker> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&self.path);
        command
            .arg(mode)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env_clear()
            .envs(inherited())
            // It loads what it needs by itself.
            .env("GST_REGISTRY_DISABLE", "yes")
            .envs([memory::of_worker(mode == "pictures")])
            .kill_on_drop(true);
        let mut child = self.starter.start(command)?;
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log_lines(stderr, name.to_owned()));
        }
        let (read, write) = UnixStream::from_std(ours)?.into_split();
        Ok(Worker {
            child,
            write,
            frames: Frames {
                read,
                buffer: BytesMut::new(),
            },
            heard: Instant::now(),
            has_greeted: false,
        })
    }

    /// The program that would be started.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What a worker needs to know of its surroundings, and nothing else: no secret comes by this way.
pub(super) fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    let names = [
        "PATH",
        "LD_LIBRARY_PATH",
        "GST_PLUGIN_SYSTEM_PATH",
        "GST_PLUGIN_PATH",
        "GST_DEBUG",
    ];
    names
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
}

async fn log_lines(stderr: tokio::process::ChildStderr, worker: String) {
    let mut lines = BufReader::new(stderr);
    for _ in 0..LOG_LINES_MAX {
        let mut line = Vec::new();
        let mut bounded = (&mut lines).take(LOG_LINE_BYTES_MAX);
        match bounded.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                tracing::warn!(worker, "{}", text.trim_end().escape_debug());
            }
        }
    }
    // The pipe must not fill up.
    tokio::io::copy(&mut lines, &mut tokio::io::sink()).await.ok();
}

/// A running worker. Dropping it kills it.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    write: OwnedWriteHalf,
    frames: Frames,
    heard: Instant,
    has_greeted: bool,
}

fn check_version(frame: &[u8]) -> std::io::Result<()> {
    let own = env!("CARGO_PKG_VERSION");
    let words = match FromWorker::read(frame) {
        Ok(FromWorker::Event(Event::Ready { version })) if version == own => return Ok(()),
        Ok(FromWorker::Event(Event::Ready { version })) => format!("it is of version {version}, and this is {own}"),
        Ok(_) => "it does not say of which version it is".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, words))
}

#[derive(Debug)]
struct Frames {
    read: OwnedReadHalf,
    buffer: BytesMut,
}

impl Worker {
    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends frames with their lengths.
    pub async fn send(&mut self, frame: &[u8]) -> std::io::Result<()> {
        tokio::time::timeout(SEND_TIMEOUT, self.write.write_all(frame))
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// The next frame, without its length. Its greeting is none: one of another version is an error. Cancelling this
    /// loses nothing.
    pub async fn next(&mut self) -> std::io::Result<BytesMut> {
        if !self.has_greeted {
            check_version(&self.frames.next().await?)?;
            self.has_greeted = true;
        }
        let frame = self.frames.next().await?;
        self.heard = Instant::now();
        Ok(frame)
    }

    /// When it will have said nothing for too long.
    pub fn silent_at(&self) -> Instant {
        self.heard + SILENCE_MAX
    }

    /// Lets it take leave of its cameras and end; kills it if that takes too long.
    pub async fn end(mut self) {
        // Its socket ends, which is the sign. If that fails it has gone already.
        self.write.shutdown().await.ok();
        if tokio::time::timeout(END_TIMEOUT, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Kills it and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.ok();
    }
}

impl Frames {
    async fn next(&mut self) -> std::io::Result<BytesMut> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer)? {
                return Ok(frame);
            }
            if self.read.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
