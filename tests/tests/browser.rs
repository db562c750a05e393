//! What people see, in a real browser: live view near and from the city, and a clip.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use parking::Timestamp;
use serde_json::Value;
use tests::box_page::BoxPage;
use tests::browser::{Browser, Page};
use tests::camera_simulator::CameraSimulator;
use tests::cameras::{CameraBox, drawn, entry};
use tests::clock::{SimulatedClock, unix_ms};
use tests::glass::{self, FASTEST_CLICK, Screen};
use tests::process::{run, system_program, workspace_program};
use tests::street::Street;
use tests::world::{Database, World};

/// Nothing here takes longer unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a picture is watched.
const WATCHED: Duration = Duration::from_secs(3);
/// Length of the clip.
const CLIP: Duration = Duration::from_secs(60);
/// A group of pictures of the simulated camera lasts 2 s; a clip begins at most one earlier than asked for.
const GROUP: Duration = Duration::from_secs(2);

/// Opens a camera and sees that its picture moves on.
async fn see(screen: &Screen, page: &mut Page) -> anyhow::Result<()> {
    let opened = screen.open(page, FASTEST_CLICK, PATIENCE).await?;
    opened.first.context("no picture comes")?;
    let shown = glass::watch(page, WATCHED).await?;
    let newer = shown.codes.windows(2).filter(|codes| codes[0] < codes[1]).count();
    ensure!(newer > 0 && shown.stats["state"] == "live", "{shown:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_moving_pictures_near_and_from_the_city_and_the_box_stops_when_the_page_is_left()
-> anyhow::Result<()> {
    let street = Street::new("sim-01", 1, 10, 1)?.with_cameras(1)?;
    let camera = street.cameras.first().context("no camera")?.id.clone();
    let clock = SimulatedClock::starting_in(Duration::ZERO, Timestamp::from_millis(unix_ms()), 1);
    let mut world = World::start(vec![street], clock, Database::Sqlite, 1).await?;
    let roadside = &world.boxes[0];
    let cameras = roadside.cameras.as_ref().context("no cameras")?;
    let api = BoxPage::log_in(cameras.page, &cameras.password).await?;
    api.await_all_up(PATIENCE).await?;

    let mut browser = Browser::start().await?;
    let mut page = browser.page("about:blank").await?;
    glass::log_in(&mut page, cameras.page, &cameras.password).await?;
    see(&Screen::near(cameras.page, &camera), &mut page).await?;
    see(&Screen::far(world.city.addresses[0], &roadside.id, &camera), &mut page).await?;
    // The browser may keep the page, to come back to it.
    page.go("about:blank").await?;
    world.boxes[0]
        .gateway
        .wait_for_line("the city watched", PATIENCE)
        .await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_of_a_minute_begins_with_the_keyframe_before_and_plays_in_a_browser() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let simulator = CameraSimulator::start(folder.path(), &drawn("kamera-1", "")).await?;
    let mut roadside = CameraBox::prepare(&entry("kamera-1", simulator.address.port(), "/kamera-1/sub", ""), "")?;
    roadside.start().await?;
    roadside.await_state("kamera-1", "up", PATIENCE).await?;
    tokio::time::sleep(2 * GROUP).await;
    let from = jiff::Timestamp::from_millisecond(unix_ms())?;
    // What is recorded reaches the disk a group of pictures at a time.
    tokio::time::sleep(CLIP + 2 * GROUP).await;
    let film = folder.path().join("film.mp4");
    let (config, to) = (roadside.config.display().to_string(), from + CLIP);
    let (from_text, to_text) = (from.to_string(), to.to_string());
    let name = film.display().to_string();
    run(
        workspace_program("gateway")?,
        [
            "cameras", "clip", &config, "kamera-1", "--from", &from_text, "--to", &to_text, "--out", &name,
        ],
    )?;
    roadside.stop().await?;

    ensure!(begins_with_keyframe(&film)?, "the first frame needs another one");
    let first = glass::first_timecode(&film)?;
    let early = first.age(Duration::from_millis(u64::try_from(from.as_millisecond())?));
    ensure!(
        early <= 2 * GROUP,
        "it begins {early:?} before the time that was asked for"
    );

    let mut browser = Browser::start().await?;
    let mut page = browser.page(&format!("file://{name}")).await?;
    page.evaluate("video = document.querySelector('video'); video.muted = true; video.play()")
        .await?;
    page.await_that("video.currentTime > 1", PATIENCE).await?;
    page.evaluate("video.currentTime = video.duration - 2").await?;
    page.await_that("video.ended", PATIENCE).await?;
    let end = page
        .evaluate("({ width: video.videoWidth, error: video.error?.message, seconds: video.duration })")
        .await?;
    ensure!(end["width"] == 640 && end["error"] == Value::Null, "{end}");
    let seconds = end["seconds"].as_f64().context("no length")?;
    let expected = CLIP.as_secs_f64()..=(CLIP + 2 * GROUP).as_secs_f64();
    ensure!(expected.contains(&seconds), "it lasts {seconds} s");
    Ok(())
}

fn begins_with_keyframe(film: &Path) -> anyhow::Result<bool> {
    let output = Command::new(system_program("ffprobe")?)
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=flags"])
        .args(["-read_intervals", "%+#1", "-of", "csv=p=0"])
        .arg(film)
        .output()?;
    Ok(output.stdout.starts_with(b"K"))
}
