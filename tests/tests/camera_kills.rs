//! Workers and the box itself are killed again and again: nothing leaks, recordings can be read, and the cameras come
//! back. And far more people watch than may.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::camera_simulator::CameraSimulator;
use tests::cameras::{CameraBox, CameraNow, decoded, drawn, entry};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// As many cameras as a box may have.
const CAMERAS: usize = 16;
/// Longest wait for a camera where the time is not what is claimed.
const PATIENCE: Duration = Duration::from_secs(60);
/// A camera that was well for so long is tried soon again when it fails.
const RECOVERY: Duration = Duration::from_secs(32);
/// Samples of memory, 200 ms apart.
const SAMPLES: u32 = 25;
/// Growth of memory that is no leak: what the allocator keeps, and statistics of more pictures, bytes.
const RSS_GROWTH_MAX: u64 = 16 << 20;
/// Open descriptors more than before that are no leak: a connection of the page and a file that is being written.
const DESCRIPTORS_GROWTH_MAX: usize = 6;
/// Frames of a fragment, which is what a kill may cost.
const FRAGMENT_FRAMES: u64 = 30;
/// A camera is looked at every 4 s by the clock, and not for a minute more because of the same sign.
const BY_THE_CLOCK: Duration = Duration::from_secs(30);
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

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB, {} descriptors", self.rss_bytes >> 10, self.descriptors)
    }
}

/// As many cameras as a box may have, or one; with the folder of the simulator's log.
async fn cameras(count: usize) -> anyhow::Result<(CameraSimulator, CameraBox, TempDir)> {
    let names = names(count);
    let folder = tempfile::tempdir()?;
    let cameras = CameraSimulator::start(
        folder.path(),
        &names.iter().map(|name| drawn(name, "")).collect::<String>(),
    )
    .await?;
    let entries = names
        .iter()
        .map(|name| entry(name, cameras.address.port(), &format!("/{name}/sub"), ""));
    let mut roadside = CameraBox::prepare(&entries.collect::<String>(), "")?;
    roadside.start().await?;
    for name in &names {
        roadside.await_state(name, "up", PATIENCE).await?;
    }
    Ok((cameras, roadside, folder))
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("pintu-{number}")).collect()
}

/// Every file of a camera's recording can be decoded; returns the number of frames.
fn frames_recorded(roadside: &CameraBox, camera: &str) -> anyhow::Result<u64> {
    let mut frames = 0;
    for file in roadside.recordings(camera)? {
        let (count, told) = decoded(&file)?;
        ensure!(told.is_empty(), "{}: {told}", file.display());
        frames += count;
    }
    Ok(frames)
}

/// Waits until two further fragments have come.
async fn goes_on(roadside: &CameraBox, camera: &str) -> anyhow::Result<Duration> {
    let before = roadside.camera(camera).await?.sub.frames;
    let goes_on = |now: &CameraNow| now.sub.frames >= before + 2 * FRAGMENT_FRAMES;
    roadside.await_that(camera, "going on", 2 * PATIENCE, goes_on).await
}

/// Breaks each of the cameras so often, as soon as it plays again; returns how often in all.
async fn break_all(
    roadside: &CameraBox,
    times: u64,
    harm: impl AsyncFn(&CameraNow) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let names = names(CAMERAS);
    let harm = &harm;
    let each = names.iter().map(|name| async move {
        for _ in 0..times {
            let before = roadside.camera(name).await?;
            harm(&before).await?;
            let is_back = |now: &CameraNow| now.sub.connections > before.sub.connections;
            roadside
                .await_that(name, "connected again", 2 * PATIENCE, is_back)
                .await?;
        }
        anyhow::Ok(times)
    });
    let done = futures::future::try_join_all(each).await?;
    Ok(done.into_iter().sum())
}

/// Memory and descriptors while all cameras are recorded: the most of some seconds, in which each of them begins a group of
/// pictures.
async fn at_rest(roadside: &CameraBox) -> anyhow::Result<Use> {
    let names = names(CAMERAS);
    futures::future::try_join_all(names.iter().map(|name| goes_on(roadside, name))).await?;
    let pid = roadside.gateway.pid().context("no gateway runs")?;
    let mut most = used(pid)?;
    for _ in 0..SAMPLES {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = used(pid)?;
        most.rss_bytes = most.rss_bytes.max(now.rss_bytes);
        most.descriptors = most.descriptors.max(now.descriptors);
    }
    Ok(most)
}

/// Does harm to all cameras in rounds, with time to recover between them, so that the box does not try more rarely.
/// Nothing may leak, and everything recorded must be playable. Returns how often harm was done after the first round, in
/// which memory may still grow to what is needed.
async fn in_rounds(
    rounds: &[u64],
    harm: impl AsyncFn(&CameraSimulator, &CameraNow) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let (simulator, roadside, _folder) = cameras(CAMERAS).await?;
    let (mut uses, mut harmed) = (Vec::new(), 0);
    for (number, times) in rounds.iter().enumerate() {
        if number > 0 {
            tokio::time::sleep(RECOVERY).await;
        }
        let begin = Instant::now();
        let done = break_all(&roadside, *times, async |camera| harm(&simulator, camera).await).await?;
        let now = at_rest(&roadside).await?;
        println!("round {number}: {done} times in {:.0?}, then {now}", begin.elapsed());
        uses.push(now);
        harmed += if number > 0 { done } else { 0 };
    }
    let mut frames = 0;
    for name in names(CAMERAS) {
        frames += frames_recorded(&roadside, &name)?;
    }
    println!("{frames} frames recorded, and all can be decoded");
    let (first, last) = (uses[0], uses[uses.len() - 1]);
    assert!(
        last.rss_bytes <= first.rss_bytes + RSS_GROWTH_MAX,
        "memory grew: {uses:?}"
    );
    assert!(
        last.descriptors <= first.descriptors + DESCRIPTORS_GROWTH_MAX,
        "descriptors grew: {uses:?}"
    );
    Ok(harmed)
}

async fn kill_worker(_simulator: &CameraSimulator, camera: &CameraNow) -> anyhow::Result<()> {
    let worker = camera.worker_pid.and_then(Pid::from_raw).context("no worker")?;
    Ok(kill_process(worker, Signal::KILL)?)
}

async fn cut(simulator: &CameraSimulator, camera: &CameraNow) -> anyhow::Result<()> {
    simulator.fault(&camera.id, "drop").await?;
    simulator.fault(&camera.id, "none").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_killed_workers_leak_nothing_and_cost_no_recording() -> anyhow::Result<()> {
    let kills = in_rounds(&[3, 7], kill_worker).await?;
    ensure!(kills >= 100, "{kills} workers killed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reconnects_leak_nothing_and_cost_no_recording() -> anyhow::Result<()> {
    let cuts = in_rounds(&[3, 7], cut).await?;
    ensure!(cuts >= 100, "only {cuts} reconnects");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a quarter of an hour; `./run soak cameras`"]
async fn a_thousand_reconnects_leak_nothing_and_cost_no_recording() -> anyhow::Result<()> {
    let cuts = in_rounds(&[5; 14], cut).await?;
    ensure!(cuts >= 1_000, "only {cuts} reconnects");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_box_takes_its_workers_along_and_loses_one_fragment() -> anyhow::Result<()> {
    let (simulator, mut roadside, _folder) = cameras(1).await?;
    goes_on(&roadside, "pintu-1").await?;
    let camera = roadside.camera("pintu-1").await?;
    let worker = camera.worker_pid.and_then(Pid::from_raw).context("no worker")?;
    let sent = simulator.frames_sent("pintu-1").await?;
    roadside.gateway.kill()?;
    let begin = Instant::now();
    while runs(worker) {
        ensure!(begin.elapsed() < Duration::from_secs(10), "the worker lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What was being written then is cut off at the restart only.
    let mut kept = 0;
    for file in roadside.recordings("pintu-1")? {
        kept += decoded(&file)?.0;
    }
    println!(
        "{sent} frames were sent, {kept} are kept; the worker ended after {:.0?}",
        begin.elapsed()
    );
    // The one that was being received, and the one that was being put together.
    ensure!(kept + 2 * FRAGMENT_FRAMES >= sent, "{} frames are missing", sent - kept);
    roadside.start().await?;
    roadside.await_state("pintu-1", "up", PATIENCE).await?;
    goes_on(&roadside, "pintu-1").await?;
    let after = frames_recorded(&roadside, "pintu-1")?;
    ensure!(after > kept, "nothing was recorded after the restart: {kept}, {after}");
    Ok(())
}

/// Whether a process runs; one that has ended and that nobody has asked about does not.
fn runs(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_is_replaced() -> anyhow::Result<()> {
    let (_cameras, roadside, _folder) = cameras(1).await?;
    let hanging = roadside.camera("pintu-1").await?;
    let worker = hanging.worker_pid.and_then(Pid::from_raw).context("no worker")?;
    kill_process(worker, Signal::STOP)?;
    let is_new = |now: &CameraNow| now.state == "up" && now.workers_started > hanging.workers_started;
    let took = roadside.await_that("pintu-1", "up again", PATIENCE, is_new).await?;
    println!("replaced after {took:.1?}");
    ensure!(!runs(worker), "the worker that hung is still there");
    goes_on(&roadside, "pintu-1").await.map(drop)
}

/// Processes for pictures that a box has.
fn pictures_of(gateway: Pid) -> usize {
    let parent = format!("PPid:\t{}\n", gateway.as_raw_nonzero());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_one = |process: &fs::DirEntry| {
        let read = |name| fs::read_to_string(process.path().join(name)).unwrap_or_default();
        read("status").contains(&parent) && read("cmdline").contains("pictures")
    };
    processes.filter(is_one).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_for_pictures_is_there_while_it_has_work() -> anyhow::Result<()> {
    let (_cameras, mut roadside, _folder) = cameras(1).await?;
    roadside.stop().await?;
    let config = fs::read_to_string(&roadside.config)?;
    fs::write(
        &roadside.config,
        config.replace("[video]", "[video]\npictures_every_s = 600"),
    )?;
    roadside.start().await?;
    let gateway = roadside.gateway.pid().context("no gateway runs")?;
    let is_looked_at = |now: &CameraNow| now.looked_at.is_some();
    roadside
        .await_that("pintu-1", "looked at", PATIENCE, is_looked_at)
        .await?;
    let begin = Instant::now();
    while pictures_of(gateway) > 0 {
        ensure!(begin.elapsed() < PATIENCE, "it stays without work");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("it ended {:.1?} after the first look", begin.elapsed());
    let snapshot = reqwest::Client::new()
        .get(format!("http://{}/camera/pintu-1/snapshot.jpg", roadside.page))
        .header("cookie", roadside.session())
        .send()
        .await?;
    assert_eq!(snapshot.status().as_u16(), 200);
    assert_eq!(pictures_of(gateway), 1);
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
    let address = format!("ws://{}/live?camera=pintu-1&profile=sub", roadside.page);
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
    let (_cameras, roadside, _folder) = cameras(1).await?;
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
    assert_eq!(roadside.camera("pintu-1").await?.state, "up");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_looked_at_while_somebody_watches_it() -> anyhow::Result<()> {
    let (_cameras, roadside, _folder) = cameras(1).await?;
    let looks = async {
        // The first, and four for a sign that something may be wrong, come without the clock.
        for number in 1..=8 {
            let before = roadside.camera("pintu-1").await?.looked_at;
            let is_new = |now: &CameraNow| now.looked_at > before;
            let what = format!("looked at for time {number}");
            roadside.await_that("pintu-1", &what, BY_THE_CLOCK, is_new).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        looks = looks => looks,
        viewing = watch(&roadside, 3 * PATIENCE.as_secs()) => bail!("the view ended: {viewing:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_anything_without_the_password() -> anyhow::Result<()> {
    let (_cameras, roadside, _folder) = cameras(1).await?;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    for (path, status) in [
        ("/", 303),
        ("/camera/pintu-1", 303),
        ("/camera/pintu-1/snapshot.jpg", 401),
        ("/api/cameras", 401),
        ("/live?camera=pintu-1&profile=sub", 401),
    ] {
        for cookie in [None, Some("session=0"), Some("session=")] {
            let mut request = http.get(format!("http://{}{path}", roadside.page));
            if let Some(cookie) = cookie {
                request = request.header("cookie", cookie);
            }
            let answer = request.send().await?;
            assert_eq!(answer.status().as_u16(), status, "{path}");
        }
    }
    let address = format!("ws://{}/live?camera=pintu-1&profile=sub", roadside.page);
    let tcp = TcpStream::connect(roadside.page).await?;
    let refused = tokio_tungstenite::client_async(address.into_client_request()?, tcp).await;
    assert!(refused.is_err(), "somebody watches without the password");
    Ok(())
}
