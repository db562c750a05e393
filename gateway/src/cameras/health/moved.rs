//! Whether the camera looks elsewhere.
//!
//! Three things must come together. The edges are no longer where they were: their correlation with everything that is
//! known of the view is low. It is not the light: a displacement fits clearly better, or the correlation is so low that
//! no change of light explains it, or the camera has been seen at every time of day and never looked like this. And the
//! new view stays: the picture is like the bad one before, which a lorry passing by the lens, or noise in the dark, is
//! not. A camera that was turned to look at a wall has no detail, and is called blurred.

use super::baseline::Baseline;
use super::event::{Evidence, HourOfDay, Measure};
use super::map;
use super::sight::Verdict;
use crate::cameras::picture::{Features, Grid};

/// Correlation with the known view below which the camera may have moved.
const CORRELATION_MIN: f32 = 0.45;
/// Correlation above which it certainly has not, or is back.
const CORRELATION_GOOD: f32 = 0.55;
/// Correlation below which no displacement need be found, even in the first day.
const CORRELATION_NONE: f32 = 0.20;
/// The same once the camera was seen at every time of day. A bus before a third of the view, at night, leaves 0.4.
const CORRELATION_NONE_KNOWN: f32 = 0.33;
/// By how much a displacement must fit better.
const DISPLACED_GAIN: f32 = 0.20;
/// Correlation of two pictures of the same view.
const SAME_VIEW: f32 = 0.60;

#[derive(Debug, Clone, Default)]
pub struct MovedWatch {
    /// Edges of the last picture that was unlike the known view.
    other: Option<Grid>,
}

impl MovedWatch {
    pub fn restart(&mut self) {
        self.other = None;
    }

    /// Whether the last picture was unlike the known view.
    pub fn is_suspicious(&self) -> bool {
        self.other.is_some()
    }

    pub fn judge(&mut self, baseline: &Baseline, hour: Option<HourOfDay>, features: &Features) -> Verdict {
        let Some((correlation, reference)) = baseline.resemblance(hour, features) else {
            self.other = None;
            return Verdict::Unsure;
        };
        if correlation >= CORRELATION_MIN {
            self.other = None;
            return if correlation >= CORRELATION_GOOD {
                Verdict::Good
            } else {
                Verdict::Unsure
            };
        }
        let mut evidence = vec![Evidence::below(Measure::EdgeCorrelation, correlation, CORRELATION_MIN)];
        let displaced = map::displaced_correlation(reference, &features.edges, &features.thumbnail);
        let gained = correlation + DISPLACED_GAIN;
        let none = if baseline.knows_the_day() {
            CORRELATION_NONE_KNOWN
        } else {
            CORRELATION_NONE
        };
        if let Some(displaced) = displaced.filter(|displaced| *displaced >= gained) {
            evidence.push(Evidence::above(Measure::DisplacedCorrelation, displaced, gained));
        } else if correlation >= none {
            self.other = None;
            return Verdict::Unsure;
        }
        let before = self.other.replace(features.edges.clone());
        let is_same = match before {
            Some(before) => map::correlation(&map::exact(&before), &features.edges, &features.thumbnail)
                .is_some_and(|correlation| correlation >= SAME_VIEW),
            None => true,
        };
        if is_same {
            Verdict::Bad(evidence)
        } else {
            Verdict::Restart(evidence)
        }
    }
}
