//! `kominfo box`: register boxes, list them, clear their alarms.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use ledger::LogVerifier;
use parking::GatewayId;

use super::{Place, shown};
use crate::store::AlarmCode;
use crate::{clock, files, pki};

#[derive(Debug, Subcommand)]
pub(super) enum Boxes {
    /// Register a box: its log's key, and a certificate for the broker
    Add(Add),
    /// List the boxes
    List,
    /// Clear alarms of a box after looking into them
    ClearAlarm {
        /// The box
        #[arg(long)]
        id: GatewayId,
        /// Only this alarm, as `box list` and the page name it; all when left out
        #[arg(long, value_parser = code)]
        code: Option<AlarmCode>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name of the box
    #[arg(long)]
    id: GatewayId,
    /// Its log's public key (`ledger.vkey`)
    #[arg(long, value_name = "FILE")]
    vkey: PathBuf,
    /// Its certificate signing request (`tls.csr`)
    #[arg(long, value_name = "FILE", requires = "certificate_out", requires = "pki")]
    csr: Option<PathBuf>,
    /// Where to write its certificate
    #[arg(long, value_name = "FILE", requires = "csr")]
    certificate_out: Option<PathBuf>,
    /// Folder of the authority, as `kominfo pki init` made it
    #[arg(long, value_name = "DIR", requires = "csr")]
    pki: Option<PathBuf>,
}

impl Boxes {
    pub(super) async fn run(self, place: &Place) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run(place).await,
            Self::List => list(place).await,
            Self::ClearAlarm { id, code } => {
                let store = place.open().await?;
                let cleared = store.clear_alarms(&id, code, clock::now()).await?;
                store.close().await;
                ensure!(cleared > 0, "no such alarm stands for box {id}");
                tell!("{cleared}");
                Ok(())
            }
        }
    }
}

impl Add {
    async fn run(self, place: &Place) -> anyhow::Result<()> {
        let key = files::read(&self.vkey)?;
        let verifier = LogVerifier::from_vkey(key.trim()).with_context(|| format!("{}", shown(&self.vkey)))?;
        ensure!(self.id.as_str() != pki::KOMINFO, pki::PkiError::Reserved);
        ensure!(
            verifier.name().rsplit('/').next() == Some(self.id.as_str()),
            "{}: the key is of log \"{}\", which is not a log of box \"{}\"",
            shown(&self.vkey),
            verifier.name(),
            self.id
        );
        // The request is looked at before the box is registered, and the certificate is handed out after that.
        let certificate = match (&self.pki, &self.csr) {
            (Some(folder), Some(request)) => Some(pki::sign_box(folder, &self.id, request)?),
            _ => None,
        };
        let store = place.open().await?;
        let added = store.enrol(&self.id, &verifier, clock::now()).await?;
        store.close().await;
        if !added {
            bail!(
                "box {} is registered with another key; a box with a new key needs a new name, as its log begins anew",
                self.id
            );
        }
        if let (Some(path), Some(certificate)) = (&self.certificate_out, certificate) {
            files::replace(path, certificate.as_bytes())?;
            tell!("{}", shown(path));
        }
        eprintln!("box {} is registered", self.id);
        Ok(())
    }
}

async fn list(place: &Place) -> anyhow::Result<()> {
    let store = place.open().await?;
    let (logs, alarms, links) = (
        store.logs(None).await?,
        store.alarms(clock::now()).await?,
        store.links().await?,
    );
    store.close().await;
    tell!(
        "{:<24} {:>10} {:<8} {:<24} alarms",
        "box",
        "records",
        "link",
        "last receipt"
    );
    for log in logs {
        let link = links.iter().find(|link| link.gateway == log.gateway.as_str());
        let link = link.map_or("unknown", |link| if link.online { "online" } else { "offline" });
        let receipt = log.receipt.map_or_else(
            || "none".to_owned(),
            |receipt| parking::Timestamp::from_seconds(i64::try_from(receipt.time_s).unwrap_or(0)).to_string(),
        );
        let codes: Vec<_> = alarms
            .iter()
            .filter(|alarm| alarm.gateway == log.gateway.as_str())
            .collect();
        let codes: Vec<_> = codes.iter().map(|alarm| alarm.code.as_str()).collect();
        tell!(
            "{:<24} {:>10} {:<8} {:<24} {}",
            log.gateway,
            log.size,
            link,
            receipt,
            codes.join(" ")
        );
    }
    Ok(())
}

fn code(name: &str) -> Result<AlarmCode, String> {
    AlarmCode::from_name(name).ok_or_else(|| {
        let known: Vec<_> = AlarmCode::ALL.into_iter().map(AlarmCode::as_str).collect();
        format!("no such alarm: use one of {}", known.join(", "))
    })
}
