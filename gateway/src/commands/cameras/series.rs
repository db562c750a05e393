//! `gateway cameras series`: how a camera was over the last hours, asked of the running daemon.

use std::path::PathBuf;

use clap::Args;
use parking::Timezone;

use super::camera;
use crate::cameras::series::subject;
use crate::cameras::wire::Profile;
use crate::commands::load_config;
use crate::commands::local::Daemon;
use crate::commands::table::{Side, lines};
use crate::commands::time;
use crate::daemon::local::cameras::SERIES_HOURS_MAX;
use crate::state::telemetry::{Quantity, Sample, Samples};
use crate::words::{Language, Text, Value};

const NONE: Text = Text::new(
    "Belum ada data dari waktu itu. Data pertama muncul setelah satu menit.",
    "Nothing is kept of that time yet. The first figures appear after a minute.",
);
const NOTE: Text = Text::new(
    "Rata-rata (terendah..tertinggi); AKTIF: bagian waktu kamera normal; - : tidak diketahui.",
    "Mean (lowest..highest); UP: share of the time in which the camera was up; - : not known.",
);

/// Shows how a camera was over the last hours: frame rate, bitrate, keyframes, losses, clock.
#[derive(Debug, Args)]
pub struct Series {
    /// The box's configuration, TOML; it says where the daemon listens.
    config: PathBuf,
    /// The camera's id.
    camera: String,
    /// Of how many hours up to now.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=i64::from(SERIES_HOURS_MAX)))]
    hours: u32,
    /// Shows single minutes, as far as they are kept (24 hours), instead of quarters of an hour.
    #[arg(long)]
    minutes: bool,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Language: id (Bahasa Indonesia) or en (English).
    #[arg(long, default_value = "id", hide_default_value = true)]
    lang: Language,
}

impl Series {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let camera = camera(&config, &self.config, &self.camera)?;
        let address = format!(
            "/cameras/{}/series?hours={}&by_minute={}",
            camera.id, self.hours, self.minutes
        );
        let samples: Vec<Samples> = Daemon::at(&config.local.socket)?.get(&address)?;
        if self.json {
            tell!("{}", serde_json::to_string_pretty(&samples)?);
        } else {
            let subject = subject(&camera.id);
            tell!(
                "{}",
                text(&samples, &subject, config.site.timezone, self.lang).trim_end()
            );
        }
        Ok(())
    }
}

/// One line of the table: time, up, clock; stream, frames, bits, keyframes, losses.
type Row = [String; 8];

const SIDES: [Side; 8] = {
    use Side::{Left, Right};
    [Left, Right, Right, Left, Right, Right, Right, Right]
};

fn header(language: Language) -> Row {
    let names = match language {
        Language::Indonesian => [
            "SEJAK",
            "AKTIF",
            "JAM MS",
            "ALIRAN",
            "FPS",
            "KBIT/S",
            "KEYFRAME S",
            "HILANG",
        ],
        Language::English => [
            "SINCE",
            "UP",
            "CLOCK MS",
            "STREAM",
            "FPS",
            "KBIT/S",
            "KEYFRAME S",
            "LOST",
        ],
    };
    names.map(str::to_owned)
}

fn text(samples: &[Samples], subject: &str, zone: Timezone, language: Language) -> String {
    if samples.is_empty() {
        return NONE.in_(language).to_owned();
    }
    let mut rows = vec![header(language)];
    let mut expected = None;
    for row in samples {
        // One line stands for a gap, however long.
        if let Some(expected) = expected.filter(|expected| *expected < row.from) {
            let mut gap = SIDES.map(|_| "-".to_owned());
            gap[0] = time::short(time::of(expected), zone);
            rows.push(gap);
        }
        expected = Some(row.from.plus_seconds(i64::from(row.minutes) * 60));
        rows.extend(lines_of(row, subject, zone, language));
    }
    let mut out = lines(SIDES, &rows).join("\n");
    out.push_str("\n\n");
    out.push_str(NOTE.in_(language));
    out
}

fn lines_of(row: &Samples, subject: &str, zone: Timezone, language: Language) -> Vec<Row> {
    let sample = |part: &str, quantity: Quantity| row.series.get(&format!("{subject}{part}/{}", quantity.word()));
    let spread = |sample: Option<&Sample>, tenths: bool| {
        sample.map_or_else(|| "-".to_owned(), |sample| spread_text(sample, tenths, language))
    };
    let up = sample("", Quantity::Up).map_or_else(|| "-".to_owned(), |up| format!("{:.0} %", up.mean * 100.0));
    let mut out = Vec::new();
    for profile in [Profile::Sub, Profile::Main] {
        let part = format!("/{profile}");
        let Some(fps) = sample(&part, Quantity::Fps) else {
            continue;
        };
        out.push([
            String::new(),
            String::new(),
            String::new(),
            profile.to_string(),
            spread(Some(fps), true),
            spread(sample(&part, Quantity::Kbit), false),
            spread(sample(&part, Quantity::GopSeconds), true),
            spread(sample(&part, Quantity::LostPackets), false),
        ]);
    }
    if out.is_empty() {
        out.push(SIDES.map(|_| "-".to_owned()));
    }
    if let Some([since, is_up, clock, ..]) = out.first_mut() {
        *since = time::short(time::of(row.from), zone);
        *is_up = up;
        *clock = spread(sample("", Quantity::ClockMs), false);
    }
    out
}

#[allow(clippy::cast_possible_truncation)] // for people
fn spread_text(sample: &Sample, tenths: bool, language: Language) -> String {
    let number = |value: f64| {
        if tenths {
            Value::Tenths(value as f32).in_(language)
        } else {
            format!("{value:.0}")
        }
    };
    let (low, mean, high) = (number(sample.low), number(sample.mean), number(sample.high));
    if low == high {
        mean
    } else {
        format!("{mean} ({low}..{high})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(from: &str, series: &serde_json::Value) -> Samples {
        serde_json::from_value(serde_json::json!({"from": from, "minutes": 15, "series": series})).unwrap()
    }

    #[test]
    fn a_table_shows_what_is_known_and_where_nothing_is() {
        let whole = serde_json::json!({
            "camera/g/up": 0.98, "camera/g/clock_ms": [-30, -12, 5],
            "camera/g/sub/fps": [11.5, 12.5, 13], "camera/g/sub/kbit": [400, 512, 700],
            "camera/g/sub/gop_s": 2, "camera/g/sub/lost": 3, "camera/g/main/fps": 25,
        });
        let dark = serde_json::json!({"camera/g/up": 0});
        let kept = [
            samples("2026-01-05T00:00:00Z", &whole),
            samples("2026-01-05T00:15:00Z", &dark),
            samples("2026-01-05T02:00:00Z", &dark),
        ];
        let shown = text(&kept, "camera/g", Timezone::Wib, Language::Indonesian);
        let expected = "\
SEJAK        AKTIF       JAM MS  ALIRAN               FPS          KBIT/S  KEYFRAME S  HILANG
05/01 07:00   98 %  -12 (-30..5)  sub     12,5 (11,5..13,0)  512 (400..700)         2,0       3
                                 main                25,0               -           -       -
05/01 07:15    0 %            -  -                      -               -           -       -
05/01 07:30      -            -  -                      -               -           -       -
05/01 09:00    0 %            -  -                      -               -           -       -

Rata-rata (terendah..tertinggi); AKTIF: bagian waktu kamera normal; - : tidak diketahui.";
        let words = |text: &str| -> Vec<Vec<String>> {
            let line = |line: &str| line.split_whitespace().map(str::to_owned).collect();
            text.lines().map(line).collect()
        };
        assert_eq!(words(&shown), words(expected), "{shown}");
    }

    #[test]
    fn nothing_kept_is_told_in_words() {
        for text in [NONE, NOTE] {
            assert!(!text.id.is_empty() && !text.en.is_empty() && text.id != text.en);
        }
        assert_eq!(text(&[], "camera/g", Timezone::Wib, Language::English), NONE.en);
    }
}
