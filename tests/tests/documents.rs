//! Documents say what is there: links lead somewhere, commands exist, examples validate, nothing is left undone.

use std::fs;
use std::path::{Path, PathBuf};

use tests::process::{run, workspace_program};
use tests::servers::mosquitto::repository;

/// Folders that hold no files of the project.
const NOT_OURS: [&str; 2] = [".git", "target"];

/// Files of the project whose name ends in one of `endings`.
fn files(endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![repository()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !NOT_OURS.contains(&name) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Targets of `[text](target)` in Markdown.
fn link_targets(text: &str) -> Vec<&str> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn every_link_in_a_document_leads_to_a_file() -> anyhow::Result<()> {
    let mut dead = Vec::new();
    for document in files(&[".md"])? {
        let text = fs::read_to_string(&document)?;
        let folder = document.parent().unwrap_or(Path::new("/"));
        for target in link_targets(&text) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !file.is_empty() && !folder.join(file).exists() {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    Ok(())
}

#[test]
fn every_run_command_that_a_document_names_exists() -> anyhow::Result<()> {
    let usage = run(repository().join("run"), ["help"])?;
    let known: Vec<&str> = usage
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .collect();
    assert!(known.contains(&"demo") && known.contains(&"test"), "{usage}");
    let mut unknown = Vec::new();
    for document in files(&[".md", ".rs", ".toml"])? {
        let text = fs::read_to_string(&document)?;
        for rest in text.split("./run ").skip(1) {
            let verb: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            if !verb.is_empty() && !known.contains(&verb.as_str()) {
                unknown.push(format!("{}: ./run {verb}", document.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    Ok(())
}

#[test]
fn every_benchmark_that_a_document_names_exists() -> anyhow::Result<()> {
    let mut unknown = Vec::new();
    for document in files(&[".md"])? {
        let text = fs::read_to_string(&document)?;
        for rest in text.split("./run bench ").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            let source = repository().join(format!("tests/src/bin/bench-{name}.rs"));
            if !name.is_empty() && !source.is_file() {
                unknown.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    Ok(())
}

#[test]
fn every_example_configuration_validates() -> anyhow::Result<()> {
    let examples = fs::read_dir(repository().join("firmware-config/sites"))?;
    let mut checked = 0;
    for example in examples {
        let path = example?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            run(
                workspace_program("gateway")?,
                [Path::new("check"), &path, Path::new("--no-files")],
            )?;
            checked += 1;
        }
    }
    assert!(checked > 0, "no example was found");
    Ok(())
}

#[test]
fn nothing_is_left_undone_and_nothing_names_the_machine_it_was_written_on() -> anyhow::Result<()> {
    // Put together from halves, so that this file does not find itself.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["HA", "CK"],
        ["In the ", "making"],
        ["Place", "holder."],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["/work/", "main"],
        ["/work/", "shared"],
    ]
    .map(|halves| halves.concat());
    let mut found = Vec::new();
    for file in files(&[".rs", ".md", ".toml", ".sh", ".conf", ".html", ".js", ".css"])? {
        let text = fs::read_to_string(&file)?;
        for (number, line) in text.lines().enumerate() {
            found.extend(
                words
                    .iter()
                    .filter(|word| line.contains(word.as_str()))
                    .map(|word| format!("{}:{}: {word}", file.display(), number + 1)),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    Ok(())
}
