//! Register maps: what a device shows where, as its profile says.
//!
//! Source of the terms: Modbus Organization, MODBUS Application Protocol Specification V1.1b3. Registers are counted from 0, as they
//! travel; a manual that calls a holding register 40001 means 0.

use serde::Deserialize;

/// Most values of a device, and most registers that are written to set it up.
const VALUES_MAX: usize = 16;

/// How a device speaks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Its address as shipped.
    pub address: u8,
    /// Its rate as shipped, baud; for RTU.
    pub baud: u32,
    /// Its parity; for RTU.
    #[serde(default)]
    pub parity: Parity,
    /// Stop bits; for RTU.
    #[serde(default = "one")]
    pub stop_bits: u8,
    /// It has answered within this time, or does not, milliseconds.
    pub timeout_ms: u32,
    /// It is asked this often, milliseconds.
    pub poll_ms: u32,
    /// Holding registers that are written before the first question.
    #[serde(default)]
    pub setup: Vec<Setting>,
    /// What is read.
    pub values: Vec<Value>,
}

fn one() -> u8 {
    1
}

/// Parity of a serial line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    /// Without.
    #[default]
    None,
    /// An even number of ones.
    Even,
    /// An odd number of ones.
    Odd,
}

/// A register and what is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The holding register.
    pub register: u16,
    /// What it holds from then on.
    pub value: u16,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Registers that can be written too; function 3.
    Holding,
    /// Registers that can only be read; function 4.
    Input,
    /// Bits that can be written too; function 1.
    Coil,
    /// Bits that can only be read; function 2.
    Discrete,
}

/// What a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// Something is there: any other number than 0.
    Occupied,
    /// How far something is, millimetres.
    DistanceMm,
    /// Degrees Celsius.
    TemperatureC,
    /// Volts of its supply.
    BatteryV,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Where.
    pub table: Table,
    /// Its register or bit.
    pub register: u16,
    /// What it means.
    pub means: Means,
    /// What stands there times this is the value in its unit.
    #[serde(default = "unscaled")]
    pub scale: f64,
    /// The register is a number with a sign.
    #[serde(default)]
    pub signed: bool,
    /// Only this bit of the register, from 0.
    pub bit: Option<u8>,
    /// It means the contrary.
    #[serde(default)]
    pub inverted: bool,
    /// Numbers that stand for nothing.
    #[serde(default)]
    pub none: Vec<u16>,
}

fn unscaled() -> f64 {
    1.0
}

/// What a device showed at one look.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Shown {
    /// Something is there.
    pub occupied: Option<bool>,
    /// How far, millimetres.
    pub distance_mm: Option<f64>,
    /// Degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Volts.
    pub battery_v: Option<f64>,
}

/// Registers side by side, read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Where.
    pub table: Table,
    /// The first.
    pub first: u16,
    /// How many.
    pub count: u16,
}

impl Map {
    /// What is wrong with it, if anything is.
    pub fn check(&self, only_distance: bool) -> Result<(), String> {
        let has = |means| self.values.iter().any(|value| value.means == means);
        if self.values.is_empty() || self.values.len() > VALUES_MAX || self.setup.len() > VALUES_MAX {
            return Err(format!("1 to {VALUES_MAX} values, and at most as many settings"));
        }
        if !(1..=247).contains(&self.address) {
            return Err(format!("address is {}; devices have 1 to 247", self.address));
        }
        if !(1_200..=115_200).contains(&self.baud) || !(1..=2).contains(&self.stop_bits) {
            return Err("baud is from 1,200 to 115,200, stop_bits is 1 or 2".to_owned());
        }
        if !(10..=5_000).contains(&self.timeout_ms) || !(50..=60_000).contains(&self.poll_ms) {
            return Err("timeout_ms is from 10 to 5,000, poll_ms from 50 to 60,000".to_owned());
        }
        if only_distance != has(Means::DistanceMm) || only_distance == has(Means::Occupied) {
            return Err(
                "one value means occupied; or one distance_mm, and then the profile says only_distance".to_owned(),
            );
        }
        for (place, value) in self.values.iter().enumerate() {
            if self.values[..place].iter().any(|other| other.means == value.means) {
                return Err(format!("register {}: another value means the same", value.register));
            }
            let is_state = value.means == Means::Occupied;
            if value.bit.is_some() && !is_state
                || is_state && (value.signed || value.scale.to_bits() != unscaled().to_bits())
            {
                return Err(format!(
                    "register {}: bit is of what means occupied, scale and signed are of the others",
                    value.register
                ));
            }
            if value.means == Means::DistanceMm && value.scale < 0.0 {
                return Err(format!("register {}: a distance has a scale above 0", value.register));
            }
            let is_bit = matches!(value.table, Table::Coil | Table::Discrete);
            if value.bit.is_some_and(|bit| bit > 15 || is_bit) {
                return Err(format!(
                    "register {}: bit is from 0 to 15, of a register",
                    value.register
                ));
            }
            if (is_bit || value.inverted) && value.means != Means::Occupied {
                return Err(format!(
                    "register {}: a bit, and what is inverted, means occupied",
                    value.register
                ));
            }
            if !value.scale.is_finite() || value.scale == 0.0 {
                return Err(format!("register {}: scale is a number other than 0", value.register));
            }
        }
        Ok(())
    }

    /// What has to be read, as few questions as there can be: some devices refuse registers that they do not have.
    pub fn blocks(&self) -> Vec<Block> {
        let mut places: Vec<(Table, u16)> = self.values.iter().map(|value| (value.table, value.register)).collect();
        places.sort_unstable();
        places.dedup();
        let mut blocks: Vec<Block> = Vec::new();
        for (table, register) in places {
            match blocks.last_mut() {
                Some(block) if block.table == table && block.first.checked_add(block.count) == Some(register) => {
                    block.count += 1;
                }
                _ => blocks.push(Block {
                    table,
                    first: register,
                    count: 1,
                }),
            }
        }
        blocks
    }

    /// What was read means this.
    pub fn shown(&self, read: &[(Block, Vec<u16>)]) -> Shown {
        let mut shown = Shown::default();
        for value in &self.values {
            let word = read.iter().find_map(|(block, words)| {
                let place = value.register.checked_sub(block.first)?;
                (block.table == value.table).then(|| words.get(usize::from(place)).copied())?
            });
            let Some(word) = word.filter(|word| !value.none.contains(word)) else {
                continue;
            };
            let number = if value.signed {
                f64::from(word.cast_signed())
            } else {
                f64::from(word)
            };
            let number = Some(number * value.scale);
            match value.means {
                Means::Occupied => {
                    let is = value.bit.map_or(word != 0, |bit| word >> bit & 1 == 1);
                    shown.occupied = Some(is != value.inverted);
                }
                Means::DistanceMm => shown.distance_mm = number,
                Means::TemperatureC => shown.temperature_c = number,
                Means::BatteryV => shown.battery_v = number,
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map {
        let head = "address = 1\nbaud = 9600\ntimeout_ms = 300\npoll_ms = 500\n";
        toml::from_str(&format!("{head}{text}")).unwrap()
    }

    fn value(keys: &str) -> String {
        format!("[[values]]\n{keys}\n")
    }

    #[test]
    fn registers_side_by_side_are_read_at_once_and_others_are_not() {
        let map = map(&[
            value("table = \"holding\"\nregister = 6\nmeans = \"temperature_c\"\nscale = 0.1\nsigned = true"),
            value("table = \"holding\"\nregister = 5\nmeans = \"distance_mm\"\nscale = 10\nnone = [0]"),
            value("table = \"input\"\nregister = 7\nmeans = \"battery_v\"\nscale = 0.001"),
        ]
        .concat());
        map.check(true).unwrap();
        let block = |table, first, count| Block { table, first, count };
        let blocks = [block(Table::Holding, 5, 2), block(Table::Input, 7, 1)];
        assert_eq!(map.blocks(), blocks);
        let below_zero = (-125_i16).cast_unsigned();
        let read = [(blocks[0], vec![250, below_zero]), (blocks[1], vec![3_600])];
        let shown = map.shown(&read);
        assert_eq!((shown.distance_mm, shown.temperature_c), (Some(2_500.0), Some(-12.5)));
        assert_eq!((shown.battery_v, shown.occupied), (Some(3.6), None));
        assert_eq!(
            map.shown(&[(blocks[0], vec![0, 0])]).distance_mm,
            None,
            "0 stands for nothing"
        );
    }

    #[test]
    fn a_bit_or_a_register_tells_whether_something_is_there() {
        for (keys, word, expected) in [
            ("table = \"discrete\"\nregister = 3", 1, true),
            ("table = \"coil\"\nregister = 3\ninverted = true", 1, false),
            ("table = \"input\"\nregister = 3", 700, true),
            ("table = \"holding\"\nregister = 3\nbit = 4", 0b1_0000, true),
            ("table = \"holding\"\nregister = 3\nbit = 4", 0b0_1111, false),
        ] {
            let map = map(&value(&format!("{keys}\nmeans = \"occupied\"")));
            map.check(false).unwrap();
            let read = [(map.blocks()[0], vec![word])];
            assert_eq!(map.shown(&read).occupied, Some(expected), "{keys}");
        }
    }

    #[test]
    fn a_map_that_makes_no_sense_is_refused() {
        let occupied = value("table = \"input\"\nregister = 3\nmeans = \"occupied\"");
        let sound = map(&occupied);
        for (told, wrong) in [
            (
                "1 to 16 values",
                Map {
                    values: Vec::new(),
                    ..sound.clone()
                },
            ),
            (
                "1 to 247",
                Map {
                    address: 0,
                    ..sound.clone()
                },
            ),
            (
                "baud is from",
                Map {
                    baud: 300,
                    ..sound.clone()
                },
            ),
            ("another value means the same", map(&occupied.repeat(2))),
            (
                "scale and signed are of the others",
                map(&value(
                    "table = \"input\"\nregister = 3\nscale = 2\nmeans = \"occupied\"",
                )),
            ),
            (
                "timeout_ms is",
                Map {
                    timeout_ms: 0,
                    ..sound.clone()
                },
            ),
            (
                "a bit, and what is inverted",
                map(&(occupied + &value("table = \"coil\"\nregister = 4\nmeans = \"battery_v\""))),
            ),
        ] {
            let error = wrong.check(false).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert!(sound.check(true).unwrap_err().contains("only_distance"));
    }
}
