//! The city simulator: what truly happens on a [`Street`] in a day, and what its sensors say about it.
//!
//! Pure and seeded: the same street, plan and seed give the same day, byte for byte. What happens (visits) is drawn
//! before and apart from what goes wrong with the radio (faults), so that the same day can be told well and badly.
//!
//! A day begins with every space free and every sensor just started, and ends with an hour in which vehicles only
//! leave, so that its truth is complete when it ends, and days can follow each other.

pub mod faults;
pub mod publisher;
pub mod rhythm;
pub mod uplink;

use parking::{Site, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::street::Street;
use crate::truth::{TrueSession, Truth};
use faults::Faults;
use uplink::{Device, Uplink};

/// The last part of a day, seconds, in which nobody arrives and everybody leaves.
pub const LEAVING_S: i64 = 3_600;

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Seed of everything drawn.
    pub seed: u64,
    /// Begin.
    pub start: Timestamp,
    /// Length, seconds, with the hour of leaving.
    pub length_s: i64,
    /// What goes wrong.
    pub faults: Faults,
}

impl Plan {
    /// A whole day and the hour of leaving after it, nothing going wrong.
    pub fn day(seed: u64, start: Timestamp) -> Self {
        Self {
            seed,
            start,
            length_s: 24 * 3_600 + LEAVING_S,
            faults: Faults::default(),
        }
    }

    /// The same with faults.
    #[must_use]
    pub fn with(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// When it is over.
    pub fn end(&self) -> Timestamp {
        self.start.plus_seconds(self.length_s)
    }
}

/// One vehicle on one space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Position of the space in the street.
    pub space: usize,
    /// Begin.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
}

/// A simulated day.
#[derive(Debug, Clone)]
pub struct Day {
    /// What truly happened.
    pub truth: Truth,
    /// What the sensors say, in the order in which it reaches the broker.
    pub uplinks: Vec<Uplink>,
}

/// Independent sources of chance, so that a change in one leaves the others as they were.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Visits = 1,
    Radio = 2,
    Faults = 3,
}

fn chance(seed: u64, stream: Stream) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(stream as u64))
}

/// The sensors of a street before their first word.
pub fn devices(street: &Street) -> Vec<Device> {
    let sensors = street.site.sensors.iter().zip(&street.makes);
    sensors
        .map(|(traits, make)| Device::new(traits.id.clone(), *make))
        .collect()
}

/// Simulates one day. `devices` carries the sensors' frame counters from day to day.
pub fn simulate(street: &Street, plan: &Plan, devices: &mut [Device]) -> Day {
    let visits = rhythm::visits(street, plan, &mut chance(plan.seed, Stream::Visits));
    let mut fault_chance = chance(plan.seed, Stream::Faults);
    let flapping = faults::flapping(street.site.spaces.len(), plan, &mut fault_chance);
    let dead = faults::dead(devices.len(), plan, &mut fault_chance);
    let mut radio = chance(plan.seed, Stream::Radio);
    let mut uplinks = Vec::new();
    for (index, device) in devices.iter_mut().enumerate() {
        let mut changes: Vec<(Timestamp, bool)> = visits
            .iter()
            .filter(|visit| visit.space == index)
            .flat_map(|visit| [(visit.start, true), (visit.end, false)])
            .collect();
        changes = faults::mistaken(&changes, &plan.faults, &mut fault_chance);
        if let Some(burst) = flapping.iter().find(|burst| burst.space == index) {
            burst.disturb(&mut changes);
        }
        let off = dead
            .iter()
            .find(|(sensor, ..)| *sensor == index)
            .map(|(_, from, until)| (*from, *until));
        if street.wires.contains_key(&index) {
            continue;
        }
        uplinks.extend(device.day(index, plan, &changes, off, &mut radio));
    }
    let (uplinks, faulted) = faults::apply(uplinks, plan, &mut fault_chance);
    let sessions = visits.iter().map(|visit| true_session(&street.site, visit)).collect();
    Day {
        truth: Truth {
            seed: plan.seed,
            start: plan.start,
            end: plan.end(),
            sessions,
            faulted,
            flapping: flapping
                .iter()
                .map(|burst| street.site.spaces[burst.space].id.clone())
                .collect(),
        },
        uplinks,
    }
}

fn true_session(site: &Site, visit: &Visit) -> TrueSession {
    TrueSession::of(site, &site.spaces[visit.space], visit.start, visit.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(seed: u64, faults: Faults) -> Day {
        let street = Street::new("sim-01", 1, 20, 2).unwrap();
        let start = "2026-01-05T00:00:00+07:00".parse().unwrap();
        simulate(&street, &Plan::day(seed, start).with(faults), &mut devices(&street))
    }

    #[test]
    fn the_same_seed_gives_the_same_day_and_another_gives_another() {
        let (one, again, other) = (
            day(7, Faults::default()),
            day(7, Faults::default()),
            day(8, Faults::default()),
        );
        assert_eq!(one.truth.sessions, again.truth.sessions);
        assert_eq!(one.uplinks, again.uplinks);
        assert_ne!(one.truth.sessions, other.truth.sessions);
    }

    #[test]
    fn faults_change_what_is_told_but_not_what_happened() {
        let faults = Faults {
            lost: 0.1,
            repeated: 0.2,
            late: 0.1,
            reordered: 0.3,
            silent: 0.2,
            flapping: 0.2,
            ..Faults::default()
        };
        let (well, badly) = (day(7, Faults::default()), day(7, faults));
        assert_eq!(well.truth.sessions, badly.truth.sessions);
        assert_ne!(well.uplinks, badly.uplinks);
        assert!(!badly.truth.faulted.is_empty() && !badly.truth.flapping.is_empty());
        assert!(well.truth.faulted.is_empty());
    }

    #[test]
    fn a_day_has_turnover_drop_offs_and_paying_stays_of_every_class_and_both_tariffs() {
        let sessions = day(7, Faults::default()).truth.sessions;
        let paying = sessions.iter().filter(|s| s.fee.0 > 0).count();
        let drop_offs = sessions.iter().filter(|s| s.is_drop_off()).count();
        assert!((80..=800).contains(&paying), "{paying} paying");
        assert!(drop_offs > 5, "{drop_offs} drop-offs");
        let classes: std::collections::BTreeSet<_> = sessions.iter().map(|s| s.class).collect();
        let zones: std::collections::BTreeSet<_> = sessions.iter().map(|s| s.zone.clone()).collect();
        assert_eq!((classes.len(), zones.len()), (3, 2));
    }

    #[test]
    fn everybody_has_left_when_the_day_ends_and_nobody_shares_or_rushes_a_space() {
        let day = day(11, Faults::default());
        let mut sessions = day.truth.sessions.clone();
        sessions.sort_by_key(|s| (s.space.clone(), s.start));
        assert!(sessions.iter().all(|s| s.start < s.end && s.end < day.truth.end));
        for pair in sessions.windows(2).filter(|pair| pair[0].space == pair[1].space) {
            assert!(pair[1].start.seconds_since(pair[0].end) > 60, "{pair:?}");
        }
    }

    #[test]
    fn uplinks_come_in_order_not_before_they_happened_and_each_sensor_speaks_every_hour() {
        let day = day(3, Faults::default());
        assert!(
            day.uplinks
                .windows(2)
                .all(|pair| pair[0].publish_at <= pair[1].publish_at)
        );
        assert!(day.uplinks.iter().all(|uplink| uplink.publish_at >= uplink.observed));
        for sensor in 0..20 {
            let mut times: Vec<_> = day
                .uplinks
                .iter()
                .filter(|u| u.device == sensor)
                .map(|u| u.observed)
                .collect();
            times.sort_unstable();
            times.dedup();
            let longest = times
                .windows(2)
                .map(|pair| pair[1].seconds_since(pair[0]))
                .max()
                .unwrap();
            assert!(longest <= 3_602, "sensor {sensor} is silent for {longest} s");
        }
    }
}
