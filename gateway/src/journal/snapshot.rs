//! Snapshot slots: two files, overwritten in turn. A checksum over everything tells whether one is whole.

use std::sync::Arc;

use super::error::JournalError;
use super::frame::{u32_at, u64_at};
use super::segment::Place;
use super::storage::{Storage, StorageFile, write_again};

/// Most bytes of a snapshot, before compression.
pub(super) const SNAPSHOT_BYTES_MAX: usize = 64 << 20;
/// The files.
pub(super) const SLOTS: [&str; 2] = ["snapshot-0", "snapshot-1"];
const MAGIC: &[u8; 8] = b"PKRSNAP\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 72;
/// Slots grow by this, so that they seldom need space when there is none.
const SLOT_STEP_BYTES: u64 = 64 << 10;
const COMPRESSION_LEVEL: i32 = 3;

/// Which entries a snapshot stands for: everything before this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Number of the segment.
    pub(super) segment: u64,
    /// Where in it.
    pub(super) place: Place,
}

/// A snapshot that was read back whole.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// What it stands for.
    pub(super) position: Position,
    /// Counts snapshots, so that the newer of two is known.
    pub(super) count: u64,
    /// Bytes of the slot that it takes.
    stored_bytes: u64,
    /// The user's bytes.
    pub(super) state: Vec<u8>,
}

/// The two slots, and what is in them.
#[derive(Debug)]
pub(super) struct Slots {
    storage: Arc<dyn Storage>,
    journal_id: u64,
    pair: [Slot; 2],
}

#[derive(Debug, Default)]
struct Slot {
    file: Option<Arc<dyn StorageFile>>,
    bytes: u64,
    /// The snapshot in it, if it is whole.
    held: Option<Held>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    position: Position,
    count: u64,
    stored_bytes: u64,
}

impl Slots {
    /// Reads both slots; gives the newest snapshot too.
    pub(super) fn open(storage: Arc<dyn Storage>, journal_id: u64) -> Result<(Self, Option<Snapshot>), JournalError> {
        let mut slots = [Slot::default(), Slot::default()];
        let mut newest: Option<Snapshot> = None;
        let listed = storage
            .list(false)
            .map_err(|e| JournalError::storage("list", storage.path(), e))?;
        for (slot, name) in slots.iter_mut().zip(SLOTS) {
            let Some(file) = listed.iter().find(|file| file.name == name) else {
                continue;
            };
            let open = storage
                .open(name)
                .map_err(|e| JournalError::storage("open", storage.path().join(name), e))?;
            slot.bytes = file.bytes;
            if let Some(snapshot) = read(&*open, file.bytes, journal_id, name)? {
                slot.held = Some(Held {
                    position: snapshot.position,
                    count: snapshot.count,
                    stored_bytes: snapshot.stored_bytes,
                });
                if newest.as_ref().is_none_or(|best| best.count < snapshot.count) {
                    newest = Some(snapshot);
                }
            }
            slot.file = Some(open);
        }
        let slots = Self {
            storage,
            journal_id,
            pair: slots,
        };
        Ok((slots, newest))
    }

    /// Whether a snapshot was ever saved: the second slot is begun when the first is whole.
    pub(super) fn ever_saved(&self) -> bool {
        self.pair[1].file.is_some()
    }

    /// Bytes allocated on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.pair.iter().map(|slot| slot.bytes).sum()
    }

    /// Position of the newest snapshot.
    pub(super) fn newest(&self) -> Option<Position> {
        self.held().max_by_key(|held| held.count).map(|held| held.position)
    }

    /// Position of the older snapshot: nothing after it may be given up.
    pub(super) fn oldest(&self) -> Option<Position> {
        self.held().min_by_key(|held| held.count).map(|held| held.position)
    }

    fn held(&self) -> impl Iterator<Item = Held> {
        self.pair.iter().filter_map(|slot| slot.held)
    }

    /// Writes the newest snapshot again as it reads: a failed sync may have left it in memory only.
    pub(super) fn settle(&self) -> Result<(), JournalError> {
        let whole = self
            .pair
            .iter()
            .zip(SLOTS)
            .filter_map(|(slot, name)| Some((slot.held?, slot.file.as_ref()?, name)));
        match whole.max_by_key(|(held, _, _)| held.count) {
            None => Ok(()),
            Some((held, file, name)) => write_again(&**file, 0, held.stored_bytes)
                .map_err(|e| JournalError::storage("write", self.storage.path().join(name), e)),
        }
    }

    /// Overwrites the older slot. On an error that slot may be lost, never the other.
    pub(super) fn save(&mut self, position: Position, state: &[u8]) -> Result<(), JournalError> {
        let count = self.held().map(|held| held.count).max().unwrap_or_default() + 1;
        let older = match (self.pair[0].held, self.pair[1].held) {
            (Some(first), Some(second)) => usize::from(second.count < first.count),
            (Some(_), None) => 1,
            (None, _) => 0,
        };
        let name = SLOTS[older];
        let path = self.storage.path().join(name);
        let content = encode(position, count, self.journal_id, state)
            .map_err(|e| JournalError::storage("compress", path.clone(), e))?;
        let file = self.pair[older].make_room(&*self.storage, name, content.len() as u64)?;
        self.pair[older].held = None;
        file.write_at(0, &content)
            .map_err(|e| JournalError::storage("write", path.clone(), e))?;
        file.sync().map_err(|e| JournalError::storage("sync", path, e))?;
        self.pair[older].held = Some(Held {
            position,
            count,
            stored_bytes: content.len() as u64,
        });
        Ok(())
    }
}

impl Slot {
    fn make_room(
        &mut self,
        storage: &dyn Storage,
        name: &str,
        content_bytes: u64,
    ) -> Result<Arc<dyn StorageFile>, JournalError> {
        let bytes = content_bytes.next_multiple_of(SLOT_STEP_BYTES);
        let path = || storage.path().join(name);
        if let Some(file) = &self.file {
            if bytes > self.bytes {
                file.allocate(bytes)
                    .map_err(|e| JournalError::storage("allocate space for", path(), e))?;
                self.bytes = bytes;
            }
            return Ok(Arc::clone(file));
        }
        let file = storage
            .create(name, bytes)
            .map_err(|e| JournalError::storage("make", path(), e))?;
        storage
            .sync_names()
            .map_err(|e| JournalError::storage("sync", storage.path(), e))?;
        self.bytes = bytes;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }
}

fn encode(position: Position, count: u64, journal_id: u64, state: &[u8]) -> std::io::Result<Vec<u8>> {
    let packed = zstd::bulk::compress(state, COMPRESSION_LEVEL)?;
    let mut content = Vec::with_capacity(HEADER_BYTES + packed.len());
    content.extend_from_slice(MAGIC);
    content.extend_from_slice(&VERSION.to_le_bytes());
    content.extend_from_slice(&crc32c::crc32c(&packed).to_le_bytes());
    content.extend_from_slice(&(packed.len() as u64).to_le_bytes());
    content.extend_from_slice(&(state.len() as u64).to_le_bytes());
    content.extend_from_slice(&count.to_le_bytes());
    content.extend_from_slice(&position.segment.to_le_bytes());
    content.extend_from_slice(&position.place.offset.to_le_bytes());
    content.extend_from_slice(&position.place.sequence.to_le_bytes());
    content.extend_from_slice(&position.place.index.to_le_bytes());
    let checksum = checksum(&content, journal_id);
    content.extend_from_slice(&checksum.to_le_bytes());
    debug_assert_eq!(content.len(), HEADER_BYTES, "the header's fields add up");
    content.extend_from_slice(&packed);
    Ok(content)
}

/// Checksum of a header; the journal's id in it keeps another journal's snapshot out.
fn checksum(fields: &[u8], journal_id: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&journal_id.to_le_bytes()), fields)
}

fn read(
    file: &dyn StorageFile,
    file_bytes: u64,
    journal_id: u64,
    name: &str,
) -> Result<Option<Snapshot>, JournalError> {
    let mut header = [0; HEADER_BYTES];
    // A slot that the disk can not give back is as good as a rotted one.
    let read = file.read_at(0, &mut header).unwrap_or_default();
    let checked = HEADER_BYTES - 4;
    if read < HEADER_BYTES
        || &header[..8] != MAGIC
        || checksum(&header[..checked], journal_id) != u32_at(&header, checked)
    {
        return Ok(None);
    }
    let version = u32_at(&header, 8);
    if version > VERSION {
        return Err(JournalError::Version {
            file: name.to_owned(),
            found: version,
            known: VERSION,
        });
    }
    let (packed_bytes, state_bytes) = (u64_at(&header, 16), u64_at(&header, 24));
    if packed_bytes > file_bytes || state_bytes > SNAPSHOT_BYTES_MAX as u64 {
        return Ok(None);
    }
    let mut packed = vec![0; usize::try_from(packed_bytes).unwrap_or_default()];
    let read = file.read_at(HEADER_BYTES as u64, &mut packed).unwrap_or_default();
    if read < packed.len() || crc32c::crc32c(&packed) != u32_at(&header, 12) {
        return Ok(None);
    }
    let state = zstd::bulk::decompress(&packed, usize::try_from(state_bytes).unwrap_or_default());
    Ok(state.ok().map(|state| Snapshot {
        position: Position {
            segment: u64_at(&header, 40),
            place: Place {
                offset: u64_at(&header, 48),
                sequence: u64_at(&header, 56),
                index: u32_at(&header, 64),
            },
        },
        count: u64_at(&header, 32),
        stored_bytes: HEADER_BYTES as u64 + packed_bytes,
        state,
    }))
}
