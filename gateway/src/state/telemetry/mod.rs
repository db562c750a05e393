//! Telemetry: how things were over time. Series of samples, kept here and sent to the city when nothing else is to be sent.
//!
//! | series | sample |
//! | --- | --- |
//! | `camera/ID/sub/fps`, `…/main/fps` | frames a second: low, mean, high |
//! | `…/kbit`, `…/gop_s` | bitrate, kbit/s; seconds between keyframes: low, mean, high |
//! | `…/lost` | RTP packets lost: how many |
//! | `camera/ID/up` | share of the time in which its state was `up`: 0 to 1 |
//! | `camera/ID/clock_ms` | its clock minus the box's, where the box's can be relied on, milliseconds: low, mean, high |
//!
//! What is measured each second is gathered in memory and becomes one sample a series and minute. **A minute in which
//! nothing was measured has no sample: unknown is not zero.** A stream that is not open has no frames a second.
//!
//! **Kept**: the newest [`MINUTES_MAX`] minutes; of older ones a sample a quarter of an hour, [`QUARTERS_MAX`] of these; then the
//! oldest goes. One write a minute. Rows are counted and not dated, so a wrong clock drops nothing. While the box's clock
//! was never set nothing is kept, as nothing tells which minute it is. All of it may be lost, like everything in
//! [`crate::state`]; a restart loses the minute that it falls in.
//!
//! **Sent**: whole quarters of an hour, see [`Batch`]; what the city's broker has not acknowledged comes again.

mod ring;
mod sample;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use parking::{ClockQuality, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

use self::ring::{Ring, merged};
use self::sample::Gathering;
pub use self::sample::{Quantity, Sample};

/// Rows of single minutes: 24 hours.
pub const MINUTES_MAX: usize = 24 * 60;
/// Rows of quarters of an hour behind these: 30 days.
pub const QUARTERS_MAX: usize = 30 * 24 * 4;
/// Series of one minute: 16 cameras of two streams have 160. Further ones are left out.
pub const SERIES_MAX: usize = 256;
/// Minutes of a quarter of an hour.
const QUARTER_MINUTES: u32 = 15;
/// Quarters of one message.
const BATCH_QUARTERS_MAX: usize = 16;
/// Bytes of a message before compression above which no further quarter joins it.
const BATCH_BYTES: usize = 256 * 1024;
/// zstd level of messages: the smallest that can be made, as there is one in a quarter of an hour.
const BATCH_LEVEL: i32 = 19;

/// A minute: minutes since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(pub u32);

impl Minute {
    /// The minute of a time.
    pub fn of(time: Timestamp) -> Self {
        Self(u32::try_from(time.as_seconds().div_euclid(60)).unwrap_or(0))
    }

    /// When it begins.
    pub fn begin(self) -> Timestamp {
        Timestamp::from_millis(i64::from(self.0) * 60_000)
    }

    /// The quarter of an hour that it is part of.
    pub fn quarter(self) -> Quarter {
        Quarter(self.0 / QUARTER_MINUTES)
    }
}

/// A quarter of an hour: quarters since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarter(u32);

impl Quarter {
    fn minutes(self) -> Range<Minute> {
        let first = self.0.saturating_mul(QUARTER_MINUTES);
        Minute(first)..Minute(first.saturating_add(QUARTER_MINUTES))
    }
}

/// Samples of one time, by series.
pub type Row = BTreeMap<String, Sample>;

/// What was measured in the minute that is under way: a pure machine.
#[derive(Debug, Default)]
pub struct Collector {
    minute: Option<Minute>,
    gathered: BTreeMap<String, (Quantity, Gathering)>,
}

impl Collector {
    /// Takes a measurement of `subject`. It belongs to the minute that the last turn named.
    pub fn note(&mut self, subject: &str, quantity: Quantity, value: f64) {
        let series = format!("{subject}/{}", quantity.word());
        if self.gathered.len() >= SERIES_MAX && !self.gathered.contains_key(&series) {
            return;
        }
        let (_, gathering) = self.gathered.entry(series).or_insert((quantity, Gathering::default()));
        gathering.add(Sample::one(value));
    }

    /// Tells it which minute it is, `None` while nobody knows. Gives the minute that is over, if anything was measured.
    pub fn turn(&mut self, now: Option<Minute>) -> Option<(Minute, Row)> {
        if self.minute == now {
            return None;
        }
        let over = std::mem::replace(&mut self.minute, now);
        let gathered = std::mem::take(&mut self.gathered);
        let samples = gathered
            .into_iter()
            .filter_map(|(series, (quantity, gathering))| Some((series, gathering.sample(quantity)?)));
        let row: Row = samples.collect();
        over.filter(|_| !row.is_empty()).map(|minute| (minute, row))
    }
}

/// A quarter of an hour as it is sent: of each series 15 samples of a minute, or, where it was thinned, one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SentQuarter {
    /// Its begin, UTC.
    pub from: Timestamp,
    /// Length of a sample, seconds: 60 or 900.
    pub step_s: u32,
    /// Samples in order of time, null where there is none.
    pub series: BTreeMap<String, Vec<Option<Sample>>>,
}

/// What goes to the city in one message: zstd of `{"quarters":[…]}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What it holds.
    pub quarters: Vec<Quarter>,
    /// The message.
    pub payload: Vec<u8>,
}

/// Samples of several series at one time, as the local interface tells them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// When the time begins, UTC.
    pub from: Timestamp,
    /// Its length, minutes: 1 or 15.
    pub minutes: u32,
    /// The samples.
    pub series: Row,
}

/// All telemetry of the box. Shared by all tasks.
#[derive(Debug)]
pub struct Telemetry {
    collector: Mutex<Collector>,
    /// `None` if the store gives no trees; then nothing is kept.
    ring: Option<Mutex<Ring>>,
}

impl Telemetry {
    pub(super) fn of(store: &sled::Db) -> Self {
        let ring = Ring::open(store);
        if let Err(error) = &ring {
            tracing::warn!(%error, "no telemetry is kept");
        }
        Self {
            collector: Mutex::default(),
            ring: ring.ok().map(Mutex::new),
        }
    }

    fn ring(&self) -> Option<MutexGuard<'_, Ring>> {
        let ring = self.ring.as_ref()?;
        Some(ring.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a measurement of `subject`, such as `camera/gate-1/sub`.
    pub fn note(&self, subject: &str, quantity: Quantity, value: f64) {
        let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        collector.note(subject, quantity, value);
    }

    /// To be called about once a second: keeps the minute when it is over. May wait for the disk.
    pub fn turn(&self, now: Stamp) {
        let minute = (now.clock != ClockQuality::Unset).then(|| Minute::of(now.at));
        let over = {
            let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
            collector.turn(minute)
        };
        if let (Some((minute, row)), Some(mut ring)) = (over, self.ring())
            && let Err(error) = ring.put(minute, &row)
        {
            tracing::debug!(%error, "a minute of telemetry was not kept");
        }
    }

    /// The next message for the city: the oldest quarters that are over at `now` and not acknowledged.
    pub fn waiting(&self, now: Timestamp) -> Option<Batch> {
        let ring = self.ring()?;
        let waiting = ring.waiting(Minute::of(now).quarter(), BATCH_QUARTERS_MAX);
        let mut quarters = Vec::new();
        let mut text = String::from(r#"{"quarters":["#);
        for quarter in waiting {
            if text.len() > BATCH_BYTES {
                break;
            }
            let separator = if quarters.is_empty() { "" } else { "," };
            text.push_str(separator);
            text.push_str(&serde_json::to_string(&sent(&ring, quarter)).unwrap_or_default());
            quarters.push(quarter);
        }
        text.push_str("]}");
        let payload = zstd::bulk::compress(text.as_bytes(), BATCH_LEVEL).ok()?;
        (!quarters.is_empty()).then_some(Batch { quarters, payload })
    }

    /// The city's broker has them: they are not sent again.
    pub fn acknowledged(&self, quarters: &[Quarter]) {
        if let Some(Err(error)) = self.ring().map(|ring| ring.acknowledged(quarters)) {
            tracing::debug!(%error, "telemetry is sent again");
        }
    }

    /// Samples of all series whose name begins with `prefix`, oldest first; of single minutes where `by_minute` asks for them
    /// and they are still kept.
    pub fn samples(&self, prefix: &str, time: Range<Timestamp>, by_minute: bool) -> Vec<Samples> {
        let Some(ring) = self.ring() else { return Vec::new() };
        let of_prefix = |row: Row| -> Row {
            let series = row.into_iter();
            series.filter(|(name, _)| name.starts_with(prefix)).collect()
        };
        let (first, last) = (Minute::of(time.start).quarter(), Minute::of(time.end).quarter());
        let mut samples = Vec::new();
        let mut push = |begin: Minute, minutes: u32, row: Row| {
            let series = of_prefix(row);
            if !series.is_empty() {
                let from = begin.begin();
                samples.push(Samples { from, minutes, series });
            }
        };
        for quarter in (first.0..=last.0).map(Quarter) {
            let begin = quarter.minutes().start;
            let minutes = ring.minutes(quarter.minutes());
            if minutes.is_empty() {
                push(begin, QUARTER_MINUTES, ring.quarter(quarter).unwrap_or_default());
            } else if by_minute {
                for (minute, row) in minutes {
                    push(minute, 1, row);
                }
            } else {
                let row = merged(minutes.iter().map(|(_, row)| row));
                push(begin, QUARTER_MINUTES, row);
            }
        }
        samples
    }
}

fn sent(ring: &Ring, quarter: Quarter) -> SentQuarter {
    let minutes = ring.minutes(quarter.minutes());
    let (step_s, slots, rows) = if minutes.is_empty() {
        let row = ring.quarter(quarter).unwrap_or_default();
        (900, 1, vec![(quarter.minutes().start, row)])
    } else {
        (60, 15, minutes)
    };
    let mut series: BTreeMap<String, Vec<Option<Sample>>> = BTreeMap::new();
    for (minute, row) in rows {
        let slot = usize::try_from(minute.0 % QUARTER_MINUTES).unwrap_or(0);
        for (name, sample) in row {
            let samples = series.entry(name).or_insert_with(|| vec![None; slots]);
            if let Some(place) = samples.get_mut(slot) {
                *place = Some(sample);
            }
        }
    }
    SentQuarter {
        from: quarter.minutes().start.begin(),
        step_s,
        series,
    }
}

#[cfg(test)]
mod tests;
