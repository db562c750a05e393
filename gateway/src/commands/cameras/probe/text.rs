//! What `gateway cameras probe` prints for people.

use super::{Failure, Outcome};
use crate::cameras::audit::{Finding, Role, Severity};
use crate::cameras::health;
use crate::cameras::measure::Measured;
use crate::cameras::profiles::CameraProfile;
use crate::cameras::wire::Transport;
use crate::commands::table::{Side, lines};
use crate::words::{Language, Text, Value, offset_text, wrapped};

/// Columns.
const WIDTH: usize = 110;
/// Columns before the words of a finding.
const INDENT: usize = 10;

const NO_STREAM: Text = Text::new("tidak ada aliran", "no stream");
const BROKE_OFF: Text = Text::new("aliran terputus", "the stream broke off");
const SERVER: Text = Text::new("server", "server");
const VIDEO: Text = Text::new("video", "video");
const FRAMES: Text = Text::new("frame", "frames");
const KEYFRAMES: Text = Text::new("keyframe", "keyframes");
const BITRATE: Text = Text::new("bitrate", "bitrate");
const SOUND: Text = Text::new("suara", "sound");
const CLOCK: Text = Text::new("jam kamera", "camera's clock");
const LOSSES: Text = Text::new("hilang", "losses");
const WATCHED: Text = Text::new("diamati", "watched");
const UNSURE: Text = Text::new(
    "jam kotak sendiri tidak sinkron",
    "this machine's own clock is not synchronised",
);
const NO_LOGIN: Text = Text::new(
    "Kamera meminta nama pengguna dan kata sandi.",
    "The camera asks for a user name and a password.",
);
const GIVE_LOGIN: Text = Text::new(
    "Ulangi dengan --user NAMA --password-file BERKAS.",
    "Repeat with --user NAME --password-file FILE.",
);
const YES: Text = Text::new("ditawarkan", "offered");
const NO: Text = Text::new("tidak ada", "none");
const UNKNOWN: Text = Text::new("tidak diketahui", "not known");
const A_SECOND: Text = Text::new(
    "{} per detik, kamera menyebut {}, B-frame: {}",
    "{} a second, the camera says {}, B-frames: {}",
);
const GROUPS: Text = Text::new(
    "setiap {} sampai {} detik, paling banyak {} frame, {} kelompok dilihat",
    "every {} to {} s, at most {} frames, {} groups seen",
);
const TOO_FEW: Text = Text::new("kurang dari dua", "fewer than two");
const LOST: Text = Text::new(
    "{} paket RTP, {} frame dibuang, {} lompatan waktu",
    "{} RTP packets, {} frames dropped, {} jumps of time",
);
const SECONDS: Text = Text::new(
    "{} detik lewat {}, dinilai sebagai aliran {}",
    "{} s over {}, judged as a {} stream",
);
const LIKELY: Text = Text::new("penyebab", "likely");
const USUAL: Text = Text::new("lazimnya", "usual");
const TO_DO: Text = Text::new("tindakan", "to do");
const SAID: Text = Text::new("pesan", "message");

/// The outcome in words.
pub fn text(outcome: &Outcome, language: Language) -> String {
    let mut out = format!("{}\n", outcome.url);
    if let Some(measured) = &outcome.measured {
        let rows: Vec<[String; 2]> = facts(measured, outcome, language)
            .into_iter()
            .map(|(name, value)| [format!("  {}", name.in_(language)), value])
            .collect();
        for line in lines([Side::Left, Side::Left], &rows) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    if let Some(failure) = &outcome.failure {
        push_failure(&mut out, failure, outcome.measured.is_some(), language);
    }
    if !outcome.findings.is_empty() {
        out.push('\n');
    }
    for finding in &outcome.findings {
        push_finding(&mut out, finding, language);
    }
    out
}

fn facts(measured: &Measured, outcome: &Outcome, language: Language) -> Vec<(Text, String)> {
    let in_ = |text: Text| text.in_(language).to_owned();
    let profile = measured.codec_profile.as_deref();
    let profile = profile.map_or_else(String::new, |profile| format!(" ({profile})"));
    let size = format!("{}x{}", measured.width, measured.height);
    let bitrate = measured.bitrate_kbit_s.map(|bitrate| format!("{bitrate} kbit/s"));
    let lost = [measured.lost_packets, measured.dropped_frames, measured.jumps];
    let lost = LOST.with(&lost.map(|count| Value::Whole(count.into())));
    vec![
        (SERVER, measured.server.clone().unwrap_or_else(|| in_(UNKNOWN))),
        (VIDEO, format!("{}{profile}, {size}", measured.codec)),
        (FRAMES, frames(measured, language)),
        (KEYFRAMES, keyframes(measured, language)),
        (BITRATE, bitrate.unwrap_or_else(|| in_(UNKNOWN))),
        (SOUND, in_(if measured.audio { YES } else { NO })),
        (CLOCK, clock(measured, language)),
        (LOSSES, lost.in_(language).to_owned()),
        (WATCHED, watched(measured, outcome, language)),
    ]
}

fn frames(measured: &Measured, language: Language) -> String {
    let tenths = |number: Option<f32>| match number {
        Some(number) => Value::Tenths(number),
        None => Value::Name(UNKNOWN.in_(language).to_owned()),
    };
    let has_b_frames = match (measured.reordered, language) {
        (true, Language::Indonesian) => "ada",
        (true, Language::English) => "yes",
        (false, _) => NO.in_(language),
    };
    let b_frames = Value::Name(has_b_frames.to_owned());
    let phrase = A_SECOND.with(&[tenths(measured.fps), tenths(measured.fps_nominal), b_frames]);
    phrase.in_(language).to_owned()
}

fn keyframes(measured: &Measured, language: Language) -> String {
    let lengths = measured.gop_s_min.zip(measured.gop_s_max);
    let Some(((shortest, longest), frames)) = lengths.zip(measured.gop_frames) else {
        return TOO_FEW.in_(language).to_owned();
    };
    let seen = i64::try_from(measured.gops).unwrap_or(i64::MAX);
    let values = [
        Value::Tenths(shortest),
        Value::Tenths(longest),
        Value::Whole(frames.into()),
        Value::Whole(seen),
    ];
    GROUPS.with(&values).in_(language).to_owned()
}

fn clock(measured: &Measured, language: Language) -> String {
    match measured.clock_offset_ms.zip(measured.own_clock_synchronised) {
        None => UNKNOWN.in_(language).to_owned(),
        Some((offset_ms, true)) => offset_text(offset_ms, language),
        Some((offset_ms, false)) => format!("{} ({})", offset_text(offset_ms, language), UNSURE.in_(language)),
    }
}

fn watched(measured: &Measured, outcome: &Outcome, language: Language) -> String {
    let transport = match outcome.transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    };
    let role = match outcome.role {
        Some(Role::Main) => "main",
        _ => "sub",
    };
    let names = [transport, role].map(|name| Value::Name(name.to_owned()));
    let [transport, role] = names;
    let phrase = SECONDS.with(&[Value::Tenths(measured.watched_s), transport, role]);
    phrase.in_(language).to_owned()
}

fn push_failure(out: &mut String, failure: &Failure, had_begun: bool, language: Language) {
    let what = if had_begun { BROKE_OFF } else { NO_STREAM };
    let (likely, to_do) = if failure.cause == health::Cause::AuthFailed && !failure.with_login {
        (NO_LOGIN, GIVE_LOGIN)
    } else {
        (health::cause_text(failure.cause), health::what_to_do(failure.cause))
    };
    let rows = [
        (LIKELY, likely.in_(language)),
        (TO_DO, to_do.in_(language)),
        (SAID, failure.message.as_str()),
    ];
    out.push('\n');
    out.push_str(&what.in_(language).to_uppercase());
    out.push('\n');
    for (name, words) in rows {
        push_row(out, name.in_(language), words);
    }
    if failure.cause == health::Cause::NotFound {
        for (profile, path) in CameraProfile::usual_paths() {
            push_row(out, USUAL.in_(language), &format!("{path} ({profile})"));
        }
    }
}

fn push_row(out: &mut String, name: &str, words: &str) {
    // The name stands in the place of the first spaces.
    let width = INDENT + 2;
    let first = format!("{:<width$}", format!("  {name}"));
    out.push_str(&wrapped(words, &first, &" ".repeat(width), WIDTH));
    out.push('\n');
}

fn push_finding(out: &mut String, finding: &Finding, language: Language) {
    let severity = match (finding.severity, language) {
        (Severity::Problem, Language::Indonesian) => "MASALAH",
        (Severity::Problem, Language::English) => "PROBLEM",
        (Severity::Advice, Language::Indonesian) => "saran",
        (Severity::Advice, Language::English) => "advice",
        (Severity::Ok, _) => "ok",
    };
    let line = format!("{severity:<INDENT$}{}\n", finding.what.in_(language));
    out.push_str(&line);
    if finding.severity == Severity::Ok {
        return;
    }
    let indent = " ".repeat(INDENT);
    out.push_str(&wrapped(finding.why.in_(language), &indent, &indent, WIDTH));
    out.push('\n');
    if let Some(change) = &finding.change {
        out.push_str(&wrapped(change.in_(language), &format!("{indent}-> "), &indent, WIDTH));
        out.push('\n');
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
