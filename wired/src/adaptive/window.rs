//! The last seconds of a field: how quiet it is, and what it is on average.

use std::collections::VecDeque;

use crate::Field;

use super::Sample;

/// Samples of the last `span_s` seconds.
#[derive(Debug, Clone)]
pub(super) struct Window {
    span_s: f64,
    samples: VecDeque<Sample>,
}

/// What a full window says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    /// Mean of the samples.
    pub mean: Field,
    /// Standard deviation of all axes together.
    pub deviation: f64,
}

impl Window {
    pub fn new(span_s: f64) -> Self {
        Self {
            span_s,
            samples: VecDeque::new(),
        }
    }

    pub fn clear(&mut self) {
        self.samples.clear();
    }

    /// Takes a sample; what is older than the span goes, but for one, so that the span is covered.
    pub fn push(&mut self, sample: Sample) {
        self.samples.push_back(sample);
        while self
            .samples
            .get(1)
            .is_some_and(|second| sample.at_s - second.at_s >= self.span_s)
        {
            self.samples.pop_front();
        }
    }

    /// The level, once the whole span is covered.
    pub fn level(&self) -> Option<Level> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        if last.at_s - first.at_s < self.span_s {
            return None;
        }
        let count = f64::from(u32::try_from(self.samples.len()).unwrap_or(u32::MAX));
        let fields = || self.samples.iter().map(|sample| sample.field);
        let mean = fields().fold(Field::default(), |sum, field| sum + field) * (1.0 / count);
        let square = |field: Field| {
            let off = (field - mean).strength();
            off * off
        };
        let deviation = (fields().map(square).sum::<f64>() / count).sqrt();
        Some(Level { mean, deviation })
    }
}
