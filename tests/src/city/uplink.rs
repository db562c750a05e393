//! What a sensor says, as the real devices say it: Bosch TPS110 and Nwave NPS405 payloads (facts: The Things Network's
//! device repository) in `ChirpStack` v4 `up` events with the shape that a real server publishes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking::{SensorId, Timestamp};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;

use super::Plan;
use crate::street::{HEARTBEAT_S, Make};

/// The application that the sensors belong to on the LoRaWAN server.
pub const APPLICATION: &str = "ca739e26-7b67-4f14-b69e-d568c22a5a75";

/// One message from the LoRaWAN server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Position of the sensor in the street.
    pub device: usize,
    /// When the sensor saw it, whole seconds.
    pub observed: Timestamp,
    /// When it reaches the broker.
    pub publish_at: Timestamp,
    /// The topic.
    pub topic: String,
    /// The event, JSON.
    pub payload: String,
    /// Identity of this message on the server.
    pub deduplication_id: String,
}

impl Uplink {
    /// The same radio frame, taken in by the server as if it were another message.
    #[must_use]
    pub fn received_again(&self, chance: &mut StdRng) -> Self {
        let deduplication_id = uuid(chance);
        Self {
            payload: self.payload.replace(&self.deduplication_id, &deduplication_id),
            deduplication_id,
            ..self.clone()
        }
    }
}

/// A sensor and what it remembers between days.
#[derive(Debug, Clone)]
pub struct Device {
    eui: SensorId,
    make: Make,
    frame_counter: u32,
    changed_at: Option<Timestamp>,
    next_heartbeat: Option<Timestamp>,
    /// It is asked for its usage counters this often, seconds; never by default.
    asked_every_s: Option<i64>,
    /// Its total of changes.
    changes: u32,
}

/// Why a sensor speaks.
#[derive(Debug, Clone, Copy)]
enum Word {
    Startup,
    Change { previous_s: i64 },
    Heartbeat,
    Counters,
}

impl Device {
    /// A sensor that never spoke.
    pub fn new(eui: SensorId, make: Make) -> Self {
        Self {
            eui,
            make,
            frame_counter: 0,
            changed_at: None,
            next_heartbeat: None,
            asked_every_s: None,
            changes: 0,
        }
    }

    /// Somebody asks for its usage counters this often, seconds, where it has any.
    #[must_use]
    pub fn asked_every(mut self, seconds: i64) -> Self {
        self.asked_every_s = Some(seconds);
        self
    }

    /// Everything it says on a day as the street's sensor number `index`, given the changes that it sees, and when it is
    /// off, if it is. On its first day it starts up first.
    pub fn day(
        &mut self,
        index: usize,
        plan: &Plan,
        changes: &[(Timestamp, bool)],
        off: Option<(Timestamp, Timestamp)>,
        chance: &mut StdRng,
    ) -> Vec<Uplink> {
        let is_on = |time: Timestamp| off.is_none_or(|(from, until)| time < from || until <= time);
        let changes: Vec<(Timestamp, bool)> = seen_but_for(changes, off);
        let mut words = Vec::new();
        if self.changed_at.is_none() {
            let started = plan.start.plus_seconds(chance.random_range(0..30));
            words.push((started, false, Word::Startup));
            self.changed_at = Some(started);
        }
        let mut changed_at = self.changed_at.unwrap_or(plan.start);
        for &(time, occupied) in &changes {
            let previous_s = time.seconds_since(changed_at);
            words.push((time, occupied, Word::Change { previous_s }));
            changed_at = time;
        }
        self.changed_at = Some(changed_at);
        let first_heartbeat = plan.start.plus_seconds(chance.random_range(40..i64::from(HEARTBEAT_S)));
        let mut heartbeat = self.next_heartbeat.unwrap_or(first_heartbeat);
        while heartbeat < plan.end() {
            // Two words of a sensor never fall into the same second.
            let mut time = heartbeat;
            while changes.iter().any(|(change, _)| *change == time) {
                time = time.plus_seconds(1);
            }
            let occupied = changes
                .iter()
                .take_while(|(c, _)| *c <= time)
                .last()
                .is_some_and(|(_, state)| *state);
            words.push((time, occupied, Word::Heartbeat));
            heartbeat = heartbeat.plus_seconds(i64::from(HEARTBEAT_S));
        }
        self.next_heartbeat = Some(heartbeat);
        if let (Some(every_s), Make::Bosch) = (self.asked_every_s, self.make) {
            let times = (1..).map(|count| plan.start.plus_seconds(count * every_s));
            let asked = times.take_while(|time| *time < plan.end());
            words.extend(asked.map(|time| (time, false, Word::Counters)));
        }
        words.retain(|(time, ..)| is_on(*time));
        words.sort_by_key(|(time, ..)| *time);
        let speak = |(time, occupied, word)| Uplink {
            device: index,
            ..self.speak(time, occupied, word, chance)
        };
        words.into_iter().map(speak).collect()
    }

    /// A heartbeat as the street's sensor number `index`.
    pub fn heartbeat(&mut self, index: usize, observed: Timestamp, occupied: bool, chance: &mut StdRng) -> Uplink {
        Uplink {
            device: index,
            ..self.speak(observed, occupied, Word::Heartbeat, chance)
        }
    }

    fn speak(&mut self, observed: Timestamp, occupied: bool, word: Word, chance: &mut StdRng) -> Uplink {
        self.changes += u32::from(matches!(word, Word::Change { .. }));
        let (port, bytes) = match self.make {
            Make::Bosch => bosch(occupied, word, self.changes, chance),
            Make::Nwave => nwave(occupied, word, chance),
        };
        let deduplication_id = uuid(chance);
        let payload = self.envelope(observed, port, &bytes, &deduplication_id, chance);
        self.frame_counter += 1;
        Uplink {
            device: 0,
            observed,
            // The server waits this long for other base stations that heard the same frame.
            publish_at: observed.plus_millis(1_200),
            topic: format!("application/{APPLICATION}/device/{}/event/up", self.eui),
            payload,
            deduplication_id,
        }
    }

    fn envelope(
        &self,
        observed: Timestamp,
        port: u8,
        bytes: &[u8],
        deduplication_id: &str,
        chance: &mut StdRng,
    ) -> String {
        let heard = format!(
            "{}.{:06}+00:00",
            seconds_text(observed),
            chance.random_range(0..1_000_000)
        );
        let channel = chance.random_range(0..8_u32);
        let reception = json!({
            "gatewayId": "6a7e111a10000000",
            "uplinkId": chance.random::<u16>(),
            "time": heard,
            "rssi": chance.random_range(-118..-60),
            "snr": f64::from(chance.random_range(-20..48)) / 4.0,
            "channel": channel,
            "rfChain": 1,
            "location": {},
            "context": STANDARD.encode(chance.random::<[u8; 4]>()),
            "metadata": {"region_common_name": "AS923", "region_config_id": "as923_2"},
            "crcStatus": "CRC_OK",
        });
        let mut event = json!({
            "deduplicationId": deduplication_id,
            "time": heard,
            "deviceInfo": {
                "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
                "tenantName": "Dishub",
                "applicationId": APPLICATION,
                "applicationName": "parkir",
                "deviceProfileId": "605d08d4-65f5-4d2c-8a5a-3d2457662f79",
                "deviceProfileName": self.make.profile(),
                "deviceName": self.eui.as_str(),
                "devEui": self.eui.as_str(),
                "tags": {},
            },
            "devAddr": format!("01{}", &self.eui.as_str()[10..]),
            "adr": true,
            "dr": 5,
            "fPort": port,
            "confirmed": false,
            "data": STANDARD.encode(bytes),
            "rxInfo": [reception],
            "txInfo": {
                "frequency": 921_400_000 + 200_000 * channel,
                "modulation": {"lora": {"bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5"}},
            },
            "regionConfigId": "as923_2",
        });
        if self.frame_counter > 0 {
            // Like the real server, which leaves out what is zero.
            event["fCnt"] = self.frame_counter.into();
        }
        event.to_string()
    }
}

/// What a sensor sees that is off for a while: nothing of what happens then, and afterwards the state that it finds.
fn seen_but_for(changes: &[(Timestamp, bool)], off: Option<(Timestamp, Timestamp)>) -> Vec<(Timestamp, bool)> {
    let Some((from, until)) = off else {
        return changes.to_vec();
    };
    let mut seen: Vec<(Timestamp, bool)> = Vec::with_capacity(changes.len());
    let mut known = false;
    let mut true_state = false;
    for &(time, state) in changes {
        if time >= until && known != true_state {
            seen.push((until, true_state));
            known = true_state;
        }
        true_state = state;
        if time < from || time >= until {
            if known != state {
                seen.push((time, state));
            }
            known = state;
        }
    }
    seen
}

fn bosch(occupied: bool, word: Word, changes: u32, chance: &mut StdRng) -> (u8, Vec<u8>) {
    let state = u8::from(occupied);
    match word {
        Word::Change { .. } => (1, vec![state]),
        Word::Heartbeat => (2, vec![state, chance.random_range(24..38)]),
        Word::Counters => (5, [&[0][..], &changes.to_be_bytes()].concat()),
        // Twelve bytes of debugging, firmware 0.29.2, reset cause "power on".
        Word::Startup => (3, [&[0; 12][..], &[0, 29, 2, 2, state]].concat()),
    }
}

fn nwave(occupied: bool, word: Word, chance: &mut StdRng) -> (u8, Vec<u8>) {
    let state = u8::from(occupied);
    match word {
        Word::Change { previous_s } => (1, vec![state | previous_state_code(previous_s / 60) << 1]),
        // Battery in steps of 4 mV above 2.5 V, temperature in half degrees above 10 °C; the rest is the device's own.
        Word::Heartbeat | Word::Counters => (2, vec![state, 0xd3, chance.random_range(28..56), 0, 0x59, 0x0b]),
        Word::Startup => (3, vec![2, 4, 9, 2, state]),
    }
}

/// Nwave's seven bits for how many minutes the state before this one lasted.
fn previous_state_code(minutes: i64) -> u8 {
    let code = match minutes {
        ..90 => minutes.max(0),
        90..240 => 90 + (minutes - 90) / 5,
        240..660 => 120 + (minutes - 240) / 60,
        660.. => 127,
    };
    u8::try_from(code).unwrap_or(127)
}

/// RFC 3339 without fraction and zone.
fn seconds_text(time: Timestamp) -> String {
    time.floor_to_second().to_string().trim_end_matches('Z').to_owned()
}

fn uuid(chance: &mut StdRng) -> String {
    let [a, b, c, d]: [u32; 4] = chance.random();
    let (b, c) = (b & 0xffff_0fff | 0x4000, c & 0x3fff_ffff | 0x8000_0000);
    format!(
        "{a:08x}-{:04x}-{:04x}-{:04x}-{:04x}{d:08x}",
        b >> 16,
        b & 0xffff,
        c >> 16,
        c & 0xffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn minutes_in_the_previous_state_are_coded_as_the_vendor_does() {
        let cases = [
            (0, 0),
            (74, 74),
            (89, 89),
            (90, 90),
            (94, 90),
            (160, 104),
            (239, 119),
            (240, 120),
            (659, 126),
            (660, 127),
        ];
        for (minutes, code) in cases {
            assert_eq!(previous_state_code(minutes), code, "{minutes} min");
        }
        // The vendor's own example: occupied after 74 minutes is 0x95.
        let mut chance = StdRng::seed_from_u64(1);
        assert_eq!(
            nwave(
                true,
                Word::Change {
                    previous_s: 74 * 60 + 59
                },
                &mut chance
            ),
            (1, vec![0x95])
        );
    }

    #[test]
    fn an_event_has_the_shape_of_a_real_servers_and_leaves_out_a_zero_frame_counter() {
        let mut chance = StdRng::seed_from_u64(1);
        let mut device = Device::new(SensorId::new("fe50000100000000").unwrap(), Make::Bosch);
        let time = "2026-01-05T07:00:05+07:00".parse().unwrap();
        let first = device.speak(time, true, Word::Heartbeat, &mut chance);
        let second = device.speak(time, true, Word::Startup, &mut chance);
        let event: serde_json::Value = serde_json::from_str(&first.payload).unwrap();
        assert_eq!(event["deviceInfo"]["devEui"], "fe50000100000000");
        assert!(
            event["time"].as_str().unwrap().starts_with("2026-01-05T00:00:05."),
            "{event}"
        );
        assert_eq!((event.get("fCnt"), event["fPort"].as_u64()), (None, Some(2)));
        assert_eq!(event["deduplicationId"].as_str().unwrap().len(), 36);
        let event: serde_json::Value = serde_json::from_str(&second.payload).unwrap();
        assert_eq!(event["fCnt"], 1);
        assert_eq!(STANDARD.decode(event["data"].as_str().unwrap()).unwrap().len(), 17);
    }

    #[test]
    fn a_frame_received_again_differs_in_nothing_but_its_identity() {
        let mut chance = StdRng::seed_from_u64(1);
        let mut device = Device::new(SensorId::new("fe50000100000001").unwrap(), Make::Nwave);
        let once = device.speak(
            Timestamp::from_seconds(1_767_571_200),
            false,
            Word::Heartbeat,
            &mut chance,
        );
        let again = once.received_again(&mut chance);
        assert_ne!(once.deduplication_id, again.deduplication_id);
        assert_eq!(
            once.payload.replace(&once.deduplication_id, ""),
            again.payload.replace(&again.deduplication_id, "")
        );
    }
}
