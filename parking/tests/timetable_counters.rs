//! Counters: totals lose nothing; what is not known of them is said.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::{BootId, ClockQuality, Counting, Input, RecordBody, Site, Stamp};
use support::{Timetable, line, time};

fn day_of(site: &Site) -> Timetable {
    let mut day = Timetable::new(site);
    day.occupancy = true;
    day
}

fn modulus(number: u32) -> Site {
    let mut site = line();
    site.sensors[0].counts = Some(Counting {
        modulus: std::num::NonZeroU32::new(number),
    });
    site
}

#[test]
fn what_passes_between_two_totals_is_counted_and_an_edge_between_them_says_how_it_may_be_divided() {
    day_of(&line()).play(
        "06:00 L count 100
         06:10 L count 112
         06:15:30 > counted Z 06:00 s-L 12.. known 900 unknown 0
         06:20 L count 122
         06:20 > counted Z 06:00 rev 2 s-L 17..-5+5 known 900 unknown 0
         06:30 L count 130
         06:30:30 > counted Z 06:15 s-L 13-5+5.. known 900 unknown 0",
    );
}

#[test]
fn nothing_is_known_before_the_first_total_and_a_total_that_stays_is_known_to_be_nothing() {
    day_of(&line()).play(
        "06:05 L count 7
         06:15:30 > counted Z 06:00 s-L 0.. known 600 unknown 300
         06:20 L count 7
         06:25 L alive
         06:30:30 > counted Z 06:15 s-L 0.. known 900 unknown 0",
    );
}

#[test]
fn a_total_runs_over_and_comes_late_twice_and_out_of_order_and_is_the_same() {
    let expected = "06:15:30 > counted Z 06:00 s-L 26.. known 900 unknown 0";
    for timetable in [
        "06:00 L count 65530 frame 1
         06:05 L count 65535 frame 2
         06:10 L count 10 frame 3
         06:14 L count 20 frame 4
         06:15 L count 20 frame 5",
        "06:00 L count 65530 frame 1
         06:00 L count 65530 frame 1
         06:14 L count 20 frame 4
         06:14 L count 20 frame 4
         06:14:30 L count 10 frame 3 seen 06:10
         06:15 L count 20 frame 5
         06:15:10 L count 65535 frame 2 seen 06:05
         06:15:20 L count 65535 frame 2 seen 06:05",
    ] {
        day_of(&line()).play(&format!("{timetable}\n{expected}"));
    }
}

#[test]
fn reports_that_are_lost_cost_nothing_and_a_silence_is_unknown_until_the_total_comes() {
    let mut day = day_of(&line());
    day.feed(
        "06:00 L count 0
         06:15 L count 50",
    );
    day.advance(time("08:45:30"));
    day.skip();
    day.advance(time("08:46"));
    // Two and a half hours after the last total.
    let silent: Vec<String> = day
        .records
        .iter()
        .filter(|record| matches!(&record.body, RecordBody::CounterLost { since, .. } if *since == time("06:15")))
        .map(|record| support::clock(record.written.at))
        .collect();
    assert_eq!(silent, ["08:45"]);
    assert_eq!(last(&day, "08:15").unknown_s, 900);
    day.skip();
    day.feed("09:15 L count 230\n09:16 tick");
    let restored = day
        .records
        .iter()
        .any(|record| matches!(&record.body, RecordBody::CounterRestored { heard, .. } if *heard == time("09:15")));
    assert!(restored);
    let counted = ["06:15", "06:30", "07:00", "08:15", "09:00"].map(|at| last(&day, at));
    assert!(
        counted
            .iter()
            .all(|counted| (counted.count, counted.known_s) == (15, 900)),
        "{counted:?}"
    );
    assert_eq!(counted[1].at_begin.map(|edge| (edge.fewer, edge.more)), Some((15, 165)));
}

fn last(day: &Timetable, from: &str) -> parking::Counted {
    day.intervals()[&("Z".to_owned(), time(from))].counted[0].clone()
}

#[test]
fn a_counter_that_begins_anew_leaves_a_span_of_which_the_least_is_known() {
    day_of(&line()).play(
        "06:00 L count 400
         06:06 L startup count 0
         06:10 L count 6
         06:15:30 > counted Z 06:00 s-L 6.. known 540 unknown 360
         06:16 L count 6
         06:20 L startup
         06:22 L count 9
         06:30:30 > counted Z 06:15 s-L 3.. known 900 unknown 0",
    );
}

#[test]
fn a_total_that_falls_or_grows_faster_than_vehicles_can_pass_began_anew() {
    let mut endless = line();
    endless.sensors[0].counts = Some(Counting::default());
    for site in [line(), endless] {
        day_of(&site).play(
            "06:00 L count 400
             06:06 L count 5
             06:10 L count 6
             06:15:30 > counted Z 06:00 s-L 1.. least 5 known 540 unknown 360",
        );
    }
    // It joined anew, and its total did not go on; near its end that looks like running over.
    day_of(&line()).play(
        "06:00 L count 65500 frame 900
         06:06 L count 5 frame 1
         06:10 L count 6 frame 2
         06:15:30 > counted Z 06:00 s-L 1.. least 5 known 540 unknown 360",
    );
    // If its total goes on, it only joined anew.
    day_of(&line()).play(
        "06:00 L count 500 frame 900
         06:06 L count 505 frame 1
         06:15:30 > counted Z 06:00 s-L 5.. known 900 unknown 0",
    );
    // Nor can it have counted so many since it began anew.
    day_of(&line()).play(
        "06:00 L count 10000
         06:01 L count 8000
         06:02 L count 8001
         06:15:30 > counted Z 06:00 s-L 1.. known 840 unknown 60",
    );
}

#[test]
fn a_small_total_may_have_run_over_unseen_in_a_long_silence_and_only_then() {
    let quarter = |timetable: &str| {
        let mut day = day_of(&modulus(128));
        day.feed(timetable);
        last(&day, "06:00")
    };
    let heard = quarter("06:00 L count 120\n06:15 L count 8\n06:16 tick");
    assert_eq!((heard.count, heard.known_s), (16, 900));
    let lost = quarter("06:00 L count 120\n08:40 L count 8\n08:41 tick");
    assert_eq!(
        (lost.count, lost.at_least, lost.known_s, lost.unknown_s),
        (0, 1, 0, 900)
    );
}

#[test]
fn totals_of_an_unset_clock_are_dated_when_it_is_corrected() {
    let start = Stamp {
        at: "1970-01-01T00:01:00Z".parse().unwrap(),
        boot: BootId(4),
        mono_ms: 0,
        clock: ClockQuality::Unset,
    };
    let mut day = Timetable::starting(start, &line());
    day.checks = false;
    let step = |day: &mut Timetable, after_s: i64, count: &str| {
        day.now.at = start.at.plus_seconds(after_s);
        day.now.mono_ms = u64::try_from(after_s * 1_000).unwrap();
        let reading = day.reading("L", &["count", count]);
        day.step(Input::Reading(reading));
    };
    step(&mut day, 0, "10");
    step(&mut day, 300, "16");
    step(&mut day, 600, "20");
    let offset_ms = time("10:00").millis_since(start.at);
    day.now.at = day.now.at.plus_millis(offset_ms);
    day.now.clock = ClockQuality::Synced;
    day.step(Input::ClockCorrected {
        of_boot: BootId(4),
        offset_ms,
    });
    day.advance(time("10:16"));
    let counted = last(&day, "10:00");
    assert_eq!((counted.count, counted.known_s, counted.unknown_s), (10, 900, 0));
}

#[test]
fn another_factor_divides_the_interval_at_its_begin_and_nothing_is_counted_twice_or_lost() {
    let mut changed = line();
    changed.counters[0].vehicles.vehicles_per_1000 = 500;
    let mut gone = line();
    gone.counters.clear();
    // Nor does the configuration know its sensor any more.
    gone.sensors.clear();
    gone.spaces = vec![support::space("A1")];
    let mut day = day_of(&line());
    day.feed(
        "06:00 L count 0
         06:05 L count 10",
    );
    day.site_changes("06:08", &changed);
    day.feed("06:10 L count 15\n06:14 L count 19\n06:15 L count 20");
    day.advance(time("06:16"));
    let quarter = day.intervals()[&("Z".to_owned(), time("06:00"))].clone();
    let parts: Vec<(u32, u32, u32)> = quarter
        .counted
        .iter()
        .map(|counted| (counted.count, counted.known_s, counted.vehicles.vehicles_per_1000))
        .collect();
    assert_eq!(parts, [(13, 480, 900), (7, 420, 500)]);
    day.feed("06:18 L count 26");
    day.site_changes("06:20", &gone);
    day.advance(time("06:31"));
    let quarter = day.intervals()[&("Z".to_owned(), time("06:15"))].clone();
    assert_eq!((quarter.counted[0].count, quarter.counted[0].known_s), (6, 300));
}

#[test]
fn a_total_from_before_or_after_its_time_at_the_line_is_set_aside() {
    let mut site = line();
    site.counters[0].during.until = Some(time("06:20"));
    day_of(&site).play(
        "06:00 L count 1 seen 05:59
         06:00 > aside s-L 05:59: its sensor is bound to no space and counts nowhere at that time
         06:01 L count 2
         06:15:30 > counted Z 06:00 s-L 0.. known 840 unknown 60
         06:21 L count 9
         06:21 > aside s-L 06:21: its sensor is bound to no space and counts nowhere at that time
         06:22 L count 7 seen 06:18
         06:22 > counted Z 06:00 rev 2 s-L 4..-4+1 known 840 unknown 60
         06:30:30 > counted Z 06:15 s-L 1-4+1.. known 300 unknown 0",
    );
}

#[test]
fn what_is_folded_stays_as_it_was_written_and_the_rest_goes_on() {
    let mut day = Timetable::new(&line());
    day.checks = false;
    // More totals than are kept, one every 20 s.
    for number in 0..4_000_i64 {
        day.advance(time("06:00").plus_seconds(number * 20));
        let reading = day.reading("L", &["count", &number.to_string()]);
        day.step(Input::Reading(reading));
    }
    day.advance(time("+1/04:20"));
    let intervals = day.intervals();
    let counted: Vec<u32> = intervals.values().map(|interval| interval.counted[0].count).collect();
    assert_eq!(counted.iter().sum::<u32>(), 3_999);
    assert!(counted[..88].iter().all(|count| *count == 45), "{counted:?}");
}

#[test]
fn what_is_folded_while_the_clock_is_unset_is_moved_with_the_rest() {
    let start = Stamp {
        at: "1970-01-01T00:01:00Z".parse().unwrap(),
        boot: BootId(4),
        mono_ms: 0,
        clock: ClockQuality::Unset,
    };
    let mut day = Timetable::starting(start, &line());
    day.checks = false;
    for number in 0..1_500_i64 {
        day.now.at = start.at.plus_seconds(number * 20);
        day.now.mono_ms = u64::try_from(number * 20_000).unwrap();
        let reading = day.reading("L", &["count", &number.to_string()]);
        day.step(Input::Reading(reading));
    }
    // It is 16:00 now.
    let offset_ms = time("16:00").millis_since(day.now.at);
    day.now.at = time("16:00");
    day.now.clock = ClockQuality::Synced;
    day.step(Input::ClockCorrected {
        of_boot: BootId(4),
        offset_ms,
    });
    day.advance(time("16:16"));
    for at in ["12:00", "13:30", "15:30"] {
        assert_eq!((last(&day, at).count, last(&day, at).known_s), (45, 900), "{at}");
    }
}

#[test]
fn a_counter_that_is_silent_before_its_next_time_at_a_line_is_due_when_that_begins() {
    let mut site = line();
    site.counters[0].during.until = Some(time("06:30"));
    let mut again = site.counters[0].clone();
    again.during = parking::Interval {
        from: time("12:00"),
        until: None,
    };
    site.counters.push(again);
    let mut day = Timetable::new(&site);
    // Whoever ticks at every deadline goes on; `advance` says if one stays.
    day.play(
        "06:10 L count 5
         12:00 > lost s-L of Z since 06:10
         12:10 L count 9
         12:10 > restored s-L of Z at 12:10",
    );
}
