//! `kominfo rebuild`: derive sessions and occupancy again from the records.

use anyhow::ensure;
use clap::Args;
use parking::GatewayId;

use super::Place;
use crate::audit;

#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// Only this box
    #[arg(long = "box", value_name = "ID")]
    gateway: Option<GatewayId>,
}

impl Rebuild {
    pub(super) async fn run(self, place: &Place) -> anyhow::Result<()> {
        let store = place.open().await?;
        let gateways: Vec<_> = match self.gateway {
            Some(gateway) => vec![gateway],
            None => store.boxes().await?.into_iter().map(|row| row.gateway).collect(),
        };
        for gateway in gateways {
            let derived = audit::rebuild(&store, &gateway).await?;
            ensure!(derived.is_some(), "box {gateway} is not registered");
            if let Some(derived) = derived {
                tell!(
                    "{gateway} sessions {} occupancy {} events {}",
                    derived.sessions.len(),
                    derived.occupancy.len(),
                    derived.events.len()
                );
            }
        }
        store.close().await;
        Ok(())
    }
}
