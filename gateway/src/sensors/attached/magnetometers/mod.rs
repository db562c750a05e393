//! Magnetometers on I2C buses of the box.
//!
//! A thread a bus measures ([`bus`]), because a bus that hangs holds whoever asks it; one task decides ([`space`]) and answers the
//! commands of a technician. What is known of each free field outlives a restart.

mod bus;
mod space;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking::{SensorId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use wired::Field;
use wired::adaptive::{RuleError, Rules, Sample, State};
use wired::magnetometer::Chip;

use self::bus::{Asked, Line, Sampled};
use self::space::Space;
use super::super::{Driver, DriverContext, DriverState};
use super::{Outbox, SILENT};
use crate::state;
use board::Board;

/// Time between two samples of a sensor; the rules are tuned for it.
pub const SAMPLE_EVERY: Duration = Duration::from_millis(200);
/// Samples between buses and task. Full: the bus waits.
const SAMPLES_MAX: usize = 64;
/// Samples kept for who records and is slow.
const RECORDED_MAX: usize = 256;
/// Commands that wait.
const REQUESTS_MAX: usize = 8;
/// Baselines are written down this often.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// A magnetometer and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The sensor.
    pub sensor: SensorId,
    /// What it is.
    pub chip: Chip,
    /// The device file of its bus.
    pub bus: PathBuf,
    /// Its address there.
    pub address: u8,
    /// How its field becomes a state.
    pub rules: Rules,
}

/// What a magnetometer shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// When it was measured last.
    pub at: Option<Timestamp>,
    /// What, nanotesla.
    pub field: Option<Field>,
    /// What it would be without a vehicle.
    pub baseline: Option<Field>,
    /// How far it is from that, nanotesla.
    pub distance_nt: Option<f64>,
    /// Further than this it may be a vehicle, nanotesla.
    pub enter_nt: f64,
    /// What is decided.
    pub state: State,
    /// Why it is not measured, or cannot decide.
    pub trouble: Option<String>,
}

/// Why there is no new baseline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CalibrateError(String);

struct Request {
    sensor: SensorId,
    answer: oneshot::Sender<Result<Field, CalibrateError>>,
}

/// The driver.
pub struct Magnetometers {
    board: Board,
    /// Real time between two samples.
    pace: Duration,
    spaces: Vec<Space>,
    memory: Arc<state::Board>,
    requests: mpsc::Receiver<Request>,
    seen: watch::Sender<BTreeMap<SensorId, Seen>>,
    samples: broadcast::Sender<(SensorId, Sample)>,
}

/// What others may ask of the driver.
#[derive(Debug, Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    seen: watch::Receiver<BTreeMap<SensorId, Seen>>,
    samples: broadcast::WeakSender<(SensorId, Sample)>,
}

impl Handle {
    /// What they show.
    pub fn seen(&self) -> BTreeMap<SensorId, Seen> {
        self.seen.borrow().clone()
    }

    /// Samples from now on, until the driver stops; none if it has.
    pub fn samples(&self) -> Option<broadcast::Receiver<(SensorId, Sample)>> {
        Some(self.samples.upgrade()?.subscribe())
    }

    /// Somebody says that no vehicle is at a sensor's space now.
    ///
    /// # Errors
    /// When its field is not quiet, or nothing is measured.
    pub async fn calibrate(&self, sensor: &SensorId) -> Result<Field, CalibrateError> {
        let (answer, answered) = oneshot::channel();
        let request = Request {
            sensor: sensor.clone(),
            answer,
        };
        let stopped = || CalibrateError("the daemon is stopping".to_owned());
        self.requests.send(request).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Magnetometers {
    /// A driver of these sensors, measuring each every `pace` of real time.
    ///
    /// # Errors
    /// When a rule makes no sense.
    pub fn new(
        board: Board,
        probes: Vec<Probe>,
        pace: Duration,
        memory: Arc<state::Board>,
    ) -> Result<(Self, Handle), RuleError> {
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let (samples, _) = broadcast::channel(RECORDED_MAX);
        let spaces: Result<Vec<Space>, RuleError> = probes.into_iter().map(Space::new).collect();
        let (seen, shown) = watch::channel(BTreeMap::new());
        let handle = Handle {
            requests: sender,
            seen: shown,
            samples: samples.downgrade(),
        };
        let driver = Self {
            board,
            pace,
            spaces: spaces?,
            memory,
            requests,
            seen,
            samples,
        };
        Ok((driver, handle))
    }

    /// The sensors of each bus, by their positions.
    fn lines(&self) -> BTreeMap<PathBuf, Vec<usize>> {
        let mut lines: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
        for (position, space) in self.spaces.iter().enumerate() {
            lines.entry(space.probe().bus.clone()).or_default().push(position);
        }
        lines
    }
}

impl Driver for Magnetometers {
    fn name(&self) -> &'static str {
        "magnetometers"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        let status = context.status.clone();
        let work = Outbox::beside(context.clone(), cancel.clone(), |outbox| {
            let task = Task {
                driver: *self,
                context,
                outbox,
                asked: BTreeMap::new(),
            };
            task.run(cancel)
        });
        async move {
            work.await;
            status.set_state(DriverState::Stopped);
        }
        .boxed()
    }
}

struct Task {
    driver: Magnetometers,
    context: DriverContext,
    outbox: Outbox,
    /// Since when each bus owes an answer, and whether that was told.
    asked: BTreeMap<PathBuf, (Asked, bool)>,
}

impl Task {
    async fn run(mut self, cancel: CancellationToken) {
        let now = (self.context.spans)();
        for space in &mut self.driver.spaces {
            space.recall(&self.driver.memory, now);
        }
        let (sender, mut sampled) = mpsc::channel(SAMPLES_MAX);
        for (bus, positions) in self.driver.lines() {
            let chips = positions.into_iter().map(|position| {
                let probe = self.driver.spaces[position].probe();
                (position, probe.chip, probe.address)
            });
            let line = Line::new(
                self.driver.board.clone(),
                bus.clone(),
                self.driver.pace,
                chips.collect(),
            );
            self.asked.insert(bus.clone(), (line.asked(), false));
            let (clock, sender) = (Arc::clone(&self.context.spans), sender.clone());
            let thread = std::thread::Builder::new().name("i2c".to_owned());
            if let Err(error) = thread.spawn(move || line.measure_for_ever(&*clock, &sender)) {
                let reason = format!("no thread for {}: {error}", bus.display());
                self.context.status.set_state(DriverState::Waiting { reason });
            }
        }
        drop(sender);
        let mut look = interval(Duration::from_secs(1));
        let mut keep = interval(KEEP_EVERY);
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(sampled) = sampled.recv() => self.sampled(sampled),
                Some(request) = self.driver.requests.recv() => self.calibrate(request),
                _ = look.tick() => self.look(),
                _ = keep.tick() => self.keep(),
            }
        }
        self.keep();
    }

    fn sampled(&mut self, sampled: Sampled) {
        let Sampled {
            position,
            now,
            measured,
        } = sampled;
        let space = &mut self.driver.spaces[position];
        let sensor = space.probe().sensor.clone();
        match measured {
            Ok(_) if !space.is_later(now) => {}
            Ok(field) => {
                let sample = Space::sample(now, field);
                // Nobody may be recording.
                self.driver.samples.send((sensor.clone(), sample)).ok();
                let said = space.step(now, sample);
                self.context.status.set_state(DriverState::Connected);
                if let Some((reading, health)) = said.reading {
                    self.outbox.put(reading, health);
                }
                if said.is_decided {
                    space.keep(&self.driver.memory);
                }
                if let Some((kind, reason)) = space.trouble() {
                    self.context.status.set_aside(kind, sensor.as_str(), &reason, &now);
                }
            }
            Err(reason) => {
                self.context.status.set_aside("bus", sensor.as_str(), &reason, &now);
                space.failed(reason.clone());
                if self.driver.spaces.iter().all(Space::has_failed) {
                    self.context.status.set_state(DriverState::Waiting { reason });
                }
            }
        }
    }

    fn calibrate(&mut self, request: Request) {
        let Request { sensor, answer } = request;
        let now = (self.context.spans)();
        let space = self
            .driver
            .spaces
            .iter_mut()
            .find(|space| space.probe().sensor == sensor);
        let calibrated = match space {
            None => Err(CalibrateError(format!("{sensor} is no magnetometer of this box"))),
            Some(space) => match space.calibrate(now) {
                Ok((baseline, said)) => {
                    tracing::info!(%sensor, "calibrated: somebody at the box says that no vehicle is there");
                    space.keep(&self.driver.memory);
                    if let Some((reading, health)) = said {
                        self.outbox.put(reading, health);
                    }
                    Ok(baseline)
                }
                Err(reason) => Err(CalibrateError(reason)),
            },
        };
        // Who asked may have gone.
        answer.send(calibrated).ok();
    }

    /// Tells of buses that hang, and shows what is seen.
    fn look(&mut self) {
        for (bus, (asked, is_told)) in &mut self.asked {
            let since = *asked.lock().unwrap_or_else(PoisonError::into_inner);
            if since.is_none_or(|since| since.elapsed() < SILENT) {
                *is_told = false;
                continue;
            }
            let reason = format!(
                "{} has not answered for {} s: it hangs; take supply and cable of its sensors off and on again",
                bus.display(),
                SILENT.as_secs()
            );
            let now = (self.context.spans)();
            for space in &mut self.driver.spaces {
                if space.probe().bus == *bus {
                    if !*is_told {
                        let sensor = space.probe().sensor.as_str();
                        self.context.status.set_aside("hangs", sensor, &reason, &now);
                    }
                    space.failed(reason.clone());
                }
            }
            *is_told = true;
            if self.driver.spaces.iter().all(Space::has_failed) {
                self.context.status.set_state(DriverState::Waiting { reason });
            }
        }
        let seen = self.driver.spaces.iter();
        let seen = seen.map(|space| (space.probe().sensor.clone(), space.seen()));
        self.driver.seen.send_replace(seen.collect());
    }

    fn keep(&self) {
        for space in &self.driver.spaces {
            space.keep(&self.driver.memory);
        }
    }
}
