//! Time: points on one UTC axis, the quality of the clock that gave them, and Indonesian civil time.
//!
//! The axis is the *box's*: the gateway derives it from the monotonic clock of the boot plus one offset, so that
//! differences within a boot are monotonic durations. When the offset changes (first synchronisation, a step), the
//! tracker is told by `Input::ClockCorrected`; nothing else moves time.

use std::fmt;
use std::str::FromStr;

use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// A point in time, milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// First instant that can be written: 0000-01-01.
    const MILLIS_MIN: i64 = -62_167_219_200_000;
    /// Last instant that can be written: 21:59 on 9999-12-30, so that every offset of civil time stays writable.
    const MILLIS_MAX: i64 = 253_402_207_199_999;

    /// From milliseconds since the epoch, clamped to the years 0000 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MILLIS_MIN, Self::MILLIS_MAX))
    }

    /// From seconds since the epoch, clamped like [`Timestamp::from_millis`].
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This time without its fraction of a second.
    #[must_use]
    pub fn floor_to_second(self) -> Self {
        Self::from_seconds(self.as_seconds())
    }

    /// This time moved by `millis`.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// This time moved by `seconds`.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_millis(seconds.saturating_mul(1_000))
    }

    /// Milliseconds from `earlier` to this time; negative if `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// Whole seconds from `earlier` to this time, rounded down.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.millis_since(earlier).div_euclid(1_000)
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1_000 == 0 {
            write!(f, "{:.0}", self.to_jiff())
        } else {
            write!(f, "{:.3}", self.to_jiff())
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self::from_millis(t.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What the box's clock was worth when it gave a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockQuality {
    /// Disciplined by NTP, GNSS or alike right now.
    Synced,
    /// Was synchronised in this boot, or comes from a battery-backed clock; drifting since.
    Holdover,
    /// Never synchronised in this boot: the time is a floor plus time since start. Corrected later by a record.
    Unset,
    /// A made-up clock for demonstrations and tests. The city refuses it unless told otherwise.
    Simulated,
}

/// Counts the starts of a box's operating system, as the journal has seen them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub u32);

/// When something happened at the box, in every way that the box can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// UTC on the box's axis.
    pub at: Timestamp,
    /// The boot.
    pub boot: BootId,
    /// Milliseconds since that boot, monotonic, counting suspend.
    pub mono_ms: u64,
    /// What `at` is worth.
    pub clock: ClockQuality,
}

/// A zone of time of Indonesia. There is no daylight saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Timezone {
    /// Western, Asia/Jakarta, UTC+7.
    #[serde(rename = "WIB")]
    Wib,
    /// Central, Asia/Makassar, UTC+8.
    #[serde(rename = "WITA")]
    Wita,
    /// Eastern, Asia/Jayapura, UTC+9.
    #[serde(rename = "WIT")]
    Wit,
}

impl Timezone {
    /// Hours ahead of UTC.
    pub fn hours_ahead(self) -> i8 {
        match self {
            Self::Wib => 7,
            Self::Wita => 8,
            Self::Wit => 9,
        }
    }

    /// The name printed beside a local time.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wib => "WIB",
            Self::Wita => "WITA",
            Self::Wit => "WIT",
        }
    }

    /// Civil date and time of `time`, for printing and for clock-time rules.
    pub fn civil(self, time: Timestamp) -> jiff::civil::DateTime {
        time.to_jiff()
            .to_zoned(TimeZone::fixed(Offset::constant(self.hours_ahead())))
            .datetime()
    }

    /// The business day of `time` when a day ends `cutoff_minutes` after midnight.
    pub fn business_day(self, time: Timestamp, cutoff_minutes: u32) -> CivilDate {
        CivilDate(self.civil(time.plus_seconds(-i64::from(cutoff_minutes) * 60)).date())
    }

    /// The instant at which `day` begins when a day ends `cutoff_minutes` after midnight.
    pub fn start_of(self, day: CivilDate, cutoff_minutes: u32) -> Timestamp {
        let midnight = Offset::constant(self.hours_ahead())
            .to_timestamp(day.0.to_datetime(jiff::civil::Time::midnight()))
            .map_or(Timestamp::EPOCH, |t| Timestamp::from_millis(t.as_millisecond()));
        midnight.plus_seconds(i64::from(cutoff_minutes) * 60)
    }
}

/// A calendar day, written `2026-01-05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CivilDate(pub jiff::civil::Date);

impl fmt::Display for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CivilDate {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_a_fraction_only_where_there_is_one() {
        let time: Timestamp = "2026-01-05T07:12:05+07:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-05T00:12:05Z");
        assert_eq!(time.plus_millis(40).to_string(), "2026-01-05T00:12:05.040Z");
        assert_eq!(
            time.plus_millis(40).to_string().parse::<Timestamp>().unwrap(),
            time.plus_millis(40)
        );
    }

    #[test]
    fn absurd_times_stay_writable() {
        for millis in [i64::MIN, i64::MAX, -1, 0] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
            for zone in [Timezone::Wib, Timezone::Wita, Timezone::Wit] {
                zone.civil(time);
            }
        }
    }

    #[test]
    fn a_business_day_with_a_cut_off_at_three_takes_the_night_before() {
        let two_at_night: Timestamp = "2026-01-06T02:00:00+07:00".parse().unwrap();
        assert_eq!(Timezone::Wib.business_day(two_at_night, 180).to_string(), "2026-01-05");
        assert_eq!(Timezone::Wib.business_day(two_at_night, 0).to_string(), "2026-01-06");
        let day: CivilDate = "2026-01-05".parse().unwrap();
        assert_eq!(Timezone::Wib.start_of(day, 180).to_string(), "2026-01-04T20:00:00Z");
    }
}
