//! Shows what was found: a table to read, and sections for the configuration to copy. Pure.
//!
//! Both are plain text. Foreign words in them were made fit to be shown when they were read; in TOML they are quoted
//! besides. The table is at most [`WIDTH_MAX`] columns wide, so are the notes below it.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::address::Stream;
use super::found::{Found, FoundProfile, offset_text};
use super::media::Codec;

/// Widest line, columns.
const WIDTH_MAX: usize = 120;
/// Widest cell of each column of the table. What is longer is cut, with an ellipsis.
const CELLS_MAX: [usize; 6] = [23, 30, 20, 17, 16, 8];
/// Longest name of a camera in the configuration, bytes.
const NAME_BYTES_MAX: usize = 32;
/// The profile in the configuration for cameras without one of their own.
const GENERIC: &str = "generic";

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
    let mut line = first.to_owned();
    let mut empty = true;
    for word in words.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH_MAX {
            text.push_str(&line);
            text.push('\n');
            next.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    text.push_str(&line);
    text.push('\n');
}

/// The cameras in `found` as `[[camera]]` sections. `profiles` are the camera profiles that the configuration knows: a
/// camera whose maker is none of them gets the generic one.
pub fn config_sections(found: &[Found], profiles: &[&str]) -> String {
    let mut text = String::new();
    let mut names = BTreeSet::new();
    for camera in found {
        if !text.is_empty() {
            text.push('\n');
        }
        push_section(&mut text, camera, &name(camera, &mut names), profiles);
    }
    text
}

fn push_section(text: &mut String, camera: &Found, name: &str, profiles: &[&str]) {
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
    let with_stream = |profile: &'_ FoundProfile| profile.stream.clone().map(|stream| (stream, profile.media.clone()));
    let Some((main, main_media)) = camera.main().and_then(with_stream) else {
        comment(text, "No section: it did not tell where its main stream is.");
        for problem in &camera.problems {
            comment(text, &problem.to_string());
        }
        return;
    };
    let sub = camera.sub().and_then(with_stream);
    text.push_str("[[camera]]\n");
    key(text, "name", name);
    key(text, "host", &main.host.to_string());
    key(text, "main", &main.path);
    match &sub {
        Some((sub, _)) => key(text, "sub", &sub.path),
        None => comment(text, "sub = \"...\": there is no smaller stream"),
    }
    // The codec is the one of the stream that the ring and the live view take.
    let codec = sub.as_ref().map_or(&main_media.codec, |(_, media)| &media.codec);
    key(text, "codec", if *codec == Codec::H265 { "h265" } else { "h264" });
    key(text, "profile", camera_profile(&information.manufacturer, profiles));
    comment(
        text,
        &format!("Put user and password into the secrets file: {name} = {{ user = \"...\", password = \"...\" }}"),
    );
    for note in stream_notes(&main, sub.as_ref().map(|(sub, _)| sub)) {
        comment(text, note);
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

/// The profile of the cameras of this maker, if it is one of `profiles`.
fn camera_profile<'a>(manufacturer: &str, profiles: &[&'a str]) -> &'a str {
    // Makers under the name of their own brands, or of those who sell them.
    let brands = [
        ("hilook", "hikvision"),
        ("ezviz", "hikvision"),
        ("imou", "dahua"),
        ("amcrest", "dahua"),
    ];
    let maker = slug(manufacturer).unwrap_or_default();
    let brand = brands.iter().find(|(brand, _)| maker.starts_with(brand));
    let maker = brand.map_or(maker.as_str(), |(_, maker)| maker);
    let known = profiles.iter().find(|profile| maker.starts_with(**profile));
    known.copied().unwrap_or(GENERIC)
}

/// A name that no other camera has, of what the camera calls itself, or else of its address.
fn name(camera: &Found, names: &mut BTreeSet<String>) -> String {
    let called = camera.scopes.name.as_deref().and_then(slug);
    let base = called.unwrap_or_else(|| format!("camera-{}", slug(&camera.address.to_string()).unwrap_or_default()));
    let mut name = base.clone();
    let mut number = 2;
    while !names.insert(name.clone()) {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}

/// Letters, digits and single hyphens, at most 32.
fn slug(text: &str) -> Option<String> {
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    slug.truncate(NAME_BYTES_MAX);
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
