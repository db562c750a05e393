//! What no single section shows: overlaps, gaps, and things that nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use parking::{SensorId, Site, SpaceId, VehicleClass, ZoneId};

use super::names::Names;
use super::profiles::Transport;
use super::report::Report;
use super::site::{PlacedBinding, PlacedSensor, PlacedSpace, overlap};
use super::tariffs::PlacedTariff;

/// A sensor that may be silent for longer than this before anyone notices gives no hourly picture.
const SILENCE_NOTICED_S_MAX: f64 = 12.0 * 3_600.0;

/// A sensor watches one space at a time, and a space is watched by one sensor at a time.
pub(super) fn bindings_do_not_overlap(report: &mut Report, bindings: &[PlacedBinding]) {
    let mut of_sensor: BTreeMap<&SensorId, Vec<&PlacedBinding>> = BTreeMap::new();
    let mut of_space: BTreeMap<&SpaceId, Vec<&PlacedBinding>> = BTreeMap::new();
    for placed in bindings {
        of_sensor.entry(&placed.binding.sensor).or_default().push(placed);
        of_space.entry(&placed.binding.space).or_default().push(placed);
    }
    let mut told = BTreeSet::new();
    for (sensor, bindings) in of_sensor {
        for (earlier, later) in overlaps(bindings) {
            let space = &earlier.binding.space;
            let line = report.line(earlier.place.offset);
            let message = format!("sensor \"{sensor}\" is still bound to space \"{space}\" then, by line {line}");
            report.error(
                &later.place,
                message,
                "end the earlier binding with until, or correct the sensor",
            );
            told.insert(later.place.offset);
        }
    }
    for (space, bindings) in of_space {
        for (earlier, later) in overlaps(bindings) {
            if told.contains(&later.place.offset) {
                continue;
            }
            let sensor = &earlier.binding.sensor;
            let line = report.line(earlier.place.offset);
            let message = format!("space \"{space}\" is still watched by sensor \"{sensor}\" then, by line {line}");
            report.error(
                &later.place,
                message,
                "end the earlier binding with until, or correct the space",
            );
        }
    }
}

/// Neighbours in time that overlap.
fn overlaps(mut bindings: Vec<&PlacedBinding>) -> Vec<(&PlacedBinding, &PlacedBinding)> {
    bindings.sort_by_key(|placed| (placed.binding.during.from, placed.place.offset));
    let pairs = bindings.windows(2).filter_map(|pair| match pair {
        [earlier, later] if overlap(&earlier.binding.during, &later.binding.during) => Some((*earlier, *later)),
        _ => None,
    });
    pairs.collect()
}

/// For a zone, a class and a day there is at most one fee.
pub(super) fn tariffs_do_not_compete(report: &mut Report, tariffs: &[PlacedTariff], zones: &[ZoneId]) {
    for (place, later) in tariffs.iter().enumerate() {
        for earlier in &tariffs[..place] {
            let (one, other) = (&earlier.tariff, &later.tariff);
            let both_valid = one.valid_until.is_none_or(|last| other.valid_from <= last)
                && other.valid_until.is_none_or(|last| one.valid_from <= last);
            let class = one
                .fees
                .iter()
                .find(|fee| other.fees.iter().any(|also| also.class == fee.class));
            let holds = |tariff: &parking::TariffSchedule, zone| tariff.zones.is_empty() || tariff.zones.contains(zone);
            let zone = zones.iter().find(|zone| holds(one, zone) && holds(other, zone));
            if let (true, Some(class), Some(zone)) = (both_valid, class, zone) {
                let message = format!(
                    "on some days this tariff and \"{}\" both hold for class {} in zone \"{zone}\"",
                    one.id,
                    class_name(class.class)
                );
                let hint = "end the older one with valid_until, or name the zones of each";
                report.error(&later.place, message, hint);
            }
        }
    }
}

/// Every zone has a space.
pub(super) fn zones_have_spaces(report: &mut Report, zones: &Names, ids: &[ZoneId], used: &BTreeSet<ZoneId>) {
    for id in ids.iter().filter(|id| !used.contains(*id)) {
        if let Some(place) = zones.place(id.as_str()) {
            report.absent(
                place,
                format!("no space is in zone \"{id}\""),
                "add [[spaces]] in this zone, or remove it",
            );
        }
    }
}

/// The driver of every sensor is configured.
pub(super) fn drivers_are_configured(report: &mut Report, sensors: &[PlacedSensor], chirpstack: bool, webhook: bool) {
    let drivers = [
        (
            Transport::ChirpStack,
            chirpstack,
            "through ChirpStack",
            "add a section [chirpstack] with host",
        ),
        (
            Transport::Webhook,
            webhook,
            "by HTTP",
            "add a section [webhook] with listen and token_file",
        ),
    ];
    for (transport, configured, way, hint) in drivers {
        let sensor = sensors.iter().find(|placed| placed.transport == transport);
        if let (Some(placed), false) = (sensor, configured) {
            let message = format!(
                "sensors of profile \"{}\" come {way}, which is not configured",
                placed.sensor.profile
            );
            report.absent(&placed.place, message, hint);
        }
    }
}

/// Leaves warnings about a configuration that is otherwise sound.
pub(super) fn warn(report: &mut Report, site: &Site, zones: &Names, spaces: &[PlacedSpace], sensors: &[PlacedSensor]) {
    spaces_without_sensor(report, site, spaces);
    sensors_without_space(report, site, sensors);
    zones_without_tariff(report, site, zones);
    spaces_out_of_indonesia(report, spaces);
    slow_heartbeats(report, site, sensors);
}

fn spaces_without_sensor(report: &mut Report, site: &Site, spaces: &[PlacedSpace]) {
    let watched: BTreeSet<&SpaceId> = site.bindings.iter().map(|binding| &binding.space).collect();
    for placed in spaces.iter().filter(|placed| !watched.contains(&placed.space.id)) {
        let message = format!("space \"{}\" has no sensor: it stays unknown for ever", placed.space.id);
        report.warning(&placed.place, message, "add sensor = \"...\" or [[bindings]]");
    }
}

fn sensors_without_space(report: &mut Report, site: &Site, sensors: &[PlacedSensor]) {
    let bound: BTreeSet<&SensorId> = site.bindings.iter().map(|binding| &binding.sensor).collect();
    for placed in sensors.iter().filter(|placed| !bound.contains(&placed.sensor.id)) {
        let message = format!(
            "sensor \"{}\" watches no space: what it says is set aside",
            placed.sensor.id
        );
        report.warning(
            &placed.place,
            message,
            "name it in a space's sensor key or in [[bindings]]",
        );
    }
}

fn zones_without_tariff(report: &mut Report, site: &Site, zones: &Names) {
    let pairs: BTreeSet<(&ZoneId, VehicleClass)> = site.spaces.iter().map(|space| (&space.zone, space.class)).collect();
    for (zone, class) in pairs {
        let asked = |tariff: &parking::TariffSchedule| {
            (tariff.zones.is_empty() || tariff.zones.contains(zone)) && tariff.fees.iter().any(|fee| fee.class == class)
        };
        if let (false, Some(place)) = (site.tariffs.iter().any(asked), zones.place(zone.as_str())) {
            let class = class_name(class);
            let message = format!("no tariff asks a fee for class {class} in zone \"{zone}\"");
            report.warning(place, message, format!("add [[tariffs]] with a fee for class {class}"));
        }
    }
}

fn spaces_out_of_indonesia(report: &mut Report, spaces: &[PlacedSpace]) {
    for PlacedSpace { space, place } in spaces {
        let inside = |latitude, longitude| (-11.5..=6.5).contains(&latitude) && (94.5..=141.5).contains(&longitude);
        if inside(space.latitude, space.longitude) {
            continue;
        }
        let message = format!("{}, {} is not in Indonesia", space.latitude, space.longitude);
        report.warning(
            place,
            message,
            "latitude is from -11.5 to 6.5, longitude from 94.5 to 141.5 degrees",
        );
    }
}

fn slow_heartbeats(report: &mut Report, site: &Site, sensors: &[PlacedSensor]) {
    let rules = site.zones.iter().map(|zone| zone.rules.silence_heartbeats);
    let silence_heartbeats = rules.fold(1.0, f64::max);
    let silence_s = |placed: &&PlacedSensor| f64::from(placed.traits.heartbeat_s) * silence_heartbeats;
    let mut slow = sensors
        .iter()
        .filter(|placed| silence_s(placed) > SILENCE_NOTICED_S_MAX);
    let Some(first) = slow.next() else {
        return;
    };
    let others = slow.count();
    let also = if others == 0 {
        String::new()
    } else {
        format!(" (so with {others} more)")
    };
    let hours = silence_s(&first) / 3_600.0;
    let message = format!(
        "that sensor \"{}\" has gone silent is noticed only after {hours:.0} hours{also}",
        first.sensor.id
    );
    report.warning(
        &first.place,
        message,
        "set the device to a shorter heartbeat, an hour if its battery allows, and write heartbeat_s here",
    );
}

/// A class as the file writes it.
pub fn class_name(class: VehicleClass) -> &'static str {
    match class {
        VehicleClass::Motorcycle => "motorcycle",
        VehicleClass::Car => "car",
        VehicleClass::Truck => "truck",
        VehicleClass::Bus => "bus",
    }
}
