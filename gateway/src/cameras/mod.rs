//! Cameras.
pub mod audit;
pub mod discovery;
pub mod health;
pub mod ladder;
pub mod picture;
pub mod profiles;
pub mod ring;
pub mod secrets;
pub mod wire;
pub mod words;
