//! Shows what was found: a table to read, and sections for the configuration to copy. Pure.
//!
//! Both are plain text. Foreign words in them were made fit to be shown when they were read; in TOML they are quoted
//! besides. The table is at most [`WIDTH_MAX`] columns wide, so are the notes below it.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::address::Stream;
use super::found::{CLOCK_OFFSET_MAX, Found, FoundProfile, offset_text};
use crate::cameras::profiles::CameraProfile;
use crate::words::wrapped;

/// Widest line, columns.
const WIDTH_MAX: usize = 120;
/// Widest cell of each column of the table. What is longer is cut, with an ellipsis.
const CELLS_MAX: [usize; 6] = [23, 30, 20, 17, 16, 8];
/// Longest name that a camera gets in the configuration, before its number, bytes.
const ID_BYTES_MAX: usize = 32;

/// The cameras in `found`, a line each, then what there is to say about them.
pub fn table(found: &[Found]) -> String {
    if found.is_empty() {
        return "no camera answered\n".to_owned();
    }
    let header = ["ADDRESS", "MODEL", "NAME", "MAIN", "SUB", "CLOCK"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(found.iter().map(row));
    let widths: Vec<usize> = CELLS_MAX
        .iter()
        .enumerate()
        .map(|(column, max)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(*max)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    for camera in found {
        push_notes(&mut text, camera);
    }
    text
}

fn row(camera: &Found) -> [String; 6] {
    let information = &camera.information;
    let model = format!("{} {}", information.manufacturer, information.model);
    let model = match model.trim() {
        "" => camera.scopes.hardware.clone().unwrap_or_default(),
        model => model.to_owned(),
    };
    [
        camera.address.to_string(),
        model,
        camera.scopes.name.clone().unwrap_or_default(),
        size(camera.main()),
        size(camera.sub()),
        camera.clock_offset.map_or_else(|| "-".to_owned(), offset_text),
    ]
}

fn size(profile: Option<&FoundProfile>) -> String {
    profile.map_or_else(
        || "-".to_owned(),
        |profile| {
            format!(
                "{} {}x{}",
                profile.media.codec, profile.media.width, profile.media.height
            )
        },
    )
}

fn padded(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return format!("{cell:width$}");
    }
    let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn push_notes(text: &mut String, camera: &Found) {
    let problems = camera.problems.iter().map(ToString::to_string);
    let findings = camera.findings().into_iter().map(|finding| finding.to_string());
    let notes: Vec<String> = problems.chain(findings).collect();
    if notes.is_empty() {
        return;
    }
    text.push('\n');
    text.push_str(&camera.address.to_string());
    text.push('\n');
    for note in notes {
        for (line, words) in note.lines().enumerate() {
            let first = if line == 0 { "  - " } else { "    " };
            push_wrapped(text, first, "    ", words);
        }
    }
}

/// Adds `words` in lines of at most 120 columns.
fn push_wrapped(text: &mut String, first: &str, next: &str, words: &str) {
    text.push_str(&wrapped(words, first, next, WIDTH_MAX));
    text.push('\n');
}

/// The cameras in `found` as `[[cameras]]` sections.
pub fn config_sections(found: &[Found]) -> String {
    let mut text = String::new();
    let mut ids = BTreeSet::new();
    for camera in found {
        if !text.is_empty() {
            text.push('\n');
        }
        push_section(&mut text, camera, &mut ids);
    }
    text
}

fn push_section(text: &mut String, camera: &Found, ids: &mut BTreeSet<String>) {
    let information = &camera.information;
    let identity = [
        &information.manufacturer,
        &information.model,
        &information.firmware,
        &information.serial,
    ];
    let identity: Vec<&str> = identity
        .into_iter()
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    comment(text, &format!("{} {}", camera.address, identity.join(", ")));
    let stream_of = |profile: Option<&FoundProfile>| profile.and_then(|profile| profile.stream.clone());
    let Some(main) = stream_of(camera.main()) else {
        comment(text, "No section: it did not tell where its main stream is.");
        for problem in &camera.problems {
            comment(text, &problem.to_string());
        }
        return;
    };
    if main.host.is_ipv6() {
        comment(text, "No section: give the camera an IPv4 address or a name first.");
        return;
    }
    let sub = stream_of(camera.sub());
    let id = id(camera, ids);
    text.push_str("[[cameras]]\n");
    key(text, "id", &id);
    if let Some(name) = camera.scopes.name.as_deref().filter(|name| !name.trim().is_empty()) {
        key(text, "name", name);
    }
    key(text, "host", &main.host.to_string());
    key(text, "main", &main.path);
    match &sub {
        Some(sub) => key(text, "sub", &sub.path),
        None => comment(text, "sub = \"...\": there is no smaller stream"),
    }
    key(
        text,
        "profile",
        &CameraProfile::by_manufacturer(&information.manufacturer).name,
    );
    let secret = format!("{id} = {{ user = \"...\", password = \"...\" }}");
    comment(
        text,
        &format!("Into the file that video.secrets_file names, if it wants a login: {secret}"),
    );
    for note in stream_notes(&main, sub.as_ref()) {
        comment(text, note);
    }
    let offset = camera.clock_offset.filter(|offset| offset.abs() > CLOCK_OFFSET_MAX);
    if let Some(offset) = offset {
        comment(
            text,
            &format!(
                "Its clock is {} off; let it take its time from the box by NTP.",
                offset_text(offset)
            ),
        );
    }
    for finding in camera.findings() {
        comment(text, &finding.to_string());
    }
}

fn stream_notes(main: &Stream, sub: Option<&Stream>) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if sub.is_some_and(|sub| sub.host != main.host) {
        notes.push("The sub stream is on another port than main; the camera must offer both on one.");
    }
    if main.password_removed || sub.is_some_and(|sub| sub.password_removed) {
        notes.push("A path held the password; REMOVED stands for it. Ask the maker for a path without.");
    }
    notes
}

fn key(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str(" = \"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            // Writing to a text cannot fail.
            c if c.is_control() => write!(text, "\\u{:04X}", u32::from(c)).unwrap_or_default(),
            c => text.push(c),
        }
    }
    text.push_str("\"\n");
}

fn comment(text: &mut String, words: &str) {
    for line in words.lines() {
        push_wrapped(text, "# ", "#   ", line);
    }
}

/// A name that no other camera has, of what the camera calls itself, or else of its address.
fn id(camera: &Found, ids: &mut BTreeSet<String>) -> String {
    let called = camera.scopes.name.as_deref().and_then(slug);
    let base = called.unwrap_or_else(|| format!("camera-{}", slug(&camera.address.to_string()).unwrap_or_default()));
    let mut id = base.clone();
    let mut number = 2;
    while !ids.insert(id.clone()) {
        id = format!("{base}-{number}");
        number += 1;
    }
    id
}

/// Letters, digits and single hyphens, at most 32.
fn slug(text: &str) -> Option<String> {
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    slug.truncate(ID_BYTES_MAX);
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
