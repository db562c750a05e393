//! Netvox R719A.
//!
//! Source: Netvox, user manual R719A, section 5.1, as retold in thingsboard/data-converters, and the codec in
//! TheThingsNetwork/lorawan-devices (`vendor/netvox`). Frames have 11 bytes; numbers are big-endian. The bytes behind the
//! state are the vendor's own and are not read. The requests for the detection threshold are not published.

use parking::ReportKind;

use super::downlink::{Command, Downlink, Downlinks, Read, Spec, number};
use super::{CodecError, Decoded, undocumented};

const R719A: u8 = 0x59;
const CONFIGURATION_PORT: u8 = 7;

pub(super) const DOWNLINKS: Downlinks = Downlinks {
    commands: &COMMANDS,
    encode,
    read,
};

const COMMANDS: [Spec; 2] = [
    Spec {
        name: "report_interval",
        about: "speaks at the earliest and at the latest after so long, and when the battery has changed by so many tenths of a volt",
        arguments: &[
            number("min_seconds", 1, 65_535),
            number("max_seconds", 1, 65_535),
            number("battery_tenths", 0, 255),
        ],
    },
    Spec {
        name: "read_report_interval",
        about: "asks for an answer on port 7",
        arguments: &[],
    },
];

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    match (port, payload) {
        (6, &[1, R719A, 0, software, hardware, a, b, c, d, _, _]) => {
            let mut decoded = Decoded::new(ReportKind::Startup, None);
            decoded.health.firmware = Some(format!("{}.{}", software / 10, software % 10));
            decoded.detail("hardware", hardware);
            decoded.detail("made", format!("{a:02x}{b:02x}-{c:02x}-{d:02x}"));
            Ok(decoded)
        }
        (6, &[1, R719A, 1, battery, state @ (0 | 1), _, _, _, _, _, _]) => {
            // The same word for a change and for the regular report: a change dates itself, and a repetition changes nothing.
            let mut decoded = Decoded::new(ReportKind::Status, Some(state == 1));
            decoded.health.battery_v = Some(f64::from(battery & 0x7f) / 10.0);
            decoded.health.low_battery = Some(battery & 0x80 != 0);
            Ok(decoded)
        }
        (7, &[answer @ (0x81 | 0x83), R719A, status, _, _, _, _, _, _, _, _]) => {
            let mut decoded = Decoded::new(ReportKind::Other, None);
            let of = if answer == 0x81 {
                "report_interval_set"
            } else {
                "threshold_set"
            };
            decoded.detail(of, status == 0);
            Ok(decoded)
        }
        (7, &[0x82, R719A, a, b, c, d, battery, _, _, _, _]) => {
            let mut decoded = Decoded::new(ReportKind::Other, None);
            decoded.detail("min_seconds", u16::from_be_bytes([a, b]));
            decoded.detail("max_seconds", u16::from_be_bytes([c, d]));
            decoded.detail("battery_tenths", battery);
            Ok(decoded)
        }
        (7, &[0x84, R719A, a, b, _, _, _, _, _, _, _]) => {
            let mut decoded = Decoded::new(ReportKind::Other, None);
            decoded.detail("threshold", u16::from_be_bytes([a, b]));
            Ok(decoded)
        }
        _ => Err(undocumented(port, payload)),
    }
}

fn encode(command: &Command) -> Result<Downlink, String> {
    let mut payload = vec![0x02, R719A];
    if command.name() == "report_interval" {
        let (min, max) = (command.value("min_seconds"), command.value("max_seconds"));
        if min > max {
            return Err("min_seconds is more than max_seconds".to_owned());
        }
        payload = vec![0x01, R719A];
        payload.extend_from_slice(&min.to_be_bytes()[6..]);
        payload.extend_from_slice(&max.to_be_bytes()[6..]);
        payload.push(command.byte("battery_tenths"));
    }
    payload.resize(11, 0);
    Ok(Downlink {
        port: CONFIGURATION_PORT,
        payload,
    })
}

fn read(port: u8, payload: &[u8]) -> Result<Read, CodecError> {
    match (port, payload) {
        (CONFIGURATION_PORT, &[0x01, R719A, a, b, c, d, battery, 0, 0, 0, 0])
            if u16::from_be_bytes([a, b]) <= u16::from_be_bytes([c, d]) =>
        {
            let seconds = [[a, b], [c, d]].map(|bytes| i64::from(u16::from_be_bytes(bytes)));
            Ok(("report_interval", [&seconds[..], &[battery.into()]].concat()))
        }
        (CONFIGURATION_PORT, &[0x02, R719A, 0, 0, 0, 0, 0, 0, 0, 0, 0]) => Ok(("read_report_interval", Vec::new())),
        _ => Err(CodecError::Content {
            port,
            reason: "no command of this sensor that is known; expected 11 bytes on port 7".to_owned(),
        }),
    }
}
