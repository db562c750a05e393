//! `./run demo`: a whole small city on this machine, on a fast clock, until Ctrl-C.

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use live::message::Message;
use parking::{Timestamp, Timezone};
use tests::api::Api;
use tests::box_page::BoxPage;
use tests::city::faults::Faults;
use tests::city::{LEAVING_S, Plan, devices, simulate};
use tests::clock::{SimulatedClock, unix_ms};
use tests::street::Street;
use tests::street_cameras;
use tests::viewer::Viewer;
use tests::world::{Database, World};
use tokio::signal::unix::{SignalKind, signal};

/// How often the progress line is written.
const PROGRESS: Duration = Duration::from_secs(5);

/// How long the check at the end waits for cameras and for live view.
const PATIENCE: Duration = Duration::from_secs(20);

/// The street opens at this time, seconds after midnight.
const OPENING_S: i64 = OPENING_MINUTES as i64 * 60;
/// Its business day begins then too: of hours without a box nothing is known, and the first day would have too many.
const OPENING_MINUTES: u32 = 6 * 60;

/// A street of parking spaces with sensors and cameras, the box at its side, and the city's receiving end.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Arguments {
    /// End by itself after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Simulated seconds in a real one.
    #[arg(long, default_value_t = 120)]
    rate: u32,
    /// Parking spaces.
    #[arg(long, default_value_t = 40)]
    spaces: usize,
    /// Zones.
    #[arg(long, default_value_t = 2)]
    zones: usize,
    /// Cameras; each sees its part of the spaces.
    #[arg(long, default_value_t = 4)]
    cameras: usize,
    /// Spaces whose sensors hang on the box: magnetometers and loops on a simulated board.
    #[arg(long, default_value_t = 4)]
    wires: usize,
    /// Seed of the first day; each further day has the next.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("starting: cameras, sensor broker, city broker, kominfo on SQLite, gateway (seed {seed})");
    let mut street = Street::new("jalan-simulasi-01", 1, arguments.spaces, arguments.zones)?;
    street = street.with_cameras(arguments.cameras)?.with_wires(arguments.wires)?;
    street.site.day_cutoff_minutes = OPENING_MINUTES;
    let opening = opening_today();
    let clock = SimulatedClock::starting_in(Duration::from_secs(4), opening, arguments.rate);
    let starting = World::start(vec![street.clone()], clock, Database::Sqlite, 1);
    let mut world = tokio::select! {
        world = starting => world?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let api = world.api()?;
    println!("folder:   {} (boxes, keys, database, logs)", world.folder().display());
    println!("open:     {}/", api.url());
    if let Some(cameras) = &world.boxes[0].cameras {
        println!("cameras:  {}/live (from afar, through the city)", api.url());
        println!(
            "          http://{}/ (the box's own page; password: {})",
            cameras.page, cameras.password
        );
    }
    println!(
        "clock:    {} simulated seconds in a second, from 06:00 WIB; Ctrl-C ends everything",
        arguments.rate
    );
    let lasting = Duration::from_secs(arguments.seconds.unwrap_or(u64::MAX));
    let outcome = tokio::select! {
        outcome = days(&world, street, opening, seed) => outcome,
        outcome = progress(&world, &api) => outcome,
        () = tokio::time::sleep(lasting) => smoke(&world, &api).await,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    println!("\nstopping what was started, removing {}", world.folder().display());
    world.stop().await?;
    outcome
}

/// Six in the morning of today, so that the page shows today's date.
fn opening_today() -> Timestamp {
    let today = Timezone::Wib.business_day(Timestamp::from_millis(unix_ms()), 0);
    Timezone::Wib.start_of(today, 0).plus_seconds(OPENING_S)
}

/// Day after day: the first from the opening to one at night, the others from one at night to one at night.
async fn days(world: &World, street: Street, opening: Timestamp, seed: u64) -> anyhow::Result<()> {
    let mut sensors = devices(&street);
    let roadside = &world.boxes[0];
    if let Some(wires) = &roadside.wires {
        wires.calibrate(&roadside.config).await?;
    }
    let mut plan = Plan {
        seed,
        start: opening,
        length_s: 24 * 3_600 - OPENING_S + LEAVING_S,
        faults: Faults {
            lost: 0.002,
            repeated: 0.01,
            late: 0.005,
            silent: 0.03,
            flapping: 0.01,
            ..Faults::default()
        },
    };
    loop {
        let day = simulate(&street, &plan, &mut sensors);
        let uplinks = world.play(0, day.uplinks);
        let wires = roadside.wires.clone().map(|wires| {
            let (truth, clock) = (day.truth.clone(), world.clock);
            tokio::spawn(async move { wires.play(&truth, clock).await })
        });
        if let Some(cameras) = &world.boxes[0].cameras {
            street_cameras::play(&cameras.simulator, &street.cameras, &day.truth, world.clock).await?;
        }
        uplinks.await??;
        if let Some(wires) = wires {
            wires.await??;
        }
        world.clock.reach(plan.end()).await;
        plan = Plan {
            seed: plan.seed.wrapping_add(1),
            start: plan.end(),
            length_s: 24 * 3_600,
            faults: plan.faults,
        };
    }
}

/// A line now and then that tells that it lives.
async fn progress(world: &World, api: &Api) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        tokio::time::sleep(PROGRESS).await;
        let sessions = api.sessions(&world.boxes[0].id).await?.len();
        let now = Timezone::Wib.civil(world.clock.now());
        println!(
            "{:>5} s   {} {:02}:{:02} WIB   {sessions} sessions at the city",
            begin.elapsed().as_secs(),
            now.date(),
            now.hour(),
            now.minute()
        );
    }
}

/// At the end of a bounded run: the page is there, sessions have come in, cameras are up, and can be seen from afar.
async fn smoke(world: &World, api: &Api) -> anyhow::Result<()> {
    let roadside = &world.boxes[0];
    let sessions = api.sessions(&roadside.id).await?;
    anyhow::ensure!(!sessions.is_empty(), "no session has reached the city");
    let pictured = sessions.iter().filter(|session| !session.pictures.is_empty()).count();
    println!(
        "{} sessions at the city, {pictured} of them with pictures",
        sessions.len()
    );
    for index in roadside.street.wires.keys() {
        let space = &roadside.street.site.spaces[*index].id;
        let of_space = sessions.iter().filter(|session| session.space == *space).count();
        println!("{space}: {of_space} sessions by a sensor that hangs on the box");
    }
    let Some(cameras) = &roadside.cameras else {
        return Ok(());
    };
    let page = BoxPage::log_in(cameras.page, &cameras.password).await?;
    let up = page.await_all_up(PATIENCE).await?;
    anyhow::ensure!(up == roadside.street.cameras.len(), "{up} cameras on the box's page");
    for camera in &roadside.street.cameras {
        let jpeg = page.snapshot(&camera.id).await?;
        println!("{}: up, a picture of {} bytes", camera.id, jpeg.len());
    }
    anyhow::ensure!(pictured > 0, "no session has a picture");
    let camera = roadside.street.cameras.first().context("no camera")?;
    let mut viewer = Viewer::open(world.city.addresses[0], &roadside.id, &camera.id).await?;
    loop {
        let message = viewer.next(PATIENCE).await?.context("the portal has closed the view")?;
        if let Message::Chunk(chunk) = message {
            println!("{}: live at the portal, {} bytes first", camera.id, chunk.wire_bytes());
            return Ok(());
        }
    }
}
