//! One space: its recent events, what follows from them, and what was already written down about it.
//!
//! Sessions are a function of the *set* of events. Events wait in order of time in a bounded history; whenever one is
//! added, wherever it belongs, the whole history is walked again from `base`, and what follows is compared with what
//! was written. So a report that comes late, twice or out of order leads to the same sessions as one that comes in
//! time; at most it makes a revision. Events older than the horizon are folded into `base` and can no longer change.
//!
//! A session's name is given when its stay first appears and is kept while the stay begins at the same moment, or
//! else overlaps what the name stood for. A written session to which no stay belongs any more becomes void.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::derive::{Event, Limits, Segment, SpaceState, Stay, Walk, What};
use crate::{
    CivilDate, ClassBasis, FeeRange, Flag, RecordBody, Rupiah, SensorId, Session, SessionId, SessionRules,
    SessionStatus, Site, Space, TimeBounds, Timestamp,
};

/// Most events kept in the history of one space; older ones are folded even before the horizon.
const EVENTS_MAX: usize = 512;
/// Events that are kept unfolded beyond the horizon, so that folding is rare.
const FOLD_SLACK_MS: i64 = 3_600_000;
/// Business days for which it is remembered that a once-a-day fee was due.
const BILLED_DAYS_MAX: usize = 4;
/// Suspect hours remembered.
const SUSPECT_HOURS_MAX: usize = 48;

/// What a space needs to know of its site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub site: &'a Site,
    pub space: &'a Space,
    pub rules: &'a SessionRules,
}

impl Surroundings<'_> {
    fn limits(&self, sensor: Option<&SensorId>) -> Limits {
        Limits {
            silence_ms: self.silence_ms(sensor),
            merge_gap_ms: i64::from(self.rules.merge_gap_s) * 1_000,
            stay_max_s: i64::from(self.rules.stay_max_s),
        }
    }

    /// Silence after which `sensor` is lost, milliseconds.
    #[allow(clippy::cast_possible_truncation)] // a heartbeat of u32 seconds times a small factor is far below 2^53
    pub fn silence_ms(&self, sensor: Option<&SensorId>) -> i64 {
        let traits = sensor.and_then(|id| self.site.sensors.iter().find(|traits| traits.id == *id));
        traits.map_or(0, |traits| {
            (f64::from(traits.heartbeat_s) * 1_000.0 * self.rules.silence_heartbeats) as i64
        })
    }
}

/// A session's name, and the stay that it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Named {
    session: SessionId,
    start: Timestamp,
    end: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unset: Option<crate::BootId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<Session>,
}

/// Gives out names of sessions.
pub(crate) struct Names<'a> {
    pub prefix: &'a str,
    pub counter: &'a mut u64,
}

impl Names<'_> {
    fn next(&mut self) -> Option<SessionId> {
        *self.counter += 1;
        SessionId::new(format!("{}-{}", self.prefix, self.counter)).ok()
    }
}

/// What taking an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is part of the history; the timeline may have changed from this time on.
    ChangedFrom(Timestamp),
    /// It was there already.
    Duplicate,
    /// It is older than what can still be changed.
    TooLate,
}

/// One space.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SpaceBook {
    base: Walk,
    folded_until: Timestamp,
    history: Vec<Event>,
    names: Vec<Named>,
    lost_since: Option<Timestamp>,
    suspect_noted: BTreeSet<Timestamp>,
    /// Days on which a session before the history paid a once-a-day fee.
    billed_days: BTreeSet<CivilDate>,
    /// What follows from base and history; derived again after a restart.
    #[serde(skip)]
    now: Option<Walk>,
    /// An event was taken and what follows was not written down yet; never outlasts a step.
    #[serde(skip)]
    news: bool,
}

impl SpaceBook {
    pub fn new() -> Self {
        Self {
            base: Walk::default(),
            folded_until: Timestamp::from_millis(i64::MIN),
            history: Vec::new(),
            names: Vec::new(),
            lost_since: None,
            suspect_noted: BTreeSet::new(),
            billed_days: BTreeSet::new(),
            now: None,
            news: false,
        }
    }

    /// Whether something happened that was not written down yet.
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// What follows from all events.
    pub fn walk(&mut self, around: Surroundings<'_>) -> &Walk {
        self.walk_mut(around)
    }

    /// Adds an event where it belongs in time.
    pub fn take(&mut self, event: Event, around: Surroundings<'_>, names: &mut Names<'_>) -> Taken {
        if self.is_known(&event) {
            return Taken::Duplicate;
        }
        if event.at < self.folded_until {
            return Taken::TooLate;
        }
        let before = std::mem::take(self.walk_mut(around));
        let place = self.history.partition_point(|known| *known <= event);
        self.history.insert(place, event);
        let after = walked(&self.base, &self.history, around);
        let changed = first_difference(&before, &after);
        self.now = Some(after);
        self.news = true;
        self.name_stays(names);
        Taken::ChangedFrom(changed)
    }

    /// Moves every event that the unset clock of `boot` dated by `offset_ms`. Whether there were any.
    pub fn correct_clock(
        &mut self,
        boot: crate::BootId,
        offset_ms: i64,
        around: Surroundings<'_>,
        names: &mut Names<'_>,
    ) -> bool {
        let mut moved = false;
        for event in self.history.iter_mut().filter(|event| event.unset == Some(boot)) {
            event.at = event.at.plus_millis(offset_ms).floor_to_second();
            event.received = event.received.plus_millis(offset_ms);
            event.unset = None;
            moved = true;
        }
        if !moved {
            return false;
        }
        for named in self.names.iter_mut().filter(|named| named.unset == Some(boot)) {
            named.start = named.start.plus_millis(offset_ms).floor_to_second();
            named.end = named.end.map(|end| end.plus_millis(offset_ms).floor_to_second());
            named.unset = None;
        }
        self.history.sort();
        self.now = Some(walked(&self.base, &self.history, around));
        self.news = true;
        self.name_stays(names);
        true
    }

    /// Folds events older than `horizon` (and any beyond the bound) into the base. Only to be called in a step that changes state.
    pub fn fold(&mut self, horizon: Timestamp, around: Surroundings<'_>) {
        let stale = self
            .history
            .first()
            .is_some_and(|event| event.at < horizon.plus_millis(-FOLD_SLACK_MS));
        if !stale && self.history.len() <= EVENTS_MAX {
            return;
        }
        let old = self.history.partition_point(|event| event.at < horizon);
        self.fold_first(
            old.max(self.history.len().saturating_sub(EVENTS_MAX * 3 / 4)),
            horizon,
            around,
        );
    }

    /// Folds everything: what follows from now on no longer depends on rules that are about to change.
    pub fn freeze(&mut self, now: Timestamp, around: Surroundings<'_>) {
        self.fold_first(self.history.len(), now, around);
    }

    fn fold_first(&mut self, count: usize, horizon: Timestamp, around: Surroundings<'_>) {
        for event in self.history.drain(..count) {
            self.folded_until = self.folded_until.max(event.at.plus_millis(1));
            let limits = limits_for(&self.base, &event, around);
            self.base.take(&event, &limits);
        }
        let margin = i64::from(around.rules.merge_gap_s + around.rules.settle_s) + 1;
        let limit = horizon.min(self.folded_until).plus_seconds(-margin);
        let names = &self.names;
        let unwritten = |stay: &Stay| !names.iter().any(|named| is_written(named, stay));
        for stay in self.base.forget_before(limit, unwritten) {
            self.remember_billed(&stay, around);
        }
        let first_kept = self.base.stays.first().map(|stay| stay.start.point);
        self.names.retain(|named| {
            first_kept.is_none_or(|first| named.start >= first) || named.end.is_none_or(|end| end >= limit)
        });
        self.suspect_noted.retain(|hour| *hour >= limit.plus_seconds(-7_200));
        while self.suspect_noted.len() > SUSPECT_HOURS_MAX {
            self.suspect_noted.pop_first();
        }
        self.now = Some(walked(&self.base, &self.history, around));
    }

    /// When something about this space is due without any further event.
    pub fn deadline(&mut self, around: Surroundings<'_>) -> Option<Timestamp> {
        let settle = settle_ms(around.rules);
        self.walk_mut(around);
        let walk = self.now.as_ref()?;
        let unwritten = walk
            .stays
            .iter()
            .filter(|stay| !self.names.iter().any(|named| is_written(named, stay)));
        let sessions = unwritten.filter_map(|stay| due_at(stay, settle)).min();
        let silence = around.silence_ms(walk.sensor.as_ref());
        let lost = walk
            .heard
            .filter(|_| self.lost_since.is_none())
            .map(|heard| heard.plus_millis(silence + 1));
        sessions.into_iter().chain(lost).min()
    }

    /// Writes down what is due at `now`: sessions and their revisions, a lost or suspect sensor.
    /// With `everything`, closed stays that have not settled too.
    pub fn write_down(&mut self, now: Timestamp, around: Surroundings<'_>, everything: bool) -> Vec<RecordBody> {
        let walk = self.walk(around).clone();
        self.news = false;
        let mut records = Vec::new();
        self.judge_sensor(&walk, now, around, &mut records);
        let settle = if everything { 0 } else { settle_ms(around.rules) };
        let mut billed = self.billed_days.clone();
        let mut seen = BTreeSet::new();
        for stay in &walk.stays {
            let Some(place) = self.names.iter().position(|named| named.start == stay.start.point) else {
                continue;
            };
            seen.insert(place);
            let Some(session) = session_of(stay, &self.names[place].session, &walk, around, &mut billed) else {
                continue;
            };
            if everything || due_at(stay, settle).is_some_and(|due| due <= now) {
                records.extend(revise(&mut self.names[place], session));
            }
        }
        for (place, named) in self.names.iter_mut().enumerate() {
            if !seen.contains(&place)
                && let Some(written) = named
                    .written
                    .clone()
                    .filter(|written| written.status != SessionStatus::Void)
            {
                let void = Session {
                    status: SessionStatus::Void,
                    fee: FeeRange::default(),
                    ..written
                };
                records.extend(revise(named, void));
            }
        }
        records
    }

    /// The stays as they are known now, for occupancy counts.
    pub fn stays(&mut self, around: Surroundings<'_>) -> &[Stay] {
        &self.walk(around).stays
    }

    /// Begin of the open stay, if there is one.
    pub fn open_since(&mut self, around: Surroundings<'_>) -> Option<Timestamp> {
        self.stays(around)
            .last()
            .filter(|stay| stay.end.is_none())
            .map(|stay| stay.start.point)
    }

    fn walk_mut(&mut self, around: Surroundings<'_>) -> &mut Walk {
        let (base, history) = (&self.base, &self.history);
        self.now.get_or_insert_with(|| walked(base, history, around))
    }

    fn is_known(&self, event: &Event) -> bool {
        /// Two reports with the same frame counter this close are one report.
        const SAME_FRAME_MS: i64 = 60_000;
        self.history.iter().rev().any(|known| match (&known.what, &event.what) {
            (What::Reported { sequence: a, said: x }, What::Reported { sequence: b, said: y }) => {
                (known.message.is_some() && known.message == event.message)
                    || (a.is_some() && a == b && known.at.millis_since(event.at).abs() <= SAME_FRAME_MS)
                    || (a.is_none() && b.is_none() && known.at == event.at && x == y)
            }
            (a, b) => a == b && known.at == event.at,
        })
    }

    /// Gives every stay a name: its own from before if it begins at the same moment, else one that it overlaps, else a new one.
    fn name_stays(&mut self, names: &mut Names<'_>) {
        let Some(walk) = self.now.as_ref() else { return };
        let mut free: Vec<Named> = std::mem::take(&mut self.names);
        let mut given: Vec<Option<Named>> = walk
            .stays
            .iter()
            .map(|stay| {
                free.iter()
                    .position(|named| named.start == stay.start.point)
                    .map(|place| free.remove(place))
            })
            .collect();
        for (stay, slot) in walk.stays.iter().zip(&mut given).filter(|(_, slot)| slot.is_none()) {
            let end = stay.end.map(|end| end.point);
            let overlaps = |named: &Named| {
                end.is_none_or(|end| named.start <= end) && named.end.is_none_or(|end| stay.start.point <= end)
            };
            *slot = free.iter().position(overlaps).map(|place| free.remove(place));
        }
        for (stay, slot) in walk.stays.iter().zip(given) {
            let named = slot.or_else(|| {
                let session = names.next()?;
                Some(Named {
                    session,
                    start: stay.start.point,
                    end: None,
                    unset: None,
                    written: None,
                })
            });
            self.names.extend(named.map(|named| Named {
                start: stay.start.point,
                end: stay.end.map(|end| end.point),
                unset: stay.unset,
                ..named
            }));
        }
        // Names without a stay are kept only where something was written that must become void, or is void and may return.
        self.names
            .extend(free.into_iter().filter(|named| named.written.is_some()));
    }

    fn judge_sensor(&mut self, walk: &Walk, now: Timestamp, around: Surroundings<'_>, records: &mut Vec<RecordBody>) {
        let (Some(sensor), Some(heard)) = (walk.sensor.clone(), walk.heard) else {
            self.lost_since = None;
            return;
        };
        let space = around.space.id.clone();
        let silent = walk.is_silent(heard, now, around.silence_ms(Some(&sensor)));
        match self.lost_since {
            None if silent => {
                self.lost_since = Some(heard);
                records.push(RecordBody::CommsLost {
                    sensor: sensor.clone(),
                    space: space.clone(),
                    since: heard,
                });
            }
            Some(since) if !silent && heard > since => {
                self.lost_since = None;
                let again = self
                    .history
                    .iter()
                    .map(|event| event.at)
                    .find(|at| *at > since)
                    .unwrap_or(heard);
                records.push(RecordBody::CommsRestored {
                    sensor: sensor.clone(),
                    space: space.clone(),
                    heard: again,
                });
            }
            _ => {}
        }
        for (hour, flips) in &walk.flips {
            if *flips > around.rules.flips_per_hour_max && self.suspect_noted.insert(*hour) {
                let (sensor, space) = (sensor.clone(), space.clone());
                records.push(RecordBody::SensorSuspect {
                    sensor,
                    space,
                    hour: *hour,
                    flips: *flips,
                });
            }
        }
    }

    fn remember_billed(&mut self, stay: &Stay, around: Surroundings<'_>) {
        let Some(end) = stay.end else { return };
        let charge = around
            .site
            .charge(&around.space.zone, around.space.class, stay.start.point, end.point);
        if charge.once_a_day && charge.fee > Rupiah(0) {
            self.billed_days.insert(day_of(stay, around.site));
            while self.billed_days.len() > BILLED_DAYS_MAX {
                self.billed_days.pop_first();
            }
        }
    }
}

fn walked(base: &Walk, history: &[Event], around: Surroundings<'_>) -> Walk {
    let mut walk = base.clone();
    for event in history {
        let limits = limits_for(&walk, event, around);
        walk.take(event, &limits);
    }
    walk
}

fn limits_for(walk: &Walk, event: &Event, around: Surroundings<'_>) -> Limits {
    match &event.what {
        What::Bound(sensor) => around.limits(Some(sensor)),
        _ => around.limits(walk.sensor.as_ref()),
    }
}

/// From when on two walks tell of different timelines or stays.
fn first_difference(before: &Walk, after: &Walk) -> Timestamp {
    fn segment_start(segments: &[Segment], place: usize) -> Option<Timestamp> {
        segments.get(place).map(|segment| segment.from)
    }
    let same = before
        .segments
        .iter()
        .zip(&after.segments)
        .take_while(|(a, b)| a == b)
        .count();
    let segments = [
        segment_start(&before.segments, same),
        segment_start(&after.segments, same),
        before.heard.filter(|_| before.heard != after.heard),
        after.heard.filter(|_| before.heard != after.heard),
    ];
    let stays = before
        .stays
        .iter()
        .zip(&after.stays)
        .take_while(|(a, b)| a.start == b.start && a.end == b.end)
        .count();
    let stay_start = |walk: &Walk| walk.stays.get(stays).map(|stay| stay.start.earliest());
    let candidates = segments
        .into_iter()
        .flatten()
        .chain(stay_start(before))
        .chain(stay_start(after));
    candidates.min().unwrap_or_else(|| Timestamp::from_millis(i64::MAX))
}

fn settle_ms(rules: &SessionRules) -> i64 {
    i64::from(rules.merge_gap_s + rules.settle_s) * 1_000
}

fn due_at(stay: &Stay, settle_ms: i64) -> Option<Timestamp> {
    stay.end
        .map(|end| end.point.max(stay.end_received).plus_millis(settle_ms))
}

/// Whether the last word written under this name is that the stay ended when it did.
fn is_written(named: &Named, stay: &Stay) -> bool {
    named.start == stay.start.point
        && named
            .written
            .as_ref()
            .is_some_and(|written| Some(written.end) == stay.end.map(|end| end.point))
}

fn day_of(stay: &Stay, site: &Site) -> CivilDate {
    site.timezone.business_day(stay.start.point, site.day_cutoff_minutes)
}

/// The next revision of `named`, if `session` says anything new.
fn revise(named: &mut Named, session: Session) -> Option<RecordBody> {
    let revision = named.written.as_ref().map_or(0, |written| written.revision);
    let unchanged = named.written.as_ref().is_some_and(|written| {
        Session {
            revision,
            ..session.clone()
        } == *written
    });
    if unchanged {
        return None;
    }
    let session = Session {
        revision: revision + 1,
        ..session
    };
    named.written = Some(session.clone());
    Some(RecordBody::Session(session))
}

/// What a closed stay comes to.
fn session_of(
    stay: &Stay,
    name: &SessionId,
    walk: &Walk,
    around: Surroundings<'_>,
    billed: &mut BTreeSet<CivilDate>,
) -> Option<Session> {
    const HOUR_MS: i64 = 3_600_000;
    let end = stay.end?;
    let (start, space) = (stay.start, around.space);
    let charge = |from: Timestamp, until: Timestamp| around.site.charge(&space.zone, space.class, from, until);
    let stay_max = |from: Timestamp| from.plus_seconds(i64::from(around.rules.stay_max_s));
    let point = charge(start.point, end.point);
    // The rate is that of the point estimate's begin; only the length is in doubt.
    let for_length = |seconds: i64| {
        charge(
            start.point,
            start.point.plus_seconds(seconds.max(0)).min(stay_max(start.point)),
        )
        .fee
    };
    let shortest = end.earliest().seconds_since(start.latest());
    let longest = end.latest().seconds_since(start.earliest());
    let length = end.point.seconds_since(start.point);
    let mut fee = FeeRange {
        low: for_length(shortest),
        point: for_length(length),
        high: for_length(longest),
    };
    let mut flags = stay.flags.clone();
    let hour = Timestamp::from_millis(start.point.as_millis().div_euclid(HOUR_MS) * HOUR_MS);
    if walk
        .flips
        .get(&hour)
        .is_some_and(|flips| *flips > around.rules.flips_per_hour_max)
    {
        flags.push(Flag::Suspect);
    }
    flags.extend(stay.unset.map(|_| Flag::ClockUnsure));
    flags.extend(point.tariff.is_none().then_some(Flag::TariffMissing));
    flags.sort_unstable();
    let status = if length < 0 || length > i64::from(around.rules.stay_max_s) {
        SessionStatus::Quarantined
    } else if length < i64::from(point.grace_s) {
        SessionStatus::DropOff
    } else {
        SessionStatus::Parked
    };
    let day = day_of(stay, around.site);
    let paid_today = point.once_a_day && point.fee > Rupiah(0) && !billed.insert(day);
    if status == SessionStatus::Quarantined || flags.contains(&Flag::Suspect) || paid_today {
        fee = FeeRange {
            low: Rupiah(0),
            point: Rupiah(0),
            high: fee.high,
        };
    }
    if stay.continues {
        fee.low = Rupiah(0);
    }
    Some(Session {
        session: name.clone(),
        revision: 0,
        zone: space.zone.clone(),
        space: space.id.clone(),
        class: space.class,
        basis: ClassBasis::Bay,
        status,
        start: start.point,
        end: end.point,
        start_bounds: bounds_of(start.bounds),
        end_bounds: bounds_of(end.bounds),
        flags,
        day,
        tariff: point.tariff,
        fee,
        cause: stay.cause.clone(),
    })
}

fn bounds_of(bounds: Option<TimeBounds>) -> Option<TimeBounds> {
    bounds.filter(|bounds| bounds.earliest < bounds.latest)
}

/// Space-milliseconds by state over `from..until`, closed time counted as closed whatever the sensor says.
pub(crate) fn measure(
    walk: &Walk,
    space: &Space,
    from: Timestamp,
    until: Timestamp,
    now: Timestamp,
    silence_ms: i64,
) -> BTreeMap<SpaceState, i64> {
    let mut totals: BTreeMap<SpaceState, i64> = BTreeMap::new();
    for segment in walk.timeline(from, until, now, silence_ms) {
        let closed = closed_ms(space, segment.from, segment.until);
        *totals.entry(SpaceState::Closed).or_default() += closed;
        *totals.entry(segment.state).or_default() += segment.until.millis_since(segment.from) - closed;
    }
    totals
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
