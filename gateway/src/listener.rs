//! A TCP listener with bounds: so many connections at once, each only for so long unless it is a live view, and an end
//! that waits for nobody for long. Small packets are not held back: live view counts milliseconds.

use std::future::IntoFuture as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// Longest life of a connection that is not said to [stay](Connection::stay).
const LIFE_MAX: Duration = Duration::from_mins(1);
/// How long requests that are under way may take when everything stops; then they are cut off.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// Serves on `listener` until `stop`, `connections_max` at once.
pub(crate) async fn serve(
    listener: TcpListener,
    connections_max: usize,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = BoundedListener::new(listener, connections_max);
    let service = router.into_make_service_with_connect_info::<Connection>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = serving.into_future() => served,
        // Somebody who never ends a request must not keep the journal from being closed.
        () = async { stop.cancelled().await; sleep(STOP_WAIT).await } => Ok(()),
    }
}

/// Answers a request and ends the connection: places are few, and nobody is cut off in the middle of a second request.
pub(crate) async fn close_after(mut response: Response) -> Response {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The connection of a request, as its handler sees it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Who is at its other end.
    pub(crate) peer: SocketAddr,
    stays: Arc<AtomicBool>,
}

impl Connection {
    /// It may last from now on.
    pub(crate) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self {
            peer: *stream.remote_addr(),
            stays: Arc::clone(&stream.io().stays),
        }
    }
}

/// The listener.
struct BoundedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl BoundedListener {
    /// At most `connections_max` at once; more wait in the kernel's queue. Each ends after [`LIFE_MAX`], whatever it
    /// does: one that sends a byte a minute frees its place too.
    fn new(listener: TcpListener, connections_max: usize) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(connections_max)),
        }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            // Never closed; if it were, nothing could be accepted.
            return std::future::pending().await;
        };
        // The kernel's errors (too many files) are waited out by the listener of axum.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "small packets may be held back");
        }
        let placed = BoundedStream {
            stream,
            death: Box::pin(sleep(LIFE_MAX)),
            stays: Arc::default(),
            _place: place,
        };
        (placed, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection in its place.
struct BoundedStream {
    stream: TcpStream,
    death: Pin<Box<Sleep>>,
    stays: Arc<AtomicBool>,
    _place: OwnedSemaphorePermit,
}

impl BoundedStream {
    fn check_life(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.stays.load(Ordering::Relaxed) || self.death.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the connection lasted too long",
        ))
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_life(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_life(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_life(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_life(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
