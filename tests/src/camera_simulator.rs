//! A running `camera-simulator`: all cameras of a box, told by JSON lines what they show and what goes wrong.
//!
//! It ends when its standard input closes, so it cannot outlive the test.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking::{CameraId, SpaceId, VehicleClass};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::process::workspace_program;
use crate::street::class_name;

/// How long the simulator may take to answer or to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take to start: loops that no test has used before are drawn and encoded first.
const START_PATIENCE: Duration = Duration::from_secs(600);

/// The process. Clones share it.
#[derive(Debug, Clone)]
pub struct CameraSimulator {
    /// Where its cameras are.
    pub address: SocketAddr,
    greeting: Value,
    talk: Arc<Mutex<Talk>>,
}

#[derive(Debug)]
struct Talk {
    child: Child,
    /// Closed when it is to end.
    stdin: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    /// Commands whose answer nobody has read.
    unanswered: u32,
}

impl CameraSimulator {
    /// Cameras by their configuration, with file and log in `folder`. Finished loops are kept for all tests.
    pub async fn start(folder: &Path, cameras: &str) -> anyhow::Result<Self> {
        let config = folder.join("cameras.toml");
        fs::write(&config, cameras)?;
        let program = workspace_program("camera-simulator")?;
        let target = program.ancestors().nth(2).context("no target folder")?;
        let cache = target.join("tmp/camera-loops");
        fs::create_dir_all(&cache)?;
        let mut command = Command::new(&program);
        command.arg("--cameras").arg(&config).arg("--cache").arg(&cache);
        command.args(["--tls-port", "0"]);
        command.stderr(fs::File::create(folder.join("camera-simulator.log"))?);
        Self::spawn(command).await
    }

    /// A bad peer.
    pub async fn crooked(kind: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(workspace_program("camera-simulator")?);
        command.args(["crooked", kind]);
        Self::spawn(command).await
    }

    async fn spawn(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start camera-simulator")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("no standard output")?;
        let mut talk = Talk {
            child,
            stdin,
            answers: BufReader::new(stdout).lines(),
            unanswered: 0,
        };
        let greeting = talk.answer(START_PATIENCE).await?;
        Ok(Self {
            address: local(&greeting, "port")?,
            greeting,
            talk: Arc::new(Mutex::new(talk)),
        })
    }

    /// Where it takes streams as a media server would, over TLS.
    pub fn media_server(&self) -> anyhow::Result<SocketAddr> {
        local(&self.greeting, "tls_port")
    }

    /// The certificate that it shows there, PEM.
    pub fn certificate(&self) -> anyhow::Result<&str> {
        let certificate = self.greeting["tls_certificate"].as_str();
        certificate.context("the camera simulator said no certificate")
    }

    /// User and password that it asks for there.
    pub fn media_login(&self) -> anyhow::Result<(&str, &str)> {
        let said = |key| self.greeting[key].as_str();
        let login = said("tls_user").zip(said("tls_password"));
        login.context("the camera simulator said no login")
    }

    /// Gives a command and returns the answer, when it has taken effect.
    pub async fn tell(&self, command: &Value) -> anyhow::Result<Value> {
        let mut talk = self.talk.lock().await;
        // Of commands that nobody waited for any more: what they are answered must not pass for the answer to this one.
        while talk.unanswered > 0 {
            talk.answer(PATIENCE).await?;
            talk.unanswered -= 1;
        }
        let stdin = talk.stdin.as_mut().context("the camera simulator is ending")?;
        stdin.write_all(format!("{command}\n").as_bytes()).await?;
        talk.unanswered += 1;
        let answer = talk.answer(PATIENCE).await?;
        talk.unanswered -= 1;
        anyhow::ensure!(answer["ok"] == true, "{command}: {answer}");
        Ok(answer)
    }

    /// A vehicle stands on a space, or none.
    pub async fn show(&self, camera: &CameraId, space: &SpaceId, class: Option<VehicleClass>) -> anyhow::Result<()> {
        let mut command = json!({ "camera": camera, "space": space, "occupied": class.is_some() });
        if let Some(class) = class {
            command["class"] = json!(class_name(class));
        }
        self.tell(&command).await.map(drop)
    }

    /// Begins a fault, or ends it (`none`). Returns when the pictures show it.
    pub async fn fault(&self, camera: &str, fault: &str) -> anyhow::Result<()> {
        self.tell(&json!({ "camera": camera, "fault": fault })).await.map(drop)
    }

    /// Frames that the substream of a camera has sent.
    pub async fn frames_sent(&self, camera: &str) -> anyhow::Result<u64> {
        let stats = self.tell(&json!({ "cmd": "stats" })).await?;
        let frames = stats["cameras"][camera]["streams"]["sub"]["frames"].as_u64();
        Ok(frames.unwrap_or(0))
    }

    /// Lets it end.
    pub async fn stop(&self) -> anyhow::Result<()> {
        let mut talk = self.talk.lock().await;
        talk.stdin = None;
        let ended = tokio::time::timeout(PATIENCE, talk.child.wait()).await;
        ended.context("the camera simulator does not end")??;
        Ok(())
    }
}

fn local(greeting: &Value, key: &str) -> anyhow::Result<SocketAddr> {
    let port = greeting[key].as_u64().and_then(|port| u16::try_from(port).ok());
    let port = port.with_context(|| format!("the camera simulator said no {key}"))?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}

impl Talk {
    async fn answer(&mut self, patience: Duration) -> anyhow::Result<Value> {
        let line = tokio::time::timeout(patience, self.answers.next_line()).await;
        let line = line.context("the camera simulator does not answer")??;
        let line = line.context("the camera simulator has ended; see camera-simulator.log")?;
        serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))
    }
}
