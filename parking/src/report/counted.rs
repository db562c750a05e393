//! What counters counted on a zone's day, as a range.
//!
//! Totals lose nothing, so between two of them the count is exact; what is doubtful is on which side of midnight some of it
//! passed, and what passed while nobody counted. The first is bounded by what was counted across the day's edges, the
//! second by how busy the line was around that time. At last, the factor says how many of those that are counted park and
//! are billed.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::estimate::{CountRange, HIGH, LOW, quarters, real_u64};
use super::spread::Spread;
use super::unseen::{AROUND, LEVELS, OVERDISPERSION, PRIOR_ARRIVALS, number};
use crate::{Counted, Coverage, EdgeDoubt, FeeRange, Occupancy, Rupiah, SensorId, Timestamp, VehicleClass};

/// Vehicles a second at one line, whatever a record from outside says.
const RATE_MAX: f64 = 2.0;
/// Vehicles at one line on a day that nobody counted, likewise.
const UNSEEN_MAX: f64 = 200_000.0;

/// What the counters of a zone counted of one class on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedDay {
    /// How many passed, those that nobody counted among them. `None` when a counter of the class told nothing all day.
    pub count: Option<CountRange>,
    /// Counter-seconds of which it is known how many passed.
    pub known_s: u64,
    /// Counter-seconds of which it is not known, those of missing intervals among them.
    pub unknown_s: u64,
}

/// A class on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ClassCount {
    pub day: CountedDay,
    /// How many are billed of what is known, if anything is.
    pub billed: Option<CountRange>,
    /// What they should have paid.
    pub fee: FeeRange,
    /// Of the counter of which the least is known.
    pub coverage: Option<Coverage>,
}

/// A counter, with the factor that held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    sensor: &'a SensorId,
    class: VehicleClass,
    vehicles: [u32; 2],
}

impl<'a> Key<'a> {
    fn of(counted: &'a Counted) -> Self {
        Self {
            sensor: &counted.sensor,
            class: counted.class,
            vehicles: [counted.vehicles.vehicles_per_1000, counted.vehicles.error_percent],
        }
    }
}

/// What one counter told, by the begin of its intervals.
struct Told<'a> {
    intervals: Vec<(Range<Timestamp>, &'a Counted)>,
    /// Pieces of time of intervals that are not there, seconds.
    missing: Vec<(Timestamp, f64)>,
}

/// By class, what counters told in `intervals`, which are those of one zone and day, those of `missing` not being there.
pub(super) fn by_class(
    intervals: &[&Occupancy],
    missing: &[(Range<Timestamp>, u32)],
) -> BTreeMap<VehicleClass, ClassCount> {
    let mut classes: BTreeMap<VehicleClass, ClassCount> = BTreeMap::new();
    for (key, told) in by_counter(intervals, missing) {
        let (class, one) = (key.class, told.sum());
        let sum = classes.entry(class).or_insert_with(|| ClassCount {
            day: CountedDay {
                count: Some(CountRange::default()),
                ..CountedDay::default()
            },
            ..ClassCount::default()
        });
        sum.day = CountedDay {
            count: sum.day.count.zip(one.day.count).map(|(a, b)| a.plus(b)),
            known_s: sum.day.known_s.saturating_add(one.day.known_s),
            unknown_s: sum.day.unknown_s.saturating_add(one.day.unknown_s),
        };
        let billed = sum.billed.into_iter().chain(one.billed);
        sum.billed = billed.reduce(CountRange::plus);
        sum.fee = super::saturating_sum(sum.fee, one.fee);
        sum.coverage = least(sum.coverage, one.coverage);
    }
    classes
}

/// The lower of two coverages, where there is one.
pub(super) fn least(a: Option<Coverage>, b: Option<Coverage>) -> Option<Coverage> {
    a.into_iter().chain(b).min()
}

fn by_counter<'a>(intervals: &[&'a Occupancy], missing: &[(Range<Timestamp>, u32)]) -> BTreeMap<Key<'a>, Told<'a>> {
    let mut sorted: Vec<&Occupancy> = intervals.to_vec();
    sorted.sort_unstable_by_key(|interval| (interval.from, interval.interval_s));
    let mut counters: BTreeMap<Key<'_>, Told<'_>> = BTreeMap::new();
    for interval in &sorted {
        for counted in &interval.counted {
            let span = interval.from..interval.from.plus_seconds(interval.interval_s.into());
            let told = counters.entry(Key::of(counted)).or_insert_with(|| Told {
                intervals: Vec::new(),
                missing: Vec::new(),
            });
            told.intervals.push((span, counted));
        }
    }
    for (span, _) in missing {
        let before = sorted.iter().rfind(|interval| interval.from < span.start);
        let Some(beside) = before.or(sorted.first()) else {
            continue;
        };
        for counted in &beside.counted {
            if let Some(told) = counters.get_mut(&Key::of(counted)) {
                told.missing.extend(quarters(span));
            }
        }
    }
    counters
}

impl Told<'_> {
    fn sum(&self) -> ClassCount {
        let each = || self.intervals.iter().map(|(_, counted)| *counted);
        let known_s: u64 = each().map(|counted| u64::from(counted.known_s)).sum();
        let missing_s: f64 = self.missing.iter().map(|(_, seconds)| seconds).sum();
        let unknown_s = each()
            .map(|counted| u64::from(counted.unknown_s))
            .sum::<u64>()
            .saturating_add(whole(missing_s));
        let count = (known_s > 0).then(|| self.range());
        let vehicles = each().next().map_or([1_000; 3], |counted| counted.vehicles.range());
        let billed = count.map(|range| CountRange {
            low: times(range.low, vehicles[0], 0),
            point: times(range.point, vehicles[1], 500),
            high: times(range.high, vehicles[2], 999),
        });
        let mean_fee = self.mean_fee();
        let fee = |of: fn(CountRange) -> u32| {
            let vehicles = billed.map_or(0, of);
            Rupiah(nearest(f64::from(vehicles) * mean_fee))
        };
        ClassCount {
            day: CountedDay {
                count,
                known_s,
                unknown_s,
            },
            billed,
            fee: FeeRange {
                low: fee(|range| range.low),
                point: fee(|range| range.point),
                high: fee(|range| range.high),
            },
            coverage: Coverage::of(known_s, known_s.saturating_add(unknown_s)),
        }
    }

    /// How many passed.
    fn range(&self) -> CountRange {
        let (mut point, mut fewer, mut more, mut at_least) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut reached = None;
        // At the end of the interval before.
        let mut end = EdgeDoubt::default();
        for (span, counted) in &self.intervals {
            point = point.saturating_add(counted.count.into());
            at_least = at_least.saturating_add(counted.at_least.into());
            if reached != Some(span.start) {
                // Nothing joins on to the one before: what is doubtful at both edges counts.
                let begin = counted.at_begin.unwrap_or_default();
                fewer += u64::from(end.fewer) + u64::from(begin.more);
                more += u64::from(end.more) + u64::from(begin.fewer);
            }
            end = counted.at_end.unwrap_or_default();
            reached = Some(span.end);
        }
        fewer += u64::from(end.fewer);
        more += u64::from(end.more);
        let unseen = self.unseen().at_least(bounded(at_least));
        let plus = |count: u64, unseen: i64| {
            let sum = count.saturating_add(u64::try_from(unseen).unwrap_or(0));
            u32::try_from(sum).unwrap_or(u32::MAX)
        };
        CountRange {
            low: plus(point.saturating_sub(fewer), unseen.quantile(LOW)),
            point: plus(point, nearest(unseen.mean())),
            high: plus(point.saturating_add(more), unseen.quantile(HIGH)),
        }
    }

    /// How many passed while nobody counted.
    fn unseen(&self) -> Spread {
        let mut by_number: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        let mut day = (0.0, 0.0);
        for (span, counted) in &self.intervals {
            let seen = (f64::from(counted.count), f64::from(counted.known_s));
            let sum = by_number.entry(number(span.start)).or_default();
            *sum = (sum.0 + seen.0, sum.1 + seen.1);
            day = (day.0 + seen.0, day.1 + seen.1);
        }
        let blind = self
            .intervals
            .iter()
            .map(|(span, counted)| (span.start, f64::from(counted.unknown_s)));
        let blind: Vec<(Timestamp, f64)> = blind
            .chain(self.missing.iter().copied())
            .filter(|(_, seconds)| *seconds > 0.0)
            .collect();
        let day_rate = if day.1 > 0.0 { day.0 / day.1 } else { 0.0 };
        if blind.is_empty() || day_rate <= 0.0 {
            return Spread::certain(0);
        }
        let expected = |level: f64| {
            let in_piece = |(time, seconds): &(Timestamp, f64)| {
                let around = Around::of(&by_number, number(*time));
                let rate = (around.count + PRIOR_ARRIVALS) / (around.known_s + PRIOR_ARRIVALS / day_rate);
                rate.min(RATE_MAX) * seconds * (1.0 + level * around.error()).max(0.1)
            };
            blind.iter().map(in_piece).sum::<f64>().min(UNSEEN_MAX)
        };
        let levels = LEVELS.map(|(level, likely)| (likely, Spread::poisson(expected(level))));
        Spread::one_of(&levels)
    }

    /// What one vehicle should have paid, on average over those that were counted.
    fn mean_fee(&self) -> f64 {
        let weighed = |weight: fn(&Counted) -> f64| {
            let (mut fees, mut weights) = (0.0, 0.0);
            for (_, counted) in &self.intervals {
                fees += weight(counted) * real_u64(u64::try_from(counted.fee.0).unwrap_or(0));
                weights += weight(counted);
            }
            (weights > 0.0).then(|| fees / weights)
        };
        weighed(|counted| counted.count.into())
            .or_else(|| weighed(|_| 1.0))
            .unwrap_or(0.0)
    }
}

/// What was seen around an interval.
struct Around {
    count: f64,
    known_s: f64,
    /// How far, in intervals, one had to look for an hour that was seen.
    reach: i64,
}

impl Around {
    /// Within an hour to each side of interval `centre`, or as far as it takes to have seen an hour.
    fn of(by_number: &BTreeMap<i64, (f64, f64)>, centre: i64) -> Self {
        let within = |reach: i64| {
            let seen = by_number.range(centre - reach..=centre + reach);
            let (count, known_s) = seen.fold((0.0, 0.0), |sum, (_, seen)| (sum.0 + seen.0, sum.1 + seen.1));
            Self { count, known_s, reach }
        };
        let mut around = within(AROUND);
        while around.known_s < 3_600.0 && around.reach < 96 {
            around = within(around.reach + 1);
        }
        around
    }

    /// By how much the rate that was seen may be off, as a share: by chance, and the more the farther away it was seen.
    fn error(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "intervals of a day")]
        let afar = OVERDISPERSION * self.reach as f64 / AROUND as f64;
        (1.0 / (self.count + PRIOR_ARRIVALS) + afar * afar).sqrt()
    }
}

/// So many counts in vehicles, of which there are `per_1000`.
fn times(count: u32, per_1000: u32, rest: u64) -> u32 {
    let vehicles = (u64::from(count) * u64::from(per_1000)).saturating_add(rest) / 1_000;
    u32::try_from(vehicles).unwrap_or(u32::MAX)
}

fn bounded(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float becomes the nearest integer there is"
)]
fn nearest(number: f64) -> i64 {
    number.round() as i64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds of a day, never negative"
)]
fn whole(seconds: f64) -> u64 {
    seconds.ceil() as u64
}
