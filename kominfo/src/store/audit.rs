//! Derived rows as they are stored, read back in the order of their keys to be compared with what the leaves give.

use parking::GatewayId;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{During as _, EventRow, OccupancyRow, SessionRow, Store, StoreError, signed, unsigned};

impl Store {
    /// Up to `limit` session rows of a box after the one named.
    pub async fn session_rows(&self, gateway: &GatewayId, after: &str, limit: u32) -> Result<Vec<SessionRow>, StoreError> {
        let action = "read session rows";
        let rows = sqlx::query("SELECT * FROM sessions WHERE box = $1 AND session > $2 ORDER BY session LIMIT $3")
            .bind(gateway.as_str())
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .during(action)?;
        rows.iter().map(read_session).collect::<Result<_, _>>().during(action)
    }

    /// Up to `limit` occupancy rows of a box after the zone and begin given.
    pub async fn occupancy_rows(
        &self,
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
        .fetch_all(&self.pool)
        .await
        .during(action)?;
        rows.iter().map(read_occupancy).collect::<Result<_, _>>().during(action)
    }

    /// Up to `limit` event rows of a box from index `from` on.
    pub async fn event_rows(&self, gateway: &GatewayId, from: u64, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let action = "read event rows";
        let rows = sqlx::query("SELECT box, idx, kind FROM events WHERE box = $1 AND idx >= $2 ORDER BY idx LIMIT $3")
            .bind(gateway.as_str())
            .bind(signed(from))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
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
