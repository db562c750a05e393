//! What of cameras goes into telemetry: each second of a stream, each time that a camera tells, and whether it was up.

use std::sync::Arc;
use std::time::Duration;

use parking::CameraId;
use tokio_util::sync::CancellationToken;

use super::Cameras;
use super::health::State;
use super::wire::{Profile, Stats};
use crate::clock::Clock;
use crate::state::Board;
use crate::state::telemetry::{Quantity, Telemetry};

/// How often it is noted whether cameras are up.
const LOOK: Duration = Duration::from_secs(1);

/// The beginning of the names of a camera's series.
pub fn subject(camera: &CameraId) -> String {
    format!("camera/{camera}")
}

/// Notes what came of a stream in about one second.
#[allow(clippy::cast_precision_loss)] // bytes of a second
pub fn of_stream(telemetry: &Telemetry, camera: &CameraId, profile: Profile, stats: &Stats) {
    let seconds = stats.span.as_secs_f64();
    if seconds <= 0.0 {
        return;
    }
    let subject = format!("{}/{profile}", subject(camera));
    let note = |quantity, value| telemetry.note(&subject, quantity, value);
    note(Quantity::Fps, f64::from(stats.frames) / seconds);
    note(Quantity::Kbit, stats.bytes as f64 * 8.0 / 1_000.0 / seconds);
    note(Quantity::LostPackets, f64::from(stats.lost_packets));
    // A group of pictures has ended: its frames, at the distance that frames have now.
    if stats.keyframes > 0 && stats.gop_frames > 0 && stats.frames > 0 {
        let frame_s = seconds / f64::from(stats.frames);
        note(Quantity::GopSeconds, f64::from(stats.gop_frames) * frame_s);
    }
}

/// Notes how far a camera's clock is off the box's.
#[allow(clippy::cast_precision_loss)] // milliseconds
pub fn of_clock(telemetry: &Telemetry, camera: &CameraId, offset_ms: i64) {
    telemetry.note(&subject(camera), Quantity::ClockMs, offset_ms as f64);
}

/// Notes each second which cameras are up, and ends the minute when it is over. A camera that has not said anything yet is
/// neither up nor down.
pub async fn run(cameras: Cameras, board: Arc<Board>, clock: Arc<Clock>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let telemetry = board.telemetry();
        for status in cameras.statuses() {
            let is_up = if status.state == State::Up { 1.0 } else { 0.0 };
            telemetry.note(&subject(&status.id), Quantity::Up, is_up);
        }
        tokio::task::block_in_place(|| telemetry.turn(clock.now()));
    }
}

#[cfg(test)]
mod tests {
    use parking::{BootId, ClockQuality, Stamp, Timestamp};

    use super::*;

    fn stamp(seconds: i64) -> Stamp {
        Stamp {
            at: Timestamp::from_millis(seconds * 1_000),
            boot: BootId(1),
            mono_ms: 0,
            clock: ClockQuality::Synced,
        }
    }

    #[test]
    fn a_second_of_a_stream_becomes_rates_and_a_gop_only_when_one_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let board = Board::open(dir.path()).unwrap();
        let (telemetry, camera) = (board.telemetry(), CameraId::new("gate-1").unwrap());
        let second = |keyframes, lost_packets| Stats {
            span: Duration::from_millis(1_250),
            frames: 15,
            bytes: 78_125,
            keyframes,
            gop_frames: 24,
            lost_packets,
            ..Stats::default()
        };
        telemetry.turn(stamp(0));
        of_stream(telemetry, &camera, Profile::Sub, &second(1, 2));
        of_stream(telemetry, &camera, Profile::Main, &second(0, 0));
        of_stream(telemetry, &camera, Profile::Main, &Stats::default());
        of_clock(telemetry, &camera, -40);
        telemetry.turn(stamp(60));
        let samples = telemetry.samples("camera/gate-1/", Timestamp::EPOCH..Timestamp::EPOCH, true);
        let row = serde_json::to_value(&samples[0].series).unwrap();
        let expected = serde_json::json!({
            "camera/gate-1/sub/fps": 12, "camera/gate-1/sub/kbit": 500, "camera/gate-1/sub/lost": 2,
            "camera/gate-1/sub/gop_s": 2, "camera/gate-1/main/fps": 12, "camera/gate-1/main/kbit": 500,
            "camera/gate-1/main/lost": 0, "camera/gate-1/clock_ms": -40,
        });
        assert_eq!(row, expected);
    }
}
