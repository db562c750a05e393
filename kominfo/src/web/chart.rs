//! A day of one series as a picture: its mean as a line in a band from the lowest to the highest, gaps, and the hours.

use std::fmt::Write as _;

use parking::{Timestamp, Timezone};

use super::series::Quarter;
use crate::moment::{day, hour};

/// What a picture shows, seconds.
pub(super) const DAY_S: i64 = 86_400;
/// Length of one column, seconds.
const COLUMN_S: i64 = 300;
/// Columns of a picture: a day.
const COLUMNS: usize = 288;
/// Height of a picture in its own units.
const HEIGHT: f64 = 48.0;
/// Hours that are named: each sixth of the day.
const HOURS_NAMED: i8 = 6;

/// A series in columns of five minutes.
pub(super) struct Chart {
    begin: Timestamp,
    /// Low, mean, high of each; none where nothing is known.
    columns: Vec<Option<[f64; 3]>>,
}

impl Chart {
    /// The 24 hours after `begin`.
    pub(super) fn of(quarters: &[Quarter], begin: Timestamp) -> Self {
        let mut gathered: Vec<Vec<[f64; 3]>> = vec![Vec::new(); COLUMNS];
        for quarter in quarters {
            for (place, sample) in (0..).zip(&quarter.samples) {
                let Some(sample) = sample else { continue };
                let from_s = quarter.from.millis_since(begin) / 1_000 + place * quarter.step_s;
                // A sample that is longer than a column fills several.
                let to_s = from_s + quarter.step_s;
                for column in from_s.div_euclid(COLUMN_S)..=(to_s - 1).div_euclid(COLUMN_S) {
                    let column = usize::try_from(column).ok();
                    if let Some(samples) = column.and_then(|column| gathered.get_mut(column)) {
                        samples.push(sample.spread());
                    }
                }
            }
        }
        Self {
            begin,
            columns: gathered.iter().map(|samples| together(samples)).collect(),
        }
    }

    fn told(&self) -> impl Iterator<Item = [f64; 3]> {
        self.columns.iter().flatten().copied()
    }

    /// Mean of what is known.
    pub(super) fn mean(&self) -> Option<f64> {
        let samples: Vec<_> = self.told().collect();
        together(&samples).map(|[_, mean, _]| mean)
    }

    /// Lowest and highest of what is known.
    pub(super) fn extremes(&self) -> (f64, f64) {
        let samples: Vec<_> = self.told().collect();
        together(&samples).map_or((0.0, 0.0), |[low, _, high]| (low, high))
    }

    /// Share of the day of which something is known.
    pub(super) fn known(&self) -> f64 {
        part(self.told().count(), COLUMNS)
    }

    /// The picture. `words` say what it shows, for those who do not see it.
    pub(super) fn picture(&self, words: &str, timezone: Timezone) -> String {
        let (mut lines, mut names) = (String::new(), String::new());
        for (column, name) in self.hours(timezone) {
            add!(lines, r#"<path class="hour" d="M{column},0V{HEIGHT}"/>"#);
            let share = part(column, COLUMNS) * 100.0;
            add!(names, r#"<text x="{share:.2}%" y="1em">{name}</text>"#);
        }
        format!(
            r#"<svg class="line" viewBox="0 0 {COLUMNS} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{words}">
{lines}{}</svg>
<svg class="hours" aria-hidden="true">
{names}</svg>"#,
            self.shapes()
        )
    }

    /// Columns where a named hour begins, with its name; midnight is named by its day.
    fn hours(&self, timezone: Timezone) -> Vec<(usize, String)> {
        let named = (0..COLUMNS).zip(0..).filter_map(|(column, place)| {
            let time = self.begin.plus_seconds(place * COLUMN_S);
            let civil = timezone.civil(time);
            let name = match (civil.hour() % HOURS_NAMED, civil.minute()) {
                (0, 0) if civil.hour() == 0 => day(time, timezone),
                (0, 0) => hour(time, timezone),
                _ => return None,
            };
            Some((column, name))
        });
        named.collect()
    }

    /// Band and line, in pieces where something is known; where nothing is, a grey ground.
    fn shapes(&self) -> String {
        let (_, top) = self.extremes();
        let height = |value: f64| {
            let share = if top > 0.0 { value / top } else { 0.0 };
            (HEIGHT - 2.0) - share * (HEIGHT - 4.0)
        };
        let mut shapes = String::new();
        let mut end = 0;
        for piece in self.columns.chunk_by(|one, next| one.is_some() == next.is_some()) {
            let start = end;
            end += piece.len();
            let known: Vec<_> = (start..).zip(piece.iter().flatten().copied()).collect();
            let Some((_, last)) = known.last().copied() else {
                let width = piece.len();
                add!(
                    shapes,
                    r#"<rect class="gap" x="{start}" y="0" width="{width}" height="{HEIGHT}"/>"#
                );
                continue;
            };
            // The last is drawn to its end, so that a single column is seen too.
            let known: Vec<_> = known.into_iter().chain([(end, last)]).collect();
            let points = |of: fn([f64; 3]) -> f64| {
                known
                    .iter()
                    .map(move |(column, sample)| format!("{column},{:.1}", height(of(*sample))))
            };
            let means = join(points(|[_, mean, _]| mean));
            let band = join(points(|[low, ..]| low).chain(points(|[.., high]| high).rev()));
            add!(shapes, r#"<polygon points="{band}"/><polyline points="{means}"/>"#);
        }
        shapes
    }
}

fn join(points: impl Iterator<Item = String>) -> String {
    points.collect::<Vec<_>>().join(" ")
}

/// Low, mean and high of several.
fn together(samples: &[[f64; 3]]) -> Option<[f64; 3]> {
    let low = samples.iter().map(|[low, ..]| *low).reduce(f64::min)?;
    let high = samples.iter().map(|[.., high]| *high).reduce(f64::max)?;
    let sum: f64 = samples.iter().map(|[_, mean, _]| mean).sum();
    Some([low, sum / whole_number(samples.len()), high])
}

fn part(count: usize, whole: usize) -> f64 {
    whole_number(count) / whole_number(whole)
}

fn whole_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quarter(minutes: i64, step_s: i64, samples: &str) -> Quarter {
        Quarter {
            from: Timestamp::EPOCH.plus_seconds(minutes * 60),
            step_s,
            samples: serde_json::from_str(samples).unwrap(),
        }
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_is_known_and_none_where_nothing_came() {
        let chart = Chart::of(
            &[
                quarter(0, 60, "[12,12,12,12,12,0,0,0,0,0,null,null,null,null,null]"),
                quarter(15, 900, "[[6,12,24]]"),
                quarter(
                    1_425,
                    60,
                    "[null,null,null,null,null,null,null,null,null,null,null,null,null,null,9]",
                ),
            ],
            Timestamp::EPOCH,
        );
        let expected = [
            r#"<polygon points="0,24.0 1,46.0 2,46.0 2,46.0 1,46.0 0,24.0"/><polyline points="0,24.0 1,46.0 2,46.0"/>"#,
            r#"<rect class="gap" x="2" y="0" width="1" height="48"/>"#,
            r#"<polygon points="3,35.0 4,35.0 5,35.0 6,35.0 6,2.0 5,2.0 4,2.0 3,2.0"/>"#,
            r#"<rect class="gap" x="6" y="0" width="281" height="48"/>"#,
            r#"<polygon points="287,29.5 288,29.5 288,29.5 287,29.5"/><polyline points="287,29.5 288,29.5"/>"#,
        ];
        let shapes = chart.shapes();
        let drawn: Vec<_> = shapes.lines().collect();
        assert_eq!(drawn.len(), expected.len(), "{shapes}");
        for (drawn, expected) in drawn.iter().zip(expected) {
            assert!(drawn.starts_with(expected), "{drawn}");
        }
        assert_eq!(chart.extremes(), (0.0, 24.0));
        assert_eq!(chart.told().count(), 6);
    }

    #[test]
    fn what_lies_outside_of_the_day_is_not_drawn() {
        let chart = Chart::of(
            &[quarter(-15, 900, "[5]"), quarter(1_440, 900, "[5]")],
            Timestamp::EPOCH,
        );
        assert_eq!((chart.mean(), chart.known()), (None, 0.0));
    }

    #[test]
    fn hours_are_named_on_the_sites_clock() {
        let begin: Timestamp = "2026-11-21T13:15:00Z".parse().unwrap();
        let chart = Chart::of(&[], begin);
        let hours = chart.hours(Timezone::Wib);
        let named = [(45, "22/11"), (117, "06.00"), (189, "12.00"), (261, "18.00")];
        assert_eq!(hours, named.map(|(column, name)| (column, name.to_owned())));
    }
}
