//! The program and its faults, seen from the wire.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use camera_simulator::clock::wall_time;
use camera_simulator::config::Codec;
use camera_simulator::packets::frame_mark;
use serde_json::json;
use std::time::Duration;
use support::{Message, Simulator};

/// Longer than the pause between two frames, and long enough for what was under way.
const QUIET: Duration = Duration::from_millis(700);
/// Seconds from the epoch of NTP to the one of Unix (RFC 868).
const NTP_EPOCH: u64 = 2_208_988_800;

fn cameras() -> String {
    let camera = |name: &str, more: &str, source: &str| {
        format!(
            "[[camera]]\nname = '{name}'\nspaces = ['U-01', 'U-02']\n{more}\n[camera.main]\ncodec = 'h264'\nwidth = 320\n\
             height = 180\nfps = 20\ngop = 10\nbitrate_kbit = 200\nsource = '{source}'\nloop_seconds = 2\n"
        )
    };
    let password = |scheme: &str| format!("user = 'admin'\npassword = 'rahasia'\nauth = '{scheme}'");
    [
        camera("drawn", "", "drawn"),
        camera("loop", "", "loop"),
        camera("digest", &password("digest"), "drawn"),
        camera("basic", &password("basic"), "drawn"),
        camera("sound", "audio_only = true", "drawn"),
    ]
    .concat()
}

fn start() -> (tempfile::TempDir, Simulator) {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path(), &cameras(), &[]);
    (folder, simulator)
}

fn timestamp(packet: &[u8]) -> u32 {
    u32::from_be_bytes(*packet[4..].first_chunk().unwrap())
}

/// Reads this many frames and says how many of them were keyframes.
fn keyframes(client: &mut support::Client, frames: usize) -> usize {
    let mut ends = 0;
    let mut found = 0;
    while ends < frames {
        let mark = frame_mark(&client.rtp(), Codec::H264).unwrap();
        ends += usize::from(mark.ends_frame);
        found += usize::from(mark.begins_keyframe);
    }
    found
}

#[test]
fn both_kinds_of_stream_begin_with_a_keyframe_and_have_one_in_each_group() {
    let (_folder, simulator) = start();
    for path in ["drawn/main", "loop/main"] {
        let mut client = simulator.client(path);
        assert!(client.play().contains("sprop-parameter-sets"));
        assert_eq!(keyframes(&mut client, 1), 1, "{path}");
        assert_eq!(
            keyframes(&mut client, 50),
            5,
            "{path}: 50 frames, over the end of the loop of 40"
        );
    }
    assert!(simulator.end());
}

#[test]
fn a_client_that_comes_again_at_once_is_served() {
    let (_folder, simulator) = start();
    for _ in 0..20 {
        let mut client = simulator.client("drawn/main");
        client.play();
        client.rtp();
    }
}

#[test]
fn a_stalled_camera_keeps_the_connection_and_is_silent_until_the_fault_ends() {
    let (_folder, mut simulator) = start();
    let mut client = simulator.client("drawn/main");
    client.play();
    client.rtp();
    simulator.fault("drawn", "stall");
    assert!(matches!(client.until_quiet(QUIET), Message::Nothing));
    client.send("OPTIONS", "", "");
    let mut newcomer = simulator.client("drawn/main");
    newcomer.send("DESCRIBE", "", "");
    assert!(
        matches!(client.until_quiet(QUIET), Message::Nothing),
        "no answer either"
    );
    assert!(matches!(newcomer.until_quiet(QUIET), Message::Nothing));
    simulator.client("loop/main").play();
    simulator.fault("drawn", "none");
    client.rtp();
}

#[test]
fn a_dropped_camera_resets_its_connections_and_refuses_new_ones() {
    let (_folder, mut simulator) = start();
    let (mut client, mut other) = (simulator.client("drawn/main"), simulator.client("loop/main"));
    client.play();
    other.play();
    simulator.fault("drawn", "drop");
    assert!(matches!(client.until_quiet(QUIET), Message::End));
    let mut newcomer = simulator.client("drawn/main");
    newcomer.send("DESCRIBE", "", "");
    assert!(matches!(newcomer.until_quiet(QUIET), Message::End));
    other.rtp();
    simulator.fault("drawn", "none");
    simulator.client("drawn/main").play();
}

#[test]
fn passwords_are_asked_for_and_a_changed_one_ends_the_session() {
    let (_folder, mut simulator) = start();
    let (head, _) = simulator.client("digest/main").ask("DESCRIBE", "", "");
    assert!(
        head.starts_with("RTSP/1.0 401") && head.contains("WWW-Authenticate: Digest realm=\"digest\""),
        "{head}"
    );
    let (head, _) = simulator.client("basic/main").ask("DESCRIBE", "", "");
    assert!(head.contains("WWW-Authenticate: Basic"), "{head}");
    let good = "Authorization: Basic YWRtaW46cmFoYXNpYQ==\r\n";
    let mut client = simulator.client("basic/main");
    assert!(client.ask("DESCRIBE", "", good).0.starts_with("RTSP/1.0 200"));
    simulator.fault("basic", "auth");
    assert!(matches!(client.until_quiet(QUIET), Message::End));
    assert!(
        simulator
            .client("basic/main")
            .ask("DESCRIBE", "", good)
            .0
            .starts_with("RTSP/1.0 401")
    );
    simulator.fault("basic", "none");
    assert!(
        simulator
            .client("basic/main")
            .ask("DESCRIBE", "", good)
            .0
            .starts_with("RTSP/1.0 200")
    );
}

#[test]
fn sender_reports_carry_the_wall_clock_unless_the_clock_is_wrong() {
    let (_folder, mut simulator) = start();
    let mut client = simulator.client("drawn/main");
    client.play();
    let ahead = |report: (u32, u32)| {
        u64::from(report.0)
            .wrapping_sub(wall_time().as_secs() + NTP_EPOCH)
            .cast_signed()
    };
    let healthy = ahead(client.sender_report());
    assert!((-2..=2).contains(&healthy), "{healthy}");
    simulator.fault("drawn", "wrong_clock");
    let mut wrong = ahead(client.sender_report());
    if wrong < 100 {
        wrong = ahead(client.sender_report());
    }
    assert!((3_590..=3_602).contains(&wrong), "{wrong}");
}

#[test]
fn timestamps_jump_by_three_hours_once_and_sender_reports_follow() {
    let (_folder, mut simulator) = start();
    let mut client = simulator.client("drawn/main");
    client.play();
    let before = timestamp(&client.rtp());
    simulator.fault("drawn", "time_jump");
    let jumped = |client: &mut support::Client| timestamp(&client.rtp()).wrapping_sub(before) / 90_000;
    while jumped(&mut client) < 10_000 {}
    assert!((10_800..10_830).contains(&jumped(&mut client)));
    simulator.fault("drawn", "none");
    assert!((10_800..10_830).contains(&jumped(&mut client)));
    let report = client.sender_report().1.wrapping_sub(before) / 90_000;
    assert!((10_800..10_840).contains(&report), "{report}");
}

#[test]
fn without_keyframes_nobody_gets_one_until_the_fault_ends() {
    let (_folder, mut simulator) = start();
    simulator.fault("drawn", "no_keyframes");
    simulator.fault("loop", "no_keyframes");
    for path in ["drawn/main", "loop/main"] {
        let mut client = simulator.client(path);
        assert!(client.play().contains("sprop-parameter-sets"), "{path}");
        assert_eq!(keyframes(&mut client, 25), 0, "{path}");
    }
    simulator.fault("loop", "none");
    let mut client = simulator.client("loop/main");
    client.play();
    assert!(keyframes(&mut client, 25) > 0);
}

#[test]
fn packets_are_lost_and_the_others_keep_their_numbers() {
    let (_folder, mut simulator) = start();
    simulator.fault("loop", "loss");
    let mut client = simulator.client("loop/main");
    client.play();
    let number = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
    let numbers: Vec<_> = (0..200).map(|_| number(&client.rtp())).collect();
    let missing: usize = numbers
        .windows(2)
        .map(|pair| usize::from(pair[1].wrapping_sub(pair[0])) - 1)
        .sum();
    assert!((5..60).contains(&missing), "{missing}");
}

#[test]
fn a_stream_that_ends_says_goodbye_and_a_new_client_gets_a_new_one() {
    let (_folder, mut simulator) = start();
    let mut client = simulator.client("loop/main");
    client.play();
    client.rtp();
    simulator.fault("loop", "eos");
    let goodbye = loop {
        match client.next(Duration::from_secs(20)) {
            Message::Packet { channel: 1, bytes } => break bytes,
            Message::Packet { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    let length = usize::from(u16::from_be_bytes([goodbye[2], goodbye[3]])) * 4 + 4;
    assert!(
        goodbye[length..].windows(2).any(|part| part[1] == 203),
        "BYE: {goodbye:?}"
    );
    drop(client);
    let mut client = simulator.client("loop/main");
    client.play();
    client.rtp();
}

#[test]
fn a_camera_without_picture_describes_only_sound() {
    let (_folder, simulator) = start();
    let mut client = simulator.client("sound/main");
    let description = client.play();
    assert!(
        description.contains("m=audio") && !description.contains("m=video"),
        "{description}"
    );
    client.rtp();
}

#[test]
fn commands_are_answered_and_bad_ones_say_what_is_wrong() {
    let (_folder, mut simulator) = start();
    let good = simulator.command(&json!({ "camera": "drawn", "space": "U-02", "occupied": true, "class": "truck" }));
    assert_eq!(good, json!({ "ok": true }));
    let spaces = simulator.command(&json!({ "cmd": "spaces", "camera": "drawn" }));
    assert_eq!(spaces["spaces"][1]["name"], "U-02");
    for (command, problem) in [
        (
            json!({ "camera": "drawn", "space": "U-99", "occupied": true }),
            "has no space U-99",
        ),
        (json!({ "camera": "nobody", "fault": "black" }), "no camera nobody"),
        (json!({ "camera": "drawn", "fault": "sleepy" }), "command"),
    ] {
        let answer = simulator.command(&command);
        assert!(
            answer["ok"] == false && answer["error"].as_str().unwrap().contains(problem),
            "{answer}"
        );
    }
    let stats = simulator.command(&json!({ "cmd": "stats" }));
    assert_eq!(
        stats["cameras"]["drawn"],
        json!({ "fault": "none", "connections": 0, "streams": {} })
    );
    assert!(simulator.end());
}
