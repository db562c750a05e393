//! How far counts are from the truth, and how often the truth lies in the range that is told.

#![allow(clippy::cast_precision_loss)] // figures are printed with a few digits

use clap::Parser;
use tests::count::{Judged, grid, zone_days};
use tests::line_count;

/// The truth of the count, over a grid of what goes wrong.
#[derive(Parser)]
struct Arguments {
    /// Days of a street of two zones for each row; twice as many of a line that is counted.
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// Spaces of a zone.
    #[arg(long, default_value_t = 15)]
    spaces: usize,
    /// Seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this row of the grid.
    #[arg(long)]
    only: Option<String>,
    /// Prints every zone-day as well.
    #[arg(long)]
    each: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!(
        "zone-days of {} spaces; errors in percent of the true number; held: share of zone-days",
        arguments.spaces
    );
    println!("with the truth in low..high, of those with a finding; width: high - low, percent of the truth");
    println!(
        "{:<34} {:>5} {:>7} {:>7} {:>7} {:>7} {:>6} {:>6} {:>6} {:>6} {:>8}",
        "what goes wrong", "days", "number", "error", "|error|", "worst", "held", "billed", "fee", "width", "findings"
    );
    let mut total = Tally::default();
    for scenario in grid() {
        if arguments.only.as_ref().is_some_and(|only| only != scenario.name) {
            continue;
        }
        let mut tally = Tally::default();
        for day in 0..arguments.days {
            for judged in zone_days(&scenario, arguments.seed * 1_000 + day, 2, arguments.spaces)? {
                if arguments.each {
                    print_day(day, &judged);
                }
                tally.take(&judged);
                total.take(&judged);
            }
        }
        tally.print(scenario.name);
    }
    total.print("all spaces");
    let mut total = Tally::default();
    for faults in line_count::grid() {
        if arguments.only.as_ref().is_some_and(|only| only != faults.name) {
            continue;
        }
        let mut tally = Tally::default();
        for day in 0..arguments.days * 2 {
            let judged = line_count::line_day(&faults, arguments.seed * 1_000 + day)?;
            if arguments.each {
                print_day(day, &judged);
            }
            tally.take(&judged);
            total.take(&judged);
        }
        tally.print(faults.name);
    }
    total.print("all lines");
    Ok(())
}

fn print_day(number: u64, judged: &Judged) {
    let Judged { day, range, truly, .. } = judged;
    println!(
        "day {number}, {}: truly {truly}, told {range:?}, coverage {:?}, {:?} {:?}",
        day.zone, day.coverage, day.sessions, day.counted
    );
}

#[derive(Default)]
struct Tally {
    days: u32,
    truly: f64,
    error: f64,
    worst: f64,
    absolute: f64,
    findings: u32,
    held: [u32; 3],
    width: f64,
}

impl Tally {
    fn take(&mut self, judged: &Judged) {
        let Judged {
            day,
            range,
            truly,
            billed,
            fee,
        } = judged;
        let error = f64::from(range.point) - f64::from(*truly);
        self.days += 1;
        self.truly += f64::from(*truly);
        self.error += error;
        self.absolute += error.abs();
        self.worst = self.worst.max(error.abs() / f64::from(*truly).max(1.0));
        if !day.finding_allowed {
            return;
        }
        self.findings += 1;
        self.width += f64::from(range.high - range.low);
        let sum = |of: fn(&parking::CountRange) -> u32| day.billed.values().map(of).sum::<u32>();
        let is_held = [
            range.low <= *truly && *truly <= range.high,
            sum(|range| range.low) <= *billed && *billed <= sum(|range| range.high),
            day.fee.low.0 <= *fee && *fee <= day.fee.high.0,
        ];
        for (count, is_held) in self.held.iter_mut().zip(is_held) {
            *count += u32::from(is_held);
        }
    }

    fn print(&self, name: &str) {
        let percent = |part: f64| 100.0 * part / self.truly.max(1.0);
        let share = |part: u32| 100.0 * f64::from(part) / f64::from(self.findings.max(1));
        println!(
            "{name:<34} {:>5} {:>7.0} {:>+7.2} {:>7.2} {:>7.1} {:>6.1} {:>6.1} {:>6.1} {:>6.1} {:>8}",
            self.days,
            self.truly,
            percent(self.error),
            percent(self.absolute),
            100.0 * self.worst,
            share(self.held[0]),
            share(self.held[1]),
            share(self.held[2]),
            percent(self.width) * f64::from(self.days) / f64::from(self.findings.max(1)),
            self.findings,
        );
    }
}
