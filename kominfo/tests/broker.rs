//! The city on a real broker with the shipped configuration: certificates, access rules, receipts, and the end of an
//! instance in the middle of things.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::time::Duration;

use kominfo::dialer::{Target, TlsFiles};
use kominfo::mqtt::{Publisher, Session};
use kominfo::serve::City as Serving;
use kominfo::store::AlarmCode;
use ledger::{Cosigner, Receipt};
use support::broker::Broker;
use support::{City, Database, Street, change, cosigner};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How long a box waits for a receipt before it sends again.
const AGAIN: Duration = Duration::from_millis(500);
/// Nothing here takes longer unless it is stuck.
const STUCK: Duration = Duration::from_mins(2);

struct Instance {
    task: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

async fn serve(broker: &Broker, database: &Database, cosigner: &Cosigner, instance: &str) -> Instance {
    let stop = CancellationToken::new();
    let city = Serving {
        store: database.open().await,
        cosigner: cosigner.clone(),
        listen: "127.0.0.1:0".parse().unwrap(),
        broker: broker.target("kominfo-client"),
        client_id: format!("kominfo-{instance}"),
        accept_simulated: false,
        live: None,
    };
    Instance {
        task: tokio::spawn(city.run(stop.clone())),
        stop,
    }
}

/// A box on the wire.
struct Wire {
    publisher: Publisher,
    /// The newest receipt that came in, and how many have.
    receipts: watch::Receiver<(u64, Option<Receipt>)>,
    _listening: AbortOnDropHandle<()>,
}

impl Wire {
    async fn open(target: &Target, name: &str) -> Self {
        let topics = [format!("parkir/1/{name}/receipt")];
        let (mut session, publisher) = Session::open(target, name, &topics).await.unwrap();
        let (sender, receipts) = watch::channel((0, None));
        let listening = tokio::spawn(async move {
            while let Ok(message) = session.next().await {
                let receipt = Receipt::from_bytes(&message.payload).unwrap();
                message.acknowledgement.send().await.unwrap();
                sender.send_modify(|(count, newest)| {
                    *count += 1;
                    *newest = Some(receipt);
                });
            }
        });
        Self {
            publisher,
            receipts,
            _listening: AbortOnDropHandle::new(listening),
        }
    }

    /// Sends and sends again until the receipt for `size` records is there.
    async fn send_until(&mut self, street: &Street, size: usize, batch: usize) -> Receipt {
        let sending = async {
            let mut start = 0;
            loop {
                for first in (start..size).step_by(batch) {
                    let payload = street.batch(first..size.min(first + batch));
                    self.publisher.retain(&street.topic(), payload).await.unwrap();
                }
                let complete = |(_, newest): &(u64, Option<Receipt>)| {
                    newest.as_ref().is_some_and(|receipt| receipt.size == size as u64)
                };
                let waiting = tokio::time::timeout(AGAIN, self.receipts.wait_for(complete)).await;
                let is_complete = waiting.is_ok_and(|closed| closed.is_ok());
                let newest = self.receipts.borrow().1.clone();
                if is_complete {
                    return newest.unwrap();
                }
                start = newest.map_or(0, |receipt| usize::try_from(receipt.size).unwrap());
            }
        };
        tokio::time::timeout(STUCK, sending).await.expect("no receipt came")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_sends_over_mutual_tls_and_gets_the_citys_receipt() {
    let (broker, database, cosigner) = (Broker::start(), Database::sqlite(), cosigner());
    let city = City::with_key(&database, cosigner.clone()).await;
    let street = Street::new("g", 60);
    city.enrol(&street).await;
    let instance = serve(&broker, &database, &cosigner, "a").await;
    let mut wire = Wire::open(&broker.admit("g"), "g").await;
    let receipt = wire.send_until(&street, 60, 10).await;
    city.cosigner
        .verify(&street.frontier(60).checkpoint("parkir.example.id/g"), &receipt)
        .unwrap();
    assert_eq!(city.verify().await[0].size, 60);
    instance.stop.cancel();
    instance.task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_reaches_its_own_topics_only_and_a_stranger_none() {
    let (broker, database, cosigner) = (Broker::start(), Database::sqlite(), cosigner());
    let city = City::with_key(&database, cosigner.clone()).await;
    let (thief, victim) = (Street::new("thief", 10), Street::new("victim", 10));
    city.enrol(&thief).await;
    city.enrol(&victim).await;
    let instance = serve(&broker, &database, &cosigner, "a").await;
    let (thief_way, victim_way) = (broker.admit("thief"), broker.admit("victim"));
    let mut wire = Wire::open(&thief_way, "thief").await;
    // In the victim's name, and what only the city may say.
    wire.publisher
        .retain(&victim.topic(), b"rubbish".to_vec())
        .await
        .unwrap();
    wire.publisher
        .retain("parkir/1/thief/receipt", b"rubbish".to_vec())
        .await
        .unwrap();
    // What comes after it on the same connection was let through, so that the others had their turn.
    wire.send_until(&thief, 10, 10).await;
    assert!(city.store.refusals(None).await.unwrap().is_empty());
    // Nobody listens to another's receipts, even those who have asked to.
    let (mut listening, _publisher) = Session::open(&thief_way, "thief-2", &["parkir/1/+/receipt".to_owned()])
        .await
        .unwrap();
    Wire::open(&victim_way, "victim")
        .await
        .send_until(&victim, 10, 10)
        .await;
    let before = wire.receipts.borrow().0;
    wire.publisher.retain(&thief.topic(), thief.batch(0..10)).await.unwrap();
    wire.receipts.wait_for(|(count, _)| *count > before).await.unwrap();
    // The retained one and the new one of its own; the victim's would have come between them.
    for _ in 0..2 {
        assert_eq!(listening.next().await.unwrap().topic, "parkir/1/thief/receipt");
    }

    // A certificate of another authority opens no connection at all.
    let other = Broker::start();
    other.admit("thief");
    let (ca, certificate, key) = (
        broker.pki().join("ca.crt"),
        other.pki().join("thief.crt"),
        other.pki().join("thief.key"),
    );
    let files = TlsFiles {
        ca: &ca,
        certificate: &certificate,
        key: &key,
    };
    let address = format!("mqtts://127.0.0.1:{}", broker.port);
    let target = Target::new(&address, Some(files)).unwrap();
    assert!(
        Session::open(&target, "thief", &["parkir/1/thief/receipt".to_owned()])
            .await
            .is_err()
    );
    // And the other way round, the city's own side refuses a broker that it has no reason to believe, and says why.
    let (ca, certificate, key) = (
        other.pki().join("ca.crt"),
        broker.pki().join("thief.crt"),
        broker.pki().join("thief.key"),
    );
    let files = TlsFiles {
        ca: &ca,
        certificate: &certificate,
        key: &key,
    };
    let target = Target::new(&address, Some(files)).unwrap();
    let error = Session::open(&target, "thief", &["parkir/1/thief/receipt".to_owned()])
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains(&address) && error.contains("certificate"), "{error}");
    instance.stop.cancel();
    instance.task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_one_box_holds_up_no_other() {
    let (broker, database, cosigner) = (Broker::start(), Database::sqlite(), cosigner());
    let city = City::with_key(&database, cosigner.clone()).await;
    let (damaged, early, whole) = (
        Street::new("damaged", 20),
        Street::new("early", 20),
        Street::new("whole", 20),
    );
    for street in [&damaged, &early, &whole] {
        city.enrol(street).await;
    }
    let instance = serve(&broker, &database, &cosigner, "a").await;
    let mut wires = Vec::new();
    for name in ["damaged", "early", "whole"] {
        wires.push(Wire::open(&broker.admit(name), name).await);
    }
    wires[0].send_until(&damaged, 10, 10).await;
    change(&database, "DELETE FROM tiles WHERE box = 'damaged'").await;
    for (wire, street) in wires.iter().zip([&damaged, &early]) {
        wire.publisher
            .retain(&street.topic(), street.batch(10..20))
            .await
            .unwrap();
        wire.publisher
            .retain(&street.topic(), b"rubbish".to_vec())
            .await
            .unwrap();
    }
    wires[2].send_until(&whole, 20, 10).await;
    let standing = async {
        loop {
            let alarms = city.store.alarms(kominfo::clock::now()).await.unwrap();
            let mut alarms: Vec<_> = alarms
                .into_iter()
                .map(|alarm| (alarm.gateway, alarm.code.as_str()))
                .collect();
            alarms.sort();
            if alarms.len() == 4 {
                return alarms;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let standing = tokio::time::timeout(STUCK, standing).await.unwrap();
    let expected = [
        ("damaged", "malformed"),
        ("damaged", "store_damaged"),
        ("early", "gap"),
        ("early", "malformed"),
    ];
    assert_eq!(standing, expected.map(|(gateway, code)| (gateway.to_owned(), code)));
    wires[1].send_until(&early, 20, 10).await;
    instance.stop.cancel();
    instance.task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_the_boxes_and_the_end_of_one_loses_nothing() {
    let (broker, database, cosigner) = (Broker::start(), Database::postgres().await, cosigner());
    let city = City::with_key(&database, cosigner.clone()).await;
    let streets: Vec<_> = ["g1", "g2", "g3"].into_iter().map(|id| Street::new(id, 900)).collect();
    for street in &streets {
        city.enrol(street).await;
    }
    let first = serve(&broker, &database, &cosigner, "a").await;
    let second = serve(&broker, &database, &cosigner, "b").await;
    let mut sending = tokio::task::JoinSet::new();
    for street in streets {
        let target = broker.admit(street.gateway.as_str());
        sending.spawn(async move {
            let mut wire = Wire::open(&target, street.gateway.as_str()).await;
            wire.send_until(&street, 900, 15).await;
        });
    }
    // In the middle: some are committed, others not.
    let committed = async {
        while city.store.change_mark().await.unwrap()[0] < 300 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(STUCK, committed).await.unwrap();
    first.task.abort();
    sending.join_all().await;
    for audit in city.verify().await {
        assert_eq!(audit.size, 900);
    }
    let worrying = city
        .store
        .alarms(kominfo::clock::now())
        .await
        .unwrap()
        .into_iter()
        .filter(|alarm| !alarm.notice);
    assert_eq!(worrying.map(|alarm| alarm.code).collect::<Vec<AlarmCode>>(), []);
    second.stop.cancel();
    second.task.await.unwrap().unwrap();
}
