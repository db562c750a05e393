//! Ultrasonic sensors on serial lines of the box, one on each line.
//!
//! A distance becomes a state by the site's limits, and counts when it has held for [`HOLD_S`]: somebody who walks by is no
//! vehicle. A line that is pulled out, or a sensor that is silent, sees nothing or tells a distance between the limits, says
//! nothing more. A line that comes back is read again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use parking::{Reading, SensorId, Stamp};
use serial2_tokio::SerialPort;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use wired::ultrasonic::{Echo, Frames, Model, TRIGGER};

use super::super::backoff::Backoff;
use super::super::codecs::Health;
use super::super::{DistanceLimits, Driver, DriverContext, DriverState};
use super::{Opened, Outbox, Presence, SILENT, WAIT_MAX, WAIT_MIN};

/// Both models speak at this rate.
const BAUD: u32 = 9_600;
/// A distance has to mean the same for so long, seconds.
const HOLD_S: f64 = 3.0;
/// An echo that is missing for so long leaves open what was there meanwhile; a shorter pause does not.
const ECHO_GAP: Duration = Duration::from_secs(1);

/// A sensor and its line.
#[derive(Debug, Clone)]
pub struct Line {
    /// The sensor.
    pub sensor: SensorId,
    /// What it is.
    pub model: Model,
    /// Its device file.
    pub path: PathBuf,
    /// What a distance means.
    pub limits: DistanceLimits,
}

/// The driver.
#[derive(Debug)]
pub struct Serial {
    lines: Vec<Line>,
}

impl Serial {
    /// A driver of these lines.
    pub fn new(lines: Vec<Line>) -> Self {
        Self { lines }
    }
}

impl Driver for Serial {
    fn name(&self) -> &'static str {
        "serial"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        async move {
            let open = Arc::new(AtomicUsize::new(0));
            let lines = self.lines.into_iter().map(|line| {
                let task = Task {
                    line,
                    context: context.clone(),
                    open: Arc::clone(&open),
                };
                task.run_until(cancel.clone())
            });
            join_all(lines).await;
            context.status.set_state(DriverState::Stopped);
        }
        .boxed()
    }
}

/// One line.
struct Task {
    line: Line,
    context: DriverContext,
    /// Lines of the driver that are understood.
    open: Arc<AtomicUsize>,
}

/// Why a line is not read any more.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error(
        "cannot open {path}: {source}; is the sensor's line in the configuration, and may the gateway's user open it (group dialout)?"
    )]
    Open { path: String, source: std::io::Error },
    #[error("{path} fails: {source}; is it plugged in?")]
    Io { path: String, source: std::io::Error },
    #[error("{path}: no byte for {} s; look at the sensor's supply and at its cable", SILENT.as_secs())]
    Silent { path: String },
    #[error("{path}: bytes, but no frame for {} s ({strays} stray bytes); is it this sensor, in its serial mode?", SILENT.as_secs())]
    Strange { path: String, strays: u64 },
}

impl Task {
    async fn run_until(self, cancel: CancellationToken) {
        Outbox::beside(self.context.clone(), cancel.clone(), |outbox| async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.read_for_ever(outbox) => {}
            }
        })
        .await;
    }

    async fn read_for_ever(&self, outbox: Outbox) {
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        loop {
            let mut meter = Meter::new(self.line.clone());
            let error = self.read(&outbox, &mut meter, &mut backoff).await;
            let now = (self.context.clock)();
            let reason = error.to_string();
            self.context
                .status
                .set_aside("line", self.line.sensor.as_str(), &reason, &now);
            if self.open.load(Ordering::Relaxed) == 0 {
                self.context.status.set_state(DriverState::Waiting { reason });
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Reads until the line fails.
    async fn read(&self, outbox: &Outbox, meter: &mut Meter, backoff: &mut Backoff) -> LineError {
        let path = self.line.path.display().to_string();
        let port = match SerialPort::open(&self.line.path, BAUD) {
            Ok(port) => port,
            Err(source) => return LineError::Open { path, source },
        };
        let mut open = None;
        let mut trigger = interval(Duration::from_millis(self.line.model.pace_ms().into()));
        let (mut last, mut understood) = (Instant::now(), Instant::now());
        let mut bytes = [0; 256];
        loop {
            if understood.elapsed() >= SILENT && last.elapsed() < SILENT {
                let strays = meter.frames.counts().strays;
                return LineError::Strange { path, strays };
            }
            let frames = meter.frames.counts().frames;
            let read = timeout(SILENT, port.read(&mut bytes));
            let count = tokio::select! {
                read = read => match read {
                    Ok(Ok(0)) => return LineError::Io { path, source: std::io::ErrorKind::UnexpectedEof.into() },
                    Ok(Ok(count)) => count,
                    Ok(Err(source)) => return LineError::Io { path, source },
                    Err(_) => return LineError::Silent { path },
                },
                _ = trigger.tick(), if self.line.model.is_triggered() => {
                    if let Err(source) = port.write_all(&[TRIGGER]).await {
                        return LineError::Io { path, source };
                    }
                    if last.elapsed() >= SILENT {
                        return LineError::Silent { path };
                    }
                    continue;
                }
            };
            last = Instant::now();
            let now = (self.context.clock)();
            for byte in bytes.iter().take(count) {
                if let Some(reading) = meter.push(now, *byte) {
                    outbox.put(reading, Health::default());
                }
            }
            for (kind, reason) in meter.trouble() {
                self.context
                    .status
                    .set_aside(kind, self.line.sensor.as_str(), &reason, &now);
            }
            if meter.frames.counts().frames > frames {
                understood = Instant::now();
                open.get_or_insert_with(|| Opened::count(&self.open));
                backoff.reset();
                self.context.status.set_state(DriverState::Connected);
            }
        }
    }
}

/// Bytes in, readings out: no line and no clock.
struct Meter {
    line: Line,
    frames: Frames,
    presence: Presence,
    /// Wrong sums that were told.
    told_sums: u64,
    is_too_near: bool,
    /// Whether that was told.
    told_near: bool,
}

impl Meter {
    fn new(line: Line) -> Self {
        Self {
            presence: Presence::new(line.sensor.clone(), HOLD_S, ECHO_GAP),
            line,
            frames: Frames::default(),
            told_sums: 0,
            is_too_near: false,
            told_near: false,
        }
    }

    fn push(&mut self, now: Stamp, byte: u8) -> Option<Reading> {
        let distance_mm = match self.line.model.echo(self.frames.push(byte)?) {
            Echo::At(distance_mm) => distance_mm,
            Echo::None => return None,
            Echo::TooNear => {
                self.is_too_near = true;
                return None;
            }
        };
        (self.is_too_near, self.told_near) = (false, false);
        if let Some(is_occupied) = self.line.limits.is_occupied(distance_mm.into()) {
            return self.presence.shows(now, is_occupied);
        }
        self.presence.shows_neither(now);
        None
    }

    /// What is wrong and was not told yet.
    fn trouble(&mut self) -> Vec<(&'static str, String)> {
        let mut trouble = Vec::new();
        let sums = self.frames.counts().wrong_sums;
        if sums > self.told_sums {
            let wrong = sums - self.told_sums;
            trouble.push((
                "checksum",
                format!("{wrong} frames with a wrong sum: a loose or long cable?"),
            ));
            self.told_sums = sums;
        }
        if self.is_too_near && !std::mem::replace(&mut self.told_near, true) {
            let (near, _) = self.line.model.range_mm();
            trouble.push((
                "too_near",
                format!("something is nearer than {near} mm: mud or a nest on its face?"),
            ));
        }
        trouble
    }
}

#[cfg(test)]
mod tests;
