//! The telemetry lane as a pure machine: one message at a time, and only behind everything else.

use std::time::Duration;

use tokio::time::Instant;

use crate::mqtt::PublishId;
use crate::state::telemetry::Quarter;

/// How long a broker that refused a message is left alone: its rules may be older than this box.
pub const REFUSED_PAUSE: Duration = Duration::from_hours(1);

/// What the lane knows in one session. What it sent and nobody acknowledged is sent again in the next.
#[derive(Debug, Default)]
pub struct TelemetryLane {
    in_flight: Option<(PublishId, Vec<Quarter>)>,
    not_before: Option<Instant>,
}

impl TelemetryLane {
    /// Whether a message may go out at `now`. `ledger_waits`: records are not sent, or not receipted; `state_waits`: something
    /// of the state is not sent.
    pub fn may_send(&self, now: Instant, ledger_waits: bool, state_waits: bool) -> bool {
        !ledger_waits && !state_waits && self.in_flight.is_none() && self.not_before.is_none_or(|from| from <= now)
    }

    /// A message with these quarters has gone out.
    pub fn sent(&mut self, id: PublishId, quarters: Vec<Quarter>) {
        self.in_flight = Some((id, quarters));
    }

    /// The broker has taken over a message. Gives the quarters in it, if it was of this lane.
    pub fn published(&mut self, id: PublishId) -> Option<Vec<Quarter>> {
        let (_, quarters) = self.in_flight.take_if(|(sent, _)| *sent == id)?;
        Some(quarters)
    }

    /// The broker will not take a message.
    pub fn refused(&mut self, id: PublishId, now: Instant) {
        if self.published(id).is_some() {
            self.not_before = Some(now + REFUSED_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::telemetry::Minute;

    #[test]
    fn telemetry_waits_for_records_for_state_and_for_itself() {
        let (mut lane, now) = (TelemetryLane::default(), Instant::now());
        assert!(lane.may_send(now, false, false));
        assert!(!lane.may_send(now, true, false), "records wait");
        assert!(!lane.may_send(now, false, true), "state waits");
        let quarters = vec![Minute(0).quarter()];
        lane.sent(PublishId(7), quarters.clone());
        assert!(!lane.may_send(now, false, false), "one at a time");
        assert_eq!(lane.published(PublishId(6)), None, "a batch of records");
        assert_eq!(lane.published(PublishId(7)), Some(quarters));
        assert!(lane.may_send(now, false, false));
    }

    #[test]
    fn a_broker_that_refuses_is_left_alone_for_an_hour() {
        let (mut lane, now) = (TelemetryLane::default(), Instant::now());
        lane.sent(PublishId(7), Vec::new());
        lane.refused(PublishId(8), now);
        assert!(!lane.may_send(now, false, false), "another one was refused");
        lane.refused(PublishId(7), now);
        assert!(!lane.may_send(now + REFUSED_PAUSE - Duration::from_secs(1), false, false));
        assert!(lane.may_send(now + REFUSED_PAUSE, false, false));
    }
}
