//! The device service: time, identity, addresses of the other services. Requests and their replies. Pure.
//!
//! Source: ONVIF Device Management (`devicemgmt.wsdl`), ONVIF Core 8.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use url::Url;

use crate::xml::{Element, label};

/// Asks for the time. Needs no login (access class `PRE_AUTH`).
pub const GET_TIME: &str = "<GetSystemDateAndTime xmlns=\"http://www.onvif.org/ver10/device/wsdl\"/>";
/// Asks for maker, model, firmware and serial number. Needs a login.
pub const GET_INFORMATION: &str = "<GetDeviceInformation xmlns=\"http://www.onvif.org/ver10/device/wsdl\"/>";
/// Asks for the services, by their namespaces.
pub const GET_SERVICES: &str = "<GetServices xmlns=\"http://www.onvif.org/ver10/device/wsdl\">\
                                <IncludeCapability>false</IncludeCapability></GetServices>";
/// Asks for the services as ONVIF 1 knew them, without Media2.
pub const GET_CAPABILITIES: &str = "<GetCapabilities xmlns=\"http://www.onvif.org/ver10/device/wsdl\">\
                                    <Category>All</Category></GetCapabilities>";

const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const MEDIA2: &str = "http://www.onvif.org/ver20/media/wsdl";
/// Most services that are read. The rest is left out. ONVIF has about twenty.
const SERVICES_MAX: usize = 64;

/// The camera's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraTime {
    /// The time.
    pub time: Timestamp,
    /// Only the local time was given, and it was taken for UTC.
    pub local: bool,
}

/// Reads the reply to [`GET_TIME`].
pub fn parse_time(root: &Element) -> Option<CameraTime> {
    let reply = root.find("SystemDateAndTime")?;
    let utc = reply.child("UTCDateTime").and_then(date_time);
    let (time, local) = match utc {
        Some(time) => (time, false),
        None => (date_time(reply.child("LocalDateTime")?)?, true),
    };
    let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(CameraTime { time, local })
}

fn date_time(element: &Element) -> Option<DateTime> {
    let (date, time) = (element.child("Date")?, element.child("Time")?);
    // A leap second, or a camera that counts to 60.
    let second = time.child_number::<i8>("Second")?.min(59);
    DateTime::new(
        date.child_number("Year")?,
        date.child_number("Month")?,
        date.child_number("Day")?,
        time.child_number("Hour")?,
        time.child_number("Minute")?,
        second,
        0,
    )
    .ok()
}

/// What a camera says that it is, fit to be shown. Empty where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Information {
    /// The maker.
    pub manufacturer: String,
    /// The model.
    pub model: String,
    /// The version of the firmware.
    pub firmware: String,
    /// The serial number.
    pub serial: String,
}

/// Reads the reply to [`GET_INFORMATION`].
pub fn parse_information(root: &Element) -> Option<Information> {
    let reply = root.find("GetDeviceInformationResponse")?;
    let text = |name| label(reply.child_text(name).unwrap_or_default());
    Some(Information {
        manufacturer: text("Manufacturer"),
        model: text("Model"),
        firmware: text("FirmwareVersion"),
        serial: text("SerialNumber"),
    })
}

/// The addresses of the services, as the camera gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// The device service itself.
    pub device: Option<Url>,
    /// Media, which knows no H.265.
    pub media: Option<Url>,
    /// Media2, which does.
    pub media2: Option<Url>,
}

/// Reads the reply to [`GET_SERVICES`] or [`GET_CAPABILITIES`].
pub fn parse_services(root: &Element) -> Option<Services> {
    if let Some(reply) = root.find("GetServicesResponse") {
        let mut services = Services::default();
        for service in reply.children_of("Service").take(SERVICES_MAX) {
            let place = match service.child_text("Namespace").map(|name| name.trim_end_matches('/')) {
                Some(DEVICE) => &mut services.device,
                Some(MEDIA) => &mut services.media,
                Some(MEDIA2) => &mut services.media2,
                _ => continue,
            };
            *place = place.take().or_else(|| address(service));
        }
        return Some(services);
    }
    let reply = root.find("Capabilities")?;
    Some(Services {
        device: reply.child("Device").and_then(address),
        media: reply.child("Media").and_then(address),
        media2: None,
    })
}

fn address(service: &Element) -> Option<Url> {
    let url = Url::parse(service.child_text("XAddr")?).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Element {
        Element::parse(text.as_bytes(), 1 << 16).unwrap()
    }

    fn time(second: &str, month: &str, kind: &str) -> Option<CameraTime> {
        parse_time(&parse(&format!(
            "<r><SystemDateAndTime><{kind}><Time><Hour>23</Hour><Minute>4</Minute><Second>{second}</Second></Time>\
             <Date><Year>2026</Year><Month>{month}</Month><Day>21</Day></Date></{kind}></SystemDateAndTime></r>"
        )))
    }

    #[test]
    fn the_time_is_read_as_utc_and_a_sixtieth_second_is_the_last() {
        let expected = |text: &str, local| {
            Some(CameraTime {
                time: text.parse().unwrap(),
                local,
            })
        };
        assert_eq!(time("5", "11", "UTCDateTime"), expected("2026-11-21T23:04:05Z", false));
        assert_eq!(time("60", "11", "UTCDateTime"), expected("2026-11-21T23:04:59Z", false));
        assert_eq!(time("5", "11", "LocalDateTime"), expected("2026-11-21T23:04:05Z", true));
    }

    #[test]
    fn a_time_that_cannot_be_is_none() {
        for (second, month) in [("-1", "11"), ("5", "13"), ("5", "x"), ("999", "11"), ("", "11")] {
            assert_eq!(time(second, month, "UTCDateTime"), None, "{second} {month}");
        }
    }

    #[test]
    fn services_are_known_by_their_namespaces_and_capabilities_by_their_names() {
        let services = parse(
            "<GetServicesResponse><Service><Namespace>http://www.onvif.org/ver20/media/wsdl</Namespace>\
             <XAddr>http://10.0.0.9/onvif/media2</XAddr></Service><Service>\
             <Namespace>http://www.onvif.org/ver10/media/wsdl/</Namespace><XAddr>ftp://10.0.0.9/</XAddr></Service>\
             <Service><Namespace>http://www.onvif.org/ver10/events/wsdl</Namespace><XAddr>http://10.0.0.9/e</XAddr>\
             </Service></GetServicesResponse>",
        );
        let services = parse_services(&services).unwrap();
        assert_eq!(services.media2.unwrap().path(), "/onvif/media2");
        assert_eq!((services.media, services.device), (None, None));
        let capabilities = parse(
            "<GetCapabilitiesResponse><Capabilities><Media><XAddr>http://10.0.0.9/onvif/media</XAddr></Media>\
             </Capabilities></GetCapabilitiesResponse>",
        );
        assert_eq!(
            parse_services(&capabilities).unwrap().media.unwrap().path(),
            "/onvif/media"
        );
    }
}
