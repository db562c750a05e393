use parking::BootId;
use serde_json::{Value, json};

use super::*;
use crate::state::Board;

fn time(text: &str) -> Timestamp {
    format!("2026-01-05T{text}Z").parse().unwrap()
}

fn stamp(at: Timestamp, clock: ClockQuality) -> Stamp {
    Stamp {
        at,
        boot: BootId(1),
        mono_ms: 0,
        clock,
    }
}

fn row(series: &str, value: f64) -> Row {
    Row::from([(series.to_owned(), Sample::one(value))])
}

fn ring(dir: &tempfile::TempDir) -> Ring {
    let store = sled::Config::new().path(dir.path()).open().unwrap();
    Ring::open(&store).unwrap()
}

fn told(batch: &Batch) -> Value {
    let text = zstd::bulk::decompress(&batch.payload, 1 << 20).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// A minute that begins at a time, in which these frames a second were measured.
fn minute(telemetry: &Telemetry, begin: &str, values: &[f64]) {
    telemetry.turn(stamp(time(begin), ClockQuality::Synced));
    for value in values {
        telemetry.note("camera/a/sub", Quantity::Fps, *value);
    }
    telemetry.turn(stamp(time(begin).plus_seconds(60), ClockQuality::Synced));
}

#[test]
fn a_minute_is_given_once_when_it_is_over() {
    let mut collector = Collector::default();
    let at = |minute| Some(Minute(minute));
    assert_eq!(collector.turn(at(1)), None);
    collector.note("camera/a/sub", Quantity::Fps, 12.0);
    assert_eq!(collector.turn(at(1)), None);
    collector.note("camera/a/sub", Quantity::Fps, 14.0);
    let (minute, row) = collector.turn(at(2)).unwrap();
    assert_eq!((minute, row["camera/a/sub/fps"].mean), (Minute(1), 13.0));
    assert_eq!(collector.turn(at(3)), None, "nothing was measured in the second");
}

#[test]
fn what_nobody_can_date_is_not_kept() {
    let mut collector = Collector::default();
    collector.note("camera/a", Quantity::Up, 1.0);
    assert_eq!(
        collector.turn(Some(Minute(7))),
        None,
        "measured before it was told the time"
    );
    collector.note("camera/a", Quantity::Up, 1.0);
    assert!(collector.turn(None).is_some(), "of a minute that was known");
    collector.note("camera/a", Quantity::Up, 1.0);
    assert_eq!(collector.turn(Some(Minute(9))), None);
}

#[test]
fn series_beyond_the_bound_are_left_out_and_known_ones_go_on() {
    let mut collector = Collector::default();
    collector.turn(Some(Minute(1)));
    for number in 0..=SERIES_MAX {
        collector.note(&format!("camera/{number:04}"), Quantity::Up, 0.0);
    }
    collector.note("camera/0000", Quantity::Up, 1.0);
    let (_, row) = collector.turn(Some(Minute(2))).unwrap();
    assert_eq!((row.len(), row["camera/0000/up"].mean), (SERIES_MAX, 0.5));
}

#[test]
fn old_minutes_become_quarters_of_an_hour_and_the_oldest_of_these_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut ring = ring(&dir);
    let first = 1_000_000 * QUARTER_MINUTES;
    let put = |ring: &mut Ring, minute: u32| ring.put(Minute(first + minute), &row("camera/a/lost", 2.0)).unwrap();
    let day = u32::try_from(MINUTES_MAX).unwrap();
    for minute in 0..day {
        put(&mut ring, minute);
    }
    assert_eq!(ring.kept(), (MINUTES_MAX, 0));
    put(&mut ring, day);
    assert_eq!(
        ring.kept(),
        (MINUTES_MAX - 14, 1),
        "one minute too many: a whole quarter is thinned"
    );
    let thinned = ring.quarter(Minute(first).quarter()).unwrap();
    assert_eq!(thinned["camera/a/lost"], Sample::one(30.0), "none of them is forgotten");
    assert_eq!(ring.waiting(Quarter(u32::MAX), usize::MAX).len(), 97);

    let month = u32::try_from(QUARTERS_MAX).unwrap() * QUARTER_MINUTES;
    // One minute of each quarter is enough to fill the rest.
    for minute in (day..day + month + day * QUARTER_MINUTES).step_by(15) {
        put(&mut ring, minute);
    }
    let (minutes, quarters) = ring.kept();
    assert_eq!(quarters, QUARTERS_MAX);
    assert!(minutes <= MINUTES_MAX, "{minutes}");
    assert_eq!(ring.quarter(Minute(first).quarter()), None, "the oldest went");
    let waiting = ring.waiting(Quarter(u32::MAX), usize::MAX).len();
    assert_eq!(waiting, minutes + QUARTERS_MAX, "what is gone waits for nobody");
}

#[test]
fn a_clock_that_jumps_a_year_and_back_drops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut ring = ring(&dir);
    let (now, year) = (30_000_000, 525_600);
    for minute in [now, now + year, now + 1] {
        ring.put(Minute(minute), &row("camera/a/up", 1.0)).unwrap();
    }
    assert_eq!(ring.kept(), (3, 0));
    let end = Minute(now + QUARTER_MINUTES).quarter();
    assert_eq!(
        ring.waiting(end, 9),
        [Minute(now).quarter()],
        "what lies ahead is not sent"
    );
}

#[test]
fn the_city_is_told_whole_quarters_with_gaps_until_it_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let board = Board::open(dir.path()).unwrap();
    let telemetry = board.telemetry();
    minute(telemetry, "00:01:00", &[12.0]);
    minute(telemetry, "00:04:00", &[10.0, 14.0]);
    assert_eq!(telemetry.waiting(time("00:14:59")), None, "the quarter is not over");
    let batch = telemetry.waiting(time("00:15:00")).unwrap();
    let mut samples = vec![Value::Null; 15];
    (samples[1], samples[4]) = (json!(12), json!([10, 12, 14]));
    let quarter = json!({"from": "2026-01-05T00:00:00Z", "step_s": 60, "series": {"camera/a/sub/fps": samples}});
    assert_eq!(told(&batch), json!({"quarters": [quarter]}));
    assert_eq!(
        telemetry.waiting(time("00:16:00")).as_ref(),
        Some(&batch),
        "until it is acknowledged"
    );
    telemetry.acknowledged(&batch.quarters);
    assert_eq!(telemetry.waiting(time("00:17:00")), None);
}

#[test]
fn what_waited_for_too_long_is_told_thinned() {
    let dir = tempfile::tempdir().unwrap();
    let board = Board::open(dir.path()).unwrap();
    let telemetry = board.telemetry();
    let begin = time("00:00:00");
    for number in 0..=i64::try_from(MINUTES_MAX).unwrap() {
        telemetry.turn(stamp(begin.plus_seconds(60 * number), ClockQuality::Holdover));
        telemetry.note("camera/a", Quantity::Up, if number == 0 { 0.0 } else { 1.0 });
    }
    telemetry.turn(stamp(begin.plus_seconds(86_460), ClockQuality::Holdover));
    let batch = telemetry.waiting(begin.plus_seconds(86_460)).unwrap();
    let told = told(&batch);
    assert_eq!(batch.quarters.len(), BATCH_QUARTERS_MAX, "the rest in further messages");
    assert_eq!(told["quarters"][0]["step_s"], 900);
    assert_eq!(told["quarters"][0]["series"]["camera/a/up"], json!([0.93]));
    assert_eq!(told["quarters"][1]["step_s"], 60);
}

#[test]
fn samples_are_there_again_after_a_restart_by_minute_and_by_quarter() {
    let dir = tempfile::tempdir().unwrap();
    {
        let board = Board::open(dir.path()).unwrap();
        minute(board.telemetry(), "00:01:00", &[12.0]);
        minute(board.telemetry(), "00:02:00", &[14.0]);
    }
    let board = Board::open(dir.path()).unwrap();
    assert!(board.changes(0).1.is_empty(), "the board holds no telemetry");
    let asked = |prefix, by_minute| {
        board
            .telemetry()
            .samples(prefix, time("00:00:00")..time("01:00:00"), by_minute)
    };
    let minutes = asked("camera/a/", true);
    assert_eq!(
        minutes.iter().map(|row| (row.from, row.minutes)).collect::<Vec<_>>(),
        [(time("00:01:00"), 1), (time("00:02:00"), 1)]
    );
    let quarters = asked("camera/a/", false);
    let expected = Sample {
        low: 12.0,
        mean: 13.0,
        high: 14.0,
    };
    assert_eq!((quarters.len(), quarters[0].minutes), (1, 15));
    assert_eq!(quarters[0].series["camera/a/sub/fps"], expected);
    assert!(asked("camera/b/", true).is_empty());
}

/// One day of `cameras` with two streams each, as lively as the street: frames of a second more or less, a bitrate that
/// follows the traffic and jumps with each keyframe, a clock that drifts, a lost packet now and then.
fn day(telemetry: &Telemetry, cameras: u32, mut each_quarter: impl FnMut(Timestamp)) {
    use rand::{Rng, SeedableRng};
    let mut chance = rand::rngs::StdRng::seed_from_u64(7);
    let begin = time("00:00:00");
    for minute in 0..1_440_i64 {
        let now = begin.plus_seconds(60 * minute);
        telemetry.turn(stamp(now, ClockQuality::Synced));
        for camera in 0..cameras {
            let subject = format!("camera/simpang-{camera}");
            for second in 0..60 {
                telemetry.note(&subject, Quantity::Up, 1.0);
                if second % 5 == 0 {
                    telemetry.note(&subject, Quantity::ClockMs, chance.random_range(-40.0..40.0));
                }
                for (stream, fps, kbit) in [("sub", 12.5, 450.0), ("main", 25.0, 3_500.0)] {
                    let subject = format!("{subject}/{stream}");
                    telemetry.note(&subject, Quantity::Fps, fps + chance.random_range(-1.0..1.0));
                    telemetry.note(&subject, Quantity::Kbit, kbit * chance.random_range(0.7..1.4));
                    let is_lost = chance.random_bool(0.0005);
                    telemetry.note(&subject, Quantity::LostPackets, f64::from(u8::from(is_lost)));
                    if second % 2 == 0 {
                        telemetry.note(&subject, Quantity::GopSeconds, 2.0 + chance.random_range(-0.1..0.1));
                    }
                }
            }
        }
        if minute % 15 == 14 {
            telemetry.turn(stamp(now.plus_seconds(60), ClockQuality::Synced));
            each_quarter(now.plus_seconds(60));
        }
    }
}

/// Prints what a day of telemetry costs on the link, and what the ring holds at most.
#[test]
fn a_day_of_telemetry_costs_what_the_documents_say() {
    let dir = tempfile::tempdir().unwrap();
    let board = Board::open(dir.path()).unwrap();
    let telemetry = board.telemetry();
    let (mut messages, mut bytes) = (0, 0);
    day(telemetry, 4, |now| {
        let batch = telemetry.waiting(now).unwrap();
        messages += 1;
        bytes += batch.payload.len();
        telemetry.acknowledged(&batch.quarters);
    });
    println!("4 cameras, 8 streams, one day: {messages} messages, {bytes} bytes");
    assert_eq!(messages, 96);
    assert!(bytes < 400_000, "{bytes}");
}

#[test]
fn the_ring_of_sixteen_cameras_is_as_large_as_the_documents_say() {
    let dir = tempfile::tempdir().unwrap();
    let board = Board::open(dir.path()).unwrap();
    let telemetry = board.telemetry();
    day(telemetry, 16, |_| {});
    let ring = telemetry.ring().unwrap();
    let (minutes, _) = ring.kept();
    let row = ring.bytes() / minutes;
    println!(
        "16 cameras, 32 streams: {row} bytes a row, {} bytes in {} rows when full",
        row * (MINUTES_MAX + QUARTERS_MAX),
        MINUTES_MAX + QUARTERS_MAX
    );
    assert!(row < 6_000, "{row}");
}
