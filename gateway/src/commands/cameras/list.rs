//! `gateway cameras list`: how cameras are, asked of the running daemon.

use std::path::PathBuf;

use clap::Args;
use parking::Timezone;

use crate::cameras::health::{self, State};
use crate::cameras::recorder::RingStatus;
use crate::cameras::stream::StreamStatus;
use crate::cameras::told::{self, CameraStatus};
use crate::commands::load_config;
use crate::commands::local::Daemon;
use crate::commands::table::{Side, lines};
use crate::commands::time;
use crate::words::{Language, Phrase, Text, Value, offset_text, wrapped};

/// Columns of the explanations.
const WIDTH: usize = 110;
/// Columns before an explanation.
const INDENT: usize = 4;

const NONE: Text = Text::new(
    "Belum ada kamera. Jalankan `gateway cameras discover`.",
    "No cameras yet. Run `gateway cameras discover`.",
);
const DROPPED: Text = Text::new(
    "{}: {} potongan rekaman hilang sejak mulai",
    "{}: {} pieces of the recording were lost since start",
);
/// Shows how every camera is, and what to do about those that are not up.
#[derive(Debug, Args)]
pub struct List {
    /// The box's configuration, TOML; it says where the daemon listens.
    config: PathBuf,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Language: id (Bahasa Indonesia) or en (English).
    #[arg(long, default_value = "id", hide_default_value = true)]
    lang: Language,
}

impl List {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let statuses: Vec<CameraStatus> = Daemon::at(&config.local.socket)?.get("/cameras")?;
        if self.json {
            tell!("{}", serde_json::to_string_pretty(&statuses)?);
        } else {
            tell!("{}", text(&statuses, config.site.timezone, self.lang).trim_end());
        }
        Ok(())
    }
}

/// One line of the table: camera, state, since; stream, size, frames, bits, group; recording, oldest; process, clock.
type Row = [String; 12];

fn header(language: Language) -> Row {
    let names = match language {
        Language::Indonesian => [
            "KAMERA", "KEADAAN", "SEJAK", "ALIRAN", "UKURAN", "FPS", "KBIT/S", "GOP", "REKAMAN", "DARI", "PROSES",
            "JAM",
        ],
        Language::English => [
            "CAMERA",
            "STATE",
            "SINCE",
            "STREAM",
            "SIZE",
            "FPS",
            "KBIT/S",
            "GOP",
            "RECORDING",
            "FROM",
            "PROCESS",
            "CLOCK",
        ],
    };
    names.map(str::to_owned)
}

const SIDES: [Side; 12] = {
    use Side::{Left, Right};
    [
        Left, Left, Left, Left, Right, Right, Right, Right, Right, Left, Left, Right,
    ]
};

/// The table, with explanations below each camera that has any.
fn text(statuses: &[CameraStatus], zone: Timezone, language: Language) -> String {
    if statuses.is_empty() {
        return NONE.in_(language).to_owned();
    }
    let mut rows = vec![header(language)];
    // What stands below the row with this number.
    let mut below: Vec<(usize, Vec<String>)> = Vec::new();
    for status in statuses {
        rows.extend(camera_rows(status, zone, language));
        below.push((rows.len(), explanations(status, language)));
    }
    let indent = " ".repeat(INDENT);
    let mut out = String::new();
    for (number, line) in (1..).zip(lines(SIDES, &rows)) {
        out.push_str(&line);
        out.push('\n');
        let explained = below
            .iter()
            .filter(|(row, _)| *row == number)
            .flat_map(|(_, lines)| lines);
        for explanation in explained {
            out.push_str(&wrapped(explanation, &indent, &indent, WIDTH));
            out.push('\n');
        }
    }
    out
}

fn camera_rows(status: &CameraStatus, zone: Timezone, language: Language) -> Vec<Row> {
    let restarts = status.workers_started.saturating_sub(1);
    let process = match (status.worker_pid, restarts) {
        (None, _) => "-".to_owned(),
        (Some(pid), 0) => pid.to_string(),
        (Some(pid), restarts) => format!("{pid} ({restarts}x)"),
    };
    let offset = status.clock_offset_ms;
    let whole = [
        status.id.to_string(),
        health::state_text(status.state).in_(language).to_owned(),
        time::short(time::of(status.since), zone),
        process,
        offset.map_or_else(|| "-".to_owned(), |offset| offset_text(offset, language)),
    ];
    let mut rows = Vec::new();
    for (name, stream) in streams(status) {
        let is_first = rows.is_empty();
        let once = |cell: &String| if is_first { cell.clone() } else { String::new() };
        let [id, state, since, process, clock] = &whole;
        let [size, fps, kbit, gop] = figures(stream, language);
        let [kept, from] = recording(stream.ring.as_ref(), zone, language);
        rows.push([
            once(id),
            once(state),
            once(since),
            name.to_owned(),
            size,
            fps,
            kbit,
            gop,
            kept,
            from,
            once(process),
            once(clock),
        ]);
    }
    rows
}

fn streams(status: &CameraStatus) -> impl Iterator<Item = (&'static str, &StreamStatus)> {
    let both = [("sub", &status.sub), ("main", &status.main)];
    both.into_iter()
        .filter_map(|(name, stream)| Some((name, stream.as_ref()?)))
}

fn figures(stream: &StreamStatus, language: Language) -> [String; 4] {
    let none = || "-".to_owned();
    let size = stream.width.zip(stream.height);
    let size = size.map_or_else(none, |(width, height)| format!("{width}x{height}"));
    if stream.fps <= 0.0 {
        return [size, none(), none(), none()];
    }
    let gop = if stream.gop_frames > 0 {
        stream.gop_frames.to_string()
    } else {
        none()
    };
    [size, tenths(stream.fps, language), format!("{:.0}", stream.kbit), gop]
}

/// How much is recorded, and from when.
fn recording(ring: Option<&RingStatus>, zone: Timezone, language: Language) -> [String; 2] {
    let none = || "-".to_owned();
    let Some(ring) = ring else { return [none(), none()] };
    let Some((oldest, newest)) = ring.oldest.zip(ring.newest) else {
        return [none(), none()];
    };
    let kept = format!(
        "{} {}",
        length(newest.duration_since(oldest), language),
        size(ring.bytes, language)
    );
    [kept, time::short(oldest, zone)]
}

/// Hours, or minutes of the first one.
fn length(length: jiff::SignedDuration, language: Language) -> String {
    let (hours, minutes) = match language {
        Language::Indonesian => ("jam", "menit"),
        Language::English => ("h", "min"),
    };
    if length.as_hours() < 1 {
        return format!("{} {minutes}", length.as_mins());
    }
    format!("{} {hours}", tenths(length.as_secs_f64() / 3_600.0, language))
}

/// Gigabytes, or megabytes of the first one.
fn size(bytes: u64, language: Language) -> String {
    if bytes < 1_000_000_000 {
        return format!("{} MB", bytes / 1_000_000);
    }
    #[allow(clippy::cast_precision_loss)] // bytes of a disk
    let gigabytes = bytes as f64 / 1e9;
    format!("{} GB", tenths(gigabytes, language))
}

/// What is behind a state, what is likely, what to do; what a stream or its recording lacks.
fn explanations(status: &CameraStatus, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    if status.state != State::Up {
        let numbers: Vec<String> = status.evidence.iter().map(|evidence| evidence.text(language)).collect();
        if !numbers.is_empty() {
            lines.push(numbers.join("; "));
        }
        lines.push(health::cause_text(status.cause).in_(language).to_owned());
        lines.push(format!("-> {}", health::what_to_do(status.cause).in_(language)));
    }
    for (name, stream) in streams(status) {
        if let Some((cause, message)) = &stream.ended {
            let cause = health::Cause::from(health::Failure::from(*cause));
            let known = status.state != State::Up && cause == status.cause;
            let words = health::cause_text(cause).in_(language);
            lines.push(if known {
                format!("{name}: {message}")
            } else {
                format!("{name}: {words} ({message})")
            });
        }
        if let Some(ring) = &stream.ring
            && let Some(line) = told::not_recorded(name, ring).or_else(|| lost(name, ring))
        {
            lines.push(line.in_(language).to_owned());
        }
    }
    lines
}

fn lost(name: &str, ring: &RingStatus) -> Option<Phrase> {
    let lost = ring.counters.fragments_dropped.saturating_add(ring.dropped_waiting);
    let lost = i64::try_from(lost).unwrap_or(i64::MAX);
    let values = [Value::Name(name.to_owned()), Value::Whole(lost)];
    (lost > 0).then(|| DROPPED.with(&values))
}

#[allow(clippy::cast_possible_truncation)] // for people
fn tenths(number: f64, language: Language) -> String {
    Value::Tenths(number as f32).in_(language)
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
