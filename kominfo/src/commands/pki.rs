//! `kominfo pki`: the certificates of the city's servers.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Subcommand;
use parking::GatewayId;

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
    /// Make a certificate by which boxes know an instance of kominfo that they send live view to
    Live {
        /// Folder of the authority, as `kominfo pki init` made it
        #[arg(long, value_name = "DIR")]
        pki: PathBuf,
        /// Name of the files: NAME.crt and NAME.key
        #[arg(long, default_value = "live", value_parser = file_name)]
        name: String,
        /// DNS name of the instance; may be repeated
        #[arg(long, value_name = "NAME")]
        dns: Vec<String>,
        /// IP address of the instance; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        ip: Vec<IpAddr>,
    },
}

/// A name that stays in its folder and is none of the authority's own.
fn file_name(text: &str) -> Result<String, String> {
    match GatewayId::new(text) {
        Ok(_) if !["ca", "broker"].contains(&text) => Ok(text.to_owned()),
        _ => Err("use letters, digits, - and _".to_owned()),
    }
}

impl Pki {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Init { out, dns, ip } => {
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
            }
            Self::Live { pki, name, dns, ip } => {
                anyhow::ensure!(
                    !dns.is_empty() || !ip.is_empty(),
                    "say how boxes call this instance: --dns live.example.id or --ip 203.0.113.7"
                );
                pki::live(&pki, &name, &dns, &ip)?;
                tell!("{}", shown(&pki.join(format!("{name}.crt"))));
                tell!("{}", shown(&pki.join(format!("{name}.key"))));
                eprintln!("for `kominfo serve --live-cert --live-key`");
            }
        }
        Ok(())
    }
}
