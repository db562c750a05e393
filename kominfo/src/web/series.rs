//! Telemetry of a box, for programs and for people: `/api/v1/boxes/ID/telemetry` and `/boxes/ID/cameras`.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use parking::{GatewayId, Timestamp};
use serde::{Deserialize, Serialize};

use super::api::{Problem, no_box, parsed, parsed_if};
use super::catalogue::Language;
use super::chart::DAY_S;
use super::series_page;
use super::{PageQuery, Web};
use crate::clock;
use crate::store::TelemetryRow;
use crate::telemetry::{QUARTER_S, Sample};

/// Samples of one series in one quarter of an hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quarter {
    /// When it begins.
    pub from: Timestamp,
    /// Length of a sample, seconds: 60 or 900.
    pub step_s: i64,
    /// Samples in order of time; none where the box knew nothing.
    pub samples: Vec<Option<Sample>>,
}

/// Quarters in order of time, by series.
pub type AllSeries = BTreeMap<String, Vec<Quarter>>;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/boxes/{id}/telemetry", get(telemetry))
        .route("/boxes/{id}/cameras", get(page))
}

fn by_series(rows: Vec<TelemetryRow>) -> AllSeries {
    let mut all = AllSeries::new();
    for row in rows {
        all.entry(row.series).or_default().push(Quarter {
            from: Timestamp::from_millis(row.from_ms),
            step_s: row.step_s,
            // Written by this program; what cannot be read is not known.
            samples: serde_json::from_str(&row.samples).unwrap_or_default(),
        });
    }
    all
}

#[derive(Debug, Deserialize)]
struct TelemetryQuery {
    from: Option<String>,
    to: Option<String>,
}

#[derive(Debug, Serialize)]
struct Telemetry {
    #[serde(rename = "box")]
    gateway: GatewayId,
    from: Timestamp,
    to: Timestamp,
    series: AllSeries,
}

async fn telemetry(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(query): Query<TelemetryQuery>,
) -> Result<Json<Telemetry>, Problem> {
    let gateway: GatewayId = parsed("box", &id, "sudirman-01")?;
    if web.store.log_size(&gateway).await?.is_none() {
        return Err(no_box(&gateway));
    }
    let to = parsed_if("to", query.to.as_ref(), "2026-01-06T00:00:00Z")?.unwrap_or_else(clock::now);
    let from: Option<Timestamp> = parsed_if("from", query.from.as_ref(), "2026-01-05T00:00:00Z")?;
    let from = from.unwrap_or_else(|| to.plus_seconds(-DAY_S));
    if from >= to || to.millis_since(from) > DAY_S * 1_000 {
        return Err(Problem::bad(
            format!("from {from} to {to} is no time of at most 24 hours"),
            "ask for a day at a time",
        ));
    }
    let series = by_series(web.store.telemetry(&gateway, from, to).await?);
    Ok(Json(Telemetry {
        gateway,
        from,
        to,
        series,
    }))
}

async fn page(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Html<String>, Problem> {
    let gateway: GatewayId = parsed("box", &id, "sudirman-01")?;
    let view = web.view().await?;
    let of = view.boxes.iter().find(|of| of.gateway == gateway);
    let of = of.ok_or_else(|| no_box(&gateway))?;
    // The quarter that is under way has not been sent yet: it would always look like a gap.
    let to = view
        .now
        .plus_millis(-view.now.as_millis().rem_euclid(QUARTER_S * 1_000));
    let from = to.plus_seconds(-DAY_S);
    let series = by_series(web.store.telemetry(&gateway, from, to).await?);
    let language = Language::asked(query.lang.as_deref());
    Ok(Html(series_page::whole(of, &series, from, language)))
}
