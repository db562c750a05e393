//! Opening a ring: the index is compared with the files, and files that it does not know are read.
//!
//! A file whose length the index knows is taken as it says. Of others, one that ends in a summary is taken at its word,
//! and the rest is read box by box: it is cut behind the last whole chunk, and removed if nothing is left. After a
//! power cut that is one file, the one that was being written. Damage within files that the index or a summary vouches
//! for is found when they are read for a clip.

use std::collections::BTreeMap;
use std::io;

use super::scan::{Check, ScanError, SegmentReader, read_summary};
use super::segment::{Segment, SegmentId, SegmentIndex};
use super::storage::{ReadAt, SegmentFile, Storage};
use super::time::{ClockQuality, plus_ticks};

/// What opening a ring found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Segments of the ring now.
    pub segments: usize,
    /// Frames in them.
    pub frames: u64,
    /// Files that the index did not know, or knew with another length.
    pub files_unknown: usize,
    /// Entries of the index without a file.
    pub entries_removed: usize,
    /// Files from whose end something was cut.
    pub files_cut: usize,
    /// Bytes that were cut or removed.
    pub bytes_lost: u64,
    /// Files that were removed because no frame in them can be shown.
    pub files_removed: usize,
    /// Files that the system does not let be read. They are left alone and are no part of the ring.
    pub files_unreadable: usize,
    /// The first few reasons of the above, each with the file's name.
    pub reasons: Vec<String>,
}

/// Most reasons that are kept. Further ones are only counted.
const REASONS_MAX: usize = 8;

impl Recovered {
    fn reason(&mut self, id: SegmentId, error: &dyn std::error::Error) {
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(format!("{}: {error}", id.file_name()));
        }
    }
}

/// What `recover` gives besides its account.
pub(super) struct Found {
    /// By sequence.
    pub segments: Vec<Segment>,
    /// The highest sequence that a file or an entry has.
    pub last: Option<SegmentId>,
}

/// Compares index and files.
pub(super) fn recover(storage: &dyn Storage, index: &dyn SegmentIndex) -> io::Result<(Found, Recovered)> {
    let mut recovered = Recovered::default();
    let files: BTreeMap<SegmentId, u64> = storage.list()?.into_iter().collect();
    let mut entries: BTreeMap<SegmentId, Segment> = index.all().into_iter().map(|entry| (entry.id, entry)).collect();
    let used = files.keys().chain(entries.keys()).filter(|id| **id <= SegmentId::MAX);
    let last = used.max().copied();
    let mut segments = Vec::new();
    for (&id, &bytes) in &files {
        let entry = entries.remove(&id);
        if let Some(entry) = entry.as_ref().filter(|entry| entry.bytes == bytes) {
            segments.push(entry.clone());
            continue;
        }
        recovered.files_unknown += 1;
        match examine(storage, id, bytes, &mut recovered) {
            Some(mut segment) => {
                segment.existed_at = entry.and_then(|entry| entry.existed_at);
                index.put(&segment);
                segments.push(segment);
            }
            None if entry.is_some() => index.remove(id),
            None => {}
        }
    }
    for id in entries.keys() {
        recovered.entries_removed += 1;
        index.remove(*id);
    }
    if recovered.files_removed > 0 {
        storage.sync_names()?;
    }
    recovered.segments = segments.len();
    recovered.frames = segments
        .iter()
        .fold(0, |frames, segment| frames.saturating_add(segment.frames));
    Ok((Found { segments, last }, recovered))
}

/// Reads a file that the index does not vouch for, and repairs it.
fn examine(storage: &dyn Storage, id: SegmentId, bytes: u64, recovered: &mut Recovered) -> Option<Segment> {
    let file = match storage.open(id) {
        Ok(file) => file,
        Err(error) => {
            recovered.files_unreadable += 1;
            recovered.reason(id, &error);
            return None;
        }
    };
    let (segment, damage) = match describe(file.as_ref(), id, bytes) {
        Ok(scanned) => scanned,
        Err(error @ ScanError::Read { .. }) => {
            recovered.files_unreadable += 1;
            recovered.reason(id, &error);
            return None;
        }
        Err(error) => (None, Some(error)),
    };
    if let Some(damage) = &damage {
        recovered.reason(id, damage);
    }
    let Some(segment) = segment else {
        recovered.files_removed += 1;
        recovered.bytes_lost += bytes;
        if let Err(error) = storage.remove(id) {
            recovered.reason(id, &error);
        }
        return None;
    };
    if segment.bytes < bytes {
        recovered.files_cut += 1;
        recovered.bytes_lost += bytes - segment.bytes;
        if let Err(error) = cut(file.as_ref(), segment.bytes) {
            // Its good part is used all the same. Its length is not what the index knows: the next opening tries again.
            recovered.reason(id, &error);
        }
    }
    Some(segment)
}

fn cut(file: &dyn SegmentFile, bytes: u64) -> io::Result<()> {
    file.truncate(bytes)?;
    file.sync()
}

/// A segment, if not one fragment is whole `None`, and what is damaged behind it.
pub(super) type Described = (Option<Segment>, Option<ScanError>);

/// Takes a finished file at its word, and reads any other.
pub(super) fn describe<R: ReadAt + ?Sized>(file: &R, id: SegmentId, bytes: u64) -> Result<Described, ScanError> {
    let Some((summary, codec)) = read_summary(file, bytes) else {
        return scan(file, id, bytes);
    };
    let segment = Segment {
        id,
        from: summary.from,
        to: summary.to,
        clock: summary.clock,
        existed_at: None,
        bytes,
        fragments: summary.fragments,
        frames: summary.frames,
        codec,
    };
    Ok((Some(segment), None))
}

/// Reads a whole file.
fn scan<R: ReadAt + ?Sized>(file: &R, id: SegmentId, bytes: u64) -> Result<Described, ScanError> {
    let mut reader = SegmentReader::open(file, bytes, Check::Frames)?;
    let timescale = reader.init.info().timescale;
    let mut segment: Option<Segment> = None;
    while let Some(fragment) = reader.next_fragment() {
        let segment = segment.get_or_insert_with(|| Segment {
            id,
            from: fragment.at,
            to: fragment.at,
            clock: reader.head.clock,
            existed_at: None,
            bytes: 0,
            fragments: 0,
            frames: 0,
            codec: reader.init.info().codec.clone(),
        });
        segment.to = plus_ticks(fragment.at, fragment.duration(), timescale);
        segment.fragments = segment.fragments.saturating_add(1);
        segment.frames += fragment.chunks.iter().map(|c| c.moof.samples.len() as u64).sum::<u64>();
    }
    if let Some(segment) = &mut segment {
        segment.bytes = reader.offset();
    }
    Ok((segment, reader.damage))
}

/// Whether a segment is over by its age: the time after which it is too old, if that can be told.
pub(super) fn last_certain_time(segment: &Segment, now: ClockQuality) -> Option<jiff::Timestamp> {
    if segment.clock.is_comparable_with(now) {
        Some(segment.to)
    } else {
        segment.existed_at
    }
}
