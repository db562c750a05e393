//! Sensors that are pushed over HTTP: `POST /v1/readings` with a bearer token and one reading, or an array of them,
//! as JSON: `{"sensor": ID, "occupied": true|false|null, "observed"?: RFC 3339, "sequence"?: N, "id"?: TEXT,
//! "kind"?: "status"|"heartbeat"|"startup"|"counters"|"count"|"tag"|"other"}`.
//!
//! 200 means on disk, all of them. Anything else means that the sender keeps what it sent; after 503, or no answer,
//! part may have been taken in, so it sends everything again with the same `id` or `sequence`, by which repeats are
//! known. An array with one bad reading is refused whole, before any is taken in. Errors are JSON too:
//! `{"error": what, "hint": what to do}`.
//!
//! Cameras of Hikvision post their alerts beside it ([`alerts`]). An address that shows wrong tokens again and again is sent away
//! ([`tries`]).

mod alerts;
mod tries;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
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

use self::tries::Tries;
use super::attached::hikvision::{Post, Postbox};
use super::backoff::Backoff;
use super::codecs::Health;
use super::{
    BoundSensor, Delivery, Done, Driver, DriverContext, DriverState, Item, Outcome, Transport, observed, read_secret,
};
use crate::listener::{self, Connection};

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
const RETRY_AFTER_S: u64 = 5;
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
    /// File with the token that stands in the address to which cameras post; without it they do not. Secret; read at start.
    pub camera_token_file: Option<PathBuf>,
}

/// Where cameras post, and what they show.
#[derive(Clone)]
pub struct Cameras {
    /// Takes what they post.
    pub postbox: Postbox,
    /// Stands in their address; never printed.
    pub token: String,
}

/// The driver.
#[derive(Debug)]
pub struct Webhook {
    options: Options,
    postbox: Option<Postbox>,
}

impl Webhook {
    /// A driver that listens as `options` say; `postbox` takes what cameras post.
    pub fn new(options: Options, postbox: Option<Postbox>) -> Self {
        Self { options, postbox }
    }

    async fn run_until_cancelled(self, context: DriverContext, cancel: CancellationToken) {
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        let Options {
            listen,
            token_file,
            camera_token_file,
        } = &self.options;
        while !cancel.is_cancelled() {
            let ready = async {
                let token = read_secret(token_file).map_err(|error| error.to_string())?;
                let listener = TcpListener::bind(listen).await;
                let listener = listener.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
                let cameras = match (camera_token_file, &self.postbox) {
                    (Some(file), Some(postbox)) => Some(Cameras {
                        postbox: postbox.clone(),
                        token: read_secret(file).map_err(|error| error.to_string())?,
                    }),
                    _ => None,
                };
                Ok::<_, String>((listener, token, cameras))
            };
            let reason = match ready.await {
                Ok((listener, token, cameras)) => {
                    match serve(listener, &token, cameras, context.clone(), cancel.clone()).await {
                        Ok(()) => continue,
                        Err(error) => format!("cannot serve on {listen}: {error}"),
                    }
                }
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
    cameras: Option<Cameras>,
    context: DriverContext,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    context.status.set_state(DriverState::Connected);
    let server = Arc::new(Server {
        context,
        token: token.to_owned(),
        cameras,
        tries: Mutex::default(),
    });
    let refuse =
        |status, error: &'static str| move || async move { Refusal::new(status, error, USAGE).into_response() };
    let only_post = || refuse(StatusCode::METHOD_NOT_ALLOWED, "only POST is understood here");
    let router = Router::new()
        .route("/v1/readings", post(take).fallback(only_post()))
        .route(
            "/v1/hikvision/{camera}/{*token}",
            post(take_alerts).fallback(only_post()),
        )
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
    token: String,
    cameras: Option<Cameras>,
    tries: Mutex<Tries>,
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
    /// When to come back, seconds.
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            hint: hint.into(),
            retry_after_s: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_S),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, retry_after_s) = (self.status, self.retry_after_s);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

async fn take(
    State(server): State<Arc<Server>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Result<Response, Refusal> {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let hint = "send the header Authorization: Bearer TOKEN";
    server.authorize(
        connection.peer.ip(),
        given.unwrap_or_default(),
        Some(&server.token),
        hint,
    )?;
    let body = read_body(request.into_body(), BODY_BYTES_MAX).await?;
    let received = (server.context.clock)();
    let readings = server.understand(&body, received)?;
    let accepted = readings.len();
    server.keep(readings).await?;
    Ok(Json(serde_json::json!({ "accepted": accepted })).into_response())
}

/// Alerts are those of now: they are looked at when they come, and what they tell of a space is kept as all that the box sees.
async fn take_alerts(
    State(server): State<Arc<Server>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path((camera, token)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let hint = "write the token of camera_token_file at the end of the address to which the camera posts";
    let cameras = server.cameras.as_ref();
    let wanted = cameras.map(|cameras| &cameras.token);
    server.authorize(connection.peer.ip(), token.as_bytes(), wanted, hint)?;
    let postbox = cameras.map(|cameras| &cameras.postbox);
    let post = alerts::post(postbox, &camera).inspect_err(|refusal| server.note("camera", &camera, &refusal.error))?;
    let taken = take_post(post, request).await;
    taken.inspect_err(|refusal| server.note("alert", &camera, &refusal.error))
}

async fn take_post(mut post: Post, request: Request) -> Result<StatusCode, Refusal> {
    let headers = request.headers().clone();
    let read = match read_body(request.into_body(), alerts::BODY_BYTES_MAX).await {
        Ok(body) => alerts::read(&headers, &body),
        Err(refusal) => Err(refusal),
    };
    let read = read.inspect_err(|refusal| post.is_missed(&refusal.error))?;
    if post.put(read) {
        return Ok(StatusCode::OK);
    }
    let error = "too many alerts wait to be looked at";
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error, "post it again"))
}

/// Whether others may say what this sensor sees.
fn is_posted(bound: &BoundSensor) -> bool {
    bound.profile.transport == Transport::Webhook
}

async fn read_body(body: Body, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let error = format!("the body is larger than {bytes_max} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, "send fewer readings at a time")
    };
    match tokio::time::timeout(BODY_TIME_MAX, axum::body::to_bytes(body, bytes_max)).await {
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
    fn authorize(&self, from: IpAddr, given: &[u8], wanted: Option<&String>, hint: &str) -> Result<(), Refusal> {
        // Whoever is right is let in, whoever else is behind the same address.
        if wanted.is_some_and(|wanted| given.ct_eq(wanted.as_bytes()).into()) {
            return Ok(());
        }
        let now = Instant::now();
        let wait_s = self
            .tries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait_s(from, now);
        if let Some(wait_s) = wait_s {
            let error = "too many wrong tokens came from this address";
            let hint = format!("wait {wait_s} s, and correct the token in what sends");
            return Err(Refusal {
                retry_after_s: Some(wait_s),
                ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, error, hint)
            });
        }
        self.tries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wrong(from, now);
        let error = "the token is missing or wrong";
        self.note("token", &from.to_string(), error);
        Err(Refusal::new(StatusCode::UNAUTHORIZED, error, hint))
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
            .filter(|id| self.context.sensors.get(id).is_some_and(is_posted));
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
