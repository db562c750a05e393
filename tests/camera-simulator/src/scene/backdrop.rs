//! The part of the street that never changes: buildings, pavements, asphalt, and the lines of the parking spaces.
//!
//! It has texture everywhere, because a sharp picture of a real street has, and tests of sharpness rely on it.

use super::canvas::{Colour, Picture};
use super::layout::{Point, STREET, Space, ground, ground_rectangle, within};
use super::painter::View;

const SKY: Colour = Colour(190, 140, 118);
const PAVEMENT: Colour = Colour(140, 126, 130);
const ASPHALT: Colour = Colour(86, 128, 128);
const BAY: Colour = Colour(98, 128, 129);
const LINE: Colour = Colour(205, 126, 129);
const WINDOW: Colour = Colour(60, 138, 122);
const TREE: Colour = Colour(74, 112, 116);
const HOUSES: [Colour; 5] = [
    Colour(150, 116, 138),
    Colour(128, 120, 142),
    Colour(165, 128, 128),
    Colour(110, 122, 150),
    Colour(140, 138, 120),
];
/// Width of a painted line relative to the width of the picture.
const LINE_WIDTH: f32 = 0.004;

/// Draws the still part of the street.
pub fn draw(width: usize, height: usize, spaces: &[Space], view: View) -> Picture {
    let mut picture = Picture::new(width, height, PAVEMENT);
    let mut fill = |polygon: &[Point], colour: Colour| {
        let seen: Vec<Point> = polygon.iter().map(|&point| view.apply(point)).collect();
        picture.fill_polygon(&seen, colour);
    };
    fill(&rectangle((-1.0, 2.0), (-1.0, 0.05)), SKY);
    for (house, colour) in (0_u8..12).zip(HOUSES.into_iter().cycle()) {
        draw_house(&mut fill, f32::from(house), colour);
    }
    fill(&ground_rectangle((-1.0, 2.0), (0.24, 2.0)), ASPHALT);
    for edge in [STREET.0 - 0.015, STREET.1] {
        fill(&ground_rectangle((-1.0, 2.0), (edge, edge + 0.015)), PAVEMENT);
    }
    let middle = STREET.0.midpoint(STREET.1);
    for dash in 0_u8..24 {
        let start = f32::from(dash) / 16.0 - 0.25;
        fill(
            &ground_rectangle((start, start + 0.03), (middle - 0.004, middle + 0.004)),
            LINE,
        );
    }
    for space in spaces {
        draw_space(&mut fill, space);
    }
    grain(&mut picture);
    picture
}

fn rectangle(across: (f32, f32), down: (f32, f32)) -> [Point; 4] {
    [
        [across.0, down.0],
        [across.1, down.0],
        [across.1, down.1],
        [across.0, down.1],
    ]
}

fn draw_house(fill: &mut impl FnMut(&[Point], Colour), number: f32, colour: Colour) {
    let left = number / 8.0 - 0.25;
    let top = 0.02 + 0.03 * (number * 2.3).sin();
    fill(&rectangle((left, left + 0.118), (top, 0.21)), colour);
    for row in 0_u8..3 {
        for column in 0_u8..4 {
            let (x, y) = (left + 0.012 + f32::from(column) * 0.026, 0.07 + f32::from(row) * 0.045);
            fill(&rectangle((x, x + 0.014), (y, y + 0.024)), WINDOW);
        }
    }
    let (x, y) = (left + 0.12, 0.17);
    let crown: Vec<Point> = (0_u8..9)
        .map(|corner| (f32::from(corner) * 40.0).to_radians())
        .map(|angle| [x + 0.02 * angle.cos(), y + 0.045 * angle.sin()])
        .collect();
    fill(&rectangle((x - 0.002, x + 0.002), (y, 0.235)), Colour(70, 122, 138));
    fill(&crown, TREE);
}

fn draw_space(fill: &mut impl FnMut(&[Point], Colour), space: &Space) {
    let corners = &space.polygon;
    fill(corners, LINE);
    let width = (corners[1][0] - corners[0][0]).abs().max(LINE_WIDTH);
    let margin = (LINE_WIDTH / width).min(0.2);
    let inner = [(margin, 0.0), (1.0 - margin, 0.0), (1.0 - margin, 1.0), (margin, 1.0)];
    fill(&inner.map(|(across, along)| within(corners, across, along)), BAY);
    let far = ground(0.5, corners[0][1])[1];
    fill(
        &[
            [corners[0][0], far],
            [corners[1][0], far],
            [corners[1][0], far + 0.006],
            [corners[0][0], far + 0.006],
        ],
        LINE,
    );
}

/// Makes each pixel a little lighter or darker, always the same way.
fn grain(picture: &mut Picture) {
    let mut state = 0x9E37_79B9_u32;
    for sample in picture.luma_mut() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let [low, ..] = state.to_le_bytes();
        *sample = sample.saturating_add(low & 15).saturating_sub(7);
    }
}
