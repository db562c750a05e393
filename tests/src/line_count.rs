//! Days of a line that motorcycles pass, counted by the real tracker from the real codec, and judged by how many passed.
//!
//! The counter is a Nwave NCC405 as its vendor describes it: it tells its total a minute after a vehicle, 40 s after two, and
//! once an hour without any.

use std::cell::Cell;
use std::collections::BTreeMap;

use anyhow::Context;
use futures::FutureExt;
use gateway::sensors::Profile;
use parking::{
    BootId, ClassFee, ClockQuality, CountRange, Counter, FeeRule, Input, Interval, Occupancy, Reading, RecordBody,
    Rupiah, Sampling, SensorErrors, SensorTraits, SessionRules, Site, SiteTracker, Stamp, TariffSchedule, Timestamp,
    Timezone, VehicleClass, Zone, due_span, zone_day,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::count::Judged;

const DAY_S: i64 = 86_400;
/// The line is watched before and after the day that is judged.
const AROUND_S: i64 = 4 * 3_600;
const FEE: Rupiah = Rupiah(2_000);
/// How many of 1,000 that pass stay and pay, by a hand count; its error is that of 95 days of 100.
const FACTOR: Sampling = Sampling {
    vehicles_per_1000: 850,
    error_percent: 10,
};
/// Motorcycles a minute by the hour of the day, of a street with 1,000 to 1,500 a day.
const A_MINUTE: [f64; 24] = [
    0.05, 0.03, 0.02, 0.02, 0.1, 0.3, 0.8, 1.5, 1.6, 1.3, 1.1, 1.1, 1.4, 1.2, 1.0, 1.1, 1.5, 1.7, 1.6, 1.4, 1.1, 0.7,
    0.3, 0.1,
];

/// What goes wrong at a line.
#[derive(Debug, Clone, Copy)]
pub struct LineFaults {
    /// What the table calls it.
    pub name: &'static str,
    /// Share of uplinks that never arrive.
    pub lost: f64,
    /// Share of uplinks that arrive twice.
    pub repeated: f64,
    /// The sensor is silent for so long, hours, but counts.
    pub silent_hours: f64,
    /// The sensor is without power for so long, hours: it neither counts nor sends, and begins anew.
    pub dead_hours: f64,
    /// Its silence or its death is at midnight, not at any time.
    pub at_midnight: bool,
    /// Its first word after it was dead is lost too.
    pub startup_lost: bool,
}

const NOTHING: LineFaults = LineFaults {
    name: "nothing",
    lost: 0.0,
    repeated: 0.0,
    silent_hours: 0.0,
    dead_hours: 0.0,
    at_midnight: false,
    startup_lost: false,
};

/// What can go wrong at a line, one by one and all at once.
pub fn grid() -> Vec<LineFaults> {
    let named = |name| LineFaults { name, ..NOTHING };
    vec![
        named("line: nothing"),
        LineFaults {
            lost: 0.05,
            ..named("line: 5 % lost")
        },
        LineFaults {
            lost: 0.2,
            repeated: 0.1,
            ..named("line: 20 % lost, 10 % repeated")
        },
        LineFaults {
            silent_hours: 3.0,
            ..named("line: silent for 3 h")
        },
        LineFaults {
            silent_hours: 4.0,
            at_midnight: true,
            ..named("line: silent over midnight")
        },
        LineFaults {
            dead_hours: 2.0,
            ..named("line: without power for 2 h")
        },
        LineFaults {
            dead_hours: 2.0,
            startup_lost: true,
            ..named("line: the same, its return unheard")
        },
        LineFaults {
            lost: 0.1,
            repeated: 0.1,
            dead_hours: 1.0,
            ..named("line: all of these")
        },
    ]
}

/// A day of one line, drawn from `seed`.
pub fn line_day(faults: &LineFaults, seed: u64) -> anyhow::Result<Judged> {
    let mut chance = StdRng::seed_from_u64(seed);
    let start: Timestamp = "2026-01-05T00:00:00+07:00".parse()?;
    let passes = passes(&mut chance, start);
    let messages = messages(faults, &passes, start, &mut chance);
    let intervals = counted(start, &messages)?;
    let day_end = start.plus_seconds(DAY_S);
    let due = due_span(&(start..day_end), day_end.plus_seconds(AROUND_S));
    let inside = intervals
        .iter()
        .filter(|interval| start <= interval.from && interval.from < day_end);
    let day = zone_day(&"Z".parse()?, Timezone::Wib.business_day(start, 0), &due, &[], inside);
    let passed = passes.iter().filter(|at| start <= **at && **at < day_end).count();
    // The hand count's error is two standard deviations.
    let declared = f64::from(FACTOR.vehicles_per_1000) / 1_000.0;
    let deviation = declared * f64::from(FACTOR.error_percent) / 100.0 / 1.96;
    // Twelve of them make a good normal variate.
    let normal = (0..12).map(|_| chance.random_range(0.0..1.0)).sum::<f64>() - 6.0;
    let factor = declared + deviation * normal;
    let passed = u32::try_from(passed)?;
    let billed = nearest(f64::from(passed) * factor);
    Ok(Judged {
        range: day
            .counted
            .get(&VehicleClass::Motorcycle)
            .and_then(|counted| counted.count)
            .unwrap_or(CountRange::default()),
        day,
        truly: passed,
        billed,
        fee: i64::from(billed) * FEE.0,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "motorcycles of a day"
)]
fn nearest(number: f64) -> u32 {
    number.round() as u32
}

/// When motorcycles pass: by chance, as often as the hour and the day have it.
fn passes(chance: &mut StdRng, start: Timestamp) -> Vec<Timestamp> {
    let busy: f64 = chance.random_range(0.7..1.3);
    let mut passes = Vec::new();
    for second in -AROUND_S..DAY_S + AROUND_S {
        let hour = usize::try_from(second.rem_euclid(DAY_S) / 3_600).unwrap_or(0);
        if chance.random_bool(A_MINUTE[hour] * busy / 60.0) {
            passes.push(start.plus_seconds(second));
        }
    }
    passes
}

/// A message of the counter as it arrives.
struct Message {
    at: Timestamp,
    frame: u32,
    port: u8,
    payload: Vec<u8>,
}

fn messages(faults: &LineFaults, passes: &[Timestamp], start: Timestamp, chance: &mut StdRng) -> Vec<Message> {
    let spell_s = whole(faults.silent_hours.max(faults.dead_hours) * 3_600.0);
    let spell_from = if faults.at_midnight {
        start.plus_seconds(DAY_S - spell_s / 2)
    } else {
        start.plus_seconds(chance.random_range(0..DAY_S - spell_s.max(1)))
    };
    let spell = spell_from..spell_from.plus_seconds(spell_s);
    let is_dead_at = |at: Timestamp| faults.dead_hours > 0.0 && spell.contains(&at);
    let mut messages = Vec::new();
    let (frame, mut passes) = (Cell::new(0), passes.iter().peekable());
    // It may run over on any day.
    let mut total: u16 = chance.random_range(65_000..=65_535);
    let (mut reported_at, mut new) = (start.plus_seconds(-AROUND_S - 3_600), 0);
    for second in -AROUND_S..DAY_S + AROUND_S {
        let now = start.plus_seconds(second);
        while let Some(at) = passes.next_if(|at| **at <= now) {
            if !is_dead_at(*at) {
                total = total.wrapping_add(1);
                new += 1;
            }
        }
        let mut send = |at: Timestamp, port: u8, payload: Vec<u8>, is_heard: bool| {
            frame.set(frame.get() + 1);
            let is_silent = spell.contains(&at) || !is_heard;
            let copies = 1 + usize::from(chance.random_bool(faults.repeated));
            let lost = chance.random_bool(faults.lost);
            for _ in 0..copies * usize::from(!is_silent && !lost) {
                messages.push(Message {
                    at,
                    frame: frame.get(),
                    port,
                    payload: payload.clone(),
                });
            }
        };
        if faults.dead_hours > 0.0 && now == spell.end {
            (total, new, reported_at) = (0, 0, now);
            // It joins the network anew.
            frame.set(0);
            send(now, 3, vec![1, 13, 0, 2], !faults.startup_lost);
        }
        let wait_s = match new {
            0 => 3_600,
            1 => 60,
            _ => 40,
        };
        if !is_dead_at(now) && now.seconds_since(reported_at) >= wait_s {
            send(now, 1, total.to_be_bytes().to_vec(), true);
            (reported_at, new) = (now, 0);
        }
    }
    messages
}

#[expect(clippy::cast_possible_truncation, reason = "seconds of some hours")]
fn whole(seconds: f64) -> i64 {
    seconds as i64
}

/// Lets the tracker count: the last revisions of all intervals.
fn counted(start: Timestamp, messages: &[Message]) -> anyhow::Result<Vec<Occupancy>> {
    let profile = Profile::by_name("nwave-ncc405").context("no profile")?;
    let counts = profile.counts.context("it counts")?;
    let heartbeat_s = profile.heartbeat_s.context("it has a heartbeat")?;
    let begin = start.plus_seconds(-AROUND_S);
    let site = site(
        begin,
        SensorTraits {
            id: "line".parse()?,
            heartbeat_s,
            queued: profile.queued,
            on_change: false,
            errors: SensorErrors::default(),
            counts: Some(counts),
        },
    )?;
    let mut tracker = SiteTracker::new(site, "t".to_owned());
    let mut intervals: BTreeMap<Timestamp, Occupancy> = BTreeMap::new();
    let mut step = |tracker: &mut SiteTracker, at: Timestamp, input: Input| {
        let stamp = Stamp {
            at,
            boot: BootId(1),
            mono_ms: u64::try_from(at.millis_since(begin)).unwrap_or(0),
            clock: ClockQuality::Synced,
        };
        for record in tracker.step(stamp, input).records {
            if let RecordBody::Occupancy(interval) = record.body {
                intervals.insert(interval.from, interval);
            }
        }
        stamp
    };
    step(&mut tracker, begin, Input::Tick);
    let end = start.plus_seconds(DAY_S + AROUND_S);
    for message in messages {
        while let Some(due) = tracker.deadline().filter(|due| *due <= message.at) {
            step(&mut tracker, due, Input::Tick);
        }
        let decoded = profile
            .decode(message.port, &message.payload, message.at)
            .now_or_never();
        let decoded = decoded.context("codecs of the program do not wait")??;
        let received = step(&mut tracker, message.at, Input::Tick);
        let reading = Reading {
            sensor: "line".parse()?,
            observed: message.at,
            received,
            sequence: Some(message.frame),
            message: None,
            report: decoded.report,
        };
        step(&mut tracker, message.at, Input::Reading(reading));
    }
    while let Some(due) = tracker.deadline().filter(|due| *due <= end) {
        step(&mut tracker, due, Input::Tick);
    }
    Ok(intervals.into_values().collect())
}

fn site(begin: Timestamp, sensor: SensorTraits) -> anyhow::Result<Site> {
    let class = VehicleClass::Motorcycle;
    Ok(Site {
        gateway: "box".parse()?,
        timezone: Timezone::Wib,
        day_cutoff_minutes: 0,
        zones: vec![Zone {
            id: "Z".parse()?,
            name: "Pasar".to_owned(),
            rules: SessionRules::default(),
        }],
        spaces: Vec::new(),
        counters: vec![Counter {
            sensor: sensor.id.clone(),
            zone: "Z".parse()?,
            class,
            latitude: -6.2,
            longitude: 106.8,
            during: Interval {
                from: begin,
                until: None,
            },
            vehicles: FACTOR,
        }],
        sensors: vec![sensor],
        bindings: Vec::new(),
        tariffs: vec![TariffSchedule {
            id: "t".parse()?,
            regulation: "Perda 1/2025".to_owned(),
            zones: Vec::new(),
            valid_from: "2025-01-01".parse()?,
            valid_until: None,
            fees: vec![ClassFee {
                class,
                grace_s: None,
                rule: FeeRule::Flat { fee: FEE },
                cap: None,
                once_a_day: false,
            }],
        }],
    })
}
