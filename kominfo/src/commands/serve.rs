//! `kominfo serve`: receive from the broker and answer on the web.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use ledger::Cosigner;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Place, shown};
use crate::dialer::{Target, TlsFiles};
use crate::files;
use crate::serve::City;

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
