//! `kominfo pki`: the certificates of the city's broker.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Subcommand;

use super::shown;
use crate::pki;

#[derive(Debug, Subcommand)]
pub(super) enum Pki {
    /// Make an authority, the broker's certificate and kominfo's own
    Init {
        /// Folder for the certificates and keys
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// DNS name of the broker; may be repeated
        #[arg(long, value_name = "NAME")]
        dns: Vec<String>,
        /// IP address of the broker; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        ip: Vec<IpAddr>,
    },
}

impl Pki {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self::Init { out, dns, ip } = self;
        anyhow::ensure!(
            !dns.is_empty() || !ip.is_empty(),
            "say under which name or address the broker is called: --dns broker.example.id or --ip 203.0.113.7"
        );
        pki::init(&out, &dns, &ip)?;
        tell!("{}", shown(&out));
        eprintln!("ca.crt          for the broker, kominfo and every box: whom to believe");
        eprintln!("ca.key          secret; needed only to add boxes: keep it off the server if you can");
        eprintln!("broker.*        for the broker (see deploy/mosquitto/city.conf)");
        eprintln!("kominfo-client.* for `kominfo serve --cert --key`");
        Ok(())
    }
}
