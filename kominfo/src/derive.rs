//! From records to figures: which session, occupancy or event a leaf tells, and whether it can be true.
//!
//! Pure and deterministic: the same leaves in the same order give the same rows, whether they come in one batch or in
//! many, now or in a rebuild. A leaf is kept and proved whatever it says; what it says counts only if it can be true.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use parking::{ClockQuality, Counted, FeeRange, Gap, GatewayId, Occupancy, Record, RecordBody, Session, TimeBounds};
use serde::Serialize;

use crate::store::{Calendar, Derived, EventRow, OccupancyRow, SessionRow, signed};

/// The kind under which a record that cannot be used is counted.
pub const UNDECODABLE: &str = "undecodable";
/// Longest name of a kind; a longer one, or one of other characters, is counted as [`OTHER`].
const KIND_BYTES_MAX: usize = 64;
const OTHER: &str = "other";

/// No session costs more: a thousand billion rupiah.
const FEE_MAX: i64 = 1_000_000_000_000;
/// Vehicles in one gap beyond which a box is not believed.
const UNCOUNTED_MAX: i32 = 10_000;
const INFERRED_MAX: u32 = 10_000;
/// Vehicles that a counter counts in an interval beyond which a box is not believed, and counters of a zone.
const COUNTED_MAX: u32 = 10_000;
const COUNTERS_MAX: usize = 1_000;
/// No zone has more spaces.
const SPACES_MAX: u32 = 1_000_000;
/// No interval is longer than a day.
const INTERVAL_S_MAX: u32 = 86_400;

/// A business day begins before so many minutes after midnight.
const DAY_MINUTES: u32 = 24 * 60;

/// A record that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// Index of its leaf.
    pub index: u64,
    /// Why.
    pub why: String,
}

/// What one leaf tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Session(SessionRow),
    Occupancy(OccupancyRow),
    Calendar(EventRow, Calendar),
    Event(EventRow),
}

/// Gathers what leaves tell; hand them in by index.
#[derive(Debug, Default)]
pub struct Deriver {
    sessions: BTreeMap<String, SessionRow>,
    occupancy: BTreeMap<(String, i64), OccupancyRow>,
    events: Vec<EventRow>,
    calendar: Option<Calendar>,
    undecodable: Vec<Undecodable>,
}

impl Deriver {
    /// Takes in the leaf at `index`.
    pub fn leaf(&mut self, gateway: &GatewayId, index: u64, record: &[u8]) {
        let told = tell(gateway, index, record).unwrap_or_else(|why| {
            self.undecodable.push(Undecodable { index, why });
            Told::Event(event(gateway, index, UNDECODABLE))
        });
        match told {
            Told::Session(row) => match self.sessions.entry(row.session.clone()) {
                Entry::Vacant(place) => _ = place.insert(row),
                Entry::Occupied(mut known) if row.revision > known.get().revision => _ = known.insert(row),
                Entry::Occupied(_) => {}
            },
            Told::Occupancy(row) => match self.occupancy.entry((row.zone.clone(), row.from_ms)) {
                Entry::Vacant(place) => _ = place.insert(row),
                Entry::Occupied(mut known) if row.revision > known.get().revision => _ = known.insert(row),
                Entry::Occupied(_) => {}
            },
            Told::Calendar(row, calendar) => {
                self.events.push(row);
                self.calendar = Some(calendar);
            }
            Told::Event(row) => self.events.push(row),
        }
    }

    /// The rows, by key, and the records that cannot be used.
    pub fn finish(self) -> (Derived, Vec<Undecodable>) {
        let derived = Derived {
            sessions: self.sessions.into_values().collect(),
            occupancy: self.occupancy.into_values().collect(),
            events: self.events,
            calendar: self.calendar,
        };
        (derived, self.undecodable)
    }
}

/// Whether a record was written by a made-up clock.
pub fn is_simulated(record: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Clock {
        clock: ClockQuality,
    }
    serde_json::from_slice::<Clock>(record).is_ok_and(|record| record.clock == ClockQuality::Simulated)
}

fn tell(gateway: &GatewayId, index: u64, bytes: &[u8]) -> Result<Told, String> {
    let record: Record = match serde_json::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => {
            let kind = unknown_kind(bytes).ok_or_else(|| error.to_string())?;
            return Ok(Told::Event(event(gateway, index, &kind)));
        }
    };
    Ok(match &record.body {
        RecordBody::Session(session) => Told::Session(session_row(gateway, index, session)?),
        RecordBody::Occupancy(occupancy) => Told::Occupancy(occupancy_row(gateway, index, occupancy)?),
        body @ RecordBody::ConfigChanged {
            timezone,
            day_cutoff_minutes,
            ..
        } => {
            if *day_cutoff_minutes >= DAY_MINUTES {
                return Err(format!(
                    "a business day that begins {day_cutoff_minutes} minutes after midnight"
                ));
            }
            let calendar = Calendar {
                timezone: *timezone,
                day_cutoff_minutes: *day_cutoff_minutes,
            };
            Told::Calendar(event(gateway, index, kind_of(body)), calendar)
        }
        body => Told::Event(event(gateway, index, kind_of(body))),
    })
}

/// The kind of a record that is whole but of a kind that this program does not know; an older city keeps and proves what
/// a newer box tells.
fn unknown_kind(bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Kind {
        kind: String,
    }
    let Kind { kind } = serde_json::from_slice(bytes).ok()?;
    if KINDS.contains(&kind.as_str()) {
        return None;
    }
    let plain = !kind.is_empty()
        && kind.len() <= KIND_BYTES_MAX
        && kind
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    Some(if plain && kind != UNDECODABLE {
        kind
    } else {
        OTHER.to_owned()
    })
}

/// All kinds of [`RecordBody`].
const KINDS: &[&str] = &[
    "session",
    "occupancy",
    "comms_lost",
    "comms_restored",
    "counter_lost",
    "counter_restored",
    "sensor_suspect",
    "binding",
    "started",
    "time_correction",
    "config_changed",
    "reading_set_aside",
    "journal_damaged",
    "camera_lost",
    "camera_restored",
    "camera_tampered",
    "camera_unsteady",
    "box_contact",
];

fn kind_of(body: &RecordBody) -> &'static str {
    match body {
        RecordBody::Session(_) => "session",
        RecordBody::Occupancy(_) => "occupancy",
        RecordBody::CommsLost { .. } => "comms_lost",
        RecordBody::CommsRestored { .. } => "comms_restored",
        RecordBody::CounterLost { .. } => "counter_lost",
        RecordBody::CounterRestored { .. } => "counter_restored",
        RecordBody::SensorSuspect { .. } => "sensor_suspect",
        RecordBody::Binding { .. } => "binding",
        RecordBody::Started { .. } => "started",
        RecordBody::TimeCorrection { .. } => "time_correction",
        RecordBody::ConfigChanged { .. } => "config_changed",
        RecordBody::ReadingSetAside { .. } => "reading_set_aside",
        RecordBody::JournalDamaged { .. } => "journal_damaged",
        RecordBody::CameraLost { .. } => "camera_lost",
        RecordBody::CameraRestored { .. } => "camera_restored",
        RecordBody::CameraTampered { .. } => "camera_tampered",
        RecordBody::CameraUnsteady { .. } => "camera_unsteady",
        RecordBody::BoxContact { .. } => "box_contact",
    }
}

fn event(gateway: &GatewayId, index: u64, kind: &str) -> EventRow {
    EventRow {
        gateway: gateway.to_string(),
        index,
        kind: kind.to_owned(),
    }
}

fn session_row(gateway: &GatewayId, index: u64, session: &Session) -> Result<SessionRow, String> {
    check_revision(session.revision)?;
    check_fee(&session.fee)?;
    if session.end < session.start {
        return Err(format!(
            "session ends at {} before it starts at {}",
            session.end, session.start
        ));
    }
    check_bounds("start_bounds", session.start_bounds)?;
    check_bounds("end_bounds", session.end_bounds)?;
    Ok(SessionRow {
        gateway: gateway.to_string(),
        session: session.session.to_string(),
        revision: i64::from(session.revision),
        index,
        zone: session.zone.to_string(),
        space: session.space.to_string(),
        class: name(&session.class)?,
        status: name(&session.status)?,
        day: session.day.to_string(),
        start_ms: session.start.as_millis(),
        end_ms: session.end.as_millis(),
        fee_low: session.fee.low.0,
        fee_point: session.fee.point.0,
        fee_high: session.fee.high.0,
    })
}

fn occupancy_row(gateway: &GatewayId, index: u64, told: &Occupancy) -> Result<OccupancyRow, String> {
    check_revision(told.revision)?;
    if told.spaces > SPACES_MAX || told.interval_s > INTERVAL_S_MAX {
        return Err(format!(
            "occupancy of {} spaces over {} s",
            told.spaces, told.interval_s
        ));
    }
    let stated = u128::from(told.spaces) * u128::from(told.interval_s);
    let parts = [told.occupied_s, told.free_s, told.unknown_s, told.closed_s];
    let sum: u128 = parts.iter().copied().map(u128::from).sum();
    if sum != stated {
        return Err(format!(
            "occupied, free, unknown and closed seconds make {sum}, not {stated}"
        ));
    }
    if told.coverage.is_some_and(|coverage| coverage > parking::Coverage::FULL) {
        return Err("coverage above 100 %".to_owned());
    }
    if told.errors.missed > 10_000 || told.errors.invented > 10_000 {
        return Err("sensors that are wrong more often than always".to_owned());
    }
    let until = told.from.plus_seconds(told.interval_s.into());
    let is_amiss = |gap: &Gap| {
        let is_elsewhere = gap.from < told.from || until <= gap.from;
        let is_absurd = gap.uncounted.is_some_and(|uncounted| uncounted.abs() > UNCOUNTED_MAX);
        is_elsewhere || gap.until.is_some_and(|until| until < gap.from) || is_absurd || gap.inferred > INFERRED_MAX
    };
    if let Some(gap) = told.gaps.iter().find(|gap| is_amiss(gap)) {
        return Err(format!("a gap of space {} from {}", gap.space, gap.from));
    }
    check_counted(&told.counted, told.interval_s)?;
    Ok(OccupancyRow {
        gateway: gateway.to_string(),
        zone: told.zone.to_string(),
        from_ms: told.from.as_millis(),
        revision: i64::from(told.revision),
        index,
        interval_s: i64::from(told.interval_s),
        spaces: i64::from(told.spaces),
        occupied_s: signed(told.occupied_s),
        free_s: signed(told.free_s),
        unknown_s: signed(told.unknown_s),
        closed_s: signed(told.closed_s),
        arrivals: i64::from(told.arrivals),
        departures: i64::from(told.departures),
    })
}

fn check_counted(counted: &[Counted], interval_s: u32) -> Result<(), String> {
    if counted.len() > COUNTERS_MAX {
        return Err(format!("{} counters in one zone", counted.len()));
    }
    let is_amiss = |counted: &&Counted| {
        let edges = [counted.at_begin, counted.at_end].into_iter().flatten();
        let mut counts = edges
            .flat_map(|edge| [edge.fewer, edge.more])
            .chain([counted.count, counted.at_least]);
        let is_longer = counted.known_s.saturating_add(counted.unknown_s) > interval_s.saturating_add(1);
        is_longer || counts.any(|count| count > COUNTED_MAX) || !(0..=FEE_MAX).contains(&counted.fee.0)
    };
    counted.iter().find(is_amiss).map_or(Ok(()), |counted| {
        Err(format!("a count that cannot be, by sensor {}", counted.sensor))
    })
}

fn check_revision(revision: u32) -> Result<(), String> {
    if revision == 0 {
        Err("revision 0: the first is 1".to_owned())
    } else {
        Ok(())
    }
}

fn check_fee(fee: &FeeRange) -> Result<(), String> {
    let (low, point, high) = (fee.low.0, fee.point.0, fee.high.0);
    if low < 0 || low > point || point > high || high > FEE_MAX {
        return Err(format!(
            "fee low {low}, point {point}, high {high}: must rise from 0 to at most {FEE_MAX}"
        ));
    }
    Ok(())
}

fn check_bounds(what: &str, bounds: Option<TimeBounds>) -> Result<(), String> {
    match bounds {
        Some(bounds) if bounds.earliest > bounds.latest => Err(format!(
            "{what}: earliest {} is after latest {}",
            bounds.earliest, bounds.latest
        )),
        _ => Ok(()),
    }
}

/// The name under which an enumeration's value is written.
fn name(value: &impl Serialize) -> Result<String, String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        Ok(other) => Err(format!("{other} is no name")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = r#""at":"2026-01-05T00:00:00Z","boot":1,"mono_s":5,"clock":"synced""#;

    fn session(changes: &[(&str, &str)]) -> String {
        let mut text = format!(
            r#"{{"kind":"session","session":"g-a-1","revision":1,"zone":"z","space":"s","class":"car","basis":"bay","status":"parked","start":"2026-01-05T00:00:00Z","end":"2026-01-05T01:00:00Z","day":"2026-01-05","tariff":"t","fee":{{"low":1,"point":2,"high":3}},"cause":"1",{STAMP}}}"#
        );
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        text
    }

    fn derive(records: &[&str]) -> (Derived, Vec<Undecodable>) {
        let gateway = GatewayId::new("g").unwrap();
        let mut deriver = Deriver::default();
        for (index, record) in (0..).zip(records) {
            deriver.leaf(&gateway, index, record.as_bytes());
        }
        deriver.finish()
    }

    #[test]
    fn the_list_of_kinds_is_that_of_the_records() {
        let error = serde_json::from_str::<RecordBody>(r#"{"kind":"?"}"#)
            .unwrap_err()
            .to_string();
        let known: Vec<_> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, KINDS, "{error}");
    }

    #[test]
    fn the_highest_revision_of_a_session_counts_and_of_equal_ones_the_first() {
        let second = session(&[("\"revision\":1", "\"revision\":2")]);
        let other = session(&[("\"revision\":1", "\"revision\":2"), ("\"point\":2", "\"point\":3")]);
        let (derived, undecodable) = derive(&[&session(&[]), &second, &other, &session(&[])]);
        assert_eq!(undecodable, []);
        assert_eq!(derived.sessions.len(), 1);
        assert_eq!(
            (
                derived.sessions[0].revision,
                derived.sessions[0].index,
                derived.sessions[0].fee_point
            ),
            (2, 1, 2)
        );
    }

    #[test]
    fn the_last_calendar_that_can_be_true_counts() {
        let changed = |timezone: &str, minutes: u32| {
            format!(
                r#"{{"kind":"config_changed","sha256":"00","timezone":"{timezone}","day_cutoff_minutes":{minutes},{STAMP}}}"#
            )
        };
        assert_eq!(derive(&[&session(&[])]).0.calendar, None);
        let (derived, undecodable) = derive(&[&changed("WIB", 0), &changed("WIT", 180), &changed("WITA", 1_440)]);
        let calendar = derived.calendar.unwrap();
        assert_eq!(
            (calendar.timezone, calendar.day_cutoff_minutes),
            (parking::Timezone::Wit, 180)
        );
        assert_eq!(undecodable.len(), 1);
    }

    #[test]
    fn what_cannot_be_true_is_kept_as_undecodable_and_derives_nothing() {
        let impossible = [
            session(&[("\"low\":1", "\"low\":-1")]),
            session(&[("\"low\":1", "\"low\":3")]),
            session(&[("\"high\":3", "\"high\":9223372036854775807")]),
            session(&[
                ("T01:00:00Z", "T00:00:00Z"),
                ("start\":\"2026-01-05T00", "start\":\"2026-01-05T02"),
            ]),
            session(&[("\"revision\":1", "\"revision\":0")]),
            session(&[("\"zone\":\"z\"", "\"zone\":\"../z\"")]),
            session(&[("\"class\":\"car\"", "\"class\":\"tank\"")]),
            format!(
                r#"{{"kind":"occupancy","zone":"z","from":"2026-01-05T00:00:00Z","interval_s":900,"revision":1,"spaces":2,"occupied_s":1800,"free_s":1,"unknown_s":0,"closed_s":0,"arrivals":0,"departures":0,{STAMP}}}"#
            ),
            "no JSON".to_owned(),
            "[]".to_owned(),
            "\u{0}".to_owned(),
        ];
        let records: Vec<_> = impossible.iter().map(String::as_str).collect();
        let (derived, undecodable) = derive(&records);
        assert_eq!(undecodable.len(), impossible.len(), "{undecodable:?}");
        assert_eq!((derived.sessions.len(), derived.occupancy.len()), (0, 0));
        assert!(derived.events.iter().all(|event| event.kind == UNDECODABLE));
    }

    #[test]
    fn a_kind_that_is_not_known_yet_is_counted_by_its_name() {
        let (derived, undecodable) = derive(&[
            r#"{"kind":"enclosure_opened","x":1}"#,
            r#"{"kind":"Böse\u0000"}"#,
            r#"{"kind":"undecodable"}"#,
        ]);
        assert_eq!(undecodable, []);
        let kinds: Vec<_> = derived.events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["enclosure_opened", OTHER, OTHER]);
    }

    #[test]
    fn a_made_up_clock_is_noticed_whatever_the_kind() {
        assert!(is_simulated(br#"{"kind":"new","clock":"simulated"}"#));
        assert!(!is_simulated(session(&[]).as_bytes()));
        assert!(!is_simulated(b"no JSON"));
    }
}
