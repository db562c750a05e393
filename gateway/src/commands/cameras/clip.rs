//! `gateway cameras clip`: a stretch of a recording as an ordinary MP4 file.
//!
//! The daemon says which files hold it; they are read here, without the daemon, so that a long clip costs it nothing.
//! Without a daemon the folder itself is looked through. Nothing in it is changed either way.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use parking::Timezone;
use sha2::{Digest, Sha256};

use super::{camera, check_target};
use crate::cameras::recorder::ring_folder;
use crate::cameras::recordings::{Recording, Stretch};
use crate::cameras::ring::clip::{ClipError, ClipFile, ClipReport, Plan, export, plan};
use crate::cameras::ring::survey;
use crate::cameras::wire::Profile;
use crate::commands::local::{AskError, Daemon};
use crate::commands::time;
use crate::commands::{UsageError, load_config};
use crate::config::{Camera, Config};

/// Bytes that are read at once for a hash.
const HASH_BYTES: usize = 64 * 1_024;

/// Cuts a film out of a recording.
#[derive(Debug, Args)]
pub struct Clip {
    /// The box's configuration, TOML.
    config: PathBuf,
    /// The camera's id.
    camera: String,
    /// Beginning, as in 2026-11-22T10:15 (the box's zone) or 2026-11-22T10:15:00+07:00.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// End.
    #[arg(long, value_name = "TIME")]
    to: String,
    /// File to write, MP4. Where the stream changed, further files are written beside it (-2, -3 and so on).
    #[arg(long, value_name = "FILE.mp4")]
    out: PathBuf,
    /// The stream, main or sub. Default: the larger one that is recorded.
    #[arg(long, value_parser = profile)]
    profile: Option<Profile>,
}

fn profile(text: &str) -> Result<Profile, String> {
    let found = Profile::ALL.into_iter().find(|profile| profile.name() == text);
    found.ok_or_else(|| "write main or sub".to_owned())
}

impl Clip {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let config = load_config(&self.config)?;
        let zone = config.site.timezone;
        let camera = camera(&config, &self.config, &self.camera)?;
        let wanted = Stretch {
            from: time::parse(&self.from, zone)?,
            to: time::parse(&self.to, zone)?,
        };
        if wanted.from >= wanted.to {
            let (from, to) = (time::exact(wanted.from, zone), time::exact(wanted.to, zone));
            return Err(UsageError(format!("--from {from} is not before --to {to}")).into());
        }
        check_target(&self.out, &config)?;
        let default = if camera.record.main {
            Profile::Main
        } else {
            Profile::Sub
        };
        let profile = self.profile.unwrap_or(default);
        let recording = recording(&config, camera, profile, wanted)?;
        let plan = plan(&recording.folder, &recording.segments, wanted.from, wanted.to)
            .map_err(|error| explained(error, camera, profile, &recording, zone))?;
        check_space(&self.out, &plan)?;
        let report = export(&plan, &self.out).map_err(|error| explained(error, camera, profile, &recording, zone))?;
        let mut hashes = Vec::new();
        for file in &report.files {
            hashes.push(sha256(&file.path).with_context(|| format!("cannot read {}", file.path.display()))?);
        }
        tell!("{}", text(&report, &hashes, zone).trim_end());
        for lost in &report.unreadable {
            eprintln!(
                "warning: what file {} of the recording held is not in the clip, or not all of it: {}",
                lost.segment, lost.reason
            );
        }
        if !camera.masks.is_empty() {
            eprintln!(
                "note: recordings hold the whole picture: the masks of {} are not in this clip",
                camera.id
            );
        }
        Ok(())
    }
}

/// What is recorded, as the daemon knows it, or as its files tell.
fn recording(config: &Config, camera: &Camera, profile: Profile, wanted: Stretch) -> anyhow::Result<Recording> {
    let path = format!(
        "/cameras/{}/recording?profile={profile}&from={}&to={}",
        camera.id, wanted.from, wanted.to
    );
    let missing = reqwest::StatusCode::NOT_FOUND;
    let why = match Daemon::at(&config.local.socket)?.get(&path) {
        Ok(recording) => return Ok(recording),
        Err(AskError::Absent { .. }) => "the daemon does not answer".to_owned(),
        Err(error @ AskError::Refused { status, .. }) if status == missing => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    let folder = ring_folder(&config.video.ring_dir, &camera.id, profile);
    eprintln!("note: {why}; the files in {} are looked through", folder.display());
    let found = survey(&folder)?;
    let lost = found
        .damaged
        .iter()
        .filter(|(id, _)| !found.segments.iter().any(|segment| segment.id == *id));
    for (id, reason) in lost {
        eprintln!("warning: file {id} of the recording cannot be read: {reason}");
    }
    Ok(Recording::around(wanted, folder, found.segments))
}

/// A wish that cannot be met is the user's to change; the rest is a failure.
fn explained(
    error: ClipError,
    camera: &Camera,
    profile: Profile,
    recording: &Recording,
    zone: Timezone,
) -> anyhow::Error {
    match error {
        ClipError::Empty { from, to } => {
            UsageError(nothing_there(Stretch { from, to }, camera, profile, recording, zone)).into()
        }
        ClipError::Order { .. } | ClipError::TooLong { .. } | ClipError::TooManyFrames => {
            UsageError(error.to_string()).into()
        }
        ClipError::Gone { .. } | ClipError::Storage { .. } => error.into(),
    }
}

/// That nothing was recorded, and what there is.
fn nothing_there(wanted: Stretch, camera: &Camera, profile: Profile, recording: &Recording, zone: Timezone) -> String {
    let shown = |stretch: Stretch| {
        let (from, to) = (time::exact(stretch.from, zone), time::exact(stretch.to, zone));
        format!("{from} to {to}")
    };
    let mut there = vec![match recording.whole {
        None => "there is no recording of this stream".to_owned(),
        Some(whole) => format!("there is {}", shown(whole)),
    }];
    if let Some((before, after)) = recording.before.zip(recording.after) {
        there.push(format!("the last before it {}", shown(before)));
        there.push(format!("the first after it {}", shown(after)));
    }
    let is_recorded = match profile {
        Profile::Sub => camera.record.sub,
        Profile::Main => camera.record.main,
    };
    if !is_recorded {
        there.push(format!("the configuration does not record {profile} of this camera"));
    }
    format!(
        "nothing of {} {profile} was recorded from {}\n  hint: {}",
        camera.id,
        shown(wanted),
        there.join("; ")
    )
}

/// Whether the disk has room for the clip, before an hour is copied.
fn check_space(out: &Path, plan: &Plan) -> anyhow::Result<()> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let stat = rustix::fs::statvfs(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let needed = plan.bytes_max();
    anyhow::ensure!(
        free >= needed,
        "the clip may have {} MiB, and {} has {} MiB free\n  hint: ask for a shorter one, or write to another disk",
        needed >> 20,
        folder.display(),
        free >> 20
    );
    Ok(())
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; HASH_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(format!("{:x}", hash.finalize()));
        };
        hash.update(read);
    }
}

fn text(report: &ClipReport, hashes: &[String], zone: Timezone) -> String {
    let mut out = String::new();
    for (file, hash) in report.files.iter().zip(hashes) {
        push_file(&mut out, file, hash, zone);
    }
    if report.files.len() > 1 {
        out.push_str("The stream changed in between, so there are several files.\n");
    }
    out
}

fn push_file(out: &mut String, file: &ClipFile, hash: &str, zone: Timezone) {
    let clock = serde_json::to_value(file.clock).unwrap_or_default();
    let shown = |time: Timestamp| time::exact(time, zone);
    let mut lines = vec![
        file.path.display().to_string(),
        format!("  from    {}", shown(file.from)),
        format!(
            "  to      {} (clock {})",
            shown(file.to),
            clock.as_str().unwrap_or("unknown")
        ),
        format!(
            "  video   {} {}x{}, {} frames, {} bytes",
            file.codec, file.width, file.height, file.frames, file.bytes
        ),
        format!("  sha256  {hash}"),
    ];
    for gap in &file.gaps {
        let seconds = gap.clip_ms / 1_000;
        let at = format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let what = if gap.to < gap.from {
            "clock was set back"
        } else {
            "nothing recorded"
        };
        lines.push(format!(
            "  gap     {} to {}, {what}; at {at} of the clip",
            shown(gap.from),
            shown(gap.to)
        ));
    }
    // Writing to a text cannot fail.
    writeln!(out, "{}", lines.join("\n")).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::ring::ClockQuality;
    use crate::cameras::ring::clip::Gap;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn file(path: &str, gaps: Vec<Gap>) -> ClipFile {
        ClipFile {
            path: path.into(),
            from: time("2026-11-22T03:14:58.2Z"),
            to: time("2026-11-22T03:20:01Z"),
            clock: ClockQuality::Synced,
            gaps,
            frames: 4_545,
            bytes: 18_234_567,
            codec: "avc1.64001f".to_owned(),
            width: 640,
            height: 360,
        }
    }

    #[test]
    fn the_report_says_what_is_in_the_files_and_what_is_not() {
        let gaps = vec![
            Gap {
                from: time("2026-11-22T03:16:00Z"),
                to: time("2026-11-22T03:16:20Z"),
                clip_ms: 81_800,
            },
            Gap {
                from: time("2026-11-22T03:18:00Z"),
                to: time("2026-11-22T03:17:50Z"),
                clip_ms: 3_601_000,
            },
        ];
        let report = ClipReport {
            files: vec![file("clip.mp4", gaps), file("clip-2.mp4", Vec::new())],
            unreadable: Vec::new(),
        };
        let hashes = ["0f".repeat(32), "a1".repeat(32)];
        insta::assert_snapshot!(text(&report, &hashes, Timezone::Wib));
    }
}
