//! STMicroelectronics LIS3MDL.
//!
//! Source: ST, LIS3MDL data sheet, document 024204, rev. 6. ±4 G, 6,842 counts a gauss, ultra-high performance on all axes, 10
//! measurements a second; a measurement stands until the next has been read whole (block data update).

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use super::simulated::byte_of;
use super::{Fault, Magnetometer, little_endian};
use crate::Field;

const IDENTITY: (u8, u8) = (0x0f, 0x3d);
/// Control registers 1 to 5: ultra-high performance at 10 Hz for x and y; ±4 G; continuous; the same for z; block data
/// update. The range is set by a reset of its own before.
const SETUP: [(u8, u8); 5] = [(0x20, 0x70), (0x21, 0x00), (0x22, 0x00), (0x23, 0x0c), (0x24, 0x40)];
const RESET: (u8, u8) = (0x21, 0x04);
const STATUS: u8 = 0x27;
/// A new measurement of all axes.
const MEASURED: u8 = 0x08;
/// The first byte of the data, and that more follow.
const DATA: u8 = 0x28 | 0x80;
const NT_PER_COUNT: f64 = 100_000.0 / 6_842.0;
/// Counts go on to 4.8 G, and mean nothing there.
const RANGE_NT: f64 = 400_000.0;

pub(super) fn start<I: I2c, D: DelayNs>(chip: &mut Magnetometer<I, D>) -> Result<(), Fault<I::Error>> {
    chip.expect_identity(IDENTITY.0, IDENTITY.1)?;
    chip.write(RESET.0, RESET.1)?;
    chip.delay.delay_ms(10);
    for (register, value) in SETUP {
        chip.write(register, value)?;
    }
    // The first measurement.
    chip.delay.delay_ms(100);
    Ok(())
}

pub(super) fn measure<I: I2c, D: DelayNs>(chip: &mut Magnetometer<I, D>) -> Result<Field, Fault<I::Error>> {
    chip.await_bit(STATUS, MEASURED)?;
    let bytes: [u8; 6] = chip.read(DATA)?;
    let field = little_endian(bytes, NT_PER_COUNT);
    if [field.x, field.y, field.z].iter().any(|axis| axis.abs() > RANGE_NT) {
        return Err(Fault::Overflow { chip: chip.chip });
    }
    Ok(field)
}

/// A register of a chip that is played.
pub(super) fn register(register: u8, field: Field) -> u8 {
    match register {
        STATUS => MEASURED,
        register if register == IDENTITY.0 => IDENTITY.1,
        register if register >= DATA => byte_of(field, NT_PER_COUNT, register - DATA),
        _ => 0,
    }
}
