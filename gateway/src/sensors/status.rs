//! What a driver tells of itself: whether its source is there, how much came, and what could not be used.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parking::{Stamp, Timestamp};
use serde::Serialize;

/// Reports that could not be used, kept for `gateway status`; the oldest goes first.
const RECENT_MAX: usize = 32;
/// Longest text of others (a reason, a device) kept or logged, bytes.
const TEXT_BYTES_MAX: usize = 200;
/// Pairs of device and kind of trouble of which it is known when they were last logged.
const LOGGED_MAX: usize = 256;
/// The same trouble of the same device is logged once in this time, milliseconds.
const LOG_EVERY_MS: u64 = 3_600_000;

/// Whether a driver has its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DriverState {
    /// Not yet.
    Starting,
    /// Yes.
    Connected,
    /// No; it tries again.
    Waiting {
        /// Why.
        reason: String,
    },
    /// It was told to stop.
    Stopped,
}

/// A report that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAsideEntry {
    /// When it came.
    pub received: Timestamp,
    /// Who sent it, as far as it says.
    pub device: String,
    /// Why it could not be used.
    pub reason: String,
}

/// What a driver told, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusSnapshot {
    /// The driver.
    pub driver: &'static str,
    /// Whether it has its source.
    #[serde(flatten)]
    pub state: DriverState,
    /// Readings handed on since start; one that was brought again counts again.
    pub readings: u64,
    /// Reports that could not be used since start, by kind of trouble.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// The latest of them, newest last.
    pub recent: Vec<SetAsideEntry>,
}

/// Shared by a driver, which writes, and `gateway status`, which reads. Constant memory whatever comes.
#[derive(Debug, Clone)]
pub struct DriverStatus(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    driver: &'static str,
    state: DriverState,
    readings: u64,
    set_aside: BTreeMap<&'static str, u64>,
    recent: VecDeque<SetAsideEntry>,
    /// When trouble was last logged, monotonic milliseconds.
    logged: HashMap<(String, &'static str), u64>,
}

impl DriverStatus {
    /// The status of a driver that has not started.
    pub fn new(driver: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            driver,
            state: DriverState::Starting,
            readings: 0,
            set_aside: BTreeMap::new(),
            recent: VecDeque::new(),
            logged: HashMap::new(),
        })))
    }

    /// What the driver has told so far.
    pub fn snapshot(&self) -> StatusSnapshot {
        let inner = self.inner();
        StatusSnapshot {
            driver: inner.driver,
            state: inner.state.clone(),
            readings: inner.readings,
            set_aside: inner.set_aside.clone(),
            recent: inner.recent.iter().cloned().collect(),
        }
    }

    /// Takes down whether the source is there, and logs a change.
    pub fn set_state(&self, state: DriverState) {
        let mut inner = self.inner();
        if inner.state == state {
            return;
        }
        let driver = inner.driver;
        match &state {
            DriverState::Waiting { reason } => tracing::warn!(driver, reason, "no source of readings, trying again"),
            DriverState::Connected => tracing::info!(driver, "taking in readings"),
            DriverState::Starting | DriverState::Stopped => tracing::debug!(driver, ?state, "driver"),
        }
        inner.state = state;
    }

    /// Counts a reading handed on.
    pub fn count_reading(&self) {
        self.inner().readings += 1;
    }

    /// Takes down a report that could not be used: counted by `kind`, kept, logged once an hour for each device.
    pub fn set_aside(&self, kind: &'static str, device: &str, reason: &str, received: &Stamp) {
        let (device, reason) = (shorten(device), shorten(reason));
        let mut inner = self.inner();
        *inner.set_aside.entry(kind).or_default() += 1;
        if inner.may_log(&device, kind, received.mono_ms) {
            tracing::warn!(driver = inner.driver, device, kind, reason, "set a report aside");
        }
        if inner.recent.len() == RECENT_MAX {
            inner.recent.pop_front();
        }
        inner.recent.push_back(SetAsideEntry {
            received: received.at,
            device,
            reason,
        });
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn may_log(&mut self, device: &str, kind: &'static str, now_ms: u64) -> bool {
        let due = |last: u64| now_ms.saturating_sub(last) >= LOG_EVERY_MS;
        if let Some(last) = self.logged.get_mut(&(device.to_owned(), kind)) {
            let may = due(*last);
            if may {
                *last = now_ms;
            }
            return may;
        }
        if self.logged.len() == LOGGED_MAX {
            self.logged.retain(|_, last| !due(*last));
        }
        // More devices in trouble than places: the counters tell of the rest.
        let may = self.logged.len() < LOGGED_MAX;
        if may {
            self.logged.insert((device.to_owned(), kind), now_ms);
        }
        may
    }
}

fn shorten(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
}

#[cfg(test)]
mod tests {
    use parking::{BootId, ClockQuality};

    use super::*;

    fn at(mono_ms: u64) -> Stamp {
        let millis = i64::try_from(mono_ms).unwrap();
        Stamp {
            at: Timestamp::from_millis(millis),
            boot: BootId(1),
            mono_ms,
            clock: ClockQuality::Synced,
        }
    }

    #[test]
    fn a_flood_of_unusable_reports_is_counted_whole_and_kept_in_bounds() {
        let status = DriverStatus::new("test");
        for i in 0..10_000 {
            status.set_aside(
                "unbound",
                &format!("device-{i}{}", "é".repeat(500)),
                "nobody bound it",
                &at(i),
            );
        }
        let snapshot = status.snapshot();
        assert_eq!(snapshot.set_aside["unbound"], 10_000);
        assert_eq!(snapshot.recent.len(), RECENT_MAX);
        assert!(snapshot.recent.last().unwrap().device.starts_with("device-9999"));
        assert!(
            snapshot
                .recent
                .iter()
                .all(|entry| entry.device.len() <= TEXT_BYTES_MAX + 3)
        );
        assert!(status.inner().logged.len() <= LOGGED_MAX);
    }

    #[test]
    fn the_same_trouble_of_the_same_device_is_logged_once_an_hour() {
        let status = DriverStatus::new("test");
        let mut inner = status.inner();
        assert!(inner.may_log("a", "codec", 0));
        assert!(!inner.may_log("a", "codec", LOG_EVERY_MS - 1));
        assert!(inner.may_log("a", "json", 5) && inner.may_log("b", "codec", 5));
        assert!(inner.may_log("a", "codec", LOG_EVERY_MS));
    }
}
