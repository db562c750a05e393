//! Occupancy: seconds add up, whatever happens; a late fact makes the next revision.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use support::{Timetable, site, time};

#[test]
fn an_interval_is_written_when_it_has_settled() {
    let mut day = Timetable::new(&site(&["A1", "A2"]));
    day.occupancy = true;
    day.play(
        "06:05 A1 heartbeat free
         06:05 A2 heartbeat free
         06:10 A1 occupied
         06:15:30 > occupancy Z 06:00 occupied 300 free 900 unknown 600 closed 0 in 1 out 0
         06:20 A1 free
         06:21:30 > session 1 A1 06:10-06:20 parked 2000
         06:30:30 > occupancy Z 06:15 occupied 300 free 1500 unknown 0 closed 0 in 0 out 1",
    );
}

#[test]
fn a_late_report_revises_the_intervals_that_it_touches_and_no_others() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:00 A1 heartbeat free");
    day.advance(time("07:00:30"));
    day.occupancy = true;
    day.play_from_here(
        "07:01 A1 occupied seen 06:20
         07:01 > occupancy Z 06:15 rev 2 occupied 600 free 300 unknown 0 closed 0 in 1 out 0
         07:01 > occupancy Z 06:30 rev 2 occupied 900 free 0 unknown 0 closed 0 in 0 out 0
         07:01 > occupancy Z 06:45 rev 2 occupied 900 free 0 unknown 0 closed 0 in 0 out 0
         07:01 A1 free seen 06:40
         07:01 > occupancy Z 06:30 rev 3 occupied 600 free 300 unknown 0 closed 0 in 0 out 1
         07:01 > occupancy Z 06:45 rev 3 occupied 0 free 900 unknown 0 closed 0 in 0 out 0
         07:02 A1 heartbeat free seen 06:50
         07:02:30 > session 1 A1 06:20-06:40 parked 2000",
    );
}

#[test]
fn a_lost_sensor_makes_the_intervals_since_it_was_last_heard_unknown() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:05 A1 heartbeat free");
    day.advance(time("08:35"));
    day.skip();
    day.occupancy = true;
    day.advance(time("08:36"));
    let mut expected = vec![
        "lost A1 since 06:05".to_owned(),
        "occupancy Z 06:00 rev 2 occupied 0 free 0 unknown 900 closed 0 in 0 out 0".to_owned(),
    ];
    let quarters = [
        "06:15", "06:30", "06:45", "07:00", "07:15", "07:30", "07:45", "08:00", "08:15",
    ];
    expected
        .extend(quarters.map(|at| format!("occupancy Z {at} rev 2 occupied 0 free 0 unknown 900 closed 0 in 0 out 0")));
    assert_eq!(day.told(), expected);
    day.play_from_here(
        "08:40 A1 free seen 08:30 prev 60
         08:40 > restored A1 at 08:30
         08:40 > occupancy Z 06:00 rev 3 occupied 0 free 600 unknown 300 closed 0 in 0 out 0
         08:40 > occupancy Z 06:15 rev 3 occupied 0 free 900 unknown 0 closed 0 in 0 out 0
         08:40 > occupancy Z 06:30 rev 3 occupied 0 free 900 unknown 0 closed 0 in 0 out 0
         08:40 > occupancy Z 06:45 rev 3 occupied 0 free 900 unknown 0 closed 0 in 0 out 0
         08:40 > occupancy Z 07:00 rev 3 occupied 0 free 900 unknown 0 closed 0 in 0 out 0
         08:40 > occupancy Z 07:15 rev 3 occupied 30 free 870 unknown 0 closed 0 in 1 out 0
         08:40 > occupancy Z 07:30 rev 3 occupied 900 free 0 unknown 0 closed 0 in 0 out 0
         08:40 > occupancy Z 07:45 rev 3 occupied 900 free 0 unknown 0 closed 0 in 0 out 0
         08:40 > occupancy Z 08:00 rev 3 occupied 900 free 0 unknown 0 closed 0 in 0 out 0
         08:40 > occupancy Z 08:15 rev 3 occupied 900 free 0 unknown 0 closed 0 in 0 out 0",
    );
}

#[test]
fn closed_time_is_closed_whatever_the_sensor_says_and_counts_once() {
    let mut closed = site(&["A1"]);
    let span = |from, until| parking::Interval {
        from: time(from),
        until: Some(time(until)),
    };
    closed.spaces[0].closed = vec![span("06:20", "06:28"), span("06:25", "06:35")];
    let mut day = Timetable::new(&closed);
    day.occupancy = true;
    day.play(
        "06:00 A1 heartbeat free
         06:15:30 > occupancy Z 06:00 occupied 0 free 900 unknown 0 closed 0 in 0 out 0
         06:25 A1 occupied
         06:30:30 > occupancy Z 06:15 occupied 0 free 300 unknown 0 closed 600 in 1 out 0
         06:45:30 > occupancy Z 06:30 occupied 600 free 0 unknown 0 closed 300 in 0 out 0",
    );
    assert_eq!(
        day.intervals()[&("Z".to_owned(), time("06:15"))].coverage,
        Some(parking::Coverage::FULL)
    );
}

#[test]
fn a_box_that_was_off_for_days_writes_the_intervals_of_the_horizon() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:05 A1 heartbeat free");
    day.advance(time("06:20"));
    day.now.at = time("+4/06:20");
    day.step(parking::Input::Tick);
    let written = day.intervals();
    assert_eq!(written.len(), 1 + 26 * 4 - 1);
    assert!(written.values().skip(1).all(|interval| interval.unknown_s == 900));
}
