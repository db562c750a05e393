//! How many arrivals and departures the adaptive threshold finds on made-up streets, beside a plain threshold.

#![allow(clippy::cast_precision_loss)] // figures are printed with a few digits

use std::time::Instant;

use clap::Parser;
use wired::Field;
use wired::adaptive::{Decision, Detector, Rules, State};
use wired::street::{Scenario, Score, Trace, trace};

/// Magnetometers in made-up parking spaces. `gateway sensors record --made-up SCENARIO --seed N` writes one of these days,
/// and `gateway sensors replay` shows it.
#[derive(Parser)]
struct Arguments {
    /// Days of each scenario, of twelve hours.
    #[arg(long, default_value_t = 60)]
    days: u64,
    /// Seed of the first.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this scenario.
    #[arg(long)]
    only: Option<String>,
    /// Prints every day on which something was missed or invented, by its seed.
    #[arg(long)]
    each: bool,
}

const HOURS: f64 = 12.0;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!("found: percent of the true ones, within 15 s; plain: with a threshold that does not adapt");
    println!(
        "{:<14} {:>6} {:>9} {:>11} {:>9} | {:>9} {:>11} {:>9} {:>9}",
        "scenario", "stays", "arrivals", "departures", "invented", "arrivals", "departures", "invented", "us/sample"
    );
    for scenario in Scenario::ALL {
        if arguments.only.as_ref().is_some_and(|only| only != scenario.name()) {
            continue;
        }
        let (mut adaptive, mut fixed) = (Score::default(), Score::default());
        let (mut samples, mut seconds) = (0, 0.0);
        for seed in arguments.seed..arguments.seed + arguments.days {
            let trace = trace(scenario, seed, HOURS);
            let begin = Instant::now();
            let score = decide(&trace)?;
            seconds += begin.elapsed().as_secs_f64();
            samples += trace.samples.len();
            if arguments.each && (score.arrivals.min(score.departures) < score.stays || score.invented > 0) {
                println!("seed {seed}: {score:?}");
            }
            adaptive = adaptive.plus(score);
            fixed = fixed.plus(plain(&trace));
        }
        let percent = |part: usize| 100.0 * part as f64 / adaptive.stays.max(1) as f64;
        println!(
            "{:<14} {:>6} {:>9.2} {:>11.2} {:>9} | {:>9.2} {:>11.2} {:>9} {:>9.2}",
            scenario.name(),
            adaptive.stays,
            percent(adaptive.arrivals),
            percent(adaptive.departures),
            adaptive.invented,
            percent(fixed.arrivals),
            percent(fixed.departures),
            fixed.invented,
            seconds / samples as f64 * 1e6,
        );
    }
    Ok(())
}

/// Calibrated as soon as that is possible: every trace begins with a free space.
fn decide(trace: &Trace) -> anyhow::Result<Score> {
    let mut detector = Detector::new(Rules::default())?;
    let mut decisions = Vec::new();
    let mut is_calibrated = false;
    for sample in &trace.samples {
        decisions.extend(detector.step(*sample));
        is_calibrated = is_calibrated || detector.calibrate().is_ok();
    }
    decisions.retain(|decision| decision.state != State::Unknown);
    Ok(Score::of(&trace.stays, &decisions))
}

/// A plain threshold: the same two limits around the field of the first five seconds, each to be kept for as long.
fn plain(trace: &Trace) -> Score {
    let rules = Rules::default();
    let begin: Vec<Field> = trace
        .samples
        .iter()
        .take_while(|sample| sample.at_s < 5.0)
        .map(|sample| sample.field)
        .collect();
    let sum = begin.iter().fold(Field::default(), |sum, field| sum + *field);
    let baseline = sum * (1.0 / begin.len().max(1) as f64);
    let mut decisions = Vec::new();
    let (mut state, mut other_s) = (State::Free, None);
    for sample in &trace.samples {
        let distance = sample.field.distance(baseline);
        let (is_other, hold_s, next) = match state {
            State::Occupied => (distance < rules.leave_nt, rules.leave_s, State::Free),
            _ => (distance >= rules.enter_nt, rules.enter_quiet_s, State::Occupied),
        };
        if !is_other {
            other_s = None;
            continue;
        }
        let since_s = *other_s.get_or_insert(sample.at_s);
        if sample.at_s - since_s >= hold_s {
            (state, other_s) = (next, None);
            decisions.push(Decision { state, since_s });
        }
    }
    Score::of(&trace.stays, &decisions)
}
