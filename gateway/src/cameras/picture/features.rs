//! What can be measured on one picture, small enough to keep and to compare with later ones.
//!
//! All but two measures come from the luma at 320 by 180: the mean over many pixels takes out most noise and most of
//! what compression does. Finer are the Laplacian variance at full size, which says whether the focus is right, and one
//! single pixel of each block, which tells a live picture (noise in each pixel) from one that is only quiet.
//!
//! Cameras write their name and the time at the top or bottom, in sharp white that neither dirt nor turning the camera
//! changes. So only the thumbnail and the single pixels have these rows; all other measures leave them out
//! ([`CAPTION_ROWS`]). A caption elsewhere has to be masked.
//!
//! A block with a hidden pixel counts in nothing: not in means, not in edges, where the border of the mask would be
//! the strongest and never change.

use serde::{Deserialize, Serialize};

use super::frame::Picture;
use super::grid::{BLOCKS, BLOCKS_HIGH, BLOCKS_WIDE, Grid};
use super::number::{long, real, short, to_byte};
use super::scale::{part, part_of, shrink};

/// Size at which a picture is measured, pixels. A smaller one is measured as it is.
const SMALL: (usize, usize) = (320, 180);
/// Every how many columns and rows the Laplacian is taken at full size.
const FULL_STEP: (usize, usize) = (5, 7);
/// Rows of blocks at the top, and as many at the bottom, where captions are: 14 % of the height each.
pub const CAPTION_ROWS: usize = 5;
/// Value of a block with as many edges as the blocks around it.
const EDGE_MIDDLE: f32 = 128.0;
/// Steps of an edge block for the picture's mean strength.
const EDGE_STEPS: f32 = 60.0;
/// Blocks to each side that are "around".
const AROUND: usize = 3;

/// Measures of one masked picture. About 9 kB as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Mean luma of each block, 1 to 255; 0 where the mask hides it.
    pub thumbnail: Grid,
    /// Whether a block has more edges (above 128) or fewer (below) than the blocks around it, as a share of the
    /// picture's mean: the same at any light. Every street has edges in the middle and none in the sky; that is left out.
    pub edges: Grid,
    /// Luma of the pixel in the middle of each block.
    pub pixels: Grid,
    /// Mean luma, 0 to 255.
    pub mean: f32,
    /// Standard deviation of luma.
    pub deviation: f32,
    /// Luma below which 5 % of the picture are.
    pub dark: u8,
    /// Luma below which 95 % of the picture are.
    pub bright: u8,
    /// Variance of the Laplacian at 320 by 180, less that of noise: detail of the scene.
    pub detail: f32,
    /// Variance of the Laplacian at full size, sampled: focus, and noise.
    pub focus: f32,
}

impl Features {
    /// Measures a picture.
    pub fn of(picture: &Picture) -> Self {
        let small = Small::of(picture);
        let (mean, deviation) = small.moments();
        let (dark, bright) = small.percentiles();
        Self {
            thumbnail: small.thumbnail(),
            edges: small.edges(),
            pixels: small.pixels(picture),
            mean,
            deviation,
            dark,
            bright,
            detail: small.detail(),
            focus: small.focus(picture),
        }
    }

    /// Share of the picture that the mask leaves visible, 0 to 1.
    pub fn visible(&self) -> f32 {
        let visible = self.thumbnail.values().iter().filter(|luma| **luma > 0).count();
        short(real(long(visible)) / real(long(BLOCKS)))
    }
}

/// The luma plane at the size at which it is measured.
struct Small {
    wide: usize,
    high: usize,
    luma: Vec<u8>,
    /// For each block.
    visible: Vec<bool>,
    /// For each pixel of `luma`, whether its block is visible.
    shown: Vec<bool>,
}

/// Sum, sum of squares and count.
#[derive(Default, Clone, Copy)]
struct Sums {
    count: u64,
    sum: i64,
    squares: u64,
}

impl Sums {
    fn add(&mut self, value: i32) {
        self.count += 1;
        self.sum += i64::from(value);
        self.squares += u64::from(value.unsigned_abs()).pow(2);
    }

    fn mean(self) -> f64 {
        real(self.sum.unsigned_abs()) * if self.sum < 0 { -1.0 } else { 1.0 } / real(self.count.max(1))
    }

    fn variance(self) -> f64 {
        (real(self.squares) / real(self.count.max(1)) - self.mean().powi(2)).max(0.0)
    }
}

impl Small {
    fn of(picture: &Picture) -> Self {
        let from = (picture.width, picture.height);
        let (wide, high) = (SMALL.0.min(from.0), SMALL.1.min(from.1));
        let luma = shrink(&picture.y, from, (wide, high));
        let mut small = Self {
            wide,
            high,
            luma,
            visible: vec![true; BLOCKS],
            shown: vec![true; wide * high],
        };
        if !picture.hidden.is_empty() {
            small.leave_out(picture);
        }
        small.leave_out_captions();
        small
    }

    fn leave_out_captions(&mut self) {
        let inner = part(CAPTION_ROWS, BLOCKS_HIGH, self.high).start
            ..part(BLOCKS_HIGH - CAPTION_ROWS, BLOCKS_HIGH, self.high).start;
        for (row, shown) in self.shown.chunks_exact_mut(self.wide).enumerate() {
            if !inner.contains(&row) {
                shown.fill(false);
            }
        }
    }

    fn leave_out(&mut self, picture: &Picture) {
        for index in 0..BLOCKS {
            let (columns, rows) = self.block(index);
            let across = part(columns.start, self.wide, picture.width).start
                ..part(columns.end.saturating_sub(1), self.wide, picture.width).end;
            let mut down = part(rows.start, self.high, picture.height).start
                ..part(rows.end.saturating_sub(1), self.high, picture.height).end;
            let is_hidden = down.any(|y| across.clone().any(|x| picture.is_hidden(x, y)));
            if is_hidden {
                if let Some(visible) = self.visible.get_mut(index) {
                    *visible = false;
                }
                for row in rows {
                    let start = row * self.wide;
                    if let Some(shown) = self.shown.get_mut(start + columns.start..start + columns.end) {
                        shown.fill(false);
                    }
                }
            }
        }
    }

    /// Columns and rows of a block.
    fn block(&self, index: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        (
            part(index % BLOCKS_WIDE, BLOCKS_WIDE, self.wide),
            part(index / BLOCKS_WIDE, BLOCKS_HIGH, self.high),
        )
    }

    fn shown(&self) -> impl Iterator<Item = u8> {
        self.luma
            .iter()
            .zip(&self.shown)
            .filter_map(|(luma, shown)| shown.then_some(*luma))
    }

    fn moments(&self) -> (f32, f32) {
        let mut sums = Sums::default();
        for luma in self.shown() {
            sums.add(i32::from(luma));
        }
        (short(sums.mean()), short(sums.variance().sqrt()))
    }

    fn percentiles(&self) -> (u8, u8) {
        let mut histogram = [0_usize; 256];
        let mut total = 0_usize;
        for luma in self.shown() {
            total += 1;
            if let Some(count) = histogram.get_mut(usize::from(luma)) {
                *count += 1;
            }
        }
        let below = |share: usize| {
            let mut seen = 0;
            (0..=u8::MAX)
                .zip(histogram)
                .find(|(_, count)| {
                    seen += count;
                    seen * 100 > total * share
                })
                .map_or(0, |(luma, _)| luma)
        };
        (below(5), below(95))
    }

    fn thumbnail(&self) -> Grid {
        let means = shrink(&self.luma, (self.wide, self.high), (BLOCKS_WIDE, BLOCKS_HIGH));
        let mut grid = Grid::filled(0);
        for ((value, mean), visible) in grid.values_mut().iter_mut().zip(means).zip(&self.visible) {
            *value = if *visible { mean.max(1) } else { 0 };
        }
        grid
    }

    fn pixels(&self, picture: &Picture) -> Grid {
        let mut grid = Grid::filled(0);
        for (index, (value, visible)) in grid.values_mut().iter_mut().zip(&self.visible).enumerate() {
            let columns = part(index % BLOCKS_WIDE, BLOCKS_WIDE, picture.width);
            let rows = part(index / BLOCKS_WIDE, BLOCKS_HIGH, picture.height);
            let place =
                usize::midpoint(rows.start, rows.end) * picture.width + usize::midpoint(columns.start, columns.end);
            if *visible {
                *value = picture.y.get(place).copied().unwrap_or_default();
            }
        }
        grid
    }

    /// Calls `take` for every inner pixel whose neighbours are visible too: its block; itself, left, right, above, below.
    fn inner(&self, mut take: impl FnMut(usize, [i32; 5])) {
        for row in 1..self.high.saturating_sub(1) {
            let line = |row: usize| {
                let start = row * self.wide;
                let range = start..start + self.wide;
                (
                    self.luma.get(range.clone()).unwrap_or_default(),
                    self.shown.get(range).unwrap_or_default(),
                )
            };
            let ((above, above_shown), (here, shown), (below, below_shown)) = (line(row - 1), line(row), line(row + 1));
            let block_row = part_of(row, BLOCKS_HIGH, self.high) * BLOCKS_WIDE;
            let windows = here.windows(3).zip(shown.windows(3));
            let beside = above.iter().zip(above_shown).zip(below.iter().zip(below_shown)).skip(1);
            for (column, ((window, shown), ((up, up_shown), (down, down_shown)))) in (1..).zip(windows.zip(beside)) {
                if let ([left, middle, right], [true, true, true], true, true) = (window, shown, *up_shown, *down_shown)
                {
                    let block = block_row + part_of(column, BLOCKS_WIDE, self.wide);
                    take(block, [*middle, *left, *right, *up, *down].map(i32::from));
                }
            }
        }
    }

    /// Mean square of the Laplacian over all blocks, less that of a block of the plainest quarter, where noise is
    /// all there is.
    fn detail(&self) -> f32 {
        let mut blocks = vec![Sums::default(); BLOCKS];
        self.inner(|block, [middle, left, right, up, down]| {
            if let Some(sums) = blocks.get_mut(block) {
                sums.add(left + right + up + down - 4 * middle);
            }
        });
        let mut energies: Vec<f64> = blocks
            .iter()
            .filter(|sums| sums.count > 0)
            .map(|sums| real(sums.squares) / real(sums.count))
            .collect();
        energies.sort_unstable_by(f64::total_cmp);
        let noise = energies.get(energies.len() / 4).copied().unwrap_or_default();
        let mean = energies.iter().sum::<f64>() / real(long(energies.len().max(1)));
        short((mean - noise).max(0.0))
    }

    /// Variance of the Laplacian at full size, at every fifth pixel of every seventh row.
    fn focus(&self, picture: &Picture) -> f32 {
        let mut sums = Sums::default();
        let (wide, high) = (picture.width, picture.height);
        for y in (1..high.saturating_sub(1)).step_by(FULL_STEP.1) {
            let line = |row: usize| picture.y.get(row * wide..(row + 1) * wide).unwrap_or_default();
            let (above, here, below) = (line(y - 1), line(y), line(y + 1));
            let row = part_of(y, BLOCKS_HIGH, high);
            if !(CAPTION_ROWS..BLOCKS_HIGH - CAPTION_ROWS).contains(&row) {
                continue;
            }
            let windows = here.windows(3).zip(above.iter().zip(below).skip(1));
            for (x, (window, (up, down))) in (1..).zip(windows).step_by(FULL_STEP.0) {
                let is_visible = self.visible.get(row * BLOCKS_WIDE + part_of(x, BLOCKS_WIDE, wide));
                if let ([left, middle, right], Some(true)) = (window, is_visible) {
                    let [middle, left, right, up, down] = [*middle, *left, *right, *up, *down].map(i32::from);
                    sums.add(left + right + up + down - 4 * middle);
                }
            }
        }
        short(sums.variance())
    }

    fn edges(&self) -> Grid {
        let mut blocks = vec![Sums::default(); BLOCKS];
        self.inner(|block, [_, left, right, up, down]| {
            if let Some(sums) = blocks.get_mut(block) {
                sums.add((right - left).abs() + (down - up).abs());
            }
        });
        let seen = real(long(blocks.iter().filter(|sums| sums.count > 0).count().max(1)));
        let mean = blocks.iter().map(|sums| sums.mean()).sum::<f64>() / seen;
        // None where nothing was measured. The root keeps a single bright edge from outweighing the rest.
        let strengths: Vec<Option<f32>> = blocks
            .iter()
            .map(|sums| (sums.count > 0).then(|| short((sums.mean() / mean.max(f64::MIN_POSITIVE)).sqrt())))
            .collect();
        let mut grid = Grid::filled(to_byte(EDGE_MIDDLE));
        for (index, (value, strength)) in grid.values_mut().iter_mut().zip(&strengths).enumerate() {
            if let Some(strength) = strength {
                *value = to_byte(EDGE_MIDDLE + (strength - around(&strengths, index)) * EDGE_STEPS);
            }
        }
        grid
    }
}

/// The mean of the blocks around one, itself among them.
fn around(strengths: &[Option<f32>], index: usize) -> f32 {
    let (column, row) = (index % BLOCKS_WIDE, index / BLOCKS_WIDE);
    let columns = column.saturating_sub(AROUND)..(column + AROUND + 1).min(BLOCKS_WIDE);
    let rows = row.saturating_sub(AROUND)..(row + AROUND + 1).min(BLOCKS_HIGH);
    let lines =
        rows.filter_map(|row| strengths.get(row * BLOCKS_WIDE + columns.start..row * BLOCKS_WIDE + columns.end));
    let (sum, count) = lines
        .flatten()
        .flatten()
        .fold((0.0, 0.0), |(sum, count), strength| (sum + strength, count + 1.0));
    sum / f32::max(count, 1.0)
}
