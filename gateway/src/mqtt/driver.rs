//! The task that drives rumqttc's event loop and turns what it yields into [`Event`]s.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS as WireQoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectProperties, Filter, LastWill, Packet, PubAck, PubAckReason, Publish, SubAck, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event as WireEvent, EventLoop, MqttOptions};
use rumqttc::{Outgoing, Transport};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::handles::{Ack, Duty, Events, Handed, Publisher, Shared};
use super::{Address, Event, Message, MqttError, Options, QoS};

/// Least keep-alive that rumqttc takes.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(5);
/// Places in the queues beside those for the windows: subscription, leave-taking, last error.
const QUEUE_EXTRA: usize = 8;

/// Longest time that a broker gets to close the connection after a DISCONNECT.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);
/// Why a session ended whose owner wanted it to.
const LEFT: &str = "left as asked";

/// Connects, and asks for the subscriptions of `options`; [`Event::Subscribed`] tells when they are granted.
pub async fn connect(options: &Options) -> Result<(Publisher, Events), MqttError> {
    let broker = options.address.to_string();
    let filters = check(options, &broker)?;
    let windows = usize::from(options.receive_maximum) + usize::from(options.publish_window) + QUEUE_EXTRA;
    let (client, mut event_loop) = AsyncClient::new(wire_options(options), windows);
    let connack = match timeout(options.answer_timeout, event_loop.poll()).await {
        Ok(Ok(WireEvent::Incoming(Packet::ConnAck(connack)))) => connack,
        Ok(Ok(other)) => return Err(lost(&broker, format!("expected CONNACK, got {other:?}"))),
        Ok(Err(error)) => return Err(connect_error(broker, options, &error)),
        Err(_) => {
            let reason = format!("no answer within {} s", options.answer_timeout.as_secs_f32());
            return Err(MqttError::Connect { broker, reason });
        }
    };
    let limits = Limits::new(options, &connack);
    if !filters.is_empty() && client.try_subscribe_many(filters).is_err() {
        return Err(lost(&broker, "the subscription found no place in the request queue"));
    }
    let (stop, stopped) = mpsc::channel(1);
    let (sender, receiver) = mpsc::channel(windows);
    let shared = Arc::new(Shared::new(
        broker,
        connack.session_present,
        limits.packet_bytes_max,
        limits.publish_window,
        client,
        stop,
    ));
    let driver = Driver {
        subscribe_packet: None,
        options: options.clone(),
        shared: EndRoom(Arc::clone(&shared)),
        in_flight: HashMap::new(),
        leaving: false,
        deadline: (!options.subscriptions.is_empty()).then(|| {
            (
                Instant::now() + options.answer_timeout,
                "no answer to the subscriptions",
            )
        }),
    };
    let task = tokio::spawn(driver.run(event_loop, sender, stopped)).abort_handle();
    Ok((Publisher(Arc::clone(&shared)), Events { receiver, shared, task }))
}

/// Refuses what rumqttc would accept and then wait on for ever; gives the filters to subscribe.
fn check(options: &Options, broker: &str) -> Result<Vec<Filter>, MqttError> {
    let wrong = |reason: &str| MqttError::Options {
        broker: broker.to_owned(),
        reason: reason.to_owned(),
    };
    if options.client_id.is_empty() && !options.clean_start {
        return Err(wrong("a session that outlives the connection needs a client id"));
    }
    if options.receive_maximum == 0 || options.publish_window == 0 {
        return Err(wrong("receive maximum and publish window are at least 1"));
    }
    if options.keep_alive < KEEP_ALIVE_MIN || options.keep_alive.as_secs() > u64::from(u16::MAX) {
        return Err(wrong("keep-alive is 5 to 65535 seconds"));
    }
    let filters = options.subscriptions.iter().map(|subscription| {
        if rumqttc::v5::mqttbytes::valid_filter(&subscription.filter) {
            Ok(Filter::new(subscription.filter.clone(), subscription.qos.into()))
        } else {
            Err(wrong(&format!("\"{}\" is no topic filter", subscription.filter)))
        }
    });
    filters.collect()
}

fn wire_options(options: &Options) -> MqttOptions {
    let (host, port) = match &options.address {
        Address::Tcp { host, port } => (host.clone(), *port),
        Address::Unix(path) => (path.to_string_lossy().into_owned(), 0),
    };
    let mut wire = MqttOptions::new(options.client_id.clone(), host, port);
    if matches!(options.address, Address::Unix(_)) {
        wire.set_transport(Transport::Unix);
    }
    if let Some(credentials) = &options.credentials {
        wire.set_credentials(credentials.username.clone(), credentials.password.clone());
    }
    if let Some(will) = &options.last_will {
        let payload = will.payload.to_vec();
        wire.set_last_will(LastWill::new(
            will.topic.clone(),
            payload,
            will.qos.into(),
            will.retain,
            None,
        ));
    }
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(u32::try_from(options.session_expiry.as_secs()).unwrap_or(u32::MAX));
    properties.receive_maximum = Some(options.receive_maximum);
    // Told to the broker, which then drops a larger message; not told, it would send it again and again.
    properties.max_packet_size = Some(options.packet_bytes_max);
    wire.set_connect_properties(properties)
        .set_clean_start(options.clean_start)
        .set_keep_alive(options.keep_alive)
        // `connect` has its own, finer timeout; this one only must not come first.
        .set_connection_timeout(options.answer_timeout.as_secs() + 1)
        .set_manual_acks(true)
        // One more than may be in flight: at its limit rumqttc sends nothing, not even acknowledgements.
        .set_outgoing_inflight_upper_limit(options.publish_window.saturating_add(1));
    wire
}

/// What both sides allow.
struct Limits {
    packet_bytes_max: usize,
    publish_window: usize,
}

impl Limits {
    fn new(options: &Options, connack: &ConnAck) -> Self {
        let properties = connack.properties.as_ref();
        let packet = properties.and_then(|p| p.max_packet_size).unwrap_or(u32::MAX);
        let receive = properties.and_then(|p| p.receive_max).unwrap_or(u16::MAX);
        Self {
            packet_bytes_max: usize::try_from(packet.min(options.packet_bytes_max)).unwrap_or(usize::MAX),
            publish_window: usize::from(options.publish_window.min(receive.saturating_sub(1).max(1))),
        }
    }
}

/// Wakes everyone who waits for room when the task ends, however it ends.
struct EndRoom(Arc<Shared>);

impl Drop for EndRoom {
    fn drop(&mut self) {
        self.0.room.close();
    }
}

struct Driver {
    options: Options,
    shared: EndRoom,
    /// Publishes of QoS 1 that the broker has not answered, by packet identifier.
    in_flight: HashMap<u16, Handed>,
    /// Packet identifier of the SUBSCRIBE that is not answered.
    subscribe_packet: Option<u16>,
    /// DISCONNECT is sent.
    leaving: bool,
    /// When to give up, and why.
    deadline: Option<(Instant, &'static str)>,
}

impl Driver {
    async fn run(
        mut self,
        mut event_loop: EventLoop,
        events: mpsc::Sender<Result<Event, MqttError>>,
        mut stopped: mpsc::Receiver<MqttError>,
    ) {
        // A poll yields at least with every ping; one that does not is stuck in writing to a peer that takes nothing.
        let stall = self.options.keep_alive * 2;
        let error = loop {
            let polled = tokio::select! {
                biased;
                Some(error) = stopped.recv() => break error,
                reason = expire(self.deadline) => break self.lost(reason),
                polled = timeout(stall, event_loop.poll()) => polled,
            };
            let event = match polled {
                Ok(Ok(event)) => self.translate(event),
                Ok(Err(_)) if self.leaving => break self.lost(LEFT),
                Ok(Err(error)) => break self.lost(&error.to_string()),
                Err(_) => break self.lost("it takes no data any more"),
            };
            match event {
                Ok(Some(event)) => {
                    if events.send(Ok(event)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => break error,
            }
        };
        // The connection goes before the owner is told, so that nothing it does next can still reach the broker here.
        drop(event_loop);
        drop(self);
        // Closed means that the owner has gone.
        let _gone = events.send(Err(error)).await;
    }

    fn translate(&mut self, event: WireEvent) -> Result<Option<Event>, MqttError> {
        match event {
            WireEvent::Incoming(Packet::Publish(publish)) => self.incoming(&publish).map(Some),
            WireEvent::Incoming(Packet::PubAck(puback)) => self.answered(&puback).map(Some),
            WireEvent::Incoming(Packet::SubAck(suback)) => self.subscribed(&suback).map(Some),
            WireEvent::Outgoing(Outgoing::Publish(packet)) => self.sent(packet).map(|()| None),
            WireEvent::Outgoing(Outgoing::Subscribe(packet)) => {
                self.subscribe_packet = Some(packet);
                Ok(None)
            }
            WireEvent::Outgoing(Outgoing::AwaitAck(packet)) => Err(self.lost(&format!(
                "it answers publishes out of order, packet identifier {packet} is still in use"
            ))),
            WireEvent::Outgoing(Outgoing::Disconnect) => {
                // Closed from here, what is on the way to the broker could be lost; closed from there, it has it all.
                self.leaving = true;
                self.deadline = Some((Instant::now() + LEAVE_TIME_MAX, LEFT));
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn incoming(&self, publish: &Publish) -> Result<Event, MqttError> {
        let topic = match std::str::from_utf8(&publish.topic) {
            Ok(topic) if !topic.is_empty() => topic.to_owned(),
            _ => return Err(self.lost("it sent a message without a readable topic")),
        };
        let shared = &self.shared.0;
        let (qos, ack) = match publish.qos {
            WireQoS::AtMostOnce => (QoS::AtMostOnce, Ack(None)),
            WireQoS::AtLeastOnce => {
                if shared.note_incoming(publish.pkid) > usize::from(self.options.receive_maximum) {
                    return Err(self.lost("it sent more unacknowledged messages than the receive maximum"));
                }
                let duty = Duty {
                    shared: Arc::clone(shared),
                    packet: publish.pkid,
                    topic: topic.clone(),
                };
                (QoS::AtLeastOnce, Ack(Some(duty)))
            }
            WireQoS::ExactlyOnce => return Err(self.lost("it sent a message of QoS 2, which nobody subscribed")),
        };
        Ok(Event::Message(Message {
            topic,
            payload: publish.payload.clone(),
            qos,
            retained: publish.retain,
            ack,
        }))
    }

    fn sent(&mut self, packet: u16) -> Result<(), MqttError> {
        let handed = self
            .shared
            .0
            .next_handed()
            .ok_or_else(|| self.lost("a publish of nobody was sent"))?;
        if packet != 0 {
            self.in_flight.insert(packet, handed);
        }
        Ok(())
    }

    fn answered(&mut self, puback: &PubAck) -> Result<Event, MqttError> {
        let Some(Handed { id, .. }) = self.in_flight.remove(&puback.pkid) else {
            return Err(self.lost(&format!("it acknowledged packet {}, which was not sent", puback.pkid)));
        };
        Ok(match puback.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Event::Published(id),
            reason => Event::Refused {
                id,
                reason: format!("{reason:?}"),
            },
        })
    }

    fn subscribed(&mut self, suback: &SubAck) -> Result<Event, MqttError> {
        let asked = &self.options.subscriptions;
        if self.subscribe_packet != Some(suback.pkid) || suback.return_codes.len() != asked.len() {
            return Err(self.lost("its SUBACK does not fit what was subscribed"));
        }
        for (subscription, code) in asked.iter().zip(&suback.return_codes) {
            let reason = match code {
                SubscribeReasonCode::Success(granted) if *granted as u8 >= WireQoS::from(subscription.qos) as u8 => {
                    continue;
                }
                SubscribeReasonCode::Success(granted) => format!("grants {granted:?} only"),
                code => format!("{code:?}"),
            };
            return Err(MqttError::Subscription {
                broker: self.shared.0.broker.clone(),
                filter: subscription.filter.clone(),
                reason,
            });
        }
        self.subscribe_packet = None;
        self.deadline = None;
        Ok(Event::Subscribed)
    }

    fn lost(&self, reason: &str) -> MqttError {
        lost(&self.shared.0.broker, reason)
    }
}

/// Waits for the time of `deadline`, for ever if there is none, and gives its reason.
async fn expire(deadline: Option<(Instant, &'static str)>) -> &'static str {
    match deadline {
        Some((time, reason)) => {
            sleep_until(time).await;
            reason
        }
        None => std::future::pending().await,
    }
}

fn lost(broker: &str, reason: impl Into<String>) -> MqttError {
    MqttError::Lost {
        broker: broker.to_owned(),
        reason: reason.into(),
    }
}

fn connect_error(broker: String, options: &Options, error: &ConnectionError) -> MqttError {
    match error {
        ConnectionError::ConnectionRefused(code) => MqttError::Rejected {
            broker,
            client_id: options.client_id.clone(),
            reason: format!("{code:?}"),
        },
        error => MqttError::Connect {
            broker,
            reason: error.to_string(),
        },
    }
}
