//! What is wrong with a site, all of it at once.
//!
//! The tracker trusts a site that passes. Each problem names its place as a path into the site, counted from zero, such
//! as `spaces[3].zone`, so that whoever read the site from a file can point at the line. An entry that collides with
//! several others is reported once, against one of them: the list stays in proportion to the site.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::{Counter, FeeRule, Interval, Rupiah, SensorId, SessionRules, Site, TariffSchedule, VehicleClass, ZoneId};

/// Minutes of a day.
const DAY_MINUTES: u32 = 24 * 60;
/// An hour is the longest that merging and settling may take, and the shortest horizon.
const HOUR_S: u32 = 3_600;

/// One thing that is wrong with a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteProblem {
    /// Where: a path into the site, counted from zero, such as `spaces[3].zone`.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
    /// What would be right.
    pub hint: String,
}

impl Site {
    /// Finds everything that is wrong with this site; an empty list means that the tracker can work with it.
    pub fn check(&self) -> Vec<SiteProblem> {
        let mut problems = Problems(Vec::new());
        if self.day_cutoff_minutes >= DAY_MINUTES {
            problems.add(
                "day_cutoff_minutes",
                format!("{} minutes after midnight is another day", self.day_cutoff_minutes),
                "use 0 (midnight) to 1439",
            );
        }
        self.check_zones(&mut problems);
        self.check_spaces(&mut problems);
        self.check_sensors(&mut problems);
        self.check_bindings(&mut problems);
        self.check_counters(&mut problems);
        self.check_tariffs(&mut problems);
        problems.0
    }

    fn check_zones(&self, problems: &mut Problems) {
        problems.add_repeated_ids("zones", self.zones.iter().map(|z| &z.id));
        let spaces = self.spaces.iter().map(|space| &space.zone);
        let used: BTreeSet<_> = spaces
            .chain(self.counters.iter().map(|counter| &counter.zone))
            .collect();
        for (n, zone) in self.zones.iter().enumerate() {
            if !used.contains(&zone.id) {
                problems.add(
                    format!("zones[{n}].id"),
                    format!("zone \"{}\" has no space and no counter", zone.id),
                    "put a space or a counter into this zone, or remove the zone",
                );
            }
            check_rules(&format!("zones[{n}].rules"), &zone.rules, problems);
        }
    }

    fn check_spaces(&self, problems: &mut Problems) {
        problems.add_repeated_ids("spaces", self.spaces.iter().map(|s| &s.id));
        let zones: BTreeSet<_> = self.zones.iter().map(|z| &z.id).collect();
        for (n, space) in self.spaces.iter().enumerate() {
            problems.add_unknown_id(format!("spaces[{n}].zone"), "zone", &space.zone, &zones);
            check_degrees(&format!("spaces[{n}]"), space.latitude, space.longitude, problems);
            for (m, closed) in space.closed.iter().enumerate() {
                check_interval(format!("spaces[{n}].closed[{m}].until"), *closed, problems);
            }
        }
    }

    fn check_sensors(&self, problems: &mut Problems) {
        problems.add_repeated_ids("sensors", self.sensors.iter().map(|s| &s.id));
        for (n, sensor) in self.sensors.iter().enumerate() {
            if sensor.heartbeat_s == 0 {
                problems.add(
                    format!("sensors[{n}].heartbeat_s"),
                    "a heartbeat of 0 s makes the sensor silent at once",
                    "give the longest time, in seconds, between two messages of this sensor",
                );
            }
        }
    }

    fn check_bindings(&self, problems: &mut Problems) {
        let sensors: BTreeSet<_> = self.sensors.iter().map(|s| &s.id).collect();
        let spaces: BTreeSet<_> = self.spaces.iter().map(|s| &s.id).collect();
        for (n, binding) in self.bindings.iter().enumerate() {
            problems.add_unknown_id(format!("bindings[{n}].sensor"), "sensor", &binding.sensor, &sensors);
            problems.add_unknown_id(format!("bindings[{n}].space"), "space", &binding.space, &spaces);
            check_interval(format!("bindings[{n}].during.until"), binding.during, problems);
        }
        for (earlier, later) in overlaps(&self.bindings, |b| b.during, |b| &b.sensor) {
            let other = &self.bindings[earlier].space;
            problems.add(
                format!("bindings[{later}].sensor"),
                format!(
                    "sensor \"{}\" already watches space \"{other}\" at that time (bindings[{earlier}])",
                    self.bindings[later].sensor
                ),
                "end the earlier binding (`until`) when the later one begins",
            );
        }
        for (earlier, later) in overlaps(&self.bindings, |b| b.during, |b| &b.space) {
            let other = &self.bindings[earlier].sensor;
            // The same sensor twice was told above.
            if *other != self.bindings[later].sensor {
                problems.add(
                    format!("bindings[{later}].space"),
                    format!(
                        "space \"{}\" is already watched by sensor \"{other}\" at that time (bindings[{earlier}])",
                        self.bindings[later].space
                    ),
                    "end the earlier binding (`until`) when the later one begins; a space has one sensor at a time",
                );
            }
        }
    }

    fn check_counters(&self, problems: &mut Problems) {
        let zones: BTreeSet<_> = self.zones.iter().map(|z| &z.id).collect();
        for (n, counter) in self.counters.iter().enumerate() {
            let path = format!("counters[{n}]");
            problems.add_unknown_id(format!("{path}.zone"), "zone", &counter.zone, &zones);
            check_degrees(&path, counter.latitude, counter.longitude, problems);
            check_interval(format!("{path}.during.until"), counter.during, problems);
            self.check_counting_sensor(&path, &counter.sensor, problems);
            self.check_counted_class(&path, counter, problems);
        }
        for (earlier, later) in overlaps(&self.counters, |c| c.during, |c| &c.sensor) {
            problems.add(
                format!("counters[{later}].sensor"),
                format!(
                    "sensor \"{}\" already counts in zone \"{}\" at that time (counters[{earlier}])",
                    self.counters[later].sensor, self.counters[earlier].zone
                ),
                "end the earlier one (`until`) when the later one begins",
            );
        }
    }

    fn check_counting_sensor(&self, path: &str, sensor: &SensorId, problems: &mut Problems) {
        let path = format!("{path}.sensor");
        let Some(traits) = self.sensors.iter().find(|traits| traits.id == *sensor) else {
            let sensors: BTreeSet<_> = self.sensors.iter().map(|s| &s.id).collect();
            problems.add_unknown_id(path, "sensor", sensor, &sensors);
            return;
        };
        if traits.counts.is_none() {
            problems.add(
                path,
                format!("sensor \"{sensor}\" counts nothing"),
                "name a sensor whose profile says how it counts",
            );
        } else if let Some(n) = self.bindings.iter().position(|binding| binding.sensor == *sensor) {
            let space = &self.bindings[n].space;
            problems.add(
                path,
                format!("sensor \"{sensor}\" watches space \"{space}\" (bindings[{n}])"),
                "let a sensor either watch a space or count at a line",
            );
        }
    }

    /// A vehicle is counted once, and a count does not say how long it stays.
    fn check_counted_class(&self, path: &str, counter: &Counter, problems: &mut Problems) {
        let class = class_name(counter.class);
        let is_its = |space: &crate::Space| space.zone == counter.zone && space.class == counter.class;
        if let Some(space) = self.spaces.iter().find(|space| is_its(space)) {
            problems.add(
                format!("{path}.class"),
                format!(
                    "class {class} is counted twice in zone \"{}\": it has space \"{}\" too",
                    counter.zone, space.id
                ),
                "count a class of a zone either space by space or by counters; make two zones of it if need be",
            );
        }
        // A tariff of the zone's own wins over one for all zones.
        let is_own = |tariff: &TariffSchedule| {
            tariff.zones.contains(&counter.zone) && tariff.fees.iter().any(|fee| fee.class == counter.class)
        };
        let has_own = self.tariffs.iter().any(is_own);
        let is_here = |tariff: &&TariffSchedule| is_own(tariff) || tariff.zones.is_empty() && !has_own;
        let by_time = |tariff: &&TariffSchedule| {
            let of_class = |fee: &&crate::ClassFee| fee.class == counter.class;
            let fee = tariff.fees.iter().find(of_class);
            fee.is_some_and(|fee| matches!(fee.rule, FeeRule::Progressive { .. }) || fee.once_a_day)
        };
        if let Some(tariff) = self.tariffs.iter().filter(is_here).find(by_time) {
            problems.add(
                format!("{path}.class"),
                format!(
                    "tariff \"{}\" asks class {class} by the time or once a day, and a count tells neither",
                    tariff.id
                ),
                "give the class a flat fee a use, or watch its spaces one by one",
            );
        }
    }

    fn check_tariffs(&self, problems: &mut Problems) {
        problems.add_repeated_ids("tariffs", self.tariffs.iter().map(|t| &t.id));
        let zones: BTreeSet<_> = self.zones.iter().map(|z| &z.id).collect();
        for (n, tariff) in self.tariffs.iter().enumerate() {
            for (m, zone) in tariff.zones.iter().enumerate() {
                problems.add_unknown_id(format!("tariffs[{n}].zones[{m}]"), "zone", zone, &zones);
            }
            if let Some(until) = tariff.valid_until.filter(|until| *until < tariff.valid_from) {
                problems.add(
                    format!("tariffs[{n}].valid_until"),
                    format!("the last day, {until}, is before the first, {}", tariff.valid_from),
                    "give a last day not before the first, or none while the tariff holds",
                );
            }
            check_fees(n, tariff, problems);
            let rival = self.tariffs[..n].iter().enumerate().find_map(|(m, earlier)| {
                let (zone, class) = contested(earlier, tariff)?;
                Some((m, earlier, zone, class))
            });
            if let Some((m, earlier, zone, class)) = rival {
                let place = zone.map_or_else(|| "all zones".to_owned(), |z| format!("zone \"{z}\""));
                problems.add(
                    format!("tariffs[{n}].valid_from"),
                    format!(
                        "two fees for class {} in {place} at once: this tariff and \"{}\" (tariffs[{m}])",
                        class_name(class),
                        earlier.id
                    ),
                    "set the earlier tariff's `valid_until` to the day before the later one's `valid_from`",
                );
            }
        }
    }
}

struct Problems(Vec<SiteProblem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, problem: impl Into<String>, hint: impl Into<String>) {
        self.0.push(SiteProblem {
            path: path.into(),
            problem: problem.into(),
            hint: hint.into(),
        });
    }

    fn add_repeated_ids<'a, I: Ord + Display + 'a>(&mut self, list: &str, ids: impl Iterator<Item = &'a I>) {
        let mut first = BTreeMap::new();
        for (n, id) in ids.enumerate() {
            let first = *first.entry(id).or_insert(n);
            if first != n {
                self.add(
                    format!("{list}[{n}].id"),
                    format!("\"{id}\" is already the id of {list}[{first}]"),
                    "give each entry an id of its own, or remove the repeated one",
                );
            }
        }
    }

    fn add_unknown_id<I: Ord + Display>(&mut self, path: String, what: &str, id: &I, known: &BTreeSet<&I>) {
        if !known.contains(id) {
            self.add(
                path,
                format!("there is no {what} \"{id}\""),
                format!("add \"{id}\" to `{what}s`, or name one that is there"),
            );
        }
    }
}

fn check_degrees(path: &str, latitude: f64, longitude: f64, problems: &mut Problems) {
    for (key, value, limit) in [("latitude", latitude, 90.0), ("longitude", longitude, 180.0)] {
        if !(-limit..=limit).contains(&value) {
            problems.add(
                format!("{path}.{key}"),
                format!("{value} is no {key}"),
                format!("give degrees from -{limit} to {limit}, WGS 84"),
            );
        }
    }
}

fn check_interval(path: String, interval: Interval, problems: &mut Problems) {
    if let Some(until) = interval.until.filter(|until| *until <= interval.from) {
        problems.add(
            path,
            format!("{until} is not after the begin, {}", interval.from),
            "give an end after the begin, or none while it lasts",
        );
    }
}

fn check_rules(path: &str, rules: &SessionRules, problems: &mut Problems) {
    if !(rules.silence_heartbeats.is_finite() && rules.silence_heartbeats > 0.0) {
        problems.add(
            format!("{path}.silence_heartbeats"),
            format!("{} heartbeats are no length of time", rules.silence_heartbeats),
            "give a number above 0; 2.5 lets two heartbeats get lost",
        );
    }
    if rules.flips_per_hour_max == 0 {
        problems.add(
            format!("{path}.flips_per_hour_max"),
            "with 0 every change of state makes its sensor suspect",
            "give at least 1; 20 is usual",
        );
    }
    if rules.stay_max_s <= rules.grace_s {
        problems.add(
            format!("{path}.stay_max_s"),
            format!(
                "the longest stay, {} s, is not longer than the grace, {} s",
                rules.stay_max_s, rules.grace_s
            ),
            "give a longest stay above `grace_s`; 86400 is usual",
        );
    }
    for (key, value) in [("merge_gap_s", rules.merge_gap_s), ("settle_s", rules.settle_s)] {
        if value >= HOUR_S {
            problems.add(
                format!("{path}.{key}"),
                format!("{value} s is an hour or more"),
                "give less than 3600",
            );
        }
    }
    let wait_s = rules.merge_gap_s.saturating_add(rules.settle_s).max(HOUR_S);
    if rules.horizon_s < wait_s {
        problems.add(
            format!("{path}.horizon_s"),
            format!("{} s is too short for late reports", rules.horizon_s),
            format!("give at least {wait_s} (an hour, and at least `merge_gap_s` and `settle_s` together)"),
        );
    }
}

fn check_fees(n: usize, tariff: &TariffSchedule, problems: &mut Problems) {
    if tariff.fees.is_empty() {
        problems.add(
            format!("tariffs[{n}].fees"),
            format!("tariff \"{}\" has no fees", tariff.id),
            "give the fee of at least one class, or remove the tariff",
        );
    }
    let mut first = BTreeMap::new();
    for (m, class_fee) in tariff.fees.iter().enumerate() {
        let path = format!("tariffs[{n}].fees[{m}]");
        let first = *first.entry(class_fee.class).or_insert(m);
        if first != m {
            problems.add(
                format!("{path}.class"),
                format!(
                    "class {} already has a fee in tariffs[{n}].fees[{first}]",
                    class_name(class_fee.class)
                ),
                "give each class one fee a tariff",
            );
        }
        let (periods, amounts) = match class_fee.rule {
            FeeRule::Flat { fee } => (vec![], vec![("rule.fee", fee)]),
            FeeRule::Progressive {
                first_s,
                first_fee,
                next_s,
                next_fee,
            } => (
                vec![("rule.first_s", first_s), ("rule.next_s", next_s)],
                vec![("rule.first_fee", first_fee), ("rule.next_fee", next_fee)],
            ),
        };
        for (key, seconds) in periods {
            if seconds == 0 {
                problems.add(
                    format!("{path}.{key}"),
                    "a period of 0 s has no length",
                    "give the period in seconds, such as 3600, or use a flat fee",
                );
            }
        }
        for (key, amount) in amounts.into_iter().chain(class_fee.cap.map(|cap| ("cap", cap))) {
            if amount < Rupiah(0) {
                problems.add(
                    format!("{path}.{key}"),
                    format!("{amount} is negative"),
                    "give whole rupiah, 0 or more",
                );
            }
        }
    }
}

/// Pairs of bindings or counters, earlier and later by their begin, that hold at once for the same `key`. Each later one is paired
/// with the earlier one that lasts longest. Bindings that end before they begin hold never.
fn overlaps<'a, B, K: Ord + 'a>(
    bindings: &'a [B],
    during: impl Fn(&B) -> Interval,
    key: impl Fn(&'a B) -> &'a K,
) -> Vec<(usize, usize)> {
    let lasts_longer = |a: Interval, b: Interval| match (a.until, b.until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => a > b,
    };
    let mut sorted: Vec<_> = bindings
        .iter()
        .enumerate()
        .map(|(n, binding)| (n, binding, during(binding)))
        .filter(|(_, _, during)| during.until.is_none_or(|until| during.from < until))
        .collect();
    sorted.sort_by_key(|(n, _, during)| (during.from, *n));
    let mut longest: BTreeMap<&K, (usize, Interval)> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (n, binding, during) in sorted {
        let latest = longest.entry(key(binding)).or_insert((n, during));
        if latest.0 != n && latest.1.until.is_none_or(|until| during.from < until) {
            pairs.push((latest.0, n));
        }
        if lasts_longer(during, latest.1) {
            *latest = (n, during);
        }
    }
    pairs
}

/// A zone (`None`: all of them) and class for which both schedules, of one rank, are in force on one day.
fn contested<'a>(a: &'a TariffSchedule, b: &TariffSchedule) -> Option<(Option<&'a ZoneId>, VehicleClass)> {
    let first = a.valid_from.max(b.valid_from);
    let holds = |t: &TariffSchedule| t.valid_until.is_none_or(|last| first <= last);
    if !holds(a) || !holds(b) {
        return None;
    }
    let class = a
        .fees
        .iter()
        .map(|f| f.class)
        .find(|c| b.fees.iter().any(|f| f.class == *c))?;
    if a.zones.is_empty() && b.zones.is_empty() {
        return Some((None, class));
    }
    a.zones
        .iter()
        .find(|z| b.zones.contains(z))
        .map(|zone| (Some(zone), class))
}

/// The class as the configuration writes it.
fn class_name(class: VehicleClass) -> &'static str {
    match class {
        VehicleClass::Motorcycle => "motorcycle",
        VehicleClass::Car => "car",
        VehicleClass::Truck => "truck",
        VehicleClass::Bus => "bus",
    }
}

#[cfg(test)]
mod tests;
