//! Sensors that are replaced or moved, configurations that change, boxes that start again.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::{FeeRule, Rupiah, SpaceState};
use support::{Timetable, binding, sensor, site, space, tariff, time};

/// `A1` watched by `s-A1` until `at`, then by `s-B`.
fn replaced(at: &str) -> parking::Site {
    let mut site = site(&["A1"]);
    site.sensors.push(sensor("s-B"));
    site.bindings[0].during.until = Some(time(at));
    site.bindings.push(binding("s-B", "A1", at));
    site
}

#[test]
fn a_replaced_sensor_ends_the_open_session_and_the_space_is_unknown_until_the_new_one_speaks() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:50 A1 heartbeat occupied");
    day.site_changes("08:00", &replaced("08:00"));
    assert_eq!(
        day.told(),
        [
            "config abc",
            "binding s-A1 A1 from 06:00 until 08:00",
            "session 1 A1 07:00-08:00 parked 2000 end 07:50..08:00 sensor_changed",
            "binding s-B A1 from 08:00",
        ]
    );
    assert_eq!(day.tracker.spaces_now(time("08:01"))[0].state, SpaceState::Unknown);
    day.play(
        "08:10 A1 heartbeat occupied by s-B frame 0
         08:30 A1 free by s-B frame 1
         08:31:30 > session 2 A1 08:10-08:30 parked 2000 start 08:00..08:10 start_inferred",
    );
}

#[test]
fn a_replacement_that_is_planned_takes_place_at_its_time() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.site_changes("06:10", &replaced("08:00"));
    assert_eq!(day.told(), ["config abc"]);
    day.play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:20 A1 free
         07:21:30 > session 1 A1 07:00-07:20 parked 2000
         08:00 > binding s-A1 A1 from 06:00 until 08:00
         08:00 > binding s-B A1 from 08:00
         08:05 A1 heartbeat occupied
         08:05 > aside s-A1 08:05: its sensor is bound to no space and counts nowhere at that time
         08:10 A1 heartbeat free by s-B
         08:20 A1 occupied by s-B
         08:40 A1 free by s-B
         08:41:30 > session 2 A1 08:20-08:40 parked 2000",
    );
}

#[test]
fn a_late_report_of_the_sensor_that_was_replaced_still_counts() {
    let mut day = Timetable::from("06:00", &replaced("08:00"));
    day.play(
        "06:30 A1 heartbeat free
         08:00 > binding s-A1 A1 from 06:00 until 08:00
         08:00 > binding s-B A1 from 08:00
         08:10 A1 heartbeat free by s-B
         08:20 A1 occupied seen 07:00
         08:20 A1 free seen 07:30
         08:21:30 > session 1 A1 07:00-07:30 parked 2000",
    );
}

#[test]
fn a_changed_tariff_prices_later_sessions_and_leaves_written_ones_alone() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:30 A1 free
         07:31:30 > session 1 A1 07:00-07:30 parked 2000",
    );
    let mut dearer = site(&["A1"]);
    dearer.tariffs = vec![tariff("T2", FeeRule::Flat { fee: Rupiah(9_000) })];
    day.site_changes("08:00", &dearer);
    day.play_from_here(
        "08:10 A1 occupied
         08:30 A1 free
         08:31:30 > session 2 A1 08:10-08:30 parked 9000",
    );
}

#[test]
fn a_stay_over_a_change_of_the_configuration_goes_on() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied");
    day.site_changes("07:10", &site(&["A1", "A2"]));
    assert_eq!(day.told(), ["config abc", "binding s-A2 A2 from 06:00"]);
    day.play("07:30 A1 free\n07:31:30 > session 1 A1 07:00-07:30 parked 2000");
}

#[test]
fn what_is_late_beyond_a_change_of_the_configuration_is_set_aside() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 heartbeat free");
    day.site_changes("07:10", &site(&["A1"]));
    day.play_from_here(
        "07:20 A1 occupied seen 06:40
         07:20 > aside s-A1 06:40: 2400 s old, and what was then is settled",
    );
}

#[test]
fn spaces_and_zones_come_and_go() {
    let mut day = Timetable::new(&site(&["A1", "A2"]));
    day.play("06:30 A1 heartbeat free\n06:30 A2 heartbeat free\n07:00 A2 occupied");
    day.site_changes("08:00", &site(&["A1"]));
    assert_eq!(
        day.told(),
        [
            "config abc",
            "binding s-A2 A2 from 06:00 until 08:00",
            "session 1 A2 07:00-08:00 parked 0/2000/2000 end 07:00..08:00 sensor_changed",
        ]
    );
    assert_eq!(day.tracker.spaces_now(time("08:00")).len(), 1);
    let mut two = site(&["A1"]);
    let mut other = two.zones[0].clone();
    other.id = "Y".parse().unwrap();
    two.zones.push(other);
    let mut far = space("B1");
    far.zone = "Y".parse().unwrap();
    two.spaces.push(far);
    two.sensors.push(sensor("s-B1"));
    two.bindings.push(binding("s-B1", "B1", "08:30"));
    day.site_changes("08:20", &two);
    day.skip();
    day.advance(time("09:00:30"));
    assert_eq!(day.told(), ["binding s-B1 B1 from 08:30", "lost A1 since 06:30"]);
    assert_eq!(day.intervals()[&("Y".to_owned(), time("08:45"))].spaces, 1);
    assert_eq!(day.intervals()[&("Z".to_owned(), time("07:30"))].spaces, 2);
    assert_eq!(day.intervals()[&("Z".to_owned(), time("08:15"))].spaces, 1);
}

#[test]
fn a_restart_makes_a_live_source_unknown_until_it_is_read_again() {
    let mut live = site(&["A1"]);
    live.sensors[0].queued = false;
    let mut day = Timetable::new(&live);
    day.play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:10 start
         07:10 > started 1
         07:10 > lost A1 since 07:00
         07:20 A1 heartbeat occupied
         07:20 > restored A1 at 07:20
         07:21:30 > session 1 A1 07:00-07:00 drop_off 0/0/2000 end 07:00..07:20 before_gap
         07:30 A1 free
         07:31:30 > session 2 A1 07:20-07:30 parked 0/2000/2000 start 07:00..07:20 after_gap",
    );
}

#[test]
fn a_restart_loses_nothing_of_a_source_with_a_queue() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         08:10 start
         08:10 > started 1
         08:10 A1 heartbeat occupied seen 07:30
         08:10 A1 free seen 07:40
         08:11:30 > session 1 A1 07:00-07:40 parked 2000",
    );
}

#[test]
fn a_restart_before_a_live_source_was_ever_heard_is_no_news_of_it() {
    let mut live = site(&["A1"]);
    live.sensors[0].queued = false;
    let mut day = Timetable::new(&live);
    day.play("06:30 start\n06:30 > started 1\n06:31 A1 heartbeat free\n07:00 A1 occupied");
    assert_eq!(day.tracker.spaces_now(time("07:00"))[0].state, SpaceState::Occupied);
}

#[test]
fn an_uplink_that_comes_again_after_a_change_of_the_configuration_is_known() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free frame 1\n07:00 A1 occupied frame 2 message m2");
    day.site_changes("07:10", &site(&["A1"]));
    assert_eq!(day.told(), ["config abc"]);
    let again = day.reading("A1", &["occupied", "seen", "07:00", "frame", "2", "message", "m2"]);
    assert!(!day.step(parking::Input::Reading(again)).changed);
    day.play("07:30 A1 free frame 3\n07:31:30 > session 1 A1 07:00-07:30 parked 2000");
}

#[test]
fn an_exact_session_carries_nothing_that_says_nothing() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:30 A1 free");
    day.advance(time("07:32"));
    let record = day.records.last().unwrap();
    assert_eq!(
        serde_json::to_string(record).unwrap(),
        concat!(
            r#"{"kind":"session","session":"box-t-1","revision":1,"zone":"Z","space":"A1","class":"car","basis":"bay","#,
            r#""status":"parked","start":"2026-01-05T00:00:00Z","end":"2026-01-05T00:30:00Z","day":"2026-01-05","#,
            r#""tariff":"T1","fee":{"low":2000,"point":2000,"high":2000},"cause":"3","#,
            r#""at":"2026-01-05T00:31:30Z","boot":1,"mono_s":5490,"clock":"synced"}"#
        )
    );
}

#[test]
#[should_panic(expected = "is no part of a session's name")]
fn a_tag_that_fits_no_session_name_is_refused_at_once() {
    parking::SiteTracker::new(site(&["A1"]), "a/b".to_owned());
}
