//! What the spaces of the site are right now: asked by screens, written down nowhere.

use serde::{Deserialize, Serialize};

use super::{SiteTracker, surroundings};
use crate::{SensorId, SpaceId, SpaceState, Timestamp, ZoneId};

/// What a space is right now, for screens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpaceNow {
    /// The space.
    pub space: SpaceId,
    /// Its zone.
    pub zone: ZoneId,
    /// What it is.
    pub state: SpaceState,
    /// Since when it is occupied, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupied_since: Option<Timestamp>,
    /// When the last vehicle that has left did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Timestamp>,
    /// When its sensor was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
    /// Its sensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<SensorId>,
}

impl SiteTracker {
    /// What every space is at `now`.
    pub fn spaces_now(&mut self, now: Timestamp) -> Vec<SpaceNow> {
        let site = &self.site;
        let shown = self.spaces.iter_mut().map(|(id, book)| {
            let around = surroundings(site, id);
            let present = book.present(|| around);
            let walk = &present.walk;
            let closed = around
                .space
                .closed
                .iter()
                .any(|span| span.from <= now && span.until.is_none_or(|until| now < until));
            let state = if closed {
                SpaceState::Closed
            } else {
                walk.state_at(now, present.silence_ms)
            };
            let open = walk.stays.last().filter(|stay| stay.end.is_none());
            SpaceNow {
                space: id.clone(),
                zone: around.space.zone.clone(),
                state,
                occupied_since: open
                    .filter(|_| state == SpaceState::Occupied)
                    .map(|stay| stay.start.point),
                left: walk.stays.iter().rev().find_map(|stay| stay.end).map(|end| end.point),
                heard: walk.heard.filter(|_| walk.state.is_some()),
                sensor: walk.sensor.clone(),
            }
        });
        shown.collect()
    }
}
