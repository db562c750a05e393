//! The shipped dictionary is the one stated, and the command in the repository makes it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use ledger::dictionary::CURRENT;
use sha2::{Digest, Sha256};

#[path = "../examples/samples/mod.rs"]
mod samples;
#[path = "../examples/samples/training.rs"]
mod training;

#[test]
fn the_shipped_dictionary_is_the_one_stated() {
    let sha256 = format!("{:x}", Sha256::digest(CURRENT.bytes));
    assert_eq!(sha256, CURRENT.sha256);
}

#[test]
fn training_anew_gives_the_shipped_dictionary() {
    assert!(
        training::train().unwrap() == CURRENT.bytes,
        "`cargo run -p ledger --example train-dictionary` differs"
    );
}
