//! Nwave NCC405 SM and FM, a counter of vehicles.
//!
//! Source: Nwave, "LoRaWAN Car Counter, Getting Started", section 4, and its codec in TheThingsNetwork/lorawan-devices.
//! The count goes on from the sensor's start and keeps its 16 lowest bits: it runs over, and begins at 0 after a restart,
//! but not when the sensor only joins the network again (cause 0). Battery voltage is 2.5 V plus 4 mV a count as in the
//! codec; an older manual has 2.4 V plus 5 mV, which is the same in the middle of the range.

use parking::ReportKind;

use super::downlink::{Command, Downlink, Downlinks, Read, Spec, number};
use super::nwave::{reset_cause, startup};
use super::{CodecError, Decoded, undocumented};

/// The cause of a start-up that is none.
const REJOINED: u8 = 0;

const RADIO_PORT: u8 = 52;
const POLICY_PORT: u8 = 53;
pub(super) const DOWNLINKS: Downlinks = Downlinks {
    commands: &COMMANDS,
    encode,
    read,
};

const COMMANDS: [Spec; 3] = [
    Spec {
        name: "radio",
        about: "data rate (0 is SF12, 5 is SF7), adaptive rate, and how often a count is sent: 0 confirmed, else so many times unconfirmed",
        arguments: &[
            number("data_rate", 0, 5),
            number("adaptive", 0, 1),
            number("repetitions", 0, 4),
        ],
    },
    Spec {
        name: "report_every",
        about: "sends the count so often, whether or not there was a vehicle",
        arguments: &[number("seconds", 1, 4_094)],
    },
    Spec {
        name: "report_policy",
        about: "sends the count so long after the last time: without a vehicle, after one, after two; default 3600, 60, 40",
        arguments: &[
            number("idle_seconds", 1, 4_094),
            number("one_seconds", 1, 4_094),
            number("two_seconds", 1, 4_094),
        ],
    },
];

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    match (port, payload) {
        (1, &[high, low]) => {
            let mut decoded = Decoded::new(ReportKind::Count, None);
            decoded.report.count = Some(u16::from_be_bytes([high, low]).into());
            Ok(decoded)
        }
        (2, &[health, battery, battery_mean]) => {
            let mut decoded = Decoded::new(ReportKind::Heartbeat, None);
            decoded.health.battery_v = Some(volts(battery));
            decoded.detail("hw_health_status", health & 0x7f);
            decoded.detail("battery_mean_24h_v", volts(battery_mean));
            Ok(decoded)
        }
        (3, &[major, minor, patch, cause]) => {
            let mut decoded = startup([major, minor, patch], reset_cause(cause), None);
            decoded.report.count = (cause != REJOINED).then_some(0);
            Ok(decoded)
        }
        (6, _) => Ok(Decoded::new(ReportKind::Other, None)),
        _ => Err(undocumented(port, payload)),
    }
}

fn volts(count: u8) -> f64 {
    f64::from(2_500 + u32::from(count) * 4) / 1_000.0
}

/// Four bits of a number of events, twelve of seconds.
fn record(events: u8, seconds: i64) -> [u8; 2] {
    let [high, low] = [seconds.to_be_bytes()[6], seconds.to_be_bytes()[7]];
    [events << 4 | high & 0xf, low]
}

#[allow(clippy::unnecessary_wraps)] // the form of the table
fn encode(command: &Command) -> Result<Downlink, String> {
    let (port, payload) = match command.name() {
        "radio" => {
            let byte = command.byte("data_rate") | command.byte("adaptive") << 3 | command.byte("repetitions") << 4;
            (RADIO_PORT, vec![byte])
        }
        "report_every" => (POLICY_PORT, record(0, command.value("seconds")).to_vec()),
        _ => {
            let names = ["idle_seconds", "one_seconds", "two_seconds"];
            let records = (0..)
                .zip(names)
                .map(|(events, name)| record(events, command.value(name)));
            (POLICY_PORT, records.collect::<Vec<_>>().concat())
        }
    };
    Ok(Downlink { port, payload })
}

fn read(port: u8, payload: &[u8]) -> Result<Read, CodecError> {
    let seconds = |high: u8, low: u8| i64::from(u16::from_be_bytes([high & 0xf, low]));
    match (port, payload) {
        (RADIO_PORT, &[byte]) if byte < 0x80 => {
            let values = [byte & 7, byte >> 3 & 1, byte >> 4];
            Ok(("radio", values.map(i64::from).to_vec()))
        }
        (POLICY_PORT, &[high @ ..=0x0f, low]) => Ok(("report_every", vec![seconds(high, low)])),
        (POLICY_PORT, &[none @ ..=0x0f, a, one @ 0x10..=0x1f, b, two @ 0x20..=0x2f, c]) => Ok((
            "report_policy",
            vec![seconds(none, a), seconds(one, b), seconds(two, c)],
        )),
        _ => Err(CodecError::Content {
            port,
            reason: "no command of this sensor that is known; expected port 52 or 53".to_owned(),
        }),
    }
}
