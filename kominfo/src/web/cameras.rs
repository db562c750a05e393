//! Cameras as their boxes tell them (`camera/<id>` of the state). Not signed, of any version: whatever is missing or odd
//! is shown as not told.

use live::command::is_camera_name;
use live::message::Advice;
use parking::Timestamp;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use crate::store::State;

/// The key of a camera's state is this and its name.
pub const KEY: &str = "camera/";

/// Longest name for people that is shown, characters; the rest is cut off.
const TITLE_CHARS_MAX: usize = 80;

/// A camera.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CameraView {
    /// Its name in the box's configuration.
    pub camera: String,
    /// Its name for people.
    pub title: Option<String>,
    /// `up`, `stalled`, `auth_failed` and further ones; empty when not told.
    pub state: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What is wrong and what to do, in the box's words.
    pub advice: Option<Advice>,
    /// The full picture.
    pub main: Option<PictureView>,
    /// The smaller one.
    pub sub: Option<PictureView>,
    /// Viewers at the box, the city as one of them.
    pub viewers: Option<u64>,
    /// For how many the box has places.
    pub places: Option<u64>,
}

/// One of a camera's streams.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PictureView {
    /// Width, pixels.
    pub width: Option<u64>,
    /// Height, pixels.
    pub height: Option<u64>,
    /// Frames a second.
    pub fps: Option<f64>,
    /// Data rate, kbit/s.
    pub kbit: Option<u64>,
}

/// The cameras among a box's states.
pub fn cameras_of(states: &[State]) -> Vec<CameraView> {
    states.iter().filter_map(camera).collect()
}

fn camera(state: &State) -> Option<CameraView> {
    let name = state.name.strip_prefix(KEY).filter(|name| is_camera_name(name))?;
    let value: Value = serde_json::from_str(&state.value).ok()?;
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(CameraView {
        camera: name.to_owned(),
        title: text("title")
            .filter(|title| !title.is_empty())
            .map(|title| title.chars().take(TITLE_CHARS_MAX).collect()),
        state: text("state").unwrap_or_default(),
        since: value.get("since").and_then(|since| Timestamp::deserialize(since).ok()),
        advice: value.get("advice").and_then(|advice| Advice::deserialize(advice).ok()),
        main: value.get("main").and_then(picture),
        sub: value.get("sub").and_then(picture),
        viewers: value.get("viewers").and_then(Value::as_u64),
        places: value.get("places").and_then(Value::as_u64),
    })
}

fn picture(value: &Value) -> Option<PictureView> {
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    value.is_object().then(|| PictureView {
        width: number("width"),
        height: number("height"),
        fps: value.get("fps").and_then(Value::as_f64),
        // A stream that nobody watches has no rate yet; nobody must believe that it costs nothing.
        kbit: number("kbit").filter(|kbit| *kbit > 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, value: &str) -> State {
        State {
            gateway: "g".to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
            updated: Timestamp::EPOCH,
        }
    }

    #[test]
    fn whatever_is_missing_or_odd_in_a_cameras_state_is_not_told_and_stops_nothing() {
        let cameras = cameras_of(&[
            state("box", "{}"),
            state(
                "camera/gate-1",
                r#"{"title":"Gerbang 1","state":"up","since":"2026-01-05T00:00:00Z","sub":{"width":640,"height":360,"fps":12.5,"kbit":500},
                    "main":7,"viewers":2,"places":8,"new":[]}"#,
            ),
            state(
                "camera/gate-2",
                r#"{"state":5,"since":"yesterday","viewers":-1,"advice":{"id":5}}"#,
            ),
            state("camera/gate-3", "[]"),
            state("camera/gate-4", "{"),
            state("camera/../x", "{}"),
        ]);
        let names: Vec<_> = cameras.iter().map(|camera| camera.camera.as_str()).collect();
        assert_eq!(names, ["gate-1", "gate-2", "gate-3"]);
        let first = &cameras[0];
        assert_eq!((first.title.as_deref(), &cameras[1].title), (Some("Gerbang 1"), &None));
        assert_eq!((first.viewers, first.places, first.main), (Some(2), Some(8), None));
        assert_eq!(first.sub.and_then(|sub| sub.kbit), Some(500));
        let unwatched = serde_json::json!({ "width": null, "kbit": 0 });
        assert_eq!(picture(&unwatched).and_then(|main| main.kbit), None);
        assert_eq!(
            (cameras[1].state.as_str(), cameras[1].since, cameras[1].viewers),
            ("", None, None)
        );
    }
}
