//! The ring of rows in sled: one row a minute for the newest, one a quarter of an hour for older ones.
//!
//! | tree | key, big-endian | value |
//! | --- | --- | --- |
//! | `telemetry_minutes` | minutes since 1970, `u32` | zstd of JSON, series and samples of that minute |
//! | `telemetry_quarters` | quarters since 1970, `u32` | the same of a quarter of an hour |
//! | `telemetry_waiting` | quarters since 1970, `u32` | nothing: the city's broker has not acknowledged it |
//!
//! Rows are counted, not dated: a clock that jumps thins and drops nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use super::sample::{Gathering, Quantity, Sample};
use super::{MINUTES_MAX, Minute, QUARTERS_MAX, Quarter, Row};

/// Bytes of a row after decompression: more than [`super::SERIES_MAX`] series need.
const ROW_BYTES_MAX: usize = 64 * 1024;
/// zstd level of rows.
const ROW_LEVEL: i32 = 3;

/// The ring.
#[derive(Debug)]
pub struct Ring {
    minutes: sled::Tree,
    quarters: sled::Tree,
    waiting: sled::Tree,
    minutes_kept: usize,
    quarters_kept: usize,
}

impl Ring {
    /// The ring in `store`.
    pub fn open(store: &sled::Db) -> sled::Result<Self> {
        let minutes = store.open_tree("telemetry_minutes")?;
        let quarters = store.open_tree("telemetry_quarters")?;
        Ok(Self {
            waiting: store.open_tree("telemetry_waiting")?,
            minutes_kept: minutes.len(),
            quarters_kept: quarters.len(),
            minutes,
            quarters,
        })
    }

    /// Keeps the row of a minute; thins the oldest minutes when there are too many, and drops the oldest quarters then.
    pub fn put(&mut self, minute: Minute, row: &Row) -> sled::Result<()> {
        let known = self.minutes.insert(key(minute.0), packed(row))?;
        self.minutes_kept += usize::from(known.is_none());
        self.waiting.insert(key(minute.quarter().0), &[])?;
        while self.minutes_kept > MINUTES_MAX && self.thin()? {}
        while self.quarters_kept > QUARTERS_MAX
            && let Some((oldest, _)) = self.quarters.pop_min()?
        {
            self.quarters_kept -= 1;
            self.waiting.remove(oldest)?;
        }
        Ok(())
    }

    /// Makes one row of the oldest quarter's minutes.
    fn thin(&mut self) -> sled::Result<bool> {
        let Some((oldest, _)) = self.minutes.first()? else {
            return Ok(false);
        };
        let quarter = Minute(number(&oldest)).quarter();
        let mut rows: Vec<Row> = Vec::new();
        // Minutes that come after the quarter was thinned, as when the clock was set back, join it.
        rows.extend(self.quarters.get(key(quarter.0))?.and_then(|row| unpacked(&row)));
        for item in self.minutes.range(keys(quarter.minutes())) {
            let (minute, row) = item?;
            rows.extend(unpacked(&row));
            self.minutes.remove(minute)?;
            self.minutes_kept = self.minutes_kept.saturating_sub(1);
        }
        let known = self.quarters.insert(key(quarter.0), packed(&merged(&rows)))?;
        self.quarters_kept += usize::from(known.is_none());
        Ok(true)
    }

    /// Rows of minutes.
    pub fn minutes(&self, wanted: Range<Minute>) -> Vec<(Minute, Row)> {
        let items = self.minutes.range(keys(wanted)).map_while(Result::ok);
        items
            .filter_map(|(minute, row)| Some((Minute(number(&minute)), unpacked(&row)?)))
            .collect()
    }

    /// The row of a quarter that was thinned.
    pub fn quarter(&self, quarter: Quarter) -> Option<Row> {
        let row = self.quarters.get(key(quarter.0)).ok()??;
        unpacked(&row)
    }

    /// The oldest quarters before `end` that wait for the city, at most `count`.
    pub fn waiting(&self, end: Quarter, count: usize) -> Vec<Quarter> {
        let items = self.waiting.range(..key(end.0)).keys().map_while(Result::ok);
        items.take(count).map(|quarter| Quarter(number(&quarter))).collect()
    }

    /// They need not be sent any more.
    pub fn acknowledged(&self, quarters: &[Quarter]) -> sled::Result<()> {
        for quarter in quarters {
            self.waiting.remove(key(quarter.0))?;
        }
        Ok(())
    }

    /// Minutes and quarters that are kept.
    #[cfg(test)]
    pub fn kept(&self) -> (usize, usize) {
        assert_eq!(
            (self.minutes_kept, self.quarters_kept),
            (self.minutes.len(), self.quarters.len())
        );
        (self.minutes_kept, self.quarters_kept)
    }

    /// Bytes of all keys and values.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        let of = |tree: &sled::Tree| -> usize {
            let items = tree.iter().map_while(Result::ok);
            items.map(|(key, value)| key.len() + value.len()).sum()
        };
        of(&self.minutes) + of(&self.quarters) + of(&self.waiting)
    }
}

/// One row of several.
pub fn merged<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Row {
    let mut gathered: BTreeMap<&String, Gathering> = BTreeMap::new();
    for (series, sample) in rows.into_iter().flatten() {
        gathered.entry(series).or_default().add(*sample);
    }
    let sample = |(series, gathering): (&String, Gathering)| -> Option<(String, Sample)> {
        Some((series.clone(), gathering.sample(Quantity::of(series)?)?))
    };
    gathered.into_iter().filter_map(sample).collect()
}

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn keys(minutes: Range<Minute>) -> Range<[u8; 4]> {
    key(minutes.start.0)..key(minutes.end.0)
}

fn number(key: &[u8]) -> u32 {
    key.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn packed(row: &Row) -> Vec<u8> {
    let text = serde_json::to_vec(row).unwrap_or_default();
    zstd::bulk::compress(&text, ROW_LEVEL).unwrap_or_default()
}

/// A row that cannot be read is as one that is not there.
fn unpacked(row: &[u8]) -> Option<Row> {
    let text = zstd::bulk::decompress(row, ROW_BYTES_MAX).ok()?;
    serde_json::from_slice(&text).ok()
}
