//! Foreign bytes: no payload, on whatever port, and no envelope makes the program fall over.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use futures::FutureExt;
use gateway::sensors::Profiles;
use gateway::sensors::chirpstack::envelope::Uplink;
use parking::Timestamp;

#[test]
fn no_payload_makes_a_codec_panic_or_say_what_cannot_be_written() {
    bolero::check!()
        .with_type::<(u8, Vec<u8>)>()
        .for_each(|(port, payload)| {
            let codecs = Profiles::built_in().all().filter(|profile| profile.script().is_none());
            for profile in codecs {
                match profile.decode(*port, payload, Timestamp::EPOCH).now_or_never().unwrap() {
                    Ok(decoded) => assert!(
                        serde_json::to_string(&decoded.view())
                            .unwrap()
                            .contains("\"occupied\":")
                    ),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        });
}

#[test]
fn no_bytes_make_the_envelope_panic() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _unusable = Uplink::parse(bytes);
    });
}

#[test]
fn whatever_an_envelope_holds_in_its_fields_is_taken_or_refused() {
    bolero::check!()
        .with_type::<(String, String, u16, u64)>()
        .for_each(|(text, data, port, count)| {
            let json = serde_json::json!({
                "deduplicationId": text, "time": text, "deviceInfo": {"devEui": "70b3d52c0001a2f4"},
                "fCnt": count, "fPort": port, "data": data,
            });
            if let Ok(uplink) = Uplink::parse(json.to_string().as_bytes()) {
                assert!(uplink.payload.len() <= 242);
                assert_eq!(u64::from(uplink.f_cnt), *count);
            }
        });
}
