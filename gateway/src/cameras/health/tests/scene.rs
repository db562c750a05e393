//! A made-up street: houses with windows, trees, a road with markings, lamps, vehicles, rain, and a camera with noise.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "pixels of made-up pictures"
)]

use crate::cameras::picture::{Colour, Features, Frame, Mask, Picture, Plane};

const WIDE: usize = 640;
const HIGH: usize = 360;
/// The world is larger than the view, so that the camera can be turned.
const WORLD_WIDE: usize = WIDE * 2;
const WORLD_HIGH: usize = HIGH * 2;

/// A number from 0 to 1 that depends on `seed` only.
pub fn chance(seed: u64) -> f32 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}

/// What the camera sees and how.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// By how much the camera is turned, shares of the picture.
    pub turned: (f32, f32),
    /// Light of day: 1 at noon, 0 at night, when only lamps are on.
    pub light: f32,
    /// From where the sun comes: shadows fall to -1 (left) to 1 (right).
    pub sun: f32,
    /// Where a bus stands and how much of the width it fills.
    pub bus: Option<(f32, f32)>,
    /// Number of the vehicles that pass; another number is other vehicles.
    pub traffic: u64,
    /// Share of pixels touched by rain.
    pub rain: f32,
    /// Standard deviation of the sensor's noise.
    pub noise: f32,
    /// Radius of a box filter, pixels: dirt or lost focus.
    pub blur: usize,
    /// Number of the picture: another number is other noise, and another time in the caption.
    pub number: u64,
    /// Whether the lens is covered.
    pub covered: bool,
}

impl View {
    /// A quiet noon.
    pub fn noon(number: u64) -> Self {
        Self {
            turned: (0.0, 0.0),
            light: 1.0,
            sun: 0.2,
            bus: None,
            traffic: number / 3,
            rain: 0.0,
            noise: 2.0,
            blur: 0,
            number,
            covered: false,
        }
    }
}

/// The street.
pub struct Scene {
    world: Vec<f32>,
    lamps: Vec<f32>,
}

impl Scene {
    pub fn new(seed: u64) -> Self {
        let mut world = vec![0.0; WORLD_WIDE * WORLD_HIGH];
        for y in 0..WORLD_HIGH {
            for x in 0..WORLD_WIDE {
                world[y * WORLD_WIDE + x] = surface(seed, x, y);
            }
        }
        let mut scene = Self {
            lamps: vec![0.0; world.len()],
            world,
        };
        for lamp in 0..7_usize {
            let (x, y) = (90 + lamp * 190, 300 + (chance(seed + lamp as u64) * 60.0) as usize);
            scene.light(x, y);
        }
        scene
    }

    fn light(&mut self, x: usize, y: usize) {
        for row in 0..WORLD_HIGH {
            for column in 0..WORLD_WIDE {
                let (dx, dy) = (column as f32 - x as f32, (row as f32 - y as f32 - 60.0) * 0.7);
                let far = dx * dx + dy * dy;
                self.lamps[row * WORLD_WIDE + column] += 0.55 * (-far / 6_000.0).exp();
            }
        }
    }

    /// Measures of a picture.
    pub fn measured(&self, view: &View) -> Features {
        Features::of(&self.picture(view))
    }

    /// A picture.
    pub fn picture(&self, view: &View) -> Picture {
        let mut luma: Vec<f32> = Vec::with_capacity(WIDE * HIGH);
        let left = (WIDE / 2) as f32 + view.turned.0 * WIDE as f32;
        let top = (HIGH / 2) as f32 + view.turned.1 * HIGH as f32;
        for y in 0..HIGH {
            for x in 0..WIDE {
                luma.push(self.seen(view, x, y, left as usize + x, top as usize + y));
            }
        }
        if view.covered {
            luma.fill(18.0);
        }
        for _ in 0..if view.blur > 0 { 2 } else { 0 } {
            luma = blurred(&luma, view.blur);
        }
        let noise_seed = view.number.wrapping_mul(0x1_0000_0001);
        let mut bytes = Vec::with_capacity(luma.len());
        for (index, value) in luma.iter().enumerate() {
            let seed = noise_seed.wrapping_add(index as u64);
            let noise = (chance(seed) + chance(seed ^ 0x5555_0000_0000) - 1.0) * 2.45 * view.noise;
            bytes.push((value + noise).round().clamp(16.0, 235.0) as u8);
        }
        caption(&mut bytes, view.number);
        let grey = vec![128; WIDE * HIGH / 4];
        let plane = |bytes, stride| Plane { bytes, stride };
        let planes = [plane(&bytes, WIDE), plane(&grey, WIDE / 2), plane(&grey, WIDE / 2)];
        Frame::i420((WIDE, HIGH), planes, Colour::default())
            .unwrap()
            .cover(&Mask::none())
    }

    fn seen(&self, view: &View, x: usize, y: usize, column: usize, row: usize) -> f32 {
        let place = row.min(WORLD_HIGH - 1) * WORLD_WIDE + column.min(WORLD_WIDE - 1);
        let mut surface = self.world[place];
        // Shadows of houses on the road move with the sun.
        let shadow = (column as f32 * 0.02 + view.sun * row as f32 * 0.03).sin() * view.sun.abs();
        if row > WORLD_HIGH / 2 && shadow > 0.4 {
            surface *= 1.0 - 0.35 * view.light;
        }
        if let Some(value) = vehicle(view, x, y) {
            surface = value;
        }
        let light = 0.06 + 0.94 * view.light + self.lamps[place] * (1.0 - view.light).powi(2);
        let mut value = 16.0 + 200.0 * surface * light.min(1.2);
        let rain = chance(
            view.number
                .wrapping_mul(977)
                .wrapping_add((x + y / 3) as u64 * 7_919 + (y / 14) as u64),
        );
        if rain < view.rain {
            value += 40.0 * (0.3 + view.light * 0.7);
        }
        value
    }
}

/// Reflectance of the world, 0 to 1.
fn surface(seed: u64, x: usize, y: usize) -> f32 {
    let grain = (chance(seed ^ (x as u64 * 1_000_003 + y as u64)) - 0.5) * 0.05;
    let house = x / 150;
    let roof = 150 + (chance(seed + 31 * house as u64) * 150.0) as usize;
    let ground = 430;
    if y < roof {
        0.85 - y as f32 * 0.0004
    } else if y < ground {
        let wall = 0.3 + 0.4 * chance(seed + 77 * house as u64);
        let (across, down) = (20 + house % 4 * 6, 24 + house % 3 * 8);
        let is_window = x % 150 > 8 && (x % 150) % across < across / 2 && (y - roof) % down > down / 2;
        let is_lit = chance(seed + (x / across * 131 + (y - roof) / down * 17) as u64);
        if is_window { 0.08 + 0.2 * is_lit } else { wall + grain }
    } else if y < ground + 50 {
        // Pavement with parked things and kerb stones.
        0.55 + grain * 3.0 - if (x / 37 + house).is_multiple_of(3) { 0.3 } else { 0.0 }
    } else {
        let is_marking = y / 6 == 92 && (x / 40).is_multiple_of(2) || y / 5 == 99;
        let is_crossing = (760..860).contains(&x) && (x / 12).is_multiple_of(2) && y < 640;
        if is_marking || is_crossing {
            0.8
        } else {
            0.33 + grain * 2.0
        }
    }
}

/// What passes or stands in front of the street, in the picture's coordinates.
fn vehicle(view: &View, x: usize, y: usize) -> Option<f32> {
    if let Some((left, width)) = view.bus {
        let (from, to) = (left * WIDE as f32, (left + width) * WIDE as f32);
        if (from..to).contains(&(x as f32)) && (70..300).contains(&y) {
            let is_window = (110..180).contains(&y) && (x as f32 - from) % 44.0 > 6.0;
            return Some(if is_window { 0.15 } else { 0.7 });
        }
    }
    for car in 0..3_u64 {
        let seed = view.traffic.wrapping_mul(31).wrapping_add(car);
        let from = (chance(seed) * 700.0) as usize;
        let top = 240 + car as usize * 35;
        if (from..from + 70).contains(&x) && (top..top + 32).contains(&y) {
            return Some(0.2 + 0.6 * chance(seed + 9));
        }
    }
    None
}

/// The camera's name and time, in white with a black border, as cameras burn it in.
fn caption(bytes: &mut [u8], number: u64) {
    for y in 8..24 {
        for x in 12..200 {
            let is_clock = x > 160;
            let glyph = (x / 9) as u64 * 3 + if is_clock { number * 7 } else { 0 };
            let is_ink = chance(glyph * 64 + (y / 3 * 4 + x % 9 / 2) as u64) > 0.5;
            bytes[y * WIDE + x] = if is_ink { 235 } else { 16 };
        }
    }
}

fn blurred(luma: &[f32], radius: usize) -> Vec<f32> {
    let pass = |source: &[f32], wide: usize, high: usize, step: usize, line: usize| {
        let mut out = vec![0.0; source.len()];
        for row in 0..high {
            for x in 0..wide {
                let (from, to) = (x.saturating_sub(radius), (x + radius).min(wide - 1));
                let sum: f32 = (from..=to).map(|x| source[row * line + x * step]).sum();
                out[row * line + x * step] = sum / (to - from + 1) as f32;
            }
        }
        out
    };
    let across = pass(luma, WIDE, HIGH, 1, WIDE);
    pass(&across, HIGH, WIDE, WIDE, 1)
}
