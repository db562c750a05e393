//! What is right and wrong about each subject.

use super::findings::{self as words};
use super::{Codec, Finding, Role, StreamFacts, Transport};
use crate::cameras::picture::{SIDE_PIXELS_MAX, SIDE_PIXELS_MIN};
use crate::words::Value;

/// Longest distance of keyframes, seconds.
const KEYFRAME_S_MAX: f32 = 4.0;
/// Shortest that is not a waste, seconds.
const KEYFRAME_S_MIN: f32 = 0.9;
/// The longest GOP may be this many times the shortest.
const GOP_RATIO_MAX: f32 = 1.5;
/// Frames a second of a substream.
const SUBSTREAM_FPS_MAX: f32 = 15.5;
const FPS_MIN: f32 = 5.0;
/// Share of the claimed frames that must come.
const FPS_SHARE_MIN: f32 = 0.8;
/// Pixels of a substream: those of 704 by 576.
const SUBSTREAM_PIXELS_MAX: u64 = 704 * 576;
/// Pixels below which a picture is small: those of 352 by 288.
const PIXELS_MIN: u64 = 352 * 288;
const SUBSTREAM_KBIT_S_MAX: u32 = 768;
const MAIN_KBIT_S_MAX: u32 = 4_608;
const KBIT_S_MIN: u32 = 150;
/// Hours of live view a month that a quota must suffice for: one a day.
const LIVE_HOURS_MIN: u64 = 30;
/// The clock may be this far off, milliseconds. As in the camera's health.
const CLOCK_MS_MAX: u64 = 5_000;

/// Every rule's finding, if it has one.
pub fn all(facts: &StreamFacts) -> [Option<Finding>; 10] {
    [
        Some(codec(facts)),
        keyframes(facts),
        smart_codec(facts),
        b_frames(facts),
        frame_rate(facts),
        Some(resolution(facts)),
        bitrate(facts),
        clock(facts),
        Some(transport(facts)),
        Some(audio(facts)),
    ]
}

fn codec(facts: &StreamFacts) -> Finding {
    let name = |name: &str| [Value::Name(name.to_owned())];
    match (&facts.codec, facts.role) {
        (Codec::H264 { profile }, _) => {
            let is_usual = [
                "baseline",
                "constrained-baseline",
                "main",
                "high",
                "constrained-high",
                "progressive-high",
            ]
            .contains(&profile.to_ascii_lowercase().as_str());
            let words = if is_usual {
                words::CODEC_GOOD
            } else {
                words::CODEC_H264_UNUSUAL
            };
            words.with(&name(profile))
        }
        (Codec::H265, Role::Substream) => words::CODEC_H265_SUBSTREAM.with(&[]),
        (Codec::H265, Role::Main) => words::CODEC_H265_MAIN.with(&[]),
    }
}

fn keyframes(facts: &StreamFacts) -> Option<Finding> {
    let Some(gops) = facts.gops else {
        let watched = facts.watched.as_secs_f32();
        // A shorter look says nothing about keyframes.
        return (watched > 2.0 * KEYFRAME_S_MAX).then(|| words::KEYFRAMES_MISSING.with(&[Value::Tenths(watched)]));
    };
    let longest = gops.longest.as_secs_f32();
    let words = if longest > KEYFRAME_S_MAX {
        words::KEYFRAMES_RARE
    } else if longest < KEYFRAME_S_MIN {
        words::KEYFRAMES_FREQUENT
    } else {
        words::KEYFRAMES_GOOD
    };
    Some(words.with(&[Value::Tenths(longest), Value::Whole(gops.frames.into())]))
}

fn smart_codec(facts: &StreamFacts) -> Option<Finding> {
    let gops = facts.gops?;
    let (shortest, longest) = (gops.shortest.as_secs_f32(), gops.longest.as_secs_f32());
    (longest > shortest * GOP_RATIO_MAX)
        .then(|| words::SMART_CODEC_LIKELY.with(&[Value::Tenths(shortest), Value::Tenths(longest)]))
}

fn b_frames(facts: &StreamFacts) -> Option<Finding> {
    let words = if facts.has_b_frames? {
        words::B_FRAMES
    } else {
        words::B_FRAMES_NONE
    };
    Some(words.with(&[]))
}

fn frame_rate(facts: &StreamFacts) -> Option<Finding> {
    let sane = |fps: Option<f32>| fps.filter(|fps| fps.is_finite() && *fps > 0.0);
    let measured = sane(facts.fps_measured)?;
    if let Some(nominal) = sane(facts.fps_nominal).filter(|nominal| measured < nominal * FPS_SHARE_MIN) {
        return Some(words::FRAME_RATE_LESS_THAN_SET.with(&[Value::Tenths(measured), Value::Tenths(nominal)]));
    }
    let words = if facts.role == Role::Substream && measured > SUBSTREAM_FPS_MAX {
        words::FRAME_RATE_HIGH
    } else if measured < FPS_MIN {
        words::FRAME_RATE_LOW
    } else {
        words::FRAME_RATE_GOOD
    };
    Some(words.with(&[Value::Tenths(measured)]))
}

fn resolution(facts: &StreamFacts) -> Finding {
    let pixels = u64::from(facts.width) * u64::from(facts.height);
    let is_supported = [facts.width, facts.height]
        .into_iter()
        .all(|side| usize::try_from(side).is_ok_and(|side| (SIDE_PIXELS_MIN..=SIDE_PIXELS_MAX).contains(&side)));
    let words = if !is_supported {
        words::RESOLUTION_ODD
    } else if facts.role == Role::Substream && pixels > SUBSTREAM_PIXELS_MAX {
        words::RESOLUTION_LARGE_SUBSTREAM
    } else if pixels < PIXELS_MIN {
        words::RESOLUTION_SMALL
    } else {
        words::RESOLUTION_GOOD
    };
    words.with(&[Value::Whole(facts.width.into()), Value::Whole(facts.height.into())])
}

/// Megabytes that a stream is in an hour.
fn mb_an_hour(kbit_s: u32) -> u64 {
    u64::from(kbit_s) * 3_600 / 8 / 1_000
}

fn bitrate(facts: &StreamFacts) -> Option<Finding> {
    let kbit_s = facts.bitrate_kbit_s?;
    let whole = |number: u64| Value::Whole(i64::try_from(number).unwrap_or(i64::MAX));
    let an_hour = mb_an_hour(kbit_s);
    let numbers = [whole(kbit_s.into()), whole(an_hour)];
    let hours = facts
        .quota_mb_month
        .map(|quota| (quota, u64::from(quota) / an_hour.max(1)));
    if let (Role::Substream, Some((quota, hours))) = (facts.role, hours)
        && hours < LIVE_HOURS_MIN
    {
        let [kbit_s, an_hour] = numbers;
        return Some(words::BITRATE_QUOTA.with(&[kbit_s, an_hour, whole(quota.into()), whole(hours)]));
    }
    let most = match facts.role {
        Role::Main => MAIN_KBIT_S_MAX,
        Role::Substream => SUBSTREAM_KBIT_S_MAX,
    };
    Some(if kbit_s > most {
        words::BITRATE_HIGH.with(&numbers)
    } else if kbit_s < KBIT_S_MIN {
        words::BITRATE_LOW.with(&numbers)
    } else {
        words::BITRATE_GOOD.with(&numbers)
    })
}

fn clock(facts: &StreamFacts) -> Option<Finding> {
    let offset_ms = facts.clock_offset_ms?;
    let is_good = offset_ms.unsigned_abs() <= CLOCK_MS_MAX;
    let words = if is_good { words::CLOCK_GOOD } else { words::CLOCK_WRONG };
    let tenths = i32::try_from(offset_ms / 100)
        .ok()
        .and_then(|tenths| i16::try_from(tenths).ok());
    // From an hour on, tenths of a second are no matter.
    let offset = tenths.map_or(Value::Whole(offset_ms / 1_000), |tenths| {
        Value::Tenths(f32::from(tenths) / 10.0)
    });
    Some(words.with(&[offset]))
}

fn transport(facts: &StreamFacts) -> Finding {
    let words = match facts.transport {
        Transport::Tcp => words::TRANSPORT_TCP,
        Transport::Udp => words::TRANSPORT_UDP,
    };
    words.with(&[])
}

fn audio(facts: &StreamFacts) -> Finding {
    let words = if facts.has_audio {
        words::AUDIO
    } else {
        words::AUDIO_NONE
    };
    words.with(&[])
}
