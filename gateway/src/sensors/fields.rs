//! Where in a JSON value stands what, for everything that already speaks JSON: the data of a TS013 codec, and sensors that
//! send or serve JSON themselves. A profile maps its fields, no code does.
//!
//! A field is named by a JSON Pointer (RFC 6901), as in `/parking/status`. What a message does not hold it does not tell; what
//! it holds and means nothing by the profile is refused, never guessed.

use jiff::civil::DateTime;
use parking::{Report, ReportKind, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::codecs::{Decoded, Health};

/// In the place of it, in pointers, stands the sensor's `channel`: several sensors may share a message.
const CHANNEL: &str = "{channel}";
/// Longest value that is shown in a message, bytes.
const SHOWN_BYTES_MAX: usize = 60;
/// Longest identity of a message, bytes.
const ID_BYTES_MAX: usize = 64;

/// A place in a message, or several of which the first that is there counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum At {
    One(String),
    Several(Vec<String>),
}

/// Where what stands.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fields {
    /// The message is for this sensor only if it is so.
    pub only_when: Option<Flag>,
    /// Whether a vehicle is there.
    pub occupied: Option<State>,
    /// Distance to whatever is in front of the sensor, millimetres.
    pub distance_mm: Option<Number>,
    /// Vehicles counted so far.
    pub count: Option<Number>,
    /// What kind of message it is; without it, it says how things are, and not that they have just become so.
    pub kind: Option<Kind>,
    /// When it was observed.
    pub observed: Option<Time>,
    /// A number that grows by one with each message.
    pub sequence: Option<Number>,
    /// The message's own identity, by which repeats are known.
    pub message: Option<Text>,
    /// Temperature at the sensor, degrees Celsius.
    pub temperature_c: Option<Number>,
    /// Battery voltage, volts.
    pub battery_v: Option<Number>,
    /// Whether the battery should be changed.
    pub low_battery: Option<Flag>,
    /// Signal strength, dBm.
    pub rssi_dbm: Option<Number>,
    /// Firmware version.
    pub firmware: Option<Text>,
}

/// A state by words.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    at: At,
    /// Values that mean a vehicle.
    occupied: Vec<Value>,
    /// Values that mean none.
    free: Vec<Value>,
    /// Values that mean that the sensor does not know: it is silent then.
    #[serde(default)]
    unknown: Vec<Value>,
}

/// A number, or its text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    at: At,
    /// What one unit of it is, in that of the field.
    #[serde(default = "one")]
    scale: f64,
    /// Values that mean that there is none, such as that of an echo that did not come.
    #[serde(default)]
    none: Vec<Value>,
}

/// Something that is so, or not.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    at: At,
    /// Values that mean that it is so.
    is: Vec<Value>,
}

/// Words.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    at: At,
}

/// Kinds of messages.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kind {
    at: At,
    /// Values of messages that are sent when the state changes, and at no other time.
    change: Vec<Value>,
    /// Where heartbeats are listed, all other messages are changes.
    heartbeat: Vec<Value>,
    startup: Vec<Value>,
    other: Vec<Value>,
}

/// A time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    at: At,
    format: TimeFormat,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// RFC 3339, with its offset from UTC.
    Rfc3339,
    /// ISO 8601 without an offset, in the time of the box's city.
    Local,
    /// Seconds since 1970-01-01T00:00:00Z.
    UnixS,
    /// Milliseconds since then.
    UnixMs,
}

/// What a message says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Understood {
    /// What bears on parking, and on the sensor's health.
    pub decoded: Decoded,
    /// When it was observed, if it says so.
    pub observed: Option<Timestamp>,
    /// Its number, if it has one.
    pub sequence: Option<u32>,
    /// Its identity, if it has one.
    pub message: Option<String>,
}

impl Understood {
    /// Whether it says nothing of what is at the sensor.
    pub fn tells_nothing(&self) -> bool {
        let report = &self.decoded.report;
        report.occupied.is_none() && report.count.is_none() && self.decoded.health.distance_mm.is_none()
    }
}

/// A value that means nothing by the profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at} is {shown}; {why}")]
pub struct FieldError {
    at: String,
    shown: String,
    why: String,
}

/// What mapping depends on besides the message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    /// What stands for `{channel}` in pointers.
    pub channel: &'a str,
    /// Seconds by which the city's clock is before UTC.
    pub utc_offset_s: i32,
}

impl Default for At {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl At {
    fn pointers(&self) -> &[String] {
        match self {
            Self::One(pointer) => std::slice::from_ref(pointer),
            Self::Several(pointers) => pointers,
        }
    }

    /// What stands there; nothing is nowhere.
    fn look<'m>(&self, message: &'m Value, channel: &str) -> Option<&'m Value> {
        self.pointers().iter().find_map(|pointer| {
            let found = if pointer.contains(CHANNEL) {
                let escaped = channel.replace('~', "~0").replace('/', "~1");
                message.pointer(&pointer.replace(CHANNEL, &escaped))
            } else {
                message.pointer(pointer)
            };
            found.filter(|value| !value.is_null())
        })
    }

    /// For messages to people.
    fn shown(&self) -> String {
        match self.pointers() {
            [pointer] if pointer.is_empty() => "the message".to_owned(),
            pointers => pointers.join(" or "),
        }
    }
}

fn one() -> f64 {
    1.0
}

impl Fields {
    /// Whether everything makes sense together.
    ///
    /// # Errors
    /// The key, and what is wrong there.
    pub fn check(&self, only_distance: bool) -> Result<(), String> {
        for (key, at) in self.places() {
            if at.pointers().is_empty() {
                return Err(format!("{key}: at names no place"));
            }
            let is_escaped = |at: &str| at.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
            let is_pointer = |at: &&String| (at.is_empty() || at.starts_with('/')) && is_escaped(at);
            if let Some(bad) = at.pointers().iter().find(|at| !is_pointer(at)) {
                return Err(format!(
                    "{key}: \"{bad}\" is no JSON Pointer; write it from the root, as in \"/data/state\""
                ));
            }
        }
        let scales = [
            &self.distance_mm,
            &self.count,
            &self.sequence,
            &self.temperature_c,
            &self.battery_v,
            &self.rssi_dbm,
        ];
        if scales
            .into_iter()
            .flatten()
            .any(|number| !number.scale.is_finite() || number.scale == 0.0)
        {
            return Err("a scale is 0, or no number".to_owned());
        }
        if let Some(state) = &self.occupied {
            if state.occupied.is_empty() || state.free.is_empty() {
                return Err("occupied: list the values of both, occupied and free".to_owned());
            }
            let all: Vec<&Value> = [&state.occupied, &state.free, &state.unknown]
                .into_iter()
                .flatten()
                .collect();
            if let Some((_, twice)) = all
                .iter()
                .enumerate()
                .find(|(index, value)| all[..*index].iter().any(|other| is(other, value)))
            {
                return Err(format!("occupied: {twice} stands there twice"));
            }
        }
        if self.only_when.as_ref().is_some_and(|flag| flag.is.is_empty()) {
            return Err("only_when: list the values by which a message is this sensor's".to_owned());
        }
        match (only_distance, &self.occupied, &self.distance_mm, &self.count) {
            (true, _, None, _) => {
                Err("distance_mm: this key is missing, and only_distance says that there is one".to_owned())
            }
            (true, Some(_), ..) => Err("occupied: leave it out where only_distance is true".to_owned()),
            (false, None, _, None) => {
                Err("map occupied, or count, or distance_mm together with only_distance = true".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether it maps what is elsewhere for messages that come in an envelope.
    pub fn has_own_envelope(&self) -> bool {
        self.observed.is_some() || self.has_identity()
    }

    /// Whether it maps by what a repeated message is known.
    pub fn has_identity(&self) -> bool {
        self.sequence.is_some() || self.message.is_some()
    }

    fn places(&self) -> impl Iterator<Item = (&'static str, &At)> {
        [
            ("only_when", self.only_when.as_ref().map(|field| &field.at)),
            ("occupied", self.occupied.as_ref().map(|field| &field.at)),
            ("distance_mm", self.distance_mm.as_ref().map(|field| &field.at)),
            ("count", self.count.as_ref().map(|field| &field.at)),
            ("kind", self.kind.as_ref().map(|field| &field.at)),
            ("observed", self.observed.as_ref().map(|field| &field.at)),
            ("sequence", self.sequence.as_ref().map(|field| &field.at)),
            ("message", self.message.as_ref().map(|field| &field.at)),
            ("temperature_c", self.temperature_c.as_ref().map(|field| &field.at)),
            ("battery_v", self.battery_v.as_ref().map(|field| &field.at)),
            ("low_battery", self.low_battery.as_ref().map(|field| &field.at)),
            ("rssi_dbm", self.rssi_dbm.as_ref().map(|field| &field.at)),
            ("firmware", self.firmware.as_ref().map(|field| &field.at)),
        ]
        .into_iter()
        .filter_map(|(key, at)| Some((key, at?)))
    }

    /// Whether something in it depends on the sensor's channel.
    pub fn has_channel(&self) -> bool {
        let in_values = self
            .only_when
            .iter()
            .flat_map(|flag| &flag.is)
            .any(|value| plain(value).contains(CHANNEL));
        let in_places = |(_, at): (_, &At)| at.pointers().iter().any(|at| at.contains(CHANNEL));
        in_values || self.places().any(in_places)
    }

    /// Whether `message` is for the sensor at `place`.
    pub fn is_for(&self, message: &Value, place: Place) -> bool {
        self.only_when.as_ref().is_none_or(|flag| {
            let value = flag.at.look(message, place.channel);
            let is_it = |wanted: &Value| {
                let wanted = Value::String(plain(wanted).replace(CHANNEL, place.channel));
                value.is_some_and(|value| is(&wanted, value))
            };
            flag.is.iter().any(is_it)
        })
    }

    /// What `message` says.
    ///
    /// # Errors
    /// The first value that means nothing.
    pub fn read(&self, message: &Value, place: Place) -> Result<Understood, FieldError> {
        let look = |at: &At| at.look(message, place.channel);
        let number = |field: &Option<Number>| -> Result<Option<f64>, FieldError> {
            let Some(field) = field else { return Ok(None) };
            look(&field.at).map_or(Ok(None), |value| field.read(value))
        };
        // What bears on health only must not cost the state.
        let health_number = |field: &Option<Number>| number(field).ok().flatten();
        let message_id = match self.message.as_ref().and_then(|field| Some((field, look(&field.at)?))) {
            None => None,
            Some((field, value)) => field.read_id(value)?,
        };
        let firmware = self.firmware.as_ref().and_then(|field| {
            let value = look(&field.at)?;
            Some(plain(value).chars().take(ID_BYTES_MAX).collect())
        });
        let occupied = match &self.occupied {
            None => None,
            Some(field) => look(&field.at).map_or(Ok(None), |value| field.read(value))?,
        };
        let kind = match &self.kind {
            None => ReportKind::Heartbeat,
            Some(field) => field.read(look(&field.at)),
        };
        let low_battery = self.low_battery.as_ref().and_then(|field| {
            let value = look(&field.at)?;
            Some(field.is.iter().any(|wanted| is(wanted, value)))
        });
        let observed = match &self.observed {
            None => None,
            Some(field) => look(&field.at)
                .map(|value| field.read(value, place.utc_offset_s))
                .transpose()?,
        };
        let count = whole(number(&self.count)?, "count")?;
        let distance_mm = whole(number(&self.distance_mm)?, "distance_mm")?;
        // A message of neither state nor number tells of the sensor's health only.
        let kind = match (occupied, count, distance_mm, kind) {
            (None, None, None, ReportKind::Status | ReportKind::Heartbeat) => ReportKind::Other,
            (None, Some(_), None, ReportKind::Status | ReportKind::Heartbeat) => ReportKind::Count,
            (.., kind) => kind,
        };
        let health = Health {
            temperature_c: health_number(&self.temperature_c),
            battery_v: health_number(&self.battery_v),
            low_battery,
            distance_mm,
            firmware,
            #[allow(clippy::cast_possible_truncation)] // a float becomes the nearest whole number that there is
            rssi_dbm: health_number(&self.rssi_dbm).map(|dbm| dbm.round() as i32),
            ..Health::default()
        };
        Ok(Understood {
            decoded: Decoded {
                report: Report {
                    kind,
                    occupied,
                    count,
                    ..Report::default()
                },
                health,
                ..Decoded::default()
            },
            observed,
            sequence: whole(number(&self.sequence)?, "sequence")?,
            message: message_id,
        })
    }
}

impl State {
    fn read(&self, value: &Value) -> Result<Option<bool>, FieldError> {
        let is_of = |wanted: &[Value]| wanted.iter().any(|wanted| is(wanted, value));
        if is_of(&self.occupied) {
            return Ok(Some(true));
        }
        if is_of(&self.free) {
            return Ok(Some(false));
        }
        if is_of(&self.unknown) {
            return Err(FieldError {
                at: self.at.shown(),
                shown: bounded(value),
                why: "the sensor does not know whether a vehicle is there".to_owned(),
            });
        }
        let known = [&self.occupied, &self.free, &self.unknown];
        let known: Vec<String> = known.into_iter().flatten().map(Value::to_string).collect();
        Err(error(&self.at, value, &known.join(", ")))
    }
}

impl Number {
    fn read(&self, value: &Value) -> Result<Option<f64>, FieldError> {
        if self.none.iter().any(|none| is(none, value)) {
            return Ok(None);
        }
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite());
        let number = number.ok_or_else(|| error(&self.at, value, "a number"))?;
        Ok(Some(number * self.scale))
    }
}

impl Text {
    /// By what a repeat is known. Two that differ somewhere are never the same.
    fn read_id(&self, value: &Value) -> Result<Option<String>, FieldError> {
        let text = plain(value);
        if text.len() > ID_BYTES_MAX {
            return Err(error(&self.at, value, &format!("at most {ID_BYTES_MAX} bytes")));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

impl Kind {
    fn read(&self, value: Option<&Value>) -> ReportKind {
        let known = [
            (&self.change, ReportKind::Status),
            (&self.heartbeat, ReportKind::Heartbeat),
            (&self.startup, ReportKind::Startup),
            (&self.other, ReportKind::Other),
        ];
        let found = known
            .into_iter()
            .find(|(values, _)| value.is_some_and(|value| values.iter().any(|wanted| is(wanted, value))));
        let other = if self.heartbeat.is_empty() {
            ReportKind::Heartbeat
        } else {
            ReportKind::Status
        };
        found.map_or(other, |(_, kind)| kind)
    }
}

impl Time {
    fn read(&self, value: &Value, utc_offset_s: i32) -> Result<Timestamp, FieldError> {
        let text = plain(value);
        let unix = |per_second: i64| -> Option<Timestamp> {
            let number: f64 = text.trim().parse().ok()?;
            let millis = number * 1_000.0 / f64::from(i32::try_from(per_second).ok()?);
            #[allow(clippy::cast_possible_truncation)] // looked at before
            (millis.abs() < 1e15).then(|| Timestamp::from_millis(millis as i64))
        };
        let (time, expected) = match self.format {
            TimeFormat::Rfc3339 => (text.parse().ok(), "a time as in 2026-01-05T06:00:00+07:00"),
            TimeFormat::Local => {
                let local: Option<DateTime> = text.parse().ok();
                let utc = local.and_then(|local| local.to_zoned(jiff::tz::TimeZone::UTC).ok());
                let time = utc.map(|utc| {
                    Timestamp::from_millis(utc.timestamp().as_millisecond()).plus_seconds(-i64::from(utc_offset_s))
                });
                (time, "a time as in 2026-01-05T06:00:00")
            }
            TimeFormat::UnixS => (unix(1), "seconds since 1970"),
            TimeFormat::UnixMs => (unix(1_000), "milliseconds since 1970"),
        };
        time.ok_or_else(|| error(&self.at, value, expected))
    }
}

/// Whether a value is the one that a profile lists. Senders write the same thing as a number or as text: `true` is `"true"`.
fn is(wanted: &Value, value: &Value) -> bool {
    wanted == value || !value.is_object() && !value.is_array() && plain(wanted) == plain(value)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn whole(number: Option<f64>, key: &str) -> Result<Option<u32>, FieldError> {
    let Some(number) = number else { return Ok(None) };
    let rounded = number.round();
    if !(0.0..=f64::from(u32::MAX)).contains(&rounded) {
        return Err(FieldError {
            at: key.to_owned(),
            shown: number.to_string(),
            why: format!("expected 0 to {}", u32::MAX),
        });
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // looked at before
    Ok(Some(rounded as u32))
}

fn error(at: &At, value: &Value, expected: &str) -> FieldError {
    FieldError {
        at: at.shown(),
        shown: bounded(value),
        why: format!("expected {expected}"),
    }
}

/// A value as people read it.
fn bounded(value: &Value) -> String {
    let mut shown = value.to_string();
    if shown.len() > SHOWN_BYTES_MAX {
        let end = (0..=SHOWN_BYTES_MAX).rev().find(|end| shown.is_char_boundary(*end));
        shown.truncate(end.unwrap_or(0));
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
