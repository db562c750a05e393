//! Everything that a camera does wrong is named rightly and soon, is over soon after it ends, and costs no other camera
//! a frame.
//!
//! Times count from the moment when the simulator says that its pictures show the change.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tests::camera_simulator::CameraSimulator;
use tests::cameras::{CameraBox, CameraNow, decoded, drawn, entry};

/// A fault has its name after this.
const NAMED: Duration = Duration::from_secs(8);
/// A fault that has ended is over after this.
const RESTORED: Duration = Duration::from_secs(5);
/// Longest pause between tries while a camera that was well refuses connections for some seconds: the second rung of
/// the ladder, 5 s and a quarter.
const SECOND_RUNG: Duration = Duration::from_millis(6_250);
/// Pause after a refused password: a minute and a quarter.
const AUTH_WAIT: Duration = Duration::from_secs(75);
/// Longest time from a sender report to the next (RFC 3550, section 6.3.1: 5 s, times 1.5, divided by e - 1.5), and a
/// little: a camera whose clock is right again cannot say so earlier.
const A_REPORT: Duration = Duration::from_millis(6_700);
/// A stream that has run so long begins at the first rung again.
const STEADY: Duration = Duration::from_secs(31);
/// How long the box learns what its cameras look like.
const LEARNING: Duration = Duration::from_secs(25);
/// How long it learns how large their frames are.
const SIZES: Duration = Duration::from_secs(35);
/// Room for a busy machine where time is not what is claimed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line of the table that is printed.
#[derive(Debug)]
struct Line {
    fault: &'static str,
    name: String,
    named: Option<Duration>,
    restored: Option<Duration>,
    /// What was claimed and is not so.
    wrong: Option<String>,
}

impl Line {
    fn print(&self) {
        let seconds = |time: Option<Duration>| time.map_or("-".to_owned(), |time| format!("{:.1}", time.as_secs_f64()));
        let (named, restored) = (seconds(self.named), seconds(self.restored));
        let wrong = self.wrong.as_deref().unwrap_or_default();
        println!("{:<14} {:<14} {named:>7} {restored:>9}  {wrong}", self.fault, self.name);
    }
}

/// The box and the cameras.
struct Scene {
    cameras: CameraSimulator,
    roadside: CameraBox,
    /// The simulator's log.
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn now(&self, camera: &str) -> anyhow::Result<CameraNow> {
        self.roadside.camera(camera).await
    }

    /// Begins a fault, waits for its name, ends it, waits until all is well.
    async fn fault(&self, camera: &str, fault: &'static str, name: &str, restored_within: Duration) -> Line {
        let mut line = Line {
            fault,
            name: name.to_owned(),
            named: None,
            restored: None,
            wrong: None,
        };
        if let Err(error) = self.judge(camera, name, restored_within, &mut line).await {
            line.wrong = Some(format!("{error:#}"));
            // What follows on this camera is not to suffer.
            drop(self.cameras.fault(camera, "none").await);
            drop(self.roadside.await_state(camera, "up", PATIENCE).await);
        }
        line
    }

    async fn judge(&self, camera: &str, name: &str, within: Duration, line: &mut Line) -> anyhow::Result<()> {
        self.cameras.fault(camera, line.fault).await?;
        let named = self.roadside.await_state(camera, name, PATIENCE).await?;
        line.named = Some(named);
        self.cameras.fault(camera, "none").await?;
        let restored = self.roadside.await_state(camera, "up", AUTH_WAIT + PATIENCE).await?;
        line.restored = Some(restored);
        ensure!(named <= NAMED, "named after more than {NAMED:?}");
        ensure!(restored <= within, "up after more than {within:?}");
        Ok(())
    }

    /// A camera that was turned on purpose is well again when somebody says so, and stays well.
    async fn turned_on_purpose(&self, camera: &str) -> Line {
        let mut line = Line {
            fault: "moved",
            name: "accepted".to_owned(),
            named: None,
            restored: None,
            wrong: None,
        };
        let accepted = async {
            self.cameras.fault(camera, "moved").await?;
            line.named = Some(self.roadside.await_state(camera, "moved", PATIENCE).await?);
            self.roadside.accept_view(camera)?;
            line.restored = Some(self.roadside.await_state(camera, "up", RESTORED).await?);
            tokio::time::sleep(2 * NAMED).await;
            let state = self.now(camera).await?.state;
            ensure!(state == "up", "its accepted view is {state}");
            anyhow::Ok(())
        };
        if let Err(error) = accepted.await {
            line.wrong = Some(format!("{error:#}"));
        }
        line
    }

    /// A fault that is no state: what `is_seen` says of the camera before and now must come true within 5 s.
    async fn passing(
        &self,
        camera: &str,
        fault: &'static str,
        name: &str,
        is_seen: impl Fn(&CameraNow, &CameraNow) -> bool,
    ) -> Line {
        let seen = async {
            let before = self.now(camera).await?;
            self.cameras.fault(camera, fault).await?;
            let what = |now: &CameraNow| is_seen(&before, now);
            let seen = self.roadside.await_that(camera, name, PATIENCE, what).await?;
            ensure!(seen <= RESTORED, "seen after {seen:?}");
            self.cameras.fault(camera, "none").await?;
            let frames = self.now(camera).await?.sub.frames;
            let goes_on = |now: &CameraNow| now.state == "up" && now.sub.frames > frames;
            let restored = self
                .roadside
                .await_that(camera, "up, with frames", PATIENCE, goes_on)
                .await?;
            ensure!(restored <= RESTORED, "frames after {restored:?}");
            anyhow::Ok((seen, restored))
        };
        let seen: anyhow::Result<(Duration, Duration)> = seen.await;
        let (named, restored, wrong) = match seen {
            Ok((named, restored)) => (Some(named), Some(restored), None),
            Err(error) => (None, None, Some(format!("{error:#}"))),
        };
        Line {
            fault,
            name: name.to_owned(),
            named,
            restored,
            wrong,
        }
    }

    /// The faults of a network over UDP, which another client takes in.
    async fn over_udp(&self) -> Vec<Line> {
        let lost = |before: &CameraNow, now: &CameraNow| now.sub.lost_packets > before.sub.lost_packets;
        let is_new = |before: &CameraNow, now: &CameraNow| now.sub.connections > before.sub.connections;
        let mut lines = vec![
            self.passing("udp", "loss", "loss counted", lost).await,
            self.passing("udp", "eos", "reconnected", is_new).await,
        ];
        for (fault, name) in [("stall", "stalled"), ("drop", "offline")] {
            tokio::time::sleep(STEADY).await;
            lines.push(self.fault("udp", fault, name, SECOND_RUNG + RESTORED).await);
        }
        lines
    }

    /// Faults of the picture where every look costs much.
    async fn without_a_small_stream(&self) -> Vec<Line> {
        tokio::time::sleep(SIZES).await;
        let mut lines = Vec::new();
        for (fault, name) in [("freeze", "frozen"), ("black", "black"), ("moved", "moved")] {
            lines.push(self.fault(LARGE, fault, name, RESTORED).await);
        }
        lines
    }

    /// Least number of frames on the way, over some seconds: it only grows when frames are lost.
    async fn on_the_way(&self, camera: &str) -> anyhow::Result<u64> {
        let begin = Instant::now();
        let mut least = u64::MAX;
        while begin.elapsed() < Duration::from_secs(5) {
            let got = self.now(camera).await?.sub.frames;
            least = least.min(self.cameras.frames_sent(camera).await?.saturating_sub(got));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(least)
    }
}

/// The password of the one camera that has any.
const PASSWORD: &str = "rahasia-kamera";
/// Cameras.
const CAMERAS: usize = 8;
/// The camera without a small stream: what is looked at is large, and therefore seldom looked at without a reason.
const LARGE: &str = "besar";

/// One camera stays well; the others have their faults one after the other.
async fn scene() -> anyhow::Result<Scene> {
    let names = ["tenang", "gambar", "lensa", "jaringan", "arus", "udp"];
    let mut simulated: String = names.iter().map(|name| drawn(name, "")).collect();
    let size = [
        ("width = 640", "width = 1920"),
        ("height = 360", "height = 1080"),
        ("_kbit = 500", "_kbit = 3000"),
    ];
    let large = size
        .into_iter()
        .fold(drawn(LARGE, ""), |text, (small, large)| text.replace(small, large));
    simulated.push_str(&large);
    simulated.push_str(&drawn("sandi", &format!("user = \"admin\"\npassword = \"{PASSWORD}\"")));
    let folder = tempfile::tempdir()?;
    let cameras = CameraSimulator::start(folder.path(), &simulated).await?;
    let more = |name: &str| if name == "udp" { "transport = \"udp\"" } else { "" };
    let with_login = names.into_iter().chain(["sandi", LARGE]);
    let entries = with_login.map(|name| entry(name, cameras.address.port(), &format!("/{name}/sub"), more(name)));
    let secrets = format!("sandi = {{ user = \"admin\", password = \"{PASSWORD}\" }}\n");
    let mut roadside = CameraBox::prepare(&entries.collect::<String>(), &secrets)?;
    roadside.start().await?;
    for name in names.into_iter().chain(["sandi", LARGE]) {
        roadside.await_state(name, "up", PATIENCE).await?;
    }
    tokio::time::sleep(LEARNING).await;
    roadside.stop().await?;
    assert_eq!(roadside.age_baselines()?, CAMERAS);
    roadside.start().await?;
    for name in names.into_iter().chain(["sandi", LARGE]) {
        roadside.await_state(name, "up", PATIENCE).await?;
    }
    Ok(Scene {
        cameras,
        roadside,
        _folder: folder,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_has_its_name_in_time_and_harms_no_other_camera() -> anyhow::Result<()> {
    let scene = scene().await?;
    let begin = scene.on_the_way("tenang").await?;
    let pictures = async {
        tokio::time::sleep(SIZES).await;
        vec![
            scene.fault("gambar", "freeze", "frozen", RESTORED).await,
            scene.fault("gambar", "black", "black", RESTORED).await,
            scene.fault("gambar", "covered", "black", RESTORED).await,
        ]
    };
    let lens = async {
        tokio::time::sleep(SIZES).await;
        vec![
            scene.fault("lensa", "blur", "blurred", RESTORED).await,
            scene.fault("lensa", "moved", "moved", RESTORED).await,
            scene.fault("lensa", "wrong_clock", "wrong_clock", A_REPORT).await,
            scene.turned_on_purpose("lensa").await,
        ]
    };
    let network = async {
        let mut lines = vec![
            scene
                .fault("jaringan", "stall", "stalled", SECOND_RUNG + RESTORED)
                .await,
        ];
        tokio::time::sleep(STEADY).await;
        lines.push(scene.fault("jaringan", "drop", "offline", SECOND_RUNG + RESTORED).await);
        lines
    };
    let stream = async {
        let mut lines = vec![
            scene
                .passing("arus", "resolution", "416 wide", |_, now| now.sub.width == Some(416))
                .await,
            scene
                .passing("arus", "time_jump", "jump counted", |before, now| {
                    now.sub.jumps > before.sub.jumps
                })
                .await,
        ];
        let is_new = |before: &CameraNow, now: &CameraNow| now.sub.connections > before.sub.connections;
        lines.push(scene.passing("arus", "eos", "reconnected", is_new).await);
        tokio::time::sleep(STEADY).await;
        lines.push(
            scene
                .fault("arus", "no_keyframes", "no_keyframes", SECOND_RUNG + RESTORED)
                .await,
        );
        lines
    };
    let password = async { vec![scene.fault("sandi", "auth", "auth_failed", AUTH_WAIT + RESTORED).await] };
    let (pictures, lens, network) = tokio::join!(pictures, lens, async {
        let (network, stream, password, loss, large) = tokio::join!(
            network,
            stream,
            password,
            scene.over_udp(),
            scene.without_a_small_stream()
        );
        [network, stream, password, loss, large].into_iter().flatten()
    });
    let lines: Vec<Line> = pictures.into_iter().chain(lens).chain(network).collect();

    println!("fault          name             named  restored");
    lines.iter().for_each(Line::print);
    let end = scene.on_the_way("tenang").await?;
    let quiet = scene.now("tenang").await?;
    println!(
        "tenang: {begin} frames on the way at first, {end} at the end, {:?}",
        quiet.sub
    );
    let ledger = scene.roadside.ledger()?;
    for kind in ["camera_lost", "camera_restored", "camera_tampered"] {
        let count = ledger.lines().filter(|line| line.contains(kind)).count();
        println!("{kind}: {count} records");
        assert!(count > 0, "no {kind} in the ledger:\n{ledger}");
    }
    assert!(
        !ledger
            .lines()
            .any(|line| line.contains("tenang") && !line.contains("camera_restored")),
        "{ledger}"
    );
    // A GOP more or less is on the way, depending on the moment.
    assert!(
        end <= begin + 5,
        "{} frames of the camera that was well are missing",
        end - begin
    );
    assert_eq!(
        (quiet.sub.connections, quiet.sub.dropped_frames, quiet.sub.lost_packets),
        (1, 0, 0)
    );
    no_password_is_shown(&scene)?;
    let wrong: Vec<&Line> = lines.iter().filter(|line| line.wrong.is_some()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    the_recordings_can_be_played(&scene).await.context("recordings")
}

/// The password of a camera is in no log, and what others may read of the processes does not have it.
fn no_password_is_shown(scene: &Scene) -> anyhow::Result<()> {
    let log = scene.roadside.gateway.log_of_this_run()?;
    ensure!(!log.contains(PASSWORD), "the log has it");
    let gateway = scene.roadside.gateway.pid().context("the gateway has ended")?;
    let own = gateway.as_raw_nonzero().get();
    let mut looked_at = 0;
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let is_ours = [format!("Pid:\t{own}\n"), format!("PPid:\t{own}\n")];
        if !is_ours.iter().any(|line| status.contains(line)) {
            continue;
        }
        looked_at += 1;
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(process.join(file))?;
            ensure!(
                !String::from_utf8_lossy(&bytes).contains(PASSWORD),
                "{} has it",
                process.join(file).display()
            );
        }
    }
    ensure!(
        looked_at > CAMERAS,
        "the gateway, its cameras' workers and the one for pictures: {looked_at}"
    );
    Ok(())
}

/// Every frame that the box recorded can be decoded, whatever happened to the stream; with lost packets, too.
async fn the_recordings_can_be_played(scene: &Scene) -> anyhow::Result<()> {
    for camera in scene.roadside.cameras().await? {
        let mut frames = 0;
        for file in scene.roadside.recordings(&camera.id)? {
            let (count, told) = decoded(&file)?;
            ensure!(told.is_empty(), "{}: {told}", file.display());
            frames += count;
        }
        println!("{}: {frames} frames recorded", camera.id);
        ensure!(frames > 0, "nothing of {}", camera.id);
    }
    Ok(())
}
