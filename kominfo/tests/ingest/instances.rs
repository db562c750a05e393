//! Several instances on one database.

use kominfo::ingest::Outcome;
use kominfo::store;

use crate::support::{City, Database, Street, change, cosigner};

crate::on_both_databases! {
    two_instances_share_a_box_without_losing_or_doubling;
    instances_that_start_at_once_make_the_tables_once;
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
