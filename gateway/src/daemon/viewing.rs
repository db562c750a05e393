//! What the daemon runs for cameras: their tasks, the recorder's thread, pictures, the box's page, views from the city.
//!
//! None of it may keep the ledger from running: a page whose address is taken is tried again, and a camera without its
//! password is dark.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use ledger::TextVerifier;
use live::link::{REACH_KEY, Reach};
use parking::{Input, SpaceNow};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Group, identity};
use crate::cameras::evidence::{Evidence, Store};
use crate::cameras::far::{self, FarStatus, FarViews};
use crate::cameras::recorder::RecorderThread;
use crate::cameras::wire::Credentials;
use crate::cameras::worker::Program;
use crate::cameras::{self, Cameras};
use crate::clock::Clock;
use crate::config::{Config, FarView, Page};
use crate::journal::Journal;
use crate::page;
use crate::state::Board;
use crate::uplink::link::LinkStatus;

/// Pause before a page that could not be opened is tried again.
const PAGE_RETRY: Duration = Duration::from_secs(10);

/// Parts of the daemon that are needed here.
pub(super) struct Shared {
    pub config: Arc<Config>,
    pub clock: Arc<Clock>,
    pub board: Arc<Board>,
    pub journal: Arc<Journal>,
    pub link: watch::Receiver<LinkStatus>,
    pub spaces: watch::Receiver<Arc<Vec<SpaceNow>>>,
}

/// What looks at cameras from outside.
pub(super) struct Viewing {
    /// All cameras.
    pub cameras: Cameras,
    /// How views from the city are; `None` without `[far_view]`.
    pub far_view: Option<watch::Receiver<FarStatus>>,
    /// To be closed when all tasks have ended.
    pub recorder: RecorderThread,
}

/// Starts everything.
pub(super) fn start(
    shared: &Shared,
    facts: mpsc::Sender<Input>,
    commands: mpsc::Receiver<Bytes>,
    group: &mut Group,
) -> anyhow::Result<Viewing> {
    let config = &shared.config;
    let secrets = match &config.video.secrets_file {
        Some(path) => cameras::secrets::load(path).unwrap_or_else(|error| {
            tracing::error!(%error, "cameras that ask for a login stay dark");
            cameras::secrets::Secrets::default()
        }),
        None => cameras::secrets::Secrets::default(),
    };
    let sources = cameras::Sources {
        clock: Arc::clone(&shared.clock),
        board: Arc::clone(&shared.board),
        facts: facts.clone(),
        logins: secrets.cameras,
        program: program()?,
    };
    let (cameras, running) = Cameras::start(config, sources).context("cannot start the recorder")?;
    let known: Vec<String> = cameras.ids().map(|id| format!("camera/{id}")).collect();
    shared.board.retain("camera/", |key| known.iter().any(|k| k == key));
    for task in running.tasks {
        group.spawn("camera", |stop| async move {
            task.run(stop).await;
            Ok(())
        });
    }
    if !config.cameras.is_empty() {
        group.spawn("pictures", |stop| async move {
            running.maker.run(stop).await;
            Ok(())
        });
        let (watched, board, clock) = (cameras.clone(), Arc::clone(&shared.board), Arc::clone(&shared.clock));
        group.spawn("telemetry", |stop| async move {
            cameras::series::run(watched, board, clock, stop).await;
            Ok(())
        });
        let video = &config.video;
        let evidence = Evidence {
            clock: Arc::clone(&shared.clock),
            cameras: cameras.clone(),
            spaces: shared.spaces.clone(),
            store: Store::new(&video.ring_dir, video.evidence_bytes_max, video.evidence_age_max),
            board: Arc::clone(&shared.board),
            facts,
        };
        group.spawn("evidence", |stop| async move {
            evidence.run(stop).await;
            Ok(())
        });
    }
    let mut far_view = None;
    let views = config.far_view.as_ref().and_then(|wanted| {
        let views = far_views(shared, wanted, &cameras, secrets.media_servers, commands);
        views
            .inspect_err(|error| tracing::error!(error = format!("{error:#}"), "the city cannot watch this box"))
            .ok()
    });
    if let Some(views) = views {
        far_view = Some(views.status());
        group.spawn("far view", |stop| async move {
            views.run(stop).await;
            Ok(())
        });
    } else {
        shared.board.put(REACH_KEY, serde_json::json!(Reach::default()));
    }
    if let Some(wanted) = &config.page {
        let (name, wanted, cameras) = (config.gateway.id.to_string(), wanted.clone(), cameras.clone());
        group.spawn("page", |stop| async move {
            keep_page_open(&name, &wanted, &cameras, stop).await;
            Ok(())
        });
    }
    Ok(Viewing {
        cameras,
        far_view,
        recorder: running.recorder,
    })
}

async fn keep_page_open(name: &str, wanted: &Page, cameras: &Cameras, stop: CancellationToken) {
    loop {
        let outcome = open_page(name, wanted, cameras, stop.clone()).await;
        if stop.is_cancelled() {
            return;
        }
        if let Err(error) = outcome {
            tracing::error!(
                error = format!("{error:#}"),
                "the box's page is closed; it is tried again"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(PAGE_RETRY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn open_page(name: &str, wanted: &Page, cameras: &Cameras, stop: CancellationToken) -> anyhow::Result<()> {
    let password = hash(&wanted.password_file)?;
    let server = page::Server::bind(wanted.listen).await?;
    server.run(name.to_owned(), cameras.clone(), password, stop).await
}

fn hash(file: &PathBuf) -> anyhow::Result<page::password::Hash> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    page::password::Hash::parse(&text).with_context(|| format!("{}: holds no hash of a password", file.display()))
}

/// The task that sends streams to the city.
fn far_views(
    shared: &Shared,
    wanted: &FarView,
    cameras: &Cameras,
    media_logins: BTreeMap<String, Credentials>,
    commands: mpsc::Receiver<Bytes>,
) -> anyhow::Result<FarViews> {
    let path = &wanted.command_vkey;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let verifier = TextVerifier::from_vkey(text.trim()).with_context(|| path.display().to_string())?;
    Ok(FarViews::new(far::Parts {
        wanted: wanted.clone(),
        verifier,
        origin: live::command::origin_of(&shared.config.gateway.log_origin()),
        identity: identity(&shared.config),
        cameras: cameras.clone(),
        clock: Arc::clone(&shared.clock),
        board: Arc::clone(&shared.board),
        link: shared.link.clone(),
        journal: Arc::clone(&shared.journal),
        program: program()?,
        media_logins,
        commands,
    }))
}

/// How workers are started.
fn program() -> anyhow::Result<Program> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    Ok(Program::beside(&own)?)
}
