//! What the city does with batches: both databases, all refusals, no order of events in which something is lost, doubled
//! or believed that should not be.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use kominfo::ingest::{Ingest, Outcome};
use kominfo::store::{AlarmCode, REFUSALS_KEPT_A_BOX, SessionFilter};
use kominfo::{audit, store};
use ledger::batch::{self, Batch};
use ledger::{LogSigner, leaf_hash};
use rand_core::OsRng;
use support::{City, Database, Street, change, cosigner, now, session};

on_both_databases! {
    a_batch_is_committed_and_its_receipt_is_the_citys_word_for_exactly_that_tree;
    a_batch_told_again_is_counted_once_and_answered_with_the_newest_receipt;
    a_batch_that_overlaps_what_is_stored_adds_only_the_rest;
    a_batch_beyond_the_end_waits_for_what_is_missing;
    a_crash_between_commit_and_receipt_is_healed_by_telling_again;
    a_crash_before_the_commit_leaves_nothing;
    every_flipped_byte_is_refused_and_the_log_goes_on;
    a_foreign_key_is_refused;
    a_truncated_batch_is_refused;
    an_altered_replay_is_refused;
    a_second_history_is_a_fork_until_a_person_clears_it;
    an_unknown_box_is_refused_and_kept_bounded;
    a_simulated_clock_is_refused_unless_it_is_asked_for;
    a_record_that_cannot_be_used_is_kept_and_proved_and_counted_nowhere;
    a_box_that_is_refused_does_not_hold_up_another;
    two_instances_share_a_box_without_losing_or_doubling;
    the_same_log_in_any_batches_gives_the_same_figures;
    a_rebuild_gives_the_same_figures;
    an_audit_names_what_was_changed_behind_its_back;
    instances_that_start_at_once_make_the_tables_once;
    a_state_is_the_newest_value_of_each_key_and_a_full_one_takes_the_place_of_all;
    a_state_that_is_none_is_refused;
}

fn refused(outcome: &Outcome) -> AlarmCode {
    match outcome {
        Outcome::Refused { reason, .. } => *reason,
        other => panic!("{other:?}"),
    }
}

async fn size(city: &City, street: &Street) -> u64 {
    city.store.log_size(&street.gateway).await.unwrap().unwrap()
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

async fn a_record_that_cannot_be_used_is_kept_and_proved_and_counted_nowhere(database: Database) {
    let city = City::open(&database).await;
    let mut street = Street::new("g", 4);
    city.enrol(&street).await;
    street.records[1] = b"\xff\x00 no JSON".to_vec();
    street.records[2] = String::from_utf8(session("g", 2))
        .unwrap()
        .replace("\"low\":1000", "\"low\":-1")
        .into_bytes();
    street.records[3] = br#"{"kind":"enclosure_opened","x":[1]}"#.to_vec();
    city.commit(&street, &street.batch(0..4)).await;
    let audit = &city.verify().await[0];
    assert_eq!(
        (audit.size, audit.sessions, audit.events, audit.undecodable),
        (4, 1, 3, 2)
    );
    assert_eq!(city.alarm_codes().await, ["undecodable_record"]);
    let kinds: Vec<_> = city
        .store
        .event_counts(&street.gateway)
        .await
        .unwrap()
        .into_iter()
        .map(|kind| (kind.kind, kind.count))
        .collect();
    assert_eq!(
        kinds,
        [("enclosure_opened".to_owned(), 1), ("undecodable".to_owned(), 2)]
    );
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

async fn two_instances_share_a_box_without_losing_or_doubling(database: Database) {
    let key = cosigner();
    let street = std::sync::Arc::new(Street::new("g", 1_200));
    let first = City::with_key(&database, key.clone()).await;
    first.enrol(&street).await;
    let mut tasks = tokio::task::JoinSet::new();
    for instance in 0..4 {
        let city = City::with_key(&database, key.clone()).await;
        let street = std::sync::Arc::clone(&street);
        tasks.spawn(async move {
            let mut committed = 0;
            // Every batch goes to two instances, in the order of the log, as after a resend.
            for n in (0..30).filter(|n| n % 4 == instance || (n + 1) % 4 == instance) {
                let payload = street.batch(n * 40..(n + 1) * 40);
                loop {
                    match city.take(&street, &payload).await {
                        Outcome::Committed(_) => committed += 1,
                        Outcome::Repeated(_) => {}
                        Outcome::Gap { .. } => {
                            tokio::task::yield_now().await;
                            continue;
                        }
                        Outcome::Refused { reason, detail } => panic!("{reason:?}: {detail}"),
                    }
                    break;
                }
            }
            committed
        });
    }
    let committed: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(committed, 30);
    assert_eq!(first.verify().await[0].root, street.frontier(1_200).root());
}

async fn the_same_log_in_any_batches_gives_the_same_figures(database: Database) {
    let city = City::open(&database).await;
    let whole = Street::new("g", 500);
    city.enrol(&whole).await;
    city.commit(&whole, &whole.batch(0..500)).await;
    let audit = city.verify().await;
    let all = SessionFilter {
        limit: 10_000,
        ..SessionFilter::default()
    };
    let sessions = city.store.sessions(&whole.gateway, &all).await.unwrap();

    let other_database = Database::sqlite();
    let other = City::open(&other_database).await;
    other.enrol(&whole).await;
    let mut start = 0;
    for step in (1..).cycle() {
        let end = (start + step % 37 + 1).min(500);
        other.commit(&whole, &whole.batch(start..end)).await;
        start = end;
        if end == 500 {
            break;
        }
    }
    assert_eq!(other.verify().await, audit);
    assert_eq!(other.store.sessions(&whole.gateway, &all).await.unwrap(), sessions);
    assert_eq!(sessions.len(), audit[0].sessions);
}

async fn a_rebuild_gives_the_same_figures(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 400);
    city.enrol(&street).await;
    city.commit(&street, &street.batch(0..400)).await;
    let before = city.verify().await;
    change(&database, "DELETE FROM sessions WHERE session LIKE '%5'").await;
    change(&database, "UPDATE occupancy SET free_s = free_s + 1").await;
    assert!(audit::rebuild(&city.store, &street.gateway).await.unwrap().is_some());
    assert_eq!(city.verify().await, before);
}

async fn an_audit_names_what_was_changed_behind_its_back(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 300);
    city.enrol(&street).await;
    city.commit(&street, &street.batch(0..300)).await;
    city.verify().await;
    let audit = async || {
        let mut snapshot = city.store.snapshot().await.unwrap();
        let log = snapshot.logs(None).await.unwrap().remove(0);
        audit::verify(&mut snapshot, &log, std::slice::from_ref(&city.cosigner))
            .await
            .unwrap_err()
            .to_string()
    };
    for (change_to, change_back, named) in [
        (
            "UPDATE sessions SET fee_point = fee_point + 1 WHERE session = 'g-a-7'",
            "UPDATE sessions SET fee_point = fee_point - 1 WHERE session = 'g-a-7'",
            "session g-a-7",
        ),
        (
            "UPDATE tiles SET level = 9 WHERE level = 1",
            "UPDATE tiles SET level = 1 WHERE level = 9",
            "tile 0 of level 1",
        ),
        (
            "UPDATE leaves SET idx = 900 WHERE idx = 17",
            "UPDATE leaves SET idx = 17 WHERE idx = 900",
            "leaf 17 is missing",
        ),
        (
            "UPDATE logs SET size = 299",
            "UPDATE logs SET size = 300",
            "300 leaves are stored",
        ),
        (
            "UPDATE events SET kind = 'x' WHERE idx = 10",
            "UPDATE events SET kind = 'started' WHERE idx = 10",
            "event 10",
        ),
        (
            "UPDATE logs SET checkpoint = REPLACE(checkpoint, '300', '299')",
            "UPDATE logs SET checkpoint = REPLACE(checkpoint, '299', '300')",
            "checkpoint says",
        ),
    ] {
        change(&database, change_to).await;
        let found = audit().await;
        assert!(found.starts_with("g: ") && found.contains(named), "{named}: {found}");
        change(&database, change_back).await;
    }
    city.verify().await;
    let altered = if database.address.starts_with("postgres") {
        "'\\x7b7d'"
    } else {
        "X'7b7d'"
    };
    change(
        &database,
        &format!("UPDATE leaves SET record = {altered} WHERE idx = 40"),
    )
    .await;
    assert!(audit().await.contains("tile 0 of level 0"));
}

async fn instances_that_start_at_once_make_the_tables_once(database: Database) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let address = database.address.clone();
        tasks.spawn(async move { store::Store::open(&address).await.map(drop) });
    }
    for opened in tasks.join_all().await {
        opened.unwrap();
    }
    assert!(database.open().await.boxes().await.unwrap().is_empty());
    change(&database, "UPDATE schema_version SET version = 99").await;
    let newer = store::Store::open(&database.address).await.unwrap_err();
    assert!(matches!(newer, store::StoreError::Newer { found: 99, .. }), "{newer}");
}

async fn a_state_is_the_newest_value_of_each_key_and_a_full_one_takes_the_place_of_all(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 1);
    city.enrol(&street).await;
    let put = async |json: &str, seconds: i64| {
        let payload = zstd::encode_all(json.as_bytes(), 1).unwrap();
        let at = now().plus_seconds(seconds);
        assert_eq!(
            city.ingest.state(&street.gateway, "t", &payload, at).await.unwrap(),
            None
        );
        let states = city.store.states().await.unwrap();
        states
            .into_iter()
            .map(|state| format!("{}={}", state.name, state.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        put(r#"{"full":true,"box":1,"space/a":1,"space/b":1}"#, 0).await,
        ["box=1", "space/a=1", "space/b=1"]
    );
    assert_eq!(
        put(r#"{"space/a":2,"odd":1,"space/../x":1}"#, 100).await,
        ["box=1", "space/a=2", "space/b=1"]
    );
    // A full state in two parts, of which the second was taken in first.
    assert_eq!(put(r#"{"space/c":3}"#, 200).await.len(), 4);
    assert_eq!(put(r#"{"full":true,"box":3}"#, 201).await, ["box=3", "space/c=3"]);
    assert_eq!(
        city.ingest
            .status(&street.gateway, "t", br#"{"online":true}"#, now())
            .await
            .unwrap(),
        None
    );
    assert!(city.store.links().await.unwrap()[0].online);
}

async fn a_state_that_is_none_is_refused(database: Database) {
    let city = City::open(&database).await;
    let street = Street::new("g", 1);
    city.enrol(&street).await;
    let bomb = zstd::encode_all(vec![b' '; 8 << 20].as_slice(), 1).unwrap();
    let list = zstd::encode_all(b"[]".as_slice(), 1).unwrap();
    let many: Vec<_> = (0..10_001).map(|n| format!("\"space/s{n}\":1")).collect();
    let many = zstd::encode_all(format!("{{{}}}", many.join(",")).as_bytes(), 1).unwrap();
    for payload in [b"no zstd".to_vec(), Vec::new(), bomb, list, many] {
        let refused = city.ingest.state(&street.gateway, "t", &payload, now()).await.unwrap();
        assert_eq!(refused, Some(AlarmCode::Malformed));
    }
    assert!(city.store.states().await.unwrap().is_empty());
    for payload in [b"no JSON".as_slice(), b"{}", b"{\"online\":1}", &[b' '; 10_000]] {
        let refused = city.ingest.status(&street.gateway, "t", payload, now()).await.unwrap();
        assert_eq!(refused, Some(AlarmCode::Malformed));
    }
}

#[test]
fn a_street_signs_what_it_says() {
    let street = Street::new("g", 3);
    let Batch { records, .. } = batch::decode(&street.batch(1..3), &batch::Limits::default()).unwrap();
    assert_eq!(leaf_hash(&records[0]), leaf_hash(&street.records[1]));
}
