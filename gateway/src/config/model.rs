//! What a valid configuration holds. Every field is filled: defaults are applied, paths are absolute or relative to the
//! working directory of the process, times are UTC, lengths of time are [`Duration`]s.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use parking::{GatewayId, SensorId, Site};

use super::{Position, Warning};

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
    pub chirpstack: Option<ChirpStack>,
    /// Sensors that come by HTTP.
    pub webhook: Option<Webhook>,
    /// Sensors and how to decode them, in the order of the file.
    pub sensors: Vec<Sensor>,
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

/// Section `[chirpstack]`: the MQTT broker of the LoRaWAN network server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChirpStack {
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
}

/// One of `[[sensors]]`; its heartbeat and queue are in [`Site::sensors`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sensor {
    /// The sensor; for LoRaWAN the device EUI, 16 lower-case hexadecimal digits.
    pub id: SensorId,
    /// Name of the profile that says how it speaks.
    pub profile: String,
}
