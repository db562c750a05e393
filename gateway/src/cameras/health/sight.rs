//! What is wrong with the picture: black, frozen, blurred or moved.
//!
//! Each verdict has a limit for bad and another one for good; between them nothing changes. Two agreeing pictures
//! confirm either way; `frozen` has rules of its own.

use std::time::Duration;

use super::baseline::{Baseline, Detail};
use super::event::{Cause, Evidence, Health, Measure, Now, State};
use super::frozen::FrozenWatch;
use super::moved::MovedWatch;
use crate::cameras::picture::{BLOCKS_HIGH, BLOCKS_WIDE, CAPTION_ROWS, Features};

/// Least share of the picture that must be visible for any verdict.
const VISIBLE_MIN: f32 = 0.1;
/// Mean luma of a black picture, and of one that is not. Black is 16 in limited range.
const MEAN_BLACK: f32 = 48.0;
const MEAN_GOOD: f32 = 56.0;
/// Difference between the 1st and the 99th percentile of blocks: a dark street still has lamps.
const CONTRAST_BLACK: f32 = 7.0;
const CONTRAST_GOOD: f32 = 12.0;
/// Share of the usual detail below which a picture is blurred, and above which it is not.
const DETAIL_BLURRED: f32 = 0.30;
const DETAIL_GOOD: f32 = 0.45;
/// The same for detail as a share of contrast, which depends less on the light.
const OF_CONTRAST_BLURRED: f32 = 0.40;
const OF_CONTRAST_GOOD: f32 = 0.55;
/// By how much stricter it is when the usual detail is that of late, not of this hour.
const LATE_FACTOR: f32 = 0.6;
/// Others are confirmed by this many.
const PICTURES: u8 = 2;

/// What one picture says about one fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Bad(Vec<Evidence>),
    /// Bad, but not in the same way as the picture before.
    Restart(Vec<Evidence>),
    Good,
    Unsure,
}

/// A fault that needs agreeing pictures to come and to go.
#[derive(Debug, Clone, Default)]
pub struct Confirmed {
    bad: u8,
    good: u8,
    first_bad: Duration,
    active: Option<Duration>,
    evidence: Vec<Evidence>,
}

impl Confirmed {
    pub fn observe(&mut self, now: Duration, verdict: Verdict) {
        if matches!(verdict, Verdict::Restart(_)) && self.active.is_none() {
            self.bad = 0;
        }
        match verdict {
            Verdict::Bad(evidence) | Verdict::Restart(evidence) => {
                if self.bad == 0 {
                    self.first_bad = now;
                }
                (self.bad, self.good) = (self.bad.saturating_add(1), 0);
                self.evidence = evidence;
                if self.bad >= PICTURES {
                    self.active.get_or_insert(self.first_bad);
                }
            }
            Verdict::Good => {
                (self.good, self.bad) = (self.good.saturating_add(1), 0);
                if self.good >= PICTURES {
                    self.active = None;
                }
            }
            Verdict::Unsure => {}
        }
    }

    /// Takes a verdict that needs no second one.
    pub fn decide(&mut self, now: Duration, verdict: Verdict) {
        match verdict {
            Verdict::Bad(_) | Verdict::Restart(_) if self.bad == 0 => {
                (self.first_bad, self.bad) = (now, PICTURES - 1);
            }
            Verdict::Good if self.good == 0 => self.good = PICTURES - 1,
            _ => {}
        }
        self.observe(now, verdict);
    }

    pub fn active(&self) -> Option<(Duration, &[Evidence])> {
        self.active.map(|since| (since, self.evidence.as_slice()))
    }

    fn is_open(&self) -> bool {
        self.active.is_some() || self.bad > 0
    }

    fn restart(&mut self) {
        (self.bad, self.good) = (0, 0);
    }
}

/// Everything about the picture of one camera.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    black: Confirmed,
    frozen: Confirmed,
    blurred: Confirmed,
    moved: Confirmed,
    frozen_watch: FrozenWatch,
    moved_watch: MovedWatch,
    baseline: Baseline,
}

impl Sight {
    pub fn new(baseline: Baseline) -> Self {
        Self {
            baseline,
            ..Self::default()
        }
    }

    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// The stream begins anew: what is confirmed stays, what is not begins again.
    pub fn restart(&mut self) {
        for fault in [&mut self.black, &mut self.frozen, &mut self.blurred, &mut self.moved] {
            fault.restart();
        }
        self.frozen_watch.restart();
        self.moved_watch.restart();
    }

    /// The view is as wanted from now on.
    pub fn accept_view(&mut self) {
        self.baseline.forget();
        (self.blurred, self.moved) = (Confirmed::default(), Confirmed::default());
        self.moved_watch.restart();
    }

    /// Whether the next keyframe should be looked at.
    pub fn is_suspicious(&self) -> bool {
        [&self.black, &self.frozen, &self.blurred, &self.moved]
            .iter()
            .any(|fault| fault.is_open())
            || self.frozen_watch.is_suspicious()
            || self.moved_watch.is_suspicious()
    }

    /// Judges a picture that was received `now`, and learns from it if nothing is wrong. `stream_time`: the same by the
    /// stream, which may be a little ahead of the box's clock, and tells how far apart pictures are.
    pub fn look(&mut self, now: Now, stream_time: Duration, features: &Features, collapsed_for: Option<Duration>) {
        if features.visible() < VISIBLE_MIN {
            return;
        }
        let black = judge_black(features);
        let is_black = matches!(black, Verdict::Bad(_));
        self.black.observe(now.mono, black);
        if is_black {
            self.frozen_watch.restart();
            self.moved_watch.restart();
            return;
        }
        self.judge_frozen(now.mono, stream_time, features, collapsed_for);
        if self.frozen.active.is_some() {
            return;
        }
        let blurred = self.judge_blurred(now, features);
        let is_blurred = matches!(blurred, Verdict::Bad(_));
        self.blurred.observe(now.mono, blurred);
        if is_blurred {
            self.moved_watch.restart();
        } else {
            let moved = self.moved_watch.judge(&self.baseline, now.hour, features);
            self.moved.observe(now.mono, moved);
        }
        if !self.is_suspicious() {
            self.baseline.learn(now.mono, now.hour, features);
        }
    }

    fn judge_frozen(
        &mut self,
        now: Duration,
        stream_time: Duration,
        features: &Features,
        collapsed_for: Option<Duration>,
    ) {
        let compared = self.frozen_watch.compare(stream_time, features, collapsed_for);
        if compared.is_frozen {
            self.frozen.active.get_or_insert(compared.since.min(now));
            self.frozen.good = 0;
            self.frozen.evidence = compared.evidence;
        } else if compared.is_new {
            self.frozen.observe(now, Verdict::Good);
        }
    }

    fn judge_blurred(&self, now: Now, features: &Features) -> Verdict {
        let Some(usual) = self.baseline.usual(now.hour) else {
            return Verdict::Unsure;
        };
        let detail = Detail::of(features);
        let absolute = (detail.absolute - usual.detail.absolute).exp();
        let of_contrast = (detail.of_contrast - usual.detail.of_contrast).exp();
        let factor = if usual.is_of_hour { 1.0 } else { LATE_FACTOR };
        let (bad, good) = (DETAIL_BLURRED * factor, DETAIL_GOOD * factor);
        let (bad_contrast, good_contrast) = (OF_CONTRAST_BLURRED * factor, OF_CONTRAST_GOOD * factor);
        // Dusk takes detail and contrast alike, a bright lamp only adds contrast: either alone says nothing of the lens.
        if absolute < bad && of_contrast < bad_contrast {
            Verdict::Bad(vec![
                Evidence::below(Measure::DetailShare, absolute, bad),
                Evidence::below(Measure::DetailShareOfContrast, of_contrast, bad_contrast),
            ])
        } else if absolute > good || of_contrast > good_contrast {
            Verdict::Good
        } else {
            Verdict::Unsure
        }
    }

    /// What is wrong with the picture, the first by priority.
    pub fn fault(&self) -> Option<Health> {
        let faults = [
            (&self.black, State::Black, Cause::Black),
            (&self.frozen, State::Frozen, Cause::Frozen),
            (&self.blurred, State::Blurred, Cause::Blurred),
            (&self.moved, State::Moved, Cause::Moved),
        ];
        faults.into_iter().find_map(|(fault, state, cause)| {
            fault.active().map(|(since, evidence)| Health {
                state,
                since,
                cause,
                evidence: evidence.to_vec(),
            })
        })
    }
}

fn judge_black(features: &Features) -> Verdict {
    let rows = features.thumbnail.values().chunks_exact(BLOCKS_WIDE);
    let inner = rows.skip(CAPTION_ROWS).take(BLOCKS_HIGH - 2 * CAPTION_ROWS).flatten();
    let mut blocks: Vec<u8> = inner.copied().filter(|luma| *luma > 0).collect();
    blocks.sort_unstable();
    let at = |percent: usize| blocks.get(blocks.len().saturating_sub(1) * percent / 100).copied();
    let (Some(dark), Some(bright)) = (at(1), at(99)) else {
        return Verdict::Unsure;
    };
    let contrast = f32::from(bright.saturating_sub(dark));
    let sum: f32 = blocks.iter().copied().map(f32::from).sum();
    let mean = sum / f32::from(u16::try_from(blocks.len()).unwrap_or(u16::MAX));
    if mean < MEAN_BLACK && contrast < CONTRAST_BLACK {
        Verdict::Bad(vec![
            Evidence::below(Measure::Mean, mean, MEAN_BLACK),
            Evidence::below(Measure::Contrast, contrast, CONTRAST_BLACK),
        ])
    } else if mean > MEAN_GOOD || contrast > CONTRAST_GOOD {
        Verdict::Good
    } else {
        Verdict::Unsure
    }
}
