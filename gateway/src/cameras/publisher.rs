//! A stream to a media server: a worker publishes by RTSP RECORD what a viewer of the hub gets. It pauses while the ledger
//! lane needs the link, and goes on with a keyframe.

use std::time::Duration;

use bytes::Bytes;
use live::hub::{Hub, Viewer};
use live::message::Message;
use parking::CameraId;
use tokio::time::{Instant, sleep_until};

use super::far::{Gate, Pace};
use super::wire::{self, Command, Event, FromWorker, Profile};
use super::worker::{Program, Worker};

/// How long the media server may take to agree.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes, as the command to its worker says, until the pace says that it is over, or the server ends it.
pub(super) async fn publish(
    program: &Program,
    command: &Command,
    (camera, profile): &(CameraId, Profile),
    (hub, viewer): (Hub, Viewer),
    mut pace: Pace,
) {
    tracing::info!(%camera, %profile, "a stream is published to a media server");
    let gate = pace.gate();
    let ended = tokio::select! {
        ended = run(program, command, &hub, viewer, gate) => match ended {
            Ok(ended) => ended,
            Err(error) => error.to_string(),
        },
        reason = pace.over() => reason.to_string(),
    };
    tracing::info!(%camera, %profile, ended, "the stream to the media server ended");
}

async fn run(program: &Program, command: &Command, hub: &Hub, viewer: Viewer, gate: Gate) -> std::io::Result<String> {
    let mut worker = program.start("publish", "publish")?;
    worker.send(&wire::command_frame(command)?).await?;
    let mut publication = Publication {
        worker,
        gate,
        init: None,
        agrees_until: None,
        is_running: false,
    };
    let ended = match publication.stream(hub, viewer).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    publication.worker.kill().await;
    match ended {
        Over::Told(why) => Ok(why),
        Over::Broken(error) => Err(error),
    }
}

/// Why a publication is over.
enum Over {
    Told(String),
    Broken(std::io::Error),
}

impl From<std::io::Error> for Over {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error)
    }
}

struct Publication {
    worker: Worker,
    gate: Gate,
    /// What has been sent of this kind.
    init: Option<Bytes>,
    /// Until when the server has to agree, once it was sent anything.
    agrees_until: Option<Instant>,
    is_running: bool,
}

impl Publication {
    async fn stream(&mut self, hub: &Hub, mut viewer: Viewer) -> Result<std::convert::Infallible, Over> {
        loop {
            self.play(&mut viewer).await?;
            self.wait(&mut viewer).await?;
            // What was left out meanwhile leaves a hole; a viewer that has just come begins with a keyframe.
            drop(viewer);
            viewer = hub.join().map_err(|_| Over::Told("all places are taken".to_owned()))?;
        }
    }

    /// Sends until the ledger lane needs the link.
    async fn play(&mut self, viewer: &mut Viewer) -> Result<(), Over> {
        while self.gate.is_open() {
            let message = tokio::select! {
                // What the server says comes before the time that it has.
                biased;
                told = told(&mut self.worker) => {
                    self.heard(told?)?;
                    continue;
                }
                message = viewer.next() => message,
                () = self.gate.changed() => continue,
                () = sleep_until(self.agrees_until.unwrap_or_else(Instant::now)), if self.agrees_until.is_some() => {
                    return Err(Over::Told("the media server does not agree in time".to_owned()));
                }
            };
            let bytes = match message {
                Some(Message::Init(init)) => match &self.init {
                    Some(known) if *known == init.payload() => continue,
                    Some(_) => return Err(Over::Told("the camera sends another kind of video now".to_owned())),
                    None => {
                        let init = init.payload();
                        self.send(&init).await?;
                        self.init = Some(init);
                        continue;
                    }
                },
                Some(Message::Chunk(chunk)) => chunk.payload(),
                Some(Message::Ended { reason }) => return Err(Over::Told(reason)),
                Some(_) => continue,
                None => return Err(Over::Told("the stream ended".to_owned())),
            };
            self.gate.clone().within_rate(bytes.len()).await;
            if !self.gate.is_open() {
                break;
            }
            self.send(&bytes).await?;
            if !self.is_running && self.agrees_until.is_none() {
                self.agrees_until = Some(Instant::now() + START_TIMEOUT);
            }
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &Bytes) -> std::io::Result<()> {
        self.worker.send(&wire::publish_prefix(bytes.len())?).await?;
        self.worker.send(bytes).await
    }

    /// Sends nothing until the ledger lane leaves room again.
    async fn wait(&mut self, viewer: &mut Viewer) -> Result<(), Over> {
        while !self.gate.is_open() {
            tokio::select! {
                // Taken and left out, so that the viewer does not count as one that hangs.
                message = viewer.next() => if message.is_none() {
                    return Err(Over::Told("the stream ended".to_owned()));
                },
                told = told(&mut self.worker) => self.heard(told?)?,
                () = self.gate.changed() => {}
            }
        }
        Ok(())
    }

    fn heard(&mut self, told: Told) -> Result<(), Over> {
        match told {
            Told::Running => {
                (self.is_running, self.agrees_until) = (true, None);
                Ok(())
            }
            Told::Ended(why) => Err(Over::Told(why)),
        }
    }
}

/// What a worker says of its publication.
enum Told {
    Running,
    Ended(String),
}

async fn told(worker: &mut Worker) -> std::io::Result<Told> {
    loop {
        if let Ok(FromWorker::Event(Event::Published { running, message })) = FromWorker::read(&worker.next().await?) {
            return Ok(if running { Told::Running } else { Told::Ended(message) });
        }
    }
}
