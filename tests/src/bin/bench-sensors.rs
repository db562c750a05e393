//! What 500 sensors cost that each say something once a second: processor time and memory of the gateway, beside
//! `mosquitto_sub`, which takes the same messages from the same broker in the same seconds and does nothing with them. And
//! whether every message is accounted for: taken in, or set aside with a reason.
//!
//! Memory is proportional set size (`Pss` of proc(5)) at the end. The journal is on the disk of the temporary folder.

#![allow(clippy::cast_precision_loss)] // figures are printed with a few digits

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use parking::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tests::city::devices;
use tests::clock::{SimulatedClock, unix_ms};
use tests::cost;
use tests::process::{run, system_program, workspace_program};
use tests::street::Street;
use tests::world::{Database, World};

/// Sensors, each with a word a second.
#[derive(Debug, Parser)]
struct Arguments {
    /// Sensors.
    #[arg(long, default_value_t = 500)]
    sensors: usize,
    /// How long is measured, seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Seconds before what is measured.
const WARM_UP_S: u32 = 5;
/// A vehicle comes or goes this often at each space, seconds.
const CHANGE_S: i64 = 600;
/// Time to take in what is still at the broker.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let street = Street::new("bench-sensors", 1, arguments.sensors, 5)?;
    let start = Timestamp::from_millis(unix_ms() / 1_000 * 1_000);
    let clock = SimulatedClock::starting_in(Duration::from_secs(8), start, 1);
    let world = World::start(vec![street.clone()], clock, Database::Sqlite, 1).await?;
    let mut sensors = devices(&street);
    let mut chance = StdRng::seed_from_u64(1);
    let mut uplinks = Vec::new();
    let lasting = i64::from(WARM_UP_S + arguments.seconds);
    for second in 0..lasting {
        for (index, sensor) in sensors.iter_mut().enumerate() {
            let offset = i64::try_from(index)?;
            let occupied = (second + offset * 7) / CHANGE_S % 2 == 1;
            let mut uplink = sensor.heartbeat(index, start.plus_seconds(second), occupied, &mut chance);
            uplink.publish_at = start.plus_millis(second * 1_000 + offset * 1_000 / i64::try_from(arguments.sensors)?);
            uplinks.push(uplink);
        }
    }
    let published = uplinks.len();
    let peer = Peer::start(world.boxes[0].sensor_broker.address.port())?;
    let playing = world.play(0, uplinks);
    clock.reach(start.plus_seconds(WARM_UP_S.into())).await;
    let gateway = world.boxes[0].gateway.pid().context("the gateway runs")?;
    let gateway = gateway.as_raw_nonzero().get();
    let peer_pid = i32::try_from(peer.0.id())?;
    let before = (cost::ticks(&[gateway])?, cost::ticks(&[peer_pid])?, Instant::now());
    clock.reach(start.plus_seconds(lasting)).await;
    let seconds = before.2.elapsed().as_secs_f64();
    let percent = |ticks: u64| ticks as f64 / cost::ticks_a_second() / seconds * 100.0;
    let own = percent(cost::ticks(&[gateway])? - before.0);
    let peers = percent(cost::ticks(&[peer_pid])? - before.1);
    let sent = playing.await??;
    let begun = Instant::now();
    let (readings, set_aside) = loop {
        let (readings, set_aside) = taken(&world)?;
        if readings + set_aside >= published as u64 || begun.elapsed() >= PATIENCE {
            break (readings, set_aside);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    println!("sensors  words/s  CPU, % of one core                  memory (PSS), MB");
    println!("                  gateway  mosquitto_sub  ratio       gateway");
    println!(
        "{:>7}  {:>7}  {own:>7.1}  {peers:>13.2}  {:>5.1}  {:>12.1}",
        arguments.sensors,
        arguments.sensors,
        own / peers,
        cost::pss_mb(&[gateway])?,
    );
    println!("published {published} ({sent:?}); taken in {readings}, set aside {set_aside}");
    anyhow::ensure!(readings + set_aside == published as u64, "some are unaccounted for");
    println!(
        "every one is accounted for, {:.1} s after the last",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Readings that the engine took in, and messages that were set aside.
fn taken(world: &World) -> anyhow::Result<(u64, u64)> {
    let config = world.boxes[0].config.to_str().context("a path of text")?;
    let asked = |args: &[&str]| -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&run(workspace_program("gateway")?, args)?)?)
    };
    let sensors = asked(&["sensors", "list", config, "--json"])?;
    let sensors = sensors.as_array().context("no list of sensors")?;
    let readings = sensors
        .iter()
        .filter_map(|sensor| sensor["last"]["readings"].as_u64())
        .sum();
    let status = asked(&["status", config, "--json"])?;
    let set_aside = status["drivers"][0]["set_aside"].as_object().context("no set_aside")?;
    Ok((readings, set_aside.values().filter_map(Value::as_u64).sum()))
}

/// `mosquitto_sub`, ended when dropped.
struct Peer(Child);

impl Peer {
    fn start(port: u16) -> anyhow::Result<Self> {
        let child = Command::new(system_program("mosquitto_sub")?)
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1"])
            .args(["-t", "application/+/device/+/event/up"])
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
