//! Makes the dictionary anew and writes it to its place: `cargo run -p ledger --example train-dictionary`.
//!
//! The result is the same on every run. It prints the SHA-256 that belongs into `src/dictionary.rs`.

use std::path::Path;

use sha2::{Digest, Sha256};

mod samples;
#[path = "samples/training.rs"]
mod training;

fn main() -> samples::Outcome<()> {
    let dictionary = training::train()?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionary/v1.zdict");
    std::fs::write(&path, &dictionary)?;
    let sha256 = format!("{:x}", Sha256::digest(&dictionary));
    println!("{} bytes, SHA-256 {sha256}", dictionary.len());
    Ok(())
}
