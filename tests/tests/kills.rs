//! Programs are killed all day long, and the day is still counted exactly.
//!
//! `PARKIR_SEED` repeats a run; `PARKIR_KILLS` asks for another number of kills.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tests::chaos::kill_until;
use tests::city::{LEAVING_S, Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::judge;
use tests::street::Street;
use tests::world::{Database, World};

/// Kills in one day.
const KILLS: u32 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_kills_lose_no_session_and_double_none() -> anyhow::Result<()> {
    let seed = judge::seed()?;
    let kills = std::env::var("PARKIR_KILLS").map_or(Ok(KILLS), |text| text.parse())?;
    let street = Street::new("sim-01", 1, 40, 2)?;
    let start = "2026-01-05T00:00:00+07:00".parse()?;
    let plan = Plan::day(seed, start);
    let day = simulate(&street, &plan, &mut devices(&street));
    let clock = SimulatedClock::starting_in(Duration::from_secs(5), start, 360);
    let mut world = World::start(vec![street], clock, Database::Sqlite, 1).await?;

    let publishing = world.play(0, day.uplinks.clone());
    let last_kill = plan.end().plus_seconds(-LEAVING_S);
    let killed = kill_until(&mut world, last_kill, kills, &mut StdRng::seed_from_u64(seed)).await?;
    let published = publishing.await??;
    clock.reach(plan.end()).await;
    println!("seed {seed}\n{killed}{published:?}");
    assert!(killed.total() >= kills);

    judge::sessions(&world, 0, &day.truth).await?;
    judge::occupancy(&world, 0, &day.truth).await?;
    judge::zone_days(&world, 0, &day.truth).await?;
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}
