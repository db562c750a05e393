//! Signs commands and gives them to the broker.

use std::sync::Mutex;
use std::time::Duration;

use ledger::TextSigner;
use live::command::{self, AGE_MAX, CommandError, Destination, LiveCommand, Order, Ready, Start, StreamId};
use live::link::{Reach, Reason};
use live::message::UnixMillis;
use parking::{GatewayId, Timestamp};
use tokio::sync::watch;

use super::StreamKey;
use super::ready::READY_TTL;
use super::stream::TTL;
use crate::clock;
use crate::mqtt::{MqttError, Publisher};

/// How long a command may wait for its turn in the session.
const PUBLISH_WAIT: Duration = Duration::from_secs(2);

/// Why a command was not given to the broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CourierError {
    /// There is no session.
    #[error("no session with the broker")]
    NoSession,
    /// The session did not take it in time.
    #[error("the session with the broker did not take a command in time")]
    Slow,
    /// The session ended.
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    /// It could not be made.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Signs commands and gives them to a session.
#[derive(Debug)]
pub(crate) struct Commander {
    signer: TextSigner,
    /// Of the newest command, so that no two have the same.
    issued: Mutex<Option<UnixMillis>>,
}

impl Commander {
    pub(crate) fn new(signer: TextSigner) -> Self {
        Self {
            signer,
            issued: Mutex::default(),
        }
    }

    /// The public text of its key.
    pub(crate) fn vkey(&self) -> String {
        self.signer.verifier().to_vkey()
    }

    /// Sends a command to the box whose log is `origin`.
    pub(crate) async fn send(
        &self,
        publisher: &Publisher,
        gateway: &GatewayId,
        origin: &str,
        (id, order): (StreamId, Order),
    ) -> Result<(), CourierError> {
        let issued = self.next_time(clock::now());
        let command = LiveCommand { id, issued, order };
        let payload = command::sign(&command, &command::origin_of(origin), &self.signer)?;
        let topic = format!("parkir/1/{gateway}/command");
        // A box that comes back later would refuse it for its age.
        let sending = publisher.command(&topic, payload, AGE_MAX);
        let sent = tokio::time::timeout(PUBLISH_WAIT, sending).await;
        Ok(sent.map_err(|_| CourierError::Slow)??)
    }

    /// The time to put on a command: later than on all before.
    fn next_time(&self, now: Timestamp) -> UnixMillis {
        let mut issued = self.issued.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let after = issued.map_or(1, |last| last.get().saturating_add(1));
        let millis = u64::try_from(now.as_millis()).unwrap_or(0).max(after);
        let next = UnixMillis::new(millis).unwrap_or(UnixMillis::MAX);
        *issued = Some(next);
        next
    }
}

#[derive(Debug)]
pub(super) struct Courier {
    commander: Commander,
    /// Public text of its key.
    vkey: String,
    address: String,
    publishers: watch::Receiver<Option<Publisher>>,
}

impl Courier {
    pub(super) fn new(signer: TextSigner, address: String, publishers: watch::Receiver<Option<Publisher>>) -> Self {
        let commander = Commander::new(signer);
        Self {
            vkey: commander.vkey(),
            commander,
            address,
            publishers,
        }
    }

    /// Why a box of this reach would refuse what [`Courier::ask`] sends it.
    pub(super) fn refused_by(&self, reach: &Reach) -> Option<Reason> {
        reach.refuses(&self.address, &self.vkey)
    }

    /// Asks for a stream, or for its continuation. `origin`: that of the box's log.
    pub(super) async fn ask(&self, key: &StreamKey, origin: &str, id: StreamId) -> Result<(), CourierError> {
        let order = Order::Start(Start {
            camera: key.camera.clone(),
            profile: key.profile,
            ttl: TTL,
            to: Destination::Kominfo {
                server: self.address.clone(),
            },
        });
        self.send(&key.gateway, origin, id, order).await
    }

    /// Asks for the end of a stream.
    pub(super) async fn stop(&self, key: &StreamKey, origin: &str, id: StreamId) -> Result<(), CourierError> {
        self.send(&key.gateway, origin, id, Order::Stop).await
    }

    /// Asks for a connection that waits, or for its continuation.
    pub(super) async fn ready(&self, gateway: &GatewayId, origin: &str, id: StreamId) -> Result<(), CourierError> {
        let order = Order::Ready(Ready {
            ttl: READY_TTL,
            server: self.address.clone(),
        });
        self.send(gateway, origin, id, order).await
    }

    async fn send(&self, gateway: &GatewayId, origin: &str, id: StreamId, order: Order) -> Result<(), CourierError> {
        let publisher = self.publishers.borrow().clone().ok_or(CourierError::NoSession)?;
        self.commander.send(&publisher, gateway, origin, (id, order)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_commands_have_the_same_time_even_when_the_clock_stands_or_goes_back() {
        let signer = TextSigner::generate("c", &mut rand_core::OsRng).unwrap();
        let commander = Commander::new(signer);
        let times = [5, 5, 5, 3, 9].map(|now| commander.next_time(Timestamp::from_millis(now)).get());
        assert_eq!(times, [5, 6, 7, 8, 9]);
    }
}
