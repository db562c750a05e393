//! The running city: receives from the broker, answers on the web, and stops in order.

mod receive;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ledger::Cosigner;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::clock;
use crate::dialer::Target;
use crate::ingest::Ingest;
use crate::live;
use crate::store::Store;
use crate::web::Web;

/// How long open answers may take to end when the program stops.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// What a city runs with.
pub struct City {
    /// The database.
    pub store: Store,
    /// The key that receipts are signed with.
    pub cosigner: Cosigner,
    /// Where to listen for people and programs.
    pub listen: SocketAddr,
    /// The broker.
    pub broker: Target,
    /// Name at the broker; another for each instance.
    pub client_id: String,
    /// Count records of a made-up clock.
    pub accept_simulated: bool,
    /// Live view from afar, if it is offered.
    pub live: Option<live::Settings>,
}

impl City {
    /// Runs until `stop`; says on standard output where it listens.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        // Whatever ends this, nothing goes on behind its back.
        let _stopped = stop.clone().drop_guard();
        let store = self.store;
        store
            .put_cosigner(&self.cosigner.verifier().to_vkey(), clock::now())
            .await?;
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("cannot listen on {}", self.listen))?;
        let address = listener.local_addr()?;
        let ingest = Arc::new(Ingest::new(store.clone(), self.cosigner, self.accept_simulated));
        let (publishers, publisher) = watch::channel(None);
        let relay = match self.live {
            Some(settings) => Some(live::start(settings, store.clone(), publisher, stop.clone()).await?),
            None => None,
        };
        let receiving = receive::receive(ingest, self.broker, self.client_id, publishers, stop.clone());
        let receiving = AbortOnDropHandle::new(tokio::spawn(receiving));
        let web = Web::new(store.clone(), relay.clone(), stop.clone()).router();
        let web = web.into_make_service_with_connect_info::<SocketAddr>();
        println!("listening on http://{address}");

        let until = stop.clone();
        let serving = axum::serve(listener, web).with_graceful_shutdown(async move { until.cancelled().await });
        let out_of_time = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_WAIT).await;
        };
        tokio::select! {
            served = serving.into_future() => served.context("the web server failed")?,
            () = out_of_time => tracing::warn!("an answer on the web did not end in time"),
        }
        stop.cancel();
        if let Some(relay) = relay
            && tokio::time::timeout(STOP_WAIT, relay.finish()).await.is_err()
        {
            tracing::warn!("a live view did not end in time");
        }
        receiving.await?;
        store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}
