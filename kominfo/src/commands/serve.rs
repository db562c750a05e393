//! `kominfo serve`: receive from the broker and answer on the web.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use ledger::{Cosigner, TextSigner};
use live::command::is_server;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Place, shown};
use crate::dialer::Target;
use crate::live::{Settings, WATCH_MAX};
use crate::serve::City;
use crate::tls::TlsFiles;
use crate::{files, tls};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address for the page and the interface; port 0 takes any free one. There is no sign-on: put a proxy in front
    /// before you open it to a network
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The broker's address
    #[arg(long, value_name = "mqtts://HOST[:PORT]")]
    mqtt: String,
    /// The authority that signed the broker's certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// kominfo's certificate
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The key that receipts are signed with (`kominfo keygen`); the same for all instances
    #[arg(long, value_name = "FILE")]
    cosigner_key: PathBuf,
    /// Name of this instance; each that runs on one database needs another
    #[arg(long, default_value = "1")]
    instance: String,
    /// Count records of boxes with a made-up clock: for demonstrations and tests
    #[arg(long)]
    accept_simulated: bool,
    #[command(flatten)]
    live: Live,
}

/// What live view needs: all of it, or it is not offered.
#[derive(Debug, Args)]
struct Live {
    /// The key that commands to boxes are signed with (`kominfo keygen`); the same for all instances
    #[arg(long, value_name = "FILE", requires_all = ["live_listen", "live_address", "live_cert", "live_key"])]
    command_key: Option<PathBuf>,
    /// Address for boxes that send live view
    #[arg(
        long = "live-listen",
        id = "live_listen",
        value_name = "ADDRESS:PORT",
        requires = "command_key"
    )]
    listen: Option<SocketAddr>,
    /// How boxes reach this instance there
    #[arg(long = "live-address", id = "live_address", value_name = "HOST:PORT", requires = "command_key", value_parser = server)]
    address: Option<String>,
    /// Certificate for that host (`kominfo pki live`)
    #[arg(long = "live-cert", id = "live_cert", value_name = "FILE", requires = "command_key")]
    cert: Option<PathBuf>,
    /// Its private key
    #[arg(long = "live-key", id = "live_key", value_name = "FILE", requires = "command_key")]
    key: Option<PathBuf>,
    /// The authority that signed the boxes' certificates; --ca when left out
    #[arg(long = "live-ca", id = "live_ca", value_name = "FILE", requires = "command_key")]
    ca: Option<PathBuf>,
}

fn server(text: &str) -> Result<String, String> {
    if is_server(text) {
        Ok(text.to_owned())
    } else {
        Err("like live.example.id:8443".to_owned())
    }
}

impl Live {
    fn settings(&self, ca: Option<&PathBuf>) -> anyhow::Result<Option<Settings>> {
        let (Some(command_key), Some(listen), Some(address), Some(certificate), Some(key)) =
            (&self.command_key, self.listen, &self.address, &self.cert, &self.key)
        else {
            return Ok(None);
        };
        let text = files::read_private(command_key)?;
        let ca = self.ca.as_ref().or(ca);
        let ca = ca.context("live view needs --live-ca, or --ca: whom to believe as a box")?;
        // Refuses a key that others may read.
        files::read_private(key)?;
        Ok(Some(Settings {
            signer: TextSigner::from_text(text.trim()).with_context(|| format!("{}", shown(command_key)))?,
            listen,
            address: address.clone(),
            tls: tls::server(TlsFiles { ca, certificate, key })?,
            watch_max: WATCH_MAX,
        }))
    }
}

impl Serve {
    pub(super) async fn run(self, place: &Place) -> anyhow::Result<()> {
        let key = files::read_private(&self.cosigner_key)?;
        let cosigner = Cosigner::from_text(key.trim()).with_context(|| format!("{}", shown(&self.cosigner_key)))?;
        let files = match (&self.ca, &self.cert, &self.key) {
            (Some(ca), Some(certificate), Some(key)) => Some(TlsFiles { ca, certificate, key }),
            _ => None,
        };
        let city = City {
            broker: Target::new(&self.mqtt, files)?,
            store: place.open().await?,
            cosigner,
            listen: self.listen,
            client_id: format!("kominfo-{}", self.instance),
            accept_simulated: self.accept_simulated,
            live: self.live.settings(self.ca.as_ref())?,
        };
        let stop = CancellationToken::new();
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let asked = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("stopping; a second signal ends at once");
            asked.cancel();
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(1);
        });
        city.run(stop).await
    }
}
