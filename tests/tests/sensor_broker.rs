//! The simulator's way to the box is itself trustworthy: nothing is lost between it and a subscriber.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::time::Duration;

use tests::city::faults::Faults;
use tests::city::{Plan, devices, publisher, simulate};
use tests::clock::SimulatedClock;
use tests::process::{Daemon, Ready, Spec, system_program};
use tests::servers::mosquitto;
use tests::street::Street;

/// A subscriber with a persistent session that appends what it gets to a file.
fn subscriber(folder: &std::path::Path, port: u16) -> anyhow::Result<Spec> {
    let program = system_program("mosquitto_sub")?;
    let ready = Ready::Line("received SUBACK".to_owned());
    // Without `stdbuf` the program keeps what it got to itself until it has a page of it.
    let spec = Spec::new("subscriber", system_program("stdbuf")?, folder.join("received"), ready);
    let spec = spec.args([OsStr::new("-oL"), program.as_os_str()]);
    Ok(spec
        .args([
            "-p",
            &port.to_string(),
            "-V",
            "5",
            "-c",
            "-i",
            "box",
            "-x",
            "3600",
            "-q",
            "1",
            "-d",
        ])
        .args(["-t", "application/+/device/+/event/up", "-F", "got %p"]))
}

fn identities(text: &str) -> Vec<String> {
    let events = text.lines().filter_map(|line| line.strip_prefix("got "));
    let parsed = events.filter_map(|json| serde_json::from_str::<serde_json::Value>(json).ok());
    parsed
        .filter_map(|event| event["deduplicationId"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_uplink_reaches_the_subscriber_although_the_broker_is_killed_again_and_again() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut broker = mosquitto::sensors(folder.path()).await?;
    let mut subscriber = Daemon::start(subscriber(folder.path(), broker.address.port())?).await?;
    let street = Street::new("sim-01", 1, 20, 2)?;
    let start = "2026-01-05T00:00:00+07:00".parse()?;
    let plan = Plan::day(4, start).with(Faults {
        repeated: 0.1,
        ..Faults::default()
    });
    let day = simulate(&street, &plan, &mut devices(&street));
    let expected: BTreeSet<String> = day
        .uplinks
        .iter()
        .map(|uplink| uplink.deduplication_id.clone())
        .collect();

    let (address, uplinks) = (broker.address, day.uplinks.clone());
    let clock = SimulatedClock::starting_in(Duration::ZERO, start, 20_000);
    let publishing = tokio::spawn(async move { publisher::publish(address, "lorawan", &uplinks, Some(clock)).await });
    for round in 1..=5 {
        clock.reach(start.plus_seconds(round * 4 * 3_600)).await;
        broker.daemon.kill()?;
        broker.daemon.restart().await?;
    }
    let published = publishing.await??;
    assert!(published.reconnections >= 5, "{published:?}");

    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let received = loop {
        let received: BTreeSet<String> = identities(&subscriber.log_of_this_run()?).into_iter().collect();
        if received.len() == expected.len() || std::time::Instant::now() > deadline {
            break received;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let lost: Vec<&String> = expected.difference(&received).collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost, {published:?}",
        lost.len(),
        expected.len()
    );
    subscriber.kill()
}
