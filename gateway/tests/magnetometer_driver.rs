//! The driver of magnetometers on a simulated board: registers, threads and files are real, the chips are played.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use board::Board;
use gateway::sensors::attached::magnetometers::{Handle, Magnetometers, Probe, SAMPLE_EVERY};
use gateway::sensors::{Delivery, Driver, DriverContext, DriverState, Item};
use gateway::state;
use parking::{Reading, ReportKind, SensorId, Stamp};
use support::{context, now};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wired::adaptive::{Rules, State};
use wired::magnetometer::Chip;

/// Seconds of the box in a real one.
const RATE: u32 = 20;
const EARTH: (i32, i32, i32) = (38_000, 500, -24_000);
const VEHICLE: (i32, i32, i32) = (41_000, 500, -12_000);

struct Rig {
    folder: TempDir,
    memory: Arc<state::Board>,
    begun: Instant,
}

struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
    context: DriverContext,
    deliveries: mpsc::Receiver<Delivery>,
    handle: Handle,
}

fn id(name: &str) -> SensorId {
    SensorId::new(name).unwrap()
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("board/i2c-1")).unwrap();
        let memory = Arc::new(state::Board::open(&folder.path().join("state")).unwrap());
        Self {
            folder,
            memory,
            begun: Instant::now(),
        }
    }

    fn board(&self) -> PathBuf {
        self.folder.path().join("board")
    }

    /// What stands in the file of a chip, all at once.
    fn set(&self, address: u8, text: &str) {
        let file = self.board().join(format!("i2c-1/{address:#04x}"));
        let new = file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
    }

    fn field(&self, address: u8, chip: &str, (x, y, z): (i32, i32, i32)) {
        self.set(address, &format!("{chip} {x} {y} {z}"));
    }

    fn run(&self) -> Running {
        let (mut context, deliveries) = context("magnetometers", &[], 64);
        let begun = self.begun;
        context.spans = Arc::new(move || {
            let elapsed = begun.elapsed() * RATE;
            let start = now();
            let ms = u64::try_from(elapsed.as_millis()).unwrap();
            Stamp {
                at: start.at.plus_millis(i64::try_from(ms).unwrap()),
                mono_ms: start.mono_ms + ms,
                ..start
            }
        });
        let probe = |sensor, chip, address| Probe {
            sensor: id(sensor),
            chip,
            bus: "/dev/i2c-1".into(),
            address,
            rules: Rules::default(),
        };
        let probes = vec![probe("near", Chip::Mmc5603, 0x30), probe("far", Chip::Lis3mdl, 0x1c)];
        let board = Board::Simulated(self.board());
        let pace = SAMPLE_EVERY / RATE;
        let (driver, handle) = Magnetometers::new(board, probes, pace, Arc::clone(&self.memory)).unwrap();
        let cancel = CancellationToken::new();
        let task = tokio::spawn(Box::new(driver).run(context.clone(), cancel.clone()));
        Running {
            cancel,
            task,
            context,
            deliveries,
            handle,
        }
    }
}

impl Running {
    /// The next reading that is no repetition of what was known.
    async fn next(&mut self, sensor: &str, kind: ReportKind, occupied: bool) -> Reading {
        let wanted = async {
            loop {
                let Delivery { item, done } = self.deliveries.recv().await.unwrap();
                done.journalled();
                let Item::Reading { reading, .. } = item else {
                    panic!("{item:?}")
                };
                if reading.sensor.as_str() != sensor {
                    continue;
                }
                if reading.report.occupied == Some(occupied) && reading.report.kind == kind {
                    return reading;
                }
                assert_eq!(reading.report.kind, ReportKind::Heartbeat, "{reading:?}");
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(30), wanted).await;
        found.unwrap_or_else(|_| panic!("{sensor} {kind:?} {occupied} does not come: {:?}", self.handle.seen()))
    }

    /// Tries until it succeeds: measurements have to come first.
    async fn calibrate(&self, sensor: &str) {
        let calibrated = async {
            while self.handle.calibrate(&id(sensor)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), calibrated).await.unwrap();
    }

    async fn trouble(&self, kind: &str) -> String {
        loop {
            let snapshot = self.context.status.snapshot();
            if snapshot.set_aside.contains_key(kind) {
                return snapshot.recent.last().unwrap().reason.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vehicles_are_seen_by_chips_on_one_bus_and_baselines_outlive_a_restart() {
    let rig = Rig::new();
    rig.field(0x30, "mmc5603", EARTH);
    rig.field(0x1c, "lis3mdl", EARTH);
    let mut running = rig.run();
    let uncalibrated = running.trouble("uncalibrated").await;
    assert!(
        uncalibrated.contains("gateway sensors calibrate CONFIG"),
        "{uncalibrated}"
    );
    running.calibrate("near").await;
    running.next("near", ReportKind::Heartbeat, false).await;
    rig.field(0x30, "mmc5603", VEHICLE);
    let came = running.next("near", ReportKind::Status, true).await;
    assert!(came.observed < came.received.at, "dated by its begin");
    rig.field(0x30, "mmc5603", EARTH);
    running.next("near", ReportKind::Status, false).await;
    assert_eq!(
        running.handle.seen()[&id("far")].state,
        State::Unknown,
        "not calibrated"
    );
    let unknown = running.handle.calibrate(&id("nowhere")).await.unwrap_err();
    assert!(unknown.to_string().contains("nowhere is no magnetometer"), "{unknown}");
    running.stop().await;

    let mut again = rig.run();
    again.next("near", ReportKind::Heartbeat, false).await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chip_that_is_unplugged_or_another_is_told_and_comes_back_by_itself() {
    let rig = Rig::new();
    rig.field(0x30, "mmc5603", EARTH);
    rig.field(0x1c, "qmc5883l", EARTH);
    let mut running = rig.run();
    let stranger = running.trouble("bus").await;
    assert!(stranger.contains("what answers is no LIS3MDL"), "{stranger}");
    running.calibrate("near").await;
    running.next("near", ReportKind::Heartbeat, false).await;
    fs::remove_file(rig.board().join("i2c-1/0x30")).unwrap();
    let gone = async {
        let told = || running.handle.seen()[&id("near")].trouble.clone().unwrap_or_default();
        while !told().contains("no acknowledge") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    assert!(running.handle.calibrate(&id("near")).await.is_err());
    rig.field(0x30, "mmc5603", VEHICLE);
    // Nobody saw it come.
    running.next("near", ReportKind::Heartbeat, true).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_hangs_is_told_and_keeps_nobody_from_stopping() {
    let rig = Rig::new();
    rig.field(0x30, "mmc5603", EARTH);
    rig.field(0x1c, "lis3mdl", EARTH);
    let mut running = rig.run();
    running.calibrate("near").await;
    running.next("near", ReportKind::Heartbeat, false).await;
    rig.set(0x1c, "hangs");
    let hangs = running.trouble("hangs").await;
    assert!(hangs.contains("/dev/i2c-1 has not answered for 5 s"), "{hangs}");
    rig.field(0x1c, "lis3mdl", EARTH);
    rig.field(0x30, "mmc5603", VEHICLE);
    running.next("near", ReportKind::Heartbeat, true).await;
    rig.set(0x1c, "hangs");
    running.stop().await;
    // The thread ends when it can.
    rig.field(0x1c, "lis3mdl", EARTH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_not_there_is_tried_again() {
    let rig = Rig::new();
    fs::remove_dir(rig.board().join("i2c-1")).unwrap();
    let running = rig.run();
    let state = running
        .context
        .status
        .wait_for(|state| matches!(state, DriverState::Waiting { .. }))
        .await;
    let DriverState::Waiting { reason } = state else {
        unreachable!("waited for it");
    };
    assert!(
        reason.contains("cannot open /dev/i2c-1") && reason.contains("group i2c"),
        "{reason}"
    );
    fs::create_dir(rig.board().join("i2c-1")).unwrap();
    rig.field(0x30, "mmc5603", EARTH);
    let connected = running
        .context
        .status
        .wait_for(|state| *state == DriverState::Connected);
    tokio::time::timeout(Duration::from_secs(30), connected).await.unwrap();
    running.stop().await;
}
