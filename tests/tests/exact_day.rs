//! A day on which nothing goes wrong is counted exactly.

use std::time::Duration;

use tests::city::{Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::judge;
use tests::street::Street;
use tests::world::{Database, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_faults_is_exact() -> anyhow::Result<()> {
    let seed = judge::seed()?;
    let street = Street::new("sim-01", 1, 40, 2)?;
    let start = "2026-01-05T00:00:00+07:00".parse()?;
    let plan = Plan::day(seed, start);
    let day = simulate(&street, &plan, &mut devices(&street));
    let clock = SimulatedClock::starting_in(Duration::from_secs(5), start, 1_440);
    let world = World::start(vec![street], clock, Database::Sqlite, 1).await?;

    let published = world.play(0, day.uplinks.clone()).await??;
    clock.reach(plan.end()).await;
    judge::sessions(&world, 0, &day.truth).await?;
    judge::occupancy(&world, 0, &day.truth).await?;
    judge::zone_days(&world, 0, &day.truth).await?;
    let verified = world.kominfo(&["verify"])?;
    println!("{published:?}\n{verified}");
    Ok(())
}
