//! Servers that are not ours: what works is recorded, and what cannot work has its name.
//!
//! VLC serves RTP over UDP only. The package `aio-rtsp-toolkit` of `PyPI` serves interleaved TCP; it is looked for in the
//! virtual environment that `./run test` makes. What is not installed is not tested, and said so.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use parking::Timestamp;
use tests::camera_simulator::CameraSimulator;
use tests::cameras::{CameraBox, CameraNow, decoded, drawn, entry};
use tests::clock::unix_ms;
use tests::process::{Daemon, Ready, Spec, free_address, is_root, output, run, system_program, workspace_program};

/// Longest wait where the time is not what is claimed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A clip of 20 s that every server can send.
fn clip(folder: &Path) -> anyhow::Result<PathBuf> {
    let file = folder.join("clip.mp4");
    let out = file.display().to_string();
    let source = [
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=15",
        "-t",
        "20",
    ];
    let coding = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "30",
        "-bf",
        "0",
        "-pix_fmt",
        "yuv420p",
        &out,
    ];
    run(system_program("ffmpeg")?, source.iter().chain(&coding))?;
    Ok(file)
}

/// VLC over UDP, if it is installed. It refuses to run as root.
async fn vlc(folder: &Path, clip: &Path) -> anyhow::Result<Option<(Daemon, u16, &'static str)>> {
    let Ok(program) = system_program("cvlc") else {
        return Ok(None);
    };
    let address = free_address()?;
    let rtp = format!("#rtp{{sdp=rtsp://{address}/x}}");
    let ready = Ready::Port(address);
    let mut spec = Spec::new("vlc", program, folder.join("vlc.log"), ready)
        .args([clip.as_os_str(), "--sout".as_ref(), rtp.as_ref(), "--loop".as_ref()])
        .variable("HOME", "/nonexistent");
    if is_root() {
        spec.user = Some("nobody".to_owned());
        spec.group = Some("nogroup".to_owned());
        run("/bin/chmod", ["a+rx", &folder.display().to_string()])?;
    }
    Ok(Some((Daemon::start(spec).await?, address.port(), "/x")))
}

/// The Python server over TCP, if it is installed.
async fn python(folder: &Path, clip: &Path) -> anyhow::Result<Option<(Daemon, u16, &'static str)>> {
    let gateway = workspace_program("gateway")?;
    let target = gateway.ancestors().nth(2).context("no target folder")?;
    let program = target.join("peers/bin/rtsp-server");
    if !program.is_file() {
        return Ok(None);
    }
    let (address, control) = (free_address()?, free_address()?.port().to_string());
    let media = clip.parent().context("no folder")?.display().to_string();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let spec = Spec::new("aio-rtsp", program, folder.join("aio.log"), Ready::Port(address))
        .args(["-d", &media, "-H", &host, "-p", &port, "-cp", &control]);
    Ok(Some((Daemon::start(spec).await?, address.port(), "/clip.mp4")))
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_other_makers_are_recorded_over_tcp_and_udp() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let clip = clip(folder.path())?;
    let mut servers = Vec::new();
    let mut cameras = String::new();
    for (name, started, transport) in [
        ("vlc", vlc(folder.path(), &clip).await?, "udp"),
        ("python", python(folder.path(), &clip).await?, "tcp"),
    ] {
        let Some((daemon, port, path)) = started else {
            println!("NOT TESTED: {name} is not installed; `./run test` installs it");
            continue;
        };
        cameras += &entry(name, port, path, &format!("transport = \"{transport}\""));
        servers.push((name, daemon));
    }
    if servers.is_empty() {
        return Ok(());
    }
    let mut roadside = CameraBox::prepare(&cameras, "")?;
    roadside.start().await?;
    for (name, _daemon) in &servers {
        // The clip has 20 s: after that much, its end and beginning were met.
        let frames = |now: &CameraNow| now.sub.frames >= 450;
        roadside
            .await_that(name, "recorded for 30 s", 2 * PATIENCE, frames)
            .await?;
        let now = roadside.camera(name).await?;
        let mut recorded = 0;
        for file in roadside.recordings(name)? {
            let (count, told) = decoded(&file)?;
            ensure!(told.is_empty(), "{}: {told}", file.display());
            recorded += count;
        }
        println!("{name}: {recorded} frames recorded; {:?}", now.sub);
        ensure!(recorded >= 300, "{name}: {recorded} frames");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn h265_and_frames_out_of_order_are_recorded_and_looked_at() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let looped = |name: &str, old: &str, new: &str| {
        let text = drawn(name, "").replace("\"drawn\"", "\"loop\"\nloop_seconds = 4");
        text.replace(old, new)
    };
    let streets = looped("hevc", "\"h264\"", "\"h265\"") + &looped("urutan", "gop = 30", "gop = 30\nb_frames = 2");
    let simulator = CameraSimulator::start(folder.path(), &streets).await?;
    // That frames come out of order is known after the first of them: what is left of their group is dropped.
    let cases = [("hevc", 0), ("urutan", 30)];
    let cameras: String = cases
        .map(|(name, _)| entry(name, simulator.address.port(), &format!("/{name}/sub"), ""))
        .concat();
    let mut roadside = CameraBox::prepare(&cameras, "")?;
    roadside.start().await?;
    let is_of_now = |now: &CameraNow| -> anyhow::Result<bool> {
        let looked_at: Timestamp = now.looked_at.as_deref().context("not looked at")?.parse()?;
        let off_ms = looked_at.millis_since(Timestamp::from_millis(unix_ms()));
        Ok(off_ms.unsigned_abs() < 60_000)
    };
    for (name, dropped_max) in cases {
        let is_there = |now: &CameraNow| now.state == "up" && now.sub.frames >= 150 && now.looked_at.is_some();
        roadside
            .await_that(name, "recorded and looked at", PATIENCE, is_there)
            .await?;
        let mut recorded = 0;
        for file in roadside.recordings(name)? {
            let (count, told) = decoded(&file)?;
            ensure!(told.is_empty(), "{}: {told}", file.display());
            recorded += count;
        }
        let now = roadside.camera(name).await?;
        ensure!(is_of_now(&now)?, "the time of a picture: {now:?}");
        println!("{name}: {recorded} frames recorded; {:?}", now.sub);
        ensure!(recorded >= 60, "{name}: {recorded} frames");
        assert!(
            now.sub.connections == 1 && now.sub.dropped_frames <= dropped_max,
            "{now:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_a_camera_that_is_not_there_costs_nothing_else() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let simulator = CameraSimulator::start(folder.path(), &drawn("pintu", "")).await?;
    let cameras = entry("pintu", simulator.address.port(), "/pintu/sub", "");
    let logins = "pintv = { user = \"admin\", password = \"rahasia\" }\n";
    let mut roadside = CameraBox::prepare(&cameras, logins)?;
    let checked = output(&workspace_program("gateway")?, [Path::new("check"), &roadside.config])?;
    assert_eq!(checked.status.code(), Some(2), "{checked:?}");
    roadside.start().await?;
    roadside.await_state("pintu", "up", PATIENCE).await?;
    let log = roadside.gateway.log_of_this_run()?;
    assert!(
        log.contains("names camera \"pintv\"") && log.contains("note: the box counts"),
        "{log}"
    );
    assert!(!log.contains("rahasia"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_log_in_and_every_quirk_of_a_make_works_with_either_client() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let login = "user = \"admin\"\npassword = \"rahasia-kamera\"\n";
    let streets = drawn("basic", &format!("{login}auth = \"basic\"")) + &drawn("digest", login);
    let simulator = CameraSimulator::start(folder.path(), &streets).await?;
    let (mut cameras, mut logins, mut ids) = (String::new(), String::new(), Vec::new());
    for scheme in ["basic", "digest"] {
        for client in ["retina", "rtspsrc"] {
            let id = format!("{scheme}-{client}");
            let more = format!("client = \"{client}\"\nprofile = \"reolink\"");
            cameras += &entry(&id, simulator.address.port(), &format!("/{scheme}/sub"), &more);
            logins.push_str(&id);
            logins.push_str(" = { user = \"admin\", password = \"rahasia-kamera\" }\n");
            ids.push(id);
        }
    }
    let mut roadside = CameraBox::prepare(&cameras, &logins)?;
    roadside.start().await?;
    for id in &ids {
        let plays = |now: &CameraNow| now.state == "up" && now.sub.frames > 60;
        roadside.await_that(id, "up, with frames", PATIENCE, plays).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_the_recording_and_nothing_else_and_is_told_with_what_to_do() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let simulator = CameraSimulator::start(folder.path(), &drawn("pintu", "")).await?;
    let cameras = entry("pintu", simulator.address.port(), "/pintu/sub", "");
    let mut roadside = CameraBox::prepare(&cameras, "")?;
    // More than any disk of a machine for tests has free.
    roadside.reconfigure("free_mib_min = 256", "free_mib_min = 1048576")?;
    roadside.start().await?;
    let is_told = |now: &CameraNow| now.state == "up" && now.advice.contains("sub: tidak direkam: disk hampir penuh");
    roadside
        .await_that("pintu", "up and not recorded", PATIENCE, is_told)
        .await?;
    let frames = roadside.camera("pintu").await?.sub.frames;
    let goes_on = |now: &CameraNow| now.sub.frames > frames + 30 && now.sub.dropped_frames == 0;
    roadside.await_that("pintu", "still up", PATIENCE, goes_on).await?;
    let kept: u64 = roadside
        .recordings("pintu")?
        .iter()
        .map(|file| Ok(file.metadata()?.len()))
        .sum::<std::io::Result<u64>>()?;
    ensure!(kept < 1 << 20, "{kept} bytes were recorded on a full disk");
    let listed = output(
        &workspace_program("gateway")?,
        ["cameras", "list", &roadside.config.display().to_string()],
    )?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    println!("{listed}");
    assert!(listed.contains("disk hampir penuh"), "{listed}");
    roadside.stop().await?;
    roadside.reconfigure("free_mib_min = 1048576", "free_mib_min = 256")?;
    roadside.start().await?;
    let is_recorded = |now: &CameraNow| now.state == "up" && now.advice.is_empty() && now.sub.frames > 60;
    roadside
        .await_that("pintu", "recorded again", PATIENCE, is_recorded)
        .await?;
    ensure!(!roadside.recordings("pintu")?.is_empty(), "no recording");
    Ok(())
}

/// What each bad peer is called, by the cause of state and stream.
const CROOKED: [(&str, &[&str]); 10] = [
    ("http", &["not_rtsp"]),
    ("garbage_sdp", &["bad_sdp"]),
    ("auth_unsupported", &["auth_unsupported"]),
    ("auth_unknown", &["auth_unsupported"]),
    ("auth_sha256", &["auth_failed"]),
    ("silent", &["unreachable", "no_answer"]),
    ("slow", &["unreachable", "no_answer"]),
    ("not_found", &["not_found"]),
    ("redirect_loop", &["not_rtsp", "refused", "rejected"]),
    ("endless_header", &["not_rtsp"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn bad_peers_have_their_names_and_a_good_camera_does_not_notice() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let audio = drawn("suara", "audio_only = true");
    let fast = drawn("cepat", "")
        .replace("fps = 15", "fps = 500")
        .replace("gop = 30", "gop = 250");
    let fast = fast
        .replace("640", "160")
        .replace("360", "90")
        .replace("\"drawn\"", "\"loop\"\nloop_seconds = 2");
    let good = CameraSimulator::start(folder.path(), &(drawn("baik", "") + &audio + &fast)).await?;
    let mut cameras: String = ["baik", "suara", "cepat"]
        .map(|name| entry(name, good.address.port(), &format!("/{name}/sub"), ""))
        .concat();
    let mut peers = Vec::new();
    let mut secrets = String::new();
    for (kind, _) in CROOKED {
        let peer = CameraSimulator::crooked(kind).await?;
        let id = kind.replace('_', "-");
        cameras += &entry(&id, peer.address.port(), "/a/b", "");
        secrets.push_str(&id);
        secrets.push_str(" = { user = \"admin\", password = \"rahasia\" }\n");
        peers.push(peer);
    }
    let mut roadside = CameraBox::prepare(&cameras, &secrets)?;
    let begin = Instant::now();
    roadside.start().await?;
    let mut wrong = Vec::new();
    for (kind, causes) in CROOKED.into_iter().chain([("suara", &["no_video"][..])]) {
        let id = kind.replace('_', "-");
        let is_named = |now: &CameraNow| causes.contains(&now.cause.as_str()) && now.state != "connecting";
        let named = roadside
            .await_that(&id, &causes.join(" or "), Duration::from_secs(30), is_named)
            .await;
        let now = roadside.camera(&id).await?;
        println!(
            "{kind:<17} {:>5.1} s  {} ({})  {:?}",
            begin.elapsed().as_secs_f64(),
            now.state,
            now.cause,
            now.sub.ended
        );
        wrong.extend(named.err().map(|error| format!("{kind}: {error:#}")));
    }
    // A frame every 2 ms is more than any street needs: what is too much is dropped, the rest is a stream.
    let is_thinned = |now: &CameraNow| now.state == "up" && now.sub.dropped_frames > 100 && now.sub.frames > 0;
    roadside
        .await_that("cepat", "up, with frames dropped", PATIENCE, is_thinned)
        .await?;
    let now = roadside.camera("baik").await?;
    ensure!(now.state == "up", "{now:?}");
    assert_eq!((now.sub.connections, now.sub.dropped_frames), (1, 0), "{now:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn an_address_that_is_not_rtsp_is_refused_before_anything_runs() -> anyhow::Result<()> {
    for (good, bad, told) in [
        (
            "host = \"127.0.0.1:554\"",
            "host = \"http://127.0.0.1/video\"",
            "is no address of a camera",
        ),
        (
            "host = \"127.0.0.1:554\"",
            "host = \"admin:rahasia@127.0.0.1\"",
            "is no address of a camera",
        ),
        (
            "sub = \"/a\"",
            "sub = \"rtsp://127.0.0.1/a\"",
            "this is no path of a stream",
        ),
    ] {
        let camera = entry("pintu", 554, "/a", "");
        let roadside = CameraBox::prepare(&camera.replace(good, bad), "")?;
        let checked = output(&workspace_program("gateway")?, [Path::new("check"), &roadside.config])?;
        let words = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(2), "{bad}: {words}");
        assert!(words.contains(told), "{bad}: {words}");
        assert!(!words.contains("rahasia"), "a password is shown: {words}");
    }
    Ok(())
}
