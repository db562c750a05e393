//! Records for benchmarks: real sessions of a simulated street, as the tracker writes them down.

use parking::{
    BootId, ClockQuality, Input, Reading, Record, RecordBody, Report, ReportKind, SensorId, SessionId, SiteTracker,
    Stamp, Timestamp,
};

use crate::city::{self, Plan};
use crate::street::Street;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Endless session records of one street, in the order in which its box would write them.
#[derive(Debug)]
pub struct Sessions {
    day: Vec<Record>,
    prefix: String,
    next: usize,
    number: u64,
    days: i64,
}

impl Sessions {
    /// The sessions of a day of `street`, again and again, each time a day later and under new names.
    ///
    /// # Panics
    ///
    /// If the day has no session at all.
    pub fn of(street: &Street, seed: u64, start: Timestamp) -> Self {
        let day = sessions_of_a_day(street, seed, start);
        assert!(!day.is_empty(), "a day without sessions; seed {seed}");
        Self {
            day,
            prefix: format!("{}-be4c", street.site.gateway),
            next: 0,
            number: 0,
            days: 0,
        }
    }
}

impl Iterator for Sessions {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.next == self.day.len() {
            self.next = 0;
            self.days += 1;
        }
        let mut record = self.day[self.next].clone();
        self.next += 1;
        self.number += 1;
        let later = |time: Timestamp| time.plus_millis(self.days * DAY_MS);
        record.written.at = later(record.written.at);
        record.written.mono_s += u64::try_from(self.days * DAY_MS / 1_000).ok()?;
        if let RecordBody::Session(session) = &mut record.body {
            session.session = SessionId::new(format!("{}-{}", self.prefix, self.number)).ok()?;
            session.start = later(session.start);
            session.end = later(session.end);
            session.day = parking::CivilDate(session.day.0.saturating_add(jiff::Span::new().days(self.days)));
        }
        serde_json::to_vec(&record).ok()
    }
}

fn sessions_of_a_day(street: &Street, seed: u64, start: Timestamp) -> Vec<Record> {
    let day = city::simulate(street, &Plan::day(seed, start), &mut city::devices(street));
    let mut readings: Vec<(Timestamp, SensorId, bool)> = Vec::new();
    for visit in &day.truth.sessions {
        let binding = street.site.bindings.iter().find(|binding| binding.space == visit.space);
        if let Some(binding) = binding {
            readings.push((visit.start, binding.sensor.clone(), true));
            readings.push((visit.end, binding.sensor.clone(), false));
        }
    }
    readings.sort();
    let mut tracker = SiteTracker::new(street.site.clone(), "be4c".to_owned());
    let mut records = Vec::new();
    let stamp = |at: Timestamp| Stamp {
        at,
        boot: BootId(3),
        mono_ms: u64::try_from(at.millis_since(start)).unwrap_or(0) + 71_234_567,
        clock: ClockQuality::Synced,
    };
    for (sequence, (at, sensor, occupied)) in (0..).zip(readings) {
        while let Some(due) = tracker.deadline().filter(|due| *due <= at) {
            records.extend(tracker.step(stamp(due.plus_millis(7)), Input::Tick).records);
        }
        let report = Report {
            kind: ReportKind::Status,
            occupied: Some(occupied),
            ..Report::default()
        };
        let received = stamp(at.plus_millis(340));
        let reading = Reading {
            sensor,
            observed: at,
            received,
            sequence: Some(sequence),
            message: None,
            report,
        };
        records.extend(tracker.step(received, Input::Reading(reading)).records);
    }
    records.retain(|record| matches!(record.body, RecordBody::Session(_)));
    records
}
