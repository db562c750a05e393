//! A simulator of RTSP cameras for tests, demo and benchmarks.
//!
//! One process serves many cameras on one port, each with a main stream and a substream: a street with parking spaces,
//! drawn and encoded live or sent from a finished loop. Faults come on demand. See [`config`] for the file that describes
//! the cameras, [`simulator`] for the commands, [`fault`] for what can be wrong, [`scene::timecode`] for measuring
//! delay; and [`crooked`] for peers that are no cameras.

pub mod annexb;
pub mod camera;
pub mod clock;
pub mod config;
pub mod crooked;
pub mod encode;
pub mod fault;
pub mod looped;
pub mod packets;
pub mod producer;
pub mod rtsp;
pub mod scene;
pub mod simulator;
