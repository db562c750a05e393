//! Draws a scene for one stream, frame after frame.
//!
//! Only what changes is drawn again. The still part (street and parked vehicles) is drawn when the scene or the view
//! has changed. For each frame, the moving vehicles of the frame before are covered from the still part and drawn where
//! they are now. Texts and noise go into a copy; because of the noise, no two frames are the same.
//!
//! What lies between scene and sensor is the [`Lens`]; text and noise come after it, as in a camera.

use super::canvas::{Area, Colour, Picture};
use super::layout::{Point, STREET, Space, ground_rectangle, spaces, within};
use super::{Scene, VehicleClass, backdrop, timecode};
use crate::clock::utc_text;
use std::time::Duration;

/// Greatest difference that the noise makes to luma.
const NOISE_LUMA: u8 = 3;
/// Size of the table of noise in bytes; each line of a frame begins at another place in its first 4,096 bytes.
const NOISE_BYTES: usize = 8_192;
/// How long a moving vehicle needs from end to end of its way.
const PASSAGE: Duration = Duration::from_secs(9);
const BLACK: Colour = Colour(16, 128, 128);
const GLASS: Colour = Colour(48, 134, 124);
const SHADOW: Colour = Colour(56, 128, 128);
const PAINTS: [Colour; 6] = [
    Colour(215, 128, 128),
    Colour(70, 100, 205),
    Colour(60, 180, 110),
    Colour(40, 128, 128),
    Colour(160, 128, 128),
    Colour(180, 40, 150),
];

/// Which part of the world the camera looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Magnification.
    pub zoom: f32,
    /// How far the picture is moved to the right and down, in picture widths and heights.
    pub shift: Point,
}

impl View {
    /// The view that the camera was installed with.
    pub const INSTALLED: Self = Self {
        zoom: 1.0,
        shift: [0.0, 0.0],
    };
    /// The view of a camera that somebody has turned.
    pub const MOVED: Self = Self {
        zoom: 1.35,
        shift: [-0.38, -0.29],
    };

    /// Where a point of the installed view is seen.
    pub fn apply(self, point: Point) -> Point {
        [
            point[0] * self.zoom + self.shift[0],
            point[1] * self.zoom + self.shift[1],
        ]
    }
}

/// What lies between the scene and the sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lens {
    /// Nothing.
    Clear,
    /// It is far out of focus.
    Blurred,
    /// It is covered; texts are still written into the picture.
    Covered,
    /// No picture comes at all: black, without texts.
    Dead,
}

/// What one frame shall show.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'a> {
    /// The vehicles.
    pub scene: &'a Scene,
    /// The direction.
    pub view: View,
    /// The lens.
    pub lens: Lens,
    /// Time since the Unix epoch, for the text and the moving vehicles.
    pub time: Duration,
}

/// Draws frames of one size.
#[derive(Debug)]
pub struct Painter {
    label: String,
    spaces: Vec<Space>,
    moving_vehicles: u8,
    still: Picture,
    still_is: Option<(u64, View)>,
    street: Picture,
    touched: Vec<Area>,
    noise: Vec<u8>,
    random: u32,
    frame: Picture,
}

impl Painter {
    /// A painter of pictures with an even width and height; `label` is written into them.
    pub fn new(width: usize, height: usize, label: &str, space_names: &[String], moving_vehicles: u8) -> Self {
        let empty = Picture::new(width, height, BLACK);
        let mut random = 0x2545_F491;
        let noise = (0..NOISE_BYTES)
            .map(|_| next(&mut random) % (2 * NOISE_LUMA + 1))
            .collect();
        Self {
            label: label.to_owned(),
            spaces: spaces(space_names),
            moving_vehicles,
            still: empty.clone(),
            still_is: None,
            street: empty.clone(),
            touched: Vec::new(),
            noise,
            random,
            frame: empty,
        }
    }

    /// Draws the next frame. It has no timecode yet.
    pub fn paint(&mut self, shot: &Shot) -> &mut Picture {
        if self.still_is == Some((shot.scene.revision(), shot.view)) {
            for area in std::mem::take(&mut self.touched) {
                self.street.copy_area(&mut self.still, &area);
            }
        } else {
            self.draw_still(shot);
        }
        self.draw_moving(shot);
        match shot.lens {
            Lens::Clear => self.frame.copy_from(&self.street),
            Lens::Blurred => {
                self.frame.copy_from(&self.street);
                self.frame.blur(self.street.width() / 48);
            }
            Lens::Covered | Lens::Dead => self.frame.fill(BLACK),
        }
        if shot.lens != Lens::Dead {
            self.draw_texts(shot.time);
        }
        self.add_noise();
        &mut self.frame
    }

    /// The frame that was drawn last.
    pub fn last(&mut self) -> &mut Picture {
        &mut self.frame
    }

    fn draw_still(&mut self, shot: &Shot) {
        self.still = backdrop::draw(self.still.width(), self.still.height(), &self.spaces, shot.view);
        for space in &self.spaces {
            if let Some(vehicle) = shot.scene.vehicle(&space.name) {
                draw_parked(&mut self.still, space, vehicle.class, paint(vehicle.paint), shot.view);
            }
        }
        self.street.copy_from(&self.still);
        self.touched.clear();
        self.still_is = Some((shot.scene.revision(), shot.view));
    }

    fn draw_moving(&mut self, shot: &Shot) {
        for number in 0..self.moving_vehicles {
            let phase = PASSAGE * u32::from(number) * 2 / 5;
            let passed = Duration::from_nanos_u128((shot.time + phase).as_nanos() % PASSAGE.as_nanos());
            let way = passed.as_secs_f32() / PASSAGE.as_secs_f32() * 1.6 - 0.3;
            let middle = STREET.0.midpoint(STREET.1);
            let (x, depth) = if number % 2 == 0 {
                (way, (STREET.0 + 0.02, middle - 0.015))
            } else {
                (1.0 - way, (middle + 0.015, STREET.1 - 0.02))
            };
            let colour = paint(u32::from(number) + 1);
            for (across, depth, colour) in [
                ((x, x + 0.15), (depth.0, depth.1 + 0.012), SHADOW),
                ((x, x + 0.15), depth, colour),
                ((x + 0.035, x + 0.06), (depth.0 + 0.008, depth.1 - 0.008), GLASS),
                ((x + 0.10, x + 0.12), (depth.0 + 0.008, depth.1 - 0.008), GLASS),
            ] {
                let polygon = ground_rectangle(across, depth).map(|point| shot.view.apply(point));
                let area = self.street.fill_polygon(&polygon, colour);
                self.touched.push(area);
            }
        }
    }

    fn draw_texts(&mut self, time: Duration) {
        let height = self.frame.height();
        let scale = (height / 180).max(1);
        let top = timecode::strip_height(height) + 4 * scale;
        self.frame.text(4 * scale, top, scale, &utc_text(time));
        self.frame
            .text(4 * scale, height.saturating_sub(13 * scale), scale, &self.label);
    }

    fn add_noise(&mut self) {
        let width = self.frame.width();
        for line in self.frame.luma_mut().chunks_exact_mut(width) {
            let start = usize::from(next(&mut self.random)) * 16;
            let noise = self.noise.iter().skip(start);
            line.iter_mut()
                .zip(noise)
                .for_each(|(sample, noise)| *sample = noisy(*sample, *noise));
        }
    }
}

fn noisy(sample: u8, noise: u8) -> u8 {
    sample.saturating_add(noise).saturating_sub(NOISE_LUMA)
}

/// The next byte of a sequence without visible order.
fn next(state: &mut u32) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    state.to_be_bytes()[0]
}

fn paint(number: u32) -> Colour {
    let index = usize::try_from(number).unwrap_or(0) % PAINTS.len();
    PAINTS.get(index).copied().unwrap_or(GLASS)
}

/// Draws a vehicle into a space: shadow, body, then what lies on the body.
fn draw_parked(picture: &mut Picture, space: &Space, class: VehicleClass, colour: Colour, view: View) {
    let (sides, ends): (f32, (f32, f32)) = match class {
        VehicleClass::Motorcycle => (0.40, (0.25, 0.75)),
        VehicleClass::Car => (0.16, (0.10, 0.90)),
        VehicleClass::Truck | VehicleClass::Bus => (0.08, (0.02, 0.99)),
    };
    let mut fill = |across: (f32, f32), along: (f32, f32), colour: Colour| {
        let corners = [
            (across.0, along.0),
            (across.1, along.0),
            (across.1, along.1),
            (across.0, along.1),
        ];
        let polygon = corners.map(|(across, along)| view.apply(within(&space.polygon, across, along)));
        picture.fill_polygon(&polygon, colour);
    };
    let length = ends.1 - ends.0;
    let at = |part: f32| ends.0 + length * part;
    fill(
        (sides + 0.05, 1.0 - sides + 0.06),
        (ends.0 + 0.03, ends.1 + 0.02),
        SHADOW,
    );
    fill((sides, 1.0 - sides), ends, colour);
    let inside = (sides + 0.05, 1.0 - sides - 0.05);
    match class {
        VehicleClass::Motorcycle => fill((0.30, 0.70), (at(0.20), at(0.28)), BLACK),
        VehicleClass::Car => {
            fill(inside, (at(0.22), at(0.36)), GLASS);
            fill(inside, (at(0.72), at(0.84)), GLASS);
        }
        VehicleClass::Truck => {
            fill(inside, (at(0.05), at(0.16)), GLASS);
            fill((sides, 1.0 - sides), (at(0.24), at(1.0)), Colour(175, 124, 132));
        }
        VehicleClass::Bus => {
            for window in 0_u8..6 {
                let start = 0.06 + f32::from(window) * 0.155;
                fill(inside, (at(start), at(start + 0.09)), GLASS);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        (1..=8).map(|number| format!("U-{number:02}")).collect()
    }

    fn painter(vehicles: u8) -> Painter {
        Painter::new(640, 360, "simpang-1", &names(), vehicles)
    }

    fn shot(scene: &Scene) -> Shot<'_> {
        Shot {
            scene,
            view: View::INSTALLED,
            lens: Lens::Clear,
            time: Duration::from_millis(1_700_000_004_500),
        }
    }

    fn luma(painter: &mut Painter, shot: &Shot) -> Vec<u8> {
        painter.paint(shot).luma_mut().to_vec()
    }

    /// Mean difference of two pictures.
    fn difference(left: &[u8], right: &[u8]) -> f64 {
        let sum: u32 = left.iter().zip(right).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        f64::from(sum) / f64::from(u32::try_from(left.len()).unwrap())
    }

    fn coordinate(pixel: usize) -> f32 {
        f32::from(u16::try_from(pixel).unwrap())
    }

    fn spread(luma: &[u8]) -> u8 {
        luma.iter().max().unwrap() - luma.iter().min().unwrap()
    }

    #[test]
    fn no_two_frames_are_the_same_but_nearly_so() {
        let (mut painter, scene) = (painter(0), Scene::new(&names()));
        let (first, second) = (luma(&mut painter, &shot(&scene)), luma(&mut painter, &shot(&scene)));
        assert_ne!(first, second);
        assert!(difference(&first, &second) < 4.0);
    }

    #[test]
    fn a_frame_after_many_others_is_the_one_of_a_new_painter_but_for_noise() {
        let (mut old, scene) = (painter(2), Scene::new(&names()));
        for step in 0..40 {
            let time = Duration::from_millis(1_700_000_000_000 + step * 250);
            old.paint(&Shot { time, ..shot(&scene) });
        }
        let (left, right) = (luma(&mut old, &shot(&scene)), luma(&mut painter(2), &shot(&scene)));
        let worst = left.iter().zip(&right).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 2 * NOISE_LUMA, "{worst}");
    }

    #[test]
    fn a_vehicle_changes_its_space_and_nothing_else() {
        let (mut painter, mut scene) = (painter(0), Scene::new(&names()));
        let empty = luma(&mut painter, &shot(&scene));
        scene.occupy("U-07", VehicleClass::Car);
        let full = luma(&mut painter, &shot(&scene));
        let corners = spaces(&names())[6].polygon;
        let (left, right) = (
            corners[3][0].min(corners[0][0]) * 640.0,
            corners[1][0].max(corners[2][0]) * 640.0,
        );
        let mut changed = 0;
        for (index, (a, b)) in empty.iter().zip(&full).enumerate() {
            if a.abs_diff(*b) > 2 * NOISE_LUMA {
                changed += 1;
                let (x, y) = (coordinate(index % 640), coordinate(index / 640) / 360.0);
                assert!(
                    (left - 2.0..right + 8.0).contains(&x) && (0.69..1.0).contains(&y),
                    "{x} {y}"
                );
            }
        }
        assert!(changed > 2_000, "{changed}");
        scene.vacate("U-07");
        assert!(difference(&empty, &luma(&mut painter, &shot(&scene))) < 4.0);
    }

    #[test]
    fn something_moves_along_the_street() {
        let (mut painter, scene) = (painter(1), Scene::new(&names()));
        let first = luma(&mut painter, &shot(&scene));
        let second = luma(
            &mut painter,
            &Shot {
                time: shot(&scene).time + Duration::from_secs(1),
                ..shot(&scene)
            },
        );
        let changed = first.iter().zip(&second).filter(|(a, b)| a.abs_diff(**b) > 20).count();
        assert!(changed > 1_000, "{changed}");
    }

    #[test]
    fn a_dead_or_covered_camera_is_black_and_recovers() {
        let (mut painter, scene) = (painter(1), Scene::new(&names()));
        let before = luma(&mut painter, &shot(&scene));
        assert!(
            spread(&luma(
                &mut painter,
                &Shot {
                    lens: Lens::Dead,
                    ..shot(&scene)
                }
            )) <= 2 * NOISE_LUMA
        );
        let covered = luma(
            &mut painter,
            &Shot {
                lens: Lens::Covered,
                ..shot(&scene)
            },
        );
        assert!(spread(&covered) > 100, "texts are still there");
        assert!(difference(&before, &luma(&mut painter, &shot(&scene))) < 4.0);
    }

    #[test]
    fn blur_and_a_moved_camera_are_clearly_different_and_recover() {
        let (mut painter, scene) = (painter(1), Scene::new(&names()));
        let before = luma(&mut painter, &shot(&scene));
        let edges = |luma: &[u8]| {
            luma.chunks_exact(640)
                .skip(80)
                .take(200)
                .flat_map(|line| line.windows(2))
                .filter(|p| p[0].abs_diff(p[1]) > 30)
                .count()
        };
        let blurred = luma(
            &mut painter,
            &Shot {
                lens: Lens::Blurred,
                ..shot(&scene)
            },
        );
        assert!(
            edges(&blurred) * 10 < edges(&before),
            "{} {}",
            edges(&blurred),
            edges(&before)
        );
        let moved = luma(
            &mut painter,
            &Shot {
                view: View::MOVED,
                ..shot(&scene)
            },
        );
        assert!(difference(&before, &moved) > 15.0);
        assert!(difference(&before, &luma(&mut painter, &shot(&scene))) < 4.0);
    }
}
