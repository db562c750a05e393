//! The real servers that the system talks to: Mosquitto twice, PostgreSQL.

pub mod mosquitto;
pub mod postgres;
