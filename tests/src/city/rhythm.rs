//! When vehicles come and how long they stay: by hour of the day, by zone, by chance.

use parking::{SessionRules, Timestamp};
use rand::Rng;
use rand::rngs::StdRng;

use super::{LEAVING_S, Plan, Visit};
use crate::street::Street;

/// How long a space stays free on average, minutes, by the hour of the day: quiet nights, rushes at eight, noon and four.
const FREE_MINUTES: [f64; 24] = [
    240.0, 300.0, 300.0, 300.0, 240.0, 120.0, 60.0, 25.0, 15.0, 20.0, 25.0, 20.0, 15.0, 20.0, 30.0, 25.0, 15.0, 18.0,
    25.0, 25.0, 40.0, 60.0, 120.0, 180.0,
];

/// How long vehicles stay: median, minutes, and spread of its logarithm; by turns of zones.
const STAY_MINUTES: [(f64, f64); 2] = [(42.0, 0.8), (14.0, 0.7)];

/// Longest stay drawn, minutes.
const STAY_MINUTES_MAX: f64 = 9.0 * 60.0;

/// Share of stays that only let someone out.
const DROP_OFFS: f64 = 0.12;

/// No space takes more vehicles in an hour than this, so that a busy space never looks like a broken sensor.
const ARRIVALS_PER_HOUR_MAX: usize = 8;

/// All visits of a day, space by space.
pub fn visits(street: &Street, plan: &Plan, chance: &mut StdRng) -> Vec<Visit> {
    let mut visits = Vec::new();
    for (index, space) in street.site.spaces.iter().enumerate() {
        let zone = street
            .site
            .zones
            .iter()
            .position(|zone| zone.id == space.zone)
            .unwrap_or(0);
        let rules = street
            .site
            .zones
            .get(zone)
            .map_or_else(SessionRules::default, |zone| zone.rules.clone());
        let (median, spread) = STAY_MINUTES[zone % STAY_MINUTES.len()];
        let mut draw = Draw {
            plan,
            hour_of: |time| usize::try_from(street.site.timezone.civil(time).hour()).unwrap_or(0),
            rules,
            median,
            spread,
            chance,
        };
        draw.space(index, &mut visits);
    }
    visits
}

struct Draw<'a, H: Fn(Timestamp) -> usize> {
    plan: &'a Plan,
    hour_of: H,
    rules: SessionRules,
    median: f64,
    spread: f64,
    chance: &'a mut StdRng,
}

impl<H: Fn(Timestamp) -> usize> Draw<'_, H> {
    fn space(&mut self, space: usize, visits: &mut Vec<Visit>) {
        let last_arrival = self.plan.end().plus_seconds(-LEAVING_S);
        let first = visits.len();
        // The sensors start in the first minute; nothing is seen before that.
        let mut free_from = self.plan.start.plus_seconds(120);
        loop {
            let start = free_from.plus_seconds(self.free_seconds(free_from));
            if start >= last_arrival {
                return;
            }
            let hour_before = start.plus_seconds(-3_600);
            let recent = visits[first..].iter().filter(|visit| visit.start > hour_before).count();
            if recent >= ARRIVALS_PER_HOUR_MAX {
                free_from = start.plus_seconds(900);
                continue;
            }
            let latest_end = last_arrival.plus_seconds(self.chance.random_range(60..LEAVING_S - 300));
            let mut end = start.plus_seconds(self.stay_seconds());
            if end > latest_end {
                end = latest_end.max(start.plus_seconds(30));
            }
            visits.push(Visit { space, start, end });
            free_from = end;
        }
    }

    /// Always longer than what the rules would merge, with a margin.
    fn free_seconds(&mut self, from: Timestamp) -> i64 {
        let mean_s = FREE_MINUTES[(self.hour_of)(from) % 24] * 60.0;
        let waited = -mean_s * self.uniform().ln();
        i64::from(self.rules.merge_gap_s) + 15 + whole(waited)
    }

    fn stay_seconds(&mut self) -> i64 {
        let grace_s = i64::from(self.rules.grace_s);
        if self.chance.random_bool(DROP_OFFS) {
            return self.chance.random_range(20..grace_s.max(21));
        }
        // Box and Muller's normal variate.
        let normal = (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos();
        let minutes = (self.median * (self.spread * normal).exp()).min(STAY_MINUTES_MAX);
        whole(minutes * 60.0).max(grace_s)
    }

    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f64 {
        1.0 - self.chance.random::<f64>()
    }
}

#[allow(clippy::cast_possible_truncation)] // spans of hours in seconds: far below the limits of either type
fn whole(seconds: f64) -> i64 {
    seconds as i64
}
