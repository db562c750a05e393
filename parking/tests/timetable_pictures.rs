//! Evidence pictures: which session they belong to, whenever they come.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::{BootId, ClockQuality, Input, Timestamp};
use support::{Timetable, clock, progressive, site, snapshot, tariff, time};

/// The pictures in the last word on each session.
fn shown(day: &Timetable) -> Vec<Vec<String>> {
    let told = |session: parking::Session| {
        let told = |picture: &parking::SessionPicture| format!("{:?} {}", picture.of, clock(picture.at));
        session.pictures.iter().map(told).collect()
    };
    day.sessions().into_iter().map(told).collect()
}

#[test]
fn a_session_carries_the_pictures_of_its_begin_and_its_end() {
    Timetable::new(&site(&["A1", "A2"])).play(
        "06:30 A1 heartbeat free
         06:30 A2 heartbeat free
         07:00 A1 occupied
         07:00:04 A1 picture cam-1 seen 07:00:02
         07:10 A2 occupied
         07:10:04 A2 picture cam-1
         08:00 A1 free
         08:00:04 A1 picture cam-1
         08:01:30 > session 1 A1 07:00-08:00 parked 2000 start by cam-1 07:00:02 end by cam-1 08:00:04
         08:10 A2 free
         08:11:30 > session 2 A2 07:10-08:10 parked 2000 start by cam-1 07:10:04
         08:30 A1 occupied
         08:40 A1 free
         08:40:04 A1 picture cam-1
         08:41:30 > session 3 A1 08:30-08:40 parked 2000 end by cam-1 08:40:04",
    );
}

#[test]
fn a_record_names_a_picture_by_its_moment_camera_time_and_file() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.feed("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:00:04 A1 picture cam-1");
    let sha256 = day.picture("A1", &["cam-1", "seen", "07:00:04"]).sha256;
    day.feed("07:30 A1 free\n07:40 tick");
    let record = day.records.last().unwrap();
    let line = serde_json::to_string(record).unwrap();
    let pictures = format!(
        r#""cause":"3","pictures":[{{"of":"start","camera":"cam-1","at":"2026-01-05T00:00:04Z","sha256":"{sha256}"}}],"at""#
    );
    assert!(line.contains(&pictures), "{line}");
}

#[test]
fn a_picture_that_comes_after_the_record_makes_a_further_revision() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         08:00 A1 free
         08:01:30 > session 1 A1 07:00-08:00 parked 2000
         08:05 A1 picture cam-1 seen 08:00:03
         08:05 > session 1 rev 2 A1 07:00-08:00 parked 2000 end by cam-1 08:00:03
         08:06 A1 picture cam-1 seen 06:59:58
         08:06 > session 1 rev 3 A1 07:00-08:00 parked 2000 start by cam-1 06:59:58 end by cam-1 08:00:03",
    );
}

#[test]
fn a_picture_belongs_to_nothing_when_it_is_more_than_two_minutes_away() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         06:57:59 A1 picture cam-1
         06:58 A1 picture cam-2
         07:00 A1 occupied
         07:30 A1 picture cam-1
         08:00 A1 free
         08:01:30 > session 1 A1 07:00-08:00 parked 2000 start by cam-2 06:58
         08:02:01 A1 picture cam-1
         08:02:01 A1 picture cam-2 seen 08:02
         08:02:01 > session 1 rev 2 A1 07:00-08:00 parked 2000 start by cam-2 06:58 end by cam-2 08:02",
    );
}

#[test]
fn a_picture_between_two_sessions_belongs_to_the_nearer_one_and_in_the_middle_to_who_came() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:30 A1 free
         07:30:39 A1 picture cam-1
         07:30:40 A1 picture cam-2
         07:31:20 A1 occupied
         07:31:30 > session 1 A1 07:00-07:30 parked 2000 end by cam-1 07:30:39
         08:00 A1 free
         08:01:30 > session 2 A1 07:31:20-08:00 parked 2000 start by cam-2 07:30:40",
    );
}

#[test]
fn of_many_pictures_the_nearest_of_each_of_two_cameras_are_shown() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         06:59:50 A1 picture cam-2
         07:00 A1 occupied
         07:00:05 A1 picture cam-2
         07:00:20 A1 picture cam-3
         07:00:30 A1 picture cam-1
         07:00:40 A1 picture cam-3
         08:00 A1 free
         08:00:04 A1 picture cam-2
         08:00:04 A1 picture cam-1
         08:00:04 A1 picture cam-3
         08:01:30 > session 1 A1 07:00-08:00 parked 2000 start by cam-2 07:00:05 start by cam-3 07:00:20 \
         end by cam-1 08:00:04 end by cam-2 08:00:04",
    );
}

#[test]
fn a_picture_that_changes_nothing_leaves_the_state_alone() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:00:04 A1 picture cam-1");
    let again = day.picture("A1", &["cam-1", "seen", "07:00:04"]);
    let elsewhere = day.picture("B7", &["cam-1"]);
    let ahead = day.picture("A1", &["cam-1", "seen", "07:02"]);
    let mut ancient = day.picture("A1", &["cam-1"]);
    ancient.at = time("06:00").plus_seconds(-2 * 86_400);
    for picture in [again.clone(), elsewhere, ahead, ancient] {
        assert!(!day.step(Input::Picture(picture.clone())).changed, "{picture:?}");
    }
    day.play("08:00 A1 free\n08:01:30 > session 1 A1 07:00-08:00 parked 2000 start by cam-1 07:00:04");
    assert!(!day.step(Input::Picture(again)).changed, "after the record");
}

#[test]
fn pictures_move_with_what_late_readings_tell_of_the_stays() {
    Timetable::new(&site(&["A1"])).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:00:04 A1 picture cam-1
         07:30:04 A1 picture cam-1
         08:30:04 A1 picture cam-1
         09:00 A1 free
         09:00:04 A1 picture cam-1
         09:01:30 > session 1 A1 07:00-09:00 parked 2000 start by cam-1 07:00:04 end by cam-1 09:00:04
         09:10 A1 free seen 07:30
         09:10 A1 occupied seen 08:30
         09:11:30 > session 1 rev 2 A1 07:00-07:30 parked 2000 start by cam-1 07:00:04 end by cam-1 07:30:04
         09:11:30 > session 2 A1 08:30-09:00 parked 2000 start by cam-1 08:30:04 end by cam-1 09:00:04",
    );
}

#[test]
fn a_session_that_is_void_keeps_its_pictures_and_so_does_one_for_review() {
    let mut short = site(&["A1"]);
    short.zones[0].rules.stay_max_s = 3_600;
    Timetable::new(&short).play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:00:04 A1 picture cam-1
         07:20 A1 free
         07:21:30 > session 1 A1 07:00-07:20 parked 2000 start by cam-1 07:00:04
         07:25 A1 occupied seen 07:20:20
         07:25 > session 1 rev 2 A1 07:00-07:20 void 0 start by cam-1 07:00:04
         08:30 A1 free
         08:31:30 > session 1 rev 3 A1 07:00-08:30 quarantined 0/0/2000 start by cam-1 07:00:04",
    );
}

#[test]
fn sessions_of_an_earlier_configuration_keep_the_pictures_that_they_were_written_with() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play(
        "06:30 A1 heartbeat free
         07:00 A1 occupied
         07:00:04 A1 picture cam-1
         07:20 A1 free
         07:21:30 > session 1 A1 07:00-07:20 parked 2000 start by cam-1 07:00:04
         07:30 A1 occupied
         07:30:04 A1 picture cam-1",
    );
    let mut dearer = site(&["A1"]);
    dearer.tariffs = vec![tariff("T2", progressive())];
    day.site_changes("07:31", &dearer);
    day.play_from_here("07:32 A1 picture cam-1 seen 07:20:04");
    day.play("07:40 A1 free\n07:41:30 > session 2 A1 07:30-07:40 parked 3000 start by cam-1 07:30:04");
}

#[test]
fn pictures_from_before_the_clock_was_set_move_with_their_session() {
    let mut day = Timetable::new(&site(&["A1"]));
    let booted = Timestamp::EPOCH;
    day.now.at = booted;
    day.now.boot = BootId(2);
    day.now.clock = ClockQuality::Unset;
    let mut pictures = Vec::new();
    for (second, words) in [(60, "heartbeat free"), (600, "occupied"), (1_200, "free")] {
        day.advance(booted.plus_seconds(second));
        let words: Vec<&str> = words.split(' ').collect();
        let reading = day.reading("A1", &words);
        day.step(Input::Reading(reading));
        day.advance(booted.plus_seconds(second + 4));
        let picture = day.picture("A1", &["cam-1"]);
        assert!(day.step(Input::Picture(picture.clone())).changed);
        pictures.push(picture);
    }
    day.advance(booted.plus_seconds(3_540));
    let on_its_way = day.picture("A1", &["cam-2"]);
    day.advance(booted.plus_seconds(3_600));
    let offset_ms = time("09:00").millis_since(day.now.at);
    day.now.at = time("09:00");
    day.now.clock = ClockQuality::Synced;
    day.step(Input::ClockCorrected {
        of_boot: BootId(2),
        offset_ms,
    });
    day.advance(time("09:10"));
    assert_eq!(shown(&day), [["Start 08:10:04", "End 08:20:04"]]);
    for picture in pictures {
        assert!(!day.step(Input::Picture(picture)).changed, "the same picture again");
    }
    assert!(day.step(Input::Picture(on_its_way)).changed);
    day.feed("09:11 A1 occupied seen 08:58\n09:11 A1 free seen 09:05\n09:13 tick");
    let shown = shown(&day);
    assert!(shown.contains(&vec!["Start 08:59".to_owned()]), "{shown:?}");
}

#[test]
fn pictures_of_a_clock_that_was_set_wrongly_come_back_from_the_future() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.feed("06:30 A1 heartbeat free");
    let wrong: Timestamp = "2099-01-01T00:00:00Z".parse().unwrap();
    day.now.at = wrong;
    let reading = day.reading("A1", &["occupied"]);
    day.step(Input::Reading(reading));
    let picture = day.picture("A1", &["cam-1"]);
    day.step(Input::Picture(picture));
    day.now.at = time("07:00");
    day.step(Input::ClockCorrected {
        of_boot: day.now.boot,
        offset_ms: time("07:00").millis_since(wrong),
    });
    day.play_from_here("07:30 A1 free\n07:31:30 > session 1 A1 07:00-07:30 parked 2000 start by cam-1 07:00");
}

#[test]
fn pictures_are_kept_for_a_stay_of_days_and_forgotten_after_it() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.checks = false;
    day.feed("06:30 A1 heartbeat free\n07:00 A1 occupied\n07:00:04 A1 picture cam-1\n07:30 A1 picture cam-1");
    for hour in 8..60 {
        day.advance(time("00:00").plus_seconds(3_600 * hour));
        let reading = day.reading("A1", &["heartbeat", "occupied"]);
        day.step(Input::Reading(reading));
    }
    assert_eq!(
        snapshot(&day.tracker).matches("cam-1").count(),
        1,
        "what belongs to nothing is gone"
    );
    day.play_from_here(
        "+2/12:00 A1 free
         +2/12:01:30 > session 1 A1 07:00-+2/12:00 quarantined 0/0/2000 start by cam-1 07:00:04",
    );
    for hour in 61..100 {
        day.advance(time("00:00").plus_seconds(3_600 * hour));
        for words in [&["occupied"][..], &["free"]] {
            day.advance(day.now.at.plus_seconds(600));
            let reading = day.reading("A1", words);
            day.step(Input::Reading(reading));
        }
    }
    assert!(!snapshot(&day.tracker).contains("cam-1"));
    assert_eq!(shown(&day)[0], ["Start 07:00:04"]);
    assert_eq!(day.sessions()[0].revision, 1);
}

#[test]
fn too_many_pictures_displace_the_oldest_and_revise_no_session() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.checks = false;
    day.feed("06:30 A1 heartbeat free");
    let begin = time("07:00");
    for stay in 0..150 {
        for (second, words) in [(0, "occupied"), (300, "free")] {
            day.advance(begin.plus_seconds(600 * stay + second));
            let reading = day.reading("A1", &[words]);
            day.step(Input::Reading(reading));
            for camera in ["cam-1", "cam-2"] {
                let picture = day.picture("A1", &[camera]);
                day.step(Input::Picture(picture));
            }
        }
    }
    day.advance(begin.plus_seconds(600 * 150));
    assert!(snapshot(&day.tracker).matches("\"taken\"").count() <= 512);
    assert_eq!(day.sessions().len(), 150);
    for session in day.sessions() {
        assert_eq!((session.revision, session.pictures.len()), (1, 4), "{session:?}");
    }
    let dropped = day.picture("A1", &["cam-1", "seen", "07:00"]);
    assert!(!day.step(Input::Picture(dropped)).changed, "a dropped one comes again");
}
