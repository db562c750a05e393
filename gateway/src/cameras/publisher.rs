//! A stream to a media server: a worker publishes by RTSP RECORD what a viewer of the hub gets.

use std::time::Duration;

use live::hub::Viewer;
use live::message::Message;
use parking::CameraId;

use super::far::{Gate, Pace};
use super::wire::{self, Command, Event, FromWorker, Profile};
use super::worker::{Program, Worker};

/// How long the media server may take to agree.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes until the pace says that it is over, or the server ends it.
pub(super) async fn publish(
    program: &Program,
    url: &str,
    (camera, profile): &(CameraId, Profile),
    viewer: Viewer,
    mut pace: Pace,
) {
    tracing::info!(%camera, %profile, "a stream is published to a media server");
    let gate = pace.gate();
    let ended = tokio::select! {
        ended = run(program, url, viewer, gate) => match ended {
            Ok(ended) => ended,
            Err(error) => error.to_string(),
        },
        reason = pace.over() => reason.to_string(),
    };
    tracing::info!(%camera, %profile, ended, "the stream to the media server ended");
}

async fn run(program: &Program, url: &str, mut viewer: Viewer, mut gate: Gate) -> std::io::Result<String> {
    let mut worker = program.start("publish", "publish")?;
    let command = Command::Publish {
        url: url.to_owned(),
        credentials: None,
    };
    worker.send(&wire::command_frame(&command)?).await?;
    let mut is_running = false;
    let deadline = tokio::time::Instant::now() + START_TIMEOUT;
    let ended = loop {
        let message = tokio::select! {
            message = viewer.next() => message,
            told = told(&mut worker) => match told? {
                Told::Running => {
                    is_running = true;
                    continue;
                }
                Told::Ended(why) => break why,
            },
            () = tokio::time::sleep_until(deadline), if !is_running => break "the media server does not agree in time".to_owned(),
        };
        let bytes = match message {
            Some(Message::Init(init)) => init.payload(),
            Some(Message::Chunk(chunk)) => chunk.payload(),
            Some(Message::Ended { reason }) => break reason,
            Some(_) => continue,
            None => break "the stream ended".to_owned(),
        };
        // Room may be long in coming while records wait; a server that has gone is noticed meanwhile.
        let admitted = gate.admit(bytes.len());
        tokio::pin!(admitted);
        let ended = loop {
            tokio::select! {
                () = &mut admitted => break None,
                told = told(&mut worker) => match told? {
                    Told::Running => is_running = true,
                    Told::Ended(why) => break Some(why),
                },
            }
        };
        if let Some(why) = ended {
            break why;
        }
        send(&mut worker, &bytes).await?;
    };
    worker.kill().await;
    Ok(ended)
}

async fn send(worker: &mut Worker, bytes: &[u8]) -> std::io::Result<()> {
    worker.send(&wire::publish_prefix(bytes.len())?).await?;
    worker.send(bytes).await
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
