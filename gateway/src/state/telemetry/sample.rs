//! What is measured, and a sample of it.

use serde::{Deserialize, Serialize};
use serde_json::Number;

/// What a series is about. Its word is the last part of the series' name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Frames a second: `fps`.
    Fps,
    /// Bitrate of the video, kbit/s: `kbit`.
    Kbit,
    /// Time between two keyframes, seconds: `gop_s`.
    GopSeconds,
    /// RTP packets that the network lost, counted: `lost`.
    LostPackets,
    /// Share of the time in which the camera's state was `up`, 0 to 1: `up`.
    Up,
    /// The camera's clock minus the box's, milliseconds: `clock_ms`.
    ClockMs,
}

/// What a longer sample says about shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    /// The least, the mean and the greatest.
    Spread,
    /// All together.
    Sum,
    /// The mean alone.
    Mean,
}

impl Quantity {
    const ALL: [Self; 6] = [
        Self::Fps,
        Self::Kbit,
        Self::GopSeconds,
        Self::LostPackets,
        Self::Up,
        Self::ClockMs,
    ];

    /// Its word in names of series.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fps => "fps",
            Self::Kbit => "kbit",
            Self::GopSeconds => "gop_s",
            Self::LostPackets => "lost",
            Self::Up => "up",
            Self::ClockMs => "clock_ms",
        }
    }

    /// What the series of this name is about.
    pub fn of(series: &str) -> Option<Self> {
        let (_, word) = series.rsplit_once('/')?;
        Self::ALL.into_iter().find(|quantity| quantity.word() == word)
    }

    fn fold(self) -> Fold {
        match self {
            Self::Fps | Self::Kbit | Self::GopSeconds | Self::ClockMs => Fold::Spread,
            Self::LostPackets => Fold::Sum,
            Self::Up => Fold::Mean,
        }
    }

    /// To what it is rounded: this many parts of one.
    fn parts(self) -> f64 {
        match self {
            Self::Kbit | Self::LostPackets | Self::ClockMs => 1.0,
            Self::Fps | Self::GopSeconds => 10.0,
            Self::Up => 100.0,
        }
    }

    fn rounded(self, value: f64) -> f64 {
        (value * self.parts()).round() / self.parts()
    }
}

/// What was measured over some time. As JSON `[low, mean, high]`, or one number when the three are equal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Sample {
    /// The least.
    pub low: f64,
    /// The mean; the sum of what is counted.
    pub mean: f64,
    /// The greatest.
    pub high: f64,
}

impl Sample {
    /// A sample that is one number.
    pub fn one(value: f64) -> Self {
        Self {
            low: value,
            mean: value,
            high: value,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(Number),
    Three([Number; 3]),
}

impl From<Sample> for Written {
    fn from(sample: Sample) -> Self {
        let Sample { low, mean, high } = sample;
        #[allow(clippy::float_cmp)] // equal only if they are the same number
        if low == mean && mean == high {
            Self::One(number(mean))
        } else {
            Self::Three([low, mean, high].map(number))
        }
    }
}

impl From<Written> for Sample {
    fn from(written: Written) -> Self {
        let value = |number: &Number| number.as_f64().unwrap_or_default();
        match written {
            Written::One(number) => Self::one(value(&number)),
            Written::Three([low, mean, high]) => Self {
                low: value(&low),
                mean: value(&mean),
                high: value(&high),
            },
        }
    }
}

/// A number as short as it can be written.
fn number(value: f64) -> Number {
    #[allow(clippy::cast_possible_truncation)] // a whole number that fits
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Number::from(value as i64);
    }
    Number::from_f64(value).unwrap_or_else(|| Number::from(0))
}

/// Samples on their way to become a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gathering {
    low: f64,
    sum: f64,
    high: f64,
    count: u32,
}

impl Gathering {
    /// Takes one more.
    pub fn add(&mut self, sample: Sample) {
        if self.count == 0 {
            (self.low, self.high) = (sample.low, sample.high);
        }
        self.low = self.low.min(sample.low);
        self.high = self.high.max(sample.high);
        self.sum += sample.mean;
        self.count = self.count.saturating_add(1);
    }

    /// What they come to; `None` if there were none.
    pub fn sample(&self, quantity: Quantity) -> Option<Sample> {
        let mean = (self.count > 0).then(|| self.sum / f64::from(self.count))?;
        Some(match quantity.fold() {
            Fold::Sum => Sample::one(quantity.rounded(self.sum)),
            Fold::Mean => Sample::one(quantity.rounded(mean)),
            Fold::Spread => Sample {
                low: quantity.rounded(self.low),
                mean: quantity.rounded(mean),
                high: quantity.rounded(self.high),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(quantity: Quantity, values: &[f64]) -> Option<Sample> {
        let mut gathering = Gathering::default();
        for value in values {
            gathering.add(Sample::one(*value));
        }
        gathering.sample(quantity)
    }

    #[test]
    fn what_fits_the_quantity_is_kept_of_it() {
        let three = |low, mean, high| Some(Sample { low, mean, high });
        assert_eq!(gathered(Quantity::Fps, &[12.0, 13.0, 12.06]), three(12.0, 12.4, 13.0));
        assert_eq!(gathered(Quantity::ClockMs, &[-20.0, 10.4]), three(-20.0, -5.0, 10.0));
        assert_eq!(
            gathered(Quantity::LostPackets, &[1.0, 0.0, 3.0]),
            Some(Sample::one(4.0))
        );
        assert_eq!(gathered(Quantity::Up, &[1.0, 1.0, 0.0]), Some(Sample::one(0.67)));
        assert_eq!(gathered(Quantity::Kbit, &[]), None, "nothing is not zero");
    }

    #[test]
    fn a_sample_is_written_as_short_as_it_can_be_and_read_back() {
        let spread = Sample {
            low: 11.5,
            mean: 12.0,
            high: 13.0,
        };
        let text = serde_json::to_string(&[Some(spread), Some(Sample::one(512.0)), None]).unwrap();
        assert_eq!(text, "[[11.5,12,13],512,null]");
        let read: [Option<Sample>; 3] = serde_json::from_str(&text).unwrap();
        assert_eq!(read, [Some(spread), Some(Sample::one(512.0)), None]);
    }

    #[test]
    fn the_last_part_of_a_name_is_the_quantity() {
        for quantity in Quantity::ALL {
            assert_eq!(
                Quantity::of(&format!("camera/gate-1/{}", quantity.word())),
                Some(quantity)
            );
        }
        assert_eq!((Quantity::of("camera/fps/other"), Quantity::of("fps")), (None, None));
    }
}
