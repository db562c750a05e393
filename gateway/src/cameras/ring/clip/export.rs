//! A clip as files on disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::movie::{Clip, Movie};
use super::{ClipError, Gap, Plan, Unreadable};
use crate::cameras::ring::time::ClockQuality;

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipReport {
    /// The files, at least one. A further one begins where the stream's format changed.
    pub files: Vec<ClipFile>,
    /// Recordings that could not be read to their end.
    pub unreadable: Vec<Unreadable>,
}

/// One file of a clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipFile {
    /// Where it is.
    pub path: PathBuf,
    /// Time of the first picture.
    pub from: Timestamp,
    /// Time at which the last picture ends.
    pub to: Timestamp,
    /// The worst quality of these times.
    pub clock: ClockQuality,
    /// Interruptions of 1 s and more within, and steps of the clock.
    pub gaps: Vec<Gap>,
    /// Number of frames.
    pub frames: u64,
    /// Length of the file.
    pub bytes: u64,
    /// RFC 6381 string.
    pub codec: String,
    /// Width of a coded picture, pixels.
    pub width: u16,
    /// Height of a coded picture, pixels.
    pub height: u16,
}

/// Removes what was not given its name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already if all went well.
        fs::remove_file(&self.0).unwrap_or_default();
    }
}

/// Writes a clip to `path`, and its further files beside it. They get their names when all of them are whole and on disk.
pub fn export(plan: &Plan, path: &Path) -> Result<ClipReport, ClipError> {
    let clip = Clip::read(plan)?;
    let mut partials = Vec::new();
    let mut report = ClipReport {
        files: Vec::new(),
        unreadable: clip.unreadable().to_vec(),
    };
    for (movie, number) in clip.movies().iter().zip(1..) {
        let target = numbered(path, number);
        let partial = Partial(with_suffix(&target, ".partial"));
        let mut file = create(&partial.0).map_err(|error| failed("make", &partial.0, error))?;
        clip.write(movie, &mut file)?;
        file.sync_all().map_err(|error| failed("write", &partial.0, error))?;
        report.files.push(movie.describe(target));
        partials.push(partial);
    }
    for (partial, file) in partials.iter().zip(&report.files) {
        fs::rename(&partial.0, &file.path).map_err(|error| failed("rename", &partial.0, error))?;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| failed("sync", folder, error))?;
    Ok(report)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ClipError {
    ClipError::Storage {
        action,
        path: path.to_owned(),
        source,
    }
}

impl Movie {
    /// What it is, once it is written to `path`.
    pub fn describe(&self, path: PathBuf) -> ClipFile {
        let info = self.init.info();
        ClipFile {
            path,
            from: self.from,
            to: self.to,
            clock: self.clock,
            gaps: self.gaps.clone(),
            frames: self.tables.sizes.len() as u64,
            bytes: self.bytes(),
            codec: info.codec.clone(),
            width: info.width,
            height: info.height,
        }
    }
}

/// `clip.mp4`, `clip-2.mp4` and so on.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    let numbered = path.with_file_name(name);
    match path.extension() {
        Some(extension) => with_suffix(&numbered, &format!(".{}", extension.to_string_lossy())),
        None => numbered,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
