//! Sensors on pins, buses and lines of the box itself, and those in its own network whose state it sees as it is.
//!
//! They keep nothing while the box is off, and say nothing by themselves: the box measures, decides, and says a space's state
//! when it changes and every [`SAY_EVERY`] while that is what it sees. A sensor that cannot be read, or says nothing clear,
//! is silent, and its space becomes unknown. What is said waits for the disk in an [`Outbox`].

pub mod contacts;
pub mod hikvision;
pub mod http_json;
pub mod lights;
pub mod magnetometers;
pub mod modbus;
mod outbox;
mod presence;
pub mod serial;
mod voice;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use outbox::Outbox;
pub use presence::Presence;
pub use voice::Voice;

/// The state is said so often although nothing changes; the profiles' `heartbeat_s` is the same.
pub const SAY_EVERY: Duration = Duration::from_secs(60);
/// A sensor that gives nothing that can be understood for so long is silent.
pub const SILENT: Duration = Duration::from_secs(5);
/// Waits before what failed is tried again.
pub const WAIT_MIN: Duration = Duration::from_millis(500);
/// The longest of them.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// What is at the bottom of an error: what happened, and not who passed it on.
fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(deeper) = deepest.source() {
        deepest = deeper;
    }
    deepest.to_string()
}

/// Counts a line that is understood while it lives.
#[derive(Debug)]
pub struct Opened(Arc<AtomicUsize>);

impl Opened {
    /// Counts one more.
    pub fn count(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
