//! The commands: one file a verb.

mod sensors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Wrong input from the user: reported without a stack of causes, exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Edge gateway for city parking and CCTV.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sensor profiles, and what a payload means.
    Sensors(sensors::Arguments),
}

/// Runs the command that the process arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome: anyhow::Result<()> = match arguments.command {
        Command::Sensors(arguments) => sensors::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref::<UsageError>().is_some() => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
