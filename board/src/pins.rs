//! Pins that are read or set.
//!
//! Inputs are pulled up: contacts are to ground, so that a cut wire reads as an open contact.

use std::fmt;
use std::path::Path;

use embedded_hal::digital::{Error, ErrorKind, ErrorType, InputPin, OutputPin, PinState};
use gpiocdev::Request;
use gpiocdev::line::{Bias, Value};
use rppal::gpio::{Gpio, Level};

use super::Board;
use super::simulated::{SimulatedInput, SimulatedOutput};

/// Whose lines the kernel shows them to be.
const CONSUMER: &str = "parking gateway";

/// A pin that is read.
#[derive(Debug)]
pub enum Input {
    /// By rppal.
    RaspberryPi(rppal::gpio::InputPin),
    /// By the kernel's character device.
    Linux(gpiocdev_embedded_hal::InputPin),
    /// A file.
    Simulated(SimulatedInput),
}

/// A pin that is set.
#[derive(Debug)]
pub enum Output {
    /// By rppal.
    RaspberryPi(rppal::gpio::OutputPin),
    /// By the kernel's character device.
    Linux(gpiocdev_embedded_hal::OutputPin),
    /// A file.
    Simulated(SimulatedOutput),
}

/// A pin cannot be had, read or set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PinFault(String);

impl PinFault {
    pub(super) fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Board {
    /// Takes a line of a chip of pins to read it. On a Raspberry Pi the line is the pin's BCM number, whatever the chip.
    ///
    /// # Errors
    /// When there is no such line, somebody else has it, or it may not be used.
    pub fn input(&self, chip: &Path, line: u32) -> Result<Input, PinFault> {
        match self {
            Self::Simulated(folder) => Ok(Input::Simulated(SimulatedInput::new(folder, line))),
            Self::RaspberryPi => Ok(Input::RaspberryPi(pin(line)?.into_input_pullup())),
            Self::Linux => {
                let request = Request::builder()
                    .on_chip(chip)
                    .with_consumer(CONSUMER)
                    .with_line(line)
                    .as_input()
                    .with_bias(Bias::PullUp)
                    .request()
                    .map_err(PinFault::new)?;
                let pin = gpiocdev_embedded_hal::InputPin::try_from(request);
                pin.map(Input::Linux).map_err(PinFault::new)
            }
        }
    }

    /// Takes a line to set it. It is low at first.
    ///
    /// # Errors
    /// As [`Self::input`].
    pub fn output(&self, chip: &Path, line: u32) -> Result<Output, PinFault> {
        match self {
            Self::Simulated(folder) => Ok(Output::Simulated(SimulatedOutput::new(folder, line)?)),
            Self::RaspberryPi => Ok(Output::RaspberryPi(pin(line)?.into_output_low())),
            Self::Linux => {
                let request = Request::builder()
                    .on_chip(chip)
                    .with_consumer(CONSUMER)
                    .with_line(line)
                    .as_output(Value::Inactive)
                    .request()
                    .map_err(PinFault::new)?;
                let pin = gpiocdev_embedded_hal::OutputPin::try_from(request);
                pin.map(Output::Linux).map_err(PinFault::new)
            }
        }
    }
}

fn pin(line: u32) -> Result<rppal::gpio::Pin, PinFault> {
    let number = u8::try_from(line).map_err(|_| PinFault::new(format!("there is no pin {line}")))?;
    let gpio = Gpio::new().map_err(PinFault::new)?;
    gpio.get(number).map_err(PinFault::new)
}

impl Error for PinFault {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Input {
    type Error = PinFault;
}

impl InputPin for Input {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        match self {
            Self::RaspberryPi(pin) => Ok(pin.read() == Level::High),
            Self::Linux(pin) => pin.is_high().map_err(PinFault::new),
            Self::Simulated(pin) => pin.is_high(),
        }
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        self.is_high().map(|is_high| !is_high)
    }
}

impl ErrorType for Output {
    type Error = PinFault;
}

impl OutputPin for Output {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.set_state(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.set_state(PinState::High)
    }

    fn set_state(&mut self, state: PinState) -> Result<(), Self::Error> {
        match self {
            Self::RaspberryPi(pin) => {
                pin.write((state == PinState::High).into());
                Ok(())
            }
            Self::Linux(pin) => pin.set_state(state).map_err(PinFault::new),
            Self::Simulated(pin) => pin.set(state),
        }
    }
}
