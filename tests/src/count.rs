//! Days told with faults, counted by the real tracker from the real codecs, and judged by what truly happened.
//!
//! Everything runs in one process and by a simulated clock, so that a thousand days take seconds.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use gateway::sensors::Profile;
use parking::{
    BootId, ClockQuality, CountRange, Input, Occupancy, Reading, RecordBody, Sampling, SensorErrors, Session,
    SiteTracker, Stamp, Timestamp, VehicleClass, ZoneDay, due_span, zone_day,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde::Deserialize;

use crate::city::faults::Faults;
use crate::city::uplink::Uplink;
use crate::city::{self, Plan};
use crate::street::{Make, Street};
use crate::truth::TrueSession;

const DAY_S: i64 = 86_400;
/// How long the street is watched beyond the day that is judged: late reports come, and sensors are heard again.
const AFTERWARDS_S: i64 = 4 * 3_600;
/// By how much the clock is wrong before it is set: the box takes up the time at which it was switched off.
const CLOCK_BEHIND_MS: i64 = 9 * 3_600_000;

/// What goes wrong on a street, and what its sensors can tell of it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What the table calls it.
    pub name: &'static str,
    /// What goes wrong.
    pub faults: Faults,
    /// What watches the street.
    pub makes: Makes,
    /// For so long, hours, the box does not know the time.
    pub clock_unset_hours: u32,
    /// One to three motorcycles share each stay on a space for motorcycles.
    pub shared: bool,
}

/// Of four stays of motorcycles, how many share it: 1.75 on average.
const SHARING: [u32; 4] = [1, 1, 2, 3];
/// What a hand count over some days would give.
const SHARED: Sampling = Sampling {
    vehicles_per_1000: 1_750,
    error_percent: 20,
};

/// What watches a street.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// Sensors whose total of changes is asked for every six hours.
    Counting,
    /// The same, never asked.
    Silent,
    /// Sensors that tell how long the state before lasted.
    Timing,
    /// Sensors without frame counter.
    Uncounted,
}

impl Scenario {
    /// Sensors that never err and are never asked, and a radio that loses nothing.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            faults: Faults::default(),
            makes: Makes::Silent,
            clock_unset_hours: 0,
            shared: false,
        }
    }

    /// The same by other sensors.
    #[must_use]
    pub fn by(mut self, makes: Makes) -> Self {
        self.makes = makes;
        self
    }

    /// The same with faults.
    #[must_use]
    pub fn with(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// The same with motorcycles that share spaces.
    #[must_use]
    pub fn sharing(mut self) -> Self {
        self.shared = true;
        self
    }

    /// The same on a box that does not know the time for so long.
    #[must_use]
    pub fn unset_for(mut self, hours: u32) -> Self {
        self.clock_unset_hours = hours;
        self
    }
}

/// A zone's day, and how it truly was.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What is believed.
    pub day: ZoneDay,
    /// How many stays are believed, or how many vehicles were counted at a line.
    pub range: CountRange,
    /// How many there were.
    pub truly: u32,
    /// Vehicles that are billed.
    pub billed: u32,
    /// What they had to pay, rupiah.
    pub fee: i64,
}

/// The days of all zones of a street of `zones` zones with `spaces` spaces each, drawn from `seed`.
pub fn zone_days(scenario: &Scenario, seed: u64, zones: usize, spaces: usize) -> anyhow::Result<Vec<Judged>> {
    let mut street = Street::new("sim-01", 1, zones * spaces, zones)?;
    let make = if scenario.makes == Makes::Timing {
        Make::Nwave
    } else {
        Make::Bosch
    };
    street.makes.fill(make);
    for sensor in &mut street.site.sensors {
        sensor.errors = SensorErrors {
            missed: per_10000(scenario.faults.missed),
            invented: per_10000(scenario.faults.invented),
        };
    }
    for zone in &mut street.site.zones {
        zone.rules.motorcycles = Some(SHARED).filter(|_| scenario.shared);
    }
    let start: Timestamp = "2026-01-05T00:00:00+07:00".parse()?;
    let plan = Plan {
        seed,
        start,
        length_s: DAY_S + AFTERWARDS_S,
        faults: scenario.faults,
    };
    let mut devices = city::devices(&street);
    if scenario.makes == Makes::Counting {
        devices = devices
            .into_iter()
            .map(|device| device.asked_every(6 * 3_600 - 60))
            .collect();
    }
    let day = city::simulate(&street, &plan, &mut devices);
    let (sessions, intervals) = counted(scenario, &street, &plan, &day.uplinks)?;
    let date = street.site.timezone.business_day(start, 0);
    let day_end = start.plus_seconds(DAY_S);
    let due = due_span(&(start..day_end), plan.end());
    let judge = |zone: &parking::Zone| {
        let is_of_day = |session: &&TrueSession| session.zone == zone.id && session.start < day_end;
        let truth = || day.truth.sessions.iter().filter(is_of_day);
        let vehicles = |session: &TrueSession| match session.class {
            VehicleClass::Motorcycle if scenario.shared => drawn(session, seed),
            _ => 1,
        };
        let billed = || truth().filter(|session| !session.is_drop_off());
        let inside = intervals
            .iter()
            .filter(|interval| start <= interval.from && interval.from < day_end);
        let day = zone_day(&zone.id, date, &due, &sessions, inside);
        Ok(Judged {
            range: day.stays.unwrap_or_default(),
            day,
            truly: u32::try_from(truth().count())?,
            billed: billed().map(vehicles).sum(),
            fee: billed()
                .map(|session| session.fee.0 * i64::from(vehicles(session)))
                .sum(),
        })
    };
    street.site.zones.iter().map(judge).collect()
}

/// How many motorcycles share a stay.
fn drawn(session: &TrueSession, seed: u64) -> u32 {
    let number = session.start.as_seconds().unsigned_abs() ^ seed;
    let mut chance = StdRng::seed_from_u64(number);
    *SHARING.choose(&mut chance).unwrap_or(&1)
}

/// Lets the tracker count: the last revisions of sessions and intervals.
fn counted(
    scenario: &Scenario,
    street: &Street,
    plan: &Plan,
    uplinks: &[Uplink],
) -> anyhow::Result<(Vec<Session>, Vec<Occupancy>)> {
    let mut counting = Counting {
        tracker: SiteTracker::new(street.site.clone(), "t".to_owned()),
        unset_until: plan.start.plus_seconds(i64::from(scenario.clock_unset_hours) * 3_600),
        start: plan.start,
        sessions: BTreeMap::new(),
        intervals: BTreeMap::new(),
    };
    let is_ours = scenario.clock_unset_hours > 0;
    counting.step(
        plan.start,
        Input::Started {
            version: "1".to_owned(),
        },
    );
    let mut is_corrected = !is_ours;
    for uplink in uplinks {
        if !is_corrected && uplink.publish_at >= counting.unset_until {
            is_corrected = true;
            counting.correct();
        }
        counting.run_until(uplink.publish_at);
        let reading = counting.reading(street, uplink, scenario)?;
        counting.step(uplink.publish_at, Input::Reading(reading));
    }
    counting.run_until(plan.end());
    Ok((
        counting.sessions.into_values().collect(),
        counting.intervals.into_values().collect(),
    ))
}

struct Counting {
    tracker: SiteTracker,
    start: Timestamp,
    /// Until then the box does not know the time.
    unset_until: Timestamp,
    sessions: BTreeMap<String, Session>,
    intervals: BTreeMap<(String, Timestamp), Occupancy>,
}

impl Counting {
    fn boot() -> BootId {
        BootId(1)
    }

    /// What the box takes a moment for.
    fn stamp(&self, time: Timestamp) -> Stamp {
        let is_unset = time < self.unset_until;
        Stamp {
            at: if is_unset {
                time.plus_millis(-CLOCK_BEHIND_MS)
            } else {
                time
            },
            boot: Self::boot(),
            mono_ms: u64::try_from(time.millis_since(self.start)).unwrap_or(0),
            clock: if is_unset {
                ClockQuality::Unset
            } else {
                ClockQuality::Synced
            },
        }
    }

    fn step(&mut self, time: Timestamp, input: Input) {
        let stamp = self.stamp(time);
        for record in self.tracker.step(stamp, input).records {
            match record.body {
                RecordBody::Session(session) => {
                    self.sessions.insert(session.session.to_string(), session);
                }
                RecordBody::Occupancy(interval) => {
                    self.intervals
                        .insert((interval.zone.to_string(), interval.from), interval);
                }
                _ => {}
            }
        }
    }

    fn correct(&mut self) {
        let input = Input::ClockCorrected {
            of_boot: Self::boot(),
            offset_ms: CLOCK_BEHIND_MS,
        };
        self.step(self.unset_until, input);
    }

    /// Ticks whenever something is due.
    fn run_until(&mut self, time: Timestamp) {
        loop {
            let behind_ms = time.millis_since(self.stamp(time).at);
            let Some(due) = self.tracker.deadline().map(|due| due.plus_millis(behind_ms)) else {
                return;
            };
            if due > time {
                return;
            }
            self.step(due.max(self.start), Input::Tick);
        }
    }

    fn reading(&self, street: &Street, uplink: &Uplink, scenario: &Scenario) -> anyhow::Result<Reading> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Event {
            #[serde(default)]
            f_cnt: u32,
            f_port: u8,
            data: String,
        }
        let event: Event = serde_json::from_str(&uplink.payload)?;
        let profile = street.makes[uplink.device].profile();
        let profile = Profile::by_name(profile).with_context(|| format!("no profile {profile}"))?;
        let received = self.stamp(uplink.publish_at);
        let payload = STANDARD.decode(event.data)?;
        let decoded = profile.decode(event.f_port, &payload, received.at).now_or_never();
        let decoded = decoded.context("codecs of the program do not wait")??;
        let is_counted = scenario.makes != Makes::Uncounted;
        ensure!(uplink.observed <= uplink.publish_at, "an uplink before it was sent");
        Ok(Reading {
            sensor: street.site.sensors[uplink.device].id.clone(),
            observed: match received.clock {
                ClockQuality::Unset => received.at.floor_to_second(),
                _ => uplink.observed,
            },
            received,
            sequence: is_counted.then_some(event.f_cnt),
            message: is_counted.then(|| uplink.deduplication_id.clone()),
            report: decoded.report,
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
fn per_10000(share: f64) -> u32 {
    (share * 10_000.0).round() as u32
}

/// What can go wrong at a roadside, one by one and all at once.
pub fn grid() -> Vec<Scenario> {
    let lost = |lost: f64| Faults {
        lost,
        ..Faults::default()
    };
    let mut grid = vec![
        Scenario::new("nothing"),
        Scenario::new("nothing, totals").by(Makes::Counting),
        Scenario::new("nothing, minutes").by(Makes::Timing),
        Scenario::new("nothing, no frame counter").by(Makes::Uncounted),
    ];
    let by = [
        ("2 % lost", 0.02, Makes::Silent),
        ("5 % lost", 0.05, Makes::Silent),
        ("10 % lost", 0.10, Makes::Silent),
        ("20 % lost", 0.20, Makes::Silent),
        ("5 % lost, totals", 0.05, Makes::Counting),
        ("20 % lost, totals", 0.20, Makes::Counting),
        ("5 % lost, minutes", 0.05, Makes::Timing),
        ("20 % lost, minutes", 0.20, Makes::Timing),
        ("5 % lost, no frame counter", 0.05, Makes::Uncounted),
    ];
    grid.extend(by.map(|(name, share, makes)| Scenario::new(name).by(makes).with(lost(share))));
    let repeated = Faults {
        repeated: 0.2,
        late: 0.05,
        reordered: 0.2,
        ..Faults::default()
    };
    let flapping = Faults {
        flapping: 0.1,
        ..Faults::default()
    };
    let drift = Faults {
        missed: 0.02,
        ..Faults::default()
    };
    let neighbour = Faults {
        invented: 0.02,
        ..Faults::default()
    };
    let both = Faults {
        missed: 0.01,
        invented: 0.01,
        ..Faults::default()
    };
    let dead = Faults {
        dead: 0.15,
        ..Faults::default()
    };
    let box_off = Faults {
        box_off_hours: 2,
        ..Faults::default()
    };
    let all = Faults {
        lost: 0.05,
        flapping: 0.05,
        dead: 0.1,
        missed: 0.01,
        invented: 0.01,
        box_off_hours: 1,
        ..repeated
    };
    grid.extend([
        Scenario::new("repeated, late, overtaken").with(repeated),
        Scenario::new("flapping").with(flapping),
        Scenario::new("2 % missed (heat, high chassis)").with(drift),
        Scenario::new("2 % invented (neighbours)").with(neighbour),
        Scenario::new("1 % missed, 1 % invented").with(both),
        Scenario::new("15 % of sensors dead for hours").with(dead),
        Scenario::new("box off for 2 h").with(box_off),
        Scenario::new("clock not set for 5 h").unset_for(5),
        Scenario::new("motorcycles share spaces").sharing(),
        Scenario::new("motorcycles share spaces, 5 % lost")
            .with(lost(0.05))
            .sharing(),
        Scenario::new("all of these").with(all).unset_for(3),
        Scenario::new("all of these, totals")
            .by(Makes::Counting)
            .with(all)
            .unset_for(3),
    ]);
    grid
}
