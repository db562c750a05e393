//! What a configuration must know of sensor profiles to be checked.

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
