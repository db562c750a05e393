//! The ChirpStack driver against a real Mosquitto.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use gateway::mqtt::{Events, Publisher, QoS, Subscription};
use gateway::sensors::chirpstack::{ChirpStack, Commander, OrderError, Sending};
use gateway::sensors::codecs::{Downlink, unhex};
use gateway::sensors::{Broker as Source, Delivery, Driver, DriverContext, DriverState, Item};
use parking::{Reading, ReportKind, SensorId};
use serde_json::json;
use support::{Broker, context, next_message, now, subscribed};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BOSCH: &str = "70b3d52c0001a2f4";
const NWAVE: &str = "70b3d52c0001a2f5";
const LIBELIUM: &str = "70b3d52c0001a2f6";
const SENSORS: [(&str, &str); 3] = [
    (BOSCH, "bosch-tps110"),
    (NWAVE, "nwave-nps405"),
    (LIBELIUM, "libelium-smart-parking"),
];

struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
    context: DriverContext,
    deliveries: mpsc::Receiver<Delivery>,
    commander: Commander,
}

fn run(broker: &Broker) -> Running {
    run_with(broker, 64, None)
}

fn run_with(broker: &Broker, unacknowledged_max: u16, login: Option<(String, std::path::PathBuf)>) -> Running {
    let (context, deliveries) = context("chirpstack", &SENSORS, 64);
    let client_id = "box-sensors".to_owned();
    let source = Source {
        host: "127.0.0.1".to_owned(),
        port: broker.port,
        login,
        client_id,
        unacknowledged_max,
    };
    let cancel = CancellationToken::new();
    let (driver, commander) = ChirpStack::new(source, 7 * 3_600);
    let driver = Box::new(driver);
    let task = tokio::spawn(driver.run(context.clone(), cancel.clone()));
    Running {
        cancel,
        task,
        context,
        deliveries,
        commander,
    }
}

impl Running {
    async fn next(&mut self) -> Delivery {
        self.deliveries.recv().await.unwrap()
    }

    async fn reading(&mut self) -> Reading {
        let Delivery { item, done } = self.next().await;
        done.journalled();
        match item {
            Item::Reading { reading, .. } => reading,
            Item::SetAside(set_aside) => panic!("{set_aside:?}"),
        }
    }

    async fn connected(&self) {
        self.context
            .status
            .wait_for(|state| *state == DriverState::Connected)
            .await;
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
        assert_eq!(self.context.status.snapshot().state, DriverState::Stopped);
    }
}

/// What the network server is told.
async fn commands(broker: &Broker) -> (Publisher, Events) {
    let mut server = broker.options("network-server");
    server.subscriptions = vec![Subscription {
        filter: "application/+/device/+/command/down".to_owned(),
        qos: QoS::AtLeastOnce,
    }];
    subscribed(&server).await
}

fn topic(dev_eui: &str) -> String {
    format!("application/ca739e26-7b67-4f14-b69e-d568c22a5a75/device/{dev_eui}/event/up")
}

fn uplink(dev_eui: &str, f_cnt: u32, f_port: u8, data: &str) -> String {
    json!({
        "deduplicationId": format!("57433366-50a6-4dc2-8145-{f_cnt:012}"),
        "time": "2026-03-01T07:59:58.404859+00:00",
        "deviceInfo": {"tenantName": "ChirpStack", "devEui": dev_eui, "tags": {}},
        "devAddr": "20000001", "adr": true, "dr": 5, "fCnt": f_cnt, "fPort": f_port, "confirmed": false, "data": data,
        "rxInfo": [{"gatewayId": "6a7e111a10000000", "uplinkId": 24022, "rssi": -35, "snr": 11.5}],
    })
    .to_string()
}

#[tokio::test]
async fn an_uplink_becomes_a_reading_with_its_own_time_and_identity() {
    let broker = Broker::start().await;
    let mut running = run(&broker);
    running.connected().await;
    broker
        .publish(&topic(NWAVE), uplink(&NWAVE.to_uppercase(), 9, 1, "lQ=="))
        .await;
    let Delivery { item, done } = running.next().await;
    done.journalled();
    let Item::Reading { reading, health } = item else {
        panic!("{item:?}")
    };
    assert_eq!(reading.sensor.as_str(), NWAVE);
    assert_eq!(reading.observed.to_string(), "2026-03-01T07:59:58Z");
    assert_eq!(reading.received, now());
    assert_eq!(reading.sequence, Some(9));
    assert_eq!(reading.message.as_deref(), Some("57433366-50a6-4dc2-8145-000000000009"));
    assert_eq!(
        (reading.report.kind, reading.report.occupied),
        (ReportKind::Status, Some(true))
    );
    assert_eq!(reading.report.previous_state.unwrap().minutes_min, 74);
    assert_eq!((health.rssi_dbm, health.snr_db), (Some(-35), Some(11.5)));
    running.stop().await;
}

#[tokio::test]
async fn a_sensor_that_counts_is_asked_for_its_total_once_in_a_while() {
    let broker = Broker::start().await;
    let (_publisher, mut events) = commands(&broker).await;
    let mut running = run(&broker);
    running.connected().await;
    let old = uplink(BOSCH, 1, 1, "AQ==").replace("07:59:58", "07:40:00");
    broker.publish(&topic(BOSCH), old).await;
    broker.publish(&topic(NWAVE), uplink(NWAVE, 1, 1, "lQ==")).await;
    for f_cnt in 2..=4 {
        broker.publish(&topic(BOSCH), uplink(BOSCH, f_cnt, 1, "AQ==")).await;
    }
    for _ in 0..5 {
        running.reading().await;
    }
    broker.publish("application/a/device/b/command/down", "the last").await;
    let asked = next_message(&mut events).await;
    assert_eq!(asked.topic, topic(BOSCH).replace("event/up", "command/down"));
    let question: serde_json::Value = serde_json::from_slice(&asked.payload).unwrap();
    let expected = json!({"devEui": BOSCH, "confirmed": false, "fPort": 55, "data": "AA=="});
    assert_eq!(question, expected);
    asked.ack.acknowledge();
    let last = next_message(&mut events).await;
    assert_eq!(&last.payload[..], b"the last");
    running.stop().await;
}

#[tokio::test]
async fn a_sensor_that_asks_for_the_time_is_told_it_at_once_and_not_when_its_question_is_old() {
    let broker = Broker::start().await;
    let (_publisher, mut events) = commands(&broker).await;
    let mut running = run(&broker);
    running.connected().await;
    // Start frame 1, as in the vendor's guide; the first waited at the broker.
    let start = "BAAAPzS5CRc/YA/C";
    let old = uplink(LIBELIUM, 1, 3, start).replace("07:59:58", "07:40:00");
    broker.publish(&topic(LIBELIUM), old).await;
    broker.publish(&topic(LIBELIUM), uplink(LIBELIUM, 2, 3, start)).await;
    for _ in 0..2 {
        running.reading().await;
    }
    let answer = next_message(&mut events).await;
    assert_eq!(answer.topic, topic(LIBELIUM).replace("event/up", "command/down"));
    let told: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    // Sunday, 1 March 2026, 15:00 in Jakarta.
    let expected = json!({"devEui": LIBELIUM, "confirmed": false, "fPort": 3, "data": "GgMBAA8AAAA="});
    assert_eq!(told, expected);
    running.stop().await;
}

/// `UplinkEvent` of the Bosch sensor as the `ChirpStack` API's Python package 4.20.0 writes it.
const PROTOBUF: &str = "0a2433616337653363342d343430312d346238642d393338362d613563393032663932303264120c088b9becca06108898e8d9\
    011a4a0a2435326631346364342d633666312d346662642d386638372d3430323565316434393234323a036261794210373062336435326330303031\
    613266344a0b0a0573706163651202413122083030313839343430280130013804400148015201015a100a0e0a086f6363757069656412022001622a\
    0a103030313663303031663135336131346310cfdeefda0f308affffffffffffffff013d000018c1400362220a10303031366330303166313533613134\
    6430dcffffffffffffffff013d000028416a060880d49bb803";

#[tokio::test]
async fn a_network_server_that_writes_protobuf_is_read_and_answered_in_it() {
    let broker = Broker::start().await;
    let (_publisher, mut events) = commands(&broker).await;
    let mut running = run(&broker);
    running.connected().await;
    broker.publish(&topic(BOSCH), unhex(PROTOBUF).unwrap()).await;
    let reading = running.reading().await;
    assert_eq!((reading.sequence, reading.report.occupied), (Some(4), Some(true)));
    assert_eq!(reading.observed.to_string(), "2026-01-05T01:02:03Z");
    let order = Downlink {
        port: 55,
        payload: vec![1, 2],
    };
    let sensor = SensorId::new(BOSCH).unwrap();
    assert_eq!(running.commander.send(sensor, order).await, Ok(Sending::Now));
    let command = next_message(&mut events).await;
    assert_eq!(
        &command.payload[..],
        unhex("12103730623364353263303030316132663420372a020102").unwrap()
    );
    running.stop().await;
}

#[tokio::test]
async fn uplinks_wait_at_the_broker_until_they_are_journalled() {
    let broker = Broker::start().await;
    let mut running = run(&broker);
    running.connected().await;
    for f_cnt in 1..=3 {
        broker.publish(&topic(BOSCH), uplink(BOSCH, f_cnt, 1, "AQ==")).await;
    }
    // Taken in, never journalled: the box loses power with them in hand.
    let mut in_hand = Vec::new();
    while in_hand.len() < 3 {
        in_hand.push(running.next().await);
    }
    running.stop().await;
    // Said too late, to a session that is over.
    for delivery in in_hand {
        delivery.done.journalled();
    }
    // Published while the box is away.
    broker.publish(&topic(BOSCH), uplink(BOSCH, 4, 1, "AQ==")).await;

    let mut running = run(&broker);
    for f_cnt in 1..=4 {
        assert_eq!(running.reading().await.sequence, Some(f_cnt));
    }
    running.stop().await;
}

#[tokio::test]
async fn the_broker_is_told_of_each_uplink_only_when_it_is_journalled() {
    let broker = Broker::start().await;
    // The broker may have one uplink unacknowledged: the next proves that the one before was acknowledged.
    let mut running = run_with(&broker, 1, None);
    running.connected().await;
    for f_cnt in 1..=20 {
        broker.publish(&topic(BOSCH), uplink(BOSCH, f_cnt, 1, "AQ==")).await;
    }
    for f_cnt in 1..=20 {
        let delivery = running.next().await;
        assert!(
            running.deliveries.is_empty(),
            "the broker sent past an uplink that was not journalled"
        );
        assert!(matches!(&delivery.item, Item::Reading { reading, .. } if reading.sequence == Some(f_cnt)));
        delivery.done.journalled();
    }
    running.stop().await;
}

#[tokio::test]
async fn an_uplink_that_could_not_be_journalled_comes_again() {
    let broker = Broker::start().await;
    let mut running = run(&broker);
    running.connected().await;
    broker.publish(&topic(BOSCH), uplink(BOSCH, 7, 1, "AQ==")).await;
    running.next().await.done.refused();
    drop(running.next().await);
    assert_eq!(running.reading().await.sequence, Some(7));
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_used_is_set_aside_and_never_stops_the_rest() {
    let broker = Broker::start().await;
    let mut running = run(&broker);
    running.connected().await;
    let stranger = "aaaaaaaaaaaaaaaa";
    let with_time = |time: &str| uplink(BOSCH, 30, 1, "AQ==").replace("2026-03-01T07:59:58.404859+00:00", time);
    let bad = [
        (topic(stranger), "{".to_owned(), None),
        (topic(stranger), uplink(stranger, 1, 1, "AQ=="), None),
        ("application/a/device/x/event/up".to_owned(), "\u{0}".to_owned(), None),
        (topic(BOSCH), "no json".to_owned(), Some("in JSON or in protobuf")),
        (topic(BOSCH), uplink(stranger, 1, 1, "AQ=="), Some("topic is of device")),
        (topic(stranger), uplink(BOSCH, 1, 1, "AQ=="), None),
        (
            topic(BOSCH),
            uplink(BOSCH, 20, 1, "AQE="),
            Some("expected 1 (parking status)"),
        ),
        (
            topic(BOSCH),
            uplink(BOSCH, 21, 42, "AQ=="),
            Some("no message of bosch-tps110 comes on port 42"),
        ),
        (topic(NWAVE), uplink(NWAVE, 22, 2, ""), Some("0 bytes on port 2")),
        (topic(BOSCH), uplink(BOSCH, 23, 1, "?"), Some("base64")),
        (topic(BOSCH), with_time("1970-01-01T00:00:07Z"), Some("cannot be true")),
        (topic(BOSCH), with_time("2099-01-01T00:00:00Z"), Some("cannot be true")),
        (topic(BOSCH), with_time("now"), Some("RFC 3339")),
    ];
    for (topic, payload, _) in &bad {
        broker.publish(topic, payload.clone()).await;
    }
    broker.publish(&topic(BOSCH), uplink(BOSCH, 99, 1, "AQ==")).await;
    for told in bad.iter().filter_map(|(_, _, told)| *told) {
        let Delivery { item, done } = running.next().await;
        done.journalled();
        let Item::SetAside(set_aside) = item else {
            panic!("{item:?}")
        };
        assert!(set_aside.reason.contains(told), "{told}: {set_aside:?}");
    }
    assert_eq!(running.reading().await.sequence, Some(99));
    let snapshot = running.context.status.snapshot();
    assert_eq!(snapshot.set_aside.values().sum::<u64>(), bad.len() as u64);
    assert_eq!(snapshot.set_aside["unbound"], 1);
    assert_eq!(snapshot.recent.len(), bad.len());
    running.stop().await;

    // All of them were acknowledged: nothing is left for the next session.
    broker.publish(&topic(BOSCH), uplink(BOSCH, 100, 1, "AQ==")).await;
    let mut running = run(&broker);
    assert_eq!(running.reading().await.sequence, Some(100));
    assert!(running.context.status.snapshot().set_aside.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_frame_of_network_commands_proves_only_that_the_sensor_lives() {
    let broker = Broker::start().await;
    let mut running = run(&broker);
    running.connected().await;
    let json = json!({"deviceInfo": {"devEui": BOSCH}, "fCnt": 5}).to_string();
    broker.publish(&topic(BOSCH), json).await;
    let reading = running.reading().await;
    assert_eq!(reading.sequence, Some(5));
    assert_eq!(
        (reading.report.kind, reading.report.occupied),
        (ReportKind::Other, None)
    );
    assert_eq!(reading.observed, now().at.floor_to_second());
    running.stop().await;
}

#[tokio::test]
async fn after_a_restart_of_the_broker_everything_unacknowledged_comes_again_and_the_driver_goes_on() {
    let mut broker = Broker::start().await;
    let mut running = run(&broker);
    running.connected().await;
    for f_cnt in 1..=5 {
        broker.publish(&topic(BOSCH), uplink(BOSCH, f_cnt, 1, "AQ==")).await;
    }
    let mut in_hand = Vec::new();
    while in_hand.len() < 5 {
        in_hand.push(running.next().await);
    }
    broker.stop().await;
    broker.start_again().await;
    for delivery in in_hand {
        delivery.done.journalled();
    }
    broker.publish(&topic(BOSCH), uplink(BOSCH, 6, 1, "AQ==")).await;
    for f_cnt in 1..=6 {
        assert_eq!(running.reading().await.sequence, Some(f_cnt));
    }
    assert_eq!(running.context.status.snapshot().state, DriverState::Connected);
    running.stop().await;
}

#[tokio::test]
async fn an_order_waits_for_its_sensor_to_be_heard_and_then_goes_at_once() {
    let broker = Broker::start().await;
    let mut server = broker.options("network-server");
    server.subscriptions = vec![Subscription {
        filter: format!("application/+/device/{NWAVE}/command/down"),
        qos: QoS::AtLeastOnce,
    }];
    let (_publisher, mut events) = subscribed(&server).await;
    let mut running = run(&broker);
    running.connected().await;
    let sensor = SensorId::new(NWAVE).unwrap();
    let order = |byte| {
        let payload = vec![byte];
        running.commander.send(sensor.clone(), Downlink { port: 7, payload })
    };
    assert_eq!(order(1).await, Ok(Sending::WhenHeard));
    broker.publish(&topic(NWAVE), uplink(NWAVE, 1, 1, "lQ==")).await;
    let down = next_message(&mut events).await;
    assert_eq!(down.topic, topic(NWAVE).replace("event/up", "command/down"));
    let told: serde_json::Value = serde_json::from_slice(&down.payload).unwrap();
    let expected = json!({"devEui": NWAVE, "confirmed": false, "fPort": 7, "data": "AQ=="});
    assert_eq!(told, expected);
    assert_eq!(order(2).await, Ok(Sending::Now));
    let down = next_message(&mut events).await;
    let told: serde_json::Value = serde_json::from_slice(&down.payload).unwrap();
    assert_eq!(told["data"], "Ag==");
    let silent = SensorId::new(BOSCH).unwrap();
    for place in 0..9 {
        let downlink = Downlink {
            port: 7,
            payload: vec![place],
        };
        let taken = running.commander.send(silent.clone(), downlink).await;
        let expected = if place < 8 {
            Ok(Sending::WhenHeard)
        } else {
            Err(OrderError::TooMany)
        };
        assert_eq!(taken, expected);
    }
    running.reading().await;
    running.stop().await;
}

#[tokio::test]
async fn a_missing_password_file_is_told_and_the_driver_waits() {
    let broker = Broker::start().await;
    let absent = broker.file("absent");
    let running = run_with(&broker, 64, Some(("box".to_owned(), absent)));
    let state = running
        .context
        .status
        .wait_for(|state| matches!(state, DriverState::Waiting { .. }))
        .await;
    assert!(
        matches!(&state, DriverState::Waiting { reason } if reason.contains("absent")),
        "{state:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn the_driver_ends_when_nobody_receives_any_more() {
    let broker = Broker::start().await;
    let running = run(&broker);
    running.connected().await;
    drop(running.deliveries);
    broker.publish(&topic(BOSCH), uplink(BOSCH, 1, 1, "AQ==")).await;
    running.task.await.unwrap();
}

#[tokio::test]
async fn an_order_that_the_broker_refuses_is_told_and_one_that_no_frame_holds_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let acl = folder.path().join("acl");
    std::fs::write(&acl, "topic readwrite application/+/device/+/event/up\n").unwrap();
    let broker = Broker::start_with(&format!("acl_file {}", acl.display())).await;
    let mut running = run(&broker);
    running.connected().await;
    broker.publish(&topic(NWAVE), uplink(NWAVE, 1, 1, "lQ==")).await;
    running.reading().await;
    let sensor = SensorId::new(NWAVE).unwrap();
    let order = |bytes| {
        let payload = vec![0; bytes];
        running.commander.send(sensor.clone(), Downlink { port: 7, payload })
    };
    assert_eq!(order(243).await, Err(OrderError::TooLong(243)));
    assert_eq!(order(242).await, Ok(Sending::Now));
    while !running.context.status.snapshot().set_aside.contains_key("order") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    running.stop().await;
}
