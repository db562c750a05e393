//! Reading back: one walk over the segments, used by readers of records, by replay, and by the check at opening.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::catalog::{Catalog, Segment};
use super::error::JournalError;
use super::frame::take_entry;
use super::segment::{Frame, Place, Scanner, file_name};
use super::snapshot::Position;
use super::{Damage, Entry, EntryKind, Sequence};

/// What comes next on a walk.
#[derive(Debug)]
pub(super) enum Step {
    /// A commit, in the segment of this number.
    Frame(u64, Frame),
    /// Something is missing.
    Hole(Damage),
}

/// Goes over all frames from a position to the durable tip, and tells every hole on the way.
#[derive(Debug)]
pub(super) struct Walker {
    catalog: Arc<Catalog>,
    /// The segment that is, or is to be, read.
    number: u64,
    /// The frame that should come next.
    expected: Place,
    scanner: Option<Scanner>,
    /// A frame found behind a hole that is told first.
    pending: Option<Frame>,
}

impl Walker {
    pub(super) fn new(catalog: Arc<Catalog>, from: Position) -> Self {
        Self {
            catalog,
            number: from.segment,
            expected: from.place,
            scanner: None,
            pending: None,
        }
    }

    /// The next step; `None` at the durable tip, where more may come later.
    pub(super) fn step(&mut self) -> Result<Option<Step>, JournalError> {
        loop {
            if let Some(frame) = self.pending.take() {
                return Ok(Some(self.accept(frame)));
            }
            let Some(segment) = self.catalog.at_or_after(self.number) else {
                return Ok(None);
            };
            if segment.number > self.number {
                if let Some(hole) = self.enter(&segment) {
                    return Ok(Some(Step::Hole(hole)));
                }
                continue;
            }
            let Some(frame) = self.scan(&segment)? else {
                // Looked at in this order: if there is a following segment, this one was complete before.
                let following = self.catalog.at_or_after(self.number + 1);
                if self.catalog.at_or_after(self.number) != Some(segment) {
                    // It grew, or it was released and what was read in it last means nothing.
                    continue;
                }
                if let Some(hole) = self.missing_at_end(&segment, following.as_ref()) {
                    return Ok(Some(Step::Hole(hole)));
                }
                let Some(following) = following else {
                    return Ok(None);
                };
                self.leave_for(&following);
                continue;
            };
            self.pending = Some(frame);
            if let Some(hole) = self.missing_before_pending(&segment) {
                return Ok(Some(Step::Hole(hole)));
            }
        }
    }

    fn accept(&mut self, frame: Frame) -> Step {
        self.expected.index = frame.header.index + 1;
        self.expected.sequence = frame.header.next();
        Step::Frame(self.number, frame)
    }

    fn scan(&mut self, segment: &Segment) -> Result<Option<Frame>, JournalError> {
        if let Some(scanner) = &mut self.scanner {
            scanner.extend(segment.limit, segment.frames);
            return Ok(scanner.next_frame());
        }
        let name = file_name(segment.number);
        let file = match self.catalog.storage.open(&name) {
            Ok(file) => file,
            // Released between the look and the opening, or removed by a foreign hand: the caller looks again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let path = self.catalog.storage.path().join(name);
                return Err(JournalError::storage("open", path, error));
            }
        };
        let seed = self.catalog.seed(segment.number);
        let scanner = Scanner::new(file, seed, self.expected, segment.limit, segment.frames);
        Ok(self.scanner.insert(scanner).next_frame())
    }

    fn leave_for(&mut self, following: &Segment) {
        self.scanner = None;
        self.number += 1;
        if following.number == self.number {
            self.expected = Place::begin(following.first);
        }
    }

    /// Goes on in `segment` although others were due; gives the hole, unless they were released.
    fn enter(&mut self, segment: &Segment) -> Option<Damage> {
        let released = self.catalog.released();
        let first = self.expected.sequence.max(released);
        let hole = Damage {
            first: Sequence(first),
            next: Sequence(segment.first.max(first)),
            file: file_name(self.number),
            reason: "the file is missing".to_owned(),
        };
        self.scanner = None;
        self.number = segment.number;
        self.expected = Place::begin(segment.first);
        (hole.first < hole.next || released == 0).then_some(hole)
    }

    fn missing_before_pending(&mut self, segment: &Segment) -> Option<Damage> {
        let header = self.pending.as_ref()?.header;
        if header.index == self.expected.index && header.first <= self.expected.sequence {
            return None;
        }
        Some(self.hole_to(segment, header.index, header.first))
    }

    fn missing_at_end(&mut self, segment: &Segment, following: Option<&Segment>) -> Option<Damage> {
        if following.is_some_and(|following| following.number != segment.number + 1) {
            // Nothing tells this segment's end; the hole is that of the file that is missing behind it.
            return None;
        }
        let index = segment.frames.unwrap_or(self.expected.index).max(self.expected.index);
        if index == self.expected.index && segment.next <= self.expected.sequence {
            return None;
        }
        Some(self.hole_to(segment, index, segment.next))
    }

    fn hole_to(&mut self, segment: &Segment, index: u32, sequence: u64) -> Damage {
        self.catalog.mark_damaged(segment.number);
        let next = sequence.max(self.expected.sequence);
        let hole = Damage {
            first: Sequence(self.expected.sequence),
            next: Sequence(next),
            file: file_name(segment.number),
            reason: "a part of the file does not verify".to_owned(),
        };
        self.expected.index = index;
        self.expected.sequence = next;
        hole
    }
}

/// What a [`Reader`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A record.
    Record {
        /// Its number.
        sequence: Sequence,
        /// Its bytes, as they were appended.
        bytes: Vec<u8>,
    },
    /// Records that can not be read back, or that are not there any more.
    Lost {
        /// First sequence that is missing.
        first: Sequence,
        /// First sequence after the hole.
        next: Sequence,
        /// The file, relative to the journal's folder.
        file: String,
    },
}

/// Reads durable records in order, one frame in memory at a time. Independent of the journal's other readers.
///
/// Records that are released while a reader has not come to them are passed over without a word.
#[derive(Debug)]
pub struct Reader {
    catalog: Arc<Catalog>,
    from: u64,
    walker: Option<Walker>,
    items: VecDeque<Item>,
}

impl Reader {
    pub(super) fn new(catalog: Arc<Catalog>, from: Sequence) -> Self {
        Self {
            catalog,
            from: from.0,
            walker: None,
            items: VecDeque::new(),
        }
    }

    /// The next record or hole; `None` when all that is durable was read (see [`super::Journal::durable`]).
    ///
    /// Blocks for as long as the disk takes to give a page.
    #[allow(clippy::should_implement_trait)] // no iterator: more may come after `None`, and reading can fail
    pub fn next(&mut self) -> Result<Option<Item>, JournalError> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            let Some(walker) = &mut self.walker else {
                if self.begin() {
                    continue;
                }
                return Ok(None);
            };
            match walker.step()? {
                None => return Ok(None),
                Some(Step::Hole(hole)) => {
                    let first = hole.first.max(Sequence(self.from));
                    if first < hole.next {
                        let (next, file) = (hole.next, hole.file);
                        return Ok(Some(Item::Lost { first, next, file }));
                    }
                }
                Some(Step::Frame(_, frame)) => self.take_records(&frame),
            }
        }
    }

    /// Begins the walk, if there is a segment to begin in.
    fn begin(&mut self) -> bool {
        let Some(segment) = self.catalog.holding(self.from) else {
            return false;
        };
        if self.from < segment.first && self.from >= self.catalog.released() {
            self.items.push_back(Item::Lost {
                first: Sequence(self.from),
                next: Sequence(segment.first),
                file: file_name(segment.number.saturating_sub(1)),
            });
        }
        let position = Position {
            segment: segment.number,
            place: Place::begin(segment.first),
        };
        self.walker = Some(Walker::new(Arc::clone(&self.catalog), position));
        true
    }

    fn take_records(&mut self, frame: &Frame) {
        let mut sequence = frame.header.first;
        let mut raw = frame.raw.as_slice();
        while let Some((kind, bytes)) = take_entry(&mut raw) {
            if kind != EntryKind::Record {
                continue;
            }
            if sequence >= self.from {
                self.items.push_back(Item::Record {
                    sequence: Sequence(sequence),
                    bytes: bytes.to_vec(),
                });
            }
            sequence += 1;
        }
    }
}

/// The entries after the newest snapshot, up to where the journal ended when it was opened.
///
/// To be read before anything is released. What can not be read is passed over; [`super::Recovered::damage`] has it.
#[derive(Debug)]
pub struct Replay {
    walker: Walker,
    end: Position,
    entries: VecDeque<Entry>,
    ended: bool,
}

impl Replay {
    pub(super) fn new(walker: Walker, end: Position) -> Self {
        Self {
            walker,
            end,
            entries: VecDeque::new(),
            ended: false,
        }
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, JournalError> {
        while self.entries.is_empty() && !self.ended {
            match self.walker.step()? {
                Some(Step::Hole(_)) => {}
                Some(Step::Frame(number, frame))
                    if (number, frame.offset) < (self.end.segment, self.end.place.offset) =>
                {
                    let mut raw = frame.raw.as_slice();
                    while let Some((kind, bytes)) = take_entry(&mut raw) {
                        let bytes = bytes.to_vec();
                        self.entries.push_back(Entry { kind, bytes });
                    }
                }
                // The tip, or what was appended after the opening.
                _ => self.ended = true,
            }
        }
        Ok(self.entries.pop_front())
    }
}

impl Iterator for Replay {
    type Item = Result<Entry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next_entry();
        self.ended |= entry.is_err();
        entry.transpose()
    }
}
