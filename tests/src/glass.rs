//! From the camera's glass to the screen's: what somebody sees in front of a page with live view.
//!
//! The simulated camera draws into each picture when it was drawn; a script in the page reads that back from what the
//! video shows. See `glass.js` for when a picture counts as shown.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use camera_simulator::scene::timecode::{self, Timecode};
use parking::{CameraId, GatewayId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::browser::Page;
use crate::process::system_program;

const SCRIPT: &str = include_str!("glass.js");

/// A page's script is ready so long after the page: nobody clicks faster.
pub const FASTEST_CLICK: Duration = Duration::from_millis(500);
/// How long a page may take to show what is asked for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Width of the pictures that [`STRIP_FILTER`] cuts, pixels.
const WIDTH: usize = 640;
/// Lines that it leaves.
const LINES: usize = 16;
/// Bytes that `ffmpeg` gives for a picture with [`STRIP_FILTER`] as raw video.
pub const STRIP_BYTES: usize = WIDTH * LINES;
/// For `ffmpeg -vf`: leaves the timecode of a picture of 640x360.
pub const STRIP_FILTER: &str = "crop=640:16:0:0,format=gray";

/// A page with cameras, and the button that opens one.
#[derive(Debug, Clone)]
pub struct Screen {
    /// Address of the page.
    pub url: String,
    /// CSS selector of the button.
    pub button: String,
}

/// How a camera came up after a click, milliseconds since.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Opened {
    /// Its first picture was shown.
    pub first: Option<f64>,
    /// A picture was shown that was fresh enough.
    pub live: Option<f64>,
}

/// What was shown for a while.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Shown {
    /// Timecodes, in the order of showing.
    pub codes: Vec<u32>,
    /// Age of each picture when it was shown, milliseconds.
    pub ages: Vec<f64>,
    /// Pictures without a timecode.
    pub unreadable: u64,
    /// Pictures that the script came too late to read.
    #[serde(rename = "notSeen")]
    pub not_seen: u64,
    /// The player's own figures at the end.
    pub stats: Value,
}

impl Screen {
    /// The small stream of a camera on the box's own page.
    pub fn near(page: SocketAddr, camera: &CameraId) -> Self {
        Self {
            url: format!("http://{page}/"),
            button: format!("section[data-camera=\"{camera}\"] .watch[data-profile=sub]"),
        }
    }

    /// The same at the portal.
    pub fn far(portal: SocketAddr, gateway: &GatewayId, camera: &CameraId) -> Self {
        Self {
            url: format!("http://{portal}/live"),
            button: format!("[data-box=\"{gateway}\"][data-camera=\"{camera}\"] button[data-profile=sub]"),
        }
    }

    /// Loads the page anew and clicks so long after; waits for a picture not older than `fresh`.
    pub async fn open(&self, page: &mut Page, click_after: Duration, fresh: Duration) -> anyhow::Result<Opened> {
        self.load(page).await?;
        let button = json!(self.button).to_string();
        tokio::time::sleep(click_after).await;
        page.evaluate(SCRIPT).await?;
        let (fresh, patience) = (fresh.as_millis(), PATIENCE.as_millis());
        let opened = page
            .evaluate(&format!("glass.open({button}, {fresh}, {patience})"))
            .await?;
        Ok(serde_json::from_value(opened)?)
    }

    /// Loads the page anew and does nothing in it.
    pub async fn load(&self, page: &mut Page) -> anyhow::Result<()> {
        page.go(&self.url).await?;
        let button = json!(self.button);
        page.await_that(&format!("document.querySelector({button})"), PATIENCE)
            .await
    }
}

/// Logs in at the box's page as a person does.
pub async fn log_in(page: &mut Page, address: SocketAddr, password: &str) -> anyhow::Result<()> {
    page.go(&format!("http://{address}/login")).await?;
    let password = json!(password);
    let fill = format!("document.querySelector('[name=password]').value = {password}; document.forms[0].submit()");
    page.evaluate(&fill).await?;
    page.await_that("document.querySelector('section.camera')", PATIENCE)
        .await
}

/// What a page shows for so long, once a camera is open in it.
pub async fn watch(page: &mut Page, span: Duration) -> anyhow::Result<Shown> {
    let shown = page.evaluate(&format!("glass.watch({})", span.as_millis())).await?;
    Ok(serde_json::from_value(shown)?)
}

/// The timecode in what `ffmpeg` gave for a picture.
pub fn strip(bytes: &[u8]) -> Option<Timecode> {
    timecode::read(bytes, WIDTH, LINES, WIDTH)
}

/// The timecode of a film's first picture.
pub fn first_timecode(film: &Path) -> anyhow::Result<Timecode> {
    let output = Command::new(system_program("ffmpeg")?)
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(film)
        .args(["-frames:v", "1", "-vf", STRIP_FILTER, "-f", "rawvideo", "pipe:1"])
        .stdin(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    strip(&output.stdout).with_context(|| format!("{}: no timecode in its first picture: {told}", film.display()))
}
