//! Opening: finds out what is on disk, believing only what verifies. Changes the tag, the spares and the last segment's end.
//!
//! A file that can not be read stays where it is and counts as a hole in the sequence, until release moves it away.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::Rng;

use super::catalog::{Catalog, Segment, State};
use super::error::JournalError;
use super::frame::{HEADER_BYTES, PAGE_BYTES, Seed};
use super::reader::{Replay, Step, Walker};
use super::segment::{BYTES_PER_SEQUENCE, Identity, Place, Scanner, SegmentHeader, file_name};
use super::snapshot::{Position, Slots, Snapshot};
use super::storage::{Listed, Storage, StorageFile, write_again};
use super::store::{Active, Found, Spares, Store};
use super::{Damage, Options, Recovered, Sequence};

const TAG: &str = "tag";
const TAG_MAKING: &str = "tag.new";
/// Longest tag file.
const TAG_FILE_BYTES: usize = 64;

/// A segment file, as its name and its header tell.
#[derive(Debug)]
struct Candidate {
    number: u64,
    bytes: u64,
    file: Arc<dyn StorageFile>,
    header: Option<SegmentHeader>,
}

/// How the last segment ends.
#[derive(Debug)]
struct Tail {
    place: Place,
    /// Bytes of a frame that is not whole.
    cut_bytes: u64,
    /// Begin and length of the last frame that is whole.
    last: Option<(u64, u64)>,
    /// Whether anything in the segment told its sequences.
    certain: bool,
    /// Whether durable frames may have been in a part that can not be read.
    doubtful: bool,
}

/// Opens or makes the journal in `storage`.
pub(super) fn open(options: &Options, storage: &Arc<dyn Storage>) -> Result<(Store, Recovered), JournalError> {
    check(options)?;
    let listed = list(&**storage, false)?;
    let damaged = list(&**storage, true)?;
    let mut candidates = candidates(&**storage, &listed)?;
    let mut damage = Vec::new();
    let (identity, created) = identity(&**storage, &candidates, &mut damage)?;
    for candidate in &mut candidates {
        candidate.header = candidate.header.filter(|header| header.identity == identity);
        if candidate.header.is_none() {
            damage.push(unreadable_header(candidate));
        }
    }
    let (slots, snapshot) = Slots::open(Arc::clone(storage), identity.id)?;
    let tails = find_tails(&candidates, identity);
    settle(&**storage, &slots, candidates.last().zip(tails.first()))?;
    let layout = lay_out(candidates, &tails, identity, &slots, u64::from(options.segment_bytes));
    let number_next = number_next(&layout, &damaged, &slots);
    let catalog = Arc::new(Catalog::new(
        Arc::clone(storage),
        identity.id,
        State {
            segments: layout.segments,
            released: 0,
            snapshot_segment: slots.newest().map_or(0, |position| position.segment),
        },
        layout.next,
    ));

    let from = replay_position(&catalog, snapshot.as_ref(), &slots, created, &mut damage);
    let end = Position {
        segment: number_next,
        place: Place::begin(layout.next),
    };
    let end = layout.active.as_ref().map_or(end, |active| Position {
        segment: active.number,
        place: active.place,
    });
    damage.extend(holes(&catalog, from)?);
    let replay = Replay::new(Walker::new(Arc::clone(&catalog), from), end);

    let found = Found {
        catalog,
        identity,
        active: layout.active,
        next: layout.next,
        number_next,
        spares: spares(&**storage, options, &listed)?,
        slots,
        damaged_files: damaged.len(),
    };
    let mut store = Store::new(options.segment_bytes, found)?;
    store.replenish()?;
    let recovered = Recovered {
        tag: String::from_utf8_lossy(&identity.tag).into_owned(),
        created,
        snapshot: snapshot.map(|snapshot| snapshot.state),
        replay,
        next: Sequence(layout.next),
        damage,
        tail_cut_bytes: layout.cut_bytes,
    };
    Ok((store, recovered))
}

fn check(options: &Options) -> Result<(), JournalError> {
    let out_of_bounds = |option, value, bounds| Err(JournalError::Option { option, value, bounds });
    let segment = options.segment_bytes;
    if !(16 << 10..=64 << 20).contains(&segment) || !u64::from(segment).is_multiple_of(PAGE_BYTES) {
        return out_of_bounds(
            "segment_bytes",
            segment.into(),
            "16 KiB to 64 MiB and a multiple of 4096",
        );
    }
    if options.reserve_bytes > 1 << 40 {
        return out_of_bounds("reserve_bytes", options.reserve_bytes, "at most 1 TiB");
    }
    if !(1..=1024).contains(&options.commit_records) {
        return out_of_bounds("commit_records", options.commit_records.into(), "1 to 1024");
    }
    if !(256 << 10..=256 << 20).contains(&options.queue_bytes) {
        return out_of_bounds("queue_bytes", options.queue_bytes.into(), "256 KiB to 256 MiB");
    }
    Ok(())
}

fn list(storage: &dyn Storage, damaged: bool) -> Result<Vec<Listed>, JournalError> {
    storage
        .list(damaged)
        .map_err(|e| JournalError::storage("list", storage.path(), e))
}

/// The number in a name such as `0000000012.segment`.
fn number_in(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // Nineteen digits and a successor always fit.
    let number = if plain && digits.len() <= 19 {
        digits.parse().ok()?
    } else {
        return None;
    };
    (name == format!("{number:010}{suffix}")).then_some(number)
}

fn candidates(storage: &dyn Storage, listed: &[Listed]) -> Result<Vec<Candidate>, JournalError> {
    let mut candidates = Vec::new();
    for Listed { name, bytes } in listed {
        let Some(number) = number_in(name, ".segment") else {
            continue;
        };
        let file = storage
            .open(name)
            .map_err(|e| JournalError::storage("open", storage.path().join(name), e))?;
        candidates.push(Candidate {
            number,
            bytes: *bytes,
            header: SegmentHeader::read(&*file, number)?,
            file,
        });
    }
    candidates.sort_by_key(|candidate| candidate.number);
    Ok(candidates)
}

/// Who this journal is: by its tag file, else by its newest segment that tells, else newly drawn.
fn identity(
    storage: &dyn Storage,
    candidates: &[Candidate],
    damage: &mut Vec<Damage>,
) -> Result<(Identity, bool), JournalError> {
    if let Some(identity) = read_tag(storage)? {
        return Ok((identity, false));
    }
    let told = candidates.iter().rev().find_map(|candidate| candidate.header);
    let known = told.map(|header| header.identity);
    let identity = known.unwrap_or_else(|| {
        let mut random = rand::rng();
        let mut tag = [0; 4];
        tag.copy_from_slice(format!("{:04x}", random.random::<u16>()).as_bytes());
        let id = random.random();
        Identity { tag, id }
    });
    if known.is_some() || !candidates.is_empty() {
        damage.push(Damage {
            first: Sequence(0),
            next: Sequence(0),
            file: TAG.to_owned(),
            reason: if known.is_some() {
                "it was unreadable and has been restored from a segment".to_owned()
            } else {
                "neither it nor any segment tells which journal this is: begun anew".to_owned()
            },
        });
    }
    write_tag(storage, identity).map_err(|e| JournalError::storage("write", storage.path().join(TAG), e))?;
    Ok((identity, known.is_none()))
}

fn tag_line(identity: Identity) -> String {
    let content = format!("tag {} id {:016x}", String::from_utf8_lossy(&identity.tag), identity.id);
    format!("{content} crc32c {:08x}\n", crc32c::crc32c(content.as_bytes()))
}

fn read_tag(storage: &dyn Storage) -> Result<Option<Identity>, JournalError> {
    let failed = |e| JournalError::storage("open", storage.path().join(TAG), e);
    let file = match storage.open(TAG) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = [0; TAG_FILE_BYTES];
    // What the disk can not give back is as good as rotted.
    let read = file.read_at(0, &mut bytes).unwrap_or_default();
    let parse = |text: &str| -> Option<Identity> {
        let mut words = text.split(' ');
        let tag = words.nth(1)?.as_bytes().try_into().ok()?;
        let id = u64::from_str_radix(words.nth(1)?, 16).ok()?;
        Some(Identity { tag, id })
    };
    let text = std::str::from_utf8(&bytes[..read]).unwrap_or_default();
    Ok(parse(text).filter(|identity| tag_line(*identity) == text))
}

fn write_tag(storage: &dyn Storage, identity: Identity) -> std::io::Result<()> {
    let line = tag_line(identity);
    let file = storage.create(TAG_MAKING, line.len() as u64)?;
    file.write_at(0, line.as_bytes())?;
    file.sync()?;
    storage.rename(TAG_MAKING, TAG)?;
    storage.sync_names()
}

fn unreadable_header(candidate: &Candidate) -> Damage {
    Damage {
        first: Sequence(0),
        next: Sequence(0),
        file: file_name(candidate.number),
        reason: if candidate.bytes == 0 {
            "the file is empty".to_owned()
        } else {
            "its header does not verify, or is another journal's".to_owned()
        },
    }
}

/// The segments in order, each with what is known of its ends.
#[derive(Debug)]
struct Layout {
    segments: VecDeque<Segment>,
    active: Option<Active>,
    next: u64,
    cut_bytes: u64,
}

/// The ends of the last segments, from the last one back to one that tells its sequences.
fn find_tails(candidates: &[Candidate], identity: Identity) -> Vec<Tail> {
    let mut tails = Vec::new();
    for candidate in candidates.iter().rev() {
        let tail = find_tail(candidate, Seed::new(identity.id, candidate.number));
        let certain = tail.certain;
        tails.push(tail);
        if certain {
            break;
        }
    }
    tails
}

/// Makes the disk what is believed of it.
///
/// A failed sync may have left the last frame, the newest snapshot or the names in memory only: the journal ended with
/// it, so no other. They are written again. And a torn frame's header goes, so that it can not be taken for a frame that
/// was durable, once others stand behind it.
fn settle(storage: &dyn Storage, slots: &Slots, newest: Option<(&Candidate, &Tail)>) -> Result<(), JournalError> {
    if let Some((candidate, tail)) = newest {
        settle_tail(candidate, tail)
            .map_err(|e| JournalError::storage("write", storage.path().join(file_name(candidate.number)), e))?;
    }
    slots.settle()?;
    storage
        .sync_names()
        .map_err(|e| JournalError::storage("sync", storage.path(), e))
}

fn settle_tail(candidate: &Candidate, tail: &Tail) -> std::io::Result<()> {
    if let Some((offset, bytes)) = tail.last {
        write_again(&*candidate.file, offset, bytes)?;
    }
    if tail.cut_bytes > 0 && !tail.doubtful {
        candidate.file.write_at(tail.place.offset, &[0; HEADER_BYTES])?;
        candidate.file.sync()?;
    }
    Ok(())
}

fn lay_out(
    candidates: Vec<Candidate>,
    tails: &[Tail],
    identity: Identity,
    slots: &Slots,
    segment_bytes: u64,
) -> Layout {
    let seed = |number| Seed::new(identity.id, number);
    let mut next = tails.last().map_or(0, |tail| tail.place.sequence);
    let told = candidates.len() - tails.len();
    let mut segments = VecDeque::with_capacity(candidates.len());
    for (candidate, tail) in candidates[told..].iter().zip(tails.iter().rev()) {
        let first = first_sequence(candidate, seed(candidate.number)).unwrap_or(next);
        if tail.doubtful {
            next += candidate.bytes.max(segment_bytes) / BYTES_PER_SEQUENCE;
        }
        segments.push_back(Segment {
            number: candidate.number,
            first,
            next,
            bytes: candidate.bytes,
            limit: tail.place.offset.min(candidate.bytes),
            frames: Some(tail.place.index),
            damaged: tail.doubtful || candidate.header.is_none(),
        });
    }
    for at in (0..told).rev() {
        let candidate = &candidates[at];
        let following = &candidates[at + 1];
        let following_first = segments.front().map_or(next, |segment: &Segment| segment.first);
        let first = first_sequence(candidate, seed(candidate.number));
        let frames = following.header.map(|header| header.frames_before);
        segments.push_front(Segment {
            number: candidate.number,
            first: first.unwrap_or(following_first).min(following_first),
            next: following_first,
            bytes: candidate.bytes,
            limit: candidate.bytes,
            frames: frames.filter(|_| following.number == candidate.number + 1),
            damaged: candidate.header.is_none(),
        });
    }
    finish(candidates, segments, tails.first(), slots, next)
}

/// Decides whether the last segment is written further.
fn finish(
    mut candidates: Vec<Candidate>,
    mut segments: VecDeque<Segment>,
    tail: Option<&Tail>,
    slots: &Slots,
    next: u64,
) -> Layout {
    let snapshot_next = slots.newest().map_or(0, |position| position.place.sequence);
    let next = next.max(snapshot_next);
    if let Some(last) = segments.back_mut() {
        last.next = next;
    }
    let mut layout = Layout {
        segments,
        active: None,
        next,
        cut_bytes: tail.map_or(0, |tail| tail.cut_bytes),
    };
    if let (Some(tail), Some(last)) = (tail, candidates.pop()) {
        // Frames written before a snapshot's position would never be replayed.
        let after_snapshots = slots
            .newest()
            .is_none_or(|position| (position.segment, position.place.offset) <= (last.number, tail.place.offset));
        if let (Some(header), false, true) = (last.header, tail.doubtful, after_snapshots) {
            layout.active = Some(Active {
                file: last.file,
                number: last.number,
                first: header.first,
                bytes: last.bytes,
                place: tail.place,
            });
        }
    }
    layout
}

/// Reads a segment whole, to find its end.
fn find_tail(candidate: &Candidate, seed: Seed) -> Tail {
    let begin = Place::begin(candidate.header.map_or(0, |header| header.first));
    let mut scanner = Scanner::new(Arc::clone(&candidate.file), seed, begin, candidate.bytes, None);
    let mut whole = begin;
    let mut last = None;
    while let Some(frame) = scanner.next_frame() {
        whole = scanner.place();
        last = Some((frame.offset, frame.header.frame_bytes()));
    }
    // A frame with a good header was begun after all before it were durable; it alone may be torn.
    let torn = scanner
        .broken()
        .filter(|broken| broken.index >= whole.index && broken.offset >= whole.offset);
    let cut_bytes = torn.map_or(0, |torn| scanner.place().offset.min(candidate.bytes) - torn.offset);
    let truncated = candidate.header.is_some_and(|header| candidate.bytes < header.bytes);
    let certain = candidate.header.is_some() || last.is_some() || torn.is_some();
    Tail {
        place: torn.unwrap_or(whole),
        cut_bytes,
        last,
        certain,
        doubtful: !certain || truncated || scanner.unreadable(),
    }
}

/// Sequence with which a segment begins, by its header or else by the first frame that verifies.
fn first_sequence(candidate: &Candidate, seed: Seed) -> Option<u64> {
    if let Some(header) = &candidate.header {
        return Some(header.first);
    }
    if candidate.number == 1 {
        return Some(0);
    }
    let begin = Place::begin(0);
    let mut scanner = Scanner::new(Arc::clone(&candidate.file), seed, begin, candidate.bytes, None);
    scanner.next_frame().map(|frame| frame.header.first)
}

/// A number that no segment had, whatever became of it.
fn number_next(layout: &Layout, damaged: &[Listed], slots: &Slots) -> u64 {
    let last = layout.segments.back().map_or(0, |segment| segment.number);
    let aside = damaged
        .iter()
        .filter_map(|file| number_in(&file.name, ".segment"))
        .max();
    let written = last.max(aside.unwrap_or_default());
    // A snapshot taken between two segments names the coming one.
    let named = slots.newest().map_or(0, |position| match position.place.index {
        0 => position.segment,
        _ => position.segment + 1,
    });
    named.max(written + 1)
}

/// Where replay begins; tells when that is not where it should.
fn replay_position(
    catalog: &Catalog,
    snapshot: Option<&Snapshot>,
    slots: &Slots,
    created: bool,
    damage: &mut Vec<Damage>,
) -> Position {
    let first = catalog.at_or_after(0);
    if let Some(Snapshot { position, .. }) = snapshot {
        if first.is_none() && position.place.index > 0 {
            damage.push(Damage {
                first: Sequence(position.place.sequence),
                next: Sequence(position.place.sequence),
                file: file_name(position.segment),
                reason: "the file is missing, and so is every other segment".to_owned(),
            });
        }
        return *position;
    }
    let lost = !created && first.map_or(slots.ever_saved(), |segment| segment.number > 1);
    if lost {
        damage.push(Damage {
            first: Sequence(0),
            next: Sequence(0),
            file: super::snapshot::SLOTS[0].to_owned(),
            reason: "neither snapshot verifies, and the entries before the oldest segment are gone".to_owned(),
        });
    }
    Position {
        segment: first.map_or(1, |segment| segment.number),
        place: Place::begin(first.map_or(0, |segment| segment.first)),
    }
}

/// Reads everything that will be replayed, a frame at a time, and tells what is missing.
fn holes(catalog: &Arc<Catalog>, from: Position) -> Result<Vec<Damage>, JournalError> {
    let mut walker = Walker::new(Arc::clone(catalog), from);
    let mut holes = Vec::new();
    while let Some(step) = walker.step()? {
        if let Step::Hole(hole) = step {
            holes.push(hole);
        }
    }
    Ok(holes)
}

/// The spares on disk. One of another length, or beyond what is kept, is removed: there is nothing in it.
fn spares(storage: &dyn Storage, options: &Options, listed: &[Listed]) -> Result<Spares, JournalError> {
    let mut numbers: Vec<(u64, u64)> = listed
        .iter()
        .filter_map(|file| Some((number_in(&file.name, ".spare")?, file.bytes)))
        .collect();
    numbers.sort_unstable();
    let reserve = options.reserve_bytes.div_ceil(u64::from(options.segment_bytes));
    let mut spares = Spares {
        names: VecDeque::new(),
        number_next: numbers.last().map_or(1, |(number, _)| number + 1),
        reserve: usize::try_from(reserve).unwrap_or(usize::MAX),
    };
    for (number, bytes) in numbers {
        let name = format!("{number:010}.spare");
        if bytes == u64::from(options.segment_bytes) {
            spares.names.push_back(name);
        } else {
            storage
                .remove(&name)
                .map_err(|e| JournalError::storage("remove", storage.path().join(name), e))?;
        }
    }
    Ok(spares)
}
