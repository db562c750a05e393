//! kill -9 of one program after the other at moments drawn from a seed; each is started again at once.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use parking::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;

use crate::process::Daemon;
use crate::world::World;

/// A program that can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// The box's daemon.
    Gateway,
    /// The broker between sensors and box.
    SensorBroker,
    /// The broker between box and city.
    CityBroker,
    /// The city's receiving end.
    Kominfo,
}

const VICTIMS: [Victim; 4] = [
    Victim::Gateway,
    Victim::SensorBroker,
    Victim::CityBroker,
    Victim::Kominfo,
];

/// How often each was killed, and how long it took to be up again.
#[derive(Debug, Default)]
pub struct Kills {
    by_victim: BTreeMap<Victim, (u32, Duration)>,
}

impl Kills {
    /// All kills.
    pub fn total(&self) -> u32 {
        self.by_victim.values().map(|(count, _)| count).sum()
    }

    fn add(&mut self, victim: Victim, took: Duration) {
        let (count, total) = self.by_victim.entry(victim).or_default();
        *count += 1;
        *total += took;
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14} {:>5}  {:>12}", "killed", "times", "up again in")?;
        for (victim, (count, total)) in &self.by_victim {
            writeln!(
                f,
                "{:<14} {count:>5}  {:>9} ms",
                format!("{victim:?}"),
                total.as_millis() / u128::from(*count)
            )?;
        }
        writeln!(f, "{:<14} {:>5}", "all", self.total())
    }
}

/// Kills one program after the other, `wanted` times in all, spread by chance over the time until `until`.
pub async fn kill_until(
    world: &mut World,
    until: Timestamp,
    wanted: u32,
    chance: &mut StdRng,
) -> anyhow::Result<Kills> {
    let mut kills = Kills::default();
    while kills.total() < wanted {
        let remaining = world.clock.until(until) / (wanted - kills.total());
        tokio::time::sleep(remaining.mul_f64(chance.random_range(0.0..1.6))).await;
        let victim = VICTIMS[chance.random_range(0..VICTIMS.len())];
        let daemon = daemon_of(world, victim, chance);
        let begin = Instant::now();
        daemon.kill()?;
        daemon.restart().await?;
        kills.add(victim, begin.elapsed());
    }
    Ok(kills)
}

fn daemon_of<'a>(world: &'a mut World, victim: Victim, chance: &mut StdRng) -> &'a mut Daemon {
    let (boxes, city) = (&mut world.boxes, &mut world.city);
    let number = chance.random_range(0..boxes.len());
    let instance = chance.random_range(0..city.kominfo.len());
    match victim {
        Victim::Gateway => &mut boxes[number].gateway,
        Victim::SensorBroker => &mut boxes[number].sensor_broker.daemon,
        Victim::CityBroker => &mut city.broker.daemon,
        Victim::Kominfo => &mut city.kominfo[instance],
    }
}
