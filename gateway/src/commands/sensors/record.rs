//! `gateway sensors record`: samples of a magnetometer, made up, as a file for `replay`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;
use wired::street::{self, Scenario};
use wired::trace::{self, Line};

use super::super::UsageError;

/// Longest made-up trace, hours.
const HOURS_MAX: f64 = 168.0;

#[derive(Debug, Args)]
pub(super) struct Record {
    /// Make up a street, with the truth in a fifth column.
    #[arg(long, value_name = "SCENARIO", value_parser = PossibleValuesParser::new(Scenario::ALL.map(Scenario::name)))]
    made_up: String,
    /// Another number is another day of the same scenario.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much of it.
    #[arg(long, default_value_t = 12.0)]
    hours: f64,
    /// File to write; standard output if there is none.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Record {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let Self {
            made_up,
            seed,
            hours,
            output,
        } = self;
        if !(*hours > 0.0 && *hours <= HOURS_MAX) {
            return Err(UsageError(format!("--hours {hours}: expected more than 0 and at most {HOURS_MAX}")).into());
        }
        let scenario = Scenario::by_name(made_up).context("clap knows the scenarios")?;
        let trace = street::trace(scenario, *seed, *hours);
        let about = format!("made up: scenario {made_up}, seed {seed}, {hours} h");
        let mut text = trace::header(&about);
        for sample in trace.samples {
            let truth = trace.stays.iter().any(|stay| stay.holds(sample.at_s));
            let truth = Some(truth);
            text.push_str(&trace::line(&Line { sample, truth }));
        }
        let Some(path) = output else {
            tell!("{}", text.trim_end());
            return Ok(());
        };
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
