//! Sensors of others, each spoken to as its maker means it, through the real gateway into the city: a LoRaWAN device by a TS013
//! script, Zigbee2MQTT, a Shelly that is asked, and a camera of Hikvision that posts by curl. One vehicle each comes and goes.
//! Beside them motorcycles pass two lines: a LoRaWAN counter, and a camera's rule by ONVIF's JSON.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking::{Rupiah, Session, SessionStatus, Timestamp, VehicleClass, ZoneDay};
use serde_json::json;
use tests::clock::SimulatedClock;
use tests::process::{free_address, run, workspace_program};
use tests::street::Street;
use tests::world::{Database, RoadsideBox, World};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Simulated seconds in a real one.
const RATE: u32 = 20;
/// The vehicles come at this second, and go at that one.
const COME_S: i64 = 200;
const GO_S: i64 = 900;
/// What a sensor, a curl and a busy machine may take, simulated seconds: five real ones.
const LATE_S: i64 = 100;
const TOKEN: &str = "rahasia-0123456789";
const LORAWAN: &str = "a840410000000001";
const COUNTER: &str = "70b3d52c00019c01";
const RULE_TOPIC: &str = "kamera/onvif-ej/RuleEngine/CountAggregation/Counter";
/// A zone of rows, and what counts there; of the first line's vehicles every second one only passes through.
const LINES: &str = r#"
[[zones]]
id = "pasar"
name = "Pasar"

[[sensors]]
id = "70b3d52c00019c01"
profile = "nwave-ncc405"

[[sensors]]
id = "garis-utara"
profile = "onvif-line-counter"
topic = "kamera/onvif-ej/RuleEngine/CountAggregation/Counter/#"
channel = "masuk"
heartbeat_s = 3600

[[counters]]
sensor = "70b3d52c00019c01"
zone = "pasar"
class = "motorcycle"
vehicles_per_count = 0.5
error_percent = 10
latitude = -6.9147
longitude = 107.6106

[[counters]]
sensor = "garis-utara"
zone = "pasar"
class = "motorcycle"
vehicles_per_count = 1
error_percent = 0
latitude = -6.9146
longitude = 107.6107

[[tariffs]]
id = "pasar-motor"
regulation = "Perda 1/2025"
zones = ["pasar"]
valid_from = 2025-01-01
[[tariffs.fees]]
class = "motorcycle"
type = "flat"
fee_rp = 1000
"#;

/// What stands for the sensors of the first four spaces.
fn sections(shelly: &str) -> [String; 4] {
    [
        format!(
            "id = \"{LORAWAN}\"\nprofile = \"dragino-ldds75\"\noccupied_below_mm = 1500\nfree_above_mm = 2000\nheartbeat_s = 1200"
        ),
        "id = \"zigbee-1\"\nprofile = \"zigbee2mqtt-occupancy\"\ntopic = \"zigbee2mqtt/bay-02\"\nheartbeat_s = 600".to_owned(),
        format!("id = \"shelly-1\"\nprofile = \"shelly-input\"\nurl = \"http://{shelly}/rpc/Input.GetStatus?id=0\"\nheartbeat_s = 60"),
        "id = \"kamera-1-bay\"\nprofile = \"hikvision-region\"\ncamera = \"kamera-1\"\nregion = \"3\"\nheartbeat_s = 60".to_owned(),
    ]
}

/// Exchanges the sensors of the first four spaces, and adds what those need.
fn with_foreign_sensors(roadside: &RoadsideBox, shelly: &str, webhook: &str) -> anyhow::Result<()> {
    let mut text = fs::read_to_string(&roadside.config)?;
    let sections = sections(shelly);
    for (index, section) in sections.iter().enumerate() {
        let old = &roadside.street.site.sensors[index].id;
        let new = section.split('"').nth(1).context("no id")?;
        text = text.replace(&format!("sensor = \"{old}\""), &format!("sensor = \"{new}\""));
        let begin = text.find(&format!("id = \"{old}\"")).context("no such sensor")?;
        let end = begin + text[begin..].find("missed_per_10000").context("no end")?;
        text.replace_range(begin..end, &format!("{section}\n"));
    }
    let token = roadside.keys.join("webhook.token");
    fs::write(&token, TOKEN)?;
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600))?;
    let port = roadside.sensor_broker.address.port();
    // A camera that is not there: its pictures are none of this.
    let more = format!(
        "[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n\n[webhook]\nlisten = \"{webhook}\"\ntoken_file = \"{0}\"\ncamera_token_file = \"{0}\"\n\n\
         [[cameras]]\nid = \"kamera-1\"\nname = \"Kamera\"\nhost = \"{1}\"\nsub = \"/sub\"\nspaces = [\"P004\"]\n",
        token.display(),
        free_address()?,
    );
    fs::write(&roadside.config, format!("{text}\n{more}\n{LINES}"))?;
    Ok(())
}

/// A Shelly whose input follows `is_on`.
async fn shelly(is_on: Arc<AtomicBool>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let is_on = Arc::clone(&is_on);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
                    if line.trim().is_empty() {
                        let body = json!({"id": 0, "state": is_on.load(Ordering::Relaxed)}).to_string();
                        let head = format!(
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                            body.len()
                        );
                        if stream.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
    Ok(address)
}

/// What the street sends.
struct Senders {
    broker: u16,
    webhook: String,
    shelly: Arc<AtomicBool>,
    clock: SimulatedClock,
}

impl Senders {
    async fn publish(&self, topic: &str, message: &str) -> anyhow::Result<()> {
        let port = self.broker.to_string();
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-m", message];
        let status = Command::new("mosquitto_pub").args(arguments).status().await?;
        anyhow::ensure!(status.success(), "mosquitto_pub: {status}");
        Ok(())
    }

    /// An uplink of 3.4 V and a distance, as the device's manual has it.
    async fn lorawan(&self, count: u32, distance_mm: u16) -> anyhow::Result<()> {
        let [high, low] = distance_mm.to_be_bytes();
        self.uplink(LORAWAN, count, 2, &[0x0d, 0x4b, high, low, 0, 0x01, 0x09, 1])
            .await
    }

    async fn uplink(&self, device: &str, count: u32, port: u8, payload: &[u8]) -> anyhow::Result<()> {
        let event = json!({
            "deduplicationId": format!("up-{device}-{count}"),
            "time": self.clock.now().to_string(),
            "deviceInfo": {"devEui": device},
            "fCnt": count,
            "fPort": port,
            "data": STANDARD.encode(payload),
        });
        let topic = format!("application/a/device/{device}/event/up");
        self.publish(&topic, &event.to_string()).await
    }

    /// The totals of both lines; another rule of the same camera counts something else.
    async fn lines(&self, count: u32, lorawan: u16, camera: u32) -> anyhow::Result<()> {
        self.uplink(COUNTER, count, 1, &lorawan.to_be_bytes()).await?;
        for (rule, total) in [("masuk", camera), ("keluar", 7 * camera)] {
            let event = json!({
                "UtcTime": "2026-01-05T01:00:00Z",
                "Source": {"VideoSourceConfigurationToken": "1", "Rule": rule},
                "Data": {"Count": total.to_string()},
            });
            self.publish(&format!("{RULE_TOPIC}/1/{rule}"), &event.to_string())
                .await?;
        }
        Ok(())
    }

    async fn camera(&self, event: &str, state: &str) -> anyhow::Result<()> {
        let alert = format!(
            "<EventNotificationAlert><channelID>1</channelID><eventType>{event}</eventType><eventState>{state}</eventState>\
             <DetectionRegionList><DetectionRegionEntry><regionID>3</regionID></DetectionRegionEntry></DetectionRegionList>\
             </EventNotificationAlert>"
        );
        let url = format!("http://{}/v1/hikvision/kamera-1/{TOKEN}", self.webhook);
        let status = Command::new("curl")
            .args([
                "--silent",
                "--fail",
                "--max-time",
                "10",
                "--header",
                "Content-Type: application/xml",
            ])
            .args(["--data-binary", &alert, &url])
            .stdout(Stdio::null())
            .status()
            .await?;
        anyhow::ensure!(status.success(), "curl: {status}");
        Ok(())
    }

    /// The camera says all the time that nothing is.
    async fn camera_beats(&self) -> anyhow::Result<()> {
        loop {
            self.camera("videoloss", "inactive").await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn all(&self, count: u32, is_occupied: bool) -> anyhow::Result<()> {
        self.shelly.store(is_occupied, Ordering::Relaxed);
        let event = if is_occupied { "regionEntrance" } else { "regionExiting" };
        self.camera(event, "active").await?;
        self.publish(
            "zigbee2mqtt/bay-02",
            &json!({"occupancy": is_occupied, "voltage": 2900}).to_string(),
        )
        .await?;
        self.lorawan(count, if is_occupied { 650 } else { 2_850 }).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vehicle_before_each_kind_of_sensor_is_a_session_in_the_city() -> anyhow::Result<()> {
    let street = Street::new("sim-foreign", 1, 4, 1)?;
    // The begin of a day: of what was before nothing would be known.
    let start: Timestamp = "2026-01-05T00:00:00+07:00".parse()?;
    let clock = SimulatedClock::starting_in(Duration::from_secs(8), start, RATE);
    let mut world = World::prepare(vec![street], clock, Database::Sqlite, 1).await?;
    let is_on = Arc::new(AtomicBool::new(false));
    let (address, webhook) = (shelly(Arc::clone(&is_on)).await?, free_address()?.to_string());
    with_foreign_sensors(&world.boxes[0], &address, &webhook)?;
    let check = run(
        workspace_program("gateway")?,
        ["check", world.boxes[0].config.to_str().context("path")?],
    )?;
    println!("{check}");
    world.start_boxes().await?;
    let senders = Senders {
        broker: world.boxes[0].sensor_broker.address.port(),
        webhook,
        shelly: is_on,
        clock,
    };
    clock.reach(start).await;
    let day = async {
        senders.all(1, false).await?;
        senders.lines(1, 65_530, 40).await?;
        clock.reach(start.plus_seconds(COME_S)).await;
        senders.all(2, true).await?;
        senders.lines(2, 65_534, 43).await?;
        clock.reach(start.plus_seconds(GO_S)).await;
        senders.all(3, false).await?;
        // The total has run over meanwhile, and a message between was lost.
        senders.lines(4, 4, 52).await
    };
    tokio::select! {
        played = day => played?,
        beats = senders.camera_beats() => beats?,
    }
    let sessions = ended_sessions(&world, &senders).await?;
    let (come, go) = (start.plus_seconds(COME_S), start.plus_seconds(GO_S));
    for space in ["P001", "P002", "P003", "P004"] {
        let of_space: Vec<&Session> = sessions
            .iter()
            .filter(|session| session.space.as_str() == space)
            .collect();
        let [session] = &of_space[..] else {
            anyhow::bail!("{space}: {of_space:#?}")
        };
        println!(
            "{space}: {} to {}, {:?}, {:?}",
            session.start, session.end, session.start_bounds, session.end_bounds
        );
        let edges = [
            (session.start, session.start_bounds, come),
            (session.end, session.end_bounds, go),
        ];
        for (told, bounds, truly) in edges {
            // What was not seen to change has bounds, and the truth lies in them.
            let (earliest, latest) = bounds.map_or((told, told), |bounds| (bounds.earliest, bounds.latest));
            assert!(
                earliest <= truly.plus_seconds(LATE_S) && latest >= truly,
                "{space}: {session:#?}"
            );
        }
        // It speaks by its own time only: nobody saw the vehicle come.
        let is_seen = session.start_bounds.is_none() || session.end_bounds.is_none();
        assert!(space != "P001" || !is_seen, "{session:#?}");
    }
    let counted = counted(&world, &senders).await?;
    println!("{counted:?}");
    // 10 and 12 passed; of the 10 half, give or take a tenth of it, stayed. Nobody counted until the first totals came.
    let class = VehicleClass::Motorcycle;
    let count = counted.counted[&class].count.context("no count")?;
    let billed = counted.billed[&class];
    assert!(count.low == 22 && count.point <= 24, "{count:?}");
    assert!(
        (16..=17).contains(&billed.low) && (17..=19).contains(&billed.point) && billed.high >= 18,
        "{billed:?}"
    );
    assert_eq!(counted.fee.point, Rupiah(i64::from(billed.point) * 1_000));
    world.stop().await
}

/// Waits until the city has all that the lines counted.
async fn counted(world: &World, senders: &Senders) -> anyhow::Result<ZoneDay> {
    let (api, id) = (world.api()?, &world.boxes[0].id);
    let day = "2026-01-05".parse()?;
    let mut told = None;
    for _ in 0..80 {
        senders.camera("videoloss", "inactive").await?;
        let now = api.zone_day(id, &"pasar".parse()?, day).await?;
        let count = now
            .counted
            .get(&VehicleClass::Motorcycle)
            .and_then(|counted| counted.count);
        if count.is_some_and(|count| count.low >= 22) {
            return Ok(now);
        }
        told = Some(now);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    anyhow::bail!("the city does not have what the lines counted: {told:?}")
}

/// Waits until the city has four that have ended.
async fn ended_sessions(world: &World, senders: &Senders) -> anyhow::Result<Vec<Session>> {
    let (api, id) = (world.api()?, &world.boxes[0].id);
    let mut sessions = Vec::new();
    for _ in 0..60 {
        senders.camera("videoloss", "inactive").await?;
        sessions = api.sessions(id).await?;
        sessions.retain(|session| session.status != SessionStatus::Void);
        if sessions.len() >= 4 {
            return Ok(sessions);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    anyhow::bail!("{} sessions after half a minute: {sessions:#?}", sessions.len())
}
