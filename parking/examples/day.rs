//! How long a simulated day of forty spaces takes: `cargo run -p parking --example day`.
//!
//! Forty sessions a space and hourly heartbeats, with the deadline asked for after every step, as a box does.

#![allow(clippy::unwrap_used)] // a measurement may stop at the first surprise

use std::time::Instant;

use parking::{
    Binding, BootId, ClassFee, ClockQuality, FeeRule, Input, Interval, Reading, Record, Report, ReportKind, Rupiah,
    SensorErrors, SensorTraits, SessionRules, Site, SiteTracker, Space, Stamp, TariffSchedule, Timestamp, Timezone,
    VehicleClass, Zone,
};

const SPACES: i64 = 40;
const SESSIONS: i64 = 40;
const DAYS: i64 = 3;
const DAY_S: i64 = 86_400;

fn main() {
    let begin: Timestamp = "2026-01-05T00:00:00+07:00".parse().unwrap();
    let mut tracker = SiteTracker::new(site(begin), "t".to_owned());
    for day in 0..DAYS {
        let start = Instant::now();
        let mut records = Vec::new();
        let (mut steps, mut worst) = (0, std::time::Duration::ZERO);
        for (at, reading) in readings(begin, day) {
            let mut step = |tracker: &mut SiteTracker, at: Timestamp, input: Input| {
                let start = Instant::now();
                records.extend(tracker.step(stamp(at), input).records);
                let due = tracker.deadline();
                steps += 1;
                worst = worst.max(start.elapsed());
                due
            };
            while let Some(due) = tracker.deadline().filter(|due| *due <= at) {
                step(&mut tracker, due, Input::Tick);
            }
            step(&mut tracker, at, Input::Reading(reading));
        }
        let elapsed = start.elapsed();
        let bytes = |record: &Record| serde_json::to_vec(record).unwrap().len();
        println!(
            "day {day}: {steps} steps in {elapsed:.2?}, worst {worst:.2?}; {} records, {} bytes; snapshot {} bytes",
            records.len(),
            records.iter().map(bytes).sum::<usize>(),
            serde_json::to_vec(&tracker).unwrap().len()
        );
    }
}

fn stamp(at: Timestamp) -> Stamp {
    Stamp {
        at,
        boot: BootId(1),
        mono_ms: 0,
        clock: ClockQuality::Simulated,
    }
}

/// The readings of a day in order of time.
fn readings(begin: Timestamp, day: i64) -> Vec<(Timestamp, Reading)> {
    let mut all = Vec::new();
    for space in 0..SPACES {
        let mut say = |second: i64, kind: ReportKind, occupied: bool| {
            let at = begin.plus_seconds(day * DAY_S + second + space * 7);
            let report = Report {
                kind,
                occupied: Some(occupied),
                ..Report::default()
            };
            all.push((
                at,
                Reading {
                    sensor: format!("s{space}").parse().unwrap(),
                    observed: at,
                    received: stamp(at),
                    sequence: None,
                    message: None,
                    report,
                },
            ));
        };
        let period_s = DAY_S / SESSIONS;
        for session in 0..SESSIONS {
            say(session * period_s, ReportKind::Status, true);
            say(session * period_s + period_s / 2, ReportKind::Status, false);
        }
        for hour in 0..24 {
            let second = hour * 3_600 + 1_800;
            say(second, ReportKind::Heartbeat, second % period_s < period_s / 2);
        }
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

fn site(begin: Timestamp) -> Site {
    let zone: parking::ZoneId = "Z".parse().unwrap();
    let space = |number: i64| Space {
        id: format!("A{number}").parse().unwrap(),
        zone: zone.clone(),
        class: VehicleClass::Car,
        latitude: -6.2,
        longitude: 106.8,
        closed: Vec::new(),
    };
    let sensor = |number: i64| SensorTraits {
        id: format!("s{number}").parse().unwrap(),
        heartbeat_s: 3_600,
        queued: true,
        on_change: false,
        errors: SensorErrors::default(),
        counts: None,
    };
    let binding = |number: i64| Binding {
        sensor: format!("s{number}").parse().unwrap(),
        space: format!("A{number}").parse().unwrap(),
        during: Interval {
            from: begin,
            until: None,
        },
    };
    Site {
        gateway: "box".parse().unwrap(),
        timezone: Timezone::Wib,
        day_cutoff_minutes: 0,
        zones: vec![Zone {
            id: zone.clone(),
            name: "Jalan Sudirman".to_owned(),
            rules: SessionRules::default(),
        }],
        spaces: (0..SPACES).map(space).collect(),
        sensors: (0..SPACES).map(sensor).collect(),
        bindings: (0..SPACES).map(binding).collect(),
        counters: Vec::new(),
        tariffs: vec![TariffSchedule {
            id: "T1".parse().unwrap(),
            regulation: "Perda 1/2025".to_owned(),
            zones: Vec::new(),
            valid_from: "2025-01-01".parse().unwrap(),
            valid_until: None,
            fees: vec![ClassFee {
                class: VehicleClass::Car,
                grace_s: None,
                rule: FeeRule::Flat { fee: Rupiah(2_000) },
                cap: None,
                once_a_day: false,
            }],
        }],
    }
}
