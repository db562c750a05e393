//! The verdicts that several tests share: does the city believe what truly happened?

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kominfo::store::Store;
use parking::{Coverage, Occupancy, Rupiah, Timestamp, VehicleClass, ZoneDay};

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
pub async fn await_quarter_after(world: &World, number: usize, truth: &Truth) -> anyhow::Result<()> {
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

/// In each quarter of an hour of each zone the seconds add up. Returns the quarters.
pub async fn adds_up(world: &World, number: usize, truth: &Truth) -> anyhow::Result<Vec<Occupancy>> {
    let roadside = &world.boxes[number];
    let site = &roadside.street.site;
    let store = Store::open(&world.city.database).await?;
    let expected = usize::try_from(truth.end.seconds_since(truth.start) / 900)?;
    let mut all = Vec::new();
    for zone in &site.zones {
        let spaces = site.spaces.iter().filter(|space| space.zone == zone.id).count();
        let quarters = store.occupancy(&roadside.id, &zone.id, truth.start..truth.end).await?;
        let known = quarters.len();
        ensure!(
            known == expected,
            "zone {}: {known} of {expected} quarters are known",
            zone.id
        );
        for quarter in &quarters {
            ensure_adds_up(quarter, spaces)?;
        }
        all.extend(quarters);
    }
    store.close().await;
    Ok(all)
}

/// The seconds add up, and the occupied ones are the true ones.
pub async fn occupancy(world: &World, number: usize, truth: &Truth) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for quarter in adds_up(world, number, truth).await? {
        let until = quarter.from.plus_seconds(quarter.interval_s.into());
        let truly_s = truth.occupied_s(&quarter.zone, quarter.from, until);
        if truly_s != quarter.occupied_s {
            let (zone, from, occupied_s) = (&quarter.zone, quarter.from, quarter.occupied_s);
            wrong.push(format!("{zone} {from}: {occupied_s} s, truly {truly_s} s"));
        }
    }
    ensure!(
        wrong.is_empty(),
        "occupied seconds are wrong in {} quarters: {wrong:#?}",
        wrong.len()
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

/// The totals of each zone's business day equal what truly happened.
pub async fn zone_days(world: &World, number: usize, truth: &Truth) -> anyhow::Result<()> {
    for (truly, believed) in days(world, number, truth).await? {
        for (class, believed) in &believed.sessions {
            let (parked, drop_offs) = truly.counts[class_position(*class)];
            if (believed.parked, believed.drop_off, believed.quarantined) != (parked, drop_offs, 0) {
                bail!("{class:?}: {believed:?}, truly {parked} parked and {drop_offs} drop-offs");
            }
        }
        let (zone, fee) = (&believed.zone, truly.fee);
        let range = [believed.fee.low, believed.fee.point, believed.fee.high];
        // Hours of which nothing has arrived held vehicles too; below what was seen nothing can be.
        let is_right = match believed.missing_s {
            Some(0) => range == [fee; 3],
            _ => range[0] == fee && !believed.finding_allowed,
        };
        ensure!(is_right, "zone {zone}: fees {range:?}, truly {fee}");
        println!("{zone} {}: {fee}, coverage {:?}", believed.day, believed.coverage);
    }
    Ok(())
}

/// The totals of each zone's business day do not claim to be exact, and the truth is in their range or `tolerance`
/// (a share of the truth) beside it: what the radio lost for good nobody can know.
pub async fn zone_days_are_doubtful(world: &World, number: usize, truth: &Truth, tolerance: f64) -> anyhow::Result<()> {
    for (truly, believed) in days(world, number, truth).await? {
        let (zone, fee, range) = (&believed.zone, truly.fee, believed.fee);
        println!(
            "{zone} {}: {range:?}, truly {fee}, coverage {:?}",
            believed.day, believed.coverage
        );
        ensure!(range.low < range.high, "zone {zone} claims to be exact: {range:?}");
        ensure!(
            believed.coverage < Some(Coverage::FULL),
            "zone {zone} claims to have seen everything"
        );
        let [low, high, fee] =
            [range.low, range.high, fee].map(|rupiah| f64::from(i32::try_from(rupiah.0).unwrap_or(i32::MAX)));
        let beside = tolerance * fee;
        ensure!(
            low - beside <= fee && fee <= high + beside,
            "zone {zone}: {range:?}, truly {}",
            truly.fee
        );
    }
    Ok(())
}

/// What truly happened in a zone on a business day.
struct TrueDay {
    fee: Rupiah,
    /// Paying stays and drop-offs, by class.
    counts: [(u32, u32); 4],
}

/// Each zone's first business day as it truly was and as the city believes.
async fn days(world: &World, number: usize, truth: &Truth) -> anyhow::Result<Vec<(TrueDay, ZoneDay)>> {
    let (api, roadside) = (world.api()?, &world.boxes[number]);
    let site = &roadside.street.site;
    let day_of = |time: Timestamp| site.timezone.business_day(time, site.day_cutoff_minutes);
    let day = day_of(truth.start);
    let mut days = Vec::new();
    for zone in &site.zones {
        let mut truly = TrueDay {
            fee: Rupiah(0),
            counts: [(0, 0); 4],
        };
        for session in truth
            .sessions
            .iter()
            .filter(|s| s.zone == zone.id && day_of(s.start) == day)
        {
            truly.fee = truly.fee + session.fee;
            let (parked, drop_offs) = &mut truly.counts[class_position(session.class)];
            *(if session.is_drop_off() { drop_offs } else { parked }) += 1;
        }
        days.push((truly, api.zone_day(&roadside.id, &zone.id, day).await?));
    }
    Ok(days)
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
