//! Sensors behind a LoRaWAN network server: `ChirpStack` v4, over the MQTT broker that it publishes to.
//!
//! The broker keeps a session for this client, so uplinks wait there while the box is off, and each is acknowledged
//! only when it is on disk. `ChirpStack` publishes with QoS 0 unless told otherwise: its integration needs `qos=1`, or
//! what is published while the box is away is lost before it gets here.
//!
//! Unusable uplinks are acknowledged too: they would come for ever.

mod asking;
pub mod envelope;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking::{ClockQuality, Reading, Report, ReportKind, SensorId, Stamp, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::asking::{Asking, Orders, Place, is_fresh};
use self::envelope::{Encoding, EnvelopeError, PAYLOAD_BYTES_MAX, Uplink};
use super::backoff::Backoff;
use super::broker::{Broker, Ended, GOOD_SESSION_MS, WAIT_MAX, WAIT_MIN, leave};
use super::codecs::{CodecError, Decoded, Downlink};
use super::{
    AbsurdTime, BoundSensor, Delivery, Done, Driver, DriverContext, DriverState, Item, Outcome, Profile, SetAside,
    observed,
};
use crate::mqtt::{Event, Message, MqttError, Publisher, QoS, Subscription};

/// Uplinks of all devices of all applications.
const UPLINKS: &str = "application/+/device/+/event/up";
/// Orders on their way to the driver.
const WANTED_MAX: usize = 8;

/// The driver.
pub struct ChirpStack {
    broker: Broker,
    wanted: mpsc::Receiver<Order>,
    orders: Orders,
    utc_offset_s: i32,
}

/// Something that a sensor is to be told.
struct Order {
    sensor: SensorId,
    downlink: Downlink,
    answer: oneshot::Sender<Option<bool>>,
}

/// Takes orders to sensors.
#[derive(Debug, Clone)]
pub struct Commander(mpsc::Sender<Order>);

/// What becomes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// It goes to the network server as soon as there is a connection; that sends it after the sensor's next uplink.
    Now,
    /// The sensor has to be heard first.
    WhenHeard,
}

/// An order that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The sensor does not speak.
    #[error(
        "too many orders for this sensor wait already: it has not been heard, or there is no connection to the network server's broker (`gateway status` tells)"
    )]
    TooMany,
    /// No LoRaWAN frame is so long.
    #[error("{0} bytes; a LoRaWAN frame carries at most {PAYLOAD_BYTES_MAX}")]
    TooLong(usize),
    /// The daemon stops.
    #[error("the daemon is stopping")]
    Stopping,
}

impl Commander {
    /// Has a sensor told something. What waits is lost when the daemon stops.
    ///
    /// # Errors
    /// When it is too long, or too much waits.
    pub async fn send(&self, sensor: SensorId, downlink: Downlink) -> Result<Sending, OrderError> {
        if downlink.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(OrderError::TooLong(downlink.payload.len()));
        }
        let (answer, answered) = oneshot::channel();
        let order = Order {
            sensor,
            downlink,
            answer,
        };
        self.0.send(order).await.map_err(|_| OrderError::Stopping)?;
        match answered.await.map_err(|_| OrderError::Stopping)? {
            Some(true) => Ok(Sending::Now),
            Some(false) => Ok(Sending::WhenHeard),
            None => Err(OrderError::TooMany),
        }
    }
}

impl ChirpStack {
    /// A driver for the broker that `ChirpStack` publishes to, at a place whose time is so far ahead of UTC.
    pub fn new(broker: Broker, utc_offset_s: i32) -> (Self, Commander) {
        let (sender, wanted) = mpsc::channel(WANTED_MAX);
        let driver = Self {
            broker,
            wanted,
            orders: Orders::default(),
            utc_offset_s,
        };
        (driver, Commander(sender))
    }

    fn take_order(&mut self, order: Order) {
        let Order {
            sensor,
            downlink,
            answer,
        } = order;
        // Who has gone may ask again.
        if answer.is_closed() {
            return;
        }
        answer.send(self.orders.take(&sensor, downlink)).ok();
    }

    /// Publishes orders as long as there is room.
    fn give_orders(&mut self, publisher: &Publisher) -> Result<(), MqttError> {
        while let Some((sensor, publication)) = self.orders.next()
            && let Some(room) = publisher.try_room()
        {
            let id = room.publish(publication)?;
            self.orders.published(&sensor, id);
        }
        Ok(())
    }

    async fn run_until_cancelled(mut self, context: DriverContext, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = check_scripts(&context) => {}
        }
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        loop {
            let began_ms = (context.clock)().mono_ms;
            let progress = Arc::new(AtomicBool::new(false));
            let reason = match self.session(&context, &cancel, &progress).await {
                Ended::ByUs => break,
                Ended::Failed(reason) => reason,
            };
            self.orders.cut_off();
            let lasted_ms = (context.clock)().mono_ms.saturating_sub(began_ms);
            if progress.load(Ordering::Relaxed) || lasted_ms >= GOOD_SESSION_MS {
                backoff.reset();
            }
            context.status.set_state(DriverState::Waiting { reason });
            let again = Instant::now() + backoff.next_wait();
            while Instant::now() < again && !cancel.is_cancelled() {
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = tokio::time::sleep_until(again) => {}
                    Some(order) = self.wanted.recv() => self.take_order(order),
                }
            }
            if cancel.is_cancelled() {
                break;
            }
        }
        context.status.set_state(DriverState::Stopped);
    }

    /// One connection, from begin to end.
    async fn session(
        &mut self,
        context: &DriverContext,
        cancel: &CancellationToken,
        progress: &Arc<AtomicBool>,
    ) -> Ended {
        let uplinks = Subscription {
            filter: UPLINKS.to_owned(),
            qos: QoS::AtLeastOnce,
        };
        let (publisher, mut events) = match self.broker.connect(vec![uplinks], false, cancel).await {
            Ok(connected) => connected,
            Err(ended) => return ended,
        };
        let mut asking = Asking::default();
        loop {
            if let Err(error) = self.give_orders(&publisher) {
                return error.into();
            }
            let event = tokio::select! {
                Some(order) = self.wanted.recv() => {
                    self.take_order(order);
                    continue;
                }
                () = cancel.cancelled() => {
                    leave(&publisher, &mut events).await;
                    return Ended::ByUs;
                }
                event = events.next() => event,
            };
            let message = match event {
                Ok(Event::Message(message)) => message,
                Ok(Event::Subscribed) => {
                    context.status.set_state(DriverState::Connected);
                    continue;
                }
                Ok(Event::Published(id)) => {
                    if let Some(sensor) = self.orders.answered(id) {
                        tracing::info!(%sensor, "an order of somebody at the box is with the network server");
                    }
                    continue;
                }
                // A question that the broker refused is asked again in its time.
                Ok(Event::Refused { id, reason }) => {
                    if let Some(sensor) = self.orders.answered(id) {
                        let reason = format!("the broker refused an order to it: {reason}; check the account's rights");
                        let now = (context.clock)();
                        context.status.set_aside("order", sensor.as_str(), &reason, &now);
                    }
                    continue;
                }
                Err(error) => return error.into(),
            };
            // What the broker kept comes before its answer to the subscription.
            context.status.set_state(DriverState::Connected);
            let topic = message.topic.clone();
            let encoding = Encoding::of(&message.payload);
            let delivery = tokio::select! {
                // A script may take its time.
                () = cancel.cancelled() => return Ended::ByUs,
                delivery = take(context, message, progress, self.utc_offset_s) => delivery,
            };
            let Some((delivery, answer)) = delivery else { continue };
            let (Item::Reading {
                reading: Reading { sensor, .. },
                ..
            }
            | Item::SetAside(SetAside { sensor, .. })) = &delivery.item;
            let place = Place::of(&topic, encoding);
            if let Some(place) = &place {
                self.orders.heard(place, sensor);
            }
            if let (Item::Reading { reading, .. }, Some(place)) = (&delivery.item, &place) {
                let answer = answer.map(|answer| place.down(sensor, &answer));
                for question in answer.into_iter().chain(asking.due(context, place, reading)) {
                    // Without room for it the uplinks go first.
                    if let Some(room) = publisher.try_room()
                        && let Err(error) = room.publish(question)
                    {
                        return error.into();
                    }
                }
            }
            tokio::select! {
                () = cancel.cancelled() => return Ended::ByUs,
                sent = context.sink.send(delivery) => if sent.is_err() {
                    return Ended::ByUs;
                },
            }
        }
    }
}

impl Driver for ChirpStack {
    fn name(&self) -> &'static str {
        "chirpstack"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        self.run_until_cancelled(context, cancel).boxed()
    }
}

/// Tells of scripts that are none, before the first uplink shows it.
async fn check_scripts(context: &DriverContext) {
    let mut profiles: Vec<&Profile> = context.sensors.values().map(|bound| bound.profile).collect();
    profiles.sort_unstable_by_key(|profile| &profile.name);
    profiles.dedup();
    for profile in profiles {
        let Some(script) = profile.script() else { continue };
        if let Err(reason) = script.check().await {
            context
                .status
                .set_aside("script", &profile.name, &reason, &(context.clock)());
        }
    }
}

/// Why an uplink cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("topic is of device {topic}, message of {message}")]
    Mismatch { topic: String, message: String },
    #[error("no sensor with this devEui is bound here; bind it in the configuration or ignore it")]
    Unbound,
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Time(#[from] AbsurdTime),
}

impl Unusable {
    fn kind(&self) -> &'static str {
        match self {
            Self::Envelope(_) => "envelope",
            Self::Mismatch { .. } => "mismatch",
            Self::Unbound => "unbound",
            Self::Codec(_) => "codec",
            Self::Time(_) => "time",
        }
    }
}

/// Makes a delivery of a message, with what its sensor has to be told at once; acknowledges at once what is of no sensor here.
async fn take(
    context: &DriverContext,
    message: Message,
    progress: &Arc<AtomicBool>,
    utc_offset_s: i32,
) -> Option<(Delivery, Option<Downlink>)> {
    let received = (context.clock)();
    let Message {
        topic, payload, ack, ..
    } = message;
    let topic_eui = device_of(&topic);
    let mut waited_for = None;
    let item = match read(context, topic_eui.as_deref(), &payload, received).await {
        Ok(Understood { reading, decoded, port }) => {
            context.status.count_reading();
            waited_for = answer(context, &reading, &decoded, port, utc_offset_s);
            Item::Reading {
                reading,
                health: decoded.health,
            }
        }
        Err((unusable, observed)) => {
            let reason = unusable.to_string();
            let device = topic_eui.unwrap_or(topic);
            context.status.set_aside(unusable.kind(), &device, &reason, &received);
            let Some((sensor, _)) = bound(context, &device) else {
                ack.acknowledge();
                return None;
            };
            Item::SetAside(SetAside {
                sensor,
                observed,
                received,
                reason,
            })
        }
    };
    let progress = Arc::clone(progress);
    let done = Done::new(move |outcome| match outcome {
        Outcome::Journalled => {
            progress.store(true, Ordering::Relaxed);
            ack.acknowledge();
        }
        // Unacknowledged, the message ends the session; the broker brings it again to the next.
        Outcome::Refused | Outcome::Dropped => drop(ack),
    });
    Some((Delivery { item, done }, waited_for))
}

/// What a sensor waits for after this report, if it still listens.
fn answer(
    context: &DriverContext,
    reading: &Reading,
    decoded: &Decoded,
    port: u8,
    utc_offset_s: i32,
) -> Option<Downlink> {
    if reading.received.clock == ClockQuality::Unset || !is_fresh(reading) {
        return None;
    }
    let bound = context.sensors.get(&reading.sensor)?;
    bound.profile.answer(port, decoded, reading.received.at, utc_offset_s)
}

/// An uplink that was read.
struct Understood {
    reading: Reading,
    decoded: Decoded,
    port: u8,
}

/// Reads an uplink; with an error comes the best known time of the report.
async fn read(
    context: &DriverContext,
    topic_eui: Option<&str>,
    payload: &[u8],
    received: Stamp,
) -> Result<Understood, (Unusable, Timestamp)> {
    let came = received.at.floor_to_second();
    let uplink = Uplink::parse(payload).map_err(|error| (error.into(), came))?;
    if let Some(topic) = topic_eui.filter(|topic| *topic != uplink.dev_eui) {
        let mismatch = Unusable::Mismatch {
            topic: topic.to_owned(),
            message: uplink.dev_eui,
        };
        return Err((mismatch, came));
    }
    let (sensor, bound) = bound(context, &uplink.dev_eui).ok_or((Unusable::Unbound, came))?;
    let claimed = uplink.time.map(|time| Timestamp::from_millis(time.as_millisecond()));
    let observed = observed(claimed, &received).map_err(|error| (error.into(), came))?;
    let mut decoded = if uplink.is_network_only() {
        let report = Report {
            kind: ReportKind::Other,
            ..Report::default()
        };
        Decoded {
            report,
            ..Decoded::default()
        }
    } else {
        bound
            .decode(uplink.f_port, &uplink.payload, observed)
            .await
            .map_err(|error| (error.into(), observed))?
    };
    decoded.health.rssi_dbm = uplink.rssi_dbm;
    decoded.health.snr_db = uplink.snr_db;
    Ok(Understood {
        reading: Reading {
            sensor,
            observed,
            received,
            sequence: Some(uplink.f_cnt),
            message: uplink.message,
            report: decoded.report.clone(),
        },
        decoded,
        port: uplink.f_port,
    })
}

fn bound(context: &DriverContext, dev_eui: &str) -> Option<(SensorId, BoundSensor)> {
    let sensor = SensorId::new(dev_eui).ok()?;
    let bound = *context.sensors.get(&sensor)?;
    Some((sensor, bound))
}

/// The device EUI in a topic `application/A/device/D/event/up`.
fn device_of(topic: &str) -> Option<String> {
    let mut levels = topic.split('/').skip_while(|level| *level != "device").skip(1);
    envelope::normal_dev_eui(levels.next()?)
}
