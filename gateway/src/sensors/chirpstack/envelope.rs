//! What `ChirpStack` v4 publishes of an uplink (topic `application/+/device/+/event/up`), in either of its encodings, and what
//! it takes for a downlink.
//!
//! Its MQTT integration writes JSON or protobuf (`json` in its configuration). A message tells by its first byte which it is: no
//! protobuf message begins like a JSON object. A field with its zero value may be absent in both, so none is required
//! here; unknown fields are ignored.

mod json;
mod protobuf;

use super::super::codecs::Downlink;

/// Longest application payload of LoRaWAN, bytes, at any data rate of any region (RP002-1.0.4).
pub(super) const PAYLOAD_BYTES_MAX: usize = 242;
/// Longest message identity taken over; `ChirpStack` uses UUIDs of 36.
const MESSAGE_ID_BYTES_MAX: usize = 64;
/// A device EUI, hexadecimal.
const DEV_EUI_DIGITS: usize = 16;

/// Why an envelope cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Neither encoding of an uplink.
    #[error("no ChirpStack uplink, in JSON or in protobuf ({0}); does something else publish to this topic?")]
    Encoding(String),
    /// No device, or an impossible one.
    #[error("\"{0}\" is no devEui: expected 16 hexadecimal digits in deviceInfo.devEui")]
    DevEui(String),
    /// The payload is not readable.
    #[error("field data: {0}")]
    Data(String),
    /// The time is not readable.
    #[error("field time: \"{0}\" is no RFC 3339 time")]
    Time(String),
    /// The port is none.
    #[error("field fPort: {0} is no port of LoRaWAN")]
    Port(u32),
    /// The identity of the message is too long to keep.
    #[error("field deduplicationId has {0} bytes; at most 64 are taken")]
    MessageId(usize),
}

/// How a network server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// JSON, `json=true`.
    Json,
    /// Protobuf, `json=false`.
    Protobuf,
}

/// An uplink.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    /// How it was written.
    pub encoding: Encoding,
    /// `deduplicationId`: one for all receivers that heard the same frame.
    pub message: Option<String>,
    /// When the network server received it.
    pub time: Option<jiff::Timestamp>,
    /// The device, lower-case hexadecimal.
    pub dev_eui: String,
    /// Frame counter.
    pub f_cnt: u32,
    /// Application port; 0 carries no application payload.
    pub f_port: u8,
    /// Application payload.
    pub payload: Vec<u8>,
    /// Signal strength at the best receiver, dBm.
    pub rssi_dbm: Option<i32>,
    /// Signal to noise ratio at that receiver, dB.
    pub snr_db: Option<f64>,
}

/// What an envelope tells, not looked at yet.
struct Told {
    deduplication_id: String,
    time: Option<jiff::Timestamp>,
    dev_eui: String,
    f_cnt: u32,
    f_port: u32,
    data: Vec<u8>,
    receivers: Vec<Receiver>,
}

/// How well a receiver heard it.
struct Receiver {
    rssi_dbm: Option<i32>,
    snr_db: f64,
}

impl Uplink {
    /// Reads an uplink in either encoding.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let encoding = Encoding::of(bytes);
        let told = match encoding {
            Encoding::Json => json::read(bytes)?,
            Encoding::Protobuf => protobuf::read(bytes)?,
        };
        let dev_eui = normal_dev_eui(&told.dev_eui).ok_or(EnvelopeError::DevEui(told.dev_eui))?;
        let id_bytes = told.deduplication_id.len();
        if id_bytes > MESSAGE_ID_BYTES_MAX {
            return Err(EnvelopeError::MessageId(id_bytes));
        }
        let bytes = told.data.len();
        if bytes > PAYLOAD_BYTES_MAX {
            let reason = format!("{bytes} bytes; LoRaWAN carries at most {PAYLOAD_BYTES_MAX}");
            return Err(EnvelopeError::Data(reason));
        }
        let best = told
            .receivers
            .into_iter()
            .max_by_key(|receiver| receiver.rssi_dbm.unwrap_or(i32::MIN));
        Ok(Self {
            encoding,
            message: Some(told.deduplication_id).filter(|id| !id.is_empty()),
            time: told.time,
            dev_eui,
            f_cnt: told.f_cnt,
            f_port: u8::try_from(told.f_port).map_err(|_| EnvelopeError::Port(told.f_port))?,
            payload: told.data,
            rssi_dbm: best.as_ref().and_then(|best| best.rssi_dbm),
            snr_db: best.map(|best| best.snr_db),
        })
    }

    /// The frame carries no application payload: only network commands, which prove that the device lives.
    pub fn is_network_only(&self) -> bool {
        self.f_port == 0 && self.payload.is_empty()
    }
}

impl Encoding {
    /// That of a message.
    pub(super) fn of(message: &[u8]) -> Self {
        if message.trim_ascii_start().first() == Some(&b'{') {
            Self::Json
        } else {
            Self::Protobuf
        }
    }

    /// What the network server takes for a downlink to device `dev_eui` (topic `…/command/down`).
    pub(super) fn downlink(self, dev_eui: &str, downlink: &Downlink) -> Vec<u8> {
        match self {
            Self::Json => json::downlink(dev_eui, downlink),
            Self::Protobuf => protobuf::downlink(dev_eui, downlink),
        }
    }
}

/// A device EUI as identifiers write it, if `text` is one.
pub(super) fn normal_dev_eui(text: &str) -> Option<String> {
    let is_eui = text.len() == DEV_EUI_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_eui.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
