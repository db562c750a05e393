//! The page of a box's cameras over the last 24 hours: frames a second and kbit/s of each stream as pictures.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parking::{Timestamp, Timezone};

use super::catalogue::{self as text, Language, Text};
use super::chart::{Chart, DAY_S};
use super::html::{Frame, escape, link};
use super::series::AllSeries;
use super::view::BoxView;
use crate::moment::dated;

/// The page with its frame. `from`: where the 24 hours begin.
pub fn whole(of: &BoxView, series: &AllSeries, from: Timestamp, language: Language) -> String {
    let gateway = escape(of.gateway.as_str());
    let until = dated(from.plus_seconds(DAY_S), of.timezone);
    let span = text::SERIES_SPAN
        .with(language, &dated(from, of.timezone))
        .replacen("{}", &until, 1);
    let links = [("/", text::LIVE_OVERVIEW), ("/live", text::LIVE_TITLE)];
    let frame = Frame {
        path: &format!("/boxes/{gateway}/cameras"),
        title: &format!("{}: {gateway}", text::SERIES_TITLE.in_(language)),
        subtitle: &span,
        head: "",
        is_wide: false,
        nav: &links.map(|(path, words)| link(path, words, language)).concat(),
        main_attributes: "",
        body: &body(of, series, from, language),
        footer: text::SERIES_FOOTER,
    };
    frame.around(language)
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
    let legend = text::SERIES_LEGEND.in_(language);
    add!(html, r#"<p class="small">{legend}</p>"#);
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
        add!(html, "{}", charts(camera, series, (from, of.timezone), language));
        add!(html, "</section>");
    }
    html
}

/// What is known of a camera.
fn charts(camera: &str, series: &AllSeries, clock: (Timestamp, Timezone), language: Language) -> String {
    let (from, timezone) = clock;
    let of = |part: &str| {
        let quarters = series.get(&format!("camera/{camera}/{part}"));
        quarters.map(|quarters| Chart::of(quarters, from))
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
        if let Some(chart) = of(part).filter(|chart| chart.mean().is_some()) {
            is_any = true;
            let words = words(&chart, stream, unit, language);
            let picture = chart.picture(&words, timezone);
            add!(
                html,
                r#"<figure><figcaption class="small">{words}</figcaption>{picture}</figure>"#
            );
        }
    }
    if !is_any {
        add!(html, r#"<p class="empty">{}</p>"#, text::SERIES_NONE.in_(language));
    }
    html
}

/// What a picture shows, in words.
fn words(chart: &Chart, stream: Text, unit: Text, language: Language) -> String {
    let (low, high) = chart.extremes();
    let numbers = [low, chart.mean().unwrap_or_default(), high, chart.known() * 100.0];
    let figures = numbers
        .iter()
        .fold(text::SERIES_FIGURES.in_(language).to_owned(), |text, number| {
            text.replacen("{}", &decimal(*number, language), 1)
        });
    format!("{}, {}: {figures}", stream.in_(language), unit.in_(language))
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

    #[test]
    fn figures_are_written_in_the_way_of_the_language() {
        let of = |number, language| decimal(number, language);
        assert_eq!(of(12.46, Language::Indonesian), "12,5");
        assert_eq!(of(12.0, Language::English), "12");
        assert_eq!(of(3_512.4, Language::English), "3512");
    }
}
