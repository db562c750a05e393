//! Lost reports: what the previous state, a repeated state or a heartbeat betray of changes that were not heard.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use support::{Timetable, site};

#[test]
fn a_status_that_repeats_the_state_tells_of_two_lost_changes_when_it_knows_the_previous_state() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         08:00 A1 occupied prev 10
         08:01:30 > session 1 A1 07:00-07:49:30 parked 2000 end 07:49..07:50 end_inferred
         08:30 A1 free
         08:31:30 > session 2 A1 08:00-08:30 parked 2000",
    );
}

#[test]
fn a_repeated_free_status_betrays_a_stay_of_which_nothing_was_heard() {
    Timetable::new(&site(&["A1"])).play(
        "07:30 A1 heartbeat free
         08:00 A1 free prev 10
         08:01:30 > session 1 A1 07:49:30-08:00 parked 2000 start 07:49..07:50 start_inferred",
    );
}

#[test]
fn a_repeated_status_without_previous_state_is_a_heartbeat() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         08:00 A1 occupied
         08:30 A1 free
         08:31:30 > session 1 A1 07:00-08:30 parked 2000",
    );
}

#[test]
fn a_heartbeat_in_another_state_bounds_the_change_that_was_lost() {
    Timetable::new(&site(&["A1"])).play(
        "07:00 A1 heartbeat free
         08:00 A1 heartbeat occupied
         09:00 A1 heartbeat free
         09:01:30 > session 1 A1 08:00-09:00 parked 0/2000/2000 start 07:00..08:00 end 08:00..09:00 start_inferred \
         end_inferred",
    );
}

#[test]
fn a_later_previous_state_dates_a_lost_begin() {
    Timetable::new(&site(&["A1"])).play(
        "07:00 A1 heartbeat free
         08:00 A1 heartbeat occupied
         08:30 A1 free prev 50
         08:31:30 > session 1 A1 07:39:30-08:30 parked 2000 start 07:39..07:40 start_inferred",
    );
}

#[test]
fn a_later_previous_state_dates_a_lost_end_and_revises_what_was_written() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         08:00 A1 heartbeat occupied
         09:00 A1 heartbeat free
         09:01:30 > session 1 A1 07:00-09:00 parked 2000 end 08:00..09:00 end_inferred
         09:10 A1 occupied prev 30
         09:11:30 > session 1 rev 2 A1 07:00-08:39:30 parked 2000 end 08:39..08:40 end_inferred
         09:40 A1 free prev 30
         09:41:30 > session 2 A1 09:10-09:40 parked 2000",
    );
}

#[test]
fn a_previous_state_shorter_than_the_known_one_betrays_two_lost_changes() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         08:00 A1 free prev 20
         08:01:30 > session 1 A1 07:00-07:39:30 parked 0/2000/2000 end 07:00..07:40 end_inferred
         08:01:30 > session 2 A1 07:39:30-08:00 parked 2000 start 07:39..07:40 start_inferred",
    );
}

#[test]
fn a_previous_free_time_shorter_than_the_known_one_betrays_a_stay() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:10 A1 free
         07:11:30 > session 1 A1 07:00-07:10 parked 2000
         08:10 A1 occupied prev 20
         08:11:30 > session 2 A1 07:29:45-07:49:30 parked 0/2000/2000 start 07:10..07:49:30 end 07:49..07:50 \
         start_inferred end_inferred
         08:40 A1 free prev 30
         08:41:30 > session 3 A1 08:10-08:40 parked 2000",
    );
}

#[test]
fn a_previous_state_that_agrees_to_the_minute_changes_nothing() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00:59 A1 occupied prev 90-94
         08:00:01 A1 free prev 59
         08:01:31 > session 1 A1 07:00:59-08:00:01 parked 2000
         09:30 A1 occupied prev 90-94
         10:00 A1 free prev 30
         10:01:30 > session 2 A1 09:30-10:00 parked 2000",
    );
}

#[test]
fn a_free_status_behind_a_silence_in_which_the_space_filled_tells_of_the_stay() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("07:00 A1 heartbeat free");
    day.advance(support::time("11:59"));
    day.play_from_here(
        "12:00 A1 free prev 30
         12:00 > restored A1 at 12:00
         12:01:30 > session 1 A1 11:29:30-12:00 parked 2000 start 11:29..11:30 start_inferred",
    );
}

#[test]
fn a_space_that_became_free_anew_in_a_silence_had_somebody_in_it() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("07:00 A1 heartbeat free");
    day.advance(support::time("11:59"));
    day.play_from_here(
        "12:00 A1 occupied prev 30
         12:00 > restored A1 at 12:00
         12:01:30 > session 1 A1 09:14:45-11:29:30 parked 0/2000/2000 start 07:00..11:29:30 end 11:29..11:30 \
         start_inferred end_inferred
         12:30 A1 free prev 30
         12:31:30 > session 2 A1 12:00-12:30 parked 2000",
    );
}
