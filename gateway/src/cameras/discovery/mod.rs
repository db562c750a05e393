//! Finds ONVIF cameras for a technician who sets up a box.
//!
//! Multicast Probes through the chosen interfaces, and questions to the hosts that were named, find the cameras
//! (`sweep`, `probe`). Each is asked over HTTP what it is and what it offers (`inspect`), and the result is shown as a
//! table and as sections for the configuration (`render`). Nothing is written to a camera, and nothing is sent to an
//! address that neither answered a Probe nor was named.
//!
//! Foreign bytes pass `xml`, which bounds them, then `device`, `media`, `probe`, which keep what is needed, bounded
//! and fit to be shown. The password leaves the box only as a digest, and at most once while the camera has not
//! accepted it (`login`). Addresses that cameras give for themselves are corrected by `address`.
//!
//! Limits: [`CAMERAS_AT_ONCE_MAX`] cameras are asked at the same time; each module tells its own.
//!
//! What it cannot find: cameras that speak only IPv6, HTTPS, or no ONVIF; cameras in another network, unless named; and
//! any camera while a firewall on the box drops UDP from port 3702.

mod address;
mod client;
pub mod device;
mod found;
mod inspect;
mod login;
pub mod media;
pub mod probe;
mod render;
mod soap;
mod sweep;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use url::Url;

pub use address::{Stream, without_passwords};
pub use client::{Now, REPLY_BYTES_MAX, RequestError};
pub use found::{Finding, Found, FoundProfile, Problem};
pub use login::LoginError;
pub use render::{config_sections, table};
pub use soap::Credentials;
pub use sweep::{Interface, Interfaces, MULTICAST_TARGET, SweepError};

use address::Reached;
use client::{Client, http_client};
use device::{GET_TIME, parse_time};
use inspect::inspect;
use probe::{Answer, Counters, Scopes};
use sweep::{Swept, sweep};

/// Most cameras that are asked at the same time. The others wait.
const CAMERAS_AT_ONCE_MAX: usize = 8;
/// Most hosts that can be named. Those after it are left out.
const HOSTS_MAX: usize = 256;
/// The ports on which makers have their device service: most; many cheap ones; XM; TP-Link; Reolink and others.
pub const HTTP_PORTS: [u16; 5] = [80, 8080, 8899, 2020, 5000];
/// The path of the device service (ONVIF Core 5.3).
const DEVICE_SERVICE_PATH: &str = "/onvif/device_service";

/// What to look for, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where Probes leave by multicast.
    pub interfaces: Interfaces,
    /// Hosts to ask themselves.
    pub hosts: Vec<IpAddr>,
    /// User and password for the cameras.
    pub credentials: Option<Credentials>,
    /// How long answers to Probes are waited for.
    pub listen: Duration,
    /// How long one request to a camera may take.
    pub request_timeout: Duration,
    /// Where Probes go: [`MULTICAST_TARGET`].
    pub target: SocketAddr,
    /// On which ports a named host is asked: [`HTTP_PORTS`].
    pub http_ports: Vec<u16>,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// The cameras, by address.
    pub found: Vec<Found>,
    /// Named hosts on which no ONVIF was found.
    pub silent: Vec<IpAddr>,
    /// Interfaces and hosts that could not be asked.
    pub errors: Vec<SweepError>,
    /// What came in while probing.
    pub counters: Counters,
}

/// Why nothing could be looked for.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The HTTP client could not be made.
    #[error("cannot speak HTTP: {0}")]
    Http(#[from] reqwest::Error),
    /// No interface works and no host is named.
    #[error("there is nowhere to look\n  hint: name an interface with --interface, or cameras with --host")]
    Nowhere(Vec<SweepError>),
}

/// One camera to ask.
struct Candidate {
    reached: Reached,
    scopes: Scopes,
    shared_endpoint: bool,
}

/// Looks for cameras, and asks each what it is.
pub async fn discover(options: &Options, now: &Now) -> Result<Report, DiscoverError> {
    let http = http_client(options.request_timeout)?;
    let mut hosts = options.hosts.clone();
    hosts.sort();
    hosts.dedup();
    hosts.truncate(HOSTS_MAX);
    let Swept {
        answers,
        counters,
        errors,
    } = sweep(&options.interfaces, &hosts, options.target, options.listen).await;
    if hosts.is_empty() && answers.is_empty() && counters.packets == 0 && !errors.is_empty() {
        return Err(DiscoverError::Nowhere(errors));
    }
    let mut candidates = candidates(&answers);
    hosts.retain(|host| candidates.iter().all(|known| known.reached.host() != *host));
    let (reached, silent) = knock_all(&http, hosts, &options.http_ports, now).await;
    candidates.extend(reached.into_iter().map(|reached| Candidate {
        reached,
        scopes: Scopes::default(),
        shared_endpoint: false,
    }));
    let mut found = inspect_all(&http, candidates, options, now).await;
    found.sort_by(|a, b| (a.address, &a.device_service).cmp(&(b.address, &b.device_service)));
    Ok(Report {
        found,
        silent,
        errors,
        counters,
    })
}

fn candidates(answers: &[Answer]) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for answer in answers {
        let Some(reached) = answer.device_service().and_then(Reached::new) else {
            continue;
        };
        // One device under two endpoint references, as after a restart between two rounds.
        if candidates
            .iter()
            .any(|known| known.reached.device_service() == reached.device_service())
        {
            continue;
        }
        let shares =
            |other: &&Answer| !other.device.endpoint.is_empty() && other.device.endpoint == answer.device.endpoint;
        candidates.push(Candidate {
            reached,
            scopes: answer.device.scopes.clone(),
            shared_endpoint: answers.iter().filter(shares).count() > 1,
        });
    }
    candidates
}

/// Asks each host for its time on each port, one after the other. Gives those that answered, and those that did not.
async fn knock_all(
    http: &reqwest::Client,
    hosts: Vec<IpAddr>,
    ports: &[u16],
    now: &Now,
) -> (Vec<Reached>, Vec<IpAddr>) {
    let knocks = hosts.into_iter().map(|host| {
        let client = Client::new(http.clone(), None, now.clone());
        let ports = ports.to_vec();
        async move { (host, knock(client, host, &ports).await) }
    });
    let (mut reached, mut silent) = (Vec::new(), Vec::new());
    for (host, answer) in some_at_once(knocks).await {
        match answer {
            Some(at) => reached.push(at),
            None => silent.push(host),
        }
    }
    silent.sort();
    (reached, silent)
}

async fn knock(mut client: Client, host: IpAddr, ports: &[u16]) -> Option<Reached> {
    for port in ports {
        let address = SocketAddr::new(host, *port);
        let url = Url::parse(&format!("http://{address}{DEVICE_SERVICE_PATH}")).ok()?;
        let speaks_onvif = match client.call(&url, GET_TIME).await {
            Ok(root) => parse_time(&root).is_some(),
            // Some want a login even for this, or say in SOAP why they do not answer.
            Err(RequestError::Login(_) | RequestError::Fault { .. }) => true,
            Err(_) => false,
        };
        if speaks_onvif {
            return Reached::new(url);
        }
    }
    None
}

async fn inspect_all(http: &reqwest::Client, candidates: Vec<Candidate>, options: &Options, now: &Now) -> Vec<Found> {
    let inspections = candidates.into_iter().map(|candidate| {
        let client = Client::new(http.clone(), options.credentials.clone(), now.clone());
        inspect_one(client, candidate)
    });
    some_at_once(inspections).await
}

/// Runs `futures`, at most [`CAMERAS_AT_ONCE_MAX`] at the same time. The results come in no order.
async fn some_at_once<F>(mut futures: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut results = Vec::new();
    let mut running = JoinSet::new();
    loop {
        while running.len() < CAMERAS_AT_ONCE_MAX
            && let Some(future) = futures.next()
        {
            running.spawn(future);
        }
        match running.join_next().await {
            None => return results,
            Some(Ok(result)) => results.push(result),
            Some(Err(error)) => pass_on_panic(error),
        }
    }
}

/// A task ends early only by a panic, which must not hide a camera.
fn pass_on_panic(error: tokio::task::JoinError) {
    if let Ok(panic) = error.try_into_panic() {
        std::panic::resume_unwind(panic);
    }
}

async fn inspect_one(client: Client, candidate: Candidate) -> Found {
    let Candidate {
        reached,
        scopes,
        shared_endpoint,
    } = candidate;
    let mut found = Found::new(reached.host(), reached.device_service().clone(), scopes);
    if shared_endpoint {
        found.problems.push(Problem::SharedEndpoint);
    }
    inspect(client, reached, &mut found).await;
    found
}
