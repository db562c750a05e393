//! What is printed of made-up cameras.

use super::*;
use crate::cameras::health::{Cause, Evidence, Measure};
use crate::cameras::ring::{self, Counters};
use crate::cameras::stream::PhaseStatus;
use crate::cameras::wire;

fn ring(state: ring::State) -> RingStatus {
    RingStatus {
        state,
        counters: Counters::default(),
        dropped_waiting: 0,
        bytes: 4_123_456_789,
        files: 900,
        oldest: Some("2026-11-20T15:03:00Z".parse().unwrap()),
        newest: Some("2026-11-22T03:15:00Z".parse().unwrap()),
    }
}

fn stream(width: u32, height: u32, ring: Option<RingStatus>) -> StreamStatus {
    StreamStatus {
        phase: PhaseStatus::Playing,
        codecs: Some("avc1.64001f".to_owned()),
        width: Some(width),
        height: Some(height),
        fps: 15.04,
        kbit: 512.4,
        gop_frames: 30,
        frames: 1,
        dropped_frames: 0,
        lost_packets: 0,
        jumps: 0,
        connections: 1,
        reordered: false,
        ended: None,
        viewers: 0,
        ring,
    }
}

fn dark(cause: wire::Cause, message: &str) -> StreamStatus {
    StreamStatus {
        phase: PhaseStatus::Waiting,
        width: None,
        height: None,
        fps: 0.0,
        ended: Some((cause, message.to_owned())),
        ..stream(0, 0, None)
    }
}

fn camera(id: &str, state: State, cause: Cause) -> CameraStatus {
    CameraStatus {
        id: id.parse().unwrap(),
        title: format!("Kamera {id}"),
        state,
        cause,
        since: "2026-11-22T03:15:03Z".parse().unwrap(),
        evidence: Vec::new(),
        looked_at: Some("2026-11-22T03:15:01Z".parse().unwrap()),
        clock_offset_ms: Some(-180),
        worker_pid: Some(4_711),
        workers_started: 1,
        main: None,
        sub: Some(stream(640, 360, Some(ring(ring::State::Recording)))),
    }
}

/// A sound camera, one that was turned, one that cannot be logged in to, and one whose disk is full.
fn street() -> Vec<CameraStatus> {
    let mut sound = camera("simpang-1", State::Up, Cause::None);
    sound.main = Some(stream(1_920, 1_080, None));
    let mut turned = camera("simpang-2", State::Moved, Cause::Moved);
    turned.evidence = vec![Evidence::below(Measure::EdgeCorrelation, 0.213, 0.45)];
    turned.workers_started = 4;
    let mut locked = camera("gerbang", State::AuthFailed, Cause::AuthFailed);
    locked.sub = Some(dark(wire::Cause::AuthFailed, "401 Unauthorized response to DESCRIBE"));
    locked.main = Some(dark(wire::Cause::NotFound, "404 Not Found response to DESCRIBE"));
    (locked.clock_offset_ms, locked.worker_pid) = (None, None);
    let mut full = camera("parkir-timur", State::WrongClock, Cause::WrongClock);
    full.evidence = vec![Evidence::above(Measure::ClockOffsetS, 86_400.0 * 40.0, 5.0)];
    full.clock_offset_ms = Some(40 * 86_400_000);
    full.sub = Some(stream(
        704,
        576,
        Some(ring(ring::State::NoSpace { free_bytes: 1 << 30 })),
    ));
    let mut counted = ring(ring::State::Recording);
    counted.counters.fragments_dropped = 3;
    full.main = Some(stream(2_560, 1_440, Some(counted)));
    vec![sound, turned, locked, full]
}

#[test]
fn the_table_in_indonesian() {
    insta::assert_snapshot!(text(&street(), Timezone::Wib, Language::Indonesian));
}

#[test]
fn the_table_in_english() {
    insta::assert_snapshot!(text(&street(), Timezone::Wit, Language::English));
}

#[test]
fn a_short_recording_is_told_in_minutes_and_megabytes() {
    let young = RingStatus {
        bytes: 2_345_678,
        oldest: Some("2026-11-22T03:00:30Z".parse().unwrap()),
        ..ring(ring::State::Recording)
    };
    let [kept, from] = recording(Some(&young), Timezone::Wib, Language::Indonesian);
    assert_eq!((kept.as_str(), from.as_str()), ("14 menit 2 MB", "22/11 10:00"));
}

#[test]
fn a_box_without_cameras_says_how_to_find_some() {
    assert!(text(&[], Timezone::Wib, Language::English).contains("gateway cameras discover"));
}

#[test]
fn a_status_survives_the_way_through_the_socket() {
    let statuses = street();
    let json = serde_json::to_string(&statuses).unwrap();
    assert_eq!(serde_json::from_str::<Vec<CameraStatus>>(&json).unwrap(), statuses);
}
