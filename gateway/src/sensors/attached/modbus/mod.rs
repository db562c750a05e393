//! Sensors on Modbus: RTU on serial lines of the box, TCP over a network.
//!
//! A line is a task; its devices are asked in turn, each by its own map ([`map`]) and with its own patience. A device that does
//! not answer is asked ever more rarely, so that it does not hold up the others.

mod bus;
pub mod map;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use parking::{Reading, SensorId, Stamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::bus::{Bus, BusError};
use self::map::{Map, Parity, Shown};
use super::super::backoff::Backoff;
use super::super::codecs::Health;
use super::super::{DistanceLimits, Driver, DriverContext, DriverState, DriverStatus};
use super::{Opened, Outbox, Presence, SILENT, WAIT_MAX, WAIT_MIN};

/// A distance has to mean the same for so long, seconds; somebody who walks by is no vehicle.
const HOLD_DISTANCE_S: f64 = 3.0;
/// A state that the device itself decides, seconds.
const HOLD_STATE_S: f64 = 1.0;
/// Answers may be missing for so long before it is open what was there meanwhile, and for three questions.
const GAP_MIN: Duration = Duration::from_secs(2);
/// A device that did not answer is not asked again before this: its answer may come late.
const LATE_MIN: Duration = Duration::from_secs(2);

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// RTU, by its device file.
    Serial(PathBuf),
    /// TCP, `host:port`.
    Tcp(String),
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Serial(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

/// How a serial line is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Baud.
    pub baud: u32,
    /// Parity.
    pub parity: Parity,
    /// Stop bits.
    pub stop_bits: u8,
}

/// A line and its devices.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where.
    pub way: Way,
    /// How it is set, if it is serial.
    pub rate: Rate,
    /// What is on it.
    pub devices: Vec<Device>,
}

/// A device.
#[derive(Debug, Clone)]
pub struct Device {
    /// The sensor.
    pub sensor: SensorId,
    /// How it speaks.
    pub map: &'static Map,
    /// Its address on the line.
    pub address: u8,
    /// What a distance means, if it tells one.
    pub limits: Option<DistanceLimits>,
}

/// The driver.
#[derive(Debug)]
pub struct Modbus {
    lines: Vec<Line>,
}

impl Modbus {
    /// A driver of these lines.
    pub fn new(lines: Vec<Line>) -> Self {
        Self { lines }
    }
}

impl Driver for Modbus {
    fn name(&self) -> &'static str {
        "modbus"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        async move {
            let answering = Arc::new(AtomicUsize::new(0));
            let lines = self.lines.into_iter().map(|line| {
                let (context, cancel) = (context.clone(), cancel.clone());
                let answering = Arc::clone(&answering);
                Outbox::beside(context.clone(), cancel.clone(), |outbox| async move {
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = Task::new(line, context, outbox, answering).ask_for_ever() => {}
                    }
                })
            });
            join_all(lines).await;
            context.status.set_state(DriverState::Stopped);
        }
        .boxed()
    }
}

/// One line.
struct Task {
    way: Way,
    rate: Rate,
    asked: VecDeque<Asked>,
    context: DriverContext,
    outbox: Outbox,
    /// Lines of the driver on which somebody answers.
    answering: Arc<AtomicUsize>,
    /// This one among them.
    is_answering: Option<Opened>,
}

impl Task {
    fn new(line: Line, context: DriverContext, outbox: Outbox, answering: Arc<AtomicUsize>) -> Self {
        Self {
            way: line.way,
            rate: line.rate,
            asked: line.devices.into_iter().map(Asked::new).collect(),
            context,
            outbox,
            answering,
            is_answering: None,
        }
    }

    /// Nobody answers here: the driver has no source any more if nobody does anywhere.
    fn is_silent(&mut self, reason: String) {
        self.is_answering = None;
        if self.answering.load(Ordering::Relaxed) == 0 {
            self.context.status.set_state(DriverState::Waiting { reason });
        }
    }

    async fn ask_for_ever(mut self) {
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        loop {
            let error = match Bus::open(&self.way, self.rate).await {
                Ok(bus) => {
                    backoff.reset();
                    self.asked.iter_mut().for_each(Asked::ask_at_once);
                    self.ask_on(bus).await
                }
                Err(error) => error,
            };
            let (reason, now) = (error.to_string(), (self.context.clock)());
            self.context
                .status
                .set_aside("line", &self.way.to_string(), &reason, &now);
            self.is_silent(reason);
            self.asked.iter_mut().for_each(Asked::cut_off);
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Asks until the line fails.
    async fn ask_on(&mut self, mut bus: Bus) -> BusError {
        loop {
            // Who waits longest is first.
            let Some(next) = self.asked.iter().min_by_key(|asked| asked.not_before) else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(next.not_before).await;
            let due = self.asked.iter_mut().min_by_key(|asked| asked.not_before);
            let Some(asked) = due else { continue };
            let answer = asked.ask(&mut bus).await;
            let now = (self.context.clock)();
            let sensor = asked.device.sensor.clone();
            match answer {
                Ok(shown) => {
                    let answering = &self.answering;
                    self.is_answering.get_or_insert_with(|| Opened::count(answering));
                    self.context.status.set_state(DriverState::Connected);
                    let (reading, health) = asked.shown(now, shown);
                    if let Some(reading) = reading {
                        self.outbox.put(reading, health);
                    }
                }
                Err(error) => {
                    if error.is_of_line() {
                        return error;
                    }
                    asked.failed(matches!(error, BusError::Garbled { .. }));
                    tell(&self.context.status, &sensor, &error, &now);
                    if error.may_answer_late() {
                        match bus.settle(&self.way, self.rate).await {
                            Ok(0) => {}
                            Ok(late) => {
                                let reason =
                                    format!("{late} bytes came after its time: raise timeout_ms of its profile");
                                self.context.status.set_aside("late", sensor.as_str(), &reason, &now);
                            }
                            Err(error) => return error,
                        }
                    }
                }
            }
            if self.asked.iter().all(|asked| asked.has_failed) {
                self.is_silent(format!("no device on {} answers", self.way));
            }
        }
    }
}

fn tell(status: &DriverStatus, sensor: &SensorId, error: &BusError, now: &Stamp) {
    let kind = match error {
        BusError::Open { .. } | BusError::Io { .. } => "line",
        BusError::Silent { .. } => "silent",
        BusError::Exception { .. } => "exception",
        BusError::Garbled { .. } => "garbled",
    };
    status.set_aside(kind, sensor.as_str(), &error.to_string(), now);
}

/// A device and what is known of it.
struct Asked {
    device: Device,
    space: Presence,
    is_set_up: bool,
    has_failed: bool,
    backoff: Backoff,
    not_before: Instant,
    answered: Instant,
}

impl Asked {
    fn new(device: Device) -> Self {
        let poll = Duration::from_millis(device.map.poll_ms.into());
        let hold_s = if device.limits.is_some() {
            HOLD_DISTANCE_S
        } else {
            HOLD_STATE_S
        };
        let now = Instant::now();
        Self {
            space: Presence::new(device.sensor.clone(), hold_s, GAP_MIN.max(poll * 3)),
            device,
            is_set_up: false,
            has_failed: false,
            backoff: Backoff::new(LATE_MIN * 2, WAIT_MAX),
            not_before: now,
            answered: now,
        }
    }

    async fn ask(&mut self, bus: &mut Bus) -> Result<Shown, BusError> {
        let Device { map, address, .. } = self.device;
        let timeout = Duration::from_millis(map.timeout_ms.into());
        self.not_before = Instant::now() + Duration::from_millis(map.poll_ms.into());
        if !self.is_set_up {
            for setting in &map.setup {
                bus.write(address, *setting, timeout).await?;
            }
            self.is_set_up = true;
        }
        let mut read = Vec::new();
        for block in map.blocks() {
            read.push((block, bus.read(address, block, timeout).await?));
        }
        Ok(map.shown(&read))
    }

    /// It gave no answer, or something came that is none: that may have been another's, and once it is asked again soon.
    fn failed(&mut self, something_came: bool) {
        let is_again = std::mem::replace(&mut self.has_failed, true);
        // What it says to this question may come late.
        let mut wait = LATE_MIN;
        if is_again || !something_came {
            // It may have been without power.
            self.is_set_up = false;
            wait = wait.max(self.backoff.next_wait());
        }
        self.not_before = self.not_before.max(Instant::now() + wait);
        if self.answered.elapsed() >= SILENT {
            self.space.lost_sight();
        }
    }

    /// The line is gone, which is no fault of the device.
    fn cut_off(&mut self) {
        (self.is_set_up, self.has_failed) = (false, true);
        self.space.lost_sight();
    }

    /// The line is there again.
    fn ask_at_once(&mut self) {
        self.not_before = Instant::now();
        self.backoff.reset();
    }

    fn shown(&mut self, now: Stamp, shown: Shown) -> (Option<Reading>, Health) {
        self.has_failed = false;
        self.answered = Instant::now();
        self.backoff.reset();
        let distance_mm = shown.distance_mm.and_then(whole);
        let by_distance = |limits: DistanceLimits| limits.is_occupied(distance_mm?);
        let is_occupied = shown.occupied.or_else(|| self.device.limits.and_then(by_distance));
        let reading = if let Some(is_occupied) = is_occupied {
            self.space.shows(now, is_occupied)
        } else {
            self.space.shows_neither(now);
            None
        };
        let health = Health {
            distance_mm,
            temperature_c: shown.temperature_c,
            battery_v: shown.battery_v,
            ..Health::default()
        };
        (reading, health)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn whole(number: f64) -> Option<u32> {
    (0.0..=f64::from(u32::MAX))
        .contains(&number)
        .then_some(number.round() as u32)
}
