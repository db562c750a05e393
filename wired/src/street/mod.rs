//! Made-up traces of a magnetometer in a parking space, with the truth beside them: for demonstrations and tests, and to
//! choose constants by.
//!
//! Vehicles are rows of magnetic dipoles that drive, stop and leave; the field of a dipole is that of any textbook
//! (Jackson, Classical Electrodynamics, section 5.6). What is assumed of them stands beside each constant; nothing here
//! was measured on a street. A trace follows from its scenario and its seed.

mod chance;
mod score;
mod vehicle;

use serde::{Deserialize, Serialize};

use self::chance::Chance;
pub use self::score::Score;
use self::vehicle::{Build, Drive, Vehicle};
use crate::Field;
use crate::adaptive::Sample;

/// Samples a second.
pub const RATE_HZ: f64 = 5.0;
/// Earth's field in Java: north, east, down, nanotesla (World Magnetic Model 2025: about 45,000 nT, inclination -33°).
const EARTH: Field = Field::new(37_600.0, 500.0, -24_500.0);
/// Standard deviation of each axis of the sensor: the worst of the three chips has 4.1 mG (LIS3MDL data sheet, ultra-high
/// performance, z axis), and four measurements make a sample.
const NOISE_NT: f64 = 205.0;
/// Heat: the fastest that the field wanders, nanotesla a minute (1 mG).
const HEAT_NT_PER_MIN: f64 = 100.0;
/// Before the first vehicle comes, seconds.
const LEAD_S: f64 = 600.0;

/// What goes on in the street.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Cars, and nothing else.
    Quiet,
    /// Heat: the field wanders by up to 1 mG a minute, all day.
    Heat,
    /// Vans and lorries whose steel is far above the ground.
    HighChassis,
    /// A bus in the next lane every few minutes.
    Bus,
    /// Spaces beside it, across the road, with cars that come and go 2.5 m away.
    Neighbours,
    /// Cloudbursts: the ground cools quickly, water stands on the sensor, readings fail.
    Water,
    /// Motorcycles ride over the free space.
    Motorcycles,
    /// All of it.
    Everything,
    /// Like `Bus`, but the bus stops beside the space for half a minute. A single magnetometer cannot always tell.
    BusStop,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Quiet,
        Self::Heat,
        Self::HighChassis,
        Self::Bus,
        Self::Neighbours,
        Self::Water,
        Self::Motorcycles,
        Self::Everything,
        Self::BusStop,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Heat => "heat",
            Self::HighChassis => "high_chassis",
            Self::Bus => "bus",
            Self::Neighbours => "neighbours",
            Self::Water => "water",
            Self::Motorcycles => "motorcycles",
            Self::Everything => "everything",
            Self::BusStop => "bus_stop",
        }
    }

    /// The one of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    fn has(self, other: Self) -> bool {
        self == other || self == Self::Everything && other != Self::BusStop
    }
}

/// A vehicle stood on the space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stay {
    /// Since it had come to rest, seconds.
    pub from_s: f64,
    /// Until it began to move.
    pub until_s: f64,
}

impl Stay {
    /// Whether the vehicle stood there at a time.
    pub fn holds(&self, at_s: f64) -> bool {
        (self.from_s..self.until_s).contains(&at_s)
    }

    /// Stays by who stood there at times.
    pub fn of_truth(watched: impl IntoIterator<Item = (f64, bool)>) -> Vec<Self> {
        let mut stays: Vec<Self> = Vec::new();
        let mut is_taken = false;
        for (at_s, now) in watched {
            match (is_taken, now) {
                (false, true) => stays.push(Self {
                    from_s: at_s,
                    until_s: f64::INFINITY,
                }),
                (true, false) => stays.iter_mut().rev().take(1).for_each(|stay| stay.until_s = at_s),
                _ => {}
            }
            is_taken = now;
        }
        stays
    }
}

/// A trace and its truth.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Samples, in the order of time.
    pub samples: Vec<Sample>,
    /// Stays, in the order of time.
    pub stays: Vec<Stay>,
}

/// Makes up `hours` of a scenario.
pub fn trace(scenario: Scenario, seed: u64, hours: f64) -> Trace {
    let mut chance = Chance::new(seed.wrapping_mul(16).wrapping_add(scenario as u64));
    let end_s = hours * 3_600.0;
    let mut drives = Vec::new();
    let stays = parkers(scenario, &mut chance, end_s, &mut drives);
    if scenario.has(Scenario::Neighbours) {
        neighbours(&mut chance, end_s, &mut drives);
    }
    if scenario.has(Scenario::Bus) || scenario == Scenario::BusStop {
        buses(scenario, &mut chance, end_s, &mut drives);
    }
    if scenario.has(Scenario::Motorcycles) {
        motorcycles(&mut chance, &stays, end_s, &mut drives);
    }
    drives.sort_by(|a, b| a.begin_s().total_cmp(&b.begin_s()));
    let weather = Weather::new(scenario, &mut chance, end_s);
    let samples = measure(&drives, &weather, &mut chance, end_s);
    Trace { samples, stays }
}

/// Vehicles that park on the space, with pauses between them.
fn parkers(scenario: Scenario, chance: &mut Chance, end_s: f64, drives: &mut Vec<Drive>) -> Vec<Stay> {
    let mut stays = Vec::new();
    let mut at_s = LEAD_S;
    loop {
        at_s += chance.between(40.0, 1_500.0);
        let is_high = scenario.has(Scenario::HighChassis) && (scenario == Scenario::HighChassis || chance.is(0.2));
        let build = if is_high { Build::High } else { Build::Car };
        // From a minute to two hours, more short ones than long ones.
        let stay_s = 60.0 * (chance.between(0.0, 120.0_f64.ln())).exp();
        let across_m = chance.between(-0.4, 0.4);
        let drive = Drive::parks(build, at_s, stay_s, across_m, chance);
        let (from_s, until_s) = drive.rest();
        if until_s + LEAD_S > end_s {
            return stays;
        }
        stays.push(Stay { from_s, until_s });
        at_s = drive.end_s();
        drives.push(drive);
    }
}

/// Cars on the spaces to both sides.
fn neighbours(chance: &mut Chance, end_s: f64, drives: &mut Vec<Drive>) {
    for side_m in [-2.5, 2.5] {
        let mut at_s = chance.between(0.0, 600.0);
        while at_s < end_s {
            let stay_s = chance.between(120.0, 3_600.0);
            let across_m = side_m + chance.between(-0.2, 0.2);
            let drive = Drive::parks(Build::Car, at_s, stay_s, across_m, chance);
            at_s = drive.end_s() + chance.between(30.0, 900.0);
            drives.push(drive);
        }
    }
}

/// Buses in the next lane.
fn buses(scenario: Scenario, chance: &mut Chance, end_s: f64, drives: &mut Vec<Drive>) {
    let mut at_s = chance.between(0.0, 300.0);
    while at_s < end_s {
        let vehicle = Vehicle::new(Build::Bus, chance);
        let across_m = chance.between(2.8, 3.3);
        let stop_s = if scenario == Scenario::BusStop { 30.0 } else { 0.0 };
        drives.push(Drive::passes(
            vehicle,
            at_s,
            chance.between(4.0, 10.0),
            across_m,
            stop_s,
        ));
        at_s += chance.between(60.0, 480.0);
    }
}

/// Motorcycles that ride over the space while it is free.
fn motorcycles(chance: &mut Chance, stays: &[Stay], end_s: f64, drives: &mut Vec<Drive>) {
    let mut at_s = chance.between(0.0, 300.0);
    while at_s < end_s {
        let is_taken = stays
            .iter()
            .any(|stay| stay.from_s - 40.0 < at_s && at_s < stay.until_s + 20.0);
        if !is_taken {
            let vehicle = Vehicle::new(Build::Motorcycle, chance);
            let across_m = chance.between(-1.0, 1.0);
            drives.push(Drive::passes(vehicle, at_s, chance.between(2.0, 8.0), across_m, 0.0));
        }
        at_s += chance.between(30.0, 300.0);
    }
}

/// What heat and water do.
struct Weather {
    /// Direction in which the sensor wanders when it is hot.
    direction: Field,
    amplitude_nt: f64,
    period_s: f64,
    phase: f64,
    /// Begins of cloudbursts.
    bursts: Vec<f64>,
}

impl Weather {
    fn new(scenario: Scenario, chance: &mut Chance, end_s: f64) -> Self {
        let has_heat = scenario.has(Scenario::Heat);
        // The fastest slope of the wave is that of the heat.
        let period_s = chance.between(4.0, 12.0) * 3_600.0;
        let amplitude_nt = HEAT_NT_PER_MIN / 60.0 * period_s / std::f64::consts::TAU;
        let mut bursts = Vec::new();
        if scenario.has(Scenario::Water) {
            let mut at_s = chance.between(0.0, 7_200.0);
            while at_s < end_s {
                bursts.push(at_s);
                at_s += chance.between(3_600.0, 14_400.0);
            }
        }
        Self {
            direction: chance.direction(),
            amplitude_nt: if has_heat { amplitude_nt } else { 0.0 },
            period_s,
            phase: chance.between(0.0, std::f64::consts::TAU),
            bursts,
        }
    }

    /// By how much the field is off.
    fn offset(&self, at_s: f64) -> Field {
        let wave = (self.phase + at_s / self.period_s * std::f64::consts::TAU).sin() * self.amplitude_nt;
        // Six minutes of 3 mG a minute, and an hour back.
        let of_burst = |begin_s: &f64| {
            let since_s = at_s - begin_s;
            let cooled = (since_s / 360.0).clamp(0.0, 1.0) - ((since_s - 360.0) / 3_600.0).clamp(0.0, 1.0);
            cooled * 1_800.0
        };
        self.direction * (wave - self.bursts.iter().map(of_burst).sum::<f64>())
    }

    fn is_wet(&self, at_s: f64) -> bool {
        self.bursts
            .iter()
            .any(|begin_s| (0.0..1_800.0).contains(&(at_s - begin_s)))
    }
}

fn measure(drives: &[Drive], weather: &Weather, chance: &mut Chance, end_s: f64) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut near: Vec<&Drive> = Vec::new();
    let mut coming = drives.iter().peekable();
    let mut step = 0.0;
    while step / RATE_HZ < end_s {
        let at_s = step / RATE_HZ;
        step += 1.0;
        while let Some(drive) = coming.next_if(|drive| drive.begin_s() <= at_s) {
            near.push(drive);
        }
        near.retain(|drive| drive.end_s() >= at_s);
        let vehicles = near.iter().fold(Field::default(), |sum, drive| sum + drive.field(at_s));
        let is_wet = weather.is_wet(at_s);
        // A wet connector: one reading in 200 fails, one in 500 is nonsense.
        if is_wet && chance.is(0.005) {
            continue;
        }
        let noise = chance.normals() * NOISE_NT;
        let wild = if is_wet && chance.is(0.002) {
            chance.direction() * 50_000.0
        } else {
            Field::default()
        };
        samples.push(Sample {
            at_s,
            field: EARTH + weather.offset(at_s) + vehicles + noise + wild,
        });
    }
    samples
}

#[cfg(test)]
mod tests;
