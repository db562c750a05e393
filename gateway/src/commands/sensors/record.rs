//! `gateway sensors record`: samples of a magnetometer as a file for `replay`, measured by the box or made up.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;
use wired::street::{self, Scenario};
use wired::trace::{self, Line};

use super::super::UsageError;
use super::sensor;
use crate::commands::load_config;
use crate::commands::local::Daemon;

/// Longest trace, hours.
const HOURS_MAX: f64 = 168.0;

#[derive(Debug, Args)]
pub(super) struct Record {
    /// The box's configuration, TOML: its daemon runs and measures.
    #[arg(required_unless_present = "made_up", conflicts_with = "made_up", requires = "sensor")]
    config: Option<PathBuf>,
    /// The sensor's id.
    sensor: Option<String>,
    /// Make up a street, with the truth in a fifth column.
    #[arg(long, value_name = "SCENARIO", value_parser = PossibleValuesParser::new(Scenario::ALL.map(Scenario::name)))]
    made_up: Option<String>,
    /// Another number is another day of the same scenario.
    #[arg(long, default_value_t = 1, requires = "made_up")]
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
        let hours = self.hours;
        if !(hours > 0.0 && hours <= HOURS_MAX) {
            return Err(UsageError(format!("--hours {hours}: expected more than 0 and at most {HOURS_MAX}")).into());
        }
        match (&self.made_up, &self.config, &self.sensor) {
            (Some(made_up), _, _) => self.make_up(made_up, &mut self.out()?),
            (None, Some(config), Some(id)) => {
                let config = load_config(config)?;
                let sensor = sensor(&config, id)?;
                let lasting = Duration::from_secs_f64(hours * 3_600.0);
                let path = format!("/sensors/{}/samples", sensor.id);
                let daemon = Daemon::at(&config.local.socket)?;
                let mut out = None;
                daemon.follow(&path, lasting, |piece| {
                    // A file of before stays until there is something to write.
                    let out = match &mut out {
                        Some(out) => out,
                        none => none.insert(self.out()?),
                    };
                    out.write_all(piece)?;
                    // Whoever pulls the plug keeps what there is.
                    Ok(out.flush()?)
                })
            }
            // Clap asks for one of the two.
            (None, _, _) => Ok(()),
        }
    }

    fn out(&self) -> anyhow::Result<Box<dyn Write>> {
        Ok(match &self.output {
            Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
            None => Box::new(io::stdout()),
        })
    }

    fn make_up(&self, made_up: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let Self { seed, hours, .. } = self;
        let scenario = Scenario::by_name(made_up).context("clap knows the scenarios")?;
        let trace = street::trace(scenario, *seed, *hours);
        let about = format!("made up: scenario {made_up}, seed {seed}, {hours} h");
        let mut text = trace::header(&about);
        for sample in trace.samples {
            let truth = trace.stays.iter().any(|stay| stay.holds(sample.at_s));
            let truth = Some(truth);
            text.push_str(&trace::line(&Line { sample, truth }));
        }
        out.write_all(text.as_bytes())?;
        Ok(())
    }
}
