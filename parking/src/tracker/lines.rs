//! Counters: which sensor counts at which line, and whose a reading is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::counter::{CounterBook, Line};
use crate::{Counter, Reading, RecordBody, SensorId, SensorTraits, Site, Timestamp, ZoneId};

/// The counters of a site: those of its configuration, and those that it ended, until nothing of them can change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Lines {
    counters: Vec<Bound>,
    books: BTreeMap<SensorId, CounterBook>,
}

/// A counter with its sensor, which the configuration may not name any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Bound {
    counter: Counter,
    traits: SensorTraits,
}

impl Bound {
    fn of(site: &Site, counter: Counter) -> Option<Self> {
        let traits = site.sensors.iter().find(|traits| traits.id == counter.sensor)?;
        Some(Self {
            traits: traits.clone(),
            counter,
        })
    }

    fn line<'a>(&'a self, site: &'a Site) -> Option<Line<'a>> {
        let zone = site.zones.iter().find(|zone| zone.id == self.counter.zone)?;
        Some(Line {
            site,
            counter: &self.counter,
            traits: &self.traits,
            rules: &zone.rules,
        })
    }
}

impl Lines {
    pub fn new(site: &Site) -> Self {
        let mut lines = Self {
            counters: bound(site, site.counters.clone()),
            books: BTreeMap::new(),
        };
        lines.open_books();
        lines
    }

    /// Takes over the counters of `site` at `now`. What is not there any more, or counts otherwise, ends; what counts
    /// otherwise begins.
    pub fn change(&mut self, site: &Site, now: Timestamp) {
        let mut planned = site.counters.clone();
        let mut counters: Vec<Bound> = Vec::new();
        for mut old in std::mem::take(&mut self.counters) {
            let begun = old.counter.during.from;
            if let Some(place) = planned.iter().position(|planned| is_same(planned, &old.counter)) {
                let mut goes_on = planned.remove(place);
                goes_on.during.from = goes_on.during.from.max(begun);
                counters.extend(Bound::of(site, goes_on));
            } else {
                let until = &mut old.counter.during.until;
                *until = Some(until.map_or(now, |until| until.min(now)));
                counters.push(old);
            }
        }
        for counter in &mut planned {
            counter.during.from = counter.during.from.max(now);
        }
        counters.extend(bound(site, planned));
        counters.retain(|bound| {
            let during = bound.counter.during;
            bound.line(site).is_some() && during.until.is_none_or(|until| during.from < until)
        });
        self.counters = counters;
        self.open_books();
    }

    fn open_books(&mut self) {
        let counters = &self.counters;
        let counts = |sensor: &SensorId| counters.iter().any(|bound| bound.counter.sensor == *sensor);
        self.books.retain(|sensor, _| counts(sensor));
        for bound in counters {
            self.books
                .entry(bound.counter.sensor.clone())
                .or_insert_with(CounterBook::new);
        }
    }

    /// Forgets counters that ended before anything that can still change.
    pub fn fold(&mut self, site: &Site, now: Timestamp) {
        let horizon = |line: Line<'_>| now.plus_seconds(-i64::from(line.rules.horizon_s));
        let before = self.counters.len();
        self.counters.retain(|bound| {
            let until = bound.counter.during.until;
            bound
                .line(site)
                .is_some_and(|line| until.is_none_or(|until| until > horizon(line)))
        });
        if self.counters.len() < before {
            self.open_books();
        }
        for (sensor, book) in &mut self.books {
            let of_sensor = self.counters.iter().find(|bound| bound.counter.sensor == *sensor);
            if let Some(line) = of_sensor.and_then(|bound| bound.line(site)) {
                book.fold(horizon(line));
            }
        }
    }

    /// The counter that a reading's sensor was when it spoke; if that is not known, the last one that it was.
    pub fn of_reading<'a>(&'a self, site: &'a Site, reading: &Reading, unset: bool) -> Option<Line<'a>> {
        let at = reading.observed.min(reading.received.at).floor_to_second();
        let is_its = |bound: &&Bound| bound.counter.sensor == reading.sensor;
        let mut own = self.counters.iter().filter(is_its);
        let bound = if unset {
            own.next_back()
        } else {
            own.find(|bound| holds(&bound.counter, at))
        };
        bound?.line(site)
    }

    pub fn book(&self, sensor: &SensorId) -> Option<&CounterBook> {
        self.books.get(sensor)
    }

    pub fn book_mut(&mut self, sensor: &SensorId) -> Option<&mut CounterBook> {
        self.books.get_mut(sensor)
    }

    /// All that a sensor counts or counted.
    pub fn of_sensor(&self, sensor: &SensorId) -> impl Iterator<Item = &Counter> {
        let counters = self.counters.iter().map(|bound| &bound.counter);
        counters.filter(move |counter| counter.sensor == *sensor)
    }

    /// The counters that are lost since the last time, or found again.
    pub fn write_down(&mut self, site: &Site, now: Timestamp) -> Vec<RecordBody> {
        let mut records = Vec::new();
        for bound in self.counters.iter().filter(|bound| holds(&bound.counter, now)) {
            if let (Some(line), Some(book)) = (bound.line(site), self.books.get_mut(&bound.counter.sensor))
                && book.is_due(now, line)
            {
                records.extend(book.write_down(now, line));
            }
        }
        records
    }

    /// All books.
    pub fn books_mut(&mut self) -> impl Iterator<Item = &mut CounterBook> {
        self.books.values_mut()
    }

    /// When something is due of a counter without any further report.
    pub fn deadline(&self, site: &Site) -> Option<Timestamp> {
        let due = |(line, book): (Line<'_>, &CounterBook)| {
            // Before it begins and after it has ended nothing is written of it.
            let due = book.deadline(line)?.max(line.counter.during.from);
            holds(line.counter, due).then_some(due)
        };
        self.placed(site).filter_map(due).min()
    }

    /// The counters of `zone`, with their books.
    pub fn of_zone<'a>(&'a self, site: &'a Site, zone: &ZoneId) -> Vec<(Line<'a>, &'a CounterBook)> {
        self.placed(site)
            .filter(|(line, _)| line.counter.zone == *zone)
            .collect()
    }

    fn placed<'a>(&'a self, site: &'a Site) -> impl Iterator<Item = (Line<'a>, &'a CounterBook)> {
        self.counters
            .iter()
            .filter_map(|bound| Some((bound.line(site)?, self.books.get(&bound.counter.sensor)?)))
    }
}

/// Those whose sensors there are.
fn bound(site: &Site, counters: Vec<Counter>) -> Vec<Bound> {
    let bound = counters.into_iter().filter_map(|counter| Bound::of(site, counter));
    bound.collect()
}

fn holds(counter: &Counter, at: Timestamp) -> bool {
    counter.during.from <= at && counter.during.until.is_none_or(|until| at < until.floor_to_second())
}

/// Whether both count the same in the same way, the end or begin of which may have been edited.
fn is_same(a: &Counter, b: &Counter) -> bool {
    let overlap = |a: &Counter, b: &Counter| b.during.until.is_none_or(|until| a.during.from < until);
    let what = |counter: &Counter| {
        (
            counter.sensor.clone(),
            counter.zone.clone(),
            counter.class,
            counter.vehicles,
        )
    };
    what(a) == what(b) && overlap(a, b) && overlap(b, a)
}
