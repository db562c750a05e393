//! Occupancy of a zone, interval by interval: `occupied + free + unknown + closed = spaces × interval`, always.
//!
//! An interval is written when it has ended and settled. While it lies within the horizon, anything that changes the
//! timeline of one of its spaces, or what one of its counters counted, makes the next revision; a written one is never edited. A box that was off for longer
//! than the horizon leaves out the intervals before it: nothing can be known of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::counter::{CounterBook, Line};
use crate::derive::{Doubt, Walk};
use crate::stay::Stay;
use crate::timeline::SpaceState;
use crate::{Coverage, Gap, Occupancy, RecordBody, SensorErrors, SensorTraits, SessionRules, Space, Timestamp, ZoneId};

/// Length of an interval, seconds. Intervals are aligned to the UTC hour, and so to every Indonesian hour.
const INTERVAL_S: u32 = 900;
pub(crate) const INTERVAL_MS: i64 = INTERVAL_S as i64 * 1_000;

/// Begin of the interval that holds `time`.
pub(crate) fn interval_of(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(INTERVAL_MS) * INTERVAL_MS)
}

/// What a zone's intervals are computed from.
pub(crate) struct View<'a> {
    pub space: &'a Space,
    pub walk: &'a Walk,
    pub silence_ms: i64,
    /// The space's sensor.
    pub traits: Option<&'a SensorTraits>,
}

impl View<'_> {
    /// Gaps that begin in `from..until`, judged at `now`.
    fn gaps(&self, from: Timestamp, until: Timestamp, now: Timestamp) -> impl Iterator<Item = Gap> {
        let walk = self.walk;
        let silent = walk.heard.filter(|heard| walk.is_silent(*heard, now, self.silence_ms));
        let ongoing = silent
            .filter(|_| walk.state.is_some())
            .map(|heard| (Doubt::blind(heard, now, walk.state, None), None));
        let over = walk.doubts.iter().map(|doubt| (*doubt, Some(doubt.until)));
        let begins_here = move |doubt: &Doubt| from <= doubt.from && doubt.from < until;
        over.chain(ongoing)
            .filter(move |(doubt, _)| begins_here(doubt))
            .map(|(doubt, until)| self.gap(doubt, until))
    }

    fn gap(&self, doubt: Doubt, until: Option<Timestamp>) -> Gap {
        Gap {
            space: self.space.id.clone(),
            class: self.space.class,
            from: doubt.from,
            until,
            before: doubt.before,
            after: doubt.after,
            frames: doubt.frames,
            frames_until: doubt.frames_until,
            heartbeat_s: self.traits.map_or(0, |traits| traits.heartbeat_s),
            blind: doubt.blind,
            inferred: self.walk.inferred_in(&doubt),
            uncounted: doubt.uncounted,
        }
    }
}

/// What a zone's intervals are computed from.
pub(crate) struct Views<'a> {
    pub spaces: Vec<View<'a>>,
    pub counters: Vec<(Line<'a>, &'a CounterBook)>,
}

/// The intervals of one zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ZoneBook {
    /// Begin of the first interval that is not written yet.
    next: Timestamp,
    written: BTreeMap<Timestamp, Occupancy>,
    /// Intervals before this were written under an earlier configuration and stay as they are.
    settled_until: Timestamp,
    /// Intervals that end after this have to be looked at again; never outlasts a step.
    #[serde(skip)]
    dirty_from: Option<Timestamp>,
}

impl ZoneBook {
    /// A zone that is watched from `now` on.
    pub fn new(now: Timestamp) -> Self {
        Self {
            next: interval_of(now),
            written: BTreeMap::new(),
            settled_until: interval_of(now),
            dirty_from: None,
        }
    }

    /// The timeline of one of the spaces changed from `time` on.
    pub fn touch(&mut self, time: Timestamp) {
        if time < self.next {
            self.dirty_from = Some(self.dirty_from.map_or(time, |dirty| dirty.min(time)));
        }
    }

    /// The clock was corrected: intervals that it has not reached yet are not over.
    pub fn correct_clock(&mut self, now: Timestamp) {
        self.dirty_from = Some(Timestamp::from_millis(i64::MIN));
        self.next = self.next.min(interval_of(now));
        self.settled_until = self.settled_until.min(self.next);
    }

    /// The zone has other spaces or rules from `now` on.
    pub fn freeze(&mut self, now: Timestamp) {
        self.settled_until = interval_of(now);
    }

    /// Begin of the first interval that is not written yet.
    pub fn next(&self) -> Timestamp {
        self.next
    }

    /// When the next interval is due.
    pub fn deadline(&self, rules: &SessionRules) -> Timestamp {
        self.next
            .plus_millis(INTERVAL_MS)
            .plus_seconds(i64::from(rules.settle_s))
    }

    /// Whether anything has to be computed at `now`.
    pub fn is_due(&self, now: Timestamp, rules: &SessionRules) -> bool {
        now >= self.deadline(rules) || self.dirty_from.is_some()
    }

    /// Writes down intervals that are due, and revises those that a change touches.
    pub fn write_down(
        &mut self,
        now: Timestamp,
        zone: &ZoneId,
        rules: &SessionRules,
        views: &Views<'_>,
    ) -> Vec<RecordBody> {
        let horizon_s = i64::from(rules.horizon_s);
        let horizon = |time: Timestamp| interval_of(time.plus_seconds(-horizon_s)).plus_millis(INTERVAL_MS);
        let mut records = Vec::new();
        if let Some(dirty) = self.dirty_from.take() {
            // After a jump of the clock, `next` still tells the time of what was written before it.
            let first = interval_of(dirty)
                .max(horizon(now.min(self.next)))
                .max(self.settled_until);
            let touched: Vec<Timestamp> = self.written.range(first..).map(|(from, _)| *from).collect();
            for from in touched {
                records.extend(self.revise(occupancy(zone, from, now, views), views));
            }
        }
        if now >= self.deadline(rules) {
            self.next = self.next.max(horizon(now));
        }
        while now >= self.deadline(rules) {
            records.extend(self.revise(occupancy(zone, self.next, now, views), views));
            self.next = self.next.plus_millis(INTERVAL_MS);
        }
        if !records.is_empty() {
            let oldest = horizon(now.min(self.next));
            let newest = now.plus_seconds(horizon_s);
            self.written.retain(|from, _| (oldest..=newest).contains(from));
        }
        records.into_iter().map(RecordBody::Occupancy).collect()
    }

    fn revise(&mut self, mut occupancy: Occupancy, views: &Views<'_>) -> Option<Occupancy> {
        let written = self.written.get(&occupancy.from);
        if let Some(written) = written {
            keep_settled(&mut occupancy, written, views);
        }
        let occupancy = Occupancy {
            revision: written.map_or(0, |written| written.revision),
            ..occupancy
        };
        if written == Some(&occupancy) {
            return None;
        }
        let occupancy = Occupancy {
            revision: occupancy.revision + 1,
            ..occupancy
        };
        self.written.insert(occupancy.from, occupancy.clone());
        Some(occupancy)
    }
}

/// Takes from `written` what counters counted before all that they still remember.
fn keep_settled(occupancy: &mut Occupancy, written: &Occupancy, views: &Views<'_>) {
    let from = occupancy.from;
    let is_settled = |book: &CounterBook| book.known_from().is_some_and(|known| from < known);
    for (line, _) in views.counters.iter().filter(|(_, book)| is_settled(book)) {
        let sensor = &line.counter.sensor;
        let old = written.counted.iter().find(|counted| counted.sensor == *sensor);
        let new = occupancy.counted.iter_mut().find(|counted| counted.sensor == *sensor);
        if let (Some(new), Some(old)) = (new, old) {
            *new = old.clone();
        }
    }
}

fn occupancy(zone: &ZoneId, from: Timestamp, now: Timestamp, views: &Views<'_>) -> Occupancy {
    let spaces = &views.spaces;
    let until = from.plus_millis(INTERVAL_MS);
    let mut totals: BTreeMap<SpaceState, i64> = BTreeMap::new();
    let (mut arrivals, mut departures) = (0, 0);
    let mut gaps = Vec::new();
    let counters = views.counters.iter();
    for view in spaces {
        gaps.extend(view.gaps(from, until, now));
        measure(view, from, until, now, &mut totals);
        let inside = |time: Timestamp| from <= time && time < until;
        arrivals += count(&view.walk.stays, |stay| inside(stay.start.point));
        departures += count(&view.walk.stays, |stay| stay.end.is_some_and(|end| inside(end.point)));
    }
    let total = u64::from(INTERVAL_S) * spaces.len() as u64;
    assert_eq!(
        totals.values().sum::<i64>(),
        i64::from(INTERVAL_S) * 1_000 * i64::try_from(spaces.len()).unwrap_or(0),
        "zone {zone}, interval {from}: {totals:?}"
    );
    let seconds = |state| u64::try_from(totals.get(&state).copied().unwrap_or(0).div_euclid(1_000)).unwrap_or(0);
    let occupied_s = seconds(SpaceState::Occupied);
    let free_s = seconds(SpaceState::Free);
    let closed_s = seconds(SpaceState::Closed);
    Occupancy {
        zone: zone.clone(),
        from,
        interval_s: INTERVAL_S,
        revision: 0,
        spaces: u32::try_from(spaces.len()).unwrap_or(u32::MAX),
        occupied_s,
        free_s,
        // With the fractions of a second that rounding took from the others: they are not known either.
        unknown_s: total - occupied_s - free_s - closed_s,
        closed_s,
        arrivals,
        departures,
        coverage: Coverage::of(occupied_s + free_s, total - closed_s),
        gaps,
        errors: mean_errors(spaces),
        counted: counters
            .filter_map(|(line, book)| book.counted(from, until, now, *line))
            .collect(),
    }
}

/// How often the sensors of these spaces are wrong on average, rounded up.
fn mean_errors(spaces: &[View<'_>]) -> SensorErrors {
    let errors = || spaces.iter().filter_map(|view| view.traits).map(|traits| traits.errors);
    let count = u32::try_from(errors().count()).unwrap_or(u32::MAX).max(1);
    let mean = |of: fn(SensorErrors) -> u32| errors().map(of).fold(0, u32::saturating_add).div_ceil(count);
    SensorErrors {
        missed: mean(|errors| errors.missed),
        invented: mean(|errors| errors.invented),
    }
}

fn count(stays: &[Stay], wanted: impl Fn(&Stay) -> bool) -> u32 {
    u32::try_from(stays.iter().filter(|stay| wanted(stay)).count()).unwrap_or(u32::MAX)
}

/// Adds a space's milliseconds by state over `from..until`, closed time counted as closed whatever the sensor says.
fn measure(view: &View<'_>, from: Timestamp, until: Timestamp, now: Timestamp, totals: &mut BTreeMap<SpaceState, i64>) {
    for segment in view.walk.timeline(from, until, now, view.silence_ms) {
        let closed = closed_ms(view.space, segment.from, segment.until);
        *totals.entry(SpaceState::Closed).or_default() += closed;
        *totals.entry(segment.state).or_default() += segment.until.millis_since(segment.from) - closed;
    }
}

/// Milliseconds of `from..until` in which the space is closed; overlapping closures count once.
fn closed_ms(space: &Space, from: Timestamp, until: Timestamp) -> i64 {
    let mut spans: Vec<(Timestamp, Timestamp)> = space
        .closed
        .iter()
        .map(|span| (span.from.max(from), span.until.unwrap_or(until).min(until)))
        .filter(|(begin, end)| begin < end)
        .collect();
    spans.sort_unstable();
    let mut total = 0;
    let mut reached = from;
    for (begin, end) in spans {
        total += end.max(reached).millis_since(begin.max(reached)).max(0);
        reached = reached.max(end);
    }
    total
}
