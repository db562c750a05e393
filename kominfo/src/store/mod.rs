//! The city's database: PostgreSQL for a city, one `SQLite` file for a trial, through one code path.
//!
//! All SQL is the subset that both speak, with `$1` placeholders. The two differ in the names of three column types
//! ([`schema`]), in how a connection is set up and in how a migration waits for another; nowhere else.
//!
//! Invariants:
//! - Whoever changes what belongs to a box's log first takes that log ([`Store::lock_log`]): on PostgreSQL a row lock,
//!   on `SQLite` the write lock. So two instances, or two tasks, never interleave inside one log.
//! - Leaves, tiles, derived rows, checkpoint and receipt of a batch become visible together or not at all.
//! - What is kept of refused input is bounded a box (see [`quarantine`]).

mod audit;
mod logs;
mod quarantine;
mod read;
mod rows;
mod schema;
mod states;
mod telemetry;
mod told;
mod views;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions};
use sqlx::error::BoxDynError;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions as _};

pub use audit::Snapshot;
pub use logs::{Calendar, Derived, LockedLog, LogHead, Tiles};
pub use quarantine::{Alarm, AlarmCode, NewRefusal, REFUSALS_KEPT_A_BOX, REFUSED_PAYLOAD_BYTES_MAX, Refusal};
pub use read::{BoxRow, EventCount, LogRow, SessionFilter, StoredSession};
pub use rows::{EventRow, LeafRow, OccupancyRow, SessionRow, StateRow, TelemetryRow, TileRow};
pub use states::{Link, State};
pub use telemetry::TELEMETRY_KEPT_DAYS;
pub use told::Put;
pub use views::{LIVE_VIEWS_KEPT_DAYS, LIVE_VIEWS_MAX, LiveView, NewLiveView};

/// How long a statement waits for `SQLite`'s write lock.
const SQLITE_BUSY: Duration = Duration::from_secs(30);
/// How long PostgreSQL leaves a log to an instance that says nothing, as its machine may have lost power.
const POSTGRES_IDLE: Duration = Duration::from_mins(1);
/// Connections of one instance: enough for a few boxes at once beside the page.
const CONNECTIONS_MAX: u32 = 8;
/// How long a task waits for a connection before it gives up.
const ACQUIRE_WAIT: Duration = Duration::from_secs(30);

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is of no database that is supported.
    #[error("\"{0}\" is no database address: use sqlite:PATH or postgres://USER@HOST/NAME")]
    Address(String),
    /// The database cannot be reached or opened.
    #[error("cannot open the database {address}: check that it runs, and the user's rights to it")]
    Open {
        /// The address, without a password.
        address: String,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("database: cannot {action}")]
    Statement {
        /// What was being done.
        action: &'static str,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// The database was made by a later version of this program.
    #[error("the database has tables of version {found}, this program knows {known}: use the newer program")]
    Newer {
        /// Version found.
        found: usize,
        /// Newest version known.
        known: usize,
    },
    /// Something stored cannot be what was stored.
    #[error("the database holds {what} of box {gateway} that cannot be read: {why}; run `kominfo verify`")]
    Corrupt {
        /// The box.
        gateway: String,
        /// Which value.
        what: String,
        /// Why it cannot be right.
        why: String,
    },
}

impl StoreError {
    pub(crate) fn corrupt(gateway: &str, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt {
            gateway: gateway.to_owned(),
            what: what.into(),
            why: why.into(),
        }
    }
}

/// Says what was being done when the driver failed.
pub(crate) trait During<T> {
    fn during(self, action: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, action: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Statement { action, source })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Postgres,
    Sqlite,
}

/// The database, shared by all tasks of an instance.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    backend: Backend,
}

impl Store {
    /// Opens the database at `address` (`sqlite:PATH`, `postgres://…`), makes it if it is a `SQLite` file that is not
    /// there, and brings its tables to the present version.
    pub async fn open(address: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let backend = match address.split_once(':') {
            Some(("sqlite", _)) => Backend::Sqlite,
            Some(("postgres" | "postgresql", _)) => Backend::Postgres,
            _ => return Err(StoreError::Address(without_password(address))),
        };
        let opened = |source| StoreError::Open {
            address: without_password(address),
            source,
        };
        let made = match backend {
            Backend::Sqlite if !address.contains('?') => format!("{address}?mode=rwc"),
            _ => address.to_owned(),
        };
        let options: AnyConnectOptions = made.parse().map_err(opened)?;
        // Statements are written many rows at a time: a log line with their text would help nobody.
        let options = options.disable_statement_logging();
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_WAIT)
            .after_connect(move |connection, _| Box::pin(set_up(connection, backend)))
            .connect_with(options)
            .await
            .map_err(opened)?;
        let store = Self { pool, backend };
        schema::migrate(&store).await?;
        Ok(store)
    }

    /// The address of the `SQLite` file at `path`, made when it is not there.
    pub fn sqlite_address(path: &Path) -> String {
        let mut address = String::from("sqlite:");
        for byte in path.to_string_lossy().bytes() {
            // These would end or change an address; the driver decodes them again.
            match byte {
                b'%' | b'?' | b'#' | b' ' | b'"' | b'<' | b'>' => {
                    write!(address, "%{byte:02X}").unwrap_or_default();
                }
                _ if byte.is_ascii_graphic() => address.push(char::from(byte)),
                _ => write!(address, "%{byte:02X}").unwrap_or_default(),
            }
        }
        address.push_str("?mode=rwc");
        address
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1")
            .execute(&self.pool)
            .await
            .during("ask for a sign of life")?;
        Ok(())
    }

    /// Ends all connections, after what is under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn set_up(connection: &mut AnyConnection, backend: Backend) -> Result<(), sqlx::Error> {
    let busy = format!("PRAGMA busy_timeout = {}", SQLITE_BUSY.as_millis());
    let idle = format!(
        "SET idle_in_transaction_session_timeout = {}",
        POSTGRES_IDLE.as_millis()
    );
    let settings: &[&str] = match backend {
        Backend::Postgres => &[&idle],
        // The time-out comes first, as the others may have to wait for another process that starts at the same time.
        Backend::Sqlite => &[
            &busy,
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
        ],
    };
    for &setting in settings {
        sqlx::query(AssertSqlSafe(setting))
            .persistent(false)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// `address` fit to be shown.
fn without_password(address: &str) -> String {
    let address = address.split_once('?').map_or(address, |(before, _)| before);
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((user, place)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{place}")
        }
        None => address.to_owned(),
    }
}

/// A row that can be written many at a time.
pub(crate) trait InsertRow {
    /// `INSERT INTO table (columns)`.
    const INTO: &'static str;
    /// Number of columns.
    const COLUMNS: usize;
    /// What happens when the key is there already.
    const CONFLICT: &'static str;
    /// Adds the columns' values, in order.
    fn bind(&self, values: &mut AnyArguments) -> Result<(), BoxDynError>;
}

/// Most rows of one statement. Measured with batches of 512 records: fewer cost round trips, more cost planning.
const ROWS_A_STATEMENT_MAX: usize = 64;

/// Writes `rows` by statements whose numbers of rows are powers of two, so that there are few different ones and each is
/// prepared once a connection.
pub(crate) async fn insert<R: InsertRow>(
    connection: &mut AnyConnection,
    mut rows: &[R],
    action: &'static str,
) -> Result<(), StoreError> {
    let backend = if connection.backend_name() == "SQLite" {
        Backend::Sqlite
    } else {
        Backend::Postgres
    };
    while !rows.is_empty() {
        let count = if rows.len() >= ROWS_A_STATEMENT_MAX {
            ROWS_A_STATEMENT_MAX
        } else {
            1 << rows.len().ilog2()
        };
        let (now, later) = rows.split_at(count);
        let mut values = AnyArguments::default();
        for row in now {
            row.bind(&mut values).map_err(sqlx::Error::Encode).during(action)?;
        }
        let statement = AssertSqlSafe(insert_statement::<R>(backend, count));
        sqlx::query_with(statement, values)
            .execute(&mut *connection)
            .await
            .during(action)?;
        rows = later;
    }
    Ok(())
}

fn insert_statement<R: InsertRow>(backend: Backend, rows: usize) -> String {
    let mut statement = String::with_capacity(R::INTO.len() + R::CONFLICT.len() + rows * R::COLUMNS * 6);
    statement.push_str(R::INTO);
    for row in 0..rows {
        statement.push_str(if row == 0 { " VALUES (" } else { ", (" });
        for column in 1..=R::COLUMNS {
            let separator = if column == 1 { "" } else { ", " };
            match backend {
                Backend::Postgres => write!(statement, "{separator}${}", row * R::COLUMNS + column),
                // Numbered parameters are names to SQLite, and it looks each of them up in a list.
                Backend::Sqlite => write!(statement, "{separator}?"),
            }
            .unwrap_or_default();
        }
        statement.push(')');
    }
    statement.push(' ');
    statement.push_str(R::CONFLICT);
    statement
}

/// An unsigned number as the databases keep it. Everything that comes here was bounded before.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored number that cannot be negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(without_password("postgres://u:secret@h/d"), "postgres://u@h/d");
        assert_eq!(without_password("postgres://h/d"), "postgres://h/d");
        assert_eq!(without_password("postgres://h/d?password=secret"), "postgres://h/d");
        assert_eq!(without_password("sqlite:a.db?mode=rwc"), "sqlite:a.db");
    }

    #[test]
    fn rows_are_numbered_through_a_statement() {
        let statement = insert_statement::<EventRow>(Backend::Postgres, 2);
        assert!(
            statement.contains("VALUES ($1, $2, $3), ($4, $5, $6) ON CONFLICT"),
            "{statement}"
        );
    }
}
