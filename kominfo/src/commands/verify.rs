//! `kominfo verify`: recompute everything from the records, and compare.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use parking::GatewayId;

use super::{Place, cosigners};
use crate::audit;

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Only this box
    #[arg(long = "box", value_name = "ID")]
    gateway: Option<GatewayId>,
    /// The city's public key, from a file instead of the database; may be repeated
    #[arg(long, value_name = "FILE")]
    kominfo_vkey: Vec<PathBuf>,
}

impl Verify {
    pub(super) async fn run(self, place: &Place) -> anyhow::Result<()> {
        let store = place.open().await?;
        let cosigners = cosigners(&store, &self.kominfo_vkey).await?;
        let mut snapshot = store.snapshot().await?;
        let logs = snapshot.logs(self.gateway.as_ref()).await?;
        if let Some(gateway) = &self.gateway {
            ensure!(!logs.is_empty(), "box {gateway} is not registered");
        }
        for log in &logs {
            let audit = audit::verify(&mut snapshot, log, &cosigners).await?;
            tell!(
                "{} size {} root {} sessions {} occupancy {} events {} undecodable {} ok",
                audit.gateway,
                audit.size,
                audit.root,
                audit.sessions,
                audit.occupancy,
                audit.events,
                audit.undecodable
            );
        }
        drop(snapshot);
        store.close().await;
        Ok(())
    }
}
