//! What the city does with batches: both databases, all refusals, no order of events in which something is lost, doubled
//! or believed that should not be.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod batches;
mod figures;
mod instances;
mod refusals;
mod states;
#[path = "../support/mod.rs"]
mod support;

use kominfo::ingest::Outcome;
use kominfo::store::AlarmCode;
use support::{City, Street};

/// Why a batch was refused.
fn refused(outcome: &Outcome) -> AlarmCode {
    match outcome {
        Outcome::Refused { reason, .. } => *reason,
        other => panic!("{other:?}"),
    }
}

/// Records of a street that the city has.
async fn size(city: &City, street: &Street) -> u64 {
    city.store.log_size(&street.gateway).await.unwrap().unwrap()
}
