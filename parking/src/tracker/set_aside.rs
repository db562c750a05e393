//! How many readings are set aside with a record: a sensor that goes mad must not fill the ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{SensorId, Timestamp};

/// Readings of one sensor set aside with a record, in one hour; further ones in that hour are dropped.
const SET_ASIDE_PER_HOUR_MAX: u32 = 4;
/// Sensors whose readings are set aside with a record, in one hour; those of further ones are dropped.
const SET_ASIDE_SENSORS_MAX: usize = 256;

/// Readings of one sensor that were set aside in one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    hour: i64,
    count: u32,
}

/// Readings that were set aside with a record, by sensor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SetAsideCounts(BTreeMap<SensorId, Count>);

impl SetAsideCounts {
    /// Whether a further reading of `sensor` may have a record at `now`; if so, it is counted.
    pub fn admit(&mut self, sensor: &SensorId, now: Timestamp) -> bool {
        let hour = now.as_seconds().div_euclid(3_600);
        let this_hour = |known: &Count| known.hour == hour;
        let sensors = self.0.values().filter(|known| this_hour(known)).count();
        let known = self.0.get(sensor).filter(|known| this_hour(known));
        let is_full = match known {
            Some(known) => known.count >= SET_ASIDE_PER_HOUR_MAX,
            None => sensors >= SET_ASIDE_SENSORS_MAX,
        };
        if !is_full {
            let count = known.map_or(0, |known| known.count) + 1;
            self.0.retain(|_, known| this_hour(known));
            self.0.insert(sensor.clone(), Count { hour, count });
        }
        !is_full
    }
}
