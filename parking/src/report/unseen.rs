//! How many vehicles came that nobody saw, by how busy the street was.
//!
//! A space is free or occupied, and changes between them at rates that are estimated from the same zone and day: arrivals
//! for each second that a space is free, departures for each second that it is occupied, by the hour. From the state
//! before a gap a chain of changes runs through it; kept are the numbers of changes that agree with the state after it,
//! and, where frames are counted, with the number of frames that are missing. That gives how likely each number of
//! arrivals is.
//!
//! The rates are themselves uncertain, by how few arrivals they were estimated from; so each figure is worked out for
//! [`LEVELS`] of rates.

use super::spread::Spread;
use crate::occupancy::{INTERVAL_MS, interval_of};
use crate::{Gap, Occupancy, Timestamp};

/// Longest step of the chain, seconds.
const STEP_S: f64 = 60.0;
/// Largest probability of a change within a step.
const CHANGE_MAX: f64 = 0.1;
/// No space changes more often than this, changes a second.
const RATE_MAX: f64 = 1.0 / 60.0;
/// Most changes in one gap that are told apart.
const CHANGES_MAX: usize = 160;
/// Arrivals that the day's mean counts for beside those of the hour.
pub(super) const PRIOR_ARRIVALS: f64 = 3.0;
/// How much rates of an hour differ from those around it, besides chance: standard deviation, as a share.
pub(super) const OVERDISPERSION: f64 = 0.2;
/// Intervals to each side that tell of the rate in one: an hour.
pub(super) const AROUND: i64 = 4;
/// Frames without news that a sensor sends now and then besides its heartbeats, per heartbeat.
const OTHER_FRAMES: f64 = 0.01;
/// How often frames tell of something else altogether, in whichever number: a sensor that flaps, or a counter that jumps.
const ODD: f64 = 0.002;
/// How often a sensor sends a heartbeat less than by its interval.
const FEWER: f64 = 0.1;

/// Rates as a multiple of the standard deviation off the best estimate, with how likely each is: the same mean and
/// standard deviation as a normal variate.
pub(super) const LEVELS: [(f64, f64); 3] = [(-1.5, 2.0 / 9.0), (0.0, 5.0 / 9.0), (1.5, 2.0 / 9.0)];

/// How busy one interval was.
#[derive(Debug, Clone, Copy, Default)]
struct Rates {
    /// Arrivals a second of a free space.
    arrive: f64,
    /// Departures a second of an occupied space.
    depart: f64,
    /// Arrivals a second of a space in whichever state.
    come: f64,
    /// Standard deviation of these, as a share.
    error: f64,
}

/// What was seen in some intervals.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    arrivals: f64,
    departures: f64,
    free_s: f64,
    occupied_s: f64,
}

impl Seen {
    fn add(&mut self, interval: &Occupancy) {
        self.arrivals += f64::from(interval.arrivals);
        self.departures += f64::from(interval.departures);
        self.free_s += real(interval.free_s);
        self.occupied_s += real(interval.occupied_s);
    }
}

/// How busy a zone was on a day.
#[derive(Debug, Clone)]
pub(super) struct Street {
    /// By the number of the interval since the epoch.
    rates: Vec<(i64, Rates)>,
    /// Of the day.
    mean: Rates,
}

impl Street {
    /// What the intervals of the day tell; none if nothing was known in any of them.
    pub fn of(intervals: &[&Occupancy]) -> Option<Self> {
        let mut day = Seen::default();
        let mut by_number: Vec<(i64, Seen)> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            day.add(interval);
            let mut seen = Seen::default();
            seen.add(interval);
            by_number.push((number(interval.from), seen));
        }
        by_number.sort_unstable_by_key(|(number, _)| *number);
        if day.free_s + day.occupied_s <= 0.0 {
            return None;
        }
        let mean = rates(&day, &day, 0.0);
        let around = |centre: i64| {
            let mut sum = Seen::default();
            let first = by_number.partition_point(|(number, _)| *number < centre - AROUND);
            for (_, seen) in by_number[first..]
                .iter()
                .take_while(|(number, _)| *number <= centre + AROUND)
            {
                sum.arrivals += seen.arrivals;
                sum.departures += seen.departures;
                sum.free_s += seen.free_s;
                sum.occupied_s += seen.occupied_s;
            }
            sum
        };
        let (first, last) = (by_number.first()?.0, by_number.last()?.0);
        // A day's worth of intervals, whatever records from outside say.
        let rates = (first..=last.min(first + 200))
            .map(|number| (number, rates(&around(number), &day, PRIOR_ARRIVALS)))
            .collect();
        Some(Self { rates, mean })
    }

    fn at(&self, time: Timestamp) -> Rates {
        let number = number(time);
        let first = self.rates.first().map_or(number, |(first, _)| *first);
        let place = usize::try_from(number - first).ok();
        place
            .and_then(|place| self.rates.get(place))
            .map_or(self.mean, |(_, rates)| *rates)
    }

    /// Arrivals in `seconds` of space-time about which nothing is known, in the interval at `time`, as a mean.
    pub fn arrivals_in(&self, time: Timestamp, seconds: f64, level: f64) -> f64 {
        let rates = self.at(time);
        rates.come * seconds * scale(rates, level)
    }

    /// Arrivals in a gap until `end`.
    pub fn arrivals_within(&self, gap: &Gap, end: Timestamp, level: f64) -> Spread {
        let both = [false, true].map(|occupied| self.changes(gap, end, occupied, level));
        let begins = |occupied: bool| {
            if let Some(before) = gap.before {
                return f64::from(u8::from(before == occupied));
            }
            let rates = self.at(gap.from);
            let all = rates.arrive + rates.depart;
            let share = if all > 0.0 { rates.arrive / all } else { 0.0 };
            if occupied { share } else { 1.0 - share }
        };
        let mut weights = vec![0.0; CHANGES_MAX / 2 + 1];
        for (occupied, changes) in [false, true].into_iter().zip(both) {
            let begins = begins(occupied);
            for (count, weight) in changes.iter().enumerate() {
                // Whoever begins free arrives first.
                let arrivals = if occupied { count / 2 } else { count.div_ceil(2) };
                let ends = occupied ^ (count % 2 == 1);
                if gap.after.is_none_or(|after| after == ends)
                    && let Some(sum) = weights.get_mut(arrivals)
                {
                    *sum += begins * weight * frames(gap, count, end);
                }
            }
        }
        Spread::of(0, weights)
    }

    /// How likely each number of changes is, beginning in a state.
    fn changes(&self, gap: &Gap, end: Timestamp, occupied: bool, level: f64) -> Vec<f64> {
        let mut weights = vec![0.0; CHANGES_MAX];
        weights[0] = 1.0;
        if gap.before.is_some_and(|before| before != occupied) {
            return weights;
        }
        let mut time = gap.from;
        let mut reach = 1;
        while time < end {
            let rates = self.at(time);
            let scale = scale(rates, level);
            let fastest = (rates.arrive.max(rates.depart) * scale).max(f64::MIN_POSITIVE);
            let left_s = f64::from(i32::try_from(end.seconds_since(time)).unwrap_or(i32::MAX)).max(1.0);
            let step_s = STEP_S.min(CHANGE_MAX / fastest).max(1.0).min(left_s).floor();
            for count in (0..reach).rev() {
                let is_occupied = occupied ^ (count % 2 == 1);
                let rate = if is_occupied { rates.depart } else { rates.arrive };
                let moves = weights[count] * (rate * scale * step_s).min(1.0);
                weights[count] -= moves;
                weights[count + 1] += moves;
            }
            reach = (reach + 1).min(CHANGES_MAX - 1);
            time = time.plus_seconds(seconds(step_s));
        }
        weights
    }
}

/// How well a number of changes agrees with the number of frames that are missing: the others told of no change.
fn frames(gap: &Gap, changes: usize, end: Timestamp) -> f64 {
    let Some(missing) = gap.frames else { return 1.0 };
    let Some(others) = u32::try_from(changes)
        .ok()
        .and_then(|changes| missing.checked_sub(changes))
    else {
        return 0.0;
    };
    let sent_until = gap.frames_until.unwrap_or(end);
    let span_s = f64::from(i32::try_from(sent_until.seconds_since(gap.from)).unwrap_or(i32::MAX));
    let heartbeats = span_s / f64::from(gap.heartbeat_s.max(1));
    let fewest = heartbeats.floor();
    // A clock of its own gives one more now and then; one that restarts with every report gives fewer.
    let regular = [
        (fewest - 1.0, FEWER),
        (fewest, (1.0 - FEWER) * (1.0 - (heartbeats - fewest))),
        (fewest + 1.0, (1.0 - FEWER) * (heartbeats - fewest)),
    ];
    let extra = OTHER_FRAMES * (1.0 + heartbeats);
    let likely = |(number, likely): (f64, f64)| {
        let more = f64::from(others) - number.max(0.0);
        if more < 0.0 { 0.0 } else { likely * poisson(more, extra) }
    };
    ODD + regular.into_iter().map(likely).sum::<f64>()
}

/// How likely `number` is where `mean` is usual, but for a constant factor.
fn poisson(number: f64, mean: f64) -> f64 {
    let mut weight = 1.0;
    let mut factor = 1.0;
    while factor <= number.min(1_000.0) {
        weight *= mean / factor;
        factor += 1.0;
    }
    weight
}

fn rates(around: &Seen, day: &Seen, prior: f64) -> Rates {
    let per = |events: f64, time_s: f64| {
        if time_s > 0.0 {
            (events / time_s).min(RATE_MAX)
        } else {
            0.0
        }
    };
    let known = |seen: &Seen| seen.free_s + seen.occupied_s;
    // The day counts as much as so many of its arrivals.
    let with_prior = |events: f64, time_s: f64, day_rate: f64| {
        if day_rate > 0.0 {
            ((events + prior) / (time_s + prior / day_rate)).min(RATE_MAX)
        } else {
            per(events, time_s)
        }
    };
    let arrivals = around.arrivals + prior;
    Rates {
        arrive: with_prior(around.arrivals, around.free_s, per(day.arrivals, day.free_s)),
        depart: with_prior(
            around.departures,
            around.occupied_s,
            per(day.departures, day.occupied_s),
        ),
        come: with_prior(around.arrivals, known(around), per(day.arrivals, known(day))),
        error: (1.0 / arrivals.max(1.0) + OVERDISPERSION * OVERDISPERSION).sqrt(),
    }
}

fn scale(rates: Rates, level: f64) -> f64 {
    (1.0 + level * rates.error).max(0.1)
}

pub(super) fn number(time: Timestamp) -> i64 {
    interval_of(time).as_millis() / INTERVAL_MS
}

#[expect(clippy::cast_precision_loss, reason = "space-seconds of a day")]
fn real(seconds: u64) -> f64 {
    seconds as f64
}

#[expect(clippy::cast_possible_truncation, reason = "at most a minute")]
fn seconds(step_s: f64) -> i64 {
    step_s as i64
}
