//! A broker that lets anyone in, takes every message and never acknowledges one.
//!
//! No real broker can be made to do that, so it speaks just enough MQTT 5 over TLS: the answers to CONNECT, SUBSCRIBE
//! and PINGREQ.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const PINGREQ: u8 = 12;

/// Largest packet taken, bytes.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// What it has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Connections that got as far as CONNECT.
    pub connections: AtomicUsize,
    /// Messages taken and not acknowledged.
    pub publishes: AtomicUsize,
}

/// A running deaf broker; it ends when dropped.
#[derive(Debug)]
pub struct DeafBroker {
    /// What it has seen.
    pub seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl DeafBroker {
    /// Listens on `address` with the city broker's certificate.
    pub async fn start(address: SocketAddr, pki: &Path) -> anyhow::Result<Self> {
        let certificates = CertificateDer::pem_file_iter(pki.join("broker.crt"))?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(pki.join("broker.key"))?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(listen(listener, acceptor, Arc::clone(&seen)));
        Ok(Self { seen, task })
    }
}

impl Drop for DeafBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, acceptor: TlsAcceptor, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        connections.spawn(async move {
            // A client that goes away is what this broker is for.
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, &seen).await.unwrap_or_default();
            }
        });
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen) -> anyhow::Result<()> {
    loop {
        let kind = stream.read_u8().await? >> 4;
        let length = remaining_length(&mut stream).await?;
        anyhow::ensure!(length <= PACKET_BYTES_MAX, "a packet of {length} bytes");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        match kind {
            CONNECT => {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                stream.write_all(&[0x20, 3, 0, 0, 0]).await?;
            }
            SUBSCRIBE => {
                let granted = filters(&body).context("a malformed SUBSCRIBE")?;
                let mut answer = vec![0x90, u8::try_from(3 + granted)?, body[0], body[1], 0];
                answer.resize(answer.len() + granted, 1);
                stream.write_all(&answer).await?;
            }
            PINGREQ => stream.write_all(&[0xd0, 0]).await?,
            PUBLISH => {
                seen.publishes.fetch_add(1, Ordering::SeqCst);
            }
            _ => (),
        }
        stream.flush().await?;
    }
}

/// MQTT's variable byte integer.
async fn remaining_length(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<usize> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    anyhow::bail!("a length of more than four bytes")
}

/// How many filters a SUBSCRIBE asks for. Its properties are taken to be shorter than 128 bytes.
fn filters(body: &[u8]) -> Option<usize> {
    let properties = usize::from(*body.get(2)?);
    let mut rest = body.get(3 + properties..)?;
    let mut count = 0;
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        rest = rest.get(2 + length + 1..)?;
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_a_subscription_are_counted() {
        assert_eq!(filters(&[0, 1, 0, 0, 1, b'a', 1, 0, 2, b'b', b'c', 0]), Some(2));
        assert_eq!(filters(&[0, 1, 0, 0, 9, b'a', 1]), None);
    }

    #[tokio::test]
    async fn everything_is_answered_but_a_publish() {
        let (mut client, server) = tokio::io::duplex(1_000);
        let seen = Arc::new(Seen::default());
        let watched = Arc::clone(&seen);
        let serving = tokio::spawn(async move { serve(server, &watched).await.is_err() });
        let packets = [
            &[0x10, 0][..],
            &[0x32, 5, 0, 1, b'a', 0, 1],
            &[0x82, 7, 0, 2, 0, 0, 1, b'a', 1],
            &[0xc0, 0],
        ];
        client.write_all(&packets.concat()).await.unwrap();
        let mut answer = [0; 5 + 6 + 2];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0x20, 3, 0, 0, 0, 0x90, 4, 0, 2, 0, 1, 0xd0, 0]);
        assert_eq!(seen.publishes.load(Ordering::SeqCst), 1);
        drop(client);
        assert!(serving.await.unwrap());
    }
}
