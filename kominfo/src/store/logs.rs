//! A box's log: taken by one writer at a time, grown by a batch, and the same figures derived again from its leaves.

use std::collections::BTreeMap;
use std::ops::Range;

use ledger::tiles::TileId;
use ledger::{Frontier, LogVerifier, Receipt, SignedCheckpoint};
use parking::{GatewayId, Timestamp, Timezone};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row as _};

use super::{
    AlarmCode, During as _, EventRow, LeafRow, NewRefusal, OccupancyRow, SessionRow, Store, StoreError, TileRow,
    insert, quarantine, signed, unsigned,
};

/// Tiles by name, as [`ledger::tiles`] reads them.
pub type Tiles = BTreeMap<TileId, Vec<u8>>;

/// Where a log stands.
#[derive(Debug, Clone)]
pub struct LogHead {
    /// The log's name in checkpoints, which is its key's name too.
    pub origin: String,
    /// The key that its box signs with.
    pub verifier: LogVerifier,
    /// Size and peaks of the tree.
    pub frontier: Frontier,
    /// The city's last word to the box, if there was one.
    pub receipt: Option<Receipt>,
    /// The box has signed two histories.
    pub forked: bool,
}

/// What was derived from the records of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derived {
    /// Sessions, at most one revision of each.
    pub sessions: Vec<SessionRow>,
    /// Occupancy, at most one revision of each interval.
    pub occupancy: Vec<OccupancyRow>,
    /// All other records.
    pub events: Vec<EventRow>,
    /// The last calendar, if there was one.
    pub calendar: Option<Calendar>,
}

/// How a box tells days apart, as its last `config_changed` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// Its zone of time.
    pub timezone: Timezone,
    /// When its business day begins, minutes after midnight.
    pub day_cutoff_minutes: u32,
}

/// Holds until the box's log says otherwise, which its first records do.
impl Default for Calendar {
    fn default() -> Self {
        Self {
            timezone: Timezone::Wib,
            day_cutoff_minutes: 0,
        }
    }
}

/// A log that nobody else can change until this value is committed or dropped.
pub struct LockedLog {
    transaction: sqlx::Transaction<'static, Any>,
    gateway: GatewayId,
    /// Where the log stands.
    pub head: LogHead,
}

impl Store {
    /// Registers a box and its log. Registering it again with the same key changes nothing; `false` when it is there with
    /// another key (nothing is changed then either).
    pub async fn enrol(&self, gateway: &GatewayId, verifier: &LogVerifier, now: Timestamp) -> Result<bool, StoreError> {
        let action = "register a box";
        let calendar = Calendar::default();
        let mut transaction = self.pool.begin().await.during(action)?;
        sqlx::query(
            "INSERT INTO boxes (box, timezone, day_cutoff_minutes, enrolled_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (box) DO NOTHING",
        )
        .bind(gateway.as_str())
        .bind(calendar.timezone.name())
        .bind(i64::from(calendar.day_cutoff_minutes))
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await
        .during(action)?;
        sqlx::query(
            "INSERT INTO logs (box, origin, vkey, size, frontier, forked, updated_ms)
             VALUES ($1, $2, $3, 0, $4, 0, $5) ON CONFLICT (box) DO NOTHING",
        )
        .bind(gateway.as_str())
        .bind(verifier.name())
        .bind(verifier.to_vkey())
        .bind(Frontier::new().to_bytes())
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await
        .during(action)?;
        let row = sqlx::query("SELECT vkey FROM logs WHERE box = $1")
            .bind(gateway.as_str())
            .fetch_one(&mut *transaction)
            .await
            .during(action)?;
        if row.try_get::<String, _>("vkey").during(action)? != verifier.to_vkey() {
            transaction.rollback().await.during(action)?;
            return Ok(false);
        }
        transaction.commit().await.during(action)?;
        Ok(true)
    }

    /// Takes a box's log for the caller alone; `None` when the box is not registered. Waits for whoever has it.
    pub async fn lock_log(&self, gateway: &GatewayId) -> Result<Option<LockedLog>, StoreError> {
        let action = "take a log";
        let mut transaction = self.pool.begin().await.during(action)?;
        // An update, as it is the first statement, takes the row on PostgreSQL and the write lock on SQLite.
        let rows = sqlx::query(
            "UPDATE logs SET size = size WHERE box = $1
             RETURNING origin, vkey, size, frontier, receipt, forked",
        )
        .bind(gateway.as_str())
        .fetch_all(&mut *transaction)
        .await
        .during(action)?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let head = read_head(gateway, row)?;
        Ok(Some(LockedLog {
            transaction,
            gateway: gateway.clone(),
            head,
        }))
    }

    /// The size of a box's log, without taking it; `None` when the box is not registered.
    pub async fn log_size(&self, gateway: &GatewayId) -> Result<Option<u64>, StoreError> {
        let action = "read the size of a log";
        let row = sqlx::query("SELECT size FROM logs WHERE box = $1")
            .bind(gateway.as_str())
            .fetch_optional(&self.pool)
            .await
            .during(action)?;
        row.map(|row| row.try_get("size").map(unsigned).during(action))
            .transpose()
    }
}

fn read_head(gateway: &GatewayId, row: &AnyRow) -> Result<LogHead, StoreError> {
    let action = "read the head of a log";
    let corrupt = |what: &str, why: String| StoreError::corrupt(gateway.as_str(), what, why);
    let vkey: String = row.try_get("vkey").during(action)?;
    let verifier = LogVerifier::from_vkey(&vkey).map_err(|error| corrupt("key", error.to_string()))?;
    let frontier: Vec<u8> = row.try_get("frontier").during(action)?;
    let frontier = Frontier::from_bytes(&frontier).map_err(|error| corrupt("frontier", error.to_string()))?;
    let size = unsigned(row.try_get("size").during(action)?);
    if frontier.size() != size {
        return Err(corrupt(
            "frontier",
            format!("it is of size {}, the log of {size}", frontier.size()),
        ));
    }
    let receipt: Option<Vec<u8>> = row.try_get("receipt").during(action)?;
    let receipt = receipt.map(|bytes| Receipt::from_bytes(&bytes)).transpose();
    Ok(LogHead {
        origin: row.try_get("origin").during(action)?,
        verifier,
        frontier,
        receipt: receipt.map_err(|error| corrupt("receipt", error.to_string()))?,
        forked: row.try_get::<i64, _>("forked").during(action)? != 0,
    })
}

/// The stored tiles of a box among `wanted`.
pub(super) async fn read_tiles(
    connection: &mut AnyConnection,
    gateway: &GatewayId,
    wanted: &[TileId],
) -> Result<Tiles, StoreError> {
    let action = "read tiles";
    let mut tiles = Tiles::new();
    for &tile in wanted {
        let row = sqlx::query("SELECT hashes FROM tiles WHERE box = $1 AND level = $2 AND n = $3")
            .bind(gateway.as_str())
            .bind(i64::from(tile.level))
            .bind(signed(tile.n))
            .fetch_optional(&mut *connection)
            .await
            .during(action)?;
        if let Some(row) = row {
            tiles.insert(tile, row.try_get("hashes").during(action)?);
        }
    }
    Ok(tiles)
}

impl LockedLog {
    /// The stored tiles among `wanted`.
    pub async fn tiles(&mut self, wanted: &[TileId]) -> Result<Tiles, StoreError> {
        read_tiles(&mut self.transaction, &self.gateway, wanted).await
    }

    /// The records stored at `indexes`, in order.
    pub async fn records(&mut self, indexes: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        let action = "read leaves";
        let rows = sqlx::query("SELECT record FROM leaves WHERE box = $1 AND idx >= $2 AND idx < $3 ORDER BY idx")
            .bind(self.gateway.as_str())
            .bind(signed(indexes.start))
            .bind(signed(indexes.end))
            .fetch_all(&mut *self.transaction)
            .await
            .during(action)?;
        rows.iter().map(|row| row.try_get("record").during(action)).collect()
    }

    /// Adds what a batch brought. Visible to nobody before [`LockedLog::commit`].
    pub async fn append(&mut self, leaves: &[LeafRow], tiles: &[TileRow], derived: &Derived) -> Result<(), StoreError> {
        insert(&mut self.transaction, leaves, "write leaves").await?;
        insert(&mut self.transaction, tiles, "write tiles").await?;
        self.write_derived(derived).await
    }

    /// Writes rows derived from leaves.
    pub async fn write_derived(&mut self, derived: &Derived) -> Result<(), StoreError> {
        insert(&mut self.transaction, &derived.sessions, "write sessions").await?;
        insert(&mut self.transaction, &derived.occupancy, "write occupancy").await?;
        insert(&mut self.transaction, &derived.events, "write events").await?;
        match derived.calendar {
            Some(calendar) => self.set_calendar(calendar).await,
            None => Ok(()),
        }
    }

    async fn set_calendar(&mut self, calendar: Calendar) -> Result<(), StoreError> {
        sqlx::query("UPDATE boxes SET timezone = $2, day_cutoff_minutes = $3 WHERE box = $1")
            .bind(self.gateway.as_str())
            .bind(calendar.timezone.name())
            .bind(i64::from(calendar.day_cutoff_minutes))
            .execute(&mut *self.transaction)
            .await
            .during("write a box's calendar")?;
        Ok(())
    }

    /// Removes all that was derived from this log's leaves.
    pub async fn drop_derived(&mut self) -> Result<(), StoreError> {
        for table in [
            "DELETE FROM sessions WHERE box = $1",
            "DELETE FROM occupancy WHERE box = $1",
            "DELETE FROM events WHERE box = $1",
        ] {
            sqlx::query(table)
                .bind(self.gateway.as_str())
                .execute(&mut *self.transaction)
                .await
                .during("remove derived rows")?;
        }
        self.set_calendar(Calendar::default()).await
    }

    /// Sets the log's new head.
    pub async fn advance(
        &mut self,
        frontier: &Frontier,
        checkpoint: &SignedCheckpoint,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE logs SET size = $2, frontier = $3, checkpoint = $4, receipt = $5, updated_ms = $6 WHERE box = $1",
        )
        .bind(self.gateway.as_str())
        .bind(signed(frontier.size()))
        .bind(frontier.to_bytes())
        .bind(checkpoint.to_note())
        .bind(receipt.to_bytes())
        .bind(now.as_millis())
        .execute(&mut *self.transaction)
        .await
        .during("advance a log")?;
        Ok(())
    }

    /// Keeps refused input and raises its alarm together with what else is written here.
    pub async fn refuse(&mut self, new: &NewRefusal<'_>, now: Timestamp) -> Result<(), StoreError> {
        quarantine::keep(&mut self.transaction, new, now).await
    }

    /// Marks the log as forked.
    pub async fn mark_forked(&mut self) -> Result<(), StoreError> {
        sqlx::query("UPDATE logs SET forked = 1 WHERE box = $1")
            .bind(self.gateway.as_str())
            .execute(&mut *self.transaction)
            .await
            .during("mark a log as forked")?;
        Ok(())
    }

    /// Raises an alarm together with what else is written here.
    pub async fn raise(&mut self, code: AlarmCode, detail: &str, now: Timestamp) -> Result<(), StoreError> {
        quarantine::raise(&mut self.transaction, self.gateway.as_str(), code, detail, now).await
    }

    /// Makes everything since the log was taken durable and lets it go.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.during("commit a batch")
    }

    /// Lets the log go as it was.
    pub async fn release(self) -> Result<(), StoreError> {
        self.transaction.rollback().await.during("let a log go")
    }
}
