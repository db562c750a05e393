//! The city simulator as a program: publishes a day of sensor uplinks to a broker and writes down what truly happened.
//!
//! The gateway that listens must know the same street and, unless the day is told as fast as possible, run on the same
//! clock.

use std::fs::File;
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use parking::Timestamp;
use tests::city::faults::Faults;
use tests::city::{LEAVING_S, Plan, devices, publisher, simulate};
use tests::clock::SimulatedClock;
use tests::street::Street;

/// Simulates the parking sensors of a street and writes the ground truth beside what it sends.
#[derive(Debug, Parser)]
#[command(name = "city-simulator")]
struct Arguments {
    /// Where the sensor broker listens.
    #[arg(long)]
    broker: SocketAddr,
    /// File for the ground truth, JSON lines.
    #[arg(long)]
    truth: PathBuf,
    /// Seed of everything drawn; drawn itself when absent, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Begin of the day.
    #[arg(long, default_value = "2026-01-05T00:00:00+07:00")]
    start: Timestamp,
    /// Hours in which vehicles arrive; an hour follows in which they leave.
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// The gateway's name.
    #[arg(long, default_value = "sim-01")]
    gateway: String,
    /// Number of the street, part of the sensors' addresses.
    #[arg(long, default_value_t = 1)]
    street: u16,
    /// Parking spaces.
    #[arg(long, default_value_t = 40)]
    spaces: usize,
    /// Zones.
    #[arg(long, default_value_t = 2)]
    zones: usize,
    /// Clock shared with the gateway: `START@RATExUNIX_MILLISECONDS`.
    #[arg(long, required_unless_present = "as_fast_as_possible")]
    clock: Option<SimulatedClock>,
    /// Publish everything at once, for a day that has passed on the gateway's clock.
    #[arg(long, conflicts_with = "clock")]
    as_fast_as_possible: bool,
    #[command(flatten)]
    faults: Faults,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    eprintln!("seed: {seed}");
    let street = Street::new(&arguments.gateway, arguments.street, arguments.spaces, arguments.zones)?;
    let plan = Plan {
        seed,
        start: arguments.start,
        length_s: i64::from(arguments.hours) * 3_600 + LEAVING_S,
        faults: arguments.faults,
    };
    let day = simulate(&street, &plan, &mut devices(&street));
    let file = File::create(&arguments.truth)
        .with_context(|| format!("cannot write the ground truth to {}", arguments.truth.display()))?;
    day.truth.write_to(BufWriter::new(file))?;
    eprintln!("{} sessions, {} uplinks", day.truth.sessions.len(), day.uplinks.len());
    let published = publisher::publish(arguments.broker, "city-simulator", &day.uplinks, arguments.clock).await?;
    eprintln!(
        "{} acknowledged by the broker, {} sent again, {} connections lost",
        published.acknowledged, published.repeated, published.reconnections
    );
    Ok(())
}
