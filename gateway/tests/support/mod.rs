//! A real Mosquitto for one test, and a context for drivers.

// Every test program compiles this file and uses its own part of it.
#![allow(dead_code)]

pub mod line;

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use gateway::mqtt::{self, Address, Event, Events, Message, Options, Publication, Publisher, QoS};
use gateway::sensors::{BoundSensor, Delivery, DriverContext, DriverStatus, Profile};
use parking::{BootId, ClockQuality, SensorId, Stamp, Timestamp};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// A Mosquitto on a port of its own, which keeps its store over restarts.
pub struct Broker {
    folder: TempDir,
    pub port: u16,
    child: Child,
}

impl Broker {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts with more lines of configuration.
    pub async fn start_with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let store = folder.path().display();
        let config = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {store}/\n\
             autosave_on_changes true\nautosave_interval 1\nlog_dest stderr\nmax_queued_messages 100000\n{more}\n"
        );
        std::fs::write(folder.path().join("broker.conf"), config).unwrap();
        let child = Self::run(&folder).await;
        Self { folder, port, child }
    }

    async fn run(folder: &TempDir) -> Child {
        let mut child = Command::new("/usr/sbin/mosquitto")
            .arg("-c")
            .arg(folder.path().join("broker.conf"))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("mosquitto is installed: apt-get install mosquitto");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("mosquitto stopped before it was running");
            if line.ends_with(" running") {
                break;
            }
        }
        // Kept read, so that the broker never waits for its own log.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        child
    }

    /// Lets the broker save its store and stop.
    pub async fn stop(&mut self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        self.child.wait().await.unwrap();
    }

    pub async fn start_again(&mut self) {
        self.child = Self::run(&self.folder).await;
    }

    pub fn address(&self) -> Address {
        Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: self.port,
        }
    }

    pub fn options(&self, client_id: &str) -> Options {
        Options::new(self.address(), client_id)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Publishes with QoS 1 and waits until the broker has taken it over.
    pub async fn publish(&self, topic: &str, payload: impl Into<Bytes>) {
        let (publisher, mut events) = mqtt::connect(&self.options(&format!("publisher-{}", rand::random::<u32>())))
            .await
            .unwrap();
        let id = publisher.publish(publication(topic, payload)).await.unwrap();
        assert!(matches!(events.next().await.unwrap(), Event::Published(published) if published == id));
    }
}

pub fn publication(topic: &str, payload: impl Into<Bytes>) -> Publication {
    Publication {
        topic: topic.to_owned(),
        payload: payload.into(),
        qos: QoS::AtLeastOnce,
        retain: false,
    }
}

pub async fn next_message(events: &mut Events) -> Message {
    loop {
        if let Event::Message(message) = events.next().await.unwrap() {
            return message;
        }
    }
}

pub async fn subscribed(options: &Options) -> (Publisher, Events) {
    let (publisher, mut events) = mqtt::connect(options).await.unwrap();
    assert!(matches!(events.next().await.unwrap(), Event::Subscribed));
    (publisher, events)
}

/// The clock of the tests stands still.
pub fn now() -> Stamp {
    let at: Timestamp = "2026-03-01T08:00:00.250Z".parse().unwrap();
    Stamp {
        at,
        boot: BootId(3),
        mono_ms: 90_000,
        clock: ClockQuality::Synced,
    }
}

pub fn context(
    driver: &'static str,
    sensors: &[(&str, &str)],
    places: usize,
) -> (DriverContext, mpsc::Receiver<Delivery>) {
    let (sink, deliveries) = mpsc::channel(places);
    let bound = |profile: &str| BoundSensor::of(Profile::by_name(profile).unwrap());
    let sensors: HashMap<SensorId, BoundSensor> = sensors
        .iter()
        .map(|(id, profile)| (SensorId::new(*id).unwrap(), bound(profile)))
        .collect();
    let context = DriverContext {
        clock: Arc::new(now),
        spans: Arc::new(now),
        sink,
        sensors: Arc::new(sensors),
        status: DriverStatus::new(driver),
    };
    (context, deliveries)
}
