//! What hangs on the box, in plain words, and whether this machine has the devices for it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rustix::fs::{Access, access};

use super::Summary;
use super::machine::{Findings, problem};
use crate::config::{Attachment, Config};
use crate::sensors::attached::modbus::Way;

/// Adds a warning for each device file that is not there or that this user may not open.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    let mut keys: BTreeMap<&Path, (String, &str)> = BTreeMap::new();
    let mut wants = |path, key: String, group| {
        keys.entry(path).or_insert((key, group));
    };
    for (number, sensor) in config.sensors.iter().enumerate() {
        let key = |name| format!("sensors[{number}].{name}");
        match &sensor.attachment {
            Attachment::Serial(path) => wants(path, key("serial"), "dialout"),
            Attachment::I2c { bus, .. } => wants(bus, key("i2c"), "i2c"),
            Attachment::Modbus {
                way: Way::Serial(path), ..
            } => wants(path, key("modbus"), "dialout"),
            Attachment::Loop { presence, .. } => wants(&presence.chip, key("presence_line"), "gpio"),
            Attachment::Modbus { way: Way::Tcp(_), .. }
            | Attachment::None
            | Attachment::Topic { .. }
            | Attachment::Url { .. }
            | Attachment::Picture { .. } => {}
        }
    }
    for (number, own) in config.contacts.iter().enumerate() {
        wants(&own.line.chip, format!("contacts[{number}].line"), "gpio");
    }
    if let Some(lights) = &config.lights {
        wants(&lights.chip, "lights".to_owned(), "gpio");
    }
    for (path, (key, group)) in keys {
        let shown = path.display();
        let (message, hint) = if !path.exists() {
            let message = format!("{shown} is not there: its sensors are silent until it is");
            (
                message,
                "plug the adapter in, or switch the bus on (Raspberry Pi: raspi-config, Interfaces)".to_owned(),
            )
        } else if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
            let message = format!("this user may not open {shown}");
            (
                message,
                format!("run this as the gateway's user, and let that user be in group {group}"),
            )
        } else {
            continue;
        };
        findings.warnings.push(problem(config, &key, message, hint));
    }
}

fn of_channel(channel: &str) -> String {
    if channel.is_empty() {
        String::new()
    } else {
        format!(", channel {channel}")
    }
}

impl Summary<'_> {
    pub(super) fn write_attached(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        for sensor in &config.sensors {
            let (id, profile) = (&sensor.id, &sensor.profile.name);
            match &sensor.attachment {
                Attachment::None => {}
                Attachment::Topic { filter, channel } => {
                    writeln!(f, "  {id}: {profile} at topic {filter}{}", of_channel(channel))?;
                }
                Attachment::Url {
                    url, every_s, channel, ..
                } => writeln!(
                    f,
                    "  {id}: {profile} at {url}{}, asked every {every_s} s",
                    of_channel(channel)
                )?,
                Attachment::Picture {
                    camera, isapi, region, ..
                } => {
                    let region = region
                        .as_ref()
                        .map_or(String::new(), |region| format!(", region {region}"));
                    let way = isapi
                        .as_ref()
                        .map_or("which posts here".to_owned(), |isapi| format!("read at {isapi}"));
                    writeln!(f, "  {id}: {profile} of {camera}{region}, {way}")?;
                }
                Attachment::Serial(path) => writeln!(f, "  {id}: {profile} on {}", path.display())?,
                Attachment::I2c { bus, address, .. } => {
                    writeln!(f, "  {id}: {profile} on {}, address {address:#04x}", bus.display())?;
                }
                Attachment::Modbus { way, rate, address } => match way {
                    Way::Serial(_) => writeln!(f, "  {id}: {profile} on {way}, {} Bd, address {address}", rate.baud)?,
                    Way::Tcp(_) => writeln!(f, "  {id}: {profile} at {way}, address {address}")?,
                },
                Attachment::Loop { presence, fault } => {
                    let fault = fault.as_ref().map_or(", no fault line".to_owned(), |fault| {
                        format!(", fault line at pin {}", fault.line)
                    });
                    writeln!(f, "  {id}: {profile} at pin {}{fault}", presence.line)?;
                }
            }
        }
        for own in &config.contacts {
            writeln!(f, "contact  {} at pin {}", own.contact, own.line.line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_told_once_with_what_to_do() {
        let text = include_str!("../../../../firmware-config/sites/jalan-sudirman.toml");
        let wired = "[[sensors]]\nid = \"loop-1\"\nprofile = \"loop-relay\"\npresence_line = 17\ngpio_chip = \"/dev/gpiochip77\"\n\n\
                     [[sensors]]\nid = \"mag-1\"\nprofile = \"mmc5603\"\ni2c = \"/dev/i2c-77\"\n\n\
                     [[contacts]]\nkind = \"tamper\"\nline = 4\ngpio_chip = \"/dev/gpiochip77\"\n";
        let text = text.replacen("\n[[sensors]]", &format!("\n{wired}\n[[sensors]]"), 1);
        let config = Config::from_bytes(Path::new("box.toml"), text.as_bytes()).unwrap();
        let mut findings = Findings::default();
        check(&config, &mut findings);
        let told: Vec<String> = findings.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("sensors[0].presence_line: /dev/gpiochip77 is not there"),
            "{told:?}"
        );
        assert!(
            told[1].contains("/dev/i2c-77 is not there") && told[1].contains("raspi-config"),
            "{told:?}"
        );
        let disk = None;
        let summary = Summary { config: &config, disk }.to_string();
        for line in [
            "  loop-1: loop-relay at pin 17, no fault line\n",
            "  mag-1: mmc5603 on /dev/i2c-77, address 0x30\n",
            "contact  tamper at pin 4\n",
        ] {
            assert!(summary.contains(line), "{summary}");
        }
    }
}
