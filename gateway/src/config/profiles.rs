//! What a configuration must know of sensor profiles to be checked.

use crate::sensors::Profile;

/// The sensor profiles that this program knows.
pub trait ProfileCatalog {
    /// The profile called `name`.
    fn profile(&self, name: &str) -> Option<ProfileTraits>;

    /// All names, for messages.
    fn names(&self) -> Vec<&str>;
}

/// What a configuration takes from a sensor's profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileTraits {
    /// The way its reports come in.
    pub transport: Transport,
    /// It speaks at least this often, seconds; absent where every installation has its own.
    pub heartbeat_s: Option<u32>,
    /// Its reports wait in a queue of their own while the box is off.
    pub queued: bool,
}

/// The way a sensor's reports come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Through the LoRaWAN network server; the sensor's id is its device EUI.
    ChirpStack,
    /// By HTTP POST to the box.
    Webhook,
}

/// The profiles that are built into this program.
#[derive(Debug, Clone, Copy)]
pub struct Profiles;

impl ProfileCatalog for Profiles {
    fn profile(&self, name: &str) -> Option<ProfileTraits> {
        let profile = Profile::by_name(name)?;
        Some(ProfileTraits {
            transport: match profile.transport {
                crate::sensors::Transport::ChirpStack => Transport::ChirpStack,
                crate::sensors::Transport::Webhook => Transport::Webhook,
            },
            heartbeat_s: profile.heartbeat_s,
            queued: profile.queued,
        })
    }

    fn names(&self) -> Vec<&str> {
        Profile::all().iter().map(|profile| profile.name).collect()
    }
}
