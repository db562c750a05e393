//! What bears on a space, in order of time.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{BootId, PreviousState, Report, ReportKind, SensorId, Timestamp};

/// Something that bears on a space, at a time.
///
/// Events are ordered by time; then a binding comes before what the sensor says; then by the sensor's frame counter, so
/// that two changes within one second stay in order; then by arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
    /// When the box took it in.
    pub received: Timestamp,
    /// The boot whose unset clock dated it, until that is corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unset: Option<BootId>,
    /// How long before that it happened, seconds, for what the box saw for itself while its clock was unset.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seen_s: u8,
    /// Fingerprint of the transport's message id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<u64>,
}

// The signature is that of serde's attribute.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(seconds: &u8) -> bool {
    *seconds == 0
}

/// What happened. The order of variants is the order of events at the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// The space's sensor was taken away.
    Unbound,
    /// A sensor was given to the space.
    Bound(SensorId),
    /// The box started, and what this sensor said before may have been missed.
    Restarted,
    /// The sensor reported.
    Reported(Said),
}

/// The part of a report that the walk uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Said {
    /// The sensor's frame counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// The report was sent because the state changed.
    pub change: bool,
    /// Occupied or free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupied: Option<bool>,
    /// Bounds of the previous state's length, minutes; the upper one is `None` when the counter ran over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<(u32, Option<u32>)>,
    /// The sensor's total of changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<u32>,
    /// Vehicles counted so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Counting began anew, at that count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
}

impl Said {
    pub fn new(sequence: Option<u32>, report: &Report) -> Self {
        let change = report.kind == ReportKind::Status;
        let bounds = |p: PreviousState| (p.minutes_min, p.minutes_max);
        Self {
            sequence,
            change,
            occupied: report.occupied,
            previous: report.previous_state.filter(|_| change).map(bounds),
            changes: report.usage.and_then(|usage| usage.state_changes),
            count: report.count,
            restarted: report.kind == ReportKind::Startup && report.count.is_some(),
        }
    }
}

impl Event {
    /// Whether `other` is this event again: by the transport's identity, else by the sensor's frame counter, else by
    /// saying the same at the same second. A frame counter that starts anew comes to the same number much later.
    pub fn is_same(&self, other: &Self) -> bool {
        /// Two reports with the same frame counter this close are one report.
        const SAME_FRAME_MS: i64 = 60_000;
        match (&self.what, &other.what) {
            (What::Reported(a), What::Reported(b)) => {
                let same_message = self.message.is_some() && self.message == other.message;
                let apart_ms = if a.sequence.is_some() { SAME_FRAME_MS } else { 0 };
                same_message || (a == b && self.at.millis_since(other.at).abs() <= apart_ms)
            }
            (a, b) => a == b && self.at == other.at,
        }
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        let sequence = |event: &Self| match &event.what {
            What::Reported(said) => (3, said.sequence),
            What::Restarted => (2, None),
            What::Bound(_) => (1, None),
            What::Unbound => (0, None),
        };
        (self.at, sequence(self), self.received)
            .cmp(&(other.at, sequence(other), other.received))
            .then_with(|| self.what.cmp(&other.what))
            .then_with(|| (self.unset, self.message).cmp(&(other.unset, other.message)))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
