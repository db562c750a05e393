//! What is true now: the latest value of each key, kept in sled and offered to the state lane.
//!
//! Everything here can be rebuilt or lost: sled is not durable against a power cut, so a store that will not open is
//! moved aside and begun anew, with a warning. Values are coalesced: the board holds the newest of each key and
//! nothing else. Bounds: [`KEYS_MAX`] keys; a value has at most [`VALUE_BYTES_MAX`] bytes; what goes beyond is refused and counted.

mod recordings;
pub mod telemetry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use self::telemetry::Telemetry;
pub use recordings::RecordingIndex;

/// Most keys on the board.
pub const KEYS_MAX: usize = 4_096;
/// Most bytes of one value, as JSON.
pub const VALUE_BYTES_MAX: usize = 4_096;
/// Memory that sled may use as cache, bytes.
const CACHE_BYTES: u64 = 2 * 1024 * 1024;

/// Before the names of trees of what is kept for the box itself. Each thing has a tree of its own: sled writes what lies
/// side by side in a tree together, and some of it is large and some changes often.
const MEMORY: &str = "memory/";
/// The key in such a tree.
const KEPT: &[u8] = b"kept";

/// Why there is no state store.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// sled failed even on an empty folder.
    #[error("cannot open the state store in {path}: {source}\n  hint: check that the disk is not full or read-only")]
    Open {
        /// The folder.
        path: PathBuf,
        /// What happened.
        source: sled::Error,
    },
    /// A damaged store could not be moved aside.
    #[error("cannot move the damaged state store {path} aside: {source}")]
    MoveAside {
        /// The folder.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
}

#[derive(Debug)]
struct Entry {
    value: Value,
    version: u64,
}

#[derive(Debug, Default)]
struct Latest {
    entries: BTreeMap<String, Entry>,
    version: u64,
    refused: u64,
}

/// The latest value of each key. Shared by all tasks.
#[derive(Debug)]
pub struct Board {
    latest: Mutex<Latest>,
    telemetry: Telemetry,
    store: sled::Db,
}

impl Board {
    /// Opens the store in `folder` and reads what it holds.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let store = open_or_move_aside(folder)?;
        let mut latest = Latest::default();
        for item in store.iter() {
            let Ok((key, value)) = item else {
                tracing::warn!("part of the state store cannot be read; its values come again");
                break;
            };
            if let (Ok(key), Ok(value)) = (std::str::from_utf8(&key), serde_json::from_slice(&value)) {
                latest.version += 1;
                latest.entries.insert(
                    key.to_owned(),
                    Entry {
                        value,
                        version: latest.version,
                    },
                );
            }
        }
        Ok(Self {
            latest: Mutex::new(latest),
            telemetry: Telemetry::of(&store),
            store,
        })
    }

    /// Sets `key` to `value`. Does nothing if it has that value.
    pub fn put(&self, key: &str, value: Value) {
        let text = value.to_string();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = latest.entries.get(key);
        if known.is_some_and(|entry| entry.value == value) {
            return;
        }
        if text.len() > VALUE_BYTES_MAX || (known.is_none() && latest.entries.len() >= KEYS_MAX) {
            latest.refused += 1;
            return;
        }
        latest.version += 1;
        let version = latest.version;
        latest.entries.insert(key.to_owned(), Entry { value, version });
        if let Err(error) = self.store.insert(key, text.as_bytes()) {
            tracing::debug!(key, %error, "state store refused a value; it stays in memory");
        }
    }

    /// Forgets every key under `prefix` that `keep` does not want.
    pub fn retain(&self, prefix: &str, keep: impl Fn(&str) -> bool) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<String> = latest
            .entries
            .keys()
            .filter(|key| key.starts_with(prefix) && !keep(key))
            .cloned()
            .collect();
        for key in gone {
            latest.entries.remove(&key);
            if let Err(error) = self.store.remove(&key) {
                tracing::debug!(key, %error, "state store kept a forgotten value; it is forgotten at the next start");
            }
        }
    }

    /// Everything that changed after version `after` (0 for all), and the version that this brings the reader to.
    pub fn changes(&self, after: u64) -> (u64, serde_json::Map<String, Value>) {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = latest.entries.iter().filter(|(_, entry)| entry.version > after);
        (
            latest.version,
            changed.map(|(key, entry)| (key.clone(), entry.value.clone())).collect(),
        )
    }

    /// Keeps bytes under a name, for the box itself: they are not told to the city.
    pub fn remember(&self, name: &str, bytes: &[u8]) {
        let kept = self.memory(name).and_then(|tree| tree.insert(KEPT, bytes));
        if let Err(error) = kept {
            tracing::debug!(name, %error, "the state store did not keep it");
        }
    }

    /// What is kept under a name.
    pub fn recall(&self, name: &str) -> Option<Vec<u8>> {
        let kept = self.memory(name).and_then(|tree| tree.get(KEPT)).ok()?;
        kept.map(|bytes| bytes.to_vec())
    }

    fn memory(&self, name: &str) -> sled::Result<sled::Tree> {
        self.store.open_tree(format!("{MEMORY}{name}"))
    }

    /// The index of the recordings called `name`.
    pub fn recordings(&self, name: &str) -> RecordingIndex {
        RecordingIndex::of(&self.store, name)
    }

    /// How things were over time.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Values refused because they were too large or too many.
    pub fn refused(&self) -> u64 {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).refused
    }
}

fn open_or_move_aside(folder: &Path) -> Result<sled::Db, StateError> {
    let config = sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(10_000));
    let error = match config.open() {
        Ok(store) => return Ok(store),
        Err(error) => error,
    };
    let aside = folder.with_extension("damaged");
    tracing::warn!(folder = %folder.display(), aside = %aside.display(), %error, "state store does not open; moved aside and begun anew");
    let moved = remove_if_there(&aside).and_then(|()| std::fs::rename(folder, &aside));
    moved.map_err(|source| StateError::MoveAside {
        path: folder.to_owned(),
        source,
    })?;
    config.open().map_err(|source| StateError::Open {
        path: folder.to_owned(),
        source,
    })
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_newest_value_of_a_key_is_kept_and_offered() {
        let dir = tempfile::tempdir().unwrap();
        let board = Board::open(&dir.path().join("state")).unwrap();
        board.put("space/A1", json!("free"));
        board.put("space/A1", json!("occupied"));
        board.put("box", json!(1));
        let (version, all) = board.changes(0);
        assert_eq!(Value::Object(all), json!({"space/A1": "occupied", "box": 1}));
        board.put("box", json!(1));
        assert!(board.changes(version).1.is_empty(), "the same value is no change");
        board.put("box", json!(2));
        assert_eq!(Value::Object(board.changes(version).1), json!({"box": 2}));
    }

    #[test]
    fn values_are_there_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        Board::open(&folder).unwrap().put("space/A1", json!("free"));
        assert_eq!(Board::open(&folder).unwrap().changes(0).1["space/A1"], json!("free"));
    }

    #[test]
    fn a_store_that_does_not_open_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        std::fs::write(&folder, b"a file where a folder should be").unwrap();
        let board = Board::open(&folder).unwrap();
        assert!(board.changes(0).1.is_empty());
        assert!(dir.path().join("state.damaged").exists());
    }

    #[test]
    fn the_board_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let board = Board::open(&dir.path().join("state")).unwrap();
        board.put("large", json!("x".repeat(VALUE_BYTES_MAX)));
        assert_eq!((board.refused(), board.changes(0).1.len()), (1, 0));
    }
}
