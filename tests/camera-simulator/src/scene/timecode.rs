//! The timecode: a strip of black and white blocks along the top edge that says when the picture was drawn.
//!
//! A reader measures the delay from drawing to display: it samples the strip and subtracts.
//!
//! # Layout
//!
//! The strip begins at the upper left corner, goes over the full width, and is `max(16, height * 2 / 45)` pixels high
//! (16 at 360 lines, 48 at 1080 lines). It has 40 blocks of the same width, `width / 40` pixels (16 at 640, 48 at 1920);
//! block `i` begins at `i * width / 40`, rounded down. A block is white (luma 235) or black (luma 16); white is 1.
//!
//! | blocks | content |
//! | --- | --- |
//! | 0–3 | start marker 1 0 1 0 |
//! | 4–35 | milliseconds since the Unix epoch modulo 2^32, highest bit first |
//! | 36 | parity: makes the number of ones in blocks 4–36 even |
//! | 37 | the opposite of block 36 |
//! | 38–39 | end marker 0 1 |
//!
//! # Reading
//!
//! Take the mean of the middle half of each block in both directions (from 1/4 to 3/4). The threshold is the middle
//! between the mean of blocks 0, 2 and the mean of blocks 1, 3, which must differ by at least 64. All fixed blocks
//! must be as the table says and the parity must be right, otherwise there is no timecode. In a browser, draw the video
//! onto a canvas and use the green channel instead of luma; the rules are the same. The time of a picture is the one
//! nearest to the reader's clock with these lower 32 bits; they repeat after 49.7 days.

use std::ops::Range;
use std::time::Duration;

/// Number of blocks in the strip.
pub const BLOCKS: usize = 40;
/// Index of the first block of the number.
const FIRST_BIT: usize = 4;
/// Index of the parity block.
const PARITY: usize = 36;
/// Blocks with a fixed value: index, value.
const FIXED: [(usize, bool); 6] = [(0, true), (1, false), (2, true), (3, false), (38, false), (39, true)];
/// Luma of a white block.
const WHITE: u8 = 235;
/// Luma of a black block.
const BLACK: u8 = 16;
/// Least difference of luma between white and black.
const CONTRAST_MIN: u32 = 64;

/// Milliseconds since the Unix epoch modulo 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timecode(pub u32);

impl Timecode {
    /// The timecode of a time since the Unix epoch.
    pub fn at(time: Duration) -> Self {
        Self(u32::try_from(time.as_millis() & u128::from(u32::MAX)).unwrap_or(0))
    }

    /// How long ago this was, for a reader whose clock says `now`. A time in the future comes out as almost 50 days.
    pub fn age(self, now: Duration) -> Duration {
        Duration::from_millis(u64::from(Self::at(now).0.wrapping_sub(self.0)))
    }
}

/// Height of the strip in pixels in a picture of `height` lines.
pub fn strip_height(height: usize) -> usize {
    (height * 2 / 45).max(16).min(height)
}

/// Columns of a block in a picture that is `width` pixels wide.
fn columns(block: usize, width: usize) -> Range<usize> {
    block * width / BLOCKS..(block + 1) * width / BLOCKS
}

fn blocks(code: Timecode) -> [bool; BLOCKS] {
    let mut blocks = [false; BLOCKS];
    for (index, value) in FIXED {
        blocks[index] = value;
    }
    for (index, block) in blocks[FIRST_BIT..PARITY].iter_mut().enumerate() {
        *block = code.0 << index >> 31 == 1;
    }
    blocks[PARITY] = code.0.count_ones() % 2 == 1;
    blocks[PARITY + 1] = !blocks[PARITY];
    blocks
}

/// Draws the strip into a luma plane whose lines are `width` bytes apart.
pub fn write(luma: &mut [u8], width: usize, height: usize, code: Timecode) {
    let blocks = blocks(code);
    for line in luma.chunks_exact_mut(width).take(strip_height(height)) {
        for (index, white) in blocks.iter().enumerate() {
            line[columns(index, width)].fill(if *white { WHITE } else { BLACK });
        }
    }
}

/// Reads the strip from a luma plane whose lines are `stride` bytes apart; none if there is no valid strip.
pub fn read(luma: &[u8], width: usize, height: usize, stride: usize) -> Option<Timecode> {
    if width < 4 * BLOCKS || stride < width || luma.len() < stride.checked_mul(height)? {
        return None;
    }
    let strip = strip_height(height);
    let lines = strip / 4..(strip * 3).div_ceil(4);
    let mean = |block: usize| -> Option<u32> {
        let all = columns(block, width);
        let quarter = all.len() / 4;
        let middle = all.start + quarter..all.end - quarter;
        let mut sum = 0_u32;
        for line in luma.chunks_exact(stride).take(lines.end).skip(lines.start) {
            sum += line
                .get(middle.clone())?
                .iter()
                .map(|&sample| u32::from(sample))
                .sum::<u32>();
        }
        sum.checked_div(u32::try_from(middle.len() * lines.len()).ok()?)
    };
    let mut means = [0_u32; BLOCKS];
    for (block, value) in means.iter_mut().enumerate() {
        *value = mean(block)?;
    }
    let (white, black) = (means[0].midpoint(means[2]), means[1].midpoint(means[3]));
    if white < black + CONTRAST_MIN {
        return None;
    }
    let found = means.map(|mean| mean > white.midpoint(black));
    let bits = &found[FIRST_BIT..PARITY];
    let code = Timecode(bits.iter().fold(0, |number, &bit| number << 1 | u32::from(bit)));
    (found == blocks(code)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, code: u32) -> Vec<u8> {
        let mut luma = vec![100; width * height];
        write(&mut luma, width, height, Timecode(code));
        luma
    }

    #[test]
    fn what_is_written_is_read_back_at_every_size() {
        for (width, height) in [(160, 90), (320, 180), (640, 360), (704, 576), (1280, 720), (1920, 1080)] {
            for code in [0, 1, u32::MAX, 0x8000_0000, 0xAAAA_AAAA, 0x5555_5555, 1_234_567_890] {
                let luma = picture(width, height, code);
                assert_eq!(
                    read(&luma, width, height, width),
                    Some(Timecode(code)),
                    "{width}x{height}"
                );
            }
        }
    }

    #[test]
    fn blocks_have_the_documented_size_at_640_by_360() {
        assert_eq!((strip_height(360), columns(1, 640)), (16, 16..32));
    }

    #[test]
    fn a_reduced_contrast_is_read() {
        let luma: Vec<u8> = picture(640, 360, 77)
            .into_iter()
            .map(|sample| sample / 2 + 40)
            .collect();
        assert_eq!(read(&luma, 640, 360, 640), Some(Timecode(77)));
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut luma = picture(640, 360, 77);
        for line in luma.chunks_exact_mut(640).take(16) {
            for sample in &mut line[10 * 16..11 * 16] {
                *sample = 251 - *sample;
            }
        }
        assert_eq!(read(&luma, 640, 360, 640), None);
    }

    #[test]
    fn a_picture_without_strip_or_too_short_has_no_timecode() {
        assert_eq!(read(&vec![100; 640 * 360], 640, 360, 640), None);
        assert_eq!(read(&[100; 64], 640, 360, 640), None);
        assert_eq!(read(&[], 0, 0, 0), None);
    }

    #[test]
    fn the_age_goes_on_over_the_end_of_32_bits() {
        let code = Timecode::at(Duration::from_millis((1 << 32) - 5));
        assert_eq!(
            code.age(Duration::from_millis((1 << 32) + 7)),
            Duration::from_millis(12)
        );
    }
}
