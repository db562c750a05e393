//! Sensors of a [`Street`](crate::street::Street) that hang on the box: magnetometers and loops on a simulated board, whose chips and
//! pins show a vehicle when one truly stands there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use parking::{SensorId, SpaceId, Timestamp};

use crate::clock::SimulatedClock;
use crate::process::{output, workspace_program};
use crate::street::Street;
use crate::truth::Truth;

/// The box says the state of what hangs on it this often, seconds.
pub const HEARTBEAT_S: u32 = 60;
/// Pin of the switch of the box's door.
pub const TAMPER_LINE: u32 = 200;
/// The field of the free street, nanotesla.
const EARTH: [i32; 3] = [38_000, 500, -24_000];
/// What a vehicle adds.
const VEHICLE: [i32; 3] = [3_000, -1_500, 12_000];
/// Chips with their addresses; each bus has one of each.
const CHIPS: [(&str, u8); 3] = [("mmc5603", 0x30), ("lis3mdl", 0x1c), ("qmc5883l", 0x0d)];

/// How a sensor hangs on the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A magnetometer.
    I2c {
        /// Profile and chip.
        chip: &'static str,
        /// Number of the bus.
        bus: usize,
        /// Address on the bus.
        address: u8,
    },
    /// A loop detector.
    Loop {
        /// Pin of its presence output.
        presence: usize,
        /// Pin of its fault output.
        fault: usize,
    },
}

impl Wire {
    /// The `number`th of a street: three magnetometers, then a loop, and so on.
    pub fn of(number: usize) -> Self {
        match CHIPS.get(number % 4) {
            Some((chip, address)) => Self::I2c {
                chip,
                bus: number / 4 + 1,
                address: *address,
            },
            None => Self::Loop {
                presence: 2 * number,
                fault: 2 * number + 1,
            },
        }
    }

    /// Its `[[sensors]]`, but for the id.
    pub fn write_sensor(self, text: &mut String) -> std::fmt::Result {
        match self {
            Self::I2c { chip, bus, address } => writeln!(
                text,
                "profile = \"{chip}\"\ni2c = \"/dev/i2c-{bus}\"\ni2c_address = {address:#04x}"
            ),
            Self::Loop { presence, fault } => writeln!(
                text,
                "profile = \"loop-relay\"\npresence_line = {presence}\nfault_line = {fault}"
            ),
        }
    }
}

/// The board's own contact and lights, TOML.
pub fn write_box(text: &mut String) -> std::fmt::Result {
    writeln!(text, "[[contacts]]\nkind = \"tamper\"\nline = {TAMPER_LINE}\n")?;
    writeln!(text, "[lights]\nlink_line = 201\nsensors_line = 202\n")
}

/// The simulated board.
#[derive(Debug, Clone)]
pub struct Wires {
    folder: PathBuf,
    wires: Vec<(SpaceId, SensorId, Wire)>,
}

impl Wires {
    /// Makes the board of a street in `folder`; every space is free.
    pub fn make(folder: PathBuf, street: &Street) -> anyhow::Result<Self> {
        let wires = street.wires.iter().map(|(index, wire)| {
            let (space, sensor) = (&street.site.spaces[*index], &street.site.sensors[*index]);
            (space.id.clone(), sensor.id.clone(), *wire)
        });
        let made = Self {
            wires: wires.collect(),
            folder,
        };
        fs::create_dir_all(made.folder.join("gpio"))?;
        made.set_pin(TAMPER_LINE, false)?;
        for (_, _, wire) in &made.wires {
            match *wire {
                Wire::I2c { bus, .. } => fs::create_dir_all(made.folder.join(format!("i2c-{bus}")))?,
                Wire::Loop { fault, .. } => made.set_pin(u32::try_from(fault)?, false)?,
            }
            made.show(*wire, false)?;
        }
        Ok(made)
    }

    /// Where it is, for `gateway run --simulated-board`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says that all spaces with magnetometers are free, as a technician does on the first day.
    pub async fn calibrate(&self, config: &Path) -> anyhow::Result<()> {
        let gateway = workspace_program("gateway")?;
        for (_, sensor, wire) in &self.wires {
            if !matches!(wire, Wire::I2c { .. }) {
                continue;
            }
            let mut tries = 0;
            loop {
                let args = [
                    "sensors",
                    "calibrate",
                    config.to_str().context("a path of text")?,
                    sensor.as_str(),
                ];
                let tried = output(&gateway, args)?;
                if tried.status.success() {
                    break;
                }
                tries += 1;
                anyhow::ensure!(tries < 100, "{}", String::from_utf8_lossy(&tried.stderr));
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// Vehicles come and go on the board when they truly do.
    pub async fn play(&self, truth: &Truth, clock: SimulatedClock) -> anyhow::Result<()> {
        let mut events: Vec<(Timestamp, bool, Wire)> = Vec::new();
        for session in &truth.sessions {
            if let Some((_, _, wire)) = self.wires.iter().find(|(space, ..)| *space == session.space) {
                events.push((session.start, true, *wire));
                events.push((session.end, false, *wire));
            }
        }
        events.sort_by_key(|(at, ..)| *at);
        for (at, is_there, wire) in events {
            clock.reach(at).await;
            self.show(wire, is_there)?;
        }
        Ok(())
    }

    /// Opens or closes the contact at a pin.
    pub fn set_pin(&self, line: u32, is_open: bool) -> anyhow::Result<()> {
        self.set(&format!("gpio/{line}"), if is_open { "1" } else { "0" })
    }

    fn show(&self, wire: Wire, is_there: bool) -> anyhow::Result<()> {
        match wire {
            Wire::I2c { chip, bus, address } => {
                let times = i32::from(is_there);
                let [x, y, z] = [0, 1, 2].map(|axis| EARTH[axis] + VEHICLE[axis] * times);
                self.set(&format!("i2c-{bus}/{address:#04x}"), &format!("{chip} {x} {y} {z}"))
            }
            // Fail-secure: the contact opens for a vehicle.
            Wire::Loop { presence, .. } => self.set_pin(u32::try_from(presence)?, is_there),
        }
    }

    /// All at once: the box may be reading.
    fn set(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let new = path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A space's sensor when it hangs on the box.
pub fn sensor_id(number: usize) -> Result<SensorId, parking::IdError> {
    SensorId::new(format!("wire-{:02}", number + 1))
}
