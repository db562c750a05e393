//! What `gateway cameras` asks of the daemon: how cameras are, a picture, where recordings lie.
//!
//! | address | answer |
//! | --- | --- |
//! | `/cameras` | [`CameraStatus`] of each, JSON |
//! | `/cameras/ID/snapshot?width=&at=` | JPEG with masks; its time in [`AT_HEADER`] and [`CLOCK_HEADER`] |
//! | `/cameras/ID/recording?profile=&from=&to=` | [`Recording`] around that time, JSON |
//! | `POST /cameras/ID/accept-view` | nothing, when what it shows now is its usual view |
//! | `/cameras/ID/series?hours=&by_minute=` | [`Samples`] of the last hours, oldest first, JSON |
//!
//! Clips are cut by who asks, so that a long one does not burden the daemon.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use parking::{CameraId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Parts;
use crate::cameras::Cameras;
use crate::cameras::recordings::{Recording, Stretch};
use crate::cameras::series;
use crate::cameras::snapshot::SnapshotError;
use crate::cameras::told::CameraStatus;
use crate::cameras::wire::Profile;
use crate::state::telemetry::Samples;

/// Header with the time at which the picture was received.
pub const AT_HEADER: &str = "x-received-at";
/// Header with what the clock was worth then.
pub const CLOCK_HEADER: &str = "x-clock";

/// Which picture is wanted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SnapshotQuery {
    /// Greatest width, pixels.
    pub width: u16,
    /// Of which moment; the newest if there is none.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// Which recording is wanted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RecordingQuery {
    /// The stream.
    pub profile: Profile,
    /// From when.
    pub from: jiff::Timestamp,
    /// Until when.
    pub to: jiff::Timestamp,
}

/// Most hours of telemetry that are asked for at once: more than are kept.
pub const SERIES_HOURS_MAX: u32 = 32 * 24;

/// Which telemetry is wanted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SeriesQuery {
    /// Of how many hours up to now; at most [`SERIES_HOURS_MAX`].
    pub hours: u32,
    /// Single minutes, where they are still kept.
    pub by_minute: bool,
}

pub(super) fn routes() -> Router<Arc<Parts>> {
    Router::new()
        .route("/cameras", get(statuses))
        .route("/cameras/{id}/snapshot", get(snapshot))
        .route("/cameras/{id}/accept-view", post(accept_view))
        .route("/cameras/{id}/recording", get(recording))
        .route("/cameras/{id}/series", get(samples))
}

async fn statuses(State(parts): State<Arc<Parts>>) -> Json<Vec<CameraStatus>> {
    Json(parts.cameras.statuses())
}

/// A refusal in words.
type Refusal = (StatusCode, String);

fn known(cameras: &Cameras, id: &str) -> Result<CameraId, Refusal> {
    let known = cameras.ids().find(|known| known.as_str() == id).cloned();
    known.ok_or_else(|| {
        let ids: Vec<&str> = cameras.ids().map(CameraId::as_str).collect();
        let words = format!("it runs without camera {id}; it has: {}", ids.join(", "));
        (StatusCode::NOT_FOUND, words)
    })
}

async fn snapshot(
    State(parts): State<Arc<Parts>>,
    Path(id): Path<String>,
    Query(wanted): Query<SnapshotQuery>,
) -> Result<Response, Refusal> {
    let camera = known(&parts.cameras, &id)?;
    let made = parts.cameras.snapshot(&camera, wanted.at, wanted.width).await;
    let snapshot = made.map_err(|error: SnapshotError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let clock = serde_json::to_value(snapshot.stamp.clock).unwrap_or_default();
    let headers = [
        (CONTENT_TYPE.as_str(), "image/jpeg".to_owned()),
        (AT_HEADER, snapshot.stamp.at.to_string()),
        (CLOCK_HEADER, clock.as_str().unwrap_or_default().to_owned()),
    ];
    Ok((headers, snapshot.jpeg).into_response())
}

async fn accept_view(State(parts): State<Arc<Parts>>, Path(id): Path<String>) -> Result<(), Refusal> {
    let camera = known(&parts.cameras, &id)?;
    tracing::info!(%camera, "somebody at the box accepts its view");
    let accepted = parts.cameras.accept_view(&camera).await;
    accepted.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

async fn recording(
    State(parts): State<Arc<Parts>>,
    Path(id): Path<String>,
    Query(wanted): Query<RecordingQuery>,
) -> Result<Json<Recording>, Refusal> {
    let camera = known(&parts.cameras, &id)?;
    let Some(ring) = parts.cameras.ring(&camera, wanted.profile) else {
        let words = format!("{camera} {} is not recorded", wanted.profile);
        return Err((StatusCode::NOT_FOUND, words));
    };
    let stretch = Stretch {
        from: wanted.from,
        to: wanted.to,
    };
    let segments = ring.segments().await;
    Ok(Json(Recording::around(stretch, ring.folder().to_owned(), segments)))
}

async fn samples(
    State(parts): State<Arc<Parts>>,
    Path(id): Path<String>,
    Query(wanted): Query<SeriesQuery>,
) -> Result<Json<Vec<Samples>>, Refusal> {
    let camera = known(&parts.cameras, &id)?;
    let hours = wanted.hours.clamp(1, SERIES_HOURS_MAX);
    let now = parts.clock.now().at;
    let time = now.plus_seconds(-i64::from(hours) * 3_600)..now;
    let prefix = format!("{}/", series::subject(&camera));
    let samples = tokio::task::block_in_place(|| parts.board.telemetry().samples(&prefix, time, wanted.by_minute));
    Ok(Json(samples))
}
