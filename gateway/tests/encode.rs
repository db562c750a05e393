//! Published commands to sensors, both ways, through `gateway sensors encode` and `gateway sensors decode --downlink`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::process::{Command, Output};

use gateway::sensors::{Profile, Profiles};
use serde_json::{Value, json};

fn sensors(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.arg("sensors").args(arguments).output().unwrap()
}

fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Profile, command, port, bytes. Sources are in the codecs' heads.
const COMMANDS: [(&str, &str, u8, &str); 40] = [
    (
        "dingtek-do20x",
        "upload_interval model=do200 hours=4",
        3,
        "3830303238383838303130343831",
    ),
    (
        "dingtek-do20x",
        "magnet_interval seconds=10",
        3,
        "3830303238383838303430413831",
    ),
    (
        "dingtek-do20x",
        "magnet_threshold model=do200 milligauss=60",
        3,
        "3830303238383838303233433831",
    ),
    (
        "dingtek-do20x",
        "ultrasound_interval minutes=60",
        3,
        "3830303238383838303333433831",
    ),
    (
        "dingtek-do20x",
        "upload_interval model=do201-do202 hours=4",
        3,
        "3830303239393939303130343831",
    ),
    (
        "dingtek-do20x",
        "magnet_threshold model=do201-do202 milligauss=60",
        3,
        "38303032393939393046303033433831",
    ),
    (
        "dingtek-do20x",
        "magnet_threshold model=do201-do202 milligauss=51",
        3,
        "38303032393939393046303033333831",
    ),
    (
        "dingtek-do20x",
        "level_threshold centimetres=60",
        3,
        "3830303239393939303233433831",
    ),
    (
        "dingtek-do20x",
        "battery_threshold model=do201-do202 percent=20",
        3,
        "3830303239393939303531343831",
    ),
    (
        "dingtek-do20x",
        "detection_interval minutes=10",
        3,
        "3830303239393939303830413831",
    ),
    ("bosch-tps110", "usage counter=occupied_seconds", 55, "01"),
    ("bosch-tps110", "usage counter=state_changes", 55, "00"),
    ("bosch-tps110", "usage counter=seconds_since_installation", 55, "06"),
    ("bosch-tps110", "heartbeat interval=short", 53, "00"),
    ("bosch-tps110", "status_confirmation repetitions=0", 51, "00"),
    ("bosch-tps110", "data_rate rate=5", 52, "05"),
    ("bosch-tps110", "device_information what=firmware", 54, "01"),
    ("bosch-tps110", "debug repetitions=4", 56, "04"),
    ("bosch-tps110", "temperature mode=alert", 57, "02"),
    ("bosch-tps110", "adaptive_data_rate mode=on", 58, "01"),
    ("bosch-tps110", "adaptive_data_rate_offset steps=3", 59, "03"),
    ("nwave-ncc405", "radio data_rate=0 adaptive=0 repetitions=1", 52, "10"),
    ("nwave-ncc405", "radio data_rate=0 adaptive=0 repetitions=4", 52, "40"),
    ("nwave-ncc405", "radio data_rate=3 adaptive=0 repetitions=1", 52, "13"),
    ("nwave-ncc405", "radio data_rate=2 adaptive=1 repetitions=0", 52, "0a"),
    ("nwave-ncc405", "report_every seconds=100", 53, "0064"),
    (
        "nwave-ncc405",
        "report_policy idle_seconds=3600 one_seconds=60 two_seconds=40",
        53,
        "0e10103c2028",
    ),
    (
        "libelium-smart-parking",
        "time port=3 year=2018 month=3 day=6 hour=13 minute=28",
        3,
        "120306020d1c0000",
    ),
    (
        "libelium-smart-parking",
        "time port=85 year=2017 month=2 day=13 hour=18 minute=45",
        85,
        "11020d01122d0000",
    ),
    (
        "netvox-r719a",
        "report_interval min_seconds=900 max_seconds=1800 battery_tenths=1",
        7,
        "0159038407080100000000",
    ),
    ("netvox-r719a", "read_report_interval", 7, "0259000000000000000000"),
    ("milesight-em400-mud", "reboot", 85, "ff10ff"),
    ("milesight-em400-mud", "report_interval seconds=1200", 85, "ff03b004"),
    ("milesight-em400-mud", "collection_interval seconds=60", 85, "ff023c00"),
    ("milesight-em400-mud", "working_mode mode=standard", 85, "ff7100"),
    ("milesight-em400-mud", "working_mode mode=parking", 85, "ff7102"),
    ("milesight-em400-mud", "install_height millimetres=4500", 85, "ff779411"),
    (
        "milesight-em400-mud",
        "distance_alarm below_millimetres=1000 above_millimetres=3000",
        85,
        "ff068ce803b80b00000000",
    ),
    (
        "milesight-em400-mud",
        "distance_alarm below_millimetres=200 above_millimetres=800",
        85,
        "ff068cc800200300000000",
    ),
    (
        "tekzitel-tekzipark",
        "configure suppress_baseline_offset=0 radar_start_range=4 fluctuations_count=7 downlink_frequency=0 \
         axis_deflection=0 debug_mode=1 deflection_threshold_mag=6 zero_neg_drop=0 oversampling=0 hw_acc_samples_no=3 \
         fluctuation_threshold_xy=0 sleep_time=7 reset_control=0 mag_reboot=1 fluctuation_delay_time=3 \
         axis_fluctuations=0 fluctuation_threshold_z=0 self_heal=0 keepalive_period=0 radar_scan_count=0 \
         obstruction_check=0 reflection_threshold_radar=0 oi=0 send_rssi=1 beacons_scan_no=5 ble_scan_window=0 \
         ble_scan_rssi=170",
        3,
        "471618eb000068aa",
    ),
];

#[test]
fn every_published_command_has_its_bytes_and_is_read_again() {
    for (profile, command, port, bytes) in COMMANDS {
        let words: Vec<&str> = command.split_whitespace().collect();
        let encoded = sensors(&[&["encode", "--profile", profile], &words[..]].concat());
        let said = printed(&encoded);
        assert_eq!(
            (&said["port"], &said["bytes_hex"]),
            (&json!(port), &json!(bytes)),
            "{command}"
        );

        let port = port.to_string();
        let read = sensors(&["decode", "--downlink", "--profile", profile, "--port", &port, bytes]);
        let read = printed(&read);
        let mut expected = serde_json::Map::new();
        expected.insert("command".to_owned(), json!(words[0]));
        for word in &words[1..] {
            let (name, value) = word.split_once('=').unwrap();
            let value = value
                .parse::<i64>()
                .map_or_else(|_| json!(value), |number| json!(number));
            expected.insert(name.to_owned(), value);
        }
        assert_eq!(read, Value::Object(expected), "{command}");
    }
}

#[test]
fn a_command_that_is_not_complete_and_within_bounds_is_refused_with_what_there_is() {
    for (arguments, told) in [
        (
            "--profile dingtek-do20x reboot",
            "there is no command \"reboot\"; expected upload_interval",
        ),
        (
            "--profile dingtek-do20x upload_interval model=do200",
            "hours is missing; expected 1 to 168",
        ),
        (
            "--profile dingtek-do20x upload_interval model=do200 hours=169",
            "hours is 169; expected 1 to 168",
        ),
        (
            "--profile dingtek-do20x upload_interval model=do200 hours=1.5",
            "hours is 1.5; expected 1 to 168",
        ),
        (
            "--profile dingtek-do20x upload_interval model=do203 hours=4",
            "model is do203; expected do200|do201-do202",
        ),
        (
            "--profile dingtek-do20x upload_interval model=do200 hours=4 hours=4",
            "hours is given twice",
        ),
        (
            "--profile dingtek-do20x upload_interval model=do200 hour=4",
            "there is no argument \"hour\"",
        ),
        (
            "--profile dingtek-do20x upload_interval model=do200 4",
            "\"4\" is no argument",
        ),
        (
            "--profile dingtek-do20x magnet_threshold model=do200 milligauss=256",
            "at most 255 for do200",
        ),
        (
            "--profile bosch-tps110 usage counter=everything",
            "expected state_changes|occupied_seconds",
        ),
        (
            "--profile libelium-smart-parking time port=3 year=2026 month=2 day=29 hour=0 minute=0",
            "2026-02-29 is no day",
        ),
        ("--profile nwave-nps310 radio", "take no commands"),
        ("--profile webhook radio", "take no commands"),
        ("--profile bosch usage", "there is no profile \"bosch\""),
    ] {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let output = sensors(&[&["encode"], &words[..]].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {error}");
        assert!(error.contains(told), "{arguments}: {error}");
    }
}

#[test]
fn bytes_that_are_no_command_are_refused() {
    for (profile, port, bytes) in [
        ("dingtek-do20x", "3", "80028888010481"),
        ("dingtek-do20x", "3", "3830303237373737303130343831"),
        ("dingtek-do20x", "4", "3830303238383838303130343831"),
        ("dingtek-do20x", "3", "3830303238383838303261393831"),
        ("bosch-tps110", "60", "00"),
        ("bosch-tps110", "55", "07"),
        ("nwave-ncc405", "52", "87"),
        ("libelium-smart-parking", "3", "120306030d1c0000"),
        ("tekzitel-tekzipark", "0", "471618eb000068aa"),
    ] {
        let output = sensors(&["decode", "--downlink", "--profile", profile, "--port", port, bytes]);
        assert_eq!(output.status.code(), Some(2), "{profile} {bytes}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn no_bytes_make_the_reading_of_a_command_panic_and_what_is_read_is_written_again() {
    bolero::check!()
        .with_type::<(u8, Vec<u8>)>()
        .for_each(|(port, payload)| {
            for downlinks in Profiles::built_in().all().filter_map(Profile::downlinks) {
                for port in [*port, 3, 52, 53, 55] {
                    if let Ok(command) = downlinks.decode(port, payload) {
                        let written = downlinks.encode(&command).unwrap();
                        assert_eq!((written.port, &written.payload), (port, payload));
                    }
                }
            }
        });
}
