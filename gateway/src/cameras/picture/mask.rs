//! Parts of the view that nobody may see: polygons in the configuration, opaque in every picture.
//!
//! Coordinates are shares of width and height, so that one mask fits main stream and substream. A polygon is filled by
//! the even-odd rule; crossing itself is allowed. Polygons add up.
//!
//! The raster has a cell for each chroma sample, that is for two by two pixels. A cell is hidden if the polygon touches
//! it anywhere, or touches a neighbour: chroma is interpolated on display, and a single sample at the border would
//! colour the pixels beside it. Filling by scan lines through the cells' centres finds what is inside; a walk along the
//! edges finds cells that are only grazed, and slivers thinner than a cell.

use std::fmt;

use super::number;

/// Polygons of one camera. More are refused by the configuration.
pub const POLYGONS_MAX: usize = 32;
/// Points of one polygon. More are refused by the configuration.
pub const POINTS_MAX: usize = 64;
/// Corners whose triangle is smaller than this share of the picture are in line.
const AREA_MIN: f64 = 1e-6;

/// What the mask of a camera hides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mask {
    polygons: Vec<Vec<[f64; 2]>>,
}

/// Something in the configuration of a mask that must be changed. Prints as one line, and a second one with the hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskProblem {
    /// The polygon, counted from 0; none when their number is meant.
    pub polygon: Option<usize>,
    /// The point of the polygon, counted from 0; none when the polygon as a whole is meant.
    pub point: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

impl fmt::Display for MaskProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mask")?;
        if let Some(polygon) = self.polygon {
            write!(f, "[{polygon}]")?;
        }
        if let Some(point) = self.point {
            write!(f, "[{point}]")?;
        }
        write!(f, ": {}\n  hint: {}", self.message, self.hint)
    }
}

impl std::error::Error for MaskProblem {}

impl Mask {
    /// A mask of polygons, each a list of points `[x, y]`; every problem at once if there are any.
    pub fn new(polygons: Vec<Vec<[f64; 2]>>) -> Result<Self, Vec<MaskProblem>> {
        let mut problems = Vec::new();
        if polygons.len() > POLYGONS_MAX {
            problems.push(MaskProblem {
                polygon: None,
                point: None,
                message: format!("{} polygons", polygons.len()),
                hint: format!("at most {POLYGONS_MAX}; join neighbours into one"),
            });
        }
        for (index, points) in polygons.iter().enumerate().take(POLYGONS_MAX) {
            check_polygon(index, points, &mut problems);
        }
        if problems.is_empty() {
            Ok(Self { polygons })
        } else {
            Err(problems)
        }
    }

    /// Hides nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Which cells of a picture of `width` by `height` pixels are hidden, row after row; empty if none can be.
    pub(super) fn raster(&self, width: usize, height: usize) -> Vec<bool> {
        if self.polygons.is_empty() {
            return Vec::new();
        }
        let (wide, high) = (width.div_ceil(2), height.div_ceil(2));
        let half = |pixels: usize| number::real(number::long(pixels)) / 2.0;
        let mut raster = Raster {
            size: [half(width), half(height)],
            wide,
            high,
            cells: vec![false; wide * high],
        };
        for points in &self.polygons {
            raster.fill(points);
            raster.outline(points);
        }
        raster.cells
    }
}

fn check_polygon(index: usize, points: &[[f64; 2]], problems: &mut Vec<MaskProblem>) {
    let count = points.len();
    let mut problem = |point: Option<usize>, message: String, hint: String| {
        problems.push(MaskProblem {
            polygon: Some(index),
            point,
            message,
            hint,
        });
    };
    if !(3..=POINTS_MAX).contains(&count) {
        problem(
            None,
            format!("a polygon of {count} point{}", if count == 1 { "" } else { "s" }),
            format!("a polygon has 3 to {POINTS_MAX} points"),
        );
        return;
    }
    let mut is_inside = true;
    for (place, point) in points.iter().enumerate() {
        for (name, value) in ["x", "y"].into_iter().zip(point) {
            if !(0.0..=1.0).contains(value) {
                is_inside = false;
                problem(
                    Some(place),
                    format!("{name} = {value} is outside the picture"),
                    "x and y are shares of width and height, from 0 (left, top) to 1 (right, bottom)".to_owned(),
                );
            }
        }
    }
    if is_inside && is_flat(points) {
        problem(
            None,
            "all points are in one line, so nothing would be hidden".to_owned(),
            "name the corners of an area, in order around it".to_owned(),
        );
    }
}

/// Whether all points are in one line. The usual formula for the area will not do: it is zero for a figure of eight.
fn is_flat(points: &[[f64; 2]]) -> bool {
    let Some(first) = points.first() else {
        return true;
    };
    let away = |[x, y]: &[f64; 2]| [x - first[0], y - first[1]];
    let length = |[x, y]: [f64; 2]| x * x + y * y;
    let far = points
        .iter()
        .map(away)
        .max_by(|a, b| length(*a).total_cmp(&length(*b)))
        .unwrap_or_default();
    points
        .iter()
        .map(away)
        .all(|[x, y]| (far[0] * y - far[1] * x).abs() < AREA_MIN)
}

/// The edges of a closed polygon.
fn edges(points: &[[f64; 2]]) -> impl Iterator<Item = ([f64; 2], [f64; 2])> {
    points
        .iter()
        .zip(points.iter().cycle().skip(1))
        .map(|(from, to)| (*from, *to))
}

struct Raster {
    /// Width and height in cells: half a cell less than there are if the side is odd.
    size: [f64; 2],
    wide: usize,
    high: usize,
    cells: Vec<bool>,
}

impl Raster {
    /// Hides cells `from` to `to` of a row, and their neighbours.
    fn hide(&mut self, row: usize, from: usize, to: usize) {
        let last = self.wide.saturating_sub(1);
        let (from, to) = (from.saturating_sub(1), to.saturating_add(1).min(last));
        for row in row.saturating_sub(1)..=row.saturating_add(1).min(self.high.saturating_sub(1)) {
            let start = row * self.wide;
            if let Some(cells) = self.cells.get_mut(start + from..=start + to) {
                cells.fill(true);
            }
        }
    }

    fn fill(&mut self, points: &[[f64; 2]]) {
        let [wide, high] = self.size;
        let mut crossings = Vec::new();
        for row in 0..self.high {
            let y = (number::real(number::long(row)) + 0.5) / high;
            crossings.clear();
            for (from, to) in edges(points) {
                // Half open, so that a corner on the line counts once.
                if (from[1] <= y) != (to[1] <= y) {
                    let share = (y - from[1]) / (to[1] - from[1]);
                    crossings.push(from[0] + share * (to[0] - from[0]));
                }
            }
            crossings.sort_by(f64::total_cmp);
            let last = self.wide.saturating_sub(1);
            for pair in crossings.chunks_exact(2) {
                if let [left, right] = pair {
                    self.hide(
                        row,
                        number::to_index(left * wide, last),
                        number::to_index(right * wide, last),
                    );
                }
            }
        }
    }

    /// Hides every cell that an edge passes through, by steps of at most half a cell. What a step jumps over is a
    /// neighbour of a cell that it meets.
    fn outline(&mut self, points: &[[f64; 2]]) {
        let [wide, high] = self.size;
        let (last_column, last_row) = (self.wide.saturating_sub(1), self.high.saturating_sub(1));
        for (from, to) in edges(points) {
            let (across, down) = ((to[0] - from[0]) * wide, (to[1] - from[1]) * high);
            let steps = number::to_index(across.abs().max(down.abs()) * 2.0, usize::MAX).saturating_add(1);
            for step in 0..=steps {
                let share = number::real(number::long(step)) / number::real(number::long(steps));
                let column = number::to_index(from[0] * wide + share * across, last_column);
                let row = number::to_index(from[1] * high + share * down, last_row);
                self.hide(row, column, column);
            }
        }
    }
}
