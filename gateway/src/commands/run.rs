//! `gateway run`: the daemon.

use std::path::PathBuf;

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::check;
use crate::clock::SimulatedClock;
use crate::{daemon, memory};
use board::Board;

/// Runs the daemon until a signal comes.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The box's configuration, TOML.
    config: PathBuf,
    /// Runs on a made-up clock, `START@RATExUNIX_MILLISECONDS`; its records are marked `simulated`, and the city
    /// refuses them unless told otherwise.
    #[arg(long, value_name = "LINE")]
    simulated_clock: Option<SimulatedClock>,
    /// Reads pins and buses from files in this folder; only on a made-up clock.
    #[arg(long, value_name = "FOLDER", requires = "simulated_clock")]
    simulated_board: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    memory::set_up();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let config = check::load_to_run(&arguments.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let board = arguments
        .simulated_board
        .clone()
        .map_or_else(Board::detect, Board::Simulated);
    runtime.block_on(daemon::run(config, arguments.simulated_clock, board))
}
