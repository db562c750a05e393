//! Whether the picture is the same again and again.
//!
//! Pictures are compared with the first of a row, the anchor, so that slow changes add up. A quiet street at night has
//! the same means everywhere, but each of its pixels has noise. So either single pixels must be the same too, which
//! happens when a source repeats encoded frames; or they may differ by what an encoder makes of the same frame
//! twice, and then the frames between must have collapsed as well. If they have for [`COLLAPSED_MIN`], they count as a
//! picture more: each says that nothing changed. A clock burnt into the picture may go on: a few
//! blocks are allowed to differ.

use std::time::Duration;

use super::event::{Evidence, Measure};
use crate::cameras::picture::{Features, Grid};

/// Difference of a block's mean that counts as a change.
const BLOCK_STEP: u8 = 1;
/// Difference of a pixel that an encoder may make of the same frame while it refines it: 1 % of the pixels of a drawn
/// street were further off one group of pictures later, and 10 % of those of a street with noise that lives on.
const PIXEL_STEP: u8 = 6;
/// The frozen picture is the same for this many.
const PICTURES: u32 = 3;
/// Frames between keyframes that have collapsed for so long stand for one picture.
const COLLAPSED_MIN: Duration = Duration::from_secs(3);
/// Share of blocks, and of pixels, that may differ in a frozen picture.
const CHANGED_MAX: f32 = 0.03;
/// Shortest time from a picture of the row to the next. A little less than the usual time between keyframes: they are
/// made into pictures now sooner, now later, and one that came 10 ms early would cost a whole round.
const SPAN_MIN: Duration = Duration::from_millis(1_800);

/// What was compared.
#[derive(Debug, Clone)]
struct Look {
    at: Duration,
    thumbnail: Grid,
    pixels: Grid,
}

#[derive(Debug, Clone, Default)]
pub struct FrozenWatch {
    anchor: Option<Look>,
    /// Pictures like the anchor, itself among them.
    alike: u32,
}

/// What one picture says.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Pictures in a row that are the same.
    pub alike: u32,
    /// Whether they are enough to say that the picture is frozen.
    pub is_frozen: bool,
    /// When the first of them came.
    pub since: Duration,
    /// How much this one differs from the first.
    pub evidence: Vec<Evidence>,
}

impl FrozenWatch {
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Whether two or more pictures were the same.
    pub fn is_suspicious(&self) -> bool {
        self.alike >= 2
    }

    /// Compares a picture with the ones before. `collapsed_for`: how long the frames between have said that nothing changes.
    pub fn compare(&mut self, now: Duration, features: &Features, collapsed_for: Option<Duration>) -> Comparison {
        let compared = self.anchor.as_ref().map(|anchor| {
            let visible = &features.thumbnail;
            let blocks = changed(&anchor.thumbnail, &features.thumbnail, visible, BLOCK_STEP);
            let step = if collapsed_for.is_some() { PIXEL_STEP } else { 0 };
            (
                anchor.at,
                blocks,
                changed(&anchor.pixels, &features.pixels, visible, step),
            )
        });
        if let Some((since, Some(blocks), Some(pixels))) = compared
            && blocks <= CHANGED_MAX
            && pixels <= CHANGED_MAX
        {
            let is_spaced = now.saturating_sub(since) >= SPAN_MIN * self.alike.min(2);
            self.alike = if is_spaced {
                self.alike.saturating_add(1)
            } else {
                self.alike
            };
            let between = u32::from(collapsed_for.is_some_and(|time| time >= COLLAPSED_MIN));
            return Comparison {
                alike: self.alike,
                is_frozen: self.alike >= 2 && self.alike + between >= PICTURES,
                since,
                evidence: vec![
                    Evidence::below(Measure::ChangedBlocks, blocks, CHANGED_MAX),
                    Evidence::below(Measure::ChangedPixels, pixels, CHANGED_MAX),
                ],
            };
        }
        self.anchor = Some(Look {
            at: now,
            thumbnail: features.thumbnail.clone(),
            pixels: features.pixels.clone(),
        });
        self.alike = 1;
        Comparison {
            alike: 1,
            is_frozen: false,
            since: now,
            evidence: Vec::new(),
        }
    }
}

/// Share of visible blocks that differ by more than `step`; none if nothing is visible.
fn changed(before: &Grid, after: &Grid, visible: &Grid, step: u8) -> Option<f32> {
    let mut count = 0.0;
    let mut total = 0.0;
    let pairs = before.values().iter().zip(after.values()).zip(visible.values());
    for ((before, after), visible) in pairs {
        if *visible > 0 {
            total += 1.0;
            count += f32::from(u8::from(before.abs_diff(*after) > step));
        }
    }
    (total > 0.0).then(|| count / total)
}
