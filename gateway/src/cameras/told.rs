//! What is told of a camera: to the box's page and commands, to viewers, to the city.

use live::message::CameraState;
use parking::{CameraId, Timestamp};
use serde::{Deserialize, Serialize};

use super::VIEWERS_MAX;
use super::health::{self, Evidence};
use super::recorder::RingStatus;
use super::ring;
use super::stream::StreamStatus;
use crate::words::{Phrase, Text, Value};

const NO_SPACE: Text = Text::new(
    "{}: tidak direkam: disk hampir penuh, {} MiB kosong. Kosongkan disk, atau turunkan video.free_mib_min.",
    "{}: not recorded: the disk is nearly full, {} MiB are free. Free space, or lower video.free_mib_min.",
);
const FAILING: Text = Text::new(
    "{}: tidak direkam: {}. Periksa disk dan izin folder rekaman: gateway check; disk yang rusak harus diganti.",
    "{}: not recorded: {}. Look at the disk and at the rights of the folder of recordings: gateway check; a failing disk must be replaced.",
);

/// What is told of a camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraStatus {
    /// Its name in records and addresses.
    pub id: CameraId,
    /// Its name on screens.
    pub title: String,
    /// How it is.
    pub state: health::State,
    /// Why.
    pub cause: health::Cause,
    /// Since when, on the box's axis.
    pub since: Timestamp,
    /// The numbers behind it.
    pub evidence: Vec<Evidence>,
    /// When the last picture was received that was looked at: what is said of the picture is as old as that.
    pub looked_at: Option<Timestamp>,
    /// Camera's clock minus the box's, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// Its worker's process.
    pub worker_pid: Option<u32>,
    /// Workers started since start.
    pub workers_started: u64,
    /// Its streams.
    pub main: Option<StreamStatus>,
    /// Its streams.
    pub sub: Option<StreamStatus>,
}

/// What a page shows of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamLine {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: f64,
    /// Kilobits a second.
    pub kbit: f64,
}

impl StreamLine {
    /// The line of a stream that plays.
    pub fn of(status: &StreamStatus) -> Option<Self> {
        Some(Self {
            width: status.width?,
            height: status.height?,
            fps: status.fps,
            kbit: status.kbit,
        })
    }
}

/// What the city is told as soon as it changes; other numbers wait for the next time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Urgent {
    viewers: usize,
    /// Streams of which it is known what watching them costs.
    streams_known: usize,
    /// Streams that should be recorded and are not.
    streams_not_recorded: usize,
}

impl CameraStatus {
    /// How many watch at the box, the city as one a stream.
    pub fn viewers(&self) -> usize {
        self.streams().map(|stream| stream.viewers).sum()
    }

    /// What whoever watches wants to know at once.
    pub fn urgent(&self) -> Urgent {
        Urgent {
            viewers: self.viewers(),
            streams_known: self.streams().filter(|stream| stream.kbit > 0.0).count(),
            streams_not_recorded: self.not_recorded().len(),
        }
    }

    /// For how many the box has places.
    pub fn places(&self) -> usize {
        let a_stream = usize::try_from(VIEWERS_MAX).unwrap_or(usize::MAX);
        self.streams().count().saturating_mul(a_stream)
    }

    /// Why streams are not recorded that should be, and what to do about it.
    pub fn not_recorded(&self) -> Vec<Phrase> {
        [("sub", &self.sub), ("main", &self.main)]
            .into_iter()
            .filter_map(|(name, stream)| not_recorded(name, stream.as_ref()?.ring.as_ref()?))
            .collect()
    }

    /// What is wrong and what to do, for people; none of a camera that is up and recorded.
    pub fn advice(&self) -> Option<Phrase> {
        let is_up = self.state == health::State::Up;
        let health = (!is_up).then(|| likely(self.cause));
        let all: Vec<Phrase> = health.into_iter().chain(self.not_recorded()).collect();
        (!all.is_empty()).then(|| Phrase::joined(&all))
    }

    fn streams(&self) -> impl Iterator<Item = &StreamStatus> {
        [&self.main, &self.sub].into_iter().flatten()
    }
}

/// What is likely, and what to do about it.
pub(super) fn likely(cause: health::Cause) -> Phrase {
    let texts = [health::cause_text(cause), health::what_to_do(cause)];
    Phrase::joined(&texts.map(Phrase::from))
}

/// Why a stream is not recorded that should be.
pub fn not_recorded(stream: &str, ring: &RingStatus) -> Option<Phrase> {
    let name = Value::Name(stream.to_owned());
    match &ring.state {
        ring::State::NoSpace { free_bytes } => {
            let mebibytes = i64::try_from(free_bytes >> 20).unwrap_or(i64::MAX);
            Some(NO_SPACE.with(&[name, Value::Whole(mebibytes)]))
        }
        ring::State::Failing { reason } => Some(FAILING.with(&[name, Value::Name(reason.clone())])),
        ring::State::Idle | ring::State::Recording => None,
    }
}

/// What viewers are told: the state, and what to do about it.
pub fn for_viewers(state: health::State, cause: health::Cause) -> CameraState {
    let told = CameraState::new(&word(&state), None);
    if state == health::State::Up {
        return told;
    }
    let advice = health::what_to_do(cause);
    told.with_advice(advice.id, advice.en)
}

/// What the city is told: few figures, so that it is told seldom.
pub(super) fn on_board(status: &CameraStatus) -> serde_json::Value {
    let stream = |stream: &Option<StreamStatus>| {
        stream.as_ref().map(|stream| {
            serde_json::json!({
                "width": stream.width,
                "height": stream.height,
                "fps": whole(stream.fps),
                "kbit": whole(stream.kbit / 50.0) * 50,
            })
        })
    };
    serde_json::json!({
        "title": status.title,
        "state": status.state,
        "advice": status.advice(),
        "since": status.since,
        "main": stream(&status.main),
        "sub": stream(&status.sub),
        "viewers": status.viewers(),
        "places": status.places(),
    })
}

/// The nearest whole number.
fn whole(value: f64) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    let whole = value.round().clamp(0.0, 1e9) as u32;
    whole
}

/// The word that stands for a value in JSON.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::stream::PhaseStatus;

    fn stream(viewers: usize) -> StreamStatus {
        StreamStatus {
            phase: PhaseStatus::Playing,
            codecs: None,
            width: Some(640),
            height: Some(360),
            fps: 12.4,
            kbit: 512.0,
            gop_frames: 24,
            frames: 0,
            dropped_frames: 0,
            lost_packets: 0,
            jumps: 0,
            connections: 1,
            reordered: false,
            ended: None,
            viewers,
            ring: None,
        }
    }

    #[test]
    fn the_city_is_told_how_many_watch_and_for_how_many_there_are_places() {
        let status = CameraStatus {
            id: CameraId::new("gate-1").unwrap(),
            title: "Gate".to_owned(),
            state: health::State::Up,
            cause: health::Cause::None,
            since: Timestamp::EPOCH,
            evidence: Vec::new(),
            looked_at: None,
            clock_offset_ms: None,
            worker_pid: None,
            workers_started: 1,
            main: Some(stream(1)),
            sub: Some(stream(2)),
        };
        let told = on_board(&status);
        assert_eq!((&told["viewers"], &told["places"]), (&3.into(), &16.into()));
        assert_eq!(
            told["sub"],
            serde_json::json!({"width": 640, "height": 360, "fps": 12, "kbit": 500})
        );
    }

    #[test]
    fn viewers_are_told_what_to_do_in_both_languages() {
        let cause = health::Cause::AuthFailed;
        let advice = for_viewers(health::State::AuthFailed, cause).advice.unwrap();
        let expected = health::what_to_do(cause);
        assert_eq!((advice.id.as_str(), advice.en.as_str()), (expected.id, expected.en));
        let up = for_viewers(health::State::Up, health::Cause::None);
        assert_eq!((up.state.as_str(), up.advice), ("up", None));
    }
}
