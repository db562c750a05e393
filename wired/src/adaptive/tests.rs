//! Timetables of the machine: samples five a second, without noise unless said; and made-up traces.

use proptest::prelude::*;

use super::*;
use crate::street::{Scenario, Score, trace};

const EARTH: Field = Field::new(38_000.0, 500.0, -24_000.0);
const PACE_S: f64 = 0.2;

struct Space {
    detector: Detector,
    now_s: f64,
    decisions: Vec<Decision>,
}

impl Space {
    /// A space that was calibrated while it was free.
    fn new(rules: Rules) -> Self {
        let mut space = Self {
            detector: Detector::new(rules).unwrap(),
            now_s: 0.0,
            decisions: Vec::new(),
        };
        space.stands(20.0, Field::default());
        space.detector.calibrate().unwrap();
        space
    }

    fn step(&mut self, off: Field) {
        self.now_s += PACE_S;
        let (at_s, field) = (self.now_s, EARTH + off);
        self.decisions.extend(self.detector.step(Sample { at_s, field }));
    }

    /// The field is off by `off` for a time.
    fn stands(&mut self, seconds: f64, off: Field) {
        let end_s = self.now_s + seconds;
        while self.now_s < end_s - PACE_S / 2.0 {
            self.step(off);
        }
    }

    /// Something moves nearby for a time: the field is off by between 0 and twice `off`.
    fn moves(&mut self, seconds: f64, off: Field) {
        let end_s = self.now_s + seconds;
        while self.now_s < end_s - PACE_S / 2.0 {
            self.step(off * (1.0 + (self.now_s * 5.0).sin()));
        }
    }

    /// States and whole seconds since when.
    fn told(&self) -> Vec<(State, i64)> {
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds of a test")]
        let told = |decision: &Decision| (decision.state, decision.since_s.round() as i64);
        self.decisions.iter().map(told).collect()
    }
}

fn space() -> Space {
    Space::new(Rules::default())
}

fn z(off: f64) -> Field {
    Field::new(0.0, 0.0, off)
}

#[test]
fn a_vehicle_comes_when_the_field_leaves_the_baseline_and_goes_when_it_is_back() {
    let mut space = space();
    space.moves(4.0, z(8_000.0));
    space.stands(600.0, z(12_000.0));
    space.moves(3.0, z(9_000.0));
    space.stands(60.0, z(0.0));
    let told = space.told();
    assert_eq!(
        told.iter().map(|(state, _)| *state).collect::<Vec<_>>(),
        [State::Occupied, State::Free]
    );
    assert!((20..=24).contains(&told[0].1), "{told:?}");
    assert!((624..=628).contains(&told[1].1), "{told:?}");
}

#[test]
fn what_passes_is_no_vehicle_whatever_it_does_to_the_field() {
    let mut space = space();
    for _ in 0..20 {
        space.moves(6.0, z(15_000.0));
        space.stands(30.0, z(0.0));
    }
    assert_eq!(space.told(), []);
}

#[test]
fn one_wild_sample_is_nothing_in_either_state() {
    let mut space = space();
    space.step(z(200_000.0));
    space.stands(10.0, z(0.0));
    space.stands(30.0, z(9_000.0));
    space.step(z(0.0));
    space.stands(30.0, z(9_000.0));
    assert_eq!(space.told(), [(State::Occupied, 31)]);
}

#[test]
fn heat_is_followed_while_the_space_is_free_and_while_it_is_not() {
    let mut space = space();
    // 1 mG a minute for ten hours: 600 mG, ten times the threshold.
    let mut heat = 0.0;
    for hour in 0..10 {
        for _ in 0..18_000 {
            heat += 100.0 / 60.0 * PACE_S;
            let vehicle = if hour % 3 == 2 { 7_000.0 } else { 0.0 };
            space.step(Field::new(heat, 0.0, vehicle));
        }
    }
    let states: Vec<State> = space.told().iter().map(|(state, _)| *state).collect();
    assert_eq!(states, [State::Occupied, State::Free].repeat(3));
}

#[test]
fn a_neighbour_who_comes_while_the_space_is_taken_does_not_keep_it_taken() {
    let mut space = space();
    space.stands(60.0, z(15_000.0));
    space.moves(3.0, Field::new(2_000.0, 0.0, 15_000.0));
    space.stands(600.0, Field::new(4_000.0, 0.0, 15_000.0));
    space.moves(3.0, z(6_000.0));
    space.stands(120.0, Field::new(4_000.0, 0.0, 0.0));
    let states: Vec<State> = space.told().iter().map(|(state, _)| *state).collect();
    assert_eq!(states, [State::Occupied, State::Free]);
}

#[test]
fn a_wrong_baseline_is_found_out_by_the_next_vehicle() {
    // Calibrated although a vehicle stood there, which leaves: the machine takes the free space for a vehicle.
    let mut space = Space {
        detector: Detector::new(Rules::default()).unwrap(),
        now_s: 0.0,
        decisions: Vec::new(),
    };
    space.stands(20.0, z(9_000.0));
    space.detector.calibrate().unwrap();
    space.moves(3.0, z(5_000.0));
    space.stands(120.0, z(0.0));
    assert_eq!(space.detector.state(), State::Occupied);
    space.moves(3.0, z(9_000.0));
    space.stands(600.0, z(25_000.0));
    space.moves(3.0, z(9_000.0));
    space.stands(60.0, z(0.0));
    assert_eq!(space.detector.state(), State::Free);
    assert!(space.detector.view().distance_nt.unwrap() < 100.0);
}

#[test]
fn a_bus_beside_a_parked_vehicle_changes_nothing() {
    let mut space = space();
    space.stands(60.0, z(12_000.0));
    space.moves(6.0, z(12_000.0));
    space.stands(60.0, z(12_000.0));
    assert_eq!(space.told(), [(State::Occupied, 20)]);
}

#[test]
fn a_vehicle_that_does_not_move_for_a_day_is_doubtful_and_stays() {
    let mut space = Space::new(Rules {
        stuck_s: 300.0,
        ..Rules::default()
    });
    space.stands(299.0, z(9_000.0));
    assert!(!space.detector.view().is_stuck);
    space.stands(10.0, z(9_000.0));
    let view = space.detector.view();
    assert!(view.is_stuck);
    assert_eq!(view.state, State::Occupied);
    space.stands(10.0, z(0.0));
    assert!(!space.detector.view().is_stuck);
}

#[test]
fn a_space_that_was_not_watched_for_long_is_unknown_until_the_field_tells() {
    let mut space = space();
    space.now_s += 3_600.0;
    // By less than heat may have done.
    space.stands(60.0, z(9_000.0));
    assert_eq!(space.told(), [(State::Unknown, 20)]);
    // Whatever was there, what comes next is the other.
    space.moves(5.0, z(6_000.0));
    space.stands(30.0, z(-2_000.0));
    assert_eq!(space.told().last().map(|(state, _)| *state), Some(State::Free));

    // A vehicle came while heat moved the baseline by more than a small vehicle makes: it is seen, and seen to leave.
    let mut hot = self::space();
    hot.now_s += 4_200.0;
    hot.stands(300.0, Field::new(7_000.0, 0.0, 60_000.0));
    hot.moves(3.0, z(6_000.0));
    hot.stands(200.0, Field::new(7_000.0, 0.0, 0.0));
    let states: Vec<State> = hot.told().iter().map(|(state, _)| *state).collect();
    assert_eq!(states, [State::Unknown, State::Occupied, State::Free]);

    let mut short = self::space();
    short.now_s += 30.0;
    short.stands(30.0, z(9_000.0));
    assert_eq!(short.told(), [(State::Occupied, 50)]);
}

#[test]
fn heat_alone_makes_no_vehicle_of_a_space_that_was_not_watched_for_long() {
    let mut space = space();
    space.now_s += 12.0 * 3_600.0;
    let mut heat = 10_000.0;
    for _ in 0..36_000 {
        heat += 100.0 / 60.0 * PACE_S;
        space.step(Field::new(heat, 0.0, 0.0));
    }
    assert_eq!(space.detector.state(), State::Unknown);
}

#[test]
fn a_kept_baseline_serves_after_a_restart() {
    for (off, state) in [(0.0, State::Free), (9_000.0, State::Occupied)] {
        let mut detector = Detector::new(Rules::default()).unwrap();
        detector.resume(EARTH, 60.0);
        let mut space = Space {
            detector,
            now_s: 0.0,
            decisions: Vec::new(),
        };
        space.stands(10.0, z(off));
        assert_eq!(space.told().first().map(|(state, _)| *state), Some(state));
    }
}

#[test]
fn calibration_wants_a_quiet_field() {
    let mut detector = Detector::new(Rules::default()).unwrap();
    assert_eq!(detector.calibrate(), Err(NotQuiet { deviation_nt: None }));
    let mut space = Space {
        detector,
        now_s: 0.0,
        decisions: Vec::new(),
    };
    space.moves(20.0, z(9_000.0));
    let error = space.detector.calibrate().unwrap_err().to_string();
    assert!(error.contains("not quiet (standard deviation"), "{error}");
    assert_eq!(space.detector.state(), State::Unknown);
    space.stands(20.0, z(0.0));
    assert!(space.detector.calibrate().is_ok());
    assert_eq!(space.detector.state(), State::Free);
}

#[test]
fn rules_that_contradict_each_other_are_refused_by_name() {
    let rules = |change: fn(&mut Rules)| {
        let mut rules = Rules::default();
        change(&mut rules);
        rules.check().unwrap_err().key
    };
    assert_eq!(rules(|rules| rules.leave_nt = 6_000.0), "leave_nt");
    assert_eq!(rules(|rules| rules.quiet_nt = 3_000.0), "quiet_nt");
    assert_eq!(rules(|rules| rules.enter_samples = 0), "enter_samples");
    assert_eq!(rules(|rules| rules.follow_s = f64::NAN), "follow_s");
    assert_eq!(rules(|rules| rules.drift_nt_per_min = -1.0), "drift_nt_per_min");
}

#[test]
fn arrivals_and_departures_are_found_on_made_up_streets() {
    for scenario in Scenario::ALL {
        let mut total = Score::default();
        for seed in 101..=104 {
            let trace = trace(scenario, seed, 8.0);
            let mut detector = Detector::new(Rules::default()).unwrap();
            let mut decisions = Vec::new();
            for sample in &trace.samples {
                decisions.extend(detector.step(*sample));
                if detector.state() == State::Unknown {
                    detector.calibrate().ok();
                }
            }
            total = total.plus(Score::of(&trace.stays, &decisions));
        }
        println!("{:<14} {total:?}", scenario.name());
        assert!(total.stays > 20, "{} has {} stays only", scenario.name(), total.stays);
        assert!(
            total.arrivals * 100 >= total.stays * 99,
            "{}: {total:?}",
            scenario.name()
        );
        assert!(
            total.departures * 100 >= total.stays * 99,
            "{}: {total:?}",
            scenario.name()
        );
    }
}

proptest! {
    #[test]
    fn states_alternate_and_times_go_on_whatever_is_measured(
        plateaus in prop::collection::vec((0.0..30.0_f64, 1..200_u32, prop::array::uniform3(-3e4..3e4_f64)), 0..40),
    ) {
        let mut detector = Detector::new(Rules::default()).unwrap();
        detector.resume(EARTH, 0.0);
        let (mut at_s, mut state, mut since_s) = (0.0, State::Unknown, 0.0);
        for (pause_s, samples, [x, y, z]) in plateaus {
            at_s += pause_s;
            for _ in 0..samples {
                at_s += PACE_S;
                let field = EARTH + Field::new(x, y, z);
                if let Some(decision) = detector.step(Sample { at_s, field }) {
                    prop_assert_ne!(decision.state, state);
                    prop_assert!(since_s <= decision.since_s && decision.since_s <= at_s, "{:?}", decision);
                    (state, since_s) = (decision.state, decision.since_s);
                }
                prop_assert_eq!(detector.state(), state);
            }
        }
    }
}

#[test]
fn after_a_gap_nothing_is_certain_until_the_field_is_seen_to_be_quiet() {
    let mut space = space();
    space.stands(10.0, z(0.0));
    let before_s = space.now_s;
    space.now_s += 20.0;
    space.step(z(12_000.0));
    assert_eq!(space.detector.state(), State::Free, "nobody has seen another");
    assert_eq!(space.detector.sure_until_s(), Some(before_s));
    space.stands(20.0, z(12_000.0));
    assert_eq!(space.detector.state(), State::Occupied);
    let before_s = space.now_s;
    space.now_s += 20.0;
    space.step(z(12_000.0));
    assert_eq!(space.detector.sure_until_s(), Some(before_s));
    space.stands(10.0, z(12_000.0));
    assert!(space.detector.sure_until_s().unwrap() > before_s + 20.0);
}

#[test]
fn no_decision_begins_before_what_was_certain_already() {
    for scenario in Scenario::ALL {
        for seed in 1..=3 {
            let mut detector = Detector::new(Rules::default()).unwrap();
            let (mut sure_s, mut decisions, mut lag_s) = (f64::MIN, 0, 0.0_f64);
            for sample in trace(scenario, seed, 6.0).samples {
                if let Some(decision) = detector.step(sample) {
                    let name = scenario.name();
                    assert!(
                        decision.since_s >= sure_s,
                        "{name} {seed}: {decision:?}, sure until {sure_s}"
                    );
                    decisions += 1;
                }
                if sample.at_s >= 30.0 && detector.state() == State::Unknown {
                    detector.calibrate().ok();
                }
                if let Some(until_s) = detector.sure_until_s() {
                    sure_s = sure_s.max(until_s);
                    lag_s = lag_s.max(sample.at_s - sure_s);
                }
            }
            assert!(
                decisions > 0 && lag_s < 90.0,
                "{}: {decisions}, {lag_s}",
                scenario.name()
            );
        }
    }
}
