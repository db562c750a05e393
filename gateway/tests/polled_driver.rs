//! Devices that are asked over HTTP, served by a real server.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use gateway::sensors::attached::http_json::{Device, HttpJson};
use gateway::sensors::{Delivery, Driver, DriverContext, DriverState, Item};
use parking::{ReportKind, SensorId, Stamp};
use support::{context, now};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A device, and what it answers.
#[derive(Clone)]
struct Answers(Arc<Mutex<(StatusCode, String)>>);

impl Answers {
    fn set(&self, status: u16, text: &str) {
        *self.0.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), text.to_owned());
    }

    async fn serve(&self, token: Option<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/rpc/Input.GetStatus?id=0", listener.local_addr().unwrap());
        let answers = self.clone();
        let answer = move |headers: HeaderMap| async move {
            let wanted = token.map(|token| format!("Bearer {token}"));
            if wanted.is_some_and(|wanted| {
                headers
                    .get("authorization")
                    .is_none_or(|given| given != wanted.as_str())
            }) {
                return (StatusCode::UNAUTHORIZED, String::new()).into_response();
            }
            let (status, text) = answers.0.lock().unwrap().clone();
            (status, text).into_response()
        };
        let router = Router::new().route("/rpc/Input.GetStatus", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }
}

struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
    context: DriverContext,
    deliveries: mpsc::Receiver<Delivery>,
}

/// Asks ten times a second, on a clock that runs ten times as fast.
fn run(url: &str, token_file: Option<std::path::PathBuf>) -> Running {
    let (mut context, deliveries) = context("http", &[("shelly-1", "shelly-input")], 16);
    let begun = Instant::now();
    let clock = move || {
        let passed = u64::try_from(begun.elapsed().as_millis()).unwrap() * 10;
        let at = now().at.plus_millis(i64::try_from(passed).unwrap());
        Stamp {
            at,
            mono_ms: now().mono_ms + passed,
            ..now()
        }
    };
    context.spans = Arc::new(clock);
    let device = Device {
        url: url.parse().unwrap(),
        token_file,
        every: Duration::from_secs(1),
        pace: Duration::from_millis(100),
        sensors: vec![(SensorId::new("shelly-1").unwrap(), String::new())],
    };
    let cancel = CancellationToken::new();
    let driver = Box::new(HttpJson::new(vec![device], 7 * 3_600));
    let task = tokio::spawn(driver.run(context.clone(), cancel.clone()));
    Running {
        cancel,
        task,
        context,
        deliveries,
    }
}

impl Running {
    async fn told(&mut self) -> (ReportKind, bool) {
        let Delivery { item, done } = self.deliveries.recv().await.unwrap();
        done.journalled();
        let Item::Reading { reading, .. } = item else {
            panic!("{item:?}")
        };
        (reading.report.kind, reading.report.occupied.unwrap())
    }

    async fn waits_for(&self, word: &str) {
        let waits = |state: &DriverState| matches!(state, DriverState::Waiting { reason } if reason.contains(word));
        self.context.status.wait_for(waits).await;
    }
}

#[tokio::test]
async fn a_state_is_told_when_it_changes_and_now_and_then_and_never_while_nobody_answers() {
    let answers = Answers(Arc::new(Mutex::new((
        StatusCode::OK,
        r#"{"id":0,"state":false}"#.to_owned(),
    ))));
    let url = answers.serve(None).await;
    let mut running = run(&url, None);
    assert_eq!(running.told().await, (ReportKind::Heartbeat, false));
    answers.set(200, r#"{"id":0,"state":true}"#);
    assert_eq!(running.told().await, (ReportKind::Status, true));
    assert_eq!(running.told().await, (ReportKind::Heartbeat, true), "a minute later");
    for (status, text, told) in [
        (500, "", "answers with status 500"),
        (200, "<html>", "is no JSON"),
        (302, "", "answers with status 302"),
    ] {
        answers.set(status, text);
        running.waits_for(told).await;
    }
    answers.set(200, &format!("\"{}\"", "x".repeat(70_000)));
    running.waits_for("longer than 64 KiB").await;
    answers.set(200, r#"{"id":0,"state":true}"#);
    assert_eq!(
        running.told().await,
        (ReportKind::Heartbeat, true),
        "no change that was seen"
    );
    answers.set(200, r#"{"id":0,"state":"open"}"#);
    let set_aside = || running.context.status.snapshot().set_aside.get("field").copied();
    while set_aside().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.cancel.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn a_token_is_shown_to_a_device_that_wants_one() {
    let answers = Answers(Arc::new(Mutex::new((
        StatusCode::OK,
        r#"{"id":0,"state":true}"#.to_owned(),
    ))));
    let url = answers.serve(Some("rahasia")).await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "salah").unwrap();
    let mut running = run(&url, Some(token_file.clone()));
    running.waits_for("status 401").await;
    std::fs::write(&token_file, "rahasia").unwrap();
    assert_eq!(running.told().await, (ReportKind::Heartbeat, true));
    running.cancel.cancel();
    running.task.await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let running = run(&url, None);
    running.waits_for("no answer from").await;
    running.cancel.cancel();
    running.task.await.unwrap();
}
