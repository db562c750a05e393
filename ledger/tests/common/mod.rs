//! What several tests need: repeatable randomness, a log with its keys, tiles in memory.

#![allow(dead_code)] // each test file uses its part
#![allow(clippy::unwrap_used)] // a helper that fails is a test that fails

use std::collections::BTreeMap;

use ledger::tiles::{self, TileId};
use ledger::{Checkpoint, Cosigner, Frontier, LogSigner, SignedCheckpoint, leaf_hash};

/// Counts up: repeatable, and good enough to make keys that only tests trust.
pub struct CountingRng(pub u64);

impl rand_core::RngCore for CountingRng {
    fn next_u32(&mut self) -> u32 {
        u32::try_from(self.next_u64() >> 32).unwrap()
    }

    fn next_u64(&mut self) -> u64 {
        self.0 += 1;
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand_core::impls::fill_bytes_via_next(self, bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for CountingRng {}

pub const ORIGIN: &str = "parkir.example.id/sudirman-01";
pub const CITY: &str = "kominfo.parkir.example.id";

pub fn signer() -> LogSigner {
    LogSigner::generate(ORIGIN, &mut CountingRng(1)).unwrap()
}

pub fn cosigner(name: &str) -> Cosigner {
    Cosigner::generate(name, &mut CountingRng(name.len() as u64 + 100)).unwrap()
}

pub fn record(index: u64) -> Vec<u8> {
    format!(
        "{{\"kind\":\"session\",\"session\":\"s-{index}\",\"fee\":{{\"point\":{}}}}}",
        1_000 + index
    )
    .into_bytes()
}

pub fn frontier_of(size: u64) -> Frontier {
    let mut frontier = Frontier::new();
    (0..size).for_each(|index| frontier.push(leaf_hash(&record(index))));
    frontier
}

pub fn checkpoint_of(size: u64) -> Checkpoint {
    frontier_of(size).checkpoint(ORIGIN)
}

pub fn signed(checkpoint: Checkpoint) -> SignedCheckpoint {
    let signature = signer().sign(&checkpoint);
    let mut signed = SignedCheckpoint::new(checkpoint, &signature, &signer().verifier()).unwrap();
    let receipt = cosigner(CITY).cosign(signed.checkpoint(), 1_767_600_000);
    signed.add_receipt(&receipt, &cosigner(CITY).verifier()).unwrap();
    signed
}

/// Tiles as a store holds them: the newest bytes under each name.
#[derive(Default)]
pub struct Store(pub BTreeMap<TileId, Vec<u8>>);

impl Store {
    pub fn append(&mut self, old_size: u64, count: u64) {
        let leaves: Vec<_> = (old_size..old_size + count)
            .map(|index| leaf_hash(&record(index)))
            .collect();
        let written = tiles::append(old_size, &leaves, &self.0).unwrap();
        self.0.extend(written);
    }

    pub fn of(size: u64) -> Self {
        let mut store = Self::default();
        store.append(0, size);
        store
    }

    /// Only the tiles named: what a caller would have fetched.
    pub fn only(&self, needed: &[TileId]) -> BTreeMap<TileId, Vec<u8>> {
        needed.iter().map(|tile| (*tile, self.0[tile].clone())).collect()
    }
}
