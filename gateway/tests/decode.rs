//! Published payloads and envelopes, through the codecs and through `gateway sensors decode`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::io::Write;
use std::process::{Command, Output, Stdio};

use futures::FutureExt;
use gateway::sensors::{Profile, Profiles};
use parking::Timestamp;
use serde_json::{Value, json};

const PAYLOADS: &str = include_str!("vectors/lorawan.json");
const ENVELOPES: &str = include_str!("vectors/chirpstack-v4-up.json");

fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
        .collect()
}

fn decode(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(["sensors", "decode"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read its input.
    let _unread = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn every_published_payload_means_what_its_vendor_says() {
    let vectors = vectors(PAYLOADS);
    assert!(vectors.len() > 30);
    for vector in vectors {
        let profile = Profile::by_name(vector["profile"].as_str().unwrap()).unwrap();
        let port = u8::try_from(vector["port"].as_u64().unwrap()).unwrap();
        let payload = bytes(vector["bytes_hex"].as_str().unwrap());
        let decoded = profile.decode(port, &payload, Timestamp::EPOCH).now_or_never().unwrap();
        let decoded = decoded.unwrap_or_else(|error| panic!("{vector}: {error}"));
        assert_eq!(
            serde_json::to_value(decoded.view()).unwrap(),
            vector["expected"],
            "{vector}"
        );
    }
}

#[test]
fn the_command_prints_one_json_object() {
    let output = decode(&["--profile", "bosch-tps110", "--port", "1", "01"], "");
    assert!(output.status.success());
    assert_eq!(output.stdout, b"{\"kind\":\"status\",\"occupied\":true}\n");
    for spelling in [&["01 FF"][..], &["01:ff"], &["01", "ff"]] {
        let output = decode(&[&["--profile", "bosch-tps110", "--port", "2"], spelling].concat(), "");
        assert_eq!(
            output.stdout,
            b"{\"kind\":\"heartbeat\",\"occupied\":true,\"temperature_c\":-1.0}\n"
        );
    }
}

#[test]
fn the_command_reads_a_chirpstack_envelope_from_a_file_or_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    for vector in vectors(ENVELOPES) {
        let path = folder.path().join("up.json");
        std::fs::write(&path, vector["payload"].to_string()).unwrap();
        let profile = vector["profile"].as_str().unwrap();
        for (file, stdin) in [(path.to_str().unwrap(), ""), ("-", &*vector["payload"].to_string())] {
            let output = decode(&["--profile", profile, "--envelope", file], stdin);
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(printed, vector["expected"], "{}", vector["source"]);
        }
    }
}

#[test]
fn an_envelope_without_the_optional_fields_is_enough() {
    let json = r#"{"deviceInfo":{"devEui":"70B3D52C0001A2F4"},"fPort":1,"data":"AQ=="}"#;
    let output = decode(&["--profile", "bosch-tps110", "--envelope", "-"], json);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({"kind": "status", "occupied": true, "dev_eui": "70b3d52c0001a2f4", "f_cnt": 0,
                          "rssi": null, "snr": null, "received": null});
    assert_eq!(printed, expected);
}

#[test]
fn a_wrong_length_port_or_profile_ends_with_status_2_and_says_what_was_expected() {
    let envelope = |json| (vec!["--profile", "bosch-tps110", "--envelope", "-"], json);
    let plain = |arguments: &[&'static str]| ([&["--profile"], arguments].concat(), "");
    for ((arguments, stdin), told) in [
        (
            plain(&["bosch-tps110", "--port", "1", "0101"]),
            "expected 1 (parking status)",
        ),
        (plain(&["bosch-tps110", "--port", "1", ""]), "0 bytes on port 1"),
        (plain(&["bosch-tps110", "--port", "3", "00"]), "expected 17 (start-up)"),
        (
            plain(&["bosch-tps110", "--port", "5", "0100013b8c00"]),
            "expected 5, 8 or 19 (usage counter)",
        ),
        (plain(&["bosch-tps110", "--port", "5", "09000000ff"]), "expected 0 to 6"),
        (
            plain(&["bosch-tps110", "--port", "42", "01"]),
            "expected 1 (parking status), 2",
        ),
        (
            plain(&["nwave-nps405", "--port", "2", "00d3"]),
            "expected 3, 4, 5 or 6 (heartbeat)",
        ),
        (plain(&["nwave-nps405", "--port", "10", "d11f3456"]), "expected 5 or 6"),
        (
            plain(&["webhook", "--port", "1", "01"]),
            "expected a profile with a codec",
        ),
        (
            plain(&["bosch", "--port", "1", "01"]),
            "expected a02yyuw, bosch-tps110, dingtek",
        ),
        (plain(&["bosch-tps110", "--port", "1", "0"]), "two for each byte"),
        (
            plain(&["bosch-tps110", "--port", "1", "0x01"]),
            "'x' is no hexadecimal digit",
        ),
        (plain(&["bosch-tps110", "--port", "256", "01"]), "256"),
        (plain(&["bosch-tps110", "01"]), "--port"),
        (plain(&["bosch-tps110", "--envelope", "/absent.json"]), "/absent.json"),
        (envelope("{"), "in JSON or in protobuf"),
        (
            envelope(r#"{"deviceInfo":{"devEui":"70b3d52c0001a2f4"},"fPort":1}"#),
            "0 bytes on port 1",
        ),
    ] {
        let output = decode(&arguments, stdin);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty());
        assert!(message.contains(told), "{arguments:?}: {message}");
    }
}

#[test]
fn the_command_lists_every_profile() {
    let output = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(["sensors", "profiles"])
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(
        Profiles::built_in()
            .all()
            .all(|profile| listed.contains(&profile.name) && listed.contains(&profile.model))
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(["sensors", "profiles"])
        .stdout(writer)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_message_in_json_is_read_by_the_map_of_its_profile_and_its_channel() {
    let message = |profile: &str, channel: &str, json: &str| {
        let arguments = ["--profile", profile, "--message", "-", "--channel", channel];
        let output = decode(&arguments, json);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let counted = r#"{"UtcTime":"2026-01-05T01:00:00Z","Source":{"Rule":"masuk"},"Data":{"Count":"1234"}}"#;
    let (code, told, _) = message("onvif-line-counter", "masuk", counted);
    assert_eq!(code, Some(0));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["kind"], &told["count"]), (&"count".into(), &1_234.into()));
    let (code, told, error) = message("onvif-line-counter", "keluar", counted);
    assert_eq!((code, told.as_str()), (Some(2), ""));
    assert!(error.contains("is --channel right?"), "{error}");
    let (code, _, error) = message("onvif-line-counter", "masuk", &counted.replace("\"1234\"", "\"many\""));
    assert!(code == Some(2) && error.contains("/Data/Count"), "{error}");
    let (code, _, error) = message("bosch-tps110", "", "{}");
    assert!(code == Some(2) && error.contains("maps no messages"), "{error}");
    let (code, _, error) = message("zigbee2mqtt-occupancy", "", "occupied");
    assert!(code == Some(2) && error.contains("no JSON"), "{error}");
}
