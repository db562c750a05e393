//! One space: its recent events, what follows from them, and what was already written down about it.
//!
//! Sessions are a function of the *set* of events. Events wait in order of time in a bounded history; whenever one is
//! added, wherever it belongs, the history is walked from `base`, and what follows is compared with what was written.
//! So a report that comes late, twice or out of order leads to the same sessions as one that comes in time; at most it
//! makes a revision. Events older than the horizon are folded into `base` and can no longer change; a stay is only
//! forgotten once it is written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::derive::{Limits, Walk, flips_around};
use crate::event::{Event, What};
use crate::history::{History, Placed};
use crate::picture::Pictures;
use crate::session::{Context, Names, Register};
use crate::{BootId, CivilDate, Picture, RecordBody, SensorId, SensorTraits, SessionRules, Site, Space, Timestamp};

/// Most events kept in the history of one space; older ones are folded even before the horizon.
const EVENTS_MAX: usize = 512;
/// Events kept when there were too many.
const EVENTS_KEPT: usize = EVENTS_MAX * 3 / 4;
/// How long events are kept unfolded beyond the horizon, so that folding is rare, and what was folded is kept beyond it,
/// milliseconds.
const FOLD_SLACK_MS: i64 = 3_600_000;
/// Business days for which it is remembered that a once-a-day fee was due.
const PAID_DAYS_MAX: usize = 4;
/// Suspect hours remembered.
const SUSPECT_HOURS_MAX: usize = 48;
/// What is dated more than this after the present, milliseconds, was dated by a wrong clock.
const FUTURE_MS: i64 = 60_000;

/// What a space needs to know of its site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub site: &'a Site,
    pub space: &'a Space,
    pub rules: &'a SessionRules,
}

impl<'s> Surroundings<'s> {
    fn limits(&self, sensor: Option<&SensorId>) -> Limits {
        let traits = self.traits(sensor);
        Limits {
            silence_ms: self.silence_ms(sensor),
            merge_gap_ms: i64::from(self.rules.merge_gap_s) * 1_000,
            stay_max_s: i64::from(self.rules.stay_max_s),
            heartbeat_ms: traits.map_or(0, |traits| i64::from(traits.heartbeat_s) * 1_000),
            on_change: traits.is_some_and(|traits| traits.on_change),
        }
    }

    /// What is known of a sensor.
    pub fn traits(&self, sensor: Option<&SensorId>) -> Option<&'s SensorTraits> {
        sensor.and_then(|id| self.site.sensors.iter().find(|traits| traits.id == *id))
    }

    /// Silence after which `sensor` is lost, milliseconds.
    fn silence_ms(&self, sensor: Option<&SensorId>) -> i64 {
        self.traits(sensor).map_or(0, |traits| traits.silence_ms(self.rules))
    }

    /// Walks on from `walk` over `events`.
    fn walked<'e>(&self, mut walk: Walk, events: impl IntoIterator<Item = &'e Event>) -> Walk {
        let mut limits = self.limits(walk.sensor.as_ref());
        for event in events {
            walk.take(event, &limits);
            if let What::Bound(sensor) = &event.what {
                limits = self.limits(Some(sensor));
            }
        }
        walk
    }
}

/// What taking an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is part of the history. The timeline or a stay changed from this time on, if at all.
    Added(Option<Timestamp>),
    /// It was there already.
    Duplicate,
    /// It is older than what can still be changed.
    TooLate,
}

/// What follows from all events.
#[derive(Debug, Clone)]
pub(crate) struct Present {
    pub walk: Walk,
    /// Silence after which the space's sensor is lost, milliseconds.
    pub silence_ms: i64,
}

/// One space.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SpaceBook {
    base: Walk,
    #[serde(flatten)]
    history: History,
    register: Register,
    #[serde(default, skip_serializing_if = "Pictures::is_empty")]
    pictures: Pictures,
    /// When the next closed stay has settled.
    due: Option<Timestamp>,
    /// When the sensor was last heard, if it was written down that it is lost.
    lost_since: Option<Timestamp>,
    suspect_noted: BTreeSet<Timestamp>,
    /// Days on which a session that is forgotten paid a once-a-day fee.
    paid_days: BTreeSet<CivilDate>,
    /// Derived again after a restart.
    #[serde(skip)]
    present: Option<Present>,
    /// An event was taken and what follows was not written down yet; never outlasts a step.
    #[serde(skip)]
    news: bool,
}

impl SpaceBook {
    pub fn new() -> Self {
        Self {
            base: Walk::default(),
            history: History::default(),
            register: Register::default(),
            pictures: Pictures::default(),
            due: None,
            lost_since: None,
            suspect_noted: BTreeSet::new(),
            paid_days: BTreeSet::new(),
            present: None,
            news: false,
        }
    }

    /// What follows from all events. `around` is asked for only when it is not known yet.
    pub fn present<'a>(&mut self, around: impl FnOnce() -> Surroundings<'a>) -> &Present {
        let (base, history) = (&self.base, &self.history);
        self.present
            .get_or_insert_with(|| present(around(), |around| around.walked(base.clone(), history.recent())))
    }

    /// The time of the last event; the beginning of time before the first.
    pub fn last_at(&self) -> Timestamp {
        self.history.last_at()
    }

    /// Moves an event that must not be lost behind what can no longer change.
    pub fn placed(&self, event: Event) -> Event {
        self.history.placed(event)
    }

    /// Adds an event where it belongs in time.
    pub fn take(&mut self, event: Event, around: Surroundings<'_>, names: &mut Names<'_>) -> Taken {
        let place = match self.history.place(&event) {
            Placed::At(place) => place,
            Placed::Duplicate => return Taken::Duplicate,
            Placed::TooLate => return Taken::TooLate,
        };
        let before = self.present(|| around).walk.clone();
        let received = event.received;
        self.history.insert(place, event);
        let events = self.history.recent();
        let is_last = place + 1 == events.len();
        let after = if is_last {
            around.walked(before.clone(), events.last())
        } else {
            around.walked(self.base.clone(), events)
        };
        let changed = first_difference(&before, &after, self.lost_since.is_some());
        self.register.assign(&after.stays, received, names);
        self.present = Some(present(around, |_| after));
        self.news = true;
        Taken::Added(changed)
    }

    /// Adds a picture. Whether it is new.
    pub fn take_picture(&mut self, picture: Picture) -> bool {
        let taken = self.pictures.take(picture, self.last_at());
        self.news |= taken;
        taken
    }

    /// Moves what the unset clock of `boot` dated by `offset_ms`, and with it all that lies in the future of `now`: a clock
    /// that was set wrongly dated that. Whether there was anything.
    pub fn correct_clock(
        &mut self,
        boot: BootId,
        offset_ms: i64,
        now: Timestamp,
        around: Surroundings<'_>,
        names: &mut Names<'_>,
    ) -> bool {
        let limit = now.plus_millis(FUTURE_MS);
        let mut moved = false;
        self.news |= self.pictures.correct_clock(boot, offset_ms, limit);
        let in_future = self.base.heard.filter(|heard| *heard > limit).map(|_| limit);
        if let Some(from) = self.base.unset_since(boot).or(in_future) {
            self.base.shift(from, offset_ms);
            moved = true;
        }
        moved |= self.history.correct_clock(boot, offset_ms, limit);
        if moved {
            self.register.shift(boot, limit, offset_ms);
            let after = around.walked(self.base.clone(), self.history.recent());
            self.register.assign(&after.stays, now, names);
            self.lost_since = self.lost_since.and(after.heard);
            self.suspect_noted.retain(|hour| *hour <= now);
            self.present = Some(present(around, |_| after));
            self.news = true;
        }
        moved
    }

    /// Folds events older than `horizon`, and those beyond the bound, into the base. Only to be called in a step that
    /// changes state.
    pub fn fold(&mut self, horizon: Timestamp, around: Surroundings<'_>) {
        let slack = horizon.plus_millis(-FOLD_SLACK_MS);
        if let Some(count) = self.history.foldable(horizon, slack, EVENTS_MAX, EVENTS_KEPT) {
            self.fold_first(count, slack, around);
        }
        self.forget_pictures(0, slack, around);
        if let Some(began) = self.pictures.drop_surplus() {
            self.register.freeze(began);
        }
    }

    /// Folds everything: what happened so far no longer depends on rules that are about to change.
    pub fn freeze(&mut self, horizon: Timestamp, around: Surroundings<'_>) {
        self.fold_first(self.history.recent().len(), horizon.plus_millis(-FOLD_SLACK_MS), around);
        self.register.freeze(Timestamp::from_millis(i64::MAX));
    }

    /// Other rules hold from now on.
    pub fn renew(&mut self) {
        self.present = None;
        self.news = true;
    }

    fn fold_first(&mut self, count: usize, limit: Timestamp, around: Surroundings<'_>) {
        self.base = around.walked(std::mem::take(&mut self.base), &self.history.recent()[..count]);
        self.history.fold(count);
        let stays = self.register.forgettable(&self.base.stays, limit);
        self.forget_pictures(stays, limit, around);
        self.base.forget_before(limit, stays);
        self.paid_days.extend(self.register.forget(stays, limit, around));
        while self.paid_days.len() > PAID_DAYS_MAX {
            self.paid_days.pop_first();
        }
        self.suspect_noted.retain(|hour| *hour >= limit);
        while self.suspect_noted.len() > SUSPECT_HOURS_MAX {
            self.suspect_noted.pop_first();
        }
        self.present = Some(present(around, |around| {
            around.walked(self.base.clone(), self.history.recent())
        }));
    }

    /// Forgets pictures of the first `stays`, and those before `limit` that belong to none.
    fn forget_pictures(&mut self, stays: usize, limit: Timestamp, around: Surroundings<'_>) {
        let mut pictures = std::mem::take(&mut self.pictures);
        pictures.forget(&self.present(|| around).walk.stays, stays, limit);
        self.pictures = pictures;
    }

    /// When something about this space is due without any further event.
    pub fn deadline<'a>(&mut self, around: impl FnOnce() -> Surroundings<'a>) -> Option<Timestamp> {
        let lost_since = self.lost_since;
        let present = self.present(around);
        let heard = present.walk.heard.filter(|_| lost_since.is_none());
        let lost = heard.map(|heard| heard.plus_millis(present.silence_ms + 1));
        self.due.into_iter().chain(lost).min()
    }

    /// Whether there is anything to write down at `now`.
    pub fn is_due<'a>(&mut self, now: Timestamp, around: impl FnOnce() -> Surroundings<'a>) -> bool {
        self.news || self.deadline(around).is_some_and(|due| due <= now)
    }

    /// Writes down what is due at `now`: sessions and their revisions, a lost or suspect sensor.
    /// With `everything`, closed stays that have not settled too.
    pub fn write_down(&mut self, now: Timestamp, around: Surroundings<'_>, everything: bool) -> Vec<RecordBody> {
        self.news = false;
        self.present(|| around);
        let Some(present) = self.present.take() else {
            return Vec::new();
        };
        let mut records = self.judge_sensor(&present, now, around);
        let context = Context {
            around,
            flips: &present.walk.flips,
            paid_days: &self.paid_days,
            pictures: &self.pictures,
        };
        let (sessions, due) = self.register.write_down(&present.walk.stays, now, &context, everything);
        records.extend(sessions);
        self.due = due;
        self.present = Some(present);
        records
    }

    fn judge_sensor(&mut self, present: &Present, now: Timestamp, around: Surroundings<'_>) -> Vec<RecordBody> {
        let walk = &present.walk;
        let mut records = Vec::new();
        let (Some(sensor), Some(heard)) = (walk.sensor.clone(), walk.heard) else {
            self.lost_since = None;
            return records;
        };
        let space = around.space.id.clone();
        let silent = walk.is_silent(heard, now, present.silence_ms);
        match self.lost_since {
            None if silent => {
                self.lost_since = Some(heard);
                records.push(RecordBody::CommsLost {
                    sensor: sensor.clone(),
                    space: space.clone(),
                    since: heard,
                });
            }
            Some(since) if !silent && heard != since => {
                self.lost_since = None;
                records.push(RecordBody::CommsRestored {
                    sensor: sensor.clone(),
                    space: space.clone(),
                    heard,
                });
            }
            _ => {}
        }
        let mut by_hour: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for quarter in walk.flips.keys() {
            let most = by_hour.entry(hour_of(*quarter)).or_default();
            *most = flips_around(&walk.flips, *quarter).max(*most);
        }
        for (hour, flips) in by_hour {
            if flips > around.rules.flips_per_hour_max && self.suspect_noted.insert(hour) {
                records.push(RecordBody::SensorSuspect {
                    sensor: sensor.clone(),
                    space: space.clone(),
                    hour,
                    flips,
                });
            }
        }
        records
    }
}

fn hour_of(time: Timestamp) -> Timestamp {
    const HOUR_MS: i64 = 3_600_000;
    Timestamp::from_millis(time.as_millis().div_euclid(HOUR_MS) * HOUR_MS)
}

fn present<'a>(around: Surroundings<'a>, walk: impl FnOnce(Surroundings<'a>) -> Walk) -> Present {
    let walk = walk(around);
    let silence_ms = around.silence_ms(walk.sensor.as_ref());
    Present { walk, silence_ms }
}

/// From when on two walks tell of different timelines or stays, if they do. `lost`: the last state before was taken
/// for unknown.
fn first_difference(before: &Walk, after: &Walk, lost: bool) -> Option<Timestamp> {
    let (old, new) = (before.outline(lost), after.outline(false));
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let line = [old.get(same), new.get(same)];
    let line = line.into_iter().flatten().map(|point| point.0);
    let same = before
        .stays
        .iter()
        .zip(&after.stays)
        .take_while(|(a, b)| a.points() == b.points())
        .count();
    let edge = |walk: &Walk, other: &Walk| {
        let (start, end) = walk.stays.get(same)?.points();
        let other_start = other.stays.get(same).map(|stay| stay.start.point);
        if other_start == Some(start) { end } else { Some(start) }
    };
    let edges = [edge(before, after), edge(after, before)];
    let same = before
        .doubts
        .iter()
        .zip(&after.doubts)
        .take_while(|(a, b)| a == b && before.inferred_in(a) == after.inferred_in(b))
        .count();
    let doubts = [before, after].map(|walk| walk.doubts.get(same).map(|doubt| doubt.from));
    // A silence that lasted until now ends.
    let silence = before.heard.filter(|_| lost);
    line.chain(edges.into_iter().chain(doubts).flatten())
        .chain(silence)
        .min()
}
