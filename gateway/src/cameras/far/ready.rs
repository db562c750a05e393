//! The connection to the city that waits for the next stream, so that its first picture need not wait for dialling.
//!
//! **Invariants.** There is at most one. It is dialled only when the ledger lane leaves room ([`Gate`]), carries nothing but
//! pings, and is closed at the end of its time. What may be dead, as nothing was heard lately, is not handed over.
//!
//! **Limits.** [`FRESH_MAX`], [`UNHEARD_MAX`], [`HANDOVER_WAIT`], the command's time to live.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use live::command::StreamId;
use live::link::{FRESH_MAX, PING_EVERY, Reason, UNHEARD_MAX};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Sent;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::DIAL_BYTES;
use super::connection::{self, Socket};
use super::room::Gate;
use crate::uplink::dialer::Identity;

/// How long a stream waits for a connection that is still being dialled; then it dials by itself.
const HANDOVER_WAIT: Duration = Duration::from_secs(2);

/// The place of the one connection that waits.
#[derive(Default)]
pub(super) struct Slot {
    held: Option<Held>,
}

struct Held {
    id: StreamId,
    server: String,
    until: watch::Sender<Instant>,
    waiting: Waiting,
}

/// A connection that waits, or is being dialled. Dropped, it is over.
pub(super) struct Waiting {
    wanted: CancellationToken,
    task: AbortOnDropHandle<Option<Socket>>,
}

impl Slot {
    /// Holds a connection to `server` until then, or goes on holding it. The one of another command is not given up for it.
    pub(super) fn hold(&mut self, id: StreamId, server: &str, until: Instant, identity: &Identity, gate: Gate) {
        if let Some(held) = self.held.as_ref().filter(|held| !held.waiting.task.is_finished()) {
            if held.id == id {
                held.until.send_replace(until);
            } else {
                tracing::debug!(%id, server, "another connection to the city waits already");
            }
            return;
        }
        let (until, receiver) = watch::channel(until);
        let wanted = CancellationToken::new();
        let holding = hold(id, server.to_owned(), identity.clone(), gate, receiver, wanted.clone());
        self.held = Some(Held {
            id,
            server: server.to_owned(),
            until,
            waiting: Waiting {
                wanted,
                task: AbortOnDropHandle::new(tokio::spawn(holding)),
            },
        });
    }

    /// The connection to `server`, for a stream.
    pub(super) fn take(&mut self, server: &str) -> Option<Waiting> {
        let held = self.held.take_if(|held| held.server == server)?;
        Some(held.waiting)
    }
}

impl Waiting {
    /// The connection itself; `None` when there is none that can be used.
    pub(super) async fn socket(self) -> Option<Socket> {
        self.wanted.cancel();
        let handed_over = timeout(HANDOVER_WAIT, self.task).await;
        handed_over.ok()?.ok()?
    }
}

async fn hold(
    id: StreamId,
    server: String,
    identity: Identity,
    mut gate: Gate,
    mut until: watch::Receiver<Instant>,
    wanted: CancellationToken,
) -> Option<Socket> {
    tokio::select! {
        biased;
        // First: for a click right behind the command this dialling is as good as its own, and the city is not left
        // with an offer that nobody takes.
        () = gate.admit(DIAL_BYTES) => {}
        () = wanted.cancelled() => return None,
        () = over(&mut until) => {
            tracing::info!(%id, server, "no connection waits: records come first");
            return None;
        }
    }
    let socket = match connection::dial(id, &server, &identity).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::info!(%id, server, %error, "no connection waits");
            return None;
        }
    };
    tracing::info!(%id, server, "a connection to the city waits");
    let socket = idle(socket, &mut until, &wanted).await;
    if socket.is_none() {
        tracing::info!(%id, server, "the connection that waited is over");
    }
    socket
}

/// Holds a connection until a stream wants it; `None` when it is over or may be dead.
async fn idle<S>(
    mut socket: WebSocketStream<S>,
    until: &mut watch::Receiver<Instant>,
    wanted: &CancellationToken,
) -> Option<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping = tokio::time::interval(PING_EVERY);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = wanted.cancelled() => return (heard.elapsed() <= FRESH_MAX).then_some(socket),
            () = over(until) => break,
            () = sleep_until(heard + UNHEARD_MAX) => return None,
            message = socket.next() => match message {
                Some(Ok(Sent::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => heard = Instant::now(),
            },
            _ = ping.tick() => {
                let sent = timeout(UNHEARD_MAX, socket.send(Sent::Ping(bytes::Bytes::new()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return None;
                }
            }
        }
    }
    tokio::select! {
        () = connection::refuse(socket, Reason::TimeOver) => {}
        // Whoever clicks just now does not wait for last words.
        () = wanted.cancelled() => {}
    }
    None
}

/// Waits until the time is over and was not prolonged.
async fn over(until: &mut watch::Receiver<Instant>) {
    loop {
        let end = *until.borrow_and_update();
        tokio::select! {
            () = sleep_until(end) => return,
            changed = until.changed() => if changed.is_err() {
                // Taken for a stream: nobody prolongs it any more.
                sleep_until(end).await;
                return;
            },
        }
    }
}

#[cfg(test)]
mod tests;
