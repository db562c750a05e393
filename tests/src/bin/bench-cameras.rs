//! What cameras cost: processor time and memory of the whole gateway (with its workers) for 1, 4 and 13 cameras of
//! 1080p25 at 4 Mbit/s, recorded, beside `ffmpeg -c copy -f segment` for the same streams in the same seconds.
//!
//! Twice: with pictures for health at their usual pace, and without (once in an hour), as ffmpeg looks at none. Memory is
//! proportional set size (`Pss` of proc(5)), the mean of samples a second apart; the gateway's after ffmpeg has ended,
//! so that no library is shared with it. A gateway without cameras is measured first, to tell what cameras add.

#![allow(clippy::cast_precision_loss)] // figures are printed with a few digits

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use tests::camera_simulator::CameraSimulator;
use tests::cameras::CameraBox;
use tests::cost::{family, family_ticks, pss_mb, ticks, ticks_a_second};
use tests::process::system_program;

/// Cameras at 1080p25, 4 Mbit/s, beside ffmpeg.
#[derive(Debug, Parser)]
struct Arguments {
    /// Numbers of cameras.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 13])]
    cameras: Vec<usize>,
    /// How long is measured, seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// The usual pace of pictures, seconds.
const PICTURES_USUAL_S: u32 = 4;
/// Samples of memory, a second apart: two groups of pictures at least.
const SAMPLES: u32 = 8;
/// Time for everything to settle: what is usual for a picture is learnt for half a minute, and only then are the first
/// hints followed that something is not.
const WARM_UP: Duration = Duration::from_secs(75);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let without = without_cameras().await?;
    println!("a gateway without cameras: {without:.1} MB");
    println!("cameras  pictures  CPU, % of one core        memory (PSS), MB");
    println!("                   gateway  ffmpeg  ratio    gateway  over cameras  added by each  ffmpeg");
    for count in &arguments.cameras {
        for every_s in [Some(PICTURES_USUAL_S), None] {
            let cost = measure(*count, every_s.unwrap_or(3_600), Duration::from_secs(arguments.seconds)).await?;
            let cameras = *count as f64;
            println!(
                "{count:>7}  {:<8}  {:>7.2} {:>7.2} {:>6.2}    {:>7.1} {:>13.1} {:>14.1} {:>7.1}",
                every_s.map_or("none", |_| "usual"),
                cost.gateway_percent,
                cost.ffmpeg_percent,
                cost.gateway_percent / cost.ffmpeg_percent,
                cost.gateway_mb,
                cost.gateway_mb / cameras,
                (cost.gateway_mb - without) / cameras,
                cost.ffmpeg_mb,
            );
        }
    }
    println!("CPU and PSS of gateway include its workers. A ratio below 1 is cheaper than ffmpeg.");
    println!("To reach: a ratio of 1, and 10 MB a camera.");
    Ok(())
}

/// What was measured.
struct Cost {
    gateway_percent: f64,
    ffmpeg_percent: f64,
    gateway_mb: f64,
    ffmpeg_mb: f64,
}

/// Memory of a gateway that has no cameras, MB.
async fn without_cameras() -> anyhow::Result<f64> {
    let mut roadside = CameraBox::prepare("", "")?;
    roadside.start().await?;
    tokio::time::sleep(WARM_UP).await;
    let gateway = roadside.gateway.pid().context("the gateway has ended")?;
    let mb = mean_pss_mb(|| family(gateway)).await?;
    roadside.stop().await?;
    Ok(mb)
}

async fn measure(count: usize, pictures_every_s: u32, span: Duration) -> anyhow::Result<Cost> {
    let folder = tempfile::tempdir()?;
    let mut streets = String::new();
    for number in 0..count {
        write!(
            streets,
            "[[camera]]\nname = \"c{number}\"\nspaces = []\nmoving_vehicles = 1\n[camera.main]\ncodec = \"h264\"\n\
             width = 1920\nheight = 1080\nfps = 25\ngop = 50\nbitrate_kbit = 4000\nb_frames = 0\nsource = \"loop\"\n\
             loop_seconds = 20\n"
        )?;
    }
    let simulator = CameraSimulator::start(folder.path(), &streets).await?;
    let port = simulator.address.port();
    let mut entries = String::new();
    for number in 0..count {
        write!(
            entries,
            "[[cameras]]\nid = \"c{number}\"\nhost = \"127.0.0.1:{port}\"\nmain = \"/c{number}/main\"\n\
             record = \"main\"\nring_mib = 1024\n"
        )?;
    }
    let mut roadside = CameraBox::prepare(&entries, "")?;
    let config = std::fs::read_to_string(&roadside.config)?;
    let config = config.replace("[video]", &format!("[video]\npictures_every_s = {pictures_every_s}"));
    std::fs::write(&roadside.config, config)?;
    roadside.start().await?;
    let peers = ffmpegs(count, port, folder.path())?;
    tokio::time::sleep(WARM_UP).await;
    let gateway = roadside.gateway.pid().context("the gateway has ended")?;
    let others: Vec<i32> = peers
        .0
        .iter()
        .filter_map(|child| i32::try_from(child.id()).ok())
        .collect();
    let before = (family_ticks(gateway)?, ticks(&others)?);
    tokio::time::sleep(span).await;
    let after = (family_ticks(gateway)?, ticks(&others)?);
    let percent = |ticks: u64| ticks as f64 / span.as_secs_f64() / ticks_a_second() * 100.0;
    let ffmpeg_mb = mean_pss_mb(|| Ok(others.clone())).await?;
    drop(peers);
    let cost = Cost {
        gateway_percent: percent(after.0 - before.0),
        ffmpeg_percent: percent(after.1 - before.1),
        gateway_mb: mean_pss_mb(|| family(gateway)).await?,
        ffmpeg_mb,
    };
    roadside.stop().await?;
    Ok(cost)
}

/// One `ffmpeg` a stream, ended when dropped.
struct Peers(Vec<Child>);

impl Drop for Peers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                kill_process(pid, Signal::KILL).ok();
            }
            child.wait().ok();
        }
    }
}

fn ffmpegs(count: usize, port: u16, folder: &Path) -> anyhow::Result<Peers> {
    let program = system_program("ffmpeg")?;
    let start = |number: usize| {
        Command::new(&program)
            .args(["-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i"])
            .arg(format!("rtsp://127.0.0.1:{port}/c{number}/main"))
            .args([
                "-c",
                "copy",
                "-f",
                "segment",
                "-segment_time",
                "60",
                "-segment_format",
                "mp4",
            ])
            .arg(folder.join(format!("peer-{number}-%03d.mp4")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    let children: Result<Vec<Child>, _> = (0..count).map(start).collect();
    Ok(Peers(children?))
}

/// The mean of some seconds.
async fn mean_pss_mb(pids: impl Fn() -> anyhow::Result<Vec<i32>>) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for _ in 0..SAMPLES {
        tokio::time::sleep(Duration::from_secs(1)).await;
        sum += pss_mb(&pids()?)?;
    }
    Ok(sum / f64::from(SAMPLES))
}
