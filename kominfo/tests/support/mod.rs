//! Boxes that sign, databases of both kinds, and what else the tests share.
#![allow(dead_code)] // each test program uses another part of it
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on fails

pub mod broker;
pub mod postgres;

use std::path::Path;

use kominfo::ingest::{Ingest, Outcome};
use kominfo::store::Store;
use ledger::batch::{self, Batch};
use ledger::{Cosigner, CosignerVerifier, Frontier, LogSigner, Receipt, leaf_hash};
use parking::{GatewayId, Timestamp};
use rand_core::OsRng;

/// A database for one test; gone with this value.
pub struct Database {
    pub address: String,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            address: Store::sqlite_address(&folder.path().join("with space & ?.db")),
            _folder: Some(folder),
        }
    }

    pub async fn postgres() -> Self {
        Self {
            address: postgres::new_database().await,
            _folder: None,
        }
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.address).await.unwrap()
    }
}

/// Runs a test on both databases.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* $name:ident;)+) => {
        mod sqlite {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::support::Database::sqlite()).await })+
        }
        mod postgres {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::support::Database::postgres().await).await })+
        }
    };
}

pub fn now() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

pub fn cosigner() -> Cosigner {
    Cosigner::generate("kominfo.parkir.example.id", &mut OsRng).unwrap()
}

/// The city over a database, with a key of its own.
pub struct City {
    pub ingest: Ingest,
    pub store: Store,
    pub cosigner: CosignerVerifier,
}

impl City {
    pub async fn open(database: &Database) -> Self {
        Self::with_key(database, cosigner()).await
    }

    pub async fn with_key(database: &Database, cosigner: Cosigner) -> Self {
        let store = database.open().await;
        let verifier = cosigner.verifier();
        store.put_cosigner(&verifier.to_vkey(), now()).await.unwrap();
        Self {
            ingest: Ingest::new(store.clone(), cosigner, false),
            store,
            cosigner: verifier,
        }
    }

    pub async fn enrol(&self, street: &Street) {
        let added = self
            .store
            .enrol(&street.gateway, &street.signer.verifier(), now())
            .await
            .unwrap();
        assert!(added);
    }

    pub async fn take(&self, street: &Street, payload: &[u8]) -> Outcome {
        self.ingest
            .batch(&street.gateway, &street.topic(), payload, now())
            .await
            .unwrap()
    }

    pub async fn commit(&self, street: &Street, payload: &[u8]) -> Receipt {
        match self.take(street, payload).await {
            Outcome::Committed(receipt) => receipt,
            other => panic!("{other:?}"),
        }
    }

    /// Everything stored of every box is what its records say.
    pub async fn verify(&self) -> Vec<kominfo::audit::Audit> {
        let mut snapshot = self.store.snapshot().await.unwrap();
        let mut audits = Vec::new();
        for log in snapshot.logs(None).await.unwrap() {
            audits.push(
                kominfo::audit::verify(&mut snapshot, &log, std::slice::from_ref(&self.cosigner))
                    .await
                    .unwrap(),
            );
        }
        audits
    }

    pub async fn alarm_codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> = self
            .store
            .alarms(now())
            .await
            .unwrap()
            .into_iter()
            .map(|alarm| alarm.code.as_str())
            .collect();
        codes.sort_unstable();
        codes
    }
}

/// A box with a key and records.
pub struct Street {
    pub gateway: GatewayId,
    pub signer: LogSigner,
    pub records: Vec<Vec<u8>>,
}

impl Street {
    pub fn new(id: &str, records: usize) -> Self {
        Self {
            gateway: GatewayId::new(id).unwrap(),
            signer: LogSigner::generate(&format!("parkir.example.id/{id}"), &mut OsRng).unwrap(),
            records: (0..records).map(|n| session(id, n)).collect(),
        }
    }

    pub fn topic(&self) -> String {
        format!("parkir/1/{}/ledger", self.gateway)
    }

    pub fn frontier(&self, size: usize) -> Frontier {
        let mut frontier = Frontier::new();
        for record in &self.records[..size] {
            frontier.push(leaf_hash(record));
        }
        frontier
    }

    /// The batch of these records, signed.
    pub fn batch(&self, indexes: std::ops::Range<usize>) -> Vec<u8> {
        self.batch_signed_by(&self.signer, indexes)
    }

    pub fn batch_signed_by(&self, signer: &LogSigner, indexes: std::ops::Range<usize>) -> Vec<u8> {
        let checkpoint = self.frontier(indexes.end).checkpoint(signer.verifier().name());
        let batch = Batch {
            first_index: indexes.start as u64,
            records: self.records[indexes].to_vec(),
            signature: signer.sign(&checkpoint),
        };
        batch::encode(&batch, 3).unwrap()
    }
}

const STAMP: &str = r#""at":"2026-01-05T01:00:00Z","boot":1,"mono_s":5,"clock":"synced""#;

/// A session record; every fifth is a revision of the one before it, every seventh an occupancy, every eleventh an event.
pub fn session(id: &str, n: usize) -> Vec<u8> {
    let minute = n % 60;
    let hour = (n / 60) % 24;
    if n % 7 == 6 {
        return format!(
            r#"{{"kind":"occupancy","zone":"z{}","from":"2026-01-05T{hour:02}:{:02}:00Z","interval_s":900,"revision":{},"spaces":4,"occupied_s":1000,"free_s":2000,"unknown_s":600,"closed_s":0,"arrivals":1,"departures":1,"coverage":8333,{STAMP}}}"#,
            n % 2,
            minute / 15 * 15,
            1 + n,
        )
        .into_bytes();
    }
    if n % 11 == 10 {
        return format!(r#"{{"kind":"started","version":"0.1.{n}",{STAMP}}}"#).into_bytes();
    }
    let (name, revision) = if n % 5 == 4 { (n - 1, 2) } else { (n, 1) };
    format!(
        r#"{{"kind":"session","session":"{id}-a-{name}","revision":{revision},"zone":"z{}","space":"s{}","class":"car","basis":"bay","status":"parked","start":"2026-01-05T{hour:02}:{minute:02}:00Z","end":"2026-01-06T00:00:00Z","day":"2026-01-05","tariff":"t","fee":{{"low":1000,"point":2000,"high":{}}},"cause":"{n}",{STAMP}}}"#,
        n % 2,
        n % 40,
        2000 + n,
    )
    .into_bytes()
}

/// So many quarters of an hour of zone `z0` from `begin` on, four spaces free all the time, by a clock of that quality.
pub fn quarters(begin: &str, count: i64, clock: &str) -> Vec<Vec<u8>> {
    let begin: Timestamp = begin.parse().unwrap();
    let quarter = |number: i64| {
        let (from, at) = (begin.plus_seconds(number * 900), begin.plus_seconds(number * 900 + 930));
        format!(
            r#"{{"kind":"occupancy","zone":"z0","from":"{from}","interval_s":900,"revision":1,"spaces":4,"occupied_s":0,"free_s":3600,"unknown_s":0,"closed_s":0,"arrivals":0,"departures":0,"coverage":10000,"at":"{at}","boot":1,"mono_s":5,"clock":"{clock}"}}"#
        )
        .into_bytes()
    };
    (0..count).map(quarter).collect()
}

pub fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Changes the database behind everybody's back.
pub async fn change(database: &Database, statement: &str) {
    use sqlx::ConnectOptions as _;
    let options: sqlx::any::AnyConnectOptions = database.address.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let changed = sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap();
    assert!(changed.rows_affected() > 0, "{statement}");
}
