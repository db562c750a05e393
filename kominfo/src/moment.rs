//! Times in words for people.

use parking::{Timestamp, Timezone};

/// A time on the site's clock: the hour, and the day unless it is today's.
pub fn moment(time: Timestamp, timezone: Timezone, now: Timestamp) -> String {
    let (civil, today) = (timezone.civil(time), timezone.civil(now).date());
    let (hour, minute) = (civil.hour(), civil.minute());
    let day = if civil.date() == today {
        String::new()
    } else {
        format!("{}/{}/{} ", civil.day(), civil.month(), civil.year())
    };
    format!("{day}{hour:02}.{minute:02} {}", timezone.name())
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
