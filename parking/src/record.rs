//! Records: the facts that are kept, signed and sent. One JSON object, one line, never edited.
//!
//! The field order below is the order on the wire. A reader must accept unknown `kind`s (an older city with a newer
//! box keeps and proves what it cannot yet interpret).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    BootId, CameraId, CivilDate, ClockQuality, Coverage, FeeRange, Rupiah, Sampling, SensorErrors, SensorId, SessionId,
    SessionPicture, SpaceId, Stamp, TariffId, Timestamp, Timezone, VehicleClass, ZoneId,
};

/// A record of the ledger: what happened, and when the box wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What happened.
    #[serde(flatten)]
    pub body: RecordBody,
    /// When the box wrote it down.
    #[serde(flatten)]
    pub written: Written,
}

/// When a record was written down. Whole seconds: a fraction says nothing about parking, and costs bytes in every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// UTC on the box's axis, rounded down.
    pub at: Timestamp,
    /// The boot.
    pub boot: BootId,
    /// Seconds since that boot, monotonic, counting suspend, rounded down.
    pub mono_s: u64,
    /// What `at` is worth.
    pub clock: ClockQuality,
}

impl From<Stamp> for Written {
    fn from(stamp: Stamp) -> Self {
        Self {
            at: stamp.at.floor_to_second(),
            boot: stamp.boot,
            mono_s: stamp.mono_ms / 1_000,
            clock: stamp.clock,
        }
    }
}

/// What a record says, by its `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RecordBody {
    /// A parking session has ended, or what is known of an ended one has changed (`revision` > 1).
    Session(Session),
    /// Occupancy of a zone over one interval; revised like a session.
    Occupancy(Occupancy),
    /// A sensor has been silent for too long; its space is unknown from `since`.
    CommsLost {
        /// The sensor.
        sensor: SensorId,
        /// Its space.
        space: SpaceId,
        /// When it was last heard.
        since: Timestamp,
    },
    /// A sensor that was lost is heard again.
    CommsRestored {
        /// The sensor.
        sensor: SensorId,
        /// Its space.
        space: SpaceId,
        /// When it was heard again.
        heard: Timestamp,
    },
    /// A counter has told no total for too long; what passes it is unknown from `since`.
    CounterLost {
        /// The sensor.
        sensor: SensorId,
        /// Its zone.
        zone: ZoneId,
        /// When it told its last total.
        since: Timestamp,
    },
    /// A counter that was lost tells its total again.
    CounterRestored {
        /// The sensor.
        sensor: SensorId,
        /// Its zone.
        zone: ZoneId,
        /// When it told it.
        heard: Timestamp,
    },
    /// A sensor flips more often than vehicles come and go.
    SensorSuspect {
        /// The sensor.
        sensor: SensorId,
        /// Its space.
        space: SpaceId,
        /// Start of the hour in which it was noticed.
        hour: Timestamp,
        /// The most changes of state within an hour that begins at any quarter and has a part of it.
        flips: u32,
    },
    /// A sensor was bound to a space (`from`), or its binding was closed (`until` present).
    Binding {
        /// The sensor.
        sensor: SensorId,
        /// The space.
        space: SpaceId,
        /// Since when.
        from: Timestamp,
        /// Until when, if closed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// The daemon started.
    Started {
        /// Version of the program.
        version: String,
    },
    /// The clock of boot `of_boot` was wrong by `offset_ms`: add it to that boot's times of quality `unset`.
    TimeCorrection {
        /// The boot whose times are corrected.
        of_boot: BootId,
        /// Milliseconds to add.
        offset_ms: i64,
    },
    /// The configuration changed.
    ConfigChanged {
        /// SHA-256 of the configuration file, hexadecimal.
        sha256: String,
        /// The zone of time in force from now on.
        timezone: Timezone,
        /// When the business day begins from now on, minutes after midnight.
        day_cutoff_minutes: u32,
    },
    /// A reading could not be used, and why. It is counted nowhere.
    ReadingSetAside {
        /// The sensor.
        sensor: SensorId,
        /// The reading's own time.
        observed: Timestamp,
        /// Why.
        reason: String,
    },
    /// Part of the journal could not be read back. Nothing of it was sent.
    JournalDamaged {
        /// First journal sequence that is missing.
        first: u64,
        /// First journal sequence after the hole.
        next: u64,
        /// The file set aside.
        file: String,
    },
    /// A camera gives no picture any more.
    CameraLost {
        /// The camera.
        camera: CameraId,
        /// Since when.
        since: Timestamp,
        /// Why, in a word of lower-case letters and underscores.
        cause: String,
    },
    /// A camera that was lost or tampered with gives a good picture again.
    CameraRestored {
        /// The camera.
        camera: CameraId,
        /// Since when.
        since: Timestamp,
    },
    /// A camera gives a picture, but not of what it should see.
    CameraTampered {
        /// The camera.
        camera: CameraId,
        /// What is wrong with its picture.
        what: Tampering,
        /// Since when.
        since: Timestamp,
    },
    /// A camera changed more often in an hour than is written down.
    CameraUnsteady {
        /// The camera.
        camera: CameraId,
        /// Start of that hour.
        since: Timestamp,
        /// Changes that were not written down.
        changes: u32,
    },
    /// A contact of the box itself changed: somebody opened its door, or its supply fails.
    BoxContact {
        /// Which.
        contact: BoxContact,
        /// Whether what it tells is the case now.
        active: bool,
        /// Since when.
        since: Timestamp,
    },
}

/// A contact of the box itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxContact {
    /// The door's switch: it is open.
    Tamper,
    /// The supply's output: mains are gone, the battery feeds the box.
    PowerFail,
}

impl fmt::Display for BoxContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tamper => "tamper",
            Self::PowerFail => "power_fail",
        })
    }
}

/// What is wrong with a camera's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// It is dark all over: covered, or without light.
    Black,
    /// It is out of focus: sprayed, dirty or damp.
    Blurred,
    /// It shows another view.
    Moved,
    /// It does not change while time goes on.
    Frozen,
}

/// One vehicle, or what may be one, on one space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name, kept over revisions.
    pub session: SessionId,
    /// 1 for the first word; a later fact makes the next.
    pub revision: u32,
    /// Its zone.
    pub zone: ZoneId,
    /// Its space.
    pub space: SpaceId,
    /// Class of the vehicle.
    pub class: VehicleClass,
    /// How the class is known.
    pub basis: ClassBasis,
    /// What became of it.
    pub status: SessionStatus,
    /// Begin, best estimate.
    pub start: Timestamp,
    /// End, best estimate.
    pub end: Timestamp,
    /// Bounds of the begin, when it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_bounds: Option<TimeBounds>,
    /// Bounds of the end, when it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_bounds: Option<TimeBounds>,
    /// What makes it doubtful; empty when nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// The business day that it belongs to.
    pub day: CivilDate,
    /// The tariff applied; absent when none was in force (`TARIFF_MISSING`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<TariffId>,
    /// How many vehicles it stands for, by a sampling factor; absent for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vehicles: Option<Sampling>,
    /// What should have been paid, by all of them.
    pub fee: FeeRange,
    /// The report that ended it: the frame counter of the space's sensor at the time, or the report's own time where it
    /// counts none. The record of the binding names the sensor.
    pub cause: String,
    /// Pictures of its begin and its end; empty when no camera saw them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<SessionPicture>,
}

/// Earliest and latest time at which something can have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBounds {
    /// Not before.
    pub earliest: Timestamp,
    /// Not after.
    pub latest: Timestamp,
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// A stay that is billed.
    Parked,
    /// Shorter than the grace: counted, not billed.
    DropOff,
    /// Impossible (negative or too long): for review, not billed.
    Quarantined,
    /// A later fact showed that there was no such session.
    Void,
}

/// How the class of the vehicle is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassBasis {
    /// The space is marked for this class.
    Bay,
    /// A camera told.
    Camera,
    /// A person told.
    Manual,
    /// A declared sampling factor.
    Sampled,
}

/// A reason for doubt about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// A silence inside it was bridged by the sensor's own counters.
    Bridged,
    /// Its begin lies in a silence: it may be the continuation of the session before.
    AfterGap,
    /// Its end lies in a silence.
    BeforeGap,
    /// Its begin was not reported but told by a later report.
    StartInferred,
    /// Its end was not reported but told by a later report.
    EndInferred,
    /// The sensor was suspect at the time.
    Suspect,
    /// The clock was not set when it was counted.
    ClockUnsure,
    /// No tariff was in force.
    TariffMissing,
    /// The sensor was exchanged or moved during it.
    SensorChanged,
}

/// Occupancy of a zone over one interval. `occupied + free + unknown + closed = spaces × interval`, always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupancy {
    /// The zone.
    pub zone: ZoneId,
    /// Begin of the interval.
    pub from: Timestamp,
    /// Length, seconds.
    pub interval_s: u32,
    /// 1 for the first word; a later fact makes the next.
    pub revision: u32,
    /// Spaces in the zone.
    pub spaces: u32,
    /// Space-seconds occupied.
    pub occupied_s: u64,
    /// Space-seconds free.
    pub free_s: u64,
    /// Space-seconds not known.
    pub unknown_s: u64,
    /// Space-seconds closed.
    pub closed_s: u64,
    /// Sessions that began in the interval.
    pub arrivals: u32,
    /// Sessions that ended in the interval.
    pub departures: u32,
    /// Known share of the time that was not closed; absent when all was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// Spans that begin in the interval and in which vehicles may have come and gone unseen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// How often the zone's sensors are wrong, on average.
    #[serde(default, skip_serializing_if = "SensorErrors::is_none")]
    pub errors: SensorErrors,
    /// What the zone's counters counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Counted>,
}

/// What a counter counted in an interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The sensor.
    pub sensor: SensorId,
    /// The class of vehicle that it counts.
    pub class: VehicleClass,
    /// What it counted, best estimate.
    pub count: u32,
    /// Of a report that came after the interval's begin and counts from before it: how sure the division is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_begin: Option<EdgeDoubt>,
    /// The same at the interval's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_end: Option<EdgeDoubt>,
    /// What it counted at least in the time of which it is not known how many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_least: u32,
    /// Seconds of which it is known how many.
    pub known_s: u32,
    /// Seconds of which it is not known.
    pub unknown_s: u32,
    /// How many vehicles are billed of those that it counts.
    pub vehicles: Sampling,
    /// The tariff applied; absent when none was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<TariffId>,
    /// What one vehicle should have paid.
    pub fee: Rupiah,
}

// The signature is that of serde's attribute.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What was counted across an edge by one report, against the best estimate of how much of it before the edge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeDoubt {
    /// So many of those that are taken for earlier may have been later.
    pub fewer: u32,
    /// So many of those that are taken for later may have been earlier.
    pub more: u32,
}

/// A span in which vehicles may have come to a space and gone unseen: its sensor was silent, or reports of it are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The space.
    pub space: SpaceId,
    /// The class it is marked for.
    pub class: VehicleClass,
    /// Begin.
    pub from: Timestamp,
    /// End; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether the space was occupied at its begin, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<bool>,
    /// Whether it was occupied right before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<bool>,
    /// Reports that were sent in it and did not arrive, if they can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// Until when these were sent, where that is later than the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_until: Option<Timestamp>,
    /// The sensor speaks at least this often, seconds.
    pub heartbeat_s: u32,
    /// The space counts as unknown in it.
    pub blind: bool,
    /// Sessions that are written down with a begin in it that nobody saw.
    pub inferred: u32,
    /// By how many the arrivals that the sensor counted in it differ from the sessions, where it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<i32>,
}
