//! The uplink task: one MQTT session after another, ledger before state before telemetry.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ledger::{LogSigner, Receipt};
use parking::{RecordBody, Timestamp};
use rand::Rng;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Topics;
use super::batch::{self, BatchLimits, BuildError, Hole};
use super::dialer::Traffic;
use super::lane::{LedgerLane, Receipted, Verdict};
use super::telemetry::TelemetryLane;
use crate::clock::Clock;
use crate::journal::{Journal, JournalError, Reader, Sequence};
use crate::mqtt::{self, Event, Message, MqttError, Publication, QoS, Subscription};
use crate::state::Board;

/// Most bytes of one state message before compression; more keys go out in further messages.
pub const STATE_BYTES_MAX: usize = 32 * 1024;
/// Everything is sent again this often: a city that was being restarted when something changed has missed it.
const STATE_WHOLE_EVERY: Duration = Duration::from_mins(15);
/// How long a new session waits for the retained receipt before it sends again what may be receipted already.
const RECEIPT_WAIT: Duration = Duration::from_secs(1);
/// zstd level of state messages.
const STATE_LEVEL: i32 = 9;
/// The first of these doubtful receipts in a session are logged, the rest only counted.
const INVALID_LOGGED_MAX: u32 = 3;

/// What the uplink asks the engine to write down.
#[derive(Debug)]
pub enum ToEngine {
    /// The city holds the log up to here.
    Receipted(Receipted),
    /// A hole in the journal was met on the way.
    Note(Box<RecordBody>),
}

/// How the uplink is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LinkStatus {
    /// A session with the city's broker stands.
    pub online: bool,
    /// Records that the city has receipted.
    pub receipted: u64,
    /// The journal's sequence after the last record receipted.
    pub receipted_next: u64,
    /// When it signed last, Unix seconds; 0 before the first time.
    pub receipt_time_s: u64,
    /// Batches sent in this life of the daemon.
    pub batches_sent: u64,
    /// Sessions begun in this life of the daemon.
    pub sessions: u64,
    /// Receipts that were not the city's signature on this box's log.
    pub receipts_invalid: u64,
    /// Why the last session ended or did not come about.
    pub last_error: Option<String>,
    /// Set when the city holds more of this log than this box: the box was restored from an older copy.
    pub city_ahead: Option<u64>,
}

impl From<&Receipted> for LinkStatus {
    fn from(receipted: &Receipted) -> Self {
        let (size, next, time_s) = (receipted.size(), receipted.next, receipted.time_s);
        Self {
            receipted: size,
            receipted_next: next,
            receipt_time_s: time_s,
            ..Self::default()
        }
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum SessionEnd {
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("no receipt within {0:?}; the city may be down, or refuses what this box sends")]
    ReceiptOverdue(Duration),
    #[error("the engine has stopped")]
    EngineGone,
}

/// Limits and pauses of the uplink.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Limits of a batch.
    pub batch: BatchLimits,
    /// How long a batch that is not full waits for more.
    pub batch_delay: Duration,
    /// A receipt that takes longer ends the session.
    pub receipt_timeout: Duration,
    /// Least time between two state messages.
    pub state_interval: Duration,
    /// First pause before a new session; it doubles.
    pub backoff_min: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
}

/// The uplink.
pub struct Uplink {
    /// How to connect; address, last will and subscriptions included.
    pub session: mqtt::Options,
    /// The box's topics.
    pub topics: Topics,
    /// Limits and pauses.
    pub pace: Pace,
    /// Signs checkpoints.
    pub signer: LogSigner,
    /// The ledger lane.
    pub lane: LedgerLane,
    /// Where the records are.
    pub journal: Arc<Journal>,
    /// What the state lane sends.
    pub board: Arc<Board>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// Tells why a connection failed below MQTT.
    pub traffic: Arc<Traffic>,
    /// The engine, which alone writes the journal.
    pub engine: mpsc::Sender<ToEngine>,
    /// Where the status is shown.
    pub status: watch::Sender<LinkStatus>,
    /// Where the city's commands go.
    pub commands: mpsc::Sender<Bytes>,
}

/// The last will and the subscriptions that every session of the uplink has.
pub fn session_options(
    address: mqtt::Address,
    client_id: &str,
    topics: &Topics,
    keep_alive: Duration,
) -> mqtt::Options {
    let mut options = mqtt::Options::new(address, client_id);
    options.keep_alive = keep_alive;
    options.last_will = Some(Publication {
        topic: topics.status(),
        payload: Bytes::from(json!({"online": false}).to_string()),
        qos: QoS::AtLeastOnce,
        retain: true,
    });
    options.subscriptions = vec![
        Subscription {
            filter: topics.receipt(),
            qos: QoS::AtMostOnce,
        },
        Subscription {
            filter: topics.command(),
            qos: QoS::AtLeastOnce,
        },
    ];
    options
}

impl Uplink {
    /// Keeps a session with the city until cancelled. Ends with an error only if the journal cannot be read.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), JournalError> {
        let mut pause = self.pace.backoff_min;
        loop {
            let before = self.lane.receipted().size();
            let end = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                end = self.session() => end,
            };
            let reason = match (end, self.traffic.take_error()) {
                (SessionEnd::Journal(error) | SessionEnd::Build(BuildError::Journal(error)), _) => return Err(error),
                (end, Some(below)) => format!("{below} ({end})"),
                (end, None) => end.to_string(),
            };
            if self.lane.receipted().size() > before {
                pause = self.pace.backoff_min;
            }
            let wait = rand::rng().random_range(pause / 2..=pause);
            tracing::warn!(
                reason,
                retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "uplink session ended"
            );
            self.status.send_modify(|status| {
                status.online = false;
                status.last_error = Some(reason);
            });
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
            pause = (pause * 2).min(self.pace.backoff_max);
        }
    }

    /// One session, from connecting to its end.
    async fn session(&mut self) -> SessionEnd {
        self.lane.restart();
        let (publisher, mut events) = match mqtt::connect(&self.session).await {
            Ok(session) => session,
            Err(error) => return error.into(),
        };
        if let Err(end) = self.begin(&publisher, &mut events).await {
            return end;
        }
        self.status.send_modify(|status| {
            status.online = true;
            status.sessions += 1;
            status.last_error = None;
        });
        let mut session = Session {
            reader: self.journal.reader(self.lane.tip().1),
            cursor: self.lane.tip().1,
            publisher,
            started: Instant::now(),
            linger: None,
            state_version: 0,
            state_at: Instant::now(),
            state_whole_at: Instant::now(),
            telemetry: TelemetryLane::default(),
            invalid: 0,
        };
        let mut durable = self.journal.durable();
        loop {
            match self.turn(&mut session, &mut events, &mut durable).await {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(end)) | Err(end) => return end,
            }
        }
    }

    /// Says that the box is online and waits a moment for the retained receipt.
    async fn begin(&mut self, publisher: &mqtt::Publisher, events: &mut mqtt::Events) -> Result<(), SessionEnd> {
        loop {
            match events.next().await? {
                Event::Subscribed => break,
                Event::Message(message) => self.message(message, &mut 0).await?,
                Event::Published(_) | Event::Refused { .. } => {}
            }
        }
        let now = self.clock.now();
        let birth = json!({"online": true, "at": now.at, "clock": now.clock, "version": env!("CARGO_PKG_VERSION")});
        publisher
            .publish(Publication {
                topic: self.topics.status(),
                payload: Bytes::from(birth.to_string()),
                qos: QoS::AtLeastOnce,
                retain: true,
            })
            .await?;
        let deadline = Instant::now() + RECEIPT_WAIT;
        let known = self.lane.receipted().size();
        while self.lane.receipted().size() == known {
            let Ok(event) = timeout(deadline.saturating_duration_since(Instant::now()), events.next()).await else {
                break;
            };
            if let Event::Message(message) = event? {
                let receipt = message.topic == self.topics.receipt();
                self.message(message, &mut 0).await?;
                if receipt {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits for whatever comes first, and answers it.
    async fn turn(
        &mut self,
        session: &mut Session,
        events: &mut mqtt::Events,
        durable: &mut watch::Receiver<Sequence>,
    ) -> Result<ControlFlow<SessionEnd>, SessionEnd> {
        session.follow(&self.lane, &self.journal);
        let waiting = durable.borrow_and_update().0.saturating_sub(session.cursor.0);
        let send_at = session.send_at(waiting, &self.pace, self.lane.has_room());
        let overdue = self
            .lane
            .deadline(self.pace.receipt_timeout)
            .map(|at| session.started + at);
        tokio::select! {
            event = events.next() => match event? {
                Event::Message(message) => {
                    let mut invalid = session.invalid;
                    self.message(message, &mut invalid).await?;
                    session.invalid = invalid;
                }
                Event::Refused { id, reason } => {
                    session.telemetry.refused(id, Instant::now());
                    tracing::warn!(reason, "the city's broker refused a message; check its ACL");
                }
                Event::Published(id) => if let Some(quarters) = session.telemetry.published(id) {
                    self.board.telemetry().acknowledged(&quarters);
                },
                Event::Subscribed => {}
            },
            () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                return Ok(ControlFlow::Break(SessionEnd::ReceiptOverdue(self.pace.receipt_timeout)));
            }
            () = sleep_until(send_at.unwrap_or_else(Instant::now)), if send_at.is_some() => {
                self.send_batch(session).await?;
            }
            changed = durable.changed() => changed.map_err(|_| SessionEnd::EngineGone)?,
            () = sleep_until(session.state_at) => {
                let state_waits = self.send_state(session)?;
                let ledger_waits = durable.borrow().0 > session.cursor.0 || overdue.is_some();
                if session.telemetry.may_send(Instant::now(), ledger_waits, state_waits) {
                    self.send_telemetry(session)?;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn send_batch(&mut self, session: &mut Session) -> Result<(), SessionEnd> {
        session.linger = None;
        let taken = tokio::task::block_in_place(|| {
            batch::build(&mut session.reader, self.lane.tip().0, self.pace.batch, &self.signer)
        })?;
        session.cursor = taken.reached.unwrap_or(session.cursor);
        for hole in taken.holes {
            self.tell(ToEngine::Note(Box::new(note_of(hole)))).await?;
        }
        let Some(built) = taken.built else { return Ok(()) };
        let bytes = built.payload.len();
        tracing::debug!(
            records = built.records,
            bytes,
            size = built.frontier.size(),
            "batch sent"
        );
        self.lane
            .sent(session.started.elapsed(), built.frontier, built.next, bytes);
        session
            .publisher
            .publish(Publication {
                topic: self.topics.ledger(),
                payload: Bytes::from(built.payload),
                qos: QoS::AtLeastOnce,
                retain: false,
            })
            .await?;
        self.status.send_modify(|status| status.batches_sent += 1);
        Ok(())
    }

    /// Sends what changed, if the ledger leaves room; else it tries again after the interval. Whether something waits.
    fn send_state(&mut self, session: &mut Session) -> Result<bool, SessionEnd> {
        session.state_at = Instant::now() + self.pace.state_interval;
        let whole = session.state_whole_at <= Instant::now();
        let since = if whole { 0 } else { session.state_version };
        let (version, mut changed) = self.board.changes(since);
        if changed.is_empty() {
            return Ok(false);
        }
        if whole {
            changed.insert("full".to_owned(), json!(true));
        }
        for part in parts(changed) {
            let Some(room) = session.publisher.try_room() else {
                return Ok(true);
            };
            let payload = zstd::bulk::compress(part.as_bytes(), STATE_LEVEL).unwrap_or_default();
            let publication = Publication {
                topic: self.topics.state(),
                payload: payload.into(),
                qos: QoS::AtLeastOnce,
                retain: false,
            };
            room.publish(publication)?;
        }
        session.state_version = version;
        if whole {
            session.state_whole_at = Instant::now() + STATE_WHOLE_EVERY;
        }
        Ok(false)
    }

    /// Sends the oldest quarters of an hour that are over, if there are any.
    fn send_telemetry(&self, session: &mut Session) -> Result<(), SessionEnd> {
        let now = self.clock.now().at;
        let waiting = tokio::task::block_in_place(|| self.board.telemetry().waiting(now));
        if let (Some(batch), Some(room)) = (waiting, session.publisher.try_room()) {
            tracing::debug!(
                quarters = batch.quarters.len(),
                bytes = batch.payload.len(),
                "telemetry sent"
            );
            let id = room.publish(Publication {
                topic: self.topics.telemetry(),
                payload: batch.payload.into(),
                qos: QoS::AtLeastOnce,
                retain: false,
            })?;
            session.telemetry.sent(id, batch.quarters);
        }
        Ok(())
    }

    async fn message(&mut self, message: Message, invalid: &mut u32) -> Result<(), SessionEnd> {
        if message.topic == self.topics.receipt() {
            match Receipt::from_bytes(&message.payload) {
                Ok(receipt) => self.receipt(&receipt, invalid).await?,
                Err(error) => self.invalid(&error.to_string(), invalid),
            }
        } else if message.topic == self.topics.command() {
            // Full: many came at once; the city asks again.
            if self.commands.try_send(message.payload).is_err() {
                tracing::warn!("a command of the city was not taken");
            }
        }
        message.ack.acknowledge();
        Ok(())
    }

    async fn receipt(&mut self, receipt: &Receipt, invalid: &mut u32) -> Result<(), SessionEnd> {
        let mut verdict = self.lane.receipt(receipt);
        if let Verdict::UnknownSize(size) = verdict {
            let receipted = self.lane.receipted().clone();
            let mut reader = self.journal.reader(receipted.next());
            let edge = tokio::task::block_in_place(|| {
                batch::edge_at(&mut reader, &receipted.frontier, receipted.next(), size)
            })?;
            let Some((frontier, next)) = edge else {
                tracing::error!(
                    city = size,
                    box_has = receipted.size(),
                    "the city holds more of this log than this box: was the box restored from an old copy? It needs a new identity"
                );
                self.status.send_modify(|status| status.city_ahead = Some(size));
                return Ok(());
            };
            verdict = self.lane.receipt_at(receipt, frontier, next);
        }
        match verdict {
            Verdict::Advanced => {
                let receipted = self.lane.receipted().clone();
                self.status.send_modify(|status| {
                    status.receipted = receipted.size();
                    status.receipted_next = receipted.next;
                    status.receipt_time_s = receipted.time_s;
                });
                self.tell(ToEngine::Receipted(receipted)).await?;
            }
            Verdict::Invalid(error) => self.invalid(&error.to_string(), invalid),
            Verdict::Old | Verdict::UnknownSize(_) => {}
        }
        Ok(())
    }

    fn invalid(&self, reason: &str, in_session: &mut u32) {
        *in_session += 1;
        if *in_session <= INVALID_LOGGED_MAX {
            tracing::warn!(
                reason,
                "a receipt that is not the city's on this log; nothing is released"
            );
        }
        self.status.send_modify(|status| status.receipts_invalid += 1);
    }

    async fn tell(&self, what: ToEngine) -> Result<(), SessionEnd> {
        self.engine.send(what).await.map_err(|_| SessionEnd::EngineGone)
    }
}

/// What lasts as long as a session.
struct Session {
    reader: Reader,
    /// The sequence that `reader` reads next.
    cursor: Sequence,
    publisher: mqtt::Publisher,
    started: Instant,
    /// When the oldest record that waits for a fuller batch must go.
    linger: Option<Instant>,
    state_version: u64,
    state_at: Instant,
    /// When everything is sent again, changed or not.
    state_whole_at: Instant,
    telemetry: TelemetryLane,
    invalid: u32,
}

impl Session {
    /// Goes on behind the lane's tip, if a receipt has moved it past what was read.
    fn follow(&mut self, lane: &LedgerLane, journal: &Journal) {
        let (_, tip) = lane.tip();
        if self.cursor < tip {
            self.reader = journal.reader(tip);
            self.cursor = tip;
        }
    }

    /// When the next batch goes out, given that `waiting` records wait.
    fn send_at(&mut self, waiting: u64, pace: &Pace, has_room: bool) -> Option<Instant> {
        if waiting == 0 || !has_room {
            return None;
        }
        if waiting >= pace.batch.records_max as u64 {
            return Some(Instant::now());
        }
        Some(*self.linger.get_or_insert_with(|| Instant::now() + pace.batch_delay))
    }
}

fn note_of(hole: Hole) -> RecordBody {
    RecordBody::JournalDamaged {
        first: hole.first.0,
        next: hole.next.0,
        file: hole.file,
    }
}

/// Cuts a state message into JSON objects of about [`STATE_BYTES_MAX`].
fn parts(changed: serde_json::Map<String, serde_json::Value>) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = serde_json::Map::new();
    let mut bytes = 0;
    for (key, value) in changed {
        let entry = key.len() + value.to_string().len() + 4;
        if bytes + entry > STATE_BYTES_MAX && !part.is_empty() {
            parts.push(serde_json::Value::Object(std::mem::take(&mut part)).to_string());
            bytes = 0;
        }
        bytes += entry;
        part.insert(key, value);
    }
    parts.push(serde_json::Value::Object(part).to_string());
    parts
}

/// When the city signed last, for screens.
pub fn receipt_time(status: &LinkStatus) -> Option<Timestamp> {
    (status.receipt_time_s > 0)
        .then(|| Timestamp::from_seconds(i64::try_from(status.receipt_time_s).unwrap_or(i64::MAX)))
}
