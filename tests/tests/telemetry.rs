//! Telemetry, from a camera's frames to the city's page.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking::Timestamp;
use serde_json::Value;
use tests::clock::{SimulatedClock, unix_ms};
use tests::process::{run, workspace_program};
use tests::street::Street;
use tests::world::{Database, World};

/// Nothing here takes longer unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(120);
/// Simulated minutes in a real one: a quarter of an hour takes 15 s.
const RATE: u32 = 60;

/// What the box says of its camera.
fn said(config: &Path, camera: &str, more: &[&str]) -> anyhow::Result<String> {
    let arguments = [
        OsStr::new("cameras"),
        OsStr::new("series"),
        config.as_os_str(),
        OsStr::new(camera),
    ];
    let arguments = arguments.into_iter().chain(more.iter().map(OsStr::new));
    let program = workspace_program("gateway")?;
    tokio::task::block_in_place(|| run(program, arguments))
}

/// Means that the city was told of a series, of a minute each.
fn means(telemetry: &Value, series: &str) -> Vec<f64> {
    let quarters = telemetry["series"][series].as_array().into_iter().flatten();
    let samples = quarters.flat_map(|quarter| quarter["samples"].as_array().into_iter().flatten());
    let mean = |sample: &Value| sample.as_f64().or_else(|| sample[1].as_f64());
    samples.filter_map(mean).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_camera_was_like_reaches_the_city_and_the_technician() -> anyhow::Result<()> {
    let street = Street::new("sim-01", 1, 10, 1)?.with_cameras(1)?;
    let camera = street.cameras.first().context("no camera")?.id.to_string();
    // Two hours ago, so that nothing lies ahead of the city's clock.
    let start = Timestamp::from_millis(unix_ms()).plus_seconds(-7_200);
    let clock = SimulatedClock::starting_in(Duration::ZERO, start, RATE);
    let mut world = World::start(vec![street], clock, Database::Sqlite, 1).await?;
    let (api, config) = (world.api()?, world.boxes[0].config.clone());
    let (fps, up) = (format!("camera/{camera}/sub/fps"), format!("camera/{camera}/up"));
    let begin = Instant::now();
    let telemetry = loop {
        let telemetry = api.get("/api/v1/boxes/sim-01/telemetry").await?;
        if means(&telemetry, &fps).len() >= 10 {
            break telemetry;
        }
        anyhow::ensure!(begin.elapsed() < PATIENCE, "no telemetry came: {telemetry}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let steady = means(&telemetry, &fps);
    assert!(
        steady.iter().all(|fps| *fps < 120.0) && steady.iter().any(|fps| *fps > 1.0),
        "{steady:?}"
    );
    assert!(means(&telemetry, &up).contains(&1.0), "{telemetry}");
    assert!(api.alarms(&world.boxes[0].id).await?.is_empty());

    let page = reqwest::get(format!("{}/boxes/sim-01/cameras", api.url()))
        .await?
        .text()
        .await?;
    assert!(
        page.contains("<polyline points=") && page.contains("class=\"gap\""),
        "{page}"
    );
    let table = said(&config, &camera, &["--minutes"])?;
    assert!(table.starts_with("SEJAK") && table.contains(" sub "), "{table}");
    let kept: Value = serde_json::from_str(&said(&config, &camera, &["--minutes", "--json"])?)?;
    let told = &telemetry["series"][&fps][0]["samples"];
    let first = kept
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|row| row["series"].get(&fps));
    let told = told.as_array().into_iter().flatten().find(|sample| !sample.is_null());
    assert_eq!(first, told, "box and city know the same");
    world.stop().await
}
