//! From the events of one space to its timeline and its stays: a pure walk in order of time.
//!
//! A [`Walk`] is what is known after some events. It starts with nothing known, takes events that never go back in
//! time, and keeps three things: the *timeline* up to the last report (segments free, occupied, unknown), the *stays*
//! (the last may be open), and how often the sensor *flipped* in each quarter of an hour. What holds after the last report depends on
//! the present time and is asked by [`Walk::timeline`] and [`Walk::state_at`].
//!
//! The rules, in the order in which a report is judged:
//!
//! - A silence longer than the limit makes everything since the last report unknown. Evidence may fill it later. A report
//!   that says no state proves that the sensor lives, and so ends no silence but keeps one from beginning.
//! - A *status* report is sent at the moment of a change, so it dates that change; a heartbeat that differs from what was
//!   known only says that a change was lost since a state was last said. Where a sensor sends a status for nothing but a
//!   change, the same status again says that the change between was lost.
//! - The *previous state* that some sensors send with a status dates the change before: it refines a begin or an end that
//!   was not seen, bridges a silence that it covers, and betrays pairs of changes that were lost.
//! - A sensor's *total of changes*, the same before and after a silence, bridges it.
//! - A free time shorter than the merge gap, both ends seen, joins two stays.
//!
//! What is made of a silence is in [`silence`], and where vehicles may have come and gone unseen is in [`doubt`].

mod doubt;
mod silence;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use self::doubt::Doubt;
use self::doubt::Total;
use self::silence::Gap;
use crate::event::{Event, Said, What};
use crate::stay::{Edge, Stay};
use crate::timeline::{Segment, SpaceState, Timeline};
use crate::{BootId, Flag, SensorId, Timestamp};

/// Flips are counted by quarters of an hour.
const QUARTER_MS: i64 = 900_000;
/// How long flips are remembered beyond what else is, milliseconds.
const FLIPS_KEPT_MS: i64 = 4 * 3_600_000;
/// Tolerance, seconds, between a sensor's count of minutes and the times of its reports.
const MINUTES_TOLERANCE_S: i64 = 60;

/// The numbers that a walk goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Silence after which nothing is known, milliseconds.
    pub silence_ms: i64,
    /// Free time below which two stays are one, milliseconds.
    pub merge_gap_ms: i64,
    /// Longest stay that is believed, seconds: bounds reach back no further.
    pub stay_max_s: i64,
    /// The sensor speaks at least this often, milliseconds.
    pub heartbeat_ms: i64,
    /// The sensor sends a status for nothing but a change.
    pub on_change: bool,
}

/// How long the state before a status report had lasted, as the time when it began.
#[derive(Debug, Clone, Copy)]
struct Began {
    /// `None` when the sensor's counter ran over.
    earliest: Option<Timestamp>,
    latest: Timestamp,
}

impl Began {
    fn of(event: &Event, said: Said) -> Option<Self> {
        let (min, max) = said.previous?;
        let back = |minutes: i64| event.at.plus_seconds(-60 * minutes);
        Some(Self {
            earliest: max.map(|max| back(i64::from(max) + 1)),
            latest: back(i64::from(min)),
        })
    }

    /// Whether it certainly began after `time`.
    fn is_after(self, time: Timestamp) -> bool {
        self.earliest
            .is_some_and(|earliest| earliest > time.plus_seconds(MINUTES_TOLERANCE_S))
    }

    /// Whether it began before a silence that follows `heard`. What began within the tolerance after it is the same stay
    /// as far as a sensor that counts minutes can tell.
    fn covers(self, heard: Timestamp) -> bool {
        self.latest <= heard.plus_seconds(MINUTES_TOLERANCE_S)
    }

    /// As an edge that lies in `floor..=ceiling`.
    fn within(self, floor: Timestamp, ceiling: Timestamp) -> Edge {
        let bound = |time: Timestamp| time.max(floor).min(ceiling);
        Edge::between(bound(self.earliest.unwrap_or(floor)), bound(self.latest))
    }
}

fn quarter_of(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(QUARTER_MS) * QUARTER_MS)
}

/// The most flips in an hour that holds `time`, hours being counted from every quarter.
pub(crate) fn flips_around(flips: &BTreeMap<Timestamp, u32>, time: Timestamp) -> u32 {
    let last = quarter_of(time);
    let hours = (0..4).map(|back| last.plus_millis(-back * QUARTER_MS));
    let within = |hour: Timestamp| {
        flips
            .range(hour..hour.plus_millis(4 * QUARTER_MS))
            .map(|(_, flips)| flips)
            .sum()
    };
    hours.map(within).max().unwrap_or(0)
}

/// What is known after some events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walk {
    /// The sensor that watches the space.
    pub sensor: Option<SensorId>,
    /// Until when `state` is known to hold: when the sensor was last heard; the begin of its binding before the first time.
    pub heard: Option<Timestamp>,
    /// What it said last.
    pub state: Option<bool>,
    /// When it said it; the begin of its binding before the first time. Not after `heard`.
    said: Option<Timestamp>,
    /// Since when it has been in this state.
    since: Option<Edge>,
    /// Reports may have been missed since `heard`.
    missed: bool,
    /// The sensor's total of changes, seen while it has been in this state.
    changes: Option<u32>,
    /// A total of changes that came in a silence, and when.
    changes_in_silence: Option<(Timestamp, u32)>,
    gaps: Vec<Gap>,
    /// The frame counter of what was heard last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    /// Frames known to be missing since a state was last said; none when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frames_missing: Option<u32>,
    /// Where vehicles may have come and gone unseen, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
    /// Stays that began, those among them that were merged with the one before.
    #[serde(default)]
    opened: u32,
    /// The sensor's last total of changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_total: Option<Total>,
    pub stays: Vec<Stay>,
    pub line: Timeline,
    pub flips: BTreeMap<Timestamp, u32>,
    /// The boot whose unset clock dated the last events, and the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unset: Option<(BootId, Timestamp)>,
}

impl Walk {
    /// Takes the next event.
    pub fn take(&mut self, event: &Event, limits: &Limits) {
        self.unset = match (self.unset, event.unset) {
            (Some((boot, first)), Some(now)) if boot == now => Some((boot, first)),
            (_, now) => now.map(|boot| (boot, event.at)),
        };
        match &event.what {
            What::Bound(sensor) => {
                if let Some(end) = self.line.end() {
                    self.line.extend(end, event.at, SpaceState::Unknown);
                    self.doubt(Doubt::blind(end, event.at, None, None));
                }
                self.sensor = Some(sensor.clone());
                self.heard = Some(event.at);
                self.said = Some(event.at);
            }
            What::Unbound => self.unbind(event, limits),
            What::Restarted => self.missed = self.state.is_some(),
            What::Reported(said) => self.report(event, *said, limits),
        }
    }

    /// What the space is from `heard` on, judged at `now`.
    pub fn state_at(&self, now: Timestamp, silence_ms: i64) -> SpaceState {
        match (self.heard, self.state) {
            (Some(heard), Some(occupied)) if !self.is_silent(heard, now, silence_ms) => SpaceState::of(occupied),
            _ => SpaceState::Unknown,
        }
    }

    /// The timeline over `from..until` judged at `now`. What is not known, and what is yet to come, is unknown.
    pub fn timeline(&self, from: Timestamp, until: Timestamp, now: Timestamp, silence_ms: i64) -> Vec<Segment> {
        let heard = self.heard.map_or(until, |heard| heard.clamp(from, until));
        let known_until = now.clamp(heard, until);
        let mut pieces = self.line.over(from, heard);
        pieces.push(Segment {
            from: heard,
            until: known_until,
            state: self.state_at(now, silence_ms),
        });
        pieces.push(Segment {
            from: known_until,
            until,
            state: SpaceState::Unknown,
        });
        pieces.retain(|piece| piece.from < piece.until);
        pieces
    }

    /// Times from which on another state holds, assuming that the last one lasts, or that it is unknown if `lost`.
    pub fn outline(&self, lost: bool) -> Vec<(Timestamp, SpaceState)> {
        let mut points: Vec<(Timestamp, SpaceState)> = Vec::with_capacity(self.line.segments().len() + 1);
        let rest = match (self.heard, self.state) {
            (Some(heard), Some(occupied)) if !lost && !self.missed => (heard, SpaceState::of(occupied)),
            (Some(heard), _) => (heard, SpaceState::Unknown),
            (None, _) => (self.line.end().unwrap_or(Timestamp::EPOCH), SpaceState::Unknown),
        };
        let known = self.line.segments().iter().map(|segment| (segment.from, segment.state));
        for point in known.chain([rest]) {
            if points.last().is_none_or(|last| last.1 != point.1) {
                points.push(point);
            }
        }
        points
    }

    /// Whether what was said at `heard` no longer holds at `now`.
    pub fn is_silent(&self, heard: Timestamp, now: Timestamp, silence_ms: i64) -> bool {
        self.missed || now.millis_since(heard) > silence_ms
    }

    /// Forgets the first `stays`, and what else lies before `limit` and no longer matters.
    pub fn forget_before(&mut self, limit: Timestamp, stays: usize) {
        self.stays.drain(..stays.min(self.stays.len()));
        self.line.forget_before(limit);
        let reach = self
            .stays
            .first()
            .map_or(limit, |stay| stay.start.earliest().min(limit));
        self.gaps.retain(|gap| gap.from >= reach);
        self.doubts.retain(|doubt| doubt.until > limit);
        self.flips
            .retain(|quarter, _| quarter.plus_millis(FLIPS_KEPT_MS) > limit);
    }

    /// The first of the events that the unset clock of `boot` dated, if it dated the last ones.
    pub fn unset_since(&self, boot: BootId) -> Option<Timestamp> {
        self.unset.filter(|unset| unset.0 == boot).map(|unset| unset.1)
    }

    /// Moves everything from `from` on by `offset_ms`, for a clock that was wrong.
    pub fn shift(&mut self, from: Timestamp, offset_ms: i64) {
        let shift = |time: Timestamp| {
            if time >= from {
                time.plus_millis(offset_ms).floor_to_second()
            } else {
                time
            }
        };
        let edge = |edge: Edge| {
            if edge.point >= from {
                edge.shifted(offset_ms)
            } else {
                edge
            }
        };
        let mut reached: Option<Timestamp> = None;
        for stay in &mut self.stays {
            let moved = stay.start.point >= from || stay.end.is_some_and(|end| end.point >= from);
            let start = edge(stay.start);
            stay.start = reached.map_or(start, |reached| start.not_before(reached));
            stay.end = stay.end.map(|end| edge(end).not_before(stay.start.point));
            if moved {
                stay.unset = None;
            }
            reached = stay.end.map(|end| end.point);
        }
        self.line.shift(from, offset_ms);
        self.heard = self.heard.map(shift);
        self.said = self.said.map(shift);
        self.since = self.since.map(edge);
        self.gaps.retain(|gap| gap.until < from);
        for doubt in &mut self.doubts {
            (doubt.from, doubt.until) = (shift(doubt.from), shift(doubt.until));
        }
        self.changes_in_silence = None;
        self.flips.retain(|hour, _| *hour < from);
        self.unset = None;
    }

    fn report(&mut self, event: &Event, said: Said, limits: &Limits) {
        let Some(heard) = self.heard else { return };
        let silent = self.is_silent(heard, event.at, limits.silence_ms);
        self.count_frames(said.sequence);
        let Some(occupied) = said.occupied else {
            if silent {
                self.changes_in_silence = said
                    .changes
                    .map(|changes| (event.at, changes))
                    .or(self.changes_in_silence);
            } else {
                self.line
                    .extend(heard, event.at, self.state.map_or(SpaceState::Unknown, SpaceState::of));
                self.heard = Some(event.at);
                self.count_changes(event.at, said.changes);
            }
            return;
        };
        match self.state {
            Some(was) if !silent && was == occupied => self.repeated(event, said, limits),
            Some(was) if !silent => self.changed(event, said, was, limits),
            was => self.heard_again(event, said, heard, was, limits),
        }
        self.frames_missing = said.sequence.map(|_| 0);
        self.state = Some(occupied);
        self.heard = Some(event.at);
        self.said = Some(event.at);
        self.missed = false;
        let in_silence = self.changes_in_silence.take();
        let recent = in_silence.filter(|(at, _)| event.at.millis_since(*at) <= limits.silence_ms);
        self.count_changes(event.at, said.changes.or(recent.map(|(_, changes)| changes)));
    }

    /// The state known before is said again. A status report that knows of another state in between, or that is sent for
    /// nothing but a change, tells of a change that was lost.
    fn repeated(&mut self, event: &Event, said: Said, limits: &Limits) {
        let occupied = said.occupied == Some(true);
        let before = self.said.unwrap_or(event.at);
        let lost = match Began::of(event, said) {
            Some(began) => Some(began.within(before, event.at)),
            None if self.tells_of_a_lost_change(event, said, limits) => Some(Edge::between(before, event.at)),
            None => None,
        };
        self.doubt_frames(
            before,
            event,
            (occupied, lost.map_or(occupied, |_| !occupied)),
            said,
            limits,
        );
        self.extend(event.at, SpaceState::of(occupied));
        let Some(lost) = lost else { return };
        self.line.repaint(lost.point, event.at, SpaceState::of(!occupied));
        self.flip(event.at, 2);
        if occupied {
            self.close(lost, event, &[Flag::EndInferred]);
            self.open(Edge::seen(event.at), event, &[], false);
        } else {
            self.open(lost, event, &[Flag::StartInferred], false);
            self.close(Edge::seen(event.at), event, &[]);
        }
        self.since = Some(Edge::seen(event.at));
    }

    /// The state is another than the one known, and nothing was silent.
    fn changed(&mut self, event: &Event, said: Said, was: bool, limits: &Limits) {
        let before = self.said.unwrap_or(event.at);
        self.doubt_frames(before, event, (was, if said.change { was } else { !was }), said, limits);
        self.extend(event.at, SpaceState::of(was));
        if let Some(began) = Began::of(event, said) {
            self.date_begin(event, began, was);
        }
        self.flip(event.at, 1);
        let edge = if said.change {
            Edge::seen(event.at)
        } else {
            Edge::within(event.at, self.said.unwrap_or(event.at), event.at)
        };
        if was {
            let flags: &[Flag] = if said.change { &[] } else { &[Flag::EndInferred] };
            self.close(edge, event, flags);
        } else if said.change && self.merges(event.at, limits) {
            self.reopen(event);
        } else {
            let flags: &[Flag] = if said.change { &[] } else { &[Flag::StartInferred] };
            self.open(edge, event, flags, false);
        }
        self.since = Some(edge);
    }

    /// A status report tells when the state that it ends had begun.
    fn date_begin(&mut self, event: &Event, began: Began, was: bool) {
        self.bridge(|gap| began.covers(gap.from));
        self.settle_doubts(began);
        let Some(since) = self.since else { return };
        if began.is_after(since.latest()) {
            self.split_hidden(event, since.point, began, was);
        } else if since.bounds.is_some() {
            let dated = began.within(since.earliest(), since.latest());
            self.line.repaint(dated.point, since.point, SpaceState::of(was));
            let known_later = dated.earliest() > since.earliest();
            let ended = self.stays.iter().rev().nth(1).and_then(|before| before.end);
            match self.stays.last_mut() {
                Some(open) if was && open.end.is_none() => {
                    open.start = ended.map_or(dated, |ended| dated.not_before(ended.point));
                    open.continues &= !known_later;
                    if known_later {
                        open.unflag(Flag::AfterGap);
                        open.flag(Flag::StartInferred);
                    }
                }
                Some(closed) if !was && closed.end.is_some_and(|end| end.latest() == since.latest()) => {
                    closed.end = Some(dated.not_before(closed.start.point));
                    closed.unflag(Flag::BeforeGap);
                    closed.flag(Flag::EndInferred);
                }
                _ => {}
            }
        }
    }

    /// The state that ends now began later than was thought: two changes were lost in it.
    fn split_hidden(&mut self, event: &Event, since: Timestamp, began: Began, was: bool) {
        let edge = began.within(since, event.at);
        self.flip(event.at, 2);
        if was {
            self.close(
                Edge::within(edge.point, since, edge.latest()),
                event,
                &[Flag::EndInferred],
            );
            self.open(edge, event, &[Flag::StartInferred], false);
        } else {
            let begin = Edge::within(Edge::between(since, edge.point).point, since, edge.point);
            self.open(begin, event, &[Flag::StartInferred], false);
            self.close(edge, event, &[Flag::EndInferred]);
            self.line.repaint(begin.point, edge.point, SpaceState::Occupied);
        }
    }

    fn unbind(&mut self, event: &Event, limits: &Limits) {
        if let (Some(heard), Some(occupied)) = (self.heard, self.state) {
            let silent = self.is_silent(heard, event.at, limits.silence_ms);
            let state = if silent {
                SpaceState::Unknown
            } else {
                SpaceState::of(occupied)
            };
            self.extend(event.at, state);
            if silent {
                self.doubt(Doubt::blind(heard, event.at, Some(occupied), None));
            }
            if occupied {
                let point = if silent { heard } else { event.at };
                let said = self.said.unwrap_or(heard);
                self.close(Edge::within(point, said, event.at), event, &[Flag::SensorChanged]);
            }
        }
        *self = Self {
            stays: std::mem::take(&mut self.stays),
            line: std::mem::take(&mut self.line),
            flips: std::mem::take(&mut self.flips),
            doubts: std::mem::take(&mut self.doubts),
            unset: self.unset,
            ..Self::default()
        };
    }

    /// Whether a stay that begins at `at` goes on with the one before: a short gap, both ends of which were seen.
    fn merges(&self, at: Timestamp, limits: &Limits) -> bool {
        self.stays
            .last()
            .and_then(|stay| stay.end)
            .is_some_and(|end| end.bounds.is_none() && at.millis_since(end.point) < limits.merge_gap_ms)
    }

    fn reopen(&mut self, event: &Event) {
        self.opened = self.opened.wrapping_add(1);
        if let Some(last) = self.stays.last_mut() {
            last.end = None;
            last.unset = last.unset.or(event.unset);
        }
    }

    fn open(&mut self, start: Edge, event: &Event, flags: &[Flag], continues: bool) {
        self.opened = self.opened.wrapping_add(1);
        let before = self.stays.last().and_then(|stay| stay.end);
        let mut flags = flags.to_vec();
        flags.sort_unstable();
        self.stays.push(Stay {
            start: before.map_or(start, |end| start.not_before(end.point)),
            end: None,
            flags,
            continues,
            cause: String::new(),
            unset: event.unset,
        });
    }

    fn close(&mut self, end: Edge, event: &Event, flags: &[Flag]) {
        let cause = match &event.what {
            What::Reported(Said {
                sequence: Some(sequence),
                ..
            }) => sequence.to_string(),
            _ => event.at.to_string(),
        };
        let Some(stay) = self.stays.last_mut().filter(|stay| stay.end.is_none()) else {
            return;
        };
        for flag in flags {
            stay.flag(*flag);
        }
        stay.end = Some(end.not_before(stay.start.point));
        stay.cause = cause;
        stay.unset = stay.unset.or(event.unset);
    }

    /// Counts changes of state, and forgets what was remembered about the state that they end.
    fn flip(&mut self, at: Timestamp, times: u32) {
        if times > 0 {
            *self.flips.entry(quarter_of(at)).or_default() += times;
        }
        self.changes = None;
        self.gaps.clear();
    }

    fn extend(&mut self, until: Timestamp, state: SpaceState) {
        self.line.extend(self.heard.unwrap_or(until), until, state);
    }
}
