//! `gateway cameras probe`: opens one stream for some seconds, and says what it is like and what to set in the camera.
//!
//! The stream is taken in by a worker of this command's own, as the daemon would; nothing is recorded.

mod address;
mod text;

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use self::address::Address;
use super::login::Login;
use crate::cameras::audit::{self, Finding, Role};
use crate::cameras::health;
use crate::cameras::measure::{Measured, Measurement, role_of};
use crate::cameras::profiles::CameraProfile;
use crate::cameras::ring::Init;
use crate::cameras::wire::{self, Cause, Client, Command, Credentials, Event, FromWorker, Profile, Source, Transport};
use crate::cameras::worker::{Program, Worker};
use crate::clock::WallClock;
use crate::words::Language;

/// Longest time until the first keyframe: the worker itself gives up before.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(45);

/// Opens a stream for some seconds, measures it, and says what to change in the camera.
#[derive(Debug, Args)]
pub struct Probe {
    /// The stream, as in `rtsp://192.168.1.64:554/Streaming/Channels/102`, without user and password.
    url: String,
    #[command(flatten)]
    login: Login,
    /// Make of the camera, as `profile` in the configuration: what is peculiar about it, and the defaults of the next two.
    #[arg(long, default_value = "generic", value_parser = make)]
    make: &'static CameraProfile,
    /// How packets travel: tcp or udp. Default: as the make wants it.
    #[arg(long, value_parser = transport)]
    transport: Option<Transport>,
    /// Which RTSP client takes it in: auto, retina or rtspsrc. Default: as the make wants it.
    #[arg(long, value_parser = client)]
    client: Option<Client>,
    /// How long to measure, from the first keyframe on.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// What it is for: main (recordings on an SSD) or sub (ring, live view). Default: by its width.
    #[arg(long, value_parser = role)]
    profile: Option<Role>,
    /// Mobile data that the box may use in a month, megabytes: says how many hours of live view that is.
    #[arg(long, value_name = "MB")]
    quota_mb: Option<u32>,
    /// Language: id (Bahasa Indonesia) or en (English).
    #[arg(long, default_value = "id", hide_default_value = true)]
    lang: Language,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
}

fn make(text: &str) -> Result<&'static CameraProfile, String> {
    let names = || CameraProfile::names().collect::<Vec<_>>().join(", ");
    CameraProfile::by_name(text).ok_or_else(|| format!("known: {}", names()))
}

fn transport(text: &str) -> Result<Transport, &'static str> {
    match text {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        _ => Err("write tcp or udp"),
    }
}

fn client(text: &str) -> Result<Client, &'static str> {
    match text {
        "auto" => Ok(Client::Auto),
        "retina" => Ok(Client::Retina),
        "rtspsrc" => Ok(Client::Rtspsrc),
        _ => Err("write auto, retina or rtspsrc"),
    }
}

fn role(text: &str) -> Result<Role, &'static str> {
    match text {
        "main" => Ok(Role::Main),
        "sub" => Ok(Role::Substream),
        _ => Err("write main or sub"),
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Outcome {
    /// The address, without any password.
    url: String,
    /// Transport that was used.
    transport: Transport,
    /// What the stream was judged as.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
    /// What to change, problems first.
    findings: Vec<Finding>,
    /// Why it does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

/// Why a stream does not work.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Failure {
    /// As in the camera's health.
    cause: health::Cause,
    /// In the words of whoever noticed.
    message: String,
    /// Whether a user and password were there to be shown.
    with_login: bool,
}

/// The stream does not work; standard output says why.
#[derive(Debug, thiserror::Error)]
#[error("{0} does not work")]
struct Broken(String);

impl Probe {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<()> {
        let address = Address::parse(&self.url)?;
        let login = self.login.read()?;
        let source = Source {
            url: address.url().to_owned(),
            credentials: login.map(|(user, password)| Credentials { user, password }),
            transport: self.transport(),
            client: self.client.unwrap_or(self.make.client),
            quirks: self.make.quirks,
        };
        let filter = tracing_subscriber::EnvFilter::try_from_default_env();
        tracing_subscriber::fmt()
            .with_env_filter(filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")))
            .with_writer(std::io::stderr)
            .init();
        let own = std::env::current_exe().context("cannot tell where this program lies")?;
        let program = Program::beside(&own)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (measurement, failed) = runtime.block_on(watch(&program, source, Duration::from_secs(self.seconds)))?;
        let outcome = self.outcome(&address, &measurement, failed);
        if self.json {
            tell!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            tell!("{}", text::text(&outcome, self.lang).trim_end());
        }
        match outcome.failure {
            Some(_) => Err(Broken(outcome.url).into()),
            None => Ok(()),
        }
    }

    fn transport(&self) -> Transport {
        self.transport.unwrap_or(self.make.transport)
    }

    fn outcome(&self, address: &Address, measurement: &Measurement, failed: Option<(Cause, String)>) -> Outcome {
        let facts = measurement.facts(self.profile, self.transport(), self.quota_mb);
        let measured = measurement.measured();
        let width = measured.as_ref().map(|measured| measured.width);
        Outcome {
            url: address.shown(),
            transport: self.transport(),
            role: width.map(|width| self.profile.unwrap_or(role_of(width))),
            measured,
            findings: facts.map_or_else(Vec::new, |facts| audit::audit(&facts)),
            failure: failed.map(|(cause, message)| Failure {
                cause: health::Failure::from(cause).into(),
                message: address.cleared(&message),
                with_login: self.login.is_given(),
            }),
        }
    }
}

/// Opens the stream in a worker, measures for `length`, and takes leave of the camera.
async fn watch(
    program: &Program,
    source: Source,
    length: Duration,
) -> anyhow::Result<(Measurement, Option<(Cause, String)>)> {
    let mut worker = program.start("ingest", "probe").with_context(|| {
        format!(
            "cannot start {}\n  hint: it belongs beside this program; install both",
            program.path().display()
        )
    })?;
    let mut measurement = Measurement::default();
    let mut failure = measure(&mut worker, source, length, &mut measurement).await;
    if let Ok(None) = failure {
        let close = wire::command_frame(&Command::Close { profile: Profile::Main })?;
        if let Err(error) = worker.send(&close).await {
            failure = Err(error);
        }
    }
    worker.end().await;
    let failure = failure.unwrap_or_else(|error| Some((Cause::Worker, error.to_string())));
    Ok((measurement, failure))
}

/// Why it ended before its time; an error is one of the worker.
async fn measure(
    worker: &mut Worker,
    source: Source,
    length: Duration,
    measurement: &mut Measurement,
) -> std::io::Result<Option<(Cause, String)>> {
    let profile = Profile::Main;
    worker
        .send(&wire::command_frame(&Command::Open { profile, source })?)
        .await?;
    let mut until = Instant::now() + BEGIN_TIMEOUT;
    let mut has_begun = false;
    loop {
        let frame = match tokio::time::timeout_at(until, worker.next()).await {
            Ok(frame) => frame?,
            Err(_) if has_begun => return Ok(None),
            Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
        };
        if let Some(ended) = take(&frame, measurement)? {
            return Ok(Some(ended));
        }
        if measurement.has_begun() && !has_begun {
            has_begun = true;
            until = Instant::now() + length;
        }
    }
}

/// Takes a frame; why the stream ended, if it did.
fn take(frame: &[u8], measurement: &mut Measurement) -> std::io::Result<Option<(Cause, String)>> {
    match FromWorker::read(frame).map_err(std::io::Error::other)? {
        FromWorker::Event(Event::Ended { cause, message, .. }) => return Ok(Some((cause, message))),
        FromWorker::Event(Event::CameraClock {
            camera_unix_ms, at_ns, ..
        }) => {
            let clock = WallClock::read();
            let offset_ms = camera_unix_ms.saturating_sub(clock.at_boottime(at_ns).as_millis());
            measurement.clock_offset(offset_ms, clock.synchronised);
        }
        FromWorker::Event(event) => measurement.event(&event),
        FromWorker::Init(_, init) => {
            let init = Init::parse(&Bytes::copy_from_slice(init)).map_err(std::io::Error::other)?;
            measurement.stream(init.info().clone());
        }
        FromWorker::Chunk(_, head, _) => measurement.chunk(head),
        FromWorker::Picture(..) => {}
    }
    Ok(None)
}
