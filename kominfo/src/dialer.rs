//! The way to the broker: TCP with mutual TLS, offered to the MQTT client as a local socket.
//!
//! The client library's own TLS is not used: it brings an outdated certificate library. Instead the dialer listens on a
//! Unix socket in Linux' abstract namespace (nothing to clean up on disk), takes connections of this very process only,
//! and joins each to a fresh connection to the broker. What went wrong is kept for [`Dialer::last_error`], as the client
//! library sees no more than a closed socket.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand_core::{OsRng, RngCore as _};
use rustls::pki_types::ServerName;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::tls;
pub use crate::tls::{TlsError, TlsFiles};

/// How long the broker may take to accept a connection, and again to complete TLS.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const PORT_TLS: u16 = 8_883;
const PORT_PLAIN: u16 = 1_883;

/// Why there is no way to the broker.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address is none.
    #[error("broker address \"{0}\": use mqtts://HOST[:PORT], or mqtt://127.0.0.1[:PORT] for a broker on this machine")]
    Address(String),
    /// Plain MQTT would go over a network.
    #[error("broker address \"{0}\": without TLS only an address of this machine (127.0.0.1) is allowed; use mqtts://")]
    Plain(String),
    /// TLS is asked for, but not all files are given.
    #[error("broker address \"{0}\" needs --ca, --cert and --key: see `kominfo pki init`")]
    FilesMissing(String),
    /// The files for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The local socket cannot be made.
    #[error("cannot make a local socket for the way to the broker: {0}")]
    Socket(#[from] io::Error),
}

/// Where the broker is and how to speak to it.
#[derive(Clone)]
pub struct Target {
    address: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    /// Reads a broker's address and, for `mqtts`, the files.
    pub fn new(address: &str, files: Option<TlsFiles<'_>>) -> Result<Self, DialError> {
        let bad = || DialError::Address(address.to_owned());
        let (scheme, rest) = address.split_once("://").ok_or_else(bad)?;
        let port_default = match scheme {
            "mqtts" => PORT_TLS,
            "mqtt" => PORT_PLAIN,
            _ => return Err(bad()),
        };
        let (host, port) = split_port(rest.trim_end_matches('/'), port_default).ok_or_else(bad)?;
        let tls = if scheme == "mqtts" {
            let files = files.ok_or_else(|| DialError::FilesMissing(address.to_owned()))?;
            let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
            Some((TlsConnector::from(Arc::new(tls::client(files)?)), name))
        } else {
            if !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
                return Err(DialError::Plain(address.to_owned()));
            }
            None
        };
        Ok(Self {
            address: address.to_owned(),
            host,
            port,
            tls,
        })
    }

    /// The address, for messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    async fn join(&self, mut local: UnixStream) -> io::Result<()> {
        let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer");
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let mut tcp = tokio::time::timeout(CONNECT_WAIT, connect).await.map_err(timed_out)??;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => copy_bidirectional(&mut local, &mut tcp).await?,
            Some((connector, name)) => {
                let connect = connector.connect(name.clone(), tcp);
                let mut tls = tokio::time::timeout(CONNECT_WAIT, connect).await.map_err(timed_out)??;
                copy_bidirectional(&mut local, &mut tls).await?
            }
        };
        Ok(())
    }
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(text: &str, port_default: u16) -> Option<(String, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = match after.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if after.is_empty() => port_default,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, port_default),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// A local socket that leads to the broker while this value lives.
pub struct Dialer {
    name: String,
    last_error: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Dialer {
    /// Opens the local socket. The broker is called when somebody connects to it.
    pub fn open(target: Target) -> Result<Self, DialError> {
        // A path that starts with a zero byte is a name in the abstract namespace.
        let name = format!("\0kominfo-{}-{:016x}", std::process::id(), OsRng.next_u64());
        let listener = UnixListener::bind(&name)?;
        let last_error = Arc::new(Mutex::new(None));
        let task = tokio::spawn(listen(listener, target, Arc::clone(&last_error)));
        Ok(Self { name, last_error, task })
    }

    /// The socket's path, for the MQTT client.
    pub fn path(&self) -> &str {
        &self.name
    }

    /// What last went wrong on the way to the broker, once.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().ok()?.take()
    }
}

impl Drop for Dialer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: UnixListener, target: Target, last_error: Arc<Mutex<Option<String>>>) {
    let own_process = i32::try_from(std::process::id()).ok();
    // The one connection that counts: a client that connects again has given the one before up.
    let mut joined = tokio::task::JoinSet::new();
    while let Ok((local, _)) = listener.accept().await {
        if local.peer_cred().ok().and_then(|peer| peer.pid()) != own_process {
            continue;
        }
        joined.abort_all();
        let (target, last_error) = (target.clone(), Arc::clone(&last_error));
        joined.spawn(async move {
            let result = target.join(local).await;
            if let (Err(error), Ok(mut last)) = (result, last_error.lock()) {
                *last = Some(error.to_string());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_mqtt_is_for_this_machine_only() {
        assert!(Target::new("mqtt://127.0.0.1:1883", None).is_ok());
        assert!(Target::new("mqtt://[::1]", None).is_ok());
        for far in ["mqtt://10.0.0.1", "mqtt://broker.example.id", "mqtt://0.0.0.0"] {
            assert!(matches!(Target::new(far, None), Err(DialError::Plain(_))), "{far}");
        }
    }

    #[test]
    fn an_address_that_is_none_says_what_one_looks_like() {
        for bad in [
            "",
            "broker",
            "tcp://broker",
            "mqtt://",
            "mqtt://host:port",
            "mqtt://[::1",
            "mqtt://[::1]x",
        ] {
            let error = Target::new(bad, None)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(error.contains("mqtts://HOST"), "{bad}: {error}");
        }
        assert!(matches!(
            Target::new("mqtts://broker", None),
            Err(DialError::FilesMissing(_))
        ));
    }
}
