//! Lights of the box: one for its link to the city, one for its sensors.
//!
//! A light is steady when all is well, blinks when something is not, and is dark when the daemon does not run.

use std::path::PathBuf;
use std::time::Duration;

use embedded_hal::digital::{OutputPin, PinState};
use tokio::sync::watch;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::super::{DriverState, DriverStatus};
use super::WAIT_MAX;
use crate::uplink::link::LinkStatus;
use board::{Board, Output, PinFault};

/// Half a period of blinking.
const BLINK: Duration = Duration::from_millis(500);

/// Where the lights are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Device file of the chip of pins.
    pub chip: PathBuf,
    /// The pin of the link's light.
    pub link: Option<u32>,
    /// The pin of the sensors' light.
    pub sensors: Option<u32>,
}

/// What the lights show.
pub struct Lights {
    /// The board.
    pub board: Board,
    /// Where they are.
    pub places: Places,
    /// How the link is.
    pub link: watch::Receiver<LinkStatus>,
    /// How the drivers are.
    pub drivers: Vec<DriverStatus>,
}

impl Lights {
    /// Shows it until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        let Self {
            board,
            places,
            link,
            drivers,
        } = self;
        let mut link_light = places.link.map(|line| Light::new(&board, &places, line));
        let mut sensors_light = places.sensors.map(|line| Light::new(&board, &places, line));
        let mut tick = interval(BLINK);
        let mut is_bright = false;
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = tick.tick() => is_bright = !is_bright,
            }
            if let Some(light) = &mut link_light {
                light.show(link.borrow().online || is_bright);
            }
            if let Some(light) = &mut sensors_light {
                let are_well = drivers.iter().all(|driver| driver.state() == DriverState::Connected);
                light.show(are_well || is_bright);
            }
        }
        for light in [link_light, sensors_light].iter_mut().flatten() {
            light.show(false);
        }
    }
}

struct Light<'a> {
    board: &'a Board,
    places: &'a Places,
    line: u32,
    output: Option<Output>,
    not_before: Instant,
    is_told: bool,
}

impl<'a> Light<'a> {
    fn new(board: &'a Board, places: &'a Places, line: u32) -> Self {
        Self {
            board,
            places,
            line,
            output: None,
            not_before: Instant::now(),
            is_told: false,
        }
    }

    /// A light that cannot be had is told once, and tried again.
    fn show(&mut self, is_bright: bool) {
        if Instant::now() < self.not_before {
            return;
        }
        let set = self.set(PinState::from(is_bright));
        let Err(error) = set else { return };
        self.output = None;
        self.not_before = Instant::now() + WAIT_MAX;
        if !std::mem::replace(&mut self.is_told, true) {
            let chip = self.places.chip.display();
            tracing::warn!(line = self.line, %chip, %error, "a light cannot be set; is its pin free, and may the gateway's user set it (group gpio)?");
        }
    }

    fn set(&mut self, state: PinState) -> Result<(), PinFault> {
        let output = match &mut self.output {
            Some(output) => output,
            closed => closed.insert(self.board.output(&self.places.chip, self.line)?),
        };
        output.set_state(state)
    }
}
