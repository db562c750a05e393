//! From a file to a [`Config`], or to every problem of it.

use std::io::Read;
use std::path::{Path, PathBuf};

use parking::{GatewayId, SessionRules, Site, Timezone};
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::attachment::Pins;
use super::model::Config;
use super::problem::{ConfigErrors, Position, Problem};
use super::reader::Table;
use super::report::{Place, Report};
use super::street::Street;
use super::{attachment, cameras, checks, sections, site, tariffs};

/// Longest configuration file. A box of 250 spaces needs about 50 KiB.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most bytes of the site as JSON; an append to the journal takes 256 KiB.
const SITE_BYTES_MAX: usize = 192 * 1024;

/// What may be read besides the file itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The site's profiles.
    Files,
    /// Nothing.
    Nothing,
}

impl Config {
    /// Reads and checks the configuration file at `path`. Files that it names are not looked at, but for
    /// the site's profiles of sensors; see
    /// [`Config::check_files`].
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            let message = format!("cannot be read: {error}");
            return Err(whole_file(
                path,
                message,
                "name a configuration file that this user may read",
            ));
        }
        Self::of(path, &bytes, Reading::Files)
    }

    /// Checks `bytes`, the content of the configuration file at `path`. Relative paths in it start at the folder of
    /// `path`. Reads nothing.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, ConfigErrors> {
        Self::of(path, bytes, Reading::Nothing)
    }

    fn of(path: &Path, bytes: &[u8], reading: Reading) -> Result<Self, ConfigErrors> {
        if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
            let message = format!("is longer than {} KiB", FILE_BYTES_MAX / 1024);
            return Err(whole_file(
                path,
                message,
                "this is hardly a configuration file; name another",
            ));
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Err(not_utf8(path, bytes, error.valid_up_to())),
        };
        let mut report = Report::new(path, text);
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        for error in &syntax_errors {
            report.syntax(error.span().map_or(0, |span| span.start), error.message());
        }
        match read(&mut report, path, document.get_ref(), reading) {
            Some(config) if report.is_clean() => Ok(Self {
                sha256: format!("{:x}", Sha256::digest(bytes)),
                warnings: report.take_warnings(),
                ..config
            }),
            _ => Err(report.into_errors()),
        }
    }
}

fn read(report: &mut Report, path: &Path, document: &DeTable, reading: Reading) -> Option<Config> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let mut root = Table::root(document);

    let own = sections::gateway(report, &mut root, &folder, reading);
    let keys = sections::keys(report, &mut root, &folder);
    let uplink = sections::uplink(report, &mut root, &folder);
    let journal = sections::journal(report, &mut root);
    let data_dir = own.gateway.as_ref().map(|gateway| gateway.data_dir.as_path());
    let local = sections::local(report, &mut root, &folder, data_dir);
    let id = own.gateway.as_ref().map(|gateway| &gateway.id);
    let chirpstack = sections::sensor_broker(report, &mut root, "chirpstack", "", &folder, id);
    let mqtt = sections::sensor_broker(report, &mut root, "mqtt", "-mqtt", &folder, id);
    let webhook = sections::webhook(report, &mut root, &folder);

    let default_rules = root.section_or_empty(report, "rules");
    let default_rules = site::rules(report, default_rules, &SessionRules::default());
    let (zones, zone_names) = site::zones(report, &mut root, &default_rules);
    let mut pins = Pins::default();
    let (sensors, sensor_names) = site::sensors(report, &mut root, &own.profiles, &mut pins, &folder);
    let contacts = attachment::contacts(report, &mut root, &mut pins);
    let lights = attachment::lights(report, &mut root, &mut pins);
    let spaces = site::spaces(report, &mut root, &zone_names, &sensor_names, own.timezone);
    let mut bindings = spaces.bindings;
    bindings.extend(site::bindings(
        report,
        &mut root,
        &sensor_names,
        &spaces.names,
        own.timezone,
    ));
    let (counters, zones_counted) = site::counters(report, &mut root, &sensor_names, &zone_names, own.timezone);
    let video = cameras::video(report, &mut root, &folder, data_dir);
    let page = cameras::page(report, &mut root, &folder);
    let far_view = cameras::far_view(report, &mut root, &folder);
    let (cameras, camera_names) = cameras::cameras(report, &mut root, &spaces.names);
    let tariffs = tariffs::tariffs(report, &mut root, &zone_names);
    let sections = ["chirpstack", "webhook", "mqtt"].map(|section| (section, root.has_or_misspells(section)));
    root.finish(report);

    let mut street = Street {
        zones,
        spaces: spaces.all,
        sensors,
        bindings,
        counters,
        tariffs,
        zones_used: spaces.zones.into_iter().chain(zones_counted).collect(),
        all_spaces_placed: spaces.all_placed,
    };
    street.drop_dangling();
    checks::drivers_are_configured(report, &street, &sections);
    checks::pictures_are_seen(report, &street, &camera_names, webhook.as_ref());
    checks::brokers_are_told_apart(report, chirpstack.as_ref(), mqtt.as_ref());
    // The check of the site asks for neither name nor zone of time: it goes on without them.
    let gateway_id = own
        .gateway
        .as_ref()
        .map_or_else(|| GatewayId::new("unnamed").ok(), |own| Some(own.id.clone()))?;
    let site = street.site(
        gateway_id,
        own.timezone.unwrap_or(Timezone::Wib),
        own.day_cutoff_minutes,
    );
    street.check(report, document, &site);
    check_size(report, &site);
    if report.is_clean() {
        checks::warn(report, &site, &street, &zone_names);
        checks::idle_sections(report, &street, document);
    }
    Some(Config {
        path: path.to_owned(),
        sha256: String::new(),
        gateway: own.gateway?,
        keys: keys?,
        uplink: uplink?,
        journal,
        local: local?,
        chirpstack,
        mqtt,
        webhook,
        sensors: street.sensors.into_iter().map(|sensor| sensor.value.sensor).collect(),
        contacts,
        lights,
        video: video?,
        cameras,
        page,
        far_view,
        site,
        warnings: Vec::new(),
        files: report.take_files(),
    })
}

/// The daemon writes a new site into its journal in one piece.
fn check_size(report: &mut Report, site: &Site) {
    let bytes = serde_json::to_vec(site).map_or(0, |json| json.len());
    if bytes > SITE_BYTES_MAX {
        let message =
            format!("zones, spaces, bindings, counters and tariffs take {bytes} bytes; at most {SITE_BYTES_MAX}");
        let hint = "remove closings, bindings and tariffs that ended long ago, or divide the street between two boxes";
        report.error(&Place::root(), message, hint.to_owned());
    }
}

fn whole_file(path: &Path, message: String, hint: &str) -> ConfigErrors {
    one_problem(path, None, message, hint)
}

fn not_utf8(path: &Path, bytes: &[u8], valid_bytes: usize) -> ConfigErrors {
    let before = String::from_utf8_lossy(&bytes[..valid_bytes]);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = "this is no UTF-8 text".to_owned();
    one_problem(
        path,
        Some(Position { line, column }),
        message,
        "save the file as UTF-8 text",
    )
}

fn one_problem(path: &Path, position: Option<Position>, message: String, hint: &str) -> ConfigErrors {
    ConfigErrors {
        problems: vec![Problem {
            path: path.to_owned(),
            position,
            key: String::new(),
            message,
            hint: hint.to_owned(),
        }],
        unlisted: 0,
    }
}
