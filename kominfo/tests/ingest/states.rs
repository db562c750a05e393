//! What boxes say of how they are.

use kominfo::store::AlarmCode;

use crate::support::{City, Database, Street, now};

crate::on_both_databases! {
    a_state_is_the_newest_value_of_each_key_and_a_full_one_takes_the_place_of_all;
    a_state_that_is_none_is_refused;
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
