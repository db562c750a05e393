//! What sensors are told: questions that are asked now and then, such as totals by which what the radio lost is noticed, and
//! orders of somebody at the box.
//!
//! A sensor of class A listens only after it has spoken. So the network server is told of a question right after an uplink, and
//! sends it after the next one; old uplinks that waited at the broker ask for nothing. What was asked is forgotten with
//! the connection: at worst a sensor is asked once more. An order waits for its sensor's first uplink, because that tells which
//! application of the network server the sensor is in, and until the broker has taken it over: one whose connection broke goes
//! once more.
//!
//! Source: `ChirpStack` v4, topic `application/A/device/D/command/down`, `DownlinkCommand`, in the encoding of the uplinks.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use parking::{ClockQuality, Reading, SensorId};

use super::envelope::Encoding;
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
    /// Of the devices that were heard.
    places: HashMap<SensorId, Place>,
    waiting: HashMap<SensorId, VecDeque<Downlink>>,
    /// Published, and not yet taken over by the broker.
    under_way: BTreeMap<PublishId, (SensorId, Downlink)>,
}

/// Where a device is told something, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The device's topic, without its end.
    base: String,
    encoding: Encoding,
}

impl Place {
    /// Of a device that was heard by a message of `topic`.
    pub fn of(topic: &str, encoding: Encoding) -> Option<Self> {
        let base = topic.strip_suffix("/event/up")?.to_owned();
        Some(Self { base, encoding })
    }

    /// What tells `sensor`, which is there, something.
    pub fn down(&self, sensor: &SensorId, downlink: &Downlink) -> Publication {
        Publication {
            topic: format!("{}/command/down", self.base),
            payload: self.encoding.downlink(sensor.as_str(), downlink).into(),
            qos: QoS::AtLeastOnce,
            retain: false,
        }
    }
}

/// Whether a sensor that said this may still be listening.
pub(super) fn is_fresh(reading: &Reading) -> bool {
    reading.received.at.seconds_since(reading.observed) <= FRESH_S
}

impl Asking {
    /// What is to be asked now that `reading` came from `place`.
    pub fn due(&mut self, context: &DriverContext, place: &Place, reading: &Reading) -> Vec<Publication> {
        let now = reading.received;
        let Some(bound) = context.sensors.get(&reading.sensor) else {
            return Vec::new();
        };
        if now.clock != ClockQuality::Unset && !is_fresh(reading) {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (number, ask) in bound.profile.asks.iter().enumerate() {
            let asked = self.asked.entry((reading.sensor.clone(), number));
            let wait_ms = u64::from(ask.every_s) * 1_000;
            let is_due = match &asked {
                Entry::Occupied(asked) => now.mono_ms.saturating_sub(*asked.get()) >= wait_ms,
                Entry::Vacant(_) => true,
            };
            if is_due {
                asked.insert_entry(now.mono_ms);
                due.push(place.down(&reading.sensor, &ask.downlink));
            }
        }
        due
    }
}

impl Orders {
    /// A sensor was heard from `place`.
    pub fn heard(&mut self, place: &Place, sensor: &SensorId) {
        if self.places.get(sensor).is_none_or(|known| known != place) {
            self.places.insert(sensor.clone(), place.clone());
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
        Some(self.places.contains_key(sensor))
    }

    /// The next order that can go.
    pub fn next(&self) -> Option<(SensorId, Publication)> {
        self.waiting.iter().find_map(|(sensor, waiting)| {
            let (place, downlink) = (self.places.get(sensor)?, waiting.front()?);
            Some((sensor.clone(), place.down(sensor, downlink)))
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
        let place = Place::of("application/a/device/70b3d52c0001a2f5/event/up", Encoding::Json).unwrap();
        orders.heard(&place, &sensor);
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
