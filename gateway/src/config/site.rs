//! The street: zones, sensors, spaces, and which sensor watches which space.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use parking::{
    Binding, Counter, Interval, Sampling, SensorErrors, SensorId, SensorTraits, SessionRules, Space, SpaceId,
    Timestamp, Timezone, Zone, ZoneId,
};

use super::attachment::{self, Pins};
use super::model::{Attachment, Sensor};
use super::names::Names;
use super::reader::{Field, Table};
use super::report::{Place, Placed, Report, did_you_mean};
use super::street::ReadSensor;
use crate::sensors::{DistanceLimits, ERRORS_MAX, Profile, Profiles, Transport};

/// Most zones of one box.
pub(super) const ZONES_MAX: usize = 100;
/// Most spaces of one box, and most sensors.
const SPACES_MAX: usize = 500;
/// Most closings of a space.
const CLOSINGS_MAX: usize = 100;
/// Most entries of `[[bindings]]`.
const BINDINGS_MAX: usize = 1_000;
/// Most entries of `[[counters]]`.
const COUNTERS_MAX: usize = 100;

pub(super) fn rules(report: &mut Report, mut table: Table, defaults: &SessionRules) -> SessionRules {
    const DAY_S: u32 = 24 * 3_600;
    let silence_heartbeats = table
        .optional("silence_heartbeats")
        .and_then(|field| field.number(report, &(1.0..=100.0)))
        .unwrap_or(defaults.silence_heartbeats);
    let mut seconds = |key, range, default| table.integer(report, key, &range, default);
    let rules = SessionRules {
        silence_heartbeats,
        merge_gap_s: seconds("merge_gap_s", 0..=3_600, defaults.merge_gap_s),
        grace_s: seconds("grace_s", 0..=7_200, defaults.grace_s),
        flips_per_hour_max: seconds("flips_per_hour_max", 1..=3_600, defaults.flips_per_hour_max),
        stay_max_s: seconds("stay_max_s", 7_200..=30 * DAY_S, defaults.stay_max_s),
        settle_s: seconds("settle_s", 0..=3_600, defaults.settle_s),
        horizon_s: seconds("horizon_s", 7_200..=14 * DAY_S, defaults.horizon_s),
        motorcycles: motorcycles(report, &mut table, defaults.motorcycles),
    };
    table.finish(report);
    rules
}

/// The sampling factor of motorcycles, and its error.
fn motorcycles(report: &mut Report, table: &mut Table, default: Option<Sampling>) -> Option<Sampling> {
    let per_stay = table.optional("motorcycles_per_stay");
    let error = table.optional("motorcycles_error_percent");
    let (Some(per_stay), Some(error)) = (&per_stay, &error) else {
        if let Some(field) = per_stay.or(error) {
            let message = "motorcycles_per_stay and motorcycles_error_percent belong together".to_owned();
            let hint = "write both, as counted by hand in sample hours: 1.6 and 15 say 1.36 to 1.84".to_owned();
            return field.error(report, message, hint);
        }
        return default;
    };
    sampling(report, per_stay, error, 0.1..=20.0)
}

/// So many vehicles stand behind one of what is counted, within an error in percent.
fn sampling(report: &mut Report, vehicles: &Field, error: &Field, range: RangeInclusive<f64>) -> Option<Sampling> {
    let vehicles = vehicles.number(report, &range);
    let error = error.integer(report, &(0..=90));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 10 to 20,000"
    )]
    Some(Sampling {
        vehicles_per_1000: (vehicles? * 1_000.0).round() as u32,
        error_percent: error?,
    })
}

pub(super) fn zones(report: &mut Report, root: &mut Table, defaults: &SessionRules) -> (Vec<Placed<Zone>>, Names) {
    let mut names = Names::of("zone");
    let mut zones = Vec::new();
    for mut table in root.tables_required(report, "zones", ZONES_MAX, "add [[zones]] with id and name") {
        let id = table
            .required("id", "name the zone, as in id = \"sudirman-utara\"")
            .and_then(|field| names.define::<ZoneId>(report, &field));
        let name = table
            .required(
                "name",
                "write the name for screens, as in name = \"Jl. Sudirman sisi utara\"",
            )
            .and_then(|field| field.text(report).map(str::to_owned));
        let own = table.section_or_empty(report, "rules");
        let rules = rules(report, own, defaults);
        let place = table.place.clone();
        table.finish(report);
        if let (Some(id), Some(name)) = (id, name) {
            let value = Zone { id, name, rules };
            zones.push(Placed { value, place });
        }
    }
    (zones, names)
}

pub(super) fn sensors(
    report: &mut Report,
    root: &mut Table,
    profiles: &Profiles,
    pins: &mut Pins,
    folder: &Path,
) -> (Vec<Placed<ReadSensor>>, Names) {
    let mut names = Names::of("sensor");
    let mut sensors = Vec::new();
    for mut table in root.tables(report, "sensors", SPACES_MAX) {
        let id = table.required("id", "write the sensor's id; for LoRaWAN its device EUI");
        let profile = table
            .required(
                "profile",
                "name the profile of its model, as in profile = \"bosch-tps110\"",
            )
            .and_then(|field| profile(report, &field, profiles));
        let id = id.and_then(|field| sensor_id(report, &field, profile.map(|profile| profile.transport), &mut names));
        let heartbeat = table.optional("heartbeat_s");
        let heartbeat_s = match &heartbeat {
            Some(field) => field.integer(report, &(heartbeat_s_min(profile)..=7 * 24 * 3_600)),
            None => profile.and_then(|profile| own_heartbeat(report, &table.place, profile)),
        };
        let error_rate = |table: &mut Table, report: &mut Report, key, of: fn(SensorErrors) -> u32| {
            let own = profile.map_or(0, |profile| of(profile.errors));
            table.integer(report, key, &(0..=ERRORS_MAX), own)
        };
        let errors = SensorErrors {
            missed: error_rate(&mut table, report, "missed_per_10000", |errors| errors.missed),
            invented: error_rate(&mut table, report, "invented_per_10000", |errors| errors.invented),
        };
        let distance = profile.and_then(|profile| distance(report, &mut table, profile));
        let attachment = if let Some(profile) = profile {
            attachment::attachment(report, &mut table, profile, pins, &sensors, folder)
        } else {
            attachment::ignore(&mut table);
            table.ignore(&["occupied_below_mm", "free_above_mm"]);
            None
        };
        let queued = table.optional("queued");
        let queued = queued.map(|field| match (profile, field.boolean(report)) {
            (Some(profile), Some(true)) if profile.transport.is_attached() => {
                let message = "what the box sees for itself is not kept while the box is off";
                field.error(report, message, "leave the key out")
            }
            (Some(profile), Some(true)) if !profile.may_wait() => {
                let message = "its messages do not say of when they are: what waited would be told as of now";
                field.error(
                    report,
                    message,
                    "leave the key out, or map fields.observed in a profile of your own",
                )
            }
            (_, queued) => queued,
        });
        let place = table.place.clone();
        table.finish(report);
        if let (Some(Attachment::Url { every_s, .. }), Some(heartbeat_s)) = (&attachment, heartbeat_s)
            && *every_s > heartbeat_s
        {
            let message = format!(
                "it is asked each {every_s} s and takes {heartbeat_s} s for its heartbeat: it would be unknown in between"
            );
            report.error(&place, message, "write a smaller poll_s, or a greater heartbeat_s");
        }
        let queued = queued.unwrap_or_else(|| profile.map(|profile| profile.queued));
        if let (Some(id), Some(profile), Some(heartbeat_s), Some(queued), Some(attachment)) =
            (id, profile, heartbeat_s, queued, attachment)
        {
            let value = ReadSensor {
                sensor: Sensor {
                    id: id.clone(),
                    profile,
                    distance,
                    attachment,
                },
                traits: SensorTraits {
                    id,
                    heartbeat_s,
                    queued,
                    on_change: profile.on_change,
                    errors,
                    counts: profile.counts,
                },
                transport: profile.transport,
            };
            sensors.push(Placed { value, place });
        }
    }
    (sensors, names)
}

fn profile(report: &mut Report, field: &Field, profiles: &Profiles) -> Option<&'static Profile> {
    let name = field.text(report)?;
    if let Some(profile) = profiles.by_name(name) {
        return Some(profile);
    }
    if profiles.is_broken(name) {
        // What is wrong with it has been told.
        return None;
    }
    let names = profiles.all().map(|profile| profile.name.as_str());
    let hint = did_you_mean(name, names).unwrap_or_else(|| format!("use {}", profiles.names()));
    field.error(
        report,
        format!("there is no sensor profile \"{}\"", field.shown()),
        hint,
    )
}

/// What a distance means: both limits where the model tells a distance only, and none elsewhere.
fn distance(report: &mut Report, table: &mut Table, profile: &Profile) -> Option<DistanceLimits> {
    let occupied_below = table.optional("occupied_below_mm");
    let free_above = table.optional("free_above_mm");
    if !profile.only_distance {
        let field = occupied_below.or(free_above)?;
        let message = format!(
            "sensors of profile \"{}\" say themselves whether a space is occupied",
            profile.name
        );
        return field.error(report, message, "leave the key out");
    }
    let (Some(occupied_below), Some(free_above)) = (&occupied_below, &free_above) else {
        let missing = if occupied_below.is_none() {
            "occupied_below_mm"
        } else {
            "free_above_mm"
        };
        let place = Place {
            offset: table.place.offset,
            key: format!("{}.{missing}", table.place.key),
        };
        let message = format!(
            "this key is missing: sensors of profile \"{}\" tell a distance and no state",
            profile.name
        );
        let hint = "measure the distance to the ground and to a car's roof: occupied_below_mm a little above the roof, \
                    free_above_mm a little less than the ground";
        report.absent(&place, message, hint);
        return None;
    };
    let limits = DistanceLimits {
        occupied_below_mm: occupied_below.integer(report, &(30..=10_000))?,
        free_above_mm: free_above.integer(report, &(30..=10_000))?,
    };
    if limits.free_above_mm < limits.occupied_below_mm {
        let message = "free_above_mm is less than occupied_below_mm".to_owned();
        return free_above.error(report, message, "a vehicle is nearer than the ground");
    }
    Some(limits)
}

/// The box itself says the state of what hangs on it, and not more often than by the profile.
fn heartbeat_s_min(profile: Option<&Profile>) -> u32 {
    let own = profile.filter(|profile| profile.transport.is_attached());
    own.and_then(|profile| profile.heartbeat_s).unwrap_or(10)
}

fn own_heartbeat(report: &mut Report, place: &Place, profile: &Profile) -> Option<u32> {
    if profile.heartbeat_s.is_none() {
        let place = Place {
            offset: place.offset,
            key: format!("{}.heartbeat_s", place.key),
        };
        let message = format!(
            "this key is missing: sensors of profile \"{}\" have no heartbeat of their own",
            profile.name
        );
        report.absent(
            &place,
            message,
            "write how often, in seconds, the sensor speaks at least",
        );
    }
    profile.heartbeat_s
}

fn sensor_id(report: &mut Report, field: &Field, transport: Option<Transport>, names: &mut Names) -> Option<SensorId> {
    let text = field.text(report)?;
    if transport != Some(Transport::ChirpStack) {
        return names.define(report, field);
    }
    if is_device_eui(text) {
        return names.define_as(report, field, text.to_ascii_lowercase());
    }
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | ':' | ' ')).collect();
    let hint = if is_device_eui(&digits) {
        format!("write \"{}\"", digits.to_ascii_lowercase())
    } else {
        "write the 16 hexadecimal digits of the sensor's label".to_owned()
    };
    names.note(&digits.to_ascii_lowercase(), field);
    names.note(text, field);
    field.error(report, format!("\"{}\" is no device EUI", field.shown()), hint)
}

fn is_device_eui(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Spaces, and what their sections say of other things.
pub(super) struct Spaces {
    pub all: Vec<Placed<Space>>,
    pub bindings: Vec<Placed<Binding>>,
    pub names: Names,
    /// Zones in which there is a space.
    pub zones: BTreeSet<ZoneId>,
    /// Whether every space is in a zone that there is.
    pub all_placed: bool,
}

pub(super) fn spaces(
    report: &mut Report,
    root: &mut Table,
    zones: &Names,
    sensors: &Names,
    timezone: Option<Timezone>,
) -> Spaces {
    let mut spaces = Spaces {
        all: Vec::new(),
        bindings: Vec::new(),
        names: Names::of("space"),
        zones: BTreeSet::new(),
        all_placed: true,
    };
    let hint = "add [[spaces]] with id, zone, class, latitude and longitude; or [[counters]] where lines are counted";
    let tables = if root.has_or_misspells("counters") {
        root.tables(report, "spaces", SPACES_MAX)
    } else {
        root.tables_required(report, "spaces", SPACES_MAX, hint)
    };
    for mut table in tables {
        let id = table
            .required("id", "name the space, as in id = \"P-07\"")
            .and_then(|field| spaces.names.define::<SpaceId>(report, &field));
        let zone = table
            .required("zone", "name the zone that the space is in")
            .and_then(|field| zones.refer::<ZoneId>(report, &field));
        let class = table
            .required("class", "use motorcycle, car, truck or bus")
            .and_then(|field| field.vehicle_class(report));
        let [latitude, longitude] = coordinates(report, &mut table);
        let closed = closings(report, &mut table, timezone);
        if let Some(field) = table.optional("sensor") {
            let sensor = sensors.refer::<SensorId>(report, &field);
            spaces.bindings.extend(always(sensor, id.clone(), field.place));
        }
        let place = table.place.clone();
        table.finish(report);
        spaces.all_placed &= zone.is_some();
        spaces.zones.extend(zone.clone());
        if let (Some(id), Some(zone), Some(class), Some(latitude), Some(longitude)) =
            (id, zone, class, latitude, longitude)
        {
            let value = Space {
                id,
                zone,
                class,
                latitude,
                longitude,
                closed,
            };
            spaces.all.push(Placed { value, place });
        }
    }
    spaces
}

fn coordinates(report: &mut Report, table: &mut Table) -> [Option<f64>; 2] {
    let latitude = table
        .required("latitude", "write degrees, as in latitude = -6.90344")
        .and_then(|field| field.number(report, &(-90.0..=90.0)));
    let longitude = table
        .required("longitude", "write degrees, as in longitude = 107.61872")
        .and_then(|field| field.number(report, &(-180.0..=180.0)));
    [latitude, longitude]
}

/// A binding without begin or end. It begins in 1970, before any time that a box tells.
fn always(sensor: Option<SensorId>, space: Option<SpaceId>, place: Place) -> Option<Placed<Binding>> {
    let during = Interval {
        from: Timestamp::EPOCH,
        until: None,
    };
    let value = Binding {
        sensor: sensor?,
        space: space?,
        during,
    };
    Some(Placed { value, place })
}

fn closings(report: &mut Report, space: &mut Table, timezone: Option<Timezone>) -> Vec<Interval> {
    let mut closings: Vec<(Interval, Place)> = Vec::new();
    for mut table in space.tables(report, "closed", CLOSINGS_MAX) {
        let from = table.required("from", "write when the closing begins, with its offset from UTC");
        let interval = interval(report, &mut table, from.as_ref(), timezone);
        let place = table.place.clone();
        table.finish(report);
        closings.extend(interval.map(|interval| (interval, place)));
    }
    closings.sort_by_key(|(interval, _)| interval.from);
    for pair in closings.windows(2) {
        if let [(earlier, _), (later, place)] = pair
            && overlap(earlier, later)
        {
            report.error(
                place,
                "this closing overlaps another of the same space",
                "join the two into one",
            );
        }
    }
    closings.into_iter().map(|(interval, _)| interval).collect()
}

/// The interval from `from`, or from ever, to the key `until` of `table`.
fn interval(
    report: &mut Report,
    table: &mut Table,
    from: Option<&Field>,
    timezone: Option<Timezone>,
) -> Option<Interval> {
    let until = table.optional("until");
    let begin = match from {
        Some(field) => field.timestamp(report, timezone)?,
        None => Timestamp::EPOCH,
    };
    let Some(field) = until else {
        return Some(Interval {
            from: begin,
            until: None,
        });
    };
    let end = field.timestamp(report, timezone)?;
    if end <= begin {
        return field.error(
            report,
            "the end is not after the begin",
            "swap from and until, or correct one of them",
        );
    }
    Some(Interval {
        from: begin,
        until: Some(end),
    })
}

pub(super) fn bindings(
    report: &mut Report,
    root: &mut Table,
    sensors: &Names,
    spaces: &Names,
    timezone: Option<Timezone>,
) -> Vec<Placed<Binding>> {
    let mut bindings = Vec::new();
    for mut table in root.tables(report, "bindings", BINDINGS_MAX) {
        let sensor = table
            .required("sensor", "name the sensor")
            .and_then(|field| sensors.refer::<SensorId>(report, &field));
        let space = table
            .required("space", "name the space that the sensor watches")
            .and_then(|field| spaces.refer::<SpaceId>(report, &field));
        let from = table.optional("from");
        let during = interval(report, &mut table, from.as_ref(), timezone);
        let place = table.place.clone();
        table.finish(report);
        if let (Some(sensor), Some(space), Some(during)) = (sensor, space, during) {
            let value = Binding { sensor, space, during };
            bindings.push(Placed { value, place });
        }
    }
    bindings
}

/// Counters, and the zones in which there is one, whole or not.
pub(super) fn counters(
    report: &mut Report,
    root: &mut Table,
    sensors: &Names,
    zones: &Names,
    timezone: Option<Timezone>,
) -> (Vec<Placed<Counter>>, BTreeSet<ZoneId>) {
    let mut counters = Vec::new();
    let mut used = BTreeSet::new();
    for mut table in root.tables(report, "counters", COUNTERS_MAX) {
        let sensor = table
            .required("sensor", "name the sensor that counts")
            .and_then(|field| sensors.refer::<SensorId>(report, &field));
        let zone = table
            .required("zone", "name the zone whose vehicles it counts")
            .and_then(|field| zones.refer::<ZoneId>(report, &field));
        let class = table
            .required(
                "class",
                "use motorcycle, car, truck or bus: the class that passes this line",
            )
            .and_then(|field| field.vehicle_class(report));
        let [latitude, longitude] = coordinates(report, &mut table);
        let hint = "count by hand in sample hours: of 100 that the sensor counts, 92 that stay and pay are 0.92; of a line \
                    that is passed on the way in and out, half of that";
        let vehicles = table.required("vehicles_per_count", hint);
        let hint = "by how many percent that may be off, for a day, in 19 of 20";
        let error = table.required("error_percent", hint);
        let vehicles = vehicles
            .zip(error)
            .and_then(|(vehicles, error)| sampling(report, &vehicles, &error, 0.01..=20.0));
        let from = table.optional("from");
        let during = interval(report, &mut table, from.as_ref(), timezone);
        let place = table.place.clone();
        table.finish(report);
        used.extend(zone.clone());
        if let (Some(sensor), Some(zone), Some(class), Some(latitude), Some(longitude), Some(vehicles), Some(during)) =
            (sensor, zone, class, latitude, longitude, vehicles, during)
        {
            let value = Counter {
                sensor,
                zone,
                class,
                latitude,
                longitude,
                during,
                vehicles,
            };
            counters.push(Placed { value, place });
        }
    }
    (counters, used)
}

/// Whether `later`, which does not begin before `earlier`, begins before `earlier` ends.
fn overlap(earlier: &Interval, later: &Interval) -> bool {
    earlier.until.is_none_or(|until| later.from < until)
}
