//! A day of sensors that hang on the box, on a simulated board: registers and pins by the real drivers, sessions in the city.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use parking::{Session, SessionStatus};
use tests::city::{Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::judge;
use tests::process::{run, workspace_program};
use tests::street::Street;
use tests::street_wires::TAMPER_LINE;
use tests::world::{Database, World};

/// Simulated seconds in a real one.
const RATE: u32 = 120;
/// A magnetometer decides after some seconds, and the machine that tests may pause for as long as that.
const LATE_S: i64 = 45;
/// Longest wait for the daemon.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_magnetometers_and_loops_are_those_of_the_street() -> anyhow::Result<()> {
    let seed = judge::seed()?;
    let street = Street::new("sim-wires", 1, 10, 2)?.with_wires(8)?;
    let start = "2026-01-05T08:00:00+07:00".parse()?;
    let plan = Plan {
        length_s: 3 * 3_600,
        ..Plan::day(seed, start)
    };
    let day = simulate(&street, &plan, &mut devices(&street));
    let clock = SimulatedClock::starting_in(Duration::from_secs(5), start, RATE);
    let world = World::start(vec![street.clone()], clock, Database::Sqlite, 1).await?;
    let roadside = &world.boxes[0];
    let wires = roadside.wires.as_ref().expect("it has wires");
    wires.calibrate(&roadside.config).await?;
    let uplinks = world.play(0, day.uplinks.clone());
    let door = async {
        clock.reach(start.plus_seconds(3_600)).await;
        wires.set_pin(TAMPER_LINE, true)?;
        clock.reach(start.plus_seconds(3_900)).await;
        wires.set_pin(TAMPER_LINE, false)
    };
    let (played, door) = tokio::join!(wires.play(&day.truth, clock), door);
    played?;
    door?;
    uplinks.await??;
    clock.reach(plan.end()).await;
    judge::await_quarter_after(&world, 0, &day.truth).await?;

    let api = world.api()?;
    let believed = api.sessions(&roadside.id).await?;
    for index in street.wires.keys() {
        let space = &street.site.spaces[*index].id;
        let mut believed: Vec<&Session> = believed
            .iter()
            .filter(|session| session.space == *space && session.status != SessionStatus::Void)
            .collect();
        believed.sort_by_key(|session| session.start);
        let mut truly: Vec<_> = day
            .truth
            .sessions
            .iter()
            .filter(|session| session.space == *space)
            .collect();
        truly.sort_by_key(|session| session.start);
        let list = || format!("seed {seed}, {space}: truly {truly:#?}, believed {believed:#?}");
        assert_eq!(believed.len(), truly.len(), "{}", list());
        for (believed, truly) in believed.iter().zip(&truly) {
            let late_s = [
                believed.start.seconds_since(truly.start),
                believed.end.seconds_since(truly.end),
            ];
            assert!(
                late_s.iter().all(|late_s| (-LATE_S..=LATE_S).contains(late_s)),
                "{late_s:?}: {}",
                list()
            );
        }
        println!("{space}: {} sessions", truly.len());
    }
    let told = api.events(&roadside.id, "box_contact").await?;
    assert_eq!(told, 3, "closed at the start, opened, closed");
    let table = run(
        workspace_program("gateway")?,
        [
            "sensors",
            "list",
            roadside.config.to_str().expect("text"),
            "--lang",
            "en",
        ],
    )?;
    println!("{table}");
    assert!(table.contains("mmc5603") && table.contains("loop-relay"), "{table}");
    assert!(!table.contains("silent for too long"), "{table}");
    a_recording_ends_with_the_daemon(world).await
}

/// Who records does not keep the daemon from stopping, and has what was measured until then.
async fn a_recording_ends_with_the_daemon(mut world: World) -> anyhow::Result<()> {
    let trace = world.folder().join("trace.csv");
    let roadside = &mut world.boxes[0];
    let mut recording = Command::new(workspace_program("gateway")?)
        .args(["sensors", "record"])
        .arg(&roadside.config)
        .args(["wire-01", "--hours", "1", "--output"])
        .arg(&trace)
        .spawn()?;
    let begun = Instant::now();
    while fs::read_to_string(&trace).map_or(0, |text| text.lines().count()) < 20 {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "nothing is recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    roadside.gateway.terminate(PATIENCE).await?;
    recording.wait()?;
    let recorded = fs::read_to_string(&trace)?;
    wired::trace::parse(&recorded)?;
    println!("recorded {} lines until the daemon stopped", recorded.lines().count());
    Ok(())
}
