//! Where profiles are: in the program, and in a folder of the site.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::{Profile, ProfileError, one_of};
use crate::sensors::script::SCRIPT_BYTES_MAX;

/// Longest file of a profile, bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Most profiles of a site's folder.
const FOLDER_MAX: usize = 100;

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../firmware-config/sensors/", $name)))),+]
    };
}

/// Profiles of the program.
pub(super) const FILES: &[(&str, &str)] = files![
    "a02yyuw.toml",
    "bosch-tps110.toml",
    "dingtek-do20x.toml",
    "dragino-ldds75.toml",
    "esphome-binary-sensor.toml",
    "hikvision-region.toml",
    "jsn-sr04t.toml",
    "libelium-smart-parking.toml",
    "lis3mdl.toml",
    "loop-relay.toml",
    "milesight-em400-mud.toml",
    "mmc5603.toml",
    "netvox-r719a.toml",
    "nwave-ncc405.toml",
    "nwave-nps310.toml",
    "nwave-nps405.toml",
    "onvif-line-counter.toml",
    "onvif-objects-inside.toml",
    "pni-placepod.toml",
    "qmc5883l.toml",
    "shelly-input.toml",
    "tasmota-switch.toml",
    "tekzitel-tekzipark.toml",
    "urm12.toml",
    "webhook.toml",
    "zigbee2mqtt-occupancy.toml",
];

/// Scripts that they name.
const SCRIPTS: &[(&str, &str)] = files!["dragino-ldds75.js"];

// A part of the program that is wrong cannot be handled while it runs; a test reads every profile.
#[allow(clippy::expect_used)]
static BUILT_IN: LazyLock<Profiles> = LazyLock::new(|| {
    let parse = |(file, text): &(&str, &str)| {
        let name = file.trim_end_matches(".toml");
        Profile::parse(name, text, &built_in_script).expect("embedded profiles are valid")
    };
    Profiles {
        all: FILES.iter().map(parse).map(keep).collect(),
        broken: Vec::new(),
    }
});

/// Profiles, by name.
#[derive(Debug, Clone)]
pub struct Profiles {
    all: Vec<&'static Profile>,
    /// Names of files that are none.
    broken: Vec<String>,
}

impl Profiles {
    /// Those of the program.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Those of the program and those of a folder, where each file `NAME.toml` is one; and everything that is wrong with it.
    pub fn with_folder(folder: &Path) -> (Self, Vec<ProfileError>) {
        let mut profiles = BUILT_IN.clone();
        let paths = match profile_files(folder) {
            Ok(paths) => paths,
            Err(source) => {
                let path = folder.to_owned();
                return (profiles, vec![ProfileError::Unreadable { path, source }]);
            }
        };
        let mut errors = Vec::new();
        for path in paths {
            match Profile::load(&path) {
                Ok(profile) if BUILT_IN.by_name(&profile.name).is_some() => {
                    let name = profile.name;
                    errors.push(ProfileError::Taken { name });
                }
                Ok(profile) => profiles.all.push(keep(profile)),
                Err(error) => {
                    profiles.broken.push(name_of(&path));
                    errors.push(error);
                }
            }
        }
        profiles.all.sort_by(|a, b| a.name.cmp(&b.name));
        (profiles, errors)
    }

    /// Whether there is a file of this name that is no profile, which has been told.
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.iter().any(|broken| broken == name)
    }

    /// The profile called `name`.
    pub fn by_name(&self, name: &str) -> Option<&'static Profile> {
        self.all.iter().find(|profile| profile.name == name).copied()
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &'static Profile> {
        self.all.iter().copied()
    }

    /// All names, for messages: `a, b or c`.
    pub fn names(&self) -> String {
        one_of(self.all.iter().map(|profile| profile.name.clone()).collect())
    }
}

/// The files of profiles in a folder.
fn profile_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.len() > FOLDER_MAX {
        let reason = format!("{} profiles; at most {FOLDER_MAX}", paths.len());
        return Err(io::Error::other(reason));
    }
    Ok(paths)
}

/// The name of the profile in a file.
fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The text of a script of the program.
pub(super) fn built_in_script(file: &str) -> io::Result<String> {
    let found = SCRIPTS.iter().find(|(name, _)| *name == file);
    found
        .map(|(_, text)| (*text).to_owned())
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The text of a file, if it is not longer than that.
fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes <= bytes_max) {
        return Ok(text);
    }
    Err(io::Error::other(format!("is longer than {} KiB", bytes_max / 1024)))
}

/// Profiles are read once in the life of a program, and then stay.
fn keep(profile: Profile) -> &'static Profile {
    Box::leak(Box::new(profile))
}

impl Profile {
    /// Reads a profile's file, and the script beside it that it may name. It is called as the file, without `.toml`.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let unreadable = |source| ProfileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let text = read_bounded(path, FILE_BYTES_MAX).map_err(unreadable)?;
        let name = name_of(path);
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&name, &text, &|file| read_bounded(&folder.join(file), SCRIPT_BYTES_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_adds_profiles_and_says_everything_that_is_wrong_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let webhook = include_str!("../../../../firmware-config/sensors/webhook.toml");
        fs::write(path("gerbang.toml"), webhook).unwrap();
        fs::write(path("README.md"), "no profile").unwrap();
        let (profiles, errors) = Profiles::with_folder(folder.path());
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(profiles.by_name("gerbang").unwrap().name, "gerbang");
        assert_eq!(profiles.all().count(), FILES.len() + 1);
        fs::write(path("mmc5603.toml"), webhook).unwrap();
        fs::write(path("bad.toml"), "model = 3").unwrap();
        let (profiles, errors) = Profiles::with_folder(folder.path());
        assert!(profiles.by_name("gerbang").is_some() && profiles.is_broken("bad"));
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(told[0].starts_with("profile bad: "), "{told:?}");
        assert!(told[1].contains("the program has one of this name"), "{told:?}");
        let (_, absent) = Profiles::with_folder(&path("absent"));
        assert!(absent[0].to_string().contains("absent"), "{absent:?}");
    }
}
