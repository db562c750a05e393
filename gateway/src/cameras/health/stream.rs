//! The stream's part of the health: from what the ingest says to lost or not.

use std::time::Duration;

use super::event::{Cause, Evidence, Failure, Health, Measure, State, Statistics};

/// Longest wait for a camera to begin to send.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Shortest silence that counts as lost.
const STALL_LIMIT_MIN: Duration = Duration::from_secs(5);
/// Longest: a camera that sends less than a frame in 6 s is taken for one that does.
const STALL_LIMIT_MAX: Duration = Duration::from_secs(60);
/// Frames that a silence must be long for.
const STALL_FRAMES: u32 = 10;
/// Shortest time without a keyframe that counts as lost.
const KEYFRAME_LIMIT_MIN: Duration = Duration::from_secs(15);
/// Longest GOP that is waited for twice; a longer one is a fault of the camera's settings.
const GOP_MAX: Duration = Duration::from_secs(60);
/// A camera that was never seen since the start is written down as lost after this time: it may be starting too.
const START_GRACE: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Playing,
    Failed,
}

/// What is known of one camera's stream.
#[derive(Debug, Clone)]
pub struct Stream {
    started: Duration,
    phase: Phase,
    phase_since: Duration,
    /// Why the last attempt failed; none since the stream was last up.
    failure: Option<Cause>,
    last_frame: Option<Duration>,
    last_keyframe: Option<Duration>,
    /// Time between frames, smoothed.
    frame_gap: Duration,
    gop: Duration,
    /// Whether this session has had a keyframe.
    is_usable: bool,
    /// Whether there has been a stream of use since the start.
    was_up: bool,
    since: Duration,
    /// What is wrong, as it was judged last.
    fault: Option<(State, Cause)>,
    /// When that was.
    judged: Duration,
}

impl Stream {
    pub fn new(now: Duration) -> Self {
        Self {
            started: now,
            phase: Phase::Connecting,
            phase_since: now,
            failure: None,
            last_frame: None,
            last_keyframe: None,
            frame_gap: Duration::from_millis(100),
            gop: Duration::from_secs(2),
            is_usable: false,
            was_up: false,
            since: now,
            fault: Some((State::Connecting, Cause::Starting)),
            judged: now,
        }
    }

    pub fn connecting(&mut self, now: Duration) {
        self.enter(now, Phase::Connecting);
    }

    pub fn playing(&mut self, now: Duration) {
        self.enter(now, Phase::Playing);
    }

    pub fn failed(&mut self, now: Duration, failure: Failure) {
        self.failure = Some(Cause::from(failure));
        self.enter(now, Phase::Failed);
    }

    fn enter(&mut self, now: Duration, phase: Phase) {
        if phase != Phase::Playing || self.phase != Phase::Playing {
            self.is_usable = false;
        }
        if phase != self.phase {
            self.phase_since = now;
        }
        self.phase = phase;
    }

    pub fn counted(&mut self, now: Duration, statistics: &Statistics) {
        if self.phase != Phase::Playing {
            return;
        }
        let past = |time: Option<Duration>| time.map(|time| time.min(now));
        if statistics.frames > 0 {
            let last = past(statistics.last_frame).unwrap_or(now);
            if let Some(before) = self.last_frame.filter(|before| *before >= self.phase_since) {
                let gap = last.saturating_sub(before) / statistics.frames;
                self.frame_gap = ((self.frame_gap * 7 + gap.min(STALL_LIMIT_MAX)) / 8).min(STALL_LIMIT_MAX);
            }
            self.last_frame = self.last_frame.max(Some(last));
        }
        if statistics.keyframes > 0 {
            self.last_keyframe = self
                .last_keyframe
                .max(Some(past(statistics.last_keyframe).unwrap_or(now)));
            self.is_usable = true;
        }
        if let Some(gop) = statistics.gop {
            self.gop = gop.min(GOP_MAX);
        }
    }

    /// Whether pictures come: there is no fault of the stream.
    pub fn is_up(&self) -> bool {
        self.fault.is_none()
    }

    /// What is wrong with the stream at `now`, if anything.
    pub fn judge(&mut self, now: Duration) -> Option<Health> {
        self.judged = now;
        let (fault, evidence) = match self.phase {
            Phase::Playing => self.judge_playing(now),
            Phase::Connecting | Phase::Failed => (Some(self.judge_without(now)), self.silence(now)),
        };
        if fault.is_none() {
            self.failure = None;
            self.was_up = true;
        }
        if fault.map(|(state, _)| state) != self.fault.map(|(state, _)| state) {
            self.since = match fault {
                Some((State::Connecting, _)) | None => now,
                Some((State::NoKeyframes, _)) => self.last_keyframe.unwrap_or(self.phase_since),
                Some(_) => self.last_frame.unwrap_or(self.started),
            };
        }
        self.fault = fault;
        fault.map(|(state, cause)| Health {
            state,
            since: self.since,
            cause,
            evidence,
        })
    }

    /// Whether the fault is to be written down: the camera was seen, or had its time to start.
    pub fn is_lost(&self, now: Duration) -> bool {
        let is_named = self.fault.is_some_and(|(state, _)| state != State::Connecting);
        is_named && (self.last_frame.is_some() || now.saturating_sub(self.started) >= START_GRACE)
    }

    /// When the last frame of use came.
    pub fn last_use(&self) -> Option<Duration> {
        match self.fault {
            Some((State::NoKeyframes, _)) => self.last_keyframe,
            _ => self.last_frame,
        }
    }

    fn silence(&self, now: Duration) -> Vec<Evidence> {
        let silence = self.last_frame.map(|last| now.saturating_sub(last));
        let limit = self.stall_limit();
        silence
            .filter(|silence| *silence >= limit)
            .map(|silence| Evidence::above(Measure::SilenceS, silence.as_secs_f32(), limit.as_secs_f32()))
            .into_iter()
            .collect()
    }

    fn stall_limit(&self) -> Duration {
        (self.frame_gap * STALL_FRAMES).clamp(STALL_LIMIT_MIN, STALL_LIMIT_MAX)
    }

    fn keyframe_limit(&self) -> Duration {
        KEYFRAME_LIMIT_MIN.max(self.gop * 2).max(self.stall_limit())
    }

    fn judge_playing(&self, now: Duration) -> (Option<(State, Cause)>, Vec<Evidence>) {
        let heard = self.last_frame.max(Some(self.phase_since)).unwrap_or(now);
        if now.saturating_sub(heard) >= self.stall_limit() {
            return (Some((State::Stalled, Cause::Stalled)), self.silence(now));
        }
        let key = self.last_keyframe.max(Some(self.phase_since)).unwrap_or(now);
        let (gap, limit) = (now.saturating_sub(key), self.keyframe_limit());
        if gap >= limit {
            let evidence = Evidence::above(Measure::KeyframeGapS, gap.as_secs_f32(), limit.as_secs_f32());
            return (Some((State::NoKeyframes, Cause::NoKeyframes)), vec![evidence]);
        }
        if self.is_usable {
            return (None, Vec::new());
        }
        (Some(self.judge_without(now)), self.silence(now))
    }

    /// What to call it while there is no stream, or none of use yet.
    fn judge_without(&self, now: Duration) -> (State, Cause) {
        let was_seen_lately = self
            .last_frame
            .is_some_and(|last| now.saturating_sub(last) < self.stall_limit());
        let is_definite = matches!(
            self.failure,
            Some(Cause::AuthFailed | Cause::AuthUnsupported | Cause::NoKeyframes)
        );
        if was_seen_lately && !is_definite {
            let cause = if self.was_up {
                Cause::Interrupted
            } else {
                Cause::Starting
            };
            return (State::Connecting, cause);
        }
        let waited = now.saturating_sub(self.phase_since);
        match self.failure {
            Some(cause) => (state_of(cause), cause),
            None if self.phase == Phase::Connecting && waited >= CONNECT_LIMIT => (State::Offline, Cause::NoAnswer),
            None if self.last_frame.is_some() => (State::Stalled, Cause::Stalled),
            None => (State::Connecting, Cause::Starting),
        }
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused => Self::Refused,
            Failure::Unreachable => Self::Unreachable,
            Failure::NoAnswer => Self::NoAnswer,
            Failure::NotRtsp => Self::NotRtsp,
            Failure::NotFound => Self::NotFound,
            Failure::Rejected => Self::Rejected,
            Failure::AuthFailed => Self::AuthFailed,
            Failure::AuthUnsupported => Self::AuthUnsupported,
            Failure::NoVideo => Self::NoVideo,
            Failure::UnsupportedCodec => Self::UnsupportedCodec,
            Failure::Mux => Self::Mux,
            Failure::BadSdp => Self::BadSdp,
            Failure::Stalled => Self::Stalled,
            Failure::Ended => Self::Ended,
            Failure::NoKeyframes => Self::NoKeyframes,
            Failure::WorkerCrashed => Self::WorkerCrashed,
            Failure::WorkerMissing => Self::WorkerMissing,
        }
    }
}

fn state_of(cause: Cause) -> State {
    match cause {
        Cause::AuthFailed => State::AuthFailed,
        Cause::AuthUnsupported => State::AuthUnsupported,
        Cause::Stalled => State::Stalled,
        Cause::NoKeyframes => State::NoKeyframes,
        _ => State::Offline,
    }
}
