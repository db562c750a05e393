//! A poor link between a box and the city: a rate, a delay, and a queue before the bottleneck, for each direction.
//!
//! A TCP proxy. All connections over one link share its rate, in the order in which their bytes come, as behind a modem:
//!
//! ```text
//!  client -> PACKET_BYTES at a time -> queue, QUEUE_PACKETS -> bottleneck (rate) -> delay -> server
//! ```
//!
//! A full queue holds the sender back. Headers of IP and TCP count. A new connection waits for one round trip before
//! its first byte passes, as the kernel's own connection to the proxy has cost none.
//!
//! **What it is not.** TCP ends at the proxy: there is no loss, no slow start and no congestion control over the whole
//! way, and acknowledgements take no room. `netem` in a network namespace has all that, and needs root.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// Payload of a packet, bytes.
const PACKET_BYTES: usize = 1_400;
/// Headers of IPv4 and TCP with timestamps, bytes.
const HEADER_BYTES: usize = 52;
/// Packets that wait for the bottleneck in each direction, about 64 KiB. Full: whoever sends waits.
const QUEUE_PACKETS: usize = 46;
/// Kernel's buffers beside the proxy, bytes: small ones, so that the queue is where bytes wait.
const KERNEL_BUFFER_BYTES: usize = 8 * 1_024;

/// How good a link is, in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// Kilobits a second.
    pub kbit: u32,
    /// Delay of one direction.
    pub delay: Duration,
}

/// The two directions of a link. Tasks end when it is dropped; connections end with them.
#[derive(Debug)]
pub struct Link {
    quality: Quality,
    there: mpsc::Sender<Packet>,
    back: mpsc::Sender<Packet>,
    tasks: Vec<AbortOnDropHandle<()>>,
    counters: HashMap<SocketAddr, Arc<Counter>>,
}

/// What has gone over one of a link's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Connections ever made.
    pub dialled: u64,
    /// Connections that are open.
    pub open: u64,
    /// Bytes in both directions, headers of IP and TCP included; acknowledgements not.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Counter {
    dialled: AtomicU64,
    ended: AtomicU64,
    bytes: AtomicU64,
}

/// Bytes on their way; none: the end of the connection's direction.
#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    receiver: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
}

impl Link {
    /// A link that carries nothing yet.
    pub fn new(quality: Quality) -> Self {
        let (there, up) = mpsc::channel(QUEUE_PACKETS);
        let (back, down) = mpsc::channel(QUEUE_PACKETS);
        let bottleneck = |queue| AbortOnDropHandle::new(tokio::spawn(bottleneck(quality, queue)));
        Self {
            quality,
            there,
            back,
            tasks: vec![bottleneck(up), bottleneck(down)],
            counters: HashMap::new(),
        }
    }

    /// Opens a port on 127.0.0.1 that leads over the link to a server.
    pub async fn lead_to(&mut self, server: SocketAddr) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the link")?;
        // Connections inherit it.
        set_socket_recv_buffer_size(&listener, KERNEL_BUFFER_BYTES)?;
        let address = listener.local_addr()?;
        let (there, back, quality) = (self.there.clone(), self.back.clone(), self.quality);
        let counter = Arc::new(Counter::default());
        self.counters.insert(address, Arc::clone(&counter));
        let accepting = async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                counter.dialled.fetch_add(1, Ordering::Relaxed);
                let ways = (there.clone(), back.clone());
                let carried = carry(client, server, quality, ways, Arc::clone(&counter));
                let counter = Arc::clone(&counter);
                connections.spawn(async move {
                    // Its end is seen by both peers.
                    carried.await.ok();
                    counter.ended.fetch_add(1, Ordering::Relaxed);
                });
                while connections.try_join_next().is_some() {}
            }
        };
        self.tasks.push(AbortOnDropHandle::new(tokio::spawn(accepting)));
        Ok(address)
    }

    /// What has gone over the port that [`Link::lead_to`] opened.
    pub fn traffic(&self, port: SocketAddr) -> Option<Traffic> {
        let counter = self.counters.get(&port)?;
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        // Read first, so that no more have ended than were made.
        let ended = read(&counter.ended);
        let dialled = read(&counter.dialled);
        Some(Traffic {
            dialled,
            open: dialled.saturating_sub(ended),
            bytes: read(&counter.bytes),
        })
    }
}

/// Lets packets through one after the other, each as long as its bits take.
async fn bottleneck(quality: Quality, mut queue: mpsc::Receiver<Packet>) {
    let bits_a_second = f64::from(quality.kbit) * 1_000.0;
    let mut free_at = Instant::now();
    while let Some(Packet { bytes, receiver }) = queue.recv().await {
        #[allow(clippy::cast_precision_loss)] // a packet
        let bits = ((bytes.len() + HEADER_BYTES) * 8) as f64;
        free_at = free_at.max(Instant::now()) + Duration::from_secs_f64(bits / bits_a_second);
        sleep_until(free_at).await;
        // Whoever has left takes nothing more.
        receiver.send((free_at + quality.delay, bytes)).ok();
    }
}

async fn carry(
    client: TcpStream,
    server: SocketAddr,
    quality: Quality,
    (there, back): (mpsc::Sender<Packet>, mpsc::Sender<Packet>),
    counter: Arc<Counter>,
) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    set_socket_send_buffer_size(&client, KERNEL_BUFFER_BYTES)?;
    sleep(quality.delay * 2).await;
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    set_socket_recv_buffer_size(&server, KERNEL_BUFFER_BYTES)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::try_join!(
        direct(from_client, there, to_server, &counter),
        direct(from_server, back, to_client, &counter)
    )?;
    Ok(())
}

/// One direction of one connection.
async fn direct(
    mut from: OwnedReadHalf,
    queue: mpsc::Sender<Packet>,
    mut to: OwnedWriteHalf,
    counter: &Counter,
) -> anyhow::Result<()> {
    // What is under way in it has passed the bottleneck: at most the rate times the delay.
    let (receiver, mut arriving) = mpsc::unbounded_channel();
    let reading = async {
        loop {
            let mut bytes = vec![0; PACKET_BYTES];
            // A connection that was reset is at its end too.
            let length = from.read(&mut bytes).await.unwrap_or(0);
            bytes.truncate(length);
            let packet = u64::try_from(length + HEADER_BYTES)?;
            counter.bytes.fetch_add(packet, Ordering::Relaxed);
            let receiver = receiver.clone();
            queue.send(Packet { bytes, receiver }).await?;
            if length == 0 {
                return anyhow::Ok(());
            }
        }
    };
    let writing = async {
        while let Some((at, bytes)) = arriving.recv().await {
            sleep_until(at).await;
            if bytes.is_empty() {
                break;
            }
            to.write_all(&bytes).await?;
        }
        to.shutdown().await?;
        anyhow::Ok(())
    };
    tokio::try_join!(reading, writing).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, behind a link.
    async fn echo(quality: Quality) -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let mut link = Link::new(quality);
        let address = link.lead_to(address).await.unwrap();
        (link, TcpStream::connect(address).await.unwrap())
    }

    #[tokio::test]
    async fn bytes_come_back_whole_after_the_delays_and_at_the_rate() {
        let quality = Quality {
            kbit: 1_000,
            delay: Duration::from_millis(50),
        };
        let (link, stream) = echo(quality).await;
        let port = stream.peer_addr().unwrap();
        let sent: Vec<u8> = (0..50_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let begin = Instant::now();
        let (mut from, mut to) = stream.into_split();
        let bytes = sent.clone();
        let sending = tokio::spawn(async move {
            to.write_all(&bytes).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        from.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap();
        assert!(received == sent);
        let traffic = link.traffic(port).unwrap();
        assert_eq!(traffic.dialled, 1);
        assert!((100_000..110_000).contains(&traffic.bytes), "{traffic:?}");
        // 50 kB at 1 Mbit/s take 400 ms, headers 15; set-up and way there and back 200.
        assert!(begin.elapsed() >= Duration::from_millis(610), "{:?}", begin.elapsed());
    }
}
