//! QST QMC5883L, which is also sold as HMC5883L and is another chip.
//!
//! Source: QST, QMC5883L data sheet, rev. A. ±8 G, 3,000 counts a gauss, 200 measurements a second, the mean of 512 each. All
//! six bytes have to be read, or the chip keeps the old measurement.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use super::simulated::byte_of;
use super::{Fault, Magnetometer, little_endian};
use crate::Field;

const IDENTITY: (u8, u8) = (0x0d, 0xff);
const RESET: (u8, u8) = (0x0a, 0x80);
/// Set and reset period as recommended; ±8 G, 200 Hz, continuous.
const SETUP: [(u8, u8); 2] = [(0x0b, 0x01), (0x09, 0x1d)];
const STATUS: u8 = 0x06;
const MEASURED: u8 = 0x01;
const OVERFLOW: u8 = 0x02;
const DATA: u8 = 0x00;
const NT_PER_COUNT: f64 = 100_000.0 / 3_000.0;

pub(super) fn start<I: I2c, D: DelayNs>(chip: &mut Magnetometer<I, D>) -> Result<(), Fault<I::Error>> {
    chip.expect_identity(IDENTITY.0, IDENTITY.1)?;
    chip.write(RESET.0, RESET.1)?;
    chip.delay.delay_ms(5);
    for (register, value) in SETUP {
        chip.write(register, value)?;
    }
    // The first measurement.
    chip.delay.delay_ms(5);
    Ok(())
}

pub(super) fn measure<I: I2c, D: DelayNs>(chip: &mut Magnetometer<I, D>) -> Result<Field, Fault<I::Error>> {
    let status = chip.await_bit(STATUS, MEASURED | OVERFLOW)?;
    let bytes: [u8; 6] = chip.read(DATA)?;
    if status & OVERFLOW != 0 {
        return Err(Fault::Overflow { chip: chip.chip });
    }
    Ok(little_endian(bytes, NT_PER_COUNT))
}

/// A register of a chip that is played.
pub(super) fn register(register: u8, field: Field) -> u8 {
    match register {
        STATUS => MEASURED,
        register if register == IDENTITY.0 => IDENTITY.1,
        DATA..STATUS => byte_of(field, NT_PER_COUNT, register - DATA),
        _ => 0,
    }
}
