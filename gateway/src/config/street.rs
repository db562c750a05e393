//! The street as it was read: what of the site came out of the file, each thing with its place.

use std::collections::BTreeSet;

use parking::{
    Binding, Counter, GatewayId, SensorId, SensorTraits, Site, Space, SpaceId, TariffSchedule, Timezone, Zone, ZoneId,
};
use toml::de::DeTable;

use super::model::Sensor;
use super::reader::locate;
use super::report::{Place, Placed, Report};
use crate::sensors::Transport;

/// A sensor with all that its section gives.
pub(super) struct ReadSensor {
    pub sensor: Sensor,
    pub traits: SensorTraits,
    pub transport: Transport,
}

/// All that a site is made of. Holds only things that are whole in themselves.
pub(super) struct Street {
    pub zones: Vec<Placed<Zone>>,
    pub spaces: Vec<Placed<Space>>,
    pub sensors: Vec<Placed<ReadSensor>>,
    pub bindings: Vec<Placed<Binding>>,
    pub counters: Vec<Placed<Counter>>,
    pub tariffs: Vec<Placed<TariffSchedule>>,
    /// Zones in which there is a space or a counter, whole or not.
    pub zones_used: BTreeSet<ZoneId>,
    /// Whether every space names a zone that there is.
    pub all_spaces_placed: bool,
}

impl Street {
    /// Takes out what refers to something that was not whole: that is told already, and what follows from it is not
    /// worth telling.
    pub fn drop_dangling(&mut self) {
        let zones: BTreeSet<ZoneId> = self.zones.iter().map(|zone| zone.value.id.clone()).collect();
        self.spaces.retain(|space| zones.contains(&space.value.zone));
        self.tariffs
            .retain(|tariff| tariff.value.zones.iter().all(|zone| zones.contains(zone)));
        let spaces: BTreeSet<&SpaceId> = self.spaces.iter().map(|space| &space.value.id).collect();
        let sensors: BTreeSet<&SensorId> = self.sensors.iter().map(|sensor| &sensor.value.traits.id).collect();
        self.bindings
            .retain(|binding| sensors.contains(&binding.value.sensor) && spaces.contains(&binding.value.space));
        self.counters
            .retain(|counter| sensors.contains(&counter.value.sensor) && zones.contains(&counter.value.zone));
    }

    /// The site of box `gateway`.
    pub fn site(&self, gateway: GatewayId, timezone: Timezone, day_cutoff_minutes: u32) -> Site {
        Site {
            gateway,
            timezone,
            day_cutoff_minutes,
            zones: values(&self.zones),
            spaces: values(&self.spaces),
            sensors: self.sensors.iter().map(|sensor| sensor.value.traits.clone()).collect(),
            bindings: values(&self.bindings),
            counters: values(&self.counters),
            tariffs: values(&self.tariffs),
        }
    }

    /// Tells what the site's own check finds in `site`, which is this street's: all that no single section shows.
    pub fn check(&self, report: &mut Report, document: &DeTable, site: &Site) {
        let mut told = BTreeSet::new();
        for problem in site.check() {
            let place = self.place(document, &problem.path);
            let message = self.in_words_of_the_file(report, &problem.problem);
            // A rule of the whole box is wrong in every zone, and told once.
            if !told.insert((place.offset, message.clone())) {
                continue;
            }
            if problem.path.starts_with("zones[") && place.key.rsplit('.').next() == Some("id") {
                self.tell_empty_zone(report, &place, &problem.path, message, problem.hint);
            } else {
                report.error(&place, message, problem.hint);
            }
        }
    }

    /// A zone is empty only if no space was meant to be in it.
    fn tell_empty_zone(&self, report: &mut Report, place: &Place, path: &str, message: String, hint: String) {
        let zone = entry(path).and_then(|(_, number, _)| self.zones.get(number));
        if self.all_spaces_placed && zone.is_none_or(|zone| !self.zones_used.contains(&zone.value.id)) {
            report.absent(place, message, hint);
        }
    }

    /// The place in the file of `path`, a path into the site: the value itself, or else the entry that it belongs to.
    fn place(&self, document: &DeTable, path: &str) -> Place {
        let Some((entry, rest)) = self.find(path) else {
            return Place::root();
        };
        let own = format!("{}{}", entry.key, rest.replace(".during.", "."));
        let of_the_box = rest.strip_prefix('.').unwrap_or(rest).to_owned();
        let candidates = [Some(own), rest.starts_with(".rules.").then_some(of_the_box)];
        let found = candidates.into_iter().flatten().find_map(|key| {
            let offset = locate(document, &key)?;
            Some(Place { offset, key })
        });
        found.unwrap_or_else(|| entry.clone())
    }

    /// The place in the file of the entry at the head of `path`, a path into the site, and the rest of the path.
    fn find<'p>(&self, path: &'p str) -> Option<(&Place, &'p str)> {
        let (list, number, rest) = entry(path)?;
        let place = match list {
            "zones" => &self.zones.get(number)?.place,
            "spaces" => &self.spaces.get(number)?.place,
            "sensors" => &self.sensors.get(number)?.place,
            "bindings" => &self.bindings.get(number)?.place,
            "counters" => &self.counters.get(number)?.place,
            "tariffs" => &self.tariffs.get(number)?.place,
            _ => return None,
        };
        Some((place, rest))
    }

    /// `message` with paths into the site, as in `(bindings[17])`, put as places in the file.
    fn in_words_of_the_file(&self, report: &Report, message: &str) -> String {
        let mut parts = message.split('(');
        let mut words = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let place = part
                .split_once(')')
                .and_then(|(path, after)| Some((self.find(path)?, after)));
            match place {
                Some(((place, ""), after)) => {
                    let line = report.line(place.offset).to_string();
                    words.extend(["(", &place.key, ", line ", &line, ")", after]);
                }
                _ => words.extend(["(", part]),
            }
        }
        words
    }
}

fn values<T: Clone>(placed: &[Placed<T>]) -> Vec<T> {
    placed.iter().map(|placed| placed.value.clone()).collect()
}

/// `spaces[3].zone` taken apart: `spaces`, 3 and `.zone`.
fn entry(path: &str) -> Option<(&str, usize, &str)> {
    let (list, rest) = path.split_once('[')?;
    let (number, rest) = rest.split_once(']')?;
    Some((list, number.parse().ok()?, rest))
}
