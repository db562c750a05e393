//! The made-up street: zones, spaces, sensors and tariffs, as the tracker's [`Site`] and as the gateway's `box.toml`.
//!
//! Two tariffs that Indonesian cities really have: progressive by the hour in even zones, one fee a use in odd ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parking::{
    Binding, ClassFee, FeeRule, GatewayId, IdError, Interval, Rupiah, SensorErrors, SensorId, SensorTraits,
    SessionRules, Site, Space, SpaceId, TariffId, TariffSchedule, Timestamp, Timezone, VehicleClass, Zone, ZoneId,
};

use crate::street_cameras::{self, CameraFiles, StreetCamera};
use crate::street_wires::{self, Wire};

/// Every sensor of the street speaks at least this often, seconds.
pub const HEARTBEAT_S: u32 = 3_600;

/// Since when tariffs hold.
const SINCE: &str = "2025-01-01";

/// Make of a sensor, which decides how it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Bosch TPS110.
    Bosch,
    /// Nwave NPS405.
    Nwave,
}

impl Make {
    /// The gateway's profile for it.
    pub fn profile(self) -> &'static str {
        match self {
            Self::Bosch => "bosch-tps110",
            Self::Nwave => "nwave-nps405",
        }
    }
}

/// A made-up street.
#[derive(Debug, Clone)]
pub struct Street {
    /// What the tracker would be told.
    pub site: Site,
    /// Make of the sensor of each space but those on wires, in the order of `site.spaces` and `site.sensors`.
    pub makes: Vec<Make>,
    /// Its cameras; none unless asked for.
    pub cameras: Vec<StreetCamera>,
    /// Spaces, by position, whose sensors hang on the box; none unless asked for.
    pub wires: BTreeMap<usize, Wire>,
}

/// Minutes after midnight as a time of day.
fn hour_and_minute(minutes: u32) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Where the gateway finds its peers.
#[derive(Debug, Clone)]
pub struct BoxFiles {
    /// Last part of the ledger's name is the gateway; this is the first.
    pub log_domain: String,
    /// Folder for journal and state.
    pub data_dir: String,
    /// Folder with `ledger.key`, `tls.key`, `tls.pem`, `ca.pem` and `kominfo.vkey`.
    pub keys_dir: String,
    /// Name of the city's broker, as in its certificate.
    pub city_host: String,
    /// Port of the city's broker.
    pub city_port: u16,
    /// Port of the sensor broker on 127.0.0.1.
    pub sensor_port: u16,
    /// What belongs to its cameras, if it has any.
    pub cameras: Option<CameraFiles>,
}

impl Street {
    /// A street of `spaces` spaces in `zones` zones, watched in turn by Bosch and Nwave sensors. `number` tells several
    /// streets of one city apart; device addresses differ with it.
    pub fn new(gateway: &str, number: u16, spaces: usize, zones: usize) -> Result<Self, IdError> {
        let zones = zones.clamp(1, spaces.max(1));
        let mut site = Site {
            gateway: GatewayId::new(gateway)?,
            timezone: Timezone::Wib,
            day_cutoff_minutes: 0,
            zones: Vec::new(),
            spaces: Vec::new(),
            sensors: Vec::new(),
            bindings: Vec::new(),
            counters: Vec::new(),
            tariffs: Vec::new(),
        };
        for zone in 0..zones {
            site.zones.push(Zone {
                id: zone_id(zone)?,
                name: format!("Jalan Simulasi, ruas {}", zone + 1),
                rules: SessionRules::default(),
            });
        }
        let mut makes = Vec::new();
        for index in 0..spaces {
            let zone = index * zones / spaces;
            let position = i32::try_from(index).unwrap_or(i32::MAX / 100);
            let (space, sensor) = (SpaceId::new(format!("P{:03}", index + 1))?, device_eui(number, index)?);
            site.spaces.push(Space {
                id: space.clone(),
                zone: zone_id(zone)?,
                class: class_of(index),
                latitude: degrees(-6_917_500 - 50 * position),
                longitude: degrees(107_619_100 + 20 * position),
                closed: Vec::new(),
            });
            site.sensors.push(SensorTraits {
                id: sensor.clone(),
                heartbeat_s: HEARTBEAT_S,
                queued: true,
                on_change: true,
                errors: SensorErrors::default(),
                counts: None,
            });
            site.bindings.push(Binding {
                sensor,
                space,
                during: Interval {
                    from: Timestamp::EPOCH,
                    until: None,
                },
            });
            makes.push(if index % 2 == 0 { Make::Bosch } else { Make::Nwave });
        }
        site.tariffs = tariffs(zones)?;
        Ok(Self {
            site,
            makes,
            cameras: Vec::new(),
            wires: BTreeMap::new(),
        })
    }

    /// The same street with cameras that together see all its spaces.
    pub fn with_cameras(mut self, number: usize) -> Result<Self, IdError> {
        let spaces: Vec<SpaceId> = self.site.spaces.iter().map(|space| space.id.clone()).collect();
        self.cameras = street_cameras::along(&spaces, number)?;
        Ok(self)
    }

    /// The same street; the sensors of its last `number` spaces hang on the box.
    pub fn with_wires(mut self, number: usize) -> Result<Self, IdError> {
        let first = self.site.spaces.len().saturating_sub(number);
        for (place, index) in (first..self.site.spaces.len()).enumerate() {
            let sensor = street_wires::sensor_id(place)?;
            self.site.bindings[index].sensor = sensor.clone();
            self.site.sensors[index] = SensorTraits {
                id: sensor,
                heartbeat_s: street_wires::HEARTBEAT_S,
                queued: false,
                on_change: false,
                errors: SensorErrors::default(),
                counts: None,
            };
            self.wires.insert(index, Wire::of(place));
        }
        Ok(self)
    }

    /// The gateway's configuration for this street.
    pub fn box_toml(&self, files: &BoxFiles) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let (site, keys) = (&self.site, &files.keys_dir);
        writeln!(
            text,
            "[gateway]\nid = \"{}\"\nlog_domain = \"{}\"",
            site.gateway, files.log_domain
        )?;
        writeln!(
            text,
            "timezone = \"{}\"\nday_cutoff = \"{}\"\ndata_dir = \"{}\"\n",
            site.timezone.name(),
            hour_and_minute(site.day_cutoff_minutes),
            files.data_dir
        )?;
        writeln!(
            text,
            "[keys]\nledger_key = \"{keys}/ledger.key\"\nkominfo_vkey = \"{keys}/kominfo.vkey\"\n"
        )?;
        writeln!(
            text,
            "[uplink]\nhost = \"{}\"\nport = {}",
            files.city_host, files.city_port
        )?;
        writeln!(
            text,
            "ca_file = \"{keys}/ca.pem\"\ncertificate_file = \"{keys}/tls.pem\""
        )?;
        writeln!(text, "private_key_file = \"{keys}/tls.key\"")?;
        // A link that is cut every second is the test's doing; waiting as on a mobile network would only slow it down.
        writeln!(
            text,
            "batch_delay_ms = 50\nstate_interval_ms = 1000\nreceipt_timeout_ms = 3000"
        )?;
        writeln!(text, "backoff_min_ms = 100\nbackoff_max_ms = 500\n")?;
        writeln!(text, "[journal]\nsegment_kib = 256\nreserve_mib = 4\n")?;
        writeln!(
            text,
            "[chirpstack]\nhost = \"127.0.0.1\"\nport = {}\n",
            files.sensor_port
        )?;
        for tariff in &site.tariffs {
            write_tariff(&mut text, tariff)?;
        }
        for zone in &site.zones {
            writeln!(text, "[[zones]]\nid = \"{}\"\nname = \"{}\"\n", zone.id, zone.name)?;
        }
        for (index, make) in self.makes.iter().enumerate() {
            let (space, sensor) = (&site.spaces[index], &site.sensors[index]);
            writeln!(text, "[[spaces]]\nid = \"{}\"\nzone = \"{}\"", space.id, space.zone)?;
            writeln!(
                text,
                "class = \"{}\"\nlatitude = {:.6}",
                class_name(space.class),
                space.latitude
            )?;
            writeln!(text, "longitude = {:.6}\nsensor = \"{}\"\n", space.longitude, sensor.id)?;
            writeln!(text, "[[sensors]]\nid = \"{}\"", sensor.id)?;
            match self.wires.get(&index) {
                Some(wire) => wire.write_sensor(&mut text)?,
                None => writeln!(text, "profile = \"{}\"", make.profile())?,
            }
            writeln!(text, "heartbeat_s = {}", sensor.heartbeat_s)?;
            writeln!(text, "missed_per_10000 = {}", sensor.errors.missed)?;
            writeln!(text, "invented_per_10000 = {}\n", sensor.errors.invented)?;
        }
        if !self.wires.is_empty() {
            street_wires::write_box(&mut text)?;
        }
        if let Some(files) = &files.cameras {
            street_cameras::write_box(&mut text, &self.cameras, files)?;
        }
        Ok(text)
    }
}

fn zone_id(zone: usize) -> Result<ZoneId, IdError> {
    ZoneId::new(format!("ruas-{}", zone + 1))
}

/// A device address from the block that the IEEE keeps for private use (`fe` is locally administered).
fn device_eui(street: u16, index: usize) -> Result<SensorId, IdError> {
    SensorId::new(format!("fe50{street:04x}{index:08x}"))
}

fn degrees(millionths: i32) -> f64 {
    f64::from(millionths) / 1e6
}

/// Mostly cars; two motorcycle bays and a bay for lorries in ten.
fn class_of(index: usize) -> VehicleClass {
    match index % 10 {
        3 | 7 => VehicleClass::Motorcycle,
        9 => VehicleClass::Truck,
        _ => VehicleClass::Car,
    }
}

/// A class as configurations name it.
pub fn class_name(class: VehicleClass) -> &'static str {
    match class {
        VehicleClass::Motorcycle => "motorcycle",
        VehicleClass::Car => "car",
        VehicleClass::Truck => "truck",
        VehicleClass::Bus => "bus",
    }
}

fn tariffs(zones: usize) -> Result<Vec<TariffSchedule>, IdError> {
    let zones_where = |wanted: usize| {
        (0..zones)
            .filter(|zone| zone % 2 == wanted)
            .map(zone_id)
            .collect::<Result<Vec<_>, _>>()
    };
    let since = SINCE.parse().ok();
    let schedule = |id: &str, regulation: &str, zones: Vec<ZoneId>, fees: Vec<ClassFee>| {
        Ok::<_, IdError>(TariffSchedule {
            id: TariffId::new(id)?,
            regulation: regulation.to_owned(),
            zones,
            valid_from: since.unwrap_or_else(|| Timezone::Wib.business_day(Timestamp::EPOCH, 0)),
            valid_until: None,
            fees,
        })
    };
    let fee = |class, rule, cap: Option<i64>| ClassFee {
        class,
        grace_s: None,
        rule,
        cap: cap.map(Rupiah),
        once_a_day: false,
    };
    let hourly = |first, next| FeeRule::Progressive {
        first_s: 3_600,
        first_fee: Rupiah(first),
        next_s: 3_600,
        next_fee: Rupiah(next),
    };
    let flat = |amount| FeeRule::Flat { fee: Rupiah(amount) };
    let progressive = vec![
        fee(VehicleClass::Motorcycle, hourly(1_500, 1_000), None),
        fee(VehicleClass::Car, hourly(3_000, 2_000), Some(15_000)),
        fee(VehicleClass::Truck, hourly(7_000, 5_000), Some(40_000)),
    ];
    let per_use = vec![
        fee(VehicleClass::Motorcycle, flat(1_000), None),
        fee(VehicleClass::Car, flat(2_000), None),
        fee(VehicleClass::Truck, flat(5_000), None),
    ];
    let mut tariffs = vec![schedule(
        "progresif",
        "Perda Simulasi 1/2025",
        zones_where(0)?,
        progressive,
    )?];
    if zones > 1 {
        tariffs.push(schedule(
            "sekali-parkir",
            "Perda Simulasi 2/2025",
            zones_where(1)?,
            per_use,
        )?);
    }
    Ok(tariffs)
}

fn write_tariff(text: &mut String, tariff: &TariffSchedule) -> std::fmt::Result {
    let zones: Vec<String> = tariff.zones.iter().map(|zone| format!("\"{zone}\"")).collect();
    writeln!(
        text,
        "[[tariffs]]\nid = \"{}\"\nregulation = \"{}\"",
        tariff.id, tariff.regulation
    )?;
    writeln!(
        text,
        "zones = [{}]\nvalid_from = \"{}\"",
        zones.join(", "),
        tariff.valid_from
    )?;
    for fee in &tariff.fees {
        writeln!(text, "[[tariffs.fees]]\nclass = \"{}\"", class_name(fee.class))?;
        match fee.rule {
            FeeRule::Flat { fee } => writeln!(text, "type = \"flat\"\nfee_rp = {}", fee.0)?,
            FeeRule::Progressive {
                first_s,
                first_fee,
                next_s,
                next_fee,
            } => {
                writeln!(text, "type = \"progressive\"\nfirst_minutes = {}", first_s / 60)?;
                writeln!(text, "first_fee_rp = {}\nnext_minutes = {}", first_fee.0, next_s / 60)?;
                writeln!(text, "next_fee_rp = {}", next_fee.0)?;
            }
        }
        if let Some(cap) = fee.cap {
            writeln!(text, "cap_rp = {}", cap.0)?;
        }
    }
    text.push('\n');
    Ok(())
}
