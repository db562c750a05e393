//! Cameras with Hikvision's ISAPI: what they post, by curl, and their event stream behind a digest login.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::cameras::wire::Credentials;
use gateway::sensors::attached::hikvision::{Bay, Camera, Hikvision};
use gateway::sensors::webhook::{Cameras, serve};
use gateway::sensors::{Delivery, Driver, DriverContext, DriverState, Item};
use md5::{Digest, Md5};
use parking::{CameraId, ReportKind, SensorId};
use support::context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// As somebody makes one: it holds what addresses divide by.
const TOKEN: &str = "rahasia/0123+456789=";
const PASSWORD: &str = "sandi";

fn alert(event: &str, state: &str, region: u8) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<EventNotificationAlert version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">
<ipAddress>192.168.1.64</ipAddress><channelID>1</channelID><dateTime>2020-01-05T06:00:00+07:00</dateTime>
<activePostCount>1</activePostCount><eventType>{event}</eventType><eventState>{state}</eventState>
<DetectionRegionList><DetectionRegionEntry><regionID>{region}</regionID></DetectionRegionEntry></DetectionRegionList>
</EventNotificationAlert>"#
    )
}

struct Running {
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    context: DriverContext,
    deliveries: mpsc::Receiver<Delivery>,
    /// Where cameras post.
    url: String,
}

async fn run(isapi: Option<String>, password: &str) -> Running {
    let bays = [("bay-1", "1"), ("bay-2", "2")];
    let bound = bays.map(|(sensor, _)| (sensor, "hikvision-region"));
    let (context, deliveries) = context("hikvision", &bound, 16);
    let camera = Camera {
        id: CameraId::new("simpang-1").unwrap(),
        isapi,
        login: Some(Credentials {
            user: "gateway".to_owned(),
            password: password.to_owned(),
        }),
        bays: bays
            .map(|(sensor, region)| Bay {
                sensor: SensorId::new(sensor).unwrap(),
                channel: 1,
                region: Some(region.to_owned()),
            })
            .to_vec(),
    };
    let (driver, postbox) = Hikvision::new(vec![camera]);
    let cancel = CancellationToken::new();
    let driving = tokio::spawn(Box::new(driver).run(context.clone(), cancel.clone()));
    let cameras = Cameras {
        postbox,
        token: TOKEN.to_owned(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/v1/hikvision/simpang-1/{TOKEN}",
        listener.local_addr().unwrap()
    );
    let serving = serve(listener, "another", Some(cameras), context.clone(), cancel.clone());
    let serving = tokio::spawn(async move { serving.await.unwrap() });
    Running {
        cancel,
        tasks: vec![driving, serving],
        context,
        deliveries,
        url,
    }
}

impl Running {
    async fn told(&mut self) -> (String, ReportKind, bool) {
        let Delivery { item, done } = self.deliveries.recv().await.unwrap();
        done.journalled();
        let Item::Reading { reading, .. } = item else {
            panic!("{item:?}")
        };
        let state = reading.report.occupied.unwrap();
        (reading.sensor.to_string(), reading.report.kind, state)
    }

    /// Status and body of what curl is answered.
    async fn curl(&self, arguments: &[&str], url: &str) -> String {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "10",
                "--write-out",
                " %{http_code}",
            ])
            .args(arguments)
            .arg(url)
            .output();
        String::from_utf8(output.await.unwrap().stdout).unwrap()
    }

    async fn stop(self) {
        self.cancel.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

fn seen(sensor: &str, kind: ReportKind, state: bool) -> (String, ReportKind, bool) {
    (sensor.to_owned(), kind, state)
}

#[tokio::test]
async fn a_camera_posts_multipart_with_a_picture_plain_xml_and_json() {
    let mut running = run(None, PASSWORD).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let entrance = file("in.xml", alert("regionEntrance", "active", 1).as_bytes());
    let picture = file("picture.jpg", &vec![0xff; 100_000]);
    let xml = format!("alert=@{entrance};type=application/xml;filename=regionEntrance.xml");
    let jpeg = format!("picture=@{picture};type=image/jpeg");
    let answer = running.curl(&["--form", &xml, "--form", &jpeg], &running.url).await;
    assert_eq!(answer.trim(), "200");
    // Nobody saw it free before: a state, no change.
    assert_eq!(running.told().await, seen("bay-1", ReportKind::Heartbeat, true));
    let exit = file("out.xml", alert("regionExiting", "active", 1).as_bytes());
    let data = format!("@{exit}");
    let answer = running
        .curl(
            &["--header", "Content-Type: application/xml", "--data-binary", &data],
            &running.url,
        )
        .await;
    assert_eq!(answer.trim(), "200");
    assert_eq!(running.told().await, seen("bay-1", ReportKind::Status, false));
    let json = r#"{"channelID":1,"eventType":"regionEntrance","eventState":"active","DetectionRegionList":[{"regionID":"2"}]}"#;
    let answer = running
        .curl(
            &["--header", "Content-Type: application/json", "--data-binary", json],
            &running.url,
        )
        .await;
    assert_eq!(answer.trim(), "200");
    assert_eq!(running.told().await, seen("bay-2", ReportKind::Heartbeat, true));
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_token_another_camera_and_noise_are_refused_with_what_to_do() {
    let running = run(None, PASSWORD).await;
    let base = running.url.strip_suffix(&format!("simpang-1/{TOKEN}")).unwrap();
    let good = alert("regionEntrance", "active", 1);
    for (path, body, status, told) in [
        (
            "simpang-1/another".to_owned(),
            good.as_str(),
            401,
            "token is missing or wrong",
        ),
        (
            format!("simpang-9/{TOKEN}"),
            good.as_str(),
            404,
            "no camera of this name posts here",
        ),
        (format!("simpang-1/{TOKEN}"), "<html/>", 400, "the document is of html"),
        (format!("simpang-1/{TOKEN}"), "", 400, "no XML"),
        (format!("simpang-1/{TOKEN}"), &good[..200], 400, "no XML"),
    ] {
        let answer = running.curl(&["--data-binary", body], &format!("{base}{path}")).await;
        assert!(
            answer.contains(told) && answer.ends_with(&status.to_string()),
            "{answer}"
        );
        assert!(answer.contains("\"hint\""), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_post_that_is_refused_leaves_its_spaces_unknown() {
    let mut running = run(None, PASSWORD).await;
    for event in ["regionEntrance", "regionExiting"] {
        running
            .curl(&["--data-binary", &alert(event, "active", 1)], &running.url)
            .await;
        running.told().await;
    }
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(5 * 1024 * 1024).unwrap();
    let data = format!("@{}", large.path().display());
    let answer = running.curl(&["--data-binary", &data], &running.url).await;
    assert!(answer.ends_with("413"), "{answer}");
    // What the refused post said nobody knows: the next is a state, and no change that was seen.
    let arguments = ["--data-binary", &alert("regionEntrance", "active", 1)];
    running.curl(&arguments, &running.url).await;
    assert_eq!(running.told().await, seen("bay-1", ReportKind::Heartbeat, true));
    running.stop().await;
}

/// A camera with an event stream behind a digest login (RFC 7616), written to by hand.
struct FakeCamera {
    address: String,
    /// Logins that it refused.
    refused: Arc<AtomicUsize>,
    /// Streams that it has opened.
    streams: mpsc::Receiver<TcpStream>,
}

async fn fake_camera() -> FakeCamera {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, streams) = mpsc::channel(4);
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&refused);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (sender, counter) = (sender.clone(), Arc::clone(&counter));
            tokio::spawn(async move { answer(stream, &sender, &counter).await });
        }
    });
    FakeCamera {
        address,
        refused,
        streams,
    }
}

async fn answer(stream: TcpStream, streams: &mpsc::Sender<TcpStream>, refused: &AtomicUsize) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut proof = None;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if let Some(value) = line
                .to_ascii_lowercase()
                .starts_with("authorization:")
                .then(|| line[14..].trim().to_owned())
            {
                proof = Some(value);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        if proof.as_ref().is_some_and(|proof| is_good(proof)) {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=boundary\r\nConnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            streams.send(stream.into_inner()).await.ok()?;
            return Some(());
        }
        refused.fetch_add(usize::from(proof.is_some()), Ordering::Relaxed);
        let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest qop=\"auth\", realm=\"IP Camera\", \
                    nonce=\"abcdef\", stale=\"FALSE\"\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok()?;
    }
}

fn is_good(proof: &str) -> bool {
    let value = |name: &str| {
        let fields = proof.trim_start_matches("Digest ").split(',');
        let mut pairs = fields.filter_map(|field| field.trim().split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .unwrap()
            .1
            .trim_matches('"')
            .to_owned()
    };
    let md5 = |text: String| format!("{:x}", u128::from_be_bytes(Md5::digest(text).into()));
    let md5 = |text: String| format!("{:0>32}", md5(text));
    let (ha1, ha2) = (
        md5(format!("gateway:IP Camera:{PASSWORD}")),
        md5("GET:/ISAPI/Event/notification/alertStream".to_owned()),
    );
    let (nc, cnonce) = (value("nc"), value("cnonce"));
    value("response") == md5(format!("{ha1}:abcdef:{nc}:{cnonce}:auth:{ha2}"))
}

async fn send(stream: &mut TcpStream, alert: &str) {
    let head = format!(
        "--boundary\r\nContent-Type: application/xml; charset=\"UTF-8\"\r\nContent-Length: {}\r\n\r\n",
        alert.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(alert.as_bytes()).await.unwrap();
    stream.write_all(b"\r\n").await.unwrap();
}

#[tokio::test]
async fn an_event_stream_is_read_as_it_comes_and_opened_again_when_it_breaks() {
    let mut camera = fake_camera().await;
    let mut running = run(Some(camera.address.clone()), PASSWORD).await;
    let mut stream = camera.streams.recv().await.unwrap();
    send(&mut stream, &alert("videoloss", "inactive", 0)).await;
    send(&mut stream, &alert("regionEntrance", "active", 1)).await;
    assert_eq!(running.told().await, seen("bay-1", ReportKind::Heartbeat, true));
    // The box posts here too, but this camera does not.
    let answer = running
        .curl(&["--data-binary", &alert("regionExiting", "active", 1)], &running.url)
        .await;
    assert!(answer.ends_with("404"), "{answer}");
    drop(stream);
    running
        .context
        .status
        .wait_for(|state| matches!(state, DriverState::Waiting { reason } if reason.contains("has ended its stream")))
        .await;
    let mut stream = camera.streams.recv().await.unwrap();
    send(&mut stream, &alert("regionExiting", "active", 1)).await;
    // It may have left long before.
    assert_eq!(running.told().await, seen("bay-1", ReportKind::Heartbeat, false));
    // Something else that the camera sends costs nothing; nothing but such things is no stream.
    let odd = b"--boundary\r\nContent-Length: 7\r\n\r\n<html/>";
    stream.write_all(odd).await.unwrap();
    send(&mut stream, &alert("regionEntrance", "active", 1)).await;
    assert_eq!(running.told().await, seen("bay-1", ReportKind::Status, true));
    for _ in 0..20 {
        stream.write_all(odd).await.unwrap();
    }
    running
        .context
        .status
        .wait_for(|state| matches!(state, DriverState::Waiting { reason } if reason.contains("sends no events")))
        .await;
    assert_eq!(camera.refused.load(Ordering::Relaxed), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_shown_once() {
    let camera = fake_camera().await;
    let running = run(Some(camera.address.clone()), "salah").await;
    running
        .context
        .status
        .wait_for(
            |state| matches!(state, DriverState::Waiting { reason } if reason.contains("refused user or password")),
        )
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(camera.refused.load(Ordering::Relaxed), 1);
    running.stop().await;
}
