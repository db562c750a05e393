//! Where sensors of the box's own network are: topics, addresses, pictures of cameras.

use std::path::Path;

use parking::CameraId;
use url::Url;

use super::model::{Attachment, FileKind};
use super::reader::{Field, Table};
use super::report::{Placed, Report};
use super::street::ReadSensor;
use crate::mqtt;
use crate::sensors::Profile;

pub(super) const MQTT_KEYS: &[&str] = &["topic", "channel"];
pub(super) const HTTP_KEYS: &[&str] = &["url", "channel", "token_file", "poll_s"];
pub(super) const HIKVISION_KEYS: &[&str] = &["camera", "isapi", "channel", "region"];

/// Longest topic, channel or region, bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Most cameras of a recorder.
const CHANNEL_MAX: u32 = 256;
/// Port of a camera's ISAPI if none is named.
const ISAPI_PORT: u16 = 80;

/// A topic of the broker.
pub(super) fn topic<'t, 'i>(
    report: &mut Report,
    table: &mut Table<'t, 'i>,
    profile: &Profile,
) -> Option<(Attachment, Field<'t, 'i>)> {
    let channel = channel(report, table, profile);
    let hint = "write the topic that it publishes to, as in topic = \"zigbee2mqtt/bay-07\"";
    let field = table.required("topic", hint)?;
    let filter = bounded(report, &field)?;
    if !mqtt::is_filter(filter) {
        let message = format!("\"{}\" is no topic", field.shown());
        return field.error(
            report,
            message,
            "+ stands for one level, # for all that follow, and both for whole levels",
        );
    }
    let filter = filter.to_owned();
    Some((
        Attachment::Topic {
            filter,
            channel: channel?,
        },
        field,
    ))
}

/// An address.
pub(super) fn url<'t, 'i>(
    report: &mut Report,
    table: &mut Table<'t, 'i>,
    profile: &Profile,
    folder: &Path,
) -> Option<(Attachment, Field<'t, 'i>)> {
    let channel = channel(report, table, profile);
    let every_s = table.integer(report, "poll_s", &(1..=600), profile.poll_s?);
    let token_file = table.optional("token_file");
    let token_file = token_file.map(|field| field.file(report, folder, FileKind::Secret));
    let field = table.required(
        "url",
        "write where it answers, as in url = \"http://192.168.1.40/rpc/Input.GetStatus?id=0\"",
    )?;
    let url = match Url::parse(bounded(report, &field)?) {
        Ok(url) if url.scheme() == "http" && url.username().is_empty() && url.password().is_none() => url,
        Ok(url) if url.scheme() == "https" => {
            let hint = "write http: the box asks devices of its own network, in which nobody vouches for their keys";
            return field.error(report, "it is asked without TLS", hint);
        }
        Ok(url) if url.scheme() == "http" => {
            let hint = "take user and password out, and name the file of a token: token_file";
            return field.error(report, "a password does not belong into the configuration", hint);
        }
        _ => {
            let message = format!("\"{}\" is no address", field.shown());
            return field.error(report, message, "write it with http:// and the device's address");
        }
    };
    let attachment = Attachment::Url {
        url,
        every_s,
        token_file: match token_file {
            None => None,
            Some(path) => Some(path?),
        },
        channel: channel?,
    };
    Some((attachment, field))
}

/// A region of a camera's picture.
pub(super) fn picture<'t, 'i>(report: &mut Report, table: &mut Table<'t, 'i>) -> Option<(Attachment, Field<'t, 'i>)> {
    let isapi = table.optional("isapi").map(|field| isapi(report, &field));
    let channel = table.integer(report, "channel", &(1..=CHANNEL_MAX), 1);
    let region = table.optional("region");
    let region = region.map(|field| bounded(report, &field).map(str::to_owned));
    let field = table.required("camera", "name one of [[cameras]], as in camera = \"simpang-1\"")?;
    let camera = field.identifier::<CameraId>(report)?;
    let attachment = Attachment::Picture {
        camera,
        isapi: match isapi {
            None => None,
            Some(address) => Some(address?),
        },
        channel,
        region: match region {
            None => None,
            Some(region) => Some(region?),
        },
    };
    Some((attachment, field))
}

/// An earlier sensor of the same device that is asked in another way.
pub(super) fn asked_otherwise<'e>(
    attachment: &Attachment,
    earlier: &'e [Placed<ReadSensor>],
) -> Option<&'e ReadSensor> {
    let Attachment::Url {
        url,
        every_s,
        token_file,
        ..
    } = attachment
    else {
        return None;
    };
    let sensors = earlier.iter().map(|other| &other.value);
    sensors.into_iter().find(|other| match &other.sensor.attachment {
        Attachment::Url {
            url: other_url,
            every_s: other_every_s,
            token_file: other_file,
            ..
        } => other_url == url && (other_every_s, other_file) != (every_s, token_file),
        _ => false,
    })
}

/// An earlier sensor of the same camera that is read at another address.
pub(super) fn at_another_address<'e>(
    attachment: &Attachment,
    earlier: &'e [Placed<ReadSensor>],
) -> Option<&'e ReadSensor> {
    let Attachment::Picture { camera, isapi, .. } = attachment else {
        return None;
    };
    let sensors = earlier.iter().map(|other| &other.value);
    sensors.into_iter().find(|other| match &other.sensor.attachment {
        Attachment::Picture {
            camera: other_camera,
            isapi: other_isapi,
            ..
        } => other_camera == camera && other_isapi != isapi,
        _ => false,
    })
}

fn isapi(report: &mut Report, field: &Field) -> Option<String> {
    let text = bounded(report, field)?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().ok().filter(|port| *port > 0)),
        None => (text, Some(ISAPI_PORT)),
    };
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    match port {
        Some(port) if is_host => Some(format!("{host}:{port}")),
        _ => field.error(
            report,
            format!("\"{}\" is no address", field.shown()),
            "write the camera's address, and a port if it is not 80, as in \"192.168.1.64\"",
        ),
    }
}

/// Which of the sensors of a message it is, for profiles that want to know.
fn channel(report: &mut Report, table: &mut Table, profile: &Profile) -> Option<String> {
    let wants = profile.fields.as_ref().is_some_and(crate::sensors::Fields::has_channel);
    if !wants {
        let hint = format!(
            "leave it out: messages of profile \"{}\" are of one sensor each",
            profile.name
        );
        table.misplaced(report, &["channel"], &hint);
        return Some(String::new());
    }
    let field = table.required(
        "channel",
        "say which of the device's inputs or rules it is, as in channel = \"1\"",
    )?;
    bounded(report, &field).map(str::to_owned)
}

fn bounded<'t>(report: &mut Report, field: &Field<'t, '_>) -> Option<&'t str> {
    let text = field.text(report)?;
    if (1..=TEXT_BYTES_MAX).contains(&text.len()) {
        return Some(text);
    }
    let message = format!("{} bytes; expected 1 to {TEXT_BYTES_MAX}", text.len());
    field.error(report, message, "write it shorter")
}
