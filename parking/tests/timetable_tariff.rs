//! What a session costs: tariffs, days, doubts.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::{FeeRule, Rupiah};
use support::{Timetable, progressive, site, tariff};

#[test]
fn an_uncertain_end_gives_the_fees_of_the_shortest_and_the_longest_stay() {
    let mut hourly = site(&["A1"]);
    hourly.tariffs = vec![tariff("T1", progressive())];
    let mut day = Timetable::new(&hourly);
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:30 A1 heartbeat occupied");
    day.advance(support::time("11:59"));
    day.play_from_here(
        "12:00 A1 heartbeat free
         12:00 > restored A1 at 12:00
         12:01:30 > session 1 A1 07:00-07:30 parked 3000/3000/11000 end 07:30..12:00 before_gap",
    );
}

#[test]
fn a_session_belongs_to_the_business_day_in_which_it_begins() {
    let mut night = site(&["A1"]);
    night.day_cutoff_minutes = 180;
    let mut day = Timetable::from("06:00", &night);
    for hour in 6..25 {
        day.play_from_here(&format!("+{}/{:02}:30 A1 heartbeat free", hour / 24, hour % 24));
    }
    day.play(
        "+1/02:00 A1 occupied
         +1/03:10 A1 free
         +1/03:11:30 > session 1 A1 +1/02:00-+1/03:10 parked 2000 day 2026-01-05
         +1/03:20 A1 occupied
         +1/03:40 A1 free
         +1/03:41:30 > session 2 A1 +1/03:20-+1/03:40 parked 2000",
    );
}

#[test]
fn a_tariff_that_changes_at_midnight_prices_a_session_by_its_begin() {
    let mut site = site(&["A1"]);
    site.tariffs[0].valid_until = Some("2026-01-05".parse().unwrap());
    let mut next = tariff("T2", FeeRule::Flat { fee: Rupiah(5_000) });
    next.valid_from = "2026-01-06".parse().unwrap();
    site.tariffs.push(next);
    let mut day = Timetable::from("06:00", &site);
    for hour in 6..24 {
        day.play_from_here(&format!("{hour:02}:30 A1 heartbeat free"));
    }
    day.play(
        "23:40 A1 occupied
         +1/00:20 A1 free
         +1/00:21:30 > session 1 A1 23:40-+1/00:20 parked 2000
         +1/00:30 A1 occupied
         +1/00:50 A1 free
         +1/00:51:30 > session 2 A1 +1/00:30-+1/00:50 parked 5000",
    );
}

#[test]
fn a_session_without_a_tariff_in_force_is_free_and_says_so() {
    let mut none = site(&["A1"]);
    none.tariffs.clear();
    Timetable::new(&none).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:30 A1 free
         07:31:30 > session 1 A1 07:00-07:30 parked 0 tariff_missing",
    );
}

#[test]
fn a_fee_that_is_paid_once_a_day_is_certain_for_the_first_session_only() {
    let mut once = site(&["A1", "A2"]);
    once.tariffs[0].fees[0].once_a_day = true;
    Timetable::new(&once).play(
        "06:30 A1 heartbeat free
         06:30 A2 heartbeat free
         07:00 A1 occupied
         07:01 A1 free
         07:02:30 > session 1 A1 07:00-07:01 drop_off 0
         07:10 A1 occupied
         07:30 A1 free
         07:31:30 > session 2 A1 07:10-07:30 parked 2000
         07:40 A1 occupied
         07:50 A1 free
         07:51:30 > session 3 A1 07:40-07:50 parked 0/0/2000
         08:00 A2 occupied
         08:10 A2 free
         08:11:30 > session 4 A2 08:00-08:10 parked 2000",
    );
}

#[test]
fn a_late_first_session_takes_the_once_a_day_fee_from_the_one_that_had_it() {
    let mut once = site(&["A1"]);
    once.tariffs[0].fees[0].once_a_day = true;
    Timetable::new(&once).play(
        "06:30 A1 heartbeat free
         07:40 A1 occupied
         07:50 A1 free
         07:51:30 > session 1 A1 07:40-07:50 parked 2000
         08:00 A1 occupied seen 07:10
         08:00 A1 free seen 07:30
         08:01:30 > session 1 rev 2 A1 07:10-07:30 parked 2000
         08:01:30 > session 2 A1 07:40-07:50 parked 0/0/2000",
    );
}

#[test]
fn a_once_a_day_fee_is_remembered_when_its_session_is_beyond_the_horizon() {
    let mut once = site(&["A1"]);
    once.zones[0].rules.horizon_s = 3_600;
    once.tariffs[0].fees[0].once_a_day = true;
    let mut day = Timetable::new(&once);
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:30 A1 free");
    for hour in 8..20 {
        day.feed(&format!(
            "{hour:02}:00 A1 heartbeat free\n{hour:02}:05 A1 occupied\n{hour:02}:06 A1 free"
        ));
    }
    day.feed("20:00 A1 occupied\n20:30 A1 free");
    day.advance(support::time("20:40"));
    assert_eq!(day.told(), ["session 14 A1 20:00-20:30 parked 0/0/2000"]);
}
