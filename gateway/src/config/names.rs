//! Names that one part of the file gives and another refers to.

use std::collections::BTreeMap;
use std::str::FromStr;

use parking::IdError;

use super::reader::Field;
use super::report::{Place, Report, did_you_mean};

/// The names of all things of one kind.
pub(super) struct Names {
    kind: &'static str,
    /// Holds misspelt names too: a reference to one of them is not a second problem.
    places: BTreeMap<String, Place>,
}

impl Names {
    /// No name yet. `kind` is the word for messages, as in `zone`; the section is `kind` with an s.
    pub fn of(kind: &'static str) -> Self {
        Self {
            kind,
            places: BTreeMap::new(),
        }
    }

    /// Takes the name that `field` gives.
    pub fn define<T: FromStr<Err = IdError>>(&mut self, report: &mut Report, field: &Field) -> Option<T> {
        let name = field.text(report)?.to_owned();
        self.define_as(report, field, name)
    }

    /// Takes `name`, the normal form of what `field` holds.
    pub fn define_as<T: FromStr<Err = IdError>>(
        &mut self,
        report: &mut Report,
        field: &Field,
        name: String,
    ) -> Option<T> {
        if let Some(first) = self.places.get(&name) {
            let message = format!(
                "\"{}\" is already the {} in line {}",
                field.shown(),
                self.kind,
                report.line(first.offset)
            );
            return field.error(report, message, format!("give each {} a name of its own", self.kind));
        }
        let id = field.identifier_of(report, &name);
        self.places.insert(name, field.place.clone());
        id
    }

    /// Remembers a name that is wrong, and has been told to be.
    pub fn note(&mut self, name: &str, field: &Field) {
        self.places.insert(name.to_owned(), field.place.clone());
    }

    /// The name that `field` refers to.
    pub fn refer<T: FromStr<Err = IdError>>(&self, report: &mut Report, field: &Field) -> Option<T> {
        let text = field.text(report)?;
        let known = [text.to_owned(), text.to_ascii_lowercase()]
            .into_iter()
            .find(|name| self.places.contains_key(name));
        if let Some(name) = known {
            return name.parse().ok();
        }
        if report.has_room() {
            let hint = did_you_mean(text, self.places.keys().map(String::as_str));
            let hint = hint.unwrap_or_else(|| format!("add it as one of [[{}s]]", self.kind));
            report.absent(
                &field.place,
                format!("there is no {} \"{}\"", self.kind, field.shown()),
                hint,
            );
        }
        None
    }

    /// Where `name` was given.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.places.get(name)
    }
}
