//! A stay: one vehicle on the space, as far as can be told, with what is not certain about its ends.

use serde::{Deserialize, Serialize};

use crate::{BootId, Flag, TimeBounds, Timestamp};

/// A point in time and, when it was not seen, its bounds. The point never lies outside of the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edge {
    pub point: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<TimeBounds>,
}

impl Edge {
    pub fn seen(point: Timestamp) -> Self {
        Self { point, bounds: None }
    }

    pub fn within(point: Timestamp, earliest: Timestamp, latest: Timestamp) -> Self {
        let earliest = earliest.min(latest);
        Self {
            point: point.clamp(earliest, latest),
            bounds: (earliest < latest).then_some(TimeBounds { earliest, latest }),
        }
    }

    /// The middle of its bounds as best estimate.
    pub fn between(earliest: Timestamp, latest: Timestamp) -> Self {
        Self::within(
            earliest.plus_seconds(latest.seconds_since(earliest) / 2),
            earliest,
            latest,
        )
    }

    pub fn earliest(&self) -> Timestamp {
        self.bounds.map_or(self.point, |bounds| bounds.earliest)
    }

    pub fn latest(&self) -> Timestamp {
        self.bounds.map_or(self.point, |bounds| bounds.latest)
    }

    /// This edge, no earlier than `time` in its best estimate.
    pub fn not_before(self, time: Timestamp) -> Self {
        if self.point >= time {
            return self;
        }
        let latest = self.latest().max(time);
        Self::within(time, self.earliest(), latest)
    }

    /// This edge moved by `offset_ms`.
    pub fn shifted(self, offset_ms: i64) -> Self {
        let shift = |time: Timestamp| time.plus_millis(offset_ms).floor_to_second();
        Self {
            point: shift(self.point),
            bounds: self.bounds.map(|bounds| TimeBounds {
                earliest: shift(bounds.earliest),
                latest: shift(bounds.latest),
            }),
        }
    }
}

/// One vehicle on the space, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stay {
    pub start: Edge,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Edge>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// Begins right behind a silence before which the space was occupied: it may be the same vehicle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    /// The report that ended it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// A boot whose unset clock dates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unset: Option<BootId>,
}

impl Stay {
    pub fn flag(&mut self, flag: Flag) {
        if let Err(place) = self.flags.binary_search(&flag) {
            self.flags.insert(place, flag);
        }
    }

    pub fn unflag(&mut self, flag: Flag) {
        self.flags.retain(|f| *f != flag);
    }

    /// Its best estimate.
    pub fn points(&self) -> (Timestamp, Option<Timestamp>) {
        (self.start.point, self.end.map(|end| end.point))
    }
}
