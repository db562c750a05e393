//! Between the box and the health machine, which knows neither clock nor ledger nor worker.

use std::time::Duration;

use parking::{CameraId, ClockQuality, RecordBody, Stamp, Timestamp, Timezone};

use super::health::{self, HourOfDay, Now, Statistics};
use super::told::word;
use super::wire;

/// A record of the machine as the ledger has it. `at` tells when something was, for times before `now`.
pub(super) fn record(
    camera: &CameraId,
    record: &health::Record,
    at: impl Fn(Duration) -> Timestamp,
    now: Timestamp,
) -> RecordBody {
    let camera = camera.clone();
    match record {
        health::Record::CameraLost { last_frame, cause } => RecordBody::CameraLost {
            camera,
            since: last_frame.map_or(now, &at),
            cause: word(cause),
        },
        health::Record::CameraRestored { at: since } => RecordBody::CameraRestored {
            camera,
            since: at(*since),
        },
        health::Record::CameraTampered { what, since, .. } => RecordBody::CameraTampered {
            camera,
            what: match what {
                health::Tampering::Black => parking::Tampering::Black,
                health::Tampering::Blurred => parking::Tampering::Blurred,
                health::Tampering::Moved => parking::Tampering::Moved,
                health::Tampering::Frozen => parking::Tampering::Frozen,
            },
            since: at(*since),
        },
        health::Record::CameraUnsteady { since, changes } => RecordBody::CameraUnsteady {
            camera,
            since: at(*since),
            changes: *changes,
        },
    }
}

/// Monotonic time.
pub(super) fn mono(now: Stamp) -> Duration {
    Duration::from_millis(now.mono_ms)
}

/// Time as the machine wants it: without an hour of the day while the clock is not set.
pub(super) fn now(now: Stamp, timezone: Timezone) -> Now {
    let local_s = now.at.as_seconds() + i64::from(timezone.hours_ahead()) * 3_600;
    let hour = u8::try_from(local_s.rem_euclid(86_400) / 3_600).ok();
    Now {
        mono: mono(now),
        hour: hour
            .filter(|_| now.clock != ClockQuality::Unset)
            .and_then(HourOfDay::new),
    }
}

/// Whether a camera's clock can be judged by the box's.
pub(super) fn quality(clock: ClockQuality) -> health::ClockQuality {
    match clock {
        ClockQuality::Synced | ClockQuality::Holdover => health::ClockQuality::Trusted,
        ClockQuality::Unset | ClockQuality::Simulated => health::ClockQuality::Untrusted,
    }
}

/// A worker's counts of about a second that ended `now`.
pub(super) fn statistics(stats: &wire::Stats, now: Duration) -> Statistics {
    let gop = stats
        .span
        .checked_div(stats.frames.max(1))
        .filter(|_| stats.gop_frames > 0)
        .map(|frame| frame * stats.gop_frames);
    Statistics {
        frames: stats.frames,
        bytes: u32::try_from(stats.bytes).unwrap_or(u32::MAX),
        keyframes: stats.keyframes,
        keyframe_bytes: if stats.keyframes > 0 { stats.keyframe_bytes } else { 0 },
        between_bytes: stats.between_bytes,
        between_bytes_max: stats.between_bytes_max,
        gop,
        last_frame: (stats.frames > 0).then_some(now),
        last_keyframe: (stats.keyframes > 0).then_some(now),
    }
}
