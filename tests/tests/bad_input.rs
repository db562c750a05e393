//! What comes in at the door and should not: it is set aside, told, and stops nothing else.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking::Timestamp;
use tests::city::uplink::APPLICATION;
use tests::city::{Day, LEAVING_S, Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::deaf_broker::DeafBroker;
use tests::forger::publish_plain;
use tests::judge;
use tests::process::{Daemon, Ready, Spec, run, workspace_program};
use tests::street::Street;
use tests::world::{Database, RoadsideBox, World};

/// A box's morning of a few hours.
async fn morning(hours: i64) -> anyhow::Result<(World, Day, Plan)> {
    let street = Street::new("sim-01", 1, 12, 2)?;
    let start: Timestamp = "2026-01-05T06:00:00+07:00".parse()?;
    let plan = Plan {
        length_s: hours * 3_600 + LEAVING_S,
        ..Plan::day(judge::seed()?, start)
    };
    let day = simulate(&street, &plan, &mut devices(&street));
    let clock = SimulatedClock::starting_in(Duration::from_secs(5), start, 1_440);
    let world = World::start(vec![street], clock, Database::Sqlite, 1).await?;
    Ok((world, day, plan))
}

/// An uplink as a LoRaWAN server would send it, of any device, time and payload.
fn uplink(eui: &str, time: &str, port: u8, data: &str) -> (String, String) {
    let event = serde_json::json!({
        "deduplicationId": format!("00000000-0000-4000-8000-{eui}{port:04x}"),
        "time": time,
        "deviceInfo": {"devEui": eui},
        "fCnt": 70_000,
        "fPort": port,
        "data": data,
    });
    (
        format!("application/{APPLICATION}/device/{eui}/event/up"),
        event.to_string(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_broken_and_absurd_uplinks_change_nothing_and_stop_nothing() -> anyhow::Result<()> {
    let (mut world, day, plan) = morning(6).await?;
    let publishing = world.play(0, day.uplinks.clone());
    let bound = world.boxes[0].street.site.sensors[0].id.to_string();
    let nwave = world.boxes[0].street.site.sensors[1].id.to_string();
    let port = world.boxes[0].sensor_broker.address.port();
    let own_topic = uplink(&bound, "", 1, "").0;
    let bad = [
        uplink("ffffffffffffffff", "2026-01-05T01:00:00.5+00:00", 1, "AQ=="),
        uplink(&bound, "1970-01-01T00:00:01.000+00:00", 1, "AQ=="),
        uplink(&bound, "2099-12-31T23:59:59.000+00:00", 1, "AQ=="),
        uplink(&bound, "2026-01-05T01:00:00.5+00:00", 1, "AQEBAQ=="),
        uplink(&bound, "2026-01-05T01:00:00.5+00:00", 1, ""),
        uplink(&bound, "2026-01-05T01:00:00.5+00:00", 99, "AQ=="),
        uplink(&bound, "2026-01-05T01:00:00.5+00:00", 1, "no base64!"),
        uplink(&nwave, "2026-01-05T01:00:00.5+00:00", 3, "AQ=="),
        (own_topic.clone(), "{\"deviceInfo\": {\"devEui\": ".to_owned()),
        (own_topic.clone(), "[]".to_owned()),
        (own_topic.clone(), "\u{0}\u{1}noise".to_owned()),
        (own_topic, "x".repeat(300_000)),
    ];
    world.clock.reach(plan.start.plus_seconds(2 * 3_600)).await;
    for (topic, payload) in &bad {
        publish_file(world.folder(), port, topic, payload)?;
    }
    publishing.await??;
    world.clock.reach(plan.end()).await;
    judge::sessions(&world, 0, &day.truth).await?;
    judge::zone_days(&world, 0, &day.truth).await?;
    // What a bound sensor said and nobody could use is itself a record: the clocks, the lengths, the port, the encoding.
    let set_aside = world.api()?.events(&world.boxes[0].id, "reading_set_aside").await?;
    assert!(set_aside >= 4, "{set_aside} readings set aside");
    assert_eq!(world.boxes[0].gateway.exit_status()?, None, "the gateway ended");
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}

/// Publishes from a file, because a payload may be longer than an argument or hold a zero byte.
fn publish_file(folder: &Path, port: u16, topic: &str, payload: &str) -> anyhow::Result<()> {
    let file = folder.join("bad-payload");
    fs::write(&file, payload)?;
    let (port, file) = (port.to_string(), file.display().to_string());
    let program = tests::process::system_program("mosquitto_pub")?;
    run(program, ["-p", &port, "-q", "1", "-V", "5", "-t", topic, "-f", &file]).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_accepts_and_never_acknowledges_loses_nothing() -> anyhow::Result<()> {
    let (mut world, day, plan) = morning(4).await?;
    let address = world.city.broker.address;
    world.city.broker.daemon.kill()?;
    let deaf = DeafBroker::start(address, &world.city.pki).await?;
    let publishing = world.play(0, day.uplinks.clone());
    let begin = Instant::now();
    // The box must notice that no receipt comes, and build the link anew.
    while deaf.seen.connections.load(Ordering::SeqCst) < 3 || deaf.seen.publishes.load(Ordering::SeqCst) < 3 {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "the box waits for ever: {:?}",
            deaf.seen
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(deaf);
    world.city.broker.daemon.restart().await?;
    publishing.await??;
    world.clock.reach(plan.end()).await;
    judge::sessions(&world, 0, &day.truth).await?;
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}

/// A second `gateway run` with the keys of the first.
fn twin(world: &World, original: &RoadsideBox, data_dir: Option<&Path>) -> anyhow::Result<Spec> {
    let text = fs::read_to_string(&original.config)?;
    let config = world.folder().join("twin.toml");
    let lines = text.lines().map(|line| match data_dir {
        Some(folder) if line.starts_with("data_dir") => format!("data_dir = \"{}\"\n", folder.display()),
        _ => format!("{line}\n"),
    });
    fs::write(&config, lines.collect::<String>())?;
    let ready = Ready::Line("ready".to_owned());
    let spec = Spec::new(
        "twin",
        workspace_program("gateway")?,
        world.folder().join("twin.log"),
        ready,
    );
    Ok(spec
        .args([Path::new("run"), &config])
        .args(["--simulated-clock", &world.clock.to_string()]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_folder_refuses_to_start_and_says_why() -> anyhow::Result<()> {
    let (mut world, ..) = morning(1).await?;
    let mut twin = Daemon::spawn(twin(&world, &world.boxes[0], None)?)?;
    let status = twin.wait_for_exit(Duration::from_secs(10)).await?;
    assert!(!status.success());
    let words = twin.log_of_this_run()?;
    assert!(words.contains("another") && words.contains("error"), "{words}");
    assert_eq!(world.boxes[0].gateway.exit_status()?, None, "the first one ended");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_with_one_identity_are_noticed_and_the_citys_log_stays_one() -> anyhow::Result<()> {
    let (world, day, plan) = morning(4).await?;
    let publishing = world.play(0, day.uplinks.clone());
    world.clock.reach(plan.start.plus_seconds(2 * 3_600)).await;
    let folder = world.folder().join("twin-data");
    let twin = Daemon::spawn(twin(&world, &world.boxes[0], Some(&folder))?)?;
    world
        .api()?
        .await_alarm(&world.boxes[0].id, "fork", Duration::from_secs(30))
        .await?;
    drop(twin);
    publishing.await??;
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_sensor_brokers_other_topics_is_left_alone() -> anyhow::Result<()> {
    let (mut world, day, plan) = morning(1).await?;
    let port = world.boxes[0].sensor_broker.address.port();
    let eui = world.boxes[0].street.site.sensors[0].id.to_string();
    for event in ["join", "ack", "txack", "log", "status", "location"] {
        publish_plain(
            port,
            &format!("application/{APPLICATION}/device/{eui}/event/{event}"),
            "{}",
        )?;
    }
    world.play(0, day.uplinks.clone()).await??;
    world.clock.reach(plan.end()).await;
    judge::sessions(&world, 0, &day.truth).await?;
    assert_eq!(world.boxes[0].gateway.exit_status()?, None, "the gateway ended");
    Ok(())
}
