//! From states to records: what is written down, and how often.
//!
//! Each hour, counted from its first record, has room for [`RECORDS_PER_HOUR_MAX`]. Further changes are only counted.
//! When the hour is over, one record has their number, and then what is the case is written if it is not what was
//! written last.

use std::time::Duration;

use super::event::{Cause, Evidence, Record, State, Tampering};

/// Changes of one camera written down in an hour. Further ones are counted, and the count is written when it is over.
pub const RECORDS_PER_HOUR_MAX: u32 = 6;
const HOUR: Duration = Duration::from_secs(3_600);

/// What a reader of the records takes the camera to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Nothing to be written.
    Good,
    /// No usable stream.
    Lost {
        /// When the last frame came.
        last_frame: Option<Duration>,
        /// Why.
        cause: Cause,
    },
    /// A bad picture.
    Tampered {
        /// In which way.
        what: Tampering,
        /// Since when.
        since: Duration,
        /// The numbers.
        evidence: Vec<Evidence>,
    },
}

impl Standing {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Good, Self::Good) | (Self::Lost { .. }, Self::Lost { .. }) => true,
            (Self::Tampered { what, .. }, Self::Tampered { what: other, .. }) => what == other,
            _ => false,
        }
    }
}

/// In which way a state is tampering.
pub fn tampering(state: State) -> Option<Tampering> {
    match state {
        State::Black => Some(Tampering::Black),
        State::Blurred => Some(Tampering::Blurred),
        State::Moved => Some(Tampering::Moved),
        State::Frozen => Some(Tampering::Frozen),
        _ => None,
    }
}

#[derive(Debug, Clone)]
pub struct Damper {
    /// What was written last.
    written: Standing,
    /// What is the case.
    standing: Standing,
    /// Since when.
    since: Duration,
    hour: Option<Duration>,
    records: u32,
    unwritten: u32,
}

impl Damper {
    pub fn new() -> Self {
        Self {
            written: Standing::Good,
            standing: Standing::Good,
            since: Duration::ZERO,
            hour: None,
            records: 0,
            unwritten: 0,
        }
    }

    /// Takes what is the case at `now`, and gives what is to be written.
    pub fn step(&mut self, now: Duration, standing: Standing) -> Vec<Record> {
        let mut records = self.close_hour(now);
        if !standing.is_same(&self.standing) {
            self.since = now;
            self.standing = standing;
            if self.records < RECORDS_PER_HOUR_MAX {
                records.extend(self.write(now));
            } else {
                self.unwritten = self.unwritten.saturating_add(1);
            }
        }
        records
    }

    /// It is not known what is the case: only an hour may be over.
    pub fn wait(&mut self, now: Duration) -> Vec<Record> {
        self.close_hour(now)
    }

    fn close_hour(&mut self, now: Duration) -> Vec<Record> {
        let Some(hour) = self.hour.filter(|hour| now >= hour.saturating_add(HOUR)) else {
            return Vec::new();
        };
        let changes = std::mem::take(&mut self.unwritten);
        (self.hour, self.records) = (None, 0);
        if changes == 0 {
            return Vec::new();
        }
        let mut records = vec![Record::CameraUnsteady { since: hour, changes }];
        records.extend(self.write(now));
        records
    }

    /// Writes what leads from what was written to what is the case.
    fn write(&mut self, now: Duration) -> Vec<Record> {
        if self.standing.is_same(&self.written) {
            return Vec::new();
        }
        self.hour.get_or_insert(now);
        self.records = self.records.saturating_add(1);
        let mut records = Vec::new();
        // From one kind of tampering to another nothing was restored in between.
        if matches!(self.written, Standing::Lost { .. }) || self.standing == Standing::Good {
            records.push(Record::CameraRestored { at: self.since });
        }
        match self.standing.clone() {
            Standing::Good => {}
            Standing::Lost { last_frame, cause } => records.push(Record::CameraLost { last_frame, cause }),
            Standing::Tampered { what, since, evidence } => {
                records.push(Record::CameraTampered { what, since, evidence });
            }
        }
        self.written = self.standing.clone();
        records
    }
}
