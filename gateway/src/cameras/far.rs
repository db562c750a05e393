//! Live view from the city: on a signed command the box dials out and sends one stream, for a while.
//!
//! A command is taken once, in order, and only if the city's command key signed it for this box; while the box's clock is
//! synchronised it must be fresh as well. Where a stream may go is the configuration's word, not the command's: a server
//! that is not listed gets nothing.
//!
//! Video never gets ahead of the ledger: streams pause while records wait for their receipt, as [`room`] says, and all
//! together keep to a bitrate. What a slow link cannot carry is skipped up to the newest keyframe.
//!
//! While somebody has the city's page open, the box holds one idle connection to it, as [`ready`] says; the next stream
//! begins on that instead of dialling.
//!
//! The city is told why it gets no stream, or no more: by `ended` on the stream's connection, or on one that is made for
//! that alone. Not told, but logged: commands that are not genuine or were taken before, and what concerns a server that
//! is not listed. Of the latter the box's state tells beforehand ([`live::link::Reach`]).

mod connection;
mod ready;
mod room;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ledger::TextVerifier;
use live::command::{self, Destination, LiveCommand, Order, Profile as Asked, Ready, StaleError, Start, StreamId};
use live::hub::{Hub, Viewer};
use live::link::{DIAL_WAIT, REACH_KEY, Reach, Reason};
use live::message::UnixMillis;
use parking::{CameraId, ClockQuality};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::ready::{Slot, Waiting};
pub(super) use self::room::Gate;
use self::room::{Budget, LedgerWatch};
use super::wire::{Command, Credentials, Profile};
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
/// Refusals that are told within [`REFUSAL_WAIT`]. Full: a further one is only logged, and the city asks again.
const REFUSALS_MAX: usize = 4;
/// How long telling a refusal may take, and how long its place is taken at least: somebody who repeats commands must not
/// make the box dial all the time.
const REFUSAL_WAIT: Duration = DIAL_WAIT;
/// What a connection costs that carries one message, bytes: two certificates each way, rounded up.
const DIAL_BYTES: usize = 8 * 1_024;
/// How often the ledger lane is looked at.
const LEDGER_LOOK: Duration = Duration::from_millis(500);
/// Port of RTSP over TLS (IANA: rtsps).
const RTSPS_PORT: u16 = 322;
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
    /// Users and passwords at media servers, by `host:port`.
    pub media_logins: BTreeMap<String, Credentials>,
    /// Commands from the uplink.
    pub commands: mpsc::Receiver<Bytes>,
}

/// What is told of the views.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarStatus {
    /// Streams that are sent.
    pub streams: usize,
    /// Streams that may be sent at once.
    pub streams_max: usize,
    /// They wait, as records wait for their receipt.
    pub held: bool,
    /// Commands that were refused since start.
    pub refused: u64,
    /// Why the newest of them was.
    pub last_refusal: Option<String>,
}

/// `host:port` of the media server that an address names.
fn media_host(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port().unwrap_or(RTSPS_PORT)))
}

/// The task.
pub struct FarViews {
    parts: Parts,
    streams: JoinSet<StreamId>,
    running: HashMap<StreamId, Running>,
    refusals: JoinSet<()>,
    refusing: HashMap<Id, StreamId>,
    ready: Slot,
    budget: Arc<Budget>,
    may_send: watch::Sender<bool>,
    box_stop: CancellationToken,
    status: watch::Sender<FarStatus>,
}

struct Running {
    task: Id,
    until: watch::Sender<Instant>,
    stop: CancellationToken,
}

/// A command that is not carried out.
struct Refused {
    /// For the log.
    why: String,
    /// For the city; `None` if it is not to be told on a connection.
    told: Option<Reason>,
}

impl Refused {
    fn told(reason: Reason, why: &str) -> Self {
        Self {
            why: why.to_owned(),
            told: Some(reason),
        }
    }

    fn untold(why: &dyn ToString) -> Self {
        Self {
            why: why.to_string(),
            told: None,
        }
    }
}

impl FarViews {
    /// The task; nothing runs yet. The state tells from now on where it sends.
    pub fn new(parts: Parts) -> Self {
        let reach = Reach::new(parts.wanted.servers.clone(), &parts.verifier.to_vkey());
        parts.board.put(REACH_KEY, json!(reach));
        let status = FarStatus {
            streams_max: STREAMS_MAX,
            ..FarStatus::default()
        };
        Self {
            budget: Arc::new(Budget::new(parts.wanted.kbit_max)),
            parts,
            streams: JoinSet::new(),
            running: HashMap::new(),
            refusals: JoinSet::new(),
            refusing: HashMap::new(),
            ready: Slot::default(),
            may_send: watch::Sender::new(true),
            box_stop: CancellationToken::new(),
            status: watch::Sender::new(status),
        }
    }

    /// How the views are, as it changes.
    pub fn status(&self) -> watch::Receiver<FarStatus> {
        self.status.subscribe()
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
                    let task = id_of(ended);
                    self.running.retain(|_, running| running.task != task);
                }
                Some(told) = self.refusals.join_next_with_id() => {
                    self.refusing.remove(&id_of(told));
                }
                _ = look.tick() => {
                    let receipted_next = self.parts.link.borrow().receipted_next;
                    let waiting = self.parts.journal.status().next.0.saturating_sub(receipted_next);
                    let may_send = ledger.look(Instant::now(), receipted_next, waiting);
                    self.may_send.send_if_modified(|before| std::mem::replace(before, may_send) != may_send);
                }
            }
            self.tell();
        }
        self.box_stop.cancel();
        while self.streams.join_next().await.is_some() {}
    }

    fn tell(&self) {
        let (streams, held) = (self.running.len(), !*self.may_send.borrow());
        self.status.send_if_modified(|status| {
            let is_new = (status.streams, status.held) != (streams, held);
            (status.streams, status.held) = (streams, held);
            is_new
        });
    }

    fn command(&mut self, bytes: &[u8]) {
        let command = match command::verify(bytes, &self.parts.origin, &self.parts.verifier) {
            Ok(command) => command,
            Err(error) => {
                tracing::warn!(%error, "a command of the city is refused");
                return self.count_refusal(error.to_string());
            }
        };
        if let Err(Refused { why, told }) = self.obey(&command) {
            let id = command.id;
            tracing::warn!(%id, why, "a live view is refused");
            self.count_refusal(why);
            if let Some(reason) = told {
                self.tell_refusal(command, reason);
            }
        }
    }

    fn obey(&mut self, command: &LiveCommand) -> Result<(), Refused> {
        let last = self.parts.board.recall(LAST_ISSUED);
        let last = last.and_then(|bytes| UnixMillis::new(u64::from_be_bytes(bytes.try_into().ok()?)));
        let now = self.parts.clock.now();
        let known = matches!(now.clock, ClockQuality::Synced | ClockQuality::Holdover);
        let now = u64::try_from(now.at.as_millis())
            .ok()
            .filter(|_| known)
            .and_then(UnixMillis::new);
        command::check_fresh(command, now, last).map_err(|error| match error {
            StaleError::Replayed => Refused::untold(&error),
            StaleError::Old { .. } | StaleError::Ahead { .. } => Refused::told(Reason::Clock, &error.to_string()),
        })?;
        self.parts
            .board
            .remember(LAST_ISSUED, &command.issued.get().to_be_bytes());
        match &command.order {
            Order::Stop => {
                if let Some(running) = self.running.get(&command.id) {
                    running.stop.cancel();
                }
                Ok(())
            }
            Order::Start(start) => self.start(command.id, start),
            Order::Ready(ready) => self.hold_ready(command.id, ready),
        }
    }

    fn hold_ready(&mut self, id: StreamId, ready: &Ready) -> Result<(), Refused> {
        let Ready { ttl, server } = ready;
        self.check_server(server)?;
        let until = Instant::now() + (*ttl).min(self.parts.wanted.duration_max);
        let (identity, gate) = (&self.parts.identity, self.gate());
        self.ready.hold(id, server, until, identity, gate);
        Ok(())
    }

    fn start(&mut self, id: StreamId, start: &Start) -> Result<(), Refused> {
        let until = Instant::now() + start.ttl.min(self.parts.wanted.duration_max);
        if let Some(running) = self.running.get(&id) {
            running.until.send_replace(until);
            return Ok(());
        }
        self.check_destination(&start.to)?;
        if self.running.len() >= STREAMS_MAX {
            let why = "as many streams as may be are being sent";
            return Err(Refused::told(Reason::StreamsTaken, why));
        }
        let camera = self.parts.cameras.ids().find(|known| known.as_str() == start.camera);
        let no_camera = || Refused::told(Reason::NoCamera, "there is no such camera");
        let camera = camera.ok_or_else(no_camera)?.clone();
        let profile = match start.profile {
            Asked::Main => Profile::Main,
            Asked::Sub => Profile::Sub,
        };
        let no_stream = || Refused::told(Reason::NoStream, "the camera has no such stream");
        let hub = self.parts.cameras.hub(&camera, profile).ok_or_else(no_stream)?.clone();
        let taken = |_| Refused::told(Reason::ViewersTaken, "all places of this stream are taken");
        let viewer = hub.join().map_err(taken)?;
        let (until_sender, until) = watch::channel(until);
        let stop = CancellationToken::new();
        let pace = Pace {
            until,
            stop: stop.clone(),
            box_stop: self.box_stop.clone(),
            gate: self.gate(),
        };
        let name = (camera, profile);
        let task = match start.to.clone() {
            Destination::Kominfo { server } => {
                let way = Way {
                    waiting: self.ready.take(&server),
                    identity: self.parts.identity.clone(),
                    server,
                };
                self.streams.spawn(to_city(id, name, way, (hub, viewer), pace))
            }
            Destination::MediaServer { url } => {
                let host = media_host(&url);
                let credentials = host.and_then(|host| self.parts.media_logins.get(&host).cloned());
                let program = self.parts.program.clone();
                let command = Command::Publish { url, credentials };
                self.streams.spawn(async move {
                    publisher::publish(&program, &command, &name, (hub, viewer), pace).await;
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

    fn gate(&self) -> Gate {
        Gate::new(Arc::clone(&self.budget), self.may_send.subscribe())
    }

    fn check_destination(&self, to: &Destination) -> Result<(), Refused> {
        match to {
            Destination::Kominfo { server } => self.check_server(server),
            Destination::MediaServer { url } => {
                if media_host(url).is_some_and(|host| self.parts.wanted.media_servers.contains(&host)) {
                    return Ok(());
                }
                Err(Refused::untold(&"its server is not in far_view.media_servers"))
            }
        }
    }

    fn check_server(&self, server: &str) -> Result<(), Refused> {
        if self.parts.wanted.servers.iter().any(|listed| listed == server) {
            return Ok(());
        }
        Err(Refused::untold(&"its server is not in far_view.servers"))
    }

    fn count_refusal(&self, why: String) {
        self.status.send_modify(|status| {
            status.refused += 1;
            status.last_refusal = Some(why);
        });
    }

    /// Tells the city, if the command came from a server that the box may dial.
    fn tell_refusal(&mut self, command: LiveCommand, reason: Reason) {
        let id = command.id;
        let Order::Start(Start {
            to: Destination::Kominfo { server },
            ..
        }) = command.order
        else {
            return;
        };
        let is_listed = self.parts.wanted.servers.contains(&server);
        let is_told = self.refusing.values().any(|told| *told == id);
        if !is_listed || is_told || self.refusing.len() >= REFUSALS_MAX {
            return;
        }
        let identity = self.parts.identity.clone();
        let task = self.refusals.spawn(refuse(id, server, reason, identity, self.gate()));
        self.refusing.insert(task.id(), id);
    }
}

/// The task that ended.
fn id_of<T>(ended: Result<(Id, T), tokio::task::JoinError>) -> Id {
    match ended {
        Ok((task, _)) => task,
        Err(error) => error.id(),
    }
}

/// When a stream has to wait or end.
pub(super) struct Pace {
    until: watch::Receiver<Instant>,
    stop: CancellationToken,
    box_stop: CancellationToken,
    gate: Gate,
}

impl Pace {
    /// Waits until the stream has to end; says why.
    pub async fn over(&mut self) -> Reason {
        loop {
            let until = *self.until.borrow_and_update();
            tokio::select! {
                () = self.box_stop.cancelled() => return Reason::BoxStopping,
                () = self.stop.cancelled() => return Reason::Stopped,
                () = tokio::time::sleep_until(until) => return Reason::TimeOver,
                changed = self.until.changed() => if changed.is_err() {
                    return Reason::BoxStopping;
                },
            }
        }
    }

    /// What a stream's sending half asks.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }
}

/// How a server of the city is reached.
struct Way {
    server: String,
    identity: Identity,
    /// The connection to it that waits, if there is one.
    waiting: Option<Waiting>,
}

/// Sends a stream to a server of the city.
async fn to_city(
    id: StreamId,
    (camera, profile): (CameraId, Profile),
    Way {
        server,
        identity,
        waiting,
    }: Way,
    (hub, viewer): (Hub, Viewer),
    mut pace: Pace,
) -> StreamId {
    tracing::info!(%id, %camera, %profile, server, "the city watches");
    let reaching = async {
        if let Some(waiting) = waiting
            && let Some(socket) = waiting.socket().await
        {
            tracing::info!(%id, server, "a stream begins on the connection that waited");
            return Ok((socket, Some(id)));
        }
        connection::dial(id, &server, &identity)
            .await
            .map(|socket| (socket, None))
    };
    let reached = tokio::select! {
        reached = reaching => reached.map_err(|error| error.to_string()),
        reason = pace.over() => Err(reason.to_string()),
    };
    let ended = match reached {
        Ok((socket, begin)) => {
            // Dialling over a poor link takes a second and more: what has come since the newest keyframe is enough. No
            // place for a moment more: what waits for the first one will do.
            let viewer = hub.join().unwrap_or(viewer);
            connection::carry(socket, begin, &hub, viewer, &mut pace)
                .await
                .to_string()
        }
        Err(ended) => ended,
    };
    tracing::info!(%id, %camera, %profile, server, ended, "the city watched");
    id
}

/// Tells the city why it gets no stream; never ahead of the ledger lane.
async fn refuse(id: StreamId, server: String, reason: Reason, identity: Identity, mut gate: Gate) {
    let begin = Instant::now();
    let telling = async {
        gate.admit(DIAL_BYTES).await;
        match connection::dial(id, &server, &identity).await {
            Ok(socket) => connection::refuse(socket, reason).await,
            Err(error) => tracing::debug!(%id, server, %error, "the city is not told of a refusal"),
        }
    };
    if tokio::time::timeout(REFUSAL_WAIT, telling).await.is_err() {
        tracing::debug!(%id, server, "the city is not told of a refusal: no room, or no answer");
    }
    tokio::time::sleep_until(begin + REFUSAL_WAIT).await;
}
