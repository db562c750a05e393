//! What is usual for one camera: its detail at each hour of the day, and where its edges are.
//!
//! Learnt from healthy pictures only. Every mean is weighted with the time that a picture stands for, so that it does not
//! matter how often pictures are decoded. Means begin as plain ones and become exponential when their time constant is
//! reached.
//!
//! | what | time constant | known after |
//! | --- | --- | --- |
//! | detail, one slot for each of 24 hours | 3 h of that hour, so 3 days | 10 min |
//! | detail, of late | 30 min | 10 min |
//! | edges, one map for each 3 hours of the day | 9 h, so 3 days | 10 min |
//! | edges, of late | 10 min | 1 min |
//!
//! Dusk and dawn take longer than "of late"; nobody's hand does. Lamps that are switched on, and a camera that changes
//! to infrared, are sudden too: for them there are the maps by time of day.
//!
//! Serialised: edges as bytes in base64, about 30 kB in all. After a restart "of late" is too old to be of use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::HourOfDay;
use super::map::{self, Edges};
use crate::cameras::picture::{BLOCKS, Features, Grid};

const HOURS: usize = 24;
/// Maps of edges over the day.
const VIEWS: usize = 8;
/// Longest time that one picture stands for, seconds: the longest usual pause between looks at a large one.
const PICTURE_SECONDS_MAX: f32 = 100.0;
/// Time that the first picture stands for, seconds.
const PICTURE_SECONDS_FIRST: f32 = 4.0;
const HOUR_SECONDS: f32 = 10_800.0;
const LATE_SECONDS: f32 = 1_800.0;
const VIEW_SECONDS: f32 = 32_400.0;
const VIEW_LATE_SECONDS: f32 = 600.0;
/// Time of learning before a mean is of use, seconds.
const KNOWN_SECONDS: f32 = 600.0;
/// The same for the edges of late, seconds.
const KNOWN_LATE_SECONDS: f32 = 60.0;
/// Luma variance that keeps the share of contrast finite in a uniform picture.
const CONTRAST_FLOOR: f32 = 16.0;

/// How much detail pictures have, as natural logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detail {
    /// Of the variance of the Laplacian.
    pub absolute: f32,
    /// Of its share of the variance of luma.
    pub of_contrast: f32,
}

impl Detail {
    pub fn of(features: &Features) -> Self {
        let ln = |value: f32| if value.is_finite() { value.max(0.0).ln_1p() } else { 0.0 };
        let contrast = if features.deviation.is_finite() {
            features.deviation.abs().min(255.0).powi(2)
        } else {
            0.0
        };
        let absolute = ln(features.detail);
        Self {
            absolute,
            of_contrast: absolute - (contrast + CONTRAST_FLOOR).ln(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Slot {
    seconds: f32,
    absolute: f32,
    of_contrast: f32,
}

impl Slot {
    fn learn(&mut self, detail: Detail, seconds: f32, constant: f32) {
        let share = grown(&mut self.seconds, seconds, constant);
        self.absolute += (detail.absolute - self.absolute) * share;
        self.of_contrast += (detail.of_contrast - self.of_contrast) * share;
    }

    fn known(&self) -> Option<Detail> {
        (self.seconds >= KNOWN_SECONDS).then_some(Detail {
            absolute: self.absolute,
            of_contrast: self.of_contrast,
        })
    }

    fn is_sane(&self) -> bool {
        let values = [self.seconds, self.absolute, self.of_contrast];
        values.iter().all(|value| value.is_finite() && value.abs() < 1e6)
    }
}

/// Adds `seconds` to a mean's weight, up to its time constant, and gives the share of the new value in the mean.
fn grown(weight: &mut f32, seconds: f32, constant: f32) -> f32 {
    *weight = (*weight + seconds).min(constant);
    (seconds / weight.max(f32::MIN_POSITIVE)).min(1.0)
}

#[derive(Debug, Clone, PartialEq, Default)]
struct View {
    seconds: f32,
    /// Empty, or one for each block.
    edges: Vec<f32>,
}

impl View {
    fn learn(&mut self, edges: &Grid, seconds: f32, constant: f32) {
        self.edges.resize(BLOCKS, 0.0);
        let share = grown(&mut self.seconds, seconds, constant);
        for (mean, value) in self.edges.iter_mut().zip(edges.values()) {
            *mean += (f32::from(*value) - *mean) * share;
        }
    }

    fn known(&self, seconds: f32) -> Option<&Edges> {
        (self.seconds >= seconds && self.edges.len() == BLOCKS).then_some(&self.edges)
    }
}

/// What is usual for one camera. May be kept over restarts, and may be lost.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Baseline {
    hours: [Slot; HOURS],
    late: Slot,
    views: [View; VIEWS],
    view_late: View,
    learnt: Option<Duration>,
}

/// What a detail is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    pub detail: Detail,
    /// Whether it is that of this hour of the day.
    pub is_of_hour: bool,
}

impl Baseline {
    /// Learns a healthy picture.
    pub fn learn(&mut self, now: Duration, hour: Option<HourOfDay>, features: &Features) {
        let seconds = self.learnt.map_or(PICTURE_SECONDS_FIRST, |last| {
            now.saturating_sub(last).as_secs_f32().min(PICTURE_SECONDS_MAX)
        });
        self.learnt = Some(now);
        let detail = Detail::of(features);
        self.late.learn(detail, seconds, LATE_SECONDS);
        self.view_late.learn(&features.edges, seconds, VIEW_LATE_SECONDS);
        let hour = hour.map(|hour| usize::from(hour.value()));
        if let Some(slot) = hour.and_then(|hour| self.hours.get_mut(hour)) {
            slot.learn(detail, seconds, HOUR_SECONDS);
        }
        if let Some(view) = hour.and_then(|hour| self.views.get_mut(hour * VIEWS / HOURS)) {
            view.learn(&features.edges, seconds, VIEW_SECONDS);
        }
    }

    /// The usual detail at this hour: the least of it and its neighbours, for dusk is not on the hour. Otherwise that of
    /// late, or none.
    pub fn usual(&self, hour: Option<HourOfDay>) -> Option<Usual> {
        let slot = |hour: usize| self.hours.get(hour % HOURS).and_then(Slot::known);
        let near = hour.map(|hour| usize::from(hour.value())).and_then(|hour| {
            let least = |a: Detail, b: Detail| Detail {
                absolute: a.absolute.min(b.absolute),
                of_contrast: a.of_contrast.min(b.of_contrast),
            };
            let here = slot(hour)?;
            let beside = [slot(hour + HOURS - 1), slot(hour + 1)];
            Some(beside.into_iter().flatten().fold(here, least))
        });
        match near {
            Some(detail) => Some(Usual {
                detail,
                is_of_hour: true,
            }),
            None => self.late.known().map(|detail| Usual {
                detail,
                is_of_hour: false,
            }),
        }
    }

    /// The best correlation of a picture's edges with what is known of the view, and the map that gave it.
    pub fn resemblance(&self, hour: Option<HourOfDay>, features: &Features) -> Option<(f32, &Edges)> {
        let late = self.view_late.known(KNOWN_LATE_SECONDS);
        let view = hour.map(|hour| usize::from(hour.value()) * VIEWS / HOURS);
        let near = view.into_iter().flat_map(|view| [view, view + 1, view + VIEWS - 1]);
        near.filter_map(|view| self.views.get(view % VIEWS))
            .filter_map(|view| view.known(KNOWN_SECONDS))
            .chain(late)
            .filter_map(|edges| {
                map::correlation(edges, &features.edges, &features.thumbnail).map(|value| (value, edges))
            })
            .reduce(|a, b| if b.0 > a.0 { b } else { a })
    }

    /// Whether the view is known at every time of day.
    pub fn knows_the_day(&self) -> bool {
        self.views.iter().all(|view| view.known(KNOWN_SECONDS).is_some())
    }

    /// Forgets the view: the camera was turned on purpose. Its detail is another then, too.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// A baseline as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    hours: Vec<Slot>,
    late: Slot,
    views: Vec<KeptView>,
}

#[derive(Serialize, Deserialize)]
struct KeptView {
    seconds: f32,
    edges: Option<Grid>,
}

impl From<Baseline> for Kept {
    fn from(baseline: Baseline) -> Self {
        let kept = |view: View| KeptView {
            seconds: view.seconds,
            edges: map::rounded(&view.edges),
        };
        Self {
            hours: baseline.hours.to_vec(),
            late: baseline.late,
            views: baseline.views.map(kept).into(),
        }
    }
}

impl From<Kept> for Baseline {
    /// Takes what makes sense; the rest is learnt again.
    fn from(kept: Kept) -> Self {
        let mut baseline = Self::default();
        for (slot, kept) in baseline.hours.iter_mut().zip(kept.hours) {
            if kept.is_sane() {
                *slot = kept;
            }
        }
        for (view, kept) in baseline.views.iter_mut().zip(kept.views) {
            if let (true, Some(edges)) = (kept.seconds.is_finite(), kept.edges) {
                view.edges = edges.values().iter().copied().map(f32::from).collect();
                view.seconds = kept.seconds.clamp(0.0, VIEW_SECONDS);
            }
        }
        baseline
    }
}
