//! Batches that are taken in: once each, in any order in which they come, whatever ends in between.

use kominfo::ingest::Outcome;
use ledger::batch::{self, Batch};
use ledger::leaf_hash;

use crate::size;
use crate::support::{City, Database, Street, cosigner, now};

crate::on_both_databases! {
    a_batch_is_committed_and_its_receipt_is_the_citys_word_for_exactly_that_tree;
    a_batch_told_again_is_counted_once_and_answered_with_the_newest_receipt;
    a_batch_that_overlaps_what_is_stored_adds_only_the_rest;
    a_batch_beyond_the_end_waits_for_what_is_missing;
    a_crash_between_commit_and_receipt_is_healed_by_telling_again;
    a_crash_before_the_commit_leaves_nothing;
}

async fn a_batch_is_committed_and_its_receipt_is_the_citys_word_for_exactly_that_tree(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 600);
    city.enrol(&street).await;
    for (start, end) in [(0, 1), (1, 255), (255, 257), (257, 600)] {
        let receipt = city.commit(&street, &street.batch(start..end)).await;
        let checkpoint = street.frontier(end).checkpoint("parkir.example.id/g");
        city.cosigner.verify(&checkpoint, &receipt).unwrap();
        assert_eq!(receipt.time_s, u64::try_from(now().as_seconds()).unwrap());
    }
    let audits = city.verify().await;
    assert_eq!((audits[0].size, audits[0].root), (600, street.frontier(600).root()));
    assert!(
        audits[0].sessions > 300 && audits[0].occupancy > 10 && audits[0].events > 40,
        "{audits:?}"
    );
    assert_eq!(city.alarm_codes().await, Vec::<&str>::new());
}

async fn a_batch_told_again_is_counted_once_and_answered_with_the_newest_receipt(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 30);
    city.enrol(&street).await;
    city.commit(&street, &street.batch(0..10)).await;
    let newest = city.commit(&street, &street.batch(10..30)).await;
    assert_eq!(
        city.take(&street, &street.batch(10..30)).await,
        Outcome::Repeated(newest.clone())
    );
    assert_eq!(
        city.take(&street, &street.batch(25..30)).await,
        Outcome::Repeated(newest.clone())
    );
    assert_eq!(city.alarm_codes().await, Vec::<&str>::new());
    // An older one is noticed, and kept for a look.
    assert_eq!(
        city.take(&street, &street.batch(0..10)).await,
        Outcome::Repeated(newest)
    );
    assert_eq!(city.alarm_codes().await, ["replay"]);
    assert!(city.store.alarms(now()).await.unwrap()[0].notice);
    assert!(
        city.store.alarms(now().plus_seconds(7_200)).await.unwrap().is_empty(),
        "a notice ends by itself"
    );
    assert_eq!(city.verify().await[0].size, 30);
}

async fn a_batch_that_overlaps_what_is_stored_adds_only_the_rest(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 700);
    city.enrol(&street).await;
    city.commit(&street, &street.batch(0..300)).await;
    assert_eq!(city.commit(&street, &street.batch(0..301)).await.size, 301);
    assert_eq!(city.commit(&street, &street.batch(256..700)).await.size, 700);
    assert_eq!(city.verify().await[0].root, street.frontier(700).root());
}

async fn a_batch_beyond_the_end_waits_for_what_is_missing(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 30);
    city.enrol(&street).await;
    let receipt = None;
    assert_eq!(
        city.take(&street, &street.batch(10..20)).await,
        Outcome::Gap { size: 0, receipt }
    );
    let receipt = Some(city.commit(&street, &street.batch(0..10)).await);
    assert_eq!(
        city.take(&street, &street.batch(20..30)).await,
        Outcome::Gap { size: 10, receipt }
    );
    city.commit(&street, &street.batch(10..20)).await;
    city.commit(&street, &street.batch(20..30)).await;
    assert_eq!(city.verify().await[0].size, 30);
}

async fn a_crash_between_commit_and_receipt_is_healed_by_telling_again(database: Database) {
    let key = cosigner();
    let street = Street::new("g", 10);
    let lost = {
        let city = City::with_key(&database, key.clone()).await;
        city.enrol(&street).await;
        city.commit(&street, &street.batch(0..10)).await
    };
    let city = City::with_key(&database, key).await;
    assert_eq!(city.take(&street, &street.batch(0..10)).await, Outcome::Repeated(lost));
    assert_eq!(city.verify().await[0].size, 10);
}

async fn a_crash_before_the_commit_leaves_nothing(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 2_000);
    city.enrol(&street).await;
    let mut committed = 0;
    let mut cut = 0;
    // Let go of at more and more steps of its way; what was not committed then comes again.
    while committed < 2_000 {
        let payload = street.batch(committed..committed + 200);
        let taking = city.ingest.batch(&street.gateway, "t", &payload, now());
        let mut taking = Box::pin(taking);
        let mut steps = 0;
        let finished = std::future::poll_fn(|context| match taking.as_mut().poll(context) {
            std::task::Poll::Ready(outcome) => std::task::Poll::Ready(Some(outcome.unwrap())),
            std::task::Poll::Pending if steps == cut => std::task::Poll::Ready(None),
            std::task::Poll::Pending => {
                steps += 1;
                std::task::Poll::Pending
            }
        })
        .await;
        drop(taking);
        cut = if finished.is_some() { 0 } else { cut + 1 };
        committed = usize::try_from(size(&city, &street).await).unwrap();
        assert!(
            committed.is_multiple_of(200),
            "a batch is there as a whole or not at all"
        );
    }
    let audits = city.verify().await;
    assert_eq!((audits[0].size, audits[0].root), (2_000, street.frontier(2_000).root()));
}

#[test]
fn a_street_signs_what_it_says() {
    let street = Street::new("g", 3);
    let Batch { records, .. } = batch::decode(&street.batch(1..3), &batch::Limits::default()).unwrap();
    assert_eq!(leaf_hash(&records[0]), leaf_hash(&street.records[1]));
}
