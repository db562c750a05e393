//! The page, rendered here and nowhere else: the script in it only fetches it again.

use std::fmt::Write as _;

use parking::{ClockQuality, CountRange, SessionCounts, Timestamp, Timezone, VehicleClass, ZoneDay};

use super::catalogue::{self as text, Language, Text};
use super::html::{Frame, address, escape, link};
use super::view::{BoxView, SpaceState, SpaceView, View, ZoneView};
use crate::moment::moment;
use crate::store::Alarm;

/// The page with its frame.
pub fn whole(view: &View, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let nav = format!(
        r#"<span id="live" role="status" data-on="{}" data-off="{}"></span>"#,
        t(text::LIVE),
        t(text::NOT_LIVE)
    );
    let frame = Frame {
        path: "/",
        title: t(text::TITLE),
        subtitle: t(text::SUBTITLE),
        head: r#"<script type="module" src="/live.js"></script>
<noscript><meta http-equiv="refresh" content="30"></noscript>
"#,
        is_wide: false,
        nav: &nav,
        main_attributes: "",
        body: &body(view, language),
        footer: text::FOOTER,
    };
    frame.around(language)
}

/// What changes: the inside of `<main>`.
pub fn body(view: &View, language: Language) -> String {
    let mut html = String::new();
    alarms(&mut html, view, language);
    spaces(&mut html, view, language);
    today(&mut html, view, language);
    boxes(&mut html, view, language);
    html
}

fn alarms(html: &mut String, view: &View, language: Language) {
    let t = |text: Text| text.in_(language);
    if view.alarms.is_empty() {
        add!(html, r#"<p class="calm">{}</p>"#, t(text::NO_ALARMS));
        return;
    }
    add!(
        html,
        r#"<section aria-labelledby="alarms"><h2 id="alarms">{}</h2><div class="cards">"#,
        t(text::ALARMS)
    );
    for alarm in &view.alarms {
        let timezone = timezone_of(view, &alarm.gateway);
        let (what, to_do) = text::alarm(alarm.code);
        let (class, sign, kind) = if alarm.notice {
            ("notice", "i", text::NOTICE)
        } else {
            ("alarm", "!", text::ALARM)
        };
        let seen = moment(alarm.seen, timezone, view.now);
        let times = text::TIMES
            .with(language, &grouped(alarm.times, language))
            .replacen("{}", &seen, 1);
        add!(
            html,
            r#"<article class="card {class}"><h3><span class="sign" aria-hidden="true">{sign}</span>{} · {}</h3>
<p>{}</p><p><strong>{}</strong> {}</p><p class="small">{times}</p><p class="small detail">{}</p>{}</article>"#,
            t(kind),
            escape(&alarm.gateway),
            t(what),
            t(text::TO_DO),
            t(to_do),
            escape(&alarm.detail),
            clear_with(alarm, language),
        );
    }
    add!(html, "</div></section>");
}

fn clear_with(alarm: &Alarm, language: Language) -> String {
    if alarm.notice {
        return String::new();
    }
    format!(
        r#"<p class="small">{} <code>kominfo box clear-alarm --id {} --code {}</code></p>"#,
        text::CLEAR_WITH.in_(language),
        escape(&alarm.gateway),
        alarm.code.as_str()
    )
}

fn spaces(html: &mut String, view: &View, language: Language) {
    let t = |text: Text| text.in_(language);
    add!(
        html,
        r#"<section aria-labelledby="spaces"><h2 id="spaces">{}</h2>"#,
        t(text::SPACES)
    );
    let told = |zone: &&ZoneView| !zone.spaces.is_empty();
    let mut any = false;
    for of in &view.boxes {
        for zone in of.zones.iter().filter(told) {
            any = true;
            let name = escape(zone.zone.as_str());
            add!(
                html,
                r#"<div class="zone"><h3>{name} <span class="small">{}</span></h3>"#,
                escape(of.gateway.as_str())
            );
            add!(
                html,
                r#"<p class="counts">{}</p><ul class="grid" aria-label="{name}">"#,
                counts(&zone.spaces, language)
            );
            for space in &zone.spaces {
                add!(html, "{}", tile(space, of.timezone, view.now, language));
            }
            add!(html, "</ul></div>");
        }
    }
    if !any {
        add!(html, r#"<p class="empty">{}</p>"#, t(text::SPACES_EMPTY));
    }
    add!(html, "</section>");
}

fn words(state: SpaceState) -> (&'static str, Text, Text) {
    match state {
        SpaceState::Free => ("free", text::FREE_LETTER, text::FREE),
        SpaceState::Occupied => ("occupied", text::OCCUPIED_LETTER, text::OCCUPIED),
        SpaceState::Unknown => ("unknown", text::UNKNOWN_LETTER, text::UNKNOWN),
        SpaceState::Closed => ("closed", text::CLOSED_LETTER, text::CLOSED),
    }
}

fn counts(spaces: &[SpaceView], language: Language) -> String {
    let mut html = String::new();
    for state in [
        SpaceState::Free,
        SpaceState::Occupied,
        SpaceState::Unknown,
        SpaceState::Closed,
    ] {
        let count = spaces.iter().filter(|space| space.state == state).count();
        if count > 0 {
            let (class, letter, word) = words(state);
            let (letter, word) = (letter.in_(language), word.in_(language));
            add!(
                html,
                r#"<span><b class="key {class}" aria-hidden="true">{letter}</b> <b>{count}</b> {word}</span>"#
            );
        }
    }
    let all = text::OF_SPACES.with(language, &spaces.len().to_string());
    add!(html, r#"<span class="small">{all}</span>"#);
    html
}

fn tile(space: &SpaceView, timezone: Timezone, now: Timestamp, language: Language) -> String {
    let (class, letter, word) = words(space.state);
    let mut title = format!("{}: {}", space.space, word.in_(language));
    let mut tell = |text: Text, time: Option<Timestamp>| {
        if let Some(time) = time {
            title.push_str(", ");
            title.push_str(&text.with(language, &moment(time, timezone, now)));
        }
    };
    tell(text::SINCE, space.occupied_since);
    tell(text::HEARD, space.heard);
    let (title, id, letter) = (escape(&title), escape(&space.space), letter.in_(language));
    format!(
        r#"<li class="{class}" title="{title}"><span class="visually-hidden">{title}</span><b aria-hidden="true">{letter}</b><span aria-hidden="true">{id}</span></li>"#
    )
}

fn today(html: &mut String, view: &View, language: Language) {
    let t = |text: Text| text.in_(language);
    add!(
        html,
        r#"<section aria-labelledby="today"><h2 id="today">{}</h2>"#,
        t(text::TODAY)
    );
    let mut any = false;
    for of in &view.boxes {
        let days: Vec<_> = of.zones.iter().filter_map(|zone| zone.day.as_ref()).collect();
        if days.is_empty() {
            continue;
        }
        any = true;
        let day = text::BUSINESS_DAY.with(language, &date(of.day, language));
        add!(
            html,
            r#"<p class="small">{day} {} · {}</p>"#,
            of.timezone.name(),
            escape(of.gateway.as_str())
        );
        add!(
            html,
            r#"<table><thead><tr><th scope="col">{}</th><th scope="col">{}</th><th scope="col" class="number">{}</th><th scope="col" class="number">{}</th></tr></thead><tbody>"#,
            t(text::ZONE),
            t(text::SESSIONS),
            t(text::EXPECTED_FEE),
            t(text::COVERAGE)
        );
        for day in days {
            add!(html, "{}", zone_row(day, language));
        }
        add!(html, "</tbody></table>");
    }
    if any {
        add!(html, r#"<p class="small">{}</p>"#, t(text::COVERAGE_NOTE));
    } else {
        add!(html, r#"<p class="empty">{}</p>"#, t(text::TODAY_EMPTY));
    }
    add!(html, "</section>");
}

fn zone_row(day: &ZoneDay, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let fee = if day.finding_allowed {
        let fee = &day.fee;
        let range = if fee.low == fee.high {
            String::new()
        } else {
            format!("{} – {}", fee.low, fee.high)
        };
        format!(
            r#"<strong>{}</strong><span class="small" title="{}">{range}</span>"#,
            fee.point,
            t(text::LOW_HIGH)
        )
    } else {
        format!("<em>{}</em>", t(text::NOT_ENOUGH_DATA))
    };
    let coverage = day.coverage.map_or_else(
        || t(text::NO_COVERAGE).to_owned(),
        |coverage| match language {
            Language::Indonesian => coverage.to_string(),
            Language::English => coverage.to_string().replace(',', "."),
        },
    );
    let missing = match day.missing_s {
        Some(0) => String::new(),
        Some(_) => format!(r#"<span class="small">{}</span>"#, t(text::PART_MISSING)),
        None => format!(r#"<span class="small">{}</span>"#, t(text::ALL_MISSING)),
    };
    format!(
        r#"<tr><th scope="row">{}</th><td data-label="{}">{}</td><td class="number" data-label="{}">{fee}</td><td class="number" data-label="{}">{coverage}{missing}</td></tr>"#,
        escape(day.zone.as_str()),
        t(text::SESSIONS),
        sessions(day, language),
        t(text::EXPECTED_FEE),
        t(text::COVERAGE),
    )
}

fn sessions(day: &ZoneDay, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let sum = |of: fn(&SessionCounts) -> u32| day.sessions.values().map(|counts| u64::from(of(counts))).sum::<u64>();
    let mut parts: Vec<String> = Vec::new();
    for (class, counts) in &day.sessions {
        if counts.parked > 0 {
            parts.push(format!(
                "{} {}",
                grouped(counts.parked.into(), language),
                t(class_name(*class))
            ));
        }
    }
    for (class, counted) in &day.counted {
        if let Some(count) = counted.count {
            let vehicles = format!("{} {}", grouped(count.point.into(), language), t(class_name(*class)));
            parts.push(text::AT_A_LINE.with(language, &vehicles));
        }
    }
    let mut more = |count: u64, text: Text| {
        if count > 0 {
            parts.push(format!("{} {}", grouped(count, language), t(text)));
        }
    };
    more(sum(|counts| counts.drop_off), text::DROP_OFFS);
    more(sum(|counts| counts.quarantined), text::QUARANTINED);
    more(day.suspect.into(), text::SUSPECT);
    let at_lines = day.counted.values().filter_map(|counted| counted.count);
    let at_lines: u64 = at_lines.map(|count| u64::from(count.point)).sum();
    let parked = grouped(sum(|counts| counts.parked) + at_lines, language);
    format!(
        r#"<strong>{parked}</strong><span class="small">{}</span>{}"#,
        parts.join(" · "),
        estimated(day, language)
    )
}

/// How many stays were billed in truth, where that is not just what was counted.
fn estimated(day: &ZoneDay, language: Language) -> String {
    let sum = |of: fn(&CountRange) -> u32| day.billed.values().map(|range| u64::from(of(range))).sum::<u64>();
    let (low, point, high) = (
        sum(|range| range.low),
        sum(|range| range.point),
        sum(|range| range.high),
    );
    if low == high || !day.finding_allowed {
        return String::new();
    }
    let [low, point, high] = [low, point, high].map(|count| grouped(count, language));
    format!(
        r#"<span class="small" title="{}">{} {low} – {high}</span>"#,
        text::ESTIMATE_HOLDS.in_(language),
        text::ESTIMATED.with(language, &point)
    )
}

fn class_name(class: VehicleClass) -> Text {
    match class {
        VehicleClass::Motorcycle => text::MOTORCYCLES,
        VehicleClass::Car => text::CARS,
        VehicleClass::Truck => text::TRUCKS,
        VehicleClass::Bus => text::BUSES,
    }
}

fn boxes(html: &mut String, view: &View, language: Language) {
    let t = |text: Text| text.in_(language);
    add!(
        html,
        r#"<section aria-labelledby="boxes"><h2 id="boxes">{}</h2>"#,
        t(text::BOXES)
    );
    if view.boxes.is_empty() {
        add!(html, r#"<p class="empty">{}</p>"#, t(text::BOXES_EMPTY));
    }
    add!(html, r#"<div class="cards">"#);
    for of in &view.boxes {
        add!(html, "{}", box_card(of, view.now, language));
    }
    add!(html, "</div></section>");
}

fn box_card(of: &BoxView, now: Timestamp, language: Language) -> String {
    let t = |text: Text| text.in_(language);
    let time = |time: Timestamp| moment(time, of.timezone, now);
    let link = match of.online {
        Some(true) => format!(
            r#"<span class="sign good" aria-hidden="true">✓</span>{}"#,
            t(text::ONLINE)
        ),
        Some(false) => format!(
            r#"<span class="sign bad" aria-hidden="true">✕</span>{}"#,
            t(text::OFFLINE)
        ),
        None => t(text::NEVER_SEEN).to_owned(),
    };
    let since = of
        .online_since
        .map_or_else(String::new, |since| text::SINCE.with(language, &time(since)));
    let records = |count: u64| text::RECORDS.with(language, &grouped(count, language));
    let backlog = of.backlog.map_or_else(|| t(text::NOT_TOLD).to_owned(), records);
    let receipt = of.receipt.map_or_else(|| t(text::NO_RECEIPT).to_owned(), &time);
    let size = if of.size > 0 { records(of.size) } else { String::new() };
    let clock = t(match of.clock {
        Some(ClockQuality::Synced) => text::CLOCK_SYNCED,
        Some(ClockQuality::Holdover) => text::CLOCK_HOLDOVER,
        Some(ClockQuality::Unset) => text::CLOCK_UNSET,
        Some(ClockQuality::Simulated) => text::CLOCK_SIMULATED,
        None => text::NOT_TOLD,
    });
    let state = of.state_updated.map_or_else(|| t(text::NOT_TOLD).to_owned(), &time);
    let mut warnings = String::new();
    for (is, warning) in [(of.forked, text::FORKED), (of.journal_full, text::JOURNAL_FULL)] {
        if is {
            add!(
                warnings,
                r#"<p class="warning"><span class="sign" aria-hidden="true">!</span>{}</p>"#,
                t(warning)
            );
        }
    }
    let cameras = cameras_link(of, language);
    let row = |name: Text, value: &str, more: &str| {
        format!(
            r#"<div><dt>{}</dt><dd>{value} <span class="small">{more}</span></dd></div>"#,
            t(name)
        )
    };
    format!(
        r#"<article class="card"><h3>{}</h3>{warnings}<dl>{}{}{}{}{}</dl>{cameras}</article>"#,
        escape(of.gateway.as_str()),
        row(text::LINK, &link, &since),
        row(text::BACKLOG, &backlog, ""),
        row(text::RECEIPT, &receipt, &size),
        row(text::CLOCK, clock, ""),
        row(text::STATE_TOLD, &state, ""),
    )
}

fn cameras_link(of: &BoxView, language: Language) -> String {
    if of.cameras.is_empty() {
        return String::new();
    }
    let words = text::CAMERAS_LINK.with(language, &of.cameras.len().to_string());
    let live = address("/live", language);
    let path = format!("/boxes/{}/cameras", escape(of.gateway.as_str()));
    let series = link(&path, text::SERIES_LINK, language);
    format!(r#"<p><a href="{live}">{words}</a> · {series}</p>"#)
}

fn timezone_of(view: &View, gateway: &str) -> Timezone {
    view.boxes
        .iter()
        .find(|of| of.gateway.as_str() == gateway)
        .map_or(Timezone::Wib, |of| of.timezone)
}

fn date(day: parking::CivilDate, language: Language) -> String {
    const MONTHS: [(&str, &str); 12] = [
        ("Januari", "January"),
        ("Februari", "February"),
        ("Maret", "March"),
        ("April", "April"),
        ("Mei", "May"),
        ("Juni", "June"),
        ("Juli", "July"),
        ("Agustus", "August"),
        ("September", "September"),
        ("Oktober", "October"),
        ("November", "November"),
        ("Desember", "December"),
    ];
    let month = usize::try_from(day.0.month() - 1)
        .ok()
        .and_then(|month| MONTHS.get(month))
        .unwrap_or(&("", ""));
    let month = if language == Language::English {
        month.1
    } else {
        month.0
    };
    format!("{} {month} {}", day.0.day(), day.0.year())
}

/// A number with its thousands grouped.
fn grouped(number: u64, language: Language) -> String {
    let separator = if language == Language::English { ',' } else { '.' };
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AlarmCode;

    #[test]
    fn a_city_without_boxes_says_what_to_do_in_both_languages() {
        let view = View {
            now: Timestamp::EPOCH,
            boxes: Vec::new(),
            alarms: Vec::new(),
        };
        for language in [Language::Indonesian, Language::English] {
            let html = whole(&view, language);
            assert!(html.contains(&format!("<html lang=\"{}\">", language.code())));
            assert_eq!(html.matches("class=\"empty\"").count(), 3);
            assert!(html.contains("kominfo box add"));
        }
    }

    #[test]
    fn what_a_stranger_sends_is_shown_as_text() {
        let alarm = Alarm {
            gateway: "x".to_owned(),
            code: AlarmCode::Malformed,
            notice: false,
            detail: "<script>alert('1')</script>\"&".to_owned(),
            raised: Timestamp::EPOCH,
            seen: Timestamp::EPOCH,
            times: 1_234,
        };
        let view = View {
            now: Timestamp::EPOCH,
            boxes: Vec::new(),
            alarms: vec![alarm],
        };
        let html = body(&view, Language::Indonesian);
        assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;"));
        assert!(html.contains("1.234 kali"));
    }
}
