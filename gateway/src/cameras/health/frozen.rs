//! Whether the picture is the same again and again.
//!
//! Pictures whose blocks have the same means are a row, compared with its first so that slow changes add up. A quiet street
//! at night has the same means everywhere, but each of its pixels has noise. So single pixels must be the same too, which
//! happens when a source repeats encoded frames; or they may differ by what an encoder makes of the same frame
//! twice, and then the frames between must have collapsed as well. If they have for [`COLLAPSED_MIN`], they count as a
//! picture more: each says that nothing changed. A clock burnt into the picture may go on: a few
//! blocks are allowed to differ.
//!
//! An encoder makes a coarse keyframe now and then, further from the others than its noise would be. It is like no other
//! picture of the row, but does not end the row while the frames beside it have collapsed; and where two others were alike
//! and the frames have collapsed for long enough, it need not be waited for another.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::{Evidence, Measure};
use crate::cameras::picture::{Features, Grid};

/// Difference of a block's mean that counts as a change.
const BLOCK_STEP: u8 = 1;
/// Difference of a pixel that an encoder may make of the same frame while it refines it: 1 % of the pixels of a drawn
/// street were further off one group of pictures later, and 10 % of those of a street with noise that lives on.
const PIXEL_STEP: u8 = 6;
/// The frozen picture is the same for this many.
const PICTURES: usize = 3;
/// Frames between keyframes that have collapsed for so long stand for one picture.
const COLLAPSED_MIN: Duration = Duration::from_secs(3);
/// Share of blocks, and of pixels, that may differ in a frozen picture.
const CHANGED_MAX: f32 = 0.03;
/// Shortest time from a picture of the row to the next: keyframes of a small group of pictures say less.
const SPAN_MIN: Duration = Duration::from_millis(1_800);

/// The pixels of a picture, and when it was received.
#[derive(Debug, Clone)]
struct Look {
    at: Duration,
    grid: Grid,
}

#[derive(Debug, Clone, Default)]
pub struct FrozenWatch {
    /// The blocks of the first of the row.
    first: Option<Grid>,
    /// The last ones of the row.
    last: VecDeque<Look>,
    /// Of the last picture: pictures of the row that are like it, itself among them.
    alike: usize,
    /// When the first of two pictures of the row that were alike came.
    pair: Option<Duration>,
    /// Whether the row was said to be frozen.
    is_named: bool,
}

/// What one picture says.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Whether it is like none before.
    pub is_new: bool,
    /// Whether the row is enough to say that the picture is frozen.
    pub is_frozen: bool,
    /// When the first that is like others came.
    pub since: Duration,
    /// How much this one differs from the row.
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

    /// Compares a picture received `at` with the ones before. `collapsed_for`: how long the frames between have said that
    /// nothing changes.
    pub fn compare(&mut self, at: Duration, features: &Features, collapsed_for: Option<Duration>) -> Comparison {
        // A camera's clock that steps back says nothing of how far apart pictures are.
        if self.last.back().is_some_and(|look| at < look.at) {
            self.last.clear();
        }
        let visible = &features.thumbnail;
        let blocks = self
            .first
            .as_ref()
            .and_then(|first| changed(first, visible, visible, BLOCK_STEP));
        let Some(blocks) = blocks.filter(|share| *share <= CHANGED_MAX) else {
            return self.begin(at, features);
        };
        let step = if collapsed_for.is_some() { PIXEL_STEP } else { 0 };
        let share = |look: &Look| changed(&look.grid, &features.pixels, visible, step);
        let looks = self.last.iter().filter_map(|look| Some((look.at, share(look)?)));
        let like: Vec<(Duration, f32)> = looks.filter(|(_, share)| *share <= CHANGED_MAX).collect();
        if like.is_empty() && collapsed_for.is_none() {
            return self.begin(at, features);
        }
        let is_spaced = |(then, _): &&(Duration, f32)| at.saturating_sub(*then) >= SPAN_MIN;
        self.alike = 1 + like.iter().filter(is_spaced).count();
        let between = usize::from(collapsed_for.is_some_and(|time| time >= COLLAPSED_MIN));
        let is_coarse = like.is_empty() && self.pair.is_some() && !self.is_named;
        let pictures = if is_coarse { 2 } else { self.alike };
        let is_frozen = pictures >= 2 && pictures + between >= PICTURES;
        if self.alike >= 2 {
            self.pair = self.pair.or(like.iter().map(|(then, _)| *then).min());
        }
        let since = self.pair.unwrap_or(at);
        self.is_named |= is_frozen;
        self.keep(at, features);
        let mut evidence = vec![Evidence::below(Measure::ChangedBlocks, blocks, CHANGED_MAX)];
        let is_new = like.is_empty();
        let pixels = like.into_iter().map(|(_, share)| share).reduce(f32::min);
        evidence.extend(pixels.map(|share| Evidence::below(Measure::ChangedPixels, share, CHANGED_MAX)));
        Comparison {
            is_new,
            is_frozen,
            since,
            evidence,
        }
    }

    /// Begins a row.
    fn begin(&mut self, at: Duration, features: &Features) -> Comparison {
        self.restart();
        self.alike = 1;
        self.first = Some(features.thumbnail.clone());
        self.keep(at, features);
        Comparison {
            is_new: true,
            is_frozen: false,
            since: at,
            evidence: Vec::new(),
        }
    }

    /// Keeps a picture for the next ones, unless one that was kept is not old enough.
    fn keep(&mut self, at: Duration, features: &Features) {
        if self
            .last
            .back()
            .is_some_and(|look| at.saturating_sub(look.at) < SPAN_MIN)
        {
            return;
        }
        if self.last.len() >= PICTURES {
            self.last.pop_front();
        }
        let grid = features.pixels.clone();
        self.last.push_back(Look { at, grid });
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
