//! The city's other voice: a signed command to a box that the portal itself would not give, through Mosquitto's own client
//! with the city's certificate.

use std::fs;

use anyhow::Context;
use ledger::TextSigner;
use live::command::{LiveCommand, Order, StreamId, origin_of, sign};
use live::message::UnixMillis;
use parking::GatewayId;

use crate::process::{run, system_program};
use crate::world::{City, LOG_DOMAIN};

/// A command to a box, issued at `issued_ms` (Unix milliseconds), as the city would sign it.
pub fn signed(city: &City, gateway: &GatewayId, order: Order, issued_ms: i64) -> anyhow::Result<Vec<u8>> {
    let file = city.pki.join("command.key");
    let key = fs::read_to_string(file).context("no key for commands")?;
    let command = LiveCommand {
        id: StreamId::from_bytes(rand::random()),
        issued: u64::try_from(issued_ms)
            .ok()
            .and_then(UnixMillis::new)
            .context("no time")?,
        order,
    };
    let origin = origin_of(&format!("{LOG_DOMAIN}/{gateway}"));
    Ok(sign(&command, &origin, &TextSigner::from_text(key.trim())?)?)
}

/// Gives bytes to the city's broker as a command to a box, whatever they are.
pub fn send(city: &City, gateway: &GatewayId, payload: &[u8]) -> anyhow::Result<()> {
    let file = |name: &str| city.pki.join(name).display().to_string();
    fs::write(city.pki.join("command"), payload)?;
    let (port, topic) = (
        city.broker.address.port().to_string(),
        format!("parkir/1/{gateway}/command"),
    );
    let args = [
        "-h",
        "localhost",
        "-p",
        &port,
        "-V",
        "5",
        "-q",
        "1",
        "-t",
        &topic,
        "-f",
        &file("command"),
    ];
    let identity = [
        "--cafile",
        &file("ca.crt"),
        "--cert",
        &file("kominfo-client.crt"),
        "--key",
        &file("kominfo-client.key"),
    ];
    run(system_program("mosquitto_pub")?, args.iter().chain(&identity)).map(drop)
}
