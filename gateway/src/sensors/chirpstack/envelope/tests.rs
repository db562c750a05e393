//! Both encodings, and what is none.

use super::*;
use crate::sensors::codecs::unhex;

/// `UplinkEvent` with all kinds of fields, as the `ChirpStack` API's Python package 4.20.0 writes it.
const PROTOBUF: &str = "0a2433616337653363342d343430312d346238642d393338362d613563393032663932303264120c088b9becca06108898e8d9\
    011a4a0a2435326631346364342d633666312d346662642d386638372d3430323565316434393234323a036261794210373062336435326330303031\
    613266344a0b0a0573706163651202413122083030313839343430280130013804400148015201015a100a0e0a086f6363757069656412022001622a\
    0a103030313663303031663135336131346310cfdeefda0f308affffffffffffffff013d000018c1400362220a10303031366330303166313533613134\
    6430dcffffffffffffffff013d000028416a060880d49bb803";

fn protobuf() -> Vec<u8> {
    unhex(PROTOBUF).unwrap()
}

#[test]
fn the_same_uplink_reads_the_same_in_both_encodings() {
    let json = br#"{"deduplicationId":"3ac7e3c4-4401-4b8d-9386-a5c902f9202d","time":"2026-01-05T01:02:03.456789Z",
        "deviceInfo":{"devEui":"70b3d52c0001a2f4"},"fCnt":4,"fPort":1,"data":"AQ==",
        "rxInfo":[{"rssi":-118,"snr":-9.5},{"rssi":-36,"snr":10.5}]}"#;
    let written = Uplink::parse(json).unwrap();
    let packed = Uplink::parse(&protobuf()).unwrap();
    assert_eq!(
        (written.encoding, packed.encoding),
        (Encoding::Json, Encoding::Protobuf)
    );
    assert_eq!((packed.rssi_dbm, packed.snr_db), (Some(-36), Some(10.5)));
    let written = Uplink {
        encoding: Encoding::Protobuf,
        ..written
    };
    assert_eq!(written, packed);
}

#[test]
fn a_downlink_is_what_the_network_server_s_own_library_writes() {
    let downlink = Downlink {
        port: 55,
        payload: vec![1, 2],
    };
    let of = |encoding: Encoding| encoding.downlink("70b3d52c0001a2f4", &downlink);
    let packed = "12103730623364353263303030316132663420372a020102";
    assert_eq!(of(Encoding::Protobuf), unhex(packed).unwrap());
    let written: serde_json::Value = serde_json::from_slice(&of(Encoding::Json)).unwrap();
    assert_eq!((&written["fPort"], &written["data"]), (&55.into(), &"AQI=".into()));
}

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
        ("not json".to_owned(), "in JSON or in protobuf"),
        ("[]".to_owned(), "in JSON or in protobuf"),
        (String::new(), "16 hexadecimal digits"),
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
        (format!("{{{device},\"fCnt\":-1}}"), "in JSON or in protobuf"),
        (format!("{{{device},\"fPort\":256}}"), "256 is no port"),
        (
            format!("{{{device},\"deduplicationId\":\"{}\"}}", "x".repeat(65)),
            "at most 64",
        ),
    ] {
        let error = Uplink::parse(json.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(told), "{json}: {error}");
    }
}

#[test]
fn a_protobuf_that_is_cut_off_or_turned_is_refused_or_read_and_never_more() {
    let whole = protobuf();
    for end in 0..whole.len() {
        let _unusable = Uplink::parse(&whole[..end]);
    }
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut turned = whole.clone();
            turned[place] ^= 1 << bit;
            if let Ok(uplink) = Uplink::parse(&turned) {
                assert!(uplink.payload.len() <= PAYLOAD_BYTES_MAX);
            }
        }
    }
    let no_time = unhex("120a08ffffffffffffffff7f").unwrap();
    let error = Uplink::parse(&no_time).unwrap_err().to_string();
    assert!(error.starts_with("field time: "), "{error}");
}
