//! Distances from ultrasonic sensors on a serial line.
//!
//! A02YYUW and JSN-SR04T (in its serial mode) speak the same frame at 9600 Bd, 8N1: `FF`, distance high, low,
//! millimetres, and the lowest byte of the sum of the three. The A02YYUW sends by itself, ten times a second; the
//! JSN-SR04T answers [`TRIGGER`]. Sources: DFRobot, A02YYUW wiki SEN0311; Jahankit (JSN), JSN-SR04T-2.0 manual, mode 3.

mod frames;

use serde::{Deserialize, Serialize};

pub use frames::{Counts, Frames};

/// What a JSN-SR04T is sent for each measurement.
pub const TRIGGER: u8 = 0x55;

/// Models with a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// DFRobot A02YYUW, waterproof.
    A02yyuw,
    /// JSN-SR04T, waterproof, with its resistor set to serial mode.
    JsnSr04t,
}

/// What a frame of a model says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    /// Something is at this distance, millimetres.
    At(u16),
    /// Nothing came back, or from beyond the range.
    None,
    /// Something is nearer than the sensor can tell: mud on its face, or a hand.
    TooNear,
}

impl Model {
    /// Nearest and furthest distance, millimetres.
    pub fn range_mm(self) -> (u16, u16) {
        match self {
            Self::A02yyuw => (30, 4_500),
            Self::JsnSr04t => (200, 6_000),
        }
    }

    /// Whether each measurement has to be asked for.
    pub fn is_triggered(self) -> bool {
        self == Self::JsnSr04t
    }

    /// The fastest that it measures, milliseconds from one to the next.
    pub fn pace_ms(self) -> u32 {
        100
    }

    /// What a frame's distance says. 0 stands for no echo.
    pub fn echo(self, distance_mm: u16) -> Echo {
        let (near, far) = self.range_mm();
        match distance_mm {
            0 => Echo::None,
            _ if distance_mm < near => Echo::TooNear,
            _ if distance_mm > far => Echo::None,
            _ => Echo::At(distance_mm),
        }
    }
}
