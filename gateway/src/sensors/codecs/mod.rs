//! What the bytes of a sensor mean: one file a device family, each a pure function from port and payload to
//! [`Decoded`]. A codec accepts what its vendor documents and nothing else: a payload that was misread would be money.

mod bosch_tps110;
mod dingtek_do20x;
mod downlink;
mod libelium_smart_parking;
mod milesight_em400_mud;
mod netvox_r719a;
mod nwave;
mod nwave_ncc405;
mod nwave_nps310;
mod nwave_nps405;
mod pni_placepod;
mod tekzitel_tekzipark;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::DateTime;
use parking::{PreviousState, Report, ReportKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use downlink::{Argument, Command, CommandError, Downlink, Downlinks, Spec, Values};

/// What a payload holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// What bears on parking.
    pub report: Report,
    /// What bears on the sensor's health.
    pub health: Health,
    /// What else it says, by name. Shown by the decode command, never kept.
    pub details: Vec<(&'static str, Value)>,
    /// A driver's tag, hexadecimal. Names a person: shown by the decode command, never kept.
    pub tag_id: Option<String>,
}

/// How a sensor is doing. Goes to the state lane, not to the ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Temperature at the sensor, degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    /// Battery voltage, volts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_v: Option<f64>,
    /// The battery should be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_battery: Option<bool>,
    /// Distance to whatever is in front of the sensor, millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_mm: Option<u32>,
    /// How far the magnetic field is from that of the free space, nanotesla.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_off_nt: Option<f64>,
    /// What it sees has not moved for longer than is plausible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stuck: Option<bool>,
    /// Firmware version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Why the sensor restarted, in its vendor's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_cause: Option<String>,
    /// Signal strength at the best receiver, dBm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rssi_dbm: Option<i32>,
    /// Signal to noise ratio at that receiver, dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr_db: Option<f64>,
}

impl Health {
    /// Takes over what another tells; what it does not tell stays.
    pub fn update(&mut self, newer: &Self) {
        let Self {
            temperature_c,
            battery_v,
            low_battery,
            distance_mm,
            field_off_nt,
            stuck,
            firmware,
            reset_cause,
            rssi_dbm,
            snr_db,
        } = newer;
        self.temperature_c = temperature_c.or(self.temperature_c);
        self.battery_v = battery_v.or(self.battery_v);
        self.low_battery = low_battery.or(self.low_battery);
        self.distance_mm = distance_mm.or(self.distance_mm);
        self.field_off_nt = field_off_nt.or(self.field_off_nt);
        // Told only while it lasts.
        self.stuck = *stuck;
        self.firmware = firmware.clone().or_else(|| self.firmware.take());
        self.reset_cause = reset_cause.clone().or_else(|| self.reset_cause.take());
        self.rssi_dbm = rssi_dbm.or(self.rssi_dbm);
        self.snr_db = snr_db.or(self.snr_db);
    }
}

/// Why a payload cannot be decoded, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The sensor does not send on this port.
    #[error("no message of {profile} comes on port {port}; expected {expected}")]
    Port {
        /// The profile.
        profile: String,
        /// The port.
        port: u8,
        /// The ports there are.
        expected: String,
    },
    /// The message on this port has another length.
    #[error("{length} bytes on port {port} of {profile}; expected {expected}")]
    Length {
        /// The profile.
        profile: String,
        /// The port.
        port: u8,
        /// Length of the payload, bytes.
        length: usize,
        /// The lengths there are, and what they hold.
        expected: String,
    },
    /// The content is none that the vendor documents.
    #[error("port {port}: {reason}")]
    Content {
        /// The port.
        port: u8,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// The profile is of sensors that do not send bytes.
    #[error("sensors of profile {profile} send no payload of bytes; expected a profile with a codec")]
    NoCodec {
        /// The profile.
        profile: String,
    },
}

/// A codec: application port and payload to what they mean.
pub type Decode = fn(port: u8, payload: &[u8]) -> Result<Decoded, CodecError>;

/// A device family.
#[derive(Debug)]
pub struct Codec {
    /// The name that profiles use.
    pub name: &'static str,
    /// Reads what its sensors send.
    pub decode: Decode,
    /// What its sensors can be told.
    pub downlinks: Option<Downlinks>,
    /// What a report waits for, if its sensors wait for anything.
    pub answer: Option<Answer>,
}

/// What a report that came by this port waits for at this local time.
pub(super) type Answer = fn(u8, &Decoded, DateTime) -> Option<Downlink>;

/// All of them.
pub(super) static CODECS: [Codec; 10] = [
    Codec {
        name: "bosch-tps110",
        decode: bosch_tps110::decode,
        downlinks: Some(bosch_tps110::DOWNLINKS),
        answer: None,
    },
    Codec {
        name: "dingtek-do20x",
        decode: dingtek_do20x::decode,
        downlinks: Some(dingtek_do20x::DOWNLINKS),
        answer: None,
    },
    Codec {
        name: "libelium-smart-parking",
        decode: libelium_smart_parking::decode,
        downlinks: Some(libelium_smart_parking::DOWNLINKS),
        answer: Some(libelium_smart_parking::answer),
    },
    Codec {
        name: "milesight-em400-mud",
        decode: milesight_em400_mud::decode,
        downlinks: Some(milesight_em400_mud::DOWNLINKS),
        answer: None,
    },
    Codec {
        name: "netvox-r719a",
        decode: netvox_r719a::decode,
        downlinks: Some(netvox_r719a::DOWNLINKS),
        answer: None,
    },
    Codec {
        name: "nwave-ncc405",
        decode: nwave_ncc405::decode,
        downlinks: Some(nwave_ncc405::DOWNLINKS),
        answer: None,
    },
    Codec {
        name: "nwave-nps310",
        decode: nwave_nps310::decode,
        downlinks: None,
        answer: None,
    },
    Codec {
        name: "nwave-nps405",
        decode: nwave_nps405::decode,
        downlinks: None,
        answer: None,
    },
    Codec {
        name: "pni-placepod",
        decode: pni_placepod::decode,
        downlinks: None,
        answer: None,
    },
    Codec {
        name: "tekzitel-tekzipark",
        decode: tekzitel_tekzipark::decode,
        downlinks: Some(tekzitel_tekzipark::DOWNLINKS),
        answer: None,
    },
];

impl Decoded {
    fn new(kind: ReportKind, occupied: Option<bool>) -> Self {
        Self {
            report: Report {
                kind,
                occupied,
                ..Report::default()
            },
            ..Self::default()
        }
    }

    fn detail(&mut self, name: &'static str, value: impl Into<Value>) {
        self.details.push((name, value.into()));
    }

    /// The flat form in which commands print it: one JSON object, `occupied` always there.
    pub fn view(&self) -> impl Serialize + '_ {
        let Report {
            kind,
            occupied,
            previous_state,
            usage,
            count,
        } = &self.report;
        let usage = usage.unwrap_or_default();
        View {
            kind: *kind,
            occupied: *occupied,
            previous_state_minutes: previous_state.map(|PreviousState { minutes_min, .. }| minutes_min),
            previous_state_minutes_max: previous_state.map(|PreviousState { minutes_max, .. }| minutes_max),
            count: *count,
            state_changes: usage.state_changes,
            occupied_seconds: usage.occupied_seconds,
            health: &self.health,
            details: self.details.iter().map(|(name, value)| (*name, value)).collect(),
            tag_id: self.tag_id.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct View<'a> {
    kind: ReportKind,
    occupied: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_state_minutes: Option<u32>,
    /// Null when the sensor's counter ran over.
    // Absent, null and a number are three different things to say.
    #[allow(clippy::option_option)]
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_state_minutes_max: Option<Option<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_changes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occupied_seconds: Option<u32>,
    #[serde(flatten)]
    health: &'a Health,
    #[serde(flatten)]
    details: BTreeMap<&'static str, &'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_id: Option<&'a str>,
}

/// Error of a codec that was called past its profile's table of ports and lengths.
fn undocumented(port: u8, payload: &[u8]) -> CodecError {
    CodecError::Content {
        port,
        reason: format!("{} bytes are no message of this sensor", payload.len()),
    }
}

/// Bytes as people write them, two digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes whatever it is given.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Why a text is no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// Something else stands in it.
    #[error("'{0}' is no hexadecimal digit; expected a payload such as 01ff")]
    Digit(char),
    /// A digit is missing.
    #[error("{0} hexadecimal digits; expected two for each byte")]
    Odd(usize),
}

/// Bytes of a text of hexadecimal digits; spaces and colons are ignored.
pub fn unhex(text: &str) -> Result<Vec<u8>, HexError> {
    let digits = text.chars().filter(|c| !c.is_whitespace() && *c != ':');
    let values: Result<Vec<u8>, HexError> = digits
        .map(|digit| {
            let value = digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
            value.ok_or(HexError::Digit(digit))
        })
        .collect();
    let values = values?;
    if values.len() % 2 == 1 {
        return Err(HexError::Odd(values.len()));
    }
    Ok(values.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn firmware(major: u8, minor: u8, patch: u8) -> String {
    format!("{major}.{minor}.{patch}")
}
