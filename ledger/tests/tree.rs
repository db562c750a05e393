//! The tree against published vectors, against itself by other ways, and against alteration.

#![allow(clippy::unwrap_used)] // in helpers too: one that fails is a test that fails

use std::collections::BTreeMap;

use ledger::tiles::{self, TileError, TileId};
use ledger::{Checkpoint, Frontier, Hash, ProofError, leaf_hash, verify_consistency, verify_inclusion};
use proptest::prelude::*;

mod common;
use common::{ORIGIN, Store, checkpoint_of, frontier_of, record};

/// Leaves and roots of the reference implementation of Certificate Transparency (RFC 6962).
const CT_LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const CT_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
/// The reference path from leaf 0 in the tree of eight.
const CT_PATH_0_OF_8: [&str; 3] = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
];

fn hex(text: &str) -> Hash {
    let bytes: Vec<u8> = (0..32)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    Hash::new(bytes.try_into().unwrap())
}

fn ct_leaves() -> Vec<Hash> {
    CT_LEAVES.iter().map(|leaf| leaf_hash(leaf)).collect()
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), hex(CT_ROOTS[0]));
    for (leaf, root) in ct_leaves().into_iter().zip(&CT_ROOTS[1..]) {
        frontier.push(leaf);
        assert_eq!(frontier.root(), hex(root), "size {}", frontier.size());
    }
}

#[test]
fn proofs_are_those_of_certificate_transparency() {
    let written = tiles::append(0, &ct_leaves(), &Store::default().0).unwrap();
    let store: BTreeMap<_, _> = written.into_iter().collect();
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 8,
        root: hex(CT_ROOTS[8]),
    };
    let path = tiles::inclusion_proof(0, &checkpoint, &store).unwrap();
    assert_eq!(path, CT_PATH_0_OF_8.map(hex));
}

#[test]
fn a_frontier_survives_its_bytes_and_its_json() {
    for size in [0, 1, 2, 3, 255, 256, 257, 1_000] {
        let frontier = frontier_of(size);
        assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).unwrap(), frontier);
        let json = serde_json::to_string(&frontier).unwrap();
        assert_eq!(serde_json::from_str::<Frontier>(&json).unwrap(), frontier);
    }
}

#[test]
fn a_frontier_with_the_wrong_number_of_peaks_is_refused() {
    let bytes = frontier_of(7).to_bytes();
    for cut in [0, 7, 8, bytes.len() - 32, bytes.len() - 1] {
        assert!(Frontier::from_bytes(&bytes[..cut]).is_err(), "{cut}");
    }
    assert!(Frontier::from_bytes(&[bytes.as_slice(), &[0; 32]].concat()).is_err());
    assert!(serde_json::from_str::<Frontier>(r#"{"size":1,"peaks":[]}"#).is_err());
    assert!(Frontier::from_peaks(u64::MAX, vec![leaf_hash(b""); 64]).is_err());
}

#[test]
fn every_record_of_every_small_log_is_proven_and_no_other() {
    let store = Store::of(300);
    for size in (1..20).chain([255, 256, 257, 300]) {
        let checkpoint = checkpoint_of(size);
        for index in 0..size {
            let path = tiles::inclusion_proof(index, &checkpoint, &store.0).unwrap();
            let leaf = leaf_hash(&record(index));
            verify_inclusion(leaf, index, &path, &checkpoint).unwrap();

            let other_leaf = leaf_hash(&record(index + 1));
            verify_inclusion(other_leaf, index, &path, &checkpoint).unwrap_err();
            for other in [index + 1, index.wrapping_sub(1), index ^ 2] {
                verify_inclusion(leaf, other, &path, &checkpoint).unwrap_err();
            }
            for place in 0..path.len() {
                let mut altered = path.clone();
                altered[place] = leaf_hash(b"another");
                verify_inclusion(leaf, index, &altered, &checkpoint).unwrap_err();
            }
            verify_inclusion(leaf, index, &[&path[..], &[leaf]].concat(), &checkpoint).unwrap_err();
            if let Some((_, shorter)) = path.split_last() {
                verify_inclusion(leaf, index, shorter, &checkpoint).unwrap_err();
            }
        }
    }
}

#[test]
fn a_proof_holds_for_its_own_size_and_root_only() {
    let store = Store::of(300);
    for (index, size) in [(0, 7), (5, 7), (6, 7), (255, 257), (256, 300)] {
        let checkpoint = checkpoint_of(size);
        let path = tiles::inclusion_proof(index, &checkpoint, &store.0).unwrap();
        let leaf = leaf_hash(&record(index));
        for other in [size - 1, size + 1] {
            verify_inclusion(leaf, index, &path, &checkpoint_of(other)).unwrap_err();
        }
    }
}

#[test]
fn every_growth_of_a_small_log_is_proven_and_a_rewritten_history_is_not() {
    let store = Store::of(300);
    let rewritten: Vec<_> = (0..300).map(|index| leaf_hash(&record(index + 1))).collect();
    for (old_size, new_size) in [
        (0, 0),
        (0, 9),
        (1, 2),
        (6, 7),
        (7, 8),
        (8, 8),
        (255, 300),
        (256, 257),
        (299, 300),
    ] {
        let (old, new) = (checkpoint_of(old_size), checkpoint_of(new_size));
        let path = tiles::consistency_proof(old_size, &new, &store.0).unwrap();
        verify_consistency(&old, &new, &path).unwrap();
        for place in 0..path.len() {
            let mut altered = path.clone();
            altered[place] = leaf_hash(b"another");
            verify_consistency(&old, &new, &altered).unwrap_err();
        }
        if old_size > 0 {
            let mut forked = Frontier::new();
            (0..old_size).zip(&rewritten).for_each(|(_, &leaf)| forked.push(leaf));
            verify_consistency(&forked.checkpoint(ORIGIN), &new, &path).unwrap_err();
        }
    }
}

#[test]
fn checkpoints_of_two_logs_are_never_consistent() {
    let old = checkpoint_of(3);
    let new = Checkpoint {
        origin: "parkir.example.id/thamrin-01".to_owned(),
        ..checkpoint_of(3)
    };
    assert!(matches!(
        verify_consistency(&old, &new, &[]),
        Err(ProofError::Origins { .. })
    ));
}

#[test]
fn a_log_that_shrinks_is_never_consistent() {
    verify_consistency(&checkpoint_of(5), &checkpoint_of(4), &[]).unwrap_err();
    verify_consistency(&checkpoint_of(5), &checkpoint_of(0), &[]).unwrap_err();
    assert!(tiles::consistency_proof(5, &checkpoint_of(4), &Store::of(5).0).is_err());
}

#[test]
fn hostile_sizes_and_paths_are_refused_without_panic() {
    let leaf = leaf_hash(b"x");
    for size in [0, 1, 2, u64::MAX - 1, u64::MAX] {
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(),
            size,
            root: leaf_hash(b"root"),
        };
        for index in [0, 1, size / 2, size.saturating_sub(1), size, u64::MAX] {
            for length in [0, 1, 63, 64, 65, 10_000] {
                let path = vec![leaf; length];
                verify_inclusion(leaf, index, &path, &checkpoint).unwrap_err();
                let old = Checkpoint {
                    size: index,
                    ..checkpoint_of(1)
                };
                verify_consistency(&old, &checkpoint, &path).unwrap_err();
            }
            assert!(tiles::inclusion_proof(index, &checkpoint, &Store::of(1).0).is_err());
            assert!(tiles::needed_for_consistency(index, size).is_err() || index <= size);
        }
    }
    assert!(tiles::append(u64::MAX, &[leaf], &Store::default().0).is_err());
}

#[test]
fn a_damaged_tile_gives_an_error_instead_of_a_false_proof() {
    let checkpoint = checkpoint_of(600);
    let intact = Store::of(600);
    for tile in intact.0.keys() {
        let mut damaged = Store(intact.0.clone());
        damaged.0.get_mut(tile).unwrap()[40] ^= 1;
        // Index 0 is in the damaged half of every tile's tree or beside it.
        let index = if tile.level == 0 { tile.n * 256 } else { 0 };
        let result = tiles::inclusion_proof(index, &checkpoint, &damaged.0);
        assert!(matches!(result, Err(TileError::Damaged { .. })), "{tile:?}: {result:?}");
    }
}

#[test]
fn a_tile_that_is_missing_or_cut_is_named() {
    let tile = TileId { level: 0, n: 1 };
    let mut store = Store::of(300);
    store.0.get_mut(&tile).unwrap().truncate(33);
    let result = tiles::root(300, &store.0);
    assert!(
        matches!(result, Err(TileError::Length { tile: t, found: 33, .. }) if t == tile),
        "{result:?}"
    );
    store.0.remove(&tile);
    let result = tiles::root(300, &store.0);
    assert!(matches!(result, Err(TileError::Missing(t)) if t == tile), "{result:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tiles_written_in_any_batches_give_the_frontier_and_root_of_the_records(
        batches in prop::collection::vec(0_u64..400, 1..12),
    ) {
        let mut store = Store::default();
        let mut size = 0;
        for batch in batches {
            let edge = store.only(&tiles::needed_for_edge(size).unwrap());
            let leaves: Vec<_> = (size..size + batch).map(|index| leaf_hash(&record(index))).collect();
            store.0.extend(tiles::append(size, &leaves, &edge).unwrap());
            size += batch;
            let frontier = frontier_of(size);
            prop_assert_eq!(tiles::frontier(size, &store.0).unwrap(), frontier.clone());
            prop_assert_eq!(tiles::root(size, &store.0).unwrap(), frontier.root());
        }
        // The layout is that of tlog-tiles: the same tiles as written at once, and as the reference lists them.
        prop_assert_eq!(&store.0, &Store::of(size).0);
        let listed: Vec<_> = tlog_tiles::Tile::new_tiles(8, 0, size)
            .iter()
            .map(|tile| (tile.level(), tile.level_index(), tile.width() as usize))
            .collect();
        let kept: Vec<_> = store.0.iter().map(|(tile, bytes)| (tile.level, tile.n, bytes.len() / 32)).collect();
        prop_assert_eq!(kept, listed);
    }

    #[test]
    fn proofs_from_just_the_tiles_needed_hold(size in 1_u64..70_000, a in any::<u64>(), b in any::<u64>()) {
        let (index, old_size) = (a % size, b % (size + 1));
        let store = big_store();
        let new = Checkpoint {
            origin: ORIGIN.to_owned(),
            size,
            root: tiles::root(size, &store.0).unwrap(),
        };
        let needed = store.only(&tiles::needed_for_inclusion(index, size).unwrap());
        let path = tiles::inclusion_proof(index, &new, &needed).unwrap();
        verify_inclusion(leaf_hash(&record(index)), index, &path, &new).unwrap();

        let needed = store.only(&tiles::needed_for_consistency(old_size, size).unwrap());
        let path = tiles::consistency_proof(old_size, &new, &needed).unwrap();
        let old = Checkpoint {
            origin: ORIGIN.to_owned(),
            size: old_size,
            root: tiles::root(old_size, &store.0).unwrap(),
        };
        verify_consistency(&old, &new, &path).unwrap();
    }
}

/// A log of 70,000 records: three levels of tiles.
fn big_store() -> &'static Store {
    static STORE: std::sync::LazyLock<Store> = std::sync::LazyLock::new(|| Store::of(70_000));
    &STORE
}
