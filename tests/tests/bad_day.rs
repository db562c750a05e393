//! A day on which the radio loses, repeats, delays and reorders, sensors fall silent and others flap: nobody can know
//! the truth then, but the figures add up and say how sure they are.

use std::time::Duration;

use tests::city::faults::Faults;
use tests::city::{Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::judge;
use tests::street::Street;
use tests::world::{Database, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_day_adds_up_and_says_how_sure_it_is() -> anyhow::Result<()> {
    let seed = judge::seed()?;
    let street = Street::new("sim-01", 1, 40, 2)?;
    let start = "2026-01-05T00:00:00+07:00".parse()?;
    let plan = Plan::day(seed, start).with(Faults {
        lost: 0.02,
        repeated: 0.1,
        late: 0.05,
        reordered: 0.2,
        silent: 0.1,
        flapping: 0.05,
        ..Faults::default()
    });
    let day = simulate(&street, &plan, &mut devices(&street));
    let clock = SimulatedClock::starting_in(Duration::from_secs(5), start, 2_880);
    let mut world = World::start(vec![street], clock, Database::Sqlite, 1).await?;

    world.play(0, day.uplinks.clone()).await??;
    clock.reach(plan.end()).await;
    judge::await_quarter_after(&world, 0, &day.truth).await?;
    judge::adds_up(&world, 0, &day.truth).await?;
    judge::zone_days_are_doubtful(&world, 0, &day.truth, 0.05).await?;
    assert_eq!(world.boxes[0].gateway.exit_status()?, None, "the gateway ended");
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}
