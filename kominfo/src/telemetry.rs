//! Telemetry as a box sends it: whole quarters of an hour, of each series the samples in it.
//!
//! Not signed and not part of the ledger: it may be lost, and may come twice. Times are judged by the city's clock.

use std::collections::BTreeMap;

use parking::{GatewayId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::store::{TELEMETRY_KEPT_DAYS, TelemetryRow};

/// Quarters of one message.
const QUARTERS_MAX: usize = 96;
/// Length of a quarter of an hour, seconds.
pub const QUARTER_S: i64 = 900;
/// How far ahead of the city's clock a quarter may lie, seconds.
const AHEAD_S_MAX: i64 = 86_400;
/// Series of one quarter, and of one box.
pub const SERIES_MAX: usize = 256;

/// A sample: low, mean and high, or one number for the three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sample {
    /// All three.
    One(Number),
    /// Low, mean, high.
    Three([Number; 3]),
}

impl Sample {
    /// Low, mean and high.
    pub fn spread(&self) -> [f64; 3] {
        let value = |number: &Number| number.as_f64().unwrap_or_default();
        match self {
            Self::One(number) => [value(number); 3],
            Self::Three(numbers) => [value(&numbers[0]), value(&numbers[1]), value(&numbers[2])],
        }
    }
}

#[derive(Deserialize)]
struct Message {
    quarters: Vec<Quarter>,
}

#[derive(Deserialize)]
struct Quarter {
    from: Timestamp,
    step_s: i64,
    series: BTreeMap<String, Vec<Option<Sample>>>,
}

/// Reads a message, JSON. Left out are series of names that are not known, and quarters that are older than is kept or more than
/// a day ahead. Tells what is wrong, and in which quarter and series.
pub fn read(text: &[u8], gateway: &GatewayId, now: Timestamp) -> Result<Vec<TelemetryRow>, String> {
    let message: Message = serde_json::from_slice(text).map_err(|error| format!("telemetry: {error}"))?;
    if message.quarters.len() > QUARTERS_MAX {
        return Err(format!("telemetry: more than {QUARTERS_MAX} quarters of an hour"));
    }
    let kept = now.plus_seconds(-TELEMETRY_KEPT_DAYS * 86_400)..now.plus_seconds(AHEAD_S_MAX);
    // By key: of what is told twice in one message the later counts.
    let mut rows = BTreeMap::new();
    for quarter in message.quarters {
        let Quarter { from, step_s, series } = quarter;
        if from.as_millis() % (QUARTER_S * 1_000) != 0 {
            return Err(format!("telemetry: {from} is not the begin of a quarter of an hour"));
        }
        if step_s != 60 && step_s != QUARTER_S {
            return Err(format!(
                "telemetry: quarter {from}: step_s is {step_s}, and not 60 or 900"
            ));
        }
        let known = || series.iter().filter(|(name, _)| is_series_name(name));
        if known().count() > SERIES_MAX {
            return Err(format!("telemetry: quarter {from}: more than {SERIES_MAX} series"));
        }
        for (name, samples) in known().filter(|_| kept.contains(&from)) {
            let wanted = QUARTER_S / step_s;
            if i64::try_from(samples.len()) != Ok(wanted) {
                let found = samples.len();
                return Err(format!(
                    "telemetry: quarter {from}, series {name}: {found} samples, and not {wanted}"
                ));
            }
            let row = TelemetryRow {
                gateway: gateway.to_string(),
                from_ms: from.as_millis(),
                series: name.clone(),
                step_s,
                samples: serde_json::to_string(samples).unwrap_or_default(),
            };
            rows.insert((row.from_ms, name.clone()), row);
        }
    }
    Ok(rows.into_values().collect())
}

/// `camera/ID/up`, `camera/ID/clock_ms`, and of the streams `sub` and `main` `camera/ID/STREAM/` with `fps`, `kbit`, `gop_s`, `lost`.
fn is_series_name(name: &str) -> bool {
    let mut parts = name.split('/');
    let is_camera = parts.next() == Some("camera") && parts.next().is_some_and(live::command::is_camera_name);
    let rest: Vec<&str> = parts.collect();
    is_camera
        && matches!(
            rest.as_slice(),
            ["up" | "clock_ms"] | ["sub" | "main", "fps" | "kbit" | "gop_s" | "lost"]
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-05T12:00:00Z".parse().unwrap_or(Timestamp::EPOCH)
    }

    fn read_text(text: &str) -> Result<Vec<String>, String> {
        let gateway = GatewayId::new("g-1").map_err(|error| error.to_string())?;
        let rows = read(text.as_bytes(), &gateway, now())?;
        Ok(rows
            .into_iter()
            .map(|row| format!("{} {}", row.series, row.samples))
            .collect())
    }

    fn quarter(from: &str, step_s: i64, series: &str) -> String {
        format!(r#"{{"quarters":[{{"from":"{from}","step_s":{step_s},"series":{{{series}}}}}]}}"#)
    }

    #[test]
    fn samples_are_kept_as_they_were_told() {
        let told = quarter(
            "2026-01-05T11:45:00Z",
            900,
            r#""camera/a/sub/fps":[[11,12.5,13]],"camera/a/up":[null],"camera/a/sub/new":[1],"space/a/up":[1],"camera/../x/up":[1]"#,
        );
        assert_eq!(
            read_text(&told),
            Ok(vec![
                "camera/a/sub/fps [[11,12.5,13]]".to_owned(),
                "camera/a/up [null]".to_owned()
            ])
        );
    }

    #[test]
    fn what_is_too_old_or_lies_ahead_is_left_out() {
        for (from, kept) in [
            ("2025-12-06T11:45:00Z", 0),
            ("2025-12-06T12:00:00Z", 1),
            ("2026-01-06T11:45:00Z", 1),
            ("2026-01-06T12:00:00Z", 0),
        ] {
            let told = read_text(&quarter(from, 900, r#""camera/a/up":[1]"#));
            assert_eq!(told.map(|rows| rows.len()), Ok(kept), "{from}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let many: Vec<String> = (0..=SERIES_MAX).map(|n| format!(r#""camera/c{n}/up":[1]"#)).collect();
        let one = quarter("2026-01-05T11:45:00Z", 900, "");
        let inside = one.trim_start_matches(r#"{"quarters":["#).trim_end_matches("]}");
        let quarters = vec![inside; QUARTERS_MAX + 1].join(",");
        for (text, wrong) in [
            ("[]".to_owned(), "telemetry: invalid"),
            (quarter("2026-01-05T11:45:01Z", 900, ""), "11:45:01Z is not the begin"),
            (quarter("2026-01-05T11:45:00Z", 0, ""), "step_s is 0, and not 60 or 900"),
            (
                quarter("2026-01-05T11:45:00Z", 60, r#""camera/a/up":[1,1]"#),
                "quarter 2026-01-05T11:45:00Z, series camera/a/up: 2 samples, and not 15",
            ),
            (
                quarter("2026-01-05T11:45:00Z", 900, r#""camera/a/up":["1"]"#),
                "telemetry: data did not match",
            ),
            (
                quarter("2026-01-05T11:45:00Z", 900, &many.join(",")),
                "more than 256 series",
            ),
            (format!(r#"{{"quarters":[{quarters}]}}"#), "more than 96 quarters"),
        ] {
            let error = read_text(&text).err().unwrap_or_default();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
