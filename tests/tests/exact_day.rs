//! A day on which nothing goes wrong is counted exactly.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use tests::city::{Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::judge;
use tests::process::{output, run, workspace_program};
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
    a_proof_holds_from_its_files_alone_until_a_digit_of_the_fee_is_changed(&world).await
}

async fn a_proof_holds_from_its_files_alone_until_a_digit_of_the_fee_is_changed(world: &World) -> anyhow::Result<()> {
    let sessions = world.api()?.sessions(&world.boxes[0].id).await?;
    let paid = sessions
        .iter()
        .find(|session| session.fee.point.0 > 0)
        .context("nobody paid")?;
    let (session, fee) = (paid.session.to_string(), paid.fee.point.0.to_string());
    let folder = world.folder().join("proof");
    let to = folder.display().to_string();
    world.kominfo(&["export", "proof", "--session", &session, "--to", &to])?;
    let gateway = workspace_program("gateway")?;
    let verify = ["ledger", "verify", &to];
    println!("{}", run(&gateway, verify)?);

    let record = folder.join(format!("{session}.record"));
    let text = fs::read_to_string(&record)?;
    let digit = if fee.starts_with('9') { '8' } else { '9' };
    let changed = text.replace(&format!("\"point\":{fee}"), &format!("\"point\":{digit}{}", &fee[1..]));
    assert_ne!(changed, text);
    fs::write(&record, changed)?;
    let refused = output(&gateway, verify)?;
    assert!(!refused.status.success(), "a changed fee was accepted");
    println!("{}", String::from_utf8_lossy(&refused.stderr));
    Ok(())
}
