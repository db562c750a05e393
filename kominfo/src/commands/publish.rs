//! `kominfo publish`: has a box send a camera to a media server, for as long as the command runs.
//!
//! The box is told in a signed command, and again before the time in that is over; at the end it is told to stop. It
//! sends only to servers that its own configuration lists, and says in its log why it does not.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use ledger::TextSigner;
use live::command::{Destination, Order, Profile, Start, StreamId, is_camera_name};
use parking::GatewayId;
use rand_core::{OsRng, RngCore as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Place, shown};
use crate::dialer::Target;
use crate::files;
use crate::live::{Commander, TTL, fresh, reach};
use crate::mqtt::{Publisher, Session};
use crate::store::Store;
use crate::tls::TlsFiles;

/// How long the last command may take to reach the broker.
const LEAVE_WAIT: Duration = Duration::from_secs(2);
/// A minute.
const MINUTE_S: u64 = 60;

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The box
    #[arg(long = "box", value_name = "BOX")]
    gateway: GatewayId,
    /// Its camera, as the portal names it
    #[arg(long, value_parser = camera)]
    camera: String,
    /// The small picture (sub) or the large one (main)
    #[arg(long, default_value = "sub", value_parser = profile)]
    profile: Profile,
    /// The media server's address for the stream; the box must list its host and port as `far_view.media_servers`
    #[arg(long, value_name = "rtsps://HOST[:PORT]/PATH")]
    to: String,
    /// For how long; the end of this command (Ctrl-C) ends it earlier
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    minutes: u64,
    /// The broker's address
    #[arg(long, value_name = "mqtts://HOST[:PORT]")]
    mqtt: String,
    /// The authority that signed the broker's certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// kominfo's certificate
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The key that commands to boxes are signed with (`kominfo keygen`)
    #[arg(long, value_name = "FILE")]
    command_key: PathBuf,
}

fn camera(text: &str) -> Result<String, &'static str> {
    is_camera_name(text)
        .then(|| text.to_owned())
        .ok_or("this is no name of a camera")
}

fn profile(text: &str) -> Result<Profile, &'static str> {
    match text {
        "main" => Ok(Profile::Main),
        "sub" => Ok(Profile::Sub),
        _ => Err("write main or sub"),
    }
}

impl Publish {
    pub(super) async fn run(self, place: &Place) -> anyhow::Result<()> {
        let text = files::read_private(&self.command_key)?;
        let signer = TextSigner::from_text(text.trim()).with_context(|| format!("{}", shown(&self.command_key)))?;
        let commander = Commander::new(signer);
        let files = match (&self.ca, &self.cert, &self.key) {
            (Some(ca), Some(certificate), Some(key)) => Some(TlsFiles { ca, certificate, key }),
            _ => None,
        };
        let broker = Target::new(&self.mqtt, files)?;
        let store = place.open().await?;
        let origin = self.look_up(&store, &commander).await?;
        store.close().await;

        let client_id = format!("kominfo-publish-{:08x}", OsRng.next_u32());
        // The broker wants a subscription to tell that the session is right; the box's own status is small.
        let topics = [format!("parkir/1/{}/status", self.gateway)];
        let (mut session, publisher) = Session::open(&broker, &client_id, &topics).await?;
        let mut course = Course {
            wanted: &self,
            commander,
            publisher,
            origin,
            id: fresh(),
        };
        let driven = async { while session.next().await.is_ok() {} };
        tokio::select! {
            run = course.run() => run,
            () = driven => anyhow::bail!("the session with the broker has ended; the box stops by itself within {} s", TTL.as_secs()),
        }
    }

    /// The origin of the box's log. What may keep the box from obeying is said.
    async fn look_up(&self, store: &Store, commander: &Commander) -> anyhow::Result<String> {
        let logs = store.logs(None).await?;
        let log = logs.iter().find(|log| log.gateway == self.gateway);
        let log = log.with_context(|| {
            let known: Vec<&str> = logs.iter().map(|log| log.gateway.as_str()).collect();
            format!("there is no box {}; registered: {}", self.gateway, known.join(", "))
        })?;
        let links = store.links().await?;
        let link = links.iter().find(|link| link.gateway == self.gateway.as_str());
        if !link.is_some_and(|link| link.online) {
            eprintln!(
                "warning: box {} is not online; it is asked until it comes",
                self.gateway
            );
        }
        match reach(store, &self.gateway).await? {
            Some(reach) if reach.knows(&commander.vkey()) => {}
            Some(_) => eprintln!(
                "warning: box {} knows another key for commands, or none: far_view.command_vkey",
                self.gateway
            ),
            None => eprintln!(
                "warning: box {} has not told whose commands it takes: far_view.command_vkey",
                self.gateway
            ),
        }
        Ok(log.origin.clone())
    }
}

/// One publication.
struct Course<'a> {
    wanted: &'a Publish,
    commander: Commander,
    publisher: Publisher,
    origin: String,
    id: StreamId,
}

impl Course<'_> {
    /// Asks until the time is over or somebody ends the command, and asks for the end.
    async fn run(&mut self) -> anyhow::Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let until = Instant::now() + Duration::from_secs(self.wanted.minutes * MINUTE_S);
        let wanted = self.wanted;
        eprintln!(
            "box {} is asked to send {} to {}; whether it does, the media server shows and the box's log says",
            wanted.gateway, wanted.camera, wanted.to
        );
        loop {
            self.send(Order::Start(Start {
                camera: wanted.camera.clone(),
                profile: wanted.profile,
                ttl: TTL,
                to: Destination::MediaServer { url: wanted.to.clone() },
            }))
            .await?;
            tokio::select! {
                () = sleep_until(until) => break,
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                () = sleep(TTL / 2) => {}
            }
        }
        self.send(Order::Stop).await?;
        sleep(LEAVE_WAIT).await;
        eprintln!("box {} is asked to stop", wanted.gateway);
        Ok(())
    }

    async fn send(&self, order: Order) -> anyhow::Result<()> {
        let wanted = self.wanted;
        let command = (self.id, order);
        let sent = self
            .commander
            .send(&self.publisher, &wanted.gateway, &self.origin, command);
        Ok(sent.await?)
    }
}
