//! The MQTT broker that a driver takes messages from.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{SecretError, read_secret};
use crate::mqtt::{self, Address, Credentials, Events, MqttError, Publisher, Subscription};

/// Waits before the broker is tried again.
pub(super) const WAIT_MIN: Duration = Duration::from_millis(250);
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);
/// A session that lasted so long was a good one, milliseconds.
pub(super) const GOOD_SESSION_MS: u64 = 60_000;
/// Longest time to take leave of the broker.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);

/// Where messages are.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Host of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and the file of its password, if the broker wants them. The file is read at every connection.
    pub login: Option<(String, PathBuf)>,
    /// Names the session that the broker keeps; must not change.
    pub client_id: String,
    /// Most messages taken from the broker and not yet on disk.
    pub unacknowledged_max: u16,
}

impl Broker {
    /// Connects and subscribes; `clean_start` has the broker forget what it kept for this client.
    pub(super) async fn connect(
        &self,
        subscriptions: Vec<Subscription>,
        clean_start: bool,
        cancel: &CancellationToken,
    ) -> Result<(Publisher, Events), Ended> {
        let options = mqtt::Options {
            clean_start,
            ..self.options(subscriptions)?
        };
        tokio::select! {
            () = cancel.cancelled() => Err(Ended::ByUs),
            connected = mqtt::connect(&options) => Ok(connected?),
        }
    }

    fn options(&self, subscriptions: Vec<Subscription>) -> Result<mqtt::Options, SecretError> {
        let Self {
            host,
            port,
            login,
            client_id,
            unacknowledged_max,
        } = self;
        let credentials = match login {
            None => None,
            Some((username, file)) => Some(Credentials {
                username: username.clone(),
                password: read_secret(file)?,
            }),
        };
        let address = Address::Tcp {
            host: host.clone(),
            port: *port,
        };
        Ok(mqtt::Options {
            credentials,
            receive_maximum: *unacknowledged_max,
            subscriptions,
            ..mqtt::Options::new(address, client_id.clone())
        })
    }
}

/// Why a connection is over.
pub(super) enum Ended {
    /// Cancelled, or nobody receives any more.
    ByUs,
    /// The broker, or the way to it.
    Failed(String),
}

impl From<MqttError> for Ended {
    fn from(error: MqttError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<SecretError> for Ended {
    fn from(error: SecretError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Takes leave of the broker, so that it learns of what was journalled up to now.
pub(super) async fn leave(publisher: &Publisher, events: &mut Events) {
    if publisher.disconnect().is_err() {
        return;
    }
    // Kept until the end: dropped before, a message ends the session at once. Bounded by the receive maximum.
    let mut unread = Vec::new();
    let end = async {
        while let Ok(event) = events.next().await {
            unread.push(event);
        }
    };
    // Too late is no loss: what the broker did not learn it sends again.
    let _late = tokio::time::timeout(LEAVE_TIME_MAX, end).await;
}
