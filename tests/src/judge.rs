//! The verdicts that several tests share: does the city believe what truly happened?

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kominfo::store::Store;
use parking::{Occupancy, Rupiah, Timestamp, VehicleClass, ZoneDay};

use crate::truth::Truth;
use crate::world::World;

/// How long after the end of a day the city may need to know all of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often the city is asked for something that is awaited.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The seed of this run: `PARKIR_SEED`, or drawn. Always printed, so that a failure can be repeated.
pub fn seed() -> anyhow::Result<u64> {
    let seed = match std::env::var("PARKIR_SEED") {
        Ok(text) => text
            .parse()
            .with_context(|| format!("PARKIR_SEED=\"{text}\" is no number"))?,
        Err(_) => rand::random::<u32>().into(),
    };
    println!("seed: {seed} (PARKIR_SEED={seed} repeats this run)");
    Ok(seed)
}

/// Every session at the city equals the truth, one by one, and stays so when nothing more comes in.
pub async fn sessions(world: &World, number: usize, truth: &Truth) -> anyhow::Result<()> {
    let (api, gateway) = (world.api()?, &world.boxes[number].id);
    let comparison = api.await_truth(gateway, truth, PATIENCE).await?;
    ensure!(
        comparison.is_exact(),
        "the city does not know the truth (seed {}): {comparison}",
        truth.seed
    );
    // A session counted twice may still be on its way.
    await_quarter_after(world, number, truth).await?;
    let comparison = truth.compare(&api.sessions(gateway).await?);
    ensure!(
        comparison.is_exact(),
        "the city knew better before (seed {}): {comparison}",
        truth.seed
    );
    println!("{gateway}: {comparison}");
    Ok(())
}

/// Waits until the city has the first quarter of an hour after the day. A log keeps its order, so it then has everything
/// that the box wrote down about the day.
async fn await_quarter_after(world: &World, number: usize, truth: &Truth) -> anyhow::Result<()> {
    let roadside = &world.boxes[number];
    let zone = roadside.street.site.zones.first().context("a street without zones")?;
    let store = Store::open(&world.city.database).await?;
    let begin = Instant::now();
    let quarter = truth.end..truth.end.plus_seconds(1);
    while store
        .occupancy(&roadside.id, &zone.id, quarter.clone())
        .await?
        .is_empty()
    {
        ensure!(
            begin.elapsed() < PATIENCE,
            "{}: nothing is known of the time after the day",
            roadside.id
        );
        tokio::time::sleep(ASK_AGAIN).await;
    }
    store.close().await;
    Ok(())
}

/// In each quarter of an hour of each zone the seconds add up, and the occupied ones are the true ones.
pub async fn occupancy(world: &World, number: usize, truth: &Truth) -> anyhow::Result<()> {
    let roadside = &world.boxes[number];
    let store = Store::open(&world.city.database).await?;
    let mut wrong = Vec::new();
    for zone in &roadside.street.site.zones {
        let spaces = roadside
            .street
            .site
            .spaces
            .iter()
            .filter(|space| space.zone == zone.id)
            .count();
        let intervals = store.occupancy(&roadside.id, &zone.id, truth.start..truth.end).await?;
        let expected = usize::try_from(truth.end.seconds_since(truth.start) / 900)?;
        ensure!(
            intervals.len() + 1 >= expected,
            "zone {}: {} of {expected} quarters of an hour are known",
            zone.id,
            intervals.len()
        );
        for interval in &intervals {
            ensure_adds_up(interval, spaces)?;
            let until = interval.from.plus_seconds(interval.interval_s.into());
            let occupied_s = truth.occupied_s(&zone.id, interval.from, until);
            if occupied_s != interval.occupied_s {
                wrong.push(format!(
                    "{} {}: {} s, truly {occupied_s} s",
                    zone.id, interval.from, interval.occupied_s
                ));
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "occupied seconds are wrong in {} quarters: {:#?}",
        wrong.len(),
        wrong
    );
    Ok(())
}

fn ensure_adds_up(interval: &Occupancy, spaces: usize) -> anyhow::Result<()> {
    let sum = interval.occupied_s + interval.free_s + interval.unknown_s + interval.closed_s;
    let all = u64::try_from(spaces)? * u64::from(interval.interval_s);
    ensure!(
        sum == all,
        "zone {} {}: {sum} of {all} space-seconds",
        interval.zone,
        interval.from
    );
    Ok(())
}

/// The totals of each zone's business days equal what truly happened.
pub async fn zone_days(world: &World, number: usize, truth: &Truth) -> anyhow::Result<()> {
    let (api, roadside) = (world.api()?, &world.boxes[number]);
    let site = &roadside.street.site;
    let day_of = |time: Timestamp| site.timezone.business_day(time, site.day_cutoff_minutes);
    let day = day_of(truth.start);
    for zone in &site.zones {
        let sessions = truth
            .sessions
            .iter()
            .filter(|s| s.zone == zone.id && day_of(s.start) == day);
        let (mut fee, mut counts) = (Rupiah(0), [(0, 0); 4]);
        for session in sessions {
            fee = fee + session.fee;
            let (parked, drop_offs) = &mut counts[class_position(session.class)];
            *(if session.is_drop_off() { drop_offs } else { parked }) += 1;
        }
        let believed: ZoneDay = api.zone_day(&roadside.id, &zone.id, day).await?;
        for (class, believed) in &believed.sessions {
            let (parked, drop_offs) = counts[class_position(*class)];
            if (believed.parked, believed.drop_off, believed.quarantined) != (parked, drop_offs, 0) {
                bail!(
                    "zone {} {class:?}: {believed:?}, truly {parked} parked and {drop_offs} drop-offs",
                    zone.id
                );
            }
        }
        let range = [believed.fee.low, believed.fee.point, believed.fee.high];
        ensure!(range == [fee; 3], "zone {}: fees {range:?}, truly {fee}", zone.id);
        println!("{} {day}: {fee}, coverage {:?}", zone.id, believed.coverage);
    }
    Ok(())
}

/// How many batches an instance of `kominfo` has committed, by its log.
pub fn committed(log: &str) -> usize {
    log.lines().filter(|line| line.contains("batch committed")).count()
}

fn class_position(class: VehicleClass) -> usize {
    match class {
        VehicleClass::Motorcycle => 0,
        VehicleClass::Car => 1,
        VehicleClass::Truck => 2,
        VehicleClass::Bus => 3,
    }
}
