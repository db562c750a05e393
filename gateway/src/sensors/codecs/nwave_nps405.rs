//! Nwave NPS405 SM and FM (G4), hardware 4.5, firmware 2.x.
//!
//! Source: Nwave, "LoRaWAN Parking Sensor, Getting Started", section 4 (uplink messages), and the vendor's codec in
//! TheThingsNetwork/lorawan-devices. A layout with the occupied bit in the most significant place was also published;
//! it was a bug of that codec. Battery voltage is 2.5 V plus 4 mV a count, unsigned: a converter that takes the byte
//! as signed gives less than the sensor can run on.

use parking::{PreviousState, ReportKind};

use super::nwave::{reset_cause, startup};
use super::{CodecError, Decoded, undocumented};

/// Where the steps of the compressed duration change: first code of each, and minutes there.
const STEP_5_MIN: (u32, u32) = (90, 90);
const STEP_60_MIN: (u32, u32) = (120, 240);
const OVERFLOW: (u32, u32) = (127, 660);

/// Below this temperature a sound battery gives less.
const COLD_C: f64 = -5.0;
const LOW_MV: u32 = 3_000;
const LOW_COLD_MV: u32 = 2_900;

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    match (port, payload) {
        (1, &[state]) => {
            let mut decoded = Decoded::new(ReportKind::Status, Some(is_occupied(state)));
            decoded.report.previous_state = Some(previous_state(state));
            Ok(decoded)
        }
        // Bytes 3 to 5 are not documented.
        (2, &[state, battery, temperature, ref rest @ ..]) if rest.len() <= 3 => {
            Ok(heartbeat(state, battery, temperature))
        }
        (3, &[major, minor, patch, cause, state]) => Ok(startup(
            [major, minor, patch],
            reset_cause(cause),
            Some(is_occupied(state)),
        )),
        (6, _) => Ok(Decoded::new(ReportKind::Other, None)),
        // A later version put the voltage of the tag's battery before its number.
        (10, &[state, a, b, c, d] | &[state, _, a, b, c, d]) => {
            // A free space and a tag: the tag was read before the car was seen. Nothing is said of the space.
            let seen = is_occupied(state);
            let mut decoded = Decoded::new(ReportKind::Tag, seen.then_some(true));
            decoded.report.previous_state = seen.then(|| previous_state(state));
            decoded.tag_id = Some(format!("{:08X}", u32::from_be_bytes([a, b, c, d])));
            if let &[_, tenths, _, _, _, _] = payload {
                decoded.detail("tag_battery_v", f64::from(tenths) / 10.0);
            }
            Ok(decoded)
        }
        _ => Err(undocumented(port, payload)),
    }
}

fn is_occupied(state: u8) -> bool {
    state & 1 == 1
}

/// Bits 7 to 1 of the state byte: how long the state before lasted, in steps that grow.
fn previous_state(state: u8) -> PreviousState {
    let code = u32::from(state >> 1);
    let step = |(first, minutes): (u32, u32), step: u32| {
        let minutes_min = minutes + (code - first) * step;
        PreviousState {
            minutes_min,
            minutes_max: Some(minutes_min + step - 1),
        }
    };
    if code < STEP_5_MIN.0 {
        PreviousState {
            minutes_min: code,
            minutes_max: Some(code),
        }
    } else if code < STEP_60_MIN.0 {
        step(STEP_5_MIN, 5)
    } else if code < OVERFLOW.0 {
        step(STEP_60_MIN, 60)
    } else {
        PreviousState {
            minutes_min: OVERFLOW.1,
            minutes_max: None,
        }
    }
}

fn heartbeat(state: u8, battery: u8, temperature: u8) -> Decoded {
    let mut decoded = Decoded::new(ReportKind::Heartbeat, Some(is_occupied(state)));
    let temperature_c = f64::from(temperature.cast_signed()) / 2.0 + 10.0;
    let battery_mv = 2_500 + u32::from(battery) * 4;
    let low_mv = if temperature_c < COLD_C { LOW_COLD_MV } else { LOW_MV };
    decoded.health.temperature_c = Some(temperature_c);
    decoded.health.battery_v = Some(f64::from(battery_mv) / 1_000.0);
    decoded.health.low_battery = Some(battery_mv < low_mv);
    decoded
}
