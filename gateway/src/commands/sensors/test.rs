//! `gateway sensors test`: does this sensor work, from the street into the box?

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use parking::SensorId;

use super::sensor;
use crate::commands::load_config;
use crate::commands::local::Daemon;
use crate::daemon::local::sensors::SensorNow;
use crate::words::{Language, Text, Value};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

const BEGIN: Text = Text::new(
    "{}: letakkan benda besi besar (untuk magnetometer) atau kendaraan di petak, lalu singkirkan; paling lama {} s",
    "{}: put something large of iron (magnetometer) or a vehicle on the space, then take it away; at most {} s",
);
const SAYS: Text = Text::new("{} s: {}", "{} s: {}");
const OCCUPIED: Text = Text::new("TERISI", "OCCUPIED");
const FREE: Text = Text::new("KOSONG", "FREE");
const STATELESS: Text = Text::new("ada data, tanpa keadaan", "heard, without a state");
const GOOD: Text = Text::new(
    "{}: baik. Kedua keadaan sampai ke kotak.",
    "{}: good. Both states reach the box.",
);
const NOT_HEARD: Text = Text::new(
    "tidak ada data masuk: periksa daya, kabel atau sinyal, profil dan nomor sensor",
    "not heard: look at its supply, its cable or signal, its profile and its id",
);
const ONE_STATE: Text = Text::new(
    "ada data, tetapi hanya satu keadaan: periksa letak dan ambang, atau ulangi dengan waktu lebih lama (--seconds)",
    "heard, but with one state only: look at its place and its limits, or try again for longer (--seconds)",
);

/// Tries one sensor: waits until it has told both states.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The box's configuration, TOML.
    config: PathBuf,
    /// The sensor's id.
    sensor: String,
    /// How long to wait.
    #[arg(long, default_value_t = 300)]
    seconds: u32,
    /// Language: id (Bahasa Indonesia) or en (English).
    #[arg(long, default_value = "id", hide_default_value = true)]
    lang: Language,
}

impl Test {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let id = &sensor(&config, &self.sensor)?.id;
        let daemon = Daemon::at(&config.local.socket)?;
        let name = || Value::Name(id.to_string());
        let seconds = Value::Whole(self.seconds.into());
        tell!("{}", BEGIN.with(&[name(), seconds]).in_(self.lang));
        let (begun, lasting) = (Instant::now(), Duration::from_secs(self.seconds.into()));
        let (mut told, mut trouble) = (None, None);
        let (mut was_free, mut was_occupied) = (false, false);
        let before = look(&daemon, id)?.last.readings;
        while begun.elapsed() < lasting {
            let now = look(&daemon, id)?;
            let shown = now.magnetometer.and_then(|magnetometer| magnetometer.trouble);
            if shown != trouble {
                if let Some(shown) = &shown {
                    self.say(begun, shown)?;
                }
                trouble = shown;
            }
            if now.last.readings > before && told != Some((now.last.readings, now.last.occupied)) {
                told = Some((now.last.readings, now.last.occupied));
                was_free |= now.last.occupied == Some(false);
                was_occupied |= now.last.occupied == Some(true);
                let state = match now.last.occupied {
                    Some(true) => OCCUPIED,
                    Some(false) => FREE,
                    None => STATELESS,
                };
                self.say(begun, state.in_(self.lang))?;
            }
            if was_free && was_occupied {
                tell!("{}", GOOD.with(&[name()]).in_(self.lang));
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let why = if told.is_none() { NOT_HEARD } else { ONE_STATE };
        anyhow::bail!("{id}: {}", why.in_(self.lang))
    }

    fn say(&self, begun: Instant, what: &str) -> anyhow::Result<()> {
        let seconds = Value::Whole(i64::try_from(begun.elapsed().as_secs()).unwrap_or(i64::MAX));
        tell!("{}", SAYS.with(&[seconds, Value::Name(what.to_owned())]).in_(self.lang));
        Ok(())
    }
}

fn look(daemon: &Daemon, id: &SensorId) -> anyhow::Result<SensorNow> {
    let sensors: Vec<SensorNow> = daemon.get("/sensors")?;
    let found = sensors.into_iter().find(|sensor| sensor.sensor == *id);
    found.with_context(|| format!("the daemon runs without sensor {id}\n  hint: restart it with this configuration"))
}
