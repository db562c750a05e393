//! Telemetry of boxes: a row a series and quarter of an hour. What comes again takes the place of what was there, unless it is
//! coarser.

use parking::{GatewayId, Timestamp};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::told::{Put, take_box};
use super::{During as _, Store, StoreError, TelemetryRow, insert};
use crate::telemetry::SERIES_MAX;

/// How long telemetry is kept, days; then it goes with the next that comes in, of whatever box.
pub const TELEMETRY_KEPT_DAYS: i64 = 30;

impl Store {
    /// Takes in telemetry; no two rows are of the same series and quarter.
    pub async fn put_telemetry(
        &self,
        gateway: &GatewayId,
        rows: &[TelemetryRow],
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let action = "write telemetry";
        let mut transaction = self.pool.begin().await.during(action)?;
        if !take_box(&mut transaction, gateway, action).await? {
            return Ok(Put::UnknownBox);
        }
        insert(&mut transaction, rows, action).await?;
        let times = || rows.iter().map(|row| row.from_ms);
        let most = sqlx::query(
            "SELECT COUNT(*) AS series FROM telemetry WHERE box = $1 AND from_ms >= $2 AND from_ms <= $3
             GROUP BY from_ms ORDER BY series DESC LIMIT 1",
        )
        .bind(gateway.as_str())
        .bind(times().min().unwrap_or(0))
        .bind(times().max().unwrap_or(0))
        .fetch_optional(&mut *transaction)
        .await
        .during(action)?;
        let most: i64 = most.map_or(Ok(0), |row| row.try_get("series")).during(action)?;
        if usize::try_from(most).unwrap_or(0) > SERIES_MAX {
            return Ok(Put::TooMany);
        }
        transaction.commit().await.during(action)?;
        sqlx::query("DELETE FROM telemetry WHERE from_ms < $1")
            .bind(now.plus_seconds(-TELEMETRY_KEPT_DAYS * 86_400).as_millis())
            .execute(&self.pool)
            .await
            .during("drop old telemetry")?;
        Ok(Put::Written)
    }

    /// A box's telemetry of the quarters that begin from `from` until before `to`, by series and time.
    pub async fn telemetry(
        &self,
        gateway: &GatewayId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<TelemetryRow>, StoreError> {
        let action = "read telemetry";
        let rows = sqlx::query(
            "SELECT from_ms, series, step_s, samples FROM telemetry WHERE box = $1 AND from_ms >= $2 AND from_ms < $3
             ORDER BY series, from_ms",
        )
        .bind(gateway.as_str())
        .bind(from.as_millis())
        .bind(to.as_millis())
        .fetch_all(&self.pool)
        .await
        .during(action)?;
        let read = |row: &AnyRow| {
            Ok(TelemetryRow {
                gateway: gateway.to_string(),
                from_ms: row.try_get("from_ms")?,
                series: row.try_get("series")?,
                step_s: row.try_get("step_s")?,
                samples: row.try_get("samples")?,
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().during(action)
    }
}
