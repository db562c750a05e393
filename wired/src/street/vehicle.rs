//! Vehicles as rows of dipoles, and how they drive.

use super::EARTH;
use super::chance::Chance;
use crate::Field;

/// Kinds of vehicles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Build {
    Car,
    High,
    Bus,
    Motorcycle,
}

impl Build {
    /// Length, metres; number of dipoles; moment of each, A·m², from and to; height above the sensor, metres, from and to.
    ///
    /// A bus 3 m away is 20 to 110 mG by these.
    fn numbers(self) -> (f64, u32, (f64, f64), (f64, f64)) {
        match self {
            Self::Car => (4.2, 4, (30.0, 90.0), (0.35, 0.6)),
            Self::High => (6.0, 5, (60.0, 160.0), (0.9, 1.2)),
            Self::Bus => (12.0, 8, (150.0, 350.0), (0.8, 1.2)),
            Self::Motorcycle => (1.8, 2, (4.0, 15.0), (0.4, 0.6)),
        }
    }
}

/// How far the field under one that stands may be off, nanotesla: 100 to 1,500 mG under a car, 40 to 250 mG under a high
/// one, by the order of magnitude that parking studies report (doi:10.3390/s19102348 among them).
fn standing_nt(build: Build) -> (f64, f64) {
    match build {
        Build::High => (4_000.0, 25_000.0),
        Build::Car | Build::Bus | Build::Motorcycle => (10_000.0, 150_000.0),
    }
}

#[derive(Debug, Clone, Copy)]
struct Dipole {
    along_m: f64,
    across_m: f64,
    height_m: f64,
    moment: Field,
}

/// A vehicle. Its own zero is its middle.
#[derive(Debug, Clone)]
pub(super) struct Vehicle {
    dipoles: Vec<Dipole>,
}

impl Vehicle {
    pub fn new(build: Build, chance: &mut Chance) -> Self {
        let (length, count, moments, heights) = build.numbers();
        let dipole = |number: u32| {
            let moment = chance.between(moments.0, moments.1);
            // Steel in the Earth's field is magnetised along it; what the factory left points anywhere.
            let induced = EARTH * (1.0 / EARTH.strength());
            let moment = (induced * 0.7 + chance.direction() * 0.5) * moment;
            Dipole {
                along_m: length * ((f64::from(number) + 0.5) / f64::from(count) - 0.5),
                across_m: chance.between(-0.4, 0.4),
                height_m: chance.between(heights.0, heights.1),
                moment,
            }
        };
        Self {
            dipoles: (0..count).map(dipole).collect(),
        }
    }

    /// Its field at the sensor when its middle is there.
    fn field(&self, along_m: f64, across_m: f64) -> Field {
        let of = |dipole: &Dipole| {
            let r = Field::new(along_m + dipole.along_m, across_m + dipole.across_m, dipole.height_m);
            let far = r.strength();
            if far > 20.0 {
                return Field::default();
            }
            let m = dipole.moment;
            let along = (m.x * r.x + m.y * r.y + m.z * r.z) / far;
            // 100 nT·m³ for each A·m²: µ0 / 4π.
            (r * (3.0 * along / far) - m) * (100.0 / far.powi(3))
        };
        self.dipoles
            .iter()
            .map(of)
            .fold(Field::default(), |sum, field| sum + field)
    }
}

/// From where vehicles come and to where they go, metres.
const AWAY_M: f64 = 25.0;
/// Acceleration and braking of somebody who parks, m/s².
const ACCELERATION: f64 = 1.0;

/// A vehicle's way past the sensor: positions at times, straight lines between.
#[derive(Debug, Clone)]
pub(super) struct Drive {
    vehicle: Vehicle,
    across_m: f64,
    /// Seconds and metres.
    path: Vec<(f64, f64)>,
    /// When it stands: from and until, and its field then.
    rest: Option<(f64, f64, Field)>,
}

impl Drive {
    /// Comes, manoeuvres, stands for `stay_s`, leaves.
    pub fn parks(build: Build, at_s: f64, stay_s: f64, across_m: f64, chance: &mut Chance) -> Self {
        let stop_m = chance.between(-0.4, 0.4);
        let mut path = Vec::new();
        let mut now_s = brake(
            &mut path,
            at_s,
            -AWAY_M,
            stop_m + chance.between(0.0, 1.0),
            chance.between(2.0, 6.0),
        );
        for _ in 0..2 {
            if chance.is(0.4) {
                now_s += chance.between(0.5, 3.0);
                let to = stop_m + chance.between(-0.8, 0.8);
                path.push((now_s, path.last().map_or(stop_m, |last| last.1)));
                now_s += 2.0;
                path.push((now_s, to));
            }
        }
        let stands_m = path.last().map_or(stop_m, |last| last.1);
        let until_s = now_s + stay_s;
        path.push((until_s, stands_m));
        accelerate(&mut path, until_s, stands_m);
        let (least, most) = standing_nt(build);
        let vehicle = loop {
            let vehicle = Vehicle::new(build, chance);
            // Of one that stands beside the sensor: as if it stood over it.
            let over_m = if across_m.abs() > 1.0 { 0.0 } else { across_m };
            let strength = vehicle.field(stands_m, over_m).strength();
            if (least..most).contains(&strength) {
                break vehicle;
            }
        };
        let rest = Some((now_s, until_s, vehicle.field(stands_m, across_m)));
        Self {
            vehicle,
            across_m,
            path,
            rest,
        }
    }

    /// Drives past, and stops beside the sensor for `stop_s`.
    pub fn passes(vehicle: Vehicle, at_s: f64, speed: f64, across_m: f64, stop_s: f64) -> Self {
        let mut path = vec![(at_s, -AWAY_M), (at_s + AWAY_M / speed, 0.0)];
        let middle_s = at_s + AWAY_M / speed + stop_s;
        if stop_s > 0.0 {
            path.push((middle_s, 0.0));
        }
        path.push((middle_s + AWAY_M / speed, AWAY_M));
        Self {
            vehicle,
            across_m,
            path,
            rest: None,
        }
    }

    pub fn begin_s(&self) -> f64 {
        self.path.first().map_or(0.0, |first| first.0)
    }

    pub fn end_s(&self) -> f64 {
        self.path.last().map_or(0.0, |last| last.0)
    }

    /// When it stands.
    pub fn rest(&self) -> (f64, f64) {
        self.rest.map_or((0.0, 0.0), |(from_s, until_s, _)| (from_s, until_s))
    }

    /// Its field at the sensor.
    pub fn field(&self, at_s: f64) -> Field {
        if let Some((from_s, until_s, field)) = self.rest
            && (from_s..until_s).contains(&at_s)
        {
            return field;
        }
        let next = self.path.partition_point(|(then_s, _)| *then_s <= at_s);
        let before = next.checked_sub(1).and_then(|index| self.path.get(index));
        let (Some(before), Some(after)) = (before, self.path.get(next)) else {
            return Field::default();
        };
        let share = (at_s - before.0) / (after.0 - before.0).max(1e-9);
        self.vehicle
            .field(before.1 + (after.1 - before.1) * share, self.across_m)
    }
}

/// From `from_m` to `to_m` at `speed`, braking at the end. Returns when it stands.
fn brake(path: &mut Vec<(f64, f64)>, at_s: f64, from_m: f64, to_m: f64, speed: f64) -> f64 {
    let braking_m = speed * speed / (2.0 * ACCELERATION);
    let cruise_s = (to_m - braking_m - from_m).max(0.0) / speed;
    path.push((at_s, from_m));
    let braking_s = speed / ACCELERATION;
    for step in 0..=10_u8 {
        let left = 1.0 - f64::from(step) / 10.0;
        path.push((
            at_s + cruise_s + braking_s * (1.0 - left),
            to_m - braking_m * left * left,
        ));
    }
    at_s + cruise_s + braking_s
}

/// From `from_m` away.
fn accelerate(path: &mut Vec<(f64, f64)>, at_s: f64, from_m: f64) {
    for step in 1..=10_u8 {
        let since_s = f64::from(step) * 0.7;
        path.push((at_s + since_s, from_m + ACCELERATION / 2.0 * since_s * since_s));
    }
}
