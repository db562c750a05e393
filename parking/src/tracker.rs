//! The site: readings in, records out.
//!
//! [`SiteTracker::step`] is a pure machine. Its whole state can be serialised as a snapshot; a snapshot and the inputs
//! after it lead to the same state and the same records, byte for byte. An input whose [`Outcome::changed`] is false has
//! left the state as it was, so that it need not be kept.
//!
//! What goes wrong is set aside, counted in a record, and stops nothing: a reading from the future, from before the horizon, or from a
//! sensor that is bound to no space at that time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::derive::{Event, SpaceState, What};
use crate::occupancy::{View, ZoneBook};
use crate::space::{Names, SpaceBook, Surroundings, Taken};
use crate::{
    Binding, BootId, ClockQuality, Reading, Record, RecordBody, SensorId, SessionRules, Site, Space, SpaceId, Stamp,
    Timestamp, Zone, ZoneId,
};

/// A reading dated more than this after its receipt cannot be right, milliseconds.
const FUTURE_MS: i64 = 60_000;
/// Readings of one sensor set aside with a record, in one hour; further ones in that hour are dropped.
const SET_ASIDE_PER_HOUR_MAX: u32 = 4;

/// What happens to a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The daemon started.
    Started {
        /// Version of the program.
        version: String,
    },
    /// A sensor reported.
    Reading(Reading),
    /// Time has passed.
    Tick,
    /// The configuration is another from now on.
    SiteChanged {
        /// The new site.
        site: Box<Site>,
        /// SHA-256 of the configuration file, hexadecimal.
        sha256: String,
    },
    /// The unset clock of a boot turned out to be wrong.
    ClockCorrected {
        /// The boot.
        of_boot: BootId,
        /// Milliseconds to add to its times.
        offset_ms: i64,
    },
    /// Something that the daemon noticed and that belongs in the ledger.
    Note(RecordBody),
}

/// What an input came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What is to be kept.
    pub records: Vec<Record>,
    /// Whether the tracker's state is another now. If not, the input need not be kept.
    pub changed: bool,
}

/// What a space is right now, for screens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpaceNow {
    /// The space.
    pub space: SpaceId,
    /// Its zone.
    pub zone: ZoneId,
    /// What it is.
    pub state: SpaceState,
    /// Since when it is occupied, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupied_since: Option<Timestamp>,
    /// When its sensor was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
    /// Its sensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<SensorId>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SetAside {
    hour: i64,
    count: u32,
}

/// The state of a site.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SiteTracker {
    site: Site,
    tag: String,
    counter: u64,
    spaces: BTreeMap<SpaceId, SpaceBook>,
    zones: BTreeMap<ZoneId, ZoneBook>,
    set_aside: BTreeMap<SensorId, SetAside>,
}

impl SiteTracker {
    /// A tracker that knows nothing yet. `tag` is part of the names of its sessions: `<gateway>-<tag>-<number>`.
    pub fn new(site: Site, tag: String) -> Self {
        let mut tracker = Self {
            site,
            tag,
            counter: 0,
            spaces: BTreeMap::new(),
            zones: BTreeMap::new(),
            set_aside: BTreeMap::new(),
        };
        for space in tracker.site.spaces.clone() {
            tracker.add_space(&space);
        }
        tracker
    }

    /// The site as it is configured.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Takes an input at `now`.
    pub fn step(&mut self, now: Stamp, input: Input) -> Outcome {
        let zones_before = self.zones.len();
        for zone in &self.site.zones {
            self.zones
                .entry(zone.id.clone())
                .or_insert_with(|| ZoneBook::new(now.at));
        }
        let mut bodies = Vec::new();
        let touched = match input {
            Input::Started { version } => {
                bodies.push(RecordBody::Started { version });
                self.restarted(now);
                true
            }
            Input::Reading(reading) => self.reading(now, &reading, &mut bodies),
            Input::Tick => false,
            Input::SiteChanged { site, sha256 } => {
                self.site_changed(now, *site, &mut bodies);
                bodies.push(RecordBody::ConfigChanged { sha256 });
                true
            }
            Input::ClockCorrected { of_boot, offset_ms } => {
                bodies.push(RecordBody::TimeCorrection { of_boot, offset_ms });
                self.clock_corrected(now, of_boot, offset_ms);
                true
            }
            Input::Note(body) => {
                bodies.push(body);
                true
            }
        };
        self.write_down(now, &mut bodies, false);
        if touched {
            self.fold(now.at);
        }
        let changed = touched || !bodies.is_empty() || self.zones.len() != zones_before;
        Outcome {
            records: bodies.into_iter().map(|body| Record { body, written: now }).collect(),
            changed,
        }
    }

    /// The next time at which [`Input::Tick`] may have an effect.
    pub fn deadline(&mut self) -> Option<Timestamp> {
        let site = &self.site;
        let spaces = self
            .spaces
            .iter_mut()
            .filter_map(|(id, book)| book.deadline(surroundings(site, id)?));
        let zones = site
            .zones
            .iter()
            .filter_map(|zone| Some(self.zones.get(&zone.id)?.deadline(&zone.rules)));
        spaces.chain(zones).min()
    }

    /// What every space is at `now`.
    pub fn spaces_now(&mut self, now: Timestamp) -> Vec<SpaceNow> {
        let site = &self.site;
        let shown = self.spaces.iter_mut().filter_map(|(id, book)| {
            let around = surroundings(site, id)?;
            let occupied_since = book.open_since(around);
            let walk = book.walk(around);
            let closed = around
                .space
                .closed
                .iter()
                .any(|span| span.from <= now && span.until.is_none_or(|until| now < until));
            let silence_ms = around.silence_ms(walk.sensor.as_ref());
            let state = match walk.heard {
                _ if closed => SpaceState::Closed,
                Some(heard) => walk.state_at(now.max(heard), now.max(heard), silence_ms),
                None => SpaceState::Unknown,
            };
            Some(SpaceNow {
                space: id.clone(),
                zone: around.space.zone.clone(),
                state,
                occupied_since: occupied_since.filter(|_| state == SpaceState::Occupied),
                heard: walk.heard.filter(|_| walk.state.is_some()),
                sensor: walk.sensor.clone(),
            })
        });
        shown.collect()
    }

    fn add_space(&mut self, space: &Space) {
        self.spaces.insert(space.id.clone(), SpaceBook::new());
        let bindings: Vec<Binding> = self
            .site
            .bindings
            .iter()
            .filter(|binding| binding.space == space.id)
            .cloned()
            .collect();
        for binding in bindings {
            self.bound(&binding);
            if let Some(until) = binding.during.until {
                self.event(&space.id, at_once(until, What::Unbound));
            }
        }
    }

    fn bound(&mut self, binding: &Binding) {
        self.event(
            &binding.space,
            at_once(binding.during.from, What::Bound(binding.sensor.clone())),
        );
    }

    fn event(&mut self, space: &SpaceId, event: Event) -> Option<Taken> {
        let around = surroundings(&self.site, space)?;
        let prefix = format!("{}-{}", self.site.gateway, self.tag);
        let mut names = Names {
            prefix: &prefix,
            counter: &mut self.counter,
        };
        let taken = self.spaces.get_mut(space)?.take(event, around, &mut names);
        if let Taken::ChangedFrom(from) = taken
            && let Some(zone) = self.zones.get_mut(&around.space.zone)
        {
            zone.touch(from);
        }
        Some(taken)
    }

    /// Whether the reading changed anything.
    fn reading(&mut self, now: Stamp, reading: &Reading, bodies: &mut Vec<RecordBody>) -> bool {
        let unset = (reading.received.clock == ClockQuality::Unset).then_some(reading.received.boot);
        let observed = if unset.is_some() {
            reading.received.at
        } else {
            reading.observed
        }
        .floor_to_second();
        if observed.millis_since(reading.received.at) > FUTURE_MS {
            let reason = format!(
                "dated {} s after its receipt",
                observed.seconds_since(reading.received.at)
            );
            return self.set_aside(now, reading, reason, bodies);
        }
        let Some(space) = self.space_of(&reading.sensor, observed) else {
            return self.set_aside(
                now,
                reading,
                "its sensor is bound to no space at that time".to_owned(),
                bodies,
            );
        };
        let horizon_s = surroundings(&self.site, &space).map_or(0, |around| i64::from(around.rules.horizon_s));
        let horizon = now.at.plus_seconds(-horizon_s);
        let taken = if observed < horizon {
            Some(Taken::TooLate)
        } else {
            self.event(&space, event_of(reading, observed, unset))
        };
        match taken {
            Some(Taken::ChangedFrom(_)) => true,
            Some(Taken::TooLate) => {
                let reason = format!("{} s old, beyond the horizon", now.at.seconds_since(observed));
                self.set_aside(now, reading, reason, bodies)
            }
            Some(Taken::Duplicate) | None => false,
        }
    }

    fn set_aside(&mut self, now: Stamp, reading: &Reading, reason: String, bodies: &mut Vec<RecordBody>) -> bool {
        let hour = now.at.as_seconds().div_euclid(3_600);
        let known = self.set_aside.get(&reading.sensor).filter(|known| known.hour == hour);
        let count = known.map_or(0, |known| known.count);
        if count >= SET_ASIDE_PER_HOUR_MAX {
            return false;
        }
        self.set_aside
            .insert(reading.sensor.clone(), SetAside { hour, count: count + 1 });
        bodies.push(RecordBody::ReadingSetAside {
            sensor: reading.sensor.clone(),
            observed: reading.observed,
            reason,
        });
        true
    }

    fn space_of(&self, sensor: &SensorId, at: Timestamp) -> Option<SpaceId> {
        let holds = |binding: &&Binding| {
            binding.sensor == *sensor
                && binding.during.from <= at
                && binding.during.until.is_none_or(|until| at < until)
        };
        self.site
            .bindings
            .iter()
            .find(holds)
            .map(|binding| binding.space.clone())
    }

    /// Live sources may have said something while the box was off.
    fn restarted(&mut self, now: Stamp) {
        let site = self.site.clone();
        let live = site.sensors.iter().filter(|sensor| !sensor.queued);
        for sensor in live {
            if let Some(space) = self.space_of(&sensor.id, now.at) {
                self.event(&space, at_once(now.at, What::Restarted));
            }
        }
    }

    fn clock_corrected(&mut self, now: Stamp, of_boot: BootId, offset_ms: i64) {
        let prefix = format!("{}-{}", self.site.gateway, self.tag);
        for (id, book) in &mut self.spaces {
            let Some(around) = surroundings(&self.site, id) else {
                continue;
            };
            let mut names = Names {
                prefix: &prefix,
                counter: &mut self.counter,
            };
            book.correct_clock(of_boot, offset_ms, around, &mut names);
        }
        for zone in self.zones.values_mut() {
            zone.correct_clock(now.at);
        }
    }

    /// Takes over a new configuration. What happened under the old one keeps its rules and tariffs.
    fn site_changed(&mut self, now: Stamp, site: Site, bodies: &mut Vec<RecordBody>) {
        let gone = |old: &Binding| {
            old.during.until.is_none_or(|until| until > now.at)
                && !site
                    .bindings
                    .iter()
                    .any(|new| new.sensor == old.sensor && new.space == old.space && overlaps(old, new))
        };
        let ended: Vec<Binding> = self.site.bindings.iter().filter(|old| gone(old)).cloned().collect();
        for binding in &ended {
            self.event(&binding.space, at_once(now.at, What::Unbound));
            bodies.push(binding_record(binding, Some(now.at)));
        }
        self.write_down(now, bodies, true);
        for (id, book) in &mut self.spaces {
            if let Some(around) = surroundings(&self.site, id) {
                book.freeze(now.at, around);
            }
        }
        let old = std::mem::replace(&mut self.site, site);
        self.spaces
            .retain(|id, _| self.site.spaces.iter().any(|space| space.id == *id));
        self.zones
            .retain(|id, _| self.site.zones.iter().any(|zone| zone.id == *id));
        self.zones.extend(
            self.site
                .zones
                .iter()
                .filter(|zone| !old.zones.iter().any(|o| o.id == zone.id))
                .map(|zone| (zone.id.clone(), ZoneBook::new(now.at))),
        );
        for space in self.site.spaces.clone() {
            if !self.spaces.contains_key(&space.id) {
                self.add_space(&space);
            }
        }
        for binding in self.site.bindings.clone() {
            let known = old
                .bindings
                .iter()
                .find(|o| o.sensor == binding.sensor && o.space == binding.space && overlaps(o, &binding));
            match known {
                None => {
                    self.event(
                        &binding.space,
                        at_once(binding.during.from.max(now.at), What::Bound(binding.sensor.clone())),
                    );
                    bodies.push(binding_record(&binding, None));
                }
                Some(known) if known.during.until != binding.during.until => {
                    if let Some(until) = binding.during.until {
                        self.event(&binding.space, at_once(until.max(now.at), What::Unbound));
                        bodies.push(binding_record(&binding, Some(until)));
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// Folds what lies beyond the horizon, after everything due was written down.
    fn fold(&mut self, now: Timestamp) {
        for (id, book) in &mut self.spaces {
            if let Some(around) = surroundings(&self.site, id) {
                book.fold(now.plus_seconds(-i64::from(around.rules.horizon_s)), around);
            }
        }
    }

    fn write_down(&mut self, now: Stamp, bodies: &mut Vec<RecordBody>, everything: bool) {
        for (id, book) in &mut self.spaces {
            let Some(around) = surroundings(&self.site, id) else {
                continue;
            };
            if !everything && book.deadline(around).is_none_or(|due| due > now.at) && !book.has_news() {
                continue;
            }
            let records = book.write_down(now.at, around, everything);
            let lost = records.iter().find_map(|record| match record {
                RecordBody::CommsLost { since, .. } => Some(*since),
                _ => None,
            });
            if let (Some(since), Some(zone)) = (lost, self.zones.get_mut(&around.space.zone)) {
                zone.touch(since);
            }
            bodies.extend(records);
        }
        for Zone { id, rules, .. } in &self.site.zones {
            let Some(zone) = self.zones.get_mut(id).filter(|zone| zone.is_due(now.at, rules)) else {
                continue;
            };
            bodies.extend(zone.write_down(now.at, id, rules, &views(&self.site, id, &mut self.spaces)));
        }
    }
}

fn views<'a>(site: &'a Site, zone: &ZoneId, spaces: &'a mut BTreeMap<SpaceId, SpaceBook>) -> Vec<View<'a>> {
    let inside = spaces.iter_mut().filter_map(|(id, book)| {
        let around = surroundings(site, id).filter(|around| around.space.zone == *zone)?;
        let walk = book.walk(around);
        Some(View {
            space: around.space,
            silence_ms: around.silence_ms(walk.sensor.as_ref()),
            walk,
        })
    });
    inside.collect()
}

fn surroundings<'a>(site: &'a Site, space: &SpaceId) -> Option<Surroundings<'a>> {
    let space = site.spaces.iter().find(|known| known.id == *space)?;
    let rules: &SessionRules = &site.zones.iter().find(|zone| zone.id == space.zone)?.rules;
    Some(Surroundings { site, space, rules })
}

fn at_once(at: Timestamp, what: What) -> Event {
    Event {
        at,
        what,
        received: at,
        unset: None,
        message: None,
    }
}

fn event_of(reading: &Reading, observed: Timestamp, unset: Option<BootId>) -> Event {
    Event {
        at: observed,
        what: What::Reported {
            sequence: reading.sequence,
            said: (&reading.report).into(),
        },
        received: reading.received.at,
        unset,
        message: reading.message.as_deref().map(fingerprint),
    }
}

/// FNV-1a, 64 bit: message ids are compared within one space and a day, where a collision is out of the question.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn overlaps(a: &Binding, b: &Binding) -> bool {
    b.during.until.is_none_or(|until| a.during.from < until) && a.during.until.is_none_or(|until| b.during.from < until)
}

fn binding_record(binding: &Binding, until: Option<Timestamp>) -> RecordBody {
    RecordBody::Binding {
        sensor: binding.sensor.clone(),
        space: binding.space.clone(),
        from: binding.during.from,
        until,
    }
}
