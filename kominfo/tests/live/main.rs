//! Live view from afar over a real broker: boxes that are asked and dial, viewers in the portal, and whoever should get
//! nothing.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod site;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use futures::SinkExt as _;
use kominfo::live::VIEWERS_A_STREAM_MAX;
use live::command::{Destination, Order, Profile, Ready, StreamId};
use live::link::{DIAL_WAIT, REACH_KEY, Reach, begin_text, path_of};
use live::message::{MESSAGE_BYTES_MAX, Message};
use site::{DialFailure, Site, chunk, dial, init, soon, stream_of};
use support::broker::Broker;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as Ws};

/// Longer than any test.
const LONG: Duration = Duration::from_mins(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_viewers_see_one_stream_and_it_stops_when_both_have_left() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    let mut first = site.watch("g").await;
    let (id, start) = pole.asked().await;
    assert_eq!((start.camera.as_str(), start.profile), ("gate-1", Profile::Sub));
    let server = site.server.clone();
    assert_eq!(start.to, Destination::Kominfo { server });
    let mut sender = pole.dial(&site, id).await.unwrap();
    let mut second = site.watch("g").await;
    sender.begin(b"ftyp").await;
    sender.chunk(true, b"moof 1").await;
    sender.chunk(false, b"moof 2").await;
    for viewer in [&mut first, &mut second] {
        assert_eq!(viewer.media().await, init(b"ftyp"));
        assert_eq!(viewer.media().await, chunk(true, b"moof 1"));
        assert_eq!(viewer.media().await, chunk(false, b"moof 2"));
    }
    let again: Vec<_> = pole.rest().into_iter().map(|command| command.id).collect();
    assert!(again.iter().all(|other| *other == id), "two streams: {again:?}");
    first.leave().await;
    sender.chunk(false, b"moof 3").await;
    assert_eq!(second.media().await, chunk(false, b"moof 3"));
    second.leave().await;
    // So does the box hear it twice: by command, and by the end of its connection.
    let stop = soon(async {
        loop {
            let command = pole.command().await;
            if command.order == Order::Stop {
                return command;
            }
        }
    })
    .await;
    assert_eq!(stop.id, id);
    assert_eq!(sender.closed().await, 4000);

    let ended = async {
        loop {
            let views = site.city.store.live_views().await.unwrap();
            if views.iter().all(|view| view.end.is_some()) {
                return views;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let views = soon(ended).await;
    assert_eq!(views.len(), 2);
    for view in views {
        assert_eq!(
            (view.gateway.as_str(), view.camera.as_str(), view.profile.as_str()),
            ("g", "gate-1", "sub")
        );
        assert_eq!((view.viewer.as_str(), view.reason.as_str()), ("127.0.0.1", "left"));
        assert!(view.bytes >= 4 + 6 + 6, "{}", view.bytes);
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_come_at_once_make_the_box_be_asked_for_one_stream() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    let mut viewers = futures::future::join_all((0..10).map(|_| site.watch("g"))).await;
    let (id, _) = pole.asked().await;
    let mut sender = pole.dial(&site, id).await.unwrap();
    sender.begin(b"ftyp").await;
    sender.chunk(true, b"moof").await;
    for viewer in &mut viewers {
        assert_eq!(viewer.media().await, init(b"ftyp"));
        assert_eq!(viewer.media().await, chunk(true, b"moof"));
    }
    assert!(pole.rest().iter().all(|command| command.id == id));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_taken_only_from_the_box_that_was_asked_and_once() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    let thief = site.pole("thief").await;
    let _viewer = site.watch("g").await;
    let (id, _) = pole.asked().await;
    let status = |result: Result<site::Sender, DialFailure>| match result {
        Err(DialFailure::Status(status)) => Some(status),
        _ => None,
    };
    assert_eq!(status(thief.dial(&site, id).await), Some(403), "another box");
    let own = dial(&site, &pole.pki, "kominfo-client", &path_of(id)).await;
    assert_eq!(status(own), Some(403), "the city's own certificate");
    let other = StreamId::from_bytes([7; 16]);
    assert_eq!(status(pole.dial(&site, other).await), Some(403), "never given out");
    assert_eq!(
        status(dial(&site, &pole.pki, "g", "/live/x").await),
        Some(403),
        "no identifier"
    );
    // A certificate of another authority gets no further than TLS.
    let elsewhere = Broker::start();
    elsewhere.admit("g");
    let stranger = dial(&site, &elsewhere.pki(), "g", &path_of(id)).await;
    assert!(matches!(stranger, Err(DialFailure::Tls)));
    // A certificate for servers is none for a box.
    let server = dial(&site, &pole.pki, "broker", &path_of(id)).await;
    assert!(matches!(server, Err(DialFailure::Tls)));

    let sender = pole.dial(&site, id).await.unwrap();
    assert_eq!(status(pole.dial(&site, id).await), Some(403), "a second time");
    drop(sender);
    assert_eq!(
        status(pole.dial(&site, id).await),
        Some(403),
        "after the first has gone"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_box_leaves_its_viewers_are_told_and_it_is_asked_anew() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    let mut viewer = site.watch("g").await;
    viewer.state("link_calling").await;
    let (first, _) = pole.asked().await;
    let mut sender = pole.dial(&site, first).await.unwrap();
    sender.begin(b"one").await;
    sender.chunk(true, b"moof").await;
    viewer.state("up").await;
    assert_eq!(viewer.media().await, init(b"one"));
    assert_eq!(viewer.media().await, chunk(true, b"moof"));
    drop(sender);
    viewer.state("link_lost").await;
    viewer.state("link_calling").await;
    let second = soon(async {
        loop {
            let (id, _) = pole.asked().await;
            if id != first {
                return id;
            }
        }
    })
    .await;
    let mut sender = pole.dial(&site, second).await.unwrap();
    // Without a state of its own: that it sends says that the camera is up.
    sender.send(stream_of("gate-1")).await;
    sender.send(init(b"two")).await;
    sender.chunk(false, b"the rest of what nobody saw").await;
    sender.chunk(true, b"moof").await;
    viewer.state("up").await;
    assert_eq!(viewer.media().await, init(b"two"));
    assert_eq!(viewer.media().await, chunk(true, b"moof"));
    sender
        .send(Message::Ended {
            reason: "disabled".to_owned(),
        })
        .await;
    assert_eq!(viewer.state("link_refused").await.as_deref(), Some("disabled"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_whose_time_is_over_is_told_and_may_begin_again() {
    let site = Site::open(Duration::from_secs(1)).await;
    let _pole = site.pole("g").await;
    for _ in 0..2 {
        let mut viewer = site.watch("g").await;
        let ended = soon(async {
            loop {
                match viewer.next().await {
                    Some(Message::Ended { reason }) => return reason,
                    Some(_) => {}
                    None => panic!("the city closed the connection without a word"),
                }
            }
        })
        .await;
        assert_eq!(ended, "ttl");
        assert_eq!(viewer.next().await, None);
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_viewer_beyond_the_limit_is_told_busy() {
    let site = Site::open(LONG).await;
    let _pole = site.pole("g").await;
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS_A_STREAM_MAX {
        let mut viewer = site.watch("g").await;
        viewer.state("link_calling").await;
        viewers.push(viewer);
    }
    let mut late = site.watch("g").await;
    let busy = Message::Busy {
        viewers_max: VIEWERS_A_STREAM_MAX,
    };
    assert_eq!(late.next().await, Some(busy));
    assert_eq!(late.next().await, None);
    viewers.pop().unwrap().leave().await;
    soon(async {
        while !matches!(site.watch("g").await.next().await, Some(Message::State(_))) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_box_sends_wrongly_ends_its_own_connection_and_no_other() {
    let site = Site::open(LONG).await;
    let mut good = site.pole("good").await;
    let mut watching = site.watch("good").await;
    let (id, _) = good.asked().await;
    let mut sender = good.dial(&site, id).await.unwrap();
    sender.begin(b"ftyp").await;
    let large = vec![2; MESSAGE_BYTES_MAX + 1];
    let wrong: [(&str, Vec<Ws>, u16); 7] = [
        ("text", vec![Ws::text("rubbish")], 1002),
        ("binary", vec![Ws::binary(vec![9; 20])], 1002),
        ("short", vec![Ws::binary(vec![1, 2])], 1002),
        ("large", vec![Ws::binary(large)], 1002),
        ("chunk-first", vec![Ws::binary(vec![2; 20])], 1002),
        ("busy", vec![Ws::text(r#"{"type":"busy","viewers_max":1}"#)], 1002),
        (
            "other",
            vec![Ws::text(
                r#"{"type":"stream","camera":"gate-2","profile":"sub","codecs":"avc1","width":1,"height":1}"#,
            )],
            4003,
        ),
    ];
    for (name, messages, code) in wrong {
        let mut bad = site.pole(name).await;
        let mut viewer = site.watch(name).await;
        let (id, _) = bad.asked().await;
        let mut connection = bad.dial(&site, id).await.unwrap();
        for message in messages {
            // The city may have closed it before all of a large one was sent.
            connection.socket.send(message).await.unwrap_or_default();
        }
        if name != "large" {
            assert_eq!(connection.closed().await, code, "{name}");
        }
        viewer.state("link_lost").await;
        // All of this may take longer than a box may be silent.
        sender.socket.send(Ws::Ping(Vec::new().into())).await.unwrap();
    }
    sender.chunk(true, b"moof").await;
    assert_eq!(watching.media().await, init(b"ftyp"));
    assert_eq!(watching.media().await, chunk(true, b"moof"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_later_version_are_passed_over() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    let mut viewer = site.watch("g").await;
    let (id, _) = pole.asked().await;
    let mut sender = pole.dial(&site, id).await.unwrap();
    sender.socket.send(Ws::text(r#"{"type":"weather"}"#)).await.unwrap();
    sender.begin(b"ftyp").await;
    sender.chunk(true, b"moof").await;
    assert_eq!(viewer.media().await, init(b"ftyp"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_that_does_not_dial_is_asked_again_and_viewers_are_told_what_is_likely() {
    let site = Site::open(LONG).await;
    site.register("never").await;
    let mut never = site.watch("never").await;
    let mut here = site.pole("here").await;
    here.publisher
        .retain("parkir/1/here/status", br#"{"online":true}"#.to_vec())
        .await
        .unwrap();
    let mut silent = site.watch("here").await;
    let gone = site.pole("gone").await;
    gone.publisher
        .retain("parkir/1/gone/status", br#"{"online":false}"#.to_vec())
        .await
        .unwrap();
    let mut offline = site.watch("gone").await;
    never.state("link_never").await;
    silent.state("link_silent").await;
    let since = offline.state("link_offline").await.unwrap();
    assert!(since.contains("WIB"), "{since}");
    let commands = here.rest();
    assert!(commands.len() >= 2, "{commands:?}");
    assert!(commands.iter().all(|command| command.id == commands[0].id));
    let times: Vec<_> = commands.iter().map(|command| command.issued).collect();
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
    // It is told again while nothing else comes, so that the player does not give the connection up.
    silent.state("link_silent").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_whose_state_says_that_it_refuses_is_asked_and_its_viewers_know_why_at_once() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    for (reach, reason) in [
        (
            Reach::new(vec!["other.example.id:8443".to_owned()], &site.vkey()),
            "server_not_listed",
        ),
        (
            Reach::new(vec![site.server.clone()], "other/command+00000000+AZyS"),
            "other_key",
        ),
        (Reach::default(), "other_key"),
    ] {
        site.tell("g", REACH_KEY, &serde_json::to_string(&reach).unwrap()).await;
        let mut viewer = site.watch("g").await;
        let begin = Instant::now();
        assert_eq!(viewer.state("link_refused").await.as_deref(), Some(reason));
        assert!(begin.elapsed() < DIAL_WAIT, "{reason}");
        pole.asked().await;
        drop(viewer);
        pole.stopped().await;
    }
    // Once the box has been corrected, nothing needs to be done here.
    let reach = Reach::new(vec![site.server.clone()], &site.vkey());
    site.tell("g", REACH_KEY, &serde_json::to_string(&reach).unwrap()).await;
    let mut viewer = site.watch("g").await;
    viewer.state("link_calling").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_comes_is_given_up_and_one_with_pings_is_not() {
    let site = Site::open(LONG).await;
    let (mut mute, mut pinging) = (site.pole("mute").await, site.pole("pinging").await);
    let (mut viewer, _other) = (site.watch("mute").await, site.watch("pinging").await);
    let (id, _) = mute.asked().await;
    let begin = tokio::time::Instant::now();
    let mut silent = mute.dial(&site, id).await.unwrap();
    let (id, _) = pinging.asked().await;
    let mut alive = pinging.dial(&site, id).await.unwrap();
    let closed = async {
        let code = silent.closed().await;
        viewer.state("link_lost").await;
        code
    };
    let pings = async {
        loop {
            alive.socket.send(Ws::Ping(Vec::new().into())).await.unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    };
    tokio::select! {
        code = closed => assert_eq!(code, 4002),
        () = pings => {}
    }
    assert!(begin.elapsed() >= live::link::IDLE_MAX, "not before its time");
    alive.begin(b"ftyp").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_portals_own_page_may_watch_and_only_cameras_that_are_told() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    let own = format!("http://{}", site.web);
    let status = |asked: Result<site::Watcher, WsError>| match asked {
        Err(WsError::Http(answer)) => Some(answer.status().as_u16()),
        _ => None,
    };
    assert_eq!(status(site.ask("g", "gate-1", None).await), Some(403));
    assert_eq!(
        status(site.ask("g", "gate-1", Some("http://evil.example")).await),
        Some(403)
    );
    assert_eq!(status(site.ask("g", "gate-2", Some(&own)).await), Some(404));
    assert_eq!(status(site.ask("nobody", "gate-1", Some(&own)).await), Some(404));
    assert_eq!(status(site.ask("-", "gate-1", Some(&own)).await), Some(400));
    assert!(pole.rest().is_empty());
    assert!(site.city.store.live_views().await.unwrap().is_empty());
    let mut viewer = site.ask("g", "gate-1", Some(&own)).await.unwrap();
    viewer.state("link_calling").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_city_that_stops_tells_its_viewers_and_its_boxes() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    let mut viewer = site.watch("g").await;
    let (id, _) = pole.asked().await;
    let mut sender = pole.dial(&site, id).await.unwrap();
    sender.begin(b"ftyp").await;
    assert_eq!(viewer.media().await, init(b"ftyp"));
    let store = site.city.store.clone();
    site.stop().await;
    assert_eq!(sender.closed().await, 1001);
    let ended = Message::Ended {
        reason: "stopped".to_owned(),
    };
    assert_eq!(viewer.media().await, ended);
    assert!(
        store.live_views().await.unwrap()[0].end.is_some(),
        "noted before the end"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_cameras_and_what_watching_costs_and_gives_out_the_player() {
    let site = Site::open(LONG).await;
    site.register("g").await;
    let get = |path: String| reqwest::get(format!("http://{}{path}", site.web));
    let answer = get("/live".to_owned()).await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("media-src 'self' blob:"), "{policy}");
    let page = answer.text().await.unwrap();
    for shown in [
        "<html lang=\"id\">",
        "data-box=\"g\" data-camera=\"gate-1\"",
        "terakhir: normal",
        "640×360, 0,5 Mbit/s ≈ 225 MB per jam",
        "1920×1080, 4,0 Mbit/s ≈ 1800 MB per jam",
        "1 dari 8 penonton di kotak",
        "belum pernah tersambung",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let english = get("/live?lang=en".to_owned()).await.unwrap().text().await.unwrap();
    assert!(english.contains("0.5 Mbit/s ≈ 225 MB an hour"));
    let overview = get("/".to_owned()).await.unwrap().text().await.unwrap();
    assert!(overview.contains("<a href=\"/live\">Lihat 1 kamera</a>"));
    let folder = page.split("data-assets=\"").nth(1).unwrap().split('"').next().unwrap();
    for (name, kind) in [
        ("player.js", "text/javascript; charset=utf-8"),
        ("texts.js", "text/javascript; charset=utf-8"),
        ("player.css", "text/css; charset=utf-8"),
    ] {
        let answer = get(format!("{folder}{name}")).await.unwrap();
        assert_eq!(answer.headers()["content-type"], kind);
        let cache = answer.headers()["cache-control"].to_str().unwrap();
        assert!(cache.contains("immutable"), "{cache}");
        assert!(!answer.text().await.unwrap().is_empty());
    }
    assert_eq!(get(format!("{folder}other.js")).await.unwrap().status(), 404);
    let old = get("/live/assets/0000000000000000/player.js".to_owned()).await.unwrap();
    assert_eq!(old.status(), 404);
    let script = get("/live/page.js".to_owned()).await.unwrap();
    assert_eq!(script.headers()["cache-control"], "no-cache");
    site.stop().await;
}

/// A box that has told that it holds connections, and the first one that it was asked for.
async fn ready_pole(site: &Site) -> (site::Pole, StreamId) {
    let mut pole = site.pole("g").await;
    let reach = Reach::new(vec![site.server.clone()], &site.vkey());
    site.tell("g", REACH_KEY, &serde_json::to_string(&reach).unwrap()).await;
    let own = format!("http://{}", site.web);
    assert_eq!(site.show(&["g"], &own).await, 204);
    let command = pole.command().await;
    let (ttl, server) = (Duration::from_secs(60), site.server.clone());
    assert_eq!(command.order, Order::Ready(Ready { ttl, server }));
    (pole, command.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_on_the_connection_that_waits() {
    let site = Site::open(LONG).await;
    let (mut pole, id) = ready_pole(&site).await;
    let own = format!("http://{}", site.web);
    futures::future::join_all((0..50).map(|_| site.show(&["g"], &own))).await;
    let thief = site.pole("thief").await;
    let refused = thief.dial(&site, id).await;
    assert!(matches!(refused, Err(DialFailure::Status(403))), "another box");
    let mut sender = pole.dial(&site, id).await.unwrap();
    let again = pole.dial(&site, id).await;
    assert!(matches!(again, Err(DialFailure::Status(403))), "a second time");
    let mut viewer = site.watch("g").await;
    let (stream, _) = pole.asked().await;
    assert_ne!(stream, id);
    sender.socket.send(Ws::text(begin_text(stream))).await.unwrap();
    sender.begin(b"ftyp").await;
    sender.chunk(true, b"moof").await;
    assert_eq!(viewer.media().await, init(b"ftyp"));
    assert_eq!(viewer.media().await, chunk(true, b"moof"));
    assert!(pole.rest().iter().all(|command| command.id == stream), "asked once");
    viewer.leave().await;
    assert_eq!(sender.closed().await, 4000);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_waits_is_closed_when_it_names_what_nobody_asked_for_or_says_something_else() {
    for (first, code) in [
        (Ws::text(begin_text(StreamId::from_bytes([7; 16]))), 4004),
        (Ws::text("{}"), 1002),
        (Ws::binary(vec![1; 20]), 1002),
    ] {
        let site = Site::open(LONG).await;
        let (pole, id) = ready_pole(&site).await;
        let mut sender = pole.dial(&site, id).await.unwrap();
        sender.socket.send(first).await.unwrap();
        assert_eq!(sender.closed().await, code);
        site.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_boxes_that_can_are_asked_to_hold_a_connection_and_only_for_pages_of_this_portal() {
    let site = Site::open(LONG).await;
    let mut pole = site.pole("g").await;
    let own = format!("http://{}", site.web);
    assert_eq!(
        site.show(&["g", "unknown"], &own).await,
        204,
        "a box of before tells nothing"
    );
    assert_eq!(site.show(&["g"], "https://evil.example").await, 403);
    assert_eq!(site.show(&["g"; 9], &own).await, 400);
    let elsewhere = Reach::new(vec!["b:1".to_owned()], &site.vkey());
    site.tell("g", REACH_KEY, &serde_json::to_string(&elsewhere).unwrap())
        .await;
    assert_eq!(site.show(&["g"], &own).await, 204);
    // The next command is about something else.
    let _viewer = site.watch("g").await;
    pole.asked().await;
    site.stop().await;
}
