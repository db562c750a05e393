//! The JSON in which `ChirpStack` v4 publishes an uplink (topic `application/+/device/+/event/up`).
//!
//! Source: `ChirpStack` v4, integration event `UplinkEvent` in the JSON mapping of protobuf: a field with its zero value
//! may be absent, so none is required here; unknown fields are ignored.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// Longest application payload of LoRaWAN, bytes.
const PAYLOAD_BYTES_MAX: usize = 242;
/// Longest message identity taken over; `ChirpStack` uses UUIDs of 36.
const MESSAGE_ID_BYTES_MAX: usize = 64;
/// A device EUI, hexadecimal.
const DEV_EUI_DIGITS: usize = 16;

/// Why an envelope cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the JSON of an uplink.
    #[error("no ChirpStack uplink in JSON ({0}); is `json=true` set in ChirpStack's MQTT integration?")]
    Json(String),
    /// No device, or an impossible one.
    #[error("\"{0}\" is no devEui: expected 16 hexadecimal digits in deviceInfo.devEui")]
    DevEui(String),
    /// The payload is not readable.
    #[error("field data: {0}")]
    Data(String),
    /// The time is not readable.
    #[error("field time: \"{0}\" is no RFC 3339 time")]
    Time(String),
    /// The identity of the message is too long to keep.
    #[error("field deduplicationId has {0} bytes; at most 64 are taken")]
    MessageId(usize),
}

/// An uplink.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    deduplication_id: Option<String>,
    time: Option<String>,
    device_info: Option<DeviceInfo>,
    f_cnt: Option<u32>,
    f_port: Option<u8>,
    data: Option<String>,
    rx_info: Option<Vec<RxInfo>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceInfo {
    dev_eui: Option<String>,
}

#[derive(Deserialize)]
struct RxInfo {
    rssi: Option<i32>,
    snr: Option<f64>,
}

impl Uplink {
    /// Reads the JSON of an uplink.
    pub fn parse(json: &[u8]) -> Result<Self, EnvelopeError> {
        let wire: Wire = serde_json::from_slice(json).map_err(|error| EnvelopeError::Json(error.to_string()))?;
        let dev_eui = wire.device_info.and_then(|info| info.dev_eui).unwrap_or_default();
        let dev_eui = normal_dev_eui(&dev_eui).ok_or(EnvelopeError::DevEui(dev_eui))?;
        if let Some(id) = wire
            .deduplication_id
            .as_ref()
            .filter(|id| id.len() > MESSAGE_ID_BYTES_MAX)
        {
            return Err(EnvelopeError::MessageId(id.len()));
        }
        let time = wire
            .time
            .map(|time| time.parse().map_err(|_| EnvelopeError::Time(time)))
            .transpose()?;
        let best = wire
            .rx_info
            .unwrap_or_default()
            .into_iter()
            .max_by_key(|rx| rx.rssi.unwrap_or(i32::MIN));
        Ok(Self {
            message: wire.deduplication_id.filter(|id| !id.is_empty()),
            time,
            dev_eui,
            f_cnt: wire.f_cnt.unwrap_or(0),
            f_port: wire.f_port.unwrap_or(0),
            payload: payload(wire.data.as_deref().unwrap_or_default())?,
            rssi_dbm: best.as_ref().and_then(|rx| rx.rssi),
            // An absent ratio is 0 dB, the zero value.
            snr_db: best.map(|rx| rx.snr.unwrap_or(0.0)),
        })
    }

    /// The frame carries no application payload: only network commands, which prove that the device lives.
    pub fn is_network_only(&self) -> bool {
        self.f_port == 0 && self.payload.is_empty()
    }
}

/// A device EUI as identifiers write it, if `text` is one.
pub(super) fn normal_dev_eui(text: &str) -> Option<String> {
    let is_eui = text.len() == DEV_EUI_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_eui.then(|| text.to_ascii_lowercase())
}

fn payload(data: &str) -> Result<Vec<u8>, EnvelopeError> {
    // Encoders of other makes leave the padding out.
    const TOLERANT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let payload = GeneralPurpose::new(&alphabet::STANDARD, TOLERANT)
        .decode(data)
        .map_err(|error| EnvelopeError::Data(format!("not base64 ({error})")))?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(EnvelopeError::Data(format!(
            "{} bytes; LoRaWAN carries at most {PAYLOAD_BYTES_MAX}",
            payload.len()
        )));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_their_zero_value_may_be_absent() {
        let uplink = Uplink::parse(br#"{"deviceInfo":{"devEui":"70B3D52C0001A2F4"}}"#).unwrap();
        assert_eq!(uplink.dev_eui, "70b3d52c0001a2f4");
        assert_eq!((uplink.f_cnt, uplink.f_port, uplink.payload.len()), (0, 0, 0));
        assert_eq!(
            (uplink.message.as_ref(), uplink.time, uplink.rssi_dbm, uplink.snr_db),
            (None, None, None, None)
        );
        assert!(uplink.is_network_only());
    }

    #[test]
    fn the_strongest_receiver_tells_the_signal() {
        let uplink = Uplink::parse(
            br#"{"deviceInfo":{"devEui":"70b3d52c0001a2f4"},
                 "rxInfo":[{"rssi":-118,"snr":-9.5},{"snr":3},{"rssi":-71,"gatewayId":"x"},{"rssi":-90,"snr":7.25}]}"#,
        )
        .unwrap();
        assert_eq!((uplink.rssi_dbm, uplink.snr_db), (Some(-71), Some(0.0)));
    }

    #[test]
    fn an_envelope_that_cannot_be_used_says_what_was_expected() {
        let device = r#""deviceInfo":{"devEui":"70b3d52c0001a2f4"}"#;
        for (json, told) in [
            ("not json".to_owned(), "json=true"),
            ("[]".to_owned(), "json=true"),
            ("{}".to_owned(), "16 hexadecimal digits"),
            (
                r#"{"deviceInfo":{"devEui":"70b3d52c0001a2f"}}"#.to_owned(),
                "16 hexadecimal digits",
            ),
            (
                r#"{"deviceInfo":{"devEui":"../../etc/passwd"}}"#.to_owned(),
                "16 hexadecimal digits",
            ),
            (format!("{{{device},\"data\":\"%%\"}}"), "base64"),
            (format!("{{{device},\"data\":\"{}\"}}", "AAAA".repeat(82)), "242"),
            (format!("{{{device},\"time\":\"yesterday\"}}"), "RFC 3339"),
            (format!("{{{device},\"fCnt\":-1}}"), "json=true"),
            (format!("{{{device},\"fPort\":256}}"), "json=true"),
            (
                format!("{{{device},\"deduplicationId\":\"{}\"}}", "x".repeat(65)),
                "at most 64",
            ),
        ] {
            let error = Uplink::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
