//! Timetables of a meter: frames by a made-up clock.

use std::path::PathBuf;

use parking::{BootId, ClockQuality, ReportKind, Timestamp};

use super::*;

fn at(mono_ms: u64) -> Stamp {
    Stamp {
        at: Timestamp::from_millis(1_767_600_000_000 + i64::try_from(mono_ms).unwrap()),
        boot: BootId(7),
        mono_ms,
        clock: ClockQuality::Synced,
    }
}

struct Sensor {
    meter: Meter,
    now_ms: u64,
    readings: Vec<Reading>,
}

impl Sensor {
    fn new() -> Self {
        let line = Line {
            sensor: SensorId::new("u-1").unwrap(),
            model: Model::A02yyuw,
            path: PathBuf::from("/dev/ttyAMA0"),
            limits: DistanceLimits {
                occupied_below_mm: 1_500,
                free_above_mm: 2_000,
            },
        };
        Self {
            meter: Meter::new(line),
            now_ms: 0,
            readings: Vec::new(),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.readings.extend(self.meter.push(at(self.now_ms), *byte));
        }
    }

    /// Measures ten times a second for a time.
    fn measures(&mut self, seconds: u64, distance_mm: u16) {
        for _ in 0..seconds * 10 {
            let [high, low] = distance_mm.to_be_bytes();
            self.bytes(&[0xff, high, low, 0xff_u8.wrapping_add(high).wrapping_add(low)]);
            self.now_ms += 100;
        }
    }

    /// Kind, state, and tenths of a second when it was seen.
    fn told(&self) -> Vec<(ReportKind, Option<bool>, i64)> {
        let seen = |reading: &Reading| reading.observed.millis_since(at(0).at) / 100;
        let told = |reading: &Reading| (reading.report.kind, reading.report.occupied, seen(reading));
        self.readings.iter().map(told).collect()
    }
}

#[test]
fn a_distance_that_holds_is_a_state_and_is_said_again_every_minute() {
    let mut sensor = Sensor::new();
    sensor.measures(70, 2_500);
    sensor.measures(10, 900);
    assert_eq!(
        sensor.told(),
        [
            (ReportKind::Heartbeat, Some(false), 0),
            (ReportKind::Heartbeat, Some(false), 600),
            (ReportKind::Status, Some(true), 700)
        ]
    );
}

#[test]
fn somebody_who_walks_by_and_a_distance_between_the_limits_change_nothing() {
    let mut sensor = Sensor::new();
    sensor.measures(10, 2_500);
    for _ in 0..5 {
        sensor.measures(2, 800);
        sensor.measures(1, 2_500);
        sensor.measures(1, 1_700);
    }
    assert_eq!(sensor.told().len(), 1);
}

#[test]
fn a_state_is_not_said_again_while_it_is_about_to_change() {
    let mut sensor = Sensor::new();
    sensor.measures(62, 2_500);
    sensor.measures(59, 2_500);
    // The change begins before the minute is over and counts after it.
    sensor.measures(10, 900);
    let told = sensor.told();
    assert_eq!(told.last(), Some(&(ReportKind::Status, Some(true), 1_210)));
    let seen: Vec<i64> = told.iter().map(|(_, _, seen)| *seen).collect();
    assert!(seen.is_sorted(), "{told:?}");
}

#[test]
fn single_echoes_that_are_missing_cost_nothing_and_a_long_pause_holds_anew() {
    let mut sensor = Sensor::new();
    sensor.measures(10, 2_500);
    for _ in 0..10 {
        sensor.measures(1, 900);
        let [high, low, sum] = [0, 0, 0xff];
        sensor.bytes(&[0xff, high, low, sum]);
    }
    assert_eq!(sensor.told().len(), 2);
    sensor.measures(1, 2_500);
    sensor.now_ms += 3_600_000;
    sensor.measures(1, 2_500);
    assert_eq!(sensor.told().len(), 2);
    sensor.measures(3, 2_500);
    assert_eq!(
        sensor.told().last(),
        Some(&(ReportKind::Heartbeat, Some(false), 36_210))
    );
}

#[test]
fn a_distance_between_the_limits_means_nothing_and_says_nothing() {
    let mut sensor = Sensor::new();
    sensor.measures(10, 2_500);
    sensor.measures(1, 800);
    sensor.measures(3_600, 1_700);
    sensor.measures(1, 800);
    assert_eq!(sensor.told().len(), 1);
}

#[test]
fn a_sensor_that_sees_nothing_says_nothing() {
    let mut sensor = Sensor::new();
    sensor.measures(10, 2_500);
    sensor.measures(300, 0);
    sensor.measures(300, 20);
    assert_eq!(sensor.told().len(), 1);
    assert_eq!(sensor.meter.trouble().first().map(|(kind, _)| *kind), Some("too_near"));
    assert_eq!(sensor.meter.trouble(), [], "it is told once");
    sensor.measures(4, 2_500);
    assert_eq!(
        sensor.told().len(),
        2,
        "its state is said when it has seen it for a while again"
    );
}

#[test]
fn wrong_sums_are_told_once_and_cost_nothing_else() {
    let mut sensor = Sensor::new();
    sensor.bytes(&[0xff, 0x01, 0x02, 0x03, 0xff, 0x01, 0x02, 0x03]);
    let trouble = sensor.meter.trouble();
    assert_eq!(trouble.len(), 1);
    assert!(trouble[0].1.starts_with("2 frames with a wrong sum"), "{trouble:?}");
    assert_eq!(sensor.meter.trouble(), []);
    sensor.measures(5, 2_500);
    assert_eq!(sensor.told().len(), 1);
}
