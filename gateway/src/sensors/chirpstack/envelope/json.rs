//! Envelopes in JSON.
//!
//! Source: `ChirpStack` v4, integration event `UplinkEvent` and `DownlinkCommand` in the JSON mapping of protobuf.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::{EnvelopeError, Receiver, Told};
use crate::sensors::codecs::Downlink;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    deduplication_id: Option<String>,
    time: Option<String>,
    device_info: Option<DeviceInfo>,
    f_cnt: Option<u32>,
    f_port: Option<u32>,
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

pub(super) fn read(json: &[u8]) -> Result<Told, EnvelopeError> {
    let wire: Wire = serde_json::from_slice(json).map_err(|error| EnvelopeError::Encoding(error.to_string()))?;
    let time = wire
        .time
        .map(|time| time.parse().map_err(|_| EnvelopeError::Time(time)));
    let receivers = wire.rx_info.unwrap_or_default().into_iter().map(|rx| Receiver {
        rssi_dbm: rx.rssi,
        // An absent ratio is 0 dB, the zero value.
        snr_db: rx.snr.unwrap_or(0.0),
    });
    Ok(Told {
        deduplication_id: wire.deduplication_id.unwrap_or_default(),
        time: time.transpose()?,
        dev_eui: wire.device_info.and_then(|info| info.dev_eui).unwrap_or_default(),
        f_cnt: wire.f_cnt.unwrap_or(0),
        f_port: wire.f_port.unwrap_or(0),
        data: payload(wire.data.as_deref().unwrap_or_default())?,
        receivers: receivers.collect(),
    })
}

fn payload(data: &str) -> Result<Vec<u8>, EnvelopeError> {
    // Encoders of other makes leave the padding out.
    const TOLERANT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&alphabet::STANDARD, TOLERANT)
        .decode(data)
        .map_err(|error| EnvelopeError::Data(format!("not base64 ({error})")))
}

pub(super) fn downlink(dev_eui: &str, downlink: &Downlink) -> Vec<u8> {
    let item = serde_json::json!({
        "devEui": dev_eui,
        "confirmed": false,
        "fPort": downlink.port,
        "data": STANDARD.encode(&downlink.payload),
    });
    item.to_string().into_bytes()
}
