//! One session with the city's broker, MQTT 5. The only place that names the client library.
//!
//! A session never reconnects: any error ends it and its owner opens the next, with a new client. The library would
//! otherwise send acknowledgements of one connection on the next, and can wedge on packet identifiers. So an
//! acknowledgement belongs to the session that its message came in, and is void afterwards.
//!
//! Sessions are clean and end with the connection: the broker gives what a dead instance did not acknowledge to the
//! others of the shared subscription, or drops it, and the boxes send from their last receipt what nobody has answered.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::Transport;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, PublishProperties, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

use crate::dialer::{DialError, Dialer, Target};

/// Messages that the broker may send before any of them is acknowledged.
pub const IN_FLIGHT_MAX: u16 = 64;
/// Largest packet in either direction, bytes.
pub const PACKET_BYTES_MAX: u32 = 1 << 20;
/// Commands that the broker has not acknowledged; while there are so many, receipts and acknowledgements wait too.
const COMMANDS_IN_FLIGHT_MAX: u16 = 16;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const CONNECT_WAIT_S: u64 = 25;
/// Requests on their way to the library: acknowledgements, receipts and commands. Who adds one waits while it is full.
const REQUESTS_MAX: usize = 64;

/// Why a session ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// There is no way to the broker.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection failed.
    #[error("broker {broker}: {why}")]
    Connection {
        /// The broker's address.
        broker: String,
        /// Why.
        why: String,
    },
    /// The broker does not let us listen.
    #[error("broker {broker} refuses the subscription to {topic}: {why}; check its access rules (acl)")]
    Subscription {
        /// The broker's address.
        broker: String,
        /// The topics.
        topic: String,
        /// The broker's reason.
        why: String,
    },
    /// The session is over.
    #[error("the session with the broker has ended")]
    Ended,
}

/// A message that came in.
#[derive(Debug)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its contents.
    pub payload: Bytes,
    /// To be given back when it needs not come again.
    pub acknowledgement: Acknowledgement,
}

/// The right to acknowledge one message of one session.
#[derive(Debug)]
pub struct Acknowledgement {
    client: AsyncClient,
    message: Publish,
}

impl Acknowledgement {
    /// Whether the broker waits for it: not for messages that were sent at most once (QoS 0).
    pub fn is_wanted(&self) -> bool {
        self.message.qos != QoS::AtMostOnce
    }

    /// Tells the broker that the message is taken. Fails, harmlessly, when the session is over.
    pub async fn send(self) -> Result<(), MqttError> {
        self.client.ack(&self.message).await.map_err(|_| MqttError::Ended)
    }
}

/// Sends messages in a session.
#[derive(Debug, Clone)]
pub struct Publisher {
    client: AsyncClient,
}

impl Publisher {
    /// Sends a message that the broker keeps for those who come later; at most once (QoS 0).
    pub async fn retain(&self, topic: &str, payload: Vec<u8>) -> Result<(), MqttError> {
        let sent = self.client.publish(topic, QoS::AtMostOnce, true, payload).await;
        sent.map_err(|_| MqttError::Ended)
    }

    /// Sends a message that the broker keeps for a client that is away, at least once (QoS 1), for at most `expiry`.
    pub async fn command(&self, topic: &str, payload: Vec<u8>, expiry: Duration) -> Result<(), MqttError> {
        let properties = PublishProperties {
            message_expiry_interval: Some(u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX)),
            ..PublishProperties::default()
        };
        let sent = self
            .client
            .publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties)
            .await;
        sent.map_err(|_| MqttError::Ended)
    }
}

/// A session with the broker. Nothing moves, in either direction, unless [`Session::next`] is being awaited.
pub struct Session {
    client: AsyncClient,
    events: EventLoop,
    dialer: Dialer,
    broker: String,
    topics: String,
    /// What came in before the broker's answer to the subscription.
    early: VecDeque<Publish>,
}

impl Session {
    /// Connects as `client_id` and subscribes, QoS 1, to `topics`. The broker's answer to the subscription is awaited.
    pub async fn open(target: &Target, client_id: &str, topics: &[String]) -> Result<(Self, Publisher), MqttError> {
        let dialer = Dialer::open(target.clone())?;
        let mut options = MqttOptions::new(client_id, dialer.path(), 0);
        options
            .set_transport(Transport::Unix)
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(true)
            .set_manual_acks(true)
            .set_receive_maximum(Some(IN_FLIGHT_MAX))
            .set_max_packet_size(Some(PACKET_BYTES_MAX))
            .set_connection_timeout(CONNECT_WAIT_S);
        // The library would set memory aside for 65,535.
        options.set_outgoing_inflight_upper_limit(COMMANDS_IN_FLIGHT_MAX);
        let (client, events) = AsyncClient::new(options, REQUESTS_MAX);
        let mut session = Self {
            client: client.clone(),
            events,
            dialer,
            broker: target.address().to_owned(),
            topics: topics.join(", "),
            early: VecDeque::new(),
        };
        let filters = topics.iter().map(|topic| Filter::new(topic.as_str(), QoS::AtLeastOnce));
        client.subscribe_many(filters).await.map_err(|_| MqttError::Ended)?;
        while !session.subscribed().await? {}
        Ok((session, Publisher { client }))
    }

    async fn subscribed(&mut self) -> Result<bool, MqttError> {
        let answer = match self.poll().await? {
            Event::Incoming(Packet::SubAck(answer)) => answer,
            Event::Incoming(Packet::Publish(message)) => {
                self.early.push_back(message);
                return Ok(false);
            }
            _ => return Ok(false),
        };
        let refused = |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
        match answer.return_codes.iter().find(refused) {
            None => Ok(true),
            Some(code) => Err(MqttError::Subscription {
                broker: self.broker.clone(),
                topic: self.topics.clone(),
                why: format!("{code:?}"),
            }),
        }
    }

    async fn poll(&mut self) -> Result<Event, MqttError> {
        self.events.poll().await.map_err(|error| MqttError::Connection {
            broker: self.broker.clone(),
            why: self.dialer.last_error().unwrap_or_else(|| error.to_string()),
        })
    }

    /// The next message. After an error the session is over.
    pub async fn next(&mut self) -> Result<Message, MqttError> {
        let message = loop {
            if let Some(message) = self.early.pop_front() {
                break message;
            }
            if let Event::Incoming(Packet::Publish(message)) = self.poll().await? {
                break message;
            }
        };
        Ok(Message {
            topic: String::from_utf8_lossy(&message.topic).into_owned(),
            payload: message.payload.clone(),
            acknowledgement: Acknowledgement {
                client: self.client.clone(),
                message,
            },
        })
    }
}
