//! A broker that delivers everything twice and out of order changes nothing.

use std::time::Duration;

use tests::city::faults::Faults;
use tests::city::{Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::judge;
use tests::street::Street;
use tests::world::{Database, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_day_delivered_twice_and_out_of_order_is_the_same_day() -> anyhow::Result<()> {
    let seed = judge::seed()?;
    let street = Street::new("sim-01", 1, 40, 2)?;
    let start = "2026-01-05T00:00:00+07:00".parse()?;
    let plan = Plan::day(seed, start).with(Faults {
        repeated: 1.0,
        reordered: 1.0,
        ..Faults::default()
    });
    let day = simulate(&street, &plan, &mut devices(&street));
    assert!(
        day.uplinks.windows(2).any(|pair| pair[0].observed > pair[1].observed),
        "nothing is out of order"
    );
    let clock = SimulatedClock::starting_in(Duration::from_secs(5), start, 1_440);
    let world = World::start(vec![street], clock, Database::Sqlite, 1).await?;

    let published = world.play(0, day.uplinks.clone()).await??;
    clock.reach(plan.end()).await;
    judge::sessions(&world, 0, &day.truth).await?;
    judge::occupancy(&world, 0, &day.truth).await?;
    judge::zone_days(&world, 0, &day.truth).await?;
    println!("{published:?}\n{}", world.kominfo(&["verify"])?);
    Ok(())
}
