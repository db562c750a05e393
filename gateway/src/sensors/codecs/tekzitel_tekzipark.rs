//! Tekzitel TEKZIPARK: radar, magnetometer and a reader of BLE beacons.
//!
//! Source: the vendor's codec in TheThingsNetwork/lorawan-devices (`vendor/tekzitel/tekzipark.js`) with its examples; no
//! manual is published, so values of the configuration are kept as they are sent. The radar bit is set in the published
//! vacant example too: only bit 7 says whether the space is occupied. An early draft of that codec left its fields
//! unshifted; every published payload bears out the present one.

use parking::ReportKind;

use super::downlink::{Argument, Command, Downlink, Downlinks, Read, Spec, Values};
use super::{CodecError, Decoded, undocumented};

const CONFIGURATION_PORT: u8 = 3;

pub(super) const DOWNLINKS: Downlinks = Downlinks {
    commands: &COMMANDS,
    encode,
    read,
};

/// A field of the configuration, in the order in which they stand in its 64 bits, with its width.
const FIELDS: [(Argument, u32); 27] = [
    field("suppress_baseline_offset", 1),
    field("radar_start_range", 3),
    field("fluctuations_count", 4),
    field("downlink_frequency", 1),
    field("axis_deflection", 2),
    field("debug_mode", 1),
    field("deflection_threshold_mag", 4),
    field("zero_neg_drop", 1),
    field("oversampling", 2),
    field("hw_acc_samples_no", 2),
    field("fluctuation_threshold_xy", 3),
    field("sleep_time", 3),
    field("reset_control", 1),
    field("mag_reboot", 1),
    field("fluctuation_delay_time", 3),
    field("axis_fluctuations", 2),
    field("fluctuation_threshold_z", 3),
    field("self_heal", 1),
    field("keepalive_period", 2),
    field("radar_scan_count", 4),
    field("obstruction_check", 1),
    field("reflection_threshold_radar", 3),
    field("oi", 1),
    field("send_rssi", 1),
    field("beacons_scan_no", 3),
    field("ble_scan_window", 3),
    field("ble_scan_rssi", 8),
];

const fn field(name: &'static str, bits: u32) -> (Argument, u32) {
    let values = Values::Number(0..=(1 << bits) - 1);
    (Argument { name, values }, bits)
}

const ARGUMENTS: [Argument; FIELDS.len()] = {
    let mut arguments = [const { field("", 1).0 }; FIELDS.len()];
    let mut index = 0;
    while index < FIELDS.len() {
        arguments[index] = field(FIELDS[index].0.name, FIELDS[index].1).0;
        index += 1;
    }
    arguments
};

const COMMANDS: [Spec; 1] = [Spec {
    name: "configure",
    about: "sets the whole configuration; codes as the vendor has them, all 27 of them",
    arguments: &ARGUMENTS,
}];

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    match (port, payload) {
        (1, &[state, temperature, id]) => Ok(status(state, temperature, id)),
        (1, &[state, temperature, id, rssi, ref beacons @ ..]) if beacons.len().is_multiple_of(2) => {
            let mut decoded = status(state, temperature, id);
            decoded.detail("beacon_rssi_dbm", rssi.cast_signed());
            let beacons = beacons.chunks_exact(2).map(|pair| match *pair {
                [high, low] => u16::from_be_bytes([high, low]),
                _ => 0,
            });
            decoded.detail("beacons", beacons.collect::<Vec<_>>());
            Ok(decoded)
        }
        (2, &[state, temperature, id, ref axes @ .., fault, obstruction, reflection]) if axes.len() == 6 => {
            let mut decoded = status(state, temperature, id);
            let names = [
                "deflection_x",
                "deflection_y",
                "deflection_z",
                "baseline_x",
                "baseline_y",
                "baseline_z",
            ];
            for (name, value) in names.into_iter().zip(axes) {
                decoded.detail(name, value.cast_signed());
            }
            decoded.detail("fault_code", fault);
            decoded.detail("obstruction_level", obstruction);
            decoded.detail("radar_reflection", reflection);
            Ok(decoded)
        }
        _ => Err(undocumented(port, payload)),
    }
}

fn status(state: u8, temperature: u8, id: u8) -> Decoded {
    let bit = |bit: u8| state & (1 << bit) != 0;
    let kind = match (bit(1), bit(0)) {
        (true, _) => ReportKind::Startup,
        (false, true) => ReportKind::Heartbeat,
        (false, false) => ReportKind::Status,
    };
    let mut decoded = Decoded::new(kind, Some(bit(7)));
    decoded.health.temperature_c = Some(temperature.cast_signed().into());
    decoded.health.low_battery = Some(!bit(5));
    decoded.detail("obstructed", bit(4));
    decoded.detail("radar_detection", bit(3));
    decoded.detail("no_beacon", bit(2));
    decoded.detail("parking_id", id);
    decoded
}

#[allow(clippy::unnecessary_wraps)] // the form of the table
fn encode(command: &Command) -> Result<Downlink, String> {
    let word = FIELDS.iter().fold(0_u64, |word, (argument, bits)| {
        word << bits | u64::from(command.byte(argument.name))
    });
    Ok(Downlink {
        port: CONFIGURATION_PORT,
        payload: word.to_be_bytes().to_vec(),
    })
}

fn read(port: u8, payload: &[u8]) -> Result<Read, CodecError> {
    let (CONFIGURATION_PORT, Ok(bytes)) = (port, <[u8; 8]>::try_from(payload)) else {
        return Err(CodecError::Content {
            port,
            reason: "no command of this sensor; expected 8 bytes on port 3".to_owned(),
        });
    };
    let (word, mut left) = (u64::from_be_bytes(bytes), u64::BITS);
    let values = FIELDS.iter().map(|(_, bits)| {
        left -= bits;
        i64::from((word >> left).to_le_bytes()[0] & (u8::MAX >> (u8::BITS - bits)))
    });
    Ok(("configure", values.collect()))
}
