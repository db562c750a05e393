//! What a driver tells of itself: whether its source is there, how much came, and what could not be used.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parking::{Stamp, Timestamp};
use serde::Serialize;
use tokio::sync::watch;

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
pub struct DriverStatus(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    driver: &'static str,
    state: watch::Sender<DriverState>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    readings: u64,
    set_aside: BTreeMap<&'static str, u64>,
    recent: VecDeque<SetAsideEntry>,
    /// When trouble was last logged, monotonic milliseconds.
    logged: HashMap<(String, &'static str), u64>,
}

impl DriverStatus {
    /// The status of a driver that has not started.
    pub fn new(driver: &'static str) -> Self {
        let state = watch::Sender::new(DriverState::Starting);
        Self(Arc::new(Shared {
            driver,
            state,
            counts: Mutex::default(),
        }))
    }

    /// What the driver has told so far.
    pub fn snapshot(&self) -> StatusSnapshot {
        let counts = self.counts();
        StatusSnapshot {
            driver: self.0.driver,
            state: self.0.state.borrow().clone(),
            readings: counts.readings,
            set_aside: counts.set_aside.clone(),
            recent: counts.recent.iter().cloned().collect(),
        }
    }

    /// Whether the source is there.
    pub fn state(&self) -> DriverState {
        self.0.state.borrow().clone()
    }

    /// Waits until the state is one that `wanted` accepts.
    pub async fn wait_for(&self, wanted: impl FnMut(&DriverState) -> bool) -> DriverState {
        match self.0.state.subscribe().wait_for(wanted).await {
            Ok(state) => state.clone(),
            // The sender is part of `self`; were it gone, no state would come any more.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes down whether the source is there, and logs a change.
    pub fn set_state(&self, state: DriverState) {
        let driver = self.0.driver;
        self.0.state.send_if_modified(|current| {
            if *current == state {
                return false;
            }
            match &state {
                DriverState::Waiting { reason } => {
                    tracing::warn!(driver, reason, "no source of readings, trying again");
                }
                DriverState::Connected => tracing::info!(driver, "taking in readings"),
                DriverState::Starting | DriverState::Stopped => tracing::debug!(driver, ?state, "driver"),
            }
            *current = state;
            true
        });
    }

    /// Counts a reading handed on.
    pub fn count_reading(&self) {
        self.counts().readings += 1;
    }

    /// Takes down a report that could not be used: counted by `kind`, kept, logged once an hour for each device.
    pub fn set_aside(&self, kind: &'static str, device: &str, reason: &str, received: &Stamp) {
        let (device, reason) = (shorten(device), shorten(reason));
        let mut counts = self.counts();
        *counts.set_aside.entry(kind).or_default() += 1;
        if counts.may_log(&device, kind, received.mono_ms) {
            tracing::warn!(driver = self.0.driver, device, kind, reason, "set a report aside");
        }
        if counts.recent.len() == RECENT_MAX {
            counts.recent.pop_front();
        }
        counts.recent.push_back(SetAsideEntry {
            received: received.at,
            device,
            reason,
        });
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
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
        assert!(status.counts().logged.len() <= LOGGED_MAX);
    }

    #[test]
    fn the_same_trouble_of_the_same_device_is_logged_once_an_hour() {
        let status = DriverStatus::new("test");
        let mut counts = status.counts();
        assert!(counts.may_log("a", "codec", 0));
        assert!(!counts.may_log("a", "codec", LOG_EVERY_MS - 1));
        assert!(counts.may_log("a", "json", 5) && counts.may_log("b", "codec", 5));
        assert!(counts.may_log("a", "codec", LOG_EVERY_MS));
    }
}
