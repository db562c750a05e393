//! A log's tree kept in tiles of 256 hashes, laid out as C2SP tlog-tiles says, for whoever must give proofs.
//!
//! Tile `n` of level 0 holds the leaf hashes `256 n` onwards; tile `n` of level `l` holds the roots of the full tiles
//! `256 n` onwards of level `l - 1`. The last tile of a level grows: it is stored under the same name, only longer, so a
//! reader may find more in it than the tree asked for had.
//!
//! Each operation says beforehand which tiles it needs (`needed_for_...`), so that they can be fetched together and
//! handed over as a map.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tlog_tiles::HashReader;

use crate::frontier::FrontierError;
use crate::{Checkpoint, Frontier, Hash, LOG_SIZE_MAX, proof};

/// Levels of the tree in a tile: 2^8 hashes.
const HEIGHT: u8 = 8;
/// Hashes in a full tile.
pub const WIDTH: usize = 1 << HEIGHT;

/// The name of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Level, 0 for leaf hashes.
    pub level: u8,
    /// Number within the level.
    pub n: u64,
}

/// Why tiles could not be read or do not make the tree.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    /// There is no such tile.
    #[error("tile {n} of level {level} is missing", level = .0.level, n = .0.n)]
    Missing(TileId),
    /// The store failed.
    #[error("cannot read tile {n} of level {level}: {cause}", level = tile.level, n = tile.n)]
    Store {
        /// The tile.
        tile: TileId,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tile's bytes are not whole hashes, or too few or too many of them.
    #[error("tile {n} of level {level} has {found} bytes: expected at least {expected}, 32 for each hash, 256 at most", level = tile.level, n = tile.n)]
    Length {
        /// The tile.
        tile: TileId,
        /// Bytes found.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// Sizes or indexes do not go together.
    #[error("{0}")]
    Range(String),
    /// The tiles give another tree than the checkpoint's.
    #[error("the tiles of \"{origin}\" do not give the tree of {size} records that was signed: a tile is damaged")]
    Damaged {
        /// The log.
        origin: String,
        /// The size.
        size: u64,
    },
}

/// Where tiles are kept.
pub trait TileReader {
    /// The bytes of a tile: 32 for each hash that it holds so far.
    fn read(&self, tile: TileId) -> Result<Vec<u8>, TileError>;
}

impl TileReader for BTreeMap<TileId, Vec<u8>> {
    fn read(&self, tile: TileId) -> Result<Vec<u8>, TileError> {
        self.get(&tile).cloned().ok_or(TileError::Missing(tile))
    }
}

/// The tiles that [`append`], [`frontier`] and [`root`] read for a log of `size` records: those at its right edge.
pub fn needed_for_edge(size: u64) -> Result<Vec<TileId>, TileError> {
    check_size(size)?;
    Ok(tiles_of(&edge_indexes(size)))
}

/// The tiles that [`inclusion_proof`] reads.
pub fn needed_for_inclusion(index: u64, size: u64) -> Result<Vec<TileId>, TileError> {
    Ok(tiles_of(&inclusion_indexes(index, size)?))
}

/// The tiles that [`consistency_proof`] reads.
pub fn needed_for_consistency(old_size: u64, new_size: u64) -> Result<Vec<TileId>, TileError> {
    Ok(tiles_of(&consistency_indexes(old_size, new_size)?))
}

/// The tiles to write, whole, when `leaves` are appended to a log of `old_size` records.
///
/// What is stored at the right edge is taken as it is: compare [`frontier`] of the old size with what was signed to find
/// damage.
pub fn append(old_size: u64, leaves: &[Hash], reader: &impl TileReader) -> Result<Vec<(TileId, Vec<u8>)>, TileError> {
    check_size(old_size.saturating_add(leaves.len() as u64))?;
    let mut written = Vec::new();
    let mut level = 0;
    let mut entries_before = old_size;
    let mut entries = leaves.to_vec();
    while !entries.is_empty() {
        let mut tile = TileId {
            level,
            n: entries_before >> HEIGHT,
        };
        let mut bytes = first_hashes(reader, tile, entries_before % WIDTH as u64)?;
        let mut above = Vec::new();
        for entry in entries {
            bytes.extend_from_slice(entry.as_bytes());
            if bytes.len() == WIDTH * Hash::LENGTH_BYTES {
                above.push(tlog_tiles::Tile::subtree_hash(&bytes).into());
                written.push((tile, std::mem::take(&mut bytes)));
                tile.n += 1;
            }
        }
        if !bytes.is_empty() {
            written.push((tile, bytes));
        }
        level += 1;
        entries_before >>= HEIGHT;
        entries = above;
    }
    Ok(written)
}

/// The frontier of the log at `size`.
pub fn frontier(size: u64, reader: &impl TileReader) -> Result<Frontier, TileError> {
    check_size(size)?;
    let indexes = edge_indexes(size);
    let peaks = Loaded::read(&indexes, reader)?.hashes(&indexes)?;
    Frontier::from_peaks(size, peaks).map_err(|error: FrontierError| TileError::Range(error.to_string()))
}

/// The root of the tree over the first `size` records.
pub fn root(size: u64, reader: &impl TileReader) -> Result<Hash, TileError> {
    Ok(frontier(size, reader)?.root())
}

/// The path that proves the record at `index` in the tree of `checkpoint`; checked, so that a damaged tile gives an
/// error and never a proof that fails at its reader's.
pub fn inclusion_proof(index: u64, checkpoint: &Checkpoint, reader: &impl TileReader) -> Result<Vec<Hash>, TileError> {
    let size = checkpoint.size;
    let indexes = inclusion_indexes(index, size)?;
    let tiles = Loaded::read(&indexes, reader)?;
    let path = tlog_tiles::prove_record(size, index, &tiles).map_err(|_| damaged(checkpoint))?;
    let path: Vec<Hash> = path.into_iter().map(Into::into).collect();
    let leaf = tiles.hash(tlog_tiles::stored_hash_index(0, index))?;
    proof::verify_inclusion(leaf, index, &path, checkpoint).map_err(|_| damaged(checkpoint))?;
    Ok(path)
}

/// The path that proves that the log of `new` continues the log of its first `old_size` records; checked like
/// [`inclusion_proof`]. Empty from size 0 and from the same size.
pub fn consistency_proof(old_size: u64, new: &Checkpoint, reader: &impl TileReader) -> Result<Vec<Hash>, TileError> {
    let indexes = consistency_indexes(old_size, new.size)?;
    let tiles = Loaded::read(&indexes, reader)?;
    let edge = edge_indexes(old_size);
    let old = Frontier::from_peaks(old_size, tiles.hashes(&edge)?).map_err(|_| damaged(new))?;
    let path: Vec<Hash> = if old_size == 0 {
        Vec::new()
    } else {
        let path = tlog_tiles::prove_tree(new.size, old_size, &tiles).map_err(|_| damaged(new))?;
        path.into_iter().map(Into::into).collect()
    };
    let old = old.checkpoint(new.origin.clone());
    proof::verify_consistency(&old, new, &path).map_err(|_| damaged(new))?;
    Ok(path)
}

fn damaged(checkpoint: &Checkpoint) -> TileError {
    TileError::Damaged {
        origin: checkpoint.origin.clone(),
        size: checkpoint.size,
    }
}

fn check_size(size: u64) -> Result<(), TileError> {
    if size > LOG_SIZE_MAX {
        return Err(TileError::Range(format!(
            "a log of {size} records: at most {LOG_SIZE_MAX} are possible"
        )));
    }
    Ok(())
}

/// Reads a tile and gives its first `count` hashes; reads nothing for none.
fn first_hashes(reader: &impl TileReader, tile: TileId, count: u64) -> Result<Vec<u8>, TileError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = reader.read(tile)?;
    let expected = usize::try_from(count).unwrap_or(usize::MAX) * Hash::LENGTH_BYTES;
    let whole = bytes.len().is_multiple_of(Hash::LENGTH_BYTES) && bytes.len() <= WIDTH * Hash::LENGTH_BYTES;
    if !whole || bytes.len() < expected {
        return Err(TileError::Length {
            tile,
            found: bytes.len(),
            expected,
        });
    }
    bytes.truncate(expected);
    Ok(bytes)
}

/// The places, in `tlog_tiles`' numbering, of the hashes that make the root.
fn edge_indexes(size: u64) -> Vec<u64> {
    tlog_tiles::sub_tree_index(0, size, Vec::new())
}

fn inclusion_indexes(index: u64, size: u64) -> Result<Vec<u64>, TileError> {
    check_size(size)?;
    if index >= size {
        return Err(TileError::Range(format!("index {index} in a log of {size} records")));
    }
    let recorder = Recorder::default();
    // The result is that of made-up hashes; only what was asked for matters.
    drop(tlog_tiles::prove_record(size, index, &recorder));
    let mut indexes = recorder.0.into_inner();
    indexes.push(tlog_tiles::stored_hash_index(0, index));
    Ok(indexes)
}

fn consistency_indexes(old_size: u64, new_size: u64) -> Result<Vec<u64>, TileError> {
    check_size(new_size)?;
    if old_size > new_size {
        return Err(TileError::Range(format!(
            "a log of {old_size} records cannot be continued by one of {new_size}"
        )));
    }
    let recorder = Recorder::default();
    if old_size > 0 {
        drop(tlog_tiles::prove_tree(new_size, old_size, &recorder));
    }
    let mut indexes = recorder.0.into_inner();
    indexes.extend(edge_indexes(old_size));
    Ok(indexes)
}

fn tiles_of(indexes: &[u64]) -> Vec<TileId> {
    let tiles: BTreeSet<_> = indexes.iter().map(|&index| tile_of(index).0).collect();
    tiles.into_iter().collect()
}

/// The tile that holds a hash, and the number of hashes that must be in it.
fn tile_of(index: u64) -> (TileId, u64) {
    let tile = tlog_tiles::Tile::from_index(HEIGHT, index);
    let id = TileId {
        level: tile.level(),
        n: tile.level_index(),
    };
    (id, tile.width().into())
}

/// Notes which hashes an algorithm asks for.
#[derive(Default)]
struct Recorder(RefCell<Vec<u64>>);

impl HashReader for Recorder {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        self.0.borrow_mut().extend(indexes);
        Ok(vec![tlog_tiles::Hash::default(); indexes.len()])
    }
}

/// Tiles that have been read, each with at least the hashes needed.
struct Loaded(BTreeMap<TileId, Vec<u8>>);

impl Loaded {
    fn read(indexes: &[u64], reader: &impl TileReader) -> Result<Self, TileError> {
        let mut widths = BTreeMap::new();
        for &index in indexes {
            let (tile, width) = tile_of(index);
            let widest = widths.entry(tile).or_insert(width);
            *widest = width.max(*widest);
        }
        let read = |(tile, width)| Ok((tile, first_hashes(reader, tile, width)?));
        widths.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn hash(&self, index: u64) -> Result<Hash, TileError> {
        let tile = tlog_tiles::Tile::from_index(HEIGHT, index);
        let (id, width) = tile_of(index);
        let bytes = self.0.get(&id).ok_or(TileError::Missing(id))?;
        let hash = tile.hash_at_index(bytes, index).map_err(|_| TileError::Length {
            tile: id,
            found: bytes.len(),
            expected: usize::try_from(width).unwrap_or(usize::MAX) * Hash::LENGTH_BYTES,
        })?;
        Ok(hash.into())
    }

    fn hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, TileError> {
        indexes.iter().map(|&index| self.hash(index)).collect()
    }
}

impl HashReader for Loaded {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let read = |&index: &u64| {
            self.hash(index)
                .map(Into::into)
                .map_err(|_| tlog_tiles::Error::InvalidTile)
        };
        indexes.iter().map(read).collect()
    }
}
