//! What goes through the site's own check and yet is not right: drivers that are not configured, and oversights.

use std::collections::BTreeSet;

use parking::{SensorId, Site, SpaceId, VehicleClass, ZoneId};
use toml::de::DeTable;

use super::model::{Attachment, SensorBroker, Webhook};
use super::names::Names;
use super::reader::locate;
use super::report::{Place, Placed, Report};
use super::street::{ReadSensor, Street};
use crate::sensors::Transport;

/// A sensor that may be silent for longer than this before anyone notices gives no hourly picture.
const SILENCE_NOTICED_S_MAX: f64 = 12.0 * 3_600.0;

/// The driver of every sensor is configured; `sections` tells which sections there are.
pub(super) fn drivers_are_configured(report: &mut Report, street: &Street, sections: &[(&str, bool)]) {
    type Needs = fn(&ReadSensor) -> bool;
    let drivers: [(&str, Needs, &str, &str); 4] = [
        (
            "chirpstack",
            |sensor| sensor.transport == Transport::ChirpStack,
            "come through ChirpStack",
            "add a section [chirpstack] with host",
        ),
        (
            "webhook",
            |sensor| sensor.transport == Transport::Webhook,
            "come by HTTP",
            "add a section [webhook] with listen and token_file",
        ),
        (
            "webhook",
            |sensor| matches!(sensor.sensor.attachment, Attachment::Picture { isapi: None, .. }),
            "come by what their camera posts",
            "add a section [webhook] with listen and token_file, or write isapi, where the box reads the camera's events",
        ),
        (
            "mqtt",
            |sensor| sensor.transport == Transport::Mqtt,
            "come by MQTT",
            "add a section [mqtt] with host",
        ),
    ];
    for (section, needs, way, hint) in drivers {
        let is_there = sections.iter().any(|(name, is_there)| *name == section && *is_there);
        let sensor = street.sensors.iter().find(|sensor| needs(&sensor.value));
        if let (Some(Placed { value, place }), false) = (sensor, is_there) {
            let profile = &value.sensor.profile.name;
            let message = format!("sensors of profile \"{profile}\" {way}, which is not configured");
            report.absent(place, message, hint);
        }
    }
}

/// Sections whose driver would have nothing to do.
pub(super) fn idle_sections(report: &mut Report, street: &Street, document: &DeTable) {
    let used = |transports: &[Transport]| {
        let mut sensors = street.sensors.iter();
        sensors.any(|sensor| transports.contains(&sensor.value.transport))
    };
    for (section, transports) in [
        ("chirpstack", &[Transport::ChirpStack][..]),
        ("mqtt", &[Transport::Mqtt]),
        ("webhook", &[Transport::Webhook, Transport::Hikvision]),
    ] {
        if let Some(offset) = locate(document, section).filter(|_| !used(transports)) {
            let place = Place {
                offset,
                key: section.to_owned(),
            };
            let message = format!("no sensor comes by [{section}]");
            report.warning(&place, message, "bind such a sensor, or leave the section out");
        }
    }
}

/// Sensors in a picture are of cameras that there are, and those that post have a token to do it.
pub(super) fn pictures_are_seen(report: &mut Report, street: &Street, cameras: &Names, webhook: Option<&Webhook>) {
    let (mut pictures, mut posting) = (Vec::new(), None);
    for Placed { value, place } in &street.sensors {
        if let Attachment::Picture { camera, isapi, .. } = &value.sensor.attachment {
            pictures.push((camera, place));
            posting = posting.or(isapi.is_none().then_some(place));
        }
    }
    for (camera, place) in pictures {
        if cameras.place(camera.as_str()).is_none() {
            let place = Place {
                offset: place.offset,
                key: format!("{}.camera", place.key),
            };
            report.error(
                &place,
                format!("there is no camera \"{camera}\""),
                "add it to [[cameras]], or correct the name",
            );
        }
    }
    if let (Some(place), Some(webhook)) = (posting, webhook)
        && webhook.camera_token_file.is_none()
    {
        let hint = "add camera_token_file to [webhook]: the token at the end of the address that the camera is told";
        report.absent(place, "its camera posts, and has no token for it", hint);
    }
}

/// Two sessions of one name at one broker throw each other out.
pub(super) fn brokers_are_told_apart(report: &mut Report, one: Option<&SensorBroker>, other: Option<&SensorBroker>) {
    let (Some(one), Some(other)) = (one, other) else { return };
    if (&one.host, one.port, &one.client_id) == (&other.host, other.port, &other.client_id) {
        let place = Place {
            key: "mqtt.client_id".to_owned(),
            ..Place::root()
        };
        let message = format!("[chirpstack] has client_id \"{}\" at the same broker", other.client_id);
        report.error(&place, message, "leave client_id out of one of them, or write another");
    }
}

/// Leaves warnings about a site that is otherwise sound.
pub(super) fn warn(report: &mut Report, site: &Site, street: &Street, zones: &Names) {
    spaces_without_sensor(report, site, street);
    sensors_without_space(report, site, street);
    zones_without_tariff(report, site, zones);
    spaces_out_of_indonesia(report, street);
    slow_heartbeats(report, site, street);
}

fn spaces_without_sensor(report: &mut Report, site: &Site, street: &Street) {
    let watched: BTreeSet<&SpaceId> = site.bindings.iter().map(|binding| &binding.space).collect();
    for Placed { value, place } in &street.spaces {
        if !watched.contains(&value.id) {
            let message = format!("space \"{}\" has no sensor: it stays unknown for ever", value.id);
            report.warning(place, message, "add sensor = \"...\" or [[bindings]]");
        }
    }
}

fn sensors_without_space(report: &mut Report, site: &Site, street: &Street) {
    let counting = site.counters.iter().map(|counter| &counter.sensor);
    let watching = site.bindings.iter().map(|binding| &binding.sensor);
    let bound: BTreeSet<&SensorId> = watching.chain(counting).collect();
    for Placed { value, place } in &street.sensors {
        if !bound.contains(&value.sensor.id) {
            let message = format!(
                "sensor \"{}\" watches no space: what it says is set aside",
                value.sensor.id
            );
            let hint = if value.traits.counts.is_some() {
                "name it in [[counters]], or in a space's sensor key"
            } else {
                "name it in a space's sensor key or in [[bindings]]"
            };
            report.warning(place, message, hint);
        }
    }
}

fn zones_without_tariff(report: &mut Report, site: &Site, zones: &Names) {
    let in_spaces = site.spaces.iter().map(|space| (&space.zone, space.class));
    let counted = site.counters.iter().map(|counter| (&counter.zone, counter.class));
    let pairs: BTreeSet<(&ZoneId, VehicleClass)> = in_spaces.chain(counted).collect();
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

fn spaces_out_of_indonesia(report: &mut Report, street: &Street) {
    let spaces = street
        .spaces
        .iter()
        .map(|space| (space.value.latitude, space.value.longitude, &space.place));
    let lines = street
        .counters
        .iter()
        .map(|line| (line.value.latitude, line.value.longitude, &line.place));
    for (latitude, longitude, place) in spaces.chain(lines) {
        if (-11.5..=6.5).contains(&latitude) && (94.5..=141.5).contains(&longitude) {
            continue;
        }
        let message = format!("{latitude}, {longitude} is not in Indonesia");
        report.warning(
            place,
            message,
            "latitude is from -11.5 to 6.5, longitude from 94.5 to 141.5 degrees",
        );
    }
}

fn slow_heartbeats(report: &mut Report, site: &Site, street: &Street) {
    let silence_heartbeats = site
        .zones
        .iter()
        .map(|zone| zone.rules.silence_heartbeats)
        .fold(1.0, f64::max);
    let silence_s = |sensor: &ReadSensor| f64::from(sensor.traits.heartbeat_s) * silence_heartbeats;
    let mut slow = street
        .sensors
        .iter()
        .filter(|sensor| silence_s(&sensor.value) > SILENCE_NOTICED_S_MAX);
    let Some(Placed { value, place }) = slow.next() else {
        return;
    };
    let others = match slow.count() {
        0 => String::new(),
        others => format!(", and so with {others} more"),
    };
    let hours = silence_s(value) / 3_600.0;
    let message = format!(
        "that sensor \"{}\" has gone silent is noticed only after {hours:.0} hours{others}",
        value.sensor.id
    );
    let hint = "set the device to a shorter heartbeat, an hour if its battery allows, and write heartbeat_s here";
    report.warning(place, message, hint);
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
