//! Timetables of hints: which sizes of frames open a look, and when they do not.

use std::time::Duration;

use super::super::event::Statistics;
use super::super::hints::Hints;

/// Hints of a camera, second after second.
#[derive(Default)]
struct Street {
    hints: Hints,
    second: u64,
}

impl Street {
    fn now(&self) -> Duration {
        Duration::from_secs(self.second)
    }

    /// One second with a keyframe in every second one; sizes in bytes.
    fn second(&mut self, keyframe: u32, between: u32, largest: u32) {
        self.second += 1;
        let keyframes = u32::try_from(self.second % 2).unwrap();
        // Living encoders never give two keyframes of one size.
        let keyframe = keyframe + u32::try_from(self.second % 7).unwrap();
        let statistics = Statistics {
            frames: 12,
            keyframes,
            bytes: keyframes * keyframe + (12 - keyframes) * between,
            keyframe_bytes: keyframes * keyframe,
            between_bytes: Some(between),
            between_bytes_max: largest,
            gop: Some(Duration::from_secs(2)),
            last_frame: None,
            last_keyframe: None,
        };
        self.hints.counted(self.now(), &statistics, true);
    }

    fn usual(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.second(20_000, 3_000, 4_000);
        }
    }

    /// Looks at pictures in which nothing is wrong, until no more are asked for.
    fn look(&mut self) -> u32 {
        let mut pictures = 0;
        while self.hints.is_suspicious() {
            self.hints.looked(self.now());
            pictures += 1;
        }
        pictures
    }
}

#[test]
fn an_unusual_keyframe_opens_a_look_of_four_pictures() {
    let mut street = Street::default();
    street.usual(80);
    assert!(!street.hints.is_suspicious());
    street.second(40_000, 3_000, 4_000);
    street.second(40_000, 3_000, 4_000);
    assert_eq!(street.look(), 4);
}

#[test]
fn a_frame_as_large_as_a_keyframe_opens_a_look() {
    let mut street = Street::default();
    street.usual(40);
    street.second(20_000, 3_000, 9_000);
    assert!(!street.hints.is_suspicious(), "a lorry");
    street.second(20_000, 3_000, 15_000);
    assert!(street.hints.is_suspicious(), "another view");
}

#[test]
fn after_one_small_keyframe_a_lorry_is_no_other_view() {
    let mut street = Street::default();
    street.usual(80);
    street.second(13_000, 3_000, 4_000);
    street.second(13_000, 3_000, 9_000);
    assert!(!street.hints.is_suspicious(), "a lorry");
    street.second(13_000, 3_000, 12_000);
    assert!(street.hints.is_suspicious(), "another view");
}

#[test]
fn after_a_look_in_vain_only_hints_of_the_same_kind_rest() {
    let mut street = Street::default();
    street.usual(40);
    street.second(20_000, 3_000, 15_000);
    assert_eq!(street.look(), 4);
    street.second(20_000, 3_000, 15_000);
    assert!(!street.hints.is_suspicious(), "another lorry");
    street.second(20_000, 20, 20);
    assert!(street.hints.is_suspicious(), "nothing moves any more");
    street.look();
    street.usual(70);
    street.second(20_000, 3_000, 15_000);
    assert!(street.hints.is_suspicious(), "a minute later");
}

#[test]
fn after_every_look_in_vain_the_rest_is_twice_as_long_until_one_finds_something() {
    let mut street = Street::default();
    street.usual(40);
    let mut begins = Vec::new();
    for _ in 0..3_000 {
        street.second(20_000, 3_000, 15_000);
        if street.hints.is_suspicious() {
            begins.push(street.second);
            street.look();
        }
    }
    let rests: Vec<_> = begins.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(rests, [60, 120, 240, 480, 960, 960]);
    street.hints.found();
    street.second(20_000, 3_000, 15_000);
    assert!(street.hints.is_suspicious(), "at once");
    street.look();
    street.usual(60);
    street.second(20_000, 3_000, 15_000);
    assert!(street.hints.is_suspicious(), "and after a minute again");
}

#[test]
fn frames_that_refine_a_still_picture_do_not_make_it_live() {
    let mut street = Street::default();
    street.usual(40);
    assert_eq!(street.hints.collapsed_for(street.now()), None);
    for _ in 0..3 {
        street.second(20_000, 20, 20);
        street.second(20_000, 1_500, 4_000);
    }
    assert_eq!(street.hints.collapsed_for(street.now()), Some(Duration::from_secs(5)));
    street.usual(3);
    assert_eq!(street.hints.collapsed_for(street.now()), None);
}

#[test]
fn a_street_that_is_quiet_between_two_vehicles_does_not_hide_a_frozen_picture() {
    let mut street = Street::default();
    let mut looks = 0;
    for _ in 0..60 {
        for _ in 0..8 {
            street.second(20_000, 3_000, 4_000);
        }
        for _ in 0..3 {
            street.second(20_000, 350, 500);
        }
        looks += u32::from(street.look() > 0);
    }
    assert!(
        (1..=5).contains(&looks),
        "{looks} looks at a quiet street in ten minutes"
    );
    street.second(20_000, 150, 200);
    assert!(street.hints.is_suspicious(), "quieter than it ever was");
    assert_eq!(street.look(), 4);
    for _ in 0..600 {
        street.second(20_000, 150, 200);
        street.hints.looked(street.now());
    }
    street.second(20_000, 100, 200);
    assert!(!street.hints.is_suspicious(), "it was no frozen picture");
}
