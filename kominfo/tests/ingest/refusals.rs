//! Batches that are refused, and for which reason.

use kominfo::ingest::{Ingest, Outcome};
use kominfo::store::{AlarmCode, REFUSALS_KEPT_A_BOX};
use ledger::{LogSigner, batch};
use rand_core::OsRng;

use crate::support::{City, Database, Street, cosigner, now, session};
use crate::{refused, size};

crate::on_both_databases! {
    every_flipped_byte_is_refused_and_the_log_goes_on;
    a_foreign_key_is_refused;
    a_truncated_batch_is_refused;
    an_altered_replay_is_refused;
    a_second_history_is_a_fork_until_a_person_clears_it;
    an_unknown_box_is_refused_and_kept_bounded;
    a_simulated_clock_is_refused_unless_it_is_asked_for;
    a_box_that_is_refused_does_not_hold_up_another;
}

async fn every_flipped_byte_is_refused_and_the_log_goes_on(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 12);
    city.enrol(&street).await;
    city.commit(&street, &street.batch(0..8)).await;
    let good = street.batch(8..12);
    let limits = batch::Limits::default();
    let mut harmless = 0;
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1 << (place % 8);
        if batch::decode(&bad, &limits).is_ok_and(|read| read == batch::decode(&good, &limits).unwrap()) {
            // One bit in the compressed frame's header says nothing: the same records, the same signature.
            harmless += 1;
            continue;
        }
        match city.take(&street, &bad).await {
            Outcome::Refused { reason, .. } => {
                assert!(
                    matches!(
                        reason,
                        AlarmCode::Malformed | AlarmCode::BadSignature | AlarmCode::ReplayMismatch
                    ),
                    "byte {place}: {reason:?}"
                );
            }
            // The index of the first record is not signed for itself: moved on, records are missing before it.
            Outcome::Gap { .. } => harmless += 1,
            other => panic!("byte {place}: {other:?}"),
        }
        assert_eq!(size(&city, &street).await, 8);
    }
    assert!(harmless <= 3);
    city.commit(&street, &good).await;
    assert_eq!(city.verify().await[0].size, 12);
    let refusals = city.store.refusals(Some(&street.gateway)).await.unwrap();
    assert_eq!(refusals.len(), REFUSALS_KEPT_A_BOX.min(good.len() - harmless));
}

async fn a_foreign_key_is_refused(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 10);
    city.enrol(&street).await;
    let stranger = LogSigner::generate("parkir.example.id/g", &mut OsRng).unwrap();
    let outcome = city.take(&street, &street.batch_signed_by(&stranger, 0..5)).await;
    assert_eq!(refused(&outcome), AlarmCode::BadSignature);
    assert_eq!(city.alarm_codes().await, ["bad_signature"]);
    // The right key under another log's name is as foreign.
    let mut batch = batch::decode(&street.batch(0..5), &batch::Limits::default()).unwrap();
    batch.signature = street
        .signer
        .sign(&street.frontier(5).checkpoint("parkir.example.id/other"));
    let outcome = city.take(&street, &batch::encode(&batch, 1).unwrap()).await;
    assert_eq!(refused(&outcome), AlarmCode::BadSignature);
    // And so is a batch of another box.
    let other = Street::new("other", 10);
    city.enrol(&other).await;
    assert_eq!(
        refused(&city.take(&other, &street.batch(0..5)).await),
        AlarmCode::BadSignature
    );
    city.commit(&street, &street.batch(0..5)).await;
}

async fn a_truncated_batch_is_refused(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 10);
    city.enrol(&street).await;
    let good = street.batch(0..10);
    for length in [0, 1, 2, 3, 40, 68, 69, good.len() / 2, good.len() - 1] {
        assert_eq!(
            refused(&city.take(&street, &good[..length]).await),
            AlarmCode::Malformed,
            "{length} bytes"
        );
    }
    // Cut off between two records, and whole again in form: only the signature tells.
    let mut batch = batch::decode(&good, &batch::Limits::default()).unwrap();
    batch.records.truncate(9);
    let outcome = city.take(&street, &batch::encode(&batch, 3).unwrap()).await;
    assert_eq!(refused(&outcome), AlarmCode::BadSignature);
    assert_eq!(size(&city, &street).await, 0);
}

async fn an_altered_replay_is_refused(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 20);
    city.enrol(&street).await;
    let old = street.batch(0..10);
    city.commit(&street, &old).await;
    city.commit(&street, &street.batch(10..20)).await;
    let mut batch = batch::decode(&old, &batch::Limits::default()).unwrap();
    batch.records[3] = session("g", 99);
    let outcome = city.take(&street, &batch::encode(&batch, 3).unwrap()).await;
    assert_eq!(refused(&outcome), AlarmCode::ReplayMismatch);
    assert_eq!(city.alarm_codes().await, ["replay_mismatch"]);
    assert_eq!(city.verify().await[0].size, 20);
}

async fn a_second_history_is_a_fork_until_a_person_clears_it(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 30);
    city.enrol(&street).await;
    city.commit(&street, &street.batch(0..10)).await;
    city.commit(&street, &street.batch(10..20)).await;
    let mut rewritten = Street::new("g", 30);
    rewritten.signer = street.signer.clone();
    rewritten.records[4] = session("g", 99);
    assert_eq!(
        refused(&city.take(&street, &rewritten.batch(0..10)).await),
        AlarmCode::Fork
    );
    assert_eq!(
        refused(&city.take(&street, &rewritten.batch(0..30)).await),
        AlarmCode::Fork
    );
    // Continuing the rewritten history, the batch alone does not show what differs: its signature does not fit.
    assert_eq!(
        refused(&city.take(&street, &rewritten.batch(20..30)).await),
        AlarmCode::BadSignature
    );
    assert_eq!(city.alarm_codes().await, ["bad_signature", "fork"]);
    assert!(city.store.logs(None).await.unwrap()[0].forked);
    // The history with receipts goes on.
    city.commit(&street, &street.batch(20..30)).await;
    assert_eq!(city.verify().await[0].root, street.frontier(30).root());
    assert_eq!(city.store.clear_alarms(&street.gateway, None, now()).await.unwrap(), 2);
    assert_eq!(city.alarm_codes().await, Vec::<&str>::new());
    assert!(!city.store.logs(None).await.unwrap()[0].forked);
    assert_eq!(
        refused(&city.take(&street, &rewritten.batch(0..10)).await),
        AlarmCode::Fork
    );
    assert_eq!(
        city.store.alarms(now()).await.unwrap()[0].times,
        1,
        "a cleared alarm begins anew"
    );
}

async fn an_unknown_box_is_refused_and_kept_bounded(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("nobody", REFUSALS_KEPT_A_BOX + 10);
    for n in 1..=street.records.len() {
        assert_eq!(
            refused(&city.take(&street, &street.batch(0..n)).await),
            AlarmCode::UnknownBox
        );
    }
    let again = street.batch(0..street.records.len());
    city.take(&street, &again).await;
    let refusals = city.store.refusals(None).await.unwrap();
    assert_eq!(refusals.len(), REFUSALS_KEPT_A_BOX);
    assert_eq!((refusals[0].times, refusals[0].payload_bytes), (2, again.len() as u64));
    assert_eq!(city.alarm_codes().await, ["unknown_box"]);
    let state = zstd::encode_all(br#"{"box":{}}"#.as_slice(), 1).unwrap();
    let refused = city.ingest.state(&street.gateway, "t", &state, now()).await.unwrap();
    assert_eq!(refused, Some(AlarmCode::UnknownBox));
    let refused = city
        .ingest
        .status(&street.gateway, "t", br#"{"online":true}"#, now())
        .await
        .unwrap();
    assert_eq!(refused, Some(AlarmCode::UnknownBox));
}

async fn a_simulated_clock_is_refused_unless_it_is_asked_for(database: Database) {
    let city = City::open(&database).await;
    let mut street = Street::new("g", 10);
    city.enrol(&street).await;
    for record in &mut street.records {
        *record = String::from_utf8(record.clone())
            .unwrap()
            .replace("synced", "simulated")
            .into_bytes();
    }
    assert_eq!(
        refused(&city.take(&street, &street.batch(0..10)).await),
        AlarmCode::SimulatedClock
    );
    assert_eq!(size(&city, &street).await, 0);
    let asked_for = Ingest::new(city.store.clone(), cosigner(), true);
    let outcome = asked_for
        .batch(&street.gateway, "t", &street.batch(0..10), now())
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::Committed(_)));
}

async fn a_box_that_is_refused_does_not_hold_up_another(database: Database) {
    let city = City::open(&database).await;
    let (bad, good) = (Street::new("bad", 10), Street::new("good", 10));
    city.enrol(&bad).await;
    city.enrol(&good).await;
    let held = city.store.lock_log(&bad.gateway).await.unwrap().unwrap();
    if database.address.starts_with("postgres") {
        // Even while somebody holds the bad box's log.
        city.commit(&good, &good.batch(0..5)).await;
    }
    held.release().await.unwrap();
    for _ in 0..3 {
        refused(&city.take(&bad, b"rubbish").await);
        refused(&city.take(&bad, &good.batch(0..10)).await);
    }
    let end = usize::try_from(size(&city, &good).await).unwrap();
    city.commit(&good, &good.batch(end..10)).await;
    assert!(
        city.store
            .alarms(now())
            .await
            .unwrap()
            .iter()
            .all(|alarm| alarm.gateway == "bad")
    );
}
