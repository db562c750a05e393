//! Two instances of `kominfo` on one PostgreSQL share the boxes; when one is killed, the other takes all.

use std::time::Duration;

use tests::city::{LEAVING_S, Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::judge;
use tests::street::Street;
use tests::world::{Database, World};

#[tokio::test(flavor = "multi_thread")]
async fn two_kominfo_share_the_load_and_killing_one_loses_nothing() -> anyhow::Result<()> {
    let seed = judge::seed()?;
    let start = "2026-01-05T06:00:00+07:00".parse()?;
    let streets = [Street::new("sim-01", 1, 20, 2)?, Street::new("sim-02", 2, 20, 2)?];
    let plan = Plan {
        length_s: 12 * 3_600 + LEAVING_S,
        ..Plan::day(seed, start)
    };
    let days = streets
        .each_ref()
        .map(|street| simulate(street, &plan, &mut devices(street)));
    let clock = SimulatedClock::starting_in(Duration::from_secs(8), start, 1_440);
    let mut world = World::start(streets.to_vec(), clock, Database::Postgres, 2).await?;

    let publishing = [0, 1].map(|number| world.play(number, days[number].uplinks.clone()));
    clock.reach(start.plus_seconds(6 * 3_600)).await;
    let (first, second) = (
        world.city.kominfo[0].log_of_this_run()?,
        world.city.kominfo[1].log_of_this_run()?,
    );
    world.city.kominfo[1].kill()?;
    for publishing in publishing {
        publishing.await??;
    }
    clock.reach(plan.end()).await;
    let committed = [judge::committed(&first), judge::committed(&second)];
    println!("batches committed by each until one was killed: {committed:?}");
    assert!(
        committed.iter().all(|batches| *batches > 0),
        "one instance had nothing to do"
    );
    for (number, day) in days.iter().enumerate() {
        judge::sessions(&world, number, &day.truth).await?;
        judge::zone_days(&world, number, &day.truth).await?;
    }
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}
