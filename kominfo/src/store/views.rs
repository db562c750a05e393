//! Who has watched which camera, when, for how long: kept because people can be seen there, and not for longer than a
//! question about it may come.

use parking::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{During as _, Store, StoreError, signed, unsigned};

/// How long a view is kept, days; then it goes with the next one that begins.
pub const LIVE_VIEWS_KEPT_DAYS: i64 = 90;
/// Views kept; the oldest goes first.
pub const LIVE_VIEWS_MAX: u64 = 200_000;
/// Views read at once.
const LIVE_VIEWS_READ_MAX: i64 = 1_000;

/// A view that begins.
#[derive(Debug, Clone, Copy)]
pub struct NewLiveView<'a> {
    /// The box.
    pub gateway: &'a str,
    /// Its camera.
    pub camera: &'a str,
    /// Which of the camera's streams.
    pub profile: &'a str,
    /// The viewer's network address.
    pub viewer: &'a str,
}

/// A view as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveView {
    /// Its number.
    pub number: u64,
    /// The box.
    pub gateway: String,
    /// Its camera.
    pub camera: String,
    /// Which of the camera's streams.
    pub profile: String,
    /// The viewer's network address.
    pub viewer: String,
    /// When it began.
    pub begin: Timestamp,
    /// When it ended; absent while it lasts, and when the program ended first.
    pub end: Option<Timestamp>,
    /// Bytes of video that the viewer took.
    pub bytes: u64,
    /// Why it ended: `left`, `ttl`, `ended`; empty as long as `end` is absent.
    pub reason: String,
}

impl Store {
    /// Notes that somebody begins to watch; gives the view's number. Views that have been kept long enough go.
    pub async fn begin_live_view(&self, view: &NewLiveView<'_>, now: Timestamp) -> Result<u64, StoreError> {
        let action = "note who watches";
        let row = sqlx::query(
            "INSERT INTO live_views (box, camera, profile, viewer, begin_ms, bytes, reason)
             VALUES ($1, $2, $3, $4, $5, 0, '') RETURNING number",
        )
        .bind(view.gateway)
        .bind(view.camera)
        .bind(view.profile)
        .bind(view.viewer)
        .bind(now.as_millis())
        .fetch_one(&self.pool)
        .await
        .during(action)?;
        let number: i64 = row.try_get("number").during(action)?;
        // The view is noted; what is too old goes with a later one at the latest.
        let cleaned = sqlx::query("DELETE FROM live_views WHERE begin_ms < $1 OR number <= $2")
            .bind(now.plus_seconds(-LIVE_VIEWS_KEPT_DAYS * 86_400).as_millis())
            .bind(number.saturating_sub(signed(LIVE_VIEWS_MAX)))
            .execute(&self.pool)
            .await;
        if let Err(error) = cleaned {
            tracing::warn!(%error, "old views are not forgotten");
        }
        Ok(unsigned(number))
    }

    /// Notes that a view is over.
    pub async fn end_live_view(&self, number: u64, bytes: u64, reason: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE live_views SET end_ms = $2, bytes = $3, reason = $4 WHERE number = $1")
            .bind(signed(number))
            .bind(now.as_millis())
            .bind(signed(bytes))
            .bind(reason)
            .execute(&self.pool)
            .await
            .during("note the end of a view")?;
        Ok(())
    }

    /// The newest views, newest first; at most 1,000.
    pub async fn live_views(&self) -> Result<Vec<LiveView>, StoreError> {
        let action = "read who watched";
        let rows = sqlx::query(
            "SELECT number, box, camera, profile, viewer, begin_ms, end_ms, bytes, reason FROM live_views
             ORDER BY number DESC LIMIT $1",
        )
        .bind(LIVE_VIEWS_READ_MAX)
        .fetch_all(&self.pool)
        .await
        .during(action)?;
        let read = |row: &AnyRow| {
            Ok(LiveView {
                number: unsigned(row.try_get("number")?),
                gateway: row.try_get("box")?,
                camera: row.try_get("camera")?,
                profile: row.try_get("profile")?,
                viewer: row.try_get("viewer")?,
                begin: Timestamp::from_millis(row.try_get("begin_ms")?),
                end: row.try_get::<Option<i64>, _>("end_ms")?.map(Timestamp::from_millis),
                bytes: unsigned(row.try_get("bytes")?),
                reason: row.try_get("reason")?,
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().during(action)
    }
}
