//! The signed, append-only log of a box's records, and what travels and lasts of it.
//!
//! Every record is a leaf of an RFC 6962 Merkle tree. The box signs the tree at a size ([`Checkpoint`], [`LogSigner`]),
//! the city recomputes it from its own copy and, once stored, cosigns it ([`Cosigner`]); that cosignature is the
//! [`Receipt`] on which the box may forget. A [`Proof`] shows one record to be in a tree that both signed for, from files
//! and public keys alone. The formats are C2SP's: signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof, tlog-tiles.
//!
//! Beside it, [`TextSigner`] signs what the city tells its boxes to do.
//!
//! This crate is pure: no files, sockets, clocks, or randomness other than the caller's. It reads bytes of strangers, and
//! does so without panicking, within stated limits.
//!
//! Read in this order: [`Frontier`] (a growing tree), [`Checkpoint`], the keys, [`Receipt`], [`batch`] (records on the
//! wire), [`tiles`] (a tree from which proofs are made), [`Proof`].

pub mod batch;
mod checkpoint;
mod cosigner;
pub mod dictionary;
mod frontier;
mod hash;
mod key;
mod log_key;
mod note;
mod proof;
mod receipt;
pub mod tiles;
mod varint;

pub use checkpoint::{Checkpoint, NoteError, SignatureError, SignedCheckpoint};
pub use cosigner::{Cosigner, CosignerVerifier};
pub use frontier::{Frontier, FrontierError};
pub use hash::{Hash, HashError, leaf_hash};
pub use key::KeyError;
pub use log_key::{LogSigner, LogVerifier};
pub use note::{TextError, TextSigner, TextVerifier};
pub use proof::{Proof, ProofError, verify_consistency, verify_inclusion};
pub use receipt::{Receipt, ReceiptError};

/// Most records that a log can have: 2^53, which every JSON reader can count.
pub const LOG_SIZE_MAX: u64 = 1 << 53;
