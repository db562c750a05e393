//! Rows as they are written, one type a table.

use sqlx::Arguments as _;
use sqlx::any::AnyArguments;
use sqlx::error::BoxDynError;

use super::{InsertRow, signed};

/// A leaf: the exact bytes of one record, at its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRow {
    /// The box.
    pub gateway: String,
    /// Index in the log.
    pub index: u64,
    /// The record's bytes.
    pub record: Vec<u8>,
    /// When the city took it in, milliseconds since 1970.
    pub received_ms: i64,
}

impl InsertRow for LeafRow {
    const INTO: &'static str = "INSERT INTO leaves (box, idx, record, received_ms)";
    const COLUMNS: usize = 4;
    const CONFLICT: &'static str = "";

    fn bind(&self, values: &mut AnyArguments) -> Result<(), BoxDynError> {
        values.add(self.gateway.as_str())?;
        values.add(signed(self.index))?;
        values.add(self.record.as_slice())?;
        values.add(self.received_ms)
    }
}

/// A tile of the log's tree (c2sp.org/tlog-tiles): up to 256 hashes of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileRow {
    /// The box.
    pub gateway: String,
    /// Level: 0 holds leaf hashes.
    pub level: u8,
    /// Number within the level.
    pub n: u64,
    /// Its hashes, 32 bytes each.
    pub hashes: Vec<u8>,
}

impl InsertRow for TileRow {
    const INTO: &'static str = "INSERT INTO tiles (box, level, n, hashes)";
    const COLUMNS: usize = 4;
    const CONFLICT: &'static str = "ON CONFLICT (box, level, n) DO UPDATE SET hashes = excluded.hashes";

    fn bind(&self, values: &mut AnyArguments) -> Result<(), BoxDynError> {
        values.add(self.gateway.as_str())?;
        values.add(i64::from(self.level))?;
        values.add(signed(self.n))?;
        values.add(self.hashes.as_slice())
    }
}

/// A session as last told, pointing at the leaf that told it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of `parking::Session`
pub struct SessionRow {
    pub gateway: String,
    pub session: String,
    pub revision: i64,
    pub index: u64,
    pub zone: String,
    pub space: String,
    pub class: String,
    pub status: String,
    pub day: String,
    pub start_ms: i64,
    pub end_ms: i64,
    pub fee_low: i64,
    pub fee_point: i64,
    pub fee_high: i64,
}

impl InsertRow for SessionRow {
    const INTO: &'static str = "INSERT INTO sessions (box, session, revision, idx, zone, space, class, status, day, \
                                start_ms, end_ms, fee_low, fee_point, fee_high)";
    const COLUMNS: usize = 14;
    // Of equal revisions the first stays: a record is never edited.
    const CONFLICT: &'static str = "ON CONFLICT (box, session) DO UPDATE SET revision = excluded.revision, \
                                    idx = excluded.idx, zone = excluded.zone, space = excluded.space, \
                                    class = excluded.class, status = excluded.status, day = excluded.day, \
                                    start_ms = excluded.start_ms, end_ms = excluded.end_ms, \
                                    fee_low = excluded.fee_low, fee_point = excluded.fee_point, \
                                    fee_high = excluded.fee_high WHERE excluded.revision > sessions.revision";

    fn bind(&self, values: &mut AnyArguments) -> Result<(), BoxDynError> {
        values.add(self.gateway.as_str())?;
        values.add(self.session.as_str())?;
        values.add(self.revision)?;
        values.add(signed(self.index))?;
        values.add(self.zone.as_str())?;
        values.add(self.space.as_str())?;
        values.add(self.class.as_str())?;
        values.add(self.status.as_str())?;
        values.add(self.day.as_str())?;
        values.add(self.start_ms)?;
        values.add(self.end_ms)?;
        values.add(self.fee_low)?;
        values.add(self.fee_point)?;
        values.add(self.fee_high)
    }
}

/// Occupancy of a zone over an interval as last told, pointing at the leaf that told it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of `parking::Occupancy`
pub struct OccupancyRow {
    pub gateway: String,
    pub zone: String,
    pub from_ms: i64,
    pub revision: i64,
    pub index: u64,
    pub interval_s: i64,
    pub spaces: i64,
    pub occupied_s: i64,
    pub free_s: i64,
    pub unknown_s: i64,
    pub closed_s: i64,
    pub arrivals: i64,
    pub departures: i64,
}

impl InsertRow for OccupancyRow {
    const INTO: &'static str = "INSERT INTO occupancy (box, zone, from_ms, revision, idx, interval_s, spaces, \
                                occupied_s, free_s, unknown_s, closed_s, arrivals, departures)";
    const COLUMNS: usize = 13;
    const CONFLICT: &'static str = "ON CONFLICT (box, zone, from_ms) DO UPDATE SET revision = excluded.revision, \
                                    idx = excluded.idx, interval_s = excluded.interval_s, spaces = excluded.spaces, \
                                    occupied_s = excluded.occupied_s, free_s = excluded.free_s, \
                                    unknown_s = excluded.unknown_s, closed_s = excluded.closed_s, \
                                    arrivals = excluded.arrivals, departures = excluded.departures \
                                    WHERE excluded.revision > occupancy.revision";

    fn bind(&self, values: &mut AnyArguments) -> Result<(), BoxDynError> {
        values.add(self.gateway.as_str())?;
        values.add(self.zone.as_str())?;
        values.add(self.from_ms)?;
        values.add(self.revision)?;
        values.add(signed(self.index))?;
        values.add(self.interval_s)?;
        values.add(self.spaces)?;
        values.add(self.occupied_s)?;
        values.add(self.free_s)?;
        values.add(self.unknown_s)?;
        values.add(self.closed_s)?;
        values.add(self.arrivals)?;
        values.add(self.departures)
    }
}

/// A record that is neither session nor occupancy, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The box.
    pub gateway: String,
    /// Index of its leaf.
    pub index: u64,
    /// Its kind; `undecodable` for a record that cannot be used.
    pub kind: String,
}

impl InsertRow for EventRow {
    const INTO: &'static str = "INSERT INTO events (box, idx, kind)";
    const COLUMNS: usize = 3;
    const CONFLICT: &'static str = "ON CONFLICT (box, idx) DO NOTHING";

    fn bind(&self, values: &mut AnyArguments) -> Result<(), BoxDynError> {
        values.add(self.gateway.as_str())?;
        values.add(signed(self.index))?;
        values.add(self.kind.as_str())
    }
}

/// The latest value of one key of a box's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// The box.
    pub gateway: String,
    /// `space/<id>`, `sensor/<id>` or `box`.
    pub name: String,
    /// The value, JSON.
    pub value: String,
    /// When it came in, milliseconds since 1970.
    pub updated_ms: i64,
}

impl InsertRow for StateRow {
    const INTO: &'static str = "INSERT INTO states (box, name, value, updated_ms)";
    const COLUMNS: usize = 4;
    const CONFLICT: &'static str =
        "ON CONFLICT (box, name) DO UPDATE SET value = excluded.value, updated_ms = excluded.updated_ms";

    fn bind(&self, values: &mut AnyArguments) -> Result<(), BoxDynError> {
        values.add(self.gateway.as_str())?;
        values.add(self.name.as_str())?;
        values.add(self.value.as_str())?;
        values.add(self.updated_ms)
    }
}

/// Samples of one series in one quarter of an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryRow {
    /// The box.
    pub gateway: String,
    /// Begin of the quarter, milliseconds since 1970.
    pub from_ms: i64,
    /// Name of the series, such as `camera/gate-1/sub/fps`.
    pub series: String,
    /// Length of a sample, seconds: 60 or 900.
    pub step_s: i64,
    /// The samples as the box told them, JSON.
    pub samples: String,
}

impl InsertRow for TelemetryRow {
    const INTO: &'static str = "INSERT INTO telemetry (box, from_ms, series, step_s, samples)";
    const COLUMNS: usize = 5;
    const CONFLICT: &'static str = "ON CONFLICT (box, from_ms, series) DO UPDATE SET step_s = excluded.step_s, \
                                    samples = excluded.samples WHERE excluded.step_s <= telemetry.step_s";

    fn bind(&self, values: &mut AnyArguments) -> Result<(), BoxDynError> {
        values.add(self.gateway.as_str())?;
        values.add(self.from_ms)?;
        values.add(self.series.as_str())?;
        values.add(self.step_s)?;
        values.add(self.samples.as_str())
    }
}
