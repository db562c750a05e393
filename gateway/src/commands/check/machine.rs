//! What cameras need of this machine: their passwords, the worker and what it is made of, a disk for recordings.
//!
//! Only `gateway check` looks at it. The daemon starts all the same: cameras that cannot run cost the ledger nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{Access, access, statvfs};

use super::bytes;
use crate::cameras::plugins::{self, Answer};
use crate::cameras::secrets;
use crate::config::{Config, Problem};

/// File systems that lie in memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];
/// File systems that a power cut may leave unreadable as a whole, or that come over a network.
const UNSUITABLE: [&str; 6] = ["vfat", "exfat", "msdos", "nfs", "nfs4", "cifs"];
/// Files of recordings that are counted; of more, the rest counts as other files' space.
const FILES_MAX: usize = 200_000;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What keeps cameras from working.
    pub problems: Vec<Problem>,
    /// What looks like an oversight.
    pub warnings: Vec<Problem>,
    /// The disk of recordings, in words.
    pub disk: Option<String>,
}

impl Findings {
    fn problem(&mut self, config: &Config, key: &str, message: String, hint: impl Into<String>) {
        self.problems.push(problem(config, key, message, hint.into()));
    }

    fn warning(&mut self, config: &Config, key: &str, message: String, hint: impl Into<String>) {
        self.warnings.push(problem(config, key, message, hint.into()));
    }
}

pub(super) fn problem(config: &Config, key: &str, message: String, hint: String) -> Problem {
    Problem {
        path: config.path.clone(),
        position: None,
        key: key.to_owned(),
        message,
        hint,
    }
}

/// Looks at everything. Nothing of it concerns a box without cameras.
pub(super) fn check(config: &Config) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    if config.cameras.is_empty() {
        return Ok(findings);
    }
    passwords(config, &mut findings);
    disk(config, &mut findings);
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    worker(config, &own.with_file_name("gateway-camera"), &mut findings)?;
    Ok(findings)
}

fn passwords(config: &Config, findings: &mut Findings) {
    let known = match &config.video.secrets_file {
        // What is wrong with the file itself has been told.
        Some(path) => secrets::load(path).unwrap_or_default(),
        None => secrets::Secrets::default(),
    };
    let without: Vec<&str> = config
        .cameras
        .iter()
        .map(|camera| &camera.id)
        .filter(|id| !known.cameras.contains_key(*id))
        .map(parking::CameraId::as_str)
        .collect();
    if !without.is_empty() {
        let message = format!("no user and password for {}", without.join(", "));
        let hint = match config.video.secrets_file {
            Some(_) => "write a line a camera into this file, unless these cameras ask for no password",
            None => "name a file with a line a camera here, unless these cameras ask for no password",
        };
        findings.warning(config, "video.secrets_file", message, hint);
    }
}

fn worker(config: &Config, program: &Path, findings: &mut Findings) -> anyhow::Result<()> {
    let shown = program.display();
    let is_program =
        std::fs::metadata(program).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if !is_program {
        let message = format!("{shown} is not there, or is no program: all cameras stay dark");
        let hint = "install gateway-camera of the same build into the same folder as gateway";
        findings.problem(config, "cameras", message, hint);
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(plugins::ask(program));
    match answer {
        Err(why) => {
            let hint = format!("run {shown} plugins");
            findings.problem(config, "cameras", format!("{shown} {why}"), hint);
        }
        Ok(answer) => judge(config, program, &answer, findings),
    }
    Ok(())
}

fn judge(config: &Config, program: &Path, answer: &Answer, findings: &mut Findings) {
    let version = env!("CARGO_PKG_VERSION");
    if answer.version != version {
        let message = format!(
            "{} is of version {}, and this is {version}",
            program.display(),
            answer.version.escape_debug()
        );
        findings.problem(config, "cameras", message, "install both programs of one build");
    }
    let publishes = config
        .far_view
        .as_ref()
        .is_some_and(|far_view| !far_view.media_servers.is_empty());
    let missing: Vec<_> = answer
        .missing
        .iter()
        .filter(|plugin| publishes || !plugin.publishes())
        .collect();
    if !missing.is_empty() {
        let files: Vec<String> = missing.iter().map(|plugin| plugin.file()).collect();
        let mut packages: Vec<&str> = missing.iter().map(|plugin| plugin.whereabouts().1).collect();
        packages.sort_unstable();
        packages.dedup();
        let message = format!("GStreamer lacks {}", files.join(", "));
        findings.problem(
            config,
            "cameras",
            message,
            format!("apt install {}", packages.join(" ")),
        );
    }
}

fn disk(config: &Config, findings: &mut Findings) {
    const KEY: &str = "video.ring_dir";
    let folder = &config.video.ring_dir;
    // It is made at the first start.
    let Some(there) = folder.ancestors().find(|path| path.exists()) else {
        return;
    };
    let shown = there.display();
    if !there.is_dir() {
        findings.problem(config, KEY, format!("{shown} is no folder"), "name a folder");
        return;
    }
    if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
        let message = format!("{shown} cannot be written by this user: {error}");
        let hint = format!(
            "check as the user that the gateway runs as; make {} that user's; in the unit, ReadWritePaths={}",
            folder.display(),
            folder.display()
        );
        findings.problem(config, KEY, message, hint);
    }
    let Ok(space) = statvfs(there) else { return };
    let (total, free) = (space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize);
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let path = std::fs::canonicalize(there).ok();
    let mount = path.and_then(|path| mount_of(&mounts, &path));
    let kind = mount.map_or("unknown file system", |mount| mount.kind);
    findings.disk = Some(format!(
        "{kind}, {} of {} free",
        bytes(rounded(free)),
        bytes(rounded(total))
    ));
    if IN_MEMORY.contains(&kind) {
        let message = format!("{shown} is {kind}: recordings lie in memory and are gone at the next start");
        findings.warning(config, KEY, message, "name a folder on a disk");
    } else if UNSUITABLE.contains(&kind) {
        let message = format!("{shown} is {kind}, on which a recording may not outlive a power cut");
        findings.warning(config, KEY, message, "use a disk of this box with ext4");
    }
    if mount.is_some_and(Mount::is_card) {
        large_on_card(config, &shown.to_string(), findings);
    }
    let budget = Budget::of(config);
    let room = free.saturating_add(used(folder));
    if budget.sum() > room {
        let message = format!(
            "recordings may take {}, evidence {}, and {} stay free: {} more than this disk has for them",
            bytes(budget.rings),
            bytes(budget.evidence),
            bytes(budget.free_min),
            bytes(rounded(budget.sum() - room))
        );
        let hint =
            "lower ring_mib or evidence_mib, or use a larger disk; as it is, recordings go earlier than configured";
        findings.warning(config, KEY, message, hint);
    }
}

/// A warning if large streams are recorded on an SD card.
fn large_on_card(config: &Config, shown: &str, findings: &mut Findings) {
    let cameras = config.cameras.iter().filter(|camera| camera.record.main);
    let names: Vec<&str> = cameras.map(|camera| camera.id.as_str()).collect();
    if names.is_empty() {
        return;
    }
    // 4 Mbit/s for 86,400 s.
    let message = format!(
        "{shown} lies on an SD card, and the main stream of {} is recorded there: 43 GB a day at 4 Mbit/s each, which no such card stands for long",
        names.join(", ")
    );
    let hint = "name a folder on an SSD, or write record = \"sub\"";
    findings.warning(config, "video.ring_dir", message, hint);
}

/// What the disk of recordings has to hold, bytes.
struct Budget {
    rings: u64,
    evidence: u64,
    free_min: u64,
}

impl Budget {
    fn of(config: &Config) -> Self {
        let rings = config.cameras.iter().map(|camera| {
            let streams = u64::from(camera.record.sub) + u64::from(camera.record.main);
            camera.ring.bytes_max.saturating_mul(streams)
        });
        Self {
            rings: rings.fold(0, u64::saturating_add),
            evidence: config.video.evidence_bytes_max,
            free_min: config.video.free_bytes_min,
        }
    }

    fn sum(&self) -> u64 {
        self.rings.saturating_add(self.evidence).saturating_add(self.free_min)
    }
}

/// Bytes of the files in a folder of recordings.
fn used(folder: &Path) -> u64 {
    let (mut folders, mut files, mut sum) = (vec![folder.to_owned()], 0, 0_u64);
    while let Some(folder) = folders.pop()
        && files < FILES_MAX
    {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            files += 1;
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => sum = sum.saturating_add(found.len()),
                Err(_) => {}
            }
        }
    }
    sum
}

/// A line of `/proc/self/mounts` (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mount<'a> {
    device: &'a str,
    kind: &'a str,
}

impl Mount<'_> {
    /// SD cards and eMMC are `mmcblk` to Linux.
    fn is_card(self) -> bool {
        self.device.starts_with("/dev/mmcblk")
    }
}

/// The file system at `path`: of the mounts whose folder it lies in, the deepest, and of several there the newest.
fn mount_of<'a>(mounts: &'a str, path: &Path) -> Option<Mount<'a>> {
    let mut found: Option<(usize, Mount)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(folder), Some(kind)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let depth = Path::new(folder).components().count();
        if path.starts_with(folder) && found.is_none_or(|(deepest, _)| depth >= deepest) {
            found = Some((depth, Mount { device, kind }));
        }
    }
    found.map(|(_, mount)| mount)
}

/// Down to whole MiB, for people.
fn rounded(bytes: u64) -> u64 {
    bytes & !((1 << 20) - 1)
}

#[cfg(test)]
mod tests;
