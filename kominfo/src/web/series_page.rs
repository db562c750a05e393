//! The page of a box's cameras over the last 24 hours: a line of frames a second and of kbit/s for each stream.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parking::Timestamp;

use super::catalogue::{self as text, Language, Text};
use super::page::escape;
use super::series::{AllSeries, Quarter};
use super::view::BoxView;
use crate::moment::moment;

/// What the page shows, seconds.
pub const DAY_S: i64 = 86_400;
/// Length of one column of a line, seconds.
const COLUMN_S: i64 = 300;
/// Columns of a line: a day.
const COLUMNS: usize = 288;
/// Height of a line in its own units.
const HEIGHT: f64 = 48.0;

/// The page with its frame. `from`: where the 24 hours begin.
pub fn whole(of: &BoxView, series: &AllSeries, from: Timestamp, now: Timestamp, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let gateway = escape(of.gateway.as_str());
    let (other, home, live) = match language {
        Language::Indonesian => ("?lang=en", "/", "/live"),
        Language::English => ("?", "/?lang=en", "/live?lang=en"),
    };
    let span = text::SERIES_SPAN
        .with(language, &moment(from, of.timezone, now))
        .replacen("{}", &moment(from.plus_seconds(DAY_S), of.timezone, now), 1);
    format!(
        r##"<!doctype html>
<html lang="{code}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: {gateway}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
</head>
<body>
<a class="skip" href="#main">{skip}</a>
<header>
<div><h1>{title}: {gateway}</h1><p>{span}</p></div>
<nav><a href="{home}">{overview}</a><a href="{live}">{live_title}</a><a href="{other}">{language_other}</a></nav>
</header>
<main id="main">
{body}</main>
<footer>{footer}</footer>
</body>
</html>
"##,
        code = language.code(),
        title = t(text::SERIES_TITLE),
        skip = t(text::SKIP),
        overview = t(text::LIVE_OVERVIEW),
        live_title = t(text::LIVE_TITLE),
        language_other = t(text::LANGUAGE_OTHER),
        body = body(of, series, from, language),
        footer = t(text::SERIES_FOOTER),
    )
}

fn body(of: &BoxView, series: &AllSeries, from: Timestamp, language: Language) -> String {
    let mut html = String::new();
    // Cameras that the box tells now, and those that it told of.
    let mut cameras: BTreeMap<&str, &str> = BTreeMap::new();
    for name in series.keys() {
        let camera = name.split('/').nth(1).unwrap_or_default();
        cameras.insert(camera, camera);
    }
    for camera in &of.cameras {
        let title = camera.title.as_deref().unwrap_or(&camera.camera);
        cameras.insert(&camera.camera, title);
    }
    if cameras.is_empty() {
        add!(html, r#"<p class="empty">{}</p>"#, text::LIVE_EMPTY.in_(language));
    }
    for (camera, title) in cameras {
        let id = escape(camera);
        let name = if camera == title {
            String::new()
        } else {
            format!(r#" <span class="small">{id}</span>"#)
        };
        add!(
            html,
            r#"<section aria-labelledby="camera-{id}"><h2 id="camera-{id}">{}{name}</h2>"#,
            escape(title)
        );
        add!(html, "{}", lines(camera, series, from, language));
        add!(html, "</section>");
    }
    html
}

/// What is known of a camera.
fn lines(camera: &str, series: &AllSeries, from: Timestamp, language: Language) -> String {
    let of = |part: &str| {
        let quarters = series.get(&format!("camera/{camera}/{part}"));
        quarters.map(|quarters| Line::of(quarters, from))
    };
    let mut html = String::new();
    if let Some(mean) = of("up").and_then(|up| up.mean()) {
        add!(
            html,
            "<p>{}</p>",
            text::SERIES_UP.with(language, &decimal(mean * 100.0, language))
        );
    }
    let kinds = [
        ("sub/fps", text::SERIES_SUB, text::SERIES_FPS),
        ("sub/kbit", text::SERIES_SUB, text::SERIES_KBIT),
        ("main/fps", text::SERIES_MAIN, text::SERIES_FPS),
        ("main/kbit", text::SERIES_MAIN, text::SERIES_KBIT),
    ];
    let mut is_any = false;
    for (part, stream, unit) in kinds {
        if let Some(line) = of(part).filter(|line| line.mean().is_some()) {
            is_any = true;
            add!(html, "{}", figure(&line, stream, unit, language));
        }
    }
    if !is_any {
        add!(html, r#"<p class="empty">{}</p>"#, text::SERIES_NONE.in_(language));
    }
    html
}

/// A line with its words; the words say what the line shows, for those who do not see it.
fn figure(line: &Line, stream: Text, unit: Text, language: Language) -> String {
    let mut words = format!("{}, {}: ", stream.in_(language), unit.in_(language));
    let (low, high) = line.extremes();
    let known = decimal(line.known() * 100.0, language);
    let numbers = [low, line.mean().unwrap_or_default(), high].map(|number| decimal(number, language));
    let figures = numbers.iter().chain([&known]);
    words.push_str(
        &figures.fold(text::SERIES_FIGURES.in_(language).to_owned(), |text, figure| {
            text.replacen("{}", figure, 1)
        }),
    );
    format!(
        r#"<figure><figcaption class="small">{words}</figcaption>
<svg class="line" viewBox="0 0 {COLUMNS} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{words}">{}</svg></figure>"#,
        line.shapes()
    )
}

/// A series in columns of five minutes.
struct Line {
    /// Low, mean, high of each; none where nothing is known.
    columns: Vec<Option<[f64; 3]>>,
}

impl Line {
    fn of(quarters: &[Quarter], begin: Timestamp) -> Self {
        let mut gathered: Vec<Vec<[f64; 3]>> = vec![Vec::new(); COLUMNS];
        for quarter in quarters {
            for (place, sample) in (0..).zip(&quarter.samples) {
                let Some(sample) = sample else { continue };
                let from_s = quarter.from.millis_since(begin) / 1_000 + place * quarter.step_s;
                // A sample that is longer than a column fills several.
                let to_s = from_s + quarter.step_s;
                for column in from_s.div_euclid(COLUMN_S)..=(to_s - 1).div_euclid(COLUMN_S) {
                    let column = usize::try_from(column).ok();
                    if let Some(samples) = column.and_then(|column| gathered.get_mut(column)) {
                        samples.push(sample.spread());
                    }
                }
            }
        }
        Self {
            columns: gathered.iter().map(|samples| together(samples)).collect(),
        }
    }

    fn told(&self) -> impl Iterator<Item = [f64; 3]> {
        self.columns.iter().flatten().copied()
    }

    fn mean(&self) -> Option<f64> {
        let samples: Vec<_> = self.told().collect();
        together(&samples).map(|[_, mean, _]| mean)
    }

    fn extremes(&self) -> (f64, f64) {
        let samples: Vec<_> = self.told().collect();
        together(&samples).map_or((0.0, 0.0), |[low, _, high]| (low, high))
    }

    /// Share of the day of which something is known.
    fn known(&self) -> f64 {
        part(self.told().count(), COLUMNS)
    }

    /// The line, in pieces where something is known; where nothing is, a grey ground.
    fn shapes(&self) -> String {
        let top = self.told().map(|[_, mean, _]| mean).fold(0.0, f64::max);
        let mut shapes = String::new();
        let mut end = 0;
        for piece in self.columns.chunk_by(|one, next| one.is_some() == next.is_some()) {
            let start = end;
            end += piece.len();
            if piece.first().is_some_and(Option::is_none) {
                let width = piece.len();
                write!(
                    shapes,
                    r#"<rect class="gap" x="{start}" y="0" width="{width}" height="{HEIGHT}"/>"#
                )
                .unwrap_or_default();
                continue;
            }
            shapes.push_str(r#"<polyline points=""#);
            let means = piece.iter().flatten().map(|[_, mean, _]| *mean);
            // The last is drawn to its end, so that a single column is seen too.
            let last = piece.iter().flatten().last().map(|[_, mean, _]| (end, *mean));
            for (x, mean) in (start..).zip(means).chain(last) {
                let share = if top > 0.0 { mean / top } else { 0.0 };
                let y = (HEIGHT - 2.0) - share * (HEIGHT - 4.0);
                write!(shapes, "{x},{y:.1} ").unwrap_or_default();
            }
            shapes.push_str(r#""/>"#);
        }
        shapes
    }
}

/// Low, mean and high of several.
fn together(samples: &[[f64; 3]]) -> Option<[f64; 3]> {
    let low = samples.iter().map(|[low, ..]| *low).reduce(f64::min)?;
    let high = samples.iter().map(|[.., high]| *high).reduce(f64::max)?;
    let sum: f64 = samples.iter().map(|[_, mean, _]| mean).sum();
    Some([low, sum / whole_number(samples.len()), high])
}

fn part(count: usize, whole: usize) -> f64 {
    whole_number(count) / whole_number(whole)
}

fn whole_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// A number for people: with one decimal below a hundred.
fn decimal(number: f64, language: Language) -> String {
    let text = if number.abs() < 99.95 && number.fract() != 0.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    };
    match language {
        Language::Indonesian => text.replace('.', ","),
        Language::English => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quarter(minutes: i64, step_s: i64, samples: &str) -> Quarter {
        Quarter {
            from: Timestamp::EPOCH.plus_seconds(minutes * 60),
            step_s,
            samples: serde_json::from_str(samples).unwrap(),
        }
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_is_known_and_none_where_nothing_came() {
        let line = Line::of(
            &[
                quarter(0, 60, "[12,12,12,12,12,0,0,0,0,0,null,null,null,null,null]"),
                quarter(15, 900, "[[6,12,24]]"),
                quarter(
                    1_425,
                    60,
                    "[null,null,null,null,null,null,null,null,null,null,null,null,null,null,9]",
                ),
            ],
            Timestamp::EPOCH,
        );
        let shapes = line.shapes();
        let expected = concat!(
            r#"<polyline points="0,2.0 1,46.0 2,46.0 "/><rect class="gap" x="2" y="0" width="1" height="48"/>"#,
            r#"<polyline points="3,2.0 4,2.0 5,2.0 6,2.0 "/><rect class="gap" x="6" y="0" width="281" height="48"/>"#,
            r#"<polyline points="287,13.0 288,13.0 "/>"#,
        );
        assert_eq!(shapes, expected);
        assert_eq!(line.extremes(), (0.0, 24.0));
        assert_eq!(line.told().count(), 6);
    }

    #[test]
    fn what_lies_outside_of_the_day_is_not_drawn() {
        let line = Line::of(
            &[quarter(-15, 900, "[5]"), quarter(1_440, 900, "[5]")],
            Timestamp::EPOCH,
        );
        assert_eq!((line.mean(), line.known()), (None, 0.0));
    }

    #[test]
    fn figures_are_written_in_the_way_of_the_language() {
        let of = |number, language| decimal(number, language);
        assert_eq!(of(12.46, Language::Indonesian), "12,5");
        assert_eq!(of(12.0, Language::English), "12");
        assert_eq!(of(3_512.4, Language::English), "3512");
    }
}
