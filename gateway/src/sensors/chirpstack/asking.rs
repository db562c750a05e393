//! What sensors are told: questions that are asked now and then, such as totals by which what the radio lost is noticed, and
//! orders of somebody at the box.
//!
//! A sensor of class A listens only after it has spoken. So the network server is told of a question right after an uplink, and
//! sends it after the next one; old uplinks that waited at the broker ask for nothing. What was asked is forgotten with
//! the connection: at worst a sensor is asked once more. An order waits for its sensor's first uplink, because that tells which
//! application of the network server the sensor is in, and until the broker has taken it over: one whose connection broke goes
//! once more.
//!
//! Source: `ChirpStack` v4, topic `application/A/device/D/command/down`, JSON mapping of `DownlinkQueueItem`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking::{ClockQuality, Reading, SensorId};
use serde_json::json;

use crate::mqtt::{Publication, PublishId, QoS};
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
    waiting: HashMap<SensorId, VecDeque<Downlink>>,
    /// Published, and not yet taken over by the broker.
    under_way: BTreeMap<PublishId, (SensorId, Downlink)>,
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
        let under_way = self.under_way.values().filter(|(other, _)| other == sensor).count();
        if waiting.len() + under_way >= ORDERS_MAX {
            return None;
        }
        waiting.push_back(downlink);
        Some(self.bases.contains_key(sensor))
    }

    /// The next order that can go.
    pub fn next(&self) -> Option<(SensorId, Publication)> {
        self.waiting.iter().find_map(|(sensor, waiting)| {
            let (base, downlink) = (self.bases.get(sensor)?, waiting.front()?);
            Some((sensor.clone(), down(base, sensor, downlink)))
        })
    }

    /// The order that [`Self::next`] gave for this sensor was published.
    pub fn published(&mut self, sensor: &SensorId, id: PublishId) {
        let order = self.waiting.get_mut(sensor).and_then(VecDeque::pop_front);
        if let Some(order) = order {
            self.under_way.insert(id, (sensor.clone(), order));
        }
    }

    /// The broker has said of a publish what becomes of it. Tells whose order it was, if it was one.
    pub fn answered(&mut self, id: PublishId) -> Option<SensorId> {
        self.under_way.remove(&id).map(|(sensor, _)| sensor)
    }

    /// The connection is over: what the broker has not taken over goes once more.
    pub fn cut_off(&mut self) {
        while let Some((_, (sensor, order))) = self.under_way.pop_last() {
            self.waiting.entry(sensor).or_default().push_front(order);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn order(byte: u8) -> Downlink {
        Downlink {
            port: 7,
            payload: vec![byte],
        }
    }

    #[test]
    fn an_order_is_kept_until_the_broker_has_it_and_goes_again_in_its_turn() {
        let (mut orders, sensor) = (Orders::default(), SensorId::new("70b3d52c0001a2f5").unwrap());
        assert_eq!(orders.take(&sensor, order(1)), Some(false));
        assert!(orders.next().is_none(), "nobody knows where it is");
        orders.heard("application/a/device/70b3d52c0001a2f5/event/up", &sensor);
        assert_eq!(orders.take(&sensor, order(2)), Some(true));
        let data = |orders: &Orders| {
            let (_, publication) = orders.next()?;
            let told: serde_json::Value = serde_json::from_slice(&publication.payload).unwrap();
            Some(told["data"].as_str().unwrap().to_owned())
        };
        assert_eq!(data(&orders).as_deref(), Some("AQ=="));
        orders.published(&sensor, PublishId(1));
        assert_eq!(data(&orders).as_deref(), Some("Ag=="));
        orders.published(&sensor, PublishId(2));
        assert_eq!(orders.answered(PublishId(1)), Some(sensor.clone()));
        assert!(orders.answered(PublishId(1)).is_none() && orders.next().is_none());
        orders.take(&sensor, order(3));
        orders.cut_off();
        assert_eq!(data(&orders).as_deref(), Some("Ag=="), "before what came later");
        for number in 4..=9 {
            assert!(orders.take(&sensor, order(number)).is_some());
        }
        assert!(orders.take(&sensor, order(10)).is_none());
    }
}
