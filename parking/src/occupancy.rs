//! Occupancy of a zone, interval by interval: `occupied + free + unknown + closed = spaces × interval`, always.
//!
//! An interval is written when it has ended and settled. While it lies within the horizon, anything that changes the
//! timeline of one of its spaces makes the next revision; a written one is never edited.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::derive::{SpaceState, Stay, Walk};
use crate::space::measure;
use crate::{Coverage, Occupancy, RecordBody, SessionRules, Space, Timestamp, ZoneId};

/// Length of an interval, seconds. Intervals are aligned to the UTC hour, and so to every Indonesian hour.
pub(crate) const INTERVAL_S: u32 = 900;
const INTERVAL_MS: i64 = INTERVAL_S as i64 * 1_000;

/// Begin of the interval that holds `time`.
pub(crate) fn interval_of(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(INTERVAL_MS) * INTERVAL_MS)
}

/// What a zone's intervals are computed from.
pub(crate) struct View<'a> {
    pub space: &'a Space,
    pub walk: &'a Walk,
    pub silence_ms: i64,
}

/// The intervals of one zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ZoneBook {
    next: Timestamp,
    written: BTreeMap<Timestamp, Occupancy>,
    /// Intervals that end after this have to be looked at again.
    dirty_from: Option<Timestamp>,
}

impl ZoneBook {
    /// A zone that is watched from `now` on.
    pub fn new(now: Timestamp) -> Self {
        Self {
            next: interval_of(now),
            written: BTreeMap::new(),
            dirty_from: None,
        }
    }

    /// The timeline of one of the spaces changed from `time` on.
    pub fn touch(&mut self, time: Timestamp) {
        self.dirty_from = Some(self.dirty_from.map_or(time, |dirty| dirty.min(time)));
    }

    /// The clock was corrected: intervals that it has not reached yet are not over.
    pub fn correct_clock(&mut self, now: Timestamp) {
        self.next = self.next.min(interval_of(now));
        self.touch(Timestamp::from_millis(i64::MIN));
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
        spaces: &[View<'_>],
    ) -> Vec<RecordBody> {
        let horizon = interval_of(now.plus_seconds(-i64::from(rules.horizon_s))).plus_millis(INTERVAL_MS);
        let mut records = Vec::new();
        if let Some(dirty) = self.dirty_from.take() {
            let touched: Vec<Timestamp> = self
                .written
                .range(interval_of(dirty).max(horizon)..)
                .map(|(from, _)| *from)
                .collect();
            for from in touched {
                records.extend(self.revise(occupancy(zone, from, now, spaces)));
            }
        }
        if now >= self.deadline(rules) {
            self.next = self.next.max(horizon);
        }
        while now >= self.deadline(rules) {
            records.extend(self.revise(occupancy(zone, self.next, now, spaces)));
            self.next = self.next.plus_millis(INTERVAL_MS);
        }
        if !records.is_empty() {
            self.written = self.written.split_off(&horizon);
        }
        records.into_iter().map(RecordBody::Occupancy).collect()
    }

    fn revise(&mut self, occupancy: Occupancy) -> Option<Occupancy> {
        let revision = match self.written.get(&occupancy.from) {
            Some(written)
                if (Occupancy {
                    revision: written.revision,
                    ..occupancy.clone()
                }) == *written =>
            {
                return None;
            }
            Some(written) => written.revision + 1,
            None => 1,
        };
        let occupancy = Occupancy { revision, ..occupancy };
        self.written.insert(occupancy.from, occupancy.clone());
        Some(occupancy)
    }
}

fn occupancy(zone: &ZoneId, from: Timestamp, now: Timestamp, spaces: &[View<'_>]) -> Occupancy {
    let until = from.plus_millis(INTERVAL_MS);
    let mut totals: BTreeMap<SpaceState, i64> = BTreeMap::new();
    let (mut arrivals, mut departures) = (0, 0);
    for view in spaces {
        for (state, millis) in measure(view.walk, view.space, from, until, now, view.silence_ms) {
            *totals.entry(state).or_default() += millis;
        }
        let inside = |time: Timestamp| from <= time && time < until;
        arrivals += count(&view.walk.stays, |stay| inside(stay.start.point));
        departures += count(&view.walk.stays, |stay| stay.end.is_some_and(|end| inside(end.point)));
    }
    let seconds = |state| u64::try_from(totals.get(&state).copied().unwrap_or(0).div_euclid(1_000)).unwrap_or(0);
    let (occupied_s, free_s, closed_s) = (
        seconds(SpaceState::Occupied),
        seconds(SpaceState::Free),
        seconds(SpaceState::Closed),
    );
    let total = u64::from(INTERVAL_S) * spaces.len() as u64;
    let known = occupied_s + free_s + closed_s;
    assert!(
        known <= total,
        "zone {zone}, interval {from}: {known} known of {total} space-seconds"
    );
    // Fractions of a second that rounding took from the others are not known either.
    let unknown_s = total - known;
    assert_eq!(
        totals.values().sum::<i64>(),
        i64::from(INTERVAL_S) * 1_000 * i64::try_from(spaces.len()).unwrap_or(0)
    );
    Occupancy {
        zone: zone.clone(),
        from,
        interval_s: INTERVAL_S,
        revision: 0,
        spaces: u32::try_from(spaces.len()).unwrap_or(u32::MAX),
        occupied_s,
        free_s,
        unknown_s,
        closed_s,
        arrivals,
        departures,
        coverage: Coverage::of(occupied_s + free_s, total - closed_s),
    }
}

fn count(stays: &[Stay], wanted: impl Fn(&Stay) -> bool) -> u32 {
    u32::try_from(stays.iter().filter(|stay| wanted(stay)).count()).unwrap_or(u32::MAX)
}
