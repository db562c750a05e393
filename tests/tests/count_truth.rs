//! Counts against the truth, over a grid of everything that goes wrong at a roadside: what `./run bench truth` prints, with
//! fewer days and fixed seeds.

use std::collections::BTreeMap;

use anyhow::ensure;
use tests::count::{Judged, grid, zone_days};
use tests::line_count;

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
    let error = days
        .iter()
        .map(|judged| (f64::from(judged.range.point) - f64::from(judged.truly)).abs());
    let truly: f64 = days.iter().map(|judged| f64::from(judged.truly)).sum();
    error.sum::<f64>() / truly
}

fn is_held(Judged { range, truly, .. }: &Judged) -> bool {
    (range.low..=range.high).contains(truly)
}

/// Lines that are counted, of which nothing is lost but what passes while nobody counts.
#[test]
fn what_passes_a_line_is_counted_whatever_is_lost_between_two_totals() -> anyhow::Result<()> {
    for faults in line_count::grid() {
        let days = (0..20).map(|seed| line_count::line_day(&faults, 9_000 + seed));
        let days: Vec<Judged> = days.collect::<anyhow::Result<_>>()?;
        let with_finding = || days.iter().filter(|judged| judged.day.finding_allowed);
        let error = error_of(&days);
        println!(
            "{}: {:.2} % off, {} findings",
            faults.name,
            100.0 * error,
            with_finding().count()
        );
        let is_counting = faults.dead_hours == 0.0;
        // A vehicle or two at midnight, of a thousand; and what an outage over it cannot tell apart.
        let at_most = match (is_counting, faults.at_midnight) {
            (true, false) => 0.001,
            (true, true) => 0.01,
            (false, _) => 0.05,
        };
        ensure!(error <= at_most, "{}: {error} off", faults.name);
        let held = with_finding().filter(|judged| is_held(judged)).count();
        ensure!(
            held * 100 >= with_finding().count() * 90,
            "{}: {held} held",
            faults.name
        );
        let paid = |judged: &&Judged| (judged.day.fee.low.0..=judged.day.fee.high.0).contains(&judged.fee);
        let paid = with_finding().filter(paid).count();
        ensure!(
            paid * 100 >= with_finding().count() * 80,
            "{}: {paid} of the fees",
            faults.name
        );
        ensure!(with_finding().count() >= 18, "{}: too little is known", faults.name);
    }
    Ok(())
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
            range,
            truly,
            billed,
            fee,
        } in days
        {
            let counted: u32 = day.sessions.values().map(|counts| counts.parked).sum();
            ensure!(counted == *billed, "{name}: {counted} billed, truly {billed}");
            ensure!(range.point == *truly, "{name}: {range:?}, truly {truly}");
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
    let held = with_finding().filter(|judged| is_held(judged));
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
