//! The MQTT session against a real Mosquitto, and against peers that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::time::Duration;

use bytes::Bytes;
use gateway::mqtt::{self, Address, Event, MqttError, Options, Publication, QoS, Subscription};
use support::{Broker, next_message, publication, subscribed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

fn with_subscription(options: Options, filter: &str) -> Options {
    let subscriptions = vec![Subscription {
        filter: filter.to_owned(),
        qos: QoS::AtLeastOnce,
    }];
    Options {
        subscriptions,
        ..options
    }
}

#[tokio::test]
async fn a_message_that_was_not_acknowledged_comes_again_to_the_next_session() {
    let broker = Broker::start().await;
    let options = with_subscription(broker.options("box"), "a/#");
    let (publisher, mut events) = subscribed(&options).await;
    broker.publish("a/1", "first").await;
    broker.publish("a/2", "second").await;
    next_message(&mut events).await.ack.acknowledge();
    let second = next_message(&mut events).await;
    // The first's acknowledgement has reached the broker when it answers what was sent behind it.
    let id = publisher.publish(publication("b", "")).await.unwrap();
    assert!(matches!(events.next().await.unwrap(), Event::Published(published) if published == id));
    drop(events);

    let (publisher, mut events) = mqtt::connect(&options).await.unwrap();
    assert!(publisher.session_present());
    // Of the ended session: it reaches nobody.
    second.ack.acknowledge();
    assert_eq!(next_message(&mut events).await.payload, "second");
}

#[tokio::test]
async fn acknowledgements_leave_in_the_order_of_the_messages() {
    let broker = Broker::start().await;
    let options = with_subscription(broker.options("box"), "a");
    let (publisher, mut events) = subscribed(&options).await;
    broker.publish("a", "first").await;
    broker.publish("a", "second").await;
    let first = next_message(&mut events).await;
    next_message(&mut events).await.ack.acknowledge();
    let id = publisher.publish(publication("b", "")).await.unwrap();
    assert!(matches!(events.next().await.unwrap(), Event::Published(published) if published == id));
    drop(events);
    drop(first);
    let (_publisher, mut events) = mqtt::connect(&options).await.unwrap();
    // Held: a message that is dropped is given back, and that ends the session before the second may have come.
    let first = next_message(&mut events).await;
    let second = next_message(&mut events).await;
    assert_eq!((&*first.payload, &*second.payload), (&b"first"[..], &b"second"[..]));
}

#[tokio::test]
async fn a_message_that_is_given_back_ends_the_session_and_names_its_topic() {
    let broker = Broker::start().await;
    let options = with_subscription(broker.options("box"), "a/+");
    let (publisher, mut events) = subscribed(&options).await;
    broker.publish("a/7", "x").await;
    drop(next_message(&mut events).await);
    let error = events.next().await.unwrap_err();
    assert!(
        matches!(&error, MqttError::GivenBack { topic, .. } if topic == "a/7"),
        "{error}"
    );
    assert!(matches!(events.next().await, Err(MqttError::Ended { .. })));
    assert!(matches!(publisher.room().await, Err(MqttError::Ended { .. })));
}

#[tokio::test]
async fn no_more_messages_come_than_may_be_unacknowledged() {
    let broker = Broker::start().await;
    let options = Options {
        receive_maximum: 1,
        ..with_subscription(broker.options("box"), "a")
    };
    let (publisher, mut events) = subscribed(&options).await;
    broker.publish("a", "first").await;
    broker.publish("a", "second").await;
    let first = next_message(&mut events).await;
    // Mosquitto sends in order: had it sent the second message, it would be here before this answer.
    let id = publisher.publish(publication("b", "")).await.unwrap();
    assert!(matches!(events.next().await.unwrap(), Event::Published(published) if published == id));
    first.ack.acknowledge();
    assert_eq!(next_message(&mut events).await.payload, "second");
}

#[tokio::test]
async fn every_publish_is_told_by_its_name_and_room_comes_back() {
    let broker = Broker::start().await;
    let options = Options {
        publish_window: 4,
        ..broker.options("box")
    };
    let (publisher, mut events) = mqtt::connect(&options).await.unwrap();
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    while told.len() < 3_000 {
        tokio::select! {
            room = publisher.room(), if sent.len() < 3_000 => {
                sent.push(room.unwrap().publish(publication("a", "x")).unwrap());
            }
            event = events.next() => match event.unwrap() {
                Event::Published(id) => told.push(id),
                other => panic!("{other:?}"),
            },
        }
    }
    assert_eq!(sent, told);
}

#[tokio::test]
async fn without_room_nothing_is_published() {
    let broker = Broker::start().await;
    let options = Options {
        publish_window: 1,
        ..broker.options("box")
    };
    let (publisher, mut events) = mqtt::connect(&options).await.unwrap();
    let room = publisher.try_room().unwrap();
    assert!(publisher.try_room().is_none());
    room.publish(publication("a", "x")).unwrap();
    assert!(matches!(events.next().await.unwrap(), Event::Published(_)));
    assert!(publisher.try_room().is_some());
}

#[tokio::test]
async fn a_publish_of_qos_0_gives_its_room_back_without_an_answer() {
    let broker = Broker::start().await;
    let options = Options {
        publish_window: 1,
        ..broker.options("box")
    };
    let (publisher, _events) = mqtt::connect(&options).await.unwrap();
    for _ in 0..5 {
        publisher
            .publish(Publication {
                qos: QoS::AtMostOnce,
                ..publication("a", "x")
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_message_of_half_a_mebibyte_goes_through_in_both_directions() {
    let broker = Broker::start().await;
    let options = with_subscription(broker.options("box"), "big");
    let (publisher, mut events) = subscribed(&options).await;
    let payload = Bytes::from(vec![7; 512 * 1024]);
    publisher.publish(publication("big", payload.clone())).await.unwrap();
    let message = next_message(&mut events).await;
    assert_eq!(message.payload, payload);
    message.ack.acknowledge();
}

#[tokio::test]
async fn a_publish_larger_than_the_broker_takes_is_refused_here_and_the_session_goes_on() {
    let broker = Broker::start_with("max_packet_size 1000").await;
    let (publisher, mut events) = mqtt::connect(&broker.options("box")).await.unwrap();
    let max = publisher.payload_bytes_max("a");
    assert!((900..1000).contains(&max));
    let error = publisher.publish(publication("a", vec![0; max + 1])).await.unwrap_err();
    assert!(error.to_string().contains("larger than the 1000"), "{error}");
    publisher.publish(publication("a", vec![0; max])).await.unwrap();
    assert!(matches!(events.next().await.unwrap(), Event::Published(_)));
}

#[tokio::test]
async fn a_topic_with_a_wildcard_is_refused_and_the_session_goes_on() {
    let broker = Broker::start().await;
    let (publisher, mut events) = mqtt::connect(&broker.options("box")).await.unwrap();
    for bad in ["", "a/+", "#", "a\0"] {
        assert!(matches!(
            publisher.publish(publication(bad, "x")).await,
            Err(MqttError::Topic { .. })
        ));
    }
    publisher.publish(publication("a", "x")).await.unwrap();
    assert!(matches!(events.next().await.unwrap(), Event::Published(_)));
}

#[tokio::test]
async fn a_publish_that_the_acl_forbids_is_told_by_its_name_and_the_session_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let acl = folder.path().join("acl");
    std::fs::write(&acl, "topic readwrite mine/#\n").unwrap();
    let broker = Broker::start_with(&format!("acl_file {}", acl.display())).await;
    let (publisher, mut events) = mqtt::connect(&broker.options("box")).await.unwrap();
    let id = publisher.publish(publication("yours/a", "x")).await.unwrap();
    match events.next().await.unwrap() {
        Event::Refused { id: refused, reason } => assert_eq!((refused, &*reason), (id, "NotAuthorized")),
        other => panic!("{other:?}"),
    }
    publisher.publish(publication("mine/a", "x")).await.unwrap();
    assert!(matches!(events.next().await.unwrap(), Event::Published(_)));
}

#[tokio::test]
async fn options_that_would_make_a_session_wait_for_ever_are_refused() {
    let address = Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port: 1,
    };
    let good = Options::new(address, "box");
    for (bad, told) in [
        (with_subscription(good.clone(), "a/#/b"), "a/#/b"),
        (
            Options {
                receive_maximum: 0,
                ..good.clone()
            },
            "receive maximum",
        ),
        (
            Options {
                publish_window: 0,
                ..good.clone()
            },
            "publish window",
        ),
        (
            Options {
                keep_alive: Duration::from_secs(1),
                ..good.clone()
            },
            "keep-alive",
        ),
        (
            Options {
                client_id: String::new(),
                ..good.clone()
            },
            "client id",
        ),
    ] {
        let error = mqtt::connect(&bad).await.unwrap_err();
        assert!(
            matches!(error, MqttError::Options { .. }) && error.to_string().contains(told),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_as_a_refusal_of_this_client() {
    let folder = tempfile::tempdir().unwrap();
    let passwords = folder.path().join("passwords");
    std::fs::write(&passwords, "").unwrap();
    let more = format!("allow_anonymous false\npassword_file {}", passwords.display());
    let broker = Broker::start_with(&more).await;
    let error = mqtt::connect(&broker.options("box")).await.unwrap_err();
    assert!(matches!(error, MqttError::Rejected { .. }), "{error}");
    assert!(
        error.to_string().contains("\"box\"") && error.to_string().contains(&broker.port.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn the_last_will_is_published_when_the_client_vanishes_and_not_when_it_takes_leave() {
    let broker = Broker::start().await;
    let (_observer, mut seen) = subscribed(&with_subscription(broker.options("observer"), "status")).await;
    let will = Some(publication("status", "gone"));
    let options = Options {
        last_will: will,
        ..broker.options("box")
    };
    for leave in [true, false] {
        let (publisher, mut events) = mqtt::connect(&options).await.unwrap();
        if leave {
            publisher.disconnect().unwrap();
            assert!(matches!(events.next().await, Err(MqttError::Lost { .. })));
            broker.publish("status", "left").await;
        }
        drop(events);
        let message = next_message(&mut seen).await;
        assert_eq!(message.payload, if leave { "left" } else { "gone" });
        message.ack.acknowledge();
    }
}

#[tokio::test]
async fn a_session_runs_over_a_unix_socket() {
    let broker = Broker::start().await;
    let path = broker.file("dialer.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let port = broker.port;
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    });
    let options = with_subscription(Options::new(Address::Unix(path), "box"), "a");
    let (publisher, mut events) = subscribed(&options).await;
    publisher.publish(publication("a", "x")).await.unwrap();
    next_message(&mut events).await.ack.acknowledge();
}

#[tokio::test]
async fn a_broker_that_stops_ends_the_session_with_its_address() {
    let mut broker = Broker::start().await;
    let (_publisher, mut events) = mqtt::connect(&broker.options("box")).await.unwrap();
    broker.stop().await;
    let error = events.next().await.unwrap_err();
    assert!(matches!(error, MqttError::Lost { .. }) && error.to_string().contains(&broker.port.to_string()));
    let error = mqtt::connect(&broker.options("box")).await.unwrap_err();
    assert!(matches!(error, MqttError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn a_peer_that_accepts_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    let options = Options {
        answer_timeout: Duration::from_millis(100),
        ..Options::new(address, "box")
    };
    let error = mqtt::connect(&options).await.unwrap_err();
    assert!(
        matches!(&error, MqttError::Connect { reason, .. } if reason.contains("no answer")),
        "{error}"
    );
}

/// CONNACK, success, no session, no properties.
const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];

/// A broker that greets, hears `packets` more, and then says `words`.
async fn liar(packets: usize, words: &'static [u8]) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = [0; 1024];
        assert!(stream.read(&mut heard).await.unwrap() > 0);
        stream.write_all(&CONNACK).await.unwrap();
        for _ in 0..packets {
            assert!(stream.read(&mut heard).await.unwrap() > 0);
        }
        stream.write_all(words).await.unwrap();
        std::future::pending::<()>().await;
    });
    Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

#[tokio::test]
async fn a_broker_that_never_answers_the_subscription_is_given_up() {
    let options = Options {
        answer_timeout: Duration::from_millis(200),
        ..Options::new(liar(0, &[]).await, "box")
    };
    let (_publisher, mut events) = mqtt::connect(&with_subscription(options, "a")).await.unwrap();
    let error = events.next().await.unwrap_err();
    assert!(error.to_string().contains("no answer to the subscriptions"), "{error}");
}

#[tokio::test]
async fn a_refused_subscription_and_one_granted_less_name_the_filter() {
    for (suback, told) in [
        (&[0x90, 4, 0, 1, 0, 135][..], "NotAuthorized"),
        (&[0x90, 4, 0, 1, 0, 0], "AtMostOnce"),
    ] {
        let options = with_subscription(Options::new(liar(1, suback).await, "box"), "a/+");
        let (_publisher, mut events) = mqtt::connect(&options).await.unwrap();
        let error = events.next().await.unwrap_err();
        assert!(
            matches!(&error, MqttError::Subscription { filter, .. } if filter == "a/+"),
            "{error}"
        );
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_broker_that_breaks_the_protocol_ends_the_session() {
    for words in [
        &[0x40, 2, 0, 9][..],                  // PUBACK of nothing
        &[0x34, 6, 0, 1, b'a', 0, 1, 0],       // PUBLISH with QoS 2
        &[0x32, 6, 0, 1, 0xff, 0, 1, 0],       // topic that is no text
        &[0x90, 4, 0, 1, 0, 1],                // SUBACK of nothing
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // noise
        &[0x32, 0xff, 0xff, 0xff, 0x7f],       // PUBLISH of 256 MiB
    ] {
        let (_publisher, mut events) = mqtt::connect(&Options::new(liar(0, words).await, "box")).await.unwrap();
        let error = events.next().await.unwrap_err();
        assert!(matches!(error, MqttError::Lost { .. }), "{words:?}: {error}");
    }
}

#[tokio::test]
async fn a_peer_that_takes_no_data_any_more_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    let connected = tokio::spawn(async move {
        let keep_alive = Duration::from_secs(5);
        mqtt::connect(&Options {
            keep_alive,
            ..Options::new(address, "box")
        })
        .await
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&CONNACK).await.unwrap();
    let (publisher, mut events) = connected.await.unwrap().unwrap();
    // More than the kernel's buffers hold; nobody reads it.
    for _ in 0..20 {
        publisher.publish(publication("a", vec![0; 1_000_000])).await.unwrap();
    }
    let error = events.next().await.unwrap_err();
    assert!(matches!(error, MqttError::Lost { .. }), "{error}");
}
