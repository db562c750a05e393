//! GStreamer's plugins that the worker uses, and where Debian has them. The worker alone can tell which are there:
//! `gateway-camera plugins` prints its version and then the files of the missing ones, each on a line.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// How long the worker may take.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// Longest answer that is read, bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1_024;

/// A plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// Parsers of H.264 and H.265.
    Parsers,
    /// Decoding times for streams with B-frames.
    Timestamper,
    /// Small elements that others are made of.
    Core,
    /// RTSP client.
    Rtsp,
    /// RTSP client that sends.
    RtspRecord,
    /// RTP payloads.
    Rtp,
    /// RTP sessions.
    RtpManager,
    /// UDP.
    Udp,
    /// MP4 demuxer.
    Mp4,
    /// Decoders of the hardware.
    Video4Linux,
    /// Decoder of H.264.
    OpenH264,
    /// Decoder of H.265.
    De265,
    /// Decoders of H.264 and H.265 that take whatever there is.
    Libav,
    /// Conversion of pixel formats.
    Convert,
}

impl Plugin {
    /// Name of the file without `libgst` and `.so`; package of Debian 12.
    pub fn whereabouts(self) -> (&'static str, &'static str) {
        match self {
            Self::Parsers => ("videoparsersbad", "gstreamer1.0-plugins-bad"),
            Self::Timestamper => ("codectimestamper", "gstreamer1.0-plugins-bad"),
            Self::Core => ("coreelements", "libgstreamer1.0-0"),
            Self::Rtsp => ("rtsp", "gstreamer1.0-plugins-good"),
            Self::RtspRecord => ("rtspclientsink", "gstreamer1.0-rtsp"),
            Self::Rtp => ("rtp", "gstreamer1.0-plugins-good"),
            Self::RtpManager => ("rtpmanager", "gstreamer1.0-plugins-good"),
            Self::Udp => ("udp", "gstreamer1.0-plugins-good"),
            Self::Mp4 => ("isomp4", "gstreamer1.0-plugins-good"),
            Self::Video4Linux => ("video4linux2", "gstreamer1.0-plugins-good"),
            Self::OpenH264 => ("openh264", "gstreamer1.0-plugins-bad"),
            Self::De265 => ("de265", "gstreamer1.0-plugins-bad"),
            Self::Libav => ("libav", "gstreamer1.0-libav"),
            Self::Convert => ("videoconvertscale", "gstreamer1.0-plugins-base"),
        }
    }

    /// Name of the file.
    pub fn file(self) -> String {
        format!("libgst{}.so", self.whereabouts().0)
    }

    /// Whether it is used for sending to a media server only.
    pub fn publishes(self) -> bool {
        matches!(self, Self::Mp4 | Self::RtspRecord)
    }
}

/// All that the worker cannot do without: for the decoders of the hardware and of libav others take their place.
pub const NEEDED: [Plugin; 12] = [
    Plugin::Core,
    Plugin::Parsers,
    Plugin::Timestamper,
    Plugin::Rtsp,
    Plugin::Rtp,
    Plugin::RtpManager,
    Plugin::Udp,
    Plugin::OpenH264,
    Plugin::De265,
    Plugin::Convert,
    Plugin::Mp4,
    Plugin::RtspRecord,
];

/// What a worker told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its version.
    pub version: String,
    /// What it lacks.
    pub missing: Vec<Plugin>,
}

/// Asks the worker at `program`.
pub async fn ask(program: &Path) -> Result<Answer, String> {
    let mut child = Command::new(program)
        .arg("plugins")
        .env_clear()
        .envs(super::worker::inherited())
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
    let files: Vec<&str> = lines.collect();
    let is_missing = |plugin: &Plugin| files.contains(&plugin.file().as_str());
    Answer {
        version,
        missing: NEEDED.into_iter().filter(is_missing).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_version_and_what_is_missing() {
        let answer = read("0.1.0\nlibgstde265.so\nlibgstunheard-of.so\n");
        assert_eq!(answer.version, "0.1.0");
        assert_eq!(answer.missing, [Plugin::De265]);
    }
}
