//! Silence makes a space unknown from when it was last heard; the sensor's own evidence bridges or dates what it hid.
//!
//! The heartbeat is an hour, so a sensor is lost 2 h 30 min after it was last heard.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::{Flag, SpaceState};
use support::{Timetable, site, time};

#[test]
fn a_silent_sensor_is_lost_since_it_was_last_heard_and_restored_when_it_speaks() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("07:00 A1 heartbeat free");
    assert_eq!(day.tracker.spaces_now(time("09:30"))[0].state, SpaceState::Free);
    assert_eq!(day.tracker.spaces_now(time("09:31"))[0].state, SpaceState::Unknown);
    day.advance(time("09:31"));
    assert_eq!(day.told(), ["lost A1 since 07:00"]);
    day.play(
        "11:00 A1 heartbeat free
         11:00 > restored A1 at 11:00",
    );
}

#[test]
fn a_sensor_that_was_never_heard_is_lost_since_its_binding_began() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.advance(time("08:31"));
    assert_eq!(day.told(), ["lost A1 since 06:00"]);
    assert_eq!(day.tracker.spaces_now(time("08:31"))[0].heard, None);
}

#[test]
fn occupied_on_both_sides_of_a_silence_is_two_sessions_the_second_of_which_may_be_the_first() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n08:00 A1 heartbeat occupied");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 heartbeat occupied
         12:00 > restored A1 at 12:00
         12:01:30 > session 1 A1 07:00-08:00 parked 2000 end 08:00..12:00 before_gap
         13:00 A1 free
         13:01:30 > session 2 A1 12:00-13:00 parked 0/2000/2000 start 08:00..12:00 after_gap",
    );
}

#[test]
fn a_previous_state_that_covers_the_silence_makes_one_bridged_session() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n08:00 A1 heartbeat occupied");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 heartbeat occupied
         12:00 > restored A1 at 12:00
         12:01:30 > session 1 A1 07:00-08:00 parked 2000 end 08:00..12:00 before_gap
         13:00 A1 free prev 359-361
         13:01:30 > session 1 rev 2 A1 07:00-13:00 parked 2000 bridged",
    );
    let free = day.tracker.spaces_now(time("13:02"))[0].state;
    assert_eq!(free, SpaceState::Free);
}

#[test]
fn two_silences_in_one_stay_are_bridged_by_one_previous_state() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied");
    day.advance(time("10:59"));
    day.play_from_here("11:00 A1 heartbeat occupied\n11:00 > restored A1 at 11:00");
    day.advance(time("14:59"));
    day.skip();
    day.play(
        "15:00 A1 heartbeat occupied
         15:00 > restored A1 at 15:00
         15:00:30 A1 free prev 480
         15:02 > session 1 rev 2 A1 07:00-15:00:30 parked 2000 bridged",
    );
}

#[test]
fn a_total_of_changes_that_did_not_grow_bridges_a_silence() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:30 A1 counters changes 12");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 heartbeat occupied
         12:00 > restored A1 at 12:00
         12:00:30 A1 counters changes 12
         13:00 A1 free
         13:01:30 > session 1 A1 07:00-13:00 parked 2000 bridged",
    );
}

#[test]
fn a_total_of_changes_that_comes_before_the_first_heartbeat_bridges_too() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:30 A1 counters changes 12");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 counters changes 12
         12:10 A1 heartbeat occupied
         12:10 > restored A1 at 12:10
         13:00 A1 free
         13:01:30 > session 1 A1 07:00-13:00 parked 2000 bridged",
    );
}

#[test]
fn a_total_of_changes_that_grew_bridges_nothing() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:30 A1 counters changes 12");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 counters changes 14
         12:10 A1 heartbeat occupied
         12:10 > restored A1 at 12:10
         12:11:30 > session 1 A1 07:00-07:30 parked 0/2000/2000 end 07:00..12:10 before_gap
         12:30 A1 counters changes 14
         13:00 A1 free
         13:01:30 > session 2 A1 12:10-13:00 parked 0/2000/2000 start 07:00..12:10 after_gap",
    );
}

#[test]
fn free_on_the_other_side_of_a_silence_bounds_the_end() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 heartbeat free
         12:00 > restored A1 at 12:00
         12:01:30 > session 1 A1 07:00-07:00 drop_off 0/0/2000 end 07:00..12:00 before_gap",
    );
}

#[test]
fn a_previous_state_dates_the_end_that_a_silence_hid() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n08:00 A1 heartbeat occupied");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 heartbeat free
         12:00 > restored A1 at 12:00
         12:01:30 > session 1 A1 07:00-08:00 parked 2000 end 08:00..12:00 before_gap
         12:30 A1 occupied prev 60
         12:31:30 > session 1 rev 2 A1 07:00-11:29:30 parked 2000 end 11:29..11:30 end_inferred",
    );
}

#[test]
fn occupied_behind_a_silence_bounds_the_begin_and_a_previous_state_dates_it() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("07:00 A1 heartbeat free");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 heartbeat occupied
         12:00 > restored A1 at 12:00
         12:30 A1 free
         12:31:30 > session 1 A1 12:00-12:30 parked 2000 start 07:00..12:00 start_inferred",
    );
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("07:00 A1 heartbeat free");
    day.advance(time("11:59"));
    day.play_from_here(
        "12:00 A1 heartbeat occupied
         12:00 > restored A1 at 12:00
         12:30 A1 free prev 60
         12:31:30 > session 1 A1 11:29:30-12:30 parked 2000 start 11:29..11:30 start_inferred",
    );
}

#[test]
fn a_report_without_a_state_keeps_a_silence_from_beginning_but_ends_none() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play(
        "07:00 A1 occupied
         09:00 A1 alive
         11:00 A1 alive
         13:00 A1 heartbeat occupied
         14:00 A1 free
         14:01:30 > session 1 A1 07:00-14:00 parked 2000",
    );
    day.advance(time("16:59"));
    day.play_from_here(
        "17:00 A1 alive
         18:00 A1 heartbeat free
         18:00 > restored A1 at 18:00",
    );
}

#[test]
fn a_stay_that_began_before_the_first_word_begins_within_the_binding() {
    Timetable::new(&site(&["A1"])).play(
        "07:00 A1 heartbeat occupied
         07:30 A1 free
         07:31:30 > session 1 A1 07:00-07:30 parked 2000 start 06:00..07:00 start_inferred",
    );
}

#[test]
fn late_reports_fill_a_silence_that_was_written_down_as_lost() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("07:00 A1 occupied");
    day.advance(time("10:59"));
    let lost = day.intervals()[&("Z".to_owned(), time("09:00"))].unknown_s;
    assert_eq!(lost, 900);
    day.occupancy = false;
    day.play_from_here("11:00 A1 heartbeat occupied seen 08:00");
    day.play("11:00 A1 heartbeat occupied seen 10:00\n11:00 > restored A1 at 10:00\n12:00 A1 free");
    day.advance(time("12:10"));
    let sessions = day.sessions();
    assert_eq!(sessions.len(), 1);
    assert!(!sessions[0].flags.contains(&Flag::BeforeGap), "{sessions:?}");
    assert_eq!(day.intervals()[&("Z".to_owned(), time("09:00"))].occupied_s, 900);
}
