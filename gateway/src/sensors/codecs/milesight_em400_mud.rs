//! Milesight EM400-MUD, an ultrasonic distance sensor, over LoRaWAN or NB-IoT.
//!
//! Source: Milesight, EM400-MUD user guide, sections 5 and 6, and the vendor's codecs (Milesight-IoT/SensorDecoders).
//! Fields are channel, type and value, little-endian. The position is the sensor's own tilt and nothing of a vehicle: a
//! space is occupied when the distance says so, and in no mode does the sensor say it itself. The NB-IoT frame has a head of
//! 86 bytes, big-endian, in front of the same fields.

use parking::ReportKind;

use super::downlink::{Command, Downlink, Downlinks, Read, Spec, number, word};
use super::{CodecError, Decoded, hex};

const PORT: u8 = 85;
/// Out of the measuring range.
const OUT_OF_RANGE_MM: u16 = 0xfffd;
/// Bytes of an NB-IoT frame before its fields, and up to the end of its length.
const NB_HEAD: usize = 86;
const NB_LENGTH_END: usize = 5;

pub(super) const DOWNLINKS: Downlinks = Downlinks {
    commands: &COMMANDS,
    encode,
    read,
};

const COMMANDS: [Spec; 6] = [
    Spec {
        name: "reboot",
        about: "starts it again",
        arguments: &[],
    },
    Spec {
        name: "collection_interval",
        about: "how often it measures",
        arguments: &[number("seconds", 60, 64_800)],
    },
    Spec {
        name: "report_interval",
        about: "how often it speaks",
        arguments: &[number("seconds", 60, 64_800)],
    },
    Spec {
        name: "working_mode",
        about: "parking measures every 20 s and speaks every 18 hours and at its threshold",
        arguments: &[word("mode", &[("standard", 0), ("bin", 1), ("parking", 2)])],
    },
    Spec {
        name: "install_height",
        about: "distance when nothing is below it",
        arguments: &[number("millimetres", 30, 4_500)],
    },
    Spec {
        name: "distance_alarm",
        about: "speaks at once when the distance falls below or rises above, and when that is over",
        arguments: &[
            number("below_millimetres", 0, 4_500),
            number("above_millimetres", 0, 4_500),
        ],
    },
];

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    let mut decoded = Decoded::new(ReportKind::Heartbeat, None);
    let mut rest = match nb_iot(payload) {
        Some((signal, fields)) => {
            decoded.detail("csq", signal);
            fields
        }
        None => payload,
    };
    if rest.is_empty() {
        return Err(broken(port, payload, rest));
    }
    while !rest.is_empty() {
        rest = field(&mut decoded, rest).ok_or_else(|| broken(port, payload, rest))?;
    }
    Ok(decoded)
}

fn broken(port: u8, payload: &[u8], rest: &[u8]) -> CodecError {
    let at = payload.len() - rest.len();
    let reason =
        format!("byte {at} begins no field of this sensor; expected such as 01 75 (battery) or 04 82 (distance)");
    CodecError::Content { port, reason }
}

/// Signal strength (3GPP TS 27.007, `+CSQ`) and fields of an NB-IoT frame.
fn nb_iot(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (head, fields) = payload.split_at_checked(NB_HEAD)?;
    let [2, 0, 1, high, low, ..] = head else { return None };
    let [.., signal, fields_high, fields_low] = head else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let of_fields = usize::from(u16::from_be_bytes([*fields_high, *fields_low]));
    (length + NB_LENGTH_END == payload.len() && of_fields == fields.len()).then_some((*signal, fields))
}

/// Takes the first field; gives what follows it, or none if it is not known.
fn field<'a>(decoded: &mut Decoded, fields: &'a [u8]) -> Option<&'a [u8]> {
    let celsius = |low, high| f64::from(i16::from_le_bytes([low, high])) / 10.0;
    let rest = match fields {
        [0x01, 0x75, percent, rest @ ..] => {
            decoded.detail("battery_percent", *percent);
            rest
        }
        [0x03, 0x67, low, high, rest @ ..] => {
            decoded.health.temperature_c = Some(celsius(*low, *high));
            rest
        }
        [0x83, 0x67, low, high, alarm @ (0 | 1), rest @ ..] => {
            decoded.health.temperature_c = Some(celsius(*low, *high));
            decoded.detail("temperature_alarm", *alarm == 1);
            rest
        }
        [0x04, 0x82, low, high, rest @ ..] => {
            distance(decoded, u16::from_le_bytes([*low, *high]));
            rest
        }
        [0x84, 0x82, low, high, alarm @ (0 | 1), rest @ ..] => {
            distance(decoded, u16::from_le_bytes([*low, *high]));
            decoded.report.kind = ReportKind::Status;
            decoded.detail("distance_alarm", *alarm == 1);
            rest
        }
        [0x05, 0x00, tilted @ (0 | 1), rest @ ..] => {
            decoded.detail("tilted", *tilted == 1);
            rest
        }
        [0x06, 0x88, place @ ..] if place.len() >= 9 => {
            // Where the sensor is: known better from the site.
            place.get(9..)?
        }
        [0xff, 0x0b, _, rest @ ..] => {
            decoded.report.kind = ReportKind::Startup;
            rest
        }
        [0xff, 0x0a, major, minor, rest @ ..] => {
            decoded.health.firmware = Some(format!("{major:x}.{minor:x}"));
            rest
        }
        [0xff, 0x09, major, minor, rest @ ..] => {
            decoded.detail("hardware", format!("{major}.{}", minor >> 4));
            rest
        }
        [0xff, 0x16, serial @ ..] if serial.len() >= 8 => {
            let (serial, rest) = serial.split_at_checked(8)?;
            decoded.detail("serial", hex(serial));
            rest
        }
        // Version of the protocol, class, a reset.
        [0xff, 0x01 | 0x0f | 0xfe, _, rest @ ..] | [0xff, 0xff, _, _, rest @ ..] => rest,
        _ => return None,
    };
    Some(rest)
}

fn distance(decoded: &mut Decoded, millimetres: u16) {
    decoded.health.distance_mm = (millimetres != OUT_OF_RANGE_MM).then_some(millimetres.into());
    if millimetres == OUT_OF_RANGE_MM {
        decoded.detail("out_of_range", true);
    }
}

fn encode(command: &Command) -> Result<Downlink, String> {
    let word = |name| command.value(name).to_le_bytes()[..2].to_vec();
    let payload = match command.name() {
        "reboot" => vec![0xff, 0x10, 0xff],
        "collection_interval" => [vec![0xff, 0x02], word("seconds")].concat(),
        "report_interval" => [vec![0xff, 0x03], word("seconds")].concat(),
        "working_mode" => vec![0xff, 0x71, command.byte("mode")],
        "install_height" => [vec![0xff, 0x77], word("millimetres")].concat(),
        _ => {
            let (below, above) = (word("below_millimetres"), word("above_millimetres"));
            if command.value("below_millimetres") > command.value("above_millimetres") {
                return Err("below_millimetres is more than above_millimetres".to_owned());
            }
            [vec![0xff, 0x06, 0x8c], below, above, vec![0; 4]].concat()
        }
    };
    Ok(Downlink { port: PORT, payload })
}

fn read(port: u8, payload: &[u8]) -> Result<Read, CodecError> {
    let word = |low: u8, high: u8| i64::from(u16::from_le_bytes([low, high]));
    match (port, payload) {
        (PORT, &[0xff, 0x10, 0xff]) => Ok(("reboot", Vec::new())),
        (PORT, &[0xff, 0x02, low, high]) => Ok(("collection_interval", vec![word(low, high)])),
        (PORT, &[0xff, 0x03, low, high]) => Ok(("report_interval", vec![word(low, high)])),
        (PORT, &[0xff, 0x71, mode]) => Ok(("working_mode", vec![mode.into()])),
        (PORT, &[0xff, 0x77, low, high]) => Ok(("install_height", vec![word(low, high)])),
        (PORT, &[0xff, 0x06, 0x8c, a, b, c, d, 0, 0, 0, 0]) if word(a, b) <= word(c, d) => {
            Ok(("distance_alarm", vec![word(a, b), word(c, d)]))
        }
        _ => Err(CodecError::Content {
            port,
            reason: "no command of this sensor that is known; expected ff and a type on port 85".to_owned(),
        }),
    }
}
