//! `gateway sensors test`: does this sensor work, from the street into the box?

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use parking::SensorId;

use super::sensor;
use crate::commands::load_config;
use crate::commands::local::Daemon;
use crate::daemon::heard::Last;
use crate::daemon::local::sensors::SensorNow;
use crate::words::{Language, Phrase, Text, Value};

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
const BEGIN_COUNT: Text = Text::new(
    "{}: lewatkan kendaraan di garis hitung; paling lama {} s",
    "{}: pass the line with a vehicle; at most {} s",
);
const COUNTED: Text = Text::new("total {}", "total {}");
const GOOD_COUNT: Text = Text::new(
    "{}: baik. Kendaraan yang lewat dihitung dan sampai ke kotak.",
    "{}: good. What passes is counted and reaches the box.",
);
const SAME_TOTAL: Text = Text::new(
    "ada data, tetapi totalnya tidak bertambah: periksa letak dan arah hitung, atau ulangi dengan waktu lebih lama (--seconds)",
    "heard, but its total did not grow: look at its place and direction, or try again for longer (--seconds)",
);
const NOT_HEARD: Text = Text::new(
    "tidak ada data masuk: periksa daya, kabel atau sinyal, profil dan nomor sensor",
    "not heard: look at its supply, its cable or signal, its profile and its id",
);
const ONE_STATE: Text = Text::new(
    "ada data, tetapi hanya satu keadaan: periksa letak dan ambang, atau ulangi dengan waktu lebih lama (--seconds)",
    "heard, but with one state only: look at its place and its limits, or try again for longer (--seconds)",
);

/// Tries one sensor: waits until it has told both states, or counted further.
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
        let first = look(&daemon, id)?;
        let begin = if first.counts_in.is_some() { BEGIN_COUNT } else { BEGIN };
        tell!("{}", begin.with(&[name(), seconds]).in_(self.lang));
        let (begun, lasting) = (Instant::now(), Duration::from_secs(self.seconds.into()));
        let mut trial = Trial::new(first.last, first.counts_in.is_some());
        let mut trouble = None;
        while begun.elapsed() < lasting {
            let now = look(&daemon, id)?;
            let shown = now.magnetometer.and_then(|magnetometer| magnetometer.trouble);
            if shown != trouble {
                if let Some(shown) = &shown {
                    self.say(begun, shown)?;
                }
                trouble = shown;
            }
            if let Some(told) = trial.take(now.last) {
                self.say(begun, told.in_(self.lang))?;
            }
            if trial.is_passed() {
                let good = if trial.counts { GOOD_COUNT } else { GOOD };
                tell!("{}", good.with(&[name()]).in_(self.lang));
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        anyhow::bail!("{id}: {}", trial.missing().in_(self.lang))
    }

    fn say(&self, begun: Instant, what: &str) -> anyhow::Result<()> {
        let seconds = Value::Whole(i64::try_from(begun.elapsed().as_secs()).unwrap_or(i64::MAX));
        tell!("{}", SAYS.with(&[seconds, Value::Name(what.to_owned())]).in_(self.lang));
        Ok(())
    }
}

/// What a sensor told since the trial began. What it told before counts for nothing.
struct Trial {
    counts: bool,
    first: Last,
    last: Last,
    was_free: bool,
    was_occupied: bool,
}

impl Trial {
    fn new(first: Last, counts: bool) -> Self {
        Self {
            counts,
            last: first.clone(),
            first,
            was_free: false,
            was_occupied: false,
        }
    }

    /// What is new, if anything is.
    fn take(&mut self, now: Last) -> Option<Phrase> {
        let before = std::mem::replace(&mut self.last, now);
        let now = &self.last;
        if now.readings == before.readings {
            return None;
        }
        if now.telling == before.telling {
            return Some(STATELESS.with(&[]));
        }
        if self.counts {
            self.first.count = self.first.count.or(now.count);
            return Some(now.count.map_or_else(
                || STATELESS.with(&[]),
                |total| COUNTED.with(&[Value::Whole(total.into())]),
            ));
        }
        self.was_free |= now.occupied == Some(false);
        self.was_occupied |= now.occupied == Some(true);
        let state = match now.occupied {
            Some(true) => OCCUPIED,
            Some(false) => FREE,
            None => STATELESS,
        };
        Some(state.with(&[]))
    }

    fn is_passed(&self) -> bool {
        if self.counts {
            self.first.count.is_some() && self.last.count != self.first.count
        } else {
            self.was_free && self.was_occupied
        }
    }

    /// Why it is not passed.
    fn missing(&self) -> Text {
        match self.counts {
            _ if self.last.readings == self.first.readings => NOT_HEARD,
            true => SAME_TOTAL,
            false => ONE_STATE,
        }
    }
}

fn look(daemon: &Daemon, id: &SensorId) -> anyhow::Result<SensorNow> {
    let sensors: Vec<SensorNow> = daemon.get("/sensors")?;
    let found = sensors.into_iter().find(|sensor| sensor.sensor == *id);
    found.with_context(|| format!("the daemon runs without sensor {id}\n  hint: restart it with this configuration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(readings: u64, telling: u64, occupied: Option<bool>, count: Option<u32>) -> Last {
        Last {
            occupied,
            count,
            readings,
            telling,
            ..Last::default()
        }
    }

    fn said(trial: &mut Trial, now: Last) -> Option<String> {
        trial.take(now).map(|told| told.in_(Language::English).to_owned())
    }

    #[test]
    fn a_sensor_passes_when_it_told_both_states_in_the_trial_and_not_before() {
        let mut trial = Trial::new(last(5, 4, Some(true), None), false);
        assert_eq!(said(&mut trial, last(5, 4, Some(true), None)), None);
        // A word without a state brings the state of before with it.
        assert_eq!(
            said(&mut trial, last(6, 4, Some(true), None)).as_deref(),
            Some("heard, without a state")
        );
        assert_eq!(said(&mut trial, last(7, 5, Some(false), None)).as_deref(), Some("FREE"));
        assert!(!trial.is_passed());
        assert_eq!(trial.missing().in_(Language::English), ONE_STATE.in_(Language::English));
        assert_eq!(
            said(&mut trial, last(8, 6, Some(true), None)).as_deref(),
            Some("OCCUPIED")
        );
        assert!(trial.is_passed());
    }

    #[test]
    fn a_counter_passes_when_its_total_is_another_than_before() {
        let mut trial = Trial::new(last(1, 1, None, Some(65_535)), true);
        assert_eq!(trial.missing().in_(Language::English), NOT_HEARD.in_(Language::English));
        assert_eq!(
            said(&mut trial, last(2, 2, None, Some(65_535))).as_deref(),
            Some("total 65535")
        );
        assert!(!trial.is_passed());
        assert_eq!(
            trial.missing().in_(Language::English),
            SAME_TOTAL.in_(Language::English)
        );
        said(&mut trial, last(3, 3, None, Some(0)));
        assert!(trial.is_passed());
    }

    #[test]
    fn a_counter_that_was_not_heard_before_gives_its_first_total_and_then_has_to_count() {
        let mut trial = Trial::new(Last::default(), true);
        said(&mut trial, last(1, 1, None, Some(7)));
        assert!(!trial.is_passed());
        said(&mut trial, last(2, 2, None, Some(8)));
        assert!(trial.is_passed());
    }
}
