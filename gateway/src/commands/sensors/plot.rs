//! A magnetometer's trace on a terminal: how far the field is from the baseline, the thresholds, and the state below.

use textplots::{Chart, Plot as _, Shape};
use wired::adaptive::{Rules, State, View};

/// Dots of the curve; a character is two wide and four high.
const WIDTH: u32 = 144;
const HEIGHT: u32 = 64;
/// The curve ends here, as a multiple of the upper threshold: a vehicle may be far above it, and says no more by that.
const CEILING: f64 = 4.0;

/// What is seen in one column of dots.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    /// Largest and smallest distance.
    high: f64,
    low: f64,
    /// Whether there was any sample.
    seen: bool,
    /// Whether the space was occupied at any time.
    is_occupied: bool,
    is_unknown: bool,
    truth: Option<bool>,
}

/// Samples on their way to a plot.
#[derive(Debug)]
pub(super) struct Plot {
    from_s: f64,
    until_s: f64,
    columns: Vec<Column>,
}

impl Plot {
    pub fn new(from_s: f64, until_s: f64) -> Self {
        Self {
            from_s,
            until_s,
            columns: vec![Column::default(); WIDTH as usize],
        }
    }

    /// Takes what the machine saw at a time.
    pub fn add(&mut self, at_s: f64, view: &View, truth: Option<bool>) {
        let count = self.columns.len();
        let share = (at_s - self.from_s) / (self.until_s - self.from_s).max(1e-9);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes the nearest integer there is"
        )]
        let index = (share * f64::from(WIDTH)) as usize;
        let Some(column) = self.columns.get_mut(index.min(count - 1)) else {
            return;
        };
        let distance = view.distance_nt.unwrap_or(0.0);
        (column.high, column.low) = if column.seen {
            (column.high.max(distance), column.low.min(distance))
        } else {
            (distance, distance)
        };
        column.seen = true;
        column.is_occupied |= view.state == State::Occupied;
        column.is_unknown |= view.state == State::Unknown;
        column.truth = match (column.truth, truth) {
            (Some(before), Some(now)) => Some(before || now),
            (before, now) => now.or(before),
        };
    }

    /// The plot as text.
    pub fn draw(&self, rules: &Rules) -> String {
        let ceiling = rules.enter_nt * CEILING;
        let hours = (self.until_s - self.from_s) / 3_600.0;
        let mut points: Vec<(f32, f32)> = Vec::new();
        let count = small(self.columns.len());
        for (index, column) in self.columns.iter().enumerate().filter(|(_, column)| column.seen) {
            let x = dot(hours) * small(index) / count;
            points.extend([column.low, column.high].map(|nt| (x, dot(nt.min(ceiling)))));
        }
        let [enter, leave] = [rules.enter_nt, rules.leave_nt].map(|nt| [(0.0, dot(nt)), (dot(hours), dot(nt))]);
        let shapes = [Shape::Lines(&points), Shape::Lines(&enter), Shape::Lines(&leave)];
        let mut chart = Chart::new_with_y_range(WIDTH, HEIGHT, 0.0, dot(hours), 0.0, dot(ceiling));
        let drawn = shapes.iter().fold(&mut chart, |chart, shape| chart.lineplot(shape));
        drawn.figures();
        let curve = drawn.to_string();
        let bar = |of: &dyn Fn(&Column) -> char| {
            let pairs = self.columns.chunks(2);
            let more = |a: char, b: char| if a == '█' || b == ' ' { a } else { b };
            pairs
                .map(|pair| pair.iter().map(of).reduce(more).unwrap_or(' '))
                .collect::<String>()
        };
        let state = bar(&|column| match column {
            Column { is_occupied: true, .. } => '█',
            Column { is_unknown: true, .. } => '?',
            Column { seen: true, .. } => '·',
            Column { .. } => ' ',
        });
        let truth = bar(&|column| match column.truth {
            Some(true) => '█',
            Some(false) => '·',
            None => ' ',
        });
        let has_truth = self.columns.iter().any(|column| column.truth.is_some());
        let truth = if has_truth {
            format!("\n{truth} truth")
        } else {
            String::new()
        };
        format!(
            "nT from the baseline, by hours; lines at {:.0} and {:.0} nT\n{curve}{state} state{truth}",
            rules.leave_nt, rules.enter_nt
        )
    }
}

/// A number as it is drawn.
#[expect(clippy::cast_possible_truncation, reason = "a dot is coarser")]
fn dot(number: f64) -> f32 {
    number as f32
}

fn small(number: usize) -> f32 {
    u16::try_from(number).map_or(f32::from(u16::MAX), f32::from)
}
