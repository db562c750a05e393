//! The speed of sound, by which a time becomes a distance.

/// At 0 °C in dry air, metres a second (Cramer 1993, J. Acoust. Soc. Am. 93, 2510). Humidity adds up to 0.6 %.
const AT_ZERO: f64 = 331.45;
const KELVIN: f64 = 273.15;
/// At this temperature the sensors' own distances are right, °C.
const ASSUMED_C: f64 = 20.0;

/// Speed of sound in air of this temperature, metres a second.
pub fn speed_of_sound(celsius: f64) -> f64 {
    AT_ZERO * ((celsius + KELVIN).max(0.0) / KELVIN).sqrt()
}

/// A distance that a sensor without a thermometer told, corrected for the air's temperature, millimetres.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest integer there is"
)]
pub fn corrected_mm(told_mm: u16, celsius: f64) -> u16 {
    (f64::from(told_mm) * speed_of_sound(celsius) / speed_of_sound(ASSUMED_C)).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_of_sound_is_that_of_the_tables() {
        for (celsius, speed) in [(0.0, 331.45), (20.0, 343.4), (40.0, 354.9)] {
            assert!((speed_of_sound(celsius) - speed).abs() < 0.1, "{celsius} °C");
        }
    }

    #[test]
    fn at_noon_a_vehicle_is_further_away_than_it_seems() {
        assert_eq!(corrected_mm(2_000, 20.0), 2_000);
        assert_eq!(corrected_mm(2_000, 40.0), 2_067);
        assert_eq!(corrected_mm(2_000, f64::NAN), 0);
        assert_eq!(corrected_mm(u16::MAX, 60.0), u16::MAX);
    }
}
