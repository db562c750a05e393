//! The commands: one file a verb.

/// Prints a line. Ends the command quietly, by [`is_reader_gone`], when whoever reads has seen enough.
macro_rules! tell {
    ($($argument:tt)*) => {
        std::io::Write::write_all(&mut std::io::stdout(), (format!($($argument)*) + "\n").as_bytes())?
    };
}

mod cameras;
pub mod check;
mod keygen;
mod ledger;
mod local;
mod password;
mod run;
mod sensors;
mod status;
mod table;
mod time;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;

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
    Run(run::RunArguments),
    Check(check::Check),
    Status(status::StatusArguments),
    Ledger(ledger::LedgerArguments),
    /// Sensor profiles, and what a payload means.
    Sensors(sensors::Arguments),
    /// Cameras: how they are, pictures, clips, and what is on the network.
    Cameras(cameras::Arguments),
    Keygen(keygen::Keygen),
    Password(password::Password),
}

/// Runs the command that the process arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(check) => check.run(),
        Command::Status(arguments) => status::run(&arguments),
        Command::Ledger(arguments) => ledger::run(arguments.command),
        Command::Sensors(arguments) => sensors::run(&arguments),
        Command::Cameras(arguments) => cameras::run(&arguments),
        Command::Keygen(keygen) => keygen.run(),
        Command::Password(_) => password::Password::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_reader_gone(&error) => ExitCode::SUCCESS,
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

/// Reads a configuration without looking at the files that it names.
fn load_config(path: &Path) -> Result<Config, UsageError> {
    check::load(path, false)
}

/// Whether nobody reads standard output any more, as with `| head`.
fn is_reader_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
