//! An arrival of which the box learns late: its picture comes out of the recording, masked, by the real decoder.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::cameras::evidence::{Evidence, Store};
use gateway::cameras::recorder::ring_folder;
use gateway::cameras::ring::{ClockQuality, Fragment, Limits, MemoryIndex, Ring};
use gateway::cameras::secrets::Secrets;
use gateway::cameras::snapshot::SnapshotError;
use gateway::cameras::wire::Profile;
use gateway::cameras::worker::Program;
use gateway::cameras::{Cameras, Sources};
use gateway::clock::Clock;
use gateway::config::Config;
use gateway::state::Board;
use parking::{CameraId, Input, SpaceId, SpaceNow, SpaceState, Timestamp, ZoneId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const SOUND: &str = include_str!("../src/config/tests/sound.toml");
/// Ten seconds of a test picture, 10 frames a second, a keyframe each 2 s, chunks of 200 ms.
const SAMPLE: &[u8] = include_bytes!("../src/cameras/ring/tests/samples/plain.cmaf");
/// Chunks of a fragment of the sample.
const CHUNKS: usize = 10;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(folder: &Path, masks: &str) -> Config {
    let text = format!(
        r#"{SOUND}
[video]
ring_dir = "ring"
free_mib_min = 256
[[cameras]]
id = "utara-1"
host = "127.0.0.1:9"
sub = "/sub"
ring_mib = 64
spaces = ["D-01"]
masks = {masks}
"#
    );
    Config::from_bytes(&folder.join("box.toml"), text.as_bytes()).unwrap()
}

/// A camera that is recorded, and does not answer.
fn camera() -> CameraId {
    CameraId::new("utara-1").unwrap()
}

/// Records the sample as if it had been received from `begin` on.
fn record(config: &Config, begin: Timestamp) {
    let (mut end, mut begins, mut init, mut chunks) = (0, 0, Bytes::new(), Vec::new());
    while end < SAMPLE.len() {
        let kind = &SAMPLE[end + 4..end + 8];
        end += u32::from_be_bytes(SAMPLE[end..end + 4].try_into().unwrap()) as usize;
        match kind {
            b"moov" => init = Bytes::from_static(&SAMPLE[begins..end]),
            b"mdat" => chunks.push(Bytes::from_static(&SAMPLE[begins..end])),
            _ => continue,
        }
        begins = end;
    }
    let limits = Limits {
        bytes_max: 10 << 20,
        age_max: None,
        free_bytes_min: 0,
        segment_duration_max: Duration::from_secs(60),
        segment_bytes_max: 1 << 20,
    };
    let folder = ring_folder(&config.video.ring_dir, &camera(), Profile::Sub);
    let (mut ring, _) = Ring::open(&folder, limits, MemoryIndex::default()).unwrap();
    ring.begin(&init).unwrap();
    for (chunks, number) in chunks.chunks(CHUNKS).zip(0..) {
        let at = begin.plus_seconds(2 * number);
        ring.append(&Fragment {
            at: jiff::Timestamp::from_millisecond(at.as_millis()).unwrap(),
            clock: ClockQuality::Synced,
            chunks: chunks.to_vec(),
        })
        .unwrap();
    }
    ring.close();
}

/// All cameras of a configuration at work, and their clock.
fn start(
    config: &Config,
    folder: &Path,
    facts: mpsc::Sender<Input>,
    stop: &CancellationToken,
) -> (Cameras, Arc<Clock>) {
    let clock = Arc::new(Clock::start(folder, None).unwrap());
    record(config, clock.now().at.plus_seconds(-300));
    let sources = Sources {
        clock: Arc::clone(&clock),
        board: Arc::new(Board::open(&folder.join("state")).unwrap()),
        facts,
        secrets: Secrets::new(),
        program: Program::beside(Path::new(env!("CARGO_BIN_EXE_gateway-camera"))).unwrap(),
    };
    let (cameras, running) = Cameras::start(config, sources).unwrap();
    for task in running.tasks {
        tokio::spawn(task.run(stop.clone()));
    }
    tokio::spawn(running.maker.run(stop.clone()));
    (cameras, clock)
}

fn space(state: SpaceState, since: Option<Timestamp>) -> Arc<Vec<SpaceNow>> {
    Arc::new(vec![SpaceNow {
        space: SpaceId::new("D-01").unwrap(),
        zone: ZoneId::new("dago").unwrap(),
        state,
        occupied_since: since,
        heard: since,
        sensor: None,
    }])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_arrival_that_is_known_late_gets_its_picture_out_of_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[]");
    let (facts, mut told) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let (cameras, clock) = start(&config, folder.path(), facts.clone(), &stop);
    let recorded = clock.now().at.plus_seconds(-300);

    let store = Store::new(&config.video.ring_dir, 1 << 20, Duration::from_secs(86_400));
    let (spaces, known) = watch::channel(space(SpaceState::Free, None));
    let evidence = Evidence {
        clock,
        cameras,
        spaces: known,
        store: store.clone(),
        board: Arc::new(Board::open(&folder.path().join("waiting")).unwrap()),
        facts,
    };
    let mut evidence = Box::pin(evidence.run(stop.clone()));
    // It looks at what is known at its start before anything else.
    assert!(futures::poll!(&mut evidence).is_pending());
    tokio::spawn(evidence);
    let arrival = recorded.plus_seconds(5);
    spaces.send_replace(space(SpaceState::Occupied, Some(arrival)));

    let picture = loop {
        // That the camera is dark is told as well.
        if let Input::Picture(picture) = tokio::time::timeout(PATIENCE, told.recv()).await.unwrap().unwrap() {
            break picture;
        }
    };
    assert_eq!((picture.camera, picture.unset), (camera(), None));
    assert!(picture.at.millis_since(arrival).abs() <= 1_100, "a keyframe each 2 s");
    let jpeg = std::fs::read(store.path(&picture.sha256)).unwrap();
    assert_eq!(&jpeg[..2], b"\xff\xd8", "a JPEG");
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_out_of_the_recording_has_its_masks_and_none_is_taken_from_too_far_away() {
    let mut bytes = Vec::new();
    for masks in ["[]", "[[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]]"] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), masks);
        let (facts, _told) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let (cameras, clock) = start(&config, folder.path(), facts, &stop);
        let at = |ago: i64| clock.now().at.plus_seconds(-ago);
        let picture = cameras.picture_at(&camera(), at(295), 640).await.unwrap();
        bytes.push(picture.jpeg.len());
        for ago in [400, 200] {
            let refused = cameras.picture_at(&camera(), at(ago), 640).await;
            assert!(matches!(refused, Err(SnapshotError::Dark(..))), "{refused:?}");
        }
        stop.cancel();
    }
    assert!(
        bytes[1] * 2 < bytes[0],
        "a picture that is covered has little to say: {bytes:?}"
    );
}
