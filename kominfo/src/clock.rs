//! The city's own clock: when something came in, never when it happened. The only place that reads it.

use std::time::{SystemTime, UNIX_EPOCH};

use parking::Timestamp;

/// Now, by the machine's clock.
#[allow(clippy::disallowed_methods)] // the one place
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
