//! Faults of the stream.

use std::time::Duration;

use super::super::*;
use super::rig::at_s;

/// A machine, its time, and what it said.
struct Table {
    machine: HealthMachine,
    records: Vec<Record>,
}

impl Table {
    fn new() -> Self {
        Self {
            machine: HealthMachine::new(now(0.0), Baseline::default()),
            records: Vec::new(),
        }
    }

    fn at(&mut self, seconds: f64, event: Event) -> (State, Cause) {
        for effect in self.machine.step(now(seconds), event) {
            if let Effect::Record(record) = effect {
                self.records.push(record);
            }
        }
        let health = self.machine.health();
        (health.state, health.cause)
    }

    /// Frames and keyframes for every second from `from` to `to`.
    fn flows(&mut self, from: u32, to: u32, with_keyframes: bool) -> (State, Cause) {
        let mut last = (State::Up, Cause::None);
        for second in from..=to {
            last = self.at(f64::from(second), flow(second, with_keyframes));
        }
        last
    }

    /// A camera that has been up for 20 s.
    fn up() -> Self {
        let mut table = Self::new();
        table.at(0.0, Event::Connecting);
        table.at(0.5, Event::Playing);
        assert_eq!(table.flows(1, 20, true), (State::Up, Cause::None));
        table
    }
}

fn now(seconds: f64) -> Now {
    Now {
        mono: at_s(seconds),
        hour: HourOfDay::new(9),
    }
}

fn flow(second: u32, with_keyframe: bool) -> Event {
    let at = Some(Duration::from_secs(second.into()));
    Event::Statistics(Statistics {
        frames: 12,
        bytes: 60_000,
        keyframes: u32::from(with_keyframe),
        keyframe_bytes: if with_keyframe { 30_000 + second } else { 0 },
        between_bytes: None,
        between_bytes_max: 0,
        gop: with_keyframe.then_some(at_s(1.0)),
        last_frame: at,
        last_keyframe: at.filter(|_| with_keyframe),
    })
}

#[test]
fn a_camera_is_up_with_its_first_keyframe_and_a_picture_is_asked_for() {
    let mut table = Table::new();
    assert_eq!(table.at(0.0, Event::Connecting), (State::Connecting, Cause::Starting));
    assert_eq!(table.at(1.0, Event::Playing), (State::Connecting, Cause::Starting));
    assert_eq!(table.at(2.0, flow(2, false)).0, State::Connecting);
    let effects = table.machine.step(now(3.0), flow(3, true));
    assert!(effects.contains(&Effect::RequestPicture));
    assert_eq!(table.machine.health().state, State::Up);
    assert_eq!(table.records, []);
}

#[test]
fn each_failure_has_its_state_at_once_when_the_camera_was_never_seen() {
    let timetable = [
        (Failure::Refused, State::Offline, Cause::Refused),
        (Failure::Unreachable, State::Offline, Cause::Unreachable),
        (Failure::NoAnswer, State::Offline, Cause::NoAnswer),
        (Failure::NotRtsp, State::Offline, Cause::NotRtsp),
        (Failure::NotFound, State::Offline, Cause::NotFound),
        (Failure::Rejected, State::Offline, Cause::Rejected),
        (Failure::AuthFailed, State::AuthFailed, Cause::AuthFailed),
        (Failure::AuthUnsupported, State::AuthUnsupported, Cause::AuthUnsupported),
        (Failure::NoVideo, State::Offline, Cause::NoVideo),
        (Failure::UnsupportedCodec, State::Offline, Cause::UnsupportedCodec),
        (Failure::Mux, State::Offline, Cause::Mux),
        (Failure::BadSdp, State::Offline, Cause::BadSdp),
        (Failure::Stalled, State::Stalled, Cause::Stalled),
        (Failure::Ended, State::Offline, Cause::Ended),
        (Failure::NoKeyframes, State::NoKeyframes, Cause::NoKeyframes),
        (Failure::WorkerCrashed, State::Offline, Cause::WorkerCrashed),
        (Failure::WorkerMissing, State::Offline, Cause::WorkerMissing),
    ];
    for (failure, state, cause) in timetable {
        let mut table = Table::new();
        table.at(0.0, Event::Connecting);
        assert_eq!(table.at(1.0, Event::Failed(failure)), (state, cause));
        assert_eq!(
            table.at(2.0, Event::Connecting),
            (state, cause),
            "the next attempt changes nothing"
        );
    }
}

#[test]
fn a_camera_that_does_not_answer_for_ten_seconds_is_offline() {
    let mut table = Table::new();
    table.at(0.0, Event::Connecting);
    assert_eq!(table.at(9.9, Event::Tick).0, State::Connecting);
    assert_eq!(table.at(10.0, Event::Tick), (State::Offline, Cause::NoAnswer));
}

#[test]
fn a_stream_that_stops_is_stalled_after_five_seconds_since_its_last_frame() {
    let mut table = Table::up();
    assert_eq!(table.at(24.9, Event::Tick).0, State::Up);
    assert_eq!(table.at(25.0, Event::Tick), (State::Stalled, Cause::Stalled));
    assert_eq!(table.machine.health().since, at_s(20.0));
    assert_eq!(table.machine.health().evidence[0].to_string(), "silence_s 5.00 > 5.00");
    let lost = Record::CameraLost {
        last_frame: Some(at_s(20.0)),
        cause: Cause::Stalled,
    };
    assert_eq!(table.records, [lost]);
}

#[test]
fn a_camera_of_one_frame_in_two_seconds_may_be_silent_for_twenty() {
    let mut table = Table::new();
    table.at(0.0, Event::Playing);
    for second in (2..100).step_by(2) {
        let at = Some(Duration::from_secs(second));
        let statistics = Statistics {
            frames: 1,
            bytes: 20_000,
            keyframes: 1,
            keyframe_bytes: 20_000,
            between_bytes: None,
            between_bytes_max: 0,
            gop: Some(at_s(2.0)),
            last_frame: at,
            last_keyframe: at,
        };
        table.at(f64::from(u32::try_from(second).unwrap()), Event::Statistics(statistics));
    }
    assert_eq!(table.at(116.0, Event::Tick).0, State::Up);
    assert_eq!(table.at(119.0, Event::Tick).0, State::Stalled);
}

#[test]
fn frames_without_a_keyframe_for_fifteen_seconds_are_no_stream() {
    let mut table = Table::up();
    assert_eq!(table.flows(21, 34, false).0, State::Up);
    assert_eq!(table.flows(35, 35, false), (State::NoKeyframes, Cause::NoKeyframes));
    assert_eq!(table.machine.health().since, at_s(20.0));
    let failed = table.at(36.0, Event::Failed(Failure::NoKeyframes));
    assert_eq!(failed, (State::NoKeyframes, Cause::NoKeyframes));
    table.at(37.0, Event::Connecting);
    assert_eq!(table.at(38.0, Event::Playing), (State::NoKeyframes, Cause::NoKeyframes));
    assert_eq!(table.flows(39, 45, false), (State::NoKeyframes, Cause::NoKeyframes));
    assert_eq!(table.flows(46, 46, true), (State::Up, Cause::None));
    assert_eq!(table.records.len(), 2);
}

#[test]
fn a_long_gop_is_waited_for_twice() {
    let mut table = Table::up();
    let Event::Statistics(statistics) = flow(21, true) else {
        unreachable!()
    };
    let gop = Some(at_s(12.0));
    table.at(21.0, Event::Statistics(Statistics { gop, ..statistics }));
    assert_eq!(table.flows(22, 44, false).0, State::Up);
    assert_eq!(table.flows(45, 45, false).0, State::NoKeyframes);
}

#[test]
fn a_break_of_a_second_is_not_written_down() {
    let mut table = Table::up();
    assert_eq!(
        table.at(20.5, Event::Failed(Failure::Ended)),
        (State::Connecting, Cause::Interrupted)
    );
    table.at(21.0, Event::Connecting);
    table.at(21.5, Event::Playing);
    assert_eq!(table.flows(22, 30, true).0, State::Up);
    assert_eq!(table.records, []);
}

#[test]
fn a_longer_break_is_named_when_the_last_frame_is_five_seconds_ago_and_restored_with_the_first_keyframe() {
    let mut table = Table::up();
    table.at(20.5, Event::Failed(Failure::Refused));
    assert_eq!(table.at(24.9, Event::Tick).0, State::Connecting);
    assert_eq!(table.at(25.0, Event::Tick), (State::Offline, Cause::Refused));
    table.at(40.0, Event::Connecting);
    table.at(40.5, Event::Playing);
    assert_eq!(table.flows(41, 41, false).0, State::Connecting);
    assert_eq!(table.records.len(), 1, "not restored without a keyframe");
    assert_eq!(table.flows(42, 42, true).0, State::Up);
    assert_eq!(table.records[1], Record::CameraRestored { at: at_s(42.0) });
}

#[test]
fn a_changed_password_is_named_at_once() {
    let mut table = Table::up();
    assert_eq!(table.at(21.0, Event::Failed(Failure::AuthFailed)).0, State::AuthFailed);
}

#[test]
fn a_camera_never_seen_is_written_down_after_its_time_to_start() {
    let mut table = Table::new();
    table.at(0.0, Event::Connecting);
    table.at(1.0, Event::Failed(Failure::Unreachable));
    table.at(89.9, Event::Tick);
    assert_eq!(table.records, []);
    table.at(90.0, Event::Tick);
    let lost = Record::CameraLost {
        last_frame: None,
        cause: Cause::Unreachable,
    };
    assert_eq!(table.records, [lost]);
}

#[test]
fn a_clock_that_is_far_off_is_believed_at_once_a_doubtful_one_the_second_time_and_only_by_a_good_clock() {
    let clock = |offset_ms, quality| Event::CameraClock { offset_ms, quality };
    let mut table = Table::up();
    for second in 21..25 {
        let state = table.at(f64::from(second), clock(i64::MIN, ClockQuality::Untrusted)).0;
        assert_eq!(state, State::Up);
        table.flows(second, second, true);
    }
    let timetable = [
        (-20_000, State::Up),
        (1_000, State::Up),
        (-20_000, State::Up),
        (-20_000, State::WrongClock),
        (4_000, State::WrongClock),
        (1_000, State::Up),
        (3_600_000, State::WrongClock),
        (-1_000, State::Up),
    ];
    for (offset_ms, state) in timetable {
        assert_eq!(table.at(24.5, clock(offset_ms, ClockQuality::Trusted)).0, state);
    }
    assert_eq!(table.records, [], "the picture is of use all the same");
}

#[test]
fn a_stream_that_breaks_every_ten_seconds_fills_no_more_than_six_records_an_hour() {
    let mut table = Table::up();
    for round in 0..200_u32 {
        let start = 30 + round * 10;
        table.at(f64::from(start), Event::Failed(Failure::Ended));
        table.at(f64::from(start) + 0.1, Event::Connecting);
        table.at(f64::from(start) + 6.0, Event::Playing);
        table.flows(start + 7, start + 9, true);
    }
    assert_eq!(table.records.len(), 6);
}
