//! `gateway check FILE`: what a box with this configuration would do, or everything that is wrong with it.

mod attached;
mod cameras;
mod machine;
mod scripts;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking::{ClassFee, FeeRule, TariffSchedule, Zone};

use super::UsageError;
use crate::config::{Config, ConfigErrors, class_name};

/// Check a configuration file and say what a box would do with it
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The box's configuration, a TOML file
    file: PathBuf,
    /// Do not look at the keys, certificates and passwords that the file names, nor at what cameras need of this machine
    #[arg(long)]
    no_files: bool,
}

impl Check {
    /// Prints the summary to stdout, problems and warnings to stderr.
    pub fn run(&self) -> anyhow::Result<()> {
        let config = load(&self.file, !self.no_files)?;
        let findings = if self.no_files {
            machine::Findings::default()
        } else {
            let mut findings = machine::check(&config)?;
            attached::check(&config, &mut findings);
            findings.problems.extend(scripts::check(&config)?);
            findings
        };
        for warning in &findings.warnings {
            eprintln!("warning: {warning}");
        }
        if !findings.problems.is_empty() {
            let problems = findings.problems;
            return Err(refuse(&self.file, &ConfigErrors { problems, unlisted: 0 }).into());
        }
        let summary = Summary {
            config: &config,
            disk: findings.disk.as_deref(),
        };
        tell!("{}", summary.to_string().trim_end());
        Ok(())
    }
}

/// Reads the configuration of a box that is to run. What cameras, the page or live view lack is printed and costs them alone.
pub fn load_to_run(path: &Path) -> Result<Config, UsageError> {
    let config = load(path, false)?;
    let lacking = config.check_files_to_run().map_err(|errors| refuse(path, &errors))?;
    for problem in &lacking {
        eprintln!("error: {problem}");
    }
    if !lacking.is_empty() {
        eprintln!(
            "note: the box counts; what needs these files stays dark until they are corrected and it is started again"
        );
    }
    Ok(config)
}

/// Reads the configuration at `path`, and unless told otherwise the files that it names. Prints every problem and every
/// warning to stderr; the error that is left only counts them.
pub fn load(path: &Path, with_files: bool) -> Result<Config, UsageError> {
    let config = Config::load(path).map_err(|errors| refuse(path, &errors))?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    if with_files {
        config.check_files().map_err(|errors| refuse(path, &errors))?;
    }
    Ok(config)
}

fn refuse(path: &Path, errors: &ConfigErrors) -> UsageError {
    eprintln!("{errors}");
    let problems = if errors.count() == 1 { "problem" } else { "problems" };
    UsageError(format!("{} {problems} in {}", errors.count(), path.display()))
}

/// A configuration in plain words.
struct Summary<'a> {
    config: &'a Config,
    /// The disk of recordings, in words, if it was looked at.
    disk: Option<&'a str>,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        let site = &config.site;
        let cutoff = site.day_cutoff_minutes;
        writeln!(f, "box      {}, log {}", config.gateway.id, config.gateway.log_origin())?;
        writeln!(
            f,
            "time     {}, business day from {:02}:{:02} to {:02}:{:02}",
            site.timezone.name(),
            cutoff / 60,
            cutoff % 60,
            cutoff / 60,
            cutoff % 60
        )?;
        self.write_uplink(f)?;
        writeln!(
            f,
            "journal  {}, {} reserved, {} a segment",
            config.gateway.journal_dir().display(),
            bytes(config.journal.reserve_bytes),
            bytes(config.journal.segment_bytes)
        )?;
        self.write_sensors(f)?;
        self.write_cameras(f)?;
        writeln!(
            f,
            "zones    {}, with {}",
            site.zones.len(),
            count(site.spaces.len(), "space")
        )?;
        for zone in &site.zones {
            self.write_zone(f, zone)?;
        }
        writeln!(f, "tariffs  {}", site.tariffs.len())?;
        for tariff in &site.tariffs {
            write_tariff(f, tariff)?;
        }
        writeln!(f, "sha256   {}", config.sha256)
    }
}

impl Summary<'_> {
    fn write_uplink(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uplink = &self.config.uplink;
        writeln!(
            f,
            "uplink   {} port {} (MQTT over TLS), batches of up to {} or {}, at the latest after {}",
            uplink.host,
            uplink.port,
            count(uplink.batch_records_max, "record"),
            bytes(u64::try_from(uplink.batch_bytes_max).unwrap_or(u64::MAX)),
            length(uplink.batch_delay)
        )
    }

    fn write_sensors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        let mut by_profile: BTreeMap<&str, usize> = BTreeMap::new();
        for sensor in &config.sensors {
            *by_profile.entry(sensor.profile.name.as_str()).or_default() += 1;
        }
        let models: Vec<String> = by_profile
            .iter()
            .map(|(profile, number)| format!("{number} {profile}"))
            .collect();
        write!(f, "sensors  {}", config.sensors.len())?;
        if !models.is_empty() {
            write!(f, ": {}", models.join(", "))?;
        }
        writeln!(f)?;
        if let Some(chirpstack) = &config.chirpstack {
            writeln!(
                f,
                "  ChirpStack's broker at {} port {}",
                chirpstack.host, chirpstack.port
            )?;
        }
        if let Some(mqtt) = &config.mqtt {
            writeln!(f, "  MQTT broker at {} port {}", mqtt.host, mqtt.port)?;
        }
        if let Some(webhook) = &config.webhook {
            writeln!(f, "  HTTP posts to {}", webhook.listen)?;
        }
        self.write_attached(f)
    }

    fn write_zone(&self, f: &mut fmt::Formatter<'_>, zone: &Zone) -> fmt::Result {
        let site = &self.config.site;
        let mut by_class: BTreeMap<_, usize> = BTreeMap::new();
        let spaces: Vec<_> = site.spaces.iter().filter(|space| space.zone == zone.id).collect();
        for space in &spaces {
            *by_class.entry(space.class).or_default() += 1;
        }
        let classes: Vec<String> = by_class
            .iter()
            .map(|(class, number)| format!("{number} {}", class_name(*class)))
            .collect();
        let watched = |space: &&&parking::Space| site.bindings.iter().any(|binding| binding.space == space.id);
        if spaces.is_empty() {
            writeln!(f, "  {} ({}): no space, counted at lines", zone.id, zone.name)?;
        } else {
            writeln!(
                f,
                "  {} ({}): {} ({}), {} with a sensor; stays under {} s are free",
                zone.id,
                zone.name,
                count(spaces.len(), "space"),
                classes.join(", "),
                spaces.iter().filter(watched).count(),
                zone.rules.grace_s
            )?;
        }
        let lines = site.counters.iter().filter(|counter| counter.zone == zone.id);
        lines.into_iter().try_for_each(|counter| {
            let [low, _, high] = counter.vehicles.range();
            writeln!(
                f,
                "    {} counts {}: {low} to {high} of 1000 that pass are billed",
                counter.sensor,
                class_name(counter.class)
            )
        })
    }
}

fn write_tariff(f: &mut fmt::Formatter<'_>, tariff: &TariffSchedule) -> fmt::Result {
    write!(f, "  {} ({}), from {}", tariff.id, tariff.regulation, tariff.valid_from)?;
    if let Some(last_day) = tariff.valid_until {
        write!(f, " to {last_day}")?;
    }
    let zones: Vec<&str> = tariff.zones.iter().map(parking::ZoneId::as_str).collect();
    writeln!(
        f,
        ", in {}",
        if zones.is_empty() {
            "all zones".to_owned()
        } else {
            zones.join(", ")
        }
    )?;
    tariff.fees.iter().try_for_each(|fee| write_fee(f, fee))
}

fn write_fee(f: &mut fmt::Formatter<'_>, fee: &ClassFee) -> fmt::Result {
    write!(f, "    {}: ", class_name(fee.class))?;
    match fee.rule {
        FeeRule::Flat { fee } => write!(f, "{fee} a use")?,
        FeeRule::Progressive {
            first_s,
            first_fee,
            next_s,
            next_fee,
        } => write!(
            f,
            "{first_fee} for the first {} min, {next_fee} for each further {} min begun",
            first_s / 60,
            next_s / 60
        )?,
    }
    if let Some(cap) = fee.cap {
        write!(f, ", at most {cap}")?;
    }
    if fee.once_a_day {
        write!(f, ", once a day")?;
    }
    if let Some(grace_s) = fee.grace_s {
        write!(f, ", free under {grace_s} s")?;
    }
    writeln!(f)
}

fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

fn bytes(bytes: u64) -> String {
    const KIB: u64 = 1_024;
    const MIB: u64 = KIB * KIB;
    const GIB: u64 = KIB * MIB;
    match bytes {
        _ if bytes > 0 && bytes.is_multiple_of(GIB) => format!("{} GiB", bytes / GIB),
        _ if bytes > 0 && bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ if bytes > 0 && bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} bytes"),
    }
}

fn length(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1_000) {
        format!("{} s", millis / 1_000)
    } else {
        format!("{millis} ms")
    }
}
