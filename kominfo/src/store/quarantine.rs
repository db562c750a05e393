//! What was refused, and alarms: kept for a person to look at, bounded a box.

use parking::{GatewayId, Timestamp};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::{During as _, Store, StoreError, signed, unsigned};

/// Refusals kept a box; the oldest goes first.
pub const REFUSALS_KEPT_A_BOX: usize = 50;
/// Bytes kept of a refused payload, from its begin.
pub const REFUSED_PAYLOAD_BYTES_MAX: usize = 256 * 1_024;
/// Characters kept of an explanation.
const DETAIL_CHARACTERS_MAX: usize = 500;
/// A notice that was not repeated for this long is over.
const NOTICE_S: i64 = 3_600;

/// Why input was refused, or what else a person should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmCode {
    /// The box has signed two different histories.
    Fork,
    /// A signature does not hold: forged, of another key, cut short, or of another history.
    BadSignature,
    /// A batch of indexes that are there already, with other contents.
    ReplayMismatch,
    /// A batch that was there already, unaltered. Nothing is counted twice.
    Replay,
    /// The sender is not registered.
    UnknownBox,
    /// Bytes that are no batch, or a state that is no state.
    Malformed,
    /// A signed record that cannot be used. It is kept, and counted nowhere.
    UndecodableRecord,
    /// Records of a made-up clock, in a city that counts real ones.
    SimulatedClock,
    /// The city's own copy of the log is damaged.
    StoreDamaged,
    /// A batch lies beyond what the city has, and what is missing did not come.
    Gap,
}

impl AlarmCode {
    /// All codes.
    pub const ALL: [Self; 10] = [
        Self::Fork,
        Self::BadSignature,
        Self::ReplayMismatch,
        Self::Replay,
        Self::UnknownBox,
        Self::Malformed,
        Self::UndecodableRecord,
        Self::SimulatedClock,
        Self::StoreDamaged,
        Self::Gap,
    ];

    /// The code as it is stored and told to programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::BadSignature => "bad_signature",
            Self::ReplayMismatch => "replay_mismatch",
            Self::Replay => "replay",
            Self::UnknownBox => "unknown_box",
            Self::Malformed => "malformed",
            Self::UndecodableRecord => "undecodable_record",
            Self::SimulatedClock => "simulated_clock",
            Self::StoreDamaged => "store_damaged",
            Self::Gap => "gap",
        }
    }

    /// The code of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// A notice tells of what usually mends itself, and ends when it does not come again; anything else stays until a
    /// person clears it.
    pub fn is_notice(self) -> bool {
        matches!(self, Self::Replay | Self::Gap)
    }
}

/// A standing alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// The box, or who claims to be one.
    #[serde(rename = "box")]
    pub gateway: String,
    /// What happened.
    pub code: AlarmCode,
    /// A notice ends by itself.
    pub notice: bool,
    /// The particulars of the last time.
    pub detail: String,
    /// When it was raised.
    pub raised: Timestamp,
    /// When it last happened.
    pub seen: Timestamp,
    /// How often it has happened since it was raised.
    pub times: u64,
}

/// Refused input, as it comes.
#[derive(Debug)]
pub struct NewRefusal<'a> {
    /// The box, or who claims to be one.
    pub gateway: &'a str,
    /// Why it was refused.
    pub reason: AlarmCode,
    /// The particulars.
    pub detail: &'a str,
    /// Where it came in.
    pub topic: &'a str,
    /// What came in.
    pub payload: &'a [u8],
}

/// Refused input, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its number.
    pub refusal: u64,
    /// The box, or who claims to be one.
    #[serde(rename = "box")]
    pub gateway: String,
    /// Why it was refused.
    pub reason: String,
    /// The particulars.
    pub detail: String,
    /// Where it came in.
    pub topic: String,
    /// Bytes that came in; at most 256 KiB of them are kept.
    pub payload_bytes: u64,
    /// When it first came.
    pub first: Timestamp,
    /// When it last came.
    pub last: Timestamp,
    /// How often it has come.
    pub times: u64,
}

impl Store {
    /// Keeps refused input and raises its alarm. The same input again counts up instead of being kept twice.
    pub async fn refuse(&self, new: &NewRefusal<'_>, now: Timestamp) -> Result<(), StoreError> {
        let action = "keep a refusal";
        let mut transaction = self.pool.begin().await.during(action)?;
        keep(&mut transaction, new, now).await?;
        transaction.commit().await.during(action)
    }

    /// Raises an alarm that keeps no input, or counts it up.
    pub async fn raise(
        &self,
        gateway: &GatewayId,
        code: AlarmCode,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.during("raise an alarm")?;
        raise(&mut connection, gateway.as_str(), code, detail, now).await
    }

    /// The standing alarms, newest first.
    pub async fn alarms(&self, now: Timestamp) -> Result<Vec<Alarm>, StoreError> {
        let rows = sqlx::query(
            "SELECT box, code, detail, raised_ms, seen_ms, times FROM alarms
             WHERE cleared_ms IS NULL ORDER BY seen_ms DESC, box, code",
        )
        .fetch_all(&self.pool)
        .await
        .during("read alarms")?;
        let alarms: Result<Vec<_>, _> = rows.iter().map(read_alarm).collect();
        let standing = |alarm: &Alarm| !alarm.notice || now.seconds_since(alarm.seen) < NOTICE_S;
        Ok(alarms
            .during("read alarms")?
            .into_iter()
            .flatten()
            .filter(standing)
            .collect())
    }

    /// Clears the alarms of a box, or the one with `code`, and with a fork's alarm the log's mark. Tells how many.
    pub async fn clear_alarms(
        &self,
        gateway: &GatewayId,
        code: Option<AlarmCode>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let action = "clear alarms";
        let mut transaction = self.pool.begin().await.during(action)?;
        if code.is_none_or(|code| code == AlarmCode::Fork) {
            sqlx::query("UPDATE logs SET forked = 0 WHERE box = $1")
                .bind(gateway.as_str())
                .execute(&mut *transaction)
                .await
                .during(action)?;
        }
        let cleared = sqlx::query(
            "UPDATE alarms SET cleared_ms = $2 WHERE box = $1 AND cleared_ms IS NULL AND (code = $3 OR $3 = '')",
        )
        .bind(gateway.as_str())
        .bind(now.as_millis())
        .bind(code.map_or("", AlarmCode::as_str))
        .execute(&mut *transaction)
        .await
        .during(action)?;
        transaction.commit().await.during(action)?;
        Ok(cleared.rows_affected())
    }

    /// What is kept of refused input, newest first; of one box or of all.
    pub async fn refusals(&self, gateway: Option<&GatewayId>) -> Result<Vec<Refusal>, StoreError> {
        let action = "read refusals";
        let rows = sqlx::query(
            "SELECT refusal, box, reason, detail, topic, payload_bytes, first_ms, last_ms, times FROM refusals
             WHERE box = $1 OR $1 = '' ORDER BY last_ms DESC, refusal DESC LIMIT 1000",
        )
        .bind(gateway.map_or("", GatewayId::as_str))
        .fetch_all(&self.pool)
        .await
        .during(action)?;
        let refusals: Result<Vec<_>, _> = rows.iter().map(read_refusal).collect();
        refusals.during(action)
    }
}

/// Keeps refused input and raises its alarm.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    new: &NewRefusal<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let action = "keep a refusal";
    let kept = new.payload.get(..REFUSED_PAYLOAD_BYTES_MAX).unwrap_or(new.payload);
    sqlx::query(
        "INSERT INTO refusals
         (box, digest, reason, detail, topic, payload, payload_bytes, first_ms, last_ms, times)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 1)
         ON CONFLICT (box, digest) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
         last_ms = excluded.last_ms, times = refusals.times + 1",
    )
    .bind(new.gateway)
    .bind(ledger::leaf_hash(new.payload).to_string())
    .bind(new.reason.as_str())
    .bind(printable(new.detail))
    .bind(printable(new.topic))
    .bind(kept)
    .bind(signed(new.payload.len() as u64))
    .bind(now.as_millis())
    .execute(&mut *connection)
    .await
    .during(action)?;
    sqlx::query(
        "DELETE FROM refusals WHERE box = $1 AND refusal NOT IN
         (SELECT refusal FROM refusals WHERE box = $1 ORDER BY last_ms DESC, refusal DESC LIMIT $2)",
    )
    .bind(new.gateway)
    .bind(signed(REFUSALS_KEPT_A_BOX as u64))
    .execute(&mut *connection)
    .await
    .during(action)?;
    raise(connection, new.gateway, new.reason, new.detail, now).await
}

/// Raises an alarm or counts it up.
pub(super) async fn raise(
    connection: &mut AnyConnection,
    gateway: &str,
    code: AlarmCode,
    detail: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    // An alarm that was cleared, or a notice that had ended, begins anew.
    let ended = if code.is_notice() {
        now.plus_seconds(-NOTICE_S).as_millis()
    } else {
        i64::MIN
    };
    sqlx::query(
        "INSERT INTO alarms (box, code, detail, raised_ms, seen_ms, times) VALUES ($1, $2, $3, $4, $4, 1)
         ON CONFLICT (box, code) DO UPDATE SET detail = excluded.detail, seen_ms = excluded.seen_ms,
         times = CASE WHEN alarms.cleared_ms IS NULL AND alarms.seen_ms > $5 THEN alarms.times + 1 ELSE 1 END,
         raised_ms = CASE WHEN alarms.cleared_ms IS NULL AND alarms.seen_ms > $5 THEN alarms.raised_ms
                     ELSE excluded.raised_ms END,
         cleared_ms = NULL",
    )
    .bind(gateway)
    .bind(code.as_str())
    .bind(printable(detail))
    .bind(now.as_millis())
    .bind(ended)
    .execute(connection)
    .await
    .during("raise an alarm")?;
    Ok(())
}

/// Text of foreign origin, fit for a text column and a screen.
fn printable(text: &str) -> String {
    text.chars()
        .take(DETAIL_CHARACTERS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn read_alarm(row: &AnyRow) -> Result<Option<Alarm>, sqlx::Error> {
    let Some(code) = AlarmCode::from_name(&row.try_get::<String, _>("code")?) else {
        return Ok(None);
    };
    Ok(Some(Alarm {
        gateway: row.try_get("box")?,
        code,
        notice: code.is_notice(),
        detail: row.try_get("detail")?,
        raised: Timestamp::from_millis(row.try_get("raised_ms")?),
        seen: Timestamp::from_millis(row.try_get("seen_ms")?),
        times: unsigned(row.try_get("times")?),
    }))
}

fn read_refusal(row: &AnyRow) -> Result<Refusal, sqlx::Error> {
    Ok(Refusal {
        refusal: unsigned(row.try_get("refusal")?),
        gateway: row.try_get("box")?,
        reason: row.try_get("reason")?,
        detail: row.try_get("detail")?,
        topic: row.try_get("topic")?,
        payload_bytes: unsigned(row.try_get("payload_bytes")?),
        first: Timestamp::from_millis(row.try_get("first_ms")?),
        last: Timestamp::from_millis(row.try_get("last_ms")?),
        times: unsigned(row.try_get("times")?),
    })
}
