//! Faults of the picture: named within 8 s, gone within 5 s, and nothing else.

use std::time::Duration;

use super::super::frozen::FrozenWatch;
use super::super::*;
use super::rig::{Camera, Rig, at_s};
use super::scene::{Scene, View};

const NAMED_MAX: Duration = Duration::from_secs(8);
const GONE_MAX: Duration = Duration::from_secs(5);

fn rig() -> Rig {
    Rig::known(Scene::new(1), View::noon)
}

/// Runs a fault for 30 s that begins `offset` seconds after a moment when both a keyframe and a decoding are due, and
/// gives the numbers behind it.
fn fault(rig: &mut Rig, offset: f64, state: State, during: impl Fn(u64, u64) -> Camera) -> Vec<Evidence> {
    let live = |number| Camera::Live(View::noon(number));
    let phase = rig.now().as_secs_f64() % 4.0;
    rig.run(8.0 - phase + offset, live);
    assert_eq!(rig.machine.health().state, State::Up, "{:?}", rig.changes);
    let (began, first) = (rig.now(), u64::try_from(rig.now().as_millis() / 100).unwrap());
    rig.run(30.0, |number| during(first, number));
    let named = rig.named_after(state, began);
    assert!(
        named.is_some_and(|after| after <= NAMED_MAX),
        "offset {offset}: {named:?} {:?}",
        rig.changes
    );
    let evidence = rig.machine.health().evidence.clone();
    let ended = rig.now();
    rig.run(20.0, live);
    let gone = rig.named_after(State::Up, ended);
    assert!(
        gone.is_some_and(|after| after <= GONE_MAX),
        "offset {offset}: {gone:?} {:?}",
        rig.changes
    );
    let states: Vec<State> = rig.changes.iter().map(|(_, health)| health.state).collect();
    assert_eq!(states, [state, State::Up], "offset {offset}");
    assert!(!evidence.is_empty());
    rig.changes.clear();
    evidence
}

/// At every phase of keyframes and decoding.
fn at_every_phase(state: State, during: impl Fn(u64, u64) -> Camera + Copy) -> Vec<Evidence> {
    let mut rig = rig();
    let mut evidence = Vec::new();
    for offset in [0.0, 0.3, 1.1, 1.9, 2.3, 3.9] {
        evidence = fault(&mut rig, offset, state, during);
    }
    evidence
}

#[test]
fn a_covered_lens_is_black() {
    let covered = |_, number| {
        Camera::Live(View {
            covered: true,
            ..View::noon(number)
        })
    };
    let evidence = at_every_phase(State::Black, covered);
    assert_eq!(evidence[0].measure, Measure::Mean);
    assert!(evidence[0].value < evidence[0].limit);
}

#[test]
fn a_camera_that_encodes_one_picture_again_and_again_is_frozen_although_its_clock_goes_on() {
    // The numbers of the pictures differ, so captions do; noise and vehicles are those of the first.
    let stuck = |first, _| Camera::Stuck(View::noon(first));
    at_every_phase(State::Frozen, stuck);
}

#[test]
fn a_frozen_picture_has_its_name_in_time_at_every_phase_and_however_unevenly_pictures_are_made() {
    // Up to a second each, as on a machine that is busy with other things.
    let lags: [fn(u64) -> u64; 3] = [|_| 2, |_| 9, |tick| if tick / 20 % 2 == 0 { 9 } else { 1 }];
    let mut rig = rig();
    for lag in lags {
        rig.lag = lag;
        for tenths in 0..20_u32 {
            let stuck = |first, _| Camera::Refined(View::noon(first), 0.0);
            fault(&mut rig, f64::from(tenths) / 10.0, State::Frozen, stuck);
        }
    }
}

#[test]
fn one_coarse_keyframe_costs_a_frozen_picture_its_name_in_no_phase() {
    let mut rig = rig();
    for coarse in 1..4_u64 {
        for tenths in [0, 1, 5, 9, 13, 18, 19_u32] {
            let stuck = |first, number| {
                let is_coarse = number / 20 == first / 20 + coarse;
                Camera::Refined(View::noon(first), if is_coarse { 4.0 } else { 0.0 })
            };
            fault(&mut rig, f64::from(tenths) / 10.0, State::Frozen, stuck);
        }
    }
}

#[test]
fn a_source_that_repeats_its_pictures_twice_a_second_is_frozen_as_soon() {
    let picture = Scene::new(1).measured(&View::noon(7));
    for keyframes_ms in [250, 500, 1_000, 1_900, 4_000] {
        let mut watch = FrozenWatch::default();
        let told = (0..100_u64).map(|number| number * keyframes_ms).find(|at_ms| {
            let at = Duration::from_millis(*at_ms);
            watch.compare(at, &picture, None).is_frozen
        });
        assert_eq!(
            told,
            Some(told_after(keyframes_ms)),
            "a keyframe every {keyframes_ms} ms"
        );
    }
}

#[test]
fn a_freeze_begins_with_its_first_picture_and_not_with_the_quiet_night_before() {
    let scene = Scene::new(1);
    let quiet = Some(Duration::from_secs(60));
    let mut watch = FrozenWatch::default();
    for second in (0..20).step_by(2) {
        let alive = View {
            noise: 5.0,
            ..View::noon(second)
        };
        let alive = View { traffic: 0, ..alive };
        let told = watch.compare(Duration::from_secs(second), &scene.measured(&alive), quiet);
        assert!(!told.is_frozen, "{second} s: {told:?}");
    }
    let stuck = scene.measured(&View {
        traffic: 0,
        ..View::noon(20)
    });
    assert!(!watch.compare(Duration::from_secs(20), &stuck, quiet).is_frozen);
    let told = watch.compare(Duration::from_secs(22), &stuck, quiet);
    assert!(told.is_frozen, "{told:?}");
    assert_eq!(told.since, Duration::from_secs(20));
}

/// Three pictures at least 1.8 s apart.
fn told_after(keyframes_ms: u64) -> u64 {
    2 * 1_800_u64.div_ceil(keyframes_ms) * keyframes_ms
}

#[test]
fn a_source_that_repeats_its_last_pictures_is_frozen() {
    at_every_phase(State::Frozen, |first, _| Camera::Looped(View::noon(first)));
}

#[test]
fn a_dirty_lens_is_blurred() {
    for blur in [5, 9, 14] {
        let dirty = |_, number| {
            Camera::Live(View {
                blur,
                ..View::noon(number)
            })
        };
        let evidence = fault(&mut rig(), 1.1, State::Blurred, dirty);
        assert_eq!(evidence[0].measure, Measure::DetailShare);
    }
}

#[test]
fn a_camera_that_was_turned_by_a_tenth_to_a_third_has_moved() {
    for turned in [(0.10, 0.0), (-0.2, 0.05), (0.3, 0.0), (0.05, 0.15), (-0.3, -0.2)] {
        let elsewhere = |_, number| {
            Camera::Live(View {
                turned,
                ..View::noon(number)
            })
        };
        let evidence = fault(&mut rig(), 1.1, State::Moved, elsewhere);
        assert_eq!(evidence[0].measure, Measure::EdgeCorrelation, "{turned:?}");
        assert!(evidence[0].to_string().starts_with("edge_correlation "), "{evidence:?}");
    }
}

#[test]
fn a_new_view_that_a_technician_accepts_is_the_reference() {
    let mut rig = rig();
    let elsewhere = |number| {
        Camera::Live(View {
            turned: (0.25, 0.0),
            ..View::noon(number)
        })
    };
    rig.run(20.0, elsewhere);
    assert_eq!(rig.machine.health().state, State::Moved);
    rig.event(Event::ViewAccepted);
    assert_eq!(rig.machine.health().state, State::Up);
    rig.run(300.0, elsewhere);
    assert_eq!(rig.machine.health().state, State::Up);
    let first = 1_000;
    rig.run(20.0, |number| Camera::Live(View::noon(first + number)));
    assert_eq!(rig.machine.health().state, State::Moved);
}

#[test]
fn vehicles_rain_noise_and_changing_light_are_no_faults() {
    let mut rig = rig();
    let noon = View::noon;
    let bus = |number| View {
        bus: Some((0.3, 0.34)),
        ..noon(number)
    };
    let rain = |number| View {
        rain: 0.25,
        noise: 4.0,
        ..noon(number)
    };
    let noisy = |number| View {
        noise: 9.0,
        ..noon(number)
    };
    let cloud = |number| View {
        light: 0.45,
        sun: 0.0,
        ..noon(number)
    };
    let sun = |number| View {
        light: 1.15,
        sun: 0.8,
        ..noon(number)
    };
    let still = |number| View {
        traffic: 7,
        noise: 0.8,
        ..noon(number)
    };
    let views: [&dyn Fn(u64) -> View; 6] = [&bus, &rain, &noisy, &cloud, &sun, &still];
    for view in views {
        rig.run(60.0, |number| Camera::Live(view(number)));
        rig.run(60.0, |number| Camera::Live(noon(number)));
        assert_eq!(rig.changes, [], "{:?}", view(0));
    }
}

#[test]
fn a_lorry_that_crosses_right_before_the_lens_within_four_seconds_is_no_fault() {
    let mut rig = rig();
    for offset in [0.0, 0.7, 1.3, 2.9] {
        rig.run(20.0 + offset, |number| Camera::Live(View::noon(number)));
        let start = rig.now();
        rig.run(4.0, |number| {
            let share = Duration::from_millis(number * 100).abs_diff(start).as_secs_f32() / 4.0;
            let bus = Some((share * 1.95 - 0.95, 0.95));
            Camera::Live(View {
                bus,
                ..View::noon(number)
            })
        });
    }
    rig.run(20.0, |number| Camera::Live(View::noon(number)));
    assert_eq!(rig.changes, []);
}

#[test]
fn a_dark_street_with_lamps_is_not_black_and_a_quiet_one_is_not_frozen() {
    let night = |number| View {
        light: 0.0,
        traffic: 5,
        noise: 1.2,
        ..View::noon(number)
    };
    let mut rig = Rig::known(Scene::new(2), night);
    rig.run(120.0, |number| Camera::Live(night(number)));
    assert_eq!(rig.changes, []);
}

#[test]
fn nothing_is_said_of_detail_and_view_before_a_baseline_is_learnt() {
    let mut rig = Rig::new(Scene::new(1), Baseline::default());
    rig.run(20.0, |number| Camera::Live(View::noon(number)));
    rig.changes.clear();
    rig.run(30.0, |number| {
        Camera::Live(View {
            blur: 9,
            ..View::noon(number)
        })
    });
    assert_eq!(rig.changes, []);
}

#[test]
fn a_baseline_that_was_kept_serves_after_a_restart() {
    let mut rig = rig();
    rig.run(10.0, |number| Camera::Live(View::noon(number)));
    let kept = serde_json::to_string(rig.machine.baseline()).unwrap();
    assert!(kept.len() < 40_000, "{}", kept.len());
    let mut rig = Rig::new(Scene::new(1), serde_json::from_str(&kept).unwrap());
    rig.run(30.0, |number| {
        Camera::Live(View {
            blur: 9,
            ..View::noon(number)
        })
    });
    assert_eq!(rig.machine.health().state, State::Blurred);
    rig.run(30.0, |number| {
        Camera::Live(View {
            turned: (0.2, 0.0),
            ..View::noon(number)
        })
    });
    assert_eq!(rig.machine.health().state, State::Moved);
}

#[test]
fn a_healthy_camera_costs_hardly_any_extra_picture() {
    let mut rig = rig();
    rig.run(600.0, |number| Camera::Live(View::noon(number)));
    assert!(rig.requests <= 3, "{} requests", rig.requests);
}

#[test]
fn tampering_is_written_down_once_with_its_start_and_its_end() {
    let mut rig = rig();
    rig.run(10.0, |number| Camera::Live(View::noon(number)));
    let began = rig.now();
    let covered = |number| {
        Camera::Live(View {
            covered: true,
            ..View::noon(number)
        })
    };
    rig.run(120.0, covered);
    rig.run(60.0, |number| Camera::Live(View::noon(number)));
    assert_eq!(rig.kinds(), ["black", "restored"]);
    let Record::CameraTampered { since, .. } = rig.records[0].1 else {
        panic!("{:?}", rig.records)
    };
    assert!((began..began + at_s(5.0)).contains(&since), "{since:?}");
}

#[test]
fn a_lens_that_is_covered_every_minute_fills_no_more_than_six_records_an_hour() {
    let mut rig = rig();
    for _ in 0..50 {
        for covered in [true, false] {
            rig.run(30.0, |number| {
                Camera::Live(View {
                    covered,
                    ..View::noon(number)
                })
            });
        }
    }
    assert_eq!(
        rig.kinds(),
        ["black", "restored"].repeat(3),
        "of 100 changes in 50 minutes"
    );
    rig.run(900.0, |number| Camera::Live(View::noon(number)));
    assert_eq!(rig.kinds()[6..], ["unsteady 94"]);
}

#[test]
fn what_was_found_stays_found_while_the_stream_is_away() {
    let mut rig = rig();
    let covered = |number| {
        Camera::Live(View {
            covered: true,
            ..View::noon(number)
        })
    };
    rig.run(20.0, covered);
    rig.run(20.0, |_| Camera::Silent);
    assert_eq!(rig.machine.health().state, State::Stalled);
    rig.run(2.0, covered);
    assert_eq!(rig.machine.health().state, State::Black);
    assert_eq!(rig.kinds(), ["black", "lost", "restored", "black"]);
    rig.run(20.0, |number| Camera::Live(View::noon(number)));
    assert_eq!(rig.kinds()[4..], ["restored"]);
}
