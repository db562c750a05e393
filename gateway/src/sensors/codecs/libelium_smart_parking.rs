//! Libelium Smart Parking (Plug & Sense), firmware 1.x (12 bytes) and 2.x, 3.x (11 bytes).
//!
//! Source: Libelium, "Plug & Sense! Smart Parking Technical Guide", section 7, and the vendor's own callback service.
//! The radar sensor that is called v2 has frames of 11 bytes too, with another content: it is another profile.
//!
//! Firmware 1.x tells its temperature as a raw number whose formula the guide has as a picture; it is not converted. The
//! application port is a setting of the sensor, and answers go to the port that the question came from. A sensor that
//! has started asks for the time: without the answer its clock, and with it its night mode, is wrong.

use jiff::civil::{Date, DateTime, Weekday};
use parking::ReportKind;

use super::downlink::{Command, Downlink, Downlinks, Read, Spec, number};
use super::{CodecError, Decoded, undocumented};

/// First year that the clock can hold.
const YEAR_ZERO: i64 = 2_000;
/// The frame that wants the time.
const ASKS_TIME: &str = "start_1";

pub(super) const DOWNLINKS: Downlinks = Downlinks {
    commands: &COMMANDS,
    encode,
    read,
};

const COMMANDS: [Spec; 1] = [Spec {
    name: "time",
    about: "the answer to start frame 1: local time; to be sent at once, on the port of the question",
    arguments: &[
        number("port", 1, 223),
        number("year", YEAR_ZERO, YEAR_ZERO + 99),
        number("month", 1, 12),
        number("day", 1, 31),
        number("hour", 0, 23),
        number("minute", 0, 59),
    ],
}];

/// Where a frame has temperature and field: behind so many bytes.
fn measured(kind: u8) -> Option<usize> {
    match kind {
        0 | 4 => Some(0),
        1 | 6..=8 => Some(2),
        3 => Some(1),
        _ => None,
    }
}

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    let (&[head, counter, ref body @ ..], true) = (payload, matches!(payload.len(), 11 | 12)) else {
        return Err(undocumented(port, payload));
    };
    let is_first = payload.len() == 12;
    let kind = head & 0xf;
    let (report, word) = match kind {
        0 => (ReportKind::Status, "info"),
        1 => (ReportKind::Heartbeat, "keep_alive"),
        2 => (ReportKind::Heartbeat, "daily"),
        3 => (ReportKind::Heartbeat, "error"),
        4 => (ReportKind::Startup, ASKS_TIME),
        5 => (ReportKind::Startup, "start_2"),
        6 if !is_first => (ReportKind::Heartbeat, "service"),
        7 if !is_first => (ReportKind::Heartbeat, "downlink_confirmed"),
        8 if !is_first => (ReportKind::Heartbeat, "rssi"),
        _ => {
            let reason = format!("frame type {kind} is not documented; expected 0 to 5, or to 8 from firmware 2 on");
            return Err(CodecError::Content { port, reason });
        }
    };
    let mut decoded = Decoded::new(report, Some(head & 0x80 != 0));
    decoded.health.low_battery = Some(head & 0x40 != 0);
    decoded.detail("frame_type", word);
    decoded.detail("frame_counter", counter);
    if let Some(behind) = measured(kind) {
        measures(&mut decoded, body.get(behind..).unwrap_or_default(), is_first);
    }
    extras(&mut decoded, kind, body, is_first);
    Ok(decoded)
}

/// Temperature and field.
fn measures(decoded: &mut Decoded, bytes: &[u8], is_first: bool) {
    let field = match (is_first, bytes) {
        (true, &[high, low, ref field @ ..]) => {
            decoded.detail("temperature_raw", i16::from_be_bytes([high, low]));
            field
        }
        (false, &[celsius, ref field @ ..]) => {
            decoded.health.temperature_c = Some(celsius.cast_signed().into());
            field
        }
        _ => return,
    };
    for (name, pair) in ["field_x", "field_y", "field_z"].into_iter().zip(field.chunks_exact(2)) {
        if let &[high, low] = pair {
            decoded.detail(name, i16::from_be_bytes([high, low]));
        }
    }
}

/// What only some frames have.
fn extras(decoded: &mut Decoded, kind: u8, body: &[u8], is_first: bool) {
    match (kind, body) {
        (0, &[.., battery]) if !is_first => decoded.health.battery_v = Some(volts(battery)),
        (1 | 6..=8, &[hour, minute, ..]) => decoded.detail("clock", format!("{hour:02}:{minute:02}")),
        (2, &[ref counts @ .., resets, configuration, _] | &[ref counts @ .., resets, configuration, _, _])
            if counts.len() == 6 =>
        {
            let names = ["measurements_24h", "sigfox_24h", "lorawan_24h"];
            for (name, pair) in names.into_iter().zip(counts.chunks_exact(2)) {
                if let &[high, low] = pair {
                    decoded.detail(name, u16::from_be_bytes([high, low]));
                }
            }
            decoded.detail("resets", resets);
            decoded.detail("configuration_id", configuration);
        }
        (3, &[flags, .., battery]) => {
            decoded.health.battery_v = Some(volts(battery));
            let names = ["z", "y", "x", "clock", "lorawan", "sigfox"];
            let failing = names.into_iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0);
            decoded.detail("errors", failing.map(|(_, name)| name).collect::<Vec<_>>());
        }
        (4, &[.., high, low]) => {
            decoded.health.battery_v = Some(f64::from(u16::from_be_bytes([high, low])) / 1_000.0);
        }
        (
            5,
            &[
                version,
                night_start,
                night_length,
                night_sleep,
                night_keep_alive,
                radio,
                sleep,
                keep_alive,
                threshold,
                ..,
            ],
        ) => {
            decoded.health.firmware = Some(version.to_string());
            // Places in lists that differ by firmware.
            for (name, value) in [
                ("night_start_h", night_start),
                ("night_length_h", night_length),
                ("night_sleep_code", night_sleep),
                ("night_keep_alive_code", night_keep_alive),
                ("radio_mode_code", radio),
                ("sleep_code", sleep),
                ("keep_alive_code", keep_alive),
                ("threshold", threshold),
            ] {
                decoded.detail(name, value);
            }
        }
        _ => {}
    }
}

/// A battery in one byte: 2.8 V and 4 mV a count.
fn volts(count: u8) -> f64 {
    f64::from(2_800 + u32::from(count) * 4) / 1_000.0
}

/// The time, for a sensor that has started and asks for it.
pub(super) fn answer(port: u8, decoded: &Decoded, local: DateTime) -> Option<Downlink> {
    let asks = decoded
        .details
        .iter()
        .any(|(name, word)| *name == "frame_type" && word == ASKS_TIME);
    let payload = time(local).filter(|_| asks)?;
    Some(Downlink { port, payload })
}

/// The answer to start frame 1; none where the clock cannot hold the year.
fn time(local: DateTime) -> Option<Vec<u8>> {
    let year = u8::try_from(i64::from(local.year()) - YEAR_ZERO)
        .ok()
        .filter(|year| *year < 100)?;
    let weekday = local.date().weekday().to_sunday_zero_offset();
    let parts = [local.month(), local.day(), weekday, local.hour(), local.minute()];
    let parts = parts.map(i8::cast_unsigned);
    Some([&[year][..], &parts, &[0, 0]].concat())
}

fn encode(command: &Command) -> Result<Downlink, String> {
    let [month, day, hour, minute] = ["month", "day", "hour", "minute"].map(|name| command.byte(name).cast_signed());
    let year = command.value("year");
    let local = i16::try_from(year)
        .ok()
        .and_then(|year| DateTime::new(year, month, day, hour, minute, 0, 0).ok());
    Ok(Downlink {
        port: command.byte("port"),
        payload: local
            .and_then(time)
            .ok_or_else(|| format!("{year}-{month:02}-{day:02} is no day"))?,
    })
}

fn read(port: u8, payload: &[u8]) -> Result<Read, CodecError> {
    let foreign = |reason: &str| CodecError::Content {
        port,
        reason: format!("{reason}; expected year, month, day, day of the week, hour, minute, 0, 0"),
    };
    let &[year, month, day, weekday, hour, minute, 0, 0] = payload else {
        return Err(foreign("no answer with the time"));
    };
    let date = Date::new(2_000 + i16::from(year), month.cast_signed(), day.cast_signed());
    let told = Weekday::from_sunday_zero_offset(weekday.cast_signed());
    if date.ok().map(Date::weekday) != told.ok() {
        return Err(foreign("this day is another day of the week"));
    }
    let year = YEAR_ZERO + i64::from(year);
    let rest = [month, day, hour, minute].map(i64::from);
    Ok(("time", [&[port.into(), year][..], &rest].concat()))
}
