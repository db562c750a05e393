//! The streams that somebody watches, one task each, which does what its [`Stream`] says.
//!
//! **Invariants.** A stream is made, joined, offered to a box and forgotten under one lock, so no two are of the same
//! key, and none is forgotten that a viewer has just joined. The lock is never held across an await.
//!
//! **Limits.** [`STREAMS_MAX`], [`VIEWERS_MAX`], [`CONNECTIONS_A_BOX_MAX`] and those of the fan-out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use live::command::StreamId;
use live::fanout::{Busy, Limits};
use live::hub::{Hub, Viewer};
use live::link::{Close, REACH_KEY, Reach};
use live::message::{CameraState, Message};
use parking::GatewayId;
use rand_core::{OsRng, RngCore as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::courier::Courier;
use super::ready::Waits;
use super::stream::{Effect, Input, Link, Stream};
use super::{StreamKey, VIEWERS_A_STREAM_MAX};
use crate::clock;
use crate::moment::moment;
use crate::store::{Store, StoreError};

/// Streams at once. A viewer of a further one is told that there is no place.
pub const STREAMS_MAX: usize = 64;
/// Viewers at once, of all streams. A further one is told that there is no place.
const VIEWERS_MAX: u32 = 256;
/// Connections that one box may have. A further one is refused.
const CONNECTIONS_A_BOX_MAX: usize = 8;
/// Viewers who hear nothing for so long are told the state again; their player gives a silent connection up after 15 s.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// Why nobody can watch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// No place, for this number of viewers or streams.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The instance stops.
    #[error("this instance of kominfo is stopping")]
    Stopping,
}

/// A stream's way from its box to its viewers.
#[derive(Debug)]
pub(super) struct Line {
    hub: Hub,
    told: Mutex<Told>,
}

/// What viewers were last told about the camera or the way to it.
#[derive(Debug)]
struct Told {
    state: CameraState,
    /// It is about the way, not the camera.
    of_link: bool,
    /// When anything was last published.
    at: Instant,
}

impl Line {
    fn new() -> Self {
        let limits = Limits {
            viewers_max: VIEWERS_A_STREAM_MAX,
            ..Limits::default()
        };
        Self {
            hub: Hub::new(limits),
            told: Mutex::new(Told {
                state: CameraState::new("link_calling", None),
                of_link: true,
                at: Instant::now(),
            }),
        }
    }

    /// Hands on what the box sent. An error means that it was out of order.
    pub(super) fn publish(&self, message: Message) -> Result<(), live::fanout::PublishError> {
        let mut told = self.told();
        told.at = Instant::now();
        if let Message::State(state) = &message {
            (told.state, told.of_link) = (state.clone(), false);
        } else if told.of_link {
            (told.state, told.of_link) = (CameraState::new("up", None), false);
            self.hub.publish(Message::State(told.state.clone()))?;
        }
        self.hub.publish(message).map(drop)
    }

    fn tell(&self, state: CameraState) {
        let mut told = self.told();
        *told = Told {
            state: state.clone(),
            of_link: true,
            at: Instant::now(),
        };
        // Only a stream that has ended takes no state.
        self.hub.publish(Message::State(state)).map(drop).unwrap_or_default();
    }

    /// When the state is to be said again, should nothing be said meanwhile.
    fn tell_again_at(&self) -> Instant {
        self.told().at + TELL_AGAIN
    }

    /// Says the state again when nothing has been said for a while.
    fn tell_again(&self, now: Instant) {
        let mut told = self.told();
        if now.saturating_duration_since(told.at) >= TELL_AGAIN {
            told.at = now;
            let state = Message::State(told.state.clone());
            self.hub.publish(state).map(drop).unwrap_or_default();
        }
    }

    /// Held while something is published, so that no old state comes behind a new one.
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A box that has dialled.
#[derive(Debug)]
struct Dialled {
    id: StreamId,
    close: oneshot::Sender<Close>,
    left: oneshot::Receiver<Option<String>>,
}

/// The place of a box's connection in its stream. Dropping it says that the connection is over.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) key: StreamKey,
    pub(super) line: Arc<Line>,
    /// When and why the connection is to be closed.
    pub(super) close: oneshot::Receiver<Close>,
    /// Takes the box's reason for ending, if it gives one.
    pub(super) left: oneshot::Sender<Option<String>>,
    /// Counts as one of the box's connections.
    pub(super) place: Arc<()>,
}

/// Why a box's connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The identifier was not given to this box, or has been used.
    Unknown,
    /// The box has too many connections.
    Many,
}

#[derive(Debug)]
struct Entry {
    line: Arc<Line>,
    dialled: mpsc::Sender<Dialled>,
    /// What the box may dial with.
    offer: Option<StreamId>,
}

#[derive(Debug, Default)]
struct Streams {
    entries: HashMap<StreamKey, Entry>,
    /// Counts each box's connections by the references to it.
    connections: HashMap<GatewayId, Arc<()>>,
}

#[derive(Debug)]
struct Shared {
    streams: Mutex<Streams>,
    waits: Mutex<Waits>,
    courier: Courier,
    store: Store,
    watch_max: Duration,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The relay of an instance. Clones are the same.
#[derive(Debug, Clone)]
pub struct Relay {
    shared: Arc<Shared>,
}

impl Relay {
    pub(super) fn new(courier: Courier, store: Store, watch_max: Duration, stop: CancellationToken) -> Self {
        let shared = Shared {
            streams: Mutex::default(),
            waits: Mutex::default(),
            courier,
            store,
            watch_max,
            stop,
            tasks: TaskTracker::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Lets somebody watch a stream of the box whose log is `origin`, and sees to it that it comes.
    pub fn watch(&self, key: &StreamKey, origin: &str) -> Result<Viewer, WatchError> {
        if self.shared.stop.is_cancelled() {
            return Err(WatchError::Stopping);
        }
        let mut streams = self.shared.lock();
        let watching: usize = streams
            .entries
            .values()
            .map(|entry| *entry.line.hub.viewers().borrow())
            .sum();
        if watching >= usize::try_from(VIEWERS_MAX).unwrap_or(usize::MAX) {
            return Err(Busy {
                viewers_max: VIEWERS_MAX,
            }
            .into());
        }
        if let Some(entry) = streams.entries.get(key) {
            return Ok(entry.line.hub.join()?);
        }
        if streams.entries.len() >= STREAMS_MAX {
            let viewers_max = u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX);
            return Err(Busy { viewers_max }.into());
        }
        let line = Arc::new(Line::new());
        let viewer = line.hub.join()?;
        // Room for the one connection that an identifier allows, and one that follows before it was seen to end.
        let (dialled, arrivals) = mpsc::channel(2);
        let keeper = Keeper {
            shared: Arc::clone(&self.shared),
            key: key.clone(),
            origin: origin.to_owned(),
            viewers: line.hub.viewers(),
            line: Arc::clone(&line),
            arrivals,
            connection: None,
        };
        let entry = Entry {
            line,
            dialled,
            offer: None,
        };
        streams.entries.insert(key.clone(), entry);
        self.shared.tasks.spawn(keeper.run());
        Ok(viewer)
    }

    /// Takes a box's connection, if it was asked for.
    pub(super) fn admit(&self, gateway: &GatewayId, id: StreamId) -> Result<Admission, Refusal> {
        let mut streams = self.shared.lock();
        let Streams { entries, connections } = &mut *streams;
        let (key, entry) = entries
            .iter_mut()
            .find(|(key, entry)| key.gateway == *gateway && entry.offer == Some(id))
            .ok_or(Refusal::Unknown)?;
        let place = place(connections, gateway)?;
        let ((close, closing), (leaving, left)) = (oneshot::channel(), oneshot::channel());
        let dialled = Dialled { id, close, left };
        entry.dialled.try_send(dialled).map_err(|_| Refusal::Many)?;
        entry.offer = None;
        Ok(Admission {
            key: key.clone(),
            line: Arc::clone(&entry.line),
            close: closing,
            left: leaving,
            place,
        })
    }

    /// A place for one of the box's connections, for as long as it is kept.
    pub(super) fn place(&self, gateway: &GatewayId) -> Result<Arc<()>, Refusal> {
        place(&mut self.shared.lock().connections, gateway)
    }

    /// The connections that wait. The lock is never held across an await.
    pub(super) fn waits(&self) -> MutexGuard<'_, Waits> {
        self.shared.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn courier(&self) -> &Courier {
        &self.shared.courier
    }

    pub(super) fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }

    pub(super) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(super) fn watch_max(&self) -> Duration {
        self.shared.watch_max
    }

    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    /// Waits until all is over, after the instance was told to stop.
    pub async fn finish(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Shared {
    /// What is in it is whole after a panic elsewhere.
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of one stream.
struct Keeper {
    shared: Arc<Shared>,
    key: StreamKey,
    origin: String,
    line: Arc<Line>,
    viewers: watch::Receiver<usize>,
    arrivals: mpsc::Receiver<Dialled>,
    connection: Option<Dialled>,
}

impl Keeper {
    async fn run(mut self) {
        let mut stream = Stream::new(now());
        let mut viewers = self.viewers.clone();
        let count = *viewers.borrow_and_update();
        let mut input = Input::Viewers(count);
        loop {
            if self.apply(&mut stream, input).await {
                return;
            }
            let deadline = stream.deadline().map(Instant::from_std);
            input = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return self.end(),
                changed = viewers.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let count = *viewers.borrow_and_update();
                    Input::Viewers(count)
                }
                Some(dialled) = self.arrivals.recv() => {
                    tracing::info!(key = %self.key, id = %dialled.id, "the box sends");
                    let id = dialled.id;
                    self.connection = Some(dialled);
                    Input::Dialled(id)
                }
                (id, reason) = left(&mut self.connection) => {
                    tracing::info!(key = %self.key, %id, reason, "the box's connection is over");
                    self.connection = None;
                    Input::Left(id, reason)
                }
                () = tokio::time::sleep_until(self.line.tell_again_at()) => {
                    self.line.tell_again(Instant::now());
                    Input::Wake
                }
                () = sleep_until(deadline) => Input::Wake,
            };
        }
    }

    /// Steps, and does what comes of it. `true` when the stream is forgotten.
    async fn apply(&mut self, stream: &mut Stream, input: Input) -> bool {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for effect in stream.step(now(), input, fresh) {
                match effect {
                    Effect::Ask { id, offer } => inputs.push(Input::Sent(self.ask(id, offer).await)),
                    Effect::Stop(id) => {
                        if let Err(error) = self.shared.courier.stop(&self.key, &self.origin, id).await {
                            tracing::debug!(key = %self.key, %id, %error, "cannot tell the box to stop");
                        }
                    }
                    Effect::Close(why) => {
                        if let Some(connection) = self.connection.take() {
                            // It may have ended by itself just now.
                            connection.close.send(why).unwrap_or_default();
                        }
                    }
                    Effect::Tell(link) => {
                        let state = self.words(link).await;
                        self.line.tell(state);
                    }
                    Effect::Over => match self.forget() {
                        0 => return true,
                        viewers => inputs.push(Input::Viewers(viewers)),
                    },
                }
            }
        }
        false
    }

    async fn ask(&self, id: StreamId, offer: bool) -> bool {
        if offer && let Some(entry) = self.shared.lock().entries.get_mut(&self.key) {
            entry.offer = Some(id);
        }
        match self.shared.courier.ask(&self.key, &self.origin, id).await {
            Ok(()) => {
                tracing::debug!(key = %self.key, %id, "the box was asked");
                true
            }
            Err(error) => {
                tracing::warn!(key = %self.key, %id, %error, "cannot ask the box");
                false
            }
        }
    }

    /// What is likely, for those who wait.
    async fn words(&self, link: Link) -> CameraState {
        let (likely, otherwise) = match link {
            Link::Calling => (self.known_refusal().await, "link_calling"),
            Link::Silent => (self.why_silent().await, "link_silent"),
            Link::Lost => (Ok(None), "link_lost"),
            Link::Broker => (Ok(None), "link_broker"),
            Link::Refused(reason) => return CameraState::new("link_refused", Some(&reason)),
        };
        let likely = likely.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot tell why a box is silent");
            None
        });
        likely.unwrap_or_else(|| CameraState::new(otherwise, None))
    }

    /// Why the box is not going to dial, if its state tells so. It is asked all the same: it may have been corrected.
    async fn known_refusal(&self) -> Result<Option<CameraState>, StoreError> {
        let reach = reach(&self.shared.store, &self.key.gateway).await?;
        let reason = reach.and_then(|reach| self.shared.courier.refused_by(&reach));
        Ok(reason.map(|reason| CameraState::new("link_refused", Some(reason.as_str()))))
    }

    async fn why_silent(&self) -> Result<Option<CameraState>, StoreError> {
        let gateway = self.key.gateway.as_str();
        let link = self.shared.store.links().await?;
        let Some(link) = link.into_iter().find(|link| link.gateway == gateway) else {
            return Ok(Some(CameraState::new("link_never", None)));
        };
        if link.online {
            return self.known_refusal().await;
        }
        let boxes = self.shared.store.boxes().await?;
        let row = boxes.iter().find(|row| row.gateway == self.key.gateway);
        let timezone = row.map_or(parking::Timezone::Wib, |row| row.timezone);
        let since = moment(link.updated, timezone, clock::now());
        Ok(Some(CameraState::new("link_offline", Some(&since))))
    }

    /// Forgets the stream unless somebody watches it after all; gives the number of viewers.
    fn forget(&self) -> usize {
        let mut streams = self.shared.lock();
        let viewers = *self.viewers.borrow();
        if viewers == 0 {
            streams.entries.remove(&self.key);
        }
        viewers
    }

    fn end(mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close.send(Close::Stopping).unwrap_or_default();
        }
        self.shared.lock().entries.remove(&self.key);
        let ended = Message::Ended {
            reason: "stopped".to_owned(),
        };
        self.line.hub.publish(ended).map(drop).unwrap_or_default();
    }
}

fn place(connections: &mut HashMap<GatewayId, Arc<()>>, gateway: &GatewayId) -> Result<Arc<()>, Refusal> {
    // The map's own reference is one.
    connections.retain(|_, references| Arc::strong_count(references) > 1);
    let of_box = connections.entry(gateway.clone()).or_default();
    if Arc::strong_count(of_box) > CONNECTIONS_A_BOX_MAX {
        return Err(Refusal::Many);
    }
    Ok(Arc::clone(of_box))
}

/// What a box has told of where it sends and whose commands it takes.
pub(crate) async fn reach(store: &Store, gateway: &GatewayId) -> Result<Option<Reach>, StoreError> {
    let told = store.state(gateway, REACH_KEY).await?;
    // Not signed, of any version: what cannot be read says nothing.
    Ok(told.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Waits until a box's connection is over; forever when there is none.
async fn left(connection: &mut Option<Dialled>) -> (StreamId, Option<String>) {
    match connection {
        Some(connection) => {
            let reason = (&mut connection.left).await;
            (connection.id, reason.unwrap_or_default())
        }
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// An identifier that nobody can guess.
pub(crate) fn fresh() -> StreamId {
    let mut random = [0; 16];
    OsRng.fill_bytes(&mut random);
    StreamId::from_bytes(random)
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl std::fmt::Display for StreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.gateway, self.camera, self.profile.as_str())
    }
}
