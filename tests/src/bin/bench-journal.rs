//! Durable records a second, and bytes written for each byte of payload: the journal beside a bare loop of append and
//! `fdatasync` (the limit), SQLite and sled, all in one run.
//!
//! Every contestant gets the same session records in the same commits, and each commit is durable before the next is
//! handed in. Rounds are interleaved, and who begins changes, so that a disk in a bad mood is nobody's alone; the rate is
//! that of all rounds together. The journal does what it does in service: its state is snapshotted whenever a segment
//! was closed, and what lies behind is released and recycled. The others only append.
//!
//! "Bytes" is `write_bytes` of `/proc/self/io`: the pages that this process dirtied, whole pages of 4 KiB, once for each
//! time that they were written back. It counts what the process made the disk write for the file's content; what the
//! file system adds in its own journal is nobody's, and is not in it.

#![allow(clippy::cast_precision_loss)] // figures for people

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use gateway::journal::{Directory, Entry, EntryKind, Journal, Options, Storage};
use parking::Timestamp;
use tests::load::Sessions;
use tests::street::Street;
use tokio::runtime::Runtime;

/// Durable records a second and bytes written per byte of payload.
#[derive(Parser)]
struct Arguments {
    /// Folder to write in, on the disk that is to be measured.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Rounds of each contestant at each size.
    #[arg(long, default_value_t = 12)]
    rounds: usize,
    /// Seed of the simulated street.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Records a commit, and commits a round.
const SIZES: [(usize, usize); 3] = [(1, 600), (16, 400), (256, 80)];
/// Part of the limit's rate that is to be reached.
const GOAL_RATE: f64 = 0.8;
/// Multiple of the limit's bytes that is not to be passed.
const GOAL_BYTES: f64 = 1.15;

/// Something that makes batches of records durable.
trait Contestant {
    /// Makes `batch` durable.
    fn commit(&mut self, batch: &[Entry]) -> anyhow::Result<()>;
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.dir)
        .with_context(|| format!("cannot make the folder {}", arguments.dir.display()))?;
    println!(
        "seed {}, {} rounds, in {}",
        arguments.seed,
        arguments.rounds,
        arguments.dir.display()
    );
    let mut reached = true;
    for (size, commits) in SIZES {
        reached &= compare(&arguments, size, commits)?;
    }
    println!(
        "goals: at least {GOAL_RATE} of the limit's rate, at most {GOAL_BYTES} of its bytes: {}",
        if reached { "reached" } else { "not reached" }
    );
    Ok(())
}

/// What one contestant did in all of its rounds.
#[derive(Default)]
struct Total {
    records: usize,
    payload_bytes: usize,
    written_bytes: u64,
    spent: Duration,
}

impl Total {
    fn rate(&self) -> f64 {
        self.records as f64 / self.spent.as_secs_f64()
    }

    fn bytes(&self) -> f64 {
        self.written_bytes as f64 / self.payload_bytes as f64
    }
}

/// Compares all at `size` records a commit; tells whether the journal reached its goals.
fn compare(arguments: &Arguments, size: usize, commits: usize) -> anyhow::Result<bool> {
    let folder = tempfile::Builder::new().prefix("journal-").tempdir_in(&arguments.dir)?;
    let street = Street::new("sudirman-01", 1, 40, 2)?;
    let start: Timestamp = "2026-01-05T00:00:00+07:00".parse()?;
    let mut sessions = Sessions::of(&street, arguments.seed, start);
    // The state of a tracker with 40 spaces has the size of two records for each.
    let state = take(&mut sessions, 80)
        .into_iter()
        .flat_map(|entry| entry.bytes)
        .collect();
    let mut contestants: [(&str, Box<dyn Contestant>); 4] = [
        ("append + fdatasync", Box::new(Bare::open(folder.path())?)),
        ("journal", Box::new(Ours::open(folder.path(), state)?)),
        ("SQLite WAL FULL", Box::new(Sqlite::open(folder.path())?)),
        ("sled + file sync", Box::new(Sled::open(folder.path())?)),
    ];
    let mut totals: [Total; 4] = Default::default();
    for round in 0..=arguments.rounds {
        let batches: Vec<Vec<Entry>> = (0..commits).map(|_| take(&mut sessions, size)).collect();
        for turn in 0..contestants.len() {
            let at = (turn + round) % contestants.len();
            let total = measure(&mut *contestants[at].1, &batches)?;
            // The first round warms up.
            if round > 0 {
                totals[at].records += total.records;
                totals[at].payload_bytes += total.payload_bytes;
                totals[at].written_bytes += total.written_bytes;
                totals[at].spent += total.spent;
            }
        }
    }

    println!();
    println!(
        "{size} records a commit, {} bytes a record",
        totals[0].payload_bytes / totals[0].records
    );
    println!("                      records/s   of the limit   bytes per byte   of the limit");
    for ((name, _), total) in contestants.iter().zip(&totals) {
        println!(
            "{name:<20}  {:>9.0}   {:>12.2}   {:>14.2}   {:>12.2}",
            total.rate(),
            total.rate() / totals[0].rate(),
            total.bytes(),
            total.bytes() / totals[0].bytes()
        );
    }
    let journal = &totals[1];
    Ok(journal.rate() >= GOAL_RATE * totals[0].rate() && journal.bytes() <= GOAL_BYTES * totals[0].bytes())
}

fn take(sessions: &mut Sessions, count: usize) -> Vec<Entry> {
    let records = sessions.by_ref().take(count).map(|bytes| Entry {
        kind: EntryKind::Record,
        bytes,
    });
    records.collect()
}

fn measure(contestant: &mut dyn Contestant, batches: &[Vec<Entry>]) -> anyhow::Result<Total> {
    let entries = batches.iter().flatten();
    let mut total = Total {
        records: entries.clone().count(),
        payload_bytes: entries.map(|entry| entry.bytes.len()).sum(),
        ..Total::default()
    };
    let before = written_bytes()?;
    let began = Instant::now();
    for batch in batches {
        contestant.commit(batch)?;
    }
    total.spent = began.elapsed();
    total.written_bytes = written_bytes()? - before;
    Ok(total)
}

fn written_bytes() -> anyhow::Result<u64> {
    let counters = std::fs::read_to_string("/proc/self/io")?;
    let line = counters.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("/proc/self/io has no write_bytes")?.parse()?)
}

/// Lines appended to one file: the least that durable records can cost without a trick.
struct Bare {
    file: File,
    buffer: Vec<u8>,
}

impl Bare {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(folder.join("bare"))?;
        Ok(Self {
            file,
            buffer: Vec::new(),
        })
    }
}

impl Contestant for Bare {
    fn commit(&mut self, batch: &[Entry]) -> anyhow::Result<()> {
        self.buffer.clear();
        for entry in batch {
            self.buffer.extend_from_slice(&entry.bytes);
            self.buffer.push(b'\n');
        }
        self.file.write_all(&self.buffer)?;
        self.file.sync_data()?;
        Ok(())
    }
}

/// The gateway's journal, with its usual options.
struct Ours {
    journal: Journal,
    /// What is snapshotted.
    state: Vec<u8>,
    runtime: Runtime,
}

impl Ours {
    fn open(folder: &Path, state: Vec<u8>) -> anyhow::Result<Self> {
        let storage: Arc<dyn Storage> = Arc::new(Directory::open(folder.join("journal"))?);
        let (journal, _) = Journal::open(&Options::default(), &storage)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self {
            journal,
            state,
            runtime,
        })
    }
}

impl Contestant for Ours {
    fn commit(&mut self, batch: &[Entry]) -> anyhow::Result<()> {
        let Self {
            journal,
            state,
            runtime,
        } = self;
        runtime.block_on(async {
            let sequences = journal.append(batch).await?.await?;
            if journal.snapshot_due() {
                journal.save_snapshot(state).await?.await?;
                journal.release(sequences.start);
            }
            Ok(())
        })
    }
}

/// A table of records, with what SQLite documents for durable commits.
struct Sqlite(rusqlite::Connection);

impl Sqlite {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let connection = rusqlite::Connection::open(folder.join("sqlite"))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE record (sequence INTEGER PRIMARY KEY, bytes BLOB NOT NULL);",
        )?;
        Ok(Self(connection))
    }
}

impl Contestant for Sqlite {
    fn commit(&mut self, batch: &[Entry]) -> anyhow::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO record (bytes) VALUES (?1)")?;
            for entry in batch {
                insert.execute([&entry.bytes])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// A tree of records. `flush` of sled 0.34 ends in `sync_file_range`, which is no barrier: hence the sync after it.
struct Sled {
    database: sled::Db,
    file: File,
    next: u64,
}

impl Sled {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("sled");
        let database = sled::Config::new().path(&path).flush_every_ms(None).open()?;
        let file = File::open(path.join("db"))?;
        Ok(Self {
            database,
            file,
            next: 0,
        })
    }
}

impl Contestant for Sled {
    fn commit(&mut self, batch: &[Entry]) -> anyhow::Result<()> {
        let mut changes = sled::Batch::default();
        for entry in batch {
            changes.insert(&self.next.to_be_bytes(), entry.bytes.as_slice());
            self.next += 1;
        }
        self.database.apply_batch(changes)?;
        self.database.flush()?;
        self.file.sync_data()?;
        Ok(())
    }
}
