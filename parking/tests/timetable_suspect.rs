//! A sensor that flips more often than vehicles come and go: told once an hour, out of the best estimate.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use support::{Timetable, site};

#[test]
fn more_flips_in_an_hour_than_allowed_make_its_sessions_suspect() {
    let mut strict = site(&["A1"]);
    strict.zones[0].rules.flips_per_hour_max = 4;
    Timetable::new(&strict).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:05 A1 free
         07:06:30 > session 1 A1 07:00-07:05 parked 2000
         07:10 A1 occupied
         07:15 A1 free
         07:16:30 > session 2 A1 07:10-07:15 parked 2000
         07:20 A1 occupied
         07:20 > suspect A1 hour 07:00 flips 5
         07:20 > session 1 rev 2 A1 07:00-07:05 parked 0/0/2000 suspect
         07:20 > session 2 rev 2 A1 07:10-07:15 parked 0/0/2000 suspect
         07:25 A1 free
         07:26:30 > session 3 A1 07:20-07:25 parked 0/0/2000 suspect
         08:20 A1 occupied
         08:30 A1 free
         08:31:30 > session 4 A1 08:20-08:30 parked 2000",
    );
}

#[test]
fn the_hour_may_begin_at_any_quarter() {
    let mut strict = site(&["A1"]);
    strict.zones[0].rules.flips_per_hour_max = 4;
    Timetable::new(&strict).play(
        "06:30 A1 heartbeat free
         07:50 A1 occupied
         07:55 A1 free
         07:56:30 > session 1 A1 07:50-07:55 parked 2000
         08:00 A1 occupied
         08:05 A1 free
         08:06:30 > session 2 A1 08:00-08:05 parked 2000
         08:10 A1 occupied
         08:10 > suspect A1 hour 07:00 flips 5
         08:10 > suspect A1 hour 08:00 flips 5
         08:10 > session 1 rev 2 A1 07:50-07:55 parked 0/0/2000 suspect
         08:10 > session 2 rev 2 A1 08:00-08:05 parked 0/0/2000 suspect
         08:15 A1 free
         08:16:30 > session 3 A1 08:10-08:15 parked 0/0/2000 suspect",
    );
}

#[test]
fn a_sensor_that_flaps_for_hours_is_told_once_an_hour() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free");
    for minute in 0..180 {
        let state = if minute % 2 == 0 { "occupied" } else { "free" };
        day.feed(&format!("{:02}:{:02} A1 {state}", 7 + minute / 60, minute % 60));
    }
    let suspect = day
        .records
        .iter()
        .filter(|record| matches!(record.body, parking::RecordBody::SensorSuspect { .. }))
        .count();
    assert_eq!(suspect, 3);
    let sum: parking::FeeRange = day.sessions().iter().map(|session| session.fee).sum();
    assert_eq!((sum.low.0, sum.point.0), (0, 0));
}
