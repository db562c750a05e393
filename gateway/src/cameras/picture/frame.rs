//! A decoder's planes, checked, and the masked copy that everything else works on.

use super::Mask;

/// Shortest side of a frame, pixels: one for each block of the grid. No camera sends less.
pub const SIDE_PIXELS_MIN: usize = 64;
/// Longest side of a frame, pixels: above the largest level of H.264 (6.2). A larger frame is refused.
pub const SIDE_PIXELS_MAX: usize = 8_192;

/// One plane of a decoded frame: rows of bytes, `stride` bytes apart.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// The rows. The last one may end after its last sample, before the stride.
    pub bytes: &'a [u8],
    /// Bytes from the start of one row to the start of the next.
    pub stride: usize,
}

impl<'a> Plane<'a> {
    fn check(self, plane: &'static str, row_bytes: usize, rows: usize) -> Result<(), FrameError> {
        let stride = self.stride;
        if stride < row_bytes {
            return Err(FrameError::Stride {
                plane,
                stride,
                row_bytes,
            });
        }
        let needed = stride
            .checked_mul(rows.saturating_sub(1))
            .and_then(|bytes| bytes.checked_add(row_bytes))
            .unwrap_or(usize::MAX);
        let got = self.bytes.len();
        if got < needed {
            return Err(FrameError::Short { plane, got, needed });
        }
        Ok(())
    }

    /// The first `length` bytes of a row; none if there is no such row.
    fn row(self, index: usize, length: usize) -> &'a [u8] {
        let start = index.saturating_mul(self.stride);
        self.bytes.get(start..start.saturating_add(length)).unwrap_or_default()
    }
}

/// Which values a luma sample takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Range {
    /// 16 is black, 235 is white: what nearly every camera sends.
    #[default]
    Limited,
    /// 0 is black, 255 is white (`video_full_range_flag` of H.264).
    Full,
}

/// How luma and chroma were made of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matrix {
    /// ITU-R BT.709: high definition.
    #[default]
    Bt709,
    /// ITU-R BT.601: standard definition, and JPEG.
    Bt601,
}

/// What the samples of a frame mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Colour {
    /// Range of the samples.
    pub range: Range,
    /// Matrix of the samples.
    pub matrix: Matrix,
}

/// Why planes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A side is out of bounds.
    #[error(
        "frame of {width}x{height} pixels\n  hint: sides of {SIDE_PIXELS_MIN} to {SIDE_PIXELS_MAX} pixels are supported"
    )]
    Size {
        /// Width, pixels.
        width: usize,
        /// Height, pixels.
        height: usize,
    },
    /// Rows overlap.
    #[error("{plane} plane has a stride of {stride} bytes, but a row has {row_bytes}")]
    Stride {
        /// The plane.
        plane: &'static str,
        /// Its stride.
        stride: usize,
        /// Bytes of one row.
        row_bytes: usize,
    },
    /// The plane ends before its last row.
    #[error("{plane} plane has {got} bytes, {needed} are needed")]
    Short {
        /// The plane.
        plane: &'static str,
        /// Its length.
        got: usize,
        /// The length that the size asks for.
        needed: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum Chroma<'a> {
    Planar { u: Plane<'a>, v: Plane<'a> },
    Interleaved { uv: Plane<'a> },
}

/// A decoded frame in the decoder's memory: 4:2:0, 8 bits. Odd sides have a chroma sample for the last pixel too.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    width: usize,
    height: usize,
    luma: Plane<'a>,
    chroma: Chroma<'a>,
    colour: Colour,
}

impl<'a> Frame<'a> {
    /// A frame of three planes (I420).
    pub fn i420(
        (width, height): (usize, usize),
        [y, u, v]: [Plane<'a>; 3],
        colour: Colour,
    ) -> Result<Self, FrameError> {
        check_size(width, height)?;
        y.check("Y", width, height)?;
        u.check("U", width.div_ceil(2), height.div_ceil(2))?;
        v.check("V", width.div_ceil(2), height.div_ceil(2))?;
        Ok(Self {
            width,
            height,
            luma: y,
            chroma: Chroma::Planar { u, v },
            colour,
        })
    }

    /// A frame of a luma plane and one with U and V in turn (NV12).
    pub fn nv12((width, height): (usize, usize), [y, uv]: [Plane<'a>; 2], colour: Colour) -> Result<Self, FrameError> {
        check_size(width, height)?;
        y.check("Y", width, height)?;
        uv.check("UV", width.div_ceil(2) * 2, height.div_ceil(2))?;
        Ok(Self {
            width,
            height,
            luma: y,
            chroma: Chroma::Interleaved { uv },
            colour,
        })
    }

    /// Copies the frame with `mask` burnt in.
    pub fn cover(&self, mask: &Mask) -> Picture {
        let (wide, high) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let (u, v) = match self.chroma {
            Chroma::Planar { u, v } => (gathered(u, wide, high), gathered(v, wide, high)),
            Chroma::Interleaved { uv } => {
                let both = gathered(uv, wide * 2, high);
                (
                    both.iter().copied().step_by(2).collect(),
                    both.iter().copied().skip(1).step_by(2).collect(),
                )
            }
        };
        let mut picture = Picture {
            width: self.width,
            height: self.height,
            y: gathered(self.luma, self.width, self.height),
            u,
            v,
            hidden: mask.raster(self.width, self.height),
            colour: self.colour,
        };
        picture.burn();
        picture
    }
}

fn check_size(width: usize, height: usize) -> Result<(), FrameError> {
    let allowed = SIDE_PIXELS_MIN..=SIDE_PIXELS_MAX;
    if allowed.contains(&width) && allowed.contains(&height) {
        Ok(())
    } else {
        Err(FrameError::Size { width, height })
    }
}

fn gathered(plane: Plane<'_>, row_bytes: usize, rows: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(row_bytes * rows);
    for row in 0..rows {
        bytes.extend_from_slice(plane.row(row, row_bytes));
    }
    bytes
}

/// A masked picture in own memory: three planes without gaps between rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) y: Vec<u8>,
    pub(super) u: Vec<u8>,
    pub(super) v: Vec<u8>,
    /// One for each chroma sample: whether the mask hides it and its up to four pixels. Empty when nothing is hidden.
    pub(super) hidden: Vec<bool>,
    pub(super) colour: Colour,
}

impl Picture {
    /// Luma of a hidden pixel: black in limited range.
    const HIDDEN_LUMA: u8 = 16;
    /// Both chroma values of a hidden pixel: no colour.
    const HIDDEN_CHROMA: u8 = 128;

    /// Width, pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height, pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The luma plane, row after row without gaps.
    pub fn luma(&self) -> &[u8] {
        &self.y
    }

    /// The chroma planes U and V, row after row without gaps, each side half that of luma, rounded up.
    pub fn chroma(&self) -> (&[u8], &[u8]) {
        (&self.u, &self.v)
    }

    /// Samples in a row of chroma.
    pub(super) fn chroma_width(&self) -> usize {
        self.width.div_ceil(2)
    }

    /// Whether the mask hides the pixel.
    pub(super) fn is_hidden(&self, x: usize, y: usize) -> bool {
        self.hidden
            .get((y / 2) * self.chroma_width() + x / 2)
            .is_some_and(|hidden| *hidden)
    }

    fn burn(&mut self) {
        if self.hidden.is_empty() {
            return;
        }
        let hidden = self.hidden.iter();
        for ((u, v), hidden) in self.u.iter_mut().zip(&mut self.v).zip(hidden) {
            if *hidden {
                (*u, *v) = (Self::HIDDEN_CHROMA, Self::HIDDEN_CHROMA);
            }
        }
        let cells = self.width.div_ceil(2);
        for (row, pixels) in self.y.chunks_exact_mut(self.width).enumerate() {
            let hidden = self.hidden.iter().skip((row / 2) * cells);
            for (pair, hidden) in pixels.chunks_mut(2).zip(hidden) {
                if *hidden {
                    pair.fill(Self::HIDDEN_LUMA);
                }
            }
        }
    }
}
