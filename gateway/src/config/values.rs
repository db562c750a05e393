//! Values with a meaning of their own: identifiers, times, places in the file system and on the network.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use parking::{CivilDate, IdError, Timestamp, Timezone, VehicleClass};

use super::model::FileKind;
use super::reader::Field;
use super::report::Report;

const ID_HINT: &str = "write 1 to 64 of A-Z a-z 0-9 - _ . and begin with a letter or digit";

impl Field<'_, '_> {
    /// An identifier.
    pub fn identifier<T: FromStr<Err = IdError>>(&self, report: &mut Report) -> Option<T> {
        let text = self.text(report)?;
        self.identifier_of(report, text)
    }

    /// The identifier `text`, the normal form of what this value holds.
    pub fn identifier_of<T: FromStr<Err = IdError>>(&self, report: &mut Report, text: &str) -> Option<T> {
        match text.parse() {
            Ok(identifier) => Some(identifier),
            Err(IdError::Length(..) | IdError::Character(_)) => {
                self.error(report, format!("\"{}\" is no identifier", self.shown()), ID_HINT)
            }
        }
    }

    /// A zone of time.
    pub fn timezone(&self, report: &mut Report) -> Option<Timezone> {
        match self.text(report)? {
            "WIB" => Some(Timezone::Wib),
            "WITA" => Some(Timezone::Wita),
            "WIT" => Some(Timezone::Wit),
            _ => {
                let message = format!("\"{}\" is no zone of time", self.shown());
                self.error(report, message, "use WIB, WITA or WIT")
            }
        }
    }

    /// A class of vehicle.
    pub fn vehicle_class(&self, report: &mut Report) -> Option<VehicleClass> {
        match self.text(report)? {
            "motorcycle" => Some(VehicleClass::Motorcycle),
            "car" => Some(VehicleClass::Car),
            "truck" => Some(VehicleClass::Truck),
            "bus" => Some(VehicleClass::Bus),
            _ => {
                let message = format!("\"{}\" is no class of vehicle", self.shown());
                self.error(report, message, "use motorcycle, car, truck or bus")
            }
        }
    }

    /// An instant. `timezone`, if already known, is only for the hint.
    pub fn timestamp(&self, report: &mut Report, timezone: Option<Timezone>) -> Option<Timestamp> {
        const EXAMPLE: &str = "write date, time and offset, as in 2026-01-05T07:00:00+07:00";
        let text = self.text_or_time(report, "a time", EXAMPLE)?;
        if let Ok(time) = text.parse() {
            return Some(time);
        }
        let message = format!("\"{}\" is no time with an offset from UTC", self.shown());
        match (text.parse::<jiff::civil::DateTime>(), timezone) {
            (Ok(civil), Some(timezone)) => {
                let hint = format!("for {} write {civil}+{:02}:00", timezone.name(), timezone.hours_ahead());
                self.error(report, message, hint)
            }
            _ => self.error(report, message, EXAMPLE),
        }
    }

    /// A calendar day.
    pub fn date(&self, report: &mut Report) -> Option<CivilDate> {
        const EXAMPLE: &str = "write year, month and day, as in 2026-01-05";
        let text = self.text_or_time(report, "a day", EXAMPLE)?;
        let is_day = text.len() == "2026-01-05".len();
        match text.parse() {
            Ok(date) if is_day => Some(date),
            _ => self.error(
                report,
                format!("\"{}\" is no day of the calendar", self.shown()),
                EXAMPLE,
            ),
        }
    }

    /// A time of day before noon, minutes after midnight.
    pub fn cutoff_minutes(&self, report: &mut Report) -> Option<u32> {
        const EXAMPLE: &str = "write hours and minutes from \"00:00\" to \"11:59\", as in \"03:00\"";
        let text = self.text_or_time(report, "a time of day", EXAMPLE)?;
        let two_digits = |part: &str| match part.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(u32::from(tens - b'0') * 10 + u32::from(ones - b'0')),
            _ => None,
        };
        let text = text
            .strip_suffix(":00")
            .filter(|rest| rest.contains(':'))
            .unwrap_or(&text);
        let parts = text
            .split_once(':')
            .map(|(hour, minute)| (two_digits(hour), two_digits(minute)));
        match parts {
            Some((Some(hour @ 0..12), Some(minute @ 0..60))) => Some(hour * 60 + minute),
            _ => self.error(
                report,
                format!("\"{}\" is no time at which a business day may end", self.shown()),
                EXAMPLE,
            ),
        }
    }

    /// A file or folder; a relative one starts at `folder`, that of the configuration file.
    pub fn path(&self, report: &mut Report, folder: &Path) -> Option<PathBuf> {
        let text = self.text(report)?;
        if text.contains('\0') {
            return self.error(
                report,
                "a path cannot hold a zero byte",
                "write the path of a file or folder",
            );
        }
        Some(folder.join(text))
    }

    /// A file that must be there when the box runs; see [`Field::path`].
    pub fn file(&self, report: &mut Report, folder: &Path, kind: FileKind) -> Option<PathBuf> {
        let path = self.path(report, folder)?;
        report.names_file(&self.place, &path, kind);
        Some(path)
    }

    /// A host name or an IP address, without anything around it.
    pub fn host(&self, report: &mut Report) -> Option<String> {
        let text = self.text(report)?;
        if rustls::pki_types::ServerName::try_from(text).is_ok() {
            return Some(text.to_owned());
        }
        let message = format!("\"{}\" is no host name and no IP address", self.shown());
        let hint = if text.contains("://") || text.contains(':') {
            "write the name alone, as in mqtt.example.id; the port has a key of its own"
        } else {
            "write a name as in mqtt.example.id, or an address"
        };
        self.error(report, message, hint)
    }

    /// A name under which logs live: a host name, and a path if wanted.
    pub fn log_domain(&self, report: &mut Report) -> Option<String> {
        let text = self.text(report)?;
        if is_log_domain(text) {
            return Some(text.to_owned());
        }
        let message = format!("\"{}\" is no name for logs to live under", self.shown());
        self.error(
            report,
            message,
            "write a domain that the city owns, as in parkir.example.id, without https://",
        )
    }
}

/// Whether logs can live under `name`: a host name, and a path if wanted; at most 128 bytes, fit for a key's name.
pub fn is_log_domain(name: &str) -> bool {
    const BYTES_MAX: usize = 128;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.len() <= BYTES_MAX
        && name
            .split('/')
            .all(|part| !part.is_empty() && part.chars().all(allowed))
}
