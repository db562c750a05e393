//! What is found on streams, good and bad.

use std::time::Duration;

use proptest::prelude::*;

use super::findings;
use super::*;
use crate::words::Language;

fn good() -> StreamFacts {
    StreamFacts {
        role: Role::Substream,
        codec: Codec::H264 {
            profile: "main".to_owned(),
        },
        width: 640,
        height: 360,
        fps_measured: Some(12.4),
        fps_nominal: Some(12.5),
        gops: Some(Gops {
            frames: 25,
            shortest: Duration::from_millis(1_980),
            longest: Duration::from_millis(2_020),
        }),
        watched: Duration::from_secs(20),
        has_b_frames: Some(false),
        bitrate_kbit_s: Some(512),
        clock_offset_ms: Some(-340),
        transport: Transport::Tcp,
        has_audio: false,
        quota_mb_month: Some(20_000),
    }
}

/// The findings that ask for a change, in English.
fn changes(facts: &StreamFacts) -> Vec<(Subject, Severity, String)> {
    audit(facts)
        .into_iter()
        .filter(|finding| finding.severity != Severity::Ok)
        .map(|finding| {
            (
                finding.subject,
                finding.severity,
                finding.what.in_(Language::English).to_owned(),
            )
        })
        .collect()
}

#[test]
fn a_stream_as_recommended_has_only_good_findings() {
    let findings = audit(&good());
    assert_eq!(changes(&good()), []);
    assert_eq!(findings.len(), 9, "all but smart codec, of which nothing was seen");
    let bitrate = findings
        .iter()
        .find(|finding| finding.subject == Subject::Bitrate)
        .unwrap();
    assert_eq!(bitrate.what.in_(Language::Indonesian), "512 kbit/s: 230 MB per jam");
}

/// Checks that this one deviation from a good stream has this finding and no other, with something to change.
fn check(deviate: impl FnOnce(&mut StreamFacts), subject: Subject, severity: Severity, what: &str) {
    let mut facts = good();
    deviate(&mut facts);
    assert_eq!(changes(&facts), [(subject, severity, what.to_owned())]);
    assert!(audit(&facts)[0].change.is_some(), "{what}");
}

fn gops(frames: u32, shortest: u64, longest: u64) -> Gops {
    let (shortest, longest) = (Duration::from_millis(shortest), Duration::from_millis(longest));
    Gops {
        frames,
        shortest,
        longest,
    }
}

#[test]
fn each_deviation_of_the_compression_is_found_alone_and_says_what_to_change() {
    use Severity::{Advice, Problem};
    use Subject::{BFrames, Keyframes, SmartCodec};
    let profile = "high-4:4:4".to_owned();
    check(
        |facts| facts.codec = Codec::H265,
        Subject::Codec,
        Problem,
        "H.265 on the substream",
    );
    let what = "H.264 with profile high-4:4:4";
    check(
        |facts| facts.codec = Codec::H264 { profile },
        Subject::Codec,
        Problem,
        what,
    );
    let what = "A keyframe only every 8.0 s (100 frames)";
    check(
        |facts| facts.gops = Some(gops(100, 8_000, 8_000)),
        Keyframes,
        Problem,
        what,
    );
    let what = "A keyframe every 0.4 s (5 frames)";
    check(|facts| facts.gops = Some(gops(5, 400, 400)), Keyframes, Advice, what);
    check(
        |facts| facts.gops = None,
        Keyframes,
        Problem,
        "Fewer than two keyframes in 20.0 s",
    );
    let what = "The distance of keyframes varies: 1.0 to 3.9 s";
    check(
        |facts| facts.gops = Some(gops(48, 1_000, 3_900)),
        SmartCodec,
        Advice,
        what,
    );
    check(
        |facts| facts.has_b_frames = Some(true),
        BFrames,
        Problem,
        "There are B-frames",
    );
}

#[test]
fn each_deviation_of_the_numbers_is_found_alone_and_says_what_to_change() {
    use Severity::{Advice, Problem};
    use Subject::{Bitrate, Clock, FrameRate, Resolution};
    let fps = |measured, nominal| {
        move |facts: &mut StreamFacts| (facts.fps_measured, facts.fps_nominal) = (Some(measured), nominal)
    };
    let size = |width, height| move |facts: &mut StreamFacts| (facts.width, facts.height) = (width, height);
    let clock = |offset| move |facts: &mut StreamFacts| facts.clock_offset_ms = Some(offset);
    let kbit_s = |bitrate| move |facts: &mut StreamFacts| facts.bitrate_kbit_s = Some(bitrate);
    check(
        fps(25.0, None),
        FrameRate,
        Advice,
        "25.0 frames a second on the substream",
    );
    check(fps(2.0, Some(2.0)), FrameRate, Advice, "Only 2.0 frames a second");
    let what = "6.0 frames a second, though the camera says 12.5";
    check(fps(6.0, Some(12.5)), FrameRate, Problem, what);
    check(
        size(1_280, 720),
        Resolution,
        Advice,
        "1280 x 720 pixels on the substream",
    );
    check(size(176, 144), Resolution, Advice, "Only 176 x 144 pixels");
    check(size(0, 360), Resolution, Problem, "0 x 360 pixels");
    check(kbit_s(1_000), Bitrate, Advice, "1000 kbit/s: 450 MB an hour");
    check(kbit_s(64), Bitrate, Advice, "Only 64 kbit/s");
    let what = "512 kbit/s: 230 MB an hour; the quota of 5000 MB a month is gone after 21 hours of live view";
    check(|facts| facts.quota_mb_month = Some(5_000), Bitrate, Problem, what);
    check(clock(25_200_000), Clock, Problem, "The camera's clock is 25200 s off");
    check(clock(-8_100), Clock, Problem, "The camera's clock is -8.1 s off");
}

#[test]
fn datagrams_and_sound_are_advised_against() {
    use Severity::Advice;
    check(
        |facts| facts.transport = Transport::Udp,
        Subject::Transport,
        Advice,
        "RTSP over UDP",
    );
    check(
        |facts| facts.has_audio = true,
        Subject::Audio,
        Advice,
        "The camera offers sound",
    );
}

#[test]
fn a_main_stream_may_be_large_and_in_h265() {
    let main = StreamFacts {
        role: Role::Main,
        codec: Codec::H265,
        width: 2_560,
        height: 1_440,
        fps_measured: Some(25.0),
        fps_nominal: Some(25.0),
        bitrate_kbit_s: Some(4_096),
        ..good()
    };
    assert_eq!(
        changes(&main),
        [(Subject::Codec, Severity::Advice, "H.265 on the main stream".to_owned())]
    );
}

#[test]
fn problems_come_before_advice_and_advice_before_what_is_good() {
    let facts = StreamFacts {
        has_audio: true,
        has_b_frames: Some(true),
        ..good()
    };
    let severities: Vec<Severity> = audit(&facts).iter().map(|finding| finding.severity).collect();
    assert_eq!(severities[..3], [Severity::Problem, Severity::Advice, Severity::Ok]);
    assert!(severities.is_sorted());
}

#[test]
fn what_was_not_measured_is_not_judged() {
    let facts = StreamFacts {
        fps_measured: None,
        gops: None,
        watched: Duration::from_secs(3),
        has_b_frames: None,
        bitrate_kbit_s: None,
        clock_offset_ms: None,
        ..good()
    };
    assert_eq!(audit(&facts).len(), 4);
}

#[test]
fn every_finding_has_both_languages_with_the_same_places_and_a_change_unless_it_is_good() {
    for (name, words) in findings::ALL {
        for text in words.texts() {
            let (id, en) = text.places();
            assert_eq!(id, en, "{name}");
            assert!(!text.id.is_empty() && !text.en.is_empty(), "{name}");
        }
        assert_eq!(words.texts().len() == 2, words.severity == Severity::Ok, "{name}");
    }
}

proptest! {
    #[test]
    fn no_numbers_lead_to_a_panic_or_to_a_number_that_cannot_be_read(
        sides in any::<(u32, u32)>(),
        fps in any::<(f32, f32)>(),
        times in any::<(u64, u64, u64)>(),
        bytes in any::<(u32, u32)>(),
        clock_offset_ms in any::<i64>(),
    ) {
        let facts = StreamFacts {
            width: sides.0,
            height: sides.1,
            fps_measured: Some(fps.0),
            fps_nominal: Some(fps.1),
            gops: Some(Gops {
                frames: bytes.0,
                shortest: Duration::from_secs(times.0),
                longest: Duration::from_secs(times.1),
            }),
            watched: Duration::from_secs(times.2),
            bitrate_kbit_s: Some(bytes.0),
            quota_mb_month: Some(bytes.1),
            clock_offset_ms: Some(clock_offset_ms),
            ..good()
        };
        for finding in audit(&facts) {
            let what = finding.what.in_(Language::English);
            prop_assert!(!what.contains("NaN") && !what.contains("inf") && !what.contains("{}"), "{}", what);
        }
    }
}
