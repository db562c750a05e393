//! Timetables of the machine, on a made-up street and a made-up camera.

mod day;
mod properties;
mod rig;
mod scene;
mod sight;
mod stream;
mod words;

#[test]
fn explore() {
    use self::scene::{Scene, View, chance};
    use super::baseline::Detail;
    use super::map;
    for seed in [1, 2, 3] {
    let scene = Scene::new(seed);
    let noon = scene.measured(&View::noon(1));
    let _ = chance(1);
    let show = |name: String, v: View, base: &crate::cameras::picture::Features| {
        let f = scene.measured(&v);
        let (d, b) = (Detail::of(&f), Detail::of(base));
        let r = map::exact(&base.edges);
        println!("{seed} {name}: detail {:.0} focus {:.0} dev {:.1} abs {:.2} of {:.2} corr {:?} disp {:?} key {}", f.detail, f.focus, f.deviation,
            (d.absolute-b.absolute).exp(), (d.of_contrast-b.of_contrast).exp(),
            map::correlation(&r, &f.edges, &f.thumbnail), map::displaced_correlation(&r, &f.edges, &f.thumbnail), scene.picture(&v).jpeg(crate::cameras::picture::Quality::DEFAULT, 10_000_000).unwrap().len());
    };
    show("noon".into(), View::noon(100), &noon);
    for blur in [1, 2, 3, 5, 9, 14] { show(format!("blur {blur}"), View { blur, ..View::noon(50) }, &noon); }
    for turned in [(0.05,0.0),(0.10, 0.0), (-0.2, 0.05), (0.3, 0.0), (0.05, 0.15), (-0.3, -0.2), (0.5,0.0),(0.0,0.4)] { show(format!("turned {turned:?}"), View { turned, ..View::noon(50) }, &noon); }
    show("bus".into(), View { bus: Some((0.3, 0.34)), ..View::noon(50) }, &noon);
    show("rain".into(), View { rain: 0.25, noise: 4.0, ..View::noon(50) }, &noon);
    show("sun .8".into(), View { light: 1.15, sun: 0.8, ..View::noon(50) }, &noon);
    show("night".into(), View { light: 0.0, noise: 4.0, ..View::noon(50) }, &noon);
    let night = scene.measured(&View { light: 0.0, noise: 4.0, ..View::noon(51) });
    show("night/night".into(), View { light: 0.0, noise: 4.0, ..View::noon(50) }, &night);
    show("night turned".into(), View { light: 0.0, noise: 4.0, turned:(0.2,0.0), ..View::noon(50) }, &night);
    show("night blur".into(), View { light: 0.0, noise: 4.0, blur: 9, ..View::noon(50) }, &night);
    if seed == 1 { for (n, v) in [("noon", View::noon(1)), ("night", View { light: 0.0, noise: 4.0, ..View::noon(50) }), ("bus", View { bus: Some((0.3, 0.34)), rain: 0.25, ..View::noon(50) })] {
        std::fs::write(format!("/tmp/h/{n}.jpg"), scene.picture(&v).jpeg(crate::cameras::picture::Quality::DEFAULT, 10_000_000).unwrap()).unwrap(); } }
    }
}
