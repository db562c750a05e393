//! Live view from glass to glass: how old a picture is when Chromium shows it, on the box's own page and, over a poor
//! link, on the city's; and how long after the click the first one comes.
//!
//! Beside it, in the same minutes, `ffmpeg` reads the same stream from the camera itself: what is above that, gateway,
//! link, city and browser have added. `Viewer` tells when a chunk reaches the city's page, so what is above that, the
//! browser has added.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use live::message::Message;
use parking::{CameraId, Timestamp};
use tests::box_page::BoxPage;
use tests::browser::{Browser, Page};
use tests::clock::{SimulatedClock, unix_ms};
use tests::glass::{self, Opened, Screen};
use tests::link::Quality;
use tests::process::system_program;
use tests::street::Street;
use tests::street_cameras::Coding;
use tests::viewer::Viewer;
use tests::world::World;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// At most so old is a picture of the box's own page, 95 of 100 times.
const NEAR_P95_MAX: Duration = Duration::from_millis(500);
/// The same for the city's page over the link.
const FAR_P95_MAX: Duration = Duration::from_millis(900);
/// The first picture comes so soon after the click, 95 of 100 times.
const FIRST_P95_MAX: Duration = Duration::from_secs(1);

/// Delays of the link, one way each, until a box that is asked for pictures has sent one.
const DIALLING_DELAYS: u64 = 8;
/// Time for figures of the stream to settle, and for a group of pictures to fill.
const WARM_UP: Duration = Duration::from_secs(10);
/// How long anything here may take that is not measured.
const PATIENCE: Duration = Duration::from_secs(30);
/// After the first picture, the player still seeks its place; so long later it is watched.
const SETTLING: Duration = Duration::from_secs(5);

/// Glass to glass, near and far.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long each way is watched, seconds.
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// How often a camera is opened on each way.
    #[arg(long, default_value_t = 10)]
    opens: usize,
    /// Rate of the link between box and city, each direction, kbit/s.
    #[arg(long, default_value_t = 1_000)]
    kbit: u32,
    /// Delay of the link, each direction, ms.
    #[arg(long, default_value_t = 150)]
    delay_ms: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let span = Duration::from_secs(arguments.seconds);
    let quality = Quality {
        kbit: arguments.kbit,
        delay: Duration::from_millis(arguments.delay_ms),
    };
    let coding = Coding::TYPICAL;
    let mut street = Street::new("sim-01", 1, 10, 1)?.with_cameras(1)?;
    street.cameras.iter_mut().for_each(|camera| camera.coding = coding);
    let camera = street.cameras.first().context("no camera")?.id.clone();
    let clock = SimulatedClock::starting_in(Duration::ZERO, Timestamp::from_millis(unix_ms()), 1);
    let mut world = World::start_afar(vec![street], clock, quality).await?;
    println!(
        "camera: H.264, 640x360, {} fps, {} kbit/s, a keyframe every {} frames; recorded by the box",
        coding.fps, coding.sub_kbit, coding.gop
    );
    println!(
        "link between box and city: {} kbit/s and {} ms in each direction, for commands, records and pictures alike",
        quality.kbit, arguments.delay_ms
    );
    println!("screen: headless Chromium beside the page's server. Shown: the later of the frame's callback and the");
    println!(
        "        browser's expectedDisplayTime. First picture: from the click in a loaded page until it is shown;"
    );
    println!("        at the city each click finds a box that sends nothing.\n");
    measure(&world, &camera, span, arguments.opens).await?;
    let delays = DIALLING_DELAYS * arguments.delay_ms;
    println!(
        "a first picture at the city waits for {DIALLING_DELAYS} delays of the link, {delays} ms: the command one,"
    );
    println!("TCP, TLS and WebSocket two each, the picture one; and for its own bytes");
    world.stop().await
}

async fn measure(world: &World, camera: &CameraId, span: Duration, opens: usize) -> anyhow::Result<()> {
    let roadside = &world.boxes[0];
    let cameras = roadside.cameras.as_ref().context("no cameras")?;
    let portal = world.city.addresses[0];
    let api = BoxPage::log_in(cameras.page, &cameras.password).await?;
    api.await_all_up(PATIENCE).await?;
    tokio::time::sleep(WARM_UP).await;
    let mut browser = Browser::start().await?;
    let rtsp = format!("rtsp://{}/{camera}/sub", cameras.simulator.address);

    let screen = Screen::near(cameras.page, camera);
    let mut page = browser.page("about:blank").await?;
    glass::log_in(&mut page, cameras.page, &cameras.password).await?;
    let opened = open(&screen, &mut page, opens, NEAR_P95_MAX, None).await?;
    tokio::time::sleep(SETTLING).await;
    let (shown, peer) = tokio::try_join!(glass::watch(&mut page, span), decode(&rtsp, span))?;
    let near = Way {
        name: "near: the box's own page",
        goal: NEAR_P95_MAX,
        opened,
        shown,
        floor: ("ffmpeg reads the camera itself", peer),
    };
    near.print()?;

    let screen = Screen::far(portal, &roadside.id, camera);
    let opened = open(&screen, &mut page, opens, FAR_P95_MAX, Some((&api, camera))).await?;
    tokio::time::sleep(SETTLING).await;
    let mut viewer = Viewer::open(portal, &roadside.id, camera).await?;
    let (shown, arrived) = tokio::try_join!(glass::watch(&mut page, span), arrivals(&mut viewer, span))?;
    let far = Way {
        name: "far: the city's page",
        goal: FAR_P95_MAX,
        opened,
        shown,
        floor: ("first frame of a chunk reaches the city's page", arrived),
    };
    far.print()
}

/// Opens a camera again and again, the last time to stay. `cold`: each time only when the box sends it to nobody.
async fn open(
    screen: &Screen,
    page: &mut Page,
    opens: usize,
    fresh: Duration,
    cold: Option<(&BoxPage, &CameraId)>,
) -> anyhow::Result<Vec<Opened>> {
    let mut all = Vec::new();
    for _ in 0..opens.max(1) {
        page.go("about:blank").await?;
        if let Some((api, camera)) = cold {
            await_nobody(api, camera).await?;
        }
        all.push(screen.open(page, fresh).await?);
    }
    Ok(all)
}

async fn await_nobody(api: &BoxPage, camera: &CameraId) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let cameras = api.cameras().await?;
        let own = cameras.iter().find(|known| known["id"] == camera.as_str());
        if own.is_some_and(|known| known["sub"]["viewers"] == 0) {
            return Ok(());
        }
        anyhow::ensure!(begin.elapsed() < PATIENCE, "the box goes on sending: {own:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What was measured on one way.
struct Way {
    name: &'static str,
    /// Of the age of pictures.
    goal: Duration,
    opened: Vec<Opened>,
    shown: glass::Shown,
    /// Ages without a browser, milliseconds.
    floor: (&'static str, Vec<f64>),
}

impl Way {
    fn print(self) -> anyhow::Result<()> {
        let Self {
            name,
            goal,
            opened,
            shown,
            floor: (floor_name, floor),
        } = self;
        let (frames, unreadable, not_seen) = (shown.ages.len(), shown.unreadable, shown.not_seen);
        let first: Vec<f64> = opened.iter().filter_map(|opened| opened.first).collect();
        let live: Vec<f64> = opened.iter().filter_map(|opened| opened.live).collect();
        let without = opened.len() - first.len();
        let (shown_at, floor) = (Spread::of(shown.ages)?, Spread::of(floor)?);
        let (first, live) = (Spread::of(first)?, Spread::of(live)?);
        let mut text = format!("{name}\n  {:<48} {:>7} {:>7} {:>7}   ms\n", "", "median", "p95", "max");
        let goal_ms = goal.as_millis();
        for (name, spread, judged) in [
            ("age of a picture when shown", &shown_at, shown_at.judge(goal)),
            (floor_name, &floor, String::new()),
            ("click until the first picture", &first, first.judge(FIRST_P95_MAX)),
            (
                &*format!("click until a picture is {goal_ms} ms old or less"),
                &live,
                String::new(),
            ),
        ] {
            writeln!(
                text,
                "  {name:<48} {:>7.0} {:>7.0} {:>7.0}   {judged}",
                spread.median, spread.p95, spread.max
            )?;
        }
        writeln!(
            text,
            "  p95 shown is {:.2} of that without a browser; {frames} pictures read, {unreadable} without a timecode, {not_seen} not seen;",
            shown_at.p95 / floor.p95
        )?;
        writeln!(text, "  {} opened, {without} of them without a picture", opened.len())?;
        writeln!(text, "  player: {}", shown.stats)?;
        println!("{text}");
        Ok(())
    }
}

/// Of many values, milliseconds.
struct Spread {
    median: f64,
    p95: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> anyhow::Result<Self> {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().context("nothing was measured")
        };
        Ok(Self {
            median: at(50)?,
            p95: at(95)?,
            max: at(100)?,
        })
    }

    fn judge(&self, goal: Duration) -> String {
        let word = if self.p95 <= goal.as_secs_f64() * 1_000.0 {
            "reached"
        } else {
            "falls short"
        };
        format!("goal: p95 at most {}: {word}", goal.as_millis())
    }
}

/// Ages of pictures that `ffmpeg` has read from the camera and decoded without waiting, milliseconds.
async fn decode(rtsp: &str, span: Duration) -> anyhow::Result<Vec<f64>> {
    let mut child = Command::new(system_program("ffmpeg")?)
        .args([
            "-nostdin",
            "-loglevel",
            "error",
            "-fflags",
            "nobuffer",
            "-flags",
            "low_delay",
        ])
        .args(["-probesize", "32", "-analyzeduration", "0", "-threads", "1"])
        .args(["-rtsp_transport", "tcp", "-i", rtsp, "-an"])
        .args(["-vf", glass::STRIP_FILTER, "-fps_mode", "passthrough"])
        .args(["-f", "rawvideo", "-flush_packets", "1", "pipe:1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut pictures = child.stdout.take().context("no standard output")?;
    let mut strip = vec![0; glass::STRIP_BYTES];
    let mut ages = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < span {
        let read = tokio::time::timeout(PATIENCE, pictures.read_exact(&mut strip));
        read.await.context("ffmpeg gives no picture")??;
        let now = Duration::from_millis(u64::try_from(unix_ms())?);
        if let Some(code) = glass::strip(&strip) {
            ages.push(code.age(now).as_secs_f64() * 1_000.0);
        }
    }
    child.kill().await?;
    // It begins with what the server has kept since the last keyframe.
    Ok(ages.split_off(ages.len() / 10))
}

/// Ages of chunks' first frames, by the box's clock, when they reach the city's page, milliseconds.
async fn arrivals(viewer: &mut Viewer, span: Duration) -> anyhow::Result<Vec<f64>> {
    let mut ages = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < span {
        let message = viewer.next(PATIENCE).await?.context("the city has closed the view")?;
        if let Message::Chunk(chunk) = message
            && let Some(wall) = chunk.wall()
        {
            let age = unix_ms() - i64::try_from(wall.get())?;
            #[allow(clippy::cast_precision_loss)] // some seconds
            ages.push(age as f64);
        }
    }
    // Before the first ones, the whole group of pictures came.
    Ok(ages.split_off(ages.len() / 4))
}
