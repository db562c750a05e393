//! How many vehicles parked, as a range that holds the truth in [`CONFIDENCE_PERCENT`] of all days.
//!
//! The sessions that are written down are the base. Each gap adds how many vehicles may have come unseen in it, less the
//! sessions that were inferred in it ([`super::unseen`]); unknown time that belongs to no gap adds what the street's rate
//! gives. Sessions of a suspect sensor are taken out, and the time of them is a gap. A stay of which
//! it is not certain that it was billed counts as likely as stays are billed on that day. At last, sensors miss and invent
//! as often as their profiles say.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::spread::Spread;
use super::unseen::{LEVELS, Street};
use crate::occupancy::{INTERVAL_MS, interval_of};
use crate::{Flag, Gap, Occupancy, Rupiah, Sampling, Session, SessionStatus, TimeBounds, Timestamp, VehicleClass};

/// How often the truth lies in a range.
pub const CONFIDENCE_PERCENT: u32 = 95;
/// The shares below which the low and up to which the high end lie.
pub(super) const LOW: f64 = 0.025;
pub(super) const HIGH: f64 = 0.975;
/// The share of days on which no more came in a gap than a sensor's total is believed for.
const BELIEVED: f64 = 0.999_9;
/// Vehicles in unknown time that are not worth a doubt: seconds until a sensor's first word. The range holds 95 % without.
const FEW: f64 = 0.04;
const HOUR_S: i64 = 3_600;
/// Gaps of a zone's day that are looked at, as records come from outside; the time of others is unknown as any.
const GAPS_MAX: usize = 5_000;
/// Longest part of a gap that is looked at, seconds.
const GAP_S_MAX: i64 = 2 * 86_400;

/// A count, and how sure it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountRange {
    /// Hardly fewer.
    pub low: u32,
    /// Best estimate.
    pub point: u32,
    /// Hardly more.
    pub high: u32,
}

impl CountRange {
    /// The sum of both, as if they erred together.
    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            low: self.low.saturating_add(other.low),
            point: self.point.saturating_add(other.point),
            high: self.high.saturating_add(other.high),
        }
    }

    fn of(spread: &Spread) -> Self {
        let count = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        let (low, high) = (count(spread.quantile(LOW)), count(spread.quantile(HIGH)));
        Self {
            low,
            point: nearest(spread.mean()).clamp(low, high),
            high,
        }
    }
}

/// One zone and day.
pub(super) struct Estimate<'a> {
    street: Option<Street>,
    sessions: Vec<&'a Session>,
    /// Gaps with the time at which they end, or until when they have lasted.
    gaps: Vec<(&'a Gap, Timestamp)>,
    /// Spans in which sensors were suspect.
    suspect: Vec<Gap>,
    /// Space-seconds of unknown time that belong to no gap, by the begin of their interval.
    unknown: Vec<(Timestamp, f64)>,
    /// Until when something is known, or could be.
    end: Timestamp,
    missed: f64,
    invented: f64,
}

impl<'a> Estimate<'a> {
    /// `sessions` and `intervals` are those of the zone and day, void sessions left out; `missing` the space-seconds of
    /// intervals of `due` that are not there.
    pub fn new(
        due: &Range<Timestamp>,
        sessions: Vec<&'a Session>,
        intervals: &[&'a Occupancy],
        missing: &[(Range<Timestamp>, u32)],
    ) -> Self {
        let ends = intervals
            .iter()
            .map(|interval| interval.from.plus_seconds(interval.interval_s.into()));
        let end = ends.chain([due.end]).max().unwrap_or(due.end);
        let suspect = suspect_spans(&sessions);
        // Changes that were lost while a sensor flapped are no vehicles, nor are those that it counted then.
        let is_suspect_too = |gap: &&Gap| {
            let begins_within = |span: &Gap| span.from <= gap.from && Some(gap.from) < span.until;
            let overlaps = |span: &Gap| Some(gap.from) < span.until && gap.until.is_none_or(|until| span.from < until);
            let spans = || suspect.iter().filter(|span| span.space == gap.space);
            match gap.uncounted {
                Some(_) => spans().any(overlaps),
                None => !gap.blind && spans().any(begins_within),
            }
        };
        let gaps: Vec<(&Gap, Timestamp)> = intervals
            .iter()
            .flat_map(|interval| &interval.gaps)
            .filter(|gap| !is_suspect_too(gap))
            .take(GAPS_MAX)
            .map(|gap| {
                (
                    gap,
                    gap.until
                        .unwrap_or(end)
                        .clamp(gap.from, gap.from.plus_seconds(GAP_S_MAX)),
                )
            })
            .collect();
        let mean = |of: fn(&Occupancy) -> u32| {
            let all: f64 = intervals.iter().map(|interval| f64::from(of(interval))).sum();
            all / (10_000.0 * real(intervals.len()).max(1.0))
        };
        Self {
            street: Street::of(intervals),
            unknown: unknown(intervals, &gaps, missing),
            suspect,
            sessions,
            gaps,
            end,
            missed: mean(|interval| interval.errors.missed),
            invented: mean(|interval| interval.errors.invented),
        }
    }

    /// All stays, however short.
    pub fn stays(&self) -> Option<CountRange> {
        let counted = |session: &Session| match session.status {
            SessionStatus::Quarantined => Spread::of(0, vec![1.0, 1.0]),
            _ => Spread::certain(1),
        };
        self.range(|_| true, counted, 1.0)
    }

    /// Stays that are billed, by class.
    pub fn billed(&self) -> BTreeMap<VehicleClass, CountRange> {
        let in_sessions = self.sessions.iter().map(|session| session.class);
        let in_gaps = self.gaps.iter().map(|(gap, _)| gap.class);
        let classes: BTreeSet<VehicleClass> = in_sessions.chain(in_gaps).collect();
        let ranges = classes.into_iter().filter_map(|class| {
            let share = self.billed_share(class);
            let counted = |session: &Session| match session.status {
                SessionStatus::Quarantined => Spread::of(0, vec![1.0 - share, share]),
                status if !is_length_unsure(session) => Spread::certain(i64::from(status == SessionStatus::Parked)),
                _ => {
                    let billed = self.billed_within(session);
                    Spread::of(0, vec![1.0 - billed, billed])
                }
            };
            Some((class, self.range(|of| of == class, counted, share)?))
        });
        ranges.collect()
    }

    /// So many stays of a class in vehicles, where its sessions stand for more or less than one each.
    pub fn vehicles(&self, class: VehicleClass, stays: CountRange) -> CountRange {
        let of_class = || self.sessions.iter().filter(|session| session.class == class);
        let ranges = || of_class().map(|session| session.vehicles.map_or([1_000; 3], Sampling::range));
        let sum = ranges().fold([0_u64; 3], |sum, range| {
            let [a, b, c] = range.map(u64::from);
            [
                sum[0].saturating_add(a),
                sum[1].saturating_add(b),
                sum[2].saturating_add(c),
            ]
        });
        let sessions = u64::try_from(of_class().count())
            .unwrap_or(u64::MAX)
            .saturating_mul(1_000);
        let times = |stays: u32, sum: u64, rest: u64| {
            let vehicles = u64::from(stays)
                .saturating_mul(sum)
                .saturating_add(rest)
                .checked_div(sessions);
            vehicles.map_or(stays, |vehicles| u32::try_from(vehicles).unwrap_or(u32::MAX))
        };
        CountRange {
            low: times(stays.low, sum[0], 0),
            point: times(stays.point, sum[1], sessions / 2),
            high: times(stays.high, sum[2], sessions.saturating_sub(1)),
        }
    }

    /// Sessions of a class that are written down as billed, suspect ones left out.
    pub fn parked(&self, class: VehicleClass) -> u32 {
        let of_class = self.sessions.iter().filter(|session| session.class == class);
        let parked = of_class.filter(|session| session.status == SessionStatus::Parked && !is_suspect(session));
        u32::try_from(parked.count()).unwrap_or(u32::MAX)
    }

    /// Stays of a class of which it is certain whether they are billed.
    fn sure(&self, class: VehicleClass) -> impl Iterator<Item = &&'a Session> {
        let of_class = self.sessions.iter().filter(move |session| session.class == class);
        of_class.filter(|session| !is_length_unsure(session) && !is_suspect(session))
    }

    /// Share of a class's stays that are billed, from those of which it is certain; between none and all.
    fn billed_share(&self, class: VehicleClass) -> f64 {
        let billed = self
            .sure(class)
            .filter(|session| session.status == SessionStatus::Parked)
            .count();
        (real(billed) + 1.0) / (real(self.sure(class).count()) + 1.2)
    }

    /// How likely a stay of unsure length is billed: as often as sure ones of a length within its bounds, and its own best
    /// estimate counts as half of one.
    fn billed_within(&self, session: &Session) -> f64 {
        let bounds = |bounds: Option<TimeBounds>, point| bounds.map_or((point, point), |it| (it.earliest, it.latest));
        let (first, start) = bounds(session.start_bounds, session.start);
        let (end, last) = bounds(session.end_bounds, session.end);
        let lengths = end.seconds_since(start)..=last.seconds_since(first);
        let alike = || {
            self.sure(session.class)
                .filter(|sure| lengths.contains(&sure.end.seconds_since(sure.start)))
        };
        let billed = alike().filter(|sure| sure.status == SessionStatus::Parked).count();
        let own = if session.status == SessionStatus::Parked {
            0.5
        } else {
            0.0
        };
        (real(billed) + own) / (real(alike().count()) + 0.5)
    }

    /// Mean fee of the billed stays of a class, rupiah.
    pub fn mean_fee(&self, class: VehicleClass) -> f64 {
        let fees = || {
            let billed = self.sessions.iter().filter(|session| session.class == class);
            billed.map(|session| session.fee.point).filter(|fee| *fee > Rupiah(0))
        };
        #[expect(clippy::cast_precision_loss, reason = "a day's fees are far below 2^53 rupiah")]
        let sum: f64 = fees().map(|fee| fee.0 as f64).sum();
        sum / real(fees().count()).max(1.0)
    }

    fn range(
        &self,
        wanted: impl Fn(VehicleClass) -> bool,
        counted: impl Fn(&Session) -> Spread,
        share: f64,
    ) -> Option<CountRange> {
        let street = self.street.as_ref()?;
        let sure = || self.sessions.iter().filter(|session| !is_suspect(session));
        let of_class = || sure().filter(|session| wanted(session.class));
        let known = of_class().fold(Spread::certain(0), |sum, session| sum.plus(&counted(session)));
        let of_all = real(of_class().count()) / real(sure().count()).max(1.0);
        let at_level = |level: f64| {
            let mut unseen = Spread::certain(0);
            for (gap, until) in self.gaps.iter().filter(|(gap, _)| wanted(gap.class)) {
                unseen = unseen.plus(&self.in_gap(street, gap, *until, level, share));
            }
            for gap in self.suspect.iter().filter(|gap| wanted(gap.class)) {
                unseen = unseen.plus(&self.in_gap(street, gap, gap.until.unwrap_or(self.end), level, share));
            }
            let elsewhere = self
                .unknown
                .iter()
                .map(|(time, seconds)| street.arrivals_in(*time, *seconds, level));
            let elsewhere = elsewhere.sum::<f64>();
            let elsewhere = if elsewhere < FEW { 0.0 } else { elsewhere };
            unseen.plus(&Spread::poisson(elsewhere * of_all * share))
        };
        let unseen: Vec<(f64, Spread)> = LEVELS
            .iter()
            .map(|(level, likely)| (*likely, at_level(*level)))
            .collect();
        let unseen = Spread::one_of(&unseen).plus(&Spread::poisson(pairs_lost(of_class()) * share));
        // A sensor may be as good as perfect, or twice as bad as its kind.
        let errs = |how_often: f64| {
            let of = |times: f64| Spread::poisson(known.mean() * how_often * times);
            Spread::one_of(&[(0.25, of(0.0)), (0.5, of(1.0)), (0.25, of(2.0))])
        };
        let all = known.plus(&unseen);
        let all = all.plus(&errs(self.missed)).plus(&errs(self.invented).negative());
        let mut range = CountRange::of(&all);
        // How often sensors are wrong widens the range and corrects nothing.
        let point = known.mean() + unseen.mean();
        range.point = nearest(point).clamp(range.low, range.high);
        Some(range)
    }

    /// What a gap adds to the sessions that are written down.
    fn in_gap(&self, street: &Street, gap: &Gap, until: Timestamp, level: f64, share: f64) -> Spread {
        let length_s = until.seconds_since(gap.from).max(1);
        let within_s = self.end.seconds_since(gap.from).clamp(0, length_s);
        let share = share * ratio(within_s, length_s);
        let arrivals = street.arrivals_within(gap, until, level);
        if let Some(uncounted) = gap.uncounted.map(i64::from) {
            // What no street can be busy enough for, a sensor that flaps has counted.
            let is_believed = uncounted <= arrivals.quantile(BELIEVED);
            let counted = if is_believed {
                Spread::certain(uncounted)
            } else {
                arrivals
            };
            return counted.thinned(share);
        }
        if within_s < length_s {
            return arrivals.thinned(share);
        }
        let inferred = i64::from(gap.inferred);
        // Where the space was not lost sight of, what was inferred was proven. After a silence it may be the same vehicle.
        let arrivals = if gap.blind {
            arrivals
        } else {
            arrivals.at_least(inferred)
        };
        arrivals.plus(&Spread::certain(-inferred)).thinned(share)
    }
}

/// Spans in which a sensor was suspect: from the first of its suspect sessions to the end of the last, an hour at least.
/// What they tell of a space is nothing, but that it was free before.
fn suspect_spans(sessions: &[&Session]) -> Vec<Gap> {
    let mut suspect: Vec<&&Session> = sessions.iter().filter(|session| is_suspect(session)).collect();
    suspect.sort_unstable_by(|a, b| (&a.space, a.start).cmp(&(&b.space, b.start)));
    let mut spans: Vec<Gap> = Vec::new();
    for session in suspect {
        let until = session.end.max(session.start.plus_seconds(HOUR_S));
        match spans.last_mut() {
            Some(last) if last.space == session.space && last.until >= Some(session.start) => {
                last.until = last.until.max(Some(until));
            }
            _ => spans.push(Gap {
                space: session.space.clone(),
                class: session.class,
                from: session.start,
                until: Some(until),
                before: Some(false),
                after: None,
                frames: None,
                frames_until: None,
                heartbeat_s: 0,
                blind: false,
                inferred: 0,
                uncounted: None,
            }),
        }
    }
    spans
}

/// Whether its sensor counts no frames, so that lost reports leave no trace but in the states: the cause is a time then.
fn is_unframed(session: &Session) -> bool {
    session.cause.parse::<u32>().is_err()
}

/// Stays of which nothing came in, or which were taken for one, because two changes in a row were lost: as the square of
/// how often a single one is. Only where frames are not counted; else such spans are known.
fn pairs_lost<'a>(sessions: impl Iterator<Item = &'a &'a Session>) -> f64 {
    let (mut changes, mut lost) = (0.0, 0.0);
    for session in sessions.filter(|session| is_unframed(session)) {
        let inferred = [Flag::StartInferred, Flag::EndInferred];
        changes += 2.0;
        lost += real(session.flags.iter().filter(|flag| inferred.contains(flag)).count());
    }
    if changes > 0.0 { lost * lost / changes } else { 0.0 }
}

fn is_suspect(session: &Session) -> bool {
    session.flags.contains(&Flag::Suspect)
}

/// Whether it may be a drop-off or a stay that is billed: then the one costs nothing and the other something.
fn is_length_unsure(session: &Session) -> bool {
    let is_bounded = session.start_bounds.is_some() || session.end_bounds.is_some();
    let is_timed = !is_suspect(session) && session.status != SessionStatus::Quarantined;
    is_bounded && is_timed && session.fee.low == Rupiah(0) && session.fee.high > Rupiah(0)
}

/// Unknown space-seconds that no gap explains, interval by interval.
fn unknown(
    intervals: &[&Occupancy],
    gaps: &[(&Gap, Timestamp)],
    missing: &[(Range<Timestamp>, u32)],
) -> Vec<(Timestamp, f64)> {
    let within = intervals.iter().map(|interval| {
        let until = interval.from.plus_seconds(interval.interval_s.into());
        let explained = gaps.iter().filter(|(gap, _)| gap.blind).map(|(gap, end)| {
            let from = gap.from.max(interval.from);
            (*end).min(until).seconds_since(from).max(0)
        });
        let unknown_s = i64::try_from(interval.unknown_s).unwrap_or(i64::MAX);
        // Rounding leaves a second of each space here and there.
        let left = unknown_s - explained.sum::<i64>() - i64::from(interval.spaces);
        (interval.from, ratio(left.max(0), 1))
    });
    let absent = missing
        .iter()
        .flat_map(|(span, spaces)| quarters(span).map(|(from, seconds)| (from, seconds * f64::from(*spaces))));
    within.chain(absent).filter(|(_, seconds)| *seconds > 0.0).collect()
}

/// The seconds of `span` within each interval that it touches.
pub(super) fn quarters(span: &Range<Timestamp>) -> impl Iterator<Item = (Timestamp, f64)> {
    let (mut from, end) = (span.start, span.end);
    std::iter::from_fn(move || {
        let until = interval_of(from).plus_millis(INTERVAL_MS).min(end);
        let piece = (from < until).then(|| (from, ratio(until.seconds_since(from), 1)));
        from = until;
        piece
    })
}

#[expect(clippy::cast_precision_loss, reason = "rupiah and seconds, far below 2^53")]
pub(super) fn real_u64(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "numbers of sessions of a day")]
fn real(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of sessions of a day"
)]
fn nearest(number: f64) -> u32 {
    number.max(0.0).round() as u32
}
