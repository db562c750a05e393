//! Cameras, what becomes of their pictures, and who may look.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use parking::{CameraId, SpaceId};

use super::model::{Camera, FarView, FileKind, Page, Record, RingLimits, Video};
use super::names::Names;
use super::reader::{Field, Table};
use super::report::{Report, did_you_mean};
use crate::cameras::picture::Mask;
use crate::cameras::profiles::CameraProfile;
use crate::cameras::wire::{Client, Profile, RTSP_PORT, Transport};

/// Most cameras of one box: what one box was measured with, and some more.
const CAMERAS_MAX: usize = 16;
/// Most polygons of a camera's mask.
const MASKS_MAX: usize = 32;
/// Most corners of a polygon.
const CORNERS_MAX: usize = 64;
/// Most spaces that one camera sees.
const SPACES_MAX: usize = 250;
/// Most servers that a live view may be sent to.
const SERVERS_MAX: usize = 16;

pub(super) fn video(report: &mut Report, root: &mut Table, folder: &Path, data_dir: Option<&Path>) -> Option<Video> {
    let mut table = root.section_or_empty(report, "video");
    let secrets_file = table
        .optional("secrets_file")
        .and_then(|field| field.file(report, folder, FileKind::CameraSecrets));
    let ring_dir = match table.optional("ring_dir") {
        Some(field) => field.path(report, folder),
        None => data_dir.map(|data_dir| data_dir.join("ring")),
    };
    let free_mib_min = table.integer(report, "free_mib_min", &(256..=1_048_576), 2_048_u64);
    let pictures_every_s = table.integer(report, "pictures_every_s", &(1..=3_600), 4);
    let evidence_days = table.integer(report, "evidence_days", &(1..=3_650), 90_u64);
    let evidence_mib = table.integer(report, "evidence_mib", &(16..=1_048_576), 2_048_u64);
    table.finish(report);
    Some(Video {
        secrets_file,
        ring_dir: ring_dir?,
        free_bytes_min: free_mib_min << 20,
        picture_every: Duration::from_secs(pictures_every_s),
        evidence_age_max: Duration::from_secs(evidence_days * 24 * 3_600),
        evidence_bytes_max: evidence_mib << 20,
    })
}

pub(super) fn page(report: &mut Report, root: &mut Table, folder: &Path) -> Option<Page> {
    let mut table = root.section(report, "page")?;
    let listen = table
        .required(
            "listen",
            "write the address and port of the page, as in listen = \"0.0.0.0:8080\"",
        )
        .and_then(|field| listen_address(report, &field));
    let password_file = table
        .required(
            "password_file",
            "name the file that `gateway password` made, as in password_file = \"page.password\"",
        )
        .and_then(|field| field.file(report, folder, FileKind::PasswordHash));
    table.finish(report);
    Some(Page {
        listen: listen?,
        password_file: password_file?,
    })
}

fn listen_address(report: &mut Report, field: &Field) -> Option<SocketAddr> {
    const EXAMPLE: &str = "write an IP address and a port, as in \"0.0.0.0:8080\"";
    match field.text(report)?.parse() {
        Ok(address) => Some(address),
        Err(_) => field.error(report, format!("\"{}\" is no address and port", field.shown()), EXAMPLE),
    }
}

pub(super) fn far_view(report: &mut Report, root: &mut Table, folder: &Path) -> Option<FarView> {
    let mut table = root.section(report, "far_view")?;
    let command_vkey = table
        .required(
            "command_vkey",
            "name the file of the city's key for commands, command.vkey",
        )
        .and_then(|field| field.file(report, folder, FileKind::CommandVkey));
    let mut servers = |key, example: &'static str| -> Vec<String> {
        let Some(fields) = table.optional(key).and_then(|field| field.list(report, SERVERS_MAX)) else {
            return Vec::new();
        };
        fields
            .iter()
            .filter_map(|field| {
                let text = field.text(report)?;
                let Some((host, Some(port))) = host_and_port(text) else {
                    let message = format!("\"{}\" is no host and port", field.shown());
                    return field.error(report, message, example);
                };
                Some(format!("{host}:{port}"))
            })
            .collect()
    };
    let servers_allowed = servers("servers", "write a name and a port, as in \"kominfo.example.id:8443\"");
    let media_servers = servers(
        "media_servers",
        "write a name and a port, as in \"media.example.id:322\"",
    );
    let kbit_max = table.integer(report, "kbit_max", &(64..=100_000), 1_500_u32);
    let minutes_max = table.integer(report, "minutes_max", &(1..=60), 10_u64);
    table.finish(report);
    Some(FarView {
        command_vkey: command_vkey?,
        servers: servers_allowed,
        media_servers,
        kbit_max,
        duration_max: Duration::from_secs(minutes_max * 60),
    })
}

/// `host:port` or `host`; the outer `None` if it is neither, the inner if there is no port.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let is_host = |host: &str| rustls::pki_types::ServerName::try_from(host).is_ok();
    match text.rsplit_once(':') {
        Some((host, port)) if is_host(host) => match port.parse() {
            Ok(0) | Err(_) => None,
            Ok(port) => Some((host, Some(port))),
        },
        Some(_) => None,
        None => is_host(text).then_some((text, None)),
    }
}

pub(super) fn cameras(report: &mut Report, root: &mut Table, spaces: &Names) -> (Vec<Camera>, Names) {
    let mut names = Names::of("camera");
    let mut cameras = Vec::new();
    for mut table in root.tables(report, "cameras", CAMERAS_MAX) {
        let id = table
            .required("id", "name the camera, as in id = \"simpang-1\"")
            .and_then(|field| names.define::<CameraId>(report, &field));
        let title = table
            .optional("name")
            .and_then(|field| field.text(report).map(str::to_owned));
        let host = table
            .required("host", "write the camera's address, as in host = \"192.168.1.64\"")
            .and_then(|field| camera_host(report, &field));
        let main = table.optional("main").and_then(|field| stream_path(report, &field));
        let sub = table.optional("sub").and_then(|field| stream_path(report, &field));
        if !table.has_or_misspells("main") && !table.has_or_misspells("sub") {
            let hint = "write sub = \"/path\" (the small picture), main = \"/path\", or both; `gateway cameras discover` shows them";
            report.absent(&table.place.clone(), "this camera has no stream", hint);
        }
        let profile = match table.optional("profile") {
            Some(field) => camera_profile(report, &field),
            None => Some(CameraProfile::generic()),
        };
        let transport = one_of(
            report,
            &mut table,
            "transport",
            &[("tcp", Transport::Tcp), ("udp", Transport::Udp)],
        );
        let clients = [
            ("auto", Client::Auto),
            ("retina", Client::Retina),
            ("rtspsrc", Client::Rtspsrc),
        ];
        let client = one_of(report, &mut table, "client", &clients);
        let records = [
            (
                "none",
                Record {
                    sub: false,
                    main: false,
                },
            ),
            ("sub", Record { sub: true, main: false }),
            ("main", Record { sub: false, main: true }),
            ("both", Record { sub: true, main: true }),
        ];
        let record = one_of(report, &mut table, "record", &records);
        let ring_mib = table.integer(report, "ring_mib", &(64..=16_777_216), 4_096_u64);
        let ring_hours = table.integer(report, "ring_hours", &(1..=8_760), 168_u64);
        let masks = table
            .optional("masks")
            .map_or_else(Vec::new, |field| masks(report, &field));
        let sees = table
            .optional("spaces")
            .map_or_else(Vec::new, |field| sees(report, &field, spaces));
        let place = table.place.clone();
        table.finish(report);
        let (Some(id), Some(host), Some(profile)) = (id, host, profile) else {
            continue;
        };
        let record = record.unwrap_or(Record {
            sub: sub.is_some(),
            main: false,
        });
        for (wanted, path, profile) in [(record.sub, &sub, Profile::Sub), (record.main, &main, Profile::Main)] {
            if wanted && path.is_none() {
                let message = format!("{profile} is to be recorded, but this camera has no {profile}");
                report.error(&place, message, format!("add {profile} = \"/path\", or change record"));
            }
        }
        cameras.push(Camera {
            title: title.unwrap_or_else(|| id.to_string()),
            id,
            host,
            main,
            sub,
            transport: transport.unwrap_or(profile.transport),
            client: client.unwrap_or(profile.client),
            quirks: profile.quirks,
            record,
            ring: RingLimits {
                bytes_max: ring_mib << 20,
                age_max: Duration::from_secs(ring_hours * 3_600),
            },
            masks,
            spaces: sees,
        });
    }
    (cameras, names)
}

fn one_of<T: Copy>(report: &mut Report, table: &mut Table, key: &'static str, known: &[(&str, T)]) -> Option<T> {
    let field = table.optional(key)?;
    let text = field.text(report)?;
    let found = known.iter().find(|(name, _)| *name == text);
    if found.is_none() {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        field.error::<()>(
            report,
            format!("\"{}\" is not known here", field.shown()),
            format!("use {}", names.join(", ")),
        );
    }
    found.map(|(_, value)| *value)
}

/// The address and port of a camera's RTSP.
fn camera_host(report: &mut Report, field: &Field) -> Option<String> {
    let text = field.text(report)?;
    if let Some((host, port)) = host_and_port(text) {
        return Some(format!("{host}:{}", port.unwrap_or(RTSP_PORT)));
    }
    let hint = if text.contains('@') || text.contains("://") {
        "write the address alone, as in 192.168.1.64 or 192.168.1.64:554; user and password belong into video.secrets_file"
    } else {
        "write a name or an address, as in 192.168.1.64 or 192.168.1.64:554"
    };
    // What stands before an @ may be a password.
    let shown = text.rsplit('@').next().unwrap_or_default();
    field.error(
        report,
        format!("\"{}\" is no address of a camera", super::reader::shown(shown)),
        hint,
    )
}

/// The path of a stream, as it stands in its address behind the host.
fn stream_path(report: &mut Report, field: &Field) -> Option<String> {
    let text = field.text(report)?;
    let whole = format!("rtsp://camera{text}");
    let is_path = text.starts_with('/') && !text.contains(char::is_whitespace) && url::Url::parse(&whole).is_ok();
    if is_path {
        return Some(text.to_owned());
    }
    let hint = "write what follows the host in the camera's RTSP address, as in \"/Streaming/Channels/102\"";
    field.error(report, "this is no path of a stream", hint)
}

fn camera_profile(report: &mut Report, field: &Field) -> Option<&'static CameraProfile> {
    let name = field.text(report)?;
    let found = CameraProfile::by_name(name);
    if found.is_none() {
        let hint = did_you_mean(name, CameraProfile::names())
            .unwrap_or_else(|| format!("known: {}", CameraProfile::names().collect::<Vec<_>>().join(", ")));
        field.error::<()>(
            report,
            format!("there is no camera profile \"{}\"", field.shown()),
            hint,
        );
    }
    found
}

fn masks(report: &mut Report, field: &Field) -> Vec<Vec<[f64; 2]>> {
    let polygons = field.list(report, MASKS_MAX).unwrap_or_default();
    polygons.iter().filter_map(|field| polygon(report, field)).collect()
}

/// Corners as `[x, y]`, from 0 (left, top) to 1 (right, bottom).
fn polygon(report: &mut Report, field: &Field) -> Option<Vec<[f64; 2]>> {
    const EXAMPLE: &str = "write [x, y], both from 0.0 (left, top) to 1.0 (right, bottom)";
    let corners = field.list(report, CORNERS_MAX)?;
    if corners.len() < 3 {
        let message = format!("{} corners make no area", corners.len());
        return field.error(
            report,
            message,
            "write at least three corners, as in [[0.0, 0.0], [0.3, 0.0], [0.0, 0.2]]",
        );
    }
    let corner = |field: &Field, report: &mut Report| {
        let parts = field.list(report, 2)?;
        let [x, y] = parts.as_slice() else {
            return field.error(report, "a corner has two numbers", EXAMPLE);
        };
        let range = 0.0..=1.0;
        Some([x.number(report, &range)?, y.number(report, &range)?])
    };
    let read: Vec<_> = corners.iter().map(|field| corner(field, report)).collect();
    let polygon: Vec<[f64; 2]> = read.into_iter().collect::<Option<_>>()?;
    // What the process that makes pictures would refuse.
    match Mask::new(vec![polygon.clone()]) {
        Ok(_) => Some(polygon),
        Err(problems) => {
            let problem = problems.into_iter().next()?;
            field.error(report, problem.message, problem.hint)
        }
    }
}

fn sees(report: &mut Report, field: &Field, spaces: &Names) -> Vec<SpaceId> {
    let fields = field.list(report, SPACES_MAX).unwrap_or_default();
    let mut seen: Vec<SpaceId> = Vec::new();
    for field in &fields {
        let Some(space) = spaces.refer::<SpaceId>(report, field) else {
            continue;
        };
        if seen.contains(&space) {
            field.error::<()>(report, format!("space {space} is written twice"), "write it once");
        } else {
            seen.push(space);
        }
    }
    seen
}
