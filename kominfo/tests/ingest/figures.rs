//! Figures that come of records, and an audit that computes them anew.

use kominfo::audit;
use kominfo::store::SessionFilter;

use crate::support::{City, Database, Street, change, session};

crate::on_both_databases! {
    a_record_that_cannot_be_used_is_kept_and_proved_and_counted_nowhere;
    the_same_log_in_any_batches_gives_the_same_figures;
    a_day_of_more_sessions_than_are_read_at_once_is_whole;
    a_rebuild_gives_the_same_figures;
    an_audit_names_what_was_changed_behind_its_back;
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

async fn a_day_of_more_sessions_than_are_read_at_once_is_whole(database: Database) {
    const RECORDS: usize = 3_400;
    let city = City::open(&database).await;
    let street = Street::new("g", RECORDS);
    city.enrol(&street).await;
    for begin in (0..RECORDS).step_by(400) {
        city.commit(&street, &street.batch(begin..RECORDS.min(begin + 400)))
            .await;
    }
    let day = "2026-01-05".parse().unwrap();
    let mut names: Vec<String> = Vec::new();
    for session in city.store.sessions_of_day(&street.gateway, day, None).await.unwrap() {
        names.push(session.session.to_string());
    }
    // Each minute begins two sessions or three: a query may end among them.
    let all = city.verify().await[0].sessions;
    assert!(all > 2_000, "more than two queries: {all}");
    assert_eq!(names.len(), all);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "none twice");
    let mut by_zone = 0;
    for zone in ["z0", "z1"] {
        let zone = zone.parse().unwrap();
        let sessions = city.store.sessions_of_day(&street.gateway, day, Some(&zone)).await;
        by_zone += sessions.unwrap().len();
    }
    assert_eq!(by_zone, all);
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
