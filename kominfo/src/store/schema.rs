//! The tables, and how an older database becomes a newer one.
//!
//! One text serves both databases; only the names of three column types differ. Leaves, tiles and logs are the facts;
//! `sessions`, `occupancy` and `events` are derived from the leaves and can be made again (`kominfo rebuild`).
//! Times are milliseconds since 1970 UTC, money is whole rupiah. Tables that grow by the batch do not refer to `logs` by
//! a foreign key: PostgreSQL would look the same row up for each of their rows, which whoever writes them has locked.

use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::{Backend, During as _, Store, StoreError};

/// The steps from an empty database to the present one. A step, once released, is never changed: add another.
const STEPS: &[&[&str]] = &[
    &[
        "CREATE TABLE boxes (
        box TEXT PRIMARY KEY,
        timezone TEXT NOT NULL,
        day_cutoff_minutes BIGINT NOT NULL,
        enrolled_ms BIGINT NOT NULL)",
        "CREATE TABLE logs (
        box TEXT PRIMARY KEY REFERENCES boxes (box),
        origin TEXT NOT NULL,
        vkey TEXT NOT NULL,
        size BIGINT NOT NULL,
        frontier {bytes} NOT NULL,
        checkpoint TEXT,
        receipt {bytes},
        forked BIGINT NOT NULL,
        updated_ms BIGINT NOT NULL)",
        "CREATE TABLE leaves (
        box TEXT NOT NULL,
        idx BIGINT NOT NULL,
        record {bytes} NOT NULL,
        received_ms BIGINT NOT NULL,
        PRIMARY KEY (box, idx))",
        "CREATE TABLE tiles (
        box TEXT NOT NULL,
        level BIGINT NOT NULL,
        n BIGINT NOT NULL,
        hashes {bytes} NOT NULL,
        PRIMARY KEY (box, level, n))",
        "CREATE TABLE sessions (
        box TEXT NOT NULL,
        session TEXT NOT NULL,
        revision BIGINT NOT NULL,
        idx BIGINT NOT NULL,
        zone TEXT NOT NULL,
        space TEXT NOT NULL,
        class TEXT NOT NULL,
        status TEXT NOT NULL,
        day TEXT NOT NULL,
        start_ms BIGINT NOT NULL,
        end_ms BIGINT NOT NULL,
        fee_low BIGINT NOT NULL,
        fee_point BIGINT NOT NULL,
        fee_high BIGINT NOT NULL,
        PRIMARY KEY (box, session))",
        "CREATE INDEX sessions_by_day ON sessions (box, day, zone)",
        "CREATE INDEX sessions_by_start ON sessions (box, start_ms)",
        "CREATE TABLE occupancy (
        box TEXT NOT NULL,
        zone TEXT NOT NULL,
        from_ms BIGINT NOT NULL,
        revision BIGINT NOT NULL,
        idx BIGINT NOT NULL,
        interval_s BIGINT NOT NULL,
        spaces BIGINT NOT NULL,
        occupied_s BIGINT NOT NULL,
        free_s BIGINT NOT NULL,
        unknown_s BIGINT NOT NULL,
        closed_s BIGINT NOT NULL,
        arrivals BIGINT NOT NULL,
        departures BIGINT NOT NULL,
        PRIMARY KEY (box, zone, from_ms))",
        "CREATE TABLE events (
        box TEXT NOT NULL,
        idx BIGINT NOT NULL,
        kind TEXT NOT NULL,
        PRIMARY KEY (box, idx))",
        "CREATE INDEX events_by_kind ON events (box, kind)",
        "CREATE TABLE states (
        box TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        updated_ms BIGINT NOT NULL,
        PRIMARY KEY (box, name))",
        "CREATE TABLE links (
        box TEXT PRIMARY KEY REFERENCES boxes (box),
        online BIGINT NOT NULL,
        detail TEXT NOT NULL,
        updated_ms BIGINT NOT NULL)",
        "CREATE TABLE refusals (
        refusal {serial},
        box TEXT NOT NULL,
        digest TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        topic TEXT NOT NULL,
        payload {bytes} NOT NULL,
        payload_bytes BIGINT NOT NULL,
        first_ms BIGINT NOT NULL,
        last_ms BIGINT NOT NULL,
        times BIGINT NOT NULL,
        UNIQUE (box, digest))",
        "CREATE TABLE alarms (
        box TEXT NOT NULL,
        code TEXT NOT NULL,
        detail TEXT NOT NULL,
        raised_ms BIGINT NOT NULL,
        seen_ms BIGINT NOT NULL,
        times BIGINT NOT NULL,
        cleared_ms BIGINT,
        PRIMARY KEY (box, code))",
        "CREATE TABLE cosigners (
        vkey TEXT PRIMARY KEY,
        first_used_ms BIGINT NOT NULL)",
    ],
    &[
        "CREATE TABLE live_views (
        number {serial},
        box TEXT NOT NULL,
        camera TEXT NOT NULL,
        profile TEXT NOT NULL,
        viewer TEXT NOT NULL,
        begin_ms BIGINT NOT NULL,
        end_ms BIGINT,
        bytes BIGINT NOT NULL,
        reason TEXT NOT NULL)",
        "CREATE INDEX live_views_by_begin ON live_views (begin_ms)",
    ],
    &[
        "CREATE TABLE telemetry (
        box TEXT NOT NULL,
        from_ms BIGINT NOT NULL,
        series TEXT NOT NULL,
        step_s BIGINT NOT NULL,
        samples TEXT NOT NULL,
        PRIMARY KEY (box, from_ms, series))",
        "CREATE INDEX telemetry_by_time ON telemetry (from_ms)",
    ],
];

/// Any number, the same in every version: instances that start at once take their turn by it on PostgreSQL.
const MIGRATION_LOCK: i64 = 0x7061_726b_6972;

/// Brings the database to the present version, all steps in one transaction; instances that start at once wait for
/// each other. A database of a newer version is refused.
pub(super) async fn migrate(store: &Store) -> Result<(), StoreError> {
    let begin = match store.backend {
        Backend::Postgres => "BEGIN",
        Backend::Sqlite => "BEGIN IMMEDIATE",
    };
    let mut transaction = store.pool.begin_with(begin).await.during("begin the migration")?;
    if store.backend == Backend::Postgres {
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut *transaction)
            .await
            .during("wait for another instance's migration")?;
    }
    run(
        &mut transaction,
        "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)".to_owned(),
    )
    .await?;
    let version = version(&mut transaction).await?;
    if version > STEPS.len() {
        return Err(StoreError::Newer {
            found: version,
            known: STEPS.len(),
        });
    }
    for step in STEPS.get(version..).unwrap_or_default() {
        for statement in *step {
            run(&mut transaction, dialect(store.backend, statement)).await?;
        }
    }
    if version < STEPS.len() {
        run(&mut transaction, "DELETE FROM schema_version".to_owned()).await?;
        run(
            &mut transaction,
            format!("INSERT INTO schema_version (version) VALUES ({})", STEPS.len()),
        )
        .await?;
    }
    transaction.commit().await.during("commit the migration")
}

async fn run(connection: &mut AnyConnection, statement: String) -> Result<(), StoreError> {
    let query = sqlx::query(AssertSqlSafe(statement));
    query
        .persistent(false)
        .execute(connection)
        .await
        .during("migrate the tables")?;
    Ok(())
}

async fn version(connection: &mut AnyConnection) -> Result<usize, StoreError> {
    let row = sqlx::query("SELECT version FROM schema_version")
        .fetch_optional(connection)
        .await
        .during("read the version of the tables")?;
    let version = row
        .map_or(Ok(0), |row| row.try_get::<i64, _>("version"))
        .during("read the version of the tables")?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn dialect(backend: Backend, statement: &str) -> String {
    let (bytes, serial) = match backend {
        Backend::Postgres => ("BYTEA", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        Backend::Sqlite => ("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT"),
    };
    // Compared byte by byte, as SQLite and this program do, whatever the language of the database.
    let text = if backend == Backend::Postgres {
        " TEXT COLLATE \"C\""
    } else {
        " TEXT"
    };
    statement
        .replace("{bytes}", bytes)
        .replace("{serial}", serial)
        .replace(" TEXT", text)
}
