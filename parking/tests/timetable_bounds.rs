//! Limits: what the tracker keeps is bounded, and nothing that must be written is lost by that.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::Input;
use support::{Timetable, site, snapshot, time};

#[test]
fn a_history_that_overflows_loses_no_session() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.checks = false;
    day.play("06:30 A1 heartbeat free");
    for pair in 0..900 {
        let begin = time("07:00").plus_seconds(pair * 40);
        for (at, state) in [(begin, "occupied"), (begin.plus_seconds(10), "free")] {
            day.advance(at);
            let reading = day.reading("A1", &[state]);
            day.step(Input::Reading(reading));
        }
    }
    day.advance(time("18:00"));
    let sessions = day.sessions();
    assert_eq!(sessions.len(), 1, "900 stays 30 s apart are one");
    assert_eq!(sessions[0].end, time("07:00").plus_seconds(899 * 40 + 10));
}

#[test]
fn a_sensor_that_floods_the_history_before_anything_settles_loses_no_session() {
    let mut slow = site(&["A1"]);
    slow.zones[0].rules.settle_s = 3_500;
    slow.zones[0].rules.merge_gap_s = 1;
    let mut day = Timetable::new(&slow);
    day.checks = false;
    day.play("06:30 A1 heartbeat free");
    for pair in 0..800 {
        let begin = time("07:00").plus_seconds(pair * 4);
        for (at, state) in [(begin, "occupied"), (begin.plus_seconds(2), "free")] {
            day.advance(at);
            let reading = day.reading("A1", &[state]);
            day.step(Input::Reading(reading));
        }
    }
    day.advance(time("10:00"));
    assert_eq!(day.sessions().len(), 800);
}

#[test]
fn a_snapshot_stays_small_over_weeks() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.checks = false;
    day.play("06:30 A1 heartbeat free");
    let mut largest = [0, 0];
    for hour in 7..24 * 6 {
        let begin = time("00:00").plus_seconds(hour * 3_600);
        for (minute, state) in [(0, "occupied"), (20, "free"), (40, "heartbeat free")] {
            day.advance(begin.plus_seconds(60 * minute));
            let words: Vec<&str> = state.split(' ').collect();
            let reading = day.reading("A1", &words);
            day.step(Input::Reading(reading));
        }
        let half = usize::from(hour > 24 * 3);
        largest[half] = largest[half].max(snapshot(&day.tracker).len());
    }
    assert!(largest[1] <= largest[0] + 400, "{largest:?}");
}

#[test]
fn a_report_older_than_what_overflowed_is_set_aside() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.checks = false;
    day.play("06:30 A1 heartbeat free");
    for second in 0..600 {
        day.advance(time("07:00").plus_seconds(second));
        let reading = day.reading("A1", &["heartbeat", "free"]);
        day.step(Input::Reading(reading));
    }
    day.play_from_here(
        "07:20 A1 occupied seen 06:40
         07:20 > aside s-A1 06:40: 2400 s old, and what was then is settled",
    );
}
