//! Reports that come late, twice, out of order, too late, or from the future.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use support::{Timetable, site, time};

#[test]
fn a_session_that_is_reported_hours_late_is_written_when_it_has_settled() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:30 A1 heartbeat free
         09:40 A1 occupied seen 07:00
         09:40 A1 free seen 07:20
         09:41:30 > session 1 A1 07:00-07:20 parked 2000",
    );
}

#[test]
fn a_day_that_comes_in_backwards_gives_the_sessions_of_the_day() {
    Timetable::new(&site(&["A1"])).play(
        "08:20 A1 free seen 08:10
         08:20 A1 occupied seen 07:40
         08:20 A1 free seen 07:30
         08:20 A1 occupied seen 07:00
         08:20 A1 heartbeat free seen 06:30
         08:21:30 > session 2 A1 07:00-07:30 parked 2000
         08:21:30 > session 1 A1 07:40-08:10 parked 2000",
    );
}

#[test]
fn the_same_uplink_again_has_no_effect() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied frame 9 message m1");
    for again in [
        "07:00:05 A1 occupied frame 9 message m1 seen 07:00",
        "07:00:20 A1 occupied frame 9 message m2 seen 07:00",
        "07:00:30 A1 occupied frame 9 seen 07:00:02",
        "07:40 A1 occupied frame 9 message m1 seen 07:00",
    ] {
        let words: Vec<&str> = again.split_whitespace().collect();
        day.advance(time(words[0]));
        let reading = day.reading("A1", &words[2..]);
        assert!(!day.step(parking::Input::Reading(reading)).changed, "{again}");
    }
    day.play("08:00 A1 free frame 10\n08:01:30 > session 1 A1 07:00-08:00 parked 2000");
}

#[test]
fn a_frame_counter_that_starts_anew_is_no_duplicate() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free frame 1
         07:00 A1 occupied frame 2
         07:30 A1 free frame 3
         07:31:30 > session 1 A1 07:00-07:30 parked 2000
         07:40 A1 startup free frame 0
         07:41 A1 heartbeat free frame 1
         07:50 A1 occupied frame 2
         08:30 A1 free frame 3
         08:31:30 > session 2 A1 07:50-08:30 parked 2000",
    );
}

#[test]
fn a_late_change_splits_a_written_session_and_its_name_stays_with_the_first_part() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         09:00 A1 free
         09:01:30 > session 1 A1 07:00-09:00 parked 2000
         09:10 A1 free seen 07:30
         09:10 A1 occupied seen 08:30
         09:11:30 > session 1 rev 2 A1 07:00-07:30 parked 2000
         09:11:30 > session 2 A1 08:30-09:00 parked 2000",
    );
}

#[test]
fn an_earlier_begin_revises_the_session_under_its_name() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:30 A1 free
         07:31:30 > session 1 A1 07:00-07:30 parked 2000
         07:40 A1 occupied seen 06:40
         07:41:30 > session 1 rev 2 A1 06:40-07:30 parked 2000",
    );
}

#[test]
fn a_void_session_comes_back_under_its_name() {
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
         07:41:30 > session 1 rev 2 A1 07:00-07:30 parked 2000
         07:50 A1 free seen 07:18
         07:51:30 > session 1 rev 3 A1 07:00-07:18 parked 2000
         07:51:30 > session 2 rev 3 A1 07:20-07:30 parked 2000",
    );
}

#[test]
fn what_is_older_than_the_horizon_is_set_aside() {
    let mut day = Timetable::new(&site(&["A1"]));
    for hour in 6..36 {
        day.play_from_here(&format!("+{}/{:02}:30 A1 heartbeat free", hour / 24, hour % 24));
    }
    day.play_from_here(
        "+1/12:00 A1 occupied seen 09:59
         +1/12:00 > aside s-A1 09:59: 93660 s old, beyond the horizon
         +1/12:00 A1 occupied seen 10:10
         +1/12:00 A1 free seen 10:20
         +1/12:01:30 > session 1 A1 10:10-10:20 parked 2000",
    );
}

#[test]
fn what_is_dated_in_the_future_is_set_aside_and_changes_nothing() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied seen 07:01:01
         07:00 > aside s-A1 07:01:01: dated 61 s after its receipt
         07:10 A1 occupied seen 07:10:40
         07:10:20 A1 free
         07:11:50 > session 1 A1 07:10-07:10:20 drop_off 0",
    );
    let mut reading = day.reading("A1", &["occupied"]);
    reading.observed = "2099-01-01T00:00:00Z".parse().unwrap();
    day.step(parking::Input::Reading(reading));
    assert_eq!(
        day.told(),
        ["aside s-A1 2099-01-01T00:00:00Z: dated 2303336890 s after its receipt"]
    );
}

#[test]
fn a_sensor_nobody_knows_is_set_aside_four_times_an_hour() {
    let mut day = Timetable::new(&site(&["A1"]));
    let mut changed = 0;
    for second in 0..20 {
        day.advance(time("07:00").plus_seconds(second));
        let reading = day.reading("X9", &["occupied"]);
        changed += u32::from(day.step(parking::Input::Reading(reading)).changed);
    }
    assert_eq!(changed, 4);
    assert_eq!(day.told().len(), 4);
    day.play(
        "08:00 X9 occupied\n08:00 > aside s-X9 08:00: its sensor is bound to no space and counts nowhere at that time",
    );
}

#[test]
fn a_crowd_of_unknown_sensors_does_not_make_the_state_grow_without_bound() {
    let mut day = Timetable::new(&site(&["A1"]));
    for hour in 7..10 {
        day.advance(time(&format!("{hour}:00")));
        for number in 0..400 {
            let reading = day.reading(&format!("X{number}"), &["occupied"]);
            day.step(parking::Input::Reading(reading));
        }
        assert!(support::snapshot(&day.tracker).len() < 40_000);
    }
}

#[test]
fn a_written_session_that_turns_out_to_go_on_is_void_until_it_ends() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:30 A1 free
         07:31:30 > session 1 A1 07:00-07:30 parked 2000
         07:40 A1 occupied seen 07:30:30
         07:40 > session 1 rev 2 A1 07:00-07:30 void 0
         07:50 A1 free
         07:51:30 > session 1 rev 3 A1 07:00-07:50 parked 2000",
    );
}
