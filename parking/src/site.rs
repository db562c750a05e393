//! A site: its zones, spaces, sensors and tariffs, as the configuration gives them to the tracker.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::{CivilDate, GatewayId, Rupiah, SensorId, SpaceId, TariffId, Timestamp, Timezone, ZoneId};

/// Everything a box is told about its street.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// The box.
    pub gateway: GatewayId,
    /// Zone of time of the site.
    pub timezone: Timezone,
    /// Minutes after midnight at which the business day ends (night markets); 0 is midnight.
    pub day_cutoff_minutes: u32,
    /// Zones, each with at least one space or counter.
    pub zones: Vec<Zone>,
    /// Spaces, each in one zone.
    pub spaces: Vec<Space>,
    /// What the tracker must know of each sensor.
    pub sensors: Vec<SensorTraits>,
    /// Which sensor watches which space, and when.
    pub bindings: Vec<Binding>,
    /// Sensors that count vehicles, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Counter>,
    /// Tariff schedules.
    pub tariffs: Vec<TariffSchedule>,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// Its name in records.
    pub id: ZoneId,
    /// Its name on screens.
    pub name: String,
    /// How readings become sessions here.
    pub rules: SessionRules,
}

/// A parking space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// Its name.
    pub id: SpaceId,
    /// Its zone.
    pub zone: ZoneId,
    /// The class it is marked for.
    pub class: VehicleClass,
    /// Latitude, degrees, WGS 84.
    pub latitude: f64,
    /// Longitude, degrees, WGS 84.
    pub longitude: f64,
    /// When it is closed to parking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<Interval>,
}

/// A span of time, `until` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Begin.
    pub from: Timestamp,
    /// End; open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What the tracker must know of a sensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorTraits {
    /// The sensor.
    pub id: SensorId,
    /// It speaks at least this often, seconds.
    pub heartbeat_s: u32,
    /// Its reports wait in a queue of their own while the box is off, so that a restart loses none.
    pub queued: bool,
    /// It reports its state for nothing but a change, so that the same state again says that a change was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_change: bool,
    /// How often it is wrong.
    #[serde(default, skip_serializing_if = "SensorErrors::is_none")]
    pub errors: SensorErrors,
    /// How it counts vehicles, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counting>,
}

impl SensorTraits {
    /// Silence after which it is lost under `rules`, milliseconds.
    #[allow(clippy::cast_possible_truncation)] // a heartbeat of u32 seconds times a small factor is far below 2^53
    pub(crate) fn silence_ms(&self, rules: &SessionRules) -> i64 {
        (f64::from(self.heartbeat_s) * 1_000.0 * rules.silence_heartbeats) as i64
    }
}

/// How a sensor tells the vehicles that it counts: as a total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counting {
    /// The total goes on at 0 instead of this number; absent where it grows without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modulus: Option<NonZeroU32>,
}

/// How often a kind of sensor is wrong, as its maker says or somebody has measured. Nothing is corrected by it; it says how
/// sure a count is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorErrors {
    /// Vehicles that it does not notice, of 10,000 that park.
    pub missed: u32,
    /// Stays that it tells and that nobody made, of 10,000 that it tells.
    pub invented: u32,
}

impl SensorErrors {
    /// Whether none are known.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A sensor watches a space from one time to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The sensor.
    pub sensor: SensorId,
    /// The space.
    pub space: SpaceId,
    /// When.
    pub during: Interval,
}

/// A sensor counts the vehicles of a class that come to park in a zone, at a line that they pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    /// The sensor.
    pub sensor: SensorId,
    /// The zone.
    pub zone: ZoneId,
    /// The class of vehicle that it counts.
    pub class: VehicleClass,
    /// Latitude of the line, degrees, WGS 84.
    pub latitude: f64,
    /// Longitude of the line, degrees, WGS 84.
    pub longitude: f64,
    /// When.
    pub during: Interval,
    /// How many vehicles park and are billed of those that it counts, and how sure that is.
    pub vehicles: Sampling,
}

/// How readings become sessions. Defaults are those of the field's practice; every zone may set its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRules {
    /// A sensor silent for more than this many heartbeats is unknown from when it was last heard.
    pub silence_heartbeats: f64,
    /// Two occupied periods less than this apart, seconds, are one.
    pub merge_gap_s: u32,
    /// A stay shorter than this, seconds, is a drop-off: counted, not billed.
    pub grace_s: u32,
    /// A sensor that changes state more often than this in an hour is suspect.
    pub flips_per_hour_max: u32,
    /// A stay longer than this, seconds, is quarantined.
    pub stay_max_s: u32,
    /// How long, seconds, the tracker waits for late reports before it writes a session or an interval down.
    pub settle_s: u32,
    /// Reports older than this, seconds, are set aside instead of revising what was written.
    pub horizon_s: u32,
    /// How many motorcycles a stay on a space for motorcycles stands for. Absent where each has a space and a sensor of its
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub motorcycles: Option<Sampling>,
}

/// How many vehicles stand behind one stay or one count, as somebody has counted by hand in sample hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sampling {
    /// Vehicles of 1,000 stays or counts.
    pub vehicles_per_1000: u32,
    /// By how much that may be off either way, percent of it: with it, the truth of a day is held in 95 of 100.
    pub error_percent: u32,
}

impl Sampling {
    /// Vehicles of 1,000: at least, best estimate, at most.
    pub fn range(self) -> [u32; 3] {
        let off = self.vehicles_per_1000.saturating_mul(self.error_percent).div_ceil(100);
        let most = self.vehicles_per_1000.saturating_add(off);
        [self.vehicles_per_1000.saturating_sub(off), self.vehicles_per_1000, most]
    }
}

impl Default for SessionRules {
    fn default() -> Self {
        Self {
            silence_heartbeats: 2.5,
            merge_gap_s: 60,
            grace_s: 120,
            flips_per_hour_max: 20,
            stay_max_s: 24 * 3_600,
            settle_s: 30,
            horizon_s: 26 * 3_600,
            motorcycles: None,
        }
    }
}

/// Class of vehicle, as tariffs know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VehicleClass {
    /// Sepeda motor.
    Motorcycle,
    /// Mobil.
    Car,
    /// Truk.
    Truck,
    /// Bus.
    Bus,
}

/// A tariff schedule: a regulation, where and when it holds, and what it asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffSchedule {
    /// Its name in records.
    pub id: TariffId,
    /// The regulation, as printed: `Perda Kota Palembang 16/2011`.
    pub regulation: String,
    /// Zones in which it holds; empty means all.
    pub zones: Vec<ZoneId>,
    /// First day.
    pub valid_from: CivilDate,
    /// Last day; open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<CivilDate>,
    /// Fees by class.
    pub fees: Vec<ClassFee>,
}

/// The fee of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassFee {
    /// The class.
    pub class: VehicleClass,
    /// Stays shorter than this are free, seconds; absent means the zone's grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_s: Option<u32>,
    /// The rule.
    pub rule: FeeRule,
    /// No session costs more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Rupiah>,
    /// Paid once for a space and a business day, however often it is used by the same permit; see `tariff`.
    #[serde(default)]
    pub once_a_day: bool,
}

/// How a fee grows with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeeRule {
    /// One fee for a use.
    Flat {
        /// The fee.
        fee: Rupiah,
    },
    /// A fee for the first period, another for each further one begun.
    Progressive {
        /// Length of the first period, seconds.
        first_s: u32,
        /// Fee of the first period.
        first_fee: Rupiah,
        /// Length of each further period, seconds.
        next_s: u32,
        /// Fee of each further period.
        next_fee: Rupiah,
    },
}
