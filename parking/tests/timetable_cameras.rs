//! What happens to cameras is noted in the ledger.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use parking::{Input, RecordBody, Tampering};
use support::{Timetable, site, time};

#[test]
fn a_camera_that_is_lost_restored_or_tampered_with_is_a_record() {
    let mut day = Timetable::new(&site(&["A1"]));
    let camera = || "cam-1".parse().unwrap();
    let since = time("06:05");
    let notes = [
        RecordBody::CameraLost {
            camera: camera(),
            since,
            cause: "auth_unsupported".to_owned(),
        },
        RecordBody::CameraRestored {
            camera: camera(),
            since,
        },
        RecordBody::CameraTampered {
            camera: camera(),
            what: Tampering::Black,
            since,
        },
    ];
    for note in notes {
        assert!(day.at("06:10", Input::Note(note)).changed);
    }
    assert_eq!(
        day.told(),
        [
            "lost cam-1 since 06:05: auth_unsupported",
            "restored cam-1 since 06:05",
            "tampered cam-1 Black since 06:05"
        ]
    );
    let line = serde_json::to_string(day.records.last().unwrap()).unwrap();
    assert!(
        line.starts_with(
            r#"{"kind":"camera_tampered","camera":"cam-1","what":"black","since":"2026-01-04T23:05:00Z","at""#
        ),
        "{line}"
    );
}
