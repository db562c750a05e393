//! Sensors on a wire: pins, buses and serial lines of the box, without the box.
//!
//! Drivers are written against the traits of [`embedded_hal`], so that the same code runs on any board and, with
//! registers that a test plays, on none. What makes a state of raw measurements is a pure machine: samples in,
//! decisions out, no clock and no pins.
//!
//! - [`magnetometer`]: three chips on I2C, one [`Field`].
//! - [`adaptive`]: from a magnetic field to occupied and free.
//! - [`ultrasonic`]: distances from a serial line.
//! - [`loop_relay`]: contacts of a loop detector; [`Steady`] takes the bouncing away.
//! - [`trace`]: samples as a file, and [`street`], which makes them up.

#![forbid(unsafe_code)]

pub mod adaptive;
mod field;
pub mod loop_relay;
pub mod magnetometer;
mod steady;
pub mod street;
pub mod trace;
pub mod ultrasonic;

pub use field::Field;
pub use steady::{Change, Steady};
