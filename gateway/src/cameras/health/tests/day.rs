//! A whole day of changing light, traffic, rain and lamps without any alarm.

use std::time::Duration;

use super::super::*;
use super::rig::{Camera, Rig};
use super::scene::{Scene, View, chance};

/// The view at a second of the day: dusk and dawn as near the equator, rain from three to four, IR noise at night.
fn view(second: u64, number: u64) -> View {
    let hour = Duration::from_secs(second).as_secs_f32() / 3_600.0;
    let sun = ((hour - 12.0) / 6.2).clamp(-1.0, 1.0);
    let height = (1.0 - sun * sun).max(0.0).sqrt();
    let cloud = 0.75 + 0.25 * (hour * 3.0).sin();
    let is_raining = (15.0..16.0).contains(&hour);
    let light = (height * 1.4).min(1.0) * cloud;
    View {
        light,
        sun: if light > 0.1 { sun } else { 0.0 },
        rain: if is_raining { 0.2 } else { 0.0 },
        noise: 1.5 + 3.0 * (1.0 - light).powi(3),
        bus: (chance(second / 120) > 0.8).then(|| (chance(second / 120 + 1) * 0.6, 0.33)),
        traffic: second / 7,
        ..View::noon(number)
    }
}

#[test]
fn a_day_of_light_dark_rain_and_buses_raises_no_alarm() {
    let mut rig = Rig::new(Scene::new(3), Baseline::default());
    // From six in the morning to ten the next day, a picture a minute.
    for minute in 0..28 * 60_u64 {
        let second = (6 * 3_600 + minute * 60) % 86_400;
        rig.set_hour(u8::try_from(second / 3_600).unwrap());
        rig.run_sparsely(60, |tick| Camera::Live(view(second, tick)));
    }
    let states: Vec<State> = rig.changes.iter().map(|(_, health)| health.state).collect();
    assert_eq!(states, [State::Up], "{:?}", rig.changes);
    assert_eq!(rig.records, []);
}

#[test]
fn at_night_after_a_day_of_learning_faults_are_still_found() {
    let mut rig = Rig::new(Scene::new(3), Baseline::default());
    for minute in 0..40 * 12_u64 {
        let second = (6 * 3_600 + minute * 300) % 86_400;
        rig.set_hour(u8::try_from(second / 3_600).unwrap());
        rig.run_sparsely(300, |tick| Camera::Live(view(second, tick)));
    }
    rig.set_hour(22);
    let night = |tick| view(22 * 3_600, tick);
    for _ in 0..40 {
        rig.run_sparsely(30, |tick| Camera::Live(night(tick)));
    }
    assert_eq!(rig.machine.health().state, State::Up, "{:?}", rig.changes);
    let faults: [(State, &dyn Fn(u64) -> View); 3] = [
        (State::Blurred, &|tick| View { blur: 9, ..night(tick) }),
        (State::Moved, &|tick| View {
            turned: (0.2, 0.0),
            ..night(tick)
        }),
        (State::Black, &|tick| View {
            covered: true,
            ..night(tick)
        }),
    ];
    for (state, bad) in faults {
        rig.run(20.0, |tick| Camera::Live(bad(tick)));
        assert_eq!(rig.machine.health().state, state, "{:?}", rig.changes.last());
        rig.run(20.0, |tick| Camera::Live(night(tick)));
        assert_eq!(rig.machine.health().state, State::Up, "{:?}", rig.changes.last());
    }
}
