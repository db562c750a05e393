//! What holds for every set of readings and pictures, in whatever order they come.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::collections::{BTreeMap, BTreeSet};

use parking::{
    BootId, ClockQuality, Input, Moment, Reading, Record, RecordBody, Session, Site, SiteTracker, Stamp, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::Index;
use support::{Timetable, check_overlaps, check_record, progressive, site, snapshot, tariff, time};

/// What a sensor says at some time: hours of silence, lost and hidden changes included.
#[derive(Debug, Clone)]
struct Word {
    /// Seconds after the one before.
    after_s: i64,
    words: &'static str,
    previous: Option<(u32, u32)>,
    changes: Option<u32>,
}

fn word() -> impl Strategy<Value = Word> {
    let after_s = prop_oneof![0..5_i64, 5..120_i64, 120..3_600_i64, 3_600..15_000_i64];
    let words = prop::sample::select(vec![
        "occupied",
        "occupied",
        "free",
        "free",
        "heartbeat occupied",
        "heartbeat free",
        "startup free",
        "alive",
        "counters",
    ]);
    let previous = prop::option::weighted(0.3, (0..300_u32, 0..30_u32));
    let changes = prop::option::weighted(0.2, 0..4_u32);
    (after_s, words, previous, changes).prop_map(|(after_s, words, previous, changes)| Word {
        after_s,
        words,
        previous,
        changes,
    })
}

fn street() -> Site {
    let mut street = site(&["A1", "A2"]);
    street.tariffs = vec![tariff("T1", progressive())];
    street.zones[0].rules.flips_per_hour_max = 6;
    street
}

/// The readings of two spaces, each in order of time, all before 06:00 of the next day.
fn readings(words: &[Vec<Word>]) -> Vec<Reading> {
    let mut table = Timetable::new(&street());
    let mut all = Vec::new();
    for (space, words) in ["A1", "A2"].iter().zip(words) {
        let mut at = time("06:00");
        for word in words {
            at = at.plus_seconds(word.after_s);
            if at >= time("+1/05:00") {
                break;
            }
            let mut text: Vec<String> = word.words.split(' ').map(str::to_owned).collect();
            if let Some((min, more)) = word.previous {
                text.extend(["prev".to_owned(), format!("{min}-{}", min + more)]);
            }
            if let Some(changes) = word.changes {
                text.extend(["changes".to_owned(), changes.to_string()]);
            }
            let text: Vec<&str> = text.iter().map(String::as_str).collect();
            let mut reading = table.reading(space, &text);
            reading.observed = at;
            reading.received = stamp(at);
            all.push(reading);
        }
    }
    all.sort_by_key(|reading| reading.observed);
    all
}

/// A picture: which space, which camera, which reading it was taken at about, and seconds from that.
type Shot = (Index, Index, Index, i64);

fn shots() -> impl Strategy<Value = Vec<Shot>> {
    let seconds = prop_oneof![0..10_i64, -130..130_i64];
    let shot = (any::<Index>(), any::<Index>(), any::<Index>(), seconds);
    prop::collection::vec(shot, 0..30)
}

/// Readings and pictures that were taken at about their times, in order of time.
fn inputs(words: &[Vec<Word>], shots: &[Shot]) -> Vec<Input> {
    let table = Timetable::new(&street());
    let readings = readings(words);
    let picture = |(space, camera, reading, seconds): &Shot| {
        let mut picture = table.picture(
            ["A1", "A2"][space.index(2)],
            &[["cam-1", "cam-2", "cam-3"][camera.index(3)]],
        );
        let about = reading.get(&readings).observed;
        picture.at = about.plus_seconds(*seconds).max(time("06:00"));
        Input::Picture(picture)
    };
    let pictures = shots.iter().filter(|_| !readings.is_empty()).map(picture);
    let mut inputs: Vec<Input> = pictures.collect();
    inputs.extend(readings.into_iter().map(Input::Reading));
    inputs.sort_by_key(observed);
    inputs
}

/// When a reading was made or a picture taken.
fn observed(input: &Input) -> Timestamp {
    match input {
        Input::Reading(reading) => reading.observed,
        Input::Picture(picture) => picture.at,
        other => panic!("neither reading nor picture: {other:?}"),
    }
}

/// An input as it arrives at `at`.
fn arriving(input: &Input, at: Timestamp) -> Input {
    match input {
        Input::Reading(reading) => Input::Reading(Reading {
            received: stamp(at),
            ..reading.clone()
        }),
        other => other.clone(),
    }
}

fn mix(inputs: &mut [Input], shuffle: &[Index]) {
    for (place, other) in shuffle.iter().enumerate().take(inputs.len()) {
        let other = other.index(inputs.len());
        inputs.swap(place, other);
    }
}

fn stamp(at: Timestamp) -> Stamp {
    Stamp {
        at,
        boot: BootId(1),
        mono_ms: u64::try_from(at.millis_since(time("00:00"))).unwrap(),
        clock: ClockQuality::Synced,
    }
}

/// Ticks a tracker at its deadlines until `at`; the deadline moves on with every tick.
fn run_until(tracker: &mut SiteTracker, at: Timestamp, records: &mut Vec<Record>) {
    while let Some(due) = tracker.deadline().filter(|due| *due <= at) {
        records.extend(tracker.step(stamp(due), Input::Tick).records);
        assert!(tracker.deadline().is_none_or(|next| next > due));
    }
}

/// Steps inputs at the times of their arrival, to the end of the day after.
fn run(inputs: &[Input], arrivals: impl Fn(&Input) -> Timestamp) -> Vec<Record> {
    let mut tracker = SiteTracker::new(street(), "t".to_owned());
    let mut records = Vec::new();
    for input in inputs {
        let at = arrivals(input);
        run_until(&mut tracker, at, &mut records);
        records.extend(tracker.step(stamp(at), arriving(input, at)).records);
    }
    run_until(&mut tracker, time("+1/08:00"), &mut records);
    records
}

/// The last word on every session and interval, without names and revisions.
fn facts(records: &[Record]) -> (Vec<String>, Vec<String>) {
    let mut table = Timetable::new(&street());
    table.records = records.to_vec();
    let nameless = |session: Session| {
        let mut value = serde_json::to_value(session).unwrap();
        for key in ["session", "revision"] {
            value.as_object_mut().unwrap().remove(key);
        }
        value.to_string()
    };
    let mut sessions: Vec<String> = table.sessions().into_iter().map(nameless).collect();
    sessions.sort();
    let intervals = table.intervals().into_values().map(|mut interval| {
        interval.revision = 0;
        serde_json::to_string(&interval).unwrap()
    });
    (sessions, intervals.collect())
}

fn days() -> impl Strategy<Value = Vec<Vec<Word>>> {
    prop::collection::vec(prop::collection::vec(word(), 0..25), 2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn order_and_repetition_do_not_matter(
        words in days(),
        shots in shots(),
        shuffle in prop::collection::vec(any::<Index>(), 90),
        again in prop::collection::vec(any::<Index>(), 0..10),
    ) {
        let inputs = inputs(&words, &shots);
        prop_assume!(!inputs.is_empty());
        let in_time = run(&inputs, observed);
        let mut mixed = inputs.clone();
        mix(&mut mixed, &shuffle);
        for index in &again {
            mixed.push(index.get(&mixed).clone());
        }
        let late = time("+1/05:00");
        let in_disorder = run(&mixed, |_| late);
        let (sessions, _) = facts(&in_time);
        let (late_sessions, _) = facts(&in_disorder);
        prop_assert_eq!(sessions, late_sessions);
    }

    #[test]
    fn pictures_change_nothing_but_the_pictures_of_sessions(words in days(), shots in shots()) {
        let pictureless = |inputs: &[Input]| {
            let mut records = run(inputs, observed);
            for record in &mut records {
                if let RecordBody::Session(session) = &mut record.body {
                    session.pictures.clear();
                }
            }
            facts(&records)
        };
        prop_assert_eq!(pictureless(&inputs(&words, &shots)), pictureless(&inputs(&words, &[])));
    }

    #[test]
    fn a_session_shows_at_most_two_cameras_at_each_end_and_no_picture_twice(words in days(), shots in shots()) {
        let mut table = Timetable::new(&street());
        table.records = run(&inputs(&words, &shots), observed);
        let mut told = BTreeSet::new();
        for session in table.sessions() {
            let mut ends: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
            for picture in &session.pictures {
                let end = if picture.of == Moment::Start { session.start } else { session.end };
                prop_assert!(picture.at.seconds_since(end).abs() <= 120);
                prop_assert!(ends.entry(picture.of).or_default().insert(&picture.camera));
                prop_assert!(told.insert((session.space.clone(), picture.camera.clone(), picture.at)));
            }
            prop_assert!(ends.values().all(|cameras| cameras.len() <= 2));
            prop_assert!(session.pictures.is_sorted_by_key(|picture| (picture.of, &picture.camera)));
        }
    }

    #[test]
    fn occupancy_does_not_depend_on_the_order_either(
        words in days(),
        shots in shots(),
        shuffle in prop::collection::vec(any::<Index>(), 90),
    ) {
        let inputs = inputs(&words, &shots);
        prop_assume!(!inputs.is_empty());
        let mut tracker = SiteTracker::new(street(), "t".to_owned());
        let mut first = tracker.step(stamp(time("06:00")), Input::Tick).records;
        let mut other = first.clone();
        let mut tracker_other = tracker.clone();
        let mut mixed = inputs.clone();
        mix(&mut mixed, &shuffle);
        let late = time("+1/05:00");
        for input in inputs {
            run_until(&mut tracker, observed(&input), &mut first);
            first.extend(tracker.step(stamp(observed(&input)), input).records);
        }
        run_until(&mut tracker_other, late, &mut other);
        for input in mixed {
            other.extend(tracker_other.step(stamp(late), input).records);
        }
        for (tracker, records) in [(&mut tracker, &mut first), (&mut tracker_other, &mut other)] {
            run_until(tracker, time("+1/08:00"), records);
        }
        prop_assert_eq!(facts(&first), facts(&other));
    }

    #[test]
    fn a_snapshot_at_any_point_and_the_inputs_that_changed_something_give_the_same_records(
        words in days(),
        shots in shots(),
        lateness in prop::collection::vec(0..20_000_i64, 90),
        cut in any::<Index>(),
    ) {
        let mut arrivals: Vec<(Timestamp, Input)> = inputs(&words, &shots)
            .iter()
            .zip(&lateness)
            .map(|(input, late_s)| {
                let at = observed(input).plus_seconds(if late_s % 3 == 0 { *late_s } else { 0 });
                (at, arriving(input, at))
            })
            .collect();
        arrivals.sort_by_key(|(at, _)| *at);
        // A first run, with the journal that a box would keep.
        let mut tracker = SiteTracker::new(street(), "t".to_owned());
        let mut journal: Vec<(Stamp, Input)> = Vec::new();
        let mut records = Vec::new();
        let mut keep = |tracker: &mut SiteTracker, now: Stamp, input: Input| {
            let before = snapshot(tracker);
            let outcome = tracker.step(now, input.clone());
            if outcome.changed {
                journal.push((now, input));
                records.extend(outcome.records);
            } else {
                assert_eq!(before, snapshot(tracker));
                assert!(outcome.records.is_empty());
            }
        };
        for (at, input) in arrivals {
            while let Some(due) = tracker.deadline().filter(|due| *due <= at) {
                keep(&mut tracker, stamp(due), Input::Tick);
            }
            keep(&mut tracker, stamp(at), Input::Tick);
            keep(&mut tracker, stamp(at), input);
        }
        // Killed, and replayed from a snapshot.
        let cut = cut.index(journal.len() + 1);
        let mut replayed = SiteTracker::new(street(), "t".to_owned());
        let mut again = Vec::new();
        for (place, (now, input)) in journal.iter().enumerate() {
            if place == cut {
                replayed = serde_json::from_str(&snapshot(&replayed)).unwrap();
            }
            again.extend(replayed.step(*now, input.clone()).records);
        }
        let lines = |records: &[Record]| -> Vec<String> {
            records.iter().map(|record| serde_json::to_string(record).unwrap()).collect()
        };
        prop_assert_eq!(lines(&records), lines(&again));
        prop_assert_eq!(snapshot(&tracker), snapshot(&replayed));
    }

    #[test]
    fn every_record_is_sound_and_sessions_never_overlap(words in days(), shots in shots()) {
        let records = run(&inputs(&words, &shots), observed);
        let mut table = Timetable::new(&street());
        for record in records {
            check_record(&record);
            let is_session = matches!(record.body, RecordBody::Session(_));
            table.records.push(record);
            if is_session {
                check_overlaps(&table.sessions());
            }
        }
    }

    #[test]
    fn a_day_that_is_heard_exactly_gives_its_sessions(stays in prop::collection::vec((180..7_200_i64, 60..7_200_i64), 1..10)) {
        let mut table = Timetable::new(&street());
        let mut truth = Vec::new();
        let mut at = time("06:00");
        table.feed("06:00 A1 heartbeat free");
        for (stay_s, free_s) in stays {
            let begin = at.plus_seconds(free_s);
            let end = begin.plus_seconds(stay_s);
            for (at, state) in [(begin, "occupied"), (end, "free")] {
                table.advance(at);
                let reading = table.reading("A1", &[state]);
                table.step(Input::Reading(reading));
            }
            truth.push((begin, end));
            at = end;
        }
        table.advance(at.plus_seconds(600));
        let mut found: Vec<_> = table.sessions().iter().map(|session| (session.start, session.end)).collect();
        found.sort_unstable();
        prop_assert_eq!(found, truth);
        prop_assert!(table.sessions().iter().all(|session| session.flags.iter().all(|flag| *flag == parking::Flag::Suspect)));
    }
}
