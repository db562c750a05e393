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

    /// Sentences one after the other.
    pub fn joined(all: &[Self]) -> Self {
        let joined = |text: fn(&Self) -> &str| all.iter().map(text).collect::<Vec<_>>().join(" ");
        Self {
            id: joined(|phrase| &phrase.id),
            en: joined(|phrase| &phrase.en),
        }
    }
}

impl From<Text> for Phrase {
    fn from(text: Text) -> Self {
        text.with(&[])
    }
}

/// How far a clock is off, for people: seconds, or hours and days when it is long.
pub fn offset_text(offset_ms: i64, language: Language) -> String {
    let seconds = offset_ms / 1_000;
    let (hours, days) = match language {
        Language::Indonesian => ("jam", "hari"),
        Language::English => ("h", "d"),
    };
    match offset_ms.unsigned_abs() {
        0..=9_999 => {
            let sign = match offset_ms {
                ..-49 => "-",
                -49..50 => "",
                50.. => "+",
            };
            let milliseconds = u16::try_from(offset_ms.unsigned_abs()).unwrap_or(u16::MAX);
            let tenths = Value::Tenths(f32::from(milliseconds) / 1_000.0).in_(language);
            format!("{sign}{tenths} s")
        }
        10_000..=7_199_999 => format!("{seconds:+} s"),
        7_200_000..=172_799_999 => format!("{:+} {hours}", seconds / 3_600),
        _ => format!("{:+} {days}", seconds / 86_400),
    }
}

/// `text` in lines of at most `width` columns, the first behind `first`, the others behind `next`.
pub fn wrapped(text: &str, first: &str, next: &str, width: usize) -> String {
    let mut out = first.to_owned();
    let (mut column, mut is_empty) = (first.chars().count(), true);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if !is_empty && column + 1 + length > width {
            out.push('\n');
            out.push_str(next);
            (column, is_empty) = (next.chars().count(), true);
        }
        if !is_empty {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        (column, is_empty) = (column + length, false);
    }
    out
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

    #[test]
    fn a_clock_is_off_by_seconds_hours_or_days() {
        let said = |ms| offset_text(ms, Language::Indonesian);
        assert_eq!(said(-20), "0,0 s");
        assert_eq!(said(180), "+0,2 s");
        assert_eq!(said(-1_250), "-1,2 s");
        assert_eq!(said(90_000), "+90 s");
        assert_eq!(said(-25_200_000), "-7 jam");
        assert_eq!(said(i64::MAX), "+106751991167 hari");
    }

    #[test]
    fn a_word_longer_than_the_line_stands_alone() {
        let told = wrapped("satu dua_tiga_empat_lima enam", "- ", "  ", 12);
        assert_eq!(told, "- satu\n  dua_tiga_empat_lima\n  enam");
        assert_eq!(wrapped("", "- ", "  ", 12), "- ");
    }
}
