//! What the page, the interface and the commands read.

use std::ops::Range;

use ledger::{Receipt, SignedCheckpoint};
use parking::{CivilDate, GatewayId, Occupancy, Record, RecordBody, Session, Timestamp, Timezone, ZoneId};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::{Calendar, During as _, Store, StoreError, unsigned};

/// A registered box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxRow {
    /// The box.
    pub gateway: GatewayId,
    /// Its zone of time.
    pub timezone: Timezone,
    /// Minutes after midnight at which its business day ends.
    pub day_cutoff_minutes: u32,
    /// When it was registered.
    pub enrolled: Timestamp,
}

/// A box's log as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    /// The box.
    pub gateway: GatewayId,
    /// The log's name.
    pub origin: String,
    /// The key that its box signs with, as a C2SP verifier key.
    pub vkey: String,
    /// Records in it.
    pub size: u64,
    /// The newest checkpoint, signed by the box and by the city; absent while the log is empty.
    pub checkpoint: Option<SignedCheckpoint>,
    /// The city's last word to the box.
    pub receipt: Option<Receipt>,
    /// The box has signed two histories.
    pub forked: bool,
    /// When it last grew.
    pub updated: Timestamp,
}

/// Which sessions to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Begun at or after.
    pub from: Option<Timestamp>,
    /// Begun before.
    pub to: Option<Timestamp>,
    /// Of this zone.
    pub zone: Option<ZoneId>,
    /// Of this business day.
    pub day: Option<CivilDate>,
    /// With those that were taken back.
    pub void: bool,
    /// After this begin and session, as [`StoredSession`]s are ordered.
    pub after: Option<(Timestamp, String)>,
    /// At most so many.
    pub limit: u32,
}

/// Sessions that are read at once when a whole day is added up.
const SESSIONS_A_QUERY: u32 = 1_000;

/// A session as last told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredSession {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// Index of the leaf that tells it.
    pub index: u64,
}

impl StoredSession {
    /// Its place in the order of sessions, for those after it.
    fn place(&self) -> (Timestamp, String) {
        (self.session.start, self.session.session.to_string())
    }
}

/// How many records of a kind a log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventCount {
    /// The kind.
    pub kind: String,
    /// How many.
    pub count: u64,
}

impl Store {
    /// All registered boxes.
    pub async fn boxes(&self) -> Result<Vec<BoxRow>, StoreError> {
        let action = "read boxes";
        let rows = sqlx::query("SELECT box, timezone, day_cutoff_minutes, enrolled_ms FROM boxes ORDER BY box")
            .fetch_all(&self.pool)
            .await
            .during(action)?;
        rows.iter().map(|row| read_box(row).during(action)).collect()
    }

    /// All logs, or one box's.
    pub async fn logs(&self, gateway: Option<&GatewayId>) -> Result<Vec<LogRow>, StoreError> {
        let mut connection = self.pool.acquire().await.during("read logs")?;
        read_logs(&mut connection, gateway).await
    }

    /// Sessions of a box as last told, by begin and name.
    pub async fn sessions(
        &self,
        gateway: &GatewayId,
        filter: &SessionFilter,
    ) -> Result<Vec<StoredSession>, StoreError> {
        let action = "read sessions";
        let text = |value: Option<String>| value.unwrap_or_default();
        let (after, after_session) = filter
            .after
            .clone()
            .unwrap_or((Timestamp::from_millis(i64::MIN), String::new()));
        let rows = sqlx::query(
            "SELECT sessions.idx, leaves.record FROM sessions
             JOIN leaves ON leaves.box = sessions.box AND leaves.idx = sessions.idx
             WHERE sessions.box = $1 AND start_ms >= $2 AND start_ms < $3
             AND (zone = $4 OR $4 = '') AND (day = $5 OR $5 = '') AND (status <> $6)
             AND (start_ms > $7 OR (start_ms = $7 AND session > $8))
             ORDER BY start_ms, session LIMIT $9",
        )
        .bind(gateway.as_str())
        .bind(filter.from.map_or(i64::MIN, Timestamp::as_millis))
        .bind(filter.to.map_or(i64::MAX, Timestamp::as_millis))
        .bind(text(filter.zone.as_ref().map(ToString::to_string)))
        .bind(text(filter.day.map(|day| day.to_string())))
        .bind(if filter.void { "" } else { "void" })
        .bind(after.as_millis())
        .bind(after_session)
        .bind(i64::from(filter.limit))
        .fetch_all(&self.pool)
        .await
        .during(action)?;
        rows.iter()
            .map(|row| {
                let (index, record) = read_record(gateway, row)?;
                match record.body {
                    RecordBody::Session(session) => Ok(StoredSession { session, index }),
                    _ => Err(StoreError::corrupt(
                        gateway.as_str(),
                        format!("leaf {index}"),
                        "it is no session",
                    )),
                }
            })
            .collect()
    }

    /// Every session of a business day, of one zone or of all, without those that were taken back.
    pub async fn sessions_of_day(
        &self,
        gateway: &GatewayId,
        day: CivilDate,
        zone: Option<&ZoneId>,
    ) -> Result<Vec<Session>, StoreError> {
        let mut filter = SessionFilter {
            day: Some(day),
            zone: zone.cloned(),
            limit: SESSIONS_A_QUERY,
            ..SessionFilter::default()
        };
        let mut all = Vec::new();
        loop {
            let some = self.sessions(gateway, &filter).await?;
            filter.after = some.last().map(StoredSession::place);
            let is_last = some.len() < usize::try_from(SESSIONS_A_QUERY).unwrap_or(usize::MAX);
            all.extend(some.into_iter().map(|stored| stored.session));
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The index of the leaf that last told a session; one for each box that has a session of that name.
    pub async fn session_indexes(&self, session: &str) -> Result<Vec<(GatewayId, u64)>, StoreError> {
        let action = "look a session up";
        let rows = sqlx::query("SELECT box, idx FROM sessions WHERE session = $1 ORDER BY box")
            .bind(session)
            .fetch_all(&self.pool)
            .await
            .during(action)?;
        let read = |row: &AnyRow| Ok((read_gateway(row)?, unsigned(row.try_get("idx")?)));
        rows.iter().map(read).collect::<Result<_, _>>().during(action)
    }

    /// Occupancy of a zone, of intervals that begin in `span`, as last told.
    pub async fn occupancy(
        &self,
        gateway: &GatewayId,
        zone: &ZoneId,
        span: Range<Timestamp>,
    ) -> Result<Vec<Occupancy>, StoreError> {
        let action = "read occupancy";
        let rows = sqlx::query(
            "SELECT occupancy.idx, leaves.record FROM occupancy
             JOIN leaves ON leaves.box = occupancy.box AND leaves.idx = occupancy.idx
             WHERE occupancy.box = $1 AND zone = $2 AND from_ms >= $3 AND from_ms < $4 ORDER BY from_ms",
        )
        .bind(gateway.as_str())
        .bind(zone.as_str())
        .bind(span.start.as_millis())
        .bind(span.end.as_millis())
        .fetch_all(&self.pool)
        .await
        .during(action)?;
        rows.iter()
            .map(|row| {
                let (index, record) = read_record(gateway, row)?;
                match record.body {
                    RecordBody::Occupancy(occupancy) => Ok(occupancy),
                    _ => Err(StoreError::corrupt(
                        gateway.as_str(),
                        format!("leaf {index}"),
                        "it is no occupancy",
                    )),
                }
            })
            .collect()
    }

    /// The end of the newest interval that a box has told.
    pub async fn occupancy_until(&self, gateway: &GatewayId) -> Result<Option<Timestamp>, StoreError> {
        let action = "read the newest occupancy";
        let row = sqlx::query("SELECT MAX(from_ms + interval_s * 1000 - 1) AS until_ms FROM occupancy WHERE box = $1")
            .bind(gateway.as_str())
            .fetch_one(&self.pool)
            .await
            .during(action)?;
        let until: Option<i64> = row.try_get("until_ms").during(action)?;
        Ok(until.map(Timestamp::from_millis))
    }

    /// The newest record of a box's log; `None` when it is empty.
    pub async fn newest_record(&self, gateway: &GatewayId) -> Result<Option<Vec<u8>>, StoreError> {
        let action = "read the newest record";
        let row = sqlx::query("SELECT record FROM leaves WHERE box = $1 ORDER BY idx DESC LIMIT 1")
            .bind(gateway.as_str())
            .fetch_optional(&self.pool)
            .await
            .during(action)?;
        row.map(|row| row.try_get("record")).transpose().during(action)
    }

    /// The zones of which a box has told something on a business day or within its `span`.
    pub async fn zones_of_day(
        &self,
        gateway: &GatewayId,
        day: CivilDate,
        span: Range<Timestamp>,
    ) -> Result<Vec<ZoneId>, StoreError> {
        let action = "read the zones of a day";
        let rows = sqlx::query(
            "SELECT zone FROM sessions WHERE box = $1 AND day = $2
             UNION SELECT zone FROM occupancy WHERE box = $1 AND from_ms >= $3 AND from_ms < $4 ORDER BY zone",
        )
        .bind(gateway.as_str())
        .bind(day.to_string())
        .bind(span.start.as_millis())
        .bind(span.end.as_millis())
        .fetch_all(&self.pool)
        .await
        .during(action)?;
        rows.iter()
            .map(|row| read_id(row, "zone", ZoneId::new))
            .collect::<Result<_, _>>()
            .during(action)
    }

    /// How many records of each other kind a box's log holds.
    pub async fn event_counts(&self, gateway: &GatewayId) -> Result<Vec<EventCount>, StoreError> {
        let action = "count events";
        let rows =
            sqlx::query("SELECT kind, COUNT(*) AS events FROM events WHERE box = $1 GROUP BY kind ORDER BY kind")
                .bind(gateway.as_str())
                .fetch_all(&self.pool)
                .await
                .during(action)?;
        let read = |row: &AnyRow| {
            Ok(EventCount {
                kind: row.try_get("kind")?,
                count: unsigned(row.try_get("events")?),
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().during(action)
    }

    /// A value that changes whenever the page should: for all instances, and cheap to ask for.
    pub async fn change_mark(&self) -> Result<[i64; 4], StoreError> {
        let action = "look for changes";
        let row = sqlx::query(
            "SELECT (SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM logs) AS records,
             (SELECT COALESCE(MAX(updated_ms), 0) FROM states) AS state,
             (SELECT COALESCE(MAX(updated_ms), 0) FROM links) AS link,
             (SELECT COALESCE(MAX(seen_ms), 0) + COALESCE(MAX(cleared_ms), 0) FROM alarms) AS alarm",
        )
        .fetch_one(&self.pool)
        .await
        .during(action)?;
        let read = |name: &str| row.try_get::<i64, _>(name).during(action);
        Ok([read("records")?, read("state")?, read("link")?, read("alarm")?])
    }

    /// Notes the verifier key that this city's receipts are made with.
    pub async fn put_cosigner(&self, vkey: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO cosigners (vkey, first_used_ms) VALUES ($1, $2) ON CONFLICT (vkey) DO NOTHING")
            .bind(vkey)
            .bind(now.as_millis())
            .execute(&self.pool)
            .await
            .during("note the city's key")?;
        Ok(())
    }

    /// The verifier keys that this city's receipts were ever made with, the oldest first.
    pub async fn cosigners(&self) -> Result<Vec<String>, StoreError> {
        let action = "read the city's keys";
        let rows = sqlx::query("SELECT vkey FROM cosigners ORDER BY first_used_ms, vkey")
            .fetch_all(&self.pool)
            .await
            .during(action)?;
        rows.iter().map(|row| row.try_get("vkey").during(action)).collect()
    }
}

fn read_id<T, E: std::error::Error + Send + Sync + 'static>(
    row: &AnyRow,
    column: &str,
    new: impl Fn(String) -> Result<T, E>,
) -> Result<T, sqlx::Error> {
    new(row.try_get(column)?).map_err(|error| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: error.into(),
    })
}

fn read_gateway(row: &AnyRow) -> Result<GatewayId, sqlx::Error> {
    read_id(row, "box", GatewayId::new)
}

/// A row's zone of time and begin of the business day.
pub(super) fn read_calendar(row: &AnyRow) -> Result<Calendar, sqlx::Error> {
    Ok(Calendar {
        timezone: timezone_named(&row.try_get::<String, _>("timezone")?).unwrap_or(Timezone::Wib),
        day_cutoff_minutes: u32::try_from(row.try_get::<i64, _>("day_cutoff_minutes")?).unwrap_or(0),
    })
}

fn read_box(row: &AnyRow) -> Result<BoxRow, sqlx::Error> {
    let Calendar {
        timezone,
        day_cutoff_minutes,
    } = read_calendar(row)?;
    Ok(BoxRow {
        gateway: read_gateway(row)?,
        timezone,
        day_cutoff_minutes,
        enrolled: Timestamp::from_millis(row.try_get("enrolled_ms")?),
    })
}

/// The zone of time that prints as `name`.
fn timezone_named(name: &str) -> Option<Timezone> {
    [Timezone::Wib, Timezone::Wita, Timezone::Wit]
        .into_iter()
        .find(|timezone| timezone.name() == name)
}

/// All logs, or one box's.
pub(super) async fn read_logs(
    connection: &mut AnyConnection,
    gateway: Option<&GatewayId>,
) -> Result<Vec<LogRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT box, origin, vkey, size, checkpoint, receipt, forked, updated_ms FROM logs
         WHERE box = $1 OR $1 = '' ORDER BY box",
    )
    .bind(gateway.map_or("", GatewayId::as_str))
    .fetch_all(connection)
    .await
    .during("read logs")?;
    rows.iter().map(read_log).collect()
}

fn read_log(row: &AnyRow) -> Result<LogRow, StoreError> {
    let action = "read logs";
    let gateway = read_gateway(row).during(action)?;
    let corrupt = |what: &str, why: String| StoreError::corrupt(gateway.as_str(), what, why);
    let note: Option<String> = row.try_get("checkpoint").during(action)?;
    let checkpoint = note.map(|note| SignedCheckpoint::from_note(&note)).transpose();
    let receipt: Option<Vec<u8>> = row.try_get("receipt").during(action)?;
    let receipt = receipt.map(|bytes| Receipt::from_bytes(&bytes)).transpose();
    Ok(LogRow {
        origin: row.try_get("origin").during(action)?,
        vkey: row.try_get("vkey").during(action)?,
        size: unsigned(row.try_get("size").during(action)?),
        checkpoint: checkpoint.map_err(|error| corrupt("checkpoint", error.to_string()))?,
        receipt: receipt.map_err(|error| corrupt("receipt", error.to_string()))?,
        forked: row.try_get::<i64, _>("forked").during(action)? != 0,
        updated: Timestamp::from_millis(row.try_get("updated_ms").during(action)?),
        gateway,
    })
}

fn read_record(gateway: &GatewayId, row: &AnyRow) -> Result<(u64, Record), StoreError> {
    let action = "read a record";
    let index = unsigned(row.try_get("idx").during(action)?);
    let bytes: Vec<u8> = row.try_get("record").during(action)?;
    let record = serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::corrupt(gateway.as_str(), format!("leaf {index}"), error.to_string()))?;
    Ok((index, record))
}
