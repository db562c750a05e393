//! Times as a technician writes and reads them: the box's zone where none is written.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use parking::Timezone;

use crate::commands::UsageError;

/// Reads a time: RFC 3339 with its offset, or a local date and time of the box's zone.
pub fn parse(text: &str, zone: Timezone) -> Result<Timestamp, UsageError> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let (date, clock) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    // A zone that is written but wrong must not be taken for the box's.
    let is_local = !clock.is_empty() && clock.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.'));
    let local: Option<DateTime> = format!("{date}T{clock}").parse().ok().filter(|_| is_local);
    let time = local.and_then(|local| Offset::constant(zone.hours_ahead()).to_timestamp(local).ok());
    time.ok_or_else(|| {
        UsageError(format!(
            "\"{text}\" is no time\n  hint: write 2026-11-22T10:15 ({}), or with an offset, as in 2026-11-22T10:15:00+07:00",
            zone.name()
        ))
    })
}

/// A time with the box's offset, as in `2026-11-22T10:15:00.250+07:00`: fit to be given back to a command.
pub fn exact(time: Timestamp, zone: Timezone) -> String {
    let millis = Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time);
    millis
        .display_with_offset(Offset::constant(zone.hours_ahead()))
        .to_string()
}

/// A time for people who know which year it is.
pub fn short(time: Timestamp, zone: Timezone) -> String {
    let local = Offset::constant(zone.hours_ahead()).to_datetime(time);
    local.strftime("%d/%m %H:%M").to_string()
}

/// From the box's kind of time.
pub fn of(time: parking::Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        parse(text, Timezone::Wita).ok().map(|time| time.to_string())
    }

    #[test]
    fn a_time_without_offset_is_of_the_box_s_zone() {
        let expected = Some("2026-11-22T02:15:00Z".to_owned());
        for text in [
            "2026-11-22T10:15",
            "2026-11-22 10:15:00",
            "2026-11-22T09:15+07:00",
            "2026-11-22T02:15:00Z",
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "kemarin",
            "2026-11-22",
            "10:15",
            "2026-11-22T25:15",
            "2026-11-22T10:15+99:00",
            "2026-11-22T10:15[Asia/Jakarta]",
            "2026-11-22T10:15 WIB",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn a_shown_time_can_be_given_back() {
        let time = parse("2026-11-22T10:15:00.25", Timezone::Wib).unwrap();
        assert_eq!(exact(time, Timezone::Wib), "2026-11-22T10:15:00.25+07:00");
        assert_eq!(parse(&exact(time, Timezone::Wib), Timezone::Wit).unwrap(), time);
        assert_eq!(short(time, Timezone::Wib), "22/11 10:15");
    }
}
