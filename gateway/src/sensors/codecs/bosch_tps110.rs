//! Bosch Parking Lot Sensor TPS110, firmware 0.23 to 0.39.
//!
//! Source: Bosch Connected Devices and Solutions, "Parking Lot Sensor, Communication Interface, Technical
//! Description", V0.29.4 and later, and the codecs for 0.29.2 and 0.39.2 in TheThingsNetwork/lorawan-devices.
//! Where published codecs disagree (the debug bytes at the begin of the start-up message, the order of the firmware
//! version), only what all captures bear out is read; the debug bytes stay opaque.
//!
//! Commands are one byte each, on a port of their own. Ports 57 to 59 came with firmware 0.39. What the words of the
//! heartbeat's interval last is not published.

use parking::{ReportKind, Usage};

use super::downlink::{Command, Downlink, Downlinks, Read, Spec, number, word};
use super::{CodecError, Decoded, firmware, undocumented};

/// Minor version of the first firmware (0.39) that tells all seven reset causes; before, 4 meant any other.
const MINOR_WITH_ALL_CAUSES: u8 = 39;

pub(super) const DOWNLINKS: Downlinks = Downlinks {
    commands: &COMMANDS,
    encode,
    read,
};

/// The commands with their ports, each with one argument of one byte.
const PORTS: [(&str, u8); 9] = [
    ("status_confirmation", 51),
    ("data_rate", 52),
    ("heartbeat", 53),
    ("device_information", 54),
    ("usage", 55),
    ("debug", 56),
    ("temperature", 57),
    ("adaptive_data_rate", 58),
    ("adaptive_data_rate_offset", 59),
];

const COMMANDS: [Spec; PORTS.len()] = [
    Spec {
        name: "status_confirmation",
        about: "how the parking status is sent: 0 confirmed, else so many times unconfirmed",
        arguments: &[number("repetitions", 0, 4)],
    },
    Spec {
        name: "data_rate",
        about: "0 is SF12, 5 is SF7",
        arguments: &[number("rate", 0, 5)],
    },
    Spec {
        name: "heartbeat",
        about: "how often it speaks without a change; ask the vendor what the words last",
        arguments: &[word(
            "interval",
            &[("short", 0), ("normal", 1), ("long", 2), ("test", 3)],
        )],
    },
    Spec {
        name: "device_information",
        about: "asks for an answer on port 4",
        arguments: &[word("what", &[("urn", 0), ("firmware", 1)])],
    },
    Spec {
        name: "usage",
        about: "asks for a counter, which comes on port 5",
        arguments: &[word(
            "counter",
            &[
                ("state_changes", 0),
                ("occupied_seconds", 1),
                ("uplinks", 2),
                ("radar_starts", 3),
                ("seconds_since_restart", 4),
                ("resets", 5),
                ("seconds_since_installation", 6),
            ],
        )],
    },
    Spec {
        name: "debug",
        about: "how many times debug messages are sent; 0: never",
        arguments: &[number("repetitions", 0, 4)],
    },
    Spec {
        name: "temperature",
        about: "measures the temperature: never, with the heartbeat, or to raise an alert (firmware 0.39)",
        arguments: &[word("mode", &[("off", 0), ("heartbeat", 1), ("alert", 2)])],
    },
    Spec {
        name: "adaptive_data_rate",
        about: "lets the network choose the data rate (firmware 0.39)",
        arguments: &[word("mode", &[("off", 0), ("on", 1)])],
    },
    Spec {
        name: "adaptive_data_rate_offset",
        about: "stays so many steps below what the network chooses (firmware 0.39)",
        arguments: &[number("steps", 0, 5)],
    },
];

#[allow(clippy::unnecessary_wraps)] // the form of the table
fn encode(command: &Command) -> Result<Downlink, String> {
    let of_name = PORTS
        .iter()
        .zip(&COMMANDS)
        .find(|((name, _), _)| *name == command.name());
    let (port, argument) = of_name.map_or((0, ""), |((_, port), spec)| {
        (*port, spec.arguments.first().map_or("", |argument| argument.name))
    });
    Ok(Downlink {
        port,
        payload: vec![command.byte(argument)],
    })
}

fn read(port: u8, payload: &[u8]) -> Result<Read, CodecError> {
    match (PORTS.iter().find(|(_, known)| *known == port), payload) {
        (Some((name, _)), &[value]) => Ok((name, vec![value.into()])),
        _ => Err(CodecError::Content {
            port,
            reason: "no command of this sensor; expected one byte on port 51 to 59".to_owned(),
        }),
    }
}

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    match (port, payload) {
        (1, &[state]) => Ok(Decoded::new(ReportKind::Status, Some(is_occupied(state)))),
        (2, &[state]) => Ok(Decoded::new(ReportKind::Heartbeat, Some(is_occupied(state)))),
        (2, &[state, temperature]) => Ok(with_temperature(
            Decoded::new(ReportKind::Heartbeat, Some(is_occupied(state))),
            temperature,
        )),
        (3, &[_, _, _, _, _, _, _, _, _, _, _, _, major, minor, patch, cause, state]) => {
            let mut decoded = Decoded::new(ReportKind::Startup, Some(is_occupied(state)));
            decoded.health.firmware = Some(firmware(major, minor, patch));
            decoded.health.reset_cause = Some(reset_cause(cause, major, minor).to_owned());
            Ok(decoded)
        }
        (4, &[major, minor, patch]) => {
            let mut decoded = Decoded::new(ReportKind::Other, None);
            decoded.health.firmware = Some(firmware(major, minor, patch));
            Ok(decoded)
        }
        // 4: device URN. 6: debug code with time and sequence.
        (4, &[_, _, _, _, _, _, _, _, _, _, _]) | (6, &[_, _, _, _, _, _, _, _, _, _]) => {
            Ok(Decoded::new(ReportKind::Other, None))
        }
        (5, &[counter, ref value @ ..]) => counters(counter, value),
        (7, &[temperature]) => Ok(with_temperature(Decoded::new(ReportKind::Other, None), temperature)),
        _ => Err(undocumented(port, payload)),
    }
}

fn is_occupied(state: u8) -> bool {
    state & 1 == 1
}

fn with_temperature(mut decoded: Decoded, temperature: u8) -> Decoded {
    decoded.health.temperature_c = Some(f64::from(temperature.cast_signed()));
    decoded
}

/// Answers to device usage requests: which counter, then its value.
fn counters(counter: u8, value: &[u8]) -> Result<Decoded, CodecError> {
    let mut decoded = Decoded::new(ReportKind::Counters, None);
    let expected = match (counter, value) {
        (0, &[a, b, c, d]) => {
            decoded.report.usage = Some(Usage {
                state_changes: Some(u32::from_be_bytes([a, b, c, d])),
                occupied_seconds: None,
            });
            return Ok(decoded);
        }
        (1, &[a, b, c, d]) => {
            decoded.report.usage = Some(Usage {
                state_changes: None,
                occupied_seconds: Some(u32::from_be_bytes([a, b, c, d])),
            });
            return Ok(decoded);
        }
        // 2: uplinks a data rate. 3: radar starts. 4: seconds since restart. 5: resets by cause. 6: seconds since
        // installation. None of them bears on parking; they prove that the sensor lives.
        (2, value) if value.len() == 18 => return Ok(decoded),
        (3 | 4 | 6, value) if value.len() == 4 => return Ok(decoded),
        (5, value) if value.len() == 7 => return Ok(decoded),
        (0 | 1 | 3 | 4 | 6, _) => "5 bytes",
        (2, _) => "19 bytes",
        (5, _) => "8 bytes",
        _ => {
            let reason = format!("usage counter {counter} is unknown; expected 0 to 6");
            return Err(CodecError::Content { port: 5, reason });
        }
    };
    let reason = format!(
        "usage counter {counter} came with {} bytes; expected {expected}",
        value.len() + 1
    );
    Err(CodecError::Content { port: 5, reason })
}

fn reset_cause(cause: u8, major: u8, minor: u8) -> &'static str {
    let all_causes = major > 0 || minor >= MINOR_WITH_ALL_CAUSES;
    match cause {
        1 => "watchdog",
        2 => "power on",
        3 => "system request",
        4 if !all_causes => "other",
        4 => "external pin",
        5 => "lockup",
        6 => "brownout",
        7 => "other",
        _ => "unknown",
    }
}
