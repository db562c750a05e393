//! One file a verb. Data goes to standard output, everything else to standard error.

/// Prints a line. Ends the command quietly, by [`is_reader_gone`], when whoever reads has seen enough.
macro_rules! tell {
    ($($argument:tt)*) => {
        std::io::Write::write_all(&mut std::io::stdout(), (format!($($argument)*) + "\n").as_bytes())?
    };
}

mod boxes;
mod export;
mod keygen;
mod pki;
mod publish;
mod rebuild;
mod serve;
mod verify;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use ledger::CosignerVerifier;

use crate::files;
use crate::store::Store;

/// Receives, proves, stores and shows what the parking boxes of a city count.
#[derive(Debug, Parser)]
#[command(name = "kominfo", version)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

/// Where the city keeps what it knows.
#[derive(Debug, Args)]
struct Place {
    /// Folder for the database file, when --database names no other
    #[arg(long, global = true, default_value = "kominfo-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// The database; its password belongs into ~/.pgpass, not here
    #[arg(long, global = true, value_name = "sqlite:PATH | postgres://USER@HOST/NAME")]
    database: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Receive from the broker and answer on the web
    Serve(Box<serve::Serve>),
    /// Recompute everything from the records, and compare
    Verify(verify::Verify),
    /// Derive sessions and occupancy again from the records
    Rebuild(rebuild::Rebuild),
    /// Write proofs and tables
    #[command(subcommand)]
    Export(export::Export),
    /// Have a box send a camera to a media server
    Publish(Box<publish::Publish>),
    /// Register boxes and clear their alarms
    #[command(subcommand)]
    Box(boxes::Boxes),
    /// Make the keys that receipts and commands are signed with
    Keygen(keygen::Keygen),
    /// Make the certificates of the city's servers
    #[command(subcommand)]
    Pki(pki::Pki),
}

impl Arguments {
    /// Does what the arguments ask for.
    pub async fn run(self) -> anyhow::Result<()> {
        let place = &self.place;
        match self.verb {
            Verb::Serve(verb) => verb.run(place).await,
            Verb::Verify(verb) => verb.run(place).await,
            Verb::Rebuild(verb) => verb.run(place).await,
            Verb::Publish(verb) => verb.run(place).await,
            Verb::Export(verb) => verb.run(place).await,
            Verb::Box(verb) => verb.run(place).await,
            Verb::Keygen(verb) => verb.run(),
            Verb::Pki(verb) => verb.run(),
        }
    }
}

impl Place {
    /// Opens the database.
    async fn open(&self) -> anyhow::Result<Store> {
        let address = if let Some(address) = &self.database {
            address.clone()
        } else {
            files::folder(&self.data_dir)?;
            Store::sqlite_address(&self.data_dir.join("kominfo.db"))
        };
        Ok(Store::open(&address).await?)
    }
}

/// The keys that receipts were made with: those in the files given, or else those that the database knows.
async fn cosigners(store: &Store, files_given: &[PathBuf]) -> anyhow::Result<Vec<CosignerVerifier>> {
    let keys = if files_given.is_empty() {
        store.cosigners().await?
    } else {
        let read = |path: &PathBuf| files::read(path).map_err(Into::into);
        files_given.iter().map(read).collect::<anyhow::Result<_>>()?
    };
    keys.iter()
        .map(|key| CosignerVerifier::from_vkey(key.trim()).context("key of the city"))
        .collect()
}

fn shown(path: &Path) -> std::path::Display<'_> {
    path.display()
}

/// Whether nobody reads standard output any more, as with `| head`.
pub fn is_reader_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
