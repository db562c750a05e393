//! End-to-end tests of the whole system, and what they need: a city simulator with ground truth, real servers, and
//! child processes that can be killed.
//!
//! No test in here knows the inside of `gateway` or `kominfo`: both are run as programs, with the configuration a user
//! would write, and judged by what the city's interface says afterwards. Only the benchmarks take the gateway apart, to
//! measure one part of it. Everything drawn by chance comes from a seed that a failing test prints.

pub mod api;
pub mod box_page;
pub mod browser;
pub mod camera_simulator;
pub mod cameras;
pub mod chaos;
pub mod city;
pub mod clock;
pub mod commander;
pub mod cost;
pub mod count;
pub mod deaf_broker;
pub mod forger;
pub mod glass;
pub mod judge;
pub mod line_count;
pub mod link;
pub mod load;
pub mod process;
pub mod servers;
pub mod street;
pub mod street_cameras;
pub mod street_wires;
pub mod truth;
pub mod viewer;
pub mod world;
