//! Chromium without a window, told what to do over its `DevTools` protocol.
//!
//! Own code and no library: five commands are needed, and the crates for it bring the whole protocol, which is tens of
//! thousands of generated lines. One WebSocket a page; a command is answered before the next one is given.
//!
//! The browser, its children and its profile are gone when [`Browser`] is dropped.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::process::{Daemon, Ready, Spec, system_program};

/// How long the browser may take to answer, and a page to load. A script of a page may take as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at while it is awaited.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Largest message, bytes: a picture of a page.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// What the browser says when it listens, before the address.
const LISTENING: &str = "DevTools listening on ";

/// Switches. As root it has no sandbox; nobody is in front of the screen to allow playing; a page that is not on top is
/// not slowed down.
const SWITCHES: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-breakpad",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--autoplay-policy=no-user-gesture-required",
];

/// A running Chromium.
#[derive(Debug)]
pub struct Browser {
    process: Daemon,
    address: SocketAddr,
    control: Connection,
    _profile: TempDir,
}

/// One page of it.
#[derive(Debug)]
pub struct Page {
    connection: Connection,
}

impl Browser {
    /// Starts it with an empty profile.
    pub async fn start() -> anyhow::Result<Self> {
        let profile = tempfile::Builder::new().prefix("chromium-").tempdir()?;
        let log = profile.path().join("chromium.log");
        let mut spec = Spec::new(
            "chromium",
            system_program("chromium")?,
            log,
            Ready::Line(LISTENING.to_owned()),
        )
        .args(SWITCHES)
        .args([format!("--user-data-dir={}", profile.path().join("profile").display())])
        .args(["about:blank"]);
        spec.own_group = true;
        spec.deadline = PATIENCE;
        let mut process = Daemon::start(spec).await?;
        let line = process.wait_for_line(LISTENING, PATIENCE).await?;
        let (_, url) = line.split_once(LISTENING).context("chromium tells no address")?;
        let address = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
        let address = address.context("chromium tells no address")?.parse()?;
        Ok(Self {
            process,
            address,
            control: Connection::open(address, url.trim()).await?,
            _profile: profile,
        })
    }

    /// Opens a page and waits until it has loaded. Pages share cookies.
    pub async fn page(&mut self, url: &str) -> anyhow::Result<Page> {
        let made = self
            .control
            .command("Target.createTarget", &json!({ "url": "about:blank" }))
            .await?;
        let target = made["targetId"].as_str().context("chromium names no page")?;
        let socket = format!("ws://{}/devtools/page/{target}", self.address);
        let mut page = Page {
            connection: Connection::open(self.address, &socket).await?,
        };
        page.connection.command("Page.enable", &json!({})).await?;
        page.go(url).await?;
        Ok(page)
    }

    /// Ends it now.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }
}

impl Page {
    /// Goes to another address and waits until that has loaded.
    pub async fn go(&mut self, url: &str) -> anyhow::Result<()> {
        let went = self.connection.command("Page.navigate", &json!({ "url": url })).await?;
        if let Some(error) = went["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        let loaded = tokio::time::timeout(PATIENCE, self.connection.event("Page.loadEventFired"));
        loaded.await.with_context(|| format!("{url} does not load"))?
    }

    /// Runs a script in the page and returns its value; a promise is awaited. Fails when the script throws.
    pub async fn evaluate(&mut self, script: &str) -> anyhow::Result<Value> {
        let parameters = json!({
            "expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let mut answer = self.connection.command("Runtime.evaluate", &parameters).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            let words = thrown["exception"]["description"].as_str().or(thrown["text"].as_str());
            bail!("{script}: {}", words.unwrap_or("an exception"));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until a script's value is true. The page may load anew meanwhile.
    pub async fn await_that(&mut self, condition: &str, patience: Duration) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let told = self.evaluate(&format!("Boolean({condition})")).await;
            if told.as_ref().is_ok_and(|value| *value == true) {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < patience,
                "not within {patience:?}: {condition}: {told:?}"
            );
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Gives the page the size of a screen, CSS pixels. Below 600 it is a phone's.
    pub async fn resize(&mut self, width: u32, height: u32) -> anyhow::Result<()> {
        let parameters = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.connection
            .command("Emulation.setDeviceMetricsOverride", &parameters)
            .await
            .map(drop)
    }

    /// Writes what the page shows, as far down as it goes, into a PNG file.
    pub async fn screenshot(&mut self, file: &Path) -> anyhow::Result<()> {
        let parameters = json!({ "format": "png", "captureBeyondViewport": true });
        let taken = self.connection.command("Page.captureScreenshot", &parameters).await?;
        let png = STANDARD.decode(taken["data"].as_str().context("no picture of the page")?)?;
        std::fs::write(file, png).with_context(|| file.display().to_string())
    }
}

/// One WebSocket of the protocol: commands by number, answers, and events between them.
#[derive(Debug)]
struct Connection {
    socket: WebSocketStream<TcpStream>,
    number: u64,
}

impl Connection {
    async fn open(address: SocketAddr, url: &str) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address).await.context("chromium does not listen")?;
        let mut limits = WebSocketConfig::default();
        limits.max_message_size = Some(MESSAGE_BYTES_MAX);
        limits.max_frame_size = Some(MESSAGE_BYTES_MAX);
        let (socket, _) = tokio_tungstenite::client_async_with_config(url, tcp, Some(limits)).await?;
        Ok(Self { socket, number: 0 })
    }

    async fn command(&mut self, method: &str, parameters: &Value) -> anyhow::Result<Value> {
        self.number += 1;
        let number = self.number;
        let command = json!({ "id": number, "method": method, "params": parameters });
        self.socket.send(Frame::text(command.to_string())).await?;
        let answered = async {
            loop {
                let mut message = self.next().await?;
                if message["id"] == number {
                    ensure!(message.get("error").is_none(), "{method}: {}", message["error"]);
                    return Ok(message["result"].take());
                }
            }
        };
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.with_context(|| format!("chromium does not answer to {method}"))?
    }

    /// Waits for an event that comes after the last answer.
    async fn event(&mut self, method: &str) -> anyhow::Result<()> {
        while self.next().await?["method"] != method {}
        Ok(())
    }

    async fn next(&mut self) -> anyhow::Result<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Frame::Text(text))) => return Ok(serde_json::from_str(text.as_str())?),
                Some(Ok(Frame::Close(_))) | None => bail!("chromium has closed the page"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("chromium is gone"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_loads_runs_scripts_and_is_pictured_and_no_process_outlives_the_browser() {
        let mut browser = Browser::start().await.unwrap();
        let mut page = browser.page("data:text/html,<title>halo</title><p>satu").await.unwrap();
        assert_eq!(page.evaluate("document.title").await.unwrap(), "halo");
        assert_eq!(page.evaluate("Promise.resolve([1, 2])").await.unwrap(), json!([1, 2]));
        assert!(page.evaluate("nothing.there").await.is_err());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.png");
        page.resize(400, 300).await.unwrap();
        page.screenshot(&file).await.unwrap();
        assert!(std::fs::read(&file).unwrap().starts_with(b"\x89PNG"));
        let leader = browser.process.pid().unwrap();
        drop(browser);
        // All were killed; the kernel and whoever inherits orphans need a moment to clear them away.
        let begin = Instant::now();
        while rustix::process::test_kill_process_group(leader).is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(10), "some live on");
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}
