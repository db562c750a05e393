//! Cheap signs that a picture should be looked at: sizes of frames, which cost nothing to know.
//!
//! A keyframe is as large as the picture has detail: it shrinks when the lens is covered or out of focus, and jumps when
//! the camera looks elsewhere. The frames between are as large as the picture changes: a frozen picture, and a black one
//! without noise, leave next to nothing. A source that repeats itself gives keyframes of the very same size.
//!
//! A hint alone is no verdict. It opens a look of [`LOOK_PICTURES`] keyframes, and then no other for [`REST`].

use std::time::Duration;

use super::event::Statistics;

/// Pictures that are asked for after a hint, unless one of them is bad: then more.
const LOOK_PICTURES: u32 = 4;
/// After a look that found nothing, further hints are ignored for this time.
const REST: Duration = Duration::from_secs(60);
/// Weight of one second's statistics in the usual size.
const LEARN_SHARE: f32 = 1.0 / 120.0;
/// Seconds of statistics before the usual size means anything.
const LEARN_SECONDS_MIN: u32 = 30;
/// A keyframe smaller than this share of the usual one is a hint.
const KEYFRAME_SHRUNK: f32 = 0.6;
/// A keyframe larger than this multiple of the usual one is a hint.
const KEYFRAME_GROWN: f32 = 1.6;
/// Frames between keyframes below this share of their usual size have collapsed.
const BETWEEN_COLLAPSED: f32 = 0.25;
/// Frames between keyframes of fewer bytes have collapsed whatever the usual size is: H.264 needs about 20 bytes to say
/// that nothing changed.
const BETWEEN_BYTES_MIN: f32 = 100.0;

/// The usual size of one kind of frame, as its natural logarithm.
#[derive(Debug, Clone, Copy, Default)]
struct Usual {
    seconds: u32,
    size_ln: f32,
}

impl Usual {
    /// `bytes` as a multiple of the usual size; none before that is known.
    fn ratio(self, bytes: f32) -> Option<f32> {
        (self.seconds >= LEARN_SECONDS_MIN).then(|| (bytes.max(1.0).ln() - self.size_ln).exp())
    }

    fn learn(&mut self, bytes: f32) {
        self.seconds = self.seconds.saturating_add(1);
        let count = f32::from(u16::try_from(self.seconds).unwrap_or(u16::MAX));
        self.size_ln += (bytes.max(1.0).ln() - self.size_ln) * LEARN_SHARE.max(1.0 / count);
    }
}

/// What the statistics of one camera say about its picture.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    keyframe: Usual,
    between: Usual,
    keyframe_last: Option<f32>,
    is_collapsed: bool,
    look_left: u32,
    rest_until: Duration,
}

impl Hints {
    /// Takes one second's statistics. With `is_healthy` the usual sizes are learnt.
    pub fn counted(&mut self, now: Duration, statistics: &Statistics, is_healthy: bool) {
        let mut is_hint = false;
        let frames = statistics.frames.saturating_sub(statistics.keyframes);
        if frames > 0 {
            let all = statistics.bytes.saturating_sub(statistics.keyframe_bytes);
            let middle = statistics.between_bytes.map(|bytes| mean(bytes, 1));
            let bytes = middle.unwrap_or_else(|| mean(all, frames));
            let ratio = self.between.ratio(bytes);
            self.is_collapsed = bytes < BETWEEN_BYTES_MIN || ratio.is_some_and(|ratio| ratio < BETWEEN_COLLAPSED);
            is_hint |= self.is_collapsed;
            if is_healthy {
                self.between.learn(bytes);
            }
        }
        if statistics.keyframes > 0 {
            let bytes = mean(statistics.keyframe_bytes, statistics.keyframes);
            let ratio = self.keyframe.ratio(bytes);
            is_hint |= ratio.is_some_and(|ratio| !(KEYFRAME_SHRUNK..=KEYFRAME_GROWN).contains(&ratio));
            is_hint |= bytes > 0.0 && self.keyframe_last.replace(bytes) == Some(bytes);
            if is_healthy {
                self.keyframe.learn(bytes);
            }
        }
        if is_hint && self.look_left == 0 && now >= self.rest_until {
            self.look_left = LOOK_PICTURES;
        }
    }

    /// Takes note that a picture was looked at.
    pub fn looked(&mut self, now: Duration) {
        if self.look_left > 0 {
            self.look_left -= 1;
            if self.look_left == 0 {
                self.rest_until = now.saturating_add(REST);
            }
        }
    }

    /// A picture is bad: what follows is up to the verdicts, and the next hint opens a look at once.
    pub fn found(&mut self) {
        (self.look_left, self.rest_until) = (0, Duration::ZERO);
    }

    /// Whether the next keyframe should be looked at.
    pub fn is_suspicious(&self) -> bool {
        self.look_left > 0
    }

    /// Whether the frames between keyframes say that nothing changes.
    pub fn is_collapsed(&self) -> bool {
        self.is_collapsed
    }

    /// The stream begins anew; usual sizes stay.
    pub fn restart(&mut self) {
        (self.keyframe_last, self.is_collapsed) = (None, false);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean size need not be exact to the byte")]
fn mean(bytes: u32, frames: u32) -> f32 {
    bytes as f32 / frames.max(1) as f32
}
