//! The webhook driver over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use gateway::sensors::webhook::{Options, Webhook, serve};
use gateway::sensors::{Delivery, Driver, DriverContext, DriverState, Item};
use parking::{Reading, ReportKind};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use support::{context, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "rahasia-0123456789";

struct Server {
    url: String,
    context: DriverContext,
    deliveries: mpsc::Receiver<Delivery>,
    cancel: CancellationToken,
}

async fn server(places: usize) -> Server {
    let (context, deliveries) = context("webhook", &[("gate-1", "webhook"), ("gate-2", "webhook")], places);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/readings", listener.local_addr().unwrap());
    let cancel = CancellationToken::new();
    let serving = serve(listener, TOKEN, None, context.clone(), cancel.clone());
    tokio::spawn(serving);
    Server {
        url,
        context,
        deliveries,
        cancel,
    }
}

impl Server {
    async fn post(&self, body: impl ToString) -> Response {
        self.post_as(Some(TOKEN), body).await
    }

    async fn post_as(&self, token: Option<&str>, body: impl ToString) -> Response {
        let mut request = Client::new().post(&self.url).body(body.to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    }

    /// Posts, and lets `keep` say of each delivery whether it is on disk.
    async fn post_and(&mut self, body: Value, keep: impl Fn(usize) -> bool) -> (Response, Vec<Reading>) {
        let answer = Client::new()
            .post(&self.url)
            .bearer_auth(TOKEN)
            .body(body.to_string())
            .send();
        tokio::pin!(answer);
        let mut readings = Vec::new();
        loop {
            tokio::select! {
                answer = &mut answer => return (answer.unwrap(), readings),
                delivery = self.deliveries.recv() => {
                    let Delivery { item: Item::Reading { reading, .. }, done } = delivery.unwrap() else { panic!() };
                    if keep(readings.len()) { done.journalled() } else { done.refused() }
                    readings.push(reading);
                }
            }
        }
    }
}

async fn refusal(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(!body["hint"].as_str().unwrap().is_empty());
    assert_eq!(body.as_object().unwrap().len(), 2);
    (status, body["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_reading_is_answered_with_200_when_it_is_journalled() {
    let mut server = server(8).await;
    let body = json!({"sensor": "gate-1", "occupied": true, "observed": "2026-03-01T14:59:30.9+07:00", "sequence": 12,
                      "id": "b0a1", "kind": "heartbeat"});
    let (answer, readings) = server.post_and(body, |_| true).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"accepted": 1}));
    let [reading] = &readings[..] else {
        panic!("{readings:?}")
    };
    assert_eq!((reading.sensor.as_str(), reading.sequence), ("gate-1", Some(12)));
    assert_eq!(reading.message.as_deref(), Some("b0a1"));
    assert_eq!(reading.observed.to_string(), "2026-03-01T07:59:30Z");
    assert_eq!(reading.received, now());
    assert_eq!(
        (reading.report.kind, reading.report.occupied),
        (ReportKind::Heartbeat, Some(true))
    );
}

#[tokio::test]
async fn only_the_sensor_is_required() {
    let mut server = server(8).await;
    let (answer, readings) = server
        .post_and(json!({"sensor": "gate-2", "occupied": null}), |_| true)
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        (readings[0].observed, readings[0].report.occupied),
        (now().at.floor_to_second(), None)
    );
    assert_eq!(readings[0].report.kind, ReportKind::Status);
}

#[tokio::test]
async fn no_answer_comes_before_the_journal_has_spoken() {
    let mut server = server(8).await;
    let url = server.url.clone();
    let answer = tokio::spawn(async move {
        let body = json!({"sensor": "gate-1", "occupied": true}).to_string();
        Client::new()
            .post(url)
            .bearer_auth(TOKEN)
            .body(body)
            .send()
            .await
            .unwrap()
    });
    let delivery = server.deliveries.recv().await.unwrap();
    assert!(!answer.is_finished());
    delivery.done.journalled();
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_array_is_answered_when_all_of_it_is_journalled_and_with_503_when_one_is_not() {
    let mut server = server(8).await;
    let array = |n: usize| Value::Array((0..n).map(|i| json!({"sensor": "gate-1", "sequence": i})).collect());
    let (answer, readings) = server.post_and(array(5), |_| true).await;
    assert_eq!((answer.status(), readings.len()), (StatusCode::OK, 5));
    let (answer, _) = server.post_and(array(5), |i| i != 3).await;
    assert_eq!(answer.headers()["retry-after"], "5");
    assert_eq!(refusal(answer).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let answer = server.post(array(9)).await;
    assert_eq!(refusal(answer).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let (answer, _) = server.post_and(array(0), |_| true).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_bad_reading_in_an_array_keeps_the_good_ones_out_too() {
    let mut server = server(8).await;
    let answer = server.post(json!([{"sensor": "gate-1"}, {"sensor": "gate-9"}])).await;
    let (status, error) = refusal(answer).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(error.contains("gate-9"), "{error}");
    assert!(server.deliveries.try_recv().is_err());
}

#[tokio::test]
async fn a_missing_or_wrong_token_is_answered_with_401() {
    let server = server(8).await;
    for token in [None, Some(""), Some("rahasia"), Some("rahasia-0123456788")] {
        let answer = server.post_as(token, json!({"sensor": "gate-1"})).await;
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        let (status, error) = refusal(answer).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(!error.contains("rahasia"));
    }
    assert_eq!(server.context.status.snapshot().set_aside["token"], 4);
}

#[tokio::test]
async fn what_is_no_reading_is_answered_with_400() {
    let server = server(8).await;
    for (body, told) in [
        (String::new(), "JSON"),
        ("{".to_owned(), "JSON"),
        ("\"gate-1\"".to_owned(), "JSON"),
        (r#"{"occupied":true}"#.to_owned(), "sensor"),
        (r#"{"sensor":"gate-1","occupied":1}"#.to_owned(), "bool"),
        (r#"{"sensor":"gate-1","ocupied":true}"#.to_owned(), "ocupied"),
        (r#"{"sensor":"gate-1","kind":"arrived"}"#.to_owned(), "arrived"),
        (r#"{"sensor":"gate-1","sequence":-1}"#.to_owned(), "-1"),
        (r#"{"sensor":"gate-1","observed":"yesterday"}"#.to_owned(), "year"),
        (
            r#"{"sensor":"gate-1","observed":"1970-01-01T00:00:00Z"}"#.to_owned(),
            "cannot be true",
        ),
        (
            r#"{"sensor":"gate-1","observed":"2099-01-01T00:00:00Z"}"#.to_owned(),
            "cannot be true",
        ),
        (
            format!(r#"{{"sensor":"gate-1","id":"{}"}}"#, "x".repeat(65)),
            "64 bytes",
        ),
        (r#"{"sensor":"gate-1","id":""}"#.to_owned(), "64 bytes"),
    ] {
        let (status, error) = refusal(server.post(&body).await).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(error.contains(told), "{body}: {error}");
    }
}

#[tokio::test]
async fn an_unknown_sensor_path_or_method_says_so() {
    let server = server(8).await;
    for sensor in ["gate-9", "", "../x"] {
        let (status, _) = refusal(server.post(json!({"sensor": sensor})).await).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    let elsewhere = server.url.replace("readings", "reading");
    assert_eq!(
        refusal(Client::new().get(elsewhere).send().await.unwrap()).await.0,
        StatusCode::NOT_FOUND
    );
    let answer = Client::new().get(&server.url).send().await.unwrap();
    assert_eq!(refusal(answer).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_over_64_kib_is_answered_with_413() {
    let server = server(8).await;
    let reading = r#"{"sensor":"gate-9"}"#;
    let largest = reading.to_owned() + &" ".repeat(64 * 1024 - reading.len());
    assert_eq!(server.post(&largest).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        refusal(server.post(format!("{largest} ")).await).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn a_full_queue_is_answered_with_503_and_nothing_is_taken_in() {
    let mut server = server(2).await;
    let url = server.url.clone();
    let waiting = tokio::spawn(async move {
        let body = json!([{"sensor": "gate-1"}]).to_string();
        Client::new()
            .post(url)
            .bearer_auth(TOKEN)
            .body(body)
            .send()
            .await
            .unwrap()
    });
    while server.context.sink.capacity() > 1 {
        tokio::task::yield_now().await;
    }
    let answer = server.post(json!([{"sensor": "gate-1"}, {"sensor": "gate-2"}])).await;
    let (status, error) = refusal(answer).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(error.contains("queue is full"), "{error}");
    server.deliveries.recv().await.unwrap().done.journalled();
    assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
    assert!(server.deliveries.try_recv().is_err());
}

#[tokio::test]
async fn every_answer_closes_its_connection() {
    let server = server(8).await;
    let address = server
        .url
        .trim_start_matches("http://")
        .trim_end_matches("/v1/readings")
        .to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn requests_under_way_are_finished_at_the_end() {
    let mut server = server(8).await;
    let url = server.url.clone();
    let answer = tokio::spawn(async move {
        let body = json!({"sensor": "gate-1"}).to_string();
        Client::new()
            .post(url)
            .bearer_auth(TOKEN)
            .body(body)
            .send()
            .await
            .unwrap()
    });
    let delivery = server.deliveries.recv().await.unwrap();
    server.cancel.cancel();
    delivery.done.journalled();
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_taken_port_and_a_missing_token_are_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = holder.local_addr().unwrap();
    let (context, _deliveries) = context("webhook", &[], 8);
    let cancel = CancellationToken::new();
    let waiting = async |told: &str| {
        let tells = |state: &DriverState| matches!(state, DriverState::Waiting { reason } if reason.contains(told));
        context.status.wait_for(tells).await
    };
    let options = Options {
        listen,
        token_file: token_file.clone(),
        camera_token_file: None,
    };
    let driver = Box::new(Webhook::new(options, None));
    let task = tokio::spawn(driver.run(context.clone(), cancel.clone()));
    waiting("token").await;
    std::fs::write(&token_file, TOKEN).unwrap();
    waiting("cannot listen").await;
    drop(holder);
    context.status.wait_for(|state| *state == DriverState::Connected).await;
    cancel.cancel();
    task.await.unwrap();
    assert_eq!(context.status.snapshot().state, DriverState::Stopped);
}

#[tokio::test]
async fn who_floods_with_wrong_tokens_is_sent_away_and_nobody_else_is_held_up() {
    let mut server = server(8).await;
    let mut seen = std::collections::BTreeMap::new();
    for number in 0..40 {
        let answer = server
            .post_as(Some(&format!("guess-{number}")), "x".repeat(1_000))
            .await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let wait_s: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=6).contains(&wait_s), "{wait_s}");
        }
        *seen.entry(answer.status().as_u16()).or_insert(0) += 1;
    }
    // One more try is given every six seconds, and this may have taken as long.
    assert!(seen[&401] >= 10 && seen[&429] >= 25, "{seen:?}");
    let noted = server.context.status.snapshot().set_aside["token"];
    assert_eq!(noted, seen[&401], "a flood is not written down");
    // Somebody else behind the same address, who has the right one.
    let answer = Client::new()
        .post(&server.url)
        .bearer_auth(TOKEN)
        .body(json!({"sensor": "gate-1", "occupied": true}).to_string())
        .send();
    let journal = async {
        server.deliveries.recv().await.unwrap().done.journalled();
    };
    let (answer, ()) = tokio::join!(answer, journal);
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}
