//! Comparing edge maps: by how much two pictures have their edges in the same blocks. Rows of captions are left out.

use crate::cameras::picture::{BLOCKS_HIGH, BLOCKS_WIDE, CAPTION_ROWS, Grid};

/// Furthest displacement that is looked for, blocks: a good third of the picture.
const COLUMNS_MAX: isize = 22;
const ROWS_MAX: isize = 12;
/// Fewest blocks that two pictures must have in common.
const COMMON_MIN: f64 = 100.0;

/// Sums over pairs of values, for Pearson's correlation.
#[derive(Default, Clone, Copy)]
struct Pairs {
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Pairs {
    fn add(&mut self, x: f64, y: f64) {
        self.count += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.yy += y * y;
        self.xy += x * y;
    }

    /// -1 to 1; none if there are too few pairs, or one side is the same everywhere.
    #[expect(clippy::cast_possible_truncation, reason = "between -1 and 1")]
    fn correlation(self) -> Option<f32> {
        let spread = |sum: f64, squares: f64| squares - sum * sum / self.count;
        if self.count < COMMON_MIN {
            return None;
        }
        let (x, y) = (spread(self.x, self.xx), spread(self.y, self.yy));
        let correlation = (self.xy - self.x * self.y / self.count) / (x * y).sqrt();
        (x > 1.0 && y > 1.0 && correlation.is_finite()).then_some(correlation.clamp(-1.0, 1.0) as f32)
    }
}

/// An edge map to compare with: a mean over many pictures.
pub type Edges = [f32];

/// Correlation of a picture's edges with a reference. Blocks where `visible` is 0 do not count.
pub fn correlation(reference: &Edges, picture: &Grid, visible: &Grid) -> Option<f32> {
    let mut pairs = Pairs::default();
    let blocks = picture.values().iter().zip(visible.values());
    let inner = CAPTION_ROWS * BLOCKS_WIDE..(BLOCKS_HIGH - CAPTION_ROWS) * BLOCKS_WIDE;
    for (reference, (value, visible)) in reference.iter().zip(blocks).take(inner.end).skip(inner.start) {
        if *visible > 0 {
            pairs.add(f64::from(*reference), f64::from(*value));
        }
    }
    pairs.correlation()
}

/// The highest correlation that any displacement by at least two blocks gives.
///
/// Looks at every second column and row of displacements first and then around the best, about 400 comparisons.
pub fn displaced_correlation(reference: &Edges, picture: &Grid, visible: &Grid) -> Option<f32> {
    let far = |(column, row): (isize, isize)| column.abs().max(row.abs()) >= 2;
    let measure = |at| at_displacement(reference, picture, visible, at).map(|value| (value, at));
    let coarse = (-ROWS_MAX..=ROWS_MAX)
        .step_by(2)
        .flat_map(|row| (-COLUMNS_MAX..=COLUMNS_MAX).step_by(2).map(move |column| (column, row)));
    let best = |a: (f32, (isize, isize)), b: (f32, (isize, isize))| if b.0 > a.0 { b } else { a };
    let (_, (column, row)) = coarse.filter(|at| far(*at)).filter_map(measure).reduce(best)?;
    let around = (-1..=1).flat_map(|down| (-1..=1).map(move |across| (column + across, row + down)));
    around
        .filter(|at| far(*at))
        .filter_map(measure)
        .reduce(best)
        .map(|(value, _)| value)
}

fn at_displacement(reference: &Edges, picture: &Grid, visible: &Grid, (column, row): (isize, isize)) -> Option<f32> {
    let mut pairs = Pairs::default();
    // Every second block in both directions is enough to tell one displacement from another.
    let inner = CAPTION_ROWS..BLOCKS_HIGH - CAPTION_ROWS;
    for y in inner.clone().step_by(2) {
        let Some(there) = y.checked_add_signed(row).filter(|there| inner.contains(there)) else {
            continue;
        };
        for x in (0..BLOCKS_WIDE).step_by(2) {
            let Some(across) = x.checked_add_signed(column).filter(|across| *across < BLOCKS_WIDE) else {
                continue;
            };
            let place = there * BLOCKS_WIDE + across;
            let value = picture.values().get(place).zip(visible.values().get(place));
            if let (Some(reference), Some((value, 1..))) = (reference.get(y * BLOCKS_WIDE + x), value) {
                pairs.add(f64::from(*reference), f64::from(*value));
            }
        }
    }
    pairs.correlation()
}

/// A map as bytes; none unless it has one value for each block.
pub fn rounded(edges: &Edges) -> Option<Grid> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped; NaN becomes 0"
    )]
    let bytes: Vec<u8> = edges
        .iter()
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
        .collect();
    Grid::from_bytes(&bytes)
}

/// A picture's map to compare others with.
pub fn exact(grid: &Grid) -> Vec<f32> {
    grid.values().iter().copied().map(f32::from).collect()
}
