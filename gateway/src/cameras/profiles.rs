//! Camera profiles: what is peculiar about a make. One TOML file each in `firmware-config/cameras`, part of the program.

use std::sync::LazyLock;

use serde::Deserialize;

use super::wire::{Client, Quirks, Transport};

/// What is known of a make of camera.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraProfile {
    /// As the configuration names it.
    pub name: String,
    /// What ONVIF's `Manufacturer` may begin with, in lower case.
    pub manufacturers: Vec<String>,
    /// Usual path of the main stream.
    pub main: Option<String>,
    /// Usual path of the sub stream.
    pub sub: Option<String>,
    /// What this make calls the mode that leaves keyframes out.
    pub smart_codec: Option<String>,
    /// How packets travel best.
    #[serde(default)]
    pub transport: Transport,
    /// Which RTSP client gets along with it.
    #[serde(default)]
    pub client: Client,
    /// Departures from the standard.
    #[serde(default)]
    pub quirks: Quirks,
}

const FILES: [&str; 6] = [
    include_str!("../../../firmware-config/cameras/generic.toml"),
    include_str!("../../../firmware-config/cameras/hikvision.toml"),
    include_str!("../../../firmware-config/cameras/dahua.toml"),
    include_str!("../../../firmware-config/cameras/reolink.toml"),
    include_str!("../../../firmware-config/cameras/uniview.toml"),
    include_str!("../../../firmware-config/cameras/axis.toml"),
];

static ALL: LazyLock<Vec<CameraProfile>> = LazyLock::new(|| {
    let parse = |text| toml::from_str(text).unwrap_or_else(|error| unreachable!("a profile of this program: {error}"));
    FILES.into_iter().map(parse).collect()
});

impl CameraProfile {
    /// The profile of a camera of which nothing peculiar is known.
    pub fn generic() -> &'static Self {
        &ALL[0]
    }

    /// The profile with this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|profile| profile.name == name)
    }

    /// The profile of cameras of this manufacturer, as ONVIF tells it.
    pub fn by_manufacturer(manufacturer: &str) -> &'static Self {
        let manufacturer = manufacturer.to_lowercase();
        let is_its = |profile: &&Self| {
            profile
                .manufacturers
                .iter()
                .any(|known| manufacturer.starts_with(known))
        };
        ALL.iter().find(is_its).unwrap_or_else(|| Self::generic())
    }

    /// Usual paths of streams by make, for whoever does not find his.
    pub fn usual_paths() -> impl Iterator<Item = (&'static str, &'static str)> {
        let paths = |profile: &'static Self| [profile.sub.as_deref(), profile.main.as_deref()];
        let of = move |profile: &'static Self| {
            paths(profile)
                .into_iter()
                .flatten()
                .map(|path| (profile.name.as_str(), path))
        };
        ALL.iter().flat_map(of)
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|profile| profile.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_parses_and_the_first_is_generic() {
        assert_eq!(ALL.len(), FILES.len());
        assert_eq!(CameraProfile::generic().name, "generic");
    }

    #[test]
    fn a_manufacturer_is_known_however_it_is_written() {
        assert_eq!(CameraProfile::by_manufacturer("HIKVISION Digital").name, "hikvision");
        assert_eq!(CameraProfile::by_manufacturer("no such firm").name, "generic");
    }
}
