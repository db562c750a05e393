//! Sensors that are pushed over HTTP: `POST /v1/readings` with a bearer token and one reading, or an array of them,
//! as JSON: `{"sensor": ID, "occupied": true|false|null, "observed"?: RFC 3339, "sequence"?: N, "id"?: TEXT,
//! "kind"?: "status"|"heartbeat"|"startup"|"counters"|"count"|"tag"|"other"}`.
//!
//! 200 means on disk, all of them. Anything else means that the sender keeps what it sent; after 503, or no answer,
//! part may have been taken in, so it sends everything again with the same `id` or `sequence`, by which repeats are
//! known. An array with one bad reading is refused whole, before any is taken in. Errors are JSON too:
//! `{"error": what, "hint": what to do}`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking::{Reading, Report, ReportKind, SensorId, Stamp, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::codecs::Health;
use super::{Delivery, Done, Driver, DriverContext, DriverState, Item, Outcome, observed, read_secret};
use crate::listener;

/// Most connections at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 32;
/// Longest body, bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest `id` of a reading, bytes.
const ID_BYTES_MAX: usize = 64;
/// Longest time for a body to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest time to wait for the disk. The sender waits too, and gives up at some time.
const JOURNAL_TIME_MAX: Duration = Duration::from_secs(10);
/// When a sender that was sent away should come back, seconds.
const RETRY_AFTER: &str = "5";
/// Waits before a port that is taken is tried again.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Where to listen and whom to believe.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address and port.
    pub listen: SocketAddr,
    /// File that holds the bearer token in its first line. Secret; read at start.
    pub token_file: PathBuf,
}

/// The driver.
#[derive(Debug)]
pub struct Webhook {
    options: Options,
}

impl Webhook {
    /// A driver that listens as `options` say.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    async fn run_until_cancelled(self, context: DriverContext, cancel: CancellationToken) {
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        let Options { listen, token_file } = &self.options;
        while !cancel.is_cancelled() {
            let ready = async {
                let token = read_secret(token_file).map_err(|error| error.to_string())?;
                let listener = TcpListener::bind(listen).await;
                let listener = listener.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
                Ok::<_, String>((listener, token))
            };
            let reason = match ready.await {
                Ok((listener, token)) => match serve(listener, &token, context.clone(), cancel.clone()).await {
                    Ok(()) => continue,
                    Err(error) => format!("cannot serve on {listen}: {error}"),
                },
                Err(reason) => reason,
            };
            context.status.set_state(DriverState::Waiting { reason });
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
        context.status.set_state(DriverState::Stopped);
    }
}

impl Driver for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        self.run_until_cancelled(context, cancel).boxed()
    }
}

/// Answers requests on `listener` that bring `token`, until `cancel`; requests under way are finished.
pub async fn serve(
    listener: TcpListener,
    token: &str,
    context: DriverContext,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    context.status.set_state(DriverState::Connected);
    let server = Arc::new(Server {
        context,
        authorization: format!("Bearer {token}"),
    });
    let refuse =
        |status, error: &'static str| move || async move { Refusal::new(status, error, USAGE).into_response() };
    let readings = post(take).fallback(refuse(StatusCode::METHOD_NOT_ALLOWED, "only POST is understood here"));
    let router = Router::new()
        .route("/v1/readings", readings)
        .fallback(refuse(StatusCode::NOT_FOUND, "there is nothing here"))
        .layer(map_response(listener::close_after))
        .with_state(server);
    listener::serve(listener, CONNECTIONS_MAX, router, cancel).await
}

const USAGE: &str =
    "POST /v1/readings with a JSON object {sensor, occupied, observed?, sequence?, id?, kind?}, or an array";
const SEND_AGAIN: &str = "keep the readings and send them again, with the same id or sequence";

struct Server {
    context: DriverContext,
    authorization: String,
}

/// A reading as it is posted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    sensor: String,
    occupied: Option<bool>,
    observed: Option<Timestamp>,
    sequence: Option<u32>,
    id: Option<String>,
    #[serde(default)]
    kind: ReportKind,
}

/// An answer other than 200.
#[derive(Debug, Serialize)]
struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    error: String,
    hint: String,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            hint: hint.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

async fn take(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Refusal> {
    server.authorize(&request)?;
    let body = read_body(request.into_body()).await?;
    let received = (server.context.clock)();
    let readings = server.understand(&body, received)?;
    let accepted = readings.len();
    server.keep(readings).await?;
    Ok(Json(serde_json::json!({ "accepted": accepted })).into_response())
}

async fn read_body(body: Body) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let error = format!("the body is larger than {BODY_BYTES_MAX} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, "send fewer readings at a time")
    };
    match tokio::time::timeout(BODY_TIME_MAX, axum::body::to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        // Either the bound, or a connection that broke and will not see the answer.
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time",
            SEND_AGAIN,
        )),
    }
}

impl Server {
    fn authorize(&self, request: &Request) -> Result<(), Refusal> {
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .map_or(&b""[..], |value| value.as_bytes());
        if bool::from(given.ct_eq(self.authorization.as_bytes())) {
            return Ok(());
        }
        let error = "the bearer token is missing or wrong";
        self.note("token", "", error);
        Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            error,
            "send the header Authorization: Bearer TOKEN",
        ))
    }

    /// Reads the body, all of it or nothing.
    fn understand(&self, body: &[u8], received: Stamp) -> Result<Vec<Reading>, Refusal> {
        let many = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let posted = if many {
            serde_json::from_slice(body)
        } else {
            serde_json::from_slice(body).map(|one: Posted| vec![one])
        };
        let posted = posted.map_err(|error| {
            let error = format!("no reading in JSON: {error}");
            self.note("json", "", &error);
            Refusal::new(StatusCode::BAD_REQUEST, error, USAGE)
        })?;
        let places = self.context.sink.max_capacity();
        if posted.len() > places {
            let error = format!("{} readings at once", posted.len());
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                error,
                format!("send at most {places} at a time"),
            ));
        }
        posted
            .into_iter()
            .map(|posted| self.reading(posted, received))
            .collect()
    }

    fn reading(&self, posted: Posted, received: Stamp) -> Result<Reading, Refusal> {
        let Posted {
            sensor,
            occupied,
            observed: claimed,
            sequence,
            id,
            kind,
        } = posted;
        let refuse = |status, kind, error: String, hint: &str| {
            self.note(kind, &sensor, &error);
            Refusal::new(status, format!("sensor {sensor}: {error}"), hint)
        };
        let known = SensorId::new(sensor.clone())
            .ok()
            .filter(|id| self.context.sensors.contains_key(id));
        let Some(sensor_id) = known else {
            let hint = "bind it in the configuration of this box, with a profile of transport webhook";
            return Err(refuse(
                StatusCode::NOT_FOUND,
                "unbound",
                "no such sensor is bound here".to_owned(),
                hint,
            ));
        };
        if id.as_ref().is_some_and(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
            let error = format!("its id has not 1 to {ID_BYTES_MAX} bytes");
            return Err(refuse(StatusCode::BAD_REQUEST, "id", error, "a UUID is a good id"));
        }
        let observed = observed(claimed, &received).map_err(|error| {
            let hint = "leave `observed` out if the sender has no clock";
            refuse(StatusCode::BAD_REQUEST, "time", error.to_string(), hint)
        })?;
        let report = Report {
            kind,
            occupied,
            ..Report::default()
        };
        Ok(Reading {
            sensor: sensor_id,
            observed,
            received,
            sequence,
            message: id,
            report,
        })
    }

    /// Hands the readings on, all or none, and waits until they are on disk.
    async fn keep(&self, readings: Vec<Reading>) -> Result<(), Refusal> {
        let busy = |error: &str| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error, SEND_AGAIN);
        let places = self.context.sink.try_reserve_many(readings.len());
        let places = places.map_err(|_| busy("the queue is full, nothing was taken in"))?;
        let mut told = Vec::with_capacity(readings.len());
        for (place, reading) in places.zip(readings) {
            let (sender, receiver) = oneshot::channel();
            let done = Done::new(move |outcome| {
                // Refused when the request has given up waiting.
                let _late = sender.send(outcome);
            });
            place.send(Delivery {
                item: Item::Reading {
                    reading,
                    health: Health::default(),
                },
                done,
            });
            self.context.status.count_reading();
            told.push(receiver);
        }
        let outcomes = tokio::time::timeout(JOURNAL_TIME_MAX, futures::future::join_all(told)).await;
        let outcomes = outcomes.map_err(|_| busy("it is not known in time whether the readings are on disk"))?;
        if outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Journalled)) {
            return Ok(());
        }
        Err(busy("the readings could not be written to disk"))
    }

    fn note(&self, kind: &'static str, device: &str, reason: &str) {
        self.context
            .status
            .set_aside(kind, device, reason, &(self.context.clock)());
    }
}
