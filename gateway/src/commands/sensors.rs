//! `gateway sensors`: how sensors are and what they are told, the profiles that the program knows, what a payload means by one
//! of them, and what a recorded field would have told.

mod calibrate;
mod list;
mod plot;
mod record;
mod replay;
mod send;
mod test;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use parking::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::UsageError;
use crate::config::{Config, Sensor};
use crate::sensors::chirpstack::envelope::Uplink;
use crate::sensors::codecs::{CommandError, Decoded, Downlink, hex, unhex};
use crate::sensors::fields::Place;
use crate::sensors::{Profile, Profiles};

/// Largest envelope read, bytes.
const ENVELOPE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print what a payload means, as one JSON object.
    Decode(Decode),
    /// Print the bytes of a command to a sensor, as one JSON object.
    Encode(Encode),
    /// List the sensor profiles.
    Profiles,
    /// Shows how every sensor is, asked of the running daemon.
    List(list::List),
    /// Shows it again every second, until Ctrl-C.
    Watch(list::Watch),
    /// Tries one sensor: waits until it has told both states.
    Test(test::Test),
    /// Says that no vehicle is at a magnetometer's space: what it measures now is the field of the free space.
    Calibrate(calibrate::Calibrate),
    /// Sends a command to a sensor, through the LoRaWAN network server.
    Send(send::Send),
    /// Write samples of a magnetometer of the box, or made-up ones, for `replay`.
    Record(record::Record),
    /// Show what the box decides by recorded samples: field, thresholds, state.
    Replay(replay::Replay),
}

#[derive(Debug, Args)]
struct Decode {
    /// Sensor profile, see `gateway sensors profiles`.
    #[arg(long)]
    profile: String,
    /// Application port (fPort).
    #[arg(long, required_unless_present_any = ["envelope", "message"], conflicts_with_all = ["envelope", "message"])]
    port: Option<u8>,
    /// Payload in hexadecimal; spaces and colons are ignored.
    #[arg(required_unless_present_any = ["envelope", "message"], conflicts_with_all = ["envelope", "message"])]
    hex: Vec<String>,
    /// What the payload is of a command to the sensor, as a network server shows it.
    #[arg(long, conflicts_with_all = ["envelope", "message"])]
    downlink: bool,
    /// File with a ChirpStack v4 uplink event, JSON or protobuf, `-` for standard input; port and payload come from it.
    #[arg(long, value_name = "FILE", conflicts_with = "message")]
    envelope: Option<PathBuf>,
    /// File with a message in JSON, `-` for standard input, for sensors on MQTT and HTTP.
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
    /// Which of several sensors of the message, as `channel` of `[[sensors]]`.
    #[arg(long, requires = "message", default_value = "", hide_default_value = true)]
    channel: String,
}

#[derive(Debug, Args)]
struct Encode {
    /// Sensor profile, see `gateway sensors profiles`.
    #[arg(long)]
    profile: String,
    /// The command, see `gateway sensors profiles`.
    command: String,
    /// Its arguments, as in hours=4.
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
}

/// A command as bytes; `data` as ChirpStack's queue takes it (Base64).
#[derive(Serialize)]
struct Encoded {
    port: u8,
    bytes_hex: String,
    data: String,
}

/// What a message tells besides.
#[derive(Serialize)]
struct FromMessage<T> {
    #[serde(flatten)]
    decoded: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What an envelope adds to its payload.
#[derive(Serialize)]
struct FromEnvelope<T> {
    #[serde(flatten)]
    decoded: T,
    dev_eui: String,
    f_cnt: u32,
    rssi: Option<i32>,
    snr: Option<f64>,
    received: Option<jiff::Timestamp>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.verb {
        Verb::Decode(arguments) => tell!("{}", decode(arguments)?),
        Verb::Encode(arguments) => tell!("{}", encode(arguments)?),
        Verb::Profiles => Profiles::built_in().all().try_for_each(print_profile)?,
        Verb::List(list) => list.run()?,
        Verb::Watch(watch) => watch.run()?,
        Verb::Test(test) => test.run()?,
        Verb::Calibrate(calibrate) => calibrate.run()?,
        Verb::Send(send) => send.run()?,
        Verb::Record(record) => record.run()?,
        Verb::Replay(replay) => replay.run()?,
    }
    Ok(())
}

/// A profile of the program, or that of a file.
fn profile(name: &str) -> Result<&'static Profile, UsageError> {
    if let Some(profile) = Profile::by_name(name) {
        return Ok(profile);
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|extension| extension == "toml") {
        let profile = Profile::load(path).map_err(|error| UsageError(error.to_string()))?;
        return Ok(Box::leak(Box::new(profile)));
    }
    let known = Profiles::built_in().names();
    Err(UsageError(format!(
        "there is no profile \"{name}\"; expected {known}, or a file NAME.toml"
    )))
}

/// The sensor of a configuration with this id.
fn sensor<'c>(config: &'c Config, id: &str) -> Result<&'c Sensor, UsageError> {
    let known = config.sensors.iter().find(|sensor| sensor.id.as_str() == id);
    known.ok_or_else(|| {
        let file = config.path.display();
        UsageError(format!(
            "{file} has no sensor \"{id}\"\n  hint: `gateway sensors list {file}` lists them"
        ))
    })
}

/// The bytes of a command to sensors of a profile.
fn downlink(profile: &Profile, command: &str, arguments: &[String]) -> Result<Downlink, UsageError> {
    let mut pairs = Vec::new();
    for argument in arguments {
        let Some(pair) = argument.split_once('=') else {
            let reason = format!("\"{argument}\" is no argument; write it as in hours=4");
            return Err(UsageError(reason));
        };
        pairs.push(pair);
    }
    let usage = |error: CommandError| UsageError(format!("{}: {error}", profile.name));
    let downlinks = profile.downlinks().ok_or(CommandError::None).map_err(usage)?;
    let command = downlinks.command(command, &pairs).map_err(usage)?;
    downlinks.encode(&command).map_err(usage)
}

fn encode(arguments: &Encode) -> anyhow::Result<String> {
    let profile = profile(&arguments.profile)?;
    let Downlink { port, payload } = downlink(profile, &arguments.command, &arguments.arguments)?;
    let encoded = Encoded {
        port,
        bytes_hex: hex(&payload),
        data: STANDARD.encode(&payload),
    };
    Ok(serde_json::to_string(&encoded)?)
}

fn decode(arguments: &Decode) -> anyhow::Result<String> {
    let profile = profile(&arguments.profile)?;
    if let Some(path) = &arguments.message {
        return from_message(profile, path, &arguments.channel);
    }
    if let Some(path) = &arguments.envelope {
        let bytes = read_file(path)?;
        let uplink = Uplink::parse(&bytes).map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
        let decoded = decoded(profile, uplink.f_port, &uplink.payload, uplink.time)?;
        let Uplink {
            dev_eui,
            f_cnt,
            rssi_dbm,
            snr_db,
            time,
            ..
        } = uplink;
        let decoded = decoded.view();
        let all = FromEnvelope {
            decoded,
            dev_eui,
            f_cnt,
            rssi: rssi_dbm,
            snr: snr_db,
            received: time,
        };
        return Ok(serde_json::to_string(&all)?);
    }
    let payload = unhex(&arguments.hex.concat()).map_err(|error| UsageError(error.to_string()))?;
    // Without an envelope clap has asked for the port.
    let port = arguments.port.unwrap_or_default();
    if arguments.downlink {
        let downlinks = profile.downlinks().ok_or(CommandError::None);
        let downlinks = downlinks.map_err(|error| UsageError(format!("{}: {error}", profile.name)))?;
        let command = downlinks.decode(port, &payload);
        let command = command.map_err(|error| UsageError(error.to_string()))?;
        return Ok(serde_json::to_string(&command)?);
    }
    Ok(serde_json::to_string(&decoded(profile, port, &payload, None)?.view())?)
}

fn decoded(profile: &Profile, port: u8, payload: &[u8], received: Option<jiff::Timestamp>) -> anyhow::Result<Decoded> {
    // A script waits for its program.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A payload alone came at no time.
    let received = received.map_or(Timestamp::EPOCH, |time| Timestamp::from_millis(time.as_millisecond()));
    let decoded = runtime.block_on(profile.decode(port, payload, received));
    Ok(decoded.map_err(|error| UsageError(error.to_string()))?)
}

/// What a message in JSON means by the map of a profile.
fn from_message(profile: &Profile, path: &Path, channel: &str) -> anyhow::Result<String> {
    let usage = |reason: String| UsageError(format!("{}: {reason}", path.display()));
    let Some(fields) = profile.fields.as_ref().filter(|_| profile.script().is_none()) else {
        let reason = format!("{} maps no messages; it is for sensors on MQTT and HTTP", profile.name);
        return Err(UsageError(reason).into());
    };
    let message: Value =
        serde_json::from_slice(&read_file(path)?).map_err(|error| usage(format!("no JSON: {error}")))?;
    let place = Place {
        channel,
        ..Place::default()
    };
    if !fields.is_for(&message, place) {
        let reason = "this message is of another sensor, by only_when of the profile; is --channel right?";
        return Err(usage(reason.to_owned()).into());
    }
    let understood = fields.read(&message, place).map_err(|error| usage(error.to_string()))?;
    Ok(serde_json::to_string(&FromMessage {
        decoded: understood.decoded.view(),
        observed: understood.observed,
        sequence: understood.sequence,
        message: understood.message,
    })?)
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin()
            .lock()
            .take(ENVELOPE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        let unreadable = |error| UsageError(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).map_err(unreadable)?;
        file.take(ENVELOPE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    Ok(bytes)
}

fn print_profile(profile: &Profile) -> anyhow::Result<()> {
    tell!("{}\n  {}\n  {}", profile.name, profile.model, profile.vendor_document);
    match profile.heartbeat_s {
        Some(seconds) => tell!("  speaks at least every {seconds} s"),
        None => tell!("  speaks as often as its sender does"),
    }
    tell!("  comes by {}", profile.transport.way());
    match profile.counts.map(|counts| counts.modulus) {
        Some(Some(modulus)) => tell!("  counts vehicles: a total that goes on at 0 instead of {modulus}"),
        Some(None) => tell!("  counts vehicles: a total"),
        None => {}
    }
    for port in &profile.ports {
        match port.port {
            Some(number) => tell!("  port {number}: {}", port.message),
            None => tell!("  any port: {}", port.message),
        }
    }
    if let Some(script) = profile.script() {
        tell!("  decoded by {} (TS013)", script.file());
    }
    for command in profile.downlinks().into_iter().flat_map(|downlinks| downlinks.commands) {
        tell!("  command {command}: {}", command.about);
    }
    if let Some(magnetometer) = &profile.magnetometer {
        let rules = magnetometer.rules.pairs();
        let rules: Vec<String> = rules.iter().map(|(name, value)| format!("{name} {value}")).collect();
        tell!("  rules: {}", rules.join(", "));
    }
    for quirk in &profile.quirks {
        tell!("  note: {quirk}");
    }
    tell!("");
    Ok(())
}
