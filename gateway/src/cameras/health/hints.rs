//! Cheap signs that a picture should be looked at: sizes of frames, which cost nothing to know.
//!
//! A keyframe is as large as the picture has detail: it shrinks when the lens is covered or out of focus, and jumps when
//! the camera looks elsewhere. The frames between are as large as the picture changes: a frozen picture, and a black one
//! without noise, leave next to nothing, and a camera that is turned or covered gives a frame as large as a keyframe. A
//! source that repeats itself gives keyframes of the very same size.
//!
//! A street is quiet between two vehicles too, but never quieter than it has been: what its frames need at least, for
//! noise, leaves and the clock in the picture, is known, and a frozen picture needs much less.
//!
//! A hint alone is no verdict. It opens a look of [`LOOK_PICTURES`] keyframes, and then no other of its kind for
//! [`REST_MIN`], twice as long after each look that found nothing again, up to [`REST_MAX`]: a street that is quiet every
//! night is not looked at every minute.

use std::time::Duration;

use super::event::Statistics;

/// Pictures that are asked for after a hint, unless one of them is bad: then more.
const LOOK_PICTURES: u32 = 4;
/// After a look that found nothing, further hints of the same kind are ignored for this time.
const REST_MIN: Duration = Duration::from_secs(60);
/// The same after many looks in a row that found nothing.
const REST_MAX: Duration = Duration::from_secs(16 * 60);
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
/// Frames between keyframes of fewer bytes have collapsed while the usual size is not known: H.264 needs about 20 bytes to
/// say that nothing changed. Some cameras say so of every third frame all night.
const BETWEEN_BYTES_MIN: f32 = 100.0;

/// Frames between keyframes below this share of the smallest that were live are no live ones.
const STILL: f32 = 0.5;
/// Weight of one second's statistics in what the smallest are, while they are larger: an hour brings it up by two thirds.
const LEAST_SHARE: f32 = 1.0 / 3_600.0;

/// A frame between keyframes of more than this share of a keyframe, the usual or the last one, whichever is larger, shows
/// another picture than the one before it.
const BURST: f32 = 0.5;
/// Frames between keyframes have collapsed for as long as one second in this time says so: after each keyframe an encoder
/// may refine a picture that stands still.
const COLLAPSED_GAP: Duration = Duration::from_millis(2_500);

/// What a hint is about.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// The size of keyframes.
    Keyframe,
    /// Frames between keyframes that have collapsed.
    Collapsed,
    /// Frames between keyframes smaller than any before.
    Still,
    /// A frame between keyframes as large as a keyframe.
    Burst,
}

/// Since when frames have collapsed, and when they last had.
#[derive(Debug, Clone, Copy)]
struct Collapsed {
    since: Duration,
    last: Duration,
}

/// The usual size of one kind of frame, as its natural logarithm.
#[derive(Debug, Clone, Copy, Default)]
struct Usual {
    seconds: u32,
    size_ln: f32,
}

impl Usual {
    /// The usual size, bytes; none before it is known.
    fn known(self) -> Option<f32> {
        (self.seconds >= LEARN_SECONDS_MIN).then(|| self.size_ln.exp())
    }

    /// `bytes` as a multiple of the usual size; none before that is known.
    fn ratio(self, bytes: f32) -> Option<f32> {
        self.known().map(|usual| bytes.max(1.0) / usual)
    }

    fn learn(&mut self, bytes: f32) {
        self.seconds = self.seconds.saturating_add(1);
        let count = f32::from(u16::try_from(self.seconds).unwrap_or(u16::MAX));
        self.size_ln += (bytes.max(1.0).ln() - self.size_ln) * LEARN_SHARE.max(1.0 / count);
    }
}

/// The smallest frames between keyframes that a live picture has had, bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Least {
    known: Option<f32>,
    /// The smallest of the look that is open: if that is in vain, they were live.
    looked_at: Option<f32>,
}

impl Least {
    /// Whether frames of `bytes` are smaller than any live ones.
    fn is_undercut(&mut self, bytes: f32) -> bool {
        let is_less = self.known.is_some_and(|known| bytes < known * STILL);
        if is_less {
            self.looked_at = Some(self.looked_at.map_or(bytes, |least| least.min(bytes)));
        }
        is_less
    }

    /// Learns from a second in which nothing is wrong: down only while the stream is `new`, as what came before the first
    /// verdict may be frozen already; up always, slowly, as what is quiet changes with the hours.
    fn learn(&mut self, bytes: f32, is_new: bool) {
        let known = self.known.get_or_insert(bytes);
        if bytes > *known {
            *known += (bytes - *known) * LEAST_SHARE;
        } else if is_new {
            *known = bytes;
        }
    }

    /// A look found nothing wrong.
    fn looked_in_vain(&mut self) {
        self.known = self.looked_at.take().or(self.known);
    }
}

/// What the statistics of one camera say about its picture.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    keyframe: Usual,
    between: Usual,
    least: Least,
    keyframe_last: Option<f32>,
    collapsed: Option<Collapsed>,
    look_left: u32,
    rests: [Rest; 4],
}

/// How one [`Sign`] is followed.
#[derive(Debug, Clone, Copy, Default)]
struct Rest {
    /// The look that is open is for it.
    is_looked_for: bool,
    /// Until when no look is opened for it.
    until: Duration,
    /// How long the last rest was.
    length: Duration,
}

impl Hints {
    /// Takes one second's statistics. With `is_healthy` the usual sizes are learnt.
    pub fn counted(&mut self, now: Duration, statistics: &Statistics, is_healthy: bool) {
        let frames = statistics.frames.saturating_sub(statistics.keyframes);
        if frames > 0 {
            let all = statistics.bytes.saturating_sub(statistics.keyframe_bytes);
            let quarter = statistics.between_bytes.map(|bytes| mean(bytes, 1));
            let bytes = quarter.unwrap_or_else(|| mean(all, frames));
            let ratio = self.between.ratio(bytes);
            if ratio.map_or(bytes < BETWEEN_BYTES_MIN, |ratio| ratio < BETWEEN_COLLAPSED) {
                self.has_collapsed(now);
            }
            if self.between.known().is_some() && self.least.is_undercut(bytes) {
                self.hint(now, Sign::Still);
            }
            let largest = mean(statistics.between_bytes_max, 1);
            // An encoder that keeps its bitrate makes a small keyframe now and then.
            let usual = self.keyframe.known().unwrap_or(0.0);
            if self
                .keyframe_last
                .is_some_and(|keyframe| largest > keyframe.max(usual) * BURST)
            {
                self.hint(now, Sign::Burst);
            }
            if is_healthy {
                self.least.learn(bytes, self.between.known().is_none());
                self.between.learn(bytes);
            }
        }
        if statistics.keyframes > 0 {
            let bytes = mean(statistics.keyframe_bytes, 1);
            let is_unusual = |ratio| !(KEYFRAME_SHRUNK..=KEYFRAME_GROWN).contains(&ratio);
            let is_same = bytes > 0.0 && self.keyframe_last.replace(bytes) == Some(bytes);
            if is_same || self.keyframe.ratio(bytes).is_some_and(is_unusual) {
                self.hint(now, Sign::Keyframe);
            }
            if is_healthy {
                self.keyframe.learn(bytes);
            }
        }
        if self
            .collapsed
            .is_some_and(|it| now.saturating_sub(it.last) > COLLAPSED_GAP)
        {
            self.collapsed = None;
        }
    }

    fn has_collapsed(&mut self, now: Duration) {
        let since = self.collapsed.map_or(now, |collapsed| collapsed.since);
        self.collapsed = Some(Collapsed { since, last: now });
        self.hint(now, Sign::Collapsed);
    }

    fn hint(&mut self, now: Duration, sign: Sign) {
        let rest = &mut self.rests[sign as usize];
        if now < rest.until {
            return;
        }
        // A look that is open for something else may be nearly over.
        if !std::mem::replace(&mut rest.is_looked_for, true) {
            self.look_left = LOOK_PICTURES;
        }
    }

    /// Takes note that a picture was looked at.
    pub fn looked(&mut self, now: Duration) {
        self.look_left = self.look_left.saturating_sub(1);
        if self.look_left == 0 {
            self.least.looked_in_vain();
            for rest in &mut self.rests {
                if std::mem::take(&mut rest.is_looked_for) {
                    rest.length = (rest.length * 2).clamp(REST_MIN, REST_MAX);
                    rest.until = now.saturating_add(rest.length);
                }
            }
        }
    }

    /// A picture is bad: what follows is up to the verdicts, and the next hint opens a look at once.
    pub fn found(&mut self) {
        (self.look_left, self.rests) = Default::default();
        self.least.looked_at = None;
    }

    /// Whether the next keyframe should be looked at.
    pub fn is_suspicious(&self) -> bool {
        self.look_left > 0
    }

    /// For how long the frames between keyframes have said that nothing changes; none if they do not.
    pub fn collapsed_for(&self, now: Duration) -> Option<Duration> {
        self.collapsed.map(|collapsed| now.saturating_sub(collapsed.since))
    }

    /// The stream begins anew; usual sizes stay.
    pub fn restart(&mut self) {
        (self.keyframe_last, self.collapsed) = (None, None);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean size need not be exact to the byte")]
fn mean(bytes: u32, frames: u32) -> f32 {
    bytes as f32 / frames.max(1) as f32
}
