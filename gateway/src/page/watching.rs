//! One viewer: a WebSocket on which a stream's messages go out.

use std::time::Duration;

use axum::extract::ws::{Message as Sent, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use live::fanout::Busy;
use live::hub::Viewer;
use live::message::{Frame, Message};
use serde::Deserialize;

use super::login::is_same_origin;
use super::{Shared, known};
use crate::cameras::wire::Profile;
use crate::cameras::{health, told};
use crate::listener::Connection;

/// A viewer sends nothing; what it sends all the same may have so many bytes.
const INCOMING_BYTES_MAX: usize = 1_024;
/// A dark camera's state is told again so often: a player that hears nothing for longer connects anew.
const STATE_EVERY: Duration = Duration::from_secs(5);

/// How long taking leave of a viewer may take; then the connection is dropped.
const LEAVE_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize)]
pub(super) struct WatchQuery {
    camera: String,
    profile: Profile,
}

pub(super) async fn watch(
    State(page): State<Shared>,
    Query(query): Query<WatchQuery>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !is_same_origin(&headers) {
        return (StatusCode::FORBIDDEN, "not from this page\n").into_response();
    }
    let camera = known(&page, &query.camera);
    let Some((camera, hub)) = camera.and_then(|id| Some((id.clone(), page.cameras.hub(&id, query.profile)?.clone())))
    else {
        return (StatusCode::NOT_FOUND, "there is no such stream\n").into_response();
    };
    // A viewer stays as long as it likes.
    connection.stay();
    let upgrade = upgrade.max_message_size(INCOMING_BYTES_MAX).write_buffer_size(0);
    upgrade.on_upgrade(move |mut socket| async move {
        match hub.join() {
            Ok(mut viewer) => {
                tracing::info!(%camera, profile = %query.profile, "somebody watches");
                let ended = tokio::select! {
                    () = forward(&mut socket, &mut viewer, || state(&page, &camera)) => "left",
                    () = page.stop.cancelled() => "stopping",
                };
                tracing::info!(%camera, profile = %query.profile, counters = ?viewer.counters(), ended, "somebody watched");
            }
            Err(Busy { viewers_max }) => {
                send(&mut socket, &Message::Busy { viewers_max }).await;
            }
        }
        // To a viewer that takes nothing, not even this goes.
        tokio::time::timeout(LEAVE_WAIT, socket.send(Sent::Close(None))).await.ok();
    })
}

/// The camera's state, unless it is up.
fn state(page: &super::Page, camera: &parking::CameraId) -> Option<Message> {
    let status = page.cameras.status(camera)?;
    if matches!(status.state, health::State::Up | health::State::WrongClock) {
        return None;
    }
    Some(Message::State(told::for_viewers(status.state, status.cause)))
}

async fn forward(socket: &mut WebSocket, viewer: &mut Viewer, state: impl Fn() -> Option<Message>) {
    let mut remind = tokio::time::interval(STATE_EVERY);
    loop {
        let message = tokio::select! {
            message = viewer.next() => match message {
                Some(message) => message,
                None => return,
            },
            _ = remind.tick() => match state() {
                Some(message) => message,
                None => continue,
            },
            heard = socket.recv() => match heard {
                Some(Ok(Sent::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        let sent = tokio::select! {
            sent = send(socket, &message) => sent,
            () = viewer.too_slow() => return,
        };
        if !sent {
            return;
        }
    }
}

async fn send(socket: &mut WebSocket, message: &Message) -> bool {
    let frame = match message.encode() {
        Ok(Frame::Text(text)) => Sent::Text(text.into()),
        Ok(Frame::Binary(bytes)) => Sent::Binary(bytes),
        Err(error) => {
            tracing::debug!(%error, "not shown");
            return true;
        }
    };
    socket.send(frame).await.is_ok()
}
