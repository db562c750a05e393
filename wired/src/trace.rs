//! Samples of a magnetometer as a file: CSV, a line a sample, `seconds,x,y,z` in nanotesla.
//!
//! Lines that begin with `#` say where the trace is from. Of a trace that somebody watched, or that was made up, a fifth
//! column says whether a vehicle stood there (1) or not (0).

use std::fmt::Write as _;

use crate::Field;
use crate::adaptive::Sample;

/// The line that names the columns.
const COLUMNS: &str = "seconds,x_nt,y_nt,z_nt";

/// A line of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// What was measured.
    pub sample: Sample,
    /// Whether a vehicle stood there, if that is known.
    pub truth: Option<bool>,
}

/// Why a file is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TraceError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// The begin of a file; `about` says where the trace is from.
pub fn header(about: &str) -> String {
    let about = about.lines().collect::<Vec<_>>().join("\n# ");
    format!("# {about}\n{COLUMNS}\n")
}

/// One line of a file.
pub fn line(line: &Line) -> String {
    let Line { sample, truth } = line;
    let Field { x, y, z } = sample.field;
    let mut text = format!("{:.3},{x:.0},{y:.0},{z:.0}", sample.at_s);
    if let Some(truth) = truth {
        // Writing to a string cannot fail.
        write!(text, ",{}", u8::from(*truth)).ok();
    }
    text.push('\n');
    text
}

/// Reads a file. Times must go on.
pub fn parse(text: &str) -> Result<Vec<Line>, TraceError> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') || text.starts_with("seconds") {
            continue;
        }
        let error = |reason: String| TraceError {
            line: index + 1,
            reason,
        };
        let line = parse_line(text).map_err(error)?;
        if let Some(before) = lines.last().filter(|before| before.sample.at_s >= line.sample.at_s) {
            return Err(error(format!(
                "its time, {} s, is not after the one before, {} s",
                line.sample.at_s, before.sample.at_s
            )));
        }
        lines.push(line);
    }
    Ok(lines)
}

fn parse_line(text: &str) -> Result<Line, String> {
    let columns: Vec<&str> = text.split(',').map(str::trim).collect();
    let (numbers, truth) = match columns.as_slice() {
        [at, x, y, z] => ([at, x, y, z], None),
        [at, x, y, z, truth] => ([at, x, y, z], Some(*truth)),
        _ => {
            let count = columns.len();
            return Err(format!(
                "{count} columns, expected {COLUMNS} and perhaps the truth, 0 or 1"
            ));
        }
    };
    let mut parsed = [0.0; 4];
    for (text, number) in numbers.into_iter().zip(&mut parsed) {
        *number = text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| format!("\"{text}\" is no number"))?;
    }
    let truth = match truth {
        None | Some("") => None,
        Some("1") => Some(true),
        Some("0") => Some(false),
        Some(other) => return Err(format!("\"{other}\" is no truth, expected 0 or 1")),
    };
    let [at_s, x, y, z] = parsed;
    let field = Field::new(x, y, z);
    Ok(Line {
        sample: Sample { at_s, field },
        truth,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let lines = [(0.0, Some(true)), (0.2, Some(false)), (0.4, None)].map(|(at_s, truth)| Line {
            sample: Sample {
                at_s,
                field: Field::new(-41_234.0, 0.0, 12.0),
            },
            truth,
        });
        let text = header("made up\nseed 1") + &lines.iter().map(line).collect::<String>();
        assert!(
            text.starts_with("# made up\n# seed 1\nseconds,x_nt,y_nt,z_nt\n0.000,-41234,0,12,1\n"),
            "{text}"
        );
        assert_eq!(parse(&text).unwrap(), lines);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            (
                "1,2,3",
                "line 1: 3 columns, expected seconds,x_nt,y_nt,z_nt and perhaps the truth, 0 or 1",
            ),
            ("# a\n1,2,3,x", "line 2: \"x\" is no number"),
            ("1,2,3,inf", "line 1: \"inf\" is no number"),
            ("1,2,3,4,5", "line 1: \"5\" is no truth, expected 0 or 1"),
            (
                "2,2,3,4\n\n1,2,3,4",
                "line 3: its time, 1 s, is not after the one before, 2 s",
            ),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), error);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[0-9.,#eE\\-\\n a-z]{0,80}") {
            drop(parse(&text));
        }
    }
}
