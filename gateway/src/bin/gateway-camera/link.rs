//! The worker's end of the socket to its parent.
//!
//! A thread reads; everybody writes, one frame at a time. Writing blocks when the parent is slow, which is how a stream
//! learns to drop; a parent that takes nothing for [`WRITE_TIMEOUT`] is as good as gone, and the process ends.

use std::io::BufReader;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use gateway::cameras::wire::{self, ChunkHead, Event, Profile};
use tokio::sync::mpsc;

/// How long the parent may take nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Frames read and not yet acted on. Full: the parent waits.
const FRAMES_MAX: usize = 16;

/// The socket.
pub struct Link {
    reading: UnixStream,
    to_parent: ToParent,
}

/// The writing half.
#[derive(Clone)]
pub struct ToParent(Arc<Mutex<UnixStream>>);

impl Link {
    /// Takes standard input as the socket.
    pub fn open() -> anyhow::Result<Self> {
        let fd = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .context("standard input is closed")?;
        let reading = UnixStream::from(fd);
        let writing = reading.try_clone()?;
        writing
            .set_write_timeout(Some(WRITE_TIMEOUT))
            .context("standard input is no socket\n  hint: this program is started by `gateway run`")?;
        let to_parent = ToParent(Arc::new(Mutex::new(writing)));
        to_parent.event(&Event::Ready {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        Ok(Self { reading, to_parent })
    }

    /// The writing half.
    pub fn to_parent(&self) -> ToParent {
        self.to_parent.clone()
    }

    /// Reads frames on a thread of its own. The channel ends when the parent has gone.
    pub fn frames(self) -> mpsc::Receiver<Vec<u8>> {
        let (frames, receiver) = mpsc::channel(FRAMES_MAX);
        std::thread::spawn(move || {
            let mut reading = BufReader::new(self.reading);
            while let Ok(Some(frame)) = wire::read_frame(&mut reading) {
                if frames.blocking_send(frame).is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

impl ToParent {
    /// Tells an event.
    pub fn event(&self, event: &Event) {
        self.write(|to| wire::write_event(to, event));
    }

    /// Sends an initialisation segment.
    pub fn init(&self, profile: Profile, init: &[u8]) {
        self.write(|to| wire::write_init(to, profile, init));
    }

    /// Sends a chunk.
    pub fn chunk(&self, profile: Profile, head: ChunkHead, parts: &[&[u8]]) {
        self.write(|to| wire::write_chunk(to, profile, head, parts));
    }

    /// Sends a picture.
    pub fn picture(&self, request: u64, features: &[u8], jpeg: &[u8]) {
        self.write(|to| wire::write_picture(to, request, features, jpeg));
    }

    fn write(&self, write: impl FnOnce(&mut UnixStream) -> std::io::Result<()>) {
        let mut to = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if write(&mut to).is_err() {
            // Half a frame may be out: nothing that follows could be read.
            std::process::exit(1);
        }
    }
}
