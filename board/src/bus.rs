//! I2C buses.

use std::fmt;
use std::path::Path;

use embedded_hal::i2c::{Error, ErrorKind, ErrorType, I2c, Operation, SevenBitAddress};
use linux_embedded_hal::I2cdev;

use super::Board;
use super::simulated::SimulatedBus;

/// A transfer that takes longer than this has failed, milliseconds; the kernel's own limit is a second.
const TIMEOUT_MS: u32 = 100;

/// An open I2C bus.
pub enum Bus {
    /// By rppal.
    RaspberryPi(rppal::i2c::I2c),
    /// By the kernel's device file.
    Linux(I2cdev),
    /// Files.
    Simulated(SimulatedBus),
}

/// A bus does not open, or a transfer failed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BusFault(String);

/// Shown as words: it stands inside other messages.
impl fmt::Debug for BusFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BusFault {
    pub(super) fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Board {
    /// Opens the bus of a device file.
    ///
    /// # Errors
    /// When there is none, or it may not be used.
    pub fn bus(&self, path: &Path) -> Result<Bus, BusFault> {
        match self {
            Self::Simulated(folder) => Ok(Bus::Simulated(SimulatedBus::open(folder, path)?)),
            Self::RaspberryPi if let Some(number) = number(path) => {
                let bus = rppal::i2c::I2c::with_bus(number).map_err(BusFault::new)?;
                bus.set_timeout(TIMEOUT_MS).map_err(BusFault::new)?;
                Ok(Bus::RaspberryPi(bus))
            }
            Self::RaspberryPi | Self::Linux => I2cdev::new(path).map(Bus::Linux).map_err(BusFault::new),
        }
    }
}

/// The number of a bus by the kernel's name of it.
fn number(path: &Path) -> Option<u8> {
    path.to_str()?.strip_prefix("/dev/i2c-")?.parse().ok()
}

impl Error for BusFault {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Bus {
    type Error = BusFault;
}

impl I2c for Bus {
    fn transaction(&mut self, address: SevenBitAddress, operations: &mut [Operation<'_>]) -> Result<(), Self::Error> {
        match self {
            Self::RaspberryPi(bus) => I2c::transaction(bus, address, operations).map_err(BusFault::new),
            Self::Linux(bus) => I2c::transaction(bus, address, operations).map_err(BusFault::new),
            Self::Simulated(bus) => bus.transaction(address, operations),
        }
    }
}
