//! How many arrivals and departures the adaptive threshold finds on made-up streets, beside a plain threshold.

#![allow(clippy::cast_precision_loss)] // figures are printed with a few digits

use std::time::Instant;

use clap::Parser;
use wired::adaptive::{Detector, Rules, State};
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
    // The same machine with a baseline that stays where it was calibrated, which is what a plain threshold is.
    let plain = Rules {
        follow_s: 1e12,
        drift_nt_per_min: 0.0,
        ..Rules::default()
    };
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
            let score = decide(&trace, Rules::default())?;
            seconds += begin.elapsed().as_secs_f64();
            samples += trace.samples.len();
            if arguments.each && (score.arrivals.min(score.departures) < score.stays || score.invented > 0) {
                println!("seed {seed}: {score:?}");
            }
            adaptive = adaptive.plus(score);
            fixed = fixed.plus(decide(&trace, plain)?);
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
fn decide(trace: &Trace, rules: Rules) -> anyhow::Result<Score> {
    let mut detector = Detector::new(rules)?;
    let mut decisions = Vec::new();
    let mut is_calibrated = false;
    for sample in &trace.samples {
        decisions.extend(detector.step(*sample));
        is_calibrated = is_calibrated || detector.calibrate().is_ok();
    }
    decisions.retain(|decision| decision.state != State::Unknown);
    Ok(Score::of(&trace.stays, &decisions))
}
