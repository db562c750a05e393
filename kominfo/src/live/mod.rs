//! Live view from afar: from a box's camera to people in front of the portal.
//!
//! ```text
//!  viewer --GET /live/ws--> [viewer] --join--> [relay] hub of (box, camera, profile)
//!                                                 |  ^
//!                     [courier] <--- ask, stop ---+  +--- messages --- [arrival] <--GET /live/ID-- box
//!                         |                                               |
//!                         +--> broker --> parkir/1/BOX/command --> box    +-- [listener]: mutual TLS, bounds
//! ```
//!
//! [`stream`] decides (pure), [`relay`] does what it says, one task a stream. The relay does not look into the media.
//! While a page shows a box's cameras, [`ready`] has the box hold a connection on which its next stream begins at once.
//!
//! **Invariants.** A box is asked for a stream only while somebody watches it here, and for at most one of each camera and
//! profile; for a connection that waits only while a page shows its cameras, and for at most one. A box's connection is taken only with an identifier that this instance has given to this very box, once.
//! Whatever a box sends ends its own connection at worst. Nobody sees a picture without a row in `live_views`.
//!
//! **Several instances.** Each serves its own viewers, with its own address in its commands; nothing is shared. Two of
//! them that show the same camera make the box send it twice.

mod arrival;
mod courier;
mod listener;
mod ready;
mod relay;
mod stream;
mod viewer;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use ledger::TextSigner;
use live::command::Profile;
use parking::GatewayId;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::mqtt::Publisher;
use crate::store::Store;

pub(crate) use courier::Commander;
pub use ready::{BOXES_A_PAGE_MAX, ReadyError};
pub use relay::{Relay, WatchError};
pub(crate) use relay::{fresh, reach};
pub(crate) use stream::TTL;
pub use viewer::{Viewing, WATCH_MAX};

/// Viewers of one stream; a further one is told that there is no place.
pub const VIEWERS_A_STREAM_MAX: u32 = 64;

/// How long the end of a connection may take; then it is dropped.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Which stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// The box.
    pub gateway: GatewayId,
    /// Its camera.
    pub camera: String,
    /// Which of the camera's streams.
    pub profile: Profile,
}

/// What live view needs.
pub struct Settings {
    /// The key that commands are signed with.
    pub signer: TextSigner,
    /// Where to listen for boxes.
    pub listen: SocketAddr,
    /// How boxes reach that: `HOST:PORT`.
    pub address: String,
    /// Certificate and key for it, and whom to believe as a box.
    pub tls: ServerConfig,
    /// How long somebody watches until asked whether to go on; [`WATCH_MAX`] but for tests.
    pub watch_max: Duration,
}

/// Begins to listen for boxes, until `stop`. `publishers` has the session with the broker while there is one.
pub async fn start(
    settings: Settings,
    store: Store,
    publishers: watch::Receiver<Option<Publisher>>,
    stop: CancellationToken,
) -> anyhow::Result<Relay> {
    let tcp = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen for boxes on {}", settings.listen))?;
    let listener = listener::TlsListener::new(tcp, settings.tls)?;
    let courier = courier::Courier::new(settings.signer, settings.address, publishers);
    let relay = Relay::new(courier, store, settings.watch_max, stop.clone());
    tokio::spawn(arrival::serve(listener, relay.clone(), stop));
    Ok(relay)
}
