//! Where sensors are, and where contacts and lights hang on the box: lines, buses, pins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wired::adaptive::Rules;
use wired::loop_relay::Active;

use super::model::Attachment;
use super::network;
use super::reader::{Field, Table};
use super::report::{Place, Placed, Report, did_you_mean};
use super::street::ReadSensor;
use crate::sensors::attached::contacts::{Line, OwnContact};
use crate::sensors::attached::lights::Places;
use crate::sensors::attached::modbus::map::Map;
use crate::sensors::attached::modbus::{Rate, Way};
use crate::sensors::{Magnetometer, Profile, Transport};

/// The chip of pins if none is named.
const GPIO_CHIP: &str = "/dev/gpiochip0";
/// Greatest offset of a pin on its chip.
const LINE_MAX: u32 = 511;
/// Most contacts of the box itself.
const CONTACTS_MAX: usize = 2;

/// Keys of each way to hang on the box.
const SERIAL_KEYS: &[&str] = &["serial"];
const I2C_KEYS: &[&str] = &["i2c", "i2c_address", "rules"];
const MODBUS_KEYS: &[&str] = &["modbus", "modbus_address", "modbus_baud"];
const GPIO_KEYS: &[&str] = &[
    "presence_line",
    "presence_active",
    "fault_line",
    "fault_active",
    "gpio_chip",
];

/// Which keys belong to which way.
const WAYS: &[(Transport, &[&str])] = &[
    (Transport::Serial, SERIAL_KEYS),
    (Transport::I2c, I2C_KEYS),
    (Transport::Modbus, MODBUS_KEYS),
    (Transport::Gpio, GPIO_KEYS),
    (Transport::Mqtt, network::MQTT_KEYS),
    (Transport::Http, network::HTTP_KEYS),
    (Transport::Hikvision, network::HIKVISION_KEYS),
];

/// Who has which pin.
#[derive(Debug, Default)]
pub(super) struct Pins(BTreeMap<(PathBuf, u32), Place>);

impl Pins {
    fn take(&mut self, report: &mut Report, chip: &Path, field: &Field) -> Option<u32> {
        let line = field.integer(report, &(0..=LINE_MAX))?;
        match self.0.entry((chip.to_owned(), line)) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(field.place.clone());
                Some(line)
            }
            std::collections::btree_map::Entry::Occupied(taken) => {
                let taken = taken.get();
                let message = format!(
                    "pin {line} is taken by {}, line {}",
                    taken.key,
                    report.line(taken.offset)
                );
                field.error(report, message, "give each its own pin")
            }
        }
    }
}

/// Where a sensor hangs, by its profile. None only after a problem.
pub(super) fn attachment(
    report: &mut Report,
    table: &mut Table,
    profile: &Profile,
    pins: &mut Pins,
    earlier: &[Placed<ReadSensor>],
    folder: &Path,
) -> Option<Attachment> {
    let own = WAYS.iter().find(|(transport, _)| *transport == profile.transport);
    let own = own.map_or(&[][..], |(_, keys)| *keys);
    let others = WAYS.iter().flat_map(|(_, keys)| *keys).filter(|key| !own.contains(key));
    let mut others: Vec<&'static str> = others.copied().collect();
    others.sort_unstable();
    others.dedup();
    let hint = format!(
        "leave the key out: sensors of profile \"{}\" are not there",
        profile.name
    );
    table.misplaced(report, &others, &hint);
    let (attachment, field) = match profile.transport {
        Transport::ChirpStack | Transport::Webhook => return Some(Attachment::None),
        Transport::Gpio => return detector(report, table, pins),
        Transport::Serial => serial(report, table)?,
        Transport::I2c => i2c(report, table, profile.magnetometer?)?,
        Transport::Modbus => modbus(report, table, profile.modbus.as_ref()?)?,
        Transport::Mqtt => network::topic(report, table, profile)?,
        Transport::Http => network::url(report, table, profile, folder)?,
        Transport::Hikvision => network::picture(report, table)?,
    };
    if let Attachment::Modbus {
        way: way @ Way::Serial(_),
        rate,
        ..
    } = &attachment
    {
        let differs = |other: &&Placed<ReadSensor>| match &other.value.sensor.attachment {
            Attachment::Modbus {
                way: other_way,
                rate: other,
                ..
            } => other_way == way && other != rate,
            _ => false,
        };
        if let Some(other) = earlier.iter().find(differs) {
            let other = &other.value.sensor.id;
            let message = format!("sensor \"{other}\" is on this line with another baud, parity or stop bits");
            let hint = "set all devices of a line to the same, and write modbus_baud where it is not the profile's";
            return field.error(report, message, hint);
        }
    }
    if let Some(other) = network::asked_otherwise(&attachment, earlier) {
        let message = format!(
            "sensor \"{}\" is at the same address with another poll_s or token_file",
            other.sensor.id
        );
        return field.error(
            report,
            message,
            "one question is for all channels: write the same for them",
        );
    }
    if let Some(other) = network::at_another_address(&attachment, earlier) {
        let message = format!(
            "sensor \"{}\" is in the same camera's picture at another isapi",
            other.sensor.id
        );
        return field.error(
            report,
            message,
            "a camera has one address: write the same for all its sensors",
        );
    }
    let is_same = |other: &&Placed<ReadSensor>| other.value.sensor.attachment.is_in_the_way_of(&attachment);
    if let Some(other) = earlier.iter().find(is_same) {
        let message = format!("sensor \"{}\" is there already", other.value.sensor.id);
        return field.error(
            report,
            message,
            "a line carries one sensor, and so does an address, a topic, a region or a channel of them",
        );
    }
    Some(attachment)
}

/// Passes over all keys that say where a sensor is: nobody knows which of them are right for an unknown profile.
pub(super) fn ignore(table: &mut Table) {
    for (_, keys) in WAYS {
        table.ignore(keys);
    }
}

fn device(report: &mut Report, field: &Field, example: &str) -> Option<PathBuf> {
    let path = PathBuf::from(field.text(report)?);
    if path.is_absolute() {
        return Some(path);
    }
    let message = format!("\"{}\" is no device file", field.shown());
    field.error(report, message, format!("write it from the root, as in \"{example}\""))
}

fn serial<'t, 'i>(report: &mut Report, table: &mut Table<'t, 'i>) -> Option<(Attachment, Field<'t, 'i>)> {
    let hint = "write the line's device file, as in serial = \"/dev/ttyAMA0\"";
    let field = table.required("serial", hint)?;
    let path = device(report, &field, "/dev/ttyAMA0")?;
    Some((Attachment::Serial(path), field))
}

fn i2c<'t, 'i>(
    report: &mut Report,
    table: &mut Table<'t, 'i>,
    magnetometer: Magnetometer,
) -> Option<(Attachment, Field<'t, 'i>)> {
    let own = table.optional("rules").and_then(|field| field.table(report));
    let rules = own.map_or(Some(magnetometer.rules), |own| rules(report, own, magnetometer.rules));
    let address = table.optional("i2c_address");
    let field = table.required("i2c", "write the bus's device file, as in i2c = \"/dev/i2c-1\"")?;
    let bus = device(report, &field, "/dev/i2c-1")?;
    let known = magnetometer.chip.addresses();
    let address = match &address {
        None => known.first().copied()?,
        Some(field) => {
            let address = field.integer(report, &(0x03..=0x77_u8))?;
            if !known.contains(&address) {
                let known: Vec<String> = known.iter().map(|address| format!("{address:#04x}")).collect();
                let message = format!("a {} is never at {address:#04x}", magnetometer.chip);
                return field.error(report, message, format!("write {}", known.join(" or ")));
            }
            address
        }
    };
    let rules = rules?;
    Some((Attachment::I2c { bus, address, rules }, field))
}

fn modbus<'t, 'i>(report: &mut Report, table: &mut Table<'t, 'i>, map: &Map) -> Option<(Attachment, Field<'t, 'i>)> {
    let address = table.integer(report, "modbus_address", &(1..=247_u8), map.address);
    let own_baud = table.optional("modbus_baud");
    let baud = own_baud
        .as_ref()
        .map_or(Some(map.baud), |field| field.integer(report, &(1_200..=115_200)))?;
    let field = table.required(
        "modbus",
        "write the line's device file or the device's address, as in modbus = \"/dev/ttyUSB0\" or \"192.168.1.30:502\"",
    )?;
    let text = field.text(report)?;
    let way = if text.starts_with('/') {
        Way::Serial(PathBuf::from(text))
    } else {
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            let message = format!(
                "\"{}\" is neither a device file nor an address with its port",
                field.shown()
            );
            return field.error(report, message, "write \"/dev/ttyUSB0\" or \"192.168.1.30:502\"");
        }
        if let Some(baud) = own_baud {
            return baud.error(report, "a device in the network has no baud", "leave the key out");
        }
        Way::Tcp(text.to_owned())
    };
    let rate = Rate {
        baud,
        parity: map.parity,
        stop_bits: map.stop_bits,
    };
    Some((Attachment::Modbus { way, rate, address }, field))
}

/// Rules of a profile, some of them changed.
fn rules(report: &mut Report, mut table: Table, mut rules: Rules) -> Option<Rules> {
    let place = table.place.clone();
    for (name, _) in rules.pairs() {
        if let Some(field) = table.optional(name) {
            // The limits of each are told by the check below.
            let value = field.number(report, &(0.0..=10_000_000.0))?;
            rules.set(name, value).ok()?;
        }
    }
    if let Some(field) = table.optional("enter_samples") {
        rules.enter_samples = field.integer(report, &(1..=100))?;
    }
    table.finish(report);
    match rules.check() {
        Ok(()) => Some(rules),
        Err(error) => {
            report.error(
                &place,
                error.to_string(),
                "correct it, or leave it out and take the profile's",
            );
            None
        }
    }
}

/// How a contact is wired; open contacts and cut wires show a high pin.
fn active(report: &mut Report, field: Option<&Field>) -> Option<Active> {
    let Some(field) = field else {
        return Some(Active::High);
    };
    match field.text(report)? {
        "high" => Some(Active::High),
        "low" => Some(Active::Low),
        _ => {
            let message = format!("\"{}\" is no level", field.shown());
            let hint = "write \"high\" (an open contact tells it) or \"low\" (a closed one)";
            field.error(report, message, hint)
        }
    }
}

fn gpio_chip(report: &mut Report, table: &mut Table) -> Option<PathBuf> {
    match table.optional("gpio_chip") {
        None => Some(PathBuf::from(GPIO_CHIP)),
        Some(field) => device(report, &field, GPIO_CHIP),
    }
}

fn detector(report: &mut Report, table: &mut Table, pins: &mut Pins) -> Option<Attachment> {
    let presence_active = table.optional("presence_active");
    let fault_active = table.optional("fault_active");
    let fault = table.optional("fault_line");
    let chip = gpio_chip(report, table);
    let presence = table.required(
        "presence_line",
        "write the pin of the detector's presence output, as in presence_line = 17",
    )?;
    let chip = chip?;
    let presence = Line {
        line: pins.take(report, &chip, &presence)?,
        active: active(report, presence_active.as_ref())?,
        chip: chip.clone(),
    };
    let fault = match (fault, fault_active) {
        (None, Some(field)) => {
            return field.error(report, "there is no fault_line", "add fault_line, or leave the key out");
        }
        (None, None) => None,
        (Some(fault), level) => Some(Line {
            line: pins.take(report, &chip, &fault)?,
            active: active(report, level.as_ref())?,
            chip,
        }),
    };
    Some(Attachment::Loop { presence, fault })
}

/// Contacts of the box itself, `[[contacts]]`.
pub(super) fn contacts(report: &mut Report, root: &mut Table, pins: &mut Pins) -> Vec<OwnContact> {
    let known = [
        ("tamper", parking::BoxContact::Tamper),
        ("power_fail", parking::BoxContact::PowerFail),
    ];
    let mut contacts: Vec<OwnContact> = Vec::new();
    for mut table in root.tables(report, "contacts", CONTACTS_MAX) {
        let kind = table.required("kind", "write kind = \"tamper\" (the door's switch) or \"power_fail\"");
        let line = table.required("line", "write its pin, as in line = 23");
        let level = table.optional("active");
        let chip = gpio_chip(report, &mut table);
        table.finish(report);
        let contact = kind.and_then(|field| {
            let name = field.text(report)?;
            match known.iter().find(|(known, _)| *known == name) {
                Some((_, contact)) if contacts.iter().any(|other| other.contact == *contact) => field.error(
                    report,
                    format!("there is a contact \"{name}\" already"),
                    "a box has one of each",
                ),
                Some((_, contact)) => Some(*contact),
                None => {
                    let hint = did_you_mean(name, known.map(|(name, _)| name));
                    let hint = hint.unwrap_or_else(|| "use tamper or power_fail".to_owned());
                    field.error(report, format!("there is no contact \"{}\"", field.shown()), hint)
                }
            }
        });
        let (Some(chip), Some(line)) = (chip, line) else {
            continue;
        };
        let line = pins.take(report, &chip, &line);
        let active = active(report, level.as_ref());
        if let (Some(contact), Some(line), Some(active)) = (contact, line, active) {
            let line = Line { chip, line, active };
            contacts.push(OwnContact { contact, line });
        }
    }
    contacts
}

/// Lights of the box, `[lights]`.
pub(super) fn lights(report: &mut Report, root: &mut Table, pins: &mut Pins) -> Option<Places> {
    let mut table = root.section(report, "lights")?;
    let link = table.optional("link_line");
    let sensors = table.optional("sensors_line");
    let chip = gpio_chip(report, &mut table);
    let place = table.place.clone();
    table.finish(report);
    let chip = chip?;
    let mut pin = |field: Option<Field>| field.and_then(|field| pins.take(report, &chip, &field));
    let (link, sensors) = (pin(link), pin(sensors));
    if (&link, &sensors) == (&None, &None) {
        let hint = "add link_line or sensors_line, the pin of a light, or leave the section out";
        report.error(&place, "no light is named", hint);
        return None;
    }
    Some(Places { chip, link, sensors })
}
