//! The wall clock of the simulated cameras.
//!
//! Only this module reads it. It is needed for what a camera burns into its picture: the text clock and the timecode.

use gstreamer::glib;
use std::time::Duration;

/// The wall clock: time since the Unix epoch.
pub fn wall_time() -> Duration {
    Duration::from_micros(u64::try_from(glib::real_time()).unwrap_or(0))
}

/// Writes a time since the Unix epoch as `2026-01-31 23:59:59` in UTC; times outside of the calendar become dashes.
pub fn utc_text(time: Duration) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "----".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_date_and_time_of_day_in_utc() {
        assert_eq!(utc_text(Duration::from_secs(951_782_400)), "2000-02-29 00:00:00");
    }

    #[test]
    fn a_time_beyond_the_calendar_is_written_as_dashes() {
        assert_eq!(utc_text(Duration::from_secs(u64::MAX)), "----");
    }
}
