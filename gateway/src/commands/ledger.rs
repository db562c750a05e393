//! `gateway ledger`: look into the journal of this box, and check proofs from files alone.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ledger::{CosignerVerifier, LogVerifier, Proof};
use parking::{Counted, Record, RecordBody};

use super::{UsageError, load_config};
use crate::daemon::local::{KEPT_MAX, Kept, Wanted, kept};
use crate::daemon::open_journal;
use crate::journal::Journal;

/// Looks into the ledger.
#[derive(Debug, Args)]
pub struct LedgerArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: LedgerCommand,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Lists the records that this box still keeps, one a line.
    List {
        /// The box's configuration, TOML.
        config: PathBuf,
        /// First journal sequence to list.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Most records to list.
        #[arg(long, default_value_t = 50)]
        count: usize,
    },
    /// Shows one record, exactly as it is kept.
    Show {
        /// The box's configuration, TOML.
        config: PathBuf,
        /// Its journal sequence.
        sequence: u64,
    },
    /// Writes the records that this box still keeps, one JSON object a line.
    Export {
        /// The box's configuration, TOML.
        config: PathBuf,
        /// The file to write; it must not exist.
        #[arg(long)]
        to: PathBuf,
    },
    /// Checks proofs (`ID.record`, `ID.tlog-proof`, `*.vkey`) from the files alone.
    Verify {
        /// Folders that hold them, or the files themselves.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Accept only these public keys (`*.vkey`), not the ones that lie beside the proof.
        #[arg(long)]
        trust: Vec<PathBuf>,
    },
}

/// Runs the command.
pub fn run(command: LedgerCommand) -> anyhow::Result<()> {
    match command {
        LedgerCommand::List { config, from, count } => list(&config, from, count),
        LedgerCommand::Show { config, sequence } => show(&config, sequence),
        LedgerCommand::Export { config, to } => export(&config, &to),
        LedgerCommand::Verify { paths, trust } => verify(&paths, &trust),
    }
}

/// What this box keeps: asked of the running daemon, or read from the journal when none runs.
enum Source {
    Daemon(super::local::Daemon),
    Journal(Arc<Journal>),
}

impl Source {
    fn open(config: &Path) -> anyhow::Result<Self> {
        let config = load_config(config)?;
        let daemon = super::local::Daemon::at(&config.local.socket)?;
        if daemon.get::<serde_json::Value>("/status").is_ok() {
            return Ok(Self::Daemon(daemon));
        }
        Ok(Self::Journal(open_journal(&config)?.0))
    }

    fn read(&self, wanted: Wanted) -> anyhow::Result<Vec<Kept>> {
        match self {
            Self::Daemon(daemon) => Ok(daemon.get(&format!("/ledger?from={}&count={}", wanted.from, wanted.count))?),
            Self::Journal(journal) => Ok(kept(journal, wanted)?),
        }
    }

    /// Goes through everything kept from `from` on, at most `count` items.
    fn each(
        &self,
        mut from: u64,
        mut count: usize,
        mut take: impl FnMut(Kept) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while count > 0 {
            let kept = self.read(Wanted {
                from,
                count: count.min(KEPT_MAX),
            })?;
            if kept.is_empty() {
                return Ok(());
            }
            count -= kept.len();
            for item in kept {
                from = match &item {
                    Kept::Record { sequence, .. } => sequence + 1,
                    Kept::Lost { next, .. } => *next,
                };
                take(item)?;
            }
        }
        Ok(())
    }
}

fn list(config: &Path, from: u64, count: usize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut listed = 0;
    Source::open(config)?.each(from, count, |item| {
        listed += 1;
        match item {
            Kept::Record { sequence, record } => writeln!(out, "{sequence:>8}  {}", summary(&record))?,
            Kept::Lost { first, next, file } => writeln!(out, "{first:>8}  LOST up to {next}, in {file}")?,
        }
        Ok(())
    })?;
    if listed == 0 {
        eprintln!("nothing is kept from sequence {from} on: all is receipted and released, or not yet written");
    }
    Ok(())
}

/// A record in one line for a person.
fn summary(text: &str) -> String {
    let Ok(record) = serde_json::from_str::<Record>(text) else {
        return text.to_owned();
    };
    let at = record.written.at;
    match record.body {
        RecordBody::Session(s) => {
            let doubts = if s.flags.is_empty() {
                String::new()
            } else {
                format!("  {:?}", s.flags)
            };
            format!(
                "{at}  session    {} r{} {} {} to {} {:?} {}{doubts}",
                s.session, s.revision, s.space, s.start, s.end, s.status, s.fee.point
            )
        }
        RecordBody::Occupancy(o) => {
            let gaps = match o.gaps.len() {
                0 => String::new(),
                gaps => format!("  gaps {gaps}"),
            };
            let counted: String = o.counted.iter().map(counted).collect();
            format!(
                "{at}  occupancy  {} {} r{} occupied {} free {} unknown {} closed {} s{gaps}{counted}",
                o.zone, o.from, o.revision, o.occupied_s, o.free_s, o.unknown_s, o.closed_s
            )
        }
        other => format!("{at}  {}", serde_json::to_string(&other).unwrap_or_default()),
    }
}

/// What a counter counted.
fn counted(counted: &Counted) -> String {
    let unknown = match counted.unknown_s {
        0 => String::new(),
        seconds => format!(" ({seconds} s unknown)"),
    };
    format!("  {} counted {}{unknown}", counted.sensor, counted.count)
}

fn show(config: &Path, sequence: u64) -> anyhow::Result<()> {
    match Source::open(config)?
        .read(Wanted {
            from: sequence,
            count: 1,
        })?
        .pop()
    {
        Some(Kept::Record {
            sequence: found,
            record,
        }) if found == sequence => {
            tell!("{record}");
            Ok(())
        }
        Some(Kept::Lost { file, .. }) => bail!("record {sequence} cannot be read back; it was in {file}"),
        Some(Kept::Record { sequence: found, .. }) => {
            bail!("record {sequence} is no longer kept here: the city has it; the oldest kept is {found}")
        }
        None => bail!("there is no record {sequence} yet"),
    }
}

fn export(config: &Path, to: &Path) -> anyhow::Result<()> {
    let source = Source::open(config)?;
    let file = std::fs::File::create_new(to).with_context(|| format!("cannot make {}", to.display()))?;
    let mut out = std::io::BufWriter::new(file);
    let (mut records, mut holes) = (0_u64, 0_u64);
    source.each(0, usize::MAX, |item| {
        match item {
            Kept::Record { record, .. } => {
                writeln!(out, "{record}")?;
                records += 1;
            }
            Kept::Lost { first, next, file } => {
                eprintln!("warning: records {first} to {next} cannot be read back; they were in {file}");
                holes += 1;
            }
        }
        Ok(())
    })?;
    out.into_inner()?.sync_all()?;
    tell!("{records} records, {holes} holes, written to {}", to.display());
    Ok(())
}

/// Public keys by role.
#[derive(Default)]
struct Keys {
    logs: Vec<LogVerifier>,
    cosigners: Vec<CosignerVerifier>,
}

impl Keys {
    fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut keys = Self::default();
        for path in paths {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            match (
                LogVerifier::from_vkey(text.trim()),
                CosignerVerifier::from_vkey(text.trim()),
            ) {
                (Ok(key), _) => keys.logs.push(key),
                (_, Ok(key)) => keys.cosigners.push(key),
                (Err(error), Err(_)) => return Err(UsageError(format!("{}: {error}", path.display())).into()),
            }
        }
        Ok(keys)
    }
}

fn verify(paths: &[PathBuf], trust: &[PathBuf]) -> anyhow::Result<()> {
    let files = files(paths)?;
    let of = |extension: &str| -> Vec<PathBuf> {
        files
            .iter()
            .filter(|file| file.extension().is_some_and(|e| e == extension))
            .cloned()
            .collect()
    };
    let keys = Keys::read(if trust.is_empty() { of("vkey") } else { trust.to_vec() }.as_slice())?;
    let records: BTreeMap<_, _> = of("record")
        .into_iter()
        .map(|path| (path.with_extension(""), path))
        .collect();
    let proofs = of("tlog-proof");
    if proofs.is_empty() || keys.logs.is_empty() || keys.cosigners.is_empty() {
        return Err(UsageError(format!(
            "{} proofs (*.tlog-proof), {} log keys and {} cosigner keys (*.vkey) found; at least one of each is needed\n  hint: give the folder that `kominfo export proof` wrote",
            proofs.len(), keys.logs.len(), keys.cosigners.len()
        )).into());
    }
    let mut failed = 0;
    for path in &proofs {
        let Some(record) = records.get(&path.with_extension("")) else {
            return Err(UsageError(format!(
                "{}: the record beside it, *.record, is missing",
                path.display()
            ))
            .into());
        };
        match verify_one(path, record, &keys) {
            Ok(line) => tell!("ok      {line}"),
            Err(error) => {
                failed += 1;
                tell!("FAILED  {}: {error:#}", record.display());
            }
        }
    }
    for key in &keys.logs {
        tell!("log key       {}", key.to_vkey());
    }
    for key in &keys.cosigners {
        tell!("cosigner key  {}", key.to_vkey());
    }
    if trust.is_empty() {
        tell!(
            "The keys were taken from beside the proof: compare them with those that you know, or give --trust FILE."
        );
    }
    anyhow::ensure!(failed == 0, "{failed} of {} proofs failed", proofs.len());
    Ok(())
}

fn verify_one(proof: &Path, record: &Path, keys: &Keys) -> anyhow::Result<String> {
    let bytes = std::fs::read(record).with_context(|| format!("cannot read {}", record.display()))?;
    let text = std::fs::read_to_string(proof).with_context(|| format!("cannot read {}", proof.display()))?;
    let proof = Proof::from_text(&text)?;
    let origin = &proof.checkpoint.checkpoint().origin;
    let log = keys
        .logs
        .iter()
        .find(|key| key.name() == origin)
        .with_context(|| format!("no key of log {origin} was given"))?;
    proof.verify(&bytes, log, &keys.cosigners)?;
    Ok(format!(
        "{} is record {} of log {origin}: {}",
        record.display(),
        proof.index,
        summary(&String::from_utf8_lossy(&bytes))
    ))
}

fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
                files.push(entry?.path());
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    Ok(files)
}
