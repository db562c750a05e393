//! Addresses that cameras give for themselves, made usable. Pure.
//!
//! A camera behind address translation names its inner address; one that was never set up names its maker's default
//! (192.168.1.64); some name 0.0.0.0. The one address that is known to work is the one that was reached. So:
//!
//! - A service stays on the port that it names, at the host that was reached. Only when it shares host and port with
//!   the device service, as the camera itself names that, it also takes the port that was reached.
//! - A stream stays on the port that it names (RTSP: 554), at the host that was reached.
//! - User and password are taken out of every address.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::probe::{host_address, without_login};
use crate::cameras::wire::RTSP_PORT;

/// What stands for a password that was taken out of a path.
const PASSWORD_REMOVED: &str = "REMOVED";

/// How the device service was reached, and how the camera names it.
#[derive(Debug, Clone)]
pub struct Reached {
    url: Url,
    host: IpAddr,
    said: Option<Url>,
}

/// An address and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected<T> {
    /// The address to use.
    pub used: T,
    /// The host that the camera named, if it is not the one that was reached.
    pub wrong_host: Option<String>,
}

/// Where a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Host and port.
    pub host: SocketAddr,
    /// Path and query, from the first `/` on.
    pub path: String,
    /// A password stood in `path`, and was replaced by a word.
    pub password_removed: bool,
}

impl Reached {
    /// The device service was reached at `url`, whose host is an address.
    pub fn new(url: Url) -> Option<Self> {
        let host = host_address(&url)?;
        Some(Self { url, host, said: None })
    }

    /// The address that was reached.
    pub fn host(&self) -> IpAddr {
        self.host
    }

    /// The device service, as it was reached.
    pub fn device_service(&self) -> &Url {
        &self.url
    }

    /// Takes note of how the camera names its device service.
    pub fn set_said(&mut self, said: Option<Url>) {
        self.said = said;
    }

    /// Where to reach the service that the camera names `said`.
    pub fn service(&self, said: &Url) -> Corrected<Url> {
        let wrong_host = self.wrong_host(said);
        let with_device = self
            .said
            .as_ref()
            .is_some_and(|device| authority(device) == authority(said));
        let mut used = if said.scheme() == "https" || (wrong_host.is_some() && with_device) {
            self.url.clone()
        } else {
            let mut used = said.clone();
            // Cannot fail: an HTTP URL takes any host.
            used.set_ip_host(self.host).ok();
            used
        };
        used.set_path(said.path());
        used.set_query(said.query());
        Corrected {
            used: without_login(used),
            wrong_host,
        }
    }

    /// Where to reach the stream that the camera names `said`. None when it is no RTSP.
    pub fn stream(&self, said: &Url) -> Option<Corrected<Stream>> {
        if said.scheme() != "rtsp" || !said.has_host() {
            return None;
        }
        let mut path = match said.path() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        if let Some(query) = said.query() {
            path.push('?');
            path.push_str(query);
        }
        let (path, password_removed) = without_passwords(&path);
        Some(Corrected {
            used: Stream {
                host: SocketAddr::new(self.host, said.port().unwrap_or(RTSP_PORT)),
                path,
                password_removed,
            },
            wrong_host: self.wrong_host(said),
        })
    }

    fn wrong_host(&self, said: &Url) -> Option<String> {
        let wrong = host_address(said) != Some(self.host);
        wrong.then(|| crate::xml::label(said.host_str().unwrap_or_default()))
    }
}

fn authority(url: &Url) -> (Option<&str>, Option<u16>) {
    (url.host_str(), url.port_or_known_default())
}

/// Replaces the values of parameters that are named like passwords. Some makers put the login into the path, as in
/// `/user=admin&password=x&channel=1.sdp`, with `_` in the place of `&` in some versions.
pub fn without_passwords(path: &str) -> (String, bool) {
    const NAMES: [&str; 5] = ["password=", "passwd=", "passwort=", "pass=", "pwd="];
    let lower = path.to_ascii_lowercase();
    let first = |from: usize| {
        let rest = lower.get(from..)?;
        let found = NAMES
            .iter()
            .filter_map(|name| Some(rest.find(name)? + name.len()))
            .min()?;
        Some(from + found)
    };
    let mut shown = String::with_capacity(path.len());
    let mut copied = 0;
    let mut removed = false;
    while let Some(value) = first(copied) {
        shown.push_str(path.get(copied..value).unwrap_or_default());
        let rest = path.get(value..).unwrap_or_default();
        let length = rest.find(['&', '_', ';', '/', '?', '#']).unwrap_or(rest.len());
        if length > 0 {
            shown.push_str(PASSWORD_REMOVED);
            removed = true;
        }
        copied = value + length;
    }
    shown.push_str(path.get(copied..).unwrap_or_default());
    (shown, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached() -> Reached {
        Reached::new("http://10.0.0.9:8080/onvif/device_service".parse().unwrap()).unwrap()
    }

    fn service(reached: &Reached, said: &str) -> (String, Option<String>) {
        let corrected = reached.service(&said.parse().unwrap());
        (corrected.used.to_string(), corrected.wrong_host)
    }

    #[test]
    fn a_right_address_stays_and_loses_only_its_login() {
        let right = ("http://10.0.0.9:8000/onvif/media?x=1".to_owned(), None);
        assert_eq!(service(&reached(), "http://10.0.0.9:8000/onvif/media?x=1"), right);
        assert_eq!(
            service(&reached(), "http://admin:secret@10.0.0.9:8000/onvif/media?x=1"),
            right
        );
    }

    #[test]
    fn a_wrong_host_is_replaced_by_the_one_that_was_reached() {
        for host in ["0.0.0.0", "192.168.1.64", "[fe80::1]", "camera.local"] {
            let (used, wrong) = service(&reached(), &format!("http://{host}:8000/onvif/media"));
            assert_eq!(used, "http://10.0.0.9:8000/onvif/media");
            assert_eq!(wrong.as_deref(), Some(host));
        }
    }

    #[test]
    fn behind_a_forwarded_port_a_service_beside_the_device_service_takes_the_port_that_was_reached() {
        let mut reached = reached();
        reached.set_said(Some("http://192.168.1.64/onvif/device_service".parse().unwrap()));
        let (used, _) = service(&reached, "http://192.168.1.64:80/onvif/media");
        assert_eq!(used, "http://10.0.0.9:8080/onvif/media");
        let (used, _) = service(&reached, "http://192.168.1.64:8899/onvif/media");
        assert_eq!(used, "http://10.0.0.9:8899/onvif/media");
    }

    #[test]
    fn a_service_that_is_named_with_https_is_tried_where_plain_http_worked() {
        assert_eq!(
            service(&reached(), "https://10.0.0.9/onvif/media").0,
            "http://10.0.0.9:8080/onvif/media"
        );
    }

    #[test]
    fn a_stream_has_a_port_and_a_path_and_no_login() {
        let stream = |said: &str| reached().stream(&said.parse().unwrap());
        let corrected = stream("rtsp://admin:secret@192.168.1.64/cam/realmonitor?channel=1&subtype=1").unwrap();
        assert_eq!(corrected.used.host.to_string(), "10.0.0.9:554");
        assert_eq!(corrected.used.path, "/cam/realmonitor?channel=1&subtype=1");
        assert_eq!(corrected.wrong_host.as_deref(), Some("192.168.1.64"));
        assert_eq!(stream("rtsp://10.0.0.9:8554").unwrap().used.path, "/");
        assert_eq!(stream("http://10.0.0.9/live"), None);
        assert_eq!(stream("rtsp:live"), None);
    }

    #[test]
    fn a_password_in_the_path_is_taken_out() {
        let without = |path: &str| without_passwords(path).0;
        assert_eq!(
            without("/user=a_password=tlJw_channel=1.sdp"),
            "/user=a_password=REMOVED_channel=1.sdp"
        );
        assert_eq!(
            without("/live?PassWD=x&pwd=&pass=y"),
            "/live?PassWD=REMOVED&pwd=&pass=REMOVED"
        );
        assert_eq!(
            without_passwords("/Streaming/Channels/101"),
            ("/Streaming/Channels/101".to_owned(), false)
        );
    }
}
