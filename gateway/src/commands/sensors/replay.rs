//! `gateway sensors replay`: what the box would decide by samples that were recorded.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use wired::adaptive::{Decision, Detector, Rules, State};
use wired::street::{Score, Stay};
use wired::trace::{self, Line};

use super::super::UsageError;
use super::plot::Plot;

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// File that `gateway sensors record` wrote.
    file: PathBuf,
    /// Sensor profile with the rules of its chip, see `gateway sensors profiles`.
    #[arg(long)]
    profile: String,
    /// Another value for a rule, as in `enter_nt=4500`; may be given again and again.
    #[arg(long, value_name = "RULE=VALUE")]
    set: Vec<String>,
    /// The space is free in this second of the trace, and the sensor is calibrated then; by default, as soon as it can be.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    free_at: f64,
    /// Print no plot.
    #[arg(long)]
    no_plot: bool,
}

impl Replay {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let path = self.file.display();
        let rules = self.rules()?;
        let text =
            fs::read_to_string(&self.file).map_err(|error| UsageError(format!("cannot read {path}: {error}")))?;
        let lines = trace::parse(&text).map_err(|error| UsageError(format!("{path}, {error}")))?;
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
            return Err(UsageError(format!("{path} has no samples")).into());
        };
        let seconds = last.sample.at_s - first.sample.at_s;
        tell!("{path}: {} samples in {}", lines.len(), clock(seconds));
        let mut detector = Detector::new(rules).map_err(|error| UsageError(error.to_string()))?;
        let mut plot = Plot::new(first.sample.at_s, last.sample.at_s);
        let mut decisions = Vec::new();
        let mut is_calibrated = false;
        let mut stuck_s = None;
        for line in &lines {
            decisions.extend(detector.step(line.sample));
            if !is_calibrated
                && line.sample.at_s - first.sample.at_s >= self.free_at
                && let Ok(baseline) = detector.calibrate()
            {
                is_calibrated = true;
                let at = clock(line.sample.at_s - first.sample.at_s);
                tell!(
                    "calibrated at {at}: {:.0}, {:.0}, {:.0} nT",
                    baseline.x,
                    baseline.y,
                    baseline.z
                );
            }
            let view = detector.view();
            stuck_s = stuck_s.or(view.is_stuck.then_some(line.sample.at_s));
            plot.add(line.sample.at_s, &view, line.truth);
        }
        if !is_calibrated {
            let reason = "its field is never quiet, so the sensor was not calibrated; record some seconds of a free space \
                          without traffic, or set quiet_nt higher";
            return Err(UsageError(format!("{path}: {reason}")).into());
        }
        if !self.no_plot {
            tell!("{}", plot.draw(&rules));
        }
        for decision in &decisions {
            tell!(
                "{:>9}  {}",
                clock(decision.since_s - first.sample.at_s),
                name(decision.state)
            );
        }
        if let Some(stuck_s) = stuck_s {
            let at = clock(stuck_s - first.sample.at_s);
            tell!("{at:>9}  a vehicle has not moved for longer than stuck_s: doubtful");
        }
        let states = decisions.iter().filter(|decision| decision.state == State::Occupied);
        tell!("{} arrivals", states.count());
        tell_score(&lines, &decisions)
    }

    fn rules(&self) -> anyhow::Result<Rules> {
        let profile = super::profile(&self.profile)?;
        let Some(mut rules) = profile.magnetometer.map(|magnetometer| magnetometer.rules) else {
            let reason = format!(
                "sensors of profile \"{}\" decide themselves: there is nothing to replay",
                profile.name
            );
            return Err(UsageError(reason).into());
        };
        for pair in &self.set {
            let set = pair
                .split_once('=')
                .and_then(|(rule, value)| Some((rule, value.parse().ok()?)));
            let Some((rule, value)) = set else {
                return Err(UsageError(format!(
                    "--set {pair}: expected a rule and a number, as in enter_nt=4500"
                ))
                .into());
            };
            rules
                .set(rule, value)
                .map_err(|error| UsageError(format!("--set {pair}: {error}")))?;
        }
        rules.check().map_err(|error| UsageError(error.to_string()))?;
        Ok(rules)
    }
}

/// Says how right the decisions are, where the trace has the truth.
fn tell_score(lines: &[Line], decisions: &[Decision]) -> anyhow::Result<()> {
    let watched = || lines.iter().filter_map(|line| Some((line.sample.at_s, line.truth?)));
    if watched().next().is_none() {
        return Ok(());
    }
    let score = Score::of(&Stay::of_truth(watched()), decisions);
    tell!(
        "truth: {} stays; {} arrivals and {} departures found, {} invented",
        score.stays,
        score.arrivals,
        score.departures,
        score.invented
    );
    Ok(())
}

/// Seconds as hours, minutes and seconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float becomes the nearest integer there is"
)]
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as i64;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn name(state: State) -> &'static str {
    match state {
        State::Unknown => "unknown",
        State::Free => "free",
        State::Occupied => "occupied",
    }
}
