//! What the page and the interface show, gathered from the store.
//!
//! States come from boxes of any version and are not signed: whatever is missing or odd in them is shown as not told, and
//! never stops the rest.
//!
//! What of a day should have arrived by now is judged by the city's clock: a box that is away would hide by its own that
//! it is. Only a box whose signed records are of a made-up clock, which this city then accepts, is judged by its own time.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use parking::{CivilDate, ClockQuality, GatewayId, Timestamp, ZoneDay, ZoneId, due_span, zone_day};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cameras::{CameraView, cameras_of};
use crate::derive::is_simulated;
use crate::store::{Alarm, BoxRow, LogRow, State, Store, StoreError};

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// When it was gathered.
    pub now: Timestamp,
    /// The boxes.
    pub boxes: Vec<BoxView>,
    /// Standing alarms, newest first.
    pub alarms: Vec<Alarm>,
}

/// A box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoxView {
    /// Its name.
    #[serde(rename = "box")]
    pub gateway: GatewayId,
    /// Its zone of time.
    pub timezone: parking::Timezone,
    /// Whether it is connected to the broker; `None` when it never was.
    pub online: Option<bool>,
    /// Since when.
    pub online_since: Option<Timestamp>,
    /// Records that the city has.
    pub size: u64,
    /// When the newest receipt was given.
    pub receipt: Option<Timestamp>,
    /// It has signed two histories.
    pub forked: bool,
    /// Records that wait at the box, if it told.
    pub backlog: Option<u64>,
    /// What its clock is worth, if it told.
    pub clock: Option<ClockQuality>,
    /// Its journal has no room left.
    pub journal_full: bool,
    /// When its state last came in.
    pub state_updated: Option<Timestamp>,
    /// Its business day.
    pub day: CivilDate,
    /// Its zones.
    pub zones: Vec<ZoneView>,
    /// Its cameras.
    pub cameras: Vec<CameraView>,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZoneView {
    /// Its name.
    pub zone: ZoneId,
    /// Its spaces.
    pub spaces: Vec<SpaceView>,
    /// Its business day so far, when anything was told.
    pub day: Option<ZoneDay>,
}

/// What a space is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpaceState {
    /// Nobody stands there.
    Free,
    /// A vehicle stands there.
    Occupied,
    /// Closed to parking.
    Closed,
    /// Not known, or something that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpaceView {
    /// Its name.
    pub space: String,
    /// What it is.
    pub state: SpaceState,
    /// Since when it is occupied, if it is.
    pub occupied_since: Option<Timestamp>,
    /// When its sensor was last heard.
    pub heard: Option<Timestamp>,
}

/// The value of `space/<id>`.
#[derive(Debug, Deserialize)]
struct SpaceValue {
    zone: ZoneId,
    #[serde(default)]
    state: SpaceState,
    #[serde(default)]
    occupied_since: Option<Timestamp>,
    #[serde(default)]
    heard: Option<Timestamp>,
}

/// Gathers views; remembers each box's day as long as its log does not grow and nothing more is due.
#[derive(Debug, Default)]
pub struct Gatherer {
    days: Mutex<BTreeMap<GatewayId, Remembered>>,
}

#[derive(Debug, Clone)]
struct Remembered {
    basis: Basis,
    zones: Vec<ZoneDay>,
}

/// What the figures of a box's day depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Basis {
    /// Records in its log.
    size: u64,
    /// The newest of them is of a made-up clock.
    simulated: bool,
    day: CivilDate,
    /// The part of the day that should be known.
    due: Range<Timestamp>,
}

impl Gatherer {
    /// Everything as it is now.
    pub async fn view(&self, store: &Store, now: Timestamp) -> Result<View, StoreError> {
        let logs = store.logs(None).await?;
        let links = store.links().await?;
        let mut states: BTreeMap<String, Vec<State>> = BTreeMap::new();
        for state in store.states().await? {
            states.entry(state.gateway.clone()).or_default().push(state);
        }
        let mut boxes = Vec::new();
        for row in store.boxes().await? {
            let states = states.remove(row.gateway.as_str()).unwrap_or_default();
            let Some(log) = logs.iter().find(|log| log.gateway == row.gateway) else {
                continue;
            };
            let link = links.iter().find(|link| link.gateway == row.gateway.as_str());
            let mut view = self.box_view(store, &row, log, &states, now).await?;
            view.online = link.map(|link| link.online);
            view.online_since = link.map(|link| link.updated);
            boxes.push(view);
        }
        let alarms = store.alarms(now).await?;
        Ok(View { now, boxes, alarms })
    }

    async fn box_view(
        &self,
        store: &Store,
        row: &BoxRow,
        log: &LogRow,
        states: &[State],
        now: Timestamp,
    ) -> Result<BoxView, StoreError> {
        let told = told_by_box(states);
        let mut zones = spaces_by_zone(states);
        // So that a box with a simulated clock, or one that is away, shows the day that it is in.
        let box_time = box_time(store, &row.gateway, &told, &zones).await?.unwrap_or(now);
        let day = row.timezone.business_day(box_time, row.day_cutoff_minutes);
        let simulated = self.is_simulated(store, &row.gateway, log.size).await?;
        let basis = Basis {
            size: log.size,
            simulated,
            day,
            due: due_span(&span_of(row, day), if simulated { box_time } else { now }),
        };
        let days = self.days_of(store, row, basis).await?;
        for day in &days {
            zones.entry(day.zone.clone()).or_default();
        }
        let zones = zones.into_iter().map(|(zone, spaces)| ZoneView {
            day: days.iter().find(|day| day.zone == zone).cloned(),
            zone,
            spaces,
        });
        Ok(BoxView {
            gateway: row.gateway.clone(),
            timezone: row.timezone,
            online: None,
            online_since: None,
            size: log.size,
            receipt: log
                .receipt
                .as_ref()
                .map(|receipt| Timestamp::from_seconds(i64::try_from(receipt.time_s).unwrap_or(i64::MAX))),
            forked: log.forked,
            backlog: told.get("backlog").and_then(Value::as_u64),
            clock: told
                .get("clock")
                .and_then(|clock| ClockQuality::deserialize(clock).ok()),
            journal_full: told.get("journal_full") == Some(&Value::Bool(true)),
            state_updated: states.iter().map(|state| state.updated).max(),
            day,
            zones: zones.collect(),
            cameras: cameras_of(states),
        })
    }

    fn remembered(&self, gateway: &GatewayId) -> Option<Remembered> {
        self.days.lock().ok().and_then(|days| days.get(gateway).cloned())
    }

    /// Whether a box's log of `size` records ends with one of a made-up clock.
    async fn is_simulated(&self, store: &Store, gateway: &GatewayId, size: u64) -> Result<bool, StoreError> {
        match self.remembered(gateway).filter(|known| known.basis.size == size) {
            Some(known) => Ok(known.basis.simulated),
            None => ends_simulated(store, gateway).await,
        }
    }

    async fn days_of(&self, store: &Store, row: &BoxRow, basis: Basis) -> Result<Vec<ZoneDay>, StoreError> {
        let (gateway, day) = (&row.gateway, basis.day);
        let known = self.remembered(gateway);
        if let Some(known) = known.filter(|known| known.basis == basis) {
            return Ok(known.zones);
        }
        let span = span_of(row, day);
        let sessions = store.sessions_of_day(gateway, day, None).await?;
        let mut zones = Vec::new();
        for zone in store.zones_of_day(gateway, day, span.clone()).await? {
            let occupancy = store.occupancy(gateway, &zone, span.clone()).await?;
            zones.push(zone_day(&zone, day, &basis.due, &sessions, &occupancy));
        }
        if let Ok(mut days) = self.days.lock() {
            let zones = zones.clone();
            days.insert(gateway.clone(), Remembered { basis, zones });
        }
        Ok(zones)
    }
}

/// One zone's business day as it is known by `now`, the city's time; `None` when the box is not registered.
pub async fn day_of_zone(
    store: &Store,
    gateway: &GatewayId,
    zone: &ZoneId,
    day: CivilDate,
    now: Timestamp,
) -> Result<Option<ZoneDay>, StoreError> {
    let Some(row) = store.boxes().await?.into_iter().find(|row| row.gateway == *gateway) else {
        return Ok(None);
    };
    let judged = if ends_simulated(store, gateway).await? {
        let mut states = store.states().await?;
        states.retain(|state| state.gateway == gateway.as_str());
        let told = told_by_box(&states);
        let own = box_time(store, gateway, &told, &spaces_by_zone(&states)).await?;
        own.unwrap_or(now)
    } else {
        now
    };
    let span = span_of(&row, day);
    let due = due_span(&span, judged);
    let sessions = store.sessions_of_day(gateway, day, Some(zone)).await?;
    let occupancy = store.occupancy(gateway, zone, span).await?;
    Ok(Some(zone_day(zone, day, &due, &sessions, &occupancy)))
}

/// Whether the newest record of a box's log is of a made-up clock. By what it signed: its state anybody at the box could
/// make up, and a city that takes no such records has none.
async fn ends_simulated(store: &Store, gateway: &GatewayId) -> Result<bool, StoreError> {
    let newest = store.newest_record(gateway).await?;
    Ok(newest.is_some_and(|record| is_simulated(&record)))
}

/// A box's own time as last told, by its state or else by the newest interval of its occupancy.
async fn box_time(
    store: &Store,
    gateway: &GatewayId,
    told: &Value,
    zones: &BTreeMap<ZoneId, Vec<SpaceView>>,
) -> Result<Option<Timestamp>, StoreError> {
    let at = told.get("at").and_then(|at| Timestamp::deserialize(at).ok());
    let heard = zones.values().flatten().filter_map(|space| space.heard).max();
    match at.or(heard) {
        Some(time) => Ok(Some(time)),
        None => store.occupancy_until(gateway).await,
    }
}

/// What a box tells about itself; null when it does not.
fn told_by_box(states: &[State]) -> Value {
    let of_box = states.iter().find(|state| state.name == "box");
    of_box
        .and_then(|state| serde_json::from_str(&state.value).ok())
        .unwrap_or_default()
}

/// The time that a box's business day takes.
fn span_of(row: &BoxRow, day: CivilDate) -> Range<Timestamp> {
    let start = |day| row.timezone.start_of(day, row.day_cutoff_minutes);
    start(day)..start(CivilDate(day.0.tomorrow().unwrap_or(day.0)))
}

fn spaces_by_zone(states: &[State]) -> BTreeMap<ZoneId, Vec<SpaceView>> {
    let mut zones: BTreeMap<ZoneId, Vec<SpaceView>> = BTreeMap::new();
    for state in states {
        let Some(space) = state.name.strip_prefix("space/") else {
            continue;
        };
        let Ok(value) = serde_json::from_str::<SpaceValue>(&state.value) else {
            continue;
        };
        zones.entry(value.zone).or_default().push(SpaceView {
            space: space.to_owned(),
            state: value.state,
            occupied_since: value.occupied_since,
            heard: value.heard,
        });
    }
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_another_version_is_shown_as_unknown_and_stops_nothing() {
        let state = |name: &str, value: &str| State {
            gateway: "g".to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
            updated: Timestamp::EPOCH,
        };
        let zones = spaces_by_zone(&[
            state("box", "{}"),
            state(
                "space/a-1",
                r#"{"zone":"a","state":"occupied","occupied_since":"2026-01-05T00:00:00Z","new":1}"#,
            ),
            state("space/a-2", r#"{"zone":"a","state":"reserved"}"#),
            state("space/a-3", r#"{"zone":"a"}"#),
            state("space/a-4", "[]"),
        ]);
        let states: Vec<_> = zones.values().flatten().map(|space| space.state).collect();
        assert_eq!(states, [SpaceState::Occupied, SpaceState::Unknown, SpaceState::Unknown]);
    }
}
