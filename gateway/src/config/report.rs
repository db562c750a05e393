//! Collects problems while a file is read, each with its place, and puts them in the order of the file.

use std::path::Path;

use super::model::{FileKind, NamedFile};
use super::problem::{ConfigErrors, PROBLEMS_MAX, Position, Problem, Warning};

/// Where something stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Byte offset.
    pub offset: usize,
    /// Key, as in `spaces[3].zone`.
    pub key: String,
}

impl Place {
    /// The file as a whole.
    pub fn root() -> Self {
        Self {
            offset: 0,
            key: String::new(),
        }
    }
}

/// Something that was read, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// The problems found so far.
pub(super) struct Report<'a> {
    path: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
    errors: Vec<(usize, Problem)>,
    unlisted: usize,
    warnings: Vec<(usize, Warning)>,
    files: Vec<NamedFile>,
    /// Lines that are no TOML. What was read from such a line is a guess, and something that stood on it is absent.
    broken_lines: Vec<usize>,
}

impl<'a> Report<'a> {
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(offset, _)| offset + 1))
            .collect();
        Self {
            path,
            text,
            line_starts,
            errors: Vec::new(),
            unlisted: 0,
            warnings: Vec::new(),
            files: Vec::new(),
            broken_lines: Vec::new(),
        }
    }

    /// A line that is no TOML. One problem a line: what a parser says further on is a consequence.
    pub fn syntax(&mut self, offset: usize, message: &str) {
        let line = self.position(offset).line;
        if self.broken_lines.contains(&line) {
            return;
        }
        let place = Place {
            offset,
            key: String::new(),
        };
        let message = message.lines().collect::<Vec<_>>().join(", ");
        if message.contains("duplicate") {
            let hint = "write each key once in a section, and each [section] once";
            self.error(&place, format!("written twice: {message}"), hint);
        } else {
            let hint = "write `key = value`, texts in \"quotes\", sections as [name] or [[name]]";
            self.error(&place, format!("this is no TOML: {message}"), hint);
        }
        if self.broken_lines.len() < PROBLEMS_MAX {
            self.broken_lines.push(line);
        }
    }

    /// A value that is wrong in itself.
    pub fn error(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        let position = self.position(place.offset);
        if self.broken_lines.contains(&position.line) {
            return;
        }
        if self.errors.len() >= PROBLEMS_MAX {
            self.unlisted += 1;
            return;
        }
        let problem = self.problem(place, position, message.into(), hint.into());
        self.errors.push((place.offset, problem));
    }

    /// Something that is not there: a key, or what a reference names. It may have stood on a line that is no TOML;
    /// then that line is the problem and this a consequence, so it is not told.
    pub fn absent(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        if self.broken_lines.is_empty() {
            self.error(place, message, hint);
        }
    }

    /// What is allowed but looks like an oversight.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            let warning = self.problem(place, self.position(place.offset), message.into(), hint.into());
            self.warnings.push((place.offset, warning));
        }
    }

    /// Notes that the configuration names the file at `path`.
    pub fn names_file(&mut self, place: &Place, path: &Path, kind: FileKind) {
        self.files.push(NamedFile {
            path: path.to_owned(),
            kind,
            key: place.key.clone(),
            position: self.position(place.offset),
        });
    }

    /// The files that the configuration names, in the order in which they were read.
    pub fn take_files(&mut self) -> Vec<NamedFile> {
        std::mem::take(&mut self.files)
    }

    /// Whether another problem would be listed; costly hints are not worth making when it would not.
    pub fn has_room(&self) -> bool {
        self.errors.len() < PROBLEMS_MAX
    }

    /// Whether nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// The line, from 1, of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        self.position(offset).line
    }

    /// The warnings, in the order of the file.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        in_order(std::mem::take(&mut self.warnings))
    }

    /// The problems, in the order of the file.
    pub fn into_errors(self) -> ConfigErrors {
        ConfigErrors {
            problems: in_order(self.errors),
            unlisted: self.unlisted,
        }
    }

    fn problem(&self, place: &Place, position: Position, message: String, hint: String) -> Problem {
        Problem {
            path: self.path.to_owned(),
            position: Some(position),
            key: place.key.clone(),
            message,
            hint,
        }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let line_start = self.line_starts[line - 1];
        let before = self.text.get(line_start..offset).unwrap_or_default();
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }
}

fn in_order(mut problems: Vec<(usize, Problem)>) -> Vec<Problem> {
    problems.sort_by_key(|(offset, _)| *offset);
    problems.into_iter().map(|(_, problem)| problem).collect()
}

/// The name among `names` that `word` was probably meant to be.
pub(super) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const NAME_BYTES_MAX: usize = 64;
    if word.len() > NAME_BYTES_MAX {
        return None;
    }
    // One slip of the hand in three characters.
    let slips_max = |name: &str| name.len().max(3) / 3;
    let lower = word.to_ascii_lowercase();
    names
        .into_iter()
        .filter(|name| name.len().abs_diff(word.len()) <= slips_max(name))
        .map(|name| (strsim::osa_distance(&lower, &name.to_ascii_lowercase()), name))
        .filter(|(slips, name)| *slips <= slips_max(name))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// The hint for a name that is not among `names`.
pub(super) fn did_you_mean<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(word, names).map(|name| format!("did you mean \"{name}\"?"))
}
