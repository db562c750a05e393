//! The site: readings in, records out.
//!
//! [`SiteTracker::step`] is a pure machine. Its whole state can be serialised as a snapshot; a snapshot and the inputs
//! after it lead to the same state and the same records, byte for byte. An input whose [`Outcome::changed`] is false has
//! left the state as it was, so that it need not be kept.
//!
//! What goes wrong is set aside, counted in a record, and stops nothing: a reading from the future, from before the
//! horizon, or from a sensor that is bound to no space and counts nowhere at that time.
//!
//! While the clock is not set, readings are taken in their order of arrival, after everything that is known already. They
//! are dated when the clock is corrected.
//!
//! Pictures are evidence beside the readings and never make or change a stay. One that cannot be used is dropped without a
//! record.

mod bindings;
mod lines;
mod present;
mod set_aside;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::lines::Lines;
pub use self::present::SpaceNow;
use self::set_aside::SetAsideCounts;
use crate::counter::CounterBook;
use crate::event::{Event, Said, What};
use crate::occupancy::{View, Views, ZoneBook};
use crate::session::Names;
use crate::space::{SpaceBook, Surroundings, Taken};
use crate::{
    Binding, BootId, ClockQuality, IdError, Picture, Reading, Record, RecordBody, SensorId, SensorTraits, SessionId,
    SessionRules, Site, SpaceId, Stamp, Timestamp, Zone, ZoneId,
};

/// A reading dated more than this after its receipt, or a picture after the present, cannot be right, milliseconds.
const FUTURE_MS: i64 = 60_000;

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
    /// A camera took a picture of a space, at about the begin or the end of a stay.
    Picture(Picture),
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

/// The state of a site.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SiteTracker {
    site: Site,
    tag: String,
    counter: u64,
    spaces: BTreeMap<SpaceId, SpaceBook>,
    zones: BTreeMap<ZoneId, ZoneBook>,
    #[serde(default)]
    lines: Lines,
    set_aside: SetAsideCounts,
    /// The bindings that are in force.
    bound: Vec<Binding>,
    /// When the next binding begins or ends.
    next_binding: Option<Timestamp>,
    /// By how much the clock of which boot was corrected last, for readings that were on their way meanwhile.
    corrected: Option<(BootId, i64)>,
}

impl SiteTracker {
    /// A tracker that knows nothing yet. `tag` is part of the names of its sessions: `<gateway>-<tag>-<number>`.
    ///
    /// # Panics
    /// If `tag` does not fit into such a name. The tracker relies on [`Site::check`] finding no problem with its site,
    /// here and in [`Input::SiteChanged`].
    pub fn new(site: Site, tag: String) -> Self {
        let name: Result<SessionId, IdError> = format!("{}-{tag}-{}", site.gateway, u64::MAX).parse();
        assert!(name.is_ok(), "\"{tag}\" is no part of a session's name: {name:?}");
        let spaces = site.spaces.iter().map(|space| (space.id.clone(), SpaceBook::new()));
        Self {
            tag,
            counter: 0,
            spaces: spaces.collect(),
            zones: BTreeMap::new(),
            lines: Lines::new(&site),
            set_aside: SetAsideCounts::default(),
            bound: Vec::new(),
            next_binding: site.bindings.iter().map(|binding| binding.during.from).min(),
            corrected: None,
            site,
        }
    }

    /// The site as it is configured.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Takes an input at `now`.
    pub fn step(&mut self, now: Stamp, input: Input) -> Outcome {
        let mut bodies = Vec::new();
        if let Input::Started { version } = &input {
            bodies.push(RecordBody::Started {
                version: version.clone(),
            });
        }
        let mut changed = self.open_zones(now.at);
        if self.next_binding.is_some_and(|next| next <= now.at) {
            self.rebind(now, &mut bodies);
            changed = true;
        }
        let touched = match input {
            Input::Started { .. } => {
                self.restarted(now);
                Touched::All
            }
            Input::Reading(reading) => self.reading(now, reading, &mut bodies),
            Input::Picture(picture) => self.picture(now, picture),
            Input::Tick => Touched::Nothing,
            Input::SiteChanged { site, sha256 } => {
                bodies.push(RecordBody::ConfigChanged {
                    sha256,
                    timezone: site.timezone,
                    day_cutoff_minutes: site.day_cutoff_minutes,
                });
                self.site_changed(now, *site, &mut bodies);
                Touched::All
            }
            Input::ClockCorrected { of_boot, offset_ms } => {
                bodies.push(RecordBody::TimeCorrection { of_boot, offset_ms });
                self.clock_corrected(now, of_boot, offset_ms);
                Touched::All
            }
            Input::Note(body) => {
                bodies.push(body);
                Touched::Nothing
            }
        };
        changed |= self.write_down(now, &mut bodies, false);
        self.fold(now.at, &touched);
        Outcome {
            changed: changed || touched != Touched::Nothing || !bodies.is_empty(),
            records: bodies
                .into_iter()
                .map(|body| Record {
                    body,
                    written: now.into(),
                })
                .collect(),
        }
    }

    /// The next time at which [`Input::Tick`] may have an effect.
    pub fn deadline(&mut self) -> Option<Timestamp> {
        let site = &self.site;
        let spaces = self
            .spaces
            .iter_mut()
            .filter_map(|(id, book)| book.deadline(|| surroundings(site, id)));
        let zones = site
            .zones
            .iter()
            .filter_map(|zone| Some(self.zones.get(&zone.id)?.deadline(&zone.rules)));
        spaces
            .chain(zones)
            .chain(self.lines.deadline(site))
            .chain(self.next_binding)
            .min()
    }

    /// Begins to watch zones that are new. Whether there were any.
    fn open_zones(&mut self, now: Timestamp) -> bool {
        let before = self.zones.len();
        for zone in &self.site.zones {
            if !self.zones.contains_key(&zone.id) {
                self.zones.insert(zone.id.clone(), ZoneBook::new(now));
            }
        }
        self.zones.len() > before
    }

    /// Adds an event to a space's history; what cannot be placed before settled facts is placed right behind them.
    fn happen(&mut self, space: &SpaceId, now: Stamp, at: Timestamp, what: What) {
        let Some(book) = self.spaces.get(space) else { return };
        let unset = (now.clock == ClockQuality::Unset && at == now.at).then_some(now.boot);
        let floor = unset.map_or(at, |_| book.last_at());
        let event = book.placed(Event {
            at: at.max(floor).floor_to_second(),
            what,
            received: now.at,
            unset,
            seen_s: 0,
            message: None,
        });
        self.take(space, event);
    }

    fn take(&mut self, space: &SpaceId, event: Event) -> Option<Taken> {
        let book = self.spaces.get_mut(space)?;
        let around = surroundings(&self.site, space);
        let mut names = Names {
            prefix: &format!("{}-{}", self.site.gateway, self.tag),
            counter: &mut self.counter,
        };
        let taken = book.take(event, around, &mut names);
        if let (Taken::Added(Some(from)), Some(zone)) = (taken, self.zones.get_mut(&around.space.zone)) {
            zone.touch(from);
        }
        Some(taken)
    }

    fn reading(&mut self, now: Stamp, mut reading: Reading, bodies: &mut Vec<RecordBody>) -> Touched {
        let received = &reading.received;
        let mut unset = (received.clock == ClockQuality::Unset).then_some(received.boot);
        let seen_s = unset.map_or(0, |_| seen_s(&self.site, &reading));
        let received = &mut reading.received;
        if let Some(offset_ms) = self.overtaken_by(unset, now) {
            received.at = received.at.plus_millis(offset_ms);
            reading.observed = received.at.plus_seconds(-i64::from(seen_s));
            unset = None;
        }
        let ahead_ms = reading.observed.millis_since(reading.received.at);
        if unset.is_none() && ahead_ms > FUTURE_MS {
            let reason = format!("dated {} s after its receipt", ahead_ms / 1_000);
            return self.set_aside(now, &reading, reason, bodies);
        }
        let Some(place) = self.place_of(&reading, unset.is_some()) else {
            let reason = "its sensor is bound to no space and counts nowhere at that time".to_owned();
            return self.set_aside(now, &reading, reason, bodies);
        };
        let last_at = match &place {
            Place::Space(space) => self.spaces.get(space).map(SpaceBook::last_at),
            Place::Counter(sensor) => self.lines.book(sensor).map(CounterBook::last_at),
        };
        let Some(last_at) = last_at else {
            return Touched::Nothing;
        };
        // A sensor whose clock is a little ahead says no more than that it was heard now.
        let observed = reading.observed.min(reading.received.at).floor_to_second();
        let at = match unset {
            Some(_) => {
                let seen = reading.received.at.plus_seconds(-i64::from(seen_s));
                seen.floor_to_second().max(last_at)
            }
            None => observed,
        };
        let age_s = now.at.seconds_since(at);
        if unset.is_none() && age_s > i64::from(self.rules_of(&place, &reading).horizon_s) {
            return self.set_aside(now, &reading, format!("{age_s} s old, beyond the horizon"), bodies);
        }
        let mut event = Event {
            at,
            what: What::Reported(Said::new(reading.sequence, &reading.report)),
            received: reading.received.at,
            unset,
            seen_s,
            message: reading.message.as_deref().map(fingerprint),
        };
        let taken = match &place {
            Place::Space(space) => {
                if let Some(book) = self.spaces.get(space).filter(|_| unset.is_some()) {
                    event = book.placed(event);
                }
                self.take(space, event)
            }
            Place::Counter(sensor) => self.count(sensor, event, unset.is_some()),
        };
        match taken {
            Some(Taken::Added(_)) => match place {
                Place::Space(space) => Touched::Space(space),
                Place::Counter(_) => Touched::Counter,
            },
            Some(Taken::TooLate) => {
                let reason = format!("{age_s} s old, and what was then is settled");
                self.set_aside(now, &reading, reason, bodies)
            }
            Some(Taken::Duplicate) | None => Touched::Nothing,
        }
    }

    /// Adds a report to a counter's history.
    fn count(&mut self, sensor: &SensorId, mut event: Event, unset: bool) -> Option<Taken> {
        let book = self.lines.book_mut(sensor)?;
        if unset {
            event = book.placed(event);
        }
        let taken = book.take(event);
        if let Taken::Added(Some(from)) = taken {
            for counter in self.lines.of_sensor(sensor) {
                if let Some(zone) = self.zones.get_mut(&counter.zone) {
                    zone.touch(from);
                }
            }
        }
        Some(taken)
    }

    /// What a reading is about.
    fn place_of(&self, reading: &Reading, unset: bool) -> Option<Place> {
        let space = self.space_of(reading, unset).map(Place::Space);
        let counter = || self.lines.of_reading(&self.site, reading, unset);
        space.or_else(|| counter().map(|line| Place::Counter(line.counter.sensor.clone())))
    }

    fn rules_of(&self, place: &Place, reading: &Reading) -> SessionRules {
        match place {
            Place::Space(space) => surroundings(&self.site, space).rules.clone(),
            Place::Counter(_) => self
                .lines
                .of_reading(&self.site, reading, false)
                .map_or_else(SessionRules::default, |line| line.rules.clone()),
        }
    }

    /// By how much the clock that dated an input was corrected while the input was on its way.
    fn overtaken_by(&self, unset: Option<BootId>, now: Stamp) -> Option<i64> {
        let (boot, offset_ms) = self.corrected?;
        (unset == Some(boot) && now.clock != ClockQuality::Unset).then_some(offset_ms)
    }

    fn picture(&mut self, now: Stamp, mut picture: Picture) -> Touched {
        if let Some(offset_ms) = self.overtaken_by(picture.unset, now) {
            picture.at = picture.at.plus_millis(offset_ms);
            picture.unset = None;
        }
        let space = picture.space.clone();
        let Some(book) = self.spaces.get_mut(&space) else {
            return Touched::Nothing;
        };
        let is_ahead = now.clock != ClockQuality::Unset && picture.at.millis_since(now.at) > FUTURE_MS;
        let is_stale = picture.at < horizon(now.at, surroundings(&self.site, &space));
        if picture.unset.is_none() && (is_ahead || is_stale) {
            return Touched::Nothing;
        }
        if book.take_picture(picture) {
            Touched::Space(space)
        } else {
            Touched::Nothing
        }
    }

    fn set_aside(&mut self, now: Stamp, reading: &Reading, reason: String, bodies: &mut Vec<RecordBody>) -> Touched {
        if self.set_aside.admit(&reading.sensor, now.at) {
            bodies.push(RecordBody::ReadingSetAside {
                sensor: reading.sensor.clone(),
                observed: reading.observed,
                reason,
            });
        }
        Touched::Nothing
    }

    /// Live sources may have said something while the box was off.
    fn restarted(&mut self, now: Stamp) {
        let is_live = |binding: &&Binding| {
            let traits = self.site.sensors.iter().find(|sensor| sensor.id == binding.sensor);
            traits.is_some_and(|traits| !traits.queued)
        };
        let live: Vec<SpaceId> = self
            .bound
            .iter()
            .filter(is_live)
            .map(|binding| binding.space.clone())
            .collect();
        for space in live {
            let last = self.spaces.get(&space).map_or(now.at, SpaceBook::last_at);
            self.happen(&space, now, now.at.max(last), What::Restarted);
        }
    }

    fn clock_corrected(&mut self, now: Stamp, of_boot: BootId, offset_ms: i64) {
        let before = self.corrected.filter(|(boot, _)| *boot == of_boot);
        self.corrected = Some((
            of_boot,
            before.map_or(0, |(_, before)| before).saturating_add(offset_ms),
        ));
        let prefix = format!("{}-{}", self.site.gateway, self.tag);
        for (id, book) in &mut self.spaces {
            let mut names = Names {
                prefix: &prefix,
                counter: &mut self.counter,
            };
            book.correct_clock(of_boot, offset_ms, now.at, surroundings(&self.site, id), &mut names);
        }
        for book in self.lines.books_mut() {
            book.correct_clock(of_boot, offset_ms, now.at);
        }
        for zone in self.zones.values_mut() {
            zone.correct_clock(now.at);
        }
    }

    /// Takes over a new configuration. What happened under the old one keeps its rules and tariffs.
    fn site_changed(&mut self, now: Stamp, site: Site, bodies: &mut Vec<RecordBody>) {
        self.unbind(now, &site.bindings, bodies);
        self.write_down(now, bodies, true);
        for (id, book) in &mut self.spaces {
            let around = surroundings(&self.site, id);
            book.freeze(horizon(now.at, around), around);
            book.renew();
        }
        self.site = site;
        let site = &self.site;
        self.spaces
            .retain(|id, _| site.spaces.iter().any(|space| space.id == *id));
        self.zones.retain(|id, _| site.zones.iter().any(|zone| zone.id == *id));
        for space in &site.spaces {
            if !self.spaces.contains_key(&space.id) {
                self.spaces.insert(space.id.clone(), SpaceBook::new());
            }
        }
        for zone in self.zones.values_mut() {
            zone.freeze(now.at);
        }
        self.lines.change(site, now.at);
        self.open_zones(now.at);
        self.rebind(now, bodies);
    }

    /// Folds what lies beyond the horizon, after everything due was written down.
    fn fold(&mut self, now: Timestamp, touched: &Touched) {
        if matches!(touched, Touched::Counter | Touched::All) {
            self.lines.fold(&self.site, now);
        }
        for (id, book) in &mut self.spaces {
            let is_touched = match touched {
                Touched::Nothing | Touched::Counter => false,
                Touched::Space(space) => space == id,
                Touched::All => true,
            };
            if is_touched {
                let around = surroundings(&self.site, id);
                book.fold(horizon(now, around), around);
            }
        }
    }

    /// Writes down what is due. Whether the state changed.
    fn write_down(&mut self, now: Stamp, bodies: &mut Vec<RecordBody>, everything: bool) -> bool {
        let site = &self.site;
        let before = bodies.len();
        for (id, book) in &mut self.spaces {
            if !everything && !book.is_due(now.at, || surroundings(site, id)) {
                continue;
            }
            let around = surroundings(site, id);
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
        let counters = self.lines.write_down(site, now.at);
        for record in &counters {
            if let RecordBody::CounterLost { zone, since, .. } = record
                && let Some(zone) = self.zones.get_mut(zone)
            {
                zone.touch(*since);
            }
        }
        bodies.extend(counters);
        let mut moved = false;
        for Zone { id, rules, .. } in &site.zones {
            let Some(zone) = self.zones.get_mut(id).filter(|zone| zone.is_due(now.at, rules)) else {
                continue;
            };
            let next = zone.next();
            let views = Views {
                spaces: views(site, id, &mut self.spaces),
                counters: self.lines.of_zone(site, id),
            };
            bodies.extend(zone.write_down(now.at, id, rules, &views));
            moved |= zone.next() != next;
        }
        moved || bodies.len() > before
    }
}

/// What an input bore on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Touched {
    Nothing,
    Space(SpaceId),
    Counter,
    All,
}

/// What a reading is about.
#[derive(Debug, Clone)]
enum Place {
    Space(SpaceId),
    /// By its sensor.
    Counter(SensorId),
}

fn views<'a>(site: &'a Site, zone: &ZoneId, spaces: &'a mut BTreeMap<SpaceId, SpaceBook>) -> Vec<View<'a>> {
    let inside = spaces.iter_mut().filter_map(|(id, book)| {
        let around = surroundings(site, id);
        let present = book.present(|| around);
        (around.space.zone == *zone).then_some(View {
            space: around.space,
            silence_ms: present.silence_ms,
            traits: around.traits(present.walk.sensor.as_ref()),
            walk: &present.walk,
        })
    });
    inside.collect()
}

/// A space's place in the site. Books are kept for the site's spaces only, and [`Site::check`] knows every zone.
fn surroundings<'a>(site: &'a Site, space: &SpaceId) -> Surroundings<'a> {
    let space = site.spaces.iter().find(|known| known.id == *space);
    let zone = space.and_then(|space| site.zones.iter().find(|zone| zone.id == space.zone));
    match (space, zone) {
        (Some(space), Some(zone)) => Surroundings {
            site,
            space,
            rules: &zone.rules,
        },
        _ => unreachable!("a book is kept for a space outside of every zone"),
    }
}

/// The time before which nothing can change any more.
fn horizon(now: Timestamp, around: Surroundings<'_>) -> Timestamp {
    now.plus_seconds(-i64::from(around.rules.horizon_s))
}

/// FNV-1a, 64 bit: message ids are compared within one space and a day, where a collision is out of the question.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// How long before it was taken in a reading was made, seconds. Only of a source without a queue of its own that is known: it is
/// dated by the box's clock, whatever that shows, and a decision takes some seconds.
fn seen_s(site: &Site, reading: &Reading) -> u8 {
    let is_queued = |traits: &SensorTraits| traits.id == reading.sensor && traits.queued;
    if site.sensors.iter().any(is_queued) {
        return 0;
    }
    let ago_s = reading.received.at.floor_to_second().seconds_since(reading.observed);
    u8::try_from(ago_s).unwrap_or(0)
}
