//! The TLS connection to the city's broker, made by ourselves and offered to the MQTT client as a Unix socket.
//!
//! Why not the MQTT library's own TLS: it pulls an old certificate verifier, and a dialer of our own counts bytes as
//! they cross the TCP connection and can choose a network interface.
//!
//! One connection at a time: whoever connects to the socket gets a fresh TCP connection with TLS 1.2 or 1.3 and mutual
//! authentication; when either side closes, both are closed. The socket lies in a folder that only this user can enter.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// Longest time for name look-up, TCP and TLS together.
const DIAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Why the dialer cannot work, or could not connect.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// A file of the identity cannot be used.
    #[error(
        "{what} {path}: {reason}\n  hint: `gateway keygen` makes the key, the city's `kominfo box add` the certificate"
    )]
    Identity {
        /// Which.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The host is no name and no address.
    #[error("uplink.host \"{0}\" is neither a host name nor an address")]
    Host(String),
    /// The Unix socket could not be made.
    #[error("cannot make the socket {path} between MQTT client and dialer: {source}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// No TCP connection.
    #[error("no TCP connection to {target}: {source}; is the link up, is the address right?")]
    Tcp {
        /// Host and port.
        target: String,
        /// What happened.
        source: io::Error,
    },
    /// No TLS session.
    #[error("no TLS session with {target}: {source}; check certificates and this box's clock")]
    Tls {
        /// Host and port.
        target: String,
        /// What happened.
        source: io::Error,
    },
    /// It took too long.
    #[error("{target} did not answer within {} s", DIAL_TIMEOUT.as_secs())]
    Timeout {
        /// Host and port.
        target: String,
    },
}

/// Who the box is towards the broker, and whom it trusts.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Certificate authorities that may vouch for the broker, PEM.
    pub ca_file: PathBuf,
    /// The box's certificate chain, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub private_key_file: PathBuf,
}

impl Identity {
    /// TLS as this box speaks it: its own certificate, the city's authority.
    pub fn tls(&self) -> Result<rustls::ClientConfig, DialError> {
        let wrong = |what, path: &Path, reason: String| DialError::Identity {
            what,
            path: path.to_owned(),
            reason,
        };
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates("certificate authorities", &self.ca_file)? {
            roots
                .add(certificate)
                .map_err(|e| wrong("certificate authorities", &self.ca_file, e.to_string()))?;
        }
        let chain = certificates("certificate", &self.certificate_file)?;
        let key = PrivateKeyDer::from_pem_file(&self.private_key_file)
            .map_err(|e| wrong("private key", &self.private_key_file, e.to_string()))?;
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong("TLS versions for", &self.certificate_file, e.to_string()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|e| wrong("certificate and key", &self.certificate_file, e.to_string()))
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, DialError> {
    let wrong = |reason: String| DialError::Identity {
        what,
        path: path.to_owned(),
        reason,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|e| wrong(e.to_string()))?
        .collect();
    let found = found.map_err(|e| wrong(e.to_string()))?;
    if found.is_empty() {
        Err(wrong("holds no PEM certificate".to_owned()))
    } else {
        Ok(found)
    }
}

/// Bytes that crossed the TCP connections, and the last failure to make one.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Traffic {
    /// Bytes sent since start, TLS included, TCP and IP headers not.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes received since start, TLS included, TCP and IP headers not.
    pub fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Takes the reason of the last failure to connect.
    pub fn take_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: &impl ToString) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }
}

/// The dialer: bound to its socket, not yet running.
#[derive(Debug)]
pub struct Dialer {
    listener: UnixListener,
    socket: PathBuf,
    host: String,
    port: u16,
    name: ServerName<'static>,
    identity: Identity,
    traffic: Arc<Traffic>,
}

impl Dialer {
    /// Checks the identity and binds the socket in `folder`, which is made for this user alone.
    pub fn bind(folder: &Path, host: &str, port: u16, identity: Identity) -> Result<Self, DialError> {
        identity.tls()?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| DialError::Host(host.to_owned()))?;
        let socket = folder.join("uplink.sock");
        let listener = bind_private(folder, &socket).map_err(|source| DialError::Socket {
            path: socket.clone(),
            source,
        })?;
        Ok(Self {
            listener,
            socket,
            host: host.to_owned(),
            port,
            name,
            identity,
            traffic: Arc::default(),
        })
    }

    /// Where the MQTT client connects.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The byte counters.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Serves connections one after another until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        loop {
            let near = tokio::select! {
                () = cancel.cancelled() => return,
                accepted = self.listener.accept() => match accepted {
                    Ok((near, _)) => near,
                    Err(error) => {
                        self.traffic.note(&error);
                        continue;
                    }
                },
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                outcome = self.serve(near) => if let Err(error) = outcome {
                    tracing::debug!(%error, "uplink connection ended");
                    self.traffic.note(&error);
                },
            }
        }
    }

    async fn serve(&self, mut near: UnixStream) -> Result<(), DialError> {
        let target = format!("{}:{}", self.host, self.port);
        // The identity is read for every connection, so that a renewed certificate needs no restart.
        let connector = TlsConnector::from(Arc::new(self.identity.tls()?));
        let dial = async {
            let tcp = TcpStream::connect((self.host.as_str(), self.port))
                .await
                .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp))
                .map_err(|source| DialError::Tcp {
                    target: target.clone(),
                    source,
                })?;
            let counted = Counted {
                tcp,
                traffic: Arc::clone(&self.traffic),
            };
            connector
                .connect(self.name.clone(), counted)
                .await
                .map_err(|source| DialError::Tls {
                    target: target.clone(),
                    source,
                })
        };
        let far = timeout(DIAL_TIMEOUT, dial)
            .await
            .map_err(|_| DialError::Timeout { target: target.clone() })??;
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = tokio::io::split(far);
        // Whichever side ends first ends both: a broker that went silent must not hold the place of the next connection.
        let ended = tokio::select! {
            ended = tokio::io::copy(&mut near_read, &mut far_write) => ended,
            ended = tokio::io::copy(&mut far_read, &mut near_write) => ended,
        };
        ended.map(|_| ()).map_err(|source| DialError::Tls { target, source })
    }
}

fn bind_private(folder: &Path, socket: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(socket)
}

/// A TCP stream that counts.
struct Counted {
    tcp: TcpStream,
    traffic: Arc<Traffic>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(context, buffer))?;
        self.traffic
            .received
            .fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write(context, bytes))?;
        self.traffic.sent.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
