//! The box's own page, as somebody who knows its password may use it.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use parking::CameraId;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::Value;

use crate::process::workspace_program;

/// How often the page is asked while something is awaited.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Writes the hash of a password, as a technician would, where only the box can read it.
pub fn write_password(file: &Path, password: &str) -> anyhow::Result<()> {
    let mut child = Command::new(workspace_program("gateway")?)
        .arg("password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    writeln!(stdin, "{password}")?;
    drop(stdin);
    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "gateway password: {}", output.status);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    Ok(file.write_all(&output.stdout)?)
}

/// A session at the page.
#[derive(Debug, Clone)]
pub struct BoxPage {
    base: String,
    cookie: String,
    client: reqwest::Client,
}

impl BoxPage {
    /// Logs in.
    pub async fn log_in(address: SocketAddr, password: &str) -> anyhow::Result<Self> {
        let base = format!("http://{address}");
        let client = reqwest::Client::builder().redirect(Policy::none()).build()?;
        let form = client
            .post(format!("{base}/login"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("password={password}"));
        let response = form.send().await.context("the box's page is not there")?;
        let status = response.status();
        anyhow::ensure!(status.is_redirection(), "the box's page does not let in: {status}");
        let cookie = response.headers().get(SET_COOKIE).context("no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { base, cookie, client })
    }

    async fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let url = format!("{}{path}", self.base);
        let asked = self.client.get(&url).header(COOKIE, &self.cookie).send();
        let response = asked.await.with_context(|| format!("GET {url}"))?;
        Ok((response.status(), response.bytes().await?.into()))
    }

    /// All cameras that have said how they are, and how.
    pub async fn cameras(&self) -> anyhow::Result<Vec<Value>> {
        let (status, body) = self.get("/api/cameras").await?;
        anyhow::ensure!(status.is_success(), "cameras: {status}");
        Ok(serde_json::from_slice(&body)?)
    }

    /// Asks until all cameras are up; returns how many there are.
    pub async fn await_all_up(&self, patience: Duration) -> anyhow::Result<usize> {
        let begin = Instant::now();
        loop {
            let cameras = self.cameras().await?;
            let is_up = |camera: &Value| camera["state"] == "up";
            if !cameras.is_empty() && cameras.iter().all(is_up) {
                return Ok(cameras.len());
            }
            anyhow::ensure!(begin.elapsed() < patience, "not all cameras are up: {cameras:#?}");
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// A camera's newest picture, JPEG.
    pub async fn snapshot(&self, camera: &CameraId) -> anyhow::Result<Vec<u8>> {
        let (status, body) = self.get(&format!("/camera/{camera}/snapshot.jpg")).await?;
        let is_jpeg = body.starts_with(&[0xff, 0xd8]) && body.ends_with(&[0xff, 0xd9]);
        anyhow::ensure!(
            status.is_success() && is_jpeg,
            "no picture of {camera}: {status}, {} bytes",
            body.len()
        );
        Ok(body)
    }
}
