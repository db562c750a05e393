//! One decoded keyframe: masked, measured, and made into a JPEG.
//!
//! ```text
//! Frame (a decoder's planes, checked) --cover(Mask)--> Picture (own copy, masked) --> Features, JPEG, smaller Picture
//! ```
//!
//! Invariants:
//! - Nothing but [`Frame::cover`] and [`Picture::shrunk`] makes a [`Picture`], and only a picture can be measured or
//!   encoded. What the mask hides can leave the box neither as an image nor as a measure.
//! - A frame's sizes and strides are foreign: they are checked once, and no later step can panic on them.
//! - Measures leave the hidden part out; otherwise a large mask would look like a black picture.
//!
//! Limits: sides of 64 to 8,192 pixels; 32 polygons of 64 points; a JPEG has the bound that its caller names.
//!
//! 4:2:0 only, 8 bits: what the decoders for cameras' H.264 and H.265 give (I420 and NV12).

mod features;
mod frame;
mod grid;
mod jpeg;
mod mask;
mod number;
mod scale;

#[cfg(test)]
mod tests;

pub use features::{CAPTION_ROWS, Features};
pub use frame::{Colour, Frame, FrameError, Matrix, Picture, Plane, Range, SIDE_PIXELS_MAX, SIDE_PIXELS_MIN};
pub use grid::{BLOCKS, BLOCKS_HIGH, BLOCKS_WIDE, Grid};
pub use jpeg::{JpegError, Quality};
pub use mask::{Mask, MaskProblem, POINTS_MAX, POLYGONS_MAX};
