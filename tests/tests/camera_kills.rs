//! Workers and the box itself are killed again and again: nothing leaks, recordings can be read, and the cameras come
//! back. And far more people watch than may.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::StreamExt;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tests::cameras::{CameraBox, Simulator, decoded, drawn, entry};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// How often a worker is killed.
const KILLS: u64 = 100;
/// Longest wait for a camera where the time is not what is claimed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the camera's connection is cut again and again.
const CUTTING: Duration = Duration::from_secs(60);
/// Growth of memory that is no leak: what the allocator keeps, and statistics of more pictures, bytes.
const RSS_GROWTH_MAX: u64 = 16 << 20;
/// Open descriptors more than before that are no leak: a connection of the page and a file that is being written.
const DESCRIPTORS_GROWTH_MAX: usize = 6;
/// Frames of a fragment, which is what a kill may cost.
const FRAGMENT_FRAMES: u64 = 30;
/// Viewers of a stream at once.
const VIEWERS: usize = 8;
/// People who try to watch at once.
const CROWD: usize = 200;

/// Memory and descriptors of the box.
#[derive(Debug, Clone, Copy)]
struct Use {
    rss_bytes: u64,
    descriptors: usize,
}

fn used(pid: Pid) -> anyhow::Result<Use> {
    let folder = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    let status = fs::read_to_string(folder.join("status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(Use {
        rss_bytes: kib << 10,
        descriptors: fs::read_dir(folder.join("fd"))?.count(),
    })
}

fn assert_no_leak(before: Use, after: Use) {
    println!("before {before:?}, after {after:?}");
    assert!(
        after.rss_bytes <= before.rss_bytes + RSS_GROWTH_MAX,
        "memory grew: {before:?}, {after:?}"
    );
    assert!(
        after.descriptors <= before.descriptors + DESCRIPTORS_GROWTH_MAX,
        "descriptors grew: {before:?}, {after:?}"
    );
}

async fn one_camera() -> anyhow::Result<(Simulator, CameraBox)> {
    let folder = tempfile::tempdir()?;
    let cameras = Simulator::start(folder.path(), &drawn("pintu", ""))?;
    let mut roadside = CameraBox::prepare(&entry("pintu", cameras.port, "/pintu/sub", ""), "")?;
    roadside.start().await?;
    roadside.await_state("pintu", "up", PATIENCE).await?;
    Ok((cameras, roadside))
}

/// Every file of the recording can be decoded; returns the number of frames.
fn frames_recorded(roadside: &CameraBox) -> anyhow::Result<u64> {
    let mut frames = 0;
    for file in roadside.recordings("pintu")? {
        let (count, told) = decoded(&file)?;
        ensure!(told.is_empty(), "{}: {told}", file.display());
        frames += count;
    }
    Ok(frames)
}

/// Waits until frames come beyond those that there are.
async fn goes_on(roadside: &CameraBox, more: u64) -> anyhow::Result<Duration> {
    let before = roadside.camera("pintu").await?.sub.frames;
    let goes_on = |now: &tests::cameras::CameraNow| now.sub.frames >= before + more;
    roadside.await_that("pintu", "going on", PATIENCE, goes_on).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_killed_workers_leak_nothing_and_cost_no_recording() -> anyhow::Result<()> {
    let (_cameras, roadside) = one_camera().await?;
    let pid = roadside.gateway.pid().context("no gateway runs")?;
    let mut before = used(pid)?;
    let begin = Instant::now();
    for kill in 0..KILLS {
        let has_worker = |now: &tests::cameras::CameraNow| now.worker_pid.is_some() && now.workers_started > kill;
        roadside
            .await_that("pintu", "a further worker", 2 * PATIENCE, has_worker)
            .await?;
        let worker = roadside.camera("pintu").await?.worker_pid.and_then(Pid::from_raw);
        kill_process(worker.context("no worker")?, Signal::KILL)?;
        if kill == KILLS / 10 {
            before = used(pid)?;
        }
    }
    println!("{KILLS} workers killed in {:.0?}", begin.elapsed());
    roadside.await_state("pintu", "up", 2 * PATIENCE).await?;
    goes_on(&roadside, 2 * FRAGMENT_FRAMES).await?;
    assert_no_leak(before, used(pid)?);
    println!("{} frames recorded", frames_recorded(&roadside)?);
    Ok(())
}

/// Cuts the camera's connection as soon as it plays, for so long or so often; returns how often.
async fn cut(cameras: &Simulator, roadside: &CameraBox, length: Duration, times: u64) -> anyhow::Result<u64> {
    let pid = roadside.gateway.pid().context("no gateway runs")?;
    let mut before = used(pid)?;
    let (begin, first) = (Instant::now(), roadside.camera("pintu").await?.sub.connections);
    let mut cuts = 0;
    while begin.elapsed() < length && cuts < times {
        cameras.fault("pintu", "drop")?;
        cameras.fault("pintu", "none")?;
        cuts += 1;
        let is_back = |now: &tests::cameras::CameraNow| now.sub.connections >= first + cuts;
        roadside
            .await_that("pintu", "connected again", 2 * PATIENCE, is_back)
            .await?;
        if cuts == 10 {
            before = used(pid)?;
        }
    }
    println!("{cuts} reconnects in {:.0?}", begin.elapsed());
    goes_on(roadside, 2 * FRAGMENT_FRAMES).await?;
    assert_no_leak(before, used(pid)?);
    println!("{} frames recorded", frames_recorded(roadside)?);
    Ok(cuts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_reconnects_leaks_nothing_and_costs_no_recording() -> anyhow::Result<()> {
    let (cameras, roadside) = one_camera().await?;
    let cuts = cut(&cameras, &roadside, CUTTING, u64::MAX).await?;
    ensure!(cuts > 0, "it never came back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes hours, because tries become rarer"]
async fn a_thousand_reconnects_leak_nothing_and_cost_no_recording() -> anyhow::Result<()> {
    let (cameras, roadside) = one_camera().await?;
    cut(&cameras, &roadside, Duration::MAX, 1_000).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_box_takes_its_workers_along_and_loses_one_fragment() -> anyhow::Result<()> {
    let (cameras, mut roadside) = one_camera().await?;
    goes_on(&roadside, 5 * FRAGMENT_FRAMES).await?;
    let camera = roadside.camera("pintu").await?;
    let worker = camera.worker_pid.and_then(Pid::from_raw).context("no worker")?;
    let sent = cameras.frames_sent("pintu")?;
    roadside.gateway.kill()?;
    let begin = Instant::now();
    while test_kill_process(worker).is_ok() {
        ensure!(begin.elapsed() < Duration::from_secs(10), "the worker lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let kept = frames_recorded(&roadside)?;
    println!(
        "{sent} frames were sent, {kept} are kept; the worker ended after {:.0?}",
        begin.elapsed()
    );
    // The one that was being received, and the one that was being put together.
    ensure!(kept + 2 * FRAGMENT_FRAMES >= sent, "{} frames are missing", sent - kept);
    roadside.start().await?;
    roadside.await_state("pintu", "up", PATIENCE).await?;
    goes_on(&roadside, 2 * FRAGMENT_FRAMES).await?;
    let after = frames_recorded(&roadside)?;
    ensure!(after > kept, "nothing was recorded after the restart: {kept}, {after}");
    Ok(())
}

/// What became of somebody who wanted to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Viewing {
    Pictures,
    Busy,
    Nothing,
}

/// Watches for some seconds, or until told that there is no place.
async fn watch(roadside: &CameraBox, seconds: u64) -> anyhow::Result<Viewing> {
    let address = format!("ws://{}/live?camera=pintu&profile=sub", roadside.page);
    let mut request = address.into_client_request()?;
    request.headers_mut().insert("cookie", roadside.session().parse()?);
    let tcp = TcpStream::connect(roadside.page).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(request, tcp).await?;
    let mut seen = Viewing::Nothing;
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    while let Ok(Some(Ok(message))) = tokio::time::timeout_at(end, socket.next()).await {
        match message {
            Message::Binary(_) => seen = Viewing::Pictures,
            Message::Text(text) if text.contains("busy") => return Ok(Viewing::Busy),
            _ => {}
        }
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_viewers_eight_see_pictures_and_the_others_are_told() -> anyhow::Result<()> {
    let (_cameras, roadside) = one_camera().await?;
    let pid = roadside.gateway.pid().context("no gateway runs")?;
    watch(&roadside, 3).await?;
    let before = used(pid)?;
    let crowd = futures::future::join_all((0..CROWD).map(|_| watch(&roadside, 15)));
    let looking = async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        used(pid)
    };
    let (crowd, during) = tokio::join!(crowd, looking);
    let during = during?;
    let crowd: Vec<Viewing> = crowd.into_iter().collect::<anyhow::Result<_>>()?;
    let count = |what: Viewing| crowd.iter().filter(|viewing| **viewing == what).count();
    println!(
        "{} pictures, {} busy; before {before:?}, during {during:?}",
        count(Viewing::Pictures),
        count(Viewing::Busy)
    );
    assert_eq!(
        (count(Viewing::Pictures), count(Viewing::Busy)),
        (VIEWERS, CROWD - VIEWERS)
    );
    assert!(
        during.rss_bytes <= before.rss_bytes + 2 * RSS_GROWTH_MAX,
        "{before:?}, {during:?}"
    );
    assert_eq!(roadside.camera("pintu").await?.state, "up");
    Ok(())
}
