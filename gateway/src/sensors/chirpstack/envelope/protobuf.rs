//! Envelopes in protobuf: of each message the fields that are used here.
//!
//! Source: `ChirpStack` v4, `integration.proto` and `gw.proto` of its API; `google/protobuf/timestamp.proto`.

use prost::Message as _;

use super::{EnvelopeError, Receiver, Told};
use crate::sensors::codecs::Downlink;

#[derive(Clone, PartialEq, prost::Message)]
struct UplinkEvent {
    #[prost(string, tag = "1")]
    deduplication_id: String,
    #[prost(message, optional, tag = "2")]
    time: Option<Time>,
    #[prost(message, optional, tag = "3")]
    device_info: Option<DeviceInfo>,
    #[prost(uint32, tag = "7")]
    f_cnt: u32,
    #[prost(uint32, tag = "8")]
    f_port: u32,
    #[prost(bytes = "vec", tag = "10")]
    data: Vec<u8>,
    #[prost(message, repeated, tag = "12")]
    rx_info: Vec<UplinkRxInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DeviceInfo {
    #[prost(string, tag = "8")]
    dev_eui: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct UplinkRxInfo {
    #[prost(int32, tag = "6")]
    rssi: i32,
    #[prost(float, tag = "7")]
    snr: f32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DownlinkCommand {
    #[prost(string, tag = "2")]
    dev_eui: String,
    #[prost(uint32, tag = "4")]
    f_port: u32,
    #[prost(bytes = "vec", tag = "5")]
    data: Vec<u8>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Told, EnvelopeError> {
    let event = UplinkEvent::decode(bytes).map_err(|error| EnvelopeError::Encoding(error.to_string()))?;
    let time = event.time.map(|time| {
        jiff::Timestamp::new(time.seconds, time.nanos)
            .map_err(|_| EnvelopeError::Time(format!("{} s and {} ns", time.seconds, time.nanos)))
    });
    let receivers = event.rx_info.into_iter().map(|rx| Receiver {
        // No radio hears 0 dBm: it was not told.
        rssi_dbm: Some(rx.rssi).filter(|dbm| *dbm != 0),
        snr_db: rx.snr.into(),
    });
    Ok(Told {
        deduplication_id: event.deduplication_id,
        time: time.transpose()?,
        dev_eui: event.device_info.map(|info| info.dev_eui).unwrap_or_default(),
        f_cnt: event.f_cnt,
        f_port: event.f_port,
        data: event.data,
        receivers: receivers.collect(),
    })
}

pub(super) fn downlink(dev_eui: &str, downlink: &Downlink) -> Vec<u8> {
    let command = DownlinkCommand {
        dev_eui: dev_eui.to_owned(),
        f_port: downlink.port.into(),
        data: downlink.payload.clone(),
    };
    command.encode_to_vec()
}
