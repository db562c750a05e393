//! What is wrong with a configuration, in words for the person who wrote it.

use std::fmt;
use std::path::PathBuf;

/// Most problems that are listed; further ones are only counted.
pub const PROBLEMS_MAX: usize = 200;

/// Something in a configuration file that must or should be changed.
///
/// Prints as one line, and a second one with the hint:
///
/// ```text
/// box.toml:14:12: zones[1].timezone: "WIP" is no zone of time
///   hint: use WIB, WITA or WIT
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the caller named it.
    pub path: PathBuf,
    /// Line and column, both from 1, column in characters; absent when the file as a whole is meant.
    pub position: Option<Position>,
    /// The key, as in `spaces[3].zone` (counted from 0); empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

/// What is allowed but looks like an oversight.
pub type Warning = Problem;

/// A place in a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// Every problem of a configuration file, in the order of the file. Prints each with `error: ` before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// The first problems, at least one and at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How many further ones are not listed.
    pub unlisted: usize,
}

impl ConfigErrors {
    /// How many problems there are.
    pub fn count(&self) -> usize {
        self.problems.len() + self.unlisted
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "error: {problem}")?;
        }
        if self.unlisted > 0 {
            write!(f, "\nerror: and {} more", self.unlisted)?;
        }
        Ok(())
    }
}
