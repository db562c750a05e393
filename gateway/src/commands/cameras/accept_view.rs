//! `gateway cameras accept-view`: a camera was turned on purpose, and what it shows now is its usual view.

use std::path::PathBuf;

use clap::Args;

use super::camera;
use crate::commands::load_config;
use crate::commands::local::Daemon;

/// Takes what a camera shows now as its usual view, after it was turned on purpose.
#[derive(Debug, Args)]
pub struct AcceptView {
    /// The box's configuration, TOML.
    config: PathBuf,
    /// The camera's id.
    camera: String,
}

impl AcceptView {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let camera = camera(&config, &self.config, &self.camera)?;
        Daemon::at(&config.local.socket)?.tell(&format!("/cameras/{}/accept-view", camera.id))?;
        tell!("{}: learns its usual view and detail anew from now on", camera.id);
        Ok(())
    }
}
