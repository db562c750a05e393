//! `gateway sensors record` and `replay`: a made-up street, what is decided, and wrong input.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::path::Path;
use std::process::{Command, Output};

fn sensors(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.arg("sensors").args(arguments).output().unwrap()
}

fn recorded(folder: &Path, scenario: &str) -> String {
    let file = folder.join("trace.csv").to_str().unwrap().to_owned();
    let output = sensors(&[
        "record",
        "--made-up",
        scenario,
        "--seed",
        "7",
        "--hours",
        "4",
        "--output",
        &file,
    ]);
    assert!(output.status.success(), "{output:?}");
    file
}

#[test]
fn what_is_recorded_is_replayed_with_a_plot_its_decisions_and_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let file = recorded(folder.path(), "heat");
    let output = sensors(&["replay", &file, "--profile", "lis3mdl"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("72000 samples in 4:00:00"), "{text}");
    let bars: Vec<&str> = text.lines().filter_map(|line| line.strip_suffix(" state")).collect();
    assert_eq!(bars.len(), 1, "{text}");
    assert!(bars[0].contains('\u{2588}') && bars[0].contains('\u{b7}'), "{text}");
    let truth = text.lines().last().unwrap();
    let stays: usize = truth.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(stays >= 4, "{truth}");
    assert_eq!(
        truth,
        format!("truth: {stays} stays; {stays} arrivals and {stays} departures found, 0 invented")
    );

    // A threshold above every vehicle finds none, and says so.
    let blind = sensors(&[
        "replay",
        &file,
        "--profile",
        "lis3mdl",
        "--no-plot",
        "--set",
        "enter_nt=1000000",
        "--set",
        "leave_nt=900000",
    ]);
    let text = String::from_utf8(blind.stdout).unwrap();
    assert!(
        text.contains("; 0 arrivals and 0 departures found, 0 invented"),
        "{text}"
    );
    assert!(!text.contains(" state"), "{text}");
}

#[test]
fn wrong_input_is_told_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = recorded(folder.path(), "quiet");
    let noisy = folder.path().join("noisy.csv");
    let lines = (0..100).map(|at| format!("{at},{},0,0", at % 7 * 9_000));
    std::fs::write(&noisy, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let empty = folder.path().join("empty.csv");
    std::fs::write(&empty, "# nothing\n").unwrap();
    let [noisy, empty] = [&noisy, &empty].map(|path| path.to_str().unwrap());
    let replay = |file: &str, more: &[&str]| sensors(&[&["replay", file, "--profile"], more].concat());
    for (output, told) in [
        (replay("gone.csv", &["mmc5603"]), "cannot read gone.csv"),
        (
            replay(&file, &["webhook"]),
            "decide themselves: there is nothing to replay",
        ),
        (replay(&file, &["mmc5604"]), "there is no profile \"mmc5604\""),
        (
            replay(&file, &["mmc5603", "--set", "enter=1"]),
            "expected one of enter_nt",
        ),
        (
            replay(&file, &["mmc5603", "--set", "leave_nt"]),
            "expected a rule and a number",
        ),
        (
            replay(&file, &["mmc5603", "--set", "leave_nt=9000"]),
            "must be below enter_nt",
        ),
        (replay(noisy, &["mmc5603"]), "its field is never quiet"),
        (replay(empty, &["mmc5603"]), "has no samples"),
        (
            sensors(&["record", "--made-up", "quiet", "--hours", "1000"]),
            "at most 168",
        ),
    ] {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(told), "{error}");
        assert_eq!(output.status.code(), Some(2), "{error}");
    }
}
