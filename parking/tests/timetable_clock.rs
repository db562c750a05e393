//! Clocks that are not set, that are set later, and that jump: sessions are re-dated, never lost, never in 2099.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::{BootId, ClockQuality, Input, SpaceState, Timestamp};
use support::{Timetable, clock, site, time};

const SECOND: i64 = 1_000;

/// A reading that arrives `second` seconds after the axis stood at `base`.
fn hear(day: &mut Timetable, at: Timestamp, words: &str) {
    day.advance(at);
    let words: Vec<&str> = words.split_whitespace().collect();
    let reading = day.reading("A1", &words);
    assert!(day.step(Input::Reading(reading)).changed);
}

/// The axis moves: what was `from` is `to`.
fn correct(day: &mut Timetable, to: Timestamp) {
    let offset_ms = to.millis_since(day.now.at);
    let of_boot = day.now.boot;
    day.now.at = to;
    day.now.clock = ClockQuality::Synced;
    day.step(Input::ClockCorrected { of_boot, offset_ms });
}

fn reboot(day: &mut Timetable, at: Timestamp, quality: ClockQuality) {
    day.now.at = at;
    day.now.boot = BootId(day.now.boot.0 + 1);
    day.now.mono_ms = 0;
    day.now.clock = quality;
    day.step(Input::Started {
        version: "1".to_owned(),
    });
}

fn stays(day: &Timetable) -> Vec<String> {
    let told = |session: &parking::Session| {
        let unsure = session.flags.contains(&parking::Flag::ClockUnsure);
        format!(
            "{}-{}{}",
            clock(session.start),
            clock(session.end),
            if unsure { " unsure" } else { "" }
        )
    };
    day.sessions().iter().map(told).collect()
}

#[test]
fn a_box_that_starts_in_1970_dates_its_sessions_when_its_clock_is_set() {
    let mut day = Timetable::new(&site(&["A1"]));
    reboot(&mut day, Timestamp::EPOCH, ClockQuality::Unset);
    hear(&mut day, Timestamp::EPOCH.plus_seconds(60), "heartbeat free");
    hear(&mut day, Timestamp::EPOCH.plus_seconds(600), "occupied");
    hear(&mut day, Timestamp::EPOCH.plus_seconds(1_200), "free");
    day.advance(Timestamp::EPOCH.plus_seconds(3_600));
    assert!(
        stays(&day).iter().all(|stay| stay.ends_with("unsure")),
        "{:?}",
        stays(&day)
    );
    correct(&mut day, time("09:00"));
    day.advance(time("09:10"));
    assert_eq!(stays(&day), ["08:10-08:20"]);
}

#[test]
fn a_fresh_box_in_1970_whose_bindings_begin_later_keeps_its_readings_until_its_clock_is_set() {
    let site = site(&["A1"]);
    let mut day = Timetable::new(&site);
    day.now.at = Timestamp::EPOCH;
    day.now.clock = ClockQuality::Unset;
    let mut fresh = Timetable::starting(day.now, &site);
    hear(&mut fresh, Timestamp::EPOCH.plus_seconds(60), "heartbeat free");
    hear(&mut fresh, Timestamp::EPOCH.plus_seconds(600), "occupied");
    hear(&mut fresh, Timestamp::EPOCH.plus_seconds(1_200), "free");
    fresh.advance(Timestamp::EPOCH.plus_seconds(3_600));
    assert_eq!(stays(&fresh).len(), 0);
    correct(&mut fresh, time("09:00"));
    fresh.advance(time("09:10"));
    assert_eq!(stays(&fresh), ["08:10-08:20"]);
}

#[test]
fn a_stay_over_a_power_cut_gets_its_end_when_the_clock_is_set() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied");
    reboot(&mut day, time("07:02"), ClockQuality::Unset);
    hear(&mut day, time("07:05"), "free");
    day.advance(time("07:10"));
    assert_eq!(stays(&day), ["07:00-07:05 unsure"]);
    correct(&mut day, time("09:10"));
    day.advance(time("09:15"));
    assert_eq!(stays(&day), ["07:00-09:05"]);
    assert_eq!(day.sessions()[0].revision, 2);
}

#[test]
fn readings_on_their_way_while_the_clock_is_set_are_dated_by_the_same_correction() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free");
    reboot(&mut day, time("06:40"), ClockQuality::Unset);
    hear(&mut day, time("06:45"), "occupied");
    let on_its_way = {
        day.advance(time("06:50"));
        day.reading("A1", &["free"])
    };
    correct(&mut day, time("08:50"));
    day.step(Input::Reading(on_its_way));
    day.advance(time("08:55"));
    assert_eq!(stays(&day), ["08:45-08:50"]);
}

#[test]
fn a_clock_that_was_never_set_before_the_next_power_cut_leaves_its_session_unsure() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free");
    reboot(&mut day, time("06:40"), ClockQuality::Unset);
    hear(&mut day, time("06:45"), "occupied");
    hear(&mut day, time("06:55"), "free");
    day.advance(time("07:00"));
    reboot(&mut day, time("07:30"), ClockQuality::Unset);
    correct(&mut day, time("08:30"));
    day.advance(time("08:40"));
    assert_eq!(stays(&day), ["06:45-06:55 unsure"]);
}

#[test]
fn a_box_that_believed_in_2099_comes_back_and_goes_on() {
    for quality in [ClockQuality::Unset, ClockQuality::Synced] {
        let mut day = Timetable::new(&site(&["A1"]));
        day.play("06:30 A1 heartbeat free");
        let wrong: Timestamp = "2099-01-01T00:00:00Z".parse().unwrap();
        reboot(&mut day, wrong, quality);
        hear(&mut day, wrong.plus_seconds(60), "occupied");
        hear(&mut day, wrong.plus_seconds(660), "free");
        day.advance(wrong.plus_seconds(2_000));
        correct(&mut day, time("08:00"));
        hear(&mut day, time("08:10"), "occupied");
        hear(&mut day, time("08:30"), "free");
        day.advance(time("08:40"));
        assert_eq!(stays(&day), ["07:27:40-07:37:40", "08:10-08:30"], "{quality:?}");
        assert_eq!(day.tracker.spaces_now(time("08:40"))[0].state, SpaceState::Free);
        day.advance(time("11:30"));
        assert_eq!(day.told().last().unwrap(), "lost A1 since 08:30");
    }
}

#[test]
fn a_box_that_believed_in_2099_for_days_comes_back_and_goes_on() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free");
    let wrong: Timestamp = "2099-01-01T00:00:00Z".parse().unwrap();
    reboot(&mut day, wrong, ClockQuality::Unset);
    for hour in 0..60 {
        hear(&mut day, wrong.plus_seconds(3_600 * hour), "occupied");
        hear(&mut day, wrong.plus_seconds(3_600 * hour + 1_800), "free");
    }
    day.advance(wrong.plus_seconds(60 * 3_600));
    correct(&mut day, time("+3/08:00"));
    hear(&mut day, time("+3/08:10"), "occupied");
    hear(&mut day, time("+3/08:30"), "free");
    day.advance(time("+3/12:00"));
    assert!(
        stays(&day).contains(&"+3/08:10-+3/08:30".to_owned()),
        "{:?}",
        stays(&day)
    );
    assert_eq!(day.told().last().unwrap(), "lost A1 since +3/08:30");
    let dated_wrong = day
        .sessions()
        .iter()
        .filter(|session| session.start > time("+4/00:00"))
        .count();
    // Those folded before the clock was set keep the time that they were written with.
    assert!(dated_wrong <= 60 - 26, "{dated_wrong}");
}

#[test]
fn a_step_of_seconds_re_dates_nothing() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied");
    day.now.at = day.now.at.plus_millis(-5 * SECOND);
    day.step(Input::ClockCorrected {
        of_boot: day.now.boot,
        offset_ms: -5 * SECOND,
    });
    day.play_from_here("07:20 A1 free\n07:21:30 > session 1 A1 07:00-07:20 parked 2000");
}

/// A magnetometer decides half a minute after a vehicle came. No clock is needed to know how long ago that was.
#[test]
fn what_the_box_saw_itself_is_dated_by_when_it_saw_it_and_not_by_when_it_said_so() {
    for is_queued in [false, true] {
        let mut site = site(&["A1"]);
        site.sensors[0].queued = is_queued;
        let mut day = Timetable::new(&site);
        reboot(&mut day, Timestamp::EPOCH, ClockQuality::Unset);
        for (second, words) in [(60, "heartbeat free"), (600, "occupied"), (1_200, "free")] {
            day.advance(Timestamp::EPOCH.plus_seconds(second));
            let words: Vec<&str> = words.split_whitespace().collect();
            let mut reading = day.reading("A1", &words);
            reading.observed = reading.received.at.plus_seconds(-40);
            assert!(day.step(Input::Reading(reading)).changed);
        }
        day.advance(Timestamp::EPOCH.plus_seconds(3_600));
        correct(&mut day, time("09:00"));
        day.advance(time("09:10"));
        let late_s = if is_queued { 0 } else { 40 };
        let [session] = &day.sessions()[..] else {
            panic!("{:?}", day.sessions())
        };
        let (start, end) = (time("08:10").plus_seconds(-late_s), time("08:20").plus_seconds(-late_s));
        assert_eq!((session.start, session.end), (start, end), "queued: {is_queued}");
    }
}
