//! Decisions against the truth.

use super::Stay;
use crate::adaptive::{Decision, State};

/// A decision may be this far from the truth, seconds.
const TOLERANCE_S: f64 = 15.0;

/// How many of what really happened was decided, and what was decided beyond that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Vehicles that parked.
    pub stays: usize,
    /// Arrivals that were decided, at the right time.
    pub arrivals: usize,
    /// Departures that were decided, at the right time.
    pub departures: usize,
    /// Decisions for an arrival or a departure when there was none.
    pub invented: usize,
}

impl Score {
    /// Compares decisions with stays. Each decision stands for one event at most.
    pub fn of(stays: &[Stay], decisions: &[Decision]) -> Self {
        let times = |state: State| {
            let wanted = decisions.iter().filter(move |decision| decision.state == state);
            wanted.map(|decision| decision.since_s).collect::<Vec<f64>>()
        };
        let (occupied, mut free) = (times(State::Occupied), times(State::Free));
        // The first word of a space that is free.
        let first = occupied.first().copied().unwrap_or(f64::INFINITY);
        if free.first().is_some_and(|free| *free < first) {
            free.remove(0);
        }
        let arrivals = matched(stays.iter().map(|stay| stay.from_s), &occupied);
        let departures = matched(stays.iter().map(|stay| stay.until_s), &free);
        Self {
            stays: stays.len(),
            arrivals,
            departures,
            invented: occupied.len() + free.len() - arrivals - departures,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            stays: self.stays + other.stays,
            arrivals: self.arrivals + other.arrivals,
            departures: self.departures + other.departures,
            invented: self.invented + other.invented,
        }
    }
}

/// How many of `truth` have a decision of their own. Both are in the order of time.
fn matched(truth: impl Iterator<Item = f64>, decided: &[f64]) -> usize {
    let mut rest = decided.iter().peekable();
    let mut count = 0;
    for at_s in truth {
        while rest.next_if(|decided| **decided < at_s - TOLERANCE_S).is_some() {}
        if rest
            .next_if(|decided| (**decided - at_s).abs() <= TOLERANCE_S)
            .is_some()
        {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(state: State, since_s: f64) -> Decision {
        Decision { state, since_s }
    }

    #[test]
    fn what_is_late_missing_or_too_much_is_counted() {
        let stays = [(100.0, 200.0), (300.0, 400.0)].map(|(from_s, until_s)| Stay { from_s, until_s });
        let right = [
            decision(State::Free, 0.0),
            decision(State::Occupied, 95.0),
            decision(State::Free, 203.0),
            decision(State::Occupied, 301.0),
            decision(State::Free, 409.0),
        ];
        let score = |decisions: &[Decision]| {
            let score = Score::of(&stays, decisions);
            (score.arrivals, score.departures, score.invented)
        };
        assert_eq!(score(&right), (2, 2, 0));
        assert_eq!(score(&right[..3]), (1, 1, 0));
        assert_eq!(score(&[]), (0, 0, 0));
        let mut wrong = right;
        wrong[3].since_s = 340.0;
        assert_eq!(score(&wrong), (1, 2, 1));
        let flapping = [
            &right[..2],
            &[decision(State::Free, 150.0), decision(State::Occupied, 151.0)],
            &right[2..],
        ];
        assert_eq!(score(&flapping.concat()), (2, 2, 2));
    }
}
