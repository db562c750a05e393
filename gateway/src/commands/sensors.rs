//! `gateway sensors`: the profiles that the program knows, and what a payload means by one of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::UsageError;
use crate::sensors::Profile;
use crate::sensors::chirpstack::envelope::Uplink;

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
    /// List the sensor profiles.
    Profiles,
}

#[derive(Debug, Args)]
struct Decode {
    /// Sensor profile, see `gateway sensors profiles`.
    #[arg(long)]
    profile: String,
    /// Application port (fPort).
    #[arg(long, required_unless_present = "envelope", conflicts_with = "envelope")]
    port: Option<u8>,
    /// Payload in hexadecimal; spaces and colons are ignored.
    #[arg(required_unless_present = "envelope", conflicts_with = "envelope")]
    hex: Vec<String>,
    /// File with a ChirpStack v4 uplink event in JSON, `-` for standard input; port and payload come from it.
    #[arg(long, value_name = "FILE")]
    envelope: Option<PathBuf>,
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
        Verb::Profiles => Profile::all().iter().try_for_each(print_profile)?,
    }
    Ok(())
}

fn decode(arguments: &Decode) -> anyhow::Result<String> {
    let profile = Profile::by_name(&arguments.profile).ok_or_else(|| {
        UsageError(format!(
            "there is no profile \"{}\"; expected {}",
            arguments.profile,
            Profile::names()
        ))
    })?;
    if let Some(path) = &arguments.envelope {
        let json = read_envelope(path)?;
        let uplink = Uplink::parse(&json).map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
        let decoded = profile
            .decode(uplink.f_port, &uplink.payload)
            .map_err(|error| UsageError(error.to_string()))?;
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
    let payload = parse_hex(&arguments.hex.concat())?;
    // Without an envelope clap has asked for the port.
    let port = arguments.port.unwrap_or_default();
    let decoded = profile
        .decode(port, &payload)
        .map_err(|error| UsageError(error.to_string()))?;
    Ok(serde_json::to_string(&decoded.view())?)
}

fn read_envelope(path: &Path) -> anyhow::Result<Vec<u8>> {
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

fn parse_hex(text: &str) -> Result<Vec<u8>, UsageError> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    if let Some(wrong) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        return Err(UsageError(format!(
            "'{wrong}' is no hexadecimal digit; expected a payload such as 01ff"
        )));
    }
    if digits.len() % 2 == 1 {
        return Err(UsageError(format!(
            "{} hexadecimal digits; expected two for each byte",
            digits.len()
        )));
    }
    let value = |digit: char| {
        digit
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
            .unwrap_or_default()
    };
    Ok(digits
        .chunks_exact(2)
        .map(|pair| value(pair[0]) << 4 | value(pair[1]))
        .collect())
}

fn print_profile(profile: &Profile) -> anyhow::Result<()> {
    tell!("{}\n  {}\n  {}", profile.name, profile.model, profile.vendor_document);
    match profile.heartbeat_s {
        Some(seconds) => tell!("  speaks at least every {seconds} s"),
        None => tell!("  speaks as often as its sender does"),
    }
    for port in &profile.ports {
        tell!("  port {}: {}", port.port, port.message);
    }
    for quirk in &profile.quirks {
        tell!("  note: {quirk}");
    }
    tell!("");
    Ok(())
}
