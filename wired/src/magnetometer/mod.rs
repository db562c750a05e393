//! Magnetometers on I2C, by their registers.
//!
//! Each measurement takes at most a quarter of a second and leaves the chip ready for the next. A chip that is not the one that is
//! configured, does not become ready, or is beyond its range is told apart from a bus that fails: the first is a wrong
//! configuration, the second a broken chip, the third a magnet, the last a cable.

mod lis3mdl;
mod mmc5603;
mod qmc5883l;
mod simulated;

use std::fmt;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use serde::{Deserialize, Serialize};

pub use self::simulated::SimulatedChip;
use crate::Field;

/// How often a chip is asked whether it has measured, and for how long, milliseconds.
const ASK_EVERY_MS: u32 = 2;
const READY_MS_MAX: u32 = 120;

/// Chips with a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chip {
    /// MEMSIC MMC5603NJ. Takes its own offset away in each measurement, and with it most of what heat does.
    Mmc5603,
    /// STMicroelectronics LIS3MDL.
    Lis3mdl,
    /// QST QMC5883L.
    Qmc5883l,
}

impl Chip {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mmc5603, Self::Lis3mdl, Self::Qmc5883l];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mmc5603 => "MMC5603",
            Self::Lis3mdl => "LIS3MDL",
            Self::Qmc5883l => "QMC5883L",
        }
    }

    /// The chip with this name, in lower case.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|chip| chip.name().to_ascii_lowercase() == name)
    }

    /// Addresses that it can have on the bus; the first is the usual one.
    pub fn addresses(self) -> &'static [u8] {
        match self {
            Self::Mmc5603 => &[0x30],
            Self::Lis3mdl => &[0x1c, 0x1e],
            Self::Qmc5883l => &[0x0d],
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why there is no measurement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault<E: fmt::Debug> {
    /// The bus failed.
    #[error("the I2C bus fails ({0:?}): look at cable, supply and pull-ups")]
    Bus(E),
    /// Another chip answers.
    #[error(
        "what answers is no {chip}: its identity is {found:#04x}, not {expected:#04x}; correct the chip or its address in the configuration"
    )]
    Stranger {
        /// The chip that should be there.
        chip: Chip,
        /// Its identity.
        expected: u8,
        /// What was read.
        found: u8,
    },
    /// It never says that it has measured.
    #[error("the {chip} has not measured after {READY_MS_MAX} ms; start it again, and exchange it if this goes on")]
    NotReady {
        /// The chip.
        chip: Chip,
    },
    /// The field is beyond what it can measure.
    #[error("the field is beyond the range of the {chip}: is there a magnet or a cable with a strong current?")]
    Overflow {
        /// The chip.
        chip: Chip,
    },
}

/// A magnetometer on a bus.
#[derive(Debug)]
pub struct Magnetometer<I, D> {
    chip: Chip,
    address: u8,
    bus: I,
    delay: D,
}

impl<I: I2c, D: DelayNs> Magnetometer<I, D> {
    /// A chip at an address of a bus. Nothing is sent yet.
    pub fn new(chip: Chip, address: u8, bus: I, delay: D) -> Self {
        Self {
            chip,
            address,
            bus,
            delay,
        }
    }

    /// Resets the chip and sets it up; again after any fault.
    pub fn start(&mut self) -> Result<(), Fault<I::Error>> {
        match self.chip {
            Chip::Mmc5603 => mmc5603::start(self),
            Chip::Lis3mdl => lis3mdl::start(self),
            Chip::Qmc5883l => qmc5883l::start(self),
        }
    }

    /// Measures once.
    pub fn measure(&mut self) -> Result<Field, Fault<I::Error>> {
        match self.chip {
            Chip::Mmc5603 => mmc5603::measure(self),
            Chip::Lis3mdl => lis3mdl::measure(self),
            Chip::Qmc5883l => qmc5883l::measure(self),
        }
    }

    /// Gives the bus back.
    pub fn into_bus(self) -> I {
        self.bus
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), Fault<I::Error>> {
        self.bus.write(self.address, &[register, value]).map_err(Fault::Bus)
    }

    fn read<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Fault<I::Error>> {
        let mut bytes = [0; N];
        let read = self.bus.write_read(self.address, &[register], &mut bytes);
        read.map(|()| bytes).map_err(Fault::Bus)
    }

    fn expect_identity(&mut self, register: u8, expected: u8) -> Result<(), Fault<I::Error>> {
        let [found] = self.read(register)?;
        let chip = self.chip;
        if found == expected {
            Ok(())
        } else {
            Err(Fault::Stranger { chip, expected, found })
        }
    }

    /// Reads a status register until one of its bits is set.
    fn await_bit(&mut self, register: u8, bit: u8) -> Result<u8, Fault<I::Error>> {
        for _ in 0..=READY_MS_MAX / ASK_EVERY_MS {
            let [status] = self.read(register)?;
            if status & bit != 0 {
                return Ok(status);
            }
            self.delay.delay_ms(ASK_EVERY_MS);
        }
        Err(Fault::NotReady { chip: self.chip })
    }
}

/// Three axes of 16 bits, low byte first.
fn little_endian(bytes: [u8; 6], nt_per_count: f64) -> Field {
    let [xl, xh, yl, yh, zl, zh] = bytes;
    let axis = |low, high| f64::from(i16::from_le_bytes([low, high])) * nt_per_count;
    Field::new(axis(xl, xh), axis(yl, yh), axis(zl, zh))
}

#[cfg(test)]
mod tests;
