//! What sensors are told: questions that are asked now and then, such as totals by which what the radio lost is noticed, and
//! orders of somebody at the box.
//!
//! A sensor of class A listens only after it has spoken. So the network server is told of a question right after an uplink, and
//! sends it after the next one; old uplinks that waited at the broker ask for nothing. What was asked is forgotten with
//! the connection: at worst a sensor is asked once more. An order waits for its sensor's first uplink, because that tells which
//! application of the network server the sensor is in, and for a connection.
//!
//! Source: `ChirpStack` v4, topic `application/A/device/D/command/down`, JSON mapping of `DownlinkQueueItem`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking::{ClockQuality, Reading, SensorId};
use serde_json::json;

use crate::mqtt::{Publication, QoS};
use crate::sensors::DriverContext;
use crate::sensors::codecs::Downlink;

/// An uplink older than this is no sign that the sensor is listening, seconds.
const FRESH_S: i64 = 300;
/// Orders of one sensor that wait.
const ORDERS_MAX: usize = 8;

/// When which sensor was asked, milliseconds since boot, by the place of the question in its profile.
#[derive(Debug, Default)]
pub(super) struct Asking {
    asked: HashMap<(SensorId, usize), u64>,
}

/// Orders to sensors, and where sensors are.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Topics of devices that were heard, without their ends.
    bases: HashMap<SensorId, String>,
    waiting: HashMap<SensorId, Vec<Downlink>>,
}

impl Asking {
    /// What is to be asked now that `reading` came by a message of `topic`.
    pub fn due(&mut self, context: &DriverContext, topic: &str, reading: &Reading) -> Vec<Publication> {
        let now = reading.received;
        let age_s = now.at.seconds_since(reading.observed);
        let (Some(base), Some(bound)) = (base_of(topic), context.sensors.get(&reading.sensor)) else {
            return Vec::new();
        };
        if now.clock != ClockQuality::Unset && age_s > FRESH_S {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (place, ask) in bound.profile.asks.iter().enumerate() {
            let asked = self.asked.entry((reading.sensor.clone(), place));
            let wait_ms = u64::from(ask.every_s) * 1_000;
            let is_due = match &asked {
                Entry::Occupied(asked) => now.mono_ms.saturating_sub(*asked.get()) >= wait_ms,
                Entry::Vacant(_) => true,
            };
            if is_due {
                asked.insert_entry(now.mono_ms);
                due.push(down(base, &reading.sensor, &ask.downlink));
            }
        }
        due
    }
}

impl Orders {
    /// A sensor was heard by a message of `topic`.
    pub fn heard(&mut self, topic: &str, sensor: &SensorId) {
        if let Some(base) = base_of(topic)
            && self.bases.get(sensor).is_none_or(|known| known != base)
        {
            self.bases.insert(sensor.clone(), base.to_owned());
        }
    }

    /// Takes an order. Tells whether it need not wait for the sensor to be heard; none when too many wait.
    pub fn take(&mut self, sensor: &SensorId, downlink: Downlink) -> Option<bool> {
        let waiting = self.waiting.entry(sensor.clone()).or_default();
        if waiting.len() == ORDERS_MAX {
            return None;
        }
        waiting.push(downlink);
        Some(self.bases.contains_key(sensor))
    }

    /// The next order that can go.
    pub fn next(&self) -> Option<(SensorId, Publication)> {
        self.waiting.iter().find_map(|(sensor, waiting)| {
            let (base, downlink) = (self.bases.get(sensor)?, waiting.first()?);
            Some((sensor.clone(), down(base, sensor, downlink)))
        })
    }

    /// The order that [`Self::next`] gave for this sensor has gone.
    pub fn gone(&mut self, sensor: &SensorId) {
        if let Some(waiting) = self.waiting.get_mut(sensor) {
            waiting.drain(..1.min(waiting.len()));
        }
    }
}

fn base_of(topic: &str) -> Option<&str> {
    topic.strip_suffix("/event/up")
}

fn down(base: &str, sensor: &SensorId, downlink: &Downlink) -> Publication {
    let item = json!({
        "devEui": sensor.as_str(),
        "confirmed": false,
        "fPort": downlink.port,
        "data": STANDARD.encode(&downlink.payload),
    });
    Publication {
        topic: format!("{base}/command/down"),
        payload: item.to_string().into(),
        qos: QoS::AtLeastOnce,
        retain: false,
    }
}
