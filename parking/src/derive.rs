//! From the reports of one space to its timeline and its stays: a pure walk over events in order of time.
//!
//! A [`Walk`] is what is known after some events. It starts with nothing known, takes events that never go back in
//! time, and keeps three things: the *timeline* up to the last report (segments free, occupied, unknown), the *stays*
//! (the last may be open), and how often the sensor *flipped* in each hour. What holds after the last report depends on
//! the present time and is asked by [`Walk::state_at`].
//!
//! The rules, in the order in which a report is judged:
//!
//! - A silence longer than the limit makes everything since the last report unknown. Evidence may fill it later.
//! - A *status* report is sent at the moment of a change, so it dates that change; a heartbeat that differs from what was
//!   known only says that a change was lost since the last report.
//! - The *previous state* that some sensors send with a status dates the change before: it refines a begin that was not
//!   seen, bridges a silence that it covers, and betrays pairs of changes that were lost.
//! - A free time shorter than the merge gap, both ends seen, joins two stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BootId, Flag, PreviousState, Report, ReportKind, SensorId, TimeBounds, Timestamp};

/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;
/// Hours of flips that are remembered.
const FLIP_HOURS_MAX: usize = 30;
/// Tolerance, seconds, between a sensor's count of minutes and the times of its reports.
const MINUTES_TOLERANCE_S: i64 = 60;

/// What a space is, as far as its sensor tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpaceState {
    /// No vehicle.
    Free,
    /// A vehicle.
    Occupied,
    /// Not known.
    Unknown,
    /// Closed to parking.
    Closed,
}

impl SpaceState {
    fn of(occupied: bool) -> Self {
        if occupied { Self::Occupied } else { Self::Free }
    }
}

/// Something that bears on a space, at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When it happened. First in the order of events.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
    /// When the box took it in.
    pub received: Timestamp,
    /// The boot whose unset clock dated it, until that is corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unset: Option<BootId>,
    /// Fingerprint of the transport's message id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<u64>,
}

/// What happened. The order of variants and fields is the order of events at the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum What {
    /// The space's sensor was taken away.
    Unbound,
    /// A sensor was given to the space.
    Bound(SensorId),
    /// The box started, and what this sensor said before may have been missed.
    Restarted,
    /// The sensor reported.
    Reported {
        /// The sensor's frame counter.
        sequence: Option<u32>,
        /// What it said.
        said: Said,
    },
}

/// The part of a report that the walk uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Said {
    /// The report was sent because the state changed.
    pub change: bool,
    /// Occupied or free.
    pub occupied: Option<bool>,
    /// Bounds of the previous state's length, minutes; the upper one is `None` when the counter ran over.
    pub previous: Option<(u32, Option<u32>)>,
    /// The sensor's total of changes.
    pub changes: Option<u32>,
}

impl From<&Report> for Said {
    fn from(report: &Report) -> Self {
        let change = report.kind == ReportKind::Status;
        let bounds = |p: PreviousState| (p.minutes_min, p.minutes_max);
        Self {
            change,
            occupied: report.occupied,
            previous: report.previous_state.filter(|_| change).map(bounds),
            changes: report.usage.and_then(|usage| usage.state_changes),
        }
    }
}

/// A point in time and, when it was not seen, its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edge {
    pub point: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<TimeBounds>,
}

impl Edge {
    fn seen(point: Timestamp) -> Self {
        Self { point, bounds: None }
    }

    fn within(point: Timestamp, earliest: Timestamp, latest: Timestamp) -> Self {
        let earliest = earliest.min(latest);
        Self {
            point: point.clamp(earliest, latest),
            bounds: (earliest < latest).then_some(TimeBounds { earliest, latest }),
        }
    }

    /// The middle of its bounds as best estimate.
    fn between(earliest: Timestamp, latest: Timestamp) -> Self {
        Self::within(
            earliest.plus_seconds(latest.seconds_since(earliest) / 2),
            earliest,
            latest,
        )
    }

    pub fn earliest(&self) -> Timestamp {
        self.bounds.map_or(self.point, |bounds| bounds.earliest)
    }

    pub fn latest(&self) -> Timestamp {
        self.bounds.map_or(self.point, |bounds| bounds.latest)
    }
}

/// One vehicle on the space, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stay {
    pub start: Edge,
    pub end: Option<Edge>,
    pub flags: Vec<Flag>,
    /// Begins right behind a silence before which the space was occupied: it may be the same vehicle.
    pub continues: bool,
    /// Told apart from the stay before by the sensor: never merged with it.
    pub apart: bool,
    /// When the report that ended it was taken in.
    pub end_received: Timestamp,
    /// The report that ended it.
    pub cause: String,
    /// A boot whose unset clock dates it.
    pub unset: Option<BootId>,
}

impl Stay {
    fn flag(&mut self, flag: Flag) {
        if let Err(place) = self.flags.binary_search(&flag) {
            self.flags.insert(place, flag);
        }
    }

    fn unflag(&mut self, flag: Flag) {
        self.flags.retain(|f| *f != flag);
    }
}

/// A span of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub from: Timestamp,
    pub until: Timestamp,
    pub state: SpaceState,
}

/// The numbers that a walk goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Silence after which nothing is known, milliseconds.
    pub silence_ms: i64,
    /// Free time below which two stays are one, milliseconds.
    pub merge_gap_ms: i64,
    /// Longest stay that is believed, seconds: bounds reach back no further.
    pub stay_max_s: i64,
}

/// What is known after some events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walk {
    /// The sensor that watches the space.
    pub sensor: Option<SensorId>,
    /// When it was last heard saying a state; the begin of its binding before the first time.
    pub heard: Option<Timestamp>,
    /// What it said.
    pub state: Option<bool>,
    /// Since when.
    since: Option<Edge>,
    /// Reports may have been missed since `heard`.
    missed: bool,
    /// The sensor's total of changes, seen while it has been in this state.
    changes: Option<u32>,
    pub stays: Vec<Stay>,
    pub segments: Vec<Segment>,
    pub flips: BTreeMap<Timestamp, u32>,
}

/// Minutes of a previous state as bounds of the moment when it began, seen from its end at `at`.
fn began(at: Timestamp, (min, max): (u32, Option<u32>)) -> (Option<Timestamp>, Timestamp) {
    let back = |minutes: i64| at.plus_seconds(-60 * minutes);
    (max.map(|max| back(i64::from(max) + 1)), back(i64::from(min)))
}

impl Walk {
    /// Takes the next event.
    pub fn take(&mut self, event: &Event, limits: &Limits) {
        match &event.what {
            What::Bound(sensor) => {
                self.extend(event.at, SpaceState::Unknown);
                self.sensor = Some(sensor.clone());
                self.heard = Some(event.at);
                self.state = None;
                self.since = None;
                self.missed = false;
                self.changes = None;
            }
            What::Unbound => self.unbind(event, limits),
            What::Restarted => self.missed = self.heard.is_some(),
            What::Reported { said, .. } => self.report(event, *said, limits),
        }
    }

    /// What the space is at `time`, judged at `now`. Times after `now` are not asked.
    pub fn state_at(&self, time: Timestamp, now: Timestamp, silence_ms: i64) -> SpaceState {
        if let Some(heard) = self.heard.filter(|heard| time >= *heard) {
            return match self.state {
                Some(occupied) if !self.is_silent(heard, now, silence_ms) => SpaceState::of(occupied),
                _ => SpaceState::Unknown,
            };
        }
        let place = self.segments.partition_point(|segment| segment.until <= time);
        self.segments
            .get(place)
            .filter(|segment| segment.from <= time)
            .map_or(SpaceState::Unknown, |segment| segment.state)
    }

    /// The timeline over `from..until` judged at `now`, gaps filled with unknown.
    pub fn timeline(&self, from: Timestamp, until: Timestamp, now: Timestamp, silence_ms: i64) -> Vec<Segment> {
        let mut pieces = Vec::new();
        let mut at = from;
        let first = self.segments.partition_point(|segment| segment.until <= from);
        for segment in self
            .segments
            .iter()
            .skip(first)
            .take_while(|segment| segment.from < until)
        {
            if segment.from > at {
                pieces.push(Segment {
                    from: at,
                    until: segment.from,
                    state: SpaceState::Unknown,
                });
            }
            let end = segment.until.min(until);
            pieces.push(Segment {
                from: segment.from.max(at),
                until: end,
                state: segment.state,
            });
            at = end;
        }
        if at < until {
            let heard = self.heard.map_or(until, |heard| heard.clamp(at, until));
            if heard > at {
                pieces.push(Segment {
                    from: at,
                    until: heard,
                    state: SpaceState::Unknown,
                });
            }
            if heard < until {
                pieces.push(Segment {
                    from: heard,
                    until,
                    state: self.state_at(heard, now, silence_ms),
                });
            }
        }
        pieces
    }

    /// Whether what was said at `heard` no longer holds at `now`.
    pub fn is_silent(&self, heard: Timestamp, now: Timestamp, silence_ms: i64) -> bool {
        self.missed || now.millis_since(heard) > silence_ms
    }

    /// Forgets the timeline before `limit`, old flips, and closed stays that end before it. Stays from the first one on
    /// that is still wanted, and the last one, which may be merged or bridged, are kept. Returns the stays forgotten.
    pub fn forget_before(&mut self, limit: Timestamp, wanted: impl Fn(&Stay) -> bool) -> Vec<Stay> {
        self.segments.retain(|segment| segment.until > limit);
        while self.flips.len() > FLIP_HOURS_MAX {
            self.flips.pop_first();
        }
        let keep_from = self
            .stays
            .iter()
            .position(|stay| stay.end.is_none_or(|end| end.latest() >= limit) || wanted(stay))
            .unwrap_or(self.stays.len())
            .min(self.stays.len().saturating_sub(1));
        self.stays.drain(..keep_from).collect()
    }

    fn report(&mut self, event: &Event, said: Said, limits: &Limits) {
        if let Some(changes) = said.changes {
            self.count_changes(changes);
        }
        let (Some(occupied), Some(heard)) = (said.occupied, self.heard) else {
            return;
        };
        let silent = self.is_silent(heard, event.at, limits.silence_ms);
        match self.state {
            Some(was) if !silent && was == occupied => self.repeated(event, said, heard),
            Some(was) if !silent => self.changed(event, said, heard, was, limits),
            was => self.heard_again(event, said, heard, was, limits),
        }
        self.state = Some(occupied);
        self.heard = Some(event.at);
        self.missed = false;
    }

    /// The state known before is said again. A status report that does so tells of two lost changes.
    fn repeated(&mut self, event: &Event, said: Said, heard: Timestamp) {
        let occupied = said.occupied == Some(true);
        let Some(previous) = said.previous else {
            self.extend(event.at, SpaceState::of(occupied));
            return;
        };
        let (earliest, latest) = began(event.at, previous);
        let lost = Edge::between(
            earliest.unwrap_or(heard).clamp(heard, event.at),
            latest.clamp(heard, event.at),
        );
        self.extend(lost.point, SpaceState::of(occupied));
        self.extend(event.at, SpaceState::of(!occupied));
        self.flip(event.at, 2);
        self.changes = None;
        if occupied {
            self.close(lost, event, &[Flag::EndInferred]);
            self.open(Edge::seen(event.at), event, &[], false, true, 0);
        } else {
            self.open(lost, event, &[Flag::StartInferred], false, true, 0);
            self.close(Edge::seen(event.at), event, &[]);
        }
        self.since = Some(Edge::seen(event.at));
    }

    /// The state is another than the one known, and nothing was silent.
    fn changed(&mut self, event: &Event, said: Said, heard: Timestamp, was: bool, limits: &Limits) {
        self.extend(event.at, SpaceState::of(was));
        self.flip(event.at, 1);
        self.changes = None;
        let (edge, inferred) = if said.change {
            (Edge::seen(event.at), false)
        } else {
            (Edge::within(event.at, heard, event.at), true)
        };
        if let Some(previous) = said.previous {
            self.date_begin(event, previous, was, limits);
        }
        if was {
            self.close(edge, event, if inferred { &[Flag::EndInferred] } else { &[] });
        } else {
            self.open(
                edge,
                event,
                if inferred { &[Flag::StartInferred] } else { &[] },
                false,
                false,
                limits.merge_gap_ms,
            );
        }
        self.since = Some(edge);
    }

    /// A status report dates the begin of the state that it ends.
    fn date_begin(&mut self, event: &Event, previous: (u32, Option<u32>), was: bool, limits: &Limits) {
        let (earliest, latest) = began(event.at, previous);
        if was && self.bridge(latest) {
            return;
        }
        let Some(since) = self.since else { return };
        let earliest = earliest.unwrap_or_else(|| latest.plus_seconds(-limits.stay_max_s));
        if since.bounds.is_some() {
            let dated = Edge::between(earliest.max(since.earliest()).min(latest), latest.min(event.at));
            if was
                && let Some(stay) = self
                    .stays
                    .last_mut()
                    .filter(|stay| stay.end.is_none() && previous.1.is_some())
            {
                stay.start = dated;
                stay.continues = false;
                stay.unflag(Flag::AfterGap);
                stay.flag(Flag::StartInferred);
            }
        } else if previous.1.is_some() && since.point < earliest.plus_seconds(-MINUTES_TOLERANCE_S) {
            self.split_hidden(event, since.point, earliest, latest, was);
        }
    }

    /// The state that ends now began later than was thought: two changes were lost in it.
    fn split_hidden(&mut self, event: &Event, since: Timestamp, earliest: Timestamp, latest: Timestamp, was: bool) {
        self.flip(event.at, 2);
        if was {
            let begin = Edge::between(earliest, latest);
            self.close(Edge::within(begin.point, since, latest), event, &[Flag::EndInferred]);
            self.open(begin, event, &[Flag::StartInferred], false, true, 0);
        } else {
            let end = Edge::between(earliest, latest);
            let begin = Edge::within(Edge::between(since, end.point).point, since, end.point);
            self.open(begin, event, &[Flag::StartInferred], false, true, 0);
            self.close(end, event, &[Flag::EndInferred]);
            self.repaint(begin.point, end.point, SpaceState::Occupied);
        }
    }

    /// The first state said after a silence, or ever.
    fn heard_again(&mut self, event: &Event, said: Said, heard: Timestamp, was: Option<bool>, limits: &Limits) {
        let occupied = said.occupied == Some(true);
        self.extend(event.at, SpaceState::Unknown);
        let previous = said.previous.map(|previous| began(event.at, previous));
        if said.change
            && let Some((earliest, latest)) = previous
        {
            self.dated_return(event, heard, was, occupied, (earliest, latest), limits);
        } else if said.change {
            self.undated_return(event, heard, was, occupied);
        } else {
            self.quiet_return(event, heard, was, occupied, limits);
        }
        if was == Some(!occupied) {
            self.flip(event.at, 1);
            self.changes = None;
        }
    }

    /// After a silence: a change, and how long the state before it had lasted.
    fn dated_return(
        &mut self,
        event: &Event,
        heard: Timestamp,
        was: Option<bool>,
        occupied: bool,
        (earliest, latest): (Option<Timestamp>, Timestamp),
        limits: &Limits,
    ) {
        let floor = heard.max(event.at.plus_seconds(-limits.stay_max_s));
        let begin = Edge::between(
            earliest.unwrap_or(floor).max(floor).min(latest.max(floor)),
            latest.max(floor),
        );
        let covered = was == Some(!occupied) && latest <= heard;
        self.repaint(
            if covered { heard } else { begin.point },
            event.at,
            SpaceState::of(!occupied),
        );
        if occupied {
            // It was free until now, at least since `begin`.
            if was == Some(true) {
                self.close(
                    Edge::within(begin.point, heard, latest.max(heard)),
                    event,
                    &[Flag::EndInferred],
                );
            }
            self.open(Edge::seen(event.at), event, &[], false, was == Some(true), 0);
        } else if covered {
            self.bridge(latest);
            self.close(Edge::seen(event.at), event, &[Flag::Bridged]);
        } else {
            // It was occupied until now, but not by the vehicle from before the silence.
            if was == Some(true) {
                self.close(Edge::within(heard, heard, begin.latest()), event, &[Flag::BeforeGap]);
            }
            self.open(begin, event, &[Flag::StartInferred], false, true, 0);
            self.close(Edge::seen(event.at), event, &[]);
        }
        self.since = Some(Edge::seen(event.at));
    }

    /// After a silence: a change, without word on the state before it.
    fn undated_return(&mut self, event: &Event, heard: Timestamp, was: Option<bool>, occupied: bool) {
        match (was, occupied) {
            (Some(true), true) => {
                self.close(Edge::within(heard, heard, event.at), event, &[Flag::BeforeGap]);
                self.open(Edge::seen(event.at), event, &[], false, true, 0);
            }
            (_, true) => self.open(Edge::seen(event.at), event, &[], false, false, 0),
            (Some(true), false) => self.close(Edge::within(event.at, heard, event.at), event, &[Flag::BeforeGap]),
            (Some(false), false) => {
                self.open(
                    Edge::between(heard, event.at),
                    event,
                    &[Flag::StartInferred],
                    false,
                    true,
                    0,
                );
                self.close(Edge::seen(event.at), event, &[]);
            }
            (None, false) => {}
        }
        self.since = Some(Edge::seen(event.at));
    }

    /// After a silence: a heartbeat.
    fn quiet_return(&mut self, event: &Event, heard: Timestamp, was: Option<bool>, occupied: bool, limits: &Limits) {
        let earliest = heard.max(event.at.plus_seconds(-limits.stay_max_s));
        let begin = Edge::within(event.at, earliest, event.at);
        if was == Some(true) {
            self.close(Edge::within(heard, heard, event.at), event, &[Flag::BeforeGap]);
        }
        if occupied {
            let flag = if was == Some(true) {
                Flag::AfterGap
            } else {
                Flag::StartInferred
            };
            self.open(begin, event, &[flag], was == Some(true), true, 0);
        }
        self.since = Some(begin);
    }

    /// Joins the open stay with the one before the silence when it has lasted since `since` at the latest, again and
    /// again. Whether it did.
    fn bridge(&mut self, since: Timestamp) -> bool {
        let mut bridged = false;
        while let [.., before, open] = self.stays.as_slice()
            && open.continues
            && open.end.is_none()
            && before.end.is_some_and(|end| since <= end.earliest())
        {
            let (from, until) = (before.end.map_or(since, |end| end.earliest()), open.start.latest());
            self.join_last_two();
            self.repaint(from, until, SpaceState::Occupied);
            bridged = true;
        }
        bridged
    }

    fn join_last_two(&mut self) {
        let Some(open) = self.stays.pop() else { return };
        if let Some(stay) = self.stays.last_mut() {
            stay.end = None;
            stay.unset = stay.unset.or(open.unset);
            stay.unflag(Flag::BeforeGap);
            stay.flag(Flag::Bridged);
            self.since = Some(stay.start);
        }
    }

    /// The sensor's total of changes came: if it is what it was before a silence, nothing changed in it.
    fn count_changes(&mut self, changes: u32) {
        let same = self.changes == Some(changes);
        if same
            && self.state == Some(true)
            && self
                .stays
                .last()
                .is_some_and(|stay| stay.continues && stay.end.is_none())
        {
            let (from, until) = match self.stays.as_slice() {
                [.., before, open] => (
                    before.end.map_or(open.start.point, |end| end.earliest()),
                    open.start.latest(),
                ),
                _ => return,
            };
            self.join_last_two();
            self.repaint(from, until, SpaceState::Occupied);
        }
        self.changes = Some(changes);
    }

    fn unbind(&mut self, event: &Event, limits: &Limits) {
        if let (Some(heard), Some(occupied)) = (self.heard, self.state) {
            let silent = self.is_silent(heard, event.at, limits.silence_ms);
            self.extend(
                event.at,
                if silent {
                    SpaceState::Unknown
                } else {
                    SpaceState::of(occupied)
                },
            );
            if occupied {
                let point = if silent { heard } else { event.at };
                self.close(Edge::within(point, heard, event.at), event, &[Flag::SensorChanged]);
            }
        }
        *self = Self {
            stays: std::mem::take(&mut self.stays),
            segments: std::mem::take(&mut self.segments),
            flips: std::mem::take(&mut self.flips),
            ..Self::default()
        };
    }

    fn open(&mut self, start: Edge, event: &Event, flags: &[Flag], continues: bool, apart: bool, merge_gap_ms: i64) {
        if let Some(last) = self.stays.last_mut()
            && let Some(end) = last.end
            && !apart
            && start.bounds.is_none()
            && end.bounds.is_none()
            && start.point.millis_since(end.point) < merge_gap_ms
        {
            last.end = None;
            last.unset = last.unset.or(event.unset);
            return;
        }
        let mut flags = flags.to_vec();
        flags.sort_unstable();
        self.stays.push(Stay {
            start,
            end: None,
            flags,
            continues,
            apart,
            end_received: event.received,
            cause: String::new(),
            unset: event.unset,
        });
    }

    fn close(&mut self, end: Edge, event: &Event, flags: &[Flag]) {
        let cause = match (&self.sensor, &event.what) {
            (
                Some(sensor),
                What::Reported {
                    sequence: Some(sequence),
                    ..
                },
            ) => format!("{sensor}/{sequence}"),
            (Some(sensor), _) => format!("{sensor}/{}", event.at),
            (None, _) => event.at.to_string(),
        };
        let Some(stay) = self.stays.last_mut().filter(|stay| stay.end.is_none()) else {
            return;
        };
        for flag in flags {
            stay.flag(*flag);
        }
        let begin = stay.start.point;
        stay.end = Some(Edge {
            point: end.point.max(begin),
            ..end
        });
        stay.end_received = event.received;
        stay.cause = cause;
        stay.unset = stay.unset.or(event.unset);
    }

    fn flip(&mut self, at: Timestamp, times: u32) {
        let hour = Timestamp::from_millis(at.as_millis().div_euclid(HOUR_MS) * HOUR_MS);
        *self.flips.entry(hour).or_default() += times;
    }

    /// Extends the timeline from its end (or from the last report) to `until`.
    fn extend(&mut self, until: Timestamp, state: SpaceState) {
        let from = self
            .segments
            .last()
            .map(|segment| segment.until)
            .or(self.heard)
            .unwrap_or(until);
        if until <= from {
            return;
        }
        match self.segments.last_mut().filter(|segment| segment.state == state) {
            Some(last) => last.until = until,
            None => self.segments.push(Segment { from, until, state }),
        }
    }

    /// Sets what the timeline says over `from..until`.
    fn repaint(&mut self, from: Timestamp, until: Timestamp, state: SpaceState) {
        if until <= from {
            return;
        }
        let mut painted: Vec<Segment> = Vec::with_capacity(self.segments.len() + 2);
        for segment in self.segments.drain(..) {
            let before = Segment {
                until: segment.until.min(from),
                ..segment
            };
            let inside = Segment {
                from: segment.from.max(from),
                until: segment.until.min(until),
                state,
            };
            let after = Segment {
                from: segment.from.max(until),
                ..segment
            };
            for piece in [before, inside, after]
                .into_iter()
                .filter(|piece| piece.from < piece.until)
            {
                match painted
                    .last_mut()
                    .filter(|last| last.state == piece.state && last.until == piece.from)
                {
                    Some(last) => last.until = piece.until,
                    None => painted.push(piece),
                }
            }
        }
        self.segments = painted;
    }
}
