//! A box that comes back with a million records waiting: time to start, memory, and the rate at which the backlog drains
//! to receipts, with PostgreSQL behind `kominfo`.

#![allow(clippy::cast_precision_loss)] // figures are printed with a few digits

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use gateway::journal::{Directory, Entry, EntryKind, Journal, Options, Storage};
use parking::Timestamp;
use serde_json::Value;
use tests::clock::SimulatedClock;
use tests::load::Sessions;
use tests::process::{run, workspace_program};
use tests::street::Street;
use tests::world::{Database, World};

/// Start-up and drain with a backlog.
#[derive(Parser)]
struct Arguments {
    /// Records waiting.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Seed of the simulated street.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Leaves the drain out.
    #[arg(long)]
    no_drain: bool,
}

/// Records in one append while the journal is filled.
const APPEND_RECORDS: usize = 256;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let street = Street::new("sudirman-01", 1, 40, 2)?;
    let start: Timestamp = "2026-01-05T00:00:00+07:00".parse()?;
    let clock = SimulatedClock::starting_in(Duration::ZERO, start, 1);
    let mut world = World::prepare(
        vec![street.clone()],
        clock,
        Database::Postgres,
        usize::from(!arguments.no_drain),
    )
    .await?;
    let data = world.boxes[0].data.clone();
    println!(
        "seed {}: filling a journal with {} session records",
        arguments.seed, arguments.records
    );
    let bytes = fill(&data.join("journal"), &street, &arguments, start).await?;
    println!(
        "payload {:.1} MB, on disk {:.1} MB",
        mega(bytes),
        mega(on_disk(&data.join("journal"))?)
    );

    let before = Instant::now();
    world.start_boxes().await?;
    let ready = before.elapsed();
    let pid = world.boxes[0].gateway.pid().context("the gateway is gone")?;
    let resident = resident_kib(pid.as_raw_nonzero().get())?;
    println!(
        "start-up to ready     {:>8.3} s      (goal: at most 1 s)",
        ready.as_secs_f64()
    );
    println!(
        "resident when ready   {:>8.1} MB     (goal: at most 30 MB)",
        resident.1 as f64 / 1000.0
    );
    if arguments.no_drain {
        return world.stop().await;
    }
    drain(&world, &arguments, pid.as_raw_nonzero().get()).await?;
    world.stop().await
}

async fn drain(world: &World, arguments: &Arguments, pid: i32) -> anyhow::Result<()> {
    let begun = Instant::now();
    let first = receipted(&world.boxes[0].config)?;
    let mut said = Instant::now();
    loop {
        let (now, elapsed) = (receipted(&world.boxes[0].config)?, begun.elapsed().as_secs_f64());
        let rate = (now - first) as f64 / elapsed;
        if said.elapsed() > Duration::from_secs(10) {
            eprintln!("receipted {now}, {rate:.0} records a second");
            said = Instant::now();
        }
        if now >= arguments.records {
            println!("drained to receipts   {rate:>8.0} records a second, {elapsed:.1} s in all");
            break;
        }
        if elapsed > 3_600.0 {
            bail!("{now} of {} records receipted after an hour", arguments.records);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (resident, peak) = resident_kib(pid)?;
    println!(
        "resident after drain  {:>8.1} MB, at most {:.1} MB",
        resident as f64 / 1000.0,
        peak as f64 / 1000.0
    );
    Ok(())
}

async fn fill(journal: &Path, street: &Street, arguments: &Arguments, start: Timestamp) -> anyhow::Result<u64> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(journal)?);
    let (journal, _) = Journal::open(&Options::default(), &storage)?;
    let mut sessions = Sessions::of(street, arguments.seed, start);
    let (mut written, mut bytes) = (0, 0);
    while written < arguments.records {
        let count = APPEND_RECORDS.min(usize::try_from(arguments.records - written)?);
        let entries: Vec<Entry> = sessions
            .by_ref()
            .take(count)
            .map(|bytes| Entry {
                kind: EntryKind::Record,
                bytes,
            })
            .collect();
        bytes += entries.iter().map(|entry| entry.bytes.len() as u64).sum::<u64>();
        written += entries.len() as u64;
        journal.append(&entries).await?.await?;
    }
    Ok(bytes)
}

fn receipted(config: &Path) -> anyhow::Result<u64> {
    let config = config.to_str().context("path of the configuration")?;
    let status: Value = serde_json::from_str(&run(workspace_program("gateway")?, ["status", "--json", config])?)?;
    status["receipted"].as_u64().context("status without receipted")
}

/// Resident memory of a process now and at most, in units of 1,024 bytes; see `proc(5)`.
fn resident_kib(pid: i32) -> anyhow::Result<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .context("no such line")?;
        line.split_whitespace()
            .nth(1)
            .context("no value")?
            .parse::<u64>()
            .context("no number")
    };
    Ok((field("VmRSS:")? * 1024 / 1000, field("VmHWM:")? * 1024 / 1000))
}

fn on_disk(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.blocks() * 512;
    }
    Ok(bytes)
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
