//! Rupiah, fee ranges and coverage: every figure says how sure it is.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Whole Indonesian rupiah. Prints as `Rp1.234.567`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rupiah(pub i64);

impl Add for Rupiah {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl fmt::Display for Rupiah {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs().to_string();
        let sign = if self.0 < 0 { "-" } else { "" };
        let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 4);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push('.');
            }
            grouped.push(digit);
        }
        write!(f, "{sign}Rp{grouped}")
    }
}

/// An expected fee: certainly at least `low`, most likely `point`, at most `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeRange {
    /// Lower bound.
    pub low: Rupiah,
    /// Best estimate.
    pub point: Rupiah,
    /// Upper bound.
    pub high: Rupiah,
}

impl FeeRange {
    /// A fee without doubt.
    pub fn exact(fee: Rupiah) -> Self {
        Self {
            low: fee,
            point: fee,
            high: fee,
        }
    }
}

impl Add for FeeRange {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            point: self.point + other.point,
            high: self.high + other.high,
        }
    }
}

impl AddAssign for FeeRange {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for FeeRange {
    fn sum<I: Iterator<Item = Self>>(fees: I) -> Self {
        fees.fold(Self::default(), Add::add)
    }
}

/// The share of space-time that was really observed, in parts of 10,000. Prints as `97,25 %`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coverage(pub u16);

impl Coverage {
    /// Everything was observed.
    pub const FULL: Self = Self(10_000);

    /// Coverage of `known` out of `total` seconds, rounded down; `None` when there was nothing to observe.
    pub fn of(known_s: u64, total_s: u64) -> Option<Self> {
        debug_assert!(known_s <= total_s, "known {known_s} of total {total_s}");
        let parts = (u128::from(known_s) * 10_000).checked_div(u128::from(total_s))?;
        u16::try_from(parts).ok().map(Self)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{:02} %", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rupiah_prints_as_an_accountant_writes_it() {
        assert_eq!(Rupiah(1_234_567).to_string(), "Rp1.234.567");
        assert_eq!(Rupiah(0).to_string(), "Rp0");
        assert_eq!(Rupiah(-2_000).to_string(), "-Rp2.000");
        assert_eq!(Rupiah(999).to_string(), "Rp999");
    }

    #[test]
    fn coverage_rounds_down_and_has_no_value_for_nothing() {
        assert_eq!(Coverage::of(2, 3), Some(Coverage(6_666)));
        assert_eq!(Coverage::of(0, 0), None);
        assert_eq!(Coverage(9_725).to_string(), "97,25 %");
    }
}
