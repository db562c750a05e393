//! Times of video: ticks of a track, UTC, and NTP's 64 bits.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What the box's clock was worth when it gave a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockQuality {
    /// Disciplined right now.
    Synced,
    /// Was synchronised in this boot; drifting since.
    Holdover,
    /// Never synchronised in this boot: the time is a floor plus time since start.
    Unset,
    /// A made-up clock for demonstrations and tests.
    Simulated,
}

impl ClockQuality {
    /// Its number in files.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Synced => 1,
            Self::Holdover => 2,
            Self::Unset => 3,
            Self::Simulated => 4,
        }
    }

    /// From its number in files.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Synced, Self::Holdover, Self::Unset, Self::Simulated]
            .into_iter()
            .find(|quality| quality.code() == code)
    }

    /// The worse of two.
    #[must_use]
    pub(super) fn worse(self, other: Self) -> Self {
        if other.code() > self.code() { other } else { self }
    }

    /// Whether a time of this quality may be compared with a present time of quality `now`, to tell an age.
    pub(super) fn is_comparable_with(self, now: Self) -> bool {
        match now {
            Self::Synced => matches!(self, Self::Synced | Self::Holdover),
            Self::Simulated => self == Self::Simulated,
            Self::Holdover | Self::Unset => false,
        }
    }
}

/// Seconds from 1900 to 1970.
const NTP_TO_UNIX_SECONDS: i64 = 2_208_988_800;

/// NTP's 64 bits (RFC 5905 §6): seconds since 1900 modulo 2³², and their fraction. `None` outside 1968 to 2104.
pub(super) fn to_ntp(time: Timestamp) -> Option<u64> {
    let nanos = time.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()? + NTP_TO_UNIX_SECONDS;
    if !(1 << 31..3 << 31).contains(&seconds) {
        return None;
    }
    let fraction = u64::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
    let low = (fraction << 32) / 1_000_000_000;
    let high = u64::try_from(seconds).ok()? & 0xffff_ffff;
    Some(high << 32 | low)
}

/// From NTP's 64 bits. A clear top bit means the second era, from 2036 on (RFC 4330 §3).
pub(super) fn from_ntp(ntp: u64) -> Option<Timestamp> {
    let high = i64::try_from(ntp >> 32).ok()?;
    let seconds = if high < 1 << 31 { high + (1 << 32) } else { high } - NTP_TO_UNIX_SECONDS;
    let low = i128::from(ntp & 0xffff_ffff);
    // Rounded, so that whole nanoseconds survive the way there and back.
    let nanos = (low * 1_000_000_000 + (1 << 31)) >> 32;
    Timestamp::from_nanosecond(i128::from(seconds) * 1_000_000_000 + nanos).ok()
}

/// Ticks of a track as time; saturates.
pub(super) fn ticks_to_duration(ticks: u64, timescale: NonZeroU32) -> Duration {
    let scale = u64::from(timescale.get());
    let nanos = u128::from(ticks % scale) * 1_000_000_000 / u128::from(scale);
    Duration::new(ticks / scale, u32::try_from(nanos).unwrap_or(0))
}

/// Time as ticks of a track, rounded to the nearest; saturates.
pub(super) fn duration_to_ticks(duration: Duration, timescale: NonZeroU32) -> i64 {
    let ticks = (duration.as_nanos().saturating_mul(u128::from(timescale.get())) + 500_000_000) / 1_000_000_000;
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

/// `time` moved by a signed number of ticks; stays put where that leaves the calendar.
pub(super) fn plus_ticks(time: Timestamp, ticks: i128, timescale: NonZeroU32) -> Timestamp {
    let Ok(count) = u64::try_from(ticks.unsigned_abs()) else {
        return time;
    };
    let duration = ticks_to_duration(count, timescale);
    if ticks < 0 {
        time.checked_sub(duration).unwrap_or(time)
    } else {
        time.checked_add(duration).unwrap_or(time)
    }
}

/// From `earlier` to `later`; zero if that is negative.
pub(super) fn elapsed(earlier: Timestamp, later: Timestamp) -> Duration {
    later.duration_since(earlier).try_into().unwrap_or(Duration::ZERO)
}

/// From `a` to `b`, signed.
pub(super) fn difference(a: Timestamp, b: Timestamp) -> SignedDuration {
    b.duration_since(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_keeps_every_nanosecond_and_survives_2036() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2026-01-05T07:00:00.123456789Z",
            "2036-02-07T06:28:15.999999999Z",
            "2036-02-07T06:28:16Z",
            "2099-12-31T23:59:59.000000001Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(from_ntp(to_ntp(time).unwrap()), Some(time), "{text}");
        }
        for text in ["1960-01-01T00:00:00Z", "2104-03-01T00:00:00Z"] {
            assert_eq!(to_ntp(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn ticks_and_times_saturate_instead_of_failing() {
        let one = NonZeroU32::MIN;
        assert_eq!(ticks_to_duration(u64::MAX, one).as_secs(), u64::MAX);
        assert_eq!(duration_to_ticks(Duration::MAX, NonZeroU32::MAX), i64::MAX);
        let time: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        assert_eq!(plus_ticks(time, i128::from(u64::MAX), one), time);
        assert_eq!(
            plus_ticks(time, -90, NonZeroU32::new(90).unwrap()).to_string(),
            "2026-01-04T23:59:59Z"
        );
    }
}
