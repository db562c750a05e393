//! The interface for programs: JSON, read only. Errors are `{"error": …, "hint": …}`.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking::{CivilDate, GatewayId, Timestamp, ZoneDay, ZoneId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Web;
use super::view::{BoxView, SpaceState, day_of_zone};
use crate::clock;
use crate::store::{Alarm, EventCount, Refusal, SessionFilter, StoreError, StoredSession};

/// Sessions of one answer.
const SESSIONS_MAX: u32 = 10_000;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/boxes", get(boxes))
        .route("/api/v1/boxes/{id}", get(one_box))
        .route("/api/v1/boxes/{id}/sessions", get(sessions))
        .route("/api/v1/zones/{box}/{zone}/days/{day}", get(zone_day))
        .route("/api/v1/spaces", get(spaces))
        .route("/api/v1/alarms", get(alarms))
        .route("/api/v1/refusals", get(refusals))
}

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    error: String,
    hint: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            hint: hint.into(),
        }
    }

    pub(super) fn not_found(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error, hint)
    }

    pub(super) fn bad(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, hint)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "cannot answer");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            error.to_string(),
            "try again; see the log of kominfo",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error, "hint": self.hint }))).into_response()
    }
}

/// Reads what a request names.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    what: &str,
    text: &str,
    like: &str,
) -> Result<T, Problem> {
    text.parse()
        .map_err(|error| Problem::bad(format!("{what}: {error}"), format!("like {like}")))
}

pub(super) fn parsed_if<T: std::str::FromStr<Err: std::fmt::Display>>(
    what: &str,
    text: Option<&String>,
    like: &str,
) -> Result<Option<T>, Problem> {
    text.map(|text| parsed(what, text, like)).transpose()
}

pub(super) fn no_box(gateway: &GatewayId) -> Problem {
    Problem::not_found(
        format!("box {gateway} is not registered"),
        "GET /api/v1/boxes lists them",
    )
}

async fn boxes(State(web): State<Web>) -> Result<Json<Vec<BoxView>>, Problem> {
    Ok(Json(web.view().await?.boxes))
}

#[derive(Debug, Serialize)]
struct BoxDetail {
    #[serde(flatten)]
    view: BoxView,
    origin: String,
    vkey: String,
    /// The newest checkpoint, a C2SP signed note.
    checkpoint: Option<String>,
    events: Vec<EventCount>,
}

async fn one_box(State(web): State<Web>, Path(id): Path<String>) -> Result<Json<BoxDetail>, Problem> {
    let gateway: GatewayId = parsed("box", &id, "sudirman-01")?;
    let log = web
        .store
        .logs(Some(&gateway))
        .await?
        .into_iter()
        .next()
        .ok_or_else(|| no_box(&gateway))?;
    let mut boxes = web.view().await?.boxes;
    let place = boxes
        .iter()
        .position(|view| view.gateway == gateway)
        .ok_or_else(|| no_box(&gateway))?;
    Ok(Json(BoxDetail {
        view: boxes.swap_remove(place),
        origin: log.origin,
        vkey: log.vkey,
        checkpoint: log.checkpoint.map(|checkpoint| checkpoint.to_note()),
        events: web.store.event_counts(&gateway).await?,
    }))
}

#[derive(Debug, Default, Deserialize)]
struct SessionQuery {
    from: Option<String>,
    to: Option<String>,
    zone: Option<String>,
    day: Option<String>,
    /// With sessions that were taken back.
    void: Option<bool>,
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
struct SessionPage {
    #[serde(rename = "box")]
    gateway: GatewayId,
    sessions: Vec<StoredSession>,
    /// Give this as `after` for those that follow; absent when there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

async fn sessions(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(query): Query<SessionQuery>,
) -> Result<Json<SessionPage>, Problem> {
    let gateway: GatewayId = parsed("box", &id, "sudirman-01")?;
    if web.store.log_size(&gateway).await?.is_none() {
        return Err(no_box(&gateway));
    }
    let limit = query.limit.unwrap_or(SESSIONS_MAX).clamp(1, SESSIONS_MAX);
    let filter = SessionFilter {
        from: parsed_if("from", query.from.as_ref(), "2026-01-05T00:00:00Z")?,
        to: parsed_if("to", query.to.as_ref(), "2026-01-06T00:00:00Z")?,
        zone: parsed_if("zone", query.zone.as_ref(), "sudirman-north")?,
        day: parsed_if("day", query.day.as_ref(), "2026-01-05")?,
        void: query.void.unwrap_or(false),
        after: query.after.as_deref().map(cursor).transpose()?,
        limit: limit + 1,
    };
    let mut sessions = web.store.sessions(&gateway, &filter).await?;
    let more = sessions.len() > limit as usize;
    sessions.truncate(limit as usize);
    let next = sessions.last().filter(|_| more).map(|last| {
        let session = &last.session;
        format!("{}_{}", session.start.as_millis(), session.session)
    });
    Ok(Json(SessionPage {
        gateway,
        sessions,
        next,
    }))
}

fn cursor(text: &str) -> Result<(Timestamp, String), Problem> {
    let parts = text
        .split_once('_')
        .and_then(|(millis, session)| Some((millis.parse().ok()?, session)));
    let (millis, session) =
        parts.ok_or_else(|| Problem::bad("after: not known", "give `next` of the answer before"))?;
    Ok((Timestamp::from_millis(millis), session.to_owned()))
}

async fn zone_day(
    State(web): State<Web>,
    Path((id, zone, day)): Path<(String, String, String)>,
) -> Result<Json<ZoneDay>, Problem> {
    let gateway: GatewayId = parsed("box", &id, "sudirman-01")?;
    let zone: ZoneId = parsed("zone", &zone, "sudirman-north")?;
    let day: CivilDate = parsed("day", &day, "2026-01-05")?;
    let zone_day = day_of_zone(&web.store, &gateway, &zone, day, clock::now()).await?;
    zone_day.map(Json).ok_or_else(|| no_box(&gateway))
}

#[derive(Debug, Serialize)]
struct SpaceOfBox {
    #[serde(rename = "box")]
    gateway: GatewayId,
    zone: ZoneId,
    space: String,
    state: SpaceState,
    occupied_since: Option<Timestamp>,
    heard: Option<Timestamp>,
}

async fn spaces(State(web): State<Web>) -> Result<Json<Vec<SpaceOfBox>>, Problem> {
    let mut spaces = Vec::new();
    for view in web.view().await?.boxes {
        for zone in view.zones {
            spaces.extend(zone.spaces.into_iter().map(|space| SpaceOfBox {
                gateway: view.gateway.clone(),
                zone: zone.zone.clone(),
                space: space.space,
                state: space.state,
                occupied_since: space.occupied_since,
                heard: space.heard,
            }));
        }
    }
    Ok(Json(spaces))
}

async fn alarms(State(web): State<Web>) -> Result<Json<Vec<Alarm>>, Problem> {
    Ok(Json(web.store.alarms(clock::now()).await?))
}

#[derive(Debug, Deserialize)]
struct RefusalQuery {
    #[serde(rename = "box")]
    gateway: Option<String>,
}

async fn refusals(State(web): State<Web>, Query(query): Query<RefusalQuery>) -> Result<Json<Vec<Refusal>>, Problem> {
    let gateway: Option<GatewayId> = parsed_if("box", query.gateway.as_ref(), "sudirman-01")?;
    Ok(Json(web.store.refusals(gateway.as_ref()).await?))
}
