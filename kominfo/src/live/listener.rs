//! The listener for boxes: TCP, then mutual TLS, with bounds.
//!
//! Handshakes run beside each other, so that one that hangs holds up no other, and before they are through, a caller
//! takes no place of a box. A connection that has not become a WebSocket in time is dropped.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use parking::GatewayId;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use super::ready::READY_BOXES_MAX;
use super::relay::STREAMS_MAX;

/// Boxes' connections at once, those that wait for a stream too. A further one is closed after its handshake; the box tries
/// again.
pub(super) const CONNECTIONS_MAX: usize = STREAMS_MAX + READY_BOXES_MAX;
/// Handshakes at once. More callers wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 32;
/// How long TLS may take; then the caller is dropped.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// How long a caller may take to become a WebSocket; then it is dropped.
const REQUEST_WAIT: Duration = Duration::from_secs(10);
/// Pause after the kernel refused to accept (too many files).
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Who is calling, as the handler sees it.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The certificate's common name, if that can be a box.
    pub(super) gateway: Option<GatewayId>,
    /// Where from.
    pub(super) address: SocketAddr,
    stays: Arc<AtomicBool>,
}

impl Caller {
    /// The connection may last from now on.
    pub(super) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        let (_, tls) = stream.io().stream.get_ref();
        let certificate = tls.peer_certificates().and_then(<[_]>::first);
        Self {
            gateway: certificate.and_then(|certificate| common_name(certificate)),
            address: *stream.remote_addr(),
            stays: Arc::clone(&stream.io().stays),
        }
    }
}

/// The box that a certificate is of. That the authority signed it was verified in the handshake.
fn common_name(certificate: &[u8]) -> Option<GatewayId> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?;
    if names.next().is_some() {
        return None;
    }
    GatewayId::new(name).ok()
}

/// See the module's head.
pub(super) struct TlsListener {
    ready: mpsc::Receiver<(BoxStream, SocketAddr)>,
    address: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl TlsListener {
    pub(super) fn new(tcp: TcpListener, config: ServerConfig) -> io::Result<Self> {
        let address = tcp.local_addr()?;
        let (sender, ready) = mpsc::channel(1);
        let accepting = accept(tcp, TlsAcceptor::from(Arc::new(config)), sender);
        Ok(Self {
            ready,
            address,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
        })
    }
}

async fn accept(tcp: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<(BoxStream, SocketAddr)>) {
    let (handshakes, places) = (
        Arc::new(Semaphore::new(HANDSHAKES_MAX)),
        Arc::new(Semaphore::new(CONNECTIONS_MAX)),
    );
    loop {
        // Never closed; if it were, nothing could be accepted.
        let Ok(handshake) = Arc::clone(&handshakes).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match tcp.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a box");
                sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let (acceptor, ready, places) = (acceptor.clone(), ready.clone(), Arc::clone(&places));
        tokio::spawn(async move {
            let shaken = timeout(HANDSHAKE_WAIT, acceptor.accept(stream)).await;
            drop(handshake);
            let stream = match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "a caller was refused"),
                Err(_) => return tracing::debug!(%peer, "a caller was too slow"),
            };
            let Ok(place) = places.try_acquire_owned() else {
                return tracing::warn!(%peer, max = CONNECTIONS_MAX, "no place for a further box");
            };
            let stream = BoxStream {
                stream,
                death: Box::pin(sleep(REQUEST_WAIT)),
                stays: Arc::default(),
                _place: place,
            };
            // Fails when nobody listens any more.
            ready.send((stream, peer)).await.unwrap_or_default();
        });
    }
}

impl Listener for TlsListener {
    type Io = BoxStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoxStream, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A box's connection; ends by itself unless it becomes a WebSocket.
pub(super) struct BoxStream {
    stream: TlsStream<TcpStream>,
    death: Pin<Box<Sleep>>,
    stays: Arc<AtomicBool>,
    _place: OwnedSemaphorePermit,
}

impl BoxStream {
    fn check_life(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.stays.load(Ordering::Relaxed) || self.death.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "no WebSocket came of it in time",
        ))
    }
}

impl AsyncRead for BoxStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_life(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BoxStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_life(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_life(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
