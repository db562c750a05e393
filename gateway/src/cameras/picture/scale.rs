//! Smaller pictures by the box filter: every pixel of the source counts in exactly one of the result.

use std::ops::Range;

use super::Picture;
use super::frame::SIDE_PIXELS_MIN;

impl Picture {
    /// The picture at a width of at most `width_max` pixels and the same shape. Never larger than it was.
    #[must_use]
    pub fn shrunk(&self, width_max: usize) -> Self {
        let width = width_max.clamp(SIDE_PIXELS_MIN, self.width.max(SIDE_PIXELS_MIN));
        if width >= self.width {
            return self.clone();
        }
        let height = (self.height * width / self.width.max(1)).clamp(1, self.height);
        let (from_wide, from_high) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let (wide, high) = (width.div_ceil(2), height.div_ceil(2));
        let hidden = |column, row| {
            let covered = |y: usize| {
                part(column, wide, from_wide).any(|x| self.hidden.get(y * from_wide + x).is_some_and(|hidden| *hidden))
            };
            part(row, high, from_high).any(covered)
        };
        Self {
            width,
            height,
            y: shrink(&self.y, (self.width, self.height), (width, height)),
            u: shrink(&self.u, (from_wide, from_high), (wide, high)),
            v: shrink(&self.v, (from_wide, from_high), (wide, high)),
            hidden: if self.hidden.is_empty() {
                Vec::new()
            } else {
                (0..high)
                    .flat_map(|row| (0..wide).map(move |column| (column, row)))
                    .map(|(column, row)| hidden(column, row))
                    .collect()
            },
            colour: self.colour,
        }
    }
}

/// Which of `from` samples are in part `index` of `to`. Parts do not overlap, leave none out and are never empty if
/// `to` is at most `from`.
pub fn part(index: usize, to: usize, from: usize) -> Range<usize> {
    let to = to.max(1);
    index * from / to..(index + 1) * from / to
}

/// The part of `to` that a sample is in: the inverse of [`part`].
pub fn part_of(sample: usize, to: usize, from: usize) -> usize {
    ((sample + 1) * to).saturating_sub(1) / from.max(1)
}

/// The means of `to` by `to` parts of a plane without gaps. The sides must not grow.
pub fn shrink(plane: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let mut out = Vec::with_capacity(to.0 * to.1);
    let mut sums = vec![0_u32; from.0];
    let columns: Vec<Range<usize>> = (0..to.0).map(|column| part(column, to.0, from.0)).collect();
    for row in 0..to.1 {
        let rows = part(row, to.1, from.1);
        sums.fill(0);
        for source in plane.chunks_exact(from.0.max(1)).skip(rows.start).take(rows.len()) {
            for (sum, sample) in sums.iter_mut().zip(source) {
                *sum += u32::from(*sample);
            }
        }
        for column in &columns {
            let sum: u32 = sums.get(column.clone()).unwrap_or_default().iter().sum();
            let count = u32::try_from(column.len() * rows.len()).unwrap_or(u32::MAX).max(1);
            out.push(u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX));
        }
    }
    out
}
