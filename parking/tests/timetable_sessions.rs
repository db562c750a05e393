//! Sessions: what is seen is written once it has settled; short gaps merge; short stays are drop-offs.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use support::{Timetable, site};

#[test]
fn a_stay_is_written_when_the_merge_gap_and_the_settling_time_have_passed() {
    Timetable::new(&site(&["A1"])).play(
        "06:59 A1 heartbeat free
         07:00 A1 occupied
         07:50 A1 heartbeat occupied
         08:10 A1 free
         08:11:30 > session 1 A1 07:00-08:10 parked 2000
         09:00 A1 heartbeat free",
    );
}

#[test]
fn a_gap_shorter_than_a_minute_joins_two_stays_and_a_minute_does_not() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:10 A1 free
         07:10:59 A1 occupied
         07:20 A1 free
         07:21 A1 occupied
         07:21:30 > session 1 A1 07:00-07:20 parked 2000
         07:30 A1 free
         07:31:30 > session 2 A1 07:21-07:30 parked 2000",
    );
}

#[test]
fn a_merging_report_that_comes_late_revises_the_session_and_voids_the_other() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:10 A1 free
         07:11:30 > session 1 A1 07:00-07:10 parked 2000
         07:20 A1 occupied
         07:30 A1 free
         07:31:30 > session 2 A1 07:20-07:30 parked 2000
         07:40 A1 occupied seen 07:10:30
         07:40 A1 free seen 07:19:30
         07:40 > session 2 rev 2 A1 07:20-07:30 void 0
         07:41:30 > session 1 rev 2 A1 07:00-07:30 parked 2000",
    );
}

#[test]
fn a_stay_shorter_than_the_grace_is_counted_and_free() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:01:59 A1 free
         07:03:29 > session 1 A1 07:00-07:01:59 drop_off 0
         07:10 A1 occupied
         07:12 A1 free
         07:13:30 > session 2 A1 07:10-07:12 parked 2000",
    );
}

#[test]
fn a_stay_longer_than_a_day_is_quarantined_with_its_fee_as_upper_bound() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied");
    for hour in 8..=30 {
        day.play(&format!("+{}/{:02}:00 A1 heartbeat occupied", hour / 24, hour % 24));
    }
    day.play(
        "+1/07:00:01 A1 free
         +1/07:01:31 > session 1 A1 07:00-+1/07:00:01 quarantined 0/0/2000",
    );
}

#[test]
fn a_stay_over_many_days_is_one_session_although_its_begin_is_beyond_the_horizon() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied");
    for hour in 8..80 {
        day.play(&format!("+{}/{:02}:00 A1 heartbeat occupied", hour / 24, hour % 24));
    }
    day.play(
        "+3/08:30 A1 free
         +3/08:31:30 > session 1 A1 07:00-+3/08:30 quarantined 0/0/2000
         +3/09:00 A1 occupied
         +3/09:30 A1 free
         +3/09:31:30 > session 2 A1 +3/09:00-+3/09:30 parked 2000",
    );
}

#[test]
fn two_changes_within_one_second_are_taken_in_the_order_of_the_frames() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied frame 20
         07:30 A1 occupied frame 22
         07:30 A1 free frame 21
         07:40 A1 free frame 23
         07:41:30 > session 1 A1 07:00-07:40 parked 2000",
    );
}

#[test]
fn two_changes_within_one_second_without_frames_are_taken_in_the_order_of_arrival() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied frame none\n07:40 A1 free frame none");
    day.now.at = day.now.at.plus_millis(300);
    day.play(
        "07:40:01 A1 occupied frame none seen 07:40
         08:00 A1 free frame none
         08:01:30 > session 1 A1 07:00-08:00 parked 2000",
    );
}

#[test]
fn spaces_do_not_touch_each_other() {
    Timetable::new(&site(&["A1", "A2"])).play(
        "06:30 A1 heartbeat free
         06:30 A2 heartbeat free
         07:00 A1 occupied
         07:05 A2 occupied
         07:20 A2 free
         07:21:30 > session 2 A2 07:05-07:20 parked 2000
         07:30 A1 free
         07:31:30 > session 1 A1 07:00-07:30 parked 2000",
    );
}

#[test]
fn a_session_inside_a_closure_is_recorded_all_the_same() {
    let mut closed = site(&["A1"]);
    closed.spaces[0].closed = vec![parking::Interval {
        from: support::time("06:45"),
        until: Some(support::time("08:00")),
    }];
    let mut day = Timetable::new(&closed);
    day.play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:30 A1 free
         07:31:30 > session 1 A1 07:00-07:30 parked 2000",
    );
    let shown = day.tracker.spaces_now(support::time("07:31"));
    assert_eq!(shown[0].state, parking::SpaceState::Closed);
    let shown = day.tracker.spaces_now(support::time("08:00"));
    assert_eq!(shown[0].state, parking::SpaceState::Free);
}
