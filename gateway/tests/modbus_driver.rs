//! The driver of Modbus lines against a device that misbehaves, on a pseudo-terminal.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gateway::sensors::DriverState;
use gateway::sensors::attached::modbus::Way;
use support::line::{Asked, asking, terminal};

const FREE_CM: u16 = 250;
const TAKEN_CM: u16 = 90;

/// How a device behaves.
#[derive(Debug, Clone, Copy)]
struct Manner {
    distance_cm: u16,
    /// It answers so much later.
    late: Duration,
    /// Bytes before its answer.
    noise: usize,
    /// It refuses all it is asked, with this code.
    refuses: Option<u8>,
}

const GOOD: Manner = Manner {
    distance_cm: FREE_CM,
    late: Duration::ZERO,
    noise: 0,
    refuses: None,
};

type Manners = Arc<Mutex<HashMap<u8, Manner>>>;

/// Devices at the other end of a line, until it is unplugged.
struct Peer {
    manners: Manners,
    plugged: Arc<()>,
    thread: thread::JoinHandle<()>,
}

/// CRC-16 of Modbus, low byte first.
fn with_sum(mut frame: Vec<u8>) -> Vec<u8> {
    let mut sum = 0xffff_u16;
    for byte in &frame {
        sum ^= u16::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xa001 } else { sum >> 1 };
        }
    }
    frame.extend(sum.to_le_bytes());
    frame
}

fn answer(request: [u8; 8], manner: &Manner) -> Vec<u8> {
    let [unit, function, _, first, _, count, ..] = request;
    if let Some(code) = manner.refuses {
        return with_sum(vec![unit, function | 0x80, code]);
    }
    if function == 6 {
        return request.to_vec();
    }
    let mut frame = vec![unit, function, 2 * count];
    for register in first..first + count {
        let value = if register == 5 { manner.distance_cm } else { 275 };
        frame.extend(value.to_be_bytes());
    }
    with_sum(frame)
}

impl Peer {
    fn plug(path: &Path, manners: &Manners) -> Self {
        let (mut line, device) = terminal();
        fs::remove_file(path).ok();
        symlink(device, path).unwrap();
        let (plugged, told) = (Arc::new(()), Arc::clone(manners));
        let alive = Arc::downgrade(&plugged);
        let thread = thread::spawn(move || {
            let mut out: File = line.try_clone().unwrap();
            let mut request = [0; 8];
            let mut filled = 0;
            while alive.strong_count() > 0 {
                // Nobody has opened the other end yet, or has closed it: what was half said is gone.
                let Ok(count) = line.read(&mut request[filled..]) else {
                    filled = 0;
                    thread::sleep(Duration::from_millis(10));
                    continue;
                };
                filled += count;
                if filled < 8 {
                    continue;
                }
                filled = 0;
                let Some(manner) = told.lock().unwrap().get(&request[0]).copied() else {
                    continue;
                };
                let (answer, mut out) = (answer(request, &manner), out.try_clone().unwrap());
                // Late answers do not keep the others from answering.
                let mut say = move || {
                    thread::sleep(manner.late);
                    out.write_all(&vec![0xa5; manner.noise]).ok();
                    out.write_all(&answer).ok();
                };
                if manner.late.is_zero() {
                    say();
                } else {
                    thread::spawn(say);
                }
            }
            out.flush().ok();
        });
        Self {
            manners: Arc::clone(manners),
            plugged,
            thread,
        }
    }

    fn behave(&self, unit: u8, manner: Manner) {
        self.manners.lock().unwrap().insert(unit, manner);
    }

    fn unplug(self) {
        drop(self.plugged);
        self.thread.join().unwrap();
    }
}

struct Rig {
    _folder: tempfile::TempDir,
    path: PathBuf,
    manners: Manners,
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttyUSB0");
    let manners = [(11, GOOD), (12, GOOD)].into_iter().collect();
    Rig {
        _folder: folder,
        path,
        manners: Arc::new(Mutex::new(manners)),
    }
}

async fn state_of(asked: &mut Asked, sensor: &str) -> Option<bool> {
    asked.next_of(sensor).await.0.report.occupied
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_never_taken_for_that_of_another_question() {
    let rig = rig();
    let peer = Peer::plug(&rig.path, &rig.manners);
    let taken = Manner {
        distance_cm: TAKEN_CM,
        ..GOOD
    };
    peer.behave(12, taken);
    let mut asked = asking(Way::Serial(rig.path.clone()));
    assert_eq!(state_of(&mut asked, "urm-11").await, Some(false));
    assert_eq!(state_of(&mut asked, "urm-12").await, Some(true));
    // It answers when another is being asked already.
    let late = Manner {
        late: Duration::from_millis(650),
        ..taken
    };
    peer.behave(12, late);
    asked.trouble("silent").await;
    asked.trouble("garbled").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Had one answer of 12 been taken for one of 11, this would come after that.
    peer.behave(12, GOOD);
    let nearer = Manner {
        distance_cm: 70,
        ..GOOD
    };
    peer.behave(11, nearer);
    let (reading, health) = asked.next_of("urm-11").await;
    assert_eq!((reading.report.occupied, health.distance_mm), (Some(true), Some(700)));
    assert_eq!(state_of(&mut asked, "urm-12").await, Some(false));
    asked.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_refusals_and_silence_are_told_and_the_others_are_asked_on() {
    let rig = rig();
    rig.manners.lock().unwrap().remove(&12);
    let peer = Peer::plug(&rig.path, &rig.manners);
    let mut asked = asking(Way::Serial(rig.path.clone()));
    assert_eq!(state_of(&mut asked, "urm-11").await, Some(false));
    let silent = asked.trouble("silent").await;
    assert!(silent.contains("no answer from address 12"), "{silent}");
    peer.behave(
        12,
        Manner {
            refuses: Some(2),
            ..GOOD
        },
    );
    let refused = asked.trouble("exception").await;
    assert!(refused.contains("address 12 refuses"), "{refused}");
    // As on a line without bias: bytes before the frame.
    peer.behave(
        11,
        Manner {
            noise: 5,
            distance_cm: TAKEN_CM,
            ..GOOD
        },
    );
    assert_eq!(state_of(&mut asked, "urm-11").await, Some(true), "found in the noise");
    peer.behave(12, GOOD);
    assert_eq!(state_of(&mut asked, "urm-12").await, Some(false));
    asked.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_is_unplugged_is_told_and_used_again() {
    let rig = rig();
    let mut asked = asking(Way::Serial(rig.path.clone()));
    let state = asked
        .context
        .status
        .wait_for(|state| matches!(state, DriverState::Waiting { .. }))
        .await;
    let DriverState::Waiting { reason } = state else {
        unreachable!("waited for it");
    };
    assert!(
        reason.contains("cannot open") && reason.contains("group dialout"),
        "{reason}"
    );
    let peer = Peer::plug(&rig.path, &rig.manners);
    assert_eq!(state_of(&mut asked, "urm-11").await, Some(false));
    peer.unplug();
    let gone = asked
        .context
        .status
        .wait_for(|state| matches!(state, DriverState::Waiting { .. }));
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    let peer = Peer::plug(&rig.path, &rig.manners);
    peer.behave(
        11,
        Manner {
            distance_cm: TAKEN_CM,
            ..GOOD
        },
    );
    let back = tokio::time::timeout(Duration::from_secs(60), state_of(&mut asked, "urm-11"));
    assert_eq!(back.await.unwrap(), Some(true));
    asked.stop().await;
}
