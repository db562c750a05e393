//! What somebody tries who holds a box's certificate, or its key, or both. All of it is refused, with the reason, and
//! holds up nobody else.

use std::time::Duration;

use tests::clock::SimulatedClock;
use tests::forger::{Forger, History};
use tests::world::{Database, World};

const PATIENCE: Duration = Duration::from_secs(15);

async fn city() -> anyhow::Result<World> {
    let clock = SimulatedClock::starting_in(Duration::ZERO, "2026-01-05T06:00:00+07:00".parse()?, 60);
    World::start(Vec::new(), clock, Database::Sqlite, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_any_byte_flipped_is_refused_and_the_honest_one_still_taken() -> anyhow::Result<()> {
    let world = city().await?;
    let (api, forger) = (world.api()?, Forger::enrol(world.folder(), &world.city, "box-1")?);
    let mut history = History::of("honest", 3)?;
    forger.send(&history.batch(forger.signer(), 0, 3)?)?;
    forger.await_receipt(&history, 3).await?;
    history.extend("more", 2)?;
    let batch = history.batch(forger.signer(), 3, 5)?;
    for at in (0..batch.len()).step_by(7) {
        let mut flipped = batch.clone();
        flipped[at] ^= 0x10;
        forger.send(&flipped)?;
    }
    api.await_alarm(&forger.id, "bad_signature", PATIENCE).await?;
    api.await_alarm(&forger.id, "malformed", PATIENCE).await?;
    assert_eq!(api.log_size(&forger.id).await?, 3);
    forger.send(&batch)?;
    forger.await_receipt(&history, 5).await?;
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_cut_short_at_any_length_is_refused() -> anyhow::Result<()> {
    let world = city().await?;
    let (api, forger) = (world.api()?, Forger::enrol(world.folder(), &world.city, "box-1")?);
    let history = History::of("honest", 3)?;
    let batch = history.batch(forger.signer(), 0, 3)?;
    for length in (1..batch.len()).step_by(11) {
        forger.send(&batch[..length])?;
    }
    api.await_alarm(&forger.id, "malformed", PATIENCE).await?;
    assert_eq!(api.log_size(&forger.id).await?, 0);
    forger.send(&batch)?;
    forger.await_receipt(&history, 3).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_batch_sent_again_counts_nothing_twice_and_is_noticed() -> anyhow::Result<()> {
    let world = city().await?;
    let (api, forger) = (world.api()?, Forger::enrol(world.folder(), &world.city, "box-1")?);
    let mut history = History::of("honest", 3)?;
    let old = history.batch(forger.signer(), 0, 3)?;
    forger.send(&old)?;
    forger.await_receipt(&history, 3).await?;
    history.extend("more", 2)?;
    forger.send(&history.batch(forger.signer(), 3, 5)?)?;
    forger.await_receipt(&history, 5).await?;
    forger.send(&old)?;
    api.await_alarm(&forger.id, "replay", PATIENCE).await?;
    assert_eq!(api.log_size(&forger.id).await?, 5);
    forger.await_receipt(&history, 5).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_signed_with_another_key_or_sent_as_another_box_is_refused() -> anyhow::Result<()> {
    let world = city().await?;
    let api = world.api()?;
    let (one, two) = (
        Forger::enrol(world.folder(), &world.city, "box-1")?,
        Forger::enrol(world.folder(), &world.city, "box-2")?,
    );
    let history = History::of("honest", 3)?;
    one.send(&history.batch(&one.foreign_signer()?, 0, 3)?)?;
    api.await_alarm(&one.id, "bad_signature", PATIENCE).await?;
    two.send(&history.batch(one.signer(), 0, 3)?)?;
    api.await_alarm(&two.id, "bad_signature", PATIENCE).await?;
    assert_eq!((api.log_size(&one.id).await?, api.log_size(&two.id).await?), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_rewritten_after_a_receipt_is_a_fork_and_holds_up_no_other_box() -> anyhow::Result<()> {
    let world = city().await?;
    let api = world.api()?;
    let (one, two) = (
        Forger::enrol(world.folder(), &world.city, "box-1")?,
        Forger::enrol(world.folder(), &world.city, "box-2")?,
    );
    let history = History::of("honest", 4)?;
    one.send(&history.batch(one.signer(), 0, 4)?)?;
    one.await_receipt(&history, 4).await?;
    let rewritten = History::of("rewritten", 6)?;
    one.send(&rewritten.batch(one.signer(), 0, 6)?)?;
    api.await_alarm(&one.id, "fork", PATIENCE).await?;
    assert_eq!(api.log_size(&one.id).await?, 4);
    let other = History::of("other", 2)?;
    two.send(&other.batch(two.signer(), 0, 2)?)?;
    two.await_receipt(&other, 2).await?;
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_cannot_write_the_topics_of_another_nor_of_the_city() -> anyhow::Result<()> {
    let world = city().await?;
    let api = world.api()?;
    let (one, two) = (
        Forger::enrol(world.folder(), &world.city, "box-1")?,
        Forger::enrol(world.folder(), &world.city, "box-2")?,
    );
    let history = History::of("honest", 3)?;
    let batch = history.batch(two.signer(), 0, 3)?;
    let of_other = ["ledger", "state", "status", "receipt", "command"].map(|lane| (&two.id, lane));
    let of_city = ["receipt", "command"].map(|lane| (&one.id, lane));
    for (owner, lane) in of_other.into_iter().chain(of_city) {
        let refusal = one.publish(owner, lane, &batch).map_err(|error| error.to_string());
        assert!(
            refusal.as_ref().is_err_and(|words| words.contains("Not authorized")),
            "box-1 on {owner}'s {lane}: {refusal:?}"
        );
    }
    two.send(&batch)?;
    two.await_receipt(&history, 3).await?;
    assert_eq!(api.alarms(&two.id).await?, Vec::<String>::new());
    Ok(())
}
