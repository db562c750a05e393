//! What lost reports leave behind: the change that a sensor must have told, and spans in which a vehicle may have come and
//! gone unseen.
//!
//! The heartbeat is an hour, and the sensor sends a status for nothing but a change.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::{Gap, SensorErrors};
use support::{Timetable, clock, site, time};

/// A day of one space whose sensor reports changes only.
fn day() -> Timetable {
    let mut site = site(&["A1"]);
    for sensor in &mut site.sensors {
        sensor.on_change = true;
    }
    Timetable::new(&site)
}

/// All gaps as last told, but for the one before the sensor's first word: from, until, states, frames, inferred, uncounted.
fn gaps(day: &Timetable) -> Vec<String> {
    let state = |occupied: Option<bool>| occupied.map_or("?", |occupied| if occupied { "occupied" } else { "free" });
    let text = |gap: &Gap| {
        let mut words = vec![
            format!("{}-{}", clock(gap.from), gap.until.map_or_else(String::new, clock)),
            format!("{}-{}", state(gap.before), state(gap.after)),
        ];
        words.extend(gap.blind.then(|| "blind".to_owned()));
        words.extend(gap.frames.map(|frames| format!("{frames} frames")));
        words.extend((gap.inferred > 0).then(|| format!("{} inferred", gap.inferred)));
        words.extend(gap.uncounted.map(|uncounted| format!("{uncounted:+} uncounted")));
        words.join(" ")
    };
    let intervals = day.intervals();
    let all = intervals.values().flat_map(|interval| &interval.gaps);
    all.filter(|gap| gap.from > time("06:00")).map(text).collect()
}

#[test]
fn a_departure_without_an_arrival_tells_of_the_arrival_that_was_lost() {
    let mut day = day();
    day.play(
        "07:00 A1 heartbeat free frame 1
         08:00 A1 free frame 3
         08:01:30 > session 1 A1 07:30-08:00 parked 0/2000/2000 start 07:00..08:00 start_inferred",
    );
}

#[test]
fn an_arrival_on_an_occupied_space_tells_of_the_departure_that_was_lost() {
    let mut day = day();
    day.play(
        "07:00 A1 occupied frame 1
         08:00 A1 occupied frame 3
         08:01:30 > session 1 A1 07:00-07:30 parked 0/2000/2000 end 07:00..08:00 end_inferred
         08:30 A1 free frame 4
         08:31:30 > session 2 A1 08:00-08:30 parked 2000",
    );
}

#[test]
fn a_status_that_is_sent_again_tells_of_nothing() {
    let mut day = day();
    day.play(
        "07:00 A1 heartbeat free frame 1
         07:30 A1 free frame 2
         07:34 A1 free frame none
         07:35 A1 free frame none",
    );
    day.advance(time("08:30"));
    assert_eq!(day.told(), Vec::<String>::new());
}

#[test]
fn a_sensor_that_sends_its_status_at_any_time_tells_of_no_change_by_it() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("07:00 A1 heartbeat free frame 1\n08:00 A1 free frame 3");
    day.advance(time("09:00"));
    assert_eq!(day.told(), Vec::<String>::new());
}

#[test]
fn two_missing_frames_may_have_told_of_a_vehicle_and_one_may_not() {
    let mut day = day();
    day.play("07:00 A1 heartbeat free frame 1\n07:20 A1 heartbeat free frame 3\n07:40 A1 heartbeat free frame 6");
    day.advance(time("09:30"));
    assert_eq!(gaps(&day), ["07:20-07:40 free-free 2 frames"]);
}

#[test]
fn frames_that_come_late_take_the_doubt_away() {
    let mut day = day();
    day.play("07:00 A1 heartbeat free frame 1\n07:40 A1 heartbeat free frame 4");
    day.advance(time("07:50"));
    assert_eq!(gaps(&day), ["07:00-07:40 free-free 2 frames"]);
    day.feed("07:51 A1 occupied frame 2 seen 07:10\n07:52 A1 free frame 3 seen 07:30");
    day.advance(time("08:10"));
    assert_eq!(gaps(&day), Vec::<String>::new());
}

#[test]
fn a_sensor_without_its_heartbeats_was_off_though_no_frame_is_missing() {
    let mut day = day();
    day.play("07:00 A1 heartbeat free frame 1\n09:00 A1 heartbeat free frame 2");
    day.advance(time("09:30"));
    assert_eq!(gaps(&day), ["07:00-09:00 free-free"]);
}

#[test]
fn a_silence_is_a_gap_while_it_lasts_and_afterwards() {
    let mut day = day();
    day.play("07:00 A1 heartbeat free frame 1");
    day.advance(time("10:00"));
    assert_eq!(gaps(&day), ["07:00- free-? blind"]);
    day.feed("11:00 A1 heartbeat occupied frame 6");
    day.advance(time("11:30"));
    assert_eq!(gaps(&day), ["07:00-11:00 free-occupied blind 4 frames 1 inferred"]);
}

#[test]
fn a_previous_state_that_covers_a_gap_settles_it() {
    let mut day = day();
    day.play("07:00 A1 heartbeat free frame 1\n07:40 A1 heartbeat free frame 5");
    day.advance(time("08:00"));
    assert_eq!(gaps(&day), ["07:00-07:40 free-free 3 frames"]);
    day.feed("08:10 A1 occupied prev 90-94 frame 6");
    day.advance(time("09:00"));
    assert_eq!(gaps(&day), Vec::<String>::new());
}

#[test]
fn totals_of_changes_say_how_many_vehicles_were_not_seen() {
    let mut day = day();
    day.play("06:30 A1 heartbeat free frame 1\n06:31 A1 counters changes 10 frame 2");
    day.feed("07:00 A1 occupied frame 3\n07:30 A1 free frame 4\n08:10 A1 heartbeat free frame 8");
    day.feed("08:20 A1 counters changes 14 frame 9");
    day.advance(time("09:00"));
    assert_eq!(gaps(&day), ["07:30-08:10 ?-? +1 uncounted"]);
}

#[test]
fn totals_that_agree_settle_what_frames_left_open() {
    let mut day = day();
    day.play("06:30 A1 heartbeat free frame 1\n06:31 A1 counters changes 10 frame 2");
    day.feed("07:30 A1 heartbeat free frame 6\n08:20 A1 counters changes 10 frame 7");
    day.advance(time("09:00"));
    assert_eq!(gaps(&day), Vec::<String>::new());
}

#[test]
fn an_interval_tells_how_often_its_sensors_are_wrong() {
    let mut site = site(&["A1", "A2"]);
    site.sensors[0].errors = SensorErrors {
        missed: 100,
        invented: 41,
    };
    let mut day = Timetable::new(&site);
    day.play("07:00 A1 heartbeat free\n07:00 A2 heartbeat free");
    day.advance(time("07:30"));
    let errors: Vec<(u32, u32)> = day
        .intervals()
        .values()
        .map(|interval| (interval.errors.missed, interval.errors.invented))
        .collect();
    // Before the first word no sensor is known to be there but by its binding.
    assert_eq!(errors.last(), Some(&(50, 21)));
}
