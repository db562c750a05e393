//! Timetables of the machine, on a made-up street and a made-up camera.

mod day;
mod hints;
mod properties;
mod rig;
mod scene;
mod sight;
mod stream;
mod words;
