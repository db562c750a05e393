//! An arrival of which the box learns late: its picture comes out of the recording, masked, by the real decoder. And
//! recordings that nobody goes on with.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::cameras::evidence::{Evidence, Store};
use gateway::cameras::recorder::ring_folder;
use gateway::cameras::ring::{ClockQuality, Fragment, Limits, MemoryIndex, Ring};
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

/// Records the sample as if it had been received from `begin` on. Gives the folder.
fn record(config: &Config, camera: &CameraId, begin: Timestamp, clock: ClockQuality) -> PathBuf {
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
    let folder = ring_folder(&config.video.ring_dir, camera, Profile::Sub);
    let (mut ring, _) = Ring::open(&folder, limits, MemoryIndex::default()).unwrap();
    ring.begin(&init).unwrap();
    for (chunks, number) in chunks.chunks(CHUNKS).zip(0..) {
        let at = begin.plus_seconds(2 * number);
        ring.append(&Fragment {
            at: jiff::Timestamp::from_millisecond(at.as_millis()).unwrap(),
            clock,
            chunks: chunks.to_vec(),
        })
        .unwrap();
    }
    ring.close();
    folder
}

/// All cameras of a configuration at work, with a recording of five minutes ago, and their clock.
fn start(
    config: &Config,
    folder: &Path,
    facts: mpsc::Sender<Input>,
    stop: &CancellationToken,
) -> (Cameras, Arc<Clock>) {
    let clock = Arc::new(Clock::start(folder, None).unwrap());
    let begin = clock.now().at.plus_seconds(-300);
    record(config, &camera(), begin, ClockQuality::Synced);
    (run(config, folder, &clock, facts, stop), clock)
}

/// All cameras of a configuration at work.
fn run(
    config: &Config,
    folder: &Path,
    clock: &Arc<Clock>,
    facts: mpsc::Sender<Input>,
    stop: &CancellationToken,
) -> Cameras {
    let sources = Sources {
        clock: Arc::clone(clock),
        board: Arc::new(Board::open(&folder.join("state")).unwrap()),
        facts,
        logins: BTreeMap::new(),
        program: Program::beside(Path::new(env!("CARGO_BIN_EXE_gateway-camera"))).unwrap(),
    };
    let (cameras, running) = Cameras::start(config, sources).unwrap();
    for task in running.tasks {
        tokio::spawn(task.run(stop.clone()));
    }
    tokio::spawn(running.maker.run(stop.clone()));
    cameras
}

fn space(state: SpaceState, since: Option<Timestamp>) -> Arc<Vec<SpaceNow>> {
    Arc::new(vec![SpaceNow {
        space: SpaceId::new("D-01").unwrap(),
        zone: ZoneId::new("dago").unwrap(),
        state,
        occupied_since: since,
        left: None,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_of_a_camera_that_left_the_configuration_stay_a_week_and_then_go() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[]");
    // Recordings age by a clock that is right only.
    let simulated = "2026-11-22T10:00:00+07:00@1x0".parse().unwrap();
    let clock = Arc::new(Clock::start(folder.path(), Some(simulated)).unwrap());
    let now = clock.now().at;
    let days_ago = |days: i64| now.plus_seconds(-days * 86_400);
    let (old, young) = (CameraId::new("lama").unwrap(), CameraId::new("baru").unwrap());
    let gone = record(&config, &old, days_ago(8), ClockQuality::Simulated);
    let kept = record(&config, &young, days_ago(6), ClockQuality::Simulated);
    let files = |folder: &Path| {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "mp4");
        names.filter(is_segment).count()
    };
    assert_eq!((files(&gone), files(&kept)), (1, 1));

    let (facts, _told) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let cameras = run(&config, folder.path(), &clock, facts, &stop);
    assert!(cameras.ring(&old, Profile::Sub).is_none(), "nobody records it");
    tokio::time::timeout(PATIENCE, async {
        while files(&gone) > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("what is older than a week stays");
    assert_eq!(files(&kept), 1);
    stop.cancel();
}
