//! The configuration of a box: one TOML file, read strictly, every problem told at once.

mod model;
mod problem;
mod profiles;

pub use model::{ChirpStack, Config, Gateway, Journal, Keys, Local, Login, Sensor, Uplink, Webhook, log_origin};
pub use problem::{ConfigErrors, PROBLEMS_MAX, Position, Problem, Warning};
pub use profiles::{ProfileCatalog, ProfileTraits, Transport};
