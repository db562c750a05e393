//! Chips that are played: they answer by their registers with whatever field they are given.
//!
//! For demonstrations and tests of what stands above a bus, on a machine that has none. They know no more of a chip than its
//! driver asks for.

use embedded_hal::i2c::Operation;

use super::{Chip, lis3mdl, mmc5603, qmc5883l};
use crate::Field;

/// A chip without a bus.
#[derive(Debug, Clone)]
pub struct SimulatedChip {
    chip: Chip,
    /// The register that is read next.
    pointer: u8,
    /// Which way an MMC5603's film was turned last.
    is_reversed: bool,
}

impl SimulatedChip {
    /// A chip that nobody has spoken to.
    pub fn new(chip: Chip) -> Self {
        Self {
            chip,
            pointer: 0,
            is_reversed: false,
        }
    }

    /// What it is.
    pub fn chip(&self) -> Chip {
        self.chip
    }

    /// Does what a master wants, in this field.
    pub fn transact(&mut self, field: Field, operations: &mut [Operation<'_>]) {
        for operation in operations {
            match operation {
                Operation::Write(bytes) => self.write(bytes),
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        *byte = self.read(field);
                        self.pointer = self.pointer.wrapping_add(1);
                    }
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some((pointer, values)) = bytes.split_first() else {
            return;
        };
        self.pointer = *pointer;
        for value in values {
            self.is_reversed = mmc5603::turn(self.pointer, *value).unwrap_or(self.is_reversed);
            self.pointer = self.pointer.wrapping_add(1);
        }
    }

    fn read(&self, field: Field) -> u8 {
        match self.chip {
            Chip::Mmc5603 => mmc5603::register(self.is_reversed, self.pointer, field),
            Chip::Lis3mdl => lis3mdl::register(self.pointer, field),
            Chip::Qmc5883l => qmc5883l::register(self.pointer, field),
        }
    }
}

/// Byte `index` of three axes of 16 bits, low byte first.
pub(super) fn byte_of(field: Field, nt_per_count: f64, index: u8) -> u8 {
    let counts = [field.x, field.y, field.z].map(|axis| counts(axis, nt_per_count).to_le_bytes());
    counts.as_flattened().get(usize::from(index)).copied().unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of 16 bits")]
fn counts(nt: f64, nt_per_count: f64) -> i16 {
    (nt / nt_per_count)
        .round()
        .clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use embedded_hal::i2c::{ErrorType, I2c};
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use proptest::prelude::*;

    use super::super::Magnetometer;
    use super::*;

    struct Bus(SimulatedChip, Field);

    impl ErrorType for Bus {
        type Error = Infallible;
    }

    impl I2c for Bus {
        fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), Infallible> {
            let Self(chip, field) = self;
            chip.transact(*field, operations);
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn what_a_driver_measures_is_the_field_that_its_chip_was_given(
            x in -200_000.0..200_000.0, y in -200_000.0..200_000.0, z in -200_000.0..200_000.0,
        ) {
            for chip in Chip::ALL {
                let field = Field::new(x, y, z);
                let bus = Bus(SimulatedChip::new(chip), field);
                let mut magnetometer = Magnetometer::new(chip, chip.addresses()[0], bus, NoopDelay);
                magnetometer.start().unwrap();
                // Half a count on each axis, of the coarsest chip.
                prop_assert!(magnetometer.measure().unwrap().distance(field) < 30.0, "{chip}");
            }
        }
    }
}
