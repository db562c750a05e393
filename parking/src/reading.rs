//! What a sensor said, in one form for every kind of sensor.

use serde::{Deserialize, Serialize};

use crate::{SensorId, Stamp, Timestamp};

/// One report of one sensor, as a driver hands it on. A driver knows this type and nothing behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Who reports.
    pub sensor: SensorId,
    /// When the sensor saw it, floored to the whole second; the transport's time if the sensor has no clock.
    pub observed: Timestamp,
    /// When the box took it in.
    pub received: Stamp,
    /// The sensor's own frame counter, if it has one. Restarts from zero when the sensor does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// The transport's identity of this message (`ChirpStack`'s `deduplicationId`), if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it says.
    pub report: Report,
}

/// The part of a reading that bears on parking. Health (battery, temperature, signal) goes another way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Why the sensor spoke.
    pub kind: ReportKind,
    /// Occupied or free; `None` when this report does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occupied: Option<bool>,
    /// How long the state before this one lasted, by the sensor's own clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_state: Option<PreviousState>,
    /// Totals that the sensor keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Vehicles counted so far, for counting sensors; in a start-up, where counting begins anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// Why a sensor spoke.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// Its state changed.
    #[default]
    Status,
    /// Nothing changed; it is alive and says its state.
    Heartbeat,
    /// It started or was reset.
    Startup,
    /// It reports totals.
    Counters,
    /// It counted vehicles.
    Count,
    /// A driver's tag was read.
    Tag,
    /// Something else; proves only that the sensor lives.
    Other,
}

/// Bounds, in whole minutes, on how long the state before the reported one lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousState {
    /// At least this long.
    pub minutes_min: u32,
    /// At most this long; `None` when the sensor's counter ran over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes_max: Option<u32>,
}

/// Totals since the sensor was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Changes of state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_changes: Option<u32>,
    /// Seconds occupied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occupied_seconds: Option<u32>,
}
