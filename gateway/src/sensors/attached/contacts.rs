//! Contacts on pins of the box: loop detectors, the switch of its door, the power-fail output of its supply.
//!
//! A contact counts when it has held for [`HOLD_S`]. A loop whose detector reports a fault says nothing, whatever its presence
//! contact shows. The box's own contacts go into the ledger: each change, and what they show after each start, since a door may have
//! been closed and the mains have come back while the box was off.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking::{BoxContact, Input, Reading, RecordBody, SensorId, Stamp};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use wired::Steady;
use wired::loop_relay::{Active, Contact, Loop};

use super::super::backoff::Backoff;
use super::super::codecs::Health;
use super::super::{Driver, DriverContext, DriverState};
use super::{Outbox, Presence, WAIT_MAX, WAIT_MIN};
use board::{Board, PinFault};

/// Contacts are read this often.
pub const POLL_EVERY: Duration = Duration::from_millis(20);
/// A contact has to hold for so long, seconds.
const HOLD_S: f64 = 0.5;
/// A box that does not get to looking for so long has seen nothing.
const GAP: Duration = Duration::from_secs(1);

/// A contact and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Device file of the chip of pins; a Raspberry Pi has one only.
    pub chip: PathBuf,
    /// The pin: its offset on the chip, on a Raspberry Pi its BCM number.
    pub line: u32,
    /// How it is wired.
    pub active: Active,
}

/// A loop detector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopDetector {
    /// The sensor.
    pub sensor: SensorId,
    /// Its presence output.
    pub presence: Line,
    /// Its fault output, if it is wired.
    pub fault: Option<Line>,
}

/// A contact of the box itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnContact {
    /// What it tells.
    pub contact: BoxContact,
    /// Where it is.
    pub line: Line,
}

/// The driver.
#[derive(Debug)]
pub struct Contacts {
    /// The board.
    pub board: Board,
    /// Loops.
    pub loops: Vec<LoopDetector>,
    /// The box's own.
    pub own: Vec<OwnContact>,
    /// Real time between two looks at them.
    pub pace: Duration,
    /// Where facts go that the ledger keeps.
    pub facts: mpsc::Sender<Input>,
}

impl Driver for Contacts {
    fn name(&self) -> &'static str {
        "contacts"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        async move {
            Outbox::beside(context.clone(), cancel.clone(), |outbox| async {
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = self.look_for_ever(&context, outbox) => {}
                }
            })
            .await;
            context.status.set_state(DriverState::Stopped);
        }
        .boxed()
    }
}

impl Contacts {
    async fn look_for_ever(self, context: &DriverContext, outbox: Outbox) {
        let Self { board, facts, pace, .. } = self;
        let mut loops: Vec<WatchedLoop> = self.loops.into_iter().map(WatchedLoop::new).collect();
        let mut own: Vec<WatchedOwn> = self.own.into_iter().map(WatchedOwn::new).collect();
        let mut tick = interval(pace);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let now = (context.spans)();
            let mut failed = None;
            for watched in &mut loops {
                match watched.look(&board, now) {
                    Ok(said) => {
                        if let Some(reading) = said {
                            outbox.put(reading, Health::default());
                        }
                        if watched.is_broken && !std::mem::replace(&mut watched.is_broken_told, true) {
                            let reason = "its detector reports a fault: look at loop and lead; its space is unknown until that is over";
                            let sensor = watched.detector.sensor.as_str();
                            context.status.set_aside("broken", sensor, reason, &now);
                        }
                    }
                    Err(Trouble::Told) => failed = failed.or(Some(String::new())),
                    Err(Trouble::New(reason)) => {
                        let sensor = watched.detector.sensor.as_str();
                        context.status.set_aside("pin", sensor, &reason, &now);
                        failed = Some(reason);
                    }
                }
            }
            for watched in &mut own {
                match watched.look(&board, now) {
                    Ok(Some(fact)) => {
                        if facts.send(fact).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => {}
                    Err(Trouble::Told) => failed = failed.or(Some(String::new())),
                    Err(Trouble::New(reason)) => {
                        let name = format!("contact {}", watched.own.contact);
                        context.status.set_aside("pin", &name, &reason, &now);
                        failed = Some(reason);
                    }
                }
            }
            match failed {
                None => context.status.set_state(DriverState::Connected),
                Some(reason) if reason.is_empty() => {}
                Some(reason) => context.status.set_state(DriverState::Waiting { reason }),
            }
        }
    }
}

/// A pin cannot be read.
enum Trouble {
    /// That is known.
    Told,
    /// Why.
    New(String),
}

/// A pin that is opened again when it fails.
struct Pin {
    line: Line,
    contact: Option<Contact<board::Input>>,
    backoff: Backoff,
    not_before: Instant,
}

impl Pin {
    fn new(line: Line) -> Self {
        Self {
            line,
            contact: None,
            backoff: Backoff::new(WAIT_MIN, WAIT_MAX),
            not_before: Instant::now(),
        }
    }

    fn is_active(&mut self, board: &Board) -> Result<bool, Trouble> {
        if self.contact.is_none() && Instant::now() < self.not_before {
            return Err(Trouble::Told);
        }
        let Line { chip, line, active } = &self.line;
        let mut read = || -> Result<bool, PinFault> {
            let contact = match &mut self.contact {
                Some(contact) => contact,
                closed => closed.insert(Contact::new(board.input(chip, *line)?, *active)),
            };
            contact.is_active()
        };
        read().inspect(|_| self.backoff.reset()).map_err(|error| {
            self.contact = None;
            self.not_before = Instant::now() + self.backoff.next_wait();
            Trouble::New(format!(
                "cannot read pin {line} of {}: {error}; is it free, and may the gateway's user read it (group gpio)?",
                chip.display()
            ))
        })
    }
}

struct WatchedLoop {
    detector: LoopDetector,
    presence: Pin,
    fault: Option<Pin>,
    space: Presence,
    is_broken: bool,
    is_broken_told: bool,
}

impl WatchedLoop {
    fn new(detector: LoopDetector) -> Self {
        Self {
            presence: Pin::new(detector.presence.clone()),
            fault: detector.fault.clone().map(Pin::new),
            space: Presence::new(detector.sensor.clone(), HOLD_S, GAP),
            is_broken: false,
            is_broken_told: false,
            detector,
        }
    }

    fn look(&mut self, board: &Board, now: Stamp) -> Result<Option<Reading>, Trouble> {
        let shown = self.read(board);
        if shown.is_err() {
            self.space.lost_sight();
        }
        Ok(self.step(now, shown?))
    }

    fn read(&mut self, board: &Board) -> Result<Loop, Trouble> {
        let presence = self.presence.is_active(board)?;
        let fault = self.fault.as_mut().map(|fault| fault.is_active(board)).transpose()?;
        Ok(Loop::of(presence, fault))
    }

    fn step(&mut self, now: Stamp, shown: Loop) -> Option<Reading> {
        self.is_broken = shown == Loop::Broken;
        let is_occupied = match shown {
            Loop::Broken => {
                self.space.lost_sight();
                return None;
            }
            Loop::Occupied => true,
            Loop::Free => false,
        };
        self.is_broken_told = false;
        self.space.shows(now, is_occupied)
    }
}

struct WatchedOwn {
    own: OwnContact,
    pin: Pin,
    steady: Steady,
}

impl WatchedOwn {
    fn new(own: OwnContact) -> Self {
        Self {
            pin: Pin::new(own.line.clone()),
            steady: Steady::new(HOLD_S),
            own,
        }
    }

    fn look(&mut self, board: &Board, now: Stamp) -> Result<Option<Input>, Trouble> {
        let shown = self.pin.is_active(board);
        if shown.is_err() {
            self.steady.interrupted();
        }
        let at_s = Duration::from_millis(now.mono_ms).as_secs_f64();
        let Some(change) = self.steady.step(at_s, shown?) else {
            return Ok(None);
        };
        let ago_ms = Duration::from_secs_f64((at_s - change.since_s).max(0.0)).as_millis();
        let since = now
            .at
            .plus_millis(-i64::try_from(ago_ms).unwrap_or(0))
            .floor_to_second();
        Ok(Some(Input::Note(RecordBody::BoxContact {
            contact: self.own.contact,
            active: change.is_active,
            since,
        })))
    }
}

#[cfg(test)]
mod tests;
