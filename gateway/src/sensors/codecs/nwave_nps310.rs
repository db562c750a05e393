//! Nwave NPS310 SM (third generation).
//!
//! Source: Nwave's codec in TheThingsNetwork/lorawan-devices (`vendor/nwave/nps310sm.js`). Unlike its successor it tells
//! neither how long the state before lasted nor its battery, and numbers the causes of a restart otherwise.

use parking::ReportKind;

use super::nwave::startup;
use super::{CodecError, Decoded, undocumented};

pub(super) fn decode(port: u8, payload: &[u8]) -> Result<Decoded, CodecError> {
    match (port, payload) {
        (1, &[state]) => Ok(Decoded::new(ReportKind::Status, Some(state & 1 == 1))),
        (2, &[state]) => Ok(Decoded::new(ReportKind::Heartbeat, Some(state & 1 == 1))),
        (3, &[major, minor, patch, cause, state]) => {
            let cause = reset_cause(cause);
            Ok(startup([major, minor, patch], cause, Some(state & 1 == 1)))
        }
        (6, _) => Ok(Decoded::new(ReportKind::Other, None)),
        _ => Err(undocumented(port, payload)),
    }
}

fn reset_cause(cause: u8) -> &'static str {
    match cause {
        1 => "watchdog",
        2 => "power_on",
        3 => "user_request",
        4 => "brownout",
        5 => "other",
        _ => "unknown",
    }
}
