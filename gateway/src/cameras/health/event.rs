//! What goes into the machine, and what comes out.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cameras::picture::Features;
use crate::words::{Language, Value};

/// An hour of the day where the camera is, 0 to 23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HourOfDay(u8);

impl HourOfDay {
    /// The hour; none above 23.
    pub fn new(hour: u8) -> Option<Self> {
        (hour < 24).then_some(Self(hour))
    }

    /// The number.
    pub fn value(self) -> u8 {
        self.0
    }
}

/// The time of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, counting suspend; never less than in the step before.
    pub mono: Duration,
    /// The hour where the camera is; none while the box's clock is not set.
    pub hour: Option<HourOfDay>,
}

/// What the box's clock is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockQuality {
    /// Good enough to judge another clock: synchronised, or drifting since for a short time.
    Trusted,
    /// Not good enough.
    Untrusted,
}

/// Why there is no stream, as the ingest found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The camera's host refused the TCP connection.
    Refused,
    /// No way to the host.
    Unreachable,
    /// The host took the connection and did not answer.
    NoAnswer,
    /// Something answered, but not RTSP.
    NotRtsp,
    /// There is no such stream (RTSP 404).
    NotFound,
    /// The camera refused with another RTSP status than those that have a name here.
    Rejected,
    /// Wrong user or password (RTSP 401, 403).
    AuthFailed,
    /// The camera wants a way of logging in that is not supported.
    AuthUnsupported,
    /// The stream has no video.
    NoVideo,
    /// The video is neither H.264 nor H.265.
    UnsupportedCodec,
    /// The video cannot be put into a file.
    Mux,
    /// The description of the stream cannot be read.
    BadSdp,
    /// No data for longer than allowed.
    Stalled,
    /// The camera ended the stream.
    Ended,
    /// Frames, but no keyframe for longer than allowed.
    NoKeyframes,
    /// The box's own process for this camera has ended.
    WorkerCrashed,
    /// The program of that process does not start.
    WorkerMissing,
}

/// What the ingest counted since its last statistics, about once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Frames, keyframes among them.
    pub frames: u32,
    /// Bytes of these frames.
    pub bytes: u32,
    /// Keyframes.
    pub keyframes: u32,
    /// Bytes of the last of them.
    pub keyframe_bytes: u32,
    /// Bytes of the frame at the lower quarter, of the frames between keyframes sorted by size: the large ones with which an
    /// encoder refines a picture that does not change, up to two thirds of them, say nothing.
    pub between_bytes: Option<u32>,
    /// Bytes of the largest frame between keyframes; 0 if that is not known.
    pub between_bytes_max: u32,
    /// From the keyframe before the last to the last.
    pub gop: Option<Duration>,
    /// When the last frame was received, monotonic.
    pub last_frame: Option<Duration>,
    /// When the last keyframe was received, monotonic.
    pub last_keyframe: Option<Duration>,
}

/// What happened at a camera.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An attempt to connect began.
    Connecting,
    /// The camera began to send.
    Playing,
    /// The attempt or the stream failed.
    Failed(Failure),
    /// About once a second while playing.
    Statistics(Statistics),
    /// The camera's clock by an RTCP sender report, with what the box's clock is worth.
    CameraClock {
        /// Camera minus box, milliseconds.
        offset_ms: i64,
        /// Quality of the box's clock.
        quality: ClockQuality,
    },
    /// A keyframe was decoded, masked and measured.
    Picture {
        /// The keyframe's time in the stream. The same time again is the same picture again, and ignored.
        stream_time: Duration,
        /// Its measures.
        features: Box<Features>,
    },
    /// A technician says that the view is as wanted: it is the reference from now on.
    ViewAccepted,
    /// Time has passed.
    Tick,
}

/// What a camera is worth right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Pictures come and nothing is wrong with them.
    Up,
    /// Not known yet.
    Connecting,
    /// The stream has stopped.
    Stalled,
    /// The camera does not accept user or password.
    AuthFailed,
    /// The camera wants a way of logging in that is not supported.
    AuthUnsupported,
    /// The same picture again and again.
    Frozen,
    /// The picture is dark all over.
    Black,
    /// The picture has lost its detail.
    Blurred,
    /// The camera looks elsewhere.
    Moved,
    /// No keyframe, so nothing can be shown.
    NoKeyframes,
    /// The camera's clock is wrong.
    WrongClock,
    /// The camera cannot be reached, or gives no video.
    Offline,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 12] = [
        Self::Up,
        Self::Connecting,
        Self::Stalled,
        Self::AuthFailed,
        Self::AuthUnsupported,
        Self::Frozen,
        Self::Black,
        Self::Blurred,
        Self::Moved,
        Self::NoKeyframes,
        Self::WrongClock,
        Self::Offline,
    ];
}

/// Why a camera is in its state: the key of what is likely and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing is wrong.
    None,
    /// The first attempt has no answer yet.
    Starting,
    /// The stream broke off a moment ago.
    Interrupted,
    /// See [`Failure::Refused`].
    Refused,
    /// See [`Failure::Unreachable`].
    Unreachable,
    /// No answer within the time for connecting. See also [`Failure::NoAnswer`].
    NoAnswer,
    /// See [`Failure::NotRtsp`].
    NotRtsp,
    /// See [`Failure::NotFound`].
    NotFound,
    /// See [`Failure::Rejected`].
    Rejected,
    /// See [`Failure::AuthFailed`].
    AuthFailed,
    /// See [`Failure::AuthUnsupported`].
    AuthUnsupported,
    /// See [`Failure::NoVideo`].
    NoVideo,
    /// See [`Failure::UnsupportedCodec`].
    UnsupportedCodec,
    /// See [`Failure::Mux`].
    Mux,
    /// See [`Failure::BadSdp`].
    BadSdp,
    /// See [`Failure::Stalled`].
    Stalled,
    /// See [`Failure::Ended`].
    Ended,
    /// See [`Failure::NoKeyframes`].
    NoKeyframes,
    /// See [`Failure::WorkerCrashed`].
    WorkerCrashed,
    /// See [`Failure::WorkerMissing`].
    WorkerMissing,
    /// The same picture while time advances.
    Frozen,
    /// Dark and without contrast.
    Black,
    /// Less detail than this camera usually has at this hour.
    Blurred,
    /// Edges are not where they were.
    Moved,
    /// The camera's clock differs from the box's.
    WrongClock,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 25] = [
        Self::None,
        Self::Starting,
        Self::Interrupted,
        Self::Refused,
        Self::Unreachable,
        Self::NoAnswer,
        Self::NotRtsp,
        Self::NotFound,
        Self::Rejected,
        Self::AuthFailed,
        Self::AuthUnsupported,
        Self::NoVideo,
        Self::UnsupportedCodec,
        Self::Mux,
        Self::BadSdp,
        Self::Stalled,
        Self::Ended,
        Self::NoKeyframes,
        Self::WorkerCrashed,
        Self::WorkerMissing,
        Self::Frozen,
        Self::Black,
        Self::Blurred,
        Self::Moved,
        Self::WrongClock,
    ];
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Seconds without a frame.
    SilenceS,
    /// Seconds without a keyframe.
    KeyframeGapS,
    /// Mean luma, 0 to 255.
    Mean,
    /// Difference between bright and dark blocks.
    Contrast,
    /// Share of blocks that differ from the picture to compare with.
    ChangedBlocks,
    /// Share of single pixels that differ.
    ChangedPixels,
    /// Detail as a share of what this camera has at this hour.
    DetailShare,
    /// The same, regardless of light and contrast.
    DetailShareOfContrast,
    /// Correlation of edges with the reference, -1 to 1.
    EdgeCorrelation,
    /// The same at the displacement that fits best.
    DisplacedCorrelation,
    /// Seconds that the camera's clock is away from the box's.
    ClockOffsetS,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 11] = [
        Self::SilenceS,
        Self::KeyframeGapS,
        Self::Mean,
        Self::Contrast,
        Self::ChangedBlocks,
        Self::ChangedPixels,
        Self::DetailShare,
        Self::DetailShareOfContrast,
        Self::EdgeCorrelation,
        Self::DisplacedCorrelation,
        Self::ClockOffsetS,
    ];
}

/// On which side of its limit a measure is when something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Wrong below.
    Below,
    /// Wrong above.
    Above,
}

impl Limit {
    fn sign(self) -> char {
        match self {
            Self::Below => '<',
            Self::Above => '>',
        }
    }
}

/// A number behind a verdict. Prints as `edge_correlation 0.21 < 0.45`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was measured.
    pub measure: Measure,
    /// The value; always finite.
    pub value: f32,
    /// Which side of the limit is wrong.
    pub wrong: Limit,
    /// The limit.
    pub limit: f32,
}

impl Evidence {
    /// Wrong because `value` is below `limit`.
    pub fn below(measure: Measure, value: f32, limit: f32) -> Self {
        Self::new(measure, value, Limit::Below, limit)
    }

    /// Wrong because `value` is above `limit`.
    pub fn above(measure: Measure, value: f32, limit: f32) -> Self {
        Self::new(measure, value, Limit::Above, limit)
    }

    fn new(measure: Measure, value: f32, wrong: Limit, limit: f32) -> Self {
        let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
        Self {
            measure,
            value: finite(value),
            wrong,
            limit: finite(limit),
        }
    }
}

impl Evidence {
    /// The number and its limit for people, as in `korelasi tepi 0,21 < 0,45`.
    pub fn text(&self, language: Language) -> String {
        let number = |value| Value::Hundredths(value).in_(language);
        let name = super::measure_text(self.measure).in_(language);
        format!(
            "{name} {} {} {}",
            number(self.value),
            self.wrong.sign(),
            number(self.limit)
        )
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.measure {
            Measure::SilenceS => "silence_s",
            Measure::KeyframeGapS => "keyframe_gap_s",
            Measure::Mean => "mean",
            Measure::Contrast => "contrast",
            Measure::ChangedBlocks => "changed_blocks",
            Measure::ChangedPixels => "changed_pixels",
            Measure::DetailShare => "detail_share",
            Measure::DetailShareOfContrast => "detail_share_of_contrast",
            Measure::EdgeCorrelation => "edge_correlation",
            Measure::DisplacedCorrelation => "displaced_correlation",
            Measure::ClockOffsetS => "clock_offset_s",
        };
        write!(f, "{name} {:.2} {} {:.2}", self.value, self.wrong.sign(), self.limit)
    }
}

/// State of a camera, since when, why, and the numbers behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// The state.
    pub state: State,
    /// When it began, monotonic: that of a fault is its first sign, before it was named.
    pub since: Duration,
    /// Why; key of the texts.
    pub cause: Cause,
    /// The numbers.
    pub evidence: Vec<Evidence>,
}

/// What was done to a camera, or happened to its lens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// Dark all over.
    Black,
    /// Without detail.
    Blurred,
    /// Looks elsewhere.
    Moved,
    /// The same picture again and again.
    Frozen,
}

/// A fact to be written down. Times are monotonic.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// There is no usable stream any more.
    CameraLost {
        /// When the last frame came, or the last keyframe if there are only others; none if none came since the start.
        last_frame: Option<Duration>,
        /// Why.
        cause: Cause,
    },
    /// What was lost or tampered with is all right again.
    CameraRestored {
        /// Since when.
        at: Duration,
    },
    /// The picture is not what it should be.
    CameraTampered {
        /// In which way.
        what: Tampering,
        /// When it was first seen.
        since: Duration,
        /// The numbers.
        evidence: Vec<Evidence>,
    },
    /// The camera changed more often than is written down.
    CameraUnsteady {
        /// Start of the hour.
        since: Duration,
        /// Changes that were not written down.
        changes: u32,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The health is another.
    Changed(Health),
    /// Decode and measure the next keyframe now.
    RequestPicture,
    /// Write down a fact.
    Record(Record),
}
