//! `gateway sensors send`: a command to a sensor.

use std::path::PathBuf;

use clap::Args;

use super::{downlink, sensor};
use crate::commands::load_config;
use crate::commands::local::Daemon;
use crate::daemon::local::sensors::{SendQuery, Sent};
use crate::sensors::codecs::{Downlink, hex};

#[derive(Debug, Args)]
pub(super) struct Send {
    /// The box's configuration, TOML.
    config: PathBuf,
    /// The sensor's id.
    sensor: String,
    /// The command, see `gateway sensors profiles`.
    command: String,
    /// Its arguments, as in hours=4.
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
}

impl Send {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let sensor = sensor(&config, &self.sensor)?;
        let Downlink { port, payload } = downlink(sensor.profile, &self.command, &self.arguments)?;
        let payload = hex(&payload);
        let shown = payload.clone();
        let query = query_of(&SendQuery { port, payload });
        let daemon = Daemon::at(&config.local.socket)?;
        let Sent { when_heard } = daemon.order(&format!("/sensors/{}/send?{query}", sensor.id))?;
        let when = if when_heard {
            "it goes to the network server when the sensor is heard for the first time since the daemon started"
        } else {
            "it goes to the network server, and the sensor hears it after its next uplink; what the network server does not have yet is lost when the daemon stops"
        };
        tell!("{}: {shown} on port {port}; {when}", sensor.id);
        Ok(())
    }
}

fn query_of(query: &SendQuery) -> String {
    format!("port={}&payload={}", query.port, query.payload)
}
