//! Sensors: drivers that take in what sensors report, whatever the transport, and hand it on as [`Delivery`].
//!
//! A driver knows [`parking::Reading`] and nothing behind it. It translates, and it keeps the promise to its source:
//! a report is acknowledged there only when the consumer has said, through [`Done`], that it is on disk. Everything
//! else may happen more than once: a report that was not acknowledged comes again, and the consumer knows it by its
//! sequence number or message identity.
//!
//! A report that cannot be used never stops the rest. It is counted and kept for a while in [`DriverStatus`], and if
//! it comes from a bound sensor it is handed on as [`Item::SetAside`], so that the ledger can say so.
//!
//! One file a driver ([`chirpstack`], [`webhook`], those of [`attached`]), one a device family in [`codecs`], one profile a model.

pub mod attached;
mod backoff;
mod bound;
mod broker;
pub mod chirpstack;
pub mod codecs;
mod delivery;
pub(crate) mod fields;
pub mod mqtt_json;
mod observed;
mod profiles;
pub mod script;
mod secret;
mod status;
pub mod webhook;

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking::{SensorId, Stamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use bound::{BoundSensor, DistanceLimits};
pub use broker::Broker;
pub use delivery::{Delivery, Done, Item, Outcome, SetAside};
pub use fields::{FieldError, Fields, Place, Understood};
pub use observed::{AbsurdTime, observed};
pub use profiles::{Ask, ERRORS_MAX, Magnetometer, Port, Profile, ProfileError, Profiles, Transport};
pub use secret::{SecretError, read_secret};
pub use status::{DriverState, DriverStatus, SetAsideEntry, StatusSnapshot};

/// A source of readings.
pub trait Driver: Send {
    /// Its name in logs and in `gateway status`.
    fn name(&self) -> &'static str;

    /// Takes in reports until `cancel`, or until nobody receives them any more. Copes with its source coming and
    /// going; returns for no other reason.
    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()>;
}

/// What a driver works with.
#[derive(Clone)]
pub struct DriverContext {
    /// The box's clock.
    pub clock: Arc<dyn Fn() -> Stamp + Send + Sync>,
    /// The same for who measures spans of time: on a simulated clock its monotonic time runs as fast as that.
    pub spans: Arc<dyn Fn() -> Stamp + Send + Sync>,
    /// Where reports go. Bounded; a driver whose source can wait waits, one whose source cannot refuses.
    pub sink: mpsc::Sender<Delivery>,
    /// The sensors bound to this driver, and how they speak.
    pub sensors: Arc<HashMap<SensorId, BoundSensor>>,
    /// What `gateway status` tells of this driver.
    pub status: DriverStatus,
}
