//! The file of a profile, and whether what stands in it makes sense together.

use std::collections::BTreeMap;

use parking::{Counting, SensorErrors};
use serde::Deserialize;
use wired::ultrasonic::Model;

use super::{Fields, Magnetometer, Map, Port, Transport};
use crate::sensors::attached::hikvision::watch::Events;

/// A question in a profile's file: a command of its codec.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskFile {
    pub command: String,
    pub arguments: BTreeMap<String, String>,
    pub every_s: u32,
}

/// The file of a profile, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub model: String,
    pub vendor_document: String,
    pub transport: Transport,
    pub codec: Option<String>,
    pub script: Option<String>,
    pub heartbeat_s: Option<u32>,
    pub queued: bool,
    #[serde(default)]
    pub on_change: bool,
    #[serde(default)]
    pub only_distance: bool,
    pub errors: SensorErrors,
    pub counts: Option<Counting>,
    #[serde(default)]
    pub quirks: Vec<String>,
    #[serde(default)]
    pub asks: Vec<AskFile>,
    #[serde(default)]
    pub ports: Vec<Port>,
    pub magnetometer: Option<Magnetometer>,
    pub ultrasonic: Option<Model>,
    pub modbus: Option<Map>,
    pub fields: Option<Fields>,
    pub hikvision: Option<Events>,
    pub poll_s: Option<u32>,
}

impl File {
    /// What comes through a network server is decoded, by a codec of the program or by a script; nothing else is.
    pub fn check_decoding(&self) -> Result<(), (&'static str, String)> {
        let refuse = |key, reason: &str| Err((key, reason.to_owned()));
        let is_coded = self.transport == Transport::ChirpStack;
        match (is_coded, &self.codec, &self.script) {
            (true, None, None) => return refuse("codec", "what comes through chirpstack needs a codec, or a script"),
            (true, Some(_), Some(_)) => return refuse("script", "there is a codec already; leave one of the two out"),
            (false, Some(_), _) => return refuse("codec", "only what comes through chirpstack has one"),
            (false, _, Some(_)) => return refuse("script", "only what comes through chirpstack has one"),
            _ => {}
        }
        if let Some(script) = &self.script
            && script.contains('/')
        {
            return refuse(
                "script",
                "write the name of a file beside the profile, as in \"acme.js\"",
            );
        }
        if self.codec.is_some() == self.ports.is_empty() && self.script.is_none() {
            return refuse("ports", "a profile with a codec lists its ports, one without has none");
        }
        let is_twice = |(i, port): (usize, &Port)| self.ports[..i].iter().any(|other| other.port == port.port);
        if self.ports.iter().enumerate().any(is_twice) {
            return refuse("ports", "a port is listed twice");
        }
        if !self.asks.is_empty() && self.codec.is_none() {
            return refuse("asks", "only a codec of the program knows commands");
        }
        let may_tell_distance = !matches!(
            self.transport,
            Transport::Webhook | Transport::I2c | Transport::Gpio | Transport::Hikvision
        );
        if self.only_distance && !may_tell_distance {
            return refuse("only_distance", "its transport brings no distance");
        }
        let maps_count = self.fields.as_ref().map(|fields| fields.count.is_some());
        if maps_count.is_some_and(|maps| maps != self.counts.is_some()) {
            let reason = "say how it counts where fields.count is mapped, and nowhere else: counts = {}, or with the number at \
                          which the total goes on at 0, counts = { modulus = 65536 }";
            return refuse("counts", reason);
        }
        if self.counts.is_some() && maps_count.is_none() && self.codec.is_none() {
            return refuse("counts", "its transport brings no count");
        }
        let speaks_json = matches!(self.transport, Transport::Mqtt | Transport::Http);
        if let Some(fields) = &self.fields {
            let reason = match (self.transport, &self.script) {
                (_, Some(_)) if fields.only_when.is_some() || fields.has_channel() => {
                    Err("a script decodes messages of one sensor: leave only_when and {channel} out")
                }
                (Transport::Http, _) if fields.has_identity() || fields.kind.is_some() || fields.count.is_some() => {
                    Err("what is asked is a state: leave count, kind, sequence and message out")
                }
                _ => Ok(()),
            };
            reason.map_err(|reason| ("fields", reason.to_owned()))?;
        }
        match &self.fields {
            Some(_) if self.script.is_none() && !speaks_json => refuse(
                "fields",
                "only JSON is mapped: what a script has decoded, and that of mqtt and http",
            ),
            None if self.script.is_some() || speaks_json => refuse(
                "fields",
                "this section is missing: say where in the data the state stands",
            ),
            Some(fields) if self.script.is_some() && fields.has_own_envelope() => {
                let reason = "observed, sequence and message are those of the network server; leave them out";
                refuse("fields", reason)
            }
            Some(fields) => fields.check(self.only_distance).map_err(|reason| ("fields", reason)),
            None => Ok(()),
        }
    }

    /// What a sensor that hangs on the box needs to say of itself, it says, and no other does.
    pub fn check_attached(&self) -> Result<(), (&'static str, String)> {
        let refuse = |key, reason: &str| Err((key, reason.to_owned()));
        if self.transport.is_attached() {
            if self.queued {
                return refuse(
                    "queued",
                    "what the box sees for itself is not kept while the box is off: write false",
                );
            }
            if !self
                .heartbeat_s
                .is_some_and(|seconds| (60..=7 * 24 * 3_600).contains(&seconds))
            {
                return refuse("heartbeat_s", "the box says what it sees once a minute: write 60");
            }
        }
        if self.magnetometer.is_some() != (self.transport == Transport::I2c) {
            return refuse("magnetometer", "a magnetometer is on i2c, and nothing else is");
        }
        let is_serial = self.transport == Transport::Serial;
        if self.ultrasonic.is_some() != is_serial || is_serial && !self.only_distance {
            let reason = "an ultrasonic sensor is on serial and tells only_distance, and nothing else is on serial";
            return refuse("ultrasonic", reason);
        }
        if self.hikvision.is_some() != (self.transport == Transport::Hikvision) {
            return refuse("hikvision", "a camera says what its events mean, and nothing else does");
        }
        let events = self.hikvision.as_ref().map_or(Ok(()), Events::check);
        events.map_err(|reason| ("hikvision", reason))?;
        match (self.transport, self.poll_s) {
            (Transport::Http, Some(poll_s))
                if poll_s > 0 && self.heartbeat_s.is_some_and(|seconds| poll_s <= seconds) => {}
            (Transport::Http, _) => {
                return refuse("poll_s", "say how often it is asked, at least once in heartbeat_s");
            }
            (_, Some(_)) => return refuse("poll_s", "only what is on http is asked by it"),
            (_, None) => {}
        }
        if self.queued && !may_wait(self.transport, self.fields.as_ref()) {
            let reason = "what waited at the broker has to say of when it is: map fields.observed, or write false";
            return refuse("queued", reason);
        }
        if self.modbus.is_some() != (self.transport == Transport::Modbus) {
            return refuse("modbus", "a sensor on modbus has a register map, and nothing else has");
        }
        let map = self.modbus.as_ref().map_or(Ok(()), |map| map.check(self.only_distance));
        map.map_err(|reason| ("modbus", reason))?;
        let rules = self
            .magnetometer
            .map_or(Ok(()), |magnetometer| magnetometer.rules.check());
        rules.map_err(|error| ("magnetometer.rules", error.to_string()))
    }
}

/// Whether what its sensors say may wait in a queue: it tells of when it is.
pub(super) fn may_wait(transport: Transport, fields: Option<&Fields>) -> bool {
    transport != Transport::Mqtt || fields.is_some_and(|fields| fields.observed.is_some())
}
