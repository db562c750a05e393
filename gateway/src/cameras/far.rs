//! Live view from the city: on a signed command the box dials out and sends one stream, for a while.
//!
//! A command is taken once, in order, and only if the city's command key signed it for this box; while the box's clock is
//! synchronised it must be fresh as well. Where a stream may go is the configuration's word, not the command's: a server
//! that is not listed gets nothing.
//!
//! Video never gets ahead of the ledger: a stream pauses while records wait for their receipt for longer than
//! [`RECEIPT_WAIT_MAX`] or more than [`BACKLOG_MAX`] of them wait, and all streams together keep to a bitrate. What a slow
//! link cannot carry is skipped up to the newest keyframe.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use ledger::TextVerifier;
use live::command::{self, Destination, LiveCommand, Order, Start, StreamId};
use live::hub::{Hub, Viewer};
use live::link::{DIAL_WAIT, PING_EVERY, path_of};
use live::message::{Frame, Message, UnixMillis};
use parking::{CameraId, ClockQuality};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Sent;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;

use super::wire::Profile;
use super::worker::Program;
use super::{Cameras, publisher};
use crate::clock::Clock;
use crate::config::FarView;
use crate::journal::Journal;
use crate::state::Board;
use crate::uplink::dialer::Identity;
use crate::uplink::link::LinkStatus;

/// Streams that are sent at once. Full: a further one is refused.
const STREAMS_MAX: usize = 4;
/// A record that waits for its receipt for longer stops all streams.
const RECEIPT_WAIT_MAX: Duration = Duration::from_secs(5);
/// More records that wait for their receipt stop all streams.
const BACKLOG_MAX: u64 = 2_000;
/// How often the ledger lane is looked at.
const LEDGER_LOOK: Duration = Duration::from_millis(500);
/// Kernel's buffer for what was sent, bytes: a small one, so that lateness is noticed here.
const SEND_BUFFER_BYTES: usize = 48 * 1_024;
/// Where the newest command's time is kept.
const LAST_ISSUED: &str = "far_view/last_issued_ms";

/// What the task needs.
pub struct Parts {
    /// The configuration.
    pub wanted: FarView,
    /// The city's key for commands.
    pub verifier: TextVerifier,
    /// First line of commands for this box.
    pub origin: String,
    /// The box's certificate and whom it believes.
    pub identity: Identity,
    /// Cameras.
    pub cameras: Cameras,
    /// Time.
    pub clock: Arc<Clock>,
    /// Where the newest command's time is kept.
    pub board: Arc<Board>,
    /// How the uplink is.
    pub link: watch::Receiver<LinkStatus>,
    /// What waits for the city.
    pub journal: Arc<Journal>,
    /// How to start a worker that publishes.
    pub program: Program,
    /// Commands from the uplink.
    pub commands: mpsc::Receiver<Bytes>,
}

/// The task.
pub struct FarViews {
    parts: Parts,
    streams: JoinSet<StreamId>,
    running: HashMap<StreamId, Running>,
    budget: Arc<Budget>,
    may_send: watch::Receiver<bool>,
    may_send_sender: watch::Sender<bool>,
}

struct Running {
    task: Id,
    until: watch::Sender<Instant>,
    stop: CancellationToken,
}

impl FarViews {
    /// The task; nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        let (may_send_sender, may_send) = watch::channel(true);
        Self {
            budget: Arc::new(Budget::new(parts.wanted.kbit_max)),
            parts,
            streams: JoinSet::new(),
            running: HashMap::new(),
            may_send,
            may_send_sender,
        }
    }

    /// Does what the city says until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut look = tokio::time::interval(LEDGER_LOOK);
        let mut ledger = LedgerWatch::new(Instant::now());
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(bytes) = self.parts.commands.recv() => self.command(&bytes),
                Some(ended) = self.streams.join_next_with_id() => {
                    let task = match &ended {
                        Ok((task, _)) => *task,
                        Err(error) => error.id(),
                    };
                    self.running.retain(|_, running| running.task != task);
                }
                _ = look.tick() => {
                    let receipted_next = self.parts.link.borrow().receipted_next;
                    let waiting = self.parts.journal.status().next.0.saturating_sub(receipted_next);
                    let may_send = ledger.look(Instant::now(), receipted_next, waiting);
                    self.may_send_sender.send_if_modified(|before| std::mem::replace(before, may_send) != may_send);
                }
            }
        }
        for running in self.running.values() {
            running.stop.cancel();
        }
        while self.streams.join_next().await.is_some() {}
    }

    fn command(&mut self, bytes: &[u8]) {
        let command = match command::verify(bytes, &self.parts.origin, &self.parts.verifier) {
            Ok(command) => command,
            Err(error) => return tracing::warn!(%error, "a command of the city is refused"),
        };
        let last = self.parts.board.recall(LAST_ISSUED);
        let last = last.and_then(|bytes| UnixMillis::new(u64::from_be_bytes(bytes.try_into().ok()?)));
        let now = self.parts.clock.now();
        let known = matches!(now.clock, ClockQuality::Synced | ClockQuality::Holdover);
        let now = u64::try_from(now.at.as_millis())
            .ok()
            .filter(|_| known)
            .and_then(UnixMillis::new);
        if let Err(error) = command::check_fresh(&command, now, last) {
            return tracing::warn!(id = %command.id, %error, "a command of the city is refused");
        }
        self.parts
            .board
            .remember(LAST_ISSUED, &command.issued.get().to_be_bytes());
        let LiveCommand { id, order, .. } = command;
        match order {
            Order::Stop => {
                if let Some(running) = self.running.get(&id) {
                    running.stop.cancel();
                }
            }
            Order::Start(start) => {
                if let Err(why) = self.start(id, start) {
                    tracing::warn!(%id, why, "a live view is refused");
                }
            }
        }
    }

    fn start(&mut self, id: StreamId, start: Start) -> Result<(), &'static str> {
        let until = Instant::now() + start.ttl.min(self.parts.wanted.duration_max);
        if let Some(running) = self.running.get(&id) {
            running.until.send_replace(until);
            return Ok(());
        }
        if self.running.len() >= STREAMS_MAX {
            return Err("as many streams as may be are being sent");
        }
        let camera = self.parts.cameras.ids().find(|known| known.as_str() == start.camera);
        let camera = camera.ok_or("there is no such camera")?.clone();
        let profile = match start.profile {
            command::Profile::Main => Profile::Main,
            command::Profile::Sub => Profile::Sub,
        };
        let hub = self
            .parts
            .cameras
            .hub(&camera, profile)
            .ok_or("the camera has no such stream")?
            .clone();
        let (until_sender, until) = watch::channel(until);
        let stop = CancellationToken::new();
        let pace = Pace {
            until,
            stop: stop.clone(),
            budget: Arc::clone(&self.budget),
            may_send: self.may_send.clone(),
        };
        let name = (camera, profile);
        let task = match start.to {
            Destination::Kominfo { server } => {
                if !self.parts.wanted.servers.contains(&server) {
                    return Err("its server is not in far_view.servers");
                }
                let identity = self.parts.identity.clone();
                self.streams.spawn(to_city(id, name, server, identity, hub, pace))
            }
            Destination::MediaServer { url } => {
                let host = url::Url::parse(&url).ok();
                let host = host
                    .as_ref()
                    .and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port().unwrap_or(322))));
                if !host.is_some_and(|host| self.parts.wanted.media_servers.contains(&host)) {
                    return Err("its server is not in far_view.media_servers");
                }
                let program = self.parts.program.clone();
                self.streams.spawn(async move {
                    publisher::publish(&program, &url, &name, &hub, pace).await;
                    id
                })
            }
        };
        let running = Running {
            task: task.id(),
            until: until_sender,
            stop,
        };
        self.running.insert(id, running);
        Ok(())
    }
}

/// When a stream has to wait or end.
pub(super) struct Pace {
    until: watch::Receiver<Instant>,
    stop: CancellationToken,
    budget: Arc<Budget>,
    may_send: watch::Receiver<bool>,
}

impl Pace {
    /// Waits until the stream has to end; says why.
    pub async fn over(&mut self) -> &'static str {
        loop {
            let until = *self.until.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep_until(until) => return "time over",
                changed = self.until.changed() => if changed.is_err() {
                    return "stopping";
                },
                () = self.stop.cancelled() => return "stopped",
            }
        }
    }

    /// Waits until so many bytes may be sent.
    pub async fn admit(budget: &Budget, may_send: &mut watch::Receiver<bool>, bytes: usize) {
        // The sender lives as long as all streams.
        may_send.wait_for(|may| *may).await.ok();
        budget.take(bytes).await;
    }

    /// What a stream's sending half needs.
    pub fn gate(&self) -> (Arc<Budget>, watch::Receiver<bool>) {
        (Arc::clone(&self.budget), self.may_send.clone())
    }
}

/// Whether the ledger lane leaves room for video.
struct LedgerWatch {
    receipted_next: u64,
    moved: Instant,
}

impl LedgerWatch {
    fn new(now: Instant) -> Self {
        Self {
            receipted_next: 0,
            moved: now,
        }
    }

    fn look(&mut self, now: Instant, receipted_next: u64, waiting: u64) -> bool {
        if waiting == 0 || receipted_next != self.receipted_next {
            self.receipted_next = receipted_next;
            self.moved = now;
        }
        waiting <= BACKLOG_MAX && now - self.moved <= RECEIPT_WAIT_MAX
    }
}

/// A token bucket for all streams together, of one second.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_a_second: f64,
    free_at: tokio::sync::Mutex<Instant>,
}

impl Budget {
    fn new(kbit_max: u32) -> Self {
        Self {
            bytes_a_second: f64::from(kbit_max) * 1_000.0 / 8.0,
            free_at: tokio::sync::Mutex::new(Instant::now()),
        }
    }

    /// Waits until what was sent before lies within the rate; a second's worth may go at once.
    async fn take(&self, bytes: usize) {
        const BURST: Duration = Duration::from_secs(1);
        #[allow(clippy::cast_precision_loss)] // a message has at most 8 MiB
        let length = Duration::from_secs_f64(bytes as f64 / self.bytes_a_second);
        let mut free_at = self.free_at.lock().await;
        let now = Instant::now();
        *free_at = (*free_at).max(now) + length;
        let wait = free_at.checked_duration_since(now + BURST);
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Sends a stream to a server of the city.
async fn to_city(
    id: StreamId,
    (camera, profile): (CameraId, Profile),
    server: String,
    identity: Identity,
    hub: Hub,
    mut pace: Pace,
) -> StreamId {
    tracing::info!(%id, %camera, %profile, server, "the city watches");
    let gate = pace.gate();
    let ended = tokio::select! {
        sent = send(id, &server, &identity, &hub, gate) => match sent {
            Ok(ended) => ended.to_owned(),
            Err(error) => error.to_string(),
        },
        why = pace.over() => why.to_owned(),
    };
    tracing::info!(%id, %camera, %profile, server, ended, "the city watched");
    id
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("\"{0}\" is no host and port")]
    Server(String),
    #[error("all places of this stream are taken")]
    Busy,
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the box's certificate: {0}")]
    Identity(#[from] crate::uplink::dialer::DialError),
    #[error("the server does not answer within {} s", DIAL_WAIT.as_secs())]
    Timeout,
    #[error("WebSocket: {0}")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
}

type Socket = WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

async fn dial(id: StreamId, server: &str, identity: &Identity) -> Result<Socket, SendError> {
    let (host, port) = server
        .rsplit_once(':')
        .ok_or_else(|| SendError::Server(server.to_owned()))?;
    let port: u16 = port.parse().map_err(|_| SendError::Server(server.to_owned()))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| SendError::Server(server.to_owned()))?;
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_send_buffer_size(&tcp, SEND_BUFFER_BYTES).map_err(std::io::Error::from)?;
    let connector = TlsConnector::from(Arc::new(identity.tls()?));
    let tls = connector.connect(name, tcp).await?;
    let request = format!("wss://{server}{}", path_of(id))
        .into_client_request()
        .map_err(Box::new)?;
    let (socket, _) = tokio_tungstenite::client_async(request, tls).await.map_err(Box::new)?;
    Ok(socket)
}

async fn send(
    id: StreamId,
    server: &str,
    identity: &Identity,
    hub: &Hub,
    (budget, mut may_send): (Arc<Budget>, watch::Receiver<bool>),
) -> Result<&'static str, SendError> {
    let mut viewer = hub.join().map_err(|_| SendError::Busy)?;
    let socket = tokio::time::timeout(DIAL_WAIT, dial(id, server, identity))
        .await
        .map_err(|_| SendError::Timeout)??;
    // Dialling over a poor link takes a second and more: what has come since the newest keyframe is enough. No place for
    // a moment more: what waits for the first one will do.
    if let Ok(fresh) = hub.join() {
        viewer = fresh;
    }
    let (mut sink, mut heard) = socket.split();
    let mut ping = tokio::time::interval(PING_EVERY);
    loop {
        let message = tokio::select! {
            message = next(&mut viewer) => message,
            _ = ping.tick() => Some(Sent::Ping(Bytes::new())),
            heard = heard.next() => match heard {
                None | Some(Err(_) | Ok(Sent::Close(_))) => return Ok("the city closed"),
                Some(Ok(_)) => continue,
            },
        };
        let Some(message) = message else {
            return Ok("the stream ended");
        };
        if let Sent::Binary(bytes) = &message {
            Pace::admit(&budget, &mut may_send, bytes.len()).await;
        }
        tokio::select! {
            sent = sink.send(message) => sent.map_err(Box::new)?,
            () = viewer.too_slow() => return Ok("the link is too slow"),
        }
    }
}

/// The next message that the city should get.
async fn next(viewer: &mut Viewer) -> Option<Sent> {
    loop {
        let message = viewer.next().await?;
        if matches!(message, Message::Busy { .. }) {
            continue;
        }
        match message.encode() {
            Ok(Frame::Text(text)) => return Some(Sent::Text(text.into())),
            Ok(Frame::Binary(bytes)) => return Some(Sent::Binary(bytes)),
            Err(error) => tracing::debug!(%error, "not sent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn video_waits_while_a_record_waits_for_its_receipt() {
        let start = Instant::now();
        let mut watch = LedgerWatch::new(start);
        assert!(watch.look(second(start, 1), 10, 0));
        assert!(watch.look(second(start, 3), 10, 4), "records are on their way");
        assert!(watch.look(second(start, 6), 10, 9));
        assert!(
            !watch.look(second(start, 7), 10, 9),
            "no receipt for more than five seconds"
        );
        assert!(watch.look(second(start, 8), 19, 2), "a receipt came");
    }

    #[test]
    fn video_waits_while_a_backlog_is_worked_off() {
        let start = Instant::now();
        let mut watch = LedgerWatch::new(start);
        assert!(!watch.look(start, 1, BACKLOG_MAX + 1));
        assert!(!watch.look(start, 500, BACKLOG_MAX + 1), "though receipts come");
        assert!(watch.look(start, 900, BACKLOG_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn all_streams_together_keep_to_the_rate() {
        let budget = Budget::new(800); // 100,000 bytes a second
        let start = Instant::now();
        for _ in 0..10 {
            budget.take(50_000).await;
        }
        let took = start.elapsed();
        assert_eq!(took.as_secs(), 4, "500,000 bytes less the burst of one second");
    }
}
