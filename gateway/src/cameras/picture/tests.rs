//! Masks, planes, JPEG and measures, on pictures of known content.

use proptest::prelude::*;

use super::*;

/// Owned planes of a frame.
struct Planes {
    size: (usize, usize),
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Planes {
    /// Luma by a function of the place, and one colour.
    fn new(size: (usize, usize), luma: impl Fn(usize, usize) -> u8) -> Self {
        let (wide, high) = (size.0.div_ceil(2), size.1.div_ceil(2));
        let places = (0..size.1).flat_map(|y| (0..size.0).map(move |x| (x, y)));
        Self {
            size,
            y: places.map(|(x, y)| luma(x, y)).collect(),
            u: vec![90; wide * high],
            v: vec![200; wide * high],
        }
    }

    fn cover(&self, mask: &Mask) -> Picture {
        let wide = self.size.0.div_ceil(2);
        let plane = |bytes, stride| Plane { bytes, stride };
        let planes = [plane(&self.y, self.size.0), plane(&self.u, wide), plane(&self.v, wide)];
        Frame::i420(self.size, planes, Colour::default()).unwrap().cover(mask)
    }
}

fn checkers(x: usize, y: usize) -> u8 {
    if (x / 5 + y / 5).is_multiple_of(2) { 60 } else { 180 }
}

/// Whether a point is inside by the even-odd rule, by counting edges to the right: another way than the raster's.
fn is_inside(points: &[[f64; 2]], x: f64, y: f64) -> bool {
    let mut inside = false;
    for (index, to) in points.iter().enumerate() {
        let from = points[(index + points.len() - 1) % points.len()];
        if (from[1] > y) != (to[1] > y) && x < from[0] + (y - from[1]) / (to[1] - from[1]) * (to[0] - from[0]) {
            inside = !inside;
        }
    }
    inside
}

fn problems(points: Vec<[f64; 2]>) -> Vec<String> {
    let problems = Mask::new(vec![points]).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn frames_of_foreign_sizes_are_refused_with_the_numbers() {
    let plane = |bytes, stride| Plane { bytes, stride };
    let bytes = vec![0; 64 * 64];
    let make = |size, y: Plane<'_>, stride| {
        let chroma = Plane { bytes: &bytes, stride };
        Frame::i420(size, [y, chroma, chroma], Colour::default()).map(|_| ())
    };
    assert_eq!(make((64, 64), plane(&bytes, 64), 32), Ok(()));
    for size in [(0, 64), (64, 63), (8_193, 64), (usize::MAX, usize::MAX)] {
        let error = make(size, plane(&bytes, 64), 32).unwrap_err();
        assert!(matches!(error, FrameError::Size { .. }), "{error}");
    }
    let short = make((64, 65), plane(&bytes, 64), 32).unwrap_err();
    assert_eq!(short.to_string(), "Y plane has 4096 bytes, 4160 are needed");
    let narrow = make((64, 64), plane(&bytes, 64), 31).unwrap_err();
    assert_eq!(narrow.to_string(), "U plane has a stride of 31 bytes, but a row has 32");
    let far = make((64, 64), plane(&bytes, usize::MAX), 32).unwrap_err();
    assert!(matches!(far, FrameError::Short { needed: usize::MAX, .. }));
}

#[test]
fn strides_and_interleaved_chroma_give_the_same_picture_as_planes_without_gaps() {
    let planes = Planes::new((101, 77), checkers);
    let padded = |bytes: &[u8], row: usize, stride: usize| -> Vec<u8> {
        let rows = bytes.chunks(row).map(|row| {
            let mut row = row.to_vec();
            row.resize(stride, 0xEE);
            row
        });
        rows.flatten().collect()
    };
    let both: Vec<u8> = planes.u.iter().zip(&planes.v).flat_map(|(u, v)| [*u, *v]).collect();
    let (y, uv) = (padded(&planes.y, 101, 128), padded(&both, 102, 128));
    let plane = |bytes, stride| Plane { bytes, stride };
    let frame = Frame::nv12((101, 77), [plane(&y, 128), plane(&uv, 128)], Colour::default()).unwrap();
    assert_eq!(frame.cover(&Mask::none()), planes.cover(&Mask::none()));
}

#[test]
fn problems_of_a_mask_name_polygon_point_and_value() {
    assert_eq!(
        problems(vec![[0.1, 0.1], [0.5, 0.5]]),
        ["mask[0]: a polygon of 2 points\n  hint: a polygon has 3 to 64 points"]
    );
    assert_eq!(
        problems(vec![[0.1, 0.1], [1.5, 0.5], [0.2, f64::NAN]]),
        [
            "mask[0][1]: x = 1.5 is outside the picture\n  hint: x and y are shares of width and height, from 0 (left, top) to 1 (right, bottom)",
            "mask[0][2]: y = NaN is outside the picture\n  hint: x and y are shares of width and height, from 0 (left, top) to 1 (right, bottom)",
        ]
    );
    assert_eq!(
        problems(vec![[0.1, 0.1], [0.3, 0.3], [0.2, 0.2]]),
        [
            "mask[0]: all points are in one line, so nothing would be hidden\n  hint: name the corners of an area, in order around it"
        ]
    );
    assert_eq!(problems(vec![[0.5, 0.5]; 3]).len(), 1);
    assert_eq!(problems(vec![[0.5, 0.5]; 65]).len(), 1);
    let triangle = vec![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
    let many = Mask::new(vec![triangle; 33]).unwrap_err();
    assert_eq!(
        many[0].to_string(),
        "mask: 33 polygons\n  hint: at most 32; join neighbours into one"
    );
}

#[test]
fn a_figure_of_eight_hides_both_halves_and_no_colour_is_left_beside_it() {
    let eight = vec![[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]];
    let picture = Planes::new((320, 240), |_, _| 150).cover(&Mask::new(vec![eight]).unwrap());
    let luma = |x: usize, y: usize| picture.luma()[y * 320 + x];
    let colour = |x: usize, y: usize| picture.chroma().0[y / 2 * 160 + x / 2];
    for (x, y, is_hidden) in [
        (80, 120, true),
        (240, 120, true),
        (160, 60, false),
        (160, 180, false),
        (10, 10, false),
    ] {
        assert_eq!(luma(x, y) == 16, is_hidden, "{x},{y}");
        assert_eq!(colour(x, y) == 128, is_hidden, "{x},{y}");
    }
    // The left edge is at pixel 64: one chroma sample more is hidden, and no more than two.
    assert_eq!((luma(62, 120), luma(59, 120)), (16, 150));
}

#[test]
fn a_sliver_thinner_than_a_pixel_is_hidden_all_along() {
    let sliver = vec![[0.1, 0.5], [0.9, 0.50001], [0.9, 0.5001], [0.1, 0.5001]];
    let picture = Planes::new((640, 360), |_, _| 150).cover(&Mask::new(vec![sliver]).unwrap());
    assert!((64..=576).all(|x| picture.luma()[180 * 640 + x] == 16));
}

/// Width, height and sampling of the first component, from the start of frame (ITU-T T.81, B.2.2).
fn start_of_frame(jpeg: &[u8]) -> (usize, usize, u8) {
    let mut at = 2;
    while jpeg[at + 1] != 0xC0 {
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    let number = |at: usize| usize::from(u16::from_be_bytes([jpeg[at], jpeg[at + 1]]));
    (number(at + 7), number(at + 5), jpeg[at + 11])
}

#[test]
fn a_jpeg_has_the_picture_s_size_and_half_the_colour_whatever_the_quality() {
    for size in [(64, 64), (101, 77), (640, 360)] {
        for quality in [0, 20, 75, 95, 255] {
            let picture = Planes::new(size, checkers).cover(&Mask::none());
            let jpeg = picture.jpeg(Quality::new(quality), 1_000_000).unwrap();
            assert_eq!(start_of_frame(&jpeg), (size.0, size.1, 0x22));
            assert_eq!(jpeg[jpeg.len() - 2..], [0xFF, 0xD9]);
        }
    }
}

#[test]
fn a_jpeg_that_would_be_too_large_has_a_lower_quality_and_in_the_end_is_refused() {
    let noise = |x: usize, y: usize| (x * 7_919 + y * 104_729 + x * y * 31).to_le_bytes()[0];
    let picture = Planes::new((640, 360), noise).cover(&Mask::none());
    let whole = picture.jpeg(Quality::MAX, 1_000_000).unwrap();
    let bound = whole.len() / 2;
    assert!((1..=bound).contains(&picture.jpeg(Quality::MAX, bound).unwrap().len()));
    let error = picture.jpeg(Quality::MAX, 1_000).unwrap_err().to_string();
    let message = "picture of 640x360 pixels has more than 1000 bytes as JPEG at quality 20\n  hint: allow more bytes, or ask for a smaller picture";
    assert_eq!(error, message);
}

#[test]
fn a_preview_has_the_means_of_the_pixels_and_keeps_the_shape_and_the_mask() {
    let right = vec![[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]];
    let stripes = |x: usize, _: usize| if x.is_multiple_of(2) { 100 } else { 120 };
    let picture = Planes::new((1_920, 1_080), stripes).cover(&Mask::new(vec![right]).unwrap());
    let preview = picture.shrunk(640);
    assert_eq!((preview.width(), preview.height()), (640, 360));
    let row = &preview.luma()[180 * 640..181 * 640];
    assert!(
        row[..318].iter().all(|luma| (107..=113).contains(luma)),
        "{:?}",
        &row[..9]
    );
    assert!(row[320..].iter().all(|luma| *luma == 16));
    assert!((Features::of(&preview).visible() - 0.5).abs() < 0.03);
    assert_eq!(picture.shrunk(10_000), picture);
}

#[test]
fn what_the_mask_hides_is_in_no_measure() {
    let left = vec![[0.0, 0.0], [0.6, 0.0], [0.6, 1.0], [0.0, 1.0]];
    let mask = Mask::new(vec![left]).unwrap();
    for size in [(640, 360), (704, 576), (101, 77)] {
        let behind = |luma: u8| {
            Planes::new(
                size,
                move |x, y| if x * 20 < size.0 * 11 { luma } else { checkers(x, y) },
            )
        };
        let (dark, bright) = (
            Features::of(&behind(0).cover(&mask)),
            Features::of(&behind(255).cover(&mask)),
        );
        assert_eq!(dark, bright);
        assert!((100.0..140.0).contains(&dark.mean), "{size:?}: {}", dark.mean);
        assert!((0.3..0.4).contains(&dark.visible()), "{size:?}: {}", dark.visible());
    }
}

#[test]
fn measures_tell_detail_from_noise_and_light() {
    let measured =
        |luma: &dyn Fn(usize, usize) -> u8| Features::of(&Planes::new((640, 360), luma).cover(&Mask::none()));
    let grey = measured(&|_, _| 100);
    assert_eq!(
        (grey.mean, grey.deviation, grey.detail, grey.focus),
        (100.0, 0.0, 0.0, 0.0)
    );
    assert_eq!((grey.dark, grey.bright), (100, 100));
    let houses = |x: usize, y: usize| {
        if (x / 40).is_multiple_of(2) || (y / 60).is_multiple_of(2) {
            60
        } else {
            180
        }
    };
    let noise = |x: usize, y: usize| (x * 7_919 + y * 104_729 + x * y * 31).to_le_bytes()[0] % 24;
    let (day, dusk) = (measured(&houses), measured(&|x, y| houses(x, y) / 2));
    assert!(day.detail > 3.0 * dusk.detail, "detail depends on light");
    assert_eq!(day.edges, dusk.edges, "edges do not");
    let noisy = measured(&|x, y| 100 + noise(x, y));
    assert!(
        noisy.detail < 0.2 * day.detail && noisy.focus > 0.5 * day.focus,
        "{noisy:?}"
    );
}

#[test]
fn measures_are_the_same_after_they_were_written_and_read() {
    let features = Features::of(&Planes::new((320, 200), checkers).cover(&Mask::none()));
    let text = serde_json::to_string(&features).unwrap();
    assert!(text.len() < 10_000, "{}", text.len());
    assert_eq!(serde_json::from_str::<Features>(&text).unwrap(), features);
    assert!(serde_json::from_str::<Grid>("\"AAAA\"").is_err());
    assert!(serde_json::from_str::<Grid>("\"%\"").is_err());
}

fn point() -> impl Strategy<Value = [f64; 2]> {
    let share = || prop_oneof![4 => 0.0..=1.0_f64, 1 => prop::sample::select(vec![0.0, 0.5, 1.0])];
    [share(), share()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_pixel_inside_a_polygon_is_hidden(
        points in prop::collection::vec(point(), 3..9),
        size in (64..200_usize, 64..150_usize),
    ) {
        let Ok(mask) = Mask::new(vec![points.clone()]) else {
            return Ok(());
        };
        let picture = Planes::new(size, |_, _| 150).cover(&mask);
        let center = |at: usize, side: usize| (number::real(number::long(at)) + 0.5) / number::real(number::long(side));
        for y in 0..size.1 {
            for x in 0..size.0 {
                let is_hidden = picture.luma()[y * size.0 + x] == 16;
                if is_inside(&points, center(x, size.0), center(y, size.1)) {
                    prop_assert!(is_hidden, "{x},{y} of {size:?}");
                }
            }
        }
    }

    #[test]
    fn no_size_and_no_content_leads_to_a_panic_or_a_number_that_is_not_finite(
        size in (0..300_usize, 0..300_usize),
        stride in 0..400_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..60_000),
        points in prop::collection::vec([any::<f64>(), any::<f64>()], 0..5),
    ) {
        let plane = Plane { bytes: &bytes, stride };
        let mask = Mask::new(vec![points]).unwrap_or_default();
        for frame in [
            Frame::i420(size, [plane, plane, plane], Colour { range: Range::Full, matrix: Matrix::Bt601 }),
            Frame::nv12(size, [plane, plane], Colour::default()),
        ] {
            let Ok(frame) = frame else { continue };
            let picture = frame.cover(&mask);
            let features = Features::of(&picture);
            for value in [features.mean, features.deviation, features.detail, features.focus, features.visible()] {
                prop_assert!(value.is_finite());
            }
            prop_assert!(picture.shrunk(size.1).jpeg(Quality::DEFAULT, 1 << 20).is_ok());
        }
    }
}
