//! What is printed of made-up streams.

use std::time::Duration;

use super::*;
use crate::cameras::audit::{Codec, Gops, StreamFacts, audit};

fn measured() -> Measured {
    Measured {
        server: Some("LIVE555 Streaming Media".to_owned()),
        codec: "avc1.64001f".to_owned(),
        codec_profile: Some("high".to_owned()),
        width: 1_280,
        height: 720,
        fps: Some(24.93),
        fps_nominal: Some(25.0),
        reordered: true,
        gops: 2,
        gop_frames: Some(250),
        gop_s_min: Some(2.0),
        gop_s_max: Some(10.0),
        bitrate_kbit_s: Some(2_048),
        audio: true,
        clock_offset_ms: Some(-3_600_000),
        own_clock_synchronised: Some(true),
        lost_packets: 3,
        dropped_frames: 40,
        jumps: 1,
        watched_s: 22.04,
    }
}

fn facts() -> StreamFacts {
    StreamFacts {
        role: Role::Substream,
        codec: Codec::H264 {
            profile: "high".to_owned(),
        },
        width: 1_280,
        height: 720,
        fps_measured: Some(24.93),
        fps_nominal: Some(25.0),
        gops: Some(Gops {
            frames: 250,
            shortest: Duration::from_secs(2),
            longest: Duration::from_secs(10),
        }),
        watched: Duration::from_secs(22),
        has_b_frames: Some(true),
        bitrate_kbit_s: Some(2_048),
        clock_offset_ms: Some(-3_600_000),
        transport: crate::cameras::audit::Transport::Tcp,
        has_audio: true,
        quota_mb_month: None,
    }
}

fn outcome(measured: Option<Measured>, failure: Option<Failure>) -> Outcome {
    Outcome {
        url: "rtsp://192.168.1.64/Streaming/Channels/102".to_owned(),
        transport: Transport::Tcp,
        role: measured.as_ref().map(|_| Role::Substream),
        findings: if measured.is_some() {
            audit(&facts())
        } else {
            Vec::new()
        },
        measured,
        failure,
    }
}

fn failure(cause: health::Cause, message: &str) -> Failure {
    Failure {
        cause,
        message: message.to_owned(),
        with_login: true,
    }
}

#[test]
fn a_badly_set_stream_in_indonesian() {
    insta::assert_snapshot!(text(&outcome(Some(measured()), None), Language::Indonesian));
}

#[test]
fn a_badly_set_stream_in_english() {
    insta::assert_snapshot!(text(&outcome(Some(measured()), None), Language::English));
}

#[test]
fn a_stream_that_does_not_open() {
    let refused = failure(health::Cause::AuthFailed, "401 Unauthorized response to DESCRIBE");
    insta::assert_snapshot!(text(&outcome(None, Some(refused)), Language::Indonesian));
}

#[test]
fn a_camera_that_asks_for_a_login_which_was_not_given_is_no_wrong_password() {
    let mut asked = outcome(None, Some(failure(health::Cause::AuthFailed, "401")));
    asked.failure.as_mut().unwrap().with_login = false;
    let text = text(&asked, Language::English);
    assert!(text.contains("--password-file") && !text.contains("refuses"), "{text}");
}

#[test]
fn a_stream_that_breaks_off_is_told_with_what_was_measured() {
    let stalled = failure(health::Cause::Stalled, "nothing came for 6 s");
    let text = text(&outcome(Some(measured()), Some(stalled)), Language::English);
    let order = ["2048 kbit/s", "THE STREAM BROKE OFF", "nothing came for 6 s", "PROBLEM"];
    let places: Vec<usize> = order.iter().map(|words| text.find(words).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn every_text_has_both_languages_with_the_same_places() {
    for text in [A_SECOND, GROUPS, TOO_FEW, LOST, SECONDS, NO_LOGIN, GIVE_LOGIN] {
        let (id, en) = text.places();
        assert_eq!(id, en, "{}", text.en);
    }
}
