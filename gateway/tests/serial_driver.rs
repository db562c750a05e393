//! The driver of serial lines over pseudo-terminals.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gateway::sensors::attached::serial::{Line, Serial};
use gateway::sensors::{Delivery, DistanceLimits, Driver, DriverContext, DriverState, Item};
use parking::{Reading, SensorId, Stamp};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::{context, now};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wired::ultrasonic::{Model, TRIGGER};

const FREE_MM: u16 = 2_500;
const TAKEN_MM: u16 = 900;

/// A sensor at the other end of a pseudo-terminal, until it is dropped.
struct Peer {
    distance_mm: Arc<AtomicU16>,
    /// Gone when the sensor is to be unplugged.
    plugged: Arc<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Peer {
    /// Plugs a sensor in at `path`. A triggered one answers, the other one sends ten times a second.
    fn plug(path: &Path, model: Model) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let device = ptsname(&master, Vec::new()).unwrap();
        fs::remove_file(path).ok();
        symlink(device.to_str().unwrap(), path).unwrap();
        let distance_mm = Arc::new(AtomicU16::new(FREE_MM));
        let plugged = Arc::new(());
        let (distance, alive) = (Arc::clone(&distance_mm), Arc::downgrade(&plugged));
        let mut line = File::from(master);
        let thread = thread::spawn(move || {
            while alive.strong_count() > 0 {
                if model.is_triggered() {
                    let mut asked = [0];
                    // Nobody has opened the other end yet, or has closed it.
                    if line.read_exact(&mut asked).is_err() || asked != [TRIGGER] {
                        thread::sleep(Duration::from_millis(20));
                        continue;
                    }
                }
                let [high, low] = distance.load(Ordering::Relaxed).to_be_bytes();
                let sum = 0xff_u8.wrapping_add(high).wrapping_add(low);
                line.write_all(&[0x00, 0xff, high, low, sum]).ok();
                thread::sleep(Duration::from_millis(100));
            }
        });
        Self {
            distance_mm,
            plugged,
            thread: Some(thread),
        }
    }

    fn unplug(self) {
        let Self { plugged, thread, .. } = self;
        drop(plugged);
        thread.unwrap().join().unwrap();
    }
}

struct Rig {
    folder: tempfile::TempDir,
    context: DriverContext,
    deliveries: mpsc::Receiver<Delivery>,
    cancel: CancellationToken,
}

impl Rig {
    fn new(model: Model) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut context, deliveries) = context("serial", &[("u-1", "a02yyuw")], 16);
        let begin = Instant::now();
        context.clock = Arc::new(move || {
            let passed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap();
            let now = now();
            Stamp {
                at: now.at.plus_millis(i64::try_from(passed_ms).unwrap()),
                mono_ms: now.mono_ms + passed_ms,
                ..now
            }
        });
        let line = Line {
            sensor: SensorId::new("u-1").unwrap(),
            model,
            path: folder.path().join("line"),
            limits: DistanceLimits {
                occupied_below_mm: 1_500,
                free_above_mm: 2_000,
            },
        };
        let cancel = CancellationToken::new();
        let driver = Box::new(Serial::new(vec![line]));
        tokio::spawn(driver.run(context.clone(), cancel.clone()));
        Self {
            folder,
            context,
            deliveries,
            cancel,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("line")
    }

    /// The next reading; `keep` says whether it is on disk.
    async fn reading(&mut self, keep: bool) -> Reading {
        let delivery = tokio::time::timeout(Duration::from_secs(30), self.deliveries.recv());
        let Delivery { item, done } = delivery.await.expect("nothing in 30 s").expect("the driver has ended");
        if keep {
            done.journalled();
        } else {
            done.refused();
        }
        let Item::Reading { reading, .. } = item else {
            panic!("{item:?}")
        };
        reading
    }

    async fn state(&self, wanted: impl Fn(&DriverState) -> bool) -> DriverState {
        let state = tokio::time::timeout(Duration::from_secs(30), self.context.status.wait_for(wanted));
        state.await.expect("not in 30 s")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn distances_become_states_and_a_refused_one_comes_again() {
    let mut rig = Rig::new(Model::A02yyuw);
    let reason = rig.state(|state| matches!(state, DriverState::Waiting { .. })).await;
    assert!(format!("{reason:?}").contains("dialout"), "{reason:?}");
    let peer = Peer::plug(&rig.path(), Model::A02yyuw);
    rig.state(|state| *state == DriverState::Connected).await;
    assert_eq!(rig.reading(true).await.report.occupied, Some(false));
    peer.distance_mm.store(TAKEN_MM, Ordering::Relaxed);
    let refused = rig.reading(false).await;
    assert_eq!(refused.report.occupied, Some(true));
    assert!(refused.message.is_some(), "the same reading is known by it");
    assert_eq!(rig.reading(true).await, refused);
    let ago_ms = refused.received.at.millis_since(refused.observed);
    assert!(
        (2_900..6_000).contains(&ago_ms),
        "it is dated by its begin: {ago_ms} ms"
    );
    assert_eq!(rig.context.status.snapshot().readings, 3, "one of them twice");
    rig.cancel.cancel();
    rig.state(|state| *state == DriverState::Stopped).await;
    peer.unplug();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_pulled_out_is_told_and_read_again_when_it_is_back() {
    let mut rig = Rig::new(Model::JsnSr04t);
    let peer = Peer::plug(&rig.path(), Model::JsnSr04t);
    assert_eq!(rig.reading(true).await.report.occupied, Some(false));
    peer.unplug();
    rig.state(|state| matches!(state, DriverState::Waiting { .. })).await;
    let told = rig.context.status.snapshot();
    assert!(told.set_aside["line"] >= 1, "{told:?}");
    let peer = Peer::plug(&rig.path(), Model::JsnSr04t);
    peer.distance_mm.store(TAKEN_MM, Ordering::Relaxed);
    rig.state(|state| *state == DriverState::Connected).await;
    assert_eq!(rig.reading(true).await.report.occupied, Some(true));
    peer.unplug();
}
