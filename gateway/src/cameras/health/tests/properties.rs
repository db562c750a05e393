//! Whatever comes in, in whatever order: no panic, finite numbers, bounded records.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use crate::cameras::picture::{BLOCKS, Features, Grid};

fn grid() -> impl Strategy<Value = Grid> {
    let mixed = any::<u64>().prop_map(|seed| {
        let values: Vec<u8> = (0..BLOCKS as u64)
            .map(|index| (index.wrapping_mul(seed | 1) >> 11).to_le_bytes()[0])
            .collect();
        Grid::from_bytes(&values).unwrap()
    });
    prop_oneof![any::<u8>().prop_map(Grid::filled), mixed]
}

fn features() -> impl Strategy<Value = Box<Features>> {
    let reals = (any::<f32>(), any::<f32>(), any::<f32>(), any::<f32>());
    (grid(), grid(), grid(), reals, any::<(u8, u8)>()).prop_map(|(thumbnail, edges, pixels, reals, (dark, bright))| {
        Box::new(Features {
            thumbnail,
            edges,
            pixels,
            mean: reals.0,
            deviation: reals.1,
            dark,
            bright,
            detail: reals.2,
            focus: reals.3,
        })
    })
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..100_000_u64).prop_map(Duration::from_millis),
        any::<u64>().prop_map(Duration::from_secs),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let counts = any::<(u32, u32, u32, u32)>();
    let times = (
        prop::option::of(time()),
        prop::option::of(time()),
        prop::option::of(time()),
    );
    let statistics = (counts, times).prop_map(|((frames, bytes, keyframes, keyframe_bytes), times)| {
        Event::Statistics(Statistics {
            frames,
            bytes,
            keyframes,
            keyframe_bytes,
            between_bytes: None,
            between_bytes_max: 0,
            gop: times.0,
            last_frame: times.1,
            last_keyframe: times.2,
        })
    });
    let failure = prop::sample::select(vec![
        Failure::Refused,
        Failure::AuthFailed,
        Failure::Stalled,
        Failure::Ended,
        Failure::NoKeyframes,
    ]);
    let picture = (time(), features()).prop_map(|(stream_time, features)| Event::Picture { stream_time, features });
    let quality = prop::sample::select(vec![ClockQuality::Trusted, ClockQuality::Untrusted]);
    prop_oneof![
        1 => Just(Event::Connecting),
        3 => Just(Event::Playing),
        2 => failure.prop_map(Event::Failed),
        6 => statistics,
        6 => picture,
        1 => (any::<i64>(), quality).prop_map(|(offset_ms, quality)| Event::CameraClock { offset_ms, quality }),
        1 => Just(Event::ViewAccepted),
        1 => Just(Event::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_survives_everything(
        events in prop::collection::vec((time(), prop::option::of(0..30_u8), event()), 1..60),
    ) {
        let start = Now { mono: Duration::ZERO, hour: None };
        let mut machine = HealthMachine::new(start, Baseline::default());
        for (mono, hour, event) in events {
            let now = Now { mono, hour: hour.and_then(HourOfDay::new) };
            for effect in machine.step(now, event) {
                if let Effect::Record(Record::CameraTampered { evidence, .. }) = effect {
                    prop_assert!(evidence.iter().all(|evidence| evidence.value.is_finite()));
                }
            }
            let health = machine.health();
            prop_assert!(health.evidence.iter().all(|evidence| evidence.value.is_finite() && evidence.limit.is_finite()));
        }
        let kept = serde_json::to_string(machine.baseline()).unwrap();
        prop_assert!(!kept.contains("null,"), "{kept}");
        let back: Baseline = serde_json::from_str(&kept).unwrap();
        prop_assert_eq!(serde_json::to_string(&back).unwrap().len() < 64_000, true);
    }

    #[test]
    fn records_stay_within_their_bound(lapses in prop::collection::vec(0..400_u64, 1..200)) {
        let mut machine = HealthMachine::new(Now { mono: Duration::ZERO, hour: None }, Baseline::default());
        let mut now = Duration::from_secs(1);
        let mut written: Vec<Duration> = Vec::new();
        for (turn, lapse) in lapses.into_iter().enumerate() {
            now += Duration::from_secs(lapse);
            let event = if turn % 2 == 0 {
                Event::Failed(Failure::AuthFailed)
            } else {
                Event::Playing
            };
            let statistics = Statistics { frames: 12, keyframes: 1, keyframe_bytes: 9, bytes: 90, ..Statistics::default() };
            for event in [event, Event::Statistics(statistics)] {
                for effect in machine.step(Now { mono: now, hour: None }, event) {
                    if matches!(effect, Effect::Record(_)) {
                        written.push(now);
                    }
                }
            }
        }
        // An hour of the machine begins with its first record, so an hour anywhere may touch two of them.
        let bound = usize::try_from(2 * (RECORDS_PER_HOUR_MAX + 2)).unwrap();
        for (index, start) in written.iter().enumerate() {
            let hour = written[index..].iter().take_while(|at| at.abs_diff(*start) < Duration::from_secs(3_600)).count();
            prop_assert!(hour <= bound, "{hour} records");
        }
    }
}
