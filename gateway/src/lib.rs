//! The box on the pole: takes in sensors, keeps every fact durably, and sends it to the city until receipted.
//!
//! The crate is a library so that tests and benchmarks run the very code of the daemon; the program is `main.rs`.

pub mod cameras;
pub mod clock;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod journal;
mod listener;
pub mod memory;
pub mod mqtt;
pub mod page;
pub mod sensors;
pub mod state;
pub mod uplink;
pub mod words;
pub mod xml;
