//! `gateway cameras`: what a technician asks and does about cameras.
//!
//! | verb | by whom | what |
//! | --- | --- | --- |
//! | `list` | the daemon | state of every camera, why, and what to do |
//! | `series` | the daemon | how a camera was over the last hours |
//! | `snapshot` | the daemon | a picture, with masks |
//! | `accept-view` | the daemon | takes what a camera shows now as its usual view |
//! | `clip` | this process, told by the daemon what lies where | a film out of a recording |
//! | `probe` | a worker of this process | what one stream is like, and what to set in the camera |
//! | `discover` | this process | ONVIF cameras in the network, as configuration |
//!
//! What is measured goes to standard output, the rest to standard error.

mod accept_view;
mod clip;
mod discover;
mod list;
mod login;
mod probe;
mod series;
mod snapshot;

use std::path::Path;

use clap::Subcommand;

use super::UsageError;
use crate::config::{Camera, Config};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::List),
    Series(series::Series),
    Snapshot(snapshot::Snapshot),
    AcceptView(accept_view::AcceptView),
    Clip(clip::Clip),
    Probe(probe::Probe),
    Discover(discover::Discover),
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.verb {
        Verb::List(list) => list.run(),
        Verb::Series(series) => series.run(),
        Verb::Snapshot(snapshot) => snapshot.run(),
        Verb::AcceptView(accept) => accept.run(),
        Verb::Clip(clip) => clip.run(),
        Verb::Probe(probe) => probe.run(),
        Verb::Discover(discover) => discover.run(),
    }
}

/// The camera that a command names.
fn camera<'a>(config: &'a Config, file: &Path, name: &str) -> Result<&'a Camera, UsageError> {
    let found = config.cameras.iter().find(|camera| camera.id.as_str() == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = config.cameras.iter().map(|camera| camera.id.as_str()).collect();
        let known = match names.as_slice() {
            [] => "it has no cameras; `gateway cameras discover` finds them".to_owned(),
            names => format!("it has: {}", names.join(", ")),
        };
        UsageError(format!("{} has no camera \"{name}\"\n  hint: {known}", file.display()))
    })
}

/// Refuses a file among the recordings: it could take the place of one.
fn check_target(out: &Path, config: &Config) -> Result<(), UsageError> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let real = folder
        .canonicalize()
        .map_err(|error| UsageError(format!("cannot write into {}: {error}", folder.display())))?;
    let is_among = config
        .video
        .ring_dir
        .canonicalize()
        .is_ok_and(|ring| real.starts_with(ring));
    if is_among {
        let message = format!(
            "{} lies among the recordings\n  hint: name a file outside {}",
            out.display(),
            config.video.ring_dir.display()
        );
        return Err(UsageError(message));
    }
    Ok(())
}
