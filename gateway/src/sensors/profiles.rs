//! Sensor profiles: what the box knows of a model before it meets one. Those of the program are in `firmware-config/sensors/`;
//! a site may have a folder of its own, for models that need no code.

mod file;
mod shelf;

use parking::{Counting, SensorErrors, Timestamp};
use serde::Deserialize;
use wired::adaptive::Rules;
use wired::magnetometer::Chip;
use wired::ultrasonic::Model;

use self::file::{AskFile, File, may_wait};
pub use self::shelf::Profiles;
use super::attached::hikvision::watch::Events;
use super::attached::modbus::map::Map;
use super::codecs::{CODECS, Codec, CodecError, Decoded, Downlink, Downlinks};
use super::fields::{Fields, Place};
use super::script::Script;

/// Most of 10,000 stays that a sensor may be told to miss or to invent: one that is wrong every second time counts nothing.
pub const ERRORS_MAX: u32 = 5_000;

/// Questions come no closer to each other than this, seconds.
const ASK_EVERY_S_MIN: u32 = 3_600;

/// A sensor model.
#[derive(Debug)]
pub struct Profile {
    /// Name by which a configuration chooses it.
    pub name: String,
    /// Maker, model, firmware.
    pub model: String,
    /// The vendor's document that the profile follows.
    pub vendor_document: String,
    /// The way its reports come in.
    pub transport: Transport,
    /// It speaks at least this often, seconds; absent where every installation has its own.
    pub heartbeat_s: Option<u32>,
    /// Its reports wait in a queue of their own while the box is off.
    pub queued: bool,
    /// It reports its state for nothing but a change, besides its heartbeats.
    pub on_change: bool,
    /// It tells a distance and never whether a space is occupied.
    pub only_distance: bool,
    /// How often it is wrong, as far as is published.
    pub errors: SensorErrors,
    /// How it counts vehicles, for models that do.
    pub counts: Option<Counting>,
    /// What its sensors are asked for now and then.
    pub asks: Vec<Ask>,
    /// Messages that it sends, for models that speak bytes.
    pub ports: Vec<Port>,
    /// The chip, and how its field becomes a state, for magnetometers on a bus of the box.
    pub magnetometer: Option<Magnetometer>,
    /// How it speaks, for ultrasonic sensors on a serial line of the box.
    pub ultrasonic: Option<Model>,
    /// What it shows where, for sensors on Modbus.
    pub modbus: Option<Map>,
    /// Where in a message stands what, for models that speak JSON or are decoded by a script.
    pub fields: Option<Fields>,
    /// What its events mean, for cameras.
    pub hikvision: Option<Events>,
    /// It is asked this often, for models that are, seconds.
    pub poll_s: Option<u32>,
    /// What an installer should know.
    pub quirks: Vec<String>,
    codec: Option<&'static Codec>,
    script: Option<Script>,
}

/// A magnetometer on a bus of the box.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Magnetometer {
    /// Its chip.
    pub chip: Chip,
    /// How its field becomes a state.
    #[serde(default)]
    pub rules: Rules,
}

/// A question to a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The question.
    pub downlink: Downlink,
    /// It is asked this often, seconds.
    pub every_s: u32,
}

/// The way a sensor's reports come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Through the LoRaWAN network server; the sensor's id is its device EUI.
    ChirpStack,
    /// By HTTP POST to the box.
    Webhook,
    /// On a serial line of the box.
    Serial,
    /// On an I2C bus of the box.
    I2c,
    /// On a Modbus line.
    Modbus,
    /// On pins of the box.
    Gpio,
    /// By MQTT, published by the sensor itself.
    Mqtt,
    /// Over HTTP, when it is asked.
    Http,
    /// By the events of a camera.
    Hikvision,
}

impl Transport {
    /// How its sensors' reports come, and by which keys of the configuration.
    pub fn way(self) -> &'static str {
        match self {
            Self::ChirpStack => "LoRaWAN through ChirpStack; its id is its device EUI",
            Self::Webhook => "HTTP posts to the box (section [webhook])",
            Self::Serial => "a serial line of the box (serial)",
            Self::I2c => "an I2C bus of the box (i2c, i2c_address)",
            Self::Modbus => "a Modbus line or host (modbus, modbus_address)",
            Self::Gpio => "pins of the box (presence_line, fault_line)",
            Self::Mqtt => "MQTT (section [mqtt]; topic, and channel where a message is of several)",
            Self::Http => "HTTP, when it is asked (url, poll_s)",
            Self::Hikvision => "the events of a camera (camera, region)",
        }
    }

    /// Whether the box sees its sensors' states as they are, and says them: they hang on it, or answer when they are asked.
    pub fn is_attached(self) -> bool {
        match self {
            Self::ChirpStack | Self::Webhook | Self::Mqtt => false,
            Self::Serial | Self::I2c | Self::Modbus | Self::Gpio | Self::Http | Self::Hikvision => true,
        }
    }
}

/// A kind of message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Application port; absent where it is a setting of the sensor.
    pub port: Option<u8>,
    /// What it tells.
    pub message: String,
    /// Lengths that occur, bytes; empty means any.
    pub bytes: Vec<usize>,
}

/// Two profiles of one shelf with the same name are the same.
impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Why the text of a profile is none.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file or folder cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program has a profile of this name.
    #[error("profile {name}: the program has one of this name; call the file otherwise")]
    Taken {
        /// The name.
        name: String,
    },
    /// Not the TOML of a profile.
    #[error("profile {name}: {source}")]
    Toml {
        /// The profile.
        name: String,
        /// Where and what.
        source: toml::de::Error,
    },
    /// A key has a value that means nothing.
    #[error("profile {name}, key {key}: {reason}")]
    Value {
        /// The profile.
        name: String,
        /// The key.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Profile {
    /// The profile of the program called `name`.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Profiles::built_in().by_name(name)
    }

    /// Reads the text of a profile, strictly; `script` reads a file that it names.
    pub fn parse(
        name: &str,
        text: &str,
        script: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, ProfileError> {
        let value = |key, reason: String| ProfileError::Value {
            name: name.to_owned(),
            key,
            reason,
        };
        let file: File = toml::from_str(text).map_err(|source| ProfileError::Toml {
            name: name.to_owned(),
            source,
        })?;
        let codec = match &file.codec {
            None => None,
            Some(wanted) => {
                let known = CODECS.iter().find(|codec| codec.name == wanted);
                Some(known.ok_or_else(|| {
                    let known = one_of(CODECS.iter().map(|codec| codec.name.to_owned()).collect());
                    value("codec", format!("there is no codec \"{wanted}\"; expected {known}"))
                })?)
            }
        };
        if file.heartbeat_s == Some(0) {
            return Err(value(
                "heartbeat_s",
                "0 is no interval; leave it out if there is none".to_owned(),
            ));
        }
        file.check_decoding().map_err(|(key, reason)| value(key, reason))?;
        file.check_attached().map_err(|(key, reason)| value(key, reason))?;
        let script = file.script.as_ref().map(|file| {
            let text = script(file).map_err(|error| value("script", format!("cannot read {file}: {error}")));
            Ok(Script::new(file.clone(), text?))
        });
        let script = script.transpose()?;
        let File {
            model,
            vendor_document,
            transport,
            codec: _,
            script: _,
            heartbeat_s,
            queued,
            on_change,
            only_distance,
            errors,
            counts,
            quirks,
            asks,
            ports,
            magnetometer,
            ultrasonic,
            modbus,
            fields,
            hikvision,
            poll_s,
        } = file;
        let asks: Result<Vec<Ask>, String> = asks.iter().map(|ask| asked(codec, ask)).collect();
        let asks = asks.map_err(|reason| value("asks", reason))?;
        if errors.missed > ERRORS_MAX || errors.invented > ERRORS_MAX {
            return Err(value(
                "errors",
                format!("missed and invented are of 10,000 stays, at most {ERRORS_MAX}"),
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            model,
            vendor_document,
            transport,
            heartbeat_s,
            queued,
            on_change,
            only_distance,
            errors,
            counts,
            asks,
            ports,
            magnetometer,
            ultrasonic,
            modbus,
            fields,
            hikvision,
            poll_s,
            quirks,
            codec,
            script,
        })
    }

    /// What a report that came by `port` at `received` waits for, where the local time is so far ahead of UTC.
    pub fn answer(&self, port: u8, decoded: &Decoded, received: Timestamp, utc_offset_s: i32) -> Option<Downlink> {
        let answer = self.codec?.answer?;
        let local = jiff::Timestamp::from_millisecond(received.as_millis()).ok()?;
        let local = jiff::tz::Offset::from_seconds(utc_offset_s).ok()?.to_datetime(local);
        answer(port, decoded, local)
    }

    /// Decodes a payload that came at `received`. Refuses ports and lengths that the model does not use. Only a script makes
    /// it wait.
    pub async fn decode(&self, port: u8, payload: &[u8], received: Timestamp) -> Result<Decoded, CodecError> {
        match (&self.codec, &self.script, &self.fields) {
            (Some(codec), ..) => {
                self.check_port(port, payload)?;
                (codec.decode)(port, payload)
            }
            (None, Some(script), Some(fields)) => {
                if !self.ports.is_empty() {
                    self.check_port(port, payload)?;
                }
                let content = |reason| CodecError::Content { port, reason };
                let data = script.decode(port, payload, received).await.map_err(content)?;
                let understood = fields.read(&data, Place::default());
                let understood = understood.map_err(|error| content(format!("{}: {error}", script.file())))?;
                let mut decoded = understood.decoded;
                if self.only_distance && decoded.health.distance_mm.is_none() {
                    // Else the state of before would seem to last.
                    return Err(content(format!("{}: there is no distance in it", script.file())));
                }
                decoded.details.push(("data", data));
                Ok(decoded)
            }
            _ => Err(CodecError::NoCodec {
                profile: self.name.clone(),
            }),
        }
    }

    fn check_port(&self, port: u8, payload: &[u8]) -> Result<(), CodecError> {
        let profile = || self.name.clone();
        let is_of = |known: &&Port| known.port.is_none_or(|known| known == port);
        let Some(known) = self.ports.iter().find(is_of) else {
            let ports = self
                .ports
                .iter()
                .filter_map(|known| Some(format!("{} ({})", known.port?, known.message)))
                .collect();
            return Err(CodecError::Port {
                profile: profile(),
                port,
                expected: one_of(ports),
            });
        };
        if !known.bytes.is_empty() && !known.bytes.contains(&payload.len()) {
            let lengths = one_of(known.bytes.iter().map(ToString::to_string).collect());
            let expected = format!("{lengths} ({})", known.message);
            return Err(CodecError::Length {
                profile: profile(),
                port,
                length: payload.len(),
                expected,
            });
        }
        Ok(())
    }

    /// Whether what its sensors say may wait in a queue: it tells of when it is.
    pub fn may_wait(&self) -> bool {
        may_wait(self.transport, self.fields.as_ref())
    }

    /// The script that decodes what its sensors send, if one does.
    pub fn script(&self) -> Option<&Script> {
        self.script.as_ref()
    }

    /// What sensors of this model can be told.
    pub fn downlinks(&self) -> Option<&'static Downlinks> {
        self.codec.and_then(|codec| codec.downlinks.as_ref())
    }
}

fn asked(codec: Option<&'static Codec>, ask: &AskFile) -> Result<Ask, String> {
    let downlinks = codec.and_then(|codec| codec.downlinks.as_ref());
    let downlinks = downlinks.ok_or("its sensors take no commands")?;
    let arguments: Vec<(&str, &str)> = ask.arguments.iter().map(|(name, value)| (&**name, &**value)).collect();
    let command = downlinks.command(&ask.command, &arguments);
    let downlink = command.and_then(|command| downlinks.encode(&command));
    if ask.every_s < ASK_EVERY_S_MIN {
        return Err(format!(
            "every_s is {}; at least {ASK_EVERY_S_MIN}, for air time and battery",
            ask.every_s
        ));
    }
    Ok(Ask {
        downlink: downlink.map_err(|error| error.to_string())?,
        every_s: ask.every_s,
    })
}

fn one_of(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} or {last}", words.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shelf::{FILES, built_in_script};
    use super::*;

    fn parse(name: &str, text: &str) -> Result<Profile, ProfileError> {
        Profile::parse(name, text, &built_in_script)
    }

    fn text(name: &str) -> &'static str {
        FILES
            .iter()
            .find(|(file, _)| *file == format!("{name}.toml"))
            .unwrap()
            .1
    }

    #[test]
    fn every_embedded_profile_is_valid_and_found_by_its_name() {
        for (file, text) in FILES {
            let name = file.strip_suffix(".toml").unwrap();
            parse(name, text).unwrap();
            assert_eq!(Profile::by_name(name).unwrap().name, name);
        }
        assert!(Profile::by_name("bosch").is_none());
        assert_eq!(
            Profiles::built_in().names(),
            "a02yyuw, bosch-tps110, dingtek-do20x, dragino-ldds75, esphome-binary-sensor, hikvision-region, jsn-sr04t, libelium-smart-parking, lis3mdl, loop-relay, milesight-em400-mud, mmc5603, netvox-r719a, nwave-ncc405, nwave-nps310, nwave-nps405, onvif-line-counter, onvif-objects-inside, pni-placepod, qmc5883l, shelly-input, tasmota-switch, tekzitel-tekzipark, urm12, webhook or zigbee2mqtt-occupancy"
        );
    }

    #[test]
    fn a_codec_takes_no_port_and_no_length_that_its_profile_does_not_list() {
        for profile in Profiles::built_in().all() {
            let Some(codec) = profile.codec else { continue };
            for port in 0..=u8::MAX {
                let known = |known: &&Port| known.port.is_none_or(|known| known == port);
                let lengths = profile.ports.iter().find(known).map(|known| &known.bytes);
                let is_listed = |length| lengths.is_some_and(|listed| listed.is_empty() || listed.contains(&length));
                for length in (0..=40).filter(|length| !is_listed(*length)) {
                    for first in 0..=u8::MAX {
                        let mut payload = vec![0; length];
                        payload.iter_mut().take(1).for_each(|byte| *byte = first);
                        let decoded = (codec.decode)(port, &payload);
                        assert!(decoded.is_err(), "{} port {port}: {payload:02x?}", profile.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_profile_with_an_unknown_key_a_missing_key_or_a_wrong_codec_is_refused() {
        let text = text("bosch-tps110");
        for (bad, told) in [
            (format!("battery = 3\n{text}"), "battery"),
            (text.replace("queued = true", ""), "queued"),
            (
                text.replace("codec = \"bosch-tps110\"", "codec = \"bosh\""),
                "dingtek-do20x, ",
            ),
            (text.replace("port = 2", "port = 1"), "listed twice"),
            (text.replace("port = 2", "port = 300"), "300"),
            (text.replace("heartbeat_s = 86400", "heartbeat_s = 0"), "no interval"),
            (text.replace("every_s = 21600", "every_s = 60"), "at least 3600"),
            (
                text.replace("counter = \"state_changes\"", "counter = \"cars\""),
                "counter is cars",
            ),
            (text.replace("missed = 38", "missed = 9000"), "at most 5000"),
            (text.replace("errors = ", "error = "), "error"),
        ] {
            let error = parse("x", &bad).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
    #[test]
    fn a_profile_decodes_by_a_codec_or_by_a_script_whose_fields_it_maps() {
        let (scripted, coded, posted) = (text("dragino-ldds75"), text("bosch-tps110"), text("webhook"));
        let fields = "[fields]\noccupied = { at = \"/s\", occupied = [1], free = [0] }\n";
        for (bad, told) in [
            (
                scripted.replace("script = ", "codec = \"pni-placepod\"\nscript = "),
                "leave one of the two out",
            ),
            (
                scripted.replace("dragino-ldds75.js", "absent.js"),
                "cannot read absent.js",
            ),
            (scripted.replace("dragino-ldds75.js", "../a.js"), "beside the profile"),
            (
                scripted.replace("at = \"/distance\"", "at = \"distance\""),
                "no JSON Pointer",
            ),
            (
                scripted.replace("[fields]", "[fields]\nsequence = { at = \"/n\" }"),
                "network server",
            ),
            (scripted.replace("only_distance = true", ""), "only_distance = true"),
            (
                coded.replace("codec = \"bosch-tps110\"", ""),
                "needs a codec, or a script",
            ),
            (format!("{coded}\n{fields}"), "only JSON is mapped"),
            (
                format!("codec = \"bosch-tps110\"\n{posted}"),
                "only what comes through chirpstack",
            ),
            (
                format!("script = \"dragino-ldds75.js\"\n{posted}"),
                "only what comes through chirpstack",
            ),
            (format!("only_distance = true\n{posted}"), "brings no distance"),
        ] {
            let error = parse("x", &bad).unwrap_err().to_string();
            assert!(error.contains(told), "{told}: {error}");
        }
    }
}
