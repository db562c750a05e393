//! What a sensor is asked for now and then: totals, by which what the radio lost is noticed.
//!
//! A sensor of class A listens only after it has spoken, so the network server is told right after an uplink, and sends
//! the question after the next one. Old uplinks that waited at the broker ask for nothing. What was asked is forgotten with
//! the connection: at worst a sensor is asked once more.
//!
//! Source: `ChirpStack` v4, topic `application/A/device/D/command/down`, JSON mapping of `DownlinkQueueItem`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking::{ClockQuality, Reading, SensorId};
use serde_json::json;

use crate::mqtt::{Publication, QoS};
use crate::sensors::DriverContext;

/// An uplink older than this is no sign that the sensor is listening, seconds.
const FRESH_S: i64 = 300;

/// When which sensor was asked, milliseconds since boot, by the place of the question in its profile.
#[derive(Debug, Default)]
pub(super) struct Asking {
    asked: HashMap<(SensorId, usize), u64>,
}

impl Asking {
    /// What is to be asked now that `reading` came by a message of `topic`.
    pub fn due(&mut self, context: &DriverContext, topic: &str, reading: &Reading) -> Vec<Publication> {
        let now = reading.received;
        let age_s = now.at.seconds_since(reading.observed);
        let Some(base) = topic.strip_suffix("/event/up") else {
            return Vec::new();
        };
        let Some(bound) = context.sensors.get(&reading.sensor) else {
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
                std::collections::hash_map::Entry::Occupied(asked) => {
                    now.mono_ms.saturating_sub(*asked.get()) >= wait_ms
                }
                std::collections::hash_map::Entry::Vacant(_) => true,
            };
            if is_due {
                asked.insert_entry(now.mono_ms);
                let down = json!({
                    "devEui": reading.sensor.as_str(),
                    "confirmed": false,
                    "fPort": ask.downlink.port,
                    "data": STANDARD.encode(&ask.downlink.payload),
                });
                due.push(Publication {
                    topic: format!("{base}/command/down"),
                    payload: down.to_string().into(),
                    qos: QoS::AtLeastOnce,
                    retain: false,
                });
            }
        }
        due
    }
}
