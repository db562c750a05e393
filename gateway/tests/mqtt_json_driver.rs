//! Sensors that publish themselves, over a real Mosquitto: as Zigbee2MQTT, Tasmota, ESPHome and ONVIF cameras write.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use gateway::sensors::mqtt_json::{MqttJson, Topic};
use gateway::sensors::{Broker as Source, Delivery, Driver, DriverContext, DriverState, Item};
use parking::{ReportKind, SensorId};
use support::{Broker, context, publication};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Sensor, profile, topic, channel.
const SENSORS: [(&str, &str, &str, &str); 5] = [
    ("zigbee-7", "zigbee2mqtt-occupancy", "zigbee2mqtt/bay-07", ""),
    ("tasmota-1", "tasmota-switch", "+/cabinet/+", "1"),
    ("tasmota-2", "tasmota-switch", "+/cabinet/+", "2"),
    (
        "esphome-1",
        "esphome-binary-sensor",
        "bay-09/binary_sensor/loop/state",
        "",
    ),
    (
        "onvif-1",
        "onvif-objects-inside",
        "kamera/onvif-ej/RuleEngine/FieldDetector/ObjectsInside/#",
        "bay-1",
    ),
];

struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
    context: DriverContext,
    deliveries: mpsc::Receiver<Delivery>,
}

fn run(broker: &Broker, queued: bool) -> Running {
    let bound: Vec<(&str, &str)> = SENSORS.iter().map(|(id, profile, ..)| (*id, *profile)).collect();
    let (context, deliveries) = context("mqtt", &bound, 64);
    let source = Source {
        host: "127.0.0.1".to_owned(),
        port: broker.port,
        login: None,
        client_id: "box-mqtt".to_owned(),
        unacknowledged_max: 64,
    };
    let topics = SENSORS.iter().map(|(id, _, filter, channel)| Topic {
        sensor: SensorId::new(*id).unwrap(),
        filter: (*filter).to_owned(),
        channel: (*channel).to_owned(),
        queued,
    });
    let cancel = CancellationToken::new();
    let driver = Box::new(MqttJson::new(source, topics.collect(), 7 * 3_600));
    let task = tokio::spawn(driver.run(context.clone(), cancel.clone()));
    Running {
        cancel,
        task,
        context,
        deliveries,
    }
}

impl Running {
    /// The next report: which sensor, its kind and state, or why it is none.
    async fn told(&mut self) -> (String, Result<(ReportKind, Option<bool>), String>) {
        let Delivery { item, done } = self.deliveries.recv().await.unwrap();
        done.journalled();
        match item {
            Item::Reading { reading, .. } => {
                let report = reading.report;
                (reading.sensor.to_string(), Ok((report.kind, report.occupied)))
            }
            Item::SetAside(set_aside) => (set_aside.sensor.to_string(), Err(set_aside.reason)),
        }
    }

    async fn connected(&self) {
        let status = &self.context.status;
        status.wait_for(|state| *state == DriverState::Connected).await;
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

/// A change that was seen.
fn change(sensor: &str, occupied: bool) -> (String, Result<(ReportKind, Option<bool>), String>) {
    (sensor.to_owned(), Ok((ReportKind::Status, Some(occupied))))
}

/// A state; since when nobody knows.
fn state(sensor: &str, occupied: bool) -> (String, Result<(ReportKind, Option<bool>), String>) {
    (sensor.to_owned(), Ok((ReportKind::Heartbeat, Some(occupied))))
}

#[tokio::test]
async fn each_message_is_of_the_sensors_that_it_is_for() {
    let broker = Broker::start().await;
    let mut running = run(&broker, false);
    running.connected().await;
    broker
        .publish(
            "zigbee2mqtt/bay-07",
            r#"{"occupancy":true,"voltage":2900,"linkquality":80}"#,
        )
        .await;
    assert_eq!(running.told().await, state("zigbee-7", true));
    broker
        .publish("zigbee2mqtt/bay-07", r#"{"presence":false,"battery_low":true}"#)
        .await;
    assert_eq!(running.told().await, change("zigbee-7", false));
    broker
        .publish("stat/cabinet/RESULT", r#"{"Switch2":{"Action":"ON"}}"#)
        .await;
    assert_eq!(running.told().await, state("tasmota-2", true));
    let tele = r#"{"Time":"1970-01-01T00:05:00","Switch1":"OFF","Switch2":"ON"}"#;
    broker.publish("tele/cabinet/SENSOR", tele).await;
    assert_eq!(running.told().await, state("tasmota-1", false));
    assert_eq!(running.told().await, state("tasmota-2", true));
    broker
        .publish("stat/cabinet/RESULT", r#"{"Switch1":{"Action":"ON"}}"#)
        .await;
    assert_eq!(running.told().await, change("tasmota-1", true));
    broker.publish("bay-09/binary_sensor/loop/state", "ON").await;
    assert_eq!(running.told().await, state("esphome-1", true));
    let onvif = |rule: &str, inside: &str| {
        format!(
            r#"{{"UtcTime":"2020-01-05T06:00:00Z","Source":{{"VideoSource":"0","Rule":"{rule}"}},"Data":{{"ObjectId":"5","IsInside":"{inside}"}}}}"#
        )
    };
    let topic = "kamera/onvif-ej/RuleEngine/FieldDetector/ObjectsInside/0/bay";
    broker.publish(topic, onvif("bay-2", "true")).await;
    broker.publish(topic, onvif("bay-1", "true")).await;
    broker.publish(topic, onvif("bay-1", "false")).await;
    assert_eq!(running.told().await, state("onvif-1", true));
    assert_eq!(running.told().await, change("onvif-1", false));
    running.stop().await;
}

#[tokio::test]
async fn what_means_nothing_is_set_aside_and_what_nobody_waits_for_is_not_told() {
    let broker = Broker::start().await;
    let mut running = run(&broker, false);
    running.connected().await;
    for (topic, payload, sensor, told) in [
        (
            "zigbee2mqtt/bay-07",
            &br#"{"occupancy":"maybe"}"#[..],
            "zigbee-7",
            r#"/occupancy or /presence is "maybe"; expected true, false"#,
        ),
        (
            "bay-09/binary_sensor/loop/state",
            b"unavailable",
            "esphome-1",
            r#"the message is "unavailable"; expected "ON", "OFF""#,
        ),
        (
            "bay-09/binary_sensor/loop/state",
            b"",
            "esphome-1",
            r#"the message is """#,
        ),
        (
            "bay-09/binary_sensor/loop/state",
            b"\xff\xfe",
            "esphome-1",
            "invalid utf-8",
        ),
    ] {
        broker.publish(topic, payload.to_vec()).await;
        let (by, reason) = running.told().await;
        let reason = reason.unwrap_err();
        assert!(by == sensor && reason.contains(told), "{by}: {reason}");
    }
    broker.publish("zigbee2mqtt/bay-08", r#"{"occupancy":true}"#).await;
    broker.publish("zigbee2mqtt/bay-07", r#"{"occupancy":true}"#).await;
    assert_eq!(running.told().await, state("zigbee-7", true));
    running.stop().await;
}

#[tokio::test]
async fn a_message_of_several_sensors_comes_again_until_it_is_on_disk_for_all() {
    let broker = Broker::start().await;
    // These sensors' profiles map no time, so nothing else is told of them; the way of acknowledging is the same.
    let mut running = run(&broker, true);
    running.connected().await;
    broker
        .publish("stat/cabinet/RESULT", r#"{"Switch1":"ON","Switch2":"ON"}"#)
        .await;
    // On disk for the first, refused for the second.
    running.deliveries.recv().await.unwrap().done.journalled();
    running.deliveries.recv().await.unwrap().done.refused();
    for sensor in ["tasmota-1", "tasmota-2"] {
        let (by, reason) = running.told().await;
        assert!(by == sensor && reason.unwrap_err().contains("does not say of when it is"));
    }
    running.stop().await;
}

#[tokio::test]
async fn what_was_retained_is_of_no_time_and_passed_over() {
    let broker = Broker::start().await;
    let (publisher, mut events) = gateway::mqtt::connect(&broker.options("publisher")).await.unwrap();
    let mut retained = publication("bay-09/binary_sensor/loop/state", "ON");
    retained.retain = true;
    publisher.room().await.unwrap().publish(retained).unwrap();
    events.next().await.unwrap();
    let mut running = run(&broker, false);
    running.connected().await;
    broker.publish("bay-09/binary_sensor/loop/state", "OFF").await;
    assert_eq!(running.told().await, state("esphome-1", false));
    running.stop().await;
}

#[tokio::test]
async fn what_changed_while_the_broker_was_away_was_not_seen_to_change() {
    let mut broker = Broker::start().await;
    let mut running = run(&broker, false);
    running.connected().await;
    broker.publish("bay-09/binary_sensor/loop/state", "ON").await;
    assert_eq!(running.told().await, state("esphome-1", true));
    broker.stop().await;
    let status = running.context.status.clone();
    status
        .wait_for(|state| matches!(state, DriverState::Waiting { .. }))
        .await;
    broker.start_again().await;
    running.connected().await;
    broker.publish("bay-09/binary_sensor/loop/state", "OFF").await;
    assert_eq!(running.told().await, state("esphome-1", false));
    running.stop().await;
}
