//! What processes cost: processor time and memory, by proc(5).

#![allow(clippy::cast_precision_loss)] // figures are printed with a few digits

use anyhow::Context;
use rustix::process::Pid;

/// A process and its children.
pub fn family(pid: Pid) -> anyhow::Result<Vec<i32>> {
    let own = pid.as_raw_nonzero().get();
    let mut family = vec![own];
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(other) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if stat(other).is_ok_and(|fields| fields.get(1).is_some_and(|parent| *parent == own.to_string())) {
            family.push(other);
        }
    }
    Ok(family)
}

/// Fields of `/proc/PID/stat` after the name of the program, which may hold anything (proc(5)).
fn stat(pid: i32) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(')').context("no name in stat")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// User and system time, clock ticks.
pub fn ticks(pids: &[i32]) -> anyhow::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let fields = stat(*pid)?;
        for field in [11, 12] {
            sum += fields.get(field).context("a short stat")?.parse::<u64>()?;
        }
    }
    Ok(sum)
}

/// The same of the gateway and its workers, those that have ended included: the one for pictures comes and goes.
pub fn family_ticks(gateway: Pid) -> anyhow::Result<u64> {
    let own = gateway.as_raw_nonzero().get();
    let fields = stat(own)?;
    let mut sum = ticks(&[own])?;
    for field in [13, 14] {
        sum += fields.get(field).context("a short stat")?.parse::<u64>()?;
    }
    // One that ends at this very moment is missed once, with what it has used.
    let others = family(gateway)?.into_iter().filter(|pid| *pid != own);
    Ok(sum + others.filter_map(|pid| ticks(&[pid]).ok()).sum::<u64>())
}

/// So many clock ticks are a second.
pub fn ticks_a_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// Memory of processes: proportional set size, MB.
pub fn pss_mb(pids: &[i32]) -> anyhow::Result<f64> {
    let mut kib = 0;
    for pid in pids {
        // It may have ended just now.
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else {
            continue;
        };
        let line = text.lines().find(|line| line.starts_with("Pss:")).context("no PSS")?;
        kib += line.split_whitespace().nth(1).context("no PSS")?.parse::<u64>()?;
    }
    Ok(kib as f64 / 1_024.0)
}
