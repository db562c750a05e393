//! PNI `PlacePod`, for presence or for counting.
//!
//! Source: PNI's own server (PNI-Cloud/PlacePod-Api) and captured payloads in `ZennerIoT/element-parsers` and
//! sjkp/PNI.PlacePod. Fields are channel, type and value (Cayenne LPP, big-endian), in any order and as often as it likes;
//! what a field means is decided by both, as published codecs that look at one of them only read counts as states. The
//! application port is 3 or another. Bytes of commands are not published.

use parking::ReportKind;

use super::{CodecError, Decoded};

/// A count that says that it begins anew.
const RESTARTED: u8 = 0x80;

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    // Nothing but a sign of life.
    let mut decoded = Decoded::new(ReportKind::Other, None);
    let mut rest = payload;
    while let [channel, kind, behind @ ..] = rest {
        let (value, behind) = match (kind, behind) {
            (0x67 | 0x02, &[high, low, ref behind @ ..]) => (i16::from_be_bytes([high, low]), behind),
            (0x00 | 0x01 | 0x66, &[value, ref behind @ ..]) => (value.into(), behind),
            _ => return Err(broken(port, payload, rest)),
        };
        field(&mut decoded, (*channel, *kind), value).ok_or_else(|| broken(port, payload, rest))?;
        rest = behind;
    }
    if rest.is_empty() {
        Ok(decoded)
    } else {
        Err(broken(port, payload, rest))
    }
}

fn broken(port: u8, payload: &[u8], rest: &[u8]) -> CodecError {
    let at = payload.len() - rest.len();
    let reason =
        format!("byte {at} begins no field of this sensor; expected such as 15 66 (status) or 37 66 (keep-alive)");
    CodecError::Content { port, reason }
}

/// Takes a field; none if it is not known.
fn field(decoded: &mut Decoded, field: (u8, u8), value: i16) -> Option<()> {
    let flag = |value: i16| (value <= 1).then_some(value == 1);
    match field {
        (0x15, 0x66) => {
            // Of several in one frame the last holds.
            decoded.report.occupied = Some(flag(value)?);
            decoded.report.kind = ReportKind::Status;
        }
        (0x37, 0x66) => {
            if decoded.report.kind != ReportKind::Status {
                decoded.report.occupied = Some(flag(value)?);
                decoded.report.kind = ReportKind::Heartbeat;
            }
        }
        (0x21 | 0x37, 0x00) => {
            let is_event = field.0 == 0x21;
            decoded.report.kind = if is_event {
                ReportKind::Count
            } else {
                ReportKind::Heartbeat
            };
            if value == i16::from(RESTARTED) {
                decoded.detail("count_restarted", true);
                decoded.report.kind = ReportKind::Startup;
                decoded.report.count = Some(0);
            } else {
                decoded.report.count = Some(u32::try_from(value).ok().filter(|count| *count < 0x80)?);
            }
        }
        (0x02, 0x67) => decoded.health.temperature_c = Some(f64::from(value) / 10.0),
        (0x03, 0x02) => decoded.health.battery_v = Some(f64::from(value) / 100.0),
        (0x01, 0x01) => decoded.detail("recalibrated", flag(value)?),
        (0x05, 0x00) => decoded.detail("error_register", value),
        (0x06, 0x00) => decoded.detail("error_state", value),
        (0x1c, 0x01) => decoded.detail("deactivated", flag(value)?),
        (0x3f, 0x01) => decoded.detail("rebooted", flag(value)?),
        _ => return None,
    }
    Some(())
}
