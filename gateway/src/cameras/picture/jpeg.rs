//! A picture as a JPEG: baseline, 4:2:0, JFIF.
//!
//! JFIF means full range and the matrix of BT.601 (JFIF 1.02, page 3; ITU-T T.871), video mostly limited range and
//! BT.709; both are converted, otherwise black is grey and reds are orange. Chroma is handed to the encoder at full
//! size with each sample repeated, and it keeps every second one: no sample is interpolated on the way.

use std::io;

use jpeg_encoder::{Encoder, EncodingError, ImageBuffer, JpegColorType, SamplingFactor};

use super::frame::{Matrix, Range};
use super::{Picture, number};

/// How much lower the next quality is when a JPEG has become too large.
const QUALITY_STEP: u8 = 15;

/// Quality of a JPEG, 1 to 95, on the scale of libjpeg. 75 is usual for snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quality(u8);

impl Quality {
    /// Lowest that is still of use as evidence.
    pub const MIN: Self = Self(20);
    /// For snapshots.
    pub const DEFAULT: Self = Self(75);
    /// Highest; above it the size doubles and nothing is seen.
    pub const MAX: Self = Self(95);

    /// The nearest quality that is allowed.
    pub fn new(quality: u8) -> Self {
        Self(quality.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// The number.
    pub fn value(self) -> u8 {
        self.0
    }
}

/// Why there is no JPEG.
#[derive(Debug, thiserror::Error)]
pub enum JpegError {
    /// Even at the lowest quality it is too large.
    #[error("picture of {width}x{height} pixels has more than {bytes_max} bytes as JPEG at quality {lowest}\n  hint: allow more bytes, or ask for a smaller picture", lowest = Quality::MIN.0)]
    TooLarge {
        /// Width, pixels.
        width: usize,
        /// Height, pixels.
        height: usize,
        /// The bound, bytes.
        bytes_max: usize,
    },
    /// The encoder refused it.
    #[error("picture of {width}x{height} pixels cannot be encoded as JPEG")]
    Encoder {
        /// Width, pixels.
        width: usize,
        /// Height, pixels.
        height: usize,
        /// What the encoder said.
        source: EncodingError,
    },
}

impl Picture {
    /// The picture as a JPEG of at most `bytes_max` bytes, at `quality` or the next lower one that fits.
    pub fn jpeg(&self, quality: Quality, bytes_max: usize) -> Result<Vec<u8>, JpegError> {
        let (width, height) = (self.width, self.height);
        let source = Source::new(self);
        let mut quality = quality;
        loop {
            let mut out = Bounded {
                bytes: Vec::new(),
                bytes_max,
                is_full: false,
            };
            let mut encoder = Encoder::new(&mut out, quality.0);
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            match encoder.encode_image(&source) {
                Ok(()) => return Ok(out.bytes),
                Err(_) if out.is_full && quality > Quality::MIN => {
                    quality = Quality::new(quality.0.saturating_sub(QUALITY_STEP));
                }
                Err(_) if out.is_full => {
                    return Err(JpegError::TooLarge {
                        width,
                        height,
                        bytes_max,
                    });
                }
                Err(source) => return Err(JpegError::Encoder { width, height, source }),
            }
        }
    }
}

/// Bytes that must not become more than a bound.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    is_full: bool,
}

impl io::Write for &mut Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > self.bytes_max {
            self.is_full = true;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A picture with what its samples are in JFIF.
struct Source<'a> {
    picture: &'a Picture,
    luma: [u8; 256],
    chroma: [i32; 256],
}

impl<'a> Source<'a> {
    fn new(picture: &'a Picture) -> Self {
        let (luma_scale, luma_zero, chroma_scale) = match picture.colour.range {
            Range::Limited => (255.0 / 219.0, 16.0, 255.0 / 224.0),
            Range::Full => (1.0, 0.0, 1.0),
        };
        let samples = || (0..=u8::MAX).map(f32::from);
        let mut luma = [0; 256];
        for (value, sample) in luma.iter_mut().zip(samples()) {
            *value = number::to_byte((sample - luma_zero) * luma_scale);
        }
        let mut chroma = [0; 256];
        for (value, sample) in chroma.iter_mut().zip(samples()) {
            // The signed difference, by way of the byte around 128.
            *value = i32::from(number::to_byte((sample - 128.0) * chroma_scale + 128.0)) - 128;
        }
        Self { picture, luma, chroma }
    }

    /// What a chroma sample adds to luma, and itself. The factors are the product of BT.601's matrix and the inverse of
    /// BT.709's, times 65,536.
    fn converted(&self, u: u8, v: u8) -> (i32, u8, u8) {
        let signed = |sample: u8| self.chroma.get(usize::from(sample)).copied().unwrap_or_default();
        let (cb, cr) = (signed(u), signed(v));
        match self.picture.colour.matrix {
            Matrix::Bt601 => (0, unsigned(cb), unsigned(cr)),
            Matrix::Bt709 => (
                rounded(6_657 * cb + 12_850 * cr),
                unsigned(rounded(64_871 * cb - 7_252 * cr)),
                unsigned(rounded(-4_748 * cb + 64_448 * cr)),
            ),
        }
    }
}

fn rounded(value: i32) -> i32 {
    (value + 32_768) >> 16
}

fn unsigned(value: i32) -> u8 {
    u8::try_from((value + 128).clamp(0, 255)).unwrap_or(u8::MAX)
}

impl ImageBuffer for &Source<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        u16::try_from(self.picture.width).unwrap_or(0)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.picture.height).unwrap_or(0)
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let picture = self.picture;
        let (row, wide) = (usize::from(y), picture.chroma_width());
        let pixels = picture.y.chunks_exact(picture.width).nth(row).unwrap_or_default();
        let us = picture.u.chunks_exact(wide).nth(row / 2).unwrap_or_default();
        let vs = picture.v.chunks_exact(wide).nth(row / 2).unwrap_or_default();
        let [ys, cbs, crs, _] = buffers;
        for (pair, (u, v)) in pixels.chunks(2).zip(us.iter().zip(vs)) {
            let (add, cb, cr) = self.converted(*u, *v);
            for pixel in pair {
                let luma = self.luma.get(usize::from(*pixel)).copied().unwrap_or_default();
                ys.push(u8::try_from((i32::from(luma) + add).clamp(0, 255)).unwrap_or(u8::MAX));
                cbs.push(cb);
                crs.push(cr);
            }
        }
    }
}
