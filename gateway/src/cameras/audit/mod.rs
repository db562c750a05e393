//! What should be changed in a camera's settings, from what was measured on its stream: for `gateway cameras probe`.
//!
//! A pure function from [`StreamFacts`] to a list of [`Finding`]s, problems first. Each says what was found, why it
//! matters, and what to set in the camera. What was not measured is not judged.

mod findings;
mod rules;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::words::Phrase;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// High resolution, for evidence; recorded onto an SSD only.
    Main,
    /// Low resolution, for the ring, live view and analysis.
    Substream,
}

/// How video is compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// ITU-T H.264, with the profile as the decoder names it: `baseline`, `main`, `high`, ….
    H264 {
        /// The profile.
        profile: String,
    },
    /// ITU-T H.265.
    H265,
}

/// How the stream comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Interleaved in the RTSP connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Groups of pictures: from one keyframe to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gops {
    /// Frames in the longest.
    pub frames: u32,
    /// The shortest that was seen.
    pub shortest: Duration,
    /// The longest that was seen.
    pub longest: Duration,
}

/// What was measured on a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamFacts {
    /// What it is for.
    pub role: Role,
    /// Compression.
    pub codec: Codec,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Frames a second, counted.
    pub fps_measured: Option<f32>,
    /// Frames a second, as the camera claims.
    pub fps_nominal: Option<f32>,
    /// Groups of pictures; none if fewer than two keyframes were seen.
    pub gops: Option<Gops>,
    /// For how long the stream was watched.
    pub watched: Duration,
    /// Whether there are B-frames.
    pub has_b_frames: Option<bool>,
    /// Mean bitrate, kbit/s.
    pub bitrate_kbit_s: Option<u32>,
    /// Camera's clock minus the box's, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// Transport that was used.
    pub transport: Transport,
    /// Whether the camera offers sound.
    pub has_audio: bool,
    /// The mobile data that the box may use in a month, megabytes.
    pub quota_mb_month: Option<u32>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work.
    Problem,
    /// It works, but would be better or cheaper.
    Advice,
    /// As it should be.
    Ok,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Compression and its profile.
    Codec,
    /// Distance of keyframes.
    Keyframes,
    /// Modes such as H.264+.
    SmartCodec,
    /// B-frames.
    BFrames,
    /// Frames a second.
    FrameRate,
    /// Width and height.
    Resolution,
    /// Bytes.
    Bitrate,
    /// The camera's clock.
    Clock,
    /// TCP or UDP.
    Transport,
    /// Sound.
    Audio,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: Phrase,
    /// Why it matters.
    pub why: Phrase,
    /// What to set in the camera; none if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Phrase>,
}

/// Judges a stream: problems first, then advice, then what is as it should be.
pub fn audit(facts: &StreamFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = rules::all(facts).into_iter().flatten().collect();
    findings.sort_by_key(|finding| (finding.severity, finding.subject));
    findings
}
