//! Cameras.
pub mod audit;
pub mod camera;
pub mod discovery;
pub mod health;
pub mod ladder;
pub mod picture;
pub mod pictures;
pub mod profiles;
pub mod recorder;
pub mod ring;
pub mod secrets;
pub mod stream;
pub mod wire;
pub mod words;
pub mod worker;
