//! The city's receiving end: takes in what the boxes at the roadside count, proves it, stores it, shows it.
//!
//! [`ingest`] verifies, commits and only then answers with a receipt. [`store`] is PostgreSQL or `SQLite` by one code path.
//! [`derive`] turns records into figures. [`serve`] joins them to the broker ([`mqtt`], over the TLS of [`dialer`]) and
//! to a page and an interface for programs ([`web`]). [`audit`] recomputes everything from the records. [`pki`] makes the
//! certificates by which the broker knows who speaks. [`live`] brings what a camera sees to whoever watches.

pub mod audit;
pub mod clock;
pub mod commands;
pub mod derive;
pub mod dialer;
pub mod files;
pub mod ingest;
pub mod live;
pub mod moment;
pub mod mqtt;
pub mod pki;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod web;
