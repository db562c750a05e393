//! What a valid configuration holds. Every field is filled: defaults are applied, paths are absolute or relative to the
//! working directory of the process, times are UTC, lengths of time are [`Duration`]s.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use parking::{CameraId, GatewayId, SensorId, Site, SpaceId};
use url::Url;
use wired::adaptive::Rules;

use super::{Position, Warning};
use crate::cameras::wire::{Client, Quirks, Transport};
use crate::mqtt;
use crate::sensors::attached::contacts::{Line, OwnContact};
use crate::sensors::attached::lights::Places;
use crate::sensors::attached::modbus::{Rate, Way};
use crate::sensors::{DistanceLimits, Profile};

/// The configuration of one box, read from one TOML file and found to be without a problem.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file, as the caller named it.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, 64 lower-case hexadecimal digits; what `config_changed` records carry.
    pub sha256: String,
    /// Who the box is and where it keeps its data.
    pub gateway: Gateway,
    /// Keys of the log.
    pub keys: Keys,
    /// The way to the city.
    pub uplink: Uplink,
    /// The durable store of the ledger's records.
    pub journal: Journal,
    /// The box's own socket.
    pub local: Local,
    /// Sensors that come through `ChirpStack`.
    pub chirpstack: Option<SensorBroker>,
    /// Where sensors publish that speak MQTT themselves.
    pub mqtt: Option<SensorBroker>,
    /// Sensors that come by HTTP.
    pub webhook: Option<Webhook>,
    /// Sensors and how to decode them, in the order of the file.
    pub sensors: Vec<Sensor>,
    /// Contacts of the box itself.
    pub contacts: Vec<OwnContact>,
    /// Lights of the box.
    pub lights: Option<Places>,
    /// What becomes of cameras' pictures.
    pub video: Video,
    /// Cameras, in the order of the file.
    pub cameras: Vec<Camera>,
    /// The box's own page.
    pub page: Option<Page>,
    /// Live view from the city.
    pub far_view: Option<FarView>,
    /// The street, as the tracker wants it.
    pub site: Site,
    /// What is allowed but looks like an oversight.
    pub warnings: Vec<Warning>,
    pub(super) files: Vec<NamedFile>,
}

/// A file that the configuration names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedFile {
    pub path: PathBuf,
    pub kind: FileKind,
    pub key: String,
    pub position: Position,
}

/// What a file must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// The log's signing key.
    LedgerKey,
    /// The city's cosigner verifier key.
    CosignerVkey,
    /// Certificates of authorities.
    Authorities,
    /// The box's certificate.
    Certificate,
    /// The private key of the box's certificate.
    CertificateKey,
    /// A password or a token.
    Secret,
    /// User names and passwords of cameras.
    CameraSecrets,
    /// The hash of the page's password.
    PasswordHash,
    /// The city's verifier key for commands.
    CommandVkey,
}

/// Section `[gateway]`; zone of time and business day are in [`Config::site`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The box: also its MQTT user name and its certificate's common name.
    pub id: GatewayId,
    /// Name under which the city's logs live, as in `parkir.example.id`.
    pub log_domain: String,
    /// Folder of everything the box keeps.
    pub data_dir: PathBuf,
}

impl Gateway {
    /// The log's origin and its key's name: `<log_domain>/<id>`.
    pub fn log_origin(&self) -> String {
        log_origin(&self.log_domain, &self.id)
    }

    /// Folder of the journal.
    pub fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// Folder of what can be rebuilt or lost.
    pub fn state_dir(&self) -> PathBuf {
        self.data_dir.join("state")
    }
}

/// The origin of the log of box `id` under `log_domain`.
pub fn log_origin(log_domain: &str, id: &GatewayId) -> String {
    format!("{log_domain}/{id}")
}

/// Section `[keys]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The box's signing key, C2SP text form. Secret.
    pub ledger_key: PathBuf,
    /// The city's cosigner verifier key, C2SP text form.
    pub kominfo_vkey: PathBuf,
}

/// Section `[uplink]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Host name or address of the city's broker; the name that its certificate must show.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Certificate authorities that may vouch for the broker, PEM.
    pub ca_file: PathBuf,
    /// The box's certificate, PEM; its common name is the gateway's id.
    pub certificate_file: PathBuf,
    /// The private key of that certificate, PEM. Secret.
    pub private_key_file: PathBuf,
    /// MQTT keep alive.
    pub keep_alive: Duration,
    /// Most records in one batch.
    pub batch_records_max: usize,
    /// Most bytes of records, before compression, in one batch.
    pub batch_bytes_max: usize,
    /// How long a batch that is not full waits for more records.
    pub batch_delay: Duration,
    /// Most bytes in flight, sent and not yet receipted.
    pub window_bytes: usize,
    /// A receipt that takes longer makes the link be built anew.
    pub receipt_timeout: Duration,
    /// Least time between two messages of the state lane.
    pub state_interval: Duration,
    /// First wait before the link is built anew; it doubles each time.
    pub backoff_min: Duration,
    /// Longest wait before the link is built anew.
    pub backoff_max: Duration,
}

/// Section `[journal]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Size of a segment file.
    pub segment_bytes: u64,
    /// Disk space reserved ahead, whole segments; nothing else can use it.
    pub reserve_bytes: u64,
    /// Longest wait for other records before a sync.
    pub commit_window: Duration,
    /// So many records waiting are synced at once.
    pub commit_records: usize,
}

/// Section `[local]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Unix socket on which the running daemon answers `gateway status`.
    pub socket: PathBuf,
}

/// Section `[chirpstack]`, the MQTT broker of the LoRaWAN network server, and `[mqtt]`, that of sensors that publish themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorBroker {
    /// Host name or address of the broker.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name and the file of its password, if the broker wants them.
    pub login: Option<Login>,
    /// MQTT client id; names the persistent session, so it must not change.
    pub client_id: String,
}

/// A user name and where its password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub username: String,
    /// File that holds the password in its first line. Secret.
    pub password_file: PathBuf,
}

/// Section `[webhook]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// File that holds the bearer token in its first line. Secret.
    pub token_file: PathBuf,
    /// File with the token in the address to which cameras post. Secret.
    pub camera_token_file: Option<PathBuf>,
}

/// One of `[[sensors]]`; its heartbeat and queue are in [`Site::sensors`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// The sensor; for LoRaWAN the device EUI, 16 lower-case hexadecimal digits.
    pub id: SensorId,
    /// How it speaks.
    pub profile: &'static Profile,
    /// What a distance means, for a model that tells nothing else.
    pub distance: Option<DistanceLimits>,
    /// Where it is.
    pub attachment: Attachment,
}

/// Where a sensor is.
#[derive(Debug, Clone, PartialEq)]
pub enum Attachment {
    /// It comes by its id, wherever it is.
    None,
    /// At a topic of the broker of `[mqtt]`.
    Topic {
        /// The topic, wildcards allowed.
        filter: String,
        /// Which of the sensors of a message it is.
        channel: String,
    },
    /// At an address where it is asked.
    Url {
        /// Where.
        url: Url,
        /// How often, seconds.
        every_s: u32,
        /// File of the bearer token that it wants. Secret.
        token_file: Option<PathBuf>,
        /// Which of the sensors of an answer it is.
        channel: String,
    },
    /// In the picture of a camera that analyses it.
    Picture {
        /// The camera.
        camera: CameraId,
        /// `host:port` of its ISAPI, if the box reads its events there; else it posts them.
        isapi: Option<String>,
        /// Which camera of a recorder.
        channel: u32,
        /// Which region; without it, any.
        region: Option<String>,
    },
    /// On a serial line, by its device file.
    Serial(PathBuf),
    /// On an I2C bus.
    I2c {
        /// Device file of the bus.
        bus: PathBuf,
        /// Address on the bus.
        address: u8,
        /// How its field becomes a state.
        rules: Rules,
    },
    /// On a Modbus line.
    Modbus {
        /// The line.
        way: Way,
        /// How it is set.
        rate: Rate,
        /// Address on the line.
        address: u8,
    },
    /// On pins: a loop detector.
    Loop {
        /// Its presence output.
        presence: Line,
        /// Its fault output.
        fault: Option<Line>,
    },
}

impl Attachment {
    /// Whether another sensor cannot be where this one is.
    pub(super) fn is_in_the_way_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Serial(line), Self::Serial(other)) => line == other,
            (Self::Serial(line), Self::Modbus { way, .. }) | (Self::Modbus { way, .. }, Self::Serial(line)) => {
                *way == Way::Serial(line.clone())
            }
            (
                Self::Modbus { way, address, .. },
                Self::Modbus {
                    way: other,
                    address: other_address,
                    ..
                },
            ) => (way, address) == (other, other_address),
            (
                Self::I2c { bus, address, .. },
                Self::I2c {
                    bus: other,
                    address: other_address,
                    ..
                },
            ) => (bus, address) == (other, other_address),
            // What is of one sensor must not be taken for what another says.
            (
                Self::Topic { filter, channel },
                Self::Topic {
                    filter: other,
                    channel: other_channel,
                },
            ) => channel == other_channel && mqtt::overlap(filter, other),
            (
                Self::Picture {
                    camera,
                    channel,
                    region,
                    ..
                },
                Self::Picture {
                    camera: other_camera,
                    channel: other_channel,
                    region: other,
                    ..
                },
            ) => {
                let is_same_region = region.is_none() || other.is_none() || region == other;
                (camera, channel) == (other_camera, other_channel) && is_same_region
            }
            (
                Self::Url { url, channel, .. },
                Self::Url {
                    url: other,
                    channel: other_channel,
                    ..
                },
            ) => (url, channel) == (other, other_channel),
            _ => false,
        }
    }
}

/// Section `[video]`: what becomes of pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// TOML file with user and password of cameras. Secret.
    pub secrets_file: Option<PathBuf>,
    /// Folder of recordings and evidence.
    pub ring_dir: PathBuf,
    /// Free space of that disk below which nothing is recorded, bytes.
    pub free_bytes_min: u64,
    /// How often a picture of each camera is looked at.
    pub picture_every: Duration,
    /// How long an evidence picture is kept.
    pub evidence_age_max: Duration,
    /// Most bytes of all evidence pictures.
    pub evidence_bytes_max: u64,
}

/// One of `[[cameras]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Camera {
    /// Its name in records, folders and addresses.
    pub id: CameraId,
    /// Its name on screens.
    pub title: String,
    /// `host:port` of its RTSP.
    pub host: String,
    /// Path of the large picture.
    pub main: Option<String>,
    /// Path of the small picture.
    pub sub: Option<String>,
    /// How packets travel.
    pub transport: Transport,
    /// Which RTSP client.
    pub client: Client,
    /// What is peculiar about its make.
    pub quirks: Quirks,
    /// What is recorded.
    pub record: Record,
    /// How much of it is kept, a stream.
    pub ring: RingLimits,
    /// What is hidden in pictures: polygons of `[x, y]` from 0 to 1.
    pub masks: Vec<Vec<[f64; 2]>>,
    /// Spaces that it sees.
    pub spaces: Vec<SpaceId>,
}

/// Which streams of a camera are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The small one.
    pub sub: bool,
    /// The large one.
    pub main: bool,
}

/// How much of a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLimits {
    /// Most bytes.
    pub bytes_max: u64,
    /// Longest time.
    pub age_max: Duration,
}

/// Section `[page]`: the box's own page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// File with the hash of the page's password.
    pub password_file: PathBuf,
}

/// Section `[far_view]`: live view from the city.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarView {
    /// The city's verifier key for commands.
    pub command_vkey: PathBuf,
    /// `host:port` of the city's servers that a view may be sent to.
    pub servers: Vec<String>,
    /// `host:port` of media servers that a view may be published to.
    pub media_servers: Vec<String>,
    /// Most kilobits a second of all views together.
    pub kbit_max: u32,
    /// Longest view on one command.
    pub duration_max: Duration,
}
