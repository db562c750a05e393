//! From sensor readings to parking sessions, occupancy and expected fees.
//!
//! This crate is pure: no clock, no randomness, no files, no sockets, no logging. Time enters as an argument,
//! effects leave as [`Record`]s. The same inputs in the same order give the same records, byte for byte, which is
//! what lets the gateway come back after a power cut by replaying its journal.
//!
//! Read in this order: [`Reading`] (what a sensor said), [`SiteTracker`] (what it means), [`Record`] (what is kept),
//! [`Charge`] (what it costs).

mod check;
mod counter;
mod derive;
mod digest;
mod event;
mod history;
mod ids;
mod money;
mod occupancy;
mod picture;
mod reading;
mod record;
mod report;
mod session;
mod site;
mod space;
mod stay;
mod tariff;
mod time;
mod timeline;
mod tracker;

pub use check::SiteProblem;
pub use digest::{DigestError, Sha256};
pub use ids::{CameraId, GatewayId, IdError, SensorId, SessionId, SpaceId, TariffId, ZoneId};
pub use money::{Coverage, FeeRange, Rupiah};
pub use picture::{Moment, Picture, SessionPicture};
pub use reading::{PreviousState, Reading, Report, ReportKind, Usage};
pub use record::{
    BoxContact, ClassBasis, Counted, EdgeDoubt, Flag, Gap, Occupancy, Record, RecordBody, Session, SessionStatus,
    Tampering, TimeBounds, Written,
};
pub use report::{CONFIDENCE_PERCENT, CountRange, CountedDay, SessionCounts, ZoneDay, due_span, zone_day};
pub use site::{
    Binding, ClassFee, Counter, Counting, FeeRule, Interval, Sampling, SensorErrors, SensorTraits, SessionRules, Site,
    Space, TariffSchedule, VehicleClass, Zone,
};
pub use tariff::Charge;
pub use time::{BootId, CivilDate, ClockQuality, Stamp, Timestamp, Timezone};
pub use timeline::SpaceState;
pub use tracker::{Input, Outcome, SiteTracker, SpaceNow};
