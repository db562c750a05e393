//! What is true now: the latest value of each key that a box tells, and whether its link is up. Not part of the ledger:
//! only the newest counts, and all of it may be lost.

use parking::{GatewayId, Timestamp};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::told::{Put, take_box};
use super::{During as _, StateRow, Store, StoreError, insert};

/// Keys kept a box. A message that would make them more changes nothing.
const KEYS_A_BOX_MAX: i64 = 10_000;

/// All parts of a full state come within so many seconds, in whatever order the instances take them in.
const FULL_S: i64 = 60;

/// The latest value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The box.
    pub gateway: String,
    /// `space/<id>`, `sensor/<id>`, `camera/<id>`, `box` or `far_view`.
    pub name: String,
    /// The value, JSON.
    pub value: String,
    /// When it came in.
    pub updated: Timestamp,
}

/// Whether a box is connected to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The box.
    pub gateway: String,
    /// It is connected, as far as the broker knows.
    pub online: bool,
    /// Since when that is known.
    pub updated: Timestamp,
}

impl Store {
    /// Takes in new values. With `full` the box is telling everything, in this message and perhaps some others about the
    /// same time, and keys that were not told for a minute are gone.
    pub async fn put_states(
        &self,
        gateway: &GatewayId,
        rows: &[StateRow],
        full: bool,
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let action = "write a box's state";
        let mut transaction = self.pool.begin().await.during(action)?;
        if !take_box(&mut transaction, gateway, action).await? {
            return Ok(Put::UnknownBox);
        }
        if full {
            sqlx::query("DELETE FROM states WHERE box = $1 AND updated_ms < $2")
                .bind(gateway.as_str())
                .bind(now.plus_seconds(-FULL_S).as_millis())
                .execute(&mut *transaction)
                .await
                .during(action)?;
        }
        insert(&mut transaction, rows, action).await?;
        let row = sqlx::query("SELECT COUNT(*) AS keys FROM states WHERE box = $1")
            .bind(gateway.as_str())
            .fetch_one(&mut *transaction)
            .await
            .during(action)?;
        if row.try_get::<i64, _>("keys").during(action)? > KEYS_A_BOX_MAX {
            return Ok(Put::TooMany);
        }
        transaction.commit().await.during(action)?;
        Ok(Put::Written)
    }

    /// Takes in whether a box is connected. `false` when the box is not registered.
    pub async fn put_link(
        &self,
        gateway: &GatewayId,
        online: bool,
        detail: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let written = sqlx::query(
            "INSERT INTO links (box, online, detail, updated_ms)
             SELECT box, $2, $3, $4 FROM boxes WHERE box = $1
             ON CONFLICT (box) DO UPDATE SET online = excluded.online, detail = excluded.detail,
             updated_ms = CASE WHEN links.online = excluded.online THEN links.updated_ms ELSE excluded.updated_ms END",
        )
        .bind(gateway.as_str())
        .bind(i64::from(online))
        .bind(detail)
        .bind(now.as_millis())
        .execute(&self.pool)
        .await
        .during("write whether a box is connected")?;
        Ok(written.rows_affected() > 0)
    }

    /// The states of all boxes, by box and key.
    pub async fn states(&self) -> Result<Vec<State>, StoreError> {
        let action = "read states";
        let rows = sqlx::query("SELECT box, name, value, updated_ms FROM states ORDER BY box, name")
            .fetch_all(&self.pool)
            .await
            .during(action)?;
        let read = |row: &AnyRow| {
            Ok(State {
                gateway: row.try_get("box")?,
                name: row.try_get("name")?,
                value: row.try_get("value")?,
                updated: Timestamp::from_millis(row.try_get("updated_ms")?),
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().during(action)
    }

    /// What a box has told under this key, JSON.
    pub async fn state(&self, gateway: &GatewayId, name: &str) -> Result<Option<String>, StoreError> {
        let action = "read a state";
        let row = sqlx::query("SELECT value FROM states WHERE box = $1 AND name = $2")
            .bind(gateway.as_str())
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .during(action)?;
        row.map(|row| row.try_get("value")).transpose().during(action)
    }

    /// Whether each box is connected, of those that have told.
    pub async fn links(&self) -> Result<Vec<Link>, StoreError> {
        let action = "read whether boxes are connected";
        let rows = sqlx::query("SELECT box, online, updated_ms FROM links ORDER BY box")
            .fetch_all(&self.pool)
            .await
            .during(action)?;
        let read = |row: &AnyRow| {
            Ok(Link {
                gateway: row.try_get("box")?,
                online: row.try_get::<i64, _>("online")? != 0,
                updated: Timestamp::from_millis(row.try_get("updated_ms")?),
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().during(action)
    }
}
