//! Sensors that publish their state themselves, as JSON or as a word, to an MQTT broker: Zigbee2MQTT, Tasmota, ESPHome,
//! cameras with ONVIF Profile M. A profile says where in a message stands what ([`Fields`]), the site which topic is which
//! sensor's. A message that tells nothing of what is at a sensor is passed over: others may write to its topics too.
//!
//! Several sensors may share a topic, and a topic's message is acknowledged when it is on disk for all of them. Sensors that
//! give the time of what they report may be `queued`: the broker keeps their messages while the box is off. For all others it
//! keeps none, because nobody would know of when they are; a message that the broker retained is passed over for the same reason.
//!
//! [`Fields`]: super::Fields

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking::{Reading, ReportKind, SensorId, Stamp, Timestamp};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::broker::{Broker, Ended, GOOD_SESSION_MS, WAIT_MAX, WAIT_MIN, leave};
use super::codecs::Health;
use super::fields::{Place, Understood};
use super::{BoundSensor, Delivery, Done, Driver, DriverContext, DriverState, Item, Outcome, SetAside, observed};
use crate::mqtt::{self, Ack, Event, Message, QoS, Subscription};

/// A sensor and where it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The sensor.
    pub sensor: SensorId,
    /// Its topic, wildcards allowed.
    pub filter: String,
    /// Which of the sensors of a message it is.
    pub channel: String,
    /// The broker keeps its messages while the box is off.
    pub queued: bool,
}

/// The driver.
#[derive(Debug)]
pub struct MqttJson {
    broker: Broker,
    topics: Vec<Topic>,
    /// Seconds by which the city's clock is before UTC.
    utc_offset_s: i32,
}

impl MqttJson {
    /// A driver for sensors of one broker.
    pub fn new(broker: Broker, topics: Vec<Topic>, utc_offset_s: i32) -> Self {
        Self {
            broker,
            topics,
            utc_offset_s,
        }
    }

    async fn run_until_cancelled(self, context: DriverContext, cancel: CancellationToken) {
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        loop {
            let began_ms = (context.clock)().mono_ms;
            let progress = Arc::new(AtomicBool::new(false));
            let reason = match self.session(&context, &cancel, &progress).await {
                Ended::ByUs => break,
                Ended::Failed(reason) => reason,
            };
            let lasted_ms = (context.clock)().mono_ms.saturating_sub(began_ms);
            if progress.load(Ordering::Relaxed) || lasted_ms >= GOOD_SESSION_MS {
                backoff.reset();
            }
            context.status.set_state(DriverState::Waiting { reason });
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
        context.status.set_state(DriverState::Stopped);
    }

    /// One connection, from begin to end.
    async fn session(&self, context: &DriverContext, cancel: &CancellationToken, progress: &Arc<AtomicBool>) -> Ended {
        let is_kept = self.topics.iter().any(|topic| topic.queued);
        let connected = self.broker.connect(self.subscriptions(), !is_kept, cancel).await;
        let (publisher, mut events) = match connected {
            Ok(connected) => connected,
            Err(ended) => return ended,
        };
        let mut heard = Heard::new();
        loop {
            let event = tokio::select! {
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
                Ok(Event::Published(_) | Event::Refused { .. }) => continue,
                Err(error) => return error.into(),
            };
            context.status.set_state(DriverState::Connected);
            for delivery in self.take(context, message, &mut heard, progress) {
                tokio::select! {
                    () = cancel.cancelled() => return Ended::ByUs,
                    sent = context.sink.send(delivery) => if sent.is_err() {
                        return Ended::ByUs;
                    },
                }
            }
        }
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        let mut filters: BTreeMap<&str, bool> = BTreeMap::new();
        for topic in &self.topics {
            *filters.entry(&topic.filter).or_default() |= topic.queued;
        }
        let subscription = |(filter, is_queued): (&str, bool)| Subscription {
            filter: filter.to_owned(),
            qos: if is_queued { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        };
        filters.into_iter().map(subscription).collect()
    }

    /// A delivery for each sensor that a message is for.
    fn take(
        &self,
        context: &DriverContext,
        message: Message,
        heard: &mut Heard,
        progress: &Arc<AtomicBool>,
    ) -> Vec<Delivery> {
        let received = (context.clock)();
        let Message {
            topic,
            payload,
            retained,
            ack,
            ..
        } = message;
        let items: Vec<Item> = self
            .topics
            .iter()
            .filter(|known| mqtt::matches(&topic, &known.filter))
            .filter_map(|known| {
                let bound = context.sensors.get(&known.sensor)?;
                let item = self.item(context, known, *bound, &payload, received, retained)?;
                Some(seen(heard, *bound, item))
            })
            .collect();
        if items.is_empty() {
            ack.acknowledge();
            return Vec::new();
        }
        let all = Arc::new(Together(Mutex::new((Some(ack), items.len()))));
        let deliver = |item| {
            let (all, progress) = (Arc::clone(&all), Arc::clone(progress));
            let done = Done::new(move |outcome| all.one(outcome, &progress));
            Delivery { item, done }
        };
        items.into_iter().map(deliver).collect()
    }

    /// What a message says of one sensor; none when it is not for that one.
    fn item(
        &self,
        context: &DriverContext,
        topic: &Topic,
        bound: BoundSensor,
        payload: &[u8],
        received: Stamp,
        is_retained: bool,
    ) -> Option<Item> {
        let fields = bound.profile.fields.as_ref()?;
        let place = Place {
            channel: &topic.channel,
            utc_offset_s: self.utc_offset_s,
        };
        let understood = match parse(payload) {
            Ok(message) if !fields.is_for(&message, place) => return None,
            Ok(message) => fields
                .read(&message, place)
                .map_err(|error| ("field", error.to_string())),
            Err(error) => Err(("text", error.to_string())),
        };
        let timed = match understood {
            // Another message of its topic: that somebody spoke there is no sign of what is at the sensor.
            Ok(understood) if understood.tells_nothing() => return None,
            // Of a time that nobody knows.
            Ok(Understood { observed: None, .. }) if is_retained => return None,
            Ok(Understood { observed: None, .. }) if topic.queued => {
                let reason = "it may have waited, and does not say of when it is";
                Err(("time", reason.to_owned()))
            }
            Ok(understood) => observed(understood.observed, &received)
                .map(|at| (at, understood))
                .map_err(|error| ("time", error.to_string())),
            Err(error) => Err(error),
        };
        let (at, understood) = match timed {
            Ok(timed) => timed,
            Err((kind, reason)) => {
                let sensor = topic.sensor.clone();
                context.status.set_aside(kind, sensor.as_str(), &reason, &received);
                return Some(Item::SetAside(SetAside {
                    sensor,
                    observed: received.at.floor_to_second(),
                    received,
                    reason,
                }));
            }
        };
        context.status.count_reading();
        let (reading, health) = reading(topic.sensor.clone(), bound, understood, at, received);
        Some(Item::Reading { reading, health })
    }
}

impl Driver for MqttJson {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        self.run_until_cancelled(context, cancel).boxed()
    }
}

/// The states that sensors have told in this session.
type Heard = HashMap<SensorId, bool>;

/// A model that speaks when its state changes has seen the change if it told another state before, in this session. What was
/// said while there was no session nobody knows.
fn seen(heard: &mut Heard, bound: BoundSensor, mut item: Item) -> Item {
    if let Item::Reading { reading, .. } = &mut item
        && let Some(is_occupied) = reading.report.occupied
    {
        let before = heard.insert(reading.sensor.clone(), is_occupied);
        let is_change = before == Some(!is_occupied);
        match reading.report.kind {
            ReportKind::Heartbeat if is_change && bound.profile.on_change => reading.report.kind = ReportKind::Status,
            ReportKind::Status if !is_change => reading.report.kind = ReportKind::Heartbeat,
            _ => {}
        }
    }
    item
}

/// One acknowledgement for several deliveries, and how many of them are not on disk.
struct Together(Mutex<(Option<Ack>, usize)>);

impl Together {
    fn one(&self, outcome: Outcome, progress: &AtomicBool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Journalled => {
                all.1 -= 1;
                if all.1 == 0
                    && let Some(ack) = all.0.take()
                {
                    progress.store(true, Ordering::Relaxed);
                    ack.acknowledge();
                }
            }
            // Unacknowledged, the message ends the session; the broker brings it again to the next.
            Outcome::Refused | Outcome::Dropped => drop(all.0.take()),
        }
    }
}

/// JSON, or else a word.
fn parse(payload: &[u8]) -> Result<Value, std::str::Utf8Error> {
    if let Ok(value) = serde_json::from_slice(payload) {
        return Ok(value);
    }
    let text = std::str::from_utf8(payload)?;
    Ok(Value::String(text.trim().to_owned()))
}

fn reading(
    sensor: SensorId,
    bound: BoundSensor,
    understood: Understood,
    observed: Timestamp,
    received: Stamp,
) -> (Reading, Health) {
    let Understood {
        decoded,
        sequence,
        message,
        observed: _,
    } = understood;
    let decoded = bound.with_limits(decoded);
    let reading = Reading {
        sensor,
        observed,
        received,
        sequence,
        message,
        report: decoded.report,
    };
    (reading, decoded.health)
}
