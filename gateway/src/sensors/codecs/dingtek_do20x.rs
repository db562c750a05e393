//! Dingtek DO200, DO201 (ultrasound and magnetometer) and DO202 (radar and magnetometer).
//!
//! Source: the vendor's codecs for `ChirpStack` and in TheThingsNetwork/lorawan-devices, with their examples; no manual is
//! published. Frames are told apart by head, type, kind, length and tail; the published codecs look at the length only.
//! Numbers are big-endian. The kind of a data frame (1 periodic, 2 event) is inferred from the family's other devices, and
//! the flag alone says whether the space is occupied. Bytes that no codec reads are not read here either.
//!
//! Commands are the ASCII text of a hexadecimal string: `80 02`, password, code, value, `81`.

use parking::ReportKind;

use super::downlink::{Argument, Command, Downlink, Downlinks, Read, Spec, number, word};
use super::{CodecError, Decoded, undocumented};

const PORT: u8 = 3;
const DO200: u8 = 0x02;
const DO201: u8 = 0x31;
const DO202: u8 = 0x32;
/// Ultrasound heard no echo.
const NO_ECHO_MM: u16 = 9_999;

pub(super) const DOWNLINKS: Downlinks = Downlinks {
    commands: &COMMANDS,
    encode,
    read,
};

/// Passwords, which tell the models apart.
const MODEL: Argument = word("model", &[("do200", 8_888), ("do201-do202", 9_999)]);
const DO200_PASSWORD: i64 = 8_888;

const COMMANDS: [Spec; 7] = [
    Spec {
        name: "upload_interval",
        about: "how often it speaks without a change",
        arguments: &[MODEL, number("hours", 1, 168)],
    },
    Spec {
        name: "magnet_threshold",
        about: "field from which the magnetometer says car; at most 255 for DO200",
        arguments: &[MODEL, number("milligauss", 1, 65_535)],
    },
    Spec {
        name: "level_threshold",
        about: "distance up to which ultrasound says car; DO201",
        arguments: &[number("centimetres", 15, 255)],
    },
    Spec {
        name: "ultrasound_interval",
        about: "how often DO200 measures by ultrasound",
        arguments: &[number("minutes", 1, 60)],
    },
    Spec {
        name: "magnet_interval",
        about: "how often DO200 measures the field",
        arguments: &[number("seconds", 1, 60)],
    },
    Spec {
        name: "battery_threshold",
        about: "charge below which the battery is told as low",
        arguments: &[MODEL, number("percent", 5, 99)],
    },
    Spec {
        name: "detection_interval",
        about: "how often DO201 and DO202 measure",
        arguments: &[number("minutes", 1, 60)],
    },
];

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    let &[0x80, 0x00, model, kind, length, ref body @ .., _, 0x81] = payload else {
        return Err(undocumented(port, payload));
    };
    if usize::from(length) != payload.len() {
        let reason = format!("the frame says {length} bytes and has {}", payload.len());
        return Err(CodecError::Content { port, reason });
    }
    match (model, kind, body) {
        (DO200, 1 | 2, &[ref head @ .., _, _]) if head.len() == 12 => data(model, kind, head, None),
        (DO201 | DO202, 1 | 2, &[ref head @ .., temperature, humidity, _, _]) if head.len() == 12 => {
            data(model, kind, head, Some((temperature, humidity)))
        }
        (DO200, 3, &[major, minor, upload, ultrasound, magnet, _, _, high, low, _]) => Ok(parameters(
            (major, minor),
            &[
                ("upload_interval_h", upload.into()),
                ("ultrasound_interval_min", ultrasound.into()),
                ("magnet_interval_s", magnet.into()),
                ("magnet_threshold_mg", u16::from_be_bytes([high, low])),
            ],
        )),
        (DO201, 3, &[major, minor, upload, detection, level, high, low, battery, _]) => Ok(parameters(
            (major, minor),
            &[
                ("upload_interval_h", upload.into()),
                ("detection_interval_min", detection.into()),
                ("level_threshold_cm", level.into()),
                ("magnet_threshold_mg", u16::from_be_bytes([high, low])),
                ("battery_threshold_percent", battery.into()),
            ],
        )),
        (DO202, 3, &[major, minor, upload, detection, _, high, low, battery, _]) => Ok(parameters(
            (major, minor),
            &[
                ("upload_interval_h", upload.into()),
                ("detection_interval_min", detection.into()),
                ("magnet_threshold_mg", u16::from_be_bytes([high, low])),
                ("battery_threshold_percent", battery.into()),
            ],
        )),
        (DO200 | DO201 | DO202, _, _) => {
            let reason = format!(
                "packet kind {kind} with {} bytes; expected 1 or 2 (data) or 3 (parameters)",
                payload.len()
            );
            Err(CodecError::Content { port, reason })
        }
        _ => {
            let reason = format!("device type {model:02x}; expected 02 (DO200), 31 (DO201) or 32 (DO202)");
            Err(CodecError::Content { port, reason })
        }
    }
}

/// `head`: level, flags, voltage, field.
fn data(model: u8, kind: u8, head: &[u8], air: Option<(u8, u8)>) -> Result<Decoded, CodecError> {
    let &[
        level_high,
        level_low,
        flags,
        more,
        volt_high,
        volt_low,
        x_high,
        x_low,
        y_high,
        y_low,
        z_high,
        z_low,
    ] = head
    else {
        return Err(undocumented(PORT, head));
    };
    let report = if kind == 1 {
        ReportKind::Heartbeat
    } else {
        ReportKind::Status
    };
    let mut decoded = Decoded::new(report, Some(flags >> 4 != 0));
    let level = u16::from_be_bytes([level_high, level_low]);
    let has_distance = model != DO202 && level != 0 && level != NO_ECHO_MM;
    decoded.health.distance_mm = has_distance.then_some(level.into());
    decoded.health.battery_v = Some(f64::from(u16::from_be_bytes([volt_high, volt_low])) / 100.0);
    decoded.health.low_battery = Some(more & 0xf != 0);
    let ranging = if model == DO202 {
        "radar_sees"
    } else {
        "ultrasound_sees"
    };
    decoded.detail(ranging, flags & 0xf != 0);
    decoded.detail("magnet_sees", more >> 4 != 0);
    for (axis, bytes) in [
        ("field_x", [x_high, x_low]),
        ("field_y", [y_high, y_low]),
        ("field_z", [z_high, z_low]),
    ] {
        decoded.detail(axis, i16::from_be_bytes(bytes));
    }
    if let Some((temperature, humidity)) = air {
        decoded.health.temperature_c = Some(temperature.cast_signed().into());
        decoded.detail("humidity_percent", humidity);
    }
    Ok(decoded)
}

fn parameters((major, minor): (u8, u8), values: &[(&'static str, u16)]) -> Decoded {
    let mut decoded = Decoded::new(ReportKind::Other, None);
    decoded.health.firmware = Some(format!("{major}.{minor}"));
    for (name, value) in values {
        decoded.detail(name, *value);
    }
    decoded
}

fn encode(command: &Command) -> Result<Downlink, String> {
    let is_do200 = command.value("model") == DO200_PASSWORD;
    let (password, code, value) = match command.name() {
        "upload_interval" => (command.value("model"), 0x01, command.value("hours")),
        "magnet_threshold" if is_do200 && command.value("milligauss") > 255 => {
            return Err("milligauss is at most 255 for do200".to_owned());
        }
        "magnet_threshold" if is_do200 => (DO200_PASSWORD, 0x02, command.value("milligauss")),
        "magnet_threshold" => (9_999, 0x0f, command.value("milligauss")),
        "level_threshold" => (9_999, 0x02, command.value("centimetres")),
        "ultrasound_interval" => (DO200_PASSWORD, 0x03, command.value("minutes")),
        "magnet_interval" => (DO200_PASSWORD, 0x04, command.value("seconds")),
        "battery_threshold" => (command.value("model"), 0x05, command.value("percent")),
        _ => (9_999, 0x08, command.value("minutes")),
    };
    let digits = if code == 0x0f { 4 } else { 2 };
    let text = format!("8002{password}{code:02X}{value:0digits$X}81");
    Ok(Downlink {
        port: PORT,
        payload: text.into_bytes(),
    })
}

fn read(port: u8, payload: &[u8]) -> Result<Read, CodecError> {
    let foreign = || CodecError::Content {
        port,
        reason: "no command of this sensor; expected text such as 80028888010481".to_owned(),
    };
    let text = std::str::from_utf8(payload).map_err(|_| foreign())?;
    let inner = text.strip_prefix("8002").and_then(|rest| rest.strip_suffix("81"));
    let (password, rest) = inner.and_then(|inner| inner.split_at_checked(4)).ok_or_else(foreign)?;
    let (code, value) = rest.split_at_checked(2).ok_or_else(foreign)?;
    let digits = if code == "0F" { 4 } else { 2 };
    let is_number = value.len() == digits && value.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
    let number = i64::from_str_radix(value, 16)
        .ok()
        .filter(|_| is_number && port == PORT)
        .ok_or_else(foreign)?;
    match (password, code) {
        ("8888", "01") => Ok(("upload_interval", vec![DO200_PASSWORD, number])),
        ("9999", "01") => Ok(("upload_interval", vec![9_999, number])),
        ("8888", "02") => Ok(("magnet_threshold", vec![DO200_PASSWORD, number])),
        ("9999", "0F") => Ok(("magnet_threshold", vec![9_999, number])),
        ("9999", "02") => Ok(("level_threshold", vec![number])),
        ("8888", "03") => Ok(("ultrasound_interval", vec![number])),
        ("8888", "04") => Ok(("magnet_interval", vec![number])),
        ("8888", "05") => Ok(("battery_threshold", vec![DO200_PASSWORD, number])),
        ("9999", "05") => Ok(("battery_threshold", vec![9_999, number])),
        ("9999", "08") => Ok(("detection_interval", vec![number])),
        _ => Err(foreign()),
    }
}
