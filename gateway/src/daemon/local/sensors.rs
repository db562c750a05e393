//! What `gateway sensors` asks of the daemon: how sensors are, a new baseline, samples as they come, words to a sensor.
//!
//! | address | answer |
//! | --- | --- |
//! | `/sensors` | [`SensorNow`] of each, JSON |
//! | `POST /sensors/ID/calibrate` | [`Calibrated`], JSON: no vehicle is there |
//! | `POST /sensors/ID/send?port=&payload=` | [`Sent`], JSON: the sensor is told these bytes (hexadecimal) |
//! | `/sensors/ID/samples` | samples of a magnetometer as they come, for ever, lines of a trace |

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream;
use parking::{SensorId, SpaceId, SpaceState, Timestamp, ZoneId};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use wired::Field;
use wired::trace::{self, Line};

use super::super::heard::Last;
use super::Parts;
use crate::sensors::Transport;
use crate::sensors::attached::magnetometers::{Handle, Seen};
use crate::sensors::chirpstack::Sending;
use crate::sensors::codecs::{Downlink, unhex};

/// A sensor as it is now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SensorNow {
    /// Its id.
    pub sensor: SensorId,
    /// Its profile.
    pub profile: String,
    /// It speaks at least this often, seconds.
    pub heartbeat_s: u32,
    /// Its space now, if it watches one.
    pub space: Option<SpaceId>,
    /// What that space is.
    pub state: Option<SpaceState>,
    /// The zone whose vehicles it counts now, if it does.
    pub counts_in: Option<ZoneId>,
    /// It is lost when it was not heard for so long, seconds.
    pub silence_s: u32,
    /// It is suspect when its state changes more often in an hour.
    pub flips_max: u32,
    /// What it said last.
    pub last: Last,
    /// What it shows, for magnetometers of the box.
    pub magnetometer: Option<Seen>,
}

/// A new baseline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Calibrated {
    /// The field of the free space, nanotesla.
    pub baseline: Field,
}

/// Bytes for a sensor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendQuery {
    /// Application port.
    pub port: u8,
    /// Payload, hexadecimal.
    pub payload: String,
}

/// What becomes of them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Sent {
    /// They wait until the sensor is heard for the first time since the daemon started.
    pub when_heard: bool,
}

pub(super) fn routes() -> Router<Arc<Parts>> {
    Router::new()
        .route("/sensors", get(sensors))
        .route("/sensors/{id}/calibrate", post(calibrate))
        .route("/sensors/{id}/send", post(send))
        .route("/sensors/{id}/samples", get(samples))
}

/// A refusal in words.
type Refusal = (StatusCode, String);

async fn sensors(State(parts): State<Arc<Parts>>) -> Json<Vec<SensorNow>> {
    Json(sensors_now(&parts))
}

fn sensors_now(parts: &Parts) -> Vec<SensorNow> {
    let now = parts.clock.now().at;
    let spaces = parts.spaces.borrow().clone();
    let seen = parts.drivers.magnetometers.as_ref().map(Handle::seen);
    let seen = seen.unwrap_or_default();
    let sensors = parts.config.sensors.iter().zip(&parts.config.site.sensors);
    let now_of = |(sensor, traits): (&crate::config::Sensor, &parking::SensorTraits)| {
        let site = &parts.config.site;
        let space = spaces.iter().find(|space| space.sensor.as_ref() == Some(&sensor.id));
        let holds = |during: parking::Interval| during.from <= now && during.until.is_none_or(|until| now < until);
        let is_its = |counter: &&parking::Counter| counter.sensor == sensor.id && holds(counter.during);
        let counts_in = site.counters.iter().find(is_its).map(|counter| &counter.zone);
        let zone = space.map(|space| &space.zone).or(counts_in);
        let rules = site.zones.iter().find(|known| Some(&known.id) == zone);
        let rules = rules.map(|zone| zone.rules.clone()).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some heartbeats")]
        let silence_s = (f64::from(traits.heartbeat_s) * rules.silence_heartbeats) as u32;
        SensorNow {
            sensor: sensor.id.clone(),
            profile: sensor.profile.name.clone(),
            heartbeat_s: traits.heartbeat_s,
            space: space.map(|space| space.space.clone()),
            state: space.map(|space| space.state),
            counts_in: counts_in.cloned(),
            silence_s,
            flips_max: rules.flips_per_hour_max,
            last: parts.heard.of(&sensor.id, now),
            magnetometer: seen.get(&sensor.id).cloned(),
        }
    };
    sensors.map(now_of).collect()
}

/// The sensor, and how its reports come.
fn known(parts: &Parts, id: &str) -> Result<(SensorId, Transport), Refusal> {
    let known = parts.config.sensors.iter().find(|sensor| sensor.id.as_str() == id);
    let known = known.map(|sensor| (sensor.id.clone(), sensor.profile.transport));
    known.ok_or_else(|| (StatusCode::NOT_FOUND, format!("it runs without sensor {id}")))
}

async fn calibrate(State(parts): State<Arc<Parts>>, Path(id): Path<String>) -> Result<Json<Calibrated>, Refusal> {
    let (sensor, _) = known(&parts, &id)?;
    let magnetometers = parts.drivers.magnetometers.as_ref().ok_or_else(|| {
        let words = format!("{sensor} is no magnetometer of this box");
        (StatusCode::BAD_REQUEST, words)
    })?;
    match magnetometers.calibrate(&sensor).await {
        Ok(baseline) => Ok(Json(Calibrated { baseline })),
        Err(error) => Err((StatusCode::CONFLICT, error.to_string())),
    }
}

async fn send(
    State(parts): State<Arc<Parts>>,
    Path(id): Path<String>,
    Query(wanted): Query<SendQuery>,
) -> Result<Json<Sent>, Refusal> {
    let (sensor, transport) = known(&parts, &id)?;
    let commander = parts
        .drivers
        .commander
        .as_ref()
        .filter(|_| transport == Transport::ChirpStack);
    let commander = commander.ok_or_else(|| {
        let words = format!("{sensor} is not behind the LoRaWAN network server: nothing can be sent to it");
        (StatusCode::BAD_REQUEST, words)
    })?;
    let payload = unhex(&wanted.payload).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let downlink = Downlink {
        port: wanted.port,
        payload,
    };
    match commander.send(sensor, downlink).await {
        Ok(sending) => Ok(Json(Sent {
            when_heard: sending == Sending::WhenHeard,
        })),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

async fn samples(State(parts): State<Arc<Parts>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let (sensor, transport) = known(&parts, &id)?;
    let magnetometers = parts
        .drivers
        .magnetometers
        .as_ref()
        .filter(|_| transport == Transport::I2c);
    let magnetometers = magnetometers.ok_or_else(|| {
        let words = format!("{sensor} is no magnetometer of this box: it has no samples");
        (StatusCode::BAD_REQUEST, words)
    })?;
    let stopping = || (StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping".to_owned());
    let samples = magnetometers.samples().ok_or_else(stopping)?;
    let started: Timestamp = parts.clock.now().at;
    let head = trace::header(&format!("{sensor}, from {started}"));
    let lines = stream::unfold((samples, sensor), |(mut samples, wanted)| async {
        loop {
            match samples.recv().await {
                Ok((sensor, sample)) if sensor == wanted => {
                    let line = trace::line(&Line { sample, truth: None });
                    return Some((Ok::<_, std::convert::Infallible>(line), (samples, wanted)));
                }
                // Who reads too slowly misses some; the times of the lines show it.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let body = futures::StreamExt::chain(stream::once(async { Ok(head) }), lines);
    Ok(Body::from_stream(body).into_response())
}
