//! `gateway sensors calibrate`: no vehicle is at a magnetometer's space.

use std::path::PathBuf;

use clap::Args;

use super::sensor;
use crate::commands::load_config;
use crate::commands::local::Daemon;
use crate::daemon::local::sensors::Calibrated;

#[derive(Debug, Args)]
pub(super) struct Calibrate {
    /// The box's configuration, TOML.
    config: PathBuf,
    /// The sensor's id.
    sensor: String,
}

impl Calibrate {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let sensor = sensor(&config, &self.sensor)?;
        let daemon = Daemon::at(&config.local.socket)?;
        let Calibrated { baseline } = daemon.order(&format!("/sensors/{}/calibrate", sensor.id))?;
        tell!(
            "{}: the field without a vehicle is {:.1} {:.1} {:.1} µT; the space is free from now on",
            sensor.id,
            baseline.x / 1_000.0,
            baseline.y / 1_000.0,
            baseline.z / 1_000.0
        );
        Ok(())
    }
}
