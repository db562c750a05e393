//! A picture of 4:2:0 samples (I420) and what can be drawn into it.
//!
//! The planes lie one after the other without padding: luma, then the two chroma planes of half width and half height.
//! Width and height are even. Whatever lies outside of the picture is not drawn.

use super::font;
use super::layout::Point;
use std::ops::Range;

/// A colour: luma and the two chroma values (BT.601, limited range).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// Columns and lines of a part of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Columns.
    pub columns: Range<usize>,
    /// Lines.
    pub lines: Range<usize>,
}

/// A picture in memory.
#[derive(Debug, Clone)]
pub struct Picture {
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

impl Picture {
    /// A picture of one colour. Odd sizes are reduced by one.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        let (width, height) = (width & !1, height & !1);
        let mut samples = vec![colour.0; width * height];
        samples.resize(width * height * 5 / 4, colour.1);
        samples.resize(width * height * 3 / 2, colour.2);
        Self { width, height, samples }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// All samples.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// The luma plane; its lines are as many bytes apart as the picture is wide.
    pub fn luma_mut(&mut self) -> &mut [u8] {
        &mut self.samples[..self.width * self.height]
    }

    /// The planes: samples, columns, lines.
    pub fn planes_mut(&mut self) -> [(&mut [u8], usize, usize); 3] {
        let (width, height) = (self.width, self.height);
        let (luma, chroma) = self.samples.split_at_mut(width * height);
        let (first, second) = chroma.split_at_mut(width * height / 4);
        [
            (luma, width, height),
            (first, width / 2, height / 2),
            (second, width / 2, height / 2),
        ]
    }

    /// Makes this picture the same as another one of the same size.
    pub fn copy_from(&mut self, other: &Self) {
        if self.samples.len() == other.samples.len() {
            self.samples.copy_from_slice(&other.samples);
        }
    }

    /// Gives the whole picture one colour.
    pub fn fill(&mut self, colour: Colour) {
        for ((samples, ..), value) in self.planes_mut().into_iter().zip([colour.0, colour.1, colour.2]) {
            samples.fill(value);
        }
    }

    /// Copies a part from another picture of the same size.
    pub fn copy_area(&mut self, other: &mut Self, area: &Area) {
        if (self.width, self.height) != (other.width, other.height) {
            return;
        }
        for (plane, (target, source)) in self.planes_mut().into_iter().zip(other.planes_mut()).enumerate() {
            let half = usize::from(plane > 0);
            let columns = (area.columns.start >> half)..((area.columns.end + half) >> half).min(target.1);
            for line in (area.lines.start >> half)..((area.lines.end + half) >> half).min(target.2) {
                let part = line * target.1 + columns.start..line * target.1 + columns.end.max(columns.start);
                target.0[part.clone()].copy_from_slice(&source.0[part]);
            }
        }
    }

    /// Fills a rectangle; the edges of its chroma are rounded to even pixels.
    pub fn fill_area(&mut self, area: &Area, colour: Colour) {
        for line in area.lines.clone() {
            self.fill_span(line, area.columns.clone(), colour);
        }
    }

    /// Fills one line from column to column.
    fn fill_span(&mut self, line: usize, columns: Range<usize>, colour: Colour) {
        let columns = columns.start..columns.end.min(self.width);
        if line >= self.height || columns.is_empty() {
            return;
        }
        let half = columns.start / 2..columns.end.div_ceil(2);
        let [(luma, width, _), (first, half_width, _), (second, ..)] = self.planes_mut();
        luma[line * width..][columns].fill(colour.0);
        if line.is_multiple_of(2) {
            first[line / 2 * half_width..][half.clone()].fill(colour.1);
            second[line / 2 * half_width..][half].fill(colour.2);
        }
    }

    /// Fills a polygon by the even-odd rule and says which area it touched.
    pub fn fill_polygon(&mut self, polygon: &[Point], colour: Colour) -> Area {
        let corners: Vec<(i64, i64)> = polygon
            .iter()
            .map(|point| (pixel(point[0], self.width), pixel(point[1], self.height)))
            .collect();
        let lines = corners.iter().map(|corner| corner.1);
        let first = index(lines.clone().min().unwrap_or(0), self.height);
        let last = index(lines.max().unwrap_or(0), self.height);
        let columns = corners.iter().map(|corner| corner.0);
        let left = index(columns.clone().min().unwrap_or(0), self.width);
        let right = index(columns.max().unwrap_or(0) + 1, self.width);
        let mut crossings = Vec::with_capacity(corners.len());
        for line in first..last {
            let y = i64::try_from(line).unwrap_or(i64::MAX);
            crossings.clear();
            let ends = corners.iter().skip(1).chain(corners.first());
            for (&(x0, y0), &(x1, y1)) in corners.iter().zip(ends) {
                if (y0 <= y) != (y1 <= y) {
                    crossings.push(x0 + (x1 - x0) * (y - y0) / (y1 - y0));
                }
            }
            crossings.sort_unstable();
            for pair in crossings.chunks_exact(2) {
                self.fill_span(line, index(pair[0], self.width)..index(pair[1], self.width), colour);
            }
        }
        Area {
            columns: left..right,
            lines: first..last,
        }
    }

    /// Writes text with dots of `scale` pixels on a dark ground, its upper left corner at column, line.
    pub fn text(&mut self, column: usize, line: usize, scale: usize, text: &str) {
        let width = text.chars().count() * (font::WIDTH + 1) * scale + scale;
        let area = Area {
            columns: column..column + width,
            lines: line..line + (font::HEIGHT + 2) * scale,
        };
        self.fill_area(&area, Colour(24, 128, 128));
        for (position, letter) in text.chars().enumerate() {
            for (row, dots) in font::glyph(letter).into_iter().enumerate() {
                for dot in (0..font::WIDTH).filter(|dot| dots << dot & 0b10000 != 0) {
                    let left = column + (position * (font::WIDTH + 1) + dot + 1) * scale;
                    let top = line + (row + 1) * scale;
                    let square = Area {
                        columns: left..left + scale,
                        lines: top..top + scale,
                    };
                    self.fill_area(&square, Colour(225, 128, 128));
                }
            }
        }
    }

    /// Blurs the picture, as a lens out of focus does: three means over squares. The radius is at most 128.
    pub fn blur(&mut self, radius: usize) {
        let radius = radius.min(128);
        let mut line = Vec::new();
        for (plane, (samples, columns, lines)) in self.planes_mut().into_iter().enumerate() {
            let radius = radius >> usize::from(plane > 0);
            for _ in 0..3 {
                for part in samples.chunks_exact_mut(columns) {
                    line.clear();
                    line.extend_from_slice(part);
                    mean_along(&line, part, radius);
                }
                mean_down(samples, columns, lines, radius);
            }
        }
    }
}

/// One part of so many, in 65536ths and rounded up, because a division for each sample is slow.
fn part_of(count: usize) -> u32 {
    u32::try_from(65_536 / count.max(1) + 1).unwrap_or(u32::MAX)
}

/// A part of a sum of up to 257 samples.
fn share(sum: u32, part: u32) -> u8 {
    u8::try_from((sum * part) >> 16).unwrap_or(u8::MAX)
}

/// Replaces each sample of a line by the mean of its neighbourhood; the ends are continued.
fn mean_along(source: &[u8], target: &mut [u8], radius: usize) {
    let part = part_of(2 * radius + 1);
    let (first, last) = (
        source.first().copied().unwrap_or(0),
        source.last().copied().unwrap_or(0),
    );
    let leaving = std::iter::repeat_n(first, radius).chain(source.iter().copied());
    let mut entering = source.iter().copied().chain(std::iter::repeat(last));
    let mut sum = u32::from(first) * u32::try_from(radius).unwrap_or(0);
    sum += entering.by_ref().take(radius + 1).map(u32::from).sum::<u32>();
    for ((sample, leaves), enters) in target.iter_mut().zip(leaving).zip(entering) {
        *sample = share(sum, part);
        sum = sum + u32::from(enters) - u32::from(leaves);
    }
}

/// The same from top to bottom, a line at a time because that is how memory is laid out.
fn mean_down(samples: &mut [u8], columns: usize, lines: usize, radius: usize) {
    let part = part_of(2 * radius + 1);
    let source = samples.to_vec();
    let at = |position: usize| {
        let line = position.saturating_sub(radius).min(lines.saturating_sub(1));
        &source[line * columns..(line + 1) * columns]
    };
    let mut sums = vec![0_u32; columns];
    for position in 0..=2 * radius {
        sums.iter_mut()
            .zip(at(position))
            .for_each(|(sum, &sample)| *sum += u32::from(sample));
    }
    for (line, row) in samples.chunks_exact_mut(columns).enumerate() {
        for ((sample, sum), (&comes, &goes)) in row
            .iter_mut()
            .zip(&mut sums)
            .zip(at(line + 2 * radius + 1).iter().zip(at(line)))
        {
            *sample = share(*sum, part);
            *sum = *sum + u32::from(comes) - u32::from(goes);
        }
    }
}

/// Pixel of a normalised position; positions far outside stay far outside.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a float becomes the nearest integer"
)]
fn pixel(position: f32, size: usize) -> i64 {
    (position * size as f32).round() as i64
}

/// A pixel as index, limited to the picture.
fn index(pixel: i64, size: usize) -> usize {
    usize::try_from(pixel.max(0)).unwrap_or(size).min(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: Colour = Colour(100, 128, 128);
    const RED: Colour = Colour(80, 90, 240);

    fn count(picture: &mut Picture, luma: u8) -> usize {
        picture
            .luma_mut()
            .iter()
            .map(|&sample| usize::from(sample == luma))
            .sum()
    }

    #[test]
    fn a_polygon_fills_its_area() {
        let mut picture = Picture::new(100, 100, GREY);
        let area = picture.fill_polygon(&[[0.1, 0.1], [0.5, 0.1], [0.5, 0.6], [0.1, 0.6]], RED);
        assert_eq!(count(&mut picture, 80), 40 * 50);
        assert_eq!(
            area,
            Area {
                columns: 10..51,
                lines: 10..60
            }
        );
    }

    #[test]
    fn what_lies_outside_is_not_drawn() {
        let mut picture = Picture::new(100, 100, GREY);
        picture.fill_polygon(&[[-3.0, -3.0], [4.0, -3.0], [4.0, 0.1], [-3.0, 0.1]], RED);
        picture.fill_polygon(&[[2.0, 2.0], [3.0, 2.0], [3.0, 3.0]], RED);
        picture.text(95, 95, 3, "8");
        picture.fill_area(
            &Area {
                columns: 200..300,
                lines: 0..300,
            },
            RED,
        );
        assert_eq!(count(&mut picture, 80), 100 * 10);
    }

    #[test]
    fn an_area_is_restored_from_another_picture() {
        let (mut drawn, mut clean) = (Picture::new(64, 64, GREY), Picture::new(64, 64, GREY));
        let area = drawn.fill_polygon(&[[0.2, 0.2], [0.8, 0.3], [0.5, 0.8]], RED);
        assert_ne!(drawn.samples(), clean.samples());
        drawn.copy_area(&mut clean, &area);
        assert_eq!(drawn.samples(), clean.samples());
    }

    #[test]
    fn blur_keeps_the_mean_and_removes_edges() {
        let mut picture = Picture::new(128, 64, Colour(50, 128, 128));
        picture.fill_area(
            &Area {
                columns: 64..128,
                lines: 0..64,
            },
            Colour(200, 128, 128),
        );
        picture.blur(8);
        let luma = picture.luma_mut();
        let steps = luma
            .chunks_exact(128)
            .flat_map(|line| line.windows(2))
            .map(|pair| pair[0].abs_diff(pair[1]));
        assert!(steps.max().unwrap() < 15);
        let mean = luma.iter().map(|&sample| usize::from(sample)).sum::<usize>() / luma.len();
        assert!((120..130).contains(&mean), "{mean}");
    }

    #[test]
    fn text_is_light_on_dark() {
        let mut picture = Picture::new(64, 32, GREY);
        picture.text(2, 2, 1, "A1");
        assert_eq!(count(&mut picture, 24) + 18 + 10, 13 * 9);
        assert_eq!(count(&mut picture, 225), 18 + 10);
    }
}
