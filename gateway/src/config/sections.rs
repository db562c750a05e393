//! The sections that are about the box itself.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use parking::{GatewayId, Timezone};

use super::load::Reading;
use super::model::{FileKind, Gateway, Journal, Keys, Local, Login, SensorBroker, Uplink, Webhook};
use super::reader::{Field, Table};
use super::report::{Place, Report};
use crate::sensors::Profiles;

/// Section `[gateway]`, with what of it belongs to the site.
pub(super) struct GatewaySection {
    pub gateway: Option<Gateway>,
    pub timezone: Option<Timezone>,
    pub day_cutoff_minutes: u32,
    /// Those that sensors may name.
    pub profiles: Profiles,
}

pub(super) fn gateway(report: &mut Report, root: &mut Table, folder: &Path, reading: Reading) -> GatewaySection {
    let Some(mut table) = root.section_required(
        report,
        "gateway",
        "add a section [gateway] with id, log_domain, timezone and data_dir",
    ) else {
        return GatewaySection {
            gateway: None,
            timezone: None,
            day_cutoff_minutes: 0,
            profiles: Profiles::built_in().clone(),
        };
    };
    let id = table
        .required("id", "name the box, as in id = \"sudirman-01\"")
        .and_then(|field| field.identifier::<GatewayId>(report));
    let log_domain = table
        .required(
            "log_domain",
            "name the domain of the city's logs, as in log_domain = \"parkir.example.id\"",
        )
        .and_then(|field| field.log_domain(report));
    let timezone = table
        .required("timezone", "use WIB, WITA or WIT")
        .and_then(|field| field.timezone(report));
    let day_cutoff_minutes = table
        .optional("day_cutoff")
        .and_then(|field| field.cutoff_minutes(report))
        .unwrap_or(0);
    let data_dir = table
        .required(
            "data_dir",
            "name a folder for the box's data, as in data_dir = \"/var/lib/gateway\"",
        )
        .and_then(|field| field.path(report, folder));
    let profiles_dir = table.optional("profiles_dir");
    let profiles = match (profiles_dir, reading) {
        (Some(field), Reading::Files) => profiles(report, &field, folder),
        // Where nothing is read, a folder has nothing in it.
        (_, _) => Profiles::built_in().clone(),
    };
    table.finish(report);
    let gateway = match (id, log_domain, data_dir) {
        (Some(id), Some(log_domain), Some(data_dir)) => Some(Gateway {
            id,
            log_domain,
            data_dir,
        }),
        _ => None,
    };
    GatewaySection {
        gateway,
        timezone,
        day_cutoff_minutes,
        profiles,
    }
}

/// Profiles of the program and of a folder; after a problem, those that are some.
fn profiles(report: &mut Report, field: &Field, folder: &Path) -> Profiles {
    let Some(path) = field.path(report, folder) else {
        return Profiles::built_in().clone();
    };
    let (profiles, errors) = Profiles::with_folder(&path);
    for error in errors {
        let hint = "correct the file or take it away; the profiles of the program show how one looks";
        report.error(&field.place, error.to_string(), hint);
    }
    profiles
}

pub(super) fn keys(report: &mut Report, root: &mut Table, folder: &Path) -> Option<Keys> {
    let mut table = root.section_required(report, "keys", "add a section [keys] with ledger_key and kominfo_vkey")?;
    let ledger_key = table
        .required(
            "ledger_key",
            "name the file that `gateway keygen` made, as in ledger_key = \"ledger.key\"",
        )
        .and_then(|field| field.file(report, folder, FileKind::LedgerKey));
    let kominfo_vkey = table
        .required(
            "kominfo_vkey",
            "name the file of the city's verifier key, as in kominfo_vkey = \"kominfo.vkey\"",
        )
        .and_then(|field| field.file(report, folder, FileKind::CosignerVkey));
    table.finish(report);
    Some(Keys {
        ledger_key: ledger_key?,
        kominfo_vkey: kominfo_vkey?,
    })
}

pub(super) fn uplink(report: &mut Report, root: &mut Table, folder: &Path) -> Option<Uplink> {
    let hint = "add a section [uplink] with host, port, ca_file, certificate_file and private_key_file";
    let mut table = root.section_required(report, "uplink", hint)?;
    let host = table
        .required("host", "name the city's broker, as in host = \"mqtt.example.id\"")
        .and_then(|field| field.host(report));
    let port = table.integer(report, "port", &(1..=u16::MAX), 8883);
    let mut file = |key, kind, hint| table.required(key, hint)?.file(report, folder, kind);
    let ca_hint = "name the PEM file of the authority that vouches for the broker";
    let ca_file = file("ca_file", FileKind::Authorities, ca_hint);
    let certificate_hint = "name the PEM file of the box's certificate, signed by the city";
    let certificate_file = file("certificate_file", FileKind::Certificate, certificate_hint);
    let key_hint = "name the PEM file that `gateway keygen` made, as in \"tls.key\"";
    let private_key_file = file("private_key_file", FileKind::CertificateKey, key_hint);
    let keep_alive_s = table.integer(report, "keep_alive_s", &(5..=3_600), 60);
    let batch_records_max = table.integer(report, "batch_records_max", &(1..=4_096), 512);
    let batch_bytes_max = table.integer(report, "batch_bytes_max", &(4_096..=524_288), 65_536);
    let batch_delay_ms = table.integer(report, "batch_delay_ms", &(0..=600_000), 2_000);
    let window_least = (batch_bytes_max, "batch_bytes_max");
    let window_bytes = at_least(report, &mut table, "window_bytes", 67_108_864, 262_144, window_least);
    let receipt_timeout_ms = table.integer(report, "receipt_timeout_ms", &(1_000..=600_000), 30_000);
    let state_interval_ms = table.integer(report, "state_interval_ms", &(100..=3_600_000), 5_000);
    let backoff_min_ms = table.integer(report, "backoff_min_ms", &(100..=60_000), 1_000);
    let backoff_least = (backoff_min_ms, "backoff_min_ms");
    let backoff_max_ms = at_least(report, &mut table, "backoff_max_ms", 3_600_000, 120_000, backoff_least);
    table.finish(report);
    Some(Uplink {
        host: host?,
        port,
        ca_file: ca_file?,
        certificate_file: certificate_file?,
        private_key_file: private_key_file?,
        keep_alive: Duration::from_secs(keep_alive_s),
        batch_records_max,
        batch_bytes_max,
        batch_delay: Duration::from_millis(batch_delay_ms),
        window_bytes,
        receipt_timeout: Duration::from_millis(receipt_timeout_ms),
        state_interval: Duration::from_millis(state_interval_ms),
        backoff_min: Duration::from_millis(backoff_min_ms),
        backoff_max: Duration::from_millis(backoff_max_ms),
    })
}

/// The whole number at `key`, at most `max` and no less than that of another key. Left out, it is `default`, or more if
/// the other key wants more.
fn at_least<T: Copy + Ord + Display + TryFrom<i64>>(
    report: &mut Report,
    table: &mut Table,
    key: &'static str,
    max: T,
    default: T,
    (least, other): (T, &'static str),
) -> T {
    let Some(field) = table.optional(key) else {
        return default.max(least);
    };
    let Some(value) = field.integer(report, &(T::try_from(1).unwrap_or(max)..=max)) else {
        return default.max(least);
    };
    if value < least {
        let message = format!("{value} is less than {other}, which is {least}");
        report.error(
            &field.place,
            message,
            format!("write at least {least}, or lower {other}"),
        );
    }
    value
}

pub(super) fn journal(report: &mut Report, root: &mut Table) -> Journal {
    const KIB: u64 = 1_024;
    const SEGMENTS_MIN: u64 = 2;
    let mut table = root.section_or_empty(report, "journal");
    let segment_kib = table.integer(report, "segment_kib", &(256..=65_536), 4_096);
    let reserve = table.optional("reserve_mib");
    let reserve_mib = reserve
        .as_ref()
        .and_then(|field| field.integer(report, &(1..=65_536)))
        .unwrap_or(64);
    let commit_window_ms = table.integer(report, "commit_window_ms", &(0..=1_000), 20);
    let commit_records = table.integer(report, "commit_records", &(1..=1_024), 64);
    let least_kib = segment_kib * SEGMENTS_MIN;
    if reserve_mib * KIB < least_kib {
        let place = reserve.map_or_else(|| table.place.clone(), |field| field.place);
        let message = format!("{reserve_mib} MiB is less than {SEGMENTS_MIN} segments of {segment_kib} KiB");
        let hint = format!("write at least {}, or lower segment_kib", least_kib.div_ceil(KIB));
        report.error(&place, message, hint);
    }
    table.finish(report);
    Journal {
        segment_bytes: segment_kib * KIB,
        reserve_bytes: reserve_mib * KIB * KIB,
        commit_window: Duration::from_millis(commit_window_ms),
        commit_records,
    }
}

pub(super) fn local(report: &mut Report, root: &mut Table, folder: &Path, data_dir: Option<&Path>) -> Option<Local> {
    let mut table = root.section_or_empty(report, "local");
    let field = table.optional("socket");
    let place = field
        .as_ref()
        .map_or_else(|| table.place.clone(), |field| field.place.clone());
    let socket = match &field {
        Some(field) => field.path(report, folder),
        None => data_dir.map(|data_dir| data_dir.join("gateway.sock")),
    };
    table.finish(report);
    let socket = socket?;
    check_socket_length(report, &place, &socket);
    Some(Local { socket })
}

/// Linux holds the path of a Unix socket in 108 bytes, the last of them zero (unix(7)).
fn check_socket_length(report: &mut Report, place: &Place, socket: &Path) {
    const BYTES_MAX: usize = 107;
    let bytes = socket.as_os_str().len();
    if bytes > BYTES_MAX {
        let message = format!("the socket's path has {bytes} bytes; Linux allows {BYTES_MAX}");
        report.error(
            place,
            message,
            "set local.socket to a shorter path, as in \"/run/gateway/gateway.sock\"",
        );
    }
}

/// A broker that sensors' messages are at; `suffix` tells this box's clients apart.
pub(super) fn sensor_broker(
    report: &mut Report,
    root: &mut Table,
    section: &'static str,
    suffix: &str,
    folder: &Path,
    id: Option<&GatewayId>,
) -> Option<SensorBroker> {
    let mut table = root.section(report, section)?;
    let host = table
        .required("host", "name the broker, as in host = \"127.0.0.1\"")
        .and_then(|field| field.host(report));
    let port = table.integer(report, "port", &(1..=u16::MAX), 1_883);
    let login = login(report, &mut table, folder);
    let client_id = match table.optional("client_id") {
        Some(field) => field.text(report).map(str::to_owned),
        None => id.map(|id| format!("gateway-{id}{suffix}")),
    };
    table.finish(report);
    Some(SensorBroker {
        host: host?,
        port,
        login,
        client_id: client_id?,
    })
}

fn login(report: &mut Report, table: &mut Table, folder: &Path) -> Option<Login> {
    let username = table.optional("username");
    let password_file = table.optional("password_file");
    match (&username, &password_file) {
        (Some(username), Some(password_file)) => Some(Login {
            username: username.text(report)?.to_owned(),
            password_file: password_file.file(report, folder, FileKind::Secret)?,
        }),
        (Some(lone), None) => lone.error(
            report,
            "a user name without a password",
            "add password_file, the file of its password",
        ),
        (None, Some(lone)) => lone.error(report, "a password without a user name", "add username"),
        (None, None) => None,
    }
}

pub(super) fn webhook(report: &mut Report, root: &mut Table, folder: &Path) -> Option<Webhook> {
    let mut table = root.section(report, "webhook")?;
    let listen = table
        .required(
            "listen",
            "write the address and port to listen on, as in listen = \"127.0.0.1:8085\"",
        )
        .and_then(|field| listen_address(report, &field));
    let token_file = table
        .required("token_file", "name the file of the token that senders must show")
        .and_then(|field| field.file(report, folder, FileKind::Secret));
    let camera_token_file = table.optional("camera_token_file");
    let camera_token_file = camera_token_file.and_then(|field| field.file(report, folder, FileKind::Secret));
    table.finish(report);
    Some(Webhook {
        listen: listen?,
        token_file: token_file?,
        camera_token_file,
    })
}

fn listen_address(report: &mut Report, field: &Field) -> Option<SocketAddr> {
    const EXAMPLE: &str = "write an IP address and a port, as in \"127.0.0.1:8085\"";
    match field.text(report)?.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Some(address),
        Ok(_) => field.error(report, "port 0 is no port that a sender could know", EXAMPLE),
        Err(_) => field.error(report, format!("\"{}\" is no address and port", field.shown()), EXAMPLE),
    }
}
