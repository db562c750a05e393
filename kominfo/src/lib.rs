//! The city's receiving end: takes in what the boxes at the roadside count, proves it, stores it, shows it.
//!
//! `ingest` verifies, commits and only then answers with a receipt. `store` is PostgreSQL or SQLite by one code path.
//! `derive` turns records into figures. `serve` joins them to the broker (`mqtt`, over `dialer`'s TLS) and to a web page
//! and interface (`page`, `api`). `audit` recomputes everything from the leaves.

pub mod clock;
pub mod derive;
pub mod dialer;
pub mod ingest;
pub mod mqtt;
pub mod serve;
pub mod store;
