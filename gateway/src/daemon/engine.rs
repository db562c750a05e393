//! The one task that changes what the box knows: inputs in, tracker stepped, journal written, sources told.
//!
//! Order is everything here. Every input is stepped through the tracker and queued in the journal in one go, followed by
//! the records that it made: as one atomic append, or as several when there are very many. Its source is told only when
//! all of it is on disk. Appends complete in order, so an input without effect (a duplicate) is told when everything
//! before it is on disk.
//!
//! After a restart the tracker is the last snapshot plus the inputs after it. Inputs make the same records again, byte
//! for byte; they are compared with the journal's and then dropped, so nothing is doubled. Records of the last input that
//! a power cut kept from the disk are written then.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use parking::{Input, Outcome, RecordBody, SpaceNow, Stamp, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::heard::Heard;
use super::recovery::DurableState;
use crate::clock::Clock;
use crate::journal::{Append, Entry, EntryKind, Journal, JournalError, Sequence};
use crate::sensors::{Delivery, Done, Item};
use crate::state::Board;
use crate::uplink::link::ToEngine;

/// Appends queued and not yet on disk; beyond, no input is taken, and the sources wait.
const UNSETTLED_MAX: usize = 1_024;
/// The least time between two ticks, so that a clock that runs fast cannot keep the engine busy.
const TICK_MIN: Duration = Duration::from_millis(20);
/// The spaces are shown at most this often: with hundreds of sensors there is no time to look at all spaces for each
/// word of one.
const SHOW_EVERY: Duration = Duration::from_millis(100);
/// How often the clock is looked at.
const CLOCK_CHECK: Duration = Duration::from_secs(1);
/// How often the time floor is written down.
const CLOCK_SAVE: Duration = Duration::from_mins(10);

/// How long after a snapshot that failed the next is tried.
const SNAPSHOT_RETRY: Duration = Duration::from_mins(1);

/// Why the engine stopped.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal can take nothing any more.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A value cannot be written as JSON; cannot happen with finite coordinates.
    #[error("cannot write an input or record as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// An input with the time at which it was stepped, as the journal keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stepped {
    /// When.
    pub now: Stamp,
    /// What.
    pub input: Input,
}

/// Told when the append before it is on disk.
enum Duty {
    Source(Done),
    Release(Sequence),
    /// The snapshot could not be saved; the former ones stay.
    SnapshotLater,
    Nothing,
}

type Settled = Pin<Box<dyn Future<Output = Result<Duty, JournalError>> + Send>>;

/// The engine.
pub struct Engine {
    journal: Arc<Journal>,
    clock: Arc<Clock>,
    board: Arc<Board>,
    heard: Arc<Heard>,
    state: DurableState,
    unsettled: FuturesOrdered<Settled>,
    spaces: watch::Sender<Arc<Vec<SpaceNow>>>,
    /// When the spaces are to be shown, if they are to be.
    show_at: Option<Instant>,
    /// When they were shown last.
    shown_at: Option<Instant>,
    /// After one that failed, no snapshot is tried before this.
    snapshot_not_before: Option<Instant>,
}

/// Where inputs come from.
pub struct Sources {
    /// Readings from the drivers.
    pub deliveries: mpsc::Receiver<Delivery>,
    /// Receipts and notes from the uplink.
    pub uplink: mpsc::Receiver<ToEngine>,
    /// Facts that cameras tell.
    pub facts: mpsc::Receiver<Input>,
}

/// At that time, or never.
async fn sleep_until_some(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl Engine {
    /// An engine that goes on from `state`.
    pub fn new(
        journal: Arc<Journal>,
        clock: Arc<Clock>,
        board: Arc<Board>,
        heard: Arc<Heard>,
        state: DurableState,
        spaces: watch::Sender<Arc<Vec<SpaceNow>>>,
    ) -> Self {
        Self {
            journal,
            clock,
            board,
            heard,
            state,
            unsettled: FuturesOrdered::new(),
            spaces,
            show_at: None,
            shown_at: None,
            snapshot_not_before: None,
        }
    }

    /// Takes inputs until cancelled; then settles what is queued and takes a snapshot.
    pub async fn run(mut self, mut sources: Sources, cancel: CancellationToken) -> Result<(), EngineError> {
        self.journal.release(self.state.receipted.next());
        self.step(Input::Started {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
        .await?;
        let mut clock_check = tokio::time::interval(CLOCK_CHECK);
        let mut clock_save = tokio::time::interval(CLOCK_SAVE);
        loop {
            let tick_in = self
                .state
                .tracker
                .deadline()
                .map(|due| self.clock.until(due).max(TICK_MIN));
            let has_room = self.unsettled.len() < UNSETTLED_MAX;
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(settled) = self.unsettled.next() => self.settled(settled?),
                Some(delivery) = sources.deliveries.recv(), if has_room => self.delivery(delivery).await?,
                Some(told) = sources.uplink.recv(), if has_room => self.told(told).await?,
                Some(fact) = sources.facts.recv(), if has_room => self.step(fact).await?,
                () = tokio::time::sleep(tick_in.unwrap_or(CLOCK_CHECK)), if tick_in.is_some() && has_room => {
                    self.step(Input::Tick).await?;
                }
                () = sleep_until_some(self.show_at) => self.show(self.clock.now().at),
                _ = clock_check.tick() => self.check_clock().await?,
                _ = clock_save.tick() => self.save_clock(),
            }
        }
        self.drain().await
    }

    async fn drain(mut self) -> Result<(), EngineError> {
        while let Some(settled) = self.unsettled.next().await {
            self.settled(settled?);
        }
        if self.show_at.is_some() {
            self.show(self.clock.now().at);
        }
        self.save_clock();
        let snapshot = self.state.to_bytes()?;
        if let Err(error) = self.journal.save_snapshot(&snapshot).await?.await {
            tracing::warn!(%error, "no snapshot at the end; the next start replays more");
        }
        Ok(())
    }

    async fn delivery(&mut self, Delivery { item, done }: Delivery) -> Result<(), EngineError> {
        let input = match item {
            Item::Reading { reading, health } => {
                let seen = json!({"heard": reading.observed, "received": reading.received.at, "health": health});
                self.board.put(&format!("sensor/{}", reading.sensor), seen);
                self.heard.note(&reading, &health);
                Input::Reading(reading)
            }
            Item::SetAside(set_aside) => Input::Note(RecordBody::ReadingSetAside {
                sensor: set_aside.sensor,
                observed: set_aside.observed,
                reason: set_aside.reason,
            }),
        };
        self.step_for(input, Duty::Source(done)).await
    }

    async fn told(&mut self, told: ToEngine) -> Result<(), EngineError> {
        match told {
            ToEngine::Receipted(receipted) => {
                let next = receipted.next();
                let mark = Entry {
                    kind: EntryKind::Mark,
                    bytes: serde_json::to_vec(&receipted)?,
                };
                self.state.receipted = receipted;
                let append = self.journal.append(&[mark]).await?;
                self.settle(Some(append), Duty::Release(next));
                Ok(())
            }
            ToEngine::Note(body) => {
                if let RecordBody::JournalDamaged { first, .. } = body.as_ref()
                    && !self.state.damage_noted.insert(*first)
                {
                    return Ok(());
                }
                self.step(Input::Note(*body)).await
            }
        }
    }

    async fn check_clock(&mut self) -> Result<(), EngineError> {
        let Some(offset_ms) = self.clock.check() else {
            return Ok(());
        };
        let of_boot = self.clock.now().boot;
        tracing::info!(offset_ms, "the clock was corrected");
        self.step(Input::ClockCorrected { of_boot, offset_ms }).await
    }

    fn save_clock(&self) {
        if let Err(error) = self.clock.save() {
            tracing::warn!(%error, "the time floor was not saved");
        }
    }

    /// Steps an input of the daemon itself.
    pub async fn step(&mut self, input: Input) -> Result<(), EngineError> {
        self.step_for(input, Duty::Nothing).await
    }

    /// Writes records that the last input before the restart made and that did not reach the disk.
    pub async fn complete(&mut self, unwritten: &[Entry]) -> Result<(), EngineError> {
        if !unwritten.is_empty() {
            let append = self.journal.append_in_parts(unwritten).await?;
            self.settle(Some(append), Duty::Nothing);
        }
        Ok(())
    }

    /// Steps the tracker, queues input and records, and does `duty` when they are on disk.
    async fn step_for(&mut self, input: Input, duty: Duty) -> Result<(), EngineError> {
        let stepped = Stepped {
            now: self.clock.now(),
            input: input.clone(),
        };
        let Outcome { records, changed } = self.state.tracker.step(stepped.now, input);
        if !changed {
            self.settle(None, duty);
            return Ok(());
        }
        let mut entries = Vec::with_capacity(records.len() + 1);
        entries.push(Entry {
            kind: EntryKind::Input,
            bytes: serde_json::to_vec(&stepped)?,
        });
        for record in &records {
            entries.push(Entry {
                kind: EntryKind::Record,
                bytes: serde_json::to_vec(record)?,
            });
        }
        let append = self.journal.append_in_parts(&entries).await?;
        self.settle(Some(append), duty);
        let now = Instant::now();
        let next = self.shown_at.map_or(now, |shown| (shown + SHOW_EVERY).max(now));
        self.show_at.get_or_insert(next);
        if self.journal.snapshot_due() && self.snapshot_not_before.is_none_or(|from| from <= now) {
            let snapshot = self.state.to_bytes()?;
            let saved = self.journal.save_snapshot(&snapshot).await?;
            self.unsettled.push_back(Box::pin(async move {
                Ok(match saved.await {
                    Ok(()) => Duty::Nothing,
                    Err(error) => {
                        tracing::warn!(%error, "no snapshot; the journal frees nothing until one is taken");
                        Duty::SnapshotLater
                    }
                })
            }));
        }
        Ok(())
    }

    fn settle(&mut self, append: Option<Append>, duty: Duty) {
        self.unsettled.push_back(Box::pin(async move {
            if let Some(append) = append {
                append.await?;
            }
            Ok(duty)
        }));
    }

    fn settled(&mut self, duty: Duty) {
        match duty {
            Duty::Source(done) => done.journalled(),
            Duty::Release(below) => self.journal.release(below),
            Duty::SnapshotLater => self.snapshot_not_before = Some(Instant::now() + SNAPSHOT_RETRY),
            Duty::Nothing => {}
        }
    }

    /// Puts the spaces on the board.
    fn show(&mut self, now: Timestamp) {
        (self.show_at, self.shown_at) = (None, Some(Instant::now()));
        let spaces = self.state.tracker.spaces_now(now);
        for space in &spaces {
            if let Ok(value) = serde_json::to_value(space) {
                self.board.put(&format!("space/{}", space.space), value);
            }
        }
        self.spaces.send_replace(Arc::new(spaces));
    }
}
