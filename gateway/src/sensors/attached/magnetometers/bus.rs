//! The thread of a bus: measures what hangs on it, in turn.
//!
//! A chip that fails is started again, ever more rarely; when none of a bus answers, the bus is opened anew, as an adapter that was
//! unplugged needs it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use embedded_hal::delay::DelayNs;
use parking::Stamp;
use tokio::sync::mpsc;
use wired::Field;
use wired::magnetometer::{Chip, Fault, Magnetometer};

use super::super::super::backoff::Backoff;
use super::super::{WAIT_MAX, WAIT_MIN};
use board::{Board, Bus, BusFault};

/// A measurement, or why there is none.
pub(super) struct Sampled {
    /// Which sensor.
    pub position: usize,
    /// When.
    pub now: Stamp,
    /// What.
    pub measured: Result<Field, String>,
}

/// A bus and what hangs on it.
pub(super) struct Line {
    board: Board,
    path: PathBuf,
    pace: Duration,
    sensors: Vec<OnBus>,
    asked: Asked,
}

/// Since when the bus owes an answer, if it does. Shared by the thread, which may hang, and who looks whether it does.
pub(super) type Asked = Arc<Mutex<Option<Instant>>>;

struct OnBus {
    position: usize,
    chip: Chip,
    address: u8,
    is_started: bool,
    /// The bus did not carry its last answer.
    is_cut_off: bool,
    backoff: Backoff,
    not_before: Instant,
}

/// Waits of the chips; a played one needs none.
struct Delay(bool);

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        if self.0 {
            sleep(Duration::from_nanos(ns.into()));
        }
    }
}

impl Line {
    /// Chips with their positions and addresses.
    pub fn new(board: Board, path: PathBuf, pace: Duration, chips: Vec<(usize, Chip, u8)>) -> Self {
        let sensors = chips.into_iter().map(|(position, chip, address)| OnBus {
            position,
            chip,
            address,
            is_started: false,
            is_cut_off: false,
            backoff: Backoff::new(WAIT_MIN, WAIT_MAX),
            not_before: Instant::now(),
        });
        Self {
            board,
            path,
            pace,
            sensors: sensors.collect(),
            asked: Asked::default(),
        }
    }

    /// Where to look whether the bus hangs.
    pub fn asked(&self) -> Asked {
        Arc::clone(&self.asked)
    }

    /// Until nobody takes measurements any more.
    pub fn measure_for_ever(mut self, clock: &dyn Fn() -> Stamp, out: &mpsc::Sender<Sampled>) {
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        while !out.is_closed() {
            match self.board.bus(&self.path) {
                Ok(mut bus) => {
                    if self.measure(&mut bus, clock, out) {
                        backoff.reset();
                    }
                }
                Err(error) => {
                    let reason = format!(
                        "cannot open {}: {error}; is I2C switched on, and may the gateway's user open it (group i2c)?",
                        self.path.display()
                    );
                    let now = clock();
                    for sensor in &self.sensors {
                        let (position, measured) = (sensor.position, Err(reason.clone()));
                        if out
                            .blocking_send(Sampled {
                                position,
                                now,
                                measured,
                            })
                            .is_err()
                        {
                            return;
                        }
                    }
                }
            }
            sleep(backoff.next_wait());
        }
    }

    /// Until no chip answers, or nobody listens. Tells whether one did.
    fn measure(&mut self, bus: &mut Bus, clock: &dyn Fn() -> Stamp, out: &mpsc::Sender<Sampled>) -> bool {
        let (mut next, mut has_answered) = (Instant::now(), false);
        for sensor in &mut self.sensors {
            (sensor.is_started, sensor.not_before) = (false, next);
        }
        loop {
            let mut is_dead = true;
            for sensor in &mut self.sensors {
                if !sensor.is_started && sensor.not_before > next {
                    is_dead &= sensor.is_cut_off;
                    continue;
                }
                set(&self.asked, Some(Instant::now()));
                let measured = sensor.measure(bus, self.board.is_real());
                set(&self.asked, None);
                sensor.is_cut_off = matches!(measured, Err(Fault::Bus(_)));
                is_dead &= sensor.is_cut_off;
                has_answered |= measured.is_ok();
                let sampled = Sampled {
                    position: sensor.position,
                    now: clock(),
                    measured: measured.map_err(|fault| fault.to_string()),
                };
                if out.blocking_send(sampled).is_err() {
                    return has_answered;
                }
            }
            if is_dead {
                return has_answered;
            }
            next = (next + self.pace).max(Instant::now());
            sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

fn set(asked: &Asked, since: Option<Instant>) {
    *asked.lock().unwrap_or_else(PoisonError::into_inner) = since;
}

impl OnBus {
    fn measure(&mut self, bus: &mut Bus, is_real: bool) -> Result<Field, Fault<BusFault>> {
        let mut chip = Magnetometer::new(self.chip, self.address, bus, Delay(is_real));
        let started = if self.is_started { Ok(()) } else { chip.start() };
        let measured = started.and_then(|()| chip.measure());
        self.is_started = measured.is_ok();
        if self.is_started {
            self.backoff.reset();
        } else {
            self.not_before = Instant::now() + self.backoff.next_wait();
        }
        measured
    }
}
