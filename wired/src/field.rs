//! A magnetic field as three axes measure it.

use serde::{Deserialize, Serialize};

/// A magnetic field, or a difference of two, nanotesla. 100 nT are 1 mG; the Earth's field is 42,000 to 45,000 nT in
/// Indonesia.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Along the sensor's x axis.
    pub x: f64,
    /// Along its y axis.
    pub y: f64,
    /// Along its z axis.
    pub z: f64,
}

impl Field {
    /// A field by its axes.
    pub const fn new(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    /// Its strength.
    pub fn strength(self) -> f64 {
        let Self { x, y, z } = self;
        (x * x + y * y + z * z).sqrt()
    }

    /// How far it is from another.
    pub fn distance(self, other: Self) -> f64 {
        (self - other).strength()
    }

    /// Axis by axis.
    #[must_use]
    pub fn map(self, of: impl Fn(f64) -> f64) -> Self {
        Self::new(of(self.x), of(self.y), of(self.z))
    }
}

impl std::ops::Add for Field {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl std::ops::Sub for Field {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl std::ops::Mul<f64> for Field {
    type Output = Self;

    fn mul(self, by: f64) -> Self {
        self.map(|axis| axis * by)
    }
}
