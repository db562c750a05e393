//! Drives headless Chromium through a table of steps and prints what the player's own figures say.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::Failure;

/// Runs the steps. The browser is ended when this returns.
pub async fn run(address: &str, reports: &mut mpsc::Receiver<Value>) -> Result<(), Failure> {
    let steps = json!([
        { "name": "start", "seconds": 5 },
        { "name": "steady", "seconds": 20 },
        { "name": "server stalls for 5 s", "control": { "stall": 5.0 }, "seconds": 12 },
        { "name": "socket dropped", "control": "drop", "seconds": 8 },
        { "name": "chunks of 2 s", "control": { "join": 20 }, "seconds": 12 },
        { "name": "chunks of 100 ms again", "control": { "join": 1 }, "seconds": 8 },
        { "name": "2 s lost", "control": { "skip": 2.0 }, "seconds": 8 },
        { "name": "camera restarts", "control": "restart", "seconds": 8 },
        { "name": "another resolution", "control": "switch", "seconds": 8 },
        { "name": "back again", "control": "switch", "seconds": 8 },
        { "name": "camera dark", "control": { "state": "stalled" }, "seconds": 1 },
        { "name": "H.265", "control": { "codecs": "hvc1.1.6.L93.B0" }, "seconds": 5 },
    ]);
    let page = format!("{address}?language=id&steps={}", encode(&steps.to_string()));
    let profile = std::env::temp_dir().join(format!("live-check-{}", std::process::id()));
    let mut browser = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--autoplay-policy=no-user-gesture-required",
        ])
        .args([
            "--no-first-run",
            "--mute-audio",
            "--window-size=1000,640",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let report = tokio::time::timeout(Duration::from_secs(180), reports.recv()).await;
    browser.kill().await?;
    std::fs::remove_dir_all(&profile).ok();
    let report = report?.ok_or("the page reported nothing")?;
    for step in report["report"].as_array().into_iter().flatten() {
        print(step);
    }
    println!("states: {}", report["states"]);
    Ok(())
}

fn print(step: &Value) {
    let samples = step["samples"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return;
    };
    let since = |key: &str| last[key].as_i64().unwrap_or(0) - first[key].as_i64().unwrap_or(0);
    println!("{}", step["name"]);
    println!(
        "  distance {}  latency {}  reserve {}",
        spread(samples, "distanceS"),
        spread(samples, "latencyMs"),
        last["reserveS"]
    );
    println!(
        "  stalls {} seeks {} skipped {} dropped {} connects {} first picture {} ms, {} bytes, {} s buffered, {} wide, state {}",
        since("stalls"),
        since("seeks"),
        since("skipped"),
        since("dropped"),
        since("connects"),
        last["firstPictureMs"],
        last["bytes"],
        last["bufferedS"],
        last["width"],
        last["state"],
    );
}

/// Median and 95th percentile of a figure.
fn spread(samples: &[Value], key: &str) -> String {
    let mut values: Vec<f64> = samples.iter().filter_map(|sample| sample[key].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        values
            .get(values.len().saturating_sub(1) * percent / 100)
            .copied()
            .unwrap_or(f64::NAN)
    };
    format!(
        "p5 {:.3} median {:.3} p95 {:.3} max {:.3}",
        at(5),
        at(50),
        at(95),
        at(100)
    )
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02x}")
            }
        })
        .collect()
}
