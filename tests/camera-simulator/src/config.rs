//! The file that describes the cameras.
//!
//! TOML; unknown keys are refused. Every problem of the file is reported at once.
//!
//! ```toml
//! [[camera]]
//! name = "simpang-1"            # rtsp://127.0.0.1:PORT/simpang-1/main, /sub and /record
//! user = "admin"                # with `password`; without both, everybody may watch
//! password = "rahasia"
//! auth = "digest"               # or "basic"; digest is MD5
//! spaces = ["U-01", "U-02"]     # names of the parking spaces in the picture
//! moving_vehicles = 1           # vehicles that drive along the street
//! audio_only = false            # true: both streams carry only sound
//!
//! [camera.main]
//! codec = "h264"                # or "h265"
//! width = 1920                  # a multiple of 16
//! height = 1080                 # even
//! fps = 25
//! gop = 50                      # frames from keyframe to keyframe
//! bitrate_kbit = 4000
//! b_frames = 0
//! source = "loop"               # or "drawn"
//! loop_seconds = 20             # length of a loop
//!
//! [camera.sub]                  # may be left out
//! codec = "h264"
//! width = 640
//! height = 360
//! fps = 15
//! gop = 30
//! bitrate_kbit = 500
//! source = "drawn"
//! ```

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Largest size of the file in bytes; a larger one is refused.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most cameras in one file; more are refused.
const CAMERAS_MAX: usize = 64;
/// Most spaces in the picture of one camera; more are refused.
const SPACES_MAX: usize = 60;
/// Most vehicles that drive along the street; more are refused.
const MOVING_VEHICLES_MAX: u8 = 6;
/// Most frames in a loop, because a loop is held in memory; more are refused.
const LOOP_FRAMES_MAX: u64 = 3_000;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cameras, at least one.
    pub camera: Vec<CameraConfig>,
}

/// One camera.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// Name of the camera, which is the first part of the path of its addresses.
    pub name: String,
    /// User that may watch; none for a camera that is open to everybody.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// How the camera asks for the password.
    #[serde(default)]
    pub auth: AuthScheme,
    /// Names of the parking spaces.
    #[serde(default)]
    pub spaces: Vec<String>,
    /// How many vehicles drive along the street.
    #[serde(default = "one")]
    pub moving_vehicles: u8,
    /// Whether the camera offers sound without a picture.
    #[serde(default)]
    pub audio_only: bool,
    /// The main stream.
    pub main: StreamConfig,
    /// The substream, if the camera has one.
    pub sub: Option<StreamConfig>,
}

/// How a camera asks for the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthScheme {
    /// Digest with MD5 (RFC 2617).
    #[default]
    Digest,
    /// Basic (RFC 7617).
    Basic,
}

/// How a stream is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// H.264.
    H264,
    /// H.265.
    H265,
}

/// Where the pictures of a stream come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Drawn and encoded while somebody watches; carries the timecode.
    Drawn,
    /// Encoded once into a file, which is then sent again and again.
    Loop,
}

/// One stream of a camera.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// How it is coded.
    pub codec: Codec,
    /// Width in pixels, a multiple of 16.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
    /// Frames from one keyframe to the next.
    pub gop: u32,
    /// Target of the rate control in kbit/s.
    pub bitrate_kbit: u32,
    /// Consecutive B-frames.
    #[serde(default)]
    pub b_frames: u32,
    /// Where the pictures come from.
    pub source: Source,
    /// Length of the loop in seconds, rounded up to whole groups of pictures.
    #[serde(default = "twenty")]
    pub loop_seconds: u32,
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("{path} has {bytes} bytes, more than {FILE_BYTES_MAX}")]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file is not TOML of this form.
    #[error("{path}: {source}")]
    Syntax {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong, with the line.
        source: Box<toml::de::Error>,
    },
    /// The values make no sense.
    #[error("{path}:\n  {}", problems.join("\n  "))]
    Meaning {
        /// Path of the file.
        path: PathBuf,
        /// One sentence a problem.
        problems: Vec<String>,
    },
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let read_error = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(read_error)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
                bytes,
            });
        }
        let text = std::fs::read_to_string(path).map_err(read_error)?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let problems = config.problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Meaning {
                path: path.to_owned(),
                problems,
            })
        }
    }

    /// Everything that is wrong with the values, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.camera.is_empty() || self.camera.len() > CAMERAS_MAX {
            problems.push(format!(
                "{} cameras; 1 to {CAMERAS_MAX} are possible",
                self.camera.len()
            ));
        }
        let mut names = BTreeSet::new();
        for camera in &self.camera {
            if !names.insert(&camera.name) {
                problems.push(format!("camera {}: the name is used twice", camera.name));
            }
            problems.extend(
                camera
                    .problems()
                    .into_iter()
                    .map(|problem| format!("camera {}: {problem}", camera.name)),
            );
        }
        problems
    }
}

impl CameraConfig {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !is_name(&self.name) {
            problems.push("name: 1 to 40 letters, digits, '-' and '_' are possible".to_owned());
        }
        if self.user.is_some() != self.password.is_some() {
            problems.push("user and password belong together".to_owned());
        }
        if self.spaces.len() > SPACES_MAX {
            problems.push(format!(
                "spaces: {}; at most {SPACES_MAX} are possible",
                self.spaces.len()
            ));
        }
        if self.spaces.iter().collect::<BTreeSet<_>>().len() != self.spaces.len() {
            problems.push("spaces: a name is used twice".to_owned());
        }
        if self.moving_vehicles > MOVING_VEHICLES_MAX {
            problems.push(format!("moving_vehicles: at most {MOVING_VEHICLES_MAX} are possible"));
        }
        problems.extend(
            self.main
                .problems()
                .into_iter()
                .map(|problem| format!("main: {problem}")),
        );
        let sub = self.sub.iter().flat_map(StreamConfig::problems);
        problems.extend(sub.map(|problem| format!("sub: {problem}")));
        problems
    }
}

impl StreamConfig {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.width.is_multiple_of(16) || !(160..=3840).contains(&self.width) {
            problems.push(format!("width {}: a multiple of 16 from 160 to 3840", self.width));
        }
        if !self.height.is_multiple_of(2) || !(90..=2160).contains(&self.height) {
            problems.push(format!("height {}: an even number from 90 to 2160", self.height));
        }
        for (key, value, max) in [
            ("fps", self.fps, 1_000),
            ("gop", self.gop, 10_000),
            ("bitrate_kbit", self.bitrate_kbit, 100_000),
            ("loop_seconds", self.loop_seconds, 600),
        ] {
            if value == 0 || value > max {
                problems.push(format!("{key} {value}: 1 to {max}"));
            }
        }
        if self.b_frames > 8 {
            problems.push(format!("b_frames {}: 0 to 8", self.b_frames));
        }
        let frames = u64::from(self.fps).saturating_mul(u64::from(self.loop_seconds));
        if self.source == Source::Loop && frames > LOOP_FRAMES_MAX {
            problems.push(format!("loop of {frames} frames: at most {LOOP_FRAMES_MAX}"));
        }
        problems
    }
}

fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn one() -> u8 {
    1
}

fn twenty() -> u32 {
    20
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [[camera]]
        name = "simpang-1"
        spaces = ["U-01", "U-02"]
        [camera.main]
        codec = "h264"
        width = 640
        height = 360
        fps = 15
        gop = 30
        bitrate_kbit = 500
        source = "drawn"
    "#;

    fn problems(text: &str) -> Vec<String> {
        toml::from_str::<Config>(text).unwrap().problems()
    }

    #[test]
    fn a_camera_needs_only_a_name_and_a_main_stream() {
        assert_eq!(problems(GOOD), Vec::<String>::new());
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = GOOD
            .replace("width = 640", "width = 641")
            .replace("simpang-1", "a/b")
            .replace("fps = 15", "fps = 0");
        let found = problems(&text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found.iter().all(|problem| problem.starts_with("camera a/b: ")),
            "{found:?}"
        );
    }

    #[test]
    fn a_loop_that_does_not_fit_into_memory_is_refused() {
        let text = GOOD.replace("\"drawn\"", "\"loop\"\nloop_seconds = 600");
        assert_eq!(
            problems(&text),
            ["camera simpang-1: main: loop of 9000 frames: at most 3000"]
        );
    }

    #[test]
    fn a_user_without_password_is_refused() {
        let text = GOOD.replace("spaces =", "user = \"admin\"\nspaces =");
        assert_eq!(problems(&text), ["camera simpang-1: user and password belong together"]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<Config>(&GOOD.replace("gop", "gop_size")).is_err());
    }
}
