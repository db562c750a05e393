//! `camera-simulator`: serves simulated cameras until its standard input is closed.
//!
//! `camera-simulator crooked KIND` serves a bad peer instead, also until then.
//!
//! Standard output has one JSON line when it listens and one for each command; problems go to standard error.

use camera_simulator::config::Config;
use camera_simulator::crooked::{self, Kind};
use camera_simulator::rtsp::tls::Identity;
use camera_simulator::simulator::{COMMAND_BYTES_MAX, Simulator};
use clap::{Parser, Subcommand};
use std::error::Error;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Simulates RTSP cameras.
#[derive(Debug, Parser)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Port on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// TOML file that describes the cameras.
    #[arg(long, required = true)]
    cameras: Option<PathBuf>,
    /// Folder for finished loops.
    #[arg(long, default_value_os_t = std::env::temp_dir().join("camera-simulator"))]
    cache: PathBuf,
    /// Port for receiving over TLS; 0 takes any free one.
    #[arg(long)]
    tls_port: Option<u16>,
    /// PEM file with certificate and key for TLS; without it, they are generated.
    #[arg(long)]
    tls_certificate: Option<PathBuf>,
}

/// What else the program can be.
#[derive(Debug, Subcommand)]
enum Other {
    /// A server that is no camera, or one that no client can use.
    Crooked {
        /// What is wrong with it.
        kind: Kind,
        /// Port on 127.0.0.1; 0 takes any free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("camera-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    if let Some(Other::Crooked { kind, port }) = options.other {
        let address = crooked::listen(kind, port)?;
        say(&serde_json::json!({ "port": address.port() }))?;
        io::copy(&mut io::stdin().lock(), &mut io::sink())?;
        return Ok(());
    }
    let config = Config::read(options.cameras.as_deref().unwrap_or_else(|| Path::new("")))?;
    let identity = match &options.tls_certificate {
        Some(path) => Identity::read(path)?,
        None => Identity::generate()?,
    };
    let tls = options.tls_port.map(|port| (&identity, port));
    let simulator = Simulator::start(&config, options.port, &options.cache, tls)?;
    say(&simulator.greeting())?;
    let mut input = io::stdin().lock();
    let limit = u64::try_from(COMMAND_BYTES_MAX)?;
    loop {
        let mut line = String::new();
        if input.by_ref().take(limit).read_line(&mut line)? == 0 {
            return Ok(());
        }
        if !line.trim().is_empty() {
            say(&simulator.answer(&line))?;
        }
    }
}

fn say(answer: &serde_json::Value) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{answer}")?;
    output.flush()
}
