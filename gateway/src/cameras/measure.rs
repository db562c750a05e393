//! What a stream is like, from what a worker tells of it for some seconds: for `gateway cameras probe`. Pure.
//!
//! The first group of pictures and the first second are left out when there are enough others: many cameras send a
//! keyframe out of turn, or more frames at once, when somebody connects.

use std::time::Duration;

use serde::Serialize;

use super::audit::{Codec, Gops, Role, StreamFacts, Transport};
use super::ring::{StreamInfo, VideoCodec};
use super::wire::{self, ChunkHead, Event, Format, Stats};

/// Groups of pictures that are remembered. Further ones are not looked at.
const GOPS_MAX: usize = 4_096;
/// With more groups or seconds than this the first is left out.
const ENOUGH: usize = 2;
/// A stream that is wider is taken for a main stream, pixels.
const SUBSTREAM_WIDTH_MAX: u16 = 1_024;

/// One group of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gop {
    frames: u32,
    length: Duration,
}

/// What was told so far.
#[derive(Debug, Clone, Default)]
pub struct Measurement {
    server: Option<String>,
    audio: bool,
    format: Option<Format>,
    stream: Option<StreamInfo>,
    keyframe_at_ns: Option<u64>,
    frames_since: u32,
    gops: Vec<Gop>,
    first_second: Option<Stats>,
    seconds: usize,
    sum: Stats,
    clock_offset: Option<(i64, bool)>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// What the server calls itself.
    pub server: Option<String>,
    /// RFC 6381 string, such as `avc1.640028`.
    pub codec: String,
    /// Profile of H.264, as decoders name it.
    pub codec_profile: Option<String>,
    /// Width, pixels.
    pub width: u16,
    /// Height, pixels.
    pub height: u16,
    /// Frames a second, counted.
    pub fps: Option<f32>,
    /// Frames a second, as the stream claims.
    pub fps_nominal: Option<f32>,
    /// Whether frames are shown in another order than they come (B-frames).
    pub reordered: bool,
    /// Whole groups of pictures that were seen.
    pub gops: usize,
    /// Frames in the longest of them.
    pub gop_frames: Option<u32>,
    /// Length of the shortest, seconds.
    pub gop_s_min: Option<f32>,
    /// Length of the longest, seconds.
    pub gop_s_max: Option<f32>,
    /// Mean bitrate, kbit/s.
    pub bitrate_kbit_s: Option<u32>,
    /// Whether the camera offers sound.
    pub audio: bool,
    /// Camera's clock minus this machine's, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// Whether this machine's clock can be relied on.
    pub own_clock_synchronised: Option<bool>,
    /// RTP packets that the network lost.
    pub lost_packets: u32,
    /// Frames that had to be dropped.
    pub dropped_frames: u32,
    /// Jumps of the camera's timestamps.
    pub jumps: u32,
    /// For how long the stream was watched, seconds.
    pub watched_s: f32,
}

impl Measurement {
    /// Takes what the worker says.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Playing { server, audio, .. } => {
                self.server.clone_from(server);
                self.audio = *audio;
            }
            Event::Format { format, .. } => self.format = Some(format.clone()),
            Event::Stats { stats, .. } => self.stats(*stats),
            _ => {}
        }
    }

    fn stats(&mut self, stats: Stats) {
        self.first_second.get_or_insert(stats);
        self.seconds += 1;
        let sum = &mut self.sum;
        sum.span = sum.span.saturating_add(stats.span);
        sum.frames = sum.frames.saturating_add(stats.frames);
        sum.bytes = sum.bytes.saturating_add(stats.bytes);
        sum.lost_packets = sum.lost_packets.saturating_add(stats.lost_packets);
        sum.dropped_frames = sum.dropped_frames.saturating_add(stats.dropped_frames);
        sum.jumps = sum.jumps.saturating_add(stats.jumps);
    }

    /// A new initialisation segment: what comes next belongs to it.
    pub fn stream(&mut self, stream: StreamInfo) {
        self.stream = Some(stream);
        self.keyframe_at_ns = None;
        self.frames_since = 0;
    }

    /// A chunk.
    pub fn chunk(&mut self, head: ChunkHead) {
        if head.keyframe {
            if let Some(before) = self.keyframe_at_ns.replace(head.at_ns)
                && self.gops.len() < GOPS_MAX
            {
                self.gops.push(Gop {
                    frames: self.frames_since,
                    length: Duration::from_nanos(head.at_ns.saturating_sub(before)),
                });
            }
            self.frames_since = 0;
        }
        self.frames_since = self.frames_since.saturating_add(head.frames.into());
    }

    /// The camera's clock minus this machine's, milliseconds; whether this machine's can be relied on.
    pub fn clock_offset(&mut self, offset_ms: i64, synchronised: bool) {
        self.clock_offset = Some((offset_ms, synchronised));
    }

    /// Whether anything can be said yet.
    pub fn has_begun(&self) -> bool {
        self.stream.is_some()
    }

    fn whole_gops(&self) -> &[Gop] {
        let first = usize::from(self.gops.len() > ENOUGH);
        self.gops.get(first..).unwrap_or_default()
    }

    /// Counts without the first second, if there are enough.
    fn steady(&self) -> (Duration, u32, u64) {
        let Stats {
            span, frames, bytes, ..
        } = self.sum;
        match self.first_second.filter(|_| self.seconds > ENOUGH) {
            Some(first) => (
                span.saturating_sub(first.span),
                frames.saturating_sub(first.frames),
                bytes.saturating_sub(first.bytes),
            ),
            None => (span, frames, bytes),
        }
    }

    /// What was measured; `None` if no keyframe came.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // small numbers
    pub fn measured(&self) -> Option<Measured> {
        let stream = self.stream.as_ref()?;
        let gops = self.whole_gops();
        let lengths = gops.iter().map(|gop| gop.length.as_secs_f32());
        let (span, frames, bytes) = self.steady();
        let a_second = |count: f64| (!span.is_zero()).then(|| count / span.as_secs_f64());
        Some(Measured {
            server: self.server.clone(),
            codec: stream.codec.clone(),
            codec_profile: h264_profile(&stream.codec).map(str::to_owned),
            width: stream.width,
            height: stream.height,
            fps: a_second(frames.into()).map(|fps| fps as f32),
            fps_nominal: self.format.as_ref().and_then(|format| format.fps_nominal),
            reordered: self.format.as_ref().is_some_and(|format| format.reordered),
            gops: gops.len(),
            gop_frames: gops.iter().map(|gop| gop.frames).max(),
            gop_s_min: lengths.clone().reduce(f32::min),
            gop_s_max: lengths.reduce(f32::max),
            bitrate_kbit_s: a_second(bytes as f64).map(|bytes| (bytes * 8.0 / 1_000.0).round() as u32),
            audio: self.audio,
            clock_offset_ms: self.clock_offset.map(|(offset_ms, _)| offset_ms),
            own_clock_synchronised: self.clock_offset.map(|(_, synchronised)| synchronised),
            lost_packets: self.sum.lost_packets,
            dropped_frames: self.sum.dropped_frames,
            jumps: self.sum.jumps,
            watched_s: self.sum.span.as_secs_f32(),
        })
    }

    /// What the audit wants to know. Without `role` the width decides.
    pub fn facts(
        &self,
        role: Option<Role>,
        transport: wire::Transport,
        quota_mb_month: Option<u32>,
    ) -> Option<StreamFacts> {
        let stream = self.stream.as_ref()?;
        let measured = self.measured()?;
        let gops = self.whole_gops();
        let shortest = gops.iter().map(|gop| gop.length).min();
        let longest = gops.iter().max_by_key(|gop| gop.length);
        Some(StreamFacts {
            role: role.unwrap_or(role_of(stream.width)),
            codec: match stream.video {
                VideoCodec::H264 => Codec::H264 {
                    profile: measured.codec_profile.unwrap_or_else(|| stream.codec.clone()),
                },
                VideoCodec::H265 => Codec::H265,
            },
            width: stream.width.into(),
            height: stream.height.into(),
            fps_measured: measured.fps,
            fps_nominal: measured.fps_nominal,
            gops: shortest.zip(longest).map(|(shortest, longest)| Gops {
                frames: longest.frames,
                shortest,
                longest: longest.length,
            }),
            watched: self.sum.span,
            has_b_frames: self.format.as_ref().map(|format| format.reordered),
            bitrate_kbit_s: measured.bitrate_kbit_s,
            // An unsure clock is no judge of another.
            clock_offset_ms: self
                .clock_offset
                .filter(|(_, sure)| *sure)
                .map(|(offset_ms, _)| offset_ms),
            transport: match transport {
                wire::Transport::Tcp => Transport::Tcp,
                wire::Transport::Udp => Transport::Udp,
            },
            has_audio: self.audio,
            quota_mb_month,
        })
    }
}

/// What a stream of this width is for.
pub fn role_of(width: u16) -> Role {
    if width > SUBSTREAM_WIDTH_MAX {
        Role::Main
    } else {
        Role::Substream
    }
}

/// The profile in an RFC 6381 string: `profile_idc` and the constraint flags (ITU-T H.264, annex A.2).
fn h264_profile(codec: &str) -> Option<&'static str> {
    let digits = codec.strip_prefix("avc1.").or_else(|| codec.strip_prefix("avc3."))?;
    let number = |range| u8::from_str_radix(digits.get(range)?, 16).ok();
    let (profile, constraints) = (number(0..2)?, number(2..4)?);
    Some(match (profile, constraints & 0x40 != 0) {
        (66, true) => "constrained-baseline",
        (66, false) => "baseline",
        (77, _) => "main",
        (88, _) => "extended",
        (100, _) => "high",
        (110, _) => "high-10",
        (122, _) => "high-4:2:2",
        (244, _) => "high-4:4:4",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::wire::Profile;

    fn info(width: u16, codec: &str) -> StreamInfo {
        StreamInfo {
            video: VideoCodec::H264,
            codec: codec.to_owned(),
            width,
            height: 360,
            timescale: std::num::NonZeroU32::MIN,
        }
    }

    /// Keyframes at these times, a frame each 100 ms.
    fn with_keyframes(measurement: &mut Measurement, millis: &[u64]) {
        for pair in millis.windows(2) {
            let rest = u16::try_from((pair[1] - pair[0]) / 100 - 1).unwrap();
            for (keyframe, at_ms, frames) in [(true, pair[0], 1), (false, pair[0] + 100, rest)] {
                measurement.chunk(ChunkHead {
                    keyframe,
                    at_ns: at_ms * 1_000_000,
                    frames,
                });
            }
        }
    }

    fn second(frames: u32, bytes: u64) -> Event {
        Event::Stats {
            profile: Profile::Sub,
            stats: Stats {
                span: Duration::from_secs(1),
                frames,
                bytes,
                lost_packets: 1,
                ..Stats::default()
            },
        }
    }

    #[test]
    fn the_first_group_of_pictures_is_left_out_when_there_are_enough() {
        let mut measurement = Measurement::default();
        measurement.stream(info(640, "avc1.64001f"));
        with_keyframes(&mut measurement, &[0, 300, 2_300, 4_300, 6_400, 6_500]);
        let measured = measurement.measured().unwrap();
        assert_eq!((measured.gops, measured.gop_frames), (3, Some(21)));
        assert_eq!((measured.gop_s_min, measured.gop_s_max), (Some(2.0), Some(2.1)));
        let gops = measurement
            .facts(None, wire::Transport::Tcp, None)
            .unwrap()
            .gops
            .unwrap();
        assert_eq!((gops.frames, gops.longest), (21, Duration::from_millis(2_100)));
    }

    #[test]
    fn a_single_group_of_pictures_counts() {
        let mut measurement = Measurement::default();
        measurement.stream(info(640, "avc1.42e01e"));
        with_keyframes(&mut measurement, &[0, 4_000, 4_100]);
        let measured = measurement.measured().unwrap();
        assert_eq!((measured.gops, measured.gop_frames), (1, Some(40)));
        assert_eq!(measured.codec_profile.as_deref(), Some("constrained-baseline"));
    }

    #[test]
    fn a_burst_in_the_first_second_is_no_frame_rate() {
        let mut measurement = Measurement::default();
        measurement.stream(info(640, "avc1.4d0028"));
        for event in [second(60, 200_000), second(15, 62_500), second(15, 62_500)] {
            measurement.event(&event);
        }
        let measured = measurement.measured().unwrap();
        assert_eq!((measured.fps, measured.bitrate_kbit_s), (Some(15.0), Some(500)));
        assert_eq!(measured.lost_packets, 3, "losses are told from the start");
    }

    #[test]
    fn an_unsure_clock_measures_and_does_not_judge() {
        let mut measurement = Measurement::default();
        measurement.stream(info(640, "avc1.4d0028"));
        measurement.clock_offset(60_000, false);
        assert_eq!(measurement.measured().unwrap().clock_offset_ms, Some(60_000));
        let judged = |measurement: &Measurement| {
            measurement
                .facts(None, wire::Transport::Tcp, None)
                .unwrap()
                .clock_offset_ms
        };
        assert_eq!(judged(&measurement), None);
        measurement.clock_offset(60_000, true);
        assert_eq!(judged(&measurement), Some(60_000));
    }

    #[test]
    fn the_width_tells_what_a_stream_is_for_unless_somebody_says_it() {
        let mut measurement = Measurement::default();
        assert!(measurement.facts(None, wire::Transport::Udp, None).is_none());
        measurement.stream(info(1_920, "hvc1.1.6.L93.B0"));
        let role = |role| measurement.facts(role, wire::Transport::Udp, None).unwrap().role;
        assert_eq!(role(None), Role::Main);
        assert_eq!(role(Some(Role::Substream)), Role::Substream);
    }

    #[test]
    fn keyframes_of_two_runs_are_no_group_of_pictures() {
        let mut measurement = Measurement::default();
        measurement.stream(info(640, "avc1.4d0028"));
        with_keyframes(&mut measurement, &[0, 2_000]);
        measurement.stream(info(704, "avc1.4d0028"));
        with_keyframes(&mut measurement, &[9_000, 9_100]);
        assert_eq!(measurement.measured().unwrap().gops, 0);
    }
}
