//! The writing side, without threads: commits, roll-over, snapshots, release, and the space kept ahead.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::catalog::{Catalog, Segment};
use super::error::JournalError;
use super::frame::{Content, FRAME_ALIGN, FrameWriter, HEADER_BYTES, PAGE_BYTES, Placed, RAW_BYTES_MAX};
use super::segment::{BYTES_PER_SEQUENCE, Identity, Place, SegmentHeader, file_name};
use super::snapshot::{Position, SNAPSHOT_BYTES_MAX, Slots};
use super::storage::{DAMAGED, Storage, StorageFile};
use super::{Sequence, Status};

/// Damaged segments kept for inspection.
const DAMAGED_FILES_MAX: usize = 16;
/// Spares kept beyond the reserve, so that segments are recycled rather than allocated anew.
const RECYCLED_MAX: usize = 2;

/// The segment being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Arc<dyn StorageFile>,
    pub(super) number: u64,
    /// Sequence of its first record.
    pub(super) first: u64,
    /// Length of the file.
    pub(super) bytes: u64,
    /// Where the next frame goes.
    pub(super) place: Place,
}

impl Active {
    fn fits(&self, placed: &Placed, next: u64, records: u32) -> bool {
        let sequences = next + u64::from(records) - self.first;
        placed.end() <= self.bytes && sequences <= self.bytes / BYTES_PER_SEQUENCE && self.place.index < u32::MAX - 1
    }
}

/// A file with allocated space and no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spare {
    pub(super) number: u64,
    /// Whether its blocks were written before, so that writing them changes no metadata.
    pub(super) written: bool,
}

impl Spare {
    pub(super) fn name(self) -> String {
        let suffix = if self.written { Self::WRITTEN } else { Self::ALLOCATED };
        format!("{:010}{suffix}", self.number)
    }

    /// Ends the name of a spare that was only allocated.
    pub(super) const ALLOCATED: &str = ".spare";
    /// Ends the name of one that was a segment.
    pub(super) const WRITTEN: &str = ".recycled";
}

/// All spares.
#[derive(Debug)]
pub(super) struct Spares {
    pub(super) held: Vec<Spare>,
    /// Number in the name of the next one.
    pub(super) number_next: u64,
    /// How many are kept for a full disk.
    pub(super) reserve: usize,
}

impl Spares {
    fn new_one(&mut self, written: bool) -> Spare {
        let number = self.number_next;
        self.number_next += 1;
        Spare { number, written }
    }

    /// Takes a written one if there is one.
    fn take(&mut self) -> Option<Spare> {
        let written = self.held.iter().position(|spare| spare.written);
        match written {
            Some(at) => Some(self.held.swap_remove(at)),
            None => self.held.pop(),
        }
    }
}

/// What [`super::recovery`] found, and the store goes on from.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) catalog: Arc<Catalog>,
    pub(super) identity: Identity,
    pub(super) active: Option<Active>,
    pub(super) next: u64,
    pub(super) number_next: u64,
    pub(super) spares: Spares,
    pub(super) slots: Slots,
    pub(super) damaged_files: usize,
}

/// See the module. After an error that is no full disk it must not be used again.
#[derive(Debug)]
pub(super) struct Store {
    storage: Arc<dyn Storage>,
    found: Found,
    segment_bytes: u64,
    frames: FrameWriter,
    commits: u64,
    written_bytes: u64,
    sync_last: Duration,
}

/// Most bytes of encoded entries that fit one frame of a segment of `segment_bytes`.
pub(super) fn raw_bytes_max(segment_bytes: u32) -> usize {
    let room = u64::from(segment_bytes).saturating_sub(PAGE_BYTES + HEADER_BYTES as u64 + FRAME_ALIGN);
    usize::try_from(room).map_or(RAW_BYTES_MAX, |room| room.min(RAW_BYTES_MAX))
}

impl Store {
    pub(super) fn new(segment_bytes: u32, found: Found) -> Result<Self, JournalError> {
        let storage = Arc::clone(&found.catalog.storage);
        let frames =
            FrameWriter::new().map_err(|e| JournalError::storage("make a compressor for", storage.path(), e))?;
        Ok(Self {
            storage,
            found,
            segment_bytes: u64::from(segment_bytes),
            frames,
            commits: 0,
            written_bytes: 0,
            sync_last: Duration::ZERO,
        })
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        &self.found.catalog
    }

    /// Makes the encoded entries in `raw` durable; gives the sequences of the records among them.
    ///
    /// When the disk is full nothing has changed, and the same may be tried again.
    pub(super) fn commit(&mut self, raw: &[u8], records: u32) -> Result<Range<Sequence>, JournalError> {
        let first = self.found.next;
        let fitting = match &self.found.active {
            Some(active) => {
                let placed = self.frames.choose(raw, active.place.offset);
                active.fits(&placed, first, records).then_some(placed)
            }
            None => None,
        };
        let placed = if let Some(placed) = fitting {
            placed
        } else {
            self.roll()?;
            self.frames.choose(raw, PAGE_BYTES)
        };
        let Some(active) = &mut self.found.active else {
            return Err(JournalError::Closed);
        };
        let path = || self.storage.path().join(file_name(active.number));
        let content = Content { raw, records, first };
        let seed = self.found.catalog.seed(active.number);
        let frame = self.frames.encode(&placed, content, active.place.index, seed);
        active
            .file
            .write_at(placed.offset, frame)
            .map_err(|e| JournalError::storage("write", path(), e))?;
        let began = Instant::now();
        active.file.sync().map_err(|e| sync_failed(&path().display(), &e))?;
        self.sync_last = began.elapsed();

        let next = first + u64::from(records);
        active.place = Place {
            offset: placed.end().next_multiple_of(FRAME_ALIGN),
            index: active.place.index + 1,
            sequence: next,
        };
        let place = active.place;
        self.found.next = next;
        self.commits += 1;
        self.written_bytes += placed.bytes;
        if let Some(last) = self.found.catalog.lock().segments.back_mut() {
            last.next = next;
            last.limit = place.offset.min(last.bytes);
            last.frames = Some(place.index);
        }
        self.found.catalog.publish(next);
        Ok(Sequence(first)..Sequence(next))
    }

    /// Begins the next segment.
    fn roll(&mut self) -> Result<(), JournalError> {
        let number = self.found.number_next;
        let last = self.catalog().lock().segments.back().copied();
        let header = SegmentHeader {
            identity: self.found.identity,
            number,
            first: self.found.next,
            bytes: self.segment_bytes,
            frames_before: last
                .filter(|last| last.number + 1 == number)
                .and_then(|last| last.frames)
                .unwrap_or_default(),
        };
        let (spare, file) = self.take_spare()?;
        let name = file_name(number);
        let path = || self.storage.path().join(&name);
        let blank = if spare.written {
            Ok(())
        } else {
            write_zeros(&*file, header.bytes)
        };
        let prepared = blank
            .and_then(|()| file.write_at(0, &header.encode()))
            .map_err(|e| JournalError::storage("write", path(), e));
        if let Err(error) = prepared {
            self.found.spares.held.push(spare);
            return Err(error);
        }
        file.sync().map_err(|e| sync_failed(&path().display(), &e))?;
        if !spare.written {
            file.forget();
        }
        if let Err(error) = self.storage.rename(&spare.name(), &name) {
            self.found.spares.held.push(spare);
            return Err(JournalError::storage("rename a spare to", path(), error));
        }
        self.sync_names()?;
        self.found.number_next += 1;
        self.catalog().lock().segments.push_back(Segment {
            number,
            first: header.first,
            next: header.first,
            bytes: header.bytes,
            limit: PAGE_BYTES,
            frames: Some(0),
            damaged: false,
        });
        self.found.active = Some(Active {
            file,
            number,
            first: header.first,
            bytes: header.bytes,
            place: Place::begin(header.first),
        });
        Ok(())
    }

    /// A spare beyond the reserve, else new space, else, the disk being full, one of the reserve.
    fn take_spare(&mut self) -> Result<(Spare, Arc<dyn StorageFile>), JournalError> {
        if self.found.spares.held.len() <= self.found.spares.reserve {
            match self.make_spare() {
                Err(error) if error.is_disk_full() && !self.found.spares.held.is_empty() => {}
                other => return other,
            }
        }
        let Some(spare) = self.found.spares.take() else {
            return self.make_spare();
        };
        let name = spare.name();
        match self.storage.open(&name) {
            Ok(file) => Ok((spare, file)),
            Err(error) => Err(JournalError::storage("open", self.storage.path().join(name), error)),
        }
    }

    fn make_spare(&mut self) -> Result<(Spare, Arc<dyn StorageFile>), JournalError> {
        let spare = self.found.spares.new_one(false);
        let name = spare.name();
        match self.storage.create(&name, self.segment_bytes) {
            Ok(file) => Ok((spare, file)),
            Err(error) => Err(JournalError::storage("allocate", self.storage.path().join(name), error)),
        }
    }

    /// Fills the reserve up as far as the disk has space; tells whether it is full.
    pub(super) fn replenish(&mut self) -> Result<bool, JournalError> {
        let mut made = false;
        while self.found.spares.held.len() < self.found.spares.reserve {
            match self.make_spare() {
                Ok((spare, _)) => self.found.spares.held.push(spare),
                Err(error) if error.is_disk_full() => break,
                Err(error) => return Err(error),
            }
            made = true;
        }
        if made {
            self.sync_names()?;
        }
        Ok(self.found.spares.held.len() >= self.found.spares.reserve)
    }

    /// Saves `state` for everything committed so far, on a full disk in space of the reserve. An error leaves the newer of
    /// the two former snapshots in force.
    pub(super) fn save_snapshot(&mut self, state: &[u8]) -> Result<(), JournalError> {
        if state.len() > SNAPSHOT_BYTES_MAX {
            return Err(JournalError::SnapshotSize {
                bytes: state.len(),
                bytes_max: SNAPSHOT_BYTES_MAX,
            });
        }
        let position = match &self.found.active {
            Some(active) => Position {
                segment: active.number,
                place: Place {
                    sequence: self.found.next,
                    ..active.place
                },
            },
            None => Position {
                segment: self.found.number_next,
                place: Place::begin(self.found.next),
            },
        };
        match self.found.slots.save(position, state) {
            Err(error) if error.is_disk_full() => {
                self.give_up_spare()?;
                self.found.slots.save(position, state)?;
            }
            other => other?,
        }
        self.catalog().lock().snapshot_segment = position.segment;
        Ok(())
    }

    /// Gives the space of a spare, the reserve's if there is no other, back to the file system.
    fn give_up_spare(&mut self) -> Result<(), JournalError> {
        let Some(spare) = self.found.spares.take() else {
            return Ok(());
        };
        let name = spare.name();
        self.storage
            .remove(&name)
            .map_err(|e| JournalError::storage("delete", self.storage.path().join(name), e))
    }

    /// Frees whole segments below `below` and before the older snapshot.
    pub(super) fn release(&mut self, below: Sequence) -> Result<(), JournalError> {
        {
            let mut state = self.found.catalog.lock();
            state.released = state.released.max(below.0.min(self.found.next));
        }
        let mut changed = false;
        while let Some(segment) = self.take_releasable() {
            self.retire(&segment)?;
            changed = true;
        }
        // Before a spare is written: else a power cut could bring its old name back with a new segment's content.
        if changed {
            self.sync_names()?;
            self.replenish()?;
        }
        Ok(())
    }

    /// Takes the oldest segment out of the catalog, if it may go.
    fn take_releasable(&mut self) -> Option<Segment> {
        let kept_from = self.found.slots.oldest()?.segment;
        let mut state = self.found.catalog.lock();
        let below = state.released;
        let releasable =
            |segment: &&Segment| state.segments.len() > 1 && segment.next <= below && segment.number < kept_from;
        state.segments.front().filter(releasable)?;
        state.segments.pop_front()
    }

    fn retire(&mut self, segment: &Segment) -> Result<(), JournalError> {
        let name = file_name(segment.number);
        let spares = &mut self.found.spares;
        let outcome = if segment.damaged && self.found.damaged_files < DAMAGED_FILES_MAX {
            self.found.damaged_files += 1;
            self.storage.rename(&name, &format!("{DAMAGED}/{name}"))
        } else if segment.bytes == self.segment_bytes && spares.held.len() < spares.reserve + RECYCLED_MAX {
            let spare = spares.new_one(true);
            let renamed = self.storage.rename(&name, &spare.name());
            if renamed.is_ok() {
                spares.held.push(spare);
            }
            renamed
        } else {
            self.storage.remove(&name)
        };
        match outcome {
            // Somebody has removed the file: its space is free, which is all that was wanted.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|e| JournalError::storage("release", self.storage.path().join(name), e)),
        }
    }

    fn sync_names(&self) -> Result<(), JournalError> {
        self.storage
            .sync_names()
            .map_err(|e| sync_failed(&self.storage.path().display(), &e))
    }

    /// Fills in what the store knows.
    pub(super) fn status(&self, status: &mut Status) {
        let state = self.found.catalog.lock();
        let spares = self.found.spares.held.len();
        let segment_bytes: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
        status.segments = state.segments.len();
        status.spares = spares;
        status.reserve = self.found.spares.reserve;
        status.disk_bytes = segment_bytes + spares as u64 * self.segment_bytes + self.found.slots.disk_bytes();
        status.oldest = Sequence(state.segments.front().map_or(self.found.next, |segment| segment.first));
        status.next = Sequence(self.found.next);
        status.commits = self.commits;
        status.written_bytes = self.written_bytes;
        status.sync_last = self.sync_last;
    }
}

/// Writes the blocks of a segment once, so that no commit into it has to turn reserved blocks into written ones: that
/// would cost each of them a commit of the file system's own journal, which is larger than most frames.
fn write_zeros(file: &dyn StorageFile, bytes: u64) -> std::io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut offset = 0;
    while offset < bytes {
        let count = usize::try_from(bytes - offset).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file.write_at(offset, &ZEROS[..count])?;
        offset += count as u64;
    }
    Ok(())
}

/// A failed sync is never worth another try, whatever its reason: the pages may be gone from memory already.
fn sync_failed(path: &dyn std::fmt::Display, error: &std::io::Error) -> JournalError {
    JournalError::Failed {
        reason: format!("cannot sync {path}: {error}").into(),
    }
}
