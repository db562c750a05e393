//! A text in both languages of the people who use the box. A text has both or does not compile.

use serde::{Deserialize, Serialize};

/// A language of a text for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Language {
    /// Bahasa Indonesia.
    #[default]
    #[serde(rename = "id")]
    Indonesian,
    /// English.
    #[serde(rename = "en")]
    English,
}

/// A fixed text in both languages. Each `{}` stands for a value, in the same order in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Text {
    /// Bahasa Indonesia.
    pub id: &'static str,
    /// English.
    pub en: &'static str,
}

impl Text {
    /// A text in both languages.
    pub const fn new(id: &'static str, en: &'static str) -> Self {
        Self { id, en }
    }

    /// The text in `language`.
    pub fn in_(self, language: Language) -> &'static str {
        match language {
            Language::Indonesian => self.id,
            Language::English => self.en,
        }
    }

    /// The text with `values` filled in, one for each `{}`.
    pub fn with(self, values: &[String]) -> Phrase {
        Phrase {
            id: filled(self.id, values),
            en: filled(self.en, values),
        }
    }

    /// How many values each language has a place for: the same number, or the text is wrong.
    pub fn places(self) -> (usize, usize) {
        (self.id.matches("{}").count(), self.en.matches("{}").count())
    }
}

fn filled(text: &str, values: &[String]) -> String {
    let mut parts = text.split("{}");
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut values = values.iter();
    for part in parts {
        out.push_str(values.next().map_or("", String::as_str));
        out.push_str(part);
    }
    out
}

/// A text in both languages with its values in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phrase {
    /// Bahasa Indonesia.
    pub id: String,
    /// English.
    pub en: String,
}

impl Phrase {
    /// The text in `language`.
    pub fn in_(&self, language: Language) -> &str {
        match language {
            Language::Indonesian => &self.id,
            Language::English => &self.en,
        }
    }
}

impl From<Text> for Phrase {
    fn from(text: Text) -> Self {
        text.with(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_from_left_to_right_and_braces_inside_a_value_stay() {
        let text = Text::new("{} dari {}", "{} of {}");
        let phrase = text.with(&["{}".to_owned(), "2".to_owned()]);
        assert_eq!(phrase.in_(Language::English), "{} of 2");
        assert_eq!(phrase.in_(Language::Indonesian), "{} dari 2");
    }
}
