//! The way to the city: MQTT over mutual TLS, three lanes, and receipts.
//!
//! MQTT is a wire that may lose, repeat and reorder. What makes it exact is above it: the box sends its records in
//! the order of the journal as signed batches, the city answers with its cosignature of the checkpoint (the
//! *receipt*), and only a valid receipt moves the point from which the box sends. Whatever is not receipted in time is
//! sent again from there; the city lets duplicates fall out by index. A broker's PUBACK moves nothing.
//!
//! - [`lane`] is the pure part: what is receipted, what is in flight, what a receipt means.
//! - [`batch`] reads records from the journal and makes signed batches of them.
//! - [`dialer`] makes the TLS connection and counts its bytes; `rumqttc` sees a Unix socket.
//! - [`telemetry`] says when series may be sent: behind everything else.
//! - [`link`] is the task: one session after another, ledger before state before telemetry.
//!
//! Bounds: unreceipted bytes in flight (`window_bytes`), one batch (`batch_records_max`, `batch_bytes_max`), one state
//! message ([`link::STATE_BYTES_MAX`]); the backlog itself stays in the journal.

pub mod batch;
pub mod dialer;
pub mod lane;
pub mod link;
pub mod telemetry;

use parking::GatewayId;

/// The box's topics at the city's broker.
#[derive(Debug, Clone)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// The topics of `gateway`.
    pub fn new(gateway: &GatewayId) -> Self {
        Self {
            prefix: format!("parkir/1/{gateway}"),
        }
    }

    /// Batches of records, to the city.
    pub fn ledger(&self) -> String {
        format!("{}/ledger", self.prefix)
    }

    /// What is true now, to the city.
    pub fn state(&self) -> String {
        format!("{}/state", self.prefix)
    }

    /// How things were over time, to the city.
    pub fn telemetry(&self) -> String {
        format!("{}/telemetry", self.prefix)
    }

    /// Online or not, to the city, retained.
    pub fn status(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// Receipts, from the city, retained.
    pub fn receipt(&self) -> String {
        format!("{}/receipt", self.prefix)
    }

    /// Commands, from the city.
    pub fn command(&self) -> String {
        format!("{}/command", self.prefix)
    }
}
