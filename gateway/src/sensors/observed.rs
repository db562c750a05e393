//! The time that a report claims, and when it cannot be true.

use parking::{ClockQuality, Stamp, Timestamp};

/// 2020-01-01T00:00:00Z. No box of this kind was in the street before; a clock that says so was never set.
const EARLIEST_SECONDS: i64 = 1_577_836_800;
/// 2099-01-01T00:00:00Z, a favourite of clocks that ran over.
const LATEST_SECONDS: i64 = 4_070_908_800;
/// Two clocks that both have a date do not differ by more, seconds. What lies within is the tracker's to judge.
const AHEAD_SECONDS_MAX: i64 = 24 * 3_600;

/// A time that cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its time {claimed} cannot be true, it came at {received}; set the clock of its source")]
pub struct AbsurdTime {
    /// The report's own time.
    pub claimed: Timestamp,
    /// The box's time when it came.
    pub received: Timestamp,
}

/// When a report that came at `received` was observed: the time it claims, or else the time it came, without the
/// fraction of a second. While the box has no time of its own, only impossible years are absurd.
pub fn observed(claimed: Option<Timestamp>, received: &Stamp) -> Result<Timestamp, AbsurdTime> {
    let Some(claimed) = claimed else {
        return Ok(received.at.floor_to_second());
    };
    let latest = match received.clock {
        ClockQuality::Unset => LATEST_SECONDS,
        _ => LATEST_SECONDS.min(received.at.as_seconds() + AHEAD_SECONDS_MAX),
    };
    if (EARLIEST_SECONDS..=latest).contains(&claimed.as_seconds()) {
        Ok(claimed.floor_to_second())
    } else {
        Err(AbsurdTime {
            claimed,
            received: received.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use parking::BootId;

    use super::*;

    fn at(time: &str, clock: ClockQuality) -> Stamp {
        Stamp {
            at: time.parse().unwrap(),
            boot: BootId(1),
            mono_ms: 5_000,
            clock,
        }
    }

    #[test]
    fn a_time_in_1970_or_2099_is_absurd_and_a_late_one_is_not() {
        let now = at("2026-03-01T08:00:00.250Z", ClockQuality::Synced);
        for absurd in [
            "1970-01-01T00:00:07Z",
            "2019-12-31T23:59:59Z",
            "2026-03-02T08:00:01Z",
            "2099-01-01T00:00:00Z",
        ] {
            assert!(observed(Some(absurd.parse().unwrap()), &now).is_err(), "{absurd}");
        }
        for fine in ["2026-02-20T08:00:00.900Z", "2026-03-01T08:00:09Z"] {
            let time: Timestamp = fine.parse().unwrap();
            assert_eq!(observed(Some(time), &now).unwrap(), time.floor_to_second());
        }
        assert_eq!(observed(None, &now).unwrap().to_string(), "2026-03-01T08:00:00Z");
    }

    #[test]
    fn a_box_without_a_clock_believes_every_possible_year() {
        let now = at("2024-01-01T00:00:09Z", ClockQuality::Unset);
        assert!(observed(Some("2026-03-01T08:00:00Z".parse().unwrap()), &now).is_ok());
        assert!(observed(Some("1970-01-01T00:00:00Z".parse().unwrap()), &now).is_err());
        assert!(observed(Some("2099-01-01T00:00:01Z".parse().unwrap()), &now).is_err());
    }
}
