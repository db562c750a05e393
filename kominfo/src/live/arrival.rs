//! A box's connection: `GET /live/ID`, then messages until one side ends it. See [`live::link`].

use std::future::IntoFuture as _;

use axum::Router;
use axum::extract::ws::{self, CloseFrame, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use live::command::StreamId;
use live::link::{Close, IDLE_MAX};
use live::message::{Frame, MESSAGE_BYTES_MAX, Message, MessageError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::listener::{Caller, TlsListener};
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
        (Some(gateway), Ok(id)) => relay.admit(gateway, id),
        _ => Err(Refusal::Unknown),
    };
    let admission = match admitted {
        Ok(admission) => admission,
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
        .on_upgrade(move |socket| tasks.track_future(receive(socket, admission)))
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
        End::Close(why) => Some(why),
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
