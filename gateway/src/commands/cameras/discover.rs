//! `gateway cameras discover`: ONVIF cameras in the network, what is wrong with their settings, and their sections of the
//! configuration.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::login::Login;
use crate::cameras::discovery::{
    Credentials, DiscoverError, HTTP_PORTS, Interface, Interfaces, MULTICAST_TARGET, Now, Options, Report,
    config_sections, discover, table,
};
use crate::clock::WallClock;
use crate::commands::UsageError;
use crate::commands::time;

/// Looks for ONVIF cameras and prints their sections of the configuration. Changes nothing in a camera.
#[derive(Debug, Args)]
pub struct Discover {
    /// Interface to look through, by name or address; may be given several times. Default: all, or none with --host.
    #[arg(long, value_name = "NAME|ADDRESS")]
    interface: Vec<Interface>,
    /// Camera to ask itself, by address; may be given several times.
    #[arg(long, value_name = "IP")]
    host: Vec<IpAddr>,
    #[command(flatten)]
    login: Login,
    /// Seconds to wait, for cameras to call and for each of their answers.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
    /// Prints the sections only.
    #[arg(long)]
    config_only: bool,
}

impl Discover {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let credentials = self.login.read()?;
        let interfaces = match (self.interface.as_slice(), self.host.as_slice()) {
            ([], []) => Interfaces::All,
            ([], _) => Interfaces::None,
            (these, _) => Interfaces::These(these.to_vec()),
        };
        let time_limit = Duration::from_secs(self.timeout);
        let options = Options {
            interfaces,
            hosts: self.host.clone(),
            credentials: credentials.map(|(user, password)| Credentials { user, password }),
            listen: time_limit,
            request_timeout: time_limit,
            target: MULTICAST_TARGET,
            http_ports: HTTP_PORTS.to_vec(),
        };
        let now: Now = Arc::new(|| time::of(WallClock::read().at));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = match runtime.block_on(discover(&options, &now)) {
            Ok(report) => report,
            Err(DiscoverError::Nowhere(errors)) => {
                for error in &errors {
                    eprintln!("warning: {error}");
                }
                return Err(UsageError(DiscoverError::Nowhere(errors).to_string()).into());
            }
            Err(error) => return Err(error.into()),
        };
        self.tell(&report)
    }

    fn tell(&self, report: &Report) -> anyhow::Result<()> {
        for error in &report.errors {
            eprintln!("warning: {error}");
        }
        for host in &report.silent {
            eprintln!("warning: {host} speaks no ONVIF on ports {}", ports());
        }
        let sections = config_sections(&report.found);
        if self.config_only {
            tell!("{}", sections.trim_end());
            return Ok(());
        }
        if !WallClock::read().synchronised {
            eprintln!("note: this machine's own clock is not synchronised; the column CLOCK is measured by it");
        }
        if report.found.is_empty() {
            eprintln!(
                "hint: switch ONVIF on in the cameras, look for a firewall that drops UDP from port 3702, or name a camera with --host"
            );
        }
        tell!("{}", table(&report.found).trim_end());
        if !sections.is_empty() {
            tell!("\n# For the configuration:\n\n{}", sections.trim_end());
        }
        Ok(())
    }
}

fn ports() -> String {
    HTTP_PORTS.map(|port| port.to_string()).join(", ")
}
