//! The page's HTML, in two languages.

use std::fmt::Write;

use parking::CameraId;

use crate::cameras::told::{CameraStatus, StreamLine};
use crate::cameras::wire::Profile;
use crate::cameras::{Cameras, health, told};
use crate::words::{Language, Text, Value};

const TITLE: Text = Text::new("Kamera", "Cameras");
const PASSWORD: Text = Text::new("Kata sandi", "Password");
const LOG_IN: Text = Text::new("Masuk", "Log in");
const LOG_OUT: Text = Text::new("Keluar", "Log out");
const WRONG: Text = Text::new("Kata sandi salah.", "Wrong password.");
const NONE: Text = Text::new(
    "Belum ada kamera. Jalankan `gateway cameras discover` di kotak ini.",
    "No cameras yet. Run `gateway cameras discover` on this box.",
);
const WATCH_SUB: Text = Text::new("Lihat", "Watch");
const WATCH_MAIN: Text = Text::new("Lihat gambar besar", "Watch large picture");
const STOP: Text = Text::new("Berhenti", "Stop");
const PICTURE: Text = Text::new("Foto", "Snapshot");
const ALL: Text = Text::new("Semua kamera", "All cameras");
const WATCH_ALL: Text = Text::new("Lihat semua", "Watch all");
const AWAY: Text = Text::new(
    "Kotak tidak menjawab. Keadaan di bawah ini mungkin sudah berubah; dicoba terus.",
    "The box does not answer. What is shown below may have changed; trying again.",
);
const VIEWERS: Text = Text::new("{} dari {} tempat penonton terpakai", "{} of {} viewers' places taken");
const WAITING: Text = Text::new("menunggu", "waiting");

/// The part of an address that keeps the language.
pub(super) fn query(language: Language) -> &'static str {
    match language {
        Language::Indonesian => "",
        Language::English => "?lang=en",
    }
}

fn code(language: Language) -> &'static str {
    match language {
        Language::Indonesian => "id",
        Language::English => "en",
    }
}

/// A camera's state in words.
pub(super) fn words(status: &CameraStatus, language: Language) -> String {
    let state = health::state_text(status.state).in_(language);
    let cause = health::cause_text(status.cause).in_(language);
    if cause.is_empty() || status.state == health::State::Up {
        state.to_owned()
    } else {
        format!("{state}: {cause}")
    }
}

/// What to do about it, and about what is not recorded; nothing needs to be said of a camera that is up and recorded.
pub(super) fn advice(status: &CameraStatus, language: Language) -> String {
    let is_up = status.state == health::State::Up;
    let health = (!is_up).then(|| health::what_to_do(status.cause).in_(language).to_owned());
    let recordings = status.not_recorded();
    let recordings = recordings.iter().map(|phrase| phrase.in_(language).to_owned());
    health.into_iter().chain(recordings).collect::<Vec<_>>().join("\n")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn whole(gateway: &str, language: Language, inside: &str, with_log_out: bool) -> String {
    let (other, other_query) = match language {
        Language::Indonesian => ("English", "?lang=en"),
        Language::English => ("Bahasa Indonesia", "?lang=id"),
    };
    let code = code(language);
    let log_out = if with_log_out {
        let text = LOG_OUT.in_(language);
        format!("<form method=\"post\" action=\"/logout\"><button class=\"plain\">{text}</button></form>")
    } else {
        String::new()
    };
    let title = TITLE.in_(language);
    let gateway = escape(gateway);
    format!(
        "<!doctype html>\n<html lang=\"{code}\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · {gateway}</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/style.css\">\n<link rel=\"stylesheet\" href=\"/assets/player.css\">\n\
         <header><h1><a href=\"/{query}\">{title}</a> <small>{gateway}</small></h1>\
         <nav><a href=\"{other_query}\">{other}</a>{log_out}</nav></header>\n\
         <p class=\"away\" role=\"alert\">{away}</p>\n<main>{inside}</main>\n</html>\n",
        query = query(language),
        away = AWAY.in_(language),
    )
}

/// The form to log in.
pub(super) fn login(gateway: &str, language: Language, wrong: bool) -> String {
    let told = if wrong {
        format!("<p class=\"wrong\" role=\"alert\">{}</p>", WRONG.in_(language))
    } else {
        String::new()
    };
    let inside = format!(
        "<form class=\"login\" method=\"post\" action=\"/login{}\">{told}<label>{} \
         <input type=\"password\" name=\"password\" autocomplete=\"current-password\" autofocus required></label>\
         <button>{}</button></form>",
        query(language),
        PASSWORD.in_(language),
        LOG_IN.in_(language)
    );
    whole(gateway, language, &inside, false)
}

/// All cameras.
pub(super) fn overview(gateway: &str, cameras: &Cameras, language: Language) -> String {
    let mut inside = String::new();
    if cameras.ids().next().is_none() {
        write!(inside, "<p>{}</p>", NONE.in_(language)).unwrap_or_default();
    } else {
        let watch_all = WATCH_ALL.in_(language);
        write!(inside, "<p><button id=\"watch-all\">{watch_all}</button></p>").unwrap_or_default();
    }
    inside.push_str("<div class=\"grid\">");
    for id in cameras.ids() {
        inside.push_str(&card(cameras, id, language, false));
    }
    inside.push_str("</div>");
    inside.push_str("<script type=\"module\" src=\"/assets/page.js\"></script>");
    whole(gateway, language, &inside, true)
}

/// One camera.
pub(super) fn one(gateway: &str, cameras: &Cameras, camera: &CameraId, language: Language) -> String {
    let inside = format!(
        "<p><a href=\"/{}\">← {}</a></p><div class=\"single\">{}</div>\
         <script type=\"module\" src=\"/assets/page.js\"></script>",
        query(language),
        ALL.in_(language),
        card(cameras, camera, language, true)
    );
    whole(gateway, language, &inside, true)
}

fn card(cameras: &Cameras, id: &CameraId, language: Language, large: bool) -> String {
    let status = cameras.status(id);
    let profiles = cameras.profiles(id);
    let title = escape(cameras.title(id).unwrap_or(id.as_str()));
    let (state, told, advice) = match &status {
        Some(status) => (
            told::word(&status.state),
            words(status, language),
            advice(status, language),
        ),
        None => ("connecting".to_owned(), WAITING.in_(language).to_owned(), String::new()),
    };
    let figures = status
        .as_ref()
        .map_or_else(String::new, |status| figures(status, language));
    let first = if profiles.contains(&Profile::Sub) {
        Profile::Sub
    } else {
        Profile::Main
    };
    let shown = if large && profiles.contains(&Profile::Main) {
        Profile::Main
    } else {
        first
    };
    let mut buttons = format!(
        "<button class=\"watch\" data-profile=\"{first}\">{}</button>",
        WATCH_SUB.in_(language)
    );
    if profiles.len() > 1 {
        let text = WATCH_MAIN.in_(language);
        write!(buttons, "<button class=\"watch\" data-profile=\"main\">{text}</button>").unwrap_or_default();
    }
    write!(
        buttons,
        "<button class=\"stop\" hidden>{}</button><a class=\"button\" href=\"/camera/{id}/snapshot.jpg?w=1920&amp;lang={}\" target=\"_blank\">{}</a>",
        STOP.in_(language),
        code(language),
        PICTURE.in_(language)
    )
    .unwrap_or_default();
    format!(
        "<section class=\"camera\" data-camera=\"{id}\" data-state=\"{state}\" data-shown=\"{shown}\" data-start=\"{start}\">\
         <h2><a href=\"/camera/{id}{query}\">{title}</a></h2>\
         <div class=\"picture\"><img alt=\"\" src=\"/camera/{id}/snapshot.jpg?w=640\"></div>\
         <p class=\"state\">{told}</p><p class=\"advice\">{advice}</p><p class=\"figures\">{figures}</p>\
         <p class=\"buttons\">{buttons}</p></section>",
        start = u8::from(large),
        query = query(language),
        told = escape(&told),
        advice = escape(&advice),
    )
}

/// Size, rate and what an hour of watching costs, a line a stream.
pub(super) fn figures(status: &CameraStatus, language: Language) -> String {
    let lines: Vec<String> = [("sub", &status.sub), ("main", &status.main)]
        .into_iter()
        .filter_map(|(name, stream)| Some((name, StreamLine::of(stream.as_ref()?)?)))
        // One that is not open now costs nobody anything.
        .filter(|(_, stream)| stream.kbit > 0.0)
        .map(|(name, stream)| line(name, stream, language))
        .collect();
    lines
        .into_iter()
        .chain(watching(status, language))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How many watch, while somebody does.
fn watching(status: &CameraStatus, language: Language) -> Option<String> {
    let number = |number: usize| Value::Whole(i64::try_from(number).unwrap_or(i64::MAX));
    let values = [number(status.viewers()), number(status.places())];
    (status.viewers() > 0).then(|| VIEWERS.with(&values).in_(language).to_owned())
}

fn line(name: &str, stream: StreamLine, language: Language) -> String {
    let hour = match language {
        Language::Indonesian => "jam",
        Language::English => "hour",
    };
    // Kilobits a second, 3,600 seconds, 8 bits, 1,000 kilobytes.
    let megabytes = stream.kbit * 3_600.0 / 8_000.0;
    format!(
        "{name}: {}×{} · {:.0} fps · {:.0} kbit/s ≈ {megabytes:.0} MB/{hour}",
        stream.width, stream.height, stream.fps, stream.kbit
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_markup() {
        assert_eq!(escape("<b a='1'>&\""), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn the_form_is_there_in_both_languages_and_says_when_the_password_was_wrong() {
        let form = login("simpang-<1>", Language::Indonesian, true);
        assert!(form.contains("Kata sandi salah.") && form.contains("simpang-&lt;1&gt;"));
        assert!(login("x", Language::English, false).contains("Log in"));
    }
}
