//! `gateway cameras snapshot`: a picture of a camera, from the running daemon, which burns the masks in.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{camera, check_target};
use crate::commands::load_config;
use crate::commands::local::{AskError, Daemon};
use crate::commands::time;
use crate::daemon::local::cameras::{AT_HEADER, CLOCK_HEADER};

/// Saves a picture of a camera, with its masks.
#[derive(Debug, Args)]
pub struct Snapshot {
    /// The box's configuration, TOML.
    config: PathBuf,
    /// The camera's id.
    camera: String,
    /// File to write, JPEG.
    #[arg(long, value_name = "FILE.jpg")]
    out: PathBuf,
    /// Greatest width, pixels.
    #[arg(long, default_value_t = 1_920, value_parser = clap::value_parser!(u16).range(64..=3_840))]
    width: u16,
    /// The moment, as in 2026-11-22T10:15:30; only the last half minute is kept. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Snapshot {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let zone = config.site.timezone;
        let camera = camera(&config, &self.config, &self.camera)?;
        check_target(&self.out, &config)?;
        let mut path = format!("/cameras/{}/snapshot?width={}", camera.id, self.width);
        if let Some(at) = &self.at {
            path.push_str("&at=");
            path.push_str(&time::parse(at, zone)?.to_string());
        }
        let asked = Daemon::at(&config.local.socket)?.fetch(&path);
        let answer = asked.map_err(|error| self.explained(error))?;
        let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
        keep(&self.out, &answer.body).with_context(|| format!("cannot write {}", self.out.display()))?;
        let at = header(AT_HEADER).and_then(|at| at.parse().ok());
        let at = at.map_or_else(|| "?".to_owned(), |at| time::exact(at, zone));
        tell!(
            "{}: {} at {at} (clock {}), {} bytes",
            self.out.display(),
            camera.id,
            header(CLOCK_HEADER).unwrap_or("unknown"),
            answer.body.len()
        );
        Ok(())
    }
}

impl Snapshot {
    fn explained(&self, error: AskError) -> anyhow::Error {
        match error {
            AskError::Refused { message, .. } if self.at.is_some() => anyhow::anyhow!(
                "the daemon says: {message}\n  hint: pictures of the last half minute are kept; for an earlier moment see `gateway cameras clip`"
            ),
            error => error.into(),
        }
    }
}

/// Writes the whole picture or none.
fn keep(path: &Path, jpeg: &[u8]) -> std::io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".partial");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .and_then(|mut file| file.write_all(jpeg));
    let kept = written.and_then(|()| std::fs::rename(&part, path));
    if kept.is_err() {
        std::fs::remove_file(&part).ok();
    }
    kept
}
