//! One counter: a sensor that counts the vehicles that pass a line, where spaces cannot be watched one by one.
//!
//! A counter tells totals. Between two of them so many vehicles passed as the total grew, whatever was lost between them;
//! *when* they passed is known no better than the two reports tell, so that at the edge of an interval it is said how many
//! may belong to its other side. A total that runs over goes on from zero. One that begins anew, by the sensor's word or by
//! what it says, leaves a span in which nobody knows how many passed, and so does a silence that is long enough for a total
//! to have run over unseen.

use serde::{Deserialize, Serialize};

use crate::event::{Event, What};
use crate::history::{History, Placed};
use crate::space::Taken;
use crate::{BootId, Counted, Counter, Counting, EdgeDoubt, RecordBody, SensorTraits, SessionRules, Site, Timestamp};

/// Most events kept of one counter; older ones are folded even before the horizon.
const EVENTS_MAX: usize = 1_024;
/// Events kept when there were too many.
const EVENTS_KEPT: usize = EVENTS_MAX * 3 / 4;
/// How long events are kept unfolded beyond the horizon, so that folding is rare, milliseconds.
const FOLD_SLACK_MS: i64 = 3_600_000;
/// No line is passed by more vehicles than this in a second, motorcycles side by side; a total that grows faster did not
/// grow but begin anew.
const VEHICLES_PER_S_MAX: i64 = 2;
/// So many at once are no matter of speed.
const VEHICLES_AT_ONCE: i64 = 10;
/// What is dated more than this after the present, milliseconds, was dated by a wrong clock.
const FUTURE_MS: i64 = 60_000;

/// What a counter needs to know of its site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub site: &'a Site,
    pub counter: &'a Counter,
    pub rules: &'a SessionRules,
    pub traits: &'a SensorTraits,
}

impl Line<'_> {
    /// Silence after which the sensor is lost, milliseconds.
    fn silence_ms(&self) -> i64 {
        self.traits.silence_ms(self.rules)
    }

    fn counting(&self) -> Counting {
        self.traits.counts.unwrap_or_default()
    }
}

/// A total, and when it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Total {
    at: Timestamp,
    count: u32,
    /// The sensor's frame counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    /// The boot whose unset clock dated it, until that is corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unset: Option<BootId>,
}

/// From one total to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    from: Timestamp,
    until: Timestamp,
    /// Vehicles that passed; at least, if it is not sure.
    count: u32,
    is_sure: bool,
}

impl Step {
    /// How many of its vehicles passed before `time`, if they passed evenly.
    fn before(&self, time: Timestamp) -> u32 {
        let whole = self.until.millis_since(self.from).max(1);
        let part = time.millis_since(self.from).clamp(0, whole);
        let count = i128::from(self.count) * i128::from(part) / i128::from(whole);
        u32::try_from(count).unwrap_or(self.count)
    }

    /// Milliseconds of it within `from..until`.
    fn within_ms(&self, from: Timestamp, until: Timestamp) -> i64 {
        self.until.min(until).millis_since(self.from.max(from)).max(0)
    }

    /// What is doubtful about how many passed before `edge`.
    fn doubt(&self, edge: Timestamp) -> EdgeDoubt {
        let before = self.before(edge);
        EdgeDoubt {
            fewer: before,
            more: self.count - before,
        }
    }
}

/// One counter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CounterBook {
    /// The last total that was folded.
    base: Option<Total>,
    #[serde(flatten)]
    history: History,
    /// When the sensor last told its total, if it was written down that it is lost.
    lost_since: Option<Timestamp>,
    /// An event was taken and what follows was not written down yet; never outlasts a step.
    #[serde(skip)]
    news: bool,
}

impl CounterBook {
    pub fn new() -> Self {
        Self {
            base: None,
            history: History::default(),
            lost_since: None,
            news: false,
        }
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
    pub fn take(&mut self, event: Event) -> Taken {
        let place = match self.history.place(&event) {
            Placed::At(place) => place,
            Placed::Duplicate => return Taken::Duplicate,
            Placed::TooLate => return Taken::TooLate,
        };
        let at = event.at;
        let tells_total = total(&event).is_some();
        self.history.insert(place, event);
        self.news = true;
        let earlier = self.history.recent()[..place]
            .iter()
            .rev()
            .find_map(total)
            .or(self.base);
        Taken::Added(tells_total.then(|| earlier.map_or(at, |earlier| earlier.at)))
    }

    /// Moves what the unset clock of `boot` dated by `offset_ms`, and with it all that lies in the future of `now`.
    pub fn correct_clock(&mut self, boot: BootId, offset_ms: i64, now: Timestamp) {
        let limit = now.plus_millis(FUTURE_MS);
        let mut moved = self.history.correct_clock(boot, offset_ms, limit);
        let is_of_boot = |base: &&mut Total| base.unset == Some(boot) || base.at > limit;
        if let Some(base) = self.base.as_mut().filter(is_of_boot) {
            base.at = base.at.plus_millis(offset_ms);
            base.unset = None;
            moved = true;
        }
        if moved {
            self.lost_since = self.lost_since.and(self.last_total().map(|last| last.at));
            self.news = true;
        }
    }

    /// Folds events older than `horizon`, and those beyond the bound.
    pub fn fold(&mut self, horizon: Timestamp) {
        let slack = horizon.plus_millis(-FOLD_SLACK_MS);
        if let Some(count) = self.history.foldable(horizon, slack, EVENTS_MAX, EVENTS_KEPT) {
            let last = self.history.recent()[..count].iter().rev().find_map(total);
            self.base = last.or(self.base);
            self.history.fold(count);
        }
    }

    /// Before this nothing is known any more of what was counted.
    pub fn known_from(&self) -> Option<Timestamp> {
        self.base.map(|base| base.at)
    }

    fn last_total(&self) -> Option<Total> {
        self.history.recent().iter().rev().find_map(total).or(self.base)
    }

    /// Whether the sensor is lost at `now`.
    pub fn is_silent(&self, now: Timestamp, line: Line<'_>) -> bool {
        self.last_total()
            .is_some_and(|last| now.millis_since(last.at) > line.silence_ms())
    }

    /// When something is due without any further event.
    pub fn deadline(&self, line: Line<'_>) -> Option<Timestamp> {
        let last = self.last_total().filter(|_| self.lost_since.is_none())?;
        Some(last.at.plus_millis(line.silence_ms() + 1))
    }

    /// Whether there is anything to write down at `now`.
    pub fn is_due(&self, now: Timestamp, line: Line<'_>) -> bool {
        self.news || self.deadline(line).is_some_and(|due| due <= now)
    }

    /// Writes down that the sensor is lost, or found again.
    pub fn write_down(&mut self, now: Timestamp, line: Line<'_>) -> Option<RecordBody> {
        self.news = false;
        let last = self.last_total()?;
        let Counter { sensor, zone, .. } = line.counter;
        let (sensor, zone) = (sensor.clone(), zone.clone());
        match self.lost_since {
            None if self.is_silent(now, line) => {
                self.lost_since = Some(last.at);
                let since = last.at;
                Some(RecordBody::CounterLost { sensor, zone, since })
            }
            Some(since) if !self.is_silent(now, line) && last.at != since => {
                self.lost_since = None;
                let heard = last.at;
                Some(RecordBody::CounterRestored { sensor, zone, heard })
            }
            _ => None,
        }
    }

    /// What was counted in `from..until`, judged at `now`; none while the sensor is not bound.
    pub fn counted(&self, from: Timestamp, until: Timestamp, now: Timestamp, line: Line<'_>) -> Option<Counted> {
        let counter = line.counter;
        let bound = counter.during.from.max(from)..counter.during.until.map_or(until, |end| end.min(until));
        let bound_ms = bound.end.millis_since(bound.start);
        if bound_ms <= 0 {
            return None;
        }
        let steps = self.steps(line);
        let within = |step: &&Step| step.within_ms(bound.start, bound.end) > 0;
        let passed = |step: &Step| step.before(bound.end) - step.before(bound.start);
        let sure = || steps.iter().filter(|step| step.is_sure).filter(within);
        let at_least = steps
            .iter()
            .filter(|step| !step.is_sure)
            .filter(within)
            .map(passed)
            .sum();
        // Until it tells its total again, one that is not silent goes on.
        let tail = self
            .last_total()
            .filter(|_| !self.is_silent(now, line))
            .map(|last| Step {
                from: last.at,
                until: bound.end.max(last.at),
                count: 0,
                is_sure: true,
            });
        let known_ms: i64 = sure()
            .chain(&tail)
            .map(|step| step.within_ms(bound.start, bound.end))
            .sum();
        let known_s = known_ms.div_euclid(1_000);
        // With the fractions of a second that rounding took.
        let unknown_s = (bound_ms + 999).div_euclid(1_000) - known_s;
        let crossing = |edge: Timestamp| {
            let crosses = |step: &&Step| step.from < edge && edge < step.until;
            sure()
                .find(crosses)
                .map(|step| step.doubt(edge))
                .filter(|doubt| *doubt != EdgeDoubt::default())
        };
        let (tariff, fee) = line.site.fee_of_a_use(&counter.zone, counter.class, from);
        Some(Counted {
            sensor: counter.sensor.clone(),
            class: counter.class,
            count: sure().map(passed).sum(),
            at_begin: crossing(bound.start),
            at_end: crossing(bound.end),
            at_least,
            known_s: u32::try_from(known_s).unwrap_or(u32::MAX),
            unknown_s: u32::try_from(unknown_s).unwrap_or(0),
            vehicles: counter.vehicles,
            tariff,
            fee,
        })
    }

    fn steps(&self, line: Line<'_>) -> Vec<Step> {
        let counting = line.counting();
        let silence_ms = line.silence_ms();
        let mut last = self.base;
        let mut steps = Vec::new();
        for event in self.history.recent() {
            let Some(total) = total(event) else { continue };
            if let Some(last) = last
                && last.at < total.at
            {
                steps.push(step(last, total, restarts(event), counting, silence_ms));
            } else if let (Some(last), Some(step)) = (last, steps.last_mut()) {
                // Two totals of one second: the later one holds, if it is the later one.
                let more = growth(last, total, counting).filter(|_| !restarts(event));
                step.count += more.filter(|more| i64::from(*more) <= VEHICLES_AT_ONCE).unwrap_or(0);
            }
            last = Some(total);
        }
        steps
    }
}

fn step(last: Total, next: Total, restarted: bool, counting: Counting, silence_ms: i64) -> Step {
    let span_ms = next.at.millis_since(last.at);
    let most = span_ms / 1_000 * VEHICLES_PER_S_MAX + VEHICLES_AT_ONCE;
    let is_possible = |count: &u32| i64::from(*count) <= most;
    // A frame counter that begins anew is that of a sensor that joined again; if its total fell as well, it was without power.
    let joined_anew = last.sequence.zip(next.sequence).is_some_and(|(last, next)| next < last);
    let restarted = restarted || joined_anew && next.count < last.count;
    let grown = growth(last, next, counting).filter(|_| !restarted).filter(is_possible);
    let may_have_run_over = |count: u32| {
        let modulus = counting.modulus.map_or(i64::MAX, |modulus| i64::from(modulus.get()));
        span_ms > silence_ms && most.saturating_sub(i64::from(count)) >= modulus
    };
    let (count, is_sure) = match grown {
        Some(count) => (count, !may_have_run_over(count)),
        // It began anew somewhere in between: what it has counted since is the least.
        None => (Some(next.count).filter(is_possible).unwrap_or(0), false),
    };
    Step {
        from: last.at,
        until: next.at,
        count,
        is_sure,
    }
}

/// By how much a total grew; none if it fell, where it does not run over.
fn growth(last: Total, next: Total, counting: Counting) -> Option<u32> {
    match counting.modulus {
        Some(modulus) => {
            let of = |count: u32| i64::from(count % modulus);
            let grown = (of(next.count) - of(last.count)).rem_euclid(modulus.get().into());
            u32::try_from(grown).ok()
        }
        None => next.count.checked_sub(last.count),
    }
}

fn total(event: &Event) -> Option<Total> {
    match &event.what {
        What::Reported(said) => said.count.map(|count| Total {
            at: event.at,
            count,
            sequence: said.sequence,
            unset: event.unset,
        }),
        _ => None,
    }
}

fn restarts(event: &Event) -> bool {
    matches!(&event.what, What::Reported(said) if said.restarted)
}
