//! Counters: which sensor counts at which line, and whose a reading is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::counter::{CounterBook, Line};
use crate::{Counter, Reading, RecordBody, SensorId, Site, Timestamp, ZoneId};

/// The counters of a site: those of its configuration, and those that it ended, until nothing of them can change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Lines {
    counters: Vec<Counter>,
    books: BTreeMap<SensorId, CounterBook>,
}

impl Lines {
    pub fn new(site: &Site) -> Self {
        let mut lines = Self {
            counters: site.counters.clone(),
            books: BTreeMap::new(),
        };
        lines.open_books();
        lines
    }

    /// Takes over the counters of `site` at `now`. What is not there any more, or counts otherwise, ends; what counts
    /// otherwise begins.
    pub fn change(&mut self, site: &Site, now: Timestamp) {
        let mut planned = site.counters.clone();
        let mut counters: Vec<Counter> = Vec::new();
        for mut counter in std::mem::take(&mut self.counters) {
            if let Some(place) = planned.iter().position(|planned| is_same(planned, &counter)) {
                let mut goes_on = planned.remove(place);
                goes_on.during.from = goes_on.during.from.max(counter.during.from);
                counters.push(goes_on);
            } else {
                counter.during.until = Some(counter.during.until.map_or(now, |until| until.min(now)));
                counters.push(counter);
            }
        }
        for mut counter in planned {
            counter.during.from = counter.during.from.max(now);
            counters.push(counter);
        }
        let is_placed = |counter: &Counter| site.zones.iter().any(|zone| zone.id == counter.zone);
        let is_empty = |counter: &Counter| counter.during.until.is_some_and(|until| until <= counter.during.from);
        counters.retain(|counter| is_placed(counter) && !is_empty(counter));
        self.counters = counters;
        self.open_books();
    }

    fn open_books(&mut self) {
        let counters = &self.counters;
        let counts = |sensor: &SensorId| counters.iter().any(|counter| counter.sensor == *sensor);
        self.books.retain(|sensor, _| counts(sensor));
        for counter in counters {
            self.books
                .entry(counter.sensor.clone())
                .or_insert_with(CounterBook::new);
        }
    }

    /// Forgets counters that ended before anything that can still change.
    pub fn fold(&mut self, site: &Site, now: Timestamp) {
        let horizon = |line: Line<'_>| now.plus_seconds(-i64::from(line.rules.horizon_s));
        let before = self.counters.len();
        self.counters.retain(|counter| {
            let until = counter.during.until;
            Line::of(site, counter).is_some_and(|line| until.is_none_or(|until| until > horizon(line)))
        });
        if self.counters.len() < before {
            self.open_books();
        }
        for (sensor, book) in &mut self.books {
            let of_sensor = self.counters.iter().find(|counter| counter.sensor == *sensor);
            if let Some(line) = of_sensor.and_then(|counter| Line::of(site, counter)) {
                book.fold(horizon(line));
            }
        }
    }

    /// The counter that a reading's sensor was when it spoke; if that is not known, the last one that it was.
    pub fn of_reading<'a>(&'a self, site: &'a Site, reading: &Reading, unset: bool) -> Option<Line<'a>> {
        let at = reading.observed.min(reading.received.at).floor_to_second();
        let mut own = self.counters.iter().filter(|counter| counter.sensor == reading.sensor);
        let counter = if unset {
            own.next_back()
        } else {
            own.find(|counter| holds(counter, at))
        };
        Line::of(site, counter?)
    }

    pub fn book(&self, sensor: &SensorId) -> Option<&CounterBook> {
        self.books.get(sensor)
    }

    pub fn book_mut(&mut self, sensor: &SensorId) -> Option<&mut CounterBook> {
        self.books.get_mut(sensor)
    }

    /// All that a sensor counts or counted.
    pub fn of_sensor(&self, sensor: &SensorId) -> impl Iterator<Item = &Counter> {
        self.counters.iter().filter(move |counter| counter.sensor == *sensor)
    }

    /// The counters that are lost since the last time, or found again.
    pub fn write_down(&mut self, site: &Site, now: Timestamp) -> Vec<RecordBody> {
        let mut records = Vec::new();
        for counter in self.counters.iter().filter(|counter| holds(counter, now)) {
            if let (Some(line), Some(book)) = (Line::of(site, counter), self.books.get_mut(&counter.sensor))
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
            let until = line.counter.during.until;
            book.deadline(line).filter(|due| until.is_none_or(|until| *due < until))
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
            .filter_map(|counter| Some((Line::of(site, counter)?, self.books.get(&counter.sensor)?)))
    }
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
