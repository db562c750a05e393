//! Made-up ONVIF cameras on loopback addresses, and a network that carries Probes to them.

// Every test program compiles this file and uses its own part of it.
#![allow(dead_code)]

pub mod replies;
mod server;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gateway::cameras::discovery::{
    Credentials, Found, FoundProfile, Interface, Interfaces, Now, Options, Report, discover,
};
use jiff::{SignedDuration, Timestamp};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use replies::Profile;

/// The user whom every camera knows.
pub const USER: &str = "operator";
/// Its password.
pub const PASSWORD: &str = "kata & sandi";

/// How long tests listen for answers: for two of the three rounds of Probes.
pub const LISTEN: Duration = Duration::from_secs(1);
/// How long a request may take, where that is not what is tested.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The time at which every test happens.
pub fn present() -> Timestamp {
    "2026-11-22T03:04:05Z".parse().unwrap()
}

/// A clock that stands still.
pub fn clock() -> Now {
    Arc::new(present)
}

/// The right user and password.
pub fn credentials() -> Credentials {
    Credentials {
        user: USER.into(),
        password: PASSWORD.into(),
    }
}

/// What a camera wants before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    None,
    /// A `UsernameToken`, refused with a fault.
    Token,
    /// A `UsernameToken` even for the time.
    TokenAlways,
    /// HTTP Digest.
    Digest,
    /// HTTP Digest with a nonce that is good for one request.
    DigestOnce,
    /// HTTP Basic.
    Basic,
}

/// How a camera misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    None,
    /// Every reply is cut in the middle.
    Malformed,
    /// Replies take longer than any patience.
    Slow,
    /// Replies never end.
    Huge,
    /// Every request but the one for the time ends in a fault.
    Fault,
    /// It knows `GetCapabilities` only.
    NoServices,
    /// It has Media2, which gives a fault.
    BrokenMedia2,
    /// It names an entity in a document type definition.
    Entities,
    /// It sends elsewhere.
    Redirect,
}

/// How a camera is made.
#[derive(Debug, Clone)]
pub struct Settings {
    pub address: Ipv4Addr,
    pub auth: Auth,
    pub quirk: Quirk,
    pub clock_offset: SignedDuration,
    /// What it gives as its own host; None for the right one.
    pub says_host: Option<String>,
    /// What it gives as the port of its services; None for the right one.
    pub says_port: Option<u16>,
    pub media2: bool,
    pub profiles: Vec<Profile>,
    pub manufacturer: String,
    pub name: String,
    pub endpoint: String,
    /// Prefixes that were never declared, in the place of the usual ones.
    pub odd_prefixes: bool,
    /// What stands before the host in stream addresses, and the path's beginning.
    pub stream_login: String,
    pub stream_path: String,
}

impl Settings {
    /// A camera that does all well, with the last byte of its loopback address.
    pub fn sound(last: u8) -> Self {
        Self {
            address: Ipv4Addr::new(127, 0, 77, last),
            auth: Auth::None,
            quirk: Quirk::None,
            clock_offset: SignedDuration::ZERO,
            says_host: None,
            says_port: None,
            media2: false,
            profiles: vec![Profile::main(), Profile::sub()],
            manufacturer: "Kamera Nusantara".into(),
            name: format!("Gerbang {last}"),
            endpoint: format!("urn:uuid:00000000-0000-4000-8000-0000000000{last:02x}"),
            odd_prefixes: false,
            stream_login: String::new(),
            stream_path: "/live".into(),
        }
    }
}

/// A camera that runs.
pub struct Camera {
    pub settings: Settings,
    pub port: u16,
    /// Requests that carried a proof of the password.
    pub proofs: Arc<AtomicU32>,
    /// All requests.
    pub requests: Arc<AtomicU32>,
    server: JoinHandle<()>,
}

impl Camera {
    pub async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind((settings.address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (proofs, requests) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let state = server::State {
            settings: settings.clone(),
            port,
            proofs: proofs.clone(),
            requests: requests.clone(),
            nonce: AtomicU32::new(0),
        };
        let server = tokio::spawn(async move {
            axum::serve(listener, server::router(state)).await.unwrap();
        });
        Self {
            settings,
            port,
            proofs,
            requests,
            server,
        }
    }

    pub fn address(&self) -> IpAddr {
        self.settings.address.into()
    }

    pub fn proofs(&self) -> u32 {
        self.proofs.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Its answer to a Probe.
    pub fn answer(&self) -> String {
        let host = self
            .settings
            .says_host
            .clone()
            .unwrap_or_else(|| self.settings.address.to_string());
        replies::probe_matches(&self.settings, &host, self.port)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What carries Probes to cameras, in the place of multicast: one address, behind which each camera answers from its
/// own.
pub struct Network {
    pub target: SocketAddr,
    /// Probes that came in.
    pub probes: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Network {
    /// Answers every Probe with each of `answers`: from which address, and what.
    pub async fn start(answers: Vec<(Ipv4Addr, Vec<u8>)>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let target = socket.local_addr().unwrap();
        let probes = Arc::new(AtomicU32::new(0));
        let counted = probes.clone();
        let task = tokio::spawn(async move {
            let mut cameras = Vec::new();
            for (from, answer) in answers {
                cameras.push((UdpSocket::bind((from, 0)).await.unwrap(), answer));
            }
            let mut packet = vec![0; 65_536];
            loop {
                let (length, from) = socket.recv_from(&mut packet).await.unwrap();
                let probe = std::str::from_utf8(&packet[..length]).unwrap();
                assert!(probe.contains("/discovery/Probe</a:Action>"), "{probe}");
                counted.fetch_add(1, Ordering::SeqCst);
                for (camera, answer) in &cameras {
                    camera.send_to(answer, from).await.unwrap();
                }
            }
        });
        Self { target, probes, task }
    }

    /// One that the `cameras` are in.
    pub async fn of(cameras: &[&Camera]) -> Self {
        let answers = cameras
            .iter()
            .map(|camera| (camera.settings.address, camera.answer().into_bytes()));
        Self::start(answers.collect()).await
    }

    /// What finds all that is in it.
    pub fn options(&self) -> Options {
        Options {
            interfaces: Interfaces::These(vec![Interface::Address(Ipv4Addr::LOCALHOST)]),
            hosts: Vec::new(),
            credentials: Some(credentials()),
            listen: LISTEN,
            request_timeout: PATIENCE,
            target: self.target,
            http_ports: Vec::new(),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The clock on the wall, for cameras that have it too.
#[allow(clippy::disallowed_methods)] // the test stands for the city's clock, which the box would have
pub fn wall_clock() -> Now {
    Arc::new(Timestamp::now)
}

/// Looks for cameras at the time of the tests.
pub async fn discovered(options: &Options) -> Report {
    discover(options, &clock()).await.unwrap()
}

/// Starts a camera and finds it by a Probe.
pub async fn found(settings: Settings) -> (Camera, Found) {
    found_with(settings, Some(credentials())).await
}

/// The same, with other user and password.
pub async fn found_with(settings: Settings, credentials: Option<Credentials>) -> (Camera, Found) {
    let (cameras, found) = all_found(vec![settings], credentials).await;
    (cameras.into_iter().next().unwrap(), found.into_iter().next().unwrap())
}

/// Starts cameras, whose addresses rise, and finds each.
pub async fn all_found(settings: Vec<Settings>, credentials: Option<Credentials>) -> (Vec<Camera>, Vec<Found>) {
    let mut cameras = Vec::new();
    for settings in settings {
        cameras.push(Camera::start(settings).await);
    }
    let network = Network::of(&cameras.iter().collect::<Vec<_>>()).await;
    let options = Options {
        credentials,
        ..network.options()
    };
    let report = discovered(&options).await;
    assert_eq!(report.found.len(), cameras.len(), "{report:?}");
    (cameras, report.found)
}

/// The path of a profile's stream.
pub fn path(profile: Option<&FoundProfile>) -> String {
    profile.unwrap().stream.as_ref().unwrap().path.clone()
}
