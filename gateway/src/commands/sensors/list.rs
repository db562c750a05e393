//! `gateway sensors list` and `watch`: how sensors are, asked of the running daemon.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use parking::{SpaceState, Timestamp};

use crate::commands::load_config;
use crate::commands::local::Daemon;
use crate::commands::table::{Side, lines};
use crate::daemon::local::Status;
use crate::daemon::local::sensors::SensorNow;
use crate::words::{Language, Text, Value};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The cursor to the first line and column, and everything after it away.
const CLEAR: &str = "\x1b[H\x1b[2J";

const NONE: Text = Text::new(
    "Belum ada sensor di konfigurasi ini.",
    "This configuration has no sensors.",
);
const NEVER: Text = Text::new(
    "belum ada data sejak daemon dijalankan",
    "not heard since the daemon started",
);
const SILENT: Text = Text::new("diam terlalu lama", "silent for too long");
const LOW_BATTERY: Text = Text::new("baterai hampir habis", "battery is low");
const FLIPS: Text = Text::new(
    "terlalu sering berubah: periksa letak dan gangguan",
    "changes too often: look at its place and at what disturbs it",
);
const STUCK: Text = Text::new(
    "tidak berubah terlalu lama: periksa petak",
    "has not changed for too long: look at the space",
);
const UNBOUND: Text = Text::new("tidak mengawasi petak", "watches no space");
const TOTAL: Text = Text::new("total {}", "total {}");

/// Shows how every sensor is, asked of the running daemon.
#[derive(Debug, Args)]
pub(super) struct List {
    /// The box's configuration, TOML; it says where the daemon listens.
    config: PathBuf,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Language: id (Bahasa Indonesia) or en (English).
    #[arg(long, default_value = "id", hide_default_value = true)]
    lang: Language,
}

/// Shows it again every second, until Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The box's configuration, TOML; it says where the daemon listens.
    config: PathBuf,
    /// Language: id (Bahasa Indonesia) or en (English).
    #[arg(long, default_value = "id", hide_default_value = true)]
    lang: Language,
    /// Ends by itself after so many looks.
    #[arg(long, value_name = "LOOKS")]
    times: Option<u64>,
}

impl List {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let daemon = Daemon::at(&config.local.socket)?;
        let sensors: Vec<SensorNow> = daemon.get("/sensors")?;
        if self.json {
            tell!("{}", serde_json::to_string_pretty(&sensors)?);
        } else {
            tell!("{}", text(&sensors, now_of(&daemon)?, self.lang).trim_end());
        }
        Ok(())
    }
}

impl Watch {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let daemon = Daemon::at(&config.local.socket)?;
        let mut out = std::io::stdout();
        let clear = if out.is_terminal() { CLEAR } else { "" };
        let mut looks = 0;
        loop {
            let sensors: Vec<SensorNow> = daemon.get("/sensors")?;
            write!(out, "{clear}{}", text(&sensors, now_of(&daemon)?, self.lang))?;
            out.flush()?;
            looks += 1;
            if self.times.is_some_and(|times| looks >= times) {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// The box's own time: its clock may be another than that of this terminal.
fn now_of(daemon: &Daemon) -> anyhow::Result<Timestamp> {
    Ok(daemon.get::<Status>("/status")?.now)
}

/// Sensor, profile, space, state; heard, changes an hour; signal, noise, battery, temperature; notes.
type Row = [String; 11];

const SIDES: [Side; 11] = {
    use Side::{Left, Right};
    [Left, Left, Left, Left, Right, Right, Right, Right, Right, Right, Left]
};

fn header(language: Language) -> Row {
    let names = match language {
        Language::Indonesian => [
            "SENSOR",
            "PROFIL",
            "PETAK",
            "KEADAAN",
            "DATA TERAKHIR",
            "PERUBAHAN/JAM",
            "RSSI",
            "SNR",
            "BATERAI",
            "SUHU",
            "CATATAN",
        ],
        Language::English => [
            "SENSOR", "PROFILE", "SPACE", "STATE", "HEARD", "FLIPS/H", "RSSI", "SNR", "BATTERY", "TEMP", "NOTES",
        ],
    };
    names.map(str::to_owned)
}

fn text(sensors: &[SensorNow], now: Timestamp, language: Language) -> String {
    if sensors.is_empty() {
        return format!("{}\n", NONE.in_(language));
    }
    let mut rows = vec![header(language)];
    rows.extend(sensors.iter().map(|sensor| row(sensor, now, language)));
    lines(SIDES, &rows).join("\n") + "\n"
}

fn row(sensor: &SensorNow, now: Timestamp, language: Language) -> Row {
    let dash = || "-".to_owned();
    let health = &sensor.last.health;
    let with = |number: Option<f64>, unit: &str| {
        number.map_or_else(dash, |number| format!("{}{unit}", tenths(number, language)))
    };
    [
        sensor.sensor.to_string(),
        sensor.profile.clone(),
        place(sensor).unwrap_or_else(dash),
        state(sensor, language).unwrap_or_else(dash),
        sensor
            .last
            .received
            .map_or_else(dash, |at| age_text(now.seconds_since(at), language)),
        sensor.last.flips.to_string(),
        health.rssi_dbm.map_or_else(dash, |dbm| format!("{dbm} dBm")),
        with(health.snr_db, " dB"),
        with(health.battery_v, " V"),
        with(health.temperature_c, " °C"),
        notes(sensor, now, language).join("; "),
    ]
}

/// The space that it watches, or the zone that it counts in.
fn place(sensor: &SensorNow) -> Option<String> {
    let zone = sensor.counts_in.as_ref().map(ToString::to_string);
    sensor.space.as_ref().map(ToString::to_string).or(zone)
}

/// What its space is, or how far it has counted.
fn state(sensor: &SensorNow, language: Language) -> Option<String> {
    let total = sensor.last.count.filter(|_| sensor.counts_in.is_some());
    let total = total.map(|total| {
        let total = TOTAL.with(&[Value::Whole(total.into())]);
        total.in_(language).to_owned()
    });
    let state = sensor.state.map(|state| state_text(state, language).to_owned());
    state.or(total)
}

#[expect(clippy::cast_possible_truncation, reason = "tenths for people")]
fn tenths(number: f64, language: Language) -> String {
    Value::Tenths(number as f32).in_(language)
}

/// What a space is, for people.
pub(super) fn state_text(state: SpaceState, language: Language) -> &'static str {
    let text = match state {
        SpaceState::Free => Text::new("kosong", "free"),
        SpaceState::Occupied => Text::new("terisi", "occupied"),
        SpaceState::Unknown => Text::new("tidak diketahui", "unknown"),
        SpaceState::Closed => Text::new("ditutup", "closed"),
    };
    text.in_(language)
}

fn age_text(seconds: i64, language: Language) -> String {
    let (minutes, hours, days) = match language {
        Language::Indonesian => ("mnt", "jam", "hari"),
        Language::English => ("min", "h", "d"),
    };
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} {minutes}", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} {hours}", seconds / 3_600),
        seconds => format!("{} {days}", seconds / 86_400),
    }
}

fn notes(sensor: &SensorNow, now: Timestamp, language: Language) -> Vec<String> {
    let last = &sensor.last;
    let mut notes: Vec<String> = Vec::new();
    let mut note = |is: bool, text: Text| {
        if is {
            notes.push(text.in_(language).to_owned());
        }
    };
    note(place(sensor).is_none(), UNBOUND);
    note(last.received.is_none(), NEVER);
    let is_silent = |at: Timestamp| now.seconds_since(at) > i64::from(sensor.silence_s);
    note(last.received.is_some_and(is_silent), SILENT);
    note(last.health.low_battery == Some(true), LOW_BATTERY);
    note(
        last.flips > usize::try_from(sensor.flips_max).unwrap_or(usize::MAX),
        FLIPS,
    );
    note(last.health.stuck == Some(true), STUCK);
    let Some(magnetometer) = &sensor.magnetometer else {
        return notes;
    };
    if let Some(off) = magnetometer.distance_nt {
        let enter = tenths(magnetometer.enter_nt / 1_000.0, language);
        notes.push(format!("{} / {enter} µT", tenths(off / 1_000.0, language)));
    }
    notes.extend(magnetometer.trouble.clone());
    notes
}

#[cfg(test)]
mod tests {
    use parking::SensorId;
    use wired::Field;
    use wired::adaptive::State;

    use super::*;
    use crate::daemon::heard::Last;
    use crate::sensors::attached::magnetometers::Seen;
    use crate::sensors::codecs::Health;

    #[test]
    fn the_table_shows_what_a_technician_needs_in_both_languages() {
        let now = Timestamp::from_millis(1_767_600_000_000);
        let sensor = |id: &str, profile: &str, space: Option<&str>, last: Last| SensorNow {
            sensor: SensorId::new(id).unwrap(),
            profile: profile.to_owned(),
            heartbeat_s: 3_600,
            space: space.map(|space| space.parse().unwrap()),
            state: space.map(|_| SpaceState::Occupied),
            counts_in: None,
            silence_s: 9_000,
            flips_max: 20,
            last,
            magnetometer: None,
        };
        let heard = |ago: i64, flips, health| Last {
            observed: Some(now.plus_seconds(-ago)),
            received: Some(now.plus_seconds(-ago)),
            occupied: Some(true),
            count: None,
            readings: 7,
            telling: 7,
            flips,
            health,
        };
        let radio = Health {
            rssi_dbm: Some(-104),
            snr_db: Some(-7.25),
            battery_v: Some(3.6),
            temperature_c: Some(41.0),
            ..Health::default()
        };
        let low = Health {
            low_battery: Some(true),
            ..Health::default()
        };
        let mut magnetometer = sensor("mag-1", "mmc5603", Some("A3"), Last::default());
        magnetometer.state = Some(SpaceState::Unknown);
        magnetometer.magnetometer = Some(Seen {
            at: Some(now),
            field: Some(Field::new(38_000.0, 500.0, -24_000.0)),
            baseline: None,
            distance_nt: Some(1_250.0),
            enter_nt: 6_000.0,
            state: State::Unknown,
            trouble: Some("not calibrated".to_owned()),
        });
        let mut line = sensor("line-1", "nwave-ncc405", None, heard(30, 0, Health::default()));
        (line.counts_in, line.last.count) = (Some("pasar".parse().unwrap()), Some(4_711));
        let sensors = [
            line,
            sensor("70b3d52c0001a2f4", "bosch-tps110", Some("A1"), heard(40, 3, radio)),
            sensor("70b3d52c0001a2f5", "nwave-nps405", Some("A2"), heard(10_000, 31, low)),
            sensor("70b3d52c0001a2f6", "nwave-nps405", None, Last::default()),
            magnetometer,
        ];
        insta::assert_snapshot!("table_id", text(&sensors, now, Language::Indonesian));
        insta::assert_snapshot!("table_en", text(&sensors, now, Language::English));
        assert_eq!(
            text(&[], now, Language::English),
            "This configuration has no sensors.\n"
        );
    }
}
