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
use tests::glass::{self, FASTEST_CLICK, Opened, Screen};
use tests::link::{Quality, Traffic};
use tests::process::system_program;
use tests::street::Street;
use tests::street_cameras::Coding;
use tests::viewer::Viewer;
use tests::world::{City, World};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// At most so old is a picture of the box's own page, 95 of 100 times.
const NEAR_P95_MAX: Duration = Duration::from_millis(500);
/// The same for the city's page over the link.
const FAR_P95_MAX: Duration = Duration::from_millis(900);
/// The first picture comes so soon after the click, 95 of 100 times; at the city, after one in a page that has been open
/// for [`LOOKING_AROUND`].
const FIRST_P95_MAX: Duration = Duration::from_secs(1);

/// So long somebody looks for the camera in a page before the click; the box has dialled by then.
const LOOKING_AROUND: Duration = Duration::from_secs(3);
/// Delays of the link, one way each, until a box that is asked for pictures has sent one: dialling, or on a connection
/// that waits.
const DELAYS: (u64, u64) = (8, 2);
/// For so long it is counted what a connection that waits costs.
const WAITING: Duration = Duration::from_secs(20);
/// A connection that waits without a page ends sooner.
const WAITING_MAX: Duration = Duration::from_secs(90);
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
    println!(
        "        at the city each click finds a box that sends nothing, and that has held no connection before the"
    );
    println!("        page was loaded.\n");
    measure(&world, &camera, span, arguments.opens).await?;
    let (dialling, waiting) = (DELAYS.0 * arguments.delay_ms, DELAYS.1 * arguments.delay_ms);
    println!(
        "a first picture at the city waits for {} delays of the link, {waiting} ms, on a connection that waits: the",
        DELAYS.1
    );
    println!(
        "command one, the picture one; and for its own bytes. Without one it would be {}, {dialling} ms: TCP, TLS and",
        DELAYS.0
    );
    println!("WebSocket two each; a box that is dialling already has some of them behind it");
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
    let opened = open(&screen, &mut page, opens, (FASTEST_CLICK, NEAR_P95_MAX), None).await?;
    tokio::time::sleep(SETTLING).await;
    let (shown, peer) = tokio::try_join!(glass::watch(&mut page, span), decode(&rtsp, span))?;
    let near = Way {
        name: "near: the box's own page",
        goal: NEAR_P95_MAX,
        click_after: FASTEST_CLICK,
        opened,
        at_once: None,
        shown,
        floor: ("ffmpeg reads the camera itself", peer),
    };
    near.print()?;

    let screen = Screen::far(portal, &roadside.id, camera);
    cost_of_waiting(&world.city, &screen, &mut page).await?;
    let idle = Some((&api, &world.city, camera));
    let at_once = open(&screen, &mut page, opens, (FASTEST_CLICK, FAR_P95_MAX), idle).await?;
    let opened = open(&screen, &mut page, opens, (LOOKING_AROUND, FAR_P95_MAX), idle).await?;
    tokio::time::sleep(SETTLING).await;
    let mut viewer = Viewer::open(portal, &roadside.id, camera).await?;
    let (shown, arrived) = tokio::try_join!(glass::watch(&mut page, span), arrivals(&mut viewer, span))?;
    let far = Way {
        name: "far: the city's page",
        goal: FAR_P95_MAX,
        click_after: LOOKING_AROUND,
        opened,
        at_once: Some(at_once),
        shown,
        floor: ("first frame of a chunk reaches the city's page", arrived),
    };
    far.print()
}

/// Opens a camera again and again, the last time to stay: clicks so long after the page came, and awaits a picture of that
/// age. `idle`: each time only when the box sends it to nobody and holds no connection to the city.
async fn open(
    screen: &Screen,
    page: &mut Page,
    opens: usize,
    (click_after, fresh): (Duration, Duration),
    idle: Option<(&BoxPage, &City, &CameraId)>,
) -> anyhow::Result<Vec<Opened>> {
    let mut all = Vec::new();
    for _ in 0..opens.max(1) {
        page.go("about:blank").await?;
        if let Some((api, city, camera)) = idle {
            await_nobody(api, camera).await?;
            await_connections(city, 0).await?;
        }
        all.push(screen.open(page, click_after, fresh).await?);
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

/// Waits until the box has so many connections for live view; gives what has gone over all of them.
async fn await_connections(city: &City, open: u64) -> anyhow::Result<Traffic> {
    let begin = Instant::now();
    loop {
        let traffic = city.live_traffic().context("nothing is counted")?;
        if traffic.open == open {
            return Ok(traffic);
        }
        anyhow::ensure!(begin.elapsed() < WAITING_MAX, "not {open} connections: {traffic:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Counts the bytes of a connection that waits for a click.
async fn cost_of_waiting(city: &City, screen: &Screen, page: &mut Page) -> anyhow::Result<()> {
    let before = await_connections(city, 0).await?;
    screen.load(page).await?;
    await_connections(city, 1).await?;
    tokio::time::sleep(LOOKING_AROUND).await;
    let dialled = await_connections(city, 1).await?;
    tokio::time::sleep(WAITING).await;
    let waited = await_connections(city, 1).await?;
    let seconds = WAITING.as_secs();
    println!(
        "a connection that waits: {} bytes in its first {} s, for dialling; then {} bytes in {seconds} s, both directions,",
        dialled.bytes - before.bytes,
        LOOKING_AROUND.as_secs(),
        waited.bytes - dialled.bytes,
    );
    println!("with headers of IP and TCP, without acknowledgements\n");
    Ok(())
}

/// What was measured on one way.
struct Way {
    name: &'static str,
    /// Of the age of pictures.
    goal: Duration,
    /// When the click came, after the page.
    click_after: Duration,
    opened: Vec<Opened>,
    /// With [`FASTEST_CLICK`] instead.
    at_once: Option<Vec<Opened>>,
    shown: glass::Shown,
    /// Ages without a browser, milliseconds.
    floor: (&'static str, Vec<f64>),
}

impl Way {
    fn print(self) -> anyhow::Result<()> {
        let Self {
            name,
            goal,
            click_after,
            opened,
            at_once,
            shown,
            floor: (floor_name, floor),
        } = self;
        let (frames, unreadable, not_seen) = (shown.ages.len(), shown.unreadable, shown.not_seen);
        let first: Vec<f64> = opened.iter().filter_map(|opened| opened.first).collect();
        let live: Vec<f64> = opened.iter().filter_map(|opened| opened.live).collect();
        let without = opened.len() - first.len();
        let each: Vec<_> = first.iter().map(|first| format!("{first:.0}")).collect();
        let each = each.join(" ");
        let (shown_at, floor) = (Spread::of(shown.ages)?, Spread::of(floor)?);
        let (first, live) = (Spread::of(first)?, Spread::of(live)?);
        let seconds = click_after.as_secs_f64();
        let mut text = format!("{name}\n  {:<48} {:>7} {:>7} {:>7}   ms\n", "", "median", "p95", "max");
        let goal_ms = goal.as_millis();
        for (name, spread, judged) in [
            ("age of a picture when shown", &shown_at, shown_at.judge(goal)),
            (floor_name, &floor, String::new()),
            (
                &*format!("click {seconds} s after the page until a picture"),
                &first,
                first.judge(FIRST_P95_MAX),
            ),
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
        if let Some(at_once) = at_once {
            let first = Spread::of(at_once.iter().filter_map(|opened| opened.first).collect())?;
            let name = format!("click {} s after the page until a picture", FASTEST_CLICK.as_secs_f64());
            writeln!(
                text,
                "  {name:<48} {:>7.0} {:>7.0} {:>7.0}   cold, no goal",
                first.median, first.p95, first.max
            )?;
        }
        writeln!(
            text,
            "  p95 shown is {:.2} of that without a browser; {frames} pictures read, {unreadable} without a timecode, {not_seen} not seen;",
            shown_at.p95 / floor.p95
        )?;
        writeln!(
            text,
            "  {} opened, {without} of them without a picture; after ms: {each}",
            opened.len()
        )?;
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
