//! The median of three samples, axis by axis: a single wild one is gone, and a step stays a step.

use crate::Field;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Median {
    before: Option<(Field, Field)>,
}

impl Median {
    /// Takes a sample, and gives the median of it and the two before; until there are two, the sample itself.
    pub fn push(&mut self, field: Field) -> Field {
        let (first, second) = self.before.unwrap_or((field, field));
        self.before = Some((second, field));
        let axis = |of: fn(Field) -> f64| middle(of(first), of(second), of(field));
        Field::new(axis(|field| field.x), axis(|field| field.y), axis(|field| field.z))
    }
}

fn middle(a: f64, b: f64, c: f64) -> f64 {
    a.min(b).max(a.max(b).min(c))
}
