//! A TCP listener with bounds: so many connections at once, and, if wanted, each only for so long. Small packets are not
//! held back: live view counts milliseconds.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// The listener.
pub(crate) struct BoundedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
    life_max: Option<Duration>,
}

impl BoundedListener {
    /// At most `connections_max` at once; more wait in the kernel's queue. Each ends after `life_max`, whatever it does:
    /// one that sends a byte a minute frees its place too.
    pub(crate) fn new(listener: TcpListener, connections_max: usize, life_max: Option<Duration>) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(connections_max)),
            life_max,
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
            death: self.life_max.map(|life| Box::pin(sleep(life))),
            _place: place,
        };
        (placed, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection in its place.
pub(crate) struct BoundedStream {
    stream: TcpStream,
    death: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl BoundedStream {
    fn check_life(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.death.as_mut().map(|death| death.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the connection lasted too long",
            )),
            Some(Poll::Pending) | None => Ok(()),
        }
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
