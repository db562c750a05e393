//! The page of live view: all cameras that boxes tell, as cards. Its script adds the player.

use std::fmt::Write as _;

use super::cameras::{CameraView, PictureView};
use super::catalogue::{self as text, Language, Text};
use super::html::{Frame, escape, link};
use super::view::{BoxView, View};
use crate::moment::moment;

/// The page with its frame. `folder`: where the player's files are.
pub fn whole(view: &View, is_offered: bool, folder: &str, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let noscript = t(text::LIVE_NOSCRIPT);
    let cards = body(view, is_offered, language);
    let frame = Frame {
        path: "/live",
        title: t(text::LIVE_TITLE),
        subtitle: t(text::LIVE_SUBTITLE),
        head: &format!(
            r#"<link rel="stylesheet" href="/live/assets/{folder}/player.css">
<script type="module" src="/live/page.js"></script>
"#
        ),
        is_wide: true,
        nav: &link("/", text::LIVE_OVERVIEW, language),
        main_attributes: &format!(r#" data-assets="/live/assets/{folder}/""#),
        body: &format!(
            r#"<noscript><p class="warning">{noscript}</p></noscript>
{cards}"#
        ),
        footer: text::LIVE_FOOTER,
    };
    frame.around(language)
}

/// The cards.
pub fn body(view: &View, is_offered: bool, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let mut html = String::new();
    if !is_offered {
        add!(html, r#"<p class="warning">{}</p>"#, t(text::LIVE_NOT_OFFERED));
    }
    if view.boxes.iter().all(|of| of.cameras.is_empty()) {
        add!(html, r#"<p class="empty">{}</p>"#, t(text::LIVE_EMPTY));
        return html;
    }
    add!(html, r#"<div class="cameras">"#);
    for of in &view.boxes {
        for camera in &of.cameras {
            add!(html, "{}", card(of, camera, view, is_offered, language));
        }
    }
    add!(html, "</div>");
    html
}

fn card(of: &BoxView, camera: &CameraView, view: &View, is_offered: bool, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let (gateway, name) = (escape(of.gateway.as_str()), escape(&camera.camera));
    // With a name for people, the other one is still needed by whoever speaks with a technician.
    let (title, place) = match &camera.title {
        Some(title) if *title != camera.camera => (escape(title), format!("{name} · {gateway}")),
        _ => (name.clone(), gateway.clone()),
    };
    let mut html = String::new();
    add!(
        html,
        r#"<article class="card camera" data-box="{gateway}" data-camera="{name}">
<h2>{title} <span class="small">{place}</span></h2>
<div class="about">{}</div>"#,
        about(of, camera, view, language)
    );
    if is_offered {
        add!(html, r#"<div class="screen" hidden></div><div class="watch">"#);
        let pictures = [
            ("sub", text::LIVE_WATCH, camera.sub.as_ref()),
            ("main", text::LIVE_WATCH_MAIN, camera.main.as_ref()),
        ];
        // A box that tells no pictures is believed to have the smaller one.
        let told = pictures.iter().any(|(.., picture)| picture.is_some());
        for (profile, words, picture) in pictures {
            if picture.is_some() || (!told && profile == "sub") {
                add!(
                    html,
                    r#"<button type="button" data-profile="{profile}">{}<span class="small">{}</span></button>"#,
                    t(words),
                    cost(picture, language)
                );
            }
        }
        add!(
            html,
            r#"</div><p class="over" hidden><button type="button" data-again>{}</button></p>
<p class="watching" hidden><button type="button" data-stop>{}</button></p>"#,
            t(text::LIVE_AGAIN),
            t(text::LIVE_STOP)
        );
    }
    add!(html, "</article>");
    html
}

/// What is known of a camera without watching it.
fn about(of: &BoxView, camera: &CameraView, view: &View, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let time = |time| moment(time, of.timezone, view.now);
    let mut html = String::new();
    let told = text::camera_state(&camera.state).map_or_else(|| escape(&camera.state), |text| t(text).to_owned());
    // What a box last said of a camera is worth nothing while the box is away.
    let (sign, class, words) = match (of.online, camera.state.as_str()) {
        (Some(true), "up") => ("✓", "good", told),
        (Some(true), _) => ("!", "bad", told),
        _ => ("?", "bad", text::LIVE_LAST.with(language, &told)),
    };
    let since = camera
        .since
        .map_or_else(String::new, |since| text::SINCE.with(language, &time(since)));
    add!(
        html,
        r#"<p><span class="sign {class}" aria-hidden="true">{sign}</span>{words} <span class="small">{since}</span></p>"#
    );
    if let Some(advice) = &camera.advice {
        let advice = match language {
            Language::Indonesian => &advice.id,
            Language::English => &advice.en,
        };
        add!(html, r#"<p class="small detail">{}</p>"#, escape(advice));
    }
    if of.online != Some(true) {
        let offline = if of.online.is_some() {
            text::OFFLINE
        } else {
            text::NEVER_SEEN
        };
        let since = of
            .online_since
            .map_or_else(String::new, |since| text::SINCE.with(language, &time(since)));
        add!(
            html,
            r#"<p class="warning">{}: {} {since}</p>"#,
            t(text::LIVE_BOX),
            t(offline)
        );
    }
    if let Some(viewers) = camera.viewers.filter(|viewers| *viewers > 0) {
        let words = match camera.places {
            Some(places) => {
                text::LIVE_VIEWERS_OF
                    .with(language, &viewers.to_string())
                    .replacen("{}", &places.to_string(), 1)
            }
            None => text::LIVE_VIEWERS.with(language, &viewers.to_string()),
        };
        add!(html, r#"<p class="small">{words}</p>"#);
    }
    html
}

/// Size of the picture and what watching costs: `640×360, 0,5 Mbit/s ≈ 225 MB per jam`.
fn cost(picture: Option<&PictureView>, language: Language) -> String {
    let mut parts = Vec::new();
    if let Some((width, height)) = picture.and_then(|picture| Some((picture.width?, picture.height?))) {
        parts.push(format!("{width}×{height}"));
    }
    match picture.and_then(|picture| picture.kbit) {
        Some(kbit) => {
            // 3,600 s of kbit/s in MB: times 3,600, through 8 and 1,000.
            let megabytes = kbit.saturating_mul(9) / 20;
            let rate = decimal(kbit.saturating_add(50) / 100, language);
            let words = text::LIVE_COST.with(language, &rate);
            parts.push(words.replacen("{}", &megabytes.to_string(), 1));
        }
        None => parts.push(text::LIVE_COST_UNKNOWN.in_(language).to_owned()),
    }
    parts.join(", ")
}

/// A number of tenths.
fn decimal(tenths: u64, language: Language) -> String {
    let separator = if language == Language::English { '.' } else { ',' };
    format!("{}{separator}{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_watching_is_told_in_both_languages() {
        let picture = PictureView {
            width: Some(640),
            height: Some(360),
            fps: None,
            kbit: Some(500),
        };
        assert_eq!(
            cost(Some(&picture), Language::Indonesian),
            "640×360, 0,5 Mbit/s ≈ 225 MB per jam"
        );
        let large = PictureView {
            width: None,
            kbit: Some(4_096),
            ..picture
        };
        assert_eq!(cost(Some(&large), Language::English), "4.1 Mbit/s ≈ 1843 MB an hour");
        assert_eq!(cost(None, Language::English), "data rate unknown");
    }
}
