//! GStreamer's elements that the worker uses, and where Debian has them. The worker alone can tell which are there:
//! `gateway-camera elements` prints its version and then the missing ones, each on a line.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// How long the worker may take: at its first start GStreamer reads all of its plugins, slowly from an SD card.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Longest answer that is read, bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1_024;

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: &'static str,
    /// The package of Debian 12 that has it.
    pub package: &'static str,
    /// It is used for sending to a media server only.
    pub publishes: bool,
}

const fn of(package: &'static str, name: &'static str) -> Element {
    Element {
        name,
        package,
        publishes: false,
    }
}

/// All that the worker cannot do without. `v4l2h264dec` is not among them: software takes its place.
pub const ELEMENTS: [Element; 14] = [
    of("gstreamer1.0-plugins-base", "appsrc"),
    of("gstreamer1.0-plugins-base", "appsink"),
    of("gstreamer1.0-plugins-base", "videoconvert"),
    of("gstreamer1.0-plugins-good", "rtspsrc"),
    of("gstreamer1.0-plugins-good", "rtph264depay"),
    of("gstreamer1.0-plugins-good", "rtph265depay"),
    of("gstreamer1.0-plugins-bad", "h264parse"),
    of("gstreamer1.0-plugins-bad", "h265parse"),
    of("gstreamer1.0-plugins-bad", "h264timestamper"),
    of("gstreamer1.0-plugins-bad", "h265timestamper"),
    of("gstreamer1.0-libav", "avdec_h264"),
    of("gstreamer1.0-libav", "avdec_h265"),
    Element {
        publishes: true,
        ..of("gstreamer1.0-plugins-good", "qtdemux")
    },
    Element {
        publishes: true,
        ..of("gstreamer1.0-rtsp", "rtspclientsink")
    },
];

/// What a worker told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its version.
    pub version: String,
    /// What it lacks.
    pub missing: Vec<Element>,
}

/// Asks the worker at `program`. GStreamer's list of plugins goes to `registry`.
pub async fn ask(program: &Path, registry: &Path) -> Result<Answer, String> {
    let mut child = Command::new(program)
        .arg("elements")
        .env_clear()
        .envs(super::worker::inherited())
        .env("GST_REGISTRY", registry)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("does not start: {error}"))?;
    let (mut told, mut complaint) = (String::new(), String::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answering = async {
        if let Some(stdout) = stdout {
            stdout.take(ANSWER_BYTES_MAX).read_to_string(&mut told).await?;
        }
        if let Some(stderr) = stderr {
            stderr.take(ANSWER_BYTES_MAX).read_to_string(&mut complaint).await?;
        }
        child.wait().await
    };
    let status = tokio::time::timeout(ANSWER_WAIT, answering)
        .await
        .map_err(|_| format!("does not answer within {} s", ANSWER_WAIT.as_secs()))?
        .map_err(|error| format!("does not answer: {error}"))?;
    if !status.success() {
        let first = complaint.lines().next().unwrap_or("it says nothing");
        return Err(format!("fails: {}", first.escape_debug()));
    }
    Ok(read(&told))
}

fn read(told: &str) -> Answer {
    let mut lines = told.lines();
    let version = lines.next().unwrap_or_default().to_owned();
    let names: Vec<&str> = lines.collect();
    let is_missing = |element: &Element| names.contains(&element.name);
    Answer {
        version,
        missing: ELEMENTS.into_iter().filter(is_missing).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_version_and_what_is_missing() {
        let answer = read("0.1.0\navdec_h264\nunheard-of\n");
        assert_eq!(answer.version, "0.1.0");
        assert_eq!(answer.missing, [of("gstreamer1.0-libav", "avdec_h264")]);
    }
}
