//! Bytes on the TCP connection between box and city per session record: everything above TCP, both directions.
//!
//! Real sessions of a simulated street lie in a real journal; the gateway's own uplink sends them over mutual TLS to a
//! real Mosquitto with the shipped configuration, `kominfo serve` verifies, stores and answers. A proxy between
//! uplink and broker counts. One batch is in flight at a time, as on a street where sessions end now and then: every
//! batch has its own receipt.

#![allow(clippy::cast_precision_loss)] // figures are printed with a few digits

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use gateway::clock::Clock;
use gateway::journal::{Directory, Entry, EntryKind, Journal, Options, Storage};
use gateway::mqtt::Address;
use gateway::state::Board;
use gateway::uplink::Topics;
use gateway::uplink::batch::BatchLimits;
use gateway::uplink::dialer::{Dialer, Identity};
use gateway::uplink::lane::{LedgerLane, Receipted};
use gateway::uplink::link::{LinkStatus, Pace, ToEngine, Uplink, session_options};
use parking::Timestamp;
use tests::load::Sessions;
use tests::street::Street;
use tests::world::{City, Database, LOG_DOMAIN, enrol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Bytes on the wire per session record.
#[derive(Parser)]
struct Arguments {
    /// Batches sent at each size.
    #[arg(long, default_value_t = 50)]
    batches: u64,
    /// Seed of the simulated street.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Bytes a record at 20 a batch that are to be reached.
const GOAL_AT_20: u64 = 60;

/// Bytes that crossed the proxy.
#[derive(Default)]
struct Crossed {
    up: AtomicU64,
    down: AtomicU64,
}

impl Crossed {
    fn total(&self) -> (u64, u64) {
        (self.up.load(Ordering::SeqCst), self.down.load(Ordering::SeqCst))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!("seed {}, {} batches at each size", arguments.seed, arguments.batches);
    println!("records   payload     up   down   bytes a record   with connection");
    println!("a batch   B/record    B/record       (steady)       set-up included");
    let mut at_20 = 0;
    for size in [1, 5, 20, 100] {
        let measured = measure(&arguments, size).await?;
        let records = arguments.batches * size;
        let per = |bytes: u64| bytes as f64 / records as f64;
        let steady = measured.up + measured.down;
        println!(
            "{size:>7}   {:>8.1}   {:>5.1}  {:>5.1}   {:>14.1}   {:>15.1}",
            per(measured.payload),
            per(measured.up),
            per(measured.down),
            per(steady),
            per(steady + measured.set_up)
        );
        if size == 20 {
            at_20 = steady.div_ceil(records);
        }
    }
    println!("goal at 20 records a batch: at most {GOAL_AT_20} bytes a record; measured {at_20}");
    Ok(())
}

struct Measured {
    payload: u64,
    up: u64,
    down: u64,
    set_up: u64,
}

async fn measure(arguments: &Arguments, size: u64) -> anyhow::Result<Measured> {
    let folder = tempfile::Builder::new().prefix("parkir-wire-").tempdir()?;
    let street = Street::new("sudirman-01", 1, 40, 2)?;
    let city = City::start(folder.path(), Database::Sqlite, 1, false, None).await?;
    let keys = folder.path().join("keys");
    std::fs::create_dir_all(&keys)?;
    enrol(&city.pki, &city.database, &street.site.gateway, &keys)?;
    let crossed = Arc::new(Crossed::default());
    let port = proxy(city.broker.address, Arc::clone(&crossed)).await?;

    let options = Options {
        reserve_bytes: 0,
        ..Options::default()
    };
    let storage: Arc<dyn Storage> = Arc::new(Directory::open(folder.path().join("journal"))?);
    let (journal, _) = Journal::open(&options, &storage)?;
    let start: Timestamp = "2026-01-05T00:00:00+07:00".parse()?;
    let records: Vec<Vec<u8>> = Sessions::of(&street, arguments.seed, start)
        .take(usize::try_from(arguments.batches * size)?)
        .collect();
    let payload = records.iter().map(|record| record.len() as u64).sum();
    let journal = Arc::new(journal);
    let (engine, mut events) = mpsc::channel(64);
    let (uplink, dialer) = uplink(folder.path(), &keys, &street, &journal, port, size, engine)?;
    let cancel = CancellationToken::new();
    let dialing = tokio::spawn(dialer.run(cancel.clone()));
    let mut status = uplink.status.subscribe();
    let sending = tokio::spawn(uplink.run(cancel.clone()));
    status.wait_for(|status| status.online).await?;
    let (before_up, before_down) = crossed.total();
    for record in records {
        journal
            .append(&[Entry {
                kind: EntryKind::Record,
                bytes: record,
            }])
            .await?
            .await?;
    }
    let all = arguments.batches * size;
    tokio::time::timeout(Duration::from_secs(120), async {
        while let Some(event) = events.recv().await {
            if matches!(&event, ToEngine::Receipted(receipted) if receipted.size() == all) {
                break;
            }
        }
    })
    .await
    .with_context(|| format!("no receipt for all {all} records; see {}", folder.path().display()))?;
    tokio::time::sleep(Duration::from_millis(300)).await; // the last acknowledgements
    let (up, down) = crossed.total();
    cancel.cancel();
    dialing.await?;
    sending.await??;
    Ok(Measured {
        payload,
        up: up - before_up,
        down: down - before_down,
        set_up: before_up + before_down,
    })
}

fn uplink(
    folder: &std::path::Path,
    keys: &std::path::Path,
    street: &Street,
    journal: &Arc<Journal>,
    port: u16,
    size: u64,
    engine: mpsc::Sender<ToEngine>,
) -> anyhow::Result<(Uplink, Dialer)> {
    let read = |name: &str| std::fs::read_to_string(keys.join(name));
    let identity = Identity {
        ca_file: keys.join("ca.pem"),
        certificate_file: keys.join("tls.pem"),
        private_key_file: keys.join("tls.key"),
    };
    let id = &street.site.gateway;
    let topics = Topics::new(id);
    let dialer = Dialer::bind(&folder.join("run"), "localhost", port, identity)?;
    let cosigner = ledger::CosignerVerifier::from_vkey(read("kominfo.vkey")?.trim())?;
    let uplink = Uplink {
        session: session_options(
            Address::Unix(dialer.socket().to_owned()),
            id.as_str(),
            &topics,
            Duration::from_secs(60),
        ),
        topics,
        pace: Pace {
            batch: BatchLimits {
                records_max: usize::try_from(size)?,
                bytes_max: usize::MAX,
            },
            batch_delay: Duration::from_secs(60),
            receipt_timeout: Duration::from_secs(30),
            state_interval: Duration::from_secs(3_600),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(1),
        },
        signer: ledger::LogSigner::from_text(read("ledger.key")?.trim())?,
        lane: LedgerLane::new(format!("{LOG_DOMAIN}/{id}"), cosigner, 1, Receipted::default()),
        journal: Arc::clone(journal),
        board: Arc::new(Board::open(&folder.join("state"))?),
        clock: Arc::new(Clock::start(folder, None)?),
        traffic: dialer.traffic(),
        engine,
        status: watch::channel(LinkStatus::default()).0,
        // The benchmark's broker gives no commands.
        commands: mpsc::channel(1).0,
    };
    Ok((uplink, dialer))
}

/// A proxy to `target` that counts; gives its port.
async fn proxy(target: std::net::SocketAddr, crossed: Arc<Crossed>) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(target).await else {
                continue;
            };
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            let (up, down) = (Arc::clone(&crossed), Arc::clone(&crossed));
            tokio::spawn(copy(near_read, far_write, move |bytes| {
                up.up.fetch_add(bytes, Ordering::SeqCst)
            }));
            tokio::spawn(copy(far_read, near_write, move |bytes| {
                down.down.fetch_add(bytes, Ordering::SeqCst)
            }));
        }
    });
    Ok(port)
}

async fn copy(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    count: impl Fn(u64) -> u64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return to.shutdown().await;
        }
        count(bytes as u64);
        to.write_all(&buffer[..bytes]).await?;
    }
}
