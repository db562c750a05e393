//! The daemon's own API on a Unix socket: what `gateway status` and other commands ask.

pub mod cameras;
pub mod sensors;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use parking::{ClockQuality, SpaceNow, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::drivers::Drivers;
use super::heard::Heard;
use crate::cameras::Cameras;
use crate::cameras::far::FarStatus;
use crate::clock::Clock;
use crate::config::Config;
use crate::journal::{self, Item, Journal, JournalError, Sequence};
use crate::sensors::{DriverStatus, StatusSnapshot};
use crate::state::Board;
use crate::uplink::dialer::Traffic;
use crate::uplink::link::{LinkStatus, receipt_time};

/// How often the box's own state is put on the board for the city.
const BOX_INTERVAL: Duration = Duration::from_secs(5);

/// What the API looks at.
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The journal.
    pub journal: Arc<Journal>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The board, for the box's own state.
    pub board: Arc<Board>,
    /// How the uplink is.
    pub link: watch::Receiver<LinkStatus>,
    /// What the spaces are.
    pub spaces: watch::Receiver<Arc<Vec<SpaceNow>>>,
    /// How the drivers are.
    pub drivers: Drivers,
    /// What sensors said last.
    pub heard: Arc<Heard>,
    /// Bytes on the link.
    pub traffic: Arc<Traffic>,
    /// The cameras.
    pub cameras: Cameras,
    /// How views from the city are; `None` without `[far_view]`.
    pub far_view: Option<watch::Receiver<FarStatus>>,
}

/// All that `gateway status` shows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The box.
    pub gateway: String,
    /// Version of the running daemon.
    pub version: String,
    /// Its time.
    pub now: Timestamp,
    /// What its clock is worth.
    pub clock: ClockQuality,
    /// Records that the city has not receipted.
    pub backlog: u64,
    /// Records that it has.
    pub receipted: u64,
    /// When it signed last.
    #[serde(default)]
    pub receipt_time: Option<Timestamp>,
    /// The uplink, in detail.
    pub link: serde_json::Value,
    /// Bytes sent to and received from the city since start, TLS included.
    pub link_bytes: [u64; 2],
    /// The journal, in detail.
    pub journal: JournalStatus,
    /// The drivers, in detail.
    pub drivers: serde_json::Value,
    /// Spaces by state.
    pub spaces: serde_json::Value,
    /// Views from the city; `None` without `[far_view]`.
    #[serde(default)]
    pub far_view: Option<FarStatus>,
}

/// The journal as `gateway status` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Segment files that hold entries.
    pub segments: usize,
    /// Bytes allocated, spares and snapshots included.
    pub disk_bytes: u64,
    /// Spare segments.
    pub spares: usize,
    /// Spare segments that the reserve should have.
    pub reserve: usize,
    /// Appends wait because there is neither space nor reserve.
    pub full: bool,
}

impl From<journal::Status> for JournalStatus {
    fn from(status: journal::Status) -> Self {
        let journal::Status {
            segments,
            disk_bytes,
            spares,
            reserve,
            full,
            ..
        } = status;
        Self {
            segments,
            disk_bytes,
            spares,
            reserve,
            full,
        }
    }
}

/// The API, bound to its socket.
pub struct LocalApi {
    listener: UnixListener,
    path: PathBuf,
    parts: Arc<Parts>,
}

impl LocalApi {
    /// Binds the socket that the configuration names. The journal's lock makes sure that no other daemon uses it.
    pub fn bind(parts: Parts) -> anyhow::Result<Self> {
        let path = parts.config.local.socket.clone();
        let bind = || -> std::io::Result<UnixListener> {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
            Ok(listener)
        };
        let listener = bind().with_context(|| format!("cannot listen on local.socket {}", path.display()))?;
        Ok(Self {
            listener,
            path,
            parts: Arc::new(parts),
        })
    }

    /// Answers until cancelled.
    pub async fn run(self, cancel: CancellationToken) -> anyhow::Result<()> {
        let app = Router::new()
            .route("/status", get(status))
            .route("/spaces", get(spaces))
            .route("/ledger", get(ledger))
            .merge(cameras::routes())
            .merge(sensors::routes())
            .with_state(Arc::clone(&self.parts));
        let board = tokio::spawn(keep_box_on_board(Arc::clone(&self.parts), cancel.clone()));
        let served = axum::serve(self.listener, app)
            .with_graceful_shutdown(async move { cancel.cancelled().await })
            .await;
        board.await?;
        served.with_context(|| format!("local API on {}", self.path.display()))
    }
}

/// A piece of the journal that is asked for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Wanted {
    /// First sequence.
    pub from: u64,
    /// Most items; more than [`KEPT_MAX`] are not given at once.
    pub count: usize,
}

/// Most items of the journal given at once.
pub const KEPT_MAX: usize = 1_000;

/// A record that is kept, or a hole.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kept {
    /// A record, exactly as it is kept.
    Record {
        /// Its sequence.
        sequence: u64,
        /// Its text.
        record: String,
    },
    /// Records that cannot be read back.
    Lost {
        /// First sequence that is missing.
        first: u64,
        /// First sequence after the hole.
        next: u64,
        /// The file.
        file: String,
    },
}

/// Reads a piece of the journal.
pub fn kept(journal: &Journal, wanted: Wanted) -> Result<Vec<Kept>, JournalError> {
    let mut reader = journal.reader(Sequence(wanted.from));
    let mut kept = Vec::new();
    while kept.len() < wanted.count.min(KEPT_MAX)
        && let Some(item) = reader.next()?
    {
        kept.push(match item {
            Item::Record { sequence, bytes } => Kept::Record {
                sequence: sequence.0,
                record: String::from_utf8_lossy(&bytes).into_owned(),
            },
            Item::Lost { first, next, file } => Kept::Lost {
                first: first.0,
                next: next.0,
                file,
            },
        });
    }
    Ok(kept)
}

async fn ledger(
    State(parts): State<Arc<Parts>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<Kept>>, (StatusCode, String)> {
    tokio::task::block_in_place(|| kept(&parts.journal, wanted))
        .map(Json)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn keep_box_on_board(parts: Arc<Parts>, cancel: CancellationToken) {
    let mut interval = tokio::time::interval(BOX_INTERVAL);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = interval.tick() => {}
        }
        let status = status_of(&parts);
        let shown = json!({
            "at": status.now, "clock": status.clock, "version": status.version, "backlog": status.backlog,
            "receipted": status.receipted, "receipt_time": status.receipt_time, "journal_full": status.journal.full,
        });
        parts.board.put("box", shown);
    }
}

async fn status(State(parts): State<Arc<Parts>>) -> Json<Status> {
    Json(status_of(&parts))
}

async fn spaces(State(parts): State<Arc<Parts>>) -> Json<Vec<SpaceNow>> {
    Json(parts.spaces.borrow().as_ref().clone())
}

fn status_of(parts: &Parts) -> Status {
    let (now, link, journal) = (parts.clock.now(), parts.link.borrow().clone(), parts.journal.status());
    let mut by_state = std::collections::BTreeMap::<String, usize>::new();
    for space in parts.spaces.borrow().iter() {
        *by_state.entry(format!("{:?}", space.state).to_lowercase()).or_default() += 1;
    }
    let drivers: Vec<StatusSnapshot> = parts.drivers.statuses.iter().map(DriverStatus::snapshot).collect();
    Status {
        gateway: parts.config.gateway.id.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: now.at,
        clock: now.clock,
        backlog: journal.next.0.saturating_sub(link.receipted_next),
        receipted: link.receipted,
        receipt_time: receipt_time(&link),
        link_bytes: [parts.traffic.sent_bytes(), parts.traffic.received_bytes()],
        journal: journal.into(),
        drivers: json!(drivers),
        spaces: json!(by_state),
        link: json!(link),
        far_view: parts.far_view.as_ref().map(|told| told.borrow().clone()),
    }
}
