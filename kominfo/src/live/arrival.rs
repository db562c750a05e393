//! A box's connection: `GET /live/ID`, then messages until one side ends it. One that waits is a stream's from its first
//! message on. See [`live::link`].

use std::future::IntoFuture as _;

use axum::Router;
use axum::extract::ws::{self, CloseFrame, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use live::command::StreamId;
use live::link::{Close, IDLE_MAX, parse_begin};
use live::message::{Frame, MESSAGE_BYTES_MAX, Message, MessageError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::listener::{Caller, TlsListener};
use super::ready::Waiting;
use super::relay::{Admission, Refusal, Relay};
use super::{CLOSE_WAIT, StreamKey};

/// Listens for boxes until `stop`.
pub(super) async fn serve(listener: TlsListener, relay: Relay, stop: CancellationToken) {
    let router = Router::new().route("/live/{id}", get(arrive)).with_state(relay);
    let service = router.into_make_service_with_connect_info::<Caller>();
    tokio::select! {
        served = axum::serve(listener, service).into_future() => {
            if let Err(error) = served {
                tracing::error!(%error, "the listener for boxes failed");
            }
        }
        () = stop.cancelled() => {}
    }
}

async fn arrive(
    State(relay): State<Relay>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let admitted = match (&caller.gateway, id.parse::<StreamId>()) {
        (Some(gateway), Ok(id)) => match relay.admit_waiting(gateway, id) {
            Ok(waiting) => Ok(Arrived::Waiting(waiting)),
            Err(Refusal::Unknown) => relay.admit(gateway, id).map(Arrived::Sending),
            Err(refusal) => Err(refusal),
        },
        _ => Err(Refusal::Unknown),
    };
    let arrived = match admitted {
        Ok(arrived) => arrived,
        Err(refusal) => {
            let gateway = caller.gateway.as_ref().map(tracing::field::display);
            tracing::warn!(address = %caller.address, gateway, ?refusal, "a box's connection is not taken");
            return refusal.into_response();
        }
    };
    caller.stay();
    let tasks = relay.tasks().clone();
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| {
            tasks.track_future(async move {
                match arrived {
                    Arrived::Sending(admission) => receive(socket, admission).await,
                    Arrived::Waiting(waiting) => wait(socket, waiting, relay).await,
                }
            })
        })
}

/// What a box has dialled for.
enum Arrived {
    /// A stream.
    Sending(Admission),
    /// The next stream.
    Waiting(Waiting),
}

/// Holds a connection until the box begins a stream on it, or it is over.
async fn wait(mut socket: WebSocket, mut waiting: Waiting, relay: Relay) {
    let (gateway, id) = (waiting.gateway.clone(), waiting.id);
    tracing::info!(%gateway, %id, "a box's connection waits");
    let begun = wait_for_begin(&mut socket, &mut waiting, &relay).await;
    relay.waited(&gateway, id);
    // The stream counts as a connection instead.
    drop(waiting);
    let end = match begun {
        Ok(stream) => match relay.admit(&gateway, stream) {
            Ok(admission) => return receive(socket, admission).await,
            Err(refusal) => {
                tracing::warn!(%gateway, id = %stream, ?refusal, "a box's stream is not taken");
                Some(Close::NotAskedFor)
            }
        },
        Err(end) => end,
    };
    tracing::info!(%gateway, %id, end = end.map(Close::reason), "a connection that waited is over");
    timeout(CLOSE_WAIT, finish(socket, end)).await.unwrap_or_default();
}

/// The stream that begins; or why the city ends the connection, `None` if the box has.
async fn wait_for_begin(
    socket: &mut WebSocket,
    waiting: &mut Waiting,
    relay: &Relay,
) -> Result<StreamId, Option<Close>> {
    loop {
        let heard = tokio::select! {
            biased;
            () = relay.stop().cancelled() => return Err(Some(Close::Stopping)),
            () = waiting.time_over() => return Err(Some(Close::TimeOver)),
            heard = timeout(IDLE_MAX, socket.recv()) => heard,
        };
        match heard {
            Err(_) => return Err(Some(Close::Silent)),
            Ok(None | Some(Ok(ws::Message::Close(_)) | Err(_))) => return Err(None),
            Ok(Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_)))) => {}
            Ok(Some(Ok(ws::Message::Text(text)))) => {
                return match (parse_begin(&text), Message::parse_text(&text)) {
                    (Some(stream), _) => Ok(stream),
                    (None, Ok(Message::Ended { .. })) => Err(None),
                    _ => Err(Some(Close::Malformed)),
                };
            }
            Ok(Some(Ok(ws::Message::Binary(_)))) => return Err(Some(Close::Malformed)),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Unknown => (StatusCode::FORBIDDEN, "not asked for by this instance\n").into_response(),
            Self::Many => (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n").into_response(),
        }
    }
}

/// How a connection ends.
enum End {
    /// The city ends it.
    Close(Close),
    /// The box has ended it, with its reason if it gave one.
    Left(Option<String>),
}

async fn receive(mut socket: WebSocket, admission: Admission) {
    let Admission {
        key,
        line,
        mut close,
        left,
        place: _place,
    } = admission;
    let mut order = Order::default();
    let end = loop {
        let heard = tokio::select! {
            biased;
            // The stream's task tells the end, and without it nobody watches.
            why = &mut close => break End::Close(why.unwrap_or(Close::NobodyWatches)),
            heard = timeout(IDLE_MAX, socket.recv()) => heard,
        };
        let frame = match heard {
            Err(_) => break End::Close(Close::Silent),
            Ok(None | Some(Ok(ws::Message::Close(_)))) => break End::Left(None),
            Ok(Some(Err(error))) => {
                tracing::warn!(%key, error = %chain(&error), "a box's connection failed");
                break End::Close(Close::Malformed);
            }
            Ok(Some(Ok(ws::Message::Text(text)))) => Frame::Text(text.as_str().to_owned()),
            Ok(Some(Ok(ws::Message::Binary(bytes)))) => Frame::Binary(bytes),
            Ok(Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_)))) => continue,
        };
        let message = match Message::parse(frame) {
            Ok(Message::Ended { reason }) => break End::Left(Some(reason)),
            Ok(message) => message,
            // Of a later version.
            Err(MessageError::UnknownType(_)) => continue,
            Err(error) => {
                tracing::warn!(%key, %error, "a box's message cannot be read");
                break End::Close(Close::Malformed);
            }
        };
        if let Err(why) = order.check(&message, &key) {
            tracing::warn!(%key, why = why.reason(), "a box's message is not what was asked for");
            break End::Close(why);
        }
        if let Err(error) = line.publish(message) {
            tracing::warn!(%key, %error, "a box's message is out of order");
            break End::Close(Close::Malformed);
        }
    };
    let why = match end {
        End::Close(why) => {
            // The stream's task hears of it now, not when the box has taken the words below.
            drop(left);
            Some(why)
        }
        End::Left(reason) => {
            // The stream's task may be over already.
            left.send(reason).unwrap_or_default();
            None
        }
    };
    // The end itself may hang, or fail on a connection that is gone.
    timeout(CLOSE_WAIT, finish(socket, why)).await.unwrap_or_default();
}

async fn finish(mut socket: WebSocket, why: Option<Close>) {
    let frame = why.map(|why| CloseFrame {
        code: why.code(),
        reason: why.reason().into(),
    });
    if socket.send(ws::Message::Close(frame)).await.is_ok() && why.is_some() {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}

/// What has come on this connection, so that a chunk is never taken for one of the connection before.
#[derive(Debug, Default)]
struct Order {
    is_described: bool,
    has_init: bool,
}

impl Order {
    fn check(&mut self, message: &Message, key: &StreamKey) -> Result<(), Close> {
        match message {
            Message::Stream(info) => {
                if info.camera != key.camera || info.profile != key.profile.as_str() {
                    return Err(Close::OtherStream);
                }
                (self.is_described, self.has_init) = (true, false);
                Ok(())
            }
            Message::Init(_) if self.is_described => {
                self.has_init = true;
                Ok(())
            }
            Message::Chunk(_) | Message::Skipped(_) if self.has_init => Ok(()),
            Message::State(_) => Ok(()),
            _ => Err(Close::Malformed),
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
