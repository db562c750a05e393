//! Telemetry of a box: taken in, kept once, dropped in time, shown.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use kominfo::clock;
use kominfo::store::AlarmCode;
use kominfo::web::Web;
use parking::Timestamp;
use serde_json::{Value, json};
use support::{City, Database, Street, now};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

on_both_databases! {
    what_comes_twice_is_kept_once_and_the_finer_one_stays;
    what_is_old_goes_with_the_next_that_comes;
    what_is_no_telemetry_is_refused_and_changes_nothing;
    a_day_is_shown_to_programs_and_to_people;
}

const FPS: &str = "camera/gate-1/sub/fps";

/// The begin of the quarter of an hour that lies so many quarters before a time.
fn quarter(time: Timestamp, before: i64) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(900_000) * 900_000).plus_seconds(-900 * before)
}

fn message(from: Timestamp, step_s: u32, series: &Value) -> Vec<u8> {
    let text = json!({"quarters": [{"from": from, "step_s": step_s, "series": series}]}).to_string();
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

fn minutes(value: i64) -> Value {
    json!({ FPS: vec![value; 15] })
}

async fn kept(city: &City, street: &Street) -> Vec<(i64, i64, String)> {
    let (from, to) = (now().plus_seconds(-90 * 86_400), now().plus_seconds(90 * 86_400));
    let rows = city.store.telemetry(&street.gateway, from, to).await.unwrap();
    let row = |row: kominfo::store::TelemetryRow| (row.from_ms, row.step_s, row.samples);
    rows.into_iter().map(row).collect()
}

async fn what_comes_twice_is_kept_once_and_the_finer_one_stays(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 1);
    city.enrol(&street).await;
    let from = quarter(now(), 1);
    let take = async |payload: &[u8]| {
        let taken = city.ingest.telemetry(&street.gateway, "t", payload, now()).await;
        assert_eq!(taken.unwrap(), None);
        kept(&city, &street).await
    };
    let coarse = take(&message(from, 900, &json!({ FPS: [12] }))).await;
    assert_eq!(coarse, [(from.as_millis(), 900, "[12]".to_owned())]);
    let fine = take(&message(from, 60, &minutes(11))).await;
    assert_eq!((fine.len(), fine[0].1), (1, 60));
    assert_eq!(take(&message(from, 60, &minutes(11))).await, fine, "told again");
    assert_eq!(take(&message(from, 900, &json!({ FPS: [12] }))).await, fine, "coarser");
    let twice = json!({"quarters": [
        {"from": from, "step_s": 900, "series": {FPS: [1]}},
        {"from": from, "step_s": 60, "series": minutes(9)},
    ]});
    let twice = zstd::encode_all(twice.to_string().as_bytes(), 1).unwrap();
    assert!(take(&twice).await[0].2.starts_with("[9,"), "the later in one message");
}

async fn what_is_old_goes_with_the_next_that_comes(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 1);
    city.enrol(&street).await;
    for days in [0, 29, 31] {
        let at = now().plus_seconds(days * 86_400);
        let payload = message(quarter(at, 1), 60, &minutes(days));
        let taken = city.ingest.telemetry(&street.gateway, "t", &payload, at).await;
        assert_eq!(taken.unwrap(), None);
    }
    let days: Vec<_> = kept(&city, &street).await.into_iter().map(|row| row.2).collect();
    assert_eq!(days.len(), 2);
    assert!(days[0].starts_with("[29,") && days[1].starts_with("[31,"), "{days:?}");
}

async fn what_is_no_telemetry_is_refused_and_changes_nothing(database: Database) {
    let city = City::open(&database).await;
    let (street, stranger) = (Street::new("g", 1), Street::new("h", 1));
    city.enrol(&street).await;
    let from = quarter(now(), 1);
    let bomb = zstd::encode_all(vec![b' '; 8 << 20].as_slice(), 1).unwrap();
    let short = message(from, 60, &json!({ FPS: [1, 2] }));
    let many = |names: std::ops::Range<u32>| -> Value {
        names
            .map(|n| (format!("camera/c{n}/up"), json!([1])))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let too_many = message(from, 900, &many(0..257));
    for payload in [b"no zstd".to_vec(), Vec::new(), bomb, short, too_many] {
        let refused = city.ingest.telemetry(&street.gateway, "t", &payload, now()).await;
        assert_eq!(refused.unwrap(), Some(AlarmCode::Malformed));
    }
    let unknown = message(from, 60, &minutes(1));
    let refused = city.ingest.telemetry(&stranger.gateway, "t", &unknown, now()).await;
    assert_eq!(refused.unwrap(), Some(AlarmCode::UnknownBox));
    assert!(kept(&city, &street).await.is_empty());
    // Further series in further messages come to the same bound.
    for (names, expected) in [(0..200, None), (200..257, Some(AlarmCode::Malformed)), (200..256, None)] {
        let payload = message(from, 900, &many(names));
        let taken = city.ingest.telemetry(&street.gateway, "t", &payload, now()).await;
        assert_eq!(taken.unwrap(), expected);
    }
    assert_eq!(kept(&city, &street).await.len(), 256);
}

async fn a_day_is_shown_to_programs_and_to_people(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("sudirman-01", 1);
    city.enrol(&street).await;
    let from = quarter(clock::now(), 2);
    let told = json!({
        FPS: [[11, 12.5, 13], null, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12],
        "camera/gate-1/up": vec![json!(0.5); 15],
    });
    let payload = message(from, 60, &told);
    let taken = city.ingest.telemetry(&street.gateway, "t", &payload, clock::now());
    assert_eq!(taken.await.unwrap(), None);
    let state = br#"{"camera/gate-1":{"title":"Gerbang <1>","state":"up"}}"#;
    let state = zstd::encode_all(state.as_slice(), 1).unwrap();
    let taken = city.ingest.state(&street.gateway, "t", &state, clock::now());
    assert_eq!(taken.await.unwrap(), None);

    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let web = Web::new(city.store.clone(), None, stop).router();
    tokio::spawn(axum::serve(listener, web).into_future());
    let text = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };

    let (status, body) = text("/api/v1/boxes/sudirman-01/telemetry").await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["series"][FPS][0]["from"], json!(from));
    assert_eq!(body["series"][FPS][0]["samples"], told[FPS], "as the box told it");
    let (status, body) = text("/api/v1/boxes/sudirman-01/telemetry?from=2026-01-05T00:00:00Z").await;
    assert!(status == 400 && body.contains("ask for a day at a time"), "{body}");
    assert_eq!(text("/api/v1/boxes/nowhere/telemetry").await.0, 404);

    let (_, indonesian) = text("/boxes/sudirman-01/cameras").await;
    for shown in [
        "Gerbang &lt;1&gt;",
        "Normal 50 % dari waktu yang diketahui.",
        "Gambar kecil, gambar per detik: terendah 11, rata-rata 12,0, tertinggi 13; 1,0 % dari 24 jam diketahui",
        "<polyline points=",
        "class=\"gap\"",
    ] {
        assert!(indonesian.contains(shown), "{shown}: {indonesian}");
    }
    let (_, english) = text("/boxes/sudirman-01/cameras?lang=en").await;
    assert!(
        english.contains("lowest 11, mean 12.0, highest 13; 1.0 % of 24 hours known"),
        "{english}"
    );
    let (_, overview) = text("/").await;
    assert!(overview.contains("<a href=\"/boxes/sudirman-01/cameras\">24 jam terakhir</a>"));
    assert_eq!(text("/boxes/nowhere/cameras").await.0, 404);
}
