//! A board without a board: files in a folder.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `i2c-1/0x30` | chip and field that a magnetometer there measures, nanotesla: `mmc5603 12000 -3000 41000` |
//! | the same | or `hangs`: who asks waits until it holds something else |
//! | `gpio/17` | what the pin shows: `0` is low, anything else high; a pin without a file is high, as one that is pulled up |
//!
//! A bus is there while its folder is, and a chip while its file is.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use embedded_hal::digital::PinState;
use embedded_hal::i2c::Operation;
use wired::Field;
use wired::magnetometer::{Chip, SimulatedChip};

use super::{BusFault, PinFault};

/// How often somebody who hangs looks whether he still does.
const HANGS_FOR: Duration = Duration::from_millis(20);
/// A chip is asked in several transfers; its file is not read for each.
const HOLDS_FOR: Duration = Duration::from_millis(1);

/// A bus of such a board.
#[derive(Debug)]
pub struct SimulatedBus {
    folder: PathBuf,
    chips: HashMap<u8, SimulatedChip>,
    /// What files held last, and when.
    read: HashMap<u8, (Instant, String)>,
}

impl SimulatedBus {
    pub(super) fn open(board: &Path, device: &Path) -> Result<Self, BusFault> {
        let folder = board.join(device.file_name().unwrap_or_default());
        if !folder.is_dir() {
            return Err(BusFault::new(format!("there is no bus in {}", folder.display())));
        }
        Ok(Self {
            folder,
            chips: HashMap::new(),
            read: HashMap::new(),
        })
    }

    pub(super) fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), BusFault> {
        let path = self.folder.join(format!("{address:#04x}"));
        if self.read.get(&address).is_none_or(|(at, _)| at.elapsed() >= HOLDS_FOR) {
            self.read.insert(address, (Instant::now(), look(&path)?));
        }
        let text = self.read.get(&address).map_or("", |(_, text)| text);
        let is_strange = || BusFault::new(format!("{}: expected chip x y z, as in mmc5603 1 2 3", path.display()));
        let (chip, field) = parse(text).ok_or_else(is_strange)?;
        let known = self.chips.entry(address).or_insert_with(|| SimulatedChip::new(chip));
        if known.chip() != chip {
            *known = SimulatedChip::new(chip);
        }
        known.transact(field, operations);
        Ok(())
    }
}

/// What a file holds, as soon as it holds something else than that the chip hangs.
fn look(path: &Path) -> Result<String, BusFault> {
    loop {
        let text = fs::read_to_string(path).map_err(|_| BusFault::new("no acknowledge"))?;
        if text.trim() != "hangs" {
            return Ok(text);
        }
        std::thread::sleep(HANGS_FOR);
    }
}

fn parse(text: &str) -> Option<(Chip, Field)> {
    let mut words = text.split_whitespace();
    let chip = Chip::by_name(words.next()?)?;
    let mut axis = || words.next()?.parse().ok();
    Some((chip, Field::new(axis()?, axis()?, axis()?)))
}

fn file(board: &Path, line: u32) -> PathBuf {
    board.join("gpio").join(line.to_string())
}

/// A pin of such a board, to be read.
#[derive(Debug)]
pub struct SimulatedInput(PathBuf);

impl SimulatedInput {
    pub(super) fn new(board: &Path, line: u32) -> Self {
        Self(file(board, line))
    }

    pub(super) fn is_high(&self) -> Result<bool, PinFault> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(text.trim() != "0"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(PinFault::new(format!("{}: {error}", self.0.display()))),
        }
    }
}

/// A pin of such a board, to be set.
#[derive(Debug)]
pub struct SimulatedOutput(PathBuf);

impl SimulatedOutput {
    pub(super) fn new(board: &Path, line: u32) -> Result<Self, PinFault> {
        let pin = Self(file(board, line));
        pin.set(PinState::Low)?;
        Ok(pin)
    }

    pub(super) fn set(&self, state: PinState) -> Result<(), PinFault> {
        let shown = if state == PinState::High { "1" } else { "0" };
        let made = self.0.parent().map_or(Ok(()), fs::create_dir_all);
        let set = made.and_then(|()| fs::write(&self.0, shown));
        set.map_err(|error| PinFault::new(format!("{}: {error}", self.0.display())))
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::delay::DelayNs;
    use embedded_hal::digital::{InputPin, OutputPin};
    use wired::magnetometer::{Fault, Magnetometer};

    use super::super::Board;
    use super::*;

    struct NoDelay;

    impl DelayNs for NoDelay {
        fn delay_ns(&mut self, _: u32) {}
    }

    #[test]
    fn a_file_is_a_chip_and_its_absence_is_a_bus_without_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::Simulated(folder.path().to_owned());
        let device = Path::new("/dev/i2c-1");
        let without = board.bus(device).err().unwrap().to_string();
        assert!(without.contains("there is no bus"), "{without}");
        fs::create_dir(folder.path().join("i2c-1")).unwrap();
        let file = folder.path().join("i2c-1/0x30");
        let bus = board.bus(device).unwrap();
        let mut magnetometer = Magnetometer::new(Chip::Mmc5603, 0x30, bus, NoDelay);
        assert!(magnetometer.start().unwrap_err().to_string().contains("no acknowledge"));
        fs::write(&file, "mmc5603 12000 -3000 41000\n").unwrap();
        magnetometer.start().unwrap();
        let measured = magnetometer.measure().unwrap();
        assert!(
            measured.distance(Field::new(12_000.0, -3_000.0, 41_000.0)) < 10.0,
            "{measured:?}"
        );
        let write = |text: &str| {
            fs::write(&file, text).unwrap();
            std::thread::sleep(2 * HOLDS_FOR);
        };
        write("lis3mdl 0 0 0");
        assert!(matches!(magnetometer.start().unwrap_err(), Fault::Stranger { .. }));
        write("12000");
        assert!(
            magnetometer
                .start()
                .unwrap_err()
                .to_string()
                .contains("expected chip x y z")
        );
    }

    #[test]
    fn pins_are_files_and_a_pin_that_nobody_touches_is_high() {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::Simulated(folder.path().to_owned());
        let chip = Path::new("/dev/gpiochip0");
        let mut input = board.input(chip, 17).unwrap();
        assert!(input.is_high().unwrap());
        let mut output = board.output(chip, 17).unwrap();
        assert!(input.is_low().unwrap());
        output.set_high().unwrap();
        assert!(input.is_high().unwrap());
    }
}
