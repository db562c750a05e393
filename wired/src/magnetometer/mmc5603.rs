//! MEMSIC MMC5603NJ.
//!
//! Source: MEMSIC, MMC5603NJ data sheet, rev. B. 20 bits, 0.0625 mG a count (the same
//! document also gives 16,384 counts a gauss, which is 2.3 % less), ±30 G. SET and RESET turn the sensing film
//! over: what is measured after one is the field plus the chip's offset, after the other the offset minus the field. Half of
//! the difference is the field alone.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use super::{Fault, Magnetometer};
use crate::Field;

const DATA: u8 = 0x00;
const STATUS: u8 = 0x18;
const MEASURED: u8 = 0x40;
const CONTROL_0: u8 = 0x1b;
const TAKE: u8 = 0x01;
const SET: u8 = 0x08;
const RESET: u8 = 0x10;
const CONTROL_1: u8 = 0x1c;
const SOFTWARE_RESET: u8 = 0x80;
const IDENTITY: (u8, u8) = (0x39, 0x10);
const NT_PER_COUNT: f64 = 6.25;
/// What stands for no field.
const MIDDLE: u32 = 1 << 19;

pub(super) fn start<I: I2c, D: DelayNs>(chip: &mut Magnetometer<I, D>) -> Result<(), Fault<I::Error>> {
    chip.expect_identity(IDENTITY.0, IDENTITY.1)?;
    chip.write(CONTROL_1, SOFTWARE_RESET)?;
    chip.delay.delay_ms(20);
    Ok(())
}

pub(super) fn measure<I: I2c, D: DelayNs>(chip: &mut Magnetometer<I, D>) -> Result<Field, Fault<I::Error>> {
    let upright = once(chip, SET)?;
    let reversed = once(chip, RESET)?;
    Ok((upright - reversed) * 0.5)
}

fn once<I: I2c, D: DelayNs>(chip: &mut Magnetometer<I, D>, turn: u8) -> Result<Field, Fault<I::Error>> {
    chip.write(CONTROL_0, turn)?;
    chip.delay.delay_ms(1);
    chip.write(CONTROL_0, TAKE)?;
    chip.await_bit(STATUS, MEASURED)?;
    let [x0, x1, y0, y1, z0, z1, x2, y2, z2] = chip.read(DATA)?;
    let axes = [[x0, x1, x2], [y0, y1, y2], [z0, z1, z2]];
    let counts = axes.map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]) >> 4);
    if counts.iter().any(|count| *count == 0 || *count == 2 * MIDDLE - 1) {
        return Err(Fault::Overflow { chip: chip.chip });
    }
    let [x, y, z] = counts.map(|count| (f64::from(count) - f64::from(MIDDLE)) * NT_PER_COUNT);
    Ok(Field::new(x, y, z))
}

/// Whether writing this to a register turns the film, and which way.
pub(super) fn turn(register: u8, value: u8) -> Option<bool> {
    match (register, value) {
        (CONTROL_0, SET) => Some(false),
        (CONTROL_0, RESET) => Some(true),
        _ => None,
    }
}

/// A register of a chip that is played.
pub(super) fn register(is_reversed: bool, register: u8, field: Field) -> u8 {
    /// Any chip has one.
    const OFFSET_NT: f64 = 3_000.0;
    match register {
        STATUS => MEASURED,
        register if register == IDENTITY.0 => IDENTITY.1,
        0..=8 => {
            let turn = if is_reversed { -1.0 } else { 1.0 };
            let count = |nt: f64| ((nt * turn + OFFSET_NT) / NT_PER_COUNT + f64::from(MIDDLE)).round();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to 20 bits"
            )]
            let bytes = |nt: f64| ((count(nt).clamp(0.0, f64::from(2 * MIDDLE - 1)) as u32) << 4).to_be_bytes();
            let [[_, x0, x1, x2], [_, y0, y1, y2], [_, z0, z1, z2]] = [field.x, field.y, field.z].map(bytes);
            [x0, x1, y0, y1, z0, z1, x2, y2, z2][usize::from(register)]
        }
        _ => 0,
    }
}
