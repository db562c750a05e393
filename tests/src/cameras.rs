//! Simulated cameras and a box that watches them, without a city.
//!
//! [`CameraSimulator`](crate::camera_simulator::CameraSimulator) is told what goes wrong. [`CameraBox`] is `gateway run`
//! with the configuration that a user would write; it is judged by its own page, its ledger and its recordings. Its
//! uplink leads to a port where nobody listens, which is how a box lives whose network is down.
//!
//! Two things are not as on a pole. The kernel of a machine for tests often has no time service, so the box's kernel is
//! made to say that it has ([`SYNCHRONISED`]): otherwise no camera's clock is ever wrong. And nobody waits three days
//! for the box to learn what its cameras look like: [`CameraBox::age_baselines`].

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::box_page::write_password;
use crate::process::{Daemon, Ready, Spec, free_address, run, system_program, workspace_program};
use crate::world::{LOG_DOMAIN, enrol};

/// How often the page is asked while something is awaited.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Password of the page.
const PASSWORD: &str = "kunci-simpang";
/// Says that the kernel's clock is synchronised, whatever it says itself.
const SYNCHRONISED: &str = "#include <string.h>\n#include <sys/timex.h>\n\
    int adjtimex(struct timex *query) { memset(query, 0, sizeof *query); return TIME_OK; }\n";
/// Time of learning after which everything that is learnt is known, seconds.
const LEARNT_S: f64 = 3_600.0;

/// What the simulator is told of a camera: a drawn substream of 640x360 at 15 frames a second, a keyframe every 2 s.
/// `more` are further lines of the camera.
pub fn drawn(name: &str, more: &str) -> String {
    let stream =
        "codec = \"h264\"\nwidth = 640\nheight = 360\nfps = 15\ngop = 30\nbitrate_kbit = 500\nsource = \"drawn\"\n";
    format!("[[camera]]\nname = \"{name}\"\n{more}\n[camera.main]\n{stream}[camera.sub]\n{stream}\n")
}

/// A camera in the box's configuration: its substream at this port and path. `more` are further lines.
pub fn entry(id: &str, port: u16, path: &str, more: &str) -> String {
    format!("[[cameras]]\nid = \"{id}\"\nhost = \"127.0.0.1:{port}\"\nsub = \"{path}\"\nring_mib = 64\n{more}\n")
}

/// What the page says of a camera.
#[derive(Debug, Clone, Deserialize)]
pub struct CameraNow {
    /// Its name.
    pub id: String,
    /// How it is.
    pub state: String,
    /// Why.
    pub cause: String,
    /// What to do.
    pub advice: String,
    /// The numbers behind it.
    pub evidence: Vec<Value>,
    /// When the last picture was received that was looked at.
    pub looked_at: Option<String>,
    /// Its worker's process.
    pub worker_pid: Option<i32>,
    /// Workers started since start.
    pub workers_started: u64,
    /// Its substream.
    pub sub: StreamNow,
}

/// What the page says of a stream.
#[derive(Debug, Clone, Deserialize)]
pub struct StreamNow {
    /// Width, pixels.
    pub width: Option<u32>,
    /// Frames since start.
    pub frames: u64,
    /// Frames that the worker dropped.
    pub dropped_frames: u64,
    /// Packets that the network lost.
    pub lost_packets: u64,
    /// Jumps of timestamps.
    pub jumps: u64,
    /// Connections since start.
    pub connections: u64,
    /// Why the last one ended.
    pub ended: Option<(String, String)>,
    /// Viewers.
    pub viewers: usize,
}

/// A box with cameras and no city.
#[derive(Debug)]
pub struct CameraBox {
    /// `gateway run`.
    pub gateway: Daemon,
    /// Where its page is.
    pub page: SocketAddr,
    /// Its configuration.
    pub config: PathBuf,
    /// Its journal, state and recordings.
    pub data: PathBuf,
    session: String,
    http: reqwest::Client,
    folder: TempDir,
}

impl CameraBox {
    /// Makes keys and configuration; [`CameraBox::start`] starts it. `cameras` are `[[cameras]]` in TOML, `logins` the
    /// lines of their file of secrets.
    pub fn prepare(cameras: &str, logins: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("kamera-").tempdir()?;
        let root = folder.path();
        let (keys, pki) = (root.join("keys"), root.join("pki"));
        fs::create_dir_all(&keys)?;
        certificates(root, &pki, &keys)?;
        for (name, text) in [("cameras.secret", logins), ("token", "kunci")] {
            keep_secret(&root.join(name), text)?;
        }
        write_password(&root.join("page.password"), PASSWORD)?;
        let (page, nobody, webhook) = (free_address()?, free_address()?.port(), free_address()?);
        let config = root.join("box.toml");
        fs::write(&config, box_toml(page, nobody, webhook) + cameras)?;
        let ready = Ready::Line("ready".to_owned());
        let spec = Spec::new(
            "gateway",
            workspace_program("gateway")?,
            root.join("gateway.log"),
            ready,
        )
        .args([Path::new("run"), &config])
        .variable("LD_PRELOAD", &synchronised(root)?.display().to_string());
        Ok(Self {
            gateway: Daemon::prepared(spec),
            page,
            config,
            data: root.join("data"),
            session: String::new(),
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            folder,
        })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it, again after [`CameraBox::stop`], and logs in.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.gateway.restart().await?;
        self.gateway
            .wait_for_line("the box's page is open", Duration::from_secs(10))
            .await?;
        let form = self.http.post(format!("http://{}/login", self.page));
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let answer = form.body(format!("password={PASSWORD}")).send().await?;
        let cookie = answer.headers().get("set-cookie").context("the page lets nobody in")?;
        let cookie = cookie.to_str()?.split(';').next().unwrap_or_default();
        cookie.clone_into(&mut self.session);
        Ok(())
    }

    /// The cookie of the session, as a browser would send it.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Asks it to end, and waits.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.gateway.terminate(Duration::from_secs(20)).await
    }

    /// What the page says of all cameras.
    pub async fn cameras(&self) -> anyhow::Result<Vec<CameraNow>> {
        let request = self.http.get(format!("http://{}/api/cameras", self.page));
        let answer = request
            .header("cookie", &self.session)
            .send()
            .await?
            .error_for_status()?;
        Ok(answer.json().await?)
    }

    /// What the page says of one.
    pub async fn camera(&self, id: &str) -> anyhow::Result<CameraNow> {
        let all = self.cameras().await?;
        let known = all.into_iter().find(|camera| camera.id == id);
        known.with_context(|| format!("the page does not know {id}"))
    }

    /// Waits until a camera is as `is_there` wants it; says how long that took.
    pub async fn await_that(
        &self,
        id: &str,
        what: &str,
        within: Duration,
        is_there: impl Fn(&CameraNow) -> bool,
    ) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        loop {
            let asked = begin.elapsed();
            // Right after the start, the page does not know it yet.
            let now = self.cameras().await?.into_iter().find(|camera| camera.id == id);
            if now.as_ref().is_some_and(&is_there) {
                return Ok(asked);
            }
            if asked > within {
                bail!("{id} is not \"{what}\" after {asked:.1?}; it is {now:?}");
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Waits until a camera is in that state; says how long that took.
    pub async fn await_state(&self, id: &str, state: &str, within: Duration) -> anyhow::Result<Duration> {
        self.await_that(id, state, within, |now| now.state == state).await
    }

    /// Takes what a camera shows now as its usual view.
    pub fn accept_view(&self, camera: &str) -> anyhow::Result<String> {
        let config = self.config.display().to_string();
        run(
            workspace_program("gateway")?,
            ["cameras", "accept-view", &config, camera],
        )
    }

    /// Records in the box's ledger, one a line.
    pub fn ledger(&self) -> anyhow::Result<String> {
        let config = self.config.display().to_string();
        run(
            workspace_program("gateway")?,
            ["ledger", "list", &config, "--count", "10000"],
        )
    }

    /// Alters the configuration of a box that does not run.
    pub fn reconfigure(&self, old: &str, new: &str) -> anyhow::Result<()> {
        let text = fs::read_to_string(&self.config)?;
        ensure!(text.contains(old), "\"{old}\" is not in the configuration");
        Ok(fs::write(&self.config, text.replace(old, new))?)
    }

    /// Files of a camera's recording, oldest first.
    pub fn recordings(&self, camera: &str) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.data.join("ring").join(camera).join("sub");
        let mut files = Vec::new();
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "mp4") {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// Makes what a stopped box has learnt of its cameras count as learnt over days, at every hour: what was seen in a
    /// minute is taken for what is always seen.
    pub fn age_baselines(&self) -> anyhow::Result<usize> {
        let store = sled::open(self.data.join("state"))?;
        let mut aged = 0;
        for name in store
            .tree_names()
            .into_iter()
            .filter(|name| name.starts_with(b"memory/baseline/"))
        {
            let memory = store.open_tree(name)?;
            let (name, bytes) = memory.first()?.context("an empty baseline")?;
            let mut baseline: Value = serde_json::from_slice(&bytes)?;
            for part in ["hours", "views"] {
                let slots = baseline[part]
                    .as_array_mut()
                    .context("the baseline has another form now")?;
                let seconds = |slot: &Value| slot["seconds"].as_f64().unwrap_or(0.0);
                let learnt = slots.iter().max_by(|a, b| seconds(a).total_cmp(&seconds(b)));
                let mut learnt = learnt
                    .filter(|slot| seconds(slot) > 0.0)
                    .cloned()
                    .context("nothing was learnt")?;
                learnt["seconds"] = json!(LEARNT_S);
                slots.fill(learnt);
            }
            memory.insert(name, serde_json::to_vec(&baseline)?)?;
            aged += 1;
        }
        store.flush()?;
        Ok(aged)
    }
}

/// What `ffprobe` says of a file: the number of its frames that can be decoded, and what the decoder complained about.
pub fn decoded(file: &Path) -> anyhow::Result<(u64, String)> {
    let output = Command::new(system_program("ffprobe")?)
        .args(["-v", "error", "-count_frames", "-select_streams", "v:0"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(file)
        .stdin(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "ffprobe {}: {told}", file.display());
    let frames = String::from_utf8_lossy(&output.stdout);
    let frames = frames
        .trim()
        .trim_end_matches(',')
        .parse()
        .with_context(|| format!("{}: {told}", file.display()))?;
    Ok((frames, told))
}

/// Keys by `gateway keygen`, certificates by `kominfo`, as an operator makes them.
fn certificates(root: &Path, pki: &Path, keys: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(pki)?;
    let (kominfo, out) = (workspace_program("kominfo")?, pki.display().to_string());
    run(
        &kominfo,
        ["keygen", "--name", &format!("kominfo.{LOG_DOMAIN}"), "--out", &out],
    )?;
    run(
        &kominfo,
        ["pki", "init", "--out", &out, "--dns", "localhost", "--ip", "127.0.0.1"],
    )?;
    let database = format!("sqlite:{}", root.join("kominfo.sqlite").display());
    enrol(pki, &database, &parking::GatewayId::new("kotak-1")?, keys)
}

/// The library that makes the kernel say that its clock is synchronised.
fn synchronised(root: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (root.join("synchronised.c"), root.join("synchronised.so"));
    fs::write(&source, SYNCHRONISED)?;
    let args = [
        "-shared".as_ref(),
        "-fPIC".as_ref(),
        "-o".as_ref(),
        library.as_os_str(),
        source.as_os_str(),
    ];
    run(system_program("cc")?, args)?;
    Ok(library)
}

/// Writes a file that only its owner may read.
pub fn keep_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

fn box_toml(page: SocketAddr, nobody: u16, webhook: SocketAddr) -> String {
    format!(
        r#"
[gateway]
id = "kotak-1"
log_domain = "{LOG_DOMAIN}"
timezone = "WIB"
data_dir = "data"
[keys]
ledger_key = "keys/ledger.key"
kominfo_vkey = "keys/kominfo.vkey"
[uplink]
host = "127.0.0.1"
port = {nobody}
ca_file = "keys/ca.pem"
certificate_file = "keys/tls.pem"
private_key_file = "keys/tls.key"
[page]
listen = "{page}"
password_file = "page.password"
[video]
secrets_file = "cameras.secret"
free_mib_min = 256
[webhook]
listen = "{webhook}"
token_file = "token"
[[zones]]
id = "z"
name = "Jalan"
[[spaces]]
id = "U-01"
zone = "z"
class = "car"
sensor = "0102030405060708"
latitude = -6.9
longitude = 107.6
[[sensors]]
id = "0102030405060708"
profile = "webhook"
heartbeat_s = 3600
"#
    )
}
