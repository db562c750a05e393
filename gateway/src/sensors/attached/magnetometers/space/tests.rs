//! Timetables of a space: fields by a made-up clock.

use std::path::PathBuf;

use parking::{ReportKind, SensorId};
use wired::adaptive::Rules;
use wired::magnetometer::Chip;

use super::*;

const EARTH: Field = Field::new(38_000.0, 500.0, -24_000.0);
const VEHICLE: Field = Field::new(3_000.0, 0.0, 12_000.0);

fn at(mono_ms: u64) -> Stamp {
    Stamp {
        at: Timestamp::from_millis(1_767_600_000_000 + i64::try_from(mono_ms).unwrap()),
        boot: BootId(7),
        mono_ms,
        clock: ClockQuality::Synced,
    }
}

fn space() -> Space {
    Space::new(Probe {
        sensor: SensorId::new("m-1").unwrap(),
        chip: Chip::Mmc5603,
        bus: PathBuf::from("/dev/i2c-1"),
        address: 0x30,
        rules: Rules::default(),
    })
    .unwrap()
}

struct Street {
    space: Space,
    now_ms: u64,
    said: Vec<(ReportKind, bool, u64)>,
}

impl Street {
    fn new() -> Self {
        let (now_ms, said) = (1_000_000, Vec::new());
        Self {
            space: space(),
            now_ms,
            said,
        }
    }

    fn shows(&mut self, seconds: u64, field: Field) {
        for _ in 0..seconds * 5 {
            self.now_ms += 200;
            let sample = Space::sample(at(self.now_ms), field);
            let said = self.space.step(at(self.now_ms), sample);
            self.hear(said.reading);
        }
    }

    fn hear(&mut self, reading: Option<(Reading, Health)>) {
        self.said.extend(reading.map(|(reading, _)| {
            let seconds = reading.observed.millis_since(at(1_000_000).at) / 1_000;
            (
                reading.report.kind,
                reading.report.occupied.unwrap(),
                u64::try_from(seconds).unwrap(),
            )
        }));
    }

    fn calibrate(&mut self) {
        let (_, said) = self.space.calibrate(at(self.now_ms)).unwrap();
        self.hear(said);
    }
}

#[test]
fn an_uncalibrated_space_says_nothing_but_that() {
    let mut street = Street::new();
    street.shows(300, EARTH);
    assert_eq!(street.said, []);
    assert_eq!(street.space.trouble().unwrap().0, "uncalibrated");
    assert_eq!(street.space.trouble(), None, "told once");
    assert_eq!(street.space.seen().trouble.as_deref(), Some("not calibrated"));
}

#[test]
fn states_are_said_when_they_change_and_once_a_minute_and_in_their_order() {
    use ReportKind::{Heartbeat, Status};
    let mut street = Street::new();
    street.shows(20, EARTH);
    street.calibrate();
    street.shows(100, EARTH);
    street.shows(100, EARTH + VEHICLE);
    street.shows(100, EARTH);
    assert_eq!(
        street.said,
        [
            (Heartbeat, false, 20),
            (Heartbeat, false, 80),
            (Status, true, 120),
            (Heartbeat, true, 180),
            (Status, false, 220),
            (Heartbeat, false, 280),
        ],
        "the first is no change: nobody saw it"
    );
}

#[test]
fn what_changed_while_nothing_was_measured_is_no_change_that_was_seen() {
    let mut street = Street::new();
    street.shows(20, EARTH);
    street.calibrate();
    street.now_ms += 30_000;
    street.shows(20, EARTH + VEHICLE);
    let kinds: Vec<_> = street.said.iter().map(|(kind, is, _)| (*kind, *is)).collect();
    assert_eq!(
        kinds,
        [(ReportKind::Heartbeat, false), (ReportKind::Heartbeat, true)],
        "{:?}",
        street.said
    );
}

#[test]
fn a_baseline_outlives_a_restart_and_is_trusted_by_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let memory = state::Board::open(&folder.path().join("state")).unwrap();
    let mut street = Street::new();
    street.shows(20, EARTH);
    street.calibrate();
    street.space.keep(&memory);
    let after = |now: Stamp, field: Field| {
        let mut space = space();
        space.recall(&memory, now);
        for step in 0..100 {
            let now = Stamp {
                mono_ms: now.mono_ms + step * 200,
                ..now
            };
            let sample = Space::sample(now, field);
            space.step(now, sample);
        }
        space.seen().state
    };
    // Ten seconds later, in the same boot.
    let soon = at(street.now_ms + 10_000);
    assert_eq!(after(soon, EARTH), State::Free);
    assert_eq!(after(soon, EARTH + VEHICLE), State::Occupied);
    // In another boot ten minutes later, by the clock: heat may have done 50 mG, and the vehicle 124.
    let boot = BootId(8);
    let later = Stamp {
        boot,
        mono_ms: 5_000,
        ..at(street.now_ms + 600_000)
    };
    assert_eq!(after(later, EARTH), State::Free);
    assert_eq!(after(later, EARTH + VEHICLE), State::Occupied);
    // Without a clock nobody knows how much later it is.
    let unset = Stamp {
        clock: ClockQuality::Unset,
        ..later
    };
    assert_eq!(after(unset, EARTH), State::Free);
    assert_eq!(after(unset, EARTH + VEHICLE), State::Unknown);
}

#[test]
fn calibrating_wants_measurements_and_a_quiet_field() {
    let mut street = Street::new();
    assert!(street.space.calibrate(at(0)).unwrap_err().contains("too few samples"));
    for step in 0..40 {
        street.shows(1, EARTH + Field::new(0.0, 0.0, f64::from(step % 5) * 4_000.0));
    }
    assert!(street.space.calibrate(at(0)).unwrap_err().contains("is not quiet"));
    street.space.failed("no acknowledge".to_owned());
    assert!(street.space.calibrate(at(0)).unwrap_err().contains("no acknowledge"));
}

#[test]
fn a_vehicle_that_does_not_move_for_a_day_is_told_once_and_shown() {
    let mut street = Street::new();
    street.shows(20, EARTH);
    street.calibrate();
    street.shows(90_000, EARTH + VEHICLE);
    assert_eq!(street.space.trouble().unwrap().0, "stuck");
    assert_eq!(street.space.trouble(), None);
    assert_eq!(street.space.health().stuck, Some(true));
    let (_, said) = street.space.calibrate(at(street.now_ms)).unwrap();
    assert_eq!(said.unwrap().0.report.occupied, Some(false));
    assert_eq!(street.space.seen().state, State::Free);
}

#[test]
fn two_samples_of_one_tick_are_one() {
    let mut street = Street::new();
    assert!(street.space.is_later(at(street.now_ms)));
    street.shows(1, EARTH);
    assert!(!street.space.is_later(at(street.now_ms)));
    assert!(street.space.is_later(at(street.now_ms + 1)));
}
