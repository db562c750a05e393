//! What Nwave's parking sensors have in common: restarts, and start-up messages.
//!
//! Source: Nwave, codecs in TheThingsNetwork/lorawan-devices (`vendor/nwave`).

use super::Decoded;
use super::firmware;
use parking::ReportKind;

/// Why a sensor of the fourth generation (NPS405, NCC405) restarted.
pub(super) fn reset_cause(cause: u8) -> &'static str {
    match cause {
        0 => "rejoining_lorawan_network",
        1 => "watchdog",
        2 => "power_on",
        3 => "user_request",
        6 => "brownout",
        7 => "other",
        _ => "unknown",
    }
}

/// A start-up message.
pub(super) fn startup(version: [u8; 3], cause: &str, occupied: Option<bool>) -> Decoded {
    let [major, minor, patch] = version;
    let mut decoded = Decoded::new(ReportKind::Startup, occupied);
    decoded.health.firmware = Some(firmware(major, minor, patch));
    decoded.health.reset_cause = Some(cause.to_owned());
    decoded
}
