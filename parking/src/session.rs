//! What a closed stay comes to: its status, its doubts and its fee; and the names that sessions keep.
//!
//! A session's name is given when its stay first appears and is kept while the stay begins at the same moment, or
//! else overlaps what the name stood for. A written session to which no closed stay belongs any more becomes void, and
//! may come back as a further revision.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::derive::flips_around;
use crate::picture::Pictures;
use crate::space::Surroundings;
use crate::stay::{Edge, Stay};
use crate::{
    BootId, CivilDate, ClassBasis, FeeRange, Flag, RecordBody, Rupiah, Sampling, Session, SessionId, SessionPicture,
    SessionStatus, TimeBounds, Timestamp, VehicleClass,
};

/// Gives out names of sessions.
pub(crate) struct Names<'a> {
    pub prefix: &'a str,
    pub counter: &'a mut u64,
}

impl Names<'_> {
    fn next(&mut self) -> SessionId {
        *self.counter += 1;
        let name = format!("{}-{}", self.prefix, self.counter);
        SessionId::new(name).unwrap_or_else(|error| unreachable!("the prefix was checked: {error}"))
    }
}

/// A session's name, and the stay that it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Named {
    session: SessionId,
    start: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
    /// When the last report that changed it was taken in.
    touched: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unset: Option<BootId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<Session>,
    /// Was written under an earlier configuration or with pictures that are dropped, and stays as it is while it begins and
    /// ends when it did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    frozen: bool,
}

impl Named {
    /// Whether the last word written is that this stay ended when it did.
    fn is_written(&self, stay: &Stay) -> bool {
        self.written.as_ref().is_some_and(|written| {
            written.status != SessionStatus::Void && (written.start, Some(written.end)) == stay.points()
        })
    }

    /// When its stay, if it is closed, has settled.
    fn settled_at(&self, around: Surroundings<'_>) -> Timestamp {
        let rules = around.rules;
        self.touched
            .plus_seconds(i64::from(rules.merge_gap_s) + i64::from(rules.settle_s))
    }

    /// Whether `session` says something that was not written.
    fn is_new(&self, session: &Session) -> bool {
        self.written
            .as_ref()
            .is_none_or(|written| !same_but_revision(written, session))
    }

    fn write(&mut self, session: Session) -> RecordBody {
        let revision = self.written.as_ref().map_or(0, |written| written.revision) + 1;
        let session = Session { revision, ..session };
        self.written = Some(session.clone());
        self.frozen = false;
        RecordBody::Session(session)
    }

    /// Takes back what was written: there is no such session, or it has not ended.
    fn void(&mut self) -> Option<RecordBody> {
        let written = self.written.as_ref();
        let written = written.filter(|written| written.status != SessionStatus::Void)?;
        let void = Session {
            status: SessionStatus::Void,
            fee: FeeRange::default(),
            ..written.clone()
        };
        Some(self.write(void))
    }
}

fn same_but_revision(a: &Session, b: &Session) -> bool {
    Session {
        revision: a.revision,
        ..b.clone()
    } == *a
}

/// The names of one space's stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Register {
    /// One for every stay, in their order.
    current: Vec<Named>,
    /// Names to which no stay belongs any more, but under which something was written.
    former: Vec<Named>,
}

impl Register {
    /// Gives every stay a name: its own from before if it begins at the same moment, else one that it overlaps, else a
    /// new one. Those that changed were touched `now`.
    pub fn assign(&mut self, stays: &[Stay], now: Timestamp, names: &mut Names<'_>) {
        let same = |(named, stay): &(&Named, &Stay)| (named.start, named.end) == stay.points();
        let kept = self.current.iter().zip(stays).take_while(same).count();
        let mut free = self.current.split_off(kept);
        free.append(&mut self.former);
        let changed = stays.get(kept..).unwrap_or_default();
        let mut given: Vec<Option<Named>> = changed
            .iter()
            .map(|stay| take_first(&mut free, |named| named.start == stay.start.point))
            .collect();
        for (stay, slot) in changed.iter().zip(&mut given).filter(|(_, slot)| slot.is_none()) {
            let (start, end) = stay.points();
            *slot = take_first(&mut free, |named| {
                end.is_none_or(|end| named.start <= end) && named.end.is_none_or(|end| start <= end)
            });
        }
        for (stay, slot) in changed.iter().zip(given) {
            let named = slot.unwrap_or_else(|| Named {
                session: names.next(),
                start: stay.start.point,
                end: None,
                touched: now,
                unset: None,
                written: None,
                frozen: false,
            });
            self.current.push(Named { touched: now, ..named });
        }
        for (named, stay) in self.current.iter_mut().zip(stays) {
            (named.start, named.end) = stay.points();
            named.unset = stay.unset;
        }
        self.former = free;
        self.former.retain(|named| named.written.is_some());
    }

    /// Moves what the unset clock of `boot` dated, or what lies after `limit`, by `offset_ms`, so that names follow their
    /// stays.
    pub fn shift(&mut self, boot: BootId, limit: Timestamp, offset_ms: i64) {
        let shift = |time: Timestamp| time.plus_millis(offset_ms).floor_to_second();
        for named in self.current.iter_mut().chain(&mut self.former) {
            if named.unset == Some(boot) || named.start > limit {
                named.start = shift(named.start);
                named.end = named.end.map(shift);
                named.unset = None;
            }
            named.touched = named.touched.min(limit);
        }
    }

    /// How many of the first stays are written down, ended before `limit` and so can be forgotten. Never the last one,
    /// with which the next may yet be merged.
    pub fn forgettable(&self, stays: &[Stay], limit: Timestamp) -> usize {
        let is_done = |(named, stay): &(&Named, &Stay)| {
            named.is_written(stay) && stay.end.is_some_and(|end| end.latest() < limit)
        };
        let done = self.current.iter().zip(stays).take_while(is_done).count();
        done.min(stays.len().saturating_sub(1))
    }

    /// Forgets the first `stays` and names that nobody bears and that ended before `limit`. Gives the business days on
    /// which a forgotten one paid a fee that is asked once a day.
    pub fn forget(&mut self, stays: usize, limit: Timestamp, around: Surroundings<'_>) -> Vec<CivilDate> {
        let ended = |named: &Named| named.written.as_ref().is_some_and(|written| written.end < limit);
        self.former.retain(|named| !ended(named));
        let forgotten = self.current.drain(..stays);
        let paid = forgotten.filter_map(|named| named.written.filter(|written| is_paid_once(written, around)));
        paid.map(|written| written.day).collect()
    }

    /// What was written so far of stays that began until `limit` holds, whatever rules, tariffs and pictures come.
    pub fn freeze(&mut self, limit: Timestamp) {
        for named in self.current.iter_mut().filter(|named| named.start <= limit) {
            named.frozen = named.written.is_some();
        }
    }

    /// Writes down the sessions that are due at `now`, their revisions, and the void ones. With `everything`, closed stays
    /// that have not settled too. Also gives the time when the next one is due.
    pub fn write_down(
        &mut self,
        stays: &[Stay],
        now: Timestamp,
        context: &Context<'_>,
        everything: bool,
    ) -> (Vec<RecordBody>, Option<Timestamp>) {
        assert_eq!(self.current.len(), stays.len(), "every stay has a name");
        let mut records = Vec::new();
        let mut next = None;
        let mut paid = context.paid_days.clone();
        let mut pictures = context.pictures.by_stay(stays);
        for (place, (named, stay)) in self.current.iter_mut().zip(stays).enumerate() {
            let Some(end) = stay.end else {
                records.extend(named.void());
                continue;
            };
            let pictures = pictures.remove(&place).unwrap_or_default();
            let session = match named
                .written
                .as_ref()
                .filter(|_| named.frozen && named.is_written(stay))
            {
                Some(written) => written.clone(),
                None => context.session(stay, &named.session, end, &paid, pictures),
            };
            if is_paid_once(&session, context.around) {
                paid.insert(session.day);
            }
            if !named.is_new(&session) {
                continue;
            }
            let due = named.settled_at(context.around);
            if everything || due <= now {
                records.push(named.write(session));
            } else {
                next = Some(next.map_or(due, |next: Timestamp| next.min(due)));
            }
        }
        records.extend(self.former.iter_mut().filter_map(Named::void));
        (records, next)
    }
}

fn take_first(free: &mut Vec<Named>, wanted: impl Fn(&Named) -> bool) -> Option<Named> {
    free.iter().position(wanted).map(|place| free.remove(place))
}

/// Whether the session paid a fee that is asked once a day.
fn is_paid_once(session: &Session, around: Surroundings<'_>) -> bool {
    let site = around.site;
    let is_asked = || {
        site.tariffs
            .iter()
            .flat_map(|tariff| &tariff.fees)
            .any(|fee| fee.once_a_day)
    };
    session.fee.point > Rupiah(0)
        && is_asked()
        && site
            .charge(&session.zone, session.class, session.start, session.end)
            .once_a_day
}

/// What a session depends on besides its stay.
pub(crate) struct Context<'a> {
    pub around: Surroundings<'a>,
    /// Changes of state by quarter of an hour.
    pub flips: &'a BTreeMap<Timestamp, u32>,
    /// Days on which a session that is forgotten paid a once-a-day fee.
    pub paid_days: &'a BTreeSet<CivilDate>,
    /// Pictures of the space.
    pub pictures: &'a Pictures,
}

impl Context<'_> {
    /// What a closed stay comes to.
    fn session(
        &self,
        stay: &Stay,
        name: &SessionId,
        end: Edge,
        paid: &BTreeSet<CivilDate>,
        pictures: Vec<SessionPicture>,
    ) -> Session {
        let Surroundings { site, space, rules } = self.around;
        let start = stay.start;
        let stay_max_s = i64::from(rules.stay_max_s);
        // The rate is that of the point estimate's begin; only the length is in doubt.
        let for_length = |seconds: i64| {
            let until = start.point.plus_seconds(seconds.clamp(0, stay_max_s));
            site.charge(&space.zone, space.class, start.point, until)
        };
        let length = end.point.seconds_since(start.point);
        let charge = for_length(length);
        let mut fee = FeeRange::exact(charge.fee);
        if start.bounds.is_some() || end.bounds.is_some() {
            fee.low = for_length(end.earliest().seconds_since(start.latest())).fee;
            fee.high = for_length(end.latest().seconds_since(start.earliest())).fee;
        }
        let suspect = self.is_suspect(start.point);
        let mut flags = stay.flags.clone();
        flags.extend(suspect.then_some(Flag::Suspect));
        flags.extend(stay.unset.map(|_| Flag::ClockUnsure));
        flags.extend(charge.tariff.is_none().then_some(Flag::TariffMissing));
        flags.sort_unstable();
        let status = if length > stay_max_s {
            SessionStatus::Quarantined
        } else if length < i64::from(charge.grace_s) {
            SessionStatus::DropOff
        } else {
            SessionStatus::Parked
        };
        let day = site.timezone.business_day(start.point, site.day_cutoff_minutes);
        if status == SessionStatus::Quarantined || suspect || (charge.once_a_day && paid.contains(&day)) {
            fee = FeeRange {
                high: fee.high,
                ..FeeRange::default()
            };
        }
        if stay.continues {
            fee.low = Rupiah(0);
        }
        let vehicles = rules.motorcycles.filter(|_| space.class == VehicleClass::Motorcycle);
        if let Some(vehicles) = vehicles {
            fee = times(fee, vehicles);
        }
        Session {
            session: name.clone(),
            revision: 0,
            zone: space.zone.clone(),
            space: space.id.clone(),
            class: space.class,
            basis: vehicles.map_or(ClassBasis::Bay, |_| ClassBasis::Sampled),
            status,
            start: start.point,
            end: end.point,
            start_bounds: start.bounds.filter(is_wide),
            end_bounds: end.bounds.filter(is_wide),
            flags,
            day,
            tariff: charge.tariff,
            vehicles,
            fee,
            cause: stay.cause.clone(),
            pictures,
        }
    }

    fn is_suspect(&self, start: Timestamp) -> bool {
        let flips = flips_around(self.flips, start);
        flips > self.around.rules.flips_per_hour_max
    }
}

/// The fee of so many vehicles.
fn times(fee: FeeRange, vehicles: Sampling) -> FeeRange {
    let [low, point, high] = vehicles.range().map(i64::from);
    let of = |fee: Rupiah, vehicles: i64| Rupiah(fee.0.saturating_mul(vehicles) / 1_000);
    FeeRange {
        low: of(fee.low, low),
        point: of(fee.point, point),
        high: of(fee.high, high),
    }
}

fn is_wide(bounds: &TimeBounds) -> bool {
    bounds.earliest < bounds.latest
}
