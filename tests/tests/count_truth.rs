//! Counts against the truth, over a grid of everything that goes wrong at a roadside: what `./run bench truth` prints, with
//! fewer days and fixed seeds.

use std::collections::BTreeMap;

use anyhow::ensure;
use tests::count::{Judged, grid, zone_days};

/// Days of a street of two zones for each line of the grid.
const DAYS: u64 = 4;
const SPACES: usize = 15;

/// All zone-days, by what went wrong.
fn judged() -> anyhow::Result<BTreeMap<&'static str, Vec<Judged>>> {
    let mut all: BTreeMap<&'static str, Vec<Judged>> = BTreeMap::new();
    for scenario in grid() {
        for seed in 0..DAYS {
            let days = zone_days(&scenario, 7_000 + seed, 2, SPACES)?;
            all.entry(scenario.name).or_default().extend(days);
        }
    }
    Ok(all)
}

/// By how much the point estimates are off, as a share of the true number of stays.
fn error_of(days: &[Judged]) -> f64 {
    let error = days.iter().map(|judged| {
        let point = judged.day.stays.map_or(0, |range| range.point);
        (f64::from(point) - f64::from(judged.stays)).abs()
    });
    let truly: f64 = days.iter().map(|judged| f64::from(judged.stays)).sum();
    error.sum::<f64>() / truly
}

#[test]
fn counts_are_exact_without_faults_and_the_truth_lies_in_their_range_with_them() -> anyhow::Result<()> {
    let all = judged()?;
    for (name, days) in &all {
        println!("{name}: {:.2} % off", 100.0 * error_of(days));
    }
    let exact = all.iter().filter(|(name, _)| name.starts_with("nothing"));
    for (name, days) in exact {
        for Judged {
            day,
            stays,
            billed,
            fee,
        } in days
        {
            let counted: u32 = day.sessions.values().map(|counts| counts.parked).sum();
            ensure!(counted == *billed, "{name}: {counted} billed, truly {billed}");
            ensure!(
                day.stays.is_some_and(|range| range.point == *stays),
                "{name}: {:?}, truly {stays}",
                day.stays
            );
            ensure!(day.fee.point.0 == *fee, "{name}: {:?}, truly {fee}", day.fee);
        }
    }
    for (name, at_most) in [
        ("5 % lost, totals", 0.005),
        ("5 % lost, minutes", 0.005),
        ("5 % lost", 0.02),
        ("5 % lost, no frame counter", 0.02),
        ("repeated, late, overtaken", 0.0),
        ("clock not set for 5 h", 0.0),
    ] {
        let days = all.get(name).map(Vec::as_slice).unwrap_or_default();
        ensure!(
            !days.is_empty() && error_of(days) <= at_most,
            "{name}: {} off",
            error_of(days)
        );
    }
    let with_finding = || all.values().flatten().filter(|judged| judged.day.finding_allowed);
    let held = with_finding().filter(|Judged { day, stays, .. }| {
        day.stays
            .is_some_and(|range| range.low <= *stays && *stays <= range.high)
    });
    let (held, of) = (held.count(), with_finding().count());
    println!("{held} of {of} zone-days with a finding hold the truth");
    ensure!(of > 150 && held * 100 >= of * 95, "{held} of {of}");
    let covered = |judged: &&Judged| judged.day.coverage.is_some_and(|coverage| coverage.0 >= 9_000);
    ensure!(
        all.values()
            .flatten()
            .all(|judged| judged.day.finding_allowed == covered(&judged))
    );
    Ok(())
}
