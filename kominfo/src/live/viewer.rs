//! A viewer's connection: messages of a stream until the viewer leaves or the time is over.
//!
//! Whoever sees a camera is noted before the first picture: where from, what, and at the end for how long and how much.

use std::time::Duration;

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use live::hub::Viewer;
use live::message::{Frame, Message, MessageError};
use parking::Timestamp;
use tokio::time::{Instant, sleep_until, timeout};

use super::relay::{Relay, WatchError};
use super::{CLOSE_WAIT, StreamKey};
use crate::clock;
use crate::store::{NewLiveView, Store};

/// How long somebody watches before a click is needed to go on: a forgotten page costs data.
pub const WATCH_MAX: Duration = Duration::from_mins(10);
/// Largest message of a viewer, who has nothing to say, bytes. A larger one ends the connection.
const VIEWER_BYTES_MAX: usize = 4096;

/// Somebody who wants to watch.
#[derive(Debug)]
pub struct Viewing {
    /// What.
    pub key: StreamKey,
    /// Origin of the box's log.
    pub origin: String,
    /// Where from.
    pub address: String,
}

/// Why a viewer's connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The viewer left.
    Left,
    /// [`WATCH_MAX`] is over.
    Time,
    /// The stream ended, or the viewer was too slow.
    Ended,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Time => "ttl",
            Self::Ended => "ended",
        }
    }
}

impl Viewing {
    /// Answers a request for a WebSocket by one that shows the stream.
    pub fn serve(self, relay: &Relay, upgrade: WebSocketUpgrade) -> Response {
        let (tasks, relay) = (relay.tasks().clone(), relay.clone());
        upgrade
            .max_message_size(VIEWER_BYTES_MAX)
            .max_frame_size(VIEWER_BYTES_MAX)
            .on_upgrade(move |socket| tasks.track_future(self.show(relay, socket)))
    }

    async fn show(self, relay: Relay, mut socket: WebSocket) {
        let viewer = match relay.watch(&self.key, &self.origin) {
            Ok(viewer) => viewer,
            Err(error) => {
                tracing::info!(key = %self.key, viewer = self.address, %error, "nobody more can watch");
                return say(socket, &error.into()).await;
            }
        };
        let begin = clock::now();
        let number = match note_begin(relay.store(), &self, begin).await {
            Ok(number) => number,
            Err(error) => {
                tracing::error!(key = %self.key, %error, "nobody watches without being noted");
                let reason = "not_noted".to_owned();
                return say(socket, &Message::Ended { reason }).await;
            }
        };
        let mut viewer = viewer;
        let until = Instant::now() + relay.watch_max();
        let end = tokio::select! {
            end = forward(&mut socket, &mut viewer) => end,
            () = sleep_until(until) => End::Time,
        };
        let bytes = viewer.counters().bytes;
        // The place is free for the next one, however long the rest takes.
        drop(viewer);
        if end == End::Time {
            let reason = "ttl".to_owned();
            say(socket, &Message::Ended { reason }).await;
        } else {
            close(socket).await;
        }
        let seconds = clock::now().seconds_since(begin);
        tracing::info!(key = %self.key, viewer = self.address, seconds, bytes, end = end.as_str(), "somebody watched");
        let noted = relay.store().end_live_view(number, bytes, end.as_str(), clock::now());
        if let Err(error) = noted.await {
            tracing::warn!(%error, "cannot note the end of a view");
        }
    }
}

impl From<WatchError> for Message {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Busy(busy) => busy.into(),
            WatchError::Stopping => Self::Ended {
                reason: "stopped".to_owned(),
            },
        }
    }
}

async fn note_begin(store: &Store, viewing: &Viewing, begin: Timestamp) -> Result<u64, crate::store::StoreError> {
    let view = NewLiveView {
        gateway: viewing.key.gateway.as_str(),
        camera: &viewing.key.camera,
        profile: viewing.key.profile.as_str(),
        viewer: &viewing.address,
    };
    let number = store.begin_live_view(&view, begin).await?;
    tracing::info!(key = %viewing.key, viewer = viewing.address, number, "somebody watches");
    Ok(number)
}

async fn forward(socket: &mut WebSocket, viewer: &mut Viewer) -> End {
    loop {
        tokio::select! {
            message = viewer.next() => {
                let Some(message) = message else { return End::Ended };
                let Ok(frame) = encode(&message) else { return End::Ended };
                let sent = tokio::select! {
                    sent = socket.send(frame) => sent,
                    () = viewer.too_slow() => return End::Ended,
                };
                if sent.is_err() {
                    return End::Left;
                }
            }
            heard = socket.recv() => match heard {
                Some(Ok(ws::Message::Close(_)) | Err(_)) | None => return End::Left,
                Some(Ok(_)) => {}
            },
        }
    }
}

fn encode(message: &Message) -> Result<ws::Message, MessageError> {
    Ok(match message.encode()? {
        Frame::Text(text) => ws::Message::Text(text.into()),
        Frame::Binary(bytes) => ws::Message::Binary(bytes),
    })
}

/// Says a last word. The connection may be gone or hang.
async fn say(mut socket: WebSocket, message: &Message) {
    if let Ok(frame) = encode(message) {
        let sending = timeout(CLOSE_WAIT, socket.send(frame));
        if sending.await.is_ok_and(|sent| sent.is_ok()) {
            close(socket).await;
        }
    }
}

async fn close(mut socket: WebSocket) {
    let closing = async {
        if socket.send(ws::Message::Close(None)).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    timeout(CLOSE_WAIT, closing).await.unwrap_or_default();
}
