//! What a space was, span by span.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a space is, as far as its sensor tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpaceState {
    /// No vehicle.
    Free,
    /// A vehicle.
    Occupied,
    /// Not known.
    Unknown,
    /// Closed to parking.
    Closed,
}

impl SpaceState {
    pub(crate) fn of(occupied: bool) -> Self {
        if occupied { Self::Occupied } else { Self::Free }
    }
}

/// A span of a timeline, `until` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub from: Timestamp,
    pub until: Timestamp,
    pub state: SpaceState,
}

/// Segments in order of time. They never overlap; neighbours that touch differ in state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Timeline(Vec<Segment>);

impl Timeline {
    /// Where the last segment ends.
    pub fn end(&self) -> Option<Timestamp> {
        self.0.last().map(|segment| segment.until)
    }

    /// The segments.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Extends the timeline from its end (from `begin` when there is none) to `until`.
    pub fn extend(&mut self, begin: Timestamp, until: Timestamp, state: SpaceState) {
        let from = self.end().unwrap_or(begin);
        if from < until {
            Self::push(&mut self.0, Segment { from, until, state });
        }
    }

    /// Sets what it says over `from..until`, as far as it reaches.
    pub fn repaint(&mut self, from: Timestamp, until: Timestamp, state: SpaceState) {
        if until <= from {
            return;
        }
        let mut painted = Vec::with_capacity(self.0.len() + 2);
        for segment in self.0.drain(..) {
            let before = Segment {
                until: segment.until.min(from),
                ..segment
            };
            let inside = Segment {
                from: segment.from.max(from),
                until: segment.until.min(until),
                state,
            };
            let after = Segment {
                from: segment.from.max(until),
                ..segment
            };
            for piece in [before, inside, after] {
                if piece.from < piece.until {
                    Self::push(&mut painted, piece);
                }
            }
        }
        self.0 = painted;
    }

    /// Forgets segments that end before `limit`.
    pub fn forget_before(&mut self, limit: Timestamp) {
        self.0.retain(|segment| segment.until > limit);
    }

    /// Moves everything from `from` on by `offset_ms`, but never over what lies before.
    pub fn shift(&mut self, from: Timestamp, offset_ms: i64) {
        let mut moved: Vec<Segment> = Vec::with_capacity(self.0.len() + 1);
        for segment in self.0.drain(..) {
            let before = Segment {
                until: segment.until.min(from),
                ..segment
            };
            let after = Segment {
                from: segment.from.max(from).plus_millis(offset_ms),
                until: segment.until.plus_millis(offset_ms),
                ..segment
            };
            let mut pieces = Vec::new();
            pieces.extend((before.from < before.until).then_some(before));
            pieces.extend((segment.until > from).then_some(after));
            for mut piece in pieces {
                piece.from = moved.last().map_or(piece.from, |last| piece.from.max(last.until));
                if piece.from < piece.until {
                    Self::push(&mut moved, piece);
                }
            }
        }
        self.0 = moved;
    }

    /// The part over `from..until`, gaps and what lies beyond its ends filled with unknown.
    pub fn over(&self, from: Timestamp, until: Timestamp) -> Vec<Segment> {
        let mut pieces = Vec::new();
        let mut at = from;
        let unknown = |from, until| Segment {
            from,
            until,
            state: SpaceState::Unknown,
        };
        let first = self.0.partition_point(|segment| segment.until <= from);
        for segment in self.0.iter().skip(first).take_while(|segment| segment.from < until) {
            if segment.from > at {
                pieces.push(unknown(at, segment.from));
            }
            let end = segment.until.min(until);
            pieces.push(Segment {
                from: segment.from.max(at),
                until: end,
                state: segment.state,
            });
            at = end;
        }
        if at < until {
            pieces.push(unknown(at, until));
        }
        pieces
    }

    fn push(segments: &mut Vec<Segment>, next: Segment) {
        match segments
            .last_mut()
            .filter(|last| last.state == next.state && last.until == next.from)
        {
            Some(last) => last.until = next.until,
            None => segments.push(next),
        }
    }
}
