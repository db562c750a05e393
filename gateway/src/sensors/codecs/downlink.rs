//! What a sensor can be told: commands with whole numbers or words as arguments, and the bytes that they become.
//!
//! A codec names its commands in a table. What the table says is checked here, so that a codec encodes only what is
//! complete and within bounds.

use std::fmt;
use std::ops::RangeInclusive;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::CodecError;

/// A command that sensors of a family take.
#[derive(Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it needs to be told, all of it.
    pub arguments: &'static [Argument],
}

/// An argument of a command.
#[derive(Debug)]
pub struct Argument {
    /// Its name; ends with the unit, if it has one.
    pub name: &'static str,
    /// What it may be.
    pub values: Values,
}

/// What an argument may be.
#[derive(Debug)]
pub enum Values {
    /// A whole number in this range.
    Number(RangeInclusive<i64>),
    /// One of these words, each of which stands for a number.
    Word(&'static [(&'static str, i64)]),
}

/// An argument that is a whole number.
pub(super) const fn number(name: &'static str, least: i64, most: i64) -> Argument {
    let values = Values::Number(least..=most);
    Argument { name, values }
}

/// An argument that is one of some words.
pub(super) const fn word(name: &'static str, words: &'static [(&'static str, i64)]) -> Argument {
    let values = Values::Word(words);
    Argument { name, values }
}

/// A command, complete and within bounds.
#[derive(Debug, Clone)]
pub struct Command {
    spec: &'static Spec,
    /// One for each argument.
    values: Vec<i64>,
}

/// A command's name and the numbers of its arguments, in order.
pub type Read = (&'static str, Vec<i64>);

/// What goes to a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downlink {
    /// Application port.
    pub port: u8,
    /// Payload.
    pub payload: Vec<u8>,
}

/// A codec's half for downlinks.
#[derive(Debug, Clone, Copy)]
pub struct Downlinks {
    /// The commands.
    pub commands: &'static [Spec],
    /// Writes a command of the table; says why not, when its arguments do not go together.
    pub encode: fn(&Command) -> Result<Downlink, String>,
    /// Reads what was written.
    pub read: fn(u8, &[u8]) -> Result<Read, CodecError>,
}

/// Why there is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Sensors of this kind take none.
    #[error("sensors of this profile take no commands")]
    None,
    /// There is no such command.
    #[error("there is no command \"{name}\"; expected {expected}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        expected: String,
    },
    /// An argument is missing, repeated, unknown or out of bounds.
    #[error("{command}: {reason}")]
    Argument {
        /// The command.
        command: &'static str,
        /// What is wrong and what was expected.
        reason: String,
    },
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(range) => write!(f, "{} to {}", range.start(), range.end()),
            Self::Word(words) => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                f.write_str(&words.join("|"))
            }
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for Argument { name, values } in self.arguments {
            write!(f, " {name}=({values})")?;
        }
        Ok(())
    }
}

impl Values {
    fn number(&self, text: &str) -> Option<i64> {
        match self {
            Self::Number(range) => text.parse().ok().filter(|number| range.contains(number)),
            Self::Word(words) => words.iter().find(|(word, _)| *word == text).map(|(_, number)| *number),
        }
    }

    fn holds(&self, number: i64) -> bool {
        match self {
            Self::Number(range) => range.contains(&number),
            Self::Word(words) => words.iter().any(|(_, known)| *known == number),
        }
    }
}

impl Command {
    /// The value of an argument; 0 for one that the command does not have.
    pub fn value(&self, name: &str) -> i64 {
        let arguments = self.spec.arguments.iter().zip(&self.values);
        let mut of_name = arguments.filter(|(argument, _)| argument.name == name);
        of_name.next().map_or(0, |(_, value)| *value)
    }

    /// The value of an argument whose range lies within a byte.
    pub fn byte(&self, name: &str) -> u8 {
        self.value(name).to_le_bytes()[0]
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }
}

impl Downlinks {
    /// The command of this name with arguments such as `hours=4`.
    pub fn command(&self, name: &str, arguments: &[(&str, &str)]) -> Result<Command, CommandError> {
        let spec = self.spec(name).ok_or_else(|| CommandError::Unknown {
            name: name.to_owned(),
            expected: self
                .commands
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        let wrong = |reason: String| CommandError::Argument {
            command: spec.name,
            reason,
        };
        let unknown = |given: &&(&str, &str)| spec.arguments.iter().all(|known| known.name != given.0);
        if let Some((unknown, _)) = arguments.iter().find(unknown) {
            return Err(wrong(format!("there is no argument \"{unknown}\"; expected {spec}")));
        }
        let value = |argument: &Argument| {
            let mut given = arguments.iter().filter(|(name, _)| *name == argument.name);
            let Argument { name, values } = argument;
            match (given.next(), given.next()) {
                (None, _) => Err(wrong(format!("{name} is missing; expected {values}"))),
                (_, Some(_)) => Err(wrong(format!("{name} is given twice"))),
                (Some((_, text)), None) => values
                    .number(text)
                    .ok_or_else(|| wrong(format!("{name} is {text}; expected {values}"))),
            }
        };
        let values = spec.arguments.iter().map(value).collect::<Result<_, _>>()?;
        Ok(Command { spec, values })
    }

    /// The bytes of a command.
    pub fn encode(&self, command: &Command) -> Result<Downlink, CommandError> {
        (self.encode)(command).map_err(|reason| CommandError::Argument {
            command: command.spec.name,
            reason,
        })
    }

    /// Reads a downlink, as a network server shows it.
    pub fn decode(&self, port: u8, payload: &[u8]) -> Result<Command, CodecError> {
        let foreign = |reason: String| CodecError::Content { port, reason };
        let (name, values) = (self.read)(port, payload)?;
        let spec = self
            .spec(name)
            .ok_or_else(|| foreign(format!("\"{name}\" is no command")))?;
        let arguments = spec.arguments.iter().zip(&values);
        let wrong = arguments
            .clone()
            .find(|(argument, value)| !argument.values.holds(**value));
        match wrong {
            Some((Argument { name, values }, value)) => Err(foreign(format!("{name} is {value}; expected {values}"))),
            None if values.len() == spec.arguments.len() => Ok(Command { spec, values }),
            None => Err(foreign(format!("{} values for {spec}", values.len()))),
        }
    }

    fn spec(&self, name: &str) -> Option<&'static Spec> {
        self.commands.iter().find(|spec| spec.name == name)
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len() + 1))?;
        map.serialize_entry("command", self.spec.name)?;
        for (argument, value) in self.spec.arguments.iter().zip(&self.values) {
            let word = match &argument.values {
                Values::Number(_) => None,
                Values::Word(words) => words.iter().find(|(_, number)| number == value),
            };
            match word {
                Some((word, _)) => map.serialize_entry(argument.name, word)?,
                None => map.serialize_entry(argument.name, value)?,
            }
        }
        map.end()
    }
}
