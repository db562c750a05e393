//! Conversions between floating point and integers, in one place: none of them can panic or give NaN.

/// `value` rounded into 0..=255; NaN becomes 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before; casts of floats saturate"
)]
pub fn to_byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// `value` rounded down into 0..=`max`; NaN becomes 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "negative values and NaN become 0; casts of floats saturate"
)]
pub fn to_index(value: f64, max: usize) -> usize {
    (value.floor() as usize).min(max)
}

/// A count or a sum as a floating-point number. Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "sums over one picture stay far below 2^53")]
pub fn real(value: u64) -> f64 {
    value as f64
}

/// `value` as the shorter type, for keeping; not finite becomes 0.
#[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a measure")]
pub fn short(value: f64) -> f32 {
    let short = value as f32;
    if short.is_finite() { short } else { 0.0 }
}

/// A size or an index as 64 bits.
pub fn long(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
