//! The configuration of a box: one TOML file, read strictly, every problem told at once.

mod attachment;
mod cameras;
mod checks;
mod files;
mod load;
mod model;
mod names;
mod network;
mod problem;
mod reader;
mod report;
mod sections;
mod site;
mod street;
mod tariffs;
mod values;

pub use checks::class_name;
pub use load::FILE_BYTES_MAX;
pub use model::{
    Attachment, Camera, Config, FarView, Gateway, Journal, Keys, Local, Login, Page, Record, RingLimits, Sensor,
    SensorBroker, Uplink, Video, Webhook, log_origin,
};
pub use problem::{ConfigErrors, PROBLEMS_MAX, Position, Problem, Warning};
pub use values::is_log_domain;

#[cfg(test)]
mod tests;
