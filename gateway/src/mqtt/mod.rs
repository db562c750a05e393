//! One MQTT 5 session over rumqttc: connect, subscribe, publish, acknowledge, and end at the first error.
//!
//! rumqttc is only the wire. Its own way of reconnecting forgets accepted publishes when the broker has lost the
//! session, and can wedge when packet identifiers collide (bytebeamio/rumqtt#1056), so it is never allowed to: a
//! session that ends stays ended, and its owner builds a new one with [`connect`].
//!
//! What a session promises:
//!
//! - Messages of QoS 1 are acknowledged to the broker only by [`Ack::acknowledge`], in the order in which they came
//!   (MQTT 5, section 4.6). An [`Ack`] belongs to its session: used after the end it reaches nobody. One that is
//!   dropped ends the session, because the broker repeats a message only to a new connection.
//! - A publish takes [`Room`], of which there is only as much as the broker lets be in flight, less one, so that
//!   acknowledgements never wait behind publishes. Every publish of QoS 1 is told again by its [`PublishId`] when
//!   the broker has answered.
//! - A peer that stops answering, in the middle of whatever, is noticed within twice the keep-alive time.
//! - Bounds: `receive_maximum` messages unacknowledged, `publish_window` publishes, `packet_bytes_max` a packet; the
//!   event queue holds both windows, so only messages of QoS 0 can make it wait.

mod driver;
mod handles;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

pub use driver::connect;
pub use handles::{Ack, Events, Publisher, Room};

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Plain TCP.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket, such as the near end of the TLS dialer.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// User name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password; never printed.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Quality of service. Exactly once (2) is not used: the journal and the receipts are what makes things exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QoS {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Topic, without wildcards.
    pub topic: String,
    /// Content.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: QoS,
    /// Kept by the broker for later subscribers.
    pub retain: bool,
}

/// A subscription that is made, and checked, at the begin of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Topic filter, wildcards and `$share/` allowed.
    pub filter: String,
    /// Quality of service; less than this granted counts as refused.
    pub qos: QoS,
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// The broker.
    pub address: Address,
    /// Client identifier; it names the session that the broker keeps.
    pub client_id: String,
    /// User name and password, if the broker wants them.
    pub credentials: Option<Credentials>,
    /// Asks the broker to forget what it kept for this client.
    pub clean_start: bool,
    /// How long the broker keeps the session of an absent client, whole seconds.
    pub session_expiry: Duration,
    /// Time between pings, whole seconds, at least 5.
    pub keep_alive: Duration,
    /// Longest time to a connection, and again to the answer to the subscriptions.
    pub answer_timeout: Duration,
    /// Most messages of QoS 1 that may wait for their acknowledgement by us.
    pub receive_maximum: u16,
    /// Most publishes that may wait for the broker's; the broker may want less.
    pub publish_window: u16,
    /// Largest packet in both directions, bytes; the broker may want less.
    pub packet_bytes_max: u32,
    /// What the broker publishes when this client disappears.
    pub last_will: Option<Publication>,
    /// What to subscribe.
    pub subscriptions: Vec<Subscription>,
}

impl Options {
    /// A persistent session kept for seven days, 64 messages unacknowledged in each direction, packets up to 1 MiB.
    pub fn new(address: Address, client_id: impl Into<String>) -> Self {
        Self {
            address,
            client_id: client_id.into(),
            credentials: None,
            clean_start: false,
            session_expiry: Duration::from_hours(7 * 24),
            keep_alive: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(20),
            receive_maximum: 64,
            publish_window: 64,
            packet_bytes_max: 1024 * 1024,
            last_will: None,
            subscriptions: Vec::new(),
        }
    }
}

/// Names one publish within its session; they count up from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishId(pub(crate) u64);

/// What happens in a session.
#[derive(Debug)]
pub enum Event {
    /// All subscriptions are granted. Messages for an older subscription of the same session can come before this.
    Subscribed,
    /// A message came.
    Message(Message),
    /// The broker has taken over a publish of QoS 1.
    Published(PublishId),
    /// The broker will not take a publish of QoS 1.
    Refused {
        /// Which.
        id: PublishId,
        /// The broker's reason.
        reason: String,
    },
}

/// A message that came.
#[derive(Debug)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its content.
    pub payload: Bytes,
    /// Its quality of service.
    pub qos: QoS,
    /// It was kept by the broker from before the subscription.
    pub retained: bool,
    /// Acknowledges it; does nothing for QoS 0.
    pub ack: Ack,
}

/// Whether a topic is one of a filter.
pub fn matches(topic: &str, filter: &str) -> bool {
    rumqttc::v5::mqttbytes::matches(topic, filter)
}

/// Whether a text is a topic filter (MQTT 5, section 4.7), and not one that is shared with others.
pub fn is_filter(text: &str) -> bool {
    rumqttc::v5::mqttbytes::valid_filter(text) && !text.starts_with("$share/")
}

/// Whether a topic may be one of both filters.
pub fn overlap(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (one.split('/'), other.split('/'));
    loop {
        match (ones.next(), others.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(one), Some(other)) if one == "+" || other == "+" || one == other => {}
            _ => return false,
        }
    }
}

/// Why there is no session, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// The options hold something that MQTT cannot.
    #[error("MQTT session with {broker}: {reason}")]
    Options {
        /// The broker.
        broker: String,
        /// What is wrong.
        reason: String,
    },
    /// No connection came about.
    #[error(
        "cannot connect to the MQTT broker at {broker}: {reason}; check that it runs and that the address is right"
    )]
    Connect {
        /// The broker.
        broker: String,
        /// What happened.
        reason: String,
    },
    /// The broker refused the client.
    #[error("the MQTT broker at {broker} refused client \"{client_id}\": {reason}; check user name, password and ACL")]
    Rejected {
        /// The broker.
        broker: String,
        /// Who was refused.
        client_id: String,
        /// The broker's reason.
        reason: String,
    },
    /// The broker refused a subscription.
    #[error("the MQTT broker at {broker} refused the subscription to {filter}: {reason}; check its ACL")]
    Subscription {
        /// The broker.
        broker: String,
        /// The topic filter.
        filter: String,
        /// The broker's reason.
        reason: String,
    },
    /// The connection broke, or one side broke the protocol.
    #[error("lost the MQTT broker at {broker}: {reason}")]
    Lost {
        /// The broker.
        broker: String,
        /// What happened.
        reason: String,
    },
    /// A message was given back unacknowledged; the broker repeats it to the next session.
    #[error("gave a message of topic {topic} back to the MQTT broker at {broker}, which repeats it")]
    GivenBack {
        /// The broker.
        broker: String,
        /// Topic of the message.
        topic: String,
    },
    /// A publish is larger than the broker or the options allow.
    #[error("a packet of {bytes} bytes to {topic} is larger than the {max} that {broker} takes; send smaller messages")]
    TooLarge {
        /// The broker.
        broker: String,
        /// Topic of the publish.
        topic: String,
        /// Its size as a packet, bytes.
        bytes: usize,
        /// The largest allowed, bytes.
        max: usize,
    },
    /// A topic to publish to is empty, too long or holds a wildcard.
    #[error("\"{topic}\" is no topic to publish to at {broker}: 1 to 65535 bytes without '+', '#' and NUL")]
    Topic {
        /// The broker.
        broker: String,
        /// The topic.
        topic: String,
    },
    /// The session has ended; the first who asked was told why.
    #[error("the session with the MQTT broker at {broker} has ended")]
    Ended {
        /// The broker.
        broker: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_overlap_where_a_topic_is_of_both() {
        for (one, other, both) in [
            ("a/b", "a/b", true),
            ("a/b", "a/c", false),
            ("a/+", "a/b", true),
            ("+/b", "a/+", true),
            ("+/b", "a/c", false),
            ("a/#", "a", true),
            ("a/#", "b/#", false),
            ("#", "a/b/c", true),
            ("a/b", "a/b/c", false),
        ] {
            assert_eq!(
                (overlap(one, other), overlap(other, one)),
                (both, both),
                "{one} {other}"
            );
        }
        assert!(is_filter("+/cabinet/+") && !is_filter("$share/x/a") && !is_filter("a/#/b"));
    }
}
