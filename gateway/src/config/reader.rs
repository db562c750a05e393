//! Typed access to parsed TOML: every access that fails leaves a problem with its place, and none stops the reading.
//!
//! A [`Table`] remembers which keys it was asked for. [`Table::finish`] tells the keys that nobody asked for, and the
//! required ones that are not there; a misspelt required key is one problem, not two.

use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::report::{Place, Report, nearest};

/// A table being read; without entries if it is absent from the file.
pub(super) struct Table<'t, 'i> {
    entries: Option<&'t DeTable<'i>>,
    /// Where it begins.
    pub place: Place,
    asked: Vec<&'static str>,
    /// Keys that are neither known nor to be told as unknown.
    told: Vec<&'static str>,
    missing: Vec<Missing>,
}

/// A required key that is not there.
struct Missing {
    key: &'static str,
    kind: &'static str,
    hint: &'static str,
}

/// A value being read.
pub(super) struct Field<'t, 'i> {
    value: &'t DeValue<'i>,
    /// Where it stands.
    pub place: Place,
}

impl<'t, 'i> Table<'t, 'i> {
    /// The whole file.
    pub fn root(entries: &'t DeTable<'i>) -> Self {
        Self::new(Some(entries), Place::root())
    }

    fn new(entries: Option<&'t DeTable<'i>>, place: Place) -> Self {
        Self {
            entries,
            place,
            asked: Vec::new(),
            told: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The value of `key`, if it is there.
    pub fn optional(&mut self, key: &'static str) -> Option<Field<'t, 'i>> {
        self.asked.push(key);
        let value = self.entries?.get(key)?;
        Some(Field {
            value: value.get_ref(),
            place: Place {
                offset: value.span().start,
                key: self.key_path(key),
            },
        })
    }

    /// The value of `key`; if it is not there, that is a problem, with `hint`.
    pub fn required(&mut self, key: &'static str, hint: &'static str) -> Option<Field<'t, 'i>> {
        self.required_as("key", key, hint)
    }

    fn required_as(&mut self, kind: &'static str, key: &'static str, hint: &'static str) -> Option<Field<'t, 'i>> {
        let field = self.optional(key);
        if field.is_none() {
            self.missing.push(Missing { key, kind, hint });
        }
        field
    }

    /// The whole number at `key` within `range`, or `default`.
    pub fn integer<T>(&mut self, report: &mut Report, key: &'static str, range: &RangeInclusive<T>, default: T) -> T
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        self.optional(key)
            .and_then(|field| field.integer(report, range))
            .unwrap_or(default)
    }

    /// Whether `key`, which was asked for, is there, be it misspelt.
    pub fn has_or_misspells(&self, key: &str) -> bool {
        let mut names = self
            .entries
            .into_iter()
            .flatten()
            .map(|(name, _)| name.get_ref().as_ref());
        names.any(|name| name == key || (!self.asked.contains(&name) && self.nearest(name) == Some(key)))
    }

    fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.asked.iter().copied())
    }

    /// The section `key`, if it is there.
    pub fn section(&mut self, report: &mut Report, key: &'static str) -> Option<Table<'t, 'i>> {
        self.optional(key).and_then(|field| field.table(report))
    }

    /// The section `key`; a section that is not there is read as an empty one.
    pub fn section_or_empty(&mut self, report: &mut Report, key: &'static str) -> Table<'t, 'i> {
        let place = Place {
            offset: self.place.offset,
            key: self.key_path(key),
        };
        self.section(report, key).unwrap_or(Table::new(None, place))
    }

    /// The section `key`; if it is not there, that is a problem, with `hint`.
    pub fn section_required(
        &mut self,
        report: &mut Report,
        key: &'static str,
        hint: &'static str,
    ) -> Option<Table<'t, 'i>> {
        self.required_as("section", key, hint)
            .and_then(|field| field.table(report))
    }

    /// The tables of the list `key`, at most `tables_max`; none if it is not there.
    pub fn tables(&mut self, report: &mut Report, key: &'static str, tables_max: usize) -> Vec<Table<'t, 'i>> {
        self.optional(key)
            .map_or_else(Vec::new, |field| field.tables(report, tables_max))
    }

    /// The tables of the list `key`; if it is not there or empty, that is a problem, with `hint`.
    pub fn tables_required(
        &mut self,
        report: &mut Report,
        key: &'static str,
        tables_max: usize,
        hint: &'static str,
    ) -> Vec<Table<'t, 'i>> {
        let Some(field) = self.required_as("section", key, hint) else {
            return Vec::new();
        };
        if let DeValue::Array(elements) = field.value
            && elements.is_empty()
        {
            report.error(&field.place, "this list is empty", hint);
        }
        field.tables(report, tables_max)
    }

    /// Tells those of `keys` that are there, though they do not belong here.
    pub fn misplaced(&mut self, report: &mut Report, keys: &[&'static str], hint: &str) {
        for key in keys {
            if let Some(field) = self.optional(key) {
                report.error(&field.place, "this key does not belong here", hint);
            }
        }
        self.asked.retain(|asked| !keys.contains(asked));
        self.told.extend(keys);
    }

    /// Leaves `keys` unread.
    pub fn ignore(&mut self, keys: &[&'static str]) {
        self.told.extend(keys);
    }

    /// Tells the keys that nobody asked for and the required ones that are not there.
    pub fn finish(mut self, report: &mut Report) {
        for (key, _) in self.entries.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !self.asked.contains(&name) && !self.told.contains(&name) {
                self.unknown(report, key);
            }
        }
        for missing in &self.missing {
            let place = Place {
                offset: self.place.offset,
                key: self.key_path(missing.key),
            };
            report.absent(&place, format!("this {} is missing", missing.kind), missing.hint);
        }
    }

    fn unknown(&mut self, report: &mut Report, key: &Spanned<DeString<'_>>) {
        let name = key.get_ref().as_ref();
        let place = Place {
            offset: key.span().start,
            key: self.key_path(&shown(name)),
        };
        if !report.has_room() {
            report.error(&place, "", "");
            return;
        }
        let meant = self.nearest(name);
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", self.asked.join(", ")),
        };
        self.missing.retain(|missing| Some(missing.key) != meant);
        report.error(&place, "unknown key", hint);
    }

    fn key_path(&self, key: &str) -> String {
        if self.place.key.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place.key)
        }
    }
}

impl<'t, 'i> Field<'t, 'i> {
    /// A text that is not empty.
    pub fn text(&self, report: &mut Report) -> Option<&'t str> {
        match self.value {
            DeValue::String(text) if text.trim().is_empty() => {
                self.error(report, "the text is empty", "write something between the quotes")
            }
            DeValue::String(text) => Some(text),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Boolean(_) => {
                let hint = format!("write it in quotes: \"{}\"", self.shown());
                self.wrong_type(report, "a text", hint)
            }
            DeValue::Array(_) | DeValue::Table(_) => self.wrong_type(report, "a text", "write one text in \"quotes\""),
        }
    }

    /// What is written, for values that may be a text or one of TOML's dates and times.
    pub fn text_or_time(&self, report: &mut Report, expected: &'static str, hint: &str) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Datetime(time) => Some(time.to_string()),
            _ => self.wrong_type(report, expected, hint),
        }
    }

    /// A whole number within `range`.
    pub fn integer<T>(&self, report: &mut Report, range: &RangeInclusive<T>) -> Option<T>
    where
        T: Copy + PartialOrd + Display + TryFrom<i64>,
    {
        let hint = format!("write a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = self.value else {
            return match self.value {
                DeValue::String(text) if text.parse::<i64>().is_ok() => {
                    self.wrong_type(report, "a whole number", format!("write {text} without quotes"))
                }
                _ => self.wrong_type(report, "a whole number", hint),
            };
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok());
        match number {
            Some(number) if range.contains(&number) => Some(number),
            _ => self.error(report, format!("{} is out of range", self.shown()), hint),
        }
    }

    /// A number within `range`.
    pub fn number(&self, report: &mut Report, range: &RangeInclusive<f64>) -> Option<f64> {
        let hint = format!("write a number from {} to {}", range.start(), range.end());
        let number = match self.value {
            DeValue::Float(float) => float.as_str().parse::<f64>(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse::<f64>(),
            DeValue::String(text) if text.parse::<f64>().is_ok() => {
                return self.wrong_type(report, "a number", format!("write {text} without quotes"));
            }
            _ => return self.wrong_type(report, "a number", hint),
        };
        match number {
            Ok(number) if range.contains(&number) => Some(number),
            _ => self.error(report, format!("{} is out of range", self.shown()), hint),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self, report: &mut Report) -> Option<bool> {
        match self.value {
            DeValue::Boolean(boolean) => Some(*boolean),
            _ => self.wrong_type(report, "true or false", "write true or false, without quotes"),
        }
    }

    /// The elements of a list, at most `elements_max`.
    pub fn list(&self, report: &mut Report, elements_max: usize) -> Option<Vec<Field<'t, 'i>>> {
        let DeValue::Array(elements) = self.value else {
            let hint = "write the values in [brackets], with commas between them";
            return self.wrong_type(report, "a list", hint);
        };
        if elements.len() > elements_max {
            let message = format!("{} entries are more than one box serves", elements.len());
            report.error(&self.place, message, format!("write at most {elements_max}"));
        }
        let element = |(place, value): (usize, &'t Spanned<DeValue<'i>>)| Field {
            value: value.get_ref(),
            place: Place {
                offset: value.span().start,
                key: format!("{}[{place}]", self.place.key),
            },
        };
        Some(elements.iter().take(elements_max).enumerate().map(element).collect())
    }

    fn tables(&self, report: &mut Report, tables_max: usize) -> Vec<Table<'t, 'i>> {
        if let DeValue::Table(_) = self.value {
            let hint = format!("write [[{}]] above each", without_indexes(&self.place.key));
            return self
                .error(report, "this is one section; a list of sections is expected", hint)
                .unwrap_or_default();
        }
        let elements = self.list(report, tables_max).unwrap_or_default();
        elements.iter().filter_map(|element| element.table(report)).collect()
    }

    /// A table.
    pub fn table(&self, report: &mut Report) -> Option<Table<'t, 'i>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(Some(entries), self.place.clone())),
            DeValue::Array(_) => {
                let hint = format!("write [{}] in single brackets, once", without_indexes(&self.place.key));
                self.wrong_type(report, "one section", hint)
            }
            _ => self.wrong_type(
                report,
                "a section",
                "write { key = value, ... } or a section of its own",
            ),
        }
    }

    /// Leaves a problem at this value.
    pub fn error<T>(&self, report: &mut Report, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        report.error(&self.place, message, hint);
        None
    }

    fn wrong_type<T>(&self, report: &mut Report, expected: &str, hint: impl Into<String>) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => format!("the text \"{}\"", self.shown()),
            DeValue::Integer(_) | DeValue::Float(_) => format!("the number {}", self.shown()),
            DeValue::Boolean(_) => self.shown(),
            DeValue::Datetime(_) => format!("the time {}", self.shown()),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a section".to_owned(),
        };
        self.error(report, format!("expected {expected}, found {found}"), hint)
    }

    /// The value in the words of a message.
    pub fn shown(&self) -> String {
        match self.value {
            DeValue::String(text) => shown(text),
            DeValue::Integer(integer) => shown(&integer.to_string()),
            DeValue::Float(float) => shown(float.as_str()),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(_) | DeValue::Table(_) => self.value.type_str().to_owned(),
        }
    }
}

/// The byte offset of the value at `key`, as in `zones[1].rules.grace_s`.
pub(super) fn locate(document: &DeTable, key: &str) -> Option<usize> {
    let mut steps = key.split('.').flat_map(|step| step.split('['));
    let mut value = document.get(steps.next()?)?;
    for step in steps {
        value = match step.strip_suffix(']') {
            Some(number) => value.get_ref().get(number.parse::<usize>().ok()?)?,
            None => value.get_ref().get(step)?,
        };
    }
    Some(value.span().start)
}

/// `tariffs.fees` of `tariffs[2].fees`.
fn without_indexes(key: &str) -> String {
    let mut inside = false;
    key.chars()
        .filter(|c| {
            let kept = !inside && *c != '[';
            inside = (inside || *c == '[') && *c != ']';
            kept
        })
        .collect()
}

/// A foreign text made fit for one line of a terminal: control characters escaped, the end cut off.
pub(super) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut shown = String::new();
    for c in text.chars().take(CHARS_MAX) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}
