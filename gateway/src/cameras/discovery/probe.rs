//! WS-Discovery: the question, the answers, and what is kept of them. Pure; the sockets are in `sweep`.
//!
//! A Probe (WS-Discovery 2005/04, as ONVIF Core 7.3 wants it) is a SOAP 1.2 message in one UDP packet. Every device of
//! the type in it answers with a `ProbeMatches` message: endpoint reference (a UUID that should never change), scopes,
//! and the addresses (`XAddrs`) of its device service. Many cameras know only one of the two types that ONVIF has had for
//! them, and some answer only to one, so each is asked for in a packet of its own.
//!
//! What an answer says is not believed beyond what it is good for. The camera is contacted only at the address that
//! the answer came from; `XAddrs` give port and path. `RelatesTo` is not checked: many cameras garble it, and on a local
//! network it proves nothing.
//!
//! Limits: an answer is at most [`ANSWER_BYTES_MAX`] long and [`ANSWERS_MAX`] devices are kept.

use std::net::IpAddr;

use url::{Host, Url};

use crate::xml::{Element, XmlError, label};

/// Longest answer, bytes. A longer one is counted as garbage. The longest that UDP can carry is shorter.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most devices that are kept. Answers of further ones are counted and dropped.
pub const ANSWERS_MAX: usize = 256;
/// Most addresses that are read from one answer. The rest is left out.
const XADDRS_MAX: usize = 16;
/// Most scopes that are read from one answer. The rest is left out.
const SCOPES_MAX: usize = 64;
/// Most devices in one packet. The rest is left out. A camera answers for itself; a proxy may answer for several.
const MATCHES_MAX: usize = 16;
/// What every scope that ONVIF defines begins with (ONVIF Core 7.3.2.2).
const SCOPE_PREFIX: &str = "onvif://www.onvif.org/";

/// The kinds of device that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceType {
    /// `dn:NetworkVideoTransmitter`, what ONVIF 1 called a camera.
    NetworkVideoTransmitter,
    /// `tds:Device`, what later versions call every device.
    Device,
}

/// Writes a Probe for `device_type` with the message identifier `id`.
pub fn probe(device_type: DeviceType, id: u128) -> String {
    let (namespace, name) = match device_type {
        DeviceType::NetworkVideoTransmitter => ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
        DeviceType::Device => ("http://www.onvif.org/ver10/device/wsdl", "Device"),
    };
    let id = uuid(id);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\">\
         <s:Header>\
         <a:Action s:mustUnderstand=\"1\">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>\
         <a:MessageID>urn:uuid:{id}</a:MessageID>\
         <a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>\
         <a:To s:mustUnderstand=\"1\">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>\
         </s:Header>\
         <s:Body>\
         <d:Probe xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\">\
         <d:Types xmlns:n=\"{namespace}\">n:{name}</d:Types>\
         </d:Probe>\
         </s:Body>\
         </s:Envelope>"
    )
}

/// Writes the random number `id` as a UUID of version 4 (RFC 9562).
fn uuid(id: u128) -> String {
    let id = (id & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digits = |from_bit: u32, bits: u32| (id >> from_bit) & ((1 << bits) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        digits(96, 32),
        digits(80, 16),
        digits(64, 16),
        digits(48, 16),
        digits(0, 48)
    )
}

/// What a device says about itself in its scopes, decoded and fit to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// The name that it was given, or its maker's.
    pub name: Option<String>,
    /// The hardware's name, mostly the model.
    pub hardware: Option<String>,
}

impl Scopes {
    fn parse(text: &str) -> Self {
        let mut scopes = Self::default();
        let known = text.split_whitespace().take(SCOPES_MAX);
        for scope in known.filter_map(|scope| scope.strip_prefix(SCOPE_PREFIX)) {
            let Some((kind, value)) = scope.split_once('/') else {
                continue;
            };
            let value = label(&percent_decoded(value));
            match kind.to_ascii_lowercase().as_str() {
                _ if value.is_empty() => {}
                "name" => scopes.name = scopes.name.or(Some(value)),
                "hardware" => scopes.hardware = scopes.hardware.or(Some(value)),
                _ => {}
            }
        }
        scopes
    }
}

/// Resolves `%41`; leaves what is no such escape as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.get(..2).filter(|_| *first == b'%');
        let byte = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() {
            behind.get(2..).unwrap_or_default()
        } else {
            behind
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One device in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeMatch {
    /// Its endpoint reference; empty when it sent none.
    pub endpoint: String,
    /// The HTTP addresses of its device service, in its order.
    pub xaddrs: Vec<Url>,
    /// What its scopes say.
    pub scopes: Scopes,
}

impl ProbeMatch {
    fn read(element: &Element) -> Option<Self> {
        let addresses = element.child_text("XAddrs").unwrap_or_default();
        let urls = addresses.split_whitespace().take(XADDRS_MAX);
        let xaddrs = urls.filter_map(|text| Url::parse(text).ok());
        let xaddrs: Vec<Url> = xaddrs
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .collect();
        if xaddrs.is_empty() {
            return None;
        }
        let reference = element.find("EndpointReference");
        let endpoint = reference.and_then(|reference| reference.child_text("Address"));
        Some(Self {
            endpoint: label(endpoint.unwrap_or_default()).to_ascii_lowercase(),
            xaddrs,
            scopes: Scopes::parse(element.child_text("Scopes").unwrap_or_default()),
        })
    }

    fn lists(&self, address: IpAddr) -> bool {
        self.xaddrs.iter().any(|url| host_address(url) == Some(address))
    }
}

/// The address in `url`, when its host is one.
pub(super) fn host_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(name) => name.parse().ok(),
    }
}

/// Reads the devices in an answer. A message without any, such as a Hello or a Probe, gives an empty list.
pub fn parse_probe_matches(bytes: &[u8]) -> Result<Vec<ProbeMatch>, XmlError> {
    let root = Element::parse(bytes, ANSWER_BYTES_MAX)?;
    let elements = root.find_all("ProbeMatch").into_iter().take(MATCHES_MAX);
    Ok(elements.filter_map(ProbeMatch::read).collect())
}

/// A device that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Where its answer came from.
    pub from: IpAddr,
    /// What it said.
    pub device: ProbeMatch,
}

impl Answer {
    /// The address of its device service: at the address that it answered from, with port and path of the `XAddr` that
    /// names this address, or else of its first plain one.
    pub fn device_service(&self) -> Option<Url> {
        let xaddrs = &self.device.xaddrs;
        let own = xaddrs.iter().find(|url| host_address(url) == Some(self.from));
        let plain = |url: &&Url| url.scheme() == "http";
        let ipv4 = |url: &&Url| plain(url) && host_address(url).is_some_and(|address| address.is_ipv4());
        let chosen = own.or_else(|| xaddrs.iter().find(ipv4));
        let chosen = chosen.or_else(|| xaddrs.iter().find(plain)).or_else(|| xaddrs.first());
        let mut url = chosen?.clone();
        url.set_ip_host(self.from).ok()?;
        Some(without_login(url))
    }
}

/// The same URL without user and password.
pub(super) fn without_login(mut url: Url) -> Url {
    // Neither fails on a URL that has a host; one without a host has no login either.
    url.set_username("").ok();
    url.set_password(None).ok();
    url
}

/// What came in while probing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that came in.
    pub packets: u32,
    /// Packets that were no answer to a Probe.
    pub garbage: u32,
    /// Answers of devices that were known already.
    pub repeated: u32,
    /// Answers of devices for which there was no room.
    pub dropped: u32,
}

/// The devices that answered, each once.
///
/// A device is known by its endpoint reference. Cheap cameras of one batch share one, though, so an answer from
/// another address is another device, unless one of the two answers lists the other's address among its own.
#[derive(Debug, Default)]
pub struct Collector {
    answers: Vec<Answer>,
    counters: Counters,
}

impl Collector {
    /// Takes a packet that came in from `from`.
    pub fn take(&mut self, from: IpAddr, packet: &[u8]) {
        self.counters.packets = self.counters.packets.saturating_add(1);
        let matches = parse_probe_matches(packet).unwrap_or_default();
        if matches.is_empty() {
            self.counters.garbage = self.counters.garbage.saturating_add(1);
        }
        for device in matches {
            self.add(Answer { from, device });
        }
    }

    fn add(&mut self, answer: Answer) {
        if self.answers.iter().any(|known| same(known, &answer)) {
            self.counters.repeated = self.counters.repeated.saturating_add(1);
        } else if self.answers.len() == ANSWERS_MAX {
            self.counters.dropped = self.counters.dropped.saturating_add(1);
        } else {
            self.answers.push(answer);
        }
    }

    /// The devices in the order of their first answers, and the counts.
    pub fn finish(self) -> (Vec<Answer>, Counters) {
        (self.answers, self.counters)
    }
}

fn same(known: &Answer, new: &Answer) -> bool {
    if known.device.endpoint.is_empty() || new.device.endpoint.is_empty() {
        return known.device_service() == new.device_service();
    }
    known.device.endpoint == new.device.endpoint
        && (known.from == new.from || known.device.lists(new.from) || new.device.lists(known.from))
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
