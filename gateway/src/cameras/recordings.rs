//! What is recorded of a stream around a wanted time: for whoever cuts a clip, in another process. Pure.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ring::Segment;

/// Recordings that lie less than this apart are one stretch, seconds.
const GAP_S_MAX: i64 = 2;

/// Time without an interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its first frame.
    pub from: Timestamp,
    /// The end of its last frame.
    pub to: Timestamp,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Where the files lie.
    pub folder: PathBuf,
    /// From the oldest to the newest frame; none if nothing is recorded.
    pub whole: Option<Stretch>,
    /// The last stretch that ends before the wanted time.
    pub before: Option<Stretch>,
    /// The first stretch that begins after it.
    pub after: Option<Stretch>,
    /// The files that touch the wanted time, by sequence.
    pub segments: Vec<Segment>,
}

impl Recording {
    /// Picks what matters for `wanted` out of a ring's segments.
    pub fn around(wanted: Stretch, folder: PathBuf, segments: Vec<Segment>) -> Self {
        let stretches = stretches(&segments);
        let whole = stretches.iter().copied().reduce(|a, b| Stretch {
            from: a.from.min(b.from),
            to: a.to.max(b.to),
        });
        let before = stretches.iter().filter(|stretch| stretch.to <= wanted.from);
        let after = stretches.iter().filter(|stretch| stretch.from >= wanted.to);
        let touches = |segment: &Segment| {
            // The keyframe before the beginning may be in the file before.
            seconds(segment.to, wanted.from) <= GAP_S_MAX && segment.from <= wanted.to
        };
        Self {
            folder,
            whole,
            before: before.copied().max_by_key(|stretch| stretch.to),
            after: after.copied().min_by_key(|stretch| stretch.from),
            segments: segments.into_iter().filter(touches).collect(),
        }
    }
}

fn stretches(segments: &[Segment]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for segment in segments {
        match stretches.last_mut() {
            Some(last) if segment.from >= last.from && seconds(last.to, segment.from) < GAP_S_MAX => {
                last.to = last.to.max(segment.to);
            }
            _ => stretches.push(Stretch {
                from: segment.from,
                to: segment.to,
            }),
        }
    }
    stretches
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::ring::{ClockQuality, SegmentId};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn stretch(from: i64, to: i64) -> Stretch {
        Stretch {
            from: at(from),
            to: at(to),
        }
    }

    fn recording(wanted: Stretch, files: &[(i64, i64)]) -> Recording {
        let segment = |(id, (from, to)): (u64, &(i64, i64))| Segment {
            id: SegmentId(id),
            from: at(*from),
            to: at(*to),
            clock: ClockQuality::Synced,
            existed_at: None,
            bytes: 1,
            fragments: 1,
            frames: 1,
            codec: "avc1.640028".to_owned(),
        };
        Recording::around(wanted, PathBuf::from("ring"), (1..).zip(files).map(segment).collect())
    }

    #[test]
    fn only_files_that_touch_the_wanted_time_are_named() {
        let found = recording(stretch(130, 150), &[(0, 60), (60, 120), (120, 180), (180, 240)]);
        let ids: Vec<u64> = found.segments.iter().map(|segment| segment.id.0).collect();
        assert_eq!(ids, [3]);
        assert_eq!(found.whole, Some(stretch(0, 240)));
        assert_eq!((found.before, found.after), (None, None), "it is one stretch");
    }

    #[test]
    fn where_nothing_is_recorded_the_neighbours_are_named() {
        let files = [(0, 60), (61, 100), (500, 560), (900, 960)];
        let found = recording(stretch(200, 300), &files);
        assert!(found.segments.is_empty());
        assert_eq!(
            (found.before, found.after),
            (Some(stretch(0, 100)), Some(stretch(500, 560)))
        );
        assert_eq!(found.whole, Some(stretch(0, 960)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_two_stretches() {
        let found = recording(stretch(1_000, 1_100), &[(500, 560), (100, 160)]);
        assert_eq!(
            (found.whole, found.before),
            (Some(stretch(100, 560)), Some(stretch(500, 560)))
        );
    }

    #[test]
    fn nothing_recorded_is_nothing() {
        let found = recording(stretch(0, 1), &[]);
        assert_eq!((found.whole, found.segments.len()), (None, 0));
    }
}
