//! Times in words for people.

use parking::{Timestamp, Timezone};

/// A time on the site's clock: the hour, and the day unless it is today's.
pub fn moment(time: Timestamp, timezone: Timezone, now: Timestamp) -> String {
    if timezone.civil(time).date() == timezone.civil(now).date() {
        format!("{} {}", hour(time, timezone), timezone.name())
    } else {
        dated(time, timezone)
    }
}

/// A time on the site's clock: day and hour.
pub fn dated(time: Timestamp, timezone: Timezone) -> String {
    let (day, hour) = (day(time, timezone), hour(time, timezone));
    format!("{day}/{} {hour} {}", timezone.civil(time).year(), timezone.name())
}

/// The day of the year on the site's clock.
pub fn day(time: Timestamp, timezone: Timezone) -> String {
    let civil = timezone.civil(time);
    format!("{}/{}", civil.day(), civil.month())
}

/// The hour on the site's clock.
pub fn hour(time: Timestamp, timezone: Timezone) -> String {
    let civil = timezone.civil(time);
    format!("{:02}.{:02}", civil.hour(), civil.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_another_day_says_which() {
        let now: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
        assert_eq!(moment(now, Timezone::Wita, now), "18.00 WITA");
        assert_eq!(
            moment(now.plus_seconds(-86_400), Timezone::Wib, now),
            "4/1/2026 17.00 WIB"
        );
    }
}
