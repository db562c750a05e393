//! How likely each of several numbers is.
//!
//! Only additions, multiplications, divisions and square roots are used, which give the same bits on every machine: box
//! and city come to the same figures.

/// Less than this share of everything is left out at either end.
const NEGLIGIBLE: f64 = 1e-9;

/// How likely each of the numbers from `first` on is. The weights add up to 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread {
    first: i64,
    weights: Vec<f64>,
}

impl Spread {
    /// One number, for certain.
    pub fn certain(number: i64) -> Self {
        Self {
            first: number,
            weights: vec![1.0],
        }
    }

    /// Weights of the numbers from `first` on, of any sum. Without any weight, `first` is certain.
    pub fn of(first: i64, weights: Vec<f64>) -> Self {
        let total: f64 = weights.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Self::certain(first);
        }
        let mut spread = Self {
            first,
            weights: weights.into_iter().map(|weight| weight / total).collect(),
        };
        spread.trim();
        spread
    }

    /// How often something happens that happens `mean` times on average, each time by itself.
    pub fn poisson(mean: f64) -> Self {
        let mean = if mean.is_finite() { mean.max(0.0) } else { 0.0 };
        let reach = mean + 10.0 * mean.sqrt() + 12.0;
        let middle = whole(mean);
        // From the middle outwards, as the weight of none at all is too small for large means.
        let mut weights = vec![1.0];
        let mut weight = 1.0;
        for number in (1..=middle).rev() {
            weight *= real(number) / mean;
            weights.push(weight);
        }
        weights.reverse();
        weight = 1.0;
        for number in middle + 1..=whole(reach) {
            weight *= mean / real(number);
            weights.push(weight);
        }
        Self::of(0, weights)
    }

    /// The sum of both, which have nothing to do with each other.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut weights = vec![0.0; self.weights.len() + other.weights.len() - 1];
        for (place, weight) in self.weights.iter().enumerate() {
            for (sum, other) in weights.iter_mut().skip(place).zip(&other.weights) {
                *sum += weight * other;
            }
        }
        Self::of(self.first + other.first, weights)
    }

    /// With the opposite sign.
    #[must_use]
    pub fn negative(mut self) -> Self {
        self.first = -self.last();
        self.weights.reverse();
        self
    }

    /// One of several, each as likely as its share says.
    pub fn one_of(of: &[(f64, Self)]) -> Self {
        let Some(first) = of.iter().map(|(_, spread)| spread.first).min() else {
            return Self::certain(0);
        };
        let last = of.iter().map(|(_, spread)| spread.last()).max().unwrap_or(first);
        let mut weights = vec![0.0; place(last - first) + 1];
        for (share, spread) in of {
            for (sum, weight) in weights
                .iter_mut()
                .skip(place(spread.first - first))
                .zip(&spread.weights)
            {
                *sum += share * weight;
            }
        }
        Self::of(first, weights)
    }

    /// How many of so many things have a property that each has with probability `share`.
    #[must_use]
    pub fn thinned(&self, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let mut of = Vec::with_capacity(self.weights.len());
        let mut some = Self::certain(0);
        let one = Self::of(0, vec![1.0 - share, share]);
        let mut reached = 0;
        for (number, weight) in self.numbers() {
            while reached < number {
                some = some.plus(&one);
                reached += 1;
            }
            of.push((
                *weight,
                if number < 0 {
                    Self::certain(number)
                } else {
                    some.clone()
                },
            ));
        }
        Self::one_of(&of)
    }

    /// The same, knowing that it is no less than `least`.
    #[must_use]
    pub fn at_least(mut self, least: i64) -> Self {
        let fewer = usize::try_from(least - self.first).unwrap_or(0).min(self.weights.len());
        self.weights.drain(..fewer);
        Self::of(self.first.max(least), self.weights)
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.numbers().map(|(number, weight)| real(number) * weight).sum()
    }

    /// The smallest number up to which there is at least this `share`.
    pub fn quantile(&self, share: f64) -> i64 {
        let mut sum = 0.0;
        for (number, weight) in self.numbers() {
            sum += weight;
            if sum >= share {
                return number;
            }
        }
        self.last()
    }

    fn numbers(&self) -> impl Iterator<Item = (i64, &f64)> {
        (self.first..).zip(&self.weights)
    }

    fn last(&self) -> i64 {
        self.first + i64::try_from(self.weights.len()).unwrap_or(i64::MAX) - 1
    }

    fn trim(&mut self) {
        let keeps = |weight: &f64| *weight > NEGLIGIBLE;
        let end = self.weights.iter().rposition(keeps).map_or(0, |last| last + 1);
        let begin = self.weights.iter().position(keeps).unwrap_or(0);
        self.weights.truncate(end);
        self.weights.drain(..begin);
        self.first += i64::try_from(begin).unwrap_or(0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of vehicles on a street")]
fn real(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of vehicles on a street")]
fn whole(number: f64) -> i64 {
    number as i64
}

fn place(distance: i64) -> usize {
    usize::try_from(distance).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn a_poisson_has_its_mean_and_its_quantiles_whether_small_or_large() {
        for mean in [0.0, 0.02, 1.0, 7.5, 900.0, 20_000.0] {
            let spread = Spread::poisson(mean);
            assert!(
                (spread.mean() - mean).abs() < 1e-4 * mean.max(1.0),
                "{mean}: {}",
                spread.mean()
            );
        }
        // R: qpois(c(0.025, 0.5, 0.975), 10) is 4, 10, 17.
        let ten = Spread::poisson(10.0);
        assert_eq!([0.025, 0.5, 0.975].map(|share| ten.quantile(share)), [4, 10, 17]);
    }

    #[test]
    fn a_sum_has_the_sum_of_the_means_and_the_opposite_the_opposite() {
        let sum = Spread::poisson(3.0).plus(&Spread::of(-1, vec![1.0, 0.0, 3.0]).negative());
        assert!(near(sum.mean(), 3.0 - 0.5), "{}", sum.mean());
        assert_eq!(Spread::certain(4).negative(), Spread::certain(-4));
    }

    #[test]
    fn a_thinned_poisson_is_a_poisson() {
        let (thinned, plain) = (Spread::poisson(8.0).thinned(0.25), Spread::poisson(2.0));
        for share in [0.01, 0.2, 0.5, 0.9, 0.999] {
            assert_eq!(thinned.quantile(share), plain.quantile(share), "{share}");
        }
        assert_eq!(Spread::certain(-2).thinned(0.5), Spread::certain(-2));
    }

    #[test]
    fn nonsense_is_no_doubt_at_all() {
        assert_eq!(Spread::of(3, vec![0.0, 0.0]), Spread::certain(3));
        assert_eq!(Spread::of(3, vec![f64::NAN]), Spread::certain(3));
        assert_eq!(Spread::poisson(f64::INFINITY), Spread::certain(0));
    }
}
