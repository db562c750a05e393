//! Modbus lines for tests: two pseudo-terminals joined back to back, and a driver that asks two URM12.

use std::fs::File;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use gateway::sensors::attached::modbus::map::Map;
use gateway::sensors::attached::modbus::{Device, Line, Modbus, Rate, Way};
use gateway::sensors::codecs::Health;
use gateway::sensors::{Delivery, DistanceLimits, Driver, DriverContext, Item, Profile};
use parking::{Reading, SensorId, Stamp};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{context, now};

/// A new pseudo-terminal: its master, and the path of its other end.
pub fn terminal() -> (File, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    (File::from(master), path.into_string().unwrap())
}

/// A serial line with two ends. Its threads last as long as the test's process.
pub struct Joined {
    ours: String,
    theirs: String,
}

impl Joined {
    pub fn new() -> Self {
        let ((one, ours), (other, theirs)) = (terminal(), terminal());
        let pump = |mut from: File, mut to: File| {
            thread::spawn(move || {
                let mut bytes = [0; 256];
                loop {
                    match from.read(&mut bytes) {
                        Ok(count) if count > 0 => to.write_all(&bytes[..count]).unwrap(),
                        // Nobody has opened the other end yet, or has closed it.
                        _ => thread::sleep(Duration::from_millis(20)),
                    }
                }
            });
        };
        pump(one.try_clone().unwrap(), other.try_clone().unwrap());
        pump(other, one);
        Self { ours, theirs }
    }

    pub fn ours(&self) -> &str {
        &self.ours
    }

    pub fn theirs(&self) -> &str {
        &self.theirs
    }
}

/// A driver that asks.
pub struct Asked {
    cancel: CancellationToken,
    task: JoinHandle<()>,
    pub context: DriverContext,
    deliveries: mpsc::Receiver<Delivery>,
}

/// Asks sensors `urm-11` and `urm-12` at their addresses.
pub fn asking(way: Way) -> Asked {
    let (mut context, deliveries) = context("modbus", &[], 64);
    let begun = Instant::now();
    context.clock = std::sync::Arc::new(move || {
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap();
        let start = now();
        Stamp {
            at: start.at.plus_millis(i64::try_from(ms).unwrap()),
            mono_ms: start.mono_ms + ms,
            ..start
        }
    });
    let map: &Map = Profile::by_name("urm12").unwrap().modbus.as_ref().unwrap();
    let device = |address: u8| Device {
        sensor: SensorId::new(format!("urm-{address}")).unwrap(),
        map,
        address,
        limits: Some(DistanceLimits {
            occupied_below_mm: 1_500,
            free_above_mm: 2_000,
        }),
    };
    let rate = Rate {
        baud: map.baud,
        parity: map.parity,
        stop_bits: map.stop_bits,
    };
    let devices = vec![device(11), device(12)];
    let driver = Box::new(Modbus::new(vec![Line { way, rate, devices }]));
    let cancel = CancellationToken::new();
    let task = tokio::spawn(driver.run(context.clone(), cancel.clone()));
    Asked {
        cancel,
        task,
        context,
        deliveries,
    }
}

impl Asked {
    /// The next reading of a sensor.
    pub async fn next_of(&mut self, sensor: &str) -> (Reading, Health) {
        loop {
            let Delivery { item, done } = self.deliveries.recv().await.unwrap();
            done.journalled();
            let Item::Reading { reading, health } = item else {
                panic!("{item:?}")
            };
            if reading.sensor.as_str() == sensor {
                return (reading, health);
            }
        }
    }

    /// Waits until trouble of a kind was told, and what.
    pub async fn trouble(&self, kind: &str) -> String {
        let told = async {
            loop {
                let snapshot = self.context.status.snapshot();
                if snapshot.set_aside.contains_key(kind) {
                    return snapshot.recent.last().unwrap().reason.clone();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(60), told).await;
        told.unwrap_or_else(|_| panic!("no {kind}: {:?}", self.context.status.snapshot()))
    }

    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}
