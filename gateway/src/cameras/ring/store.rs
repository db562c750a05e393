//! The ring itself: what is written, when a file ends, and what is removed.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::error::RingError;
use super::format::{HEAD_BYTES, Head, SUMMARY_BYTES, Summary};
use super::fragment::{Checked, Fragment};
use super::init::Init;
use super::limits::{Counters, Limits, State};
use super::recovery::{Recovered, last_certain_time, recover};
use super::segment::{Segment, SegmentId, SegmentIndex};
use super::storage::{Directory, SegmentFile, Storage, segment_path};
use super::time::{ClockQuality, difference, elapsed, ticks_to_duration};

/// A step of the stream's timeline, or of the times against it, that begins a new file.
pub(super) const STEP_MIN: Duration = Duration::from_secs(1);

/// What became of a fragment that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The file it is in.
    pub segment: SegmentId,
    /// Whether it is the first in this file.
    pub is_first: bool,
    /// Its frames.
    pub frames: u64,
    /// Files that were removed to make room.
    pub removed: Vec<SegmentId>,
}

/// The stream since the worker's start.
#[derive(Debug)]
struct Stream {
    init: Init,
    /// Sequence of its first file; `None` before that.
    run: Option<SegmentId>,
}

/// The file that is being written.
#[derive(Debug)]
struct OpenSegment {
    file: Box<dyn SegmentFile>,
    segment: Segment,
    /// Decode time at which the last frame ends, ticks.
    decode_end: u64,
}

/// The recording of one stream of one camera.
#[derive(Debug)]
pub struct Ring {
    storage: Box<dyn Storage>,
    index: Box<dyn SegmentIndex>,
    limits: Limits,
    /// By sequence.
    sealed: VecDeque<Segment>,
    /// Length of these files.
    sealed_bytes: u64,
    open: Option<OpenSegment>,
    stream: Option<Stream>,
    next: u64,
    state: State,
    counters: Counters,
    names_changed: bool,
}

impl Ring {
    /// Opens the ring in a folder, which no other process may have open, and repairs it.
    pub fn open(
        folder: &Path,
        limits: Limits,
        index: impl SegmentIndex + 'static,
    ) -> Result<(Self, Recovered), RingError> {
        let storage = Directory::open(folder).map_err(|source| RingError::Storage {
            action: "make the folder",
            path: folder.to_owned(),
            source,
        })?;
        Self::open_on(Box::new(storage), limits, Box::new(index))
    }

    /// Opens a ring on any storage.
    pub fn open_on(
        storage: Box<dyn Storage>,
        limits: Limits,
        index: Box<dyn SegmentIndex>,
    ) -> Result<(Self, Recovered), RingError> {
        limits.check()?;
        let (found, recovered) = recover(storage.as_ref(), index.as_ref()).map_err(|source| RingError::Storage {
            action: "read the folder",
            path: storage.path().to_owned(),
            source,
        })?;
        let ring = Self {
            storage,
            index,
            limits,
            sealed_bytes: found.segments.iter().fold(0, |sum, s| sum.saturating_add(s.bytes)),
            sealed: found.segments.into(),
            open: None,
            stream: None,
            next: found.last.map_or(1, |last| last.0.saturating_add(1)),
            state: State::Idle,
            counters: Counters::default(),
            names_changed: false,
        };
        Ok((ring, recovered))
    }

    /// Begins a run of the worker with its init segment. The next fragment begins a new file.
    pub fn begin(&mut self, init: &Bytes) -> Result<(), RingError> {
        self.seal();
        self.stream = None;
        let init = Init::parse(init).map_err(|source| RingError::Invalid {
            path: self.storage.path().to_owned(),
            part: "init segment".to_owned(),
            source,
        })?;
        self.stream = Some(Stream { init, run: None });
        Ok(())
    }

    /// Records a fragment: when this returns, it is on disk. If it cannot be recorded it is dropped and counted.
    pub fn append(&mut self, fragment: &Fragment) -> Result<Appended, RingError> {
        let result = self.record(fragment);
        match &result {
            Ok(appended) => {
                self.state = State::Recording;
                self.counters.fragments += 1;
                self.counters.frames += appended.frames;
            }
            Err(error) => {
                self.counters.fragments_dropped += 1;
                self.state = match error {
                    RingError::NoSpace { free_bytes, .. } => State::NoSpace {
                        free_bytes: *free_bytes,
                    },
                    other => State::Failing {
                        reason: other.to_string(),
                    },
                };
            }
        }
        result
    }

    fn record(&mut self, fragment: &Fragment) -> Result<Appended, RingError> {
        let Some(stream) = &self.stream else {
            return Err(RingError::NotBegun {
                path: self.storage.path().to_owned(),
            });
        };
        let checked = Checked::check(self.storage.path(), &stream.init, fragment)?;
        let file_bytes = stream.init.bytes().len() as u64 + (HEAD_BYTES + SUMMARY_BYTES) as u64 + checked.bytes;
        if file_bytes > self.limits.segment_bytes_max {
            return Err(RingError::TooLarge {
                path: self.storage.path().to_owned(),
                bytes: checked.bytes,
                bytes_max: self.limits.segment_bytes_max,
            });
        }
        if self.must_rotate(&checked) {
            self.seal();
        }
        // The summary is accounted for before it is written.
        let removed = self.make_room(file_bytes);
        self.sync_names();
        let mut removed = removed?;
        let writing = self.open.as_ref().map(|open| open.segment.id);
        let mut written = self.write(&checked);
        if written.as_ref().err().is_some_and(is_disk_full) {
            // No floor, or a quota below it: the ring lives on the space it has.
            let mut bytes = 0;
            while bytes < file_bytes && self.sealed.front().is_some_and(|oldest| Some(oldest.id) != writing) {
                let Some(oldest) = self.remove_oldest()? else { break };
                bytes += oldest.bytes;
                removed.push(oldest.id);
            }
            self.sync_names();
            if bytes > 0 {
                written = self.write(&checked);
            }
        }
        self.sync_names();
        let is_first = written?;
        let segment = self.open.as_ref().map_or(SegmentId(self.next), |open| open.segment.id);
        Ok(Appended {
            segment,
            is_first,
            frames: checked.frames,
            removed,
        })
    }

    /// Whether the fragment must begin a new file.
    fn must_rotate(&self, fragment: &Checked<'_>) -> bool {
        let (Some(open), Some(stream)) = (&self.open, &self.stream) else {
            return false;
        };
        let timescale = stream.init.info().timescale;
        let segment = &open.segment;
        // A jump that time and timeline share, such as an interruption, as well as a step of one against the other.
        let timeline_step = ticks_to_duration(fragment.decode_time.abs_diff(open.decode_end), timescale);
        let time_step = difference(segment.to, fragment.at).unsigned_abs();
        segment.clock != fragment.clock
            || timeline_step > STEP_MIN
            || time_step > STEP_MIN
            || elapsed(segment.from, fragment.to) > self.limits.segment_duration_max
            || segment.bytes + fragment.bytes + SUMMARY_BYTES as u64 > self.limits.segment_bytes_max
    }

    /// Writes to the open file, or to a new one. Gives whether it is a new one.
    fn write(&mut self, fragment: &Checked<'_>) -> Result<bool, RingError> {
        let Some(mut open) = self.open.take() else {
            self.write_first(fragment)?;
            return Ok(true);
        };
        let written = open
            .file
            .append(&mut fragment.parts(&[], &[]))
            .and_then(|()| open.file.sync());
        if let Err(source) = written {
            // After a failed sync nobody knows what is on disk: this file ends where it was known to be whole.
            self.counters.write_errors += 1;
            let id = open.segment.id;
            self.abandon(open);
            return Err(self.failed("write", id, source));
        }
        let segment = &mut open.segment;
        segment.bytes += fragment.bytes;
        segment.to = fragment.to;
        segment.fragments = segment.fragments.saturating_add(1);
        segment.frames += fragment.frames;
        open.decode_end = fragment.decode_end;
        self.open = Some(open);
        Ok(false)
    }

    /// Begins a file with a fragment.
    fn write_first(&mut self, fragment: &Checked<'_>) -> Result<(), RingError> {
        let Some(stream) = &mut self.stream else {
            let path = self.storage.path().to_owned();
            return Err(RingError::NotBegun { path });
        };
        let id = SegmentId(self.next);
        // Used up even if it fails, so that no leftover can be in the way twice.
        self.next = self.next.saturating_add(1);
        let run = stream.run.unwrap_or(id);
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let head_box = Head {
            clock: fragment.clock,
            sequence: id.0,
            run: run.0,
        };
        head_box.write(&mut head);
        let mut file = match self.storage.create(id) {
            Ok(file) => file,
            Err(source) => {
                self.counters.write_errors += 1;
                return Err(self.failed("make", id, source));
            }
        };
        self.names_changed = true;
        let written = file
            .append(&mut fragment.parts(stream.init.bytes(), &head))
            .and_then(|()| file.sync());
        if let Err(source) = written {
            self.counters.write_errors += 1;
            // What cannot be removed now is removed or repaired when the ring is opened again.
            self.storage.remove(id).unwrap_or_default();
            return Err(self.failed("write", id, source));
        }
        stream.run = Some(run);
        self.open = Some(OpenSegment {
            file,
            segment: Segment {
                id,
                from: fragment.at,
                to: fragment.to,
                clock: fragment.clock,
                existed_at: None,
                bytes: stream.init.bytes().len() as u64 + HEAD_BYTES as u64 + fragment.bytes,
                fragments: 1,
                frames: fragment.frames,
                codec: stream.init.info().codec.clone(),
            },
            decode_end: fragment.decode_end,
        });
        Ok(())
    }

    fn failed(&self, action: &'static str, id: SegmentId, source: io::Error) -> RingError {
        RingError::Storage {
            action,
            path: segment_path(self.storage.path(), id),
            source,
        }
    }

    /// Removes the oldest files until a fragment of `bytes` more fits under the caps.
    fn make_room(&mut self, bytes: u64) -> Result<Vec<SegmentId>, RingError> {
        let mut removed = Vec::new();
        while self.bytes().saturating_add(bytes) > self.limits.bytes_max {
            let Some(oldest) = self.remove_oldest()? else { break };
            removed.push(oldest.id);
        }
        loop {
            let free_bytes = self.storage.free_bytes().map_err(|source| RingError::Storage {
                action: "ask for the free space of",
                path: self.storage.path().to_owned(),
                source,
            })?;
            if free_bytes >= self.limits.free_bytes_min.saturating_add(bytes) {
                return Ok(removed);
            }
            if let Some(oldest) = self.remove_oldest()? {
                removed.push(oldest.id);
                continue;
            }
            // Ended, so that its space can be given back as well when the next fragment comes.
            self.seal();
            return Err(RingError::NoSpace {
                path: self.storage.path().to_owned(),
                free_bytes,
                free_bytes_min: self.limits.free_bytes_min,
            });
        }
    }

    /// Removes the oldest files until as much space is free as there must be: for a ring that is written no more.
    pub fn yield_space(&mut self) -> Result<(), RingError> {
        match self.make_room(0) {
            Err(RingError::NoSpace { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the oldest file that is not being written.
    fn remove_oldest(&mut self) -> Result<Option<Segment>, RingError> {
        let Some(oldest) = self.sealed.pop_front() else {
            return Ok(None);
        };
        if let Err(source) = self.storage.remove(oldest.id) {
            let path = segment_path(self.storage.path(), oldest.id);
            self.sealed.push_front(oldest);
            return Err(RingError::Storage {
                action: "remove",
                path,
                source,
            });
        }
        self.sealed_bytes = self.sealed_bytes.saturating_sub(oldest.bytes);
        self.index.remove(oldest.id);
        self.names_changed = true;
        self.counters.segments_removed += 1;
        // The number is the index's.
        self.counters.frames_removed = self.counters.frames_removed.saturating_add(oldest.frames);
        Ok(Some(oldest))
    }

    /// Removes what is too old, ends the file of a stream that stopped, and notes by when files of unsure times existed.
    /// Does nothing unless `clock` is synchronised (or simulated, for files of simulated times). To be called about once
    /// a minute, whether or not the camera delivers.
    pub fn maintain(&mut self, now: Timestamp, clock: ClockQuality) -> Result<Vec<SegmentId>, RingError> {
        if !matches!(clock, ClockQuality::Synced | ClockQuality::Simulated) {
            return Ok(Vec::new());
        }
        let stale = |open: &OpenSegment| {
            open.segment.clock.is_comparable_with(clock)
                && elapsed(open.segment.to, now) > self.limits.segment_duration_max
        };
        if self.open.as_ref().is_some_and(stale) {
            self.seal();
        }
        let mut expired = 0;
        for (position, segment) in self.sealed.iter_mut().enumerate() {
            if last_certain_time(segment, clock).is_none() {
                segment.existed_at = Some(now);
                self.index.put(segment);
            }
            let age = last_certain_time(segment, clock).map_or(Duration::ZERO, |time| elapsed(time, now));
            if self.limits.age_max.is_some_and(|age_max| age > age_max) {
                // Whatever was written before is older still, whatever its times say.
                expired = position + 1;
            }
        }
        let mut removed = Vec::new();
        for _ in 0..expired {
            removed.extend(self.remove_oldest()?.map(|oldest| oldest.id));
        }
        self.sync_names();
        Ok(removed)
    }

    /// Ends the open file with a summary, and tells the index.
    fn seal(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let segment = &open.segment;
        let mut summary = Vec::with_capacity(SUMMARY_BYTES);
        let summary_box = Summary {
            clock: segment.clock,
            fragments: segment.fragments,
            frames: segment.frames,
            from: segment.from,
            to: segment.to,
            offset: segment.bytes,
        };
        summary_box.write(&mut summary);
        // Not synced: if it is lost, the file is read when the ring is opened, and nothing more.
        if open.file.append(&mut [io::IoSlice::new(&summary)]).is_err() {
            self.counters.write_errors += 1;
            self.abandon(open);
            return;
        }
        open.segment.bytes += SUMMARY_BYTES as u64;
        self.index.put(&open.segment);
        self.push_sealed(open.segment);
    }

    fn push_sealed(&mut self, segment: Segment) {
        self.sealed_bytes = self.sealed_bytes.saturating_add(segment.bytes);
        self.sealed.push_back(segment);
    }

    /// Ends a file that cannot be written any more, behind its last whole fragment.
    fn abandon(&mut self, open: OpenSegment) {
        let cut = open.file.truncate(open.segment.bytes).and_then(|()| open.file.sync());
        if cut.is_ok() {
            self.index.put(&open.segment);
        }
        // Where it could not be cut, its length is not what the index knows, so that the next opening reads it.
        self.push_sealed(open.segment);
    }

    fn sync_names(&mut self) {
        if self.names_changed {
            match self.storage.sync_names() {
                Ok(()) => self.names_changed = false,
                Err(_) => self.counters.write_errors += 1,
            }
        }
    }

    /// Ends the open file. A ring that is dropped without this loses nothing, but opening it takes longer.
    pub fn close(mut self) {
        self.seal();
    }

    /// All segments by sequence, the one that is being written last.
    pub fn segments(&self) -> Vec<Segment> {
        let open = self.open.as_ref().map(|open| &open.segment);
        self.sealed.iter().chain(open).cloned().collect()
    }

    /// The ring's folder.
    pub fn folder(&self) -> &Path {
        self.storage.path()
    }

    /// Length of all files, bytes.
    pub fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.segment.bytes);
        self.sealed_bytes.saturating_add(open)
    }

    /// Number of files, the time of the oldest frame, and the time at which the newest ends.
    pub fn extent(&self) -> (usize, Option<(Timestamp, Timestamp)>) {
        let open = self.open.as_ref().map(|open| &open.segment);
        let files = self.sealed.len() + usize::from(open.is_some());
        let ends = self.sealed.front().or(open).zip(open.or(self.sealed.back()));
        (files, ends.map(|(oldest, newest)| (oldest.from, newest.to)))
    }

    /// Whether it records, and why not.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What happened since it was opened.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

fn is_disk_full(error: &RingError) -> bool {
    let RingError::Storage { source, .. } = error else {
        return false;
    };
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
