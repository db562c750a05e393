//! Buses and pins of the board: by rppal on a Raspberry Pi, by the kernel's character devices on any other.
//!
//! What stands above them knows the traits of [`embedded_hal`] only. A simulated board is a folder of files, for a machine that
//! has no pins; `gateway run` takes one only together with a simulated clock, so that no city counts what it shows.

mod bus;
mod pins;
mod simulated;

use std::fmt;
use std::path::PathBuf;

pub use bus::{Bus, BusFault};
pub use pins::{Input, Output, PinFault};

/// A board, and how its buses and pins are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Board {
    /// A Raspberry Pi.
    RaspberryPi,
    /// Any other board with Linux.
    Linux,
    /// Files in a folder; see the module `simulated`.
    Simulated(PathBuf),
}

impl Board {
    /// The board that this program runs on.
    pub fn detect() -> Self {
        match rppal::system::DeviceInfo::new() {
            Ok(_) => Self::RaspberryPi,
            Err(_) => Self::Linux,
        }
    }

    /// Whether there is anything to wait for.
    pub fn is_real(&self) -> bool {
        !matches!(self, Self::Simulated(_))
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RaspberryPi => f.write_str("Raspberry Pi"),
            Self::Linux => f.write_str("board with Linux"),
            Self::Simulated(folder) => write!(f, "simulated board in {}", folder.display()),
        }
    }
}
