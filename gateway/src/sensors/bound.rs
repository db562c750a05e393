//! A sensor as a driver knows it: its model, and what depends on where it hangs.

use parking::Timestamp;

use super::Profile;
use super::codecs::{CodecError, Decoded};

/// A sensor that the configuration names.
#[derive(Debug, Clone, Copy)]
pub struct BoundSensor {
    /// Its model.
    pub profile: &'static Profile,
    /// What a distance means, for models that tell nothing else.
    pub distance: Option<DistanceLimits>,
}

/// When a distance means a vehicle. Between the two limits it means neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DistanceLimits {
    /// Occupied when something is nearer than this, millimetres.
    pub occupied_below_mm: u32,
    /// Free when nothing is nearer than this, millimetres.
    pub free_above_mm: u32,
}

impl DistanceLimits {
    /// Whether something at `distance_mm` is a vehicle; none between the limits.
    pub fn is_occupied(self, distance_mm: u32) -> Option<bool> {
        if distance_mm < self.occupied_below_mm {
            Some(true)
        } else {
            (distance_mm > self.free_above_mm).then_some(false)
        }
    }
}

impl BoundSensor {
    /// A sensor of which nothing depends on where it hangs.
    pub fn of(profile: &'static Profile) -> Self {
        Self {
            profile,
            distance: None,
        }
    }

    /// Decodes a payload that came at `received`. A distance becomes a state; no echo stays none.
    pub async fn decode(&self, port: u8, payload: &[u8], received: Timestamp) -> Result<Decoded, CodecError> {
        let decoded = self.profile.decode(port, payload, received).await?;
        Ok(self.with_limits(decoded))
    }

    /// Makes a state of a distance, for a model that tells nothing else.
    pub fn with_limits(&self, mut decoded: Decoded) -> Decoded {
        if let (None, Some(limits), Some(distance)) =
            (decoded.report.occupied, self.distance, decoded.health.distance_mm)
        {
            decoded.report.occupied = limits.is_occupied(distance);
        }
        decoded
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use parking::ReportKind;

    use super::*;

    const LIMITS: DistanceLimits = DistanceLimits {
        occupied_below_mm: 1_500,
        free_above_mm: 2_000,
    };

    #[test]
    fn between_the_limits_a_distance_says_nothing() {
        let cases = [
            (0, Some(true)),
            (1_499, Some(true)),
            (1_500, None),
            (2_000, None),
            (2_001, Some(false)),
        ];
        for (distance, occupied) in cases {
            assert_eq!(LIMITS.is_occupied(distance), occupied, "{distance} mm");
        }
    }

    fn decode(sensor: BoundSensor, port: u8, payload: &[u8]) -> Decoded {
        let decoded = sensor.decode(port, payload, Timestamp::EPOCH).now_or_never();
        decoded.expect("a codec of the program does not wait").unwrap()
    }

    #[test]
    fn a_distance_becomes_a_state_and_no_echo_does_not() {
        let profile = Profile::by_name("milesight-em400-mud").unwrap();
        let hung = BoundSensor {
            profile,
            distance: Some(LIMITS),
        };
        // The vendor's example of 68 mm, one of 3,000 mm, and the value for "out of range".
        for (payload, occupied) in [
            (&[0x04, 0x82, 0x44, 0x00][..], Some(true)),
            (&[0x04, 0x82, 0xb8, 0x0b], Some(false)),
            (&[0x04, 0x82, 0xfd, 0xff], None),
        ] {
            assert_eq!(decode(hung, 85, payload).report.occupied, occupied, "{payload:02x?}");
            assert_eq!(decode(BoundSensor::of(profile), 85, payload).report.occupied, None);
        }
        // An alarm that the distance has crossed its threshold is a change.
        let alarm = decode(hung, 85, &[0x84, 0x82, 0x44, 0x00, 0x01]).report;
        assert_eq!((alarm.kind, alarm.occupied), (ReportKind::Status, Some(true)));
    }
}
