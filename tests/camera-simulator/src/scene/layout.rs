//! Where the parking spaces and the street are in the picture.
//!
//! The street runs from left to right. Half of the spaces lie behind it, half of them in front of it. The camera looks
//! down at an angle, so that what is farther away is smaller: the ground is a rectangle, `across` from left (0) to right
//! (1) and `depth` from the far edge (0) to the near edge (1), and lines of constant `across` run towards the middle.

use serde::{Serialize, Serializer};

/// A point of the picture: x, y from (0, 0) at the upper left to (1, 1) at the lower right.
pub type Point = [f32; 2];

/// A parking space.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Space {
    /// Its name in the configuration.
    pub name: String,
    /// Its corners: far left, far right, near right, near left. Written with four decimal places.
    #[serde(serialize_with = "rounded")]
    pub polygon: [Point; 4],
}

/// Depth of the far row: far edge, near edge.
const FAR_ROW: (f32, f32) = (0.25, 0.45);
/// Depth of the near row.
const NEAR_ROW: (f32, f32) = (0.70, 0.95);
/// Depth of the street.
pub const STREET: (f32, f32) = (0.48, 0.67);
/// From where to where the rows of spaces go.
const ROW: (f32, f32) = (0.05, 0.95);

/// Turns a point of the ground into one of the picture.
pub fn ground(across: f32, depth: f32) -> Point {
    [0.5 + (across - 0.5) * (0.74 + 0.30 * depth), depth]
}

/// Corners of a rectangle on the ground, in the order of [`Space::polygon`].
pub fn ground_rectangle(across: (f32, f32), depth: (f32, f32)) -> [Point; 4] {
    [
        ground(across.0, depth.0),
        ground(across.1, depth.0),
        ground(across.1, depth.1),
        ground(across.0, depth.1),
    ]
}

/// Places spaces in the order of their names: the first half behind the street, the others in front of it.
pub fn spaces(names: &[String]) -> Vec<Space> {
    let (far, near) = names.split_at(names.len().div_ceil(2));
    row(far, FAR_ROW).chain(row(near, NEAR_ROW)).collect()
}

fn row(names: &[String], depth: (f32, f32)) -> impl Iterator<Item = Space> {
    let count = small(names.len());
    let width = (ROW.1 - ROW.0) / count;
    names.iter().enumerate().map(move |(index, name)| {
        let left = ROW.0 + width * small(index);
        Space {
            name: name.clone(),
            polygon: ground_rectangle((left, left + width), depth),
        }
    })
}

fn rounded<S: Serializer>(polygon: &[Point; 4], serializer: S) -> Result<S::Ok, S::Error> {
    polygon
        .map(|point| point.map(|value| (f64::from(value) * 10_000.0).round() / 10_000.0))
        .serialize(serializer)
}

/// A count of spaces as a factor.
fn small(count: usize) -> f32 {
    f32::from(u16::try_from(count).unwrap_or(u16::MAX))
}

/// The point at `across`, `along` (0 to 1 each) of a four-sided polygon with corners as in [`Space::polygon`].
pub fn within(polygon: &[Point; 4], across: f32, along: f32) -> Point {
    let mix = |a: Point, b: Point, t: f32| [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t];
    mix(
        mix(polygon[0], polygon[1], across),
        mix(polygon[3], polygon[2], across),
        along,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_space_lies_in_the_picture_below_the_texts_and_off_the_street() {
        for count in [1, 2, 7, 60] {
            let names: Vec<_> = (0..count).map(|number| format!("U-{number:02}")).collect();
            let spaces = spaces(&names);
            assert_eq!(spaces.len(), count);
            for space in spaces {
                for [x, y] in space.polygon {
                    assert!((0.0..=1.0).contains(&x) && (0.2..=1.0).contains(&y), "{space:?}");
                    assert!(y <= STREET.0 || y >= STREET.1, "{space:?}");
                }
            }
        }
    }

    #[test]
    fn neighbours_share_an_edge() {
        let spaces = spaces(&["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        for (left, right) in [
            (spaces[0].polygon[1], spaces[1].polygon[0]),
            (spaces[0].polygon[2], spaces[1].polygon[3]),
        ] {
            assert!((left[0] - right[0]).abs() < 1e-5 && (left[1] - right[1]).abs() < 1e-5);
        }
    }

    #[test]
    fn the_middle_of_a_space_lies_between_its_corners() {
        let square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let [x, y] = within(&square, 0.5, 0.25);
        assert!((x - 0.5).abs() < 1e-6 && (y - 0.25).abs() < 1e-6);
    }
}
