//! `kominfo`: the city's receiving end.

use std::process::ExitCode;

use clap::Parser as _;
use kominfo::commands::{self, Arguments};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match arguments.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if commands::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
