//! The page and the interface, asked over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::net::SocketAddr;

use kominfo::ingest::Ingest;
use kominfo::web::Web;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use support::{City, Database, Street, cosigner, now, quarters};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

on_both_databases! {
    sessions_are_told_one_by_one_in_pages_and_by_filter;
    a_zones_day_adds_up_what_its_sessions_say;
    a_box_that_stops_at_noon_bears_no_finding_until_the_rest_arrives;
    a_box_with_a_made_up_clock_is_judged_by_its_own_time;
    the_page_shows_spaces_fees_boxes_and_alarms_in_both_languages;
    what_is_asked_wrongly_is_answered_with_what_would_be_right;
    a_viewer_is_told_when_something_has_come_in;
}

struct Site {
    city: City,
    street: Street,
    address: SocketAddr,
    _stop: tokio_util::sync::DropGuard,
}

impl Site {
    async fn open(database: &Database) -> Self {
        let city = City::open(database).await;
        let street = Street::new("sudirman-01", 400);
        city.enrol(&street).await;
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let web = Web::new(city.store.clone(), None, stop.clone()).router();
        tokio::spawn(axum::serve(listener, web).into_future());
        Self {
            city,
            street,
            address,
            _stop: stop.drop_guard(),
        }
    }

    async fn get(&self, path: &str) -> Response {
        reqwest::get(format!("http://{}{path}", self.address)).await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }

    async fn state(&self, json: &str) {
        let payload = zstd::encode_all(json.as_bytes(), 1).unwrap();
        assert_eq!(
            self.city
                .ingest
                .state(&self.street.gateway, "t", &payload, now())
                .await
                .unwrap(),
            None
        );
    }
}

async fn sessions_are_told_one_by_one_in_pages_and_by_filter(database: Database) {
    let site = Site::open(&database).await;
    site.city.commit(&site.street, &site.street.batch(0..400)).await;
    let all = site.json("/api/v1/boxes/sudirman-01/sessions").await;
    let all = all["sessions"].as_array().unwrap();
    assert_eq!(all.len(), site.city.verify().await[0].sessions);
    let first = all
        .iter()
        .find(|session| session["session"] == "sudirman-01-a-0")
        .unwrap();
    assert_eq!(first["fee"]["point"], 2_000);
    assert_eq!(
        (&first["index"], &first["start"]),
        (&0.into(), &"2026-01-05T00:00:00Z".into())
    );

    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let page = site
            .json(&format!("/api/v1/boxes/sudirman-01/sessions?limit=100{after}"))
            .await;
        paged.extend(page["sessions"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(&paged, all);

    let some = site
        .json("/api/v1/boxes/sudirman-01/sessions?zone=z1&from=2026-01-05T01:00:00Z&to=2026-01-05T02:00:00Z&day=2026-01-05")
        .await;
    let expected: Vec<_> = all
        .iter()
        .filter(|session| session["zone"] == "z1" && session["start"].as_str().unwrap().contains("T01:"))
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(
        some["sessions"].as_array().unwrap().iter().collect::<Vec<_>>(),
        expected
    );
    let none = site.json("/api/v1/boxes/sudirman-01/sessions?day=2026-01-06").await;
    assert_eq!(none["sessions"].as_array().unwrap().len(), 0);
}

async fn a_zones_day_adds_up_what_its_sessions_say(database: Database) {
    let site = Site::open(&database).await;
    site.city.commit(&site.street, &site.street.batch(0..400)).await;
    let day = site.json("/api/v1/zones/sudirman-01/z0/days/2026-01-05").await;
    let sessions = site.json("/api/v1/boxes/sudirman-01/sessions?zone=z0").await;
    let sessions = sessions["sessions"].as_array().unwrap();
    let high: i64 = sessions
        .iter()
        .map(|session| session["fee"]["high"].as_i64().unwrap())
        .sum();
    assert_eq!(day["sessions"]["car"]["parked"], sessions.len());
    // Three quarters of the day are not known, and vehicles came then too.
    let billed = &day["billed"]["car"];
    let [low, most] = ["low", "high"].map(|end| usize::try_from(billed[end].as_u64().unwrap()).unwrap());
    assert!(sessions.len() < low && low < most, "{billed}");
    let fee = day["fee"]["high"].as_i64().unwrap();
    assert!(high < fee && fee < 8 * high, "{fee} of {high}");
    // 27 quarters of four spaces, each five sixths known; the other 69 have not arrived.
    assert_eq!(day["missing_s"], 69 * 3_600);
    assert_eq!(day["unknown_s"], 69 * 3_600 + 27 * 600);
    assert_eq!(day["coverage"], 2_343);
    assert_eq!(day["finding_allowed"], false);
}

async fn a_box_that_stops_at_noon_bears_no_finding_until_the_rest_arrives(database: Database) {
    let mut site = Site::open(&database).await;
    site.street.records = quarters("2026-01-04T17:00:00Z", 96, "synced");
    // Its own time, as it last told it, does not hide what is missing.
    site.state(r#"{"full":true,"box":{"at":"2026-01-05T05:00:00Z","clock":"simulated"}}"#)
        .await;
    let path = "/api/v1/zones/sudirman-01/z0/days/2026-01-05";
    let nothing = site.json(path).await;
    assert!(nothing["missing_s"].is_null() && nothing["coverage"].is_null());
    assert_eq!(nothing["finding_allowed"], false);

    site.city.commit(&site.street, &site.street.batch(0..48)).await;
    let half = site.json(path).await;
    assert_eq!(
        (&half["coverage"], &half["missing_s"]),
        (&5_000.into(), &172_800.into())
    );
    assert_eq!(half["finding_allowed"], false);
    let shown = site.text("/").await;
    for words in ["50,00 %", "sebagian data belum sampai", "belum cukup data"] {
        assert!(shown.contains(words), "{words}");
    }
    assert!(site.text("/?lang=en").await.contains("some data has not arrived"));

    site.city.commit(&site.street, &site.street.batch(48..96)).await;
    let whole = site.json(path).await;
    assert_eq!((&whole["coverage"], &whole["missing_s"]), (&10_000.into(), &0.into()));
    assert_eq!(whole["finding_allowed"], true);
    let shown = site.text("/").await;
    assert!(shown.contains("100,00 %") && !shown.contains("belum sampai"));
}

async fn a_box_with_a_made_up_clock_is_judged_by_its_own_time(database: Database) {
    let mut site = Site::open(&database).await;
    site.city.ingest = Ingest::new(site.city.store.clone(), cosigner(), true);
    site.street.records = quarters("2026-01-04T17:00:00Z", 48, "simulated");
    site.city.commit(&site.street, &site.street.batch(0..48)).await;
    let path = "/api/v1/zones/sudirman-01/z0/days/2026-01-05";
    // By the end of its newest quarter, as long as it has not told its time.
    let day = site.json(path).await;
    assert_eq!((&day["coverage"], &day["missing_s"]), (&10_000.into(), &0.into()));
    for (at, missing, coverage) in [("T05:29:59Z", 0, "100.00 %"), ("T11:00:00Z", 23, "67.60 %")] {
        site.state(&format!(
            r#"{{"full":true,"box":{{"at":"2026-01-05{at}","clock":"simulated"}}}}"#
        ))
        .await;
        assert_eq!(site.json(path).await["missing_s"], missing * 3_600, "{at}");
        assert!(site.text("/?lang=en").await.contains(coverage), "{at}");
    }
}

async fn the_page_shows_spaces_fees_boxes_and_alarms_in_both_languages(database: Database) {
    let site = Site::open(&database).await;
    assert!(site.text("/").await.contains("Belum ada keadaan petak"));
    site.city.commit(&site.street, &site.street.batch(0..400)).await;
    site.city.take(&site.street, b"rubbish").await;
    site.state(
        r#"{"full":true,"box":{"at":"2026-01-05T09:00:00Z","clock":"simulated","backlog":1234},
            "space/a-01":{"zone":"z0","state":"occupied","occupied_since":"2026-01-05T08:00:00Z"},
            "space/a-02":{"zone":"z0","state":"free"},"space/a-03":{"zone":"z1","state":"closed"}}"#,
    )
    .await;
    site.city
        .ingest
        .status(&site.street.gateway, "t", br#"{"online":true}"#, now())
        .await
        .unwrap();
    let indonesian = site.text("/").await;
    for shown in [
        "<html lang=\"id\">",
        "terisi",
        "kosong",
        "ditutup",
        "1.234 catatan",
        "simulasi",
        "belum cukup data",
        "23,43 %",
        "sebagian data belum sampai",
        "tersambung",
        "Hari usaha 5 Januari 2026",
        "Data ditolak",
    ] {
        assert!(indonesian.contains(shown), "{shown}");
    }
    let english = site.text("/?lang=en").await;
    for shown in [
        "<html lang=\"en\">",
        "occupied",
        "1,234 records",
        "not enough data",
        "23.43 %",
        "Data was refused",
    ] {
        assert!(english.contains(shown), "{shown}");
    }
    let fragment = site.text("/?lang=en&fragment=1").await;
    assert!(english.contains(&fragment) && !fragment.contains("<html"));
    let spaces = site.json("/api/v1/spaces").await;
    assert_eq!(spaces[0]["state"], "occupied");
    assert_eq!(site.json("/api/v1/alarms").await[0]["code"], "malformed");
    assert_eq!(
        site.json("/api/v1/refusals?box=sudirman-01").await[0]["payload_bytes"],
        7
    );
    let one = site.json("/api/v1/boxes/sudirman-01").await;
    assert_eq!(
        (&one["size"], &one["backlog"], &one["day"]),
        (&400.into(), &1_234.into(), &"2026-01-05".into())
    );
    assert!(
        one["checkpoint"]
            .as_str()
            .unwrap()
            .starts_with("parkir.example.id/sudirman-01\n400\n")
    );
}

async fn what_is_asked_wrongly_is_answered_with_what_would_be_right(database: Database) {
    let site = Site::open(&database).await;
    for (path, status) in [
        ("/api/v1/boxes/nobody/sessions", StatusCode::NOT_FOUND),
        ("/api/v1/boxes/nobody", StatusCode::NOT_FOUND),
        ("/api/v1/boxes/-/sessions", StatusCode::BAD_REQUEST),
        (
            "/api/v1/boxes/sudirman-01/sessions?from=yesterday",
            StatusCode::BAD_REQUEST,
        ),
        ("/api/v1/boxes/sudirman-01/sessions?day=5/1", StatusCode::BAD_REQUEST),
        ("/api/v1/boxes/sudirman-01/sessions?after=x", StatusCode::BAD_REQUEST),
        ("/api/v1/zones/sudirman-01/z0/days/today", StatusCode::BAD_REQUEST),
        ("/api/v1/zones/nobody/z0/days/2026-01-05", StatusCode::NOT_FOUND),
        ("/nowhere", StatusCode::NOT_FOUND),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert!(
            !problem["error"].as_str().unwrap().is_empty() && problem["hint"].is_string(),
            "{path}: {problem}"
        );
    }
    assert_eq!(site.text("/healthz").await, "ok\n");
}

async fn a_viewer_is_told_when_something_has_come_in(database: Database) {
    let site = Site::open(&database).await;
    let mut live = site.get("/api/v1/live").await;
    let mut change = async || {
        let told = live.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&told).contains("event: change"));
    };
    // Whoever comes is told at once, and once more when the server has looked at its store for the first time.
    change().await;
    change().await;
    let quiet = tokio::time::timeout(std::time::Duration::from_secs(2), change()).await;
    assert!(quiet.is_err(), "nothing has changed");
    site.city.commit(&site.street, &site.street.batch(0..10)).await;
    change().await;
}
