//! The database as it was at one moment, while boxes go on sending: what an audit reads and a proof is made from.

use ledger::tiles::TileId;
use parking::GatewayId;
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _};

use super::logs::read_tiles;
use super::read::{read_calendar, read_logs};
use super::{
    Backend, Calendar, During as _, EventRow, LeafRow, LogRow, OccupancyRow, SessionRow, Store, StoreError, Tiles,
    signed, unsigned,
};

/// A view of the database in which nothing changes.
pub struct Snapshot {
    transaction: sqlx::Transaction<'static, Any>,
}

impl Store {
    /// The database as it is now.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let begin = match self.backend {
            Backend::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            // Reading in a transaction, WAL mode keeps what was there at the first read.
            Backend::Sqlite => "BEGIN",
        };
        let transaction = self
            .pool
            .begin_with(begin)
            .await
            .during("look at the database at one moment")?;
        Ok(Snapshot { transaction })
    }
}

impl Snapshot {
    /// All logs, or one box's.
    pub async fn logs(&mut self, gateway: Option<&GatewayId>) -> Result<Vec<LogRow>, StoreError> {
        read_logs(&mut self.transaction, gateway).await
    }

    /// A box's calendar; `None` when the box is not registered.
    pub async fn calendar(&mut self, gateway: &GatewayId) -> Result<Option<Calendar>, StoreError> {
        let action = "read a box's calendar";
        let row = sqlx::query("SELECT timezone, day_cutoff_minutes FROM boxes WHERE box = $1")
            .bind(gateway.as_str())
            .fetch_optional(&mut *self.transaction)
            .await
            .during(action)?;
        row.as_ref().map(read_calendar).transpose().during(action)
    }

    /// Up to `limit` leaves of a box from index `from`.
    pub async fn leaves(&mut self, gateway: &GatewayId, from: u64, limit: u32) -> Result<Vec<LeafRow>, StoreError> {
        let action = "read leaves";
        let rows = sqlx::query(
            "SELECT idx, record, received_ms FROM leaves WHERE box = $1 AND idx >= $2 ORDER BY idx LIMIT $3",
        )
        .bind(gateway.as_str())
        .bind(signed(from))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.transaction)
        .await
        .during(action)?;
        let read = |row: &AnyRow| {
            Ok(LeafRow {
                gateway: gateway.to_string(),
                index: unsigned(row.try_get("idx")?),
                record: row.try_get("record")?,
                received_ms: row.try_get("received_ms")?,
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().during(action)
    }

    /// The stored tiles of a box among `wanted`.
    pub async fn tiles(&mut self, gateway: &GatewayId, wanted: &[TileId]) -> Result<Tiles, StoreError> {
        read_tiles(&mut self.transaction, gateway, wanted).await
    }

    /// How many tiles a box's log has.
    pub async fn tile_count(&mut self, gateway: &GatewayId) -> Result<u64, StoreError> {
        let action = "count tiles";
        let row = sqlx::query("SELECT COUNT(*) AS tiles FROM tiles WHERE box = $1")
            .bind(gateway.as_str())
            .fetch_one(&mut *self.transaction)
            .await
            .during(action)?;
        row.try_get("tiles").map(unsigned).during(action)
    }

    /// Up to `limit` session rows of a box after the one named.
    pub async fn session_rows(
        &mut self,
        gateway: &GatewayId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let action = "read session rows";
        let rows = sqlx::query("SELECT * FROM sessions WHERE box = $1 AND session > $2 ORDER BY session LIMIT $3")
            .bind(gateway.as_str())
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.transaction)
            .await
            .during(action)?;
        rows.iter().map(read_session).collect::<Result<_, _>>().during(action)
    }

    /// Up to `limit` occupancy rows of a box after the zone and begin given.
    pub async fn occupancy_rows(
        &mut self,
        gateway: &GatewayId,
        after: (&str, i64),
        limit: u32,
    ) -> Result<Vec<OccupancyRow>, StoreError> {
        let action = "read occupancy rows";
        let rows = sqlx::query(
            "SELECT * FROM occupancy WHERE box = $1 AND (zone > $2 OR (zone = $2 AND from_ms > $3))
             ORDER BY zone, from_ms LIMIT $4",
        )
        .bind(gateway.as_str())
        .bind(after.0)
        .bind(after.1)
        .bind(i64::from(limit))
        .fetch_all(&mut *self.transaction)
        .await
        .during(action)?;
        rows.iter().map(read_occupancy).collect::<Result<_, _>>().during(action)
    }

    /// Up to `limit` event rows of a box from index `from` on.
    pub async fn event_rows(
        &mut self,
        gateway: &GatewayId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        let action = "read event rows";
        let rows = sqlx::query("SELECT box, idx, kind FROM events WHERE box = $1 AND idx >= $2 ORDER BY idx LIMIT $3")
            .bind(gateway.as_str())
            .bind(signed(from))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.transaction)
            .await
            .during(action)?;
        let read = |row: &AnyRow| {
            Ok(EventRow {
                gateway: row.try_get("box")?,
                index: unsigned(row.try_get("idx")?),
                kind: row.try_get("kind")?,
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().during(action)
    }
}

fn read_session(row: &AnyRow) -> Result<SessionRow, sqlx::Error> {
    Ok(SessionRow {
        gateway: row.try_get("box")?,
        session: row.try_get("session")?,
        revision: row.try_get("revision")?,
        index: unsigned(row.try_get("idx")?),
        zone: row.try_get("zone")?,
        space: row.try_get("space")?,
        class: row.try_get("class")?,
        status: row.try_get("status")?,
        day: row.try_get("day")?,
        start_ms: row.try_get("start_ms")?,
        end_ms: row.try_get("end_ms")?,
        fee_low: row.try_get("fee_low")?,
        fee_point: row.try_get("fee_point")?,
        fee_high: row.try_get("fee_high")?,
    })
}

fn read_occupancy(row: &AnyRow) -> Result<OccupancyRow, sqlx::Error> {
    Ok(OccupancyRow {
        gateway: row.try_get("box")?,
        zone: row.try_get("zone")?,
        from_ms: row.try_get("from_ms")?,
        revision: row.try_get("revision")?,
        index: unsigned(row.try_get("idx")?),
        interval_s: row.try_get("interval_s")?,
        spaces: row.try_get("spaces")?,
        occupied_s: row.try_get("occupied_s")?,
        free_s: row.try_get("free_s")?,
        unknown_s: row.try_get("unknown_s")?,
        closed_s: row.try_get("closed_s")?,
        arrivals: row.try_get("arrivals")?,
        departures: row.try_get("departures")?,
    })
}
