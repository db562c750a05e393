//! Cameras.
pub mod wire;
