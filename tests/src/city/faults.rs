//! What goes wrong between a sensor and the box. Each fault is drawn from the seed and written into the truth.

use parking::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::{LEAVING_S, Plan};
use crate::city::uplink::Uplink;
use crate::truth::{Fault, Faulted};

/// How often what goes wrong. All zero by default.
#[derive(Debug, Clone, Copy, PartialEq, clap::Args)]
pub struct Faults {
    /// Share of uplinks that never arrive.
    #[arg(long, default_value_t = 0.0)]
    pub lost: f64,
    /// Share of uplinks that arrive twice; a third of the second copies under an identity of their own.
    #[arg(long, default_value_t = 0.0)]
    pub repeated: f64,
    /// Share of uplinks that arrive minutes late.
    #[arg(long, default_value_t = 0.0)]
    pub late: f64,
    /// The most by which a late one is late, minutes.
    #[arg(long, default_value_t = 30)]
    pub late_minutes_max: u32,
    /// Share of uplinks that others overtake.
    #[arg(long, default_value_t = 0.0)]
    pub reordered: f64,
    /// The most by which an overtaken one comes later, seconds.
    #[arg(long, default_value_t = 300)]
    pub reorder_seconds_max: u32,
    /// Share of sensors that are silent for some hours.
    #[arg(long, default_value_t = 0.0)]
    pub silent: f64,
    /// The longest silence, hours.
    #[arg(long, default_value_t = 6)]
    pub silent_hours_max: u32,
    /// Share of sensors that flap for an hour.
    #[arg(long, default_value_t = 0.0)]
    pub flapping: f64,
    /// Share of stays that the sensor does not notice: a high chassis, a baseline that heat moved.
    #[arg(long, default_value_t = 0.0)]
    pub missed: f64,
    /// Stays that a sensor tells and that nobody made, as a share of its stays: a vehicle in the next space or lane.
    #[arg(long, default_value_t = 0.0)]
    pub invented: f64,
    /// Share of sensors that are dead for some hours: they neither see nor send.
    #[arg(long, default_value_t = 0.0)]
    pub dead: f64,
    /// The longest time for which one is dead, hours.
    #[arg(long, default_value_t = 6)]
    pub dead_hours_max: u32,
    /// Hours for which the box, and the radio in it, is off.
    #[arg(long, default_value_t = 0)]
    pub box_off_hours: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lost: 0.0,
            repeated: 0.0,
            late: 0.0,
            late_minutes_max: 30,
            reordered: 0.0,
            reorder_seconds_max: 300,
            silent: 0.0,
            silent_hours_max: 6,
            flapping: 0.0,
            missed: 0.0,
            invented: 0.0,
            dead: 0.0,
            dead_hours_max: 6,
            box_off_hours: 0,
        }
    }
}

/// What a sensor takes for a change, given what truly changed: stays that it misses are left out, and stays that nobody
/// made are put where the space is free for long enough.
pub fn mistaken(changes: &[(Timestamp, bool)], faults: &Faults, chance: &mut StdRng) -> Vec<(Timestamp, bool)> {
    /// Time between a made-up stay and a real one, seconds: more than what rules would merge.
    const APART_S: i64 = 120;
    let mut seen: Vec<(Timestamp, bool)> = Vec::with_capacity(changes.len());
    let mut stays = changes.chunks_exact(2).peekable();
    let mut to_invent = 0;
    while let Some(stay) = stays.next() {
        if !happens(faults.missed, chance) {
            seen.extend(stay);
        }
        let free_from = stay[1].0.plus_seconds(APART_S);
        let free_until = stays.peek().map_or(free_from, |next| next[0].0.plus_seconds(-APART_S));
        to_invent += u32::from(happens(faults.invented, chance));
        if to_invent > 0 && free_until.seconds_since(free_from) > 600 {
            to_invent -= 1;
            let length_s = chance.random_range(200..500);
            let start = free_from.plus_seconds(chance.random_range(0..free_until.seconds_since(free_from) - length_s));
            seen.extend([(start, true), (start.plus_seconds(length_s), false)]);
        }
    }
    seen
}

/// A share of sensors that are dead, and when.
pub fn dead(sensors: usize, plan: &Plan, chance: &mut StdRng) -> Vec<(usize, Timestamp, Timestamp)> {
    let spans = choose(sensors, plan.faults.dead, chance).into_iter().map(|sensor| {
        let length_s = chance.random_range(3_600..=i64::from(plan.faults.dead_hours_max.max(1)) * 3_600);
        let from = plan.start.plus_seconds(chance.random_range(0..plan.length_s.max(1)));
        (sensor, from, from.plus_seconds(length_s))
    });
    spans.collect()
}

/// A broken hour of a sensor: it changes its mind every few seconds.
#[derive(Debug, Clone)]
pub struct Burst {
    /// Position of its space in the street.
    pub space: usize,
    flips: Vec<Timestamp>,
}

impl Burst {
    /// Adds the flips to the true changes. After each pair of flips the sensor says the truth again.
    pub fn disturb(&self, changes: &mut Vec<(Timestamp, bool)>) {
        let truth = changes.clone();
        let state_at = |time: Timestamp| {
            truth
                .iter()
                .take_while(|(c, _)| *c <= time)
                .last()
                .is_some_and(|(_, s)| *s)
        };
        for pair in self.flips.chunks_exact(2) {
            let undisturbed = truth.iter().all(|(c, _)| *c < pair[0] || *c > pair[1]);
            if undisturbed {
                let state = state_at(pair[0]);
                changes.push((pair[0], !state));
                changes.push((pair[1], state));
            }
        }
        changes.sort_by_key(|(time, _)| *time);
    }
}

/// Which sensors flap, and when.
pub fn flapping(spaces: usize, plan: &Plan, chance: &mut StdRng) -> Vec<Burst> {
    let mut bursts = Vec::new();
    for space in choose(spaces, plan.faults.flapping, chance) {
        let last_start = (plan.length_s - LEAVING_S - 3_600).max(121);
        let mut time = plan.start.plus_seconds(chance.random_range(120..last_start));
        let end = time.plus_seconds(3_600);
        let mut flips = Vec::new();
        while time < end {
            flips.push(time);
            time = time.plus_seconds(chance.random_range(8..40));
        }
        bursts.push(Burst { space, flips });
    }
    bursts
}

/// Loses, repeats, delays and reorders, and gives the rest in the order in which it arrives, with a list of what went
/// wrong.
pub fn apply(uplinks: Vec<Uplink>, plan: &Plan, chance: &mut StdRng) -> (Vec<Uplink>, Vec<Faulted>) {
    let faults = &plan.faults;
    let mut silences = silences(&uplinks, plan, chance);
    if faults.box_off_hours > 0 {
        let length_s = i64::from(faults.box_off_hours) * 3_600;
        let from = plan
            .start
            .plus_seconds(chance.random_range(0..(plan.length_s - length_s).max(1)));
        let devices = uplinks.iter().map(|uplink| uplink.device + 1).max().unwrap_or(0);
        silences.extend((0..devices).map(|device| (device, from, from.plus_seconds(length_s))));
    }
    let (mut arriving, mut faulted) = (Vec::with_capacity(uplinks.len()), Vec::new());
    for mut uplink in uplinks {
        let mut note = |fault| {
            faulted.push(Faulted {
                message: uplink.deduplication_id.clone(),
                observed: uplink.observed,
                fault,
            });
        };
        let silent = silences
            .iter()
            .any(|(device, from, until)| *device == uplink.device && (*from..*until).contains(&uplink.observed));
        if silent {
            note(Fault::Silent);
            continue;
        }
        if happens(faults.lost, chance) {
            note(Fault::Lost);
            continue;
        }
        if happens(faults.late, chance) {
            note(Fault::Late);
            let seconds = chance.random_range(60..=i64::from(faults.late_minutes_max.max(1)) * 60);
            uplink.publish_at = uplink.publish_at.plus_seconds(seconds);
        } else if happens(faults.reordered, chance) {
            note(Fault::Reordered);
            let millis = chance.random_range(0..=i64::from(faults.reorder_seconds_max) * 1_000);
            uplink.publish_at = uplink.publish_at.plus_millis(millis);
        }
        if happens(faults.repeated, chance) {
            note(Fault::Repeated);
            let mut copy = if chance.random_bool(1.0 / 3.0) {
                uplink.received_again(chance)
            } else {
                uplink.clone()
            };
            copy.publish_at = uplink.publish_at.plus_seconds(chance.random_range(0..300));
            arriving.push(copy);
        }
        arriving.push(uplink);
    }
    // What arrives in the same moment arrives in no particular order of sensors, but each sensor's own is kept.
    arriving.sort_by_key(|uplink| uplink.publish_at);
    (arriving, faulted)
}

fn silences(uplinks: &[Uplink], plan: &Plan, chance: &mut StdRng) -> Vec<(usize, Timestamp, Timestamp)> {
    let devices = uplinks.iter().map(|uplink| uplink.device + 1).max().unwrap_or(0);
    choose(devices, plan.faults.silent, chance)
        .into_iter()
        .map(|device| {
            let length_s = chance.random_range(3_600..=i64::from(plan.faults.silent_hours_max.max(1)) * 3_600);
            let from = plan.start.plus_seconds(chance.random_range(0..plan.length_s.max(1)));
            (device, from, from.plus_seconds(length_s))
        })
        .collect()
}

/// A share of `0..count`, at least one if the share is not zero.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // a share of a street's spaces
fn choose(count: usize, share: f64, chance: &mut StdRng) -> Vec<usize> {
    let wanted = (count as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
    let mut all: Vec<usize> = (0..count).collect();
    all.shuffle(chance);
    all.truncate(wanted);
    all
}

fn happens(share: f64, chance: &mut StdRng) -> bool {
    chance.random_bool(share.clamp(0.0, 1.0))
}
