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

impl std::str::FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "id" => Ok(Self::Indonesian),
            "en" => Ok(Self::English),
            _ => Err("write id (Bahasa Indonesia) or en (English)".to_owned()),
        }
    }
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
    pub fn with(self, values: &[Value]) -> Phrase {
        Phrase {
            id: filled(self.id, values, Language::Indonesian),
            en: filled(self.en, values, Language::English),
        }
    }

    /// How many values each language has a place for: the same number, or the text is wrong.
    pub fn places(self) -> (usize, usize) {
        (self.id.matches("{}").count(), self.en.matches("{}").count())
    }
}

/// What is filled into a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A name, the same in both languages.
    Name(String),
    /// A whole number.
    Whole(i64),
    /// A number with one decimal: `1,5` in Indonesian, `1.5` in English.
    Tenths(f32),
    /// A number with two decimals.
    Hundredths(f32),
}

impl Value {
    /// The value in `language`.
    pub fn in_(&self, language: Language) -> String {
        match (self, language) {
            (Self::Name(name), _) => name.clone(),
            (Self::Whole(number), _) => number.to_string(),
            (Self::Tenths(number), Language::Indonesian) => format!("{number:.1}").replace('.', ","),
            (Self::Tenths(number), Language::English) => format!("{number:.1}"),
            (Self::Hundredths(number), Language::Indonesian) => format!("{number:.2}").replace('.', ","),
            (Self::Hundredths(number), Language::English) => format!("{number:.2}"),
        }
    }
}

fn filled(text: &str, values: &[Value], language: Language) -> String {
    let mut parts = text.split("{}");
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut values = values.iter();
    for part in parts {
        out.push_str(&values.next().map_or_else(String::new, |value| value.in_(language)));
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
    fn values_are_filled_in_from_left_to_right_in_the_language_s_way() {
        let text = Text::new("{} dari {}", "{} of {}");
        let phrase = text.with(&[Value::Name("{}".to_owned()), Value::Tenths(1.25)]);
        assert_eq!(phrase.in_(Language::English), "{} of 1.2");
        assert_eq!(phrase.in_(Language::Indonesian), "{} dari 1,2");
    }
}
