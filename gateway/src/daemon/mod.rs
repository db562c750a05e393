//! The running daemon: which parts there are, how they are started, and in which order they stop.
//!
//! Start: configuration and its files, journal (its lock keeps a second daemon out), clock, state brought back from it; then engine, drivers, uplink and local
//! API, each a named task. None of it waits for a network or a clock.
//!
//! Stop, on the first signal: drivers first (their sources keep what is not acknowledged), then the uplink, then the engine, which
//! settles what is queued and takes a snapshot. A second signal stops at once; the journal makes that harmless. A task that
//! fails stops the whole daemon, and its service manager starts it again from what is on disk.

mod drivers;
pub mod engine;
pub mod heard;
pub mod local;
pub mod recovery;
mod viewing;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use ledger::{CosignerVerifier, LogSigner};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::drivers::Around;
use self::engine::{Engine, Sources};
use self::heard::Heard;
use self::local::{LocalApi, Parts};
use self::recovery::Restored;
use self::viewing::Shared;
use crate::clock::{Clock, SimulatedClock};
use crate::config::Config;
use crate::journal::{self, Directory, Journal};
use crate::mqtt::Address;
use crate::state::Board;
use crate::uplink::Topics;
use crate::uplink::batch::BatchLimits;
use crate::uplink::dialer::{Dialer, Identity};
use crate::uplink::lane::LedgerLane;
use crate::uplink::link::{LinkStatus, Pace, ToEngine, Uplink, session_options};

/// Readings between drivers and engine. Full: drivers wait, and their sources keep the rest.
const DELIVERIES_MAX: usize = 256;
/// Receipts and notes between uplink and engine. Full: the uplink waits.
const UPLINK_EVENTS_MAX: usize = 64;
/// Facts that cameras tell, on their way to the engine. Full: the camera waits.
const FACTS_MAX: usize = 64;
/// Commands of the city that wait. Full: a further one is dropped; the city asks again.
const COMMANDS_MAX: usize = 16;

/// A task of the daemon, by name.
type Task = (&'static str, anyhow::Result<()>);

/// Tasks that stop together.
#[derive(Default)]
struct Group {
    stop: CancellationToken,
    tasks: JoinSet<Task>,
}

impl Group {
    fn spawn<F, T>(&mut self, name: &'static str, task: F)
    where
        F: FnOnce(CancellationToken) -> T,
        T: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let running = task(self.stop.clone());
        self.tasks.spawn(async move { (name, running.await) });
    }

    /// Stops the tasks and waits for them. Returns the last failure.
    async fn drain(&mut self) -> Option<anyhow::Error> {
        self.stop.cancel();
        let mut failure = None;
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok((name, Ok(()))) => tracing::debug!(task = name, "stopped"),
                ended => failure = Some(why(ended)),
            }
        }
        failure
    }
}

/// Runs the daemon on a board until a signal or a failure.
pub async fn run(config: Config, simulated: Option<SimulatedClock>, hardware: board::Board) -> anyhow::Result<()> {
    let config = Arc::new(config);
    make_folder(&config.gateway.data_dir)?;
    let (journal, recovered) = open_journal(&config)?;
    let clock = Arc::new(Clock::start(&config.gateway.data_dir, simulated)?);
    let Restored {
        state,
        unwritten,
        first,
    } = recovery::recover(&config.site, &config.sha256, recovered)?;
    let board = Arc::new(open_board(&config)?);
    tracing::info!(gateway = %config.gateway.id, backlog = journal.status().next.0 - state.receipted.next, "started");

    let (deliveries, deliveries_in) = mpsc::channel(DELIVERIES_MAX);
    let (to_engine, from_uplink) = mpsc::channel(UPLINK_EVENTS_MAX);
    let (facts, facts_in) = mpsc::channel(FACTS_MAX);
    let (spaces, spaces_now) = watch::channel(Arc::default());
    let (link, link_status) = watch::channel(LinkStatus::from(&state.receipted));
    let (commands, commands_in) = mpsc::channel(COMMANDS_MAX);
    let (uplink, dialer) = uplink(
        &config,
        &journal,
        &board,
        &clock,
        state.receipted.clone(),
        (to_engine, commands),
        link,
    )?;
    let traffic = dialer.traffic();
    let heard = Arc::new(Heard::default());
    let mut engine = Engine::new(
        Arc::clone(&journal),
        Arc::clone(&clock),
        Arc::clone(&board),
        Arc::clone(&heard),
        state,
        spaces,
    );
    engine.complete(&unwritten).await?;
    for input in first {
        engine.step(input).await?;
    }

    let mut groups: [Group; 3] = Default::default();
    let [inward, outward, centre] = &mut groups;
    let sources = Sources {
        deliveries: deliveries_in,
        uplink: from_uplink,
        facts: facts_in,
    };
    centre.spawn("engine", |stop| async move {
        engine.run(sources, stop).await.map_err(Into::into)
    });
    let drivers = drivers::start(
        &Around {
            config: &config,
            clock: &clock,
            board: &board,
            hardware,
            deliveries,
            facts: &facts,
            link: &link_status,
        },
        inward,
    )?;
    let shared = Shared {
        config: Arc::clone(&config),
        clock: Arc::clone(&clock),
        board: Arc::clone(&board),
        journal: Arc::clone(&journal),
        link: link_status.clone(),
        spaces: spaces_now.clone(),
    };
    let viewing = viewing::start(&shared, facts, commands_in, inward)?;
    outward.spawn("dialer", |stop| async move {
        dialer.run(stop).await;
        Ok(())
    });
    outward.spawn(
        "uplink",
        |stop| async move { uplink.run(stop).await.map_err(Into::into) },
    );
    let parts = Parts {
        config: Arc::clone(&config),
        journal,
        clock,
        board,
        link: link_status,
        spaces: spaces_now,
        drivers,
        heard,
        traffic,
        cameras: viewing.cameras,
        far_view: viewing.far_view,
    };
    let local = LocalApi::bind(parts)?;
    outward.spawn("local API", |stop| local.run(stop));

    tracing::info!("ready");
    let ended = supervise(groups).await;
    tokio::task::spawn_blocking(move || viewing.recorder.close()).await?;
    ended
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the data folder {}", folder.display()))
}

/// Opens the board. Spaces and sensors that the configuration does not name any more leave it.
fn open_board(config: &Config) -> anyhow::Result<Board> {
    let board = Board::open(&config.gateway.state_dir())?;
    let spaces = config.site.spaces.iter().map(|space| format!("space/{}", space.id));
    let sensors = config.sensors.iter().map(|sensor| format!("sensor/{}", sensor.id));
    let known: BTreeSet<String> = spaces.chain(sensors).collect();
    for prefix in ["space/", "sensor/"] {
        board.retain(prefix, |key| known.contains(key));
    }
    Ok(board)
}

/// Opens the journal that the configuration names; nobody else may have it open.
pub fn open_journal(config: &Config) -> anyhow::Result<(Arc<Journal>, journal::Recovered)> {
    let options = journal::Options {
        segment_bytes: u32::try_from(config.journal.segment_bytes).context("journal.segment_kib is too large")?,
        reserve_bytes: config.journal.reserve_bytes,
        commit_window: config.journal.commit_window,
        commit_records: u32::try_from(config.journal.commit_records).context("journal.commit_records is too large")?,
        ..journal::Options::default()
    };
    let storage: Arc<dyn journal::Storage> = Arc::new(Directory::open(config.gateway.journal_dir())?);
    let (journal, recovered) = Journal::open(&options, &storage)?;
    if recovered.tail_cut_bytes > 0 {
        tracing::warn!(
            bytes = recovered.tail_cut_bytes,
            "a torn end of the journal was cut off; nobody was told that it was written"
        );
    }
    Ok((Arc::new(journal), recovered))
}

fn uplink(
    config: &Config,
    journal: &Arc<Journal>,
    board: &Arc<Board>,
    clock: &Arc<Clock>,
    receipted: crate::uplink::lane::Receipted,
    (engine, commands): (mpsc::Sender<ToEngine>, mpsc::Sender<Bytes>),
    status: watch::Sender<LinkStatus>,
) -> anyhow::Result<(Uplink, Dialer)> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let keys = &config.keys;
    let signer = LogSigner::from_text(read(&keys.ledger_key)?.trim())
        .with_context(|| format!("{}", keys.ledger_key.display()))?;
    let origin = config.gateway.log_origin();
    anyhow::ensure!(
        signer.name() == origin,
        "{}: the key is of log {}, but this box's log is {origin}\n  hint: make the key with `gateway keygen --id {} --log-domain {} --out DIR`",
        keys.ledger_key.display(),
        signer.name(),
        config.gateway.id,
        config.gateway.log_domain,
    );
    let cosigner = CosignerVerifier::from_vkey(read(&keys.kominfo_vkey)?.trim())
        .with_context(|| format!("{}", keys.kominfo_vkey.display()))?;
    let wanted = &config.uplink;
    let identity = identity(config);
    let dialer = Dialer::bind(
        &config.gateway.data_dir.join("run"),
        &wanted.host,
        wanted.port,
        identity,
    )?;
    let topics = Topics::new(&config.gateway.id);
    let uplink = Uplink {
        session: session_options(
            Address::Unix(dialer.socket().to_owned()),
            config.gateway.id.as_str(),
            &topics,
            wanted.keep_alive,
        ),
        topics,
        pace: Pace {
            batch: BatchLimits {
                records_max: wanted.batch_records_max,
                bytes_max: wanted.batch_bytes_max,
            },
            batch_delay: wanted.batch_delay,
            receipt_timeout: wanted.receipt_timeout,
            state_interval: wanted.state_interval,
            backoff_min: wanted.backoff_min,
            backoff_max: wanted.backoff_max,
        },
        signer,
        lane: LedgerLane::new(origin, cosigner, wanted.window_bytes, receipted),
        journal: Arc::clone(journal),
        board: Arc::clone(board),
        clock: Arc::clone(clock),
        traffic: dialer.traffic(),
        engine,
        status,
        commands,
    };
    Ok((uplink, dialer))
}

fn identity(config: &Config) -> Identity {
    let wanted = &config.uplink;
    Identity {
        ca_file: wanted.ca_file.clone(),
        certificate_file: wanted.certificate_file.clone(),
        private_key_file: wanted.private_key_file.clone(),
    }
}

/// Waits for a signal or the end of a task, then stops the groups in order.
async fn supervise(mut groups: [Group; 3]) -> anyhow::Result<()> {
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut early = None;
    let (signal, mut signals) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
            if signal.send(()).await.is_err() {
                return;
            }
        }
    });
    let [first, second, third] = &mut groups;
    tokio::select! {
        _ = signals.recv() => tracing::info!("stopping; a second signal stops at once"),
        Some(ended) = third.tasks.join_next() => early = Some(ended),
        Some(ended) = second.tasks.join_next() => early = Some(ended),
        Some(ended) = first.tasks.join_next() => early = Some(ended),
    }
    // A task that merely ended may have ended because another failed; then that failure is the reason.
    let merely_ended = matches!(&early, Some(Ok((_, Ok(())))));
    let mut failure = early.map(why);
    let drain = async {
        for group in &mut groups {
            if let Some(failed) = group.drain().await {
                tracing::error!(error = format!("{failed:#}"), "a task failed");
                if failure.is_none() || merely_ended {
                    failure = Some(failed);
                }
            }
        }
    };
    tokio::select! {
        () = drain => {}
        _ = signals.recv() => tracing::warn!("stopped at once"),
    }
    failure.map_or(Ok(()), Err)
}

fn why(ended: Result<Task, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow::anyhow!("task {name} ended by itself"),
        Ok((name, Err(error))) => error.context(format!("task {name} failed")),
        Err(error) => anyhow::Error::new(error).context("a task panicked"),
    }
}
