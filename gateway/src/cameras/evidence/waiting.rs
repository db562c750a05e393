//! Changes of spaces that want a picture, and those of them that wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking::{SpaceId, SpaceNow, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::state::Board;

/// Changes that wait for their picture. Full: the oldest goes without.
const WAITING_MAX: usize = 256;
/// A keyframe of after the moment is waited for so long, so that it can be the nearest.
const SETTLE: Duration = Duration::from_secs(2);
/// Where those that wait are kept, should the process die meanwhile.
const KEPT: &str = "evidence/waiting";

/// A change of a space that wants a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub space: SpaceId,
    pub at: Timestamp,
}

/// What was last known of each space: when a vehicle came, and when one left.
#[derive(Debug, Default)]
pub(super) struct Watch {
    known: BTreeMap<SpaceId, (Option<Timestamp>, Option<Timestamp>)>,
}

impl Watch {
    /// What changed. A space that is seen for the first time has not changed, and one that is unknown for a while comes
    /// back to what it was.
    pub(super) fn changes(&mut self, spaces: &[SpaceNow]) -> Vec<Change> {
        let mut changes = Vec::new();
        for now in spaces {
            let Some((came, left)) = self.known.get_mut(&now.space) else {
                self.known.insert(now.space.clone(), (now.occupied_since, now.left));
                continue;
            };
            for (known, told) in [(left, now.left), (came, now.occupied_since)] {
                if let Some(at) = told.filter(|at| *known != Some(*at)) {
                    *known = Some(at);
                    let space = now.space.clone();
                    changes.push(Change { space, at });
                }
            }
        }
        changes
    }
}

/// Changes that wait, in order. They are in the store too, so that a process that dies asks again for what it owed.
pub(super) struct Waiting {
    board: Arc<Board>,
    changes: VecDeque<(Instant, Change)>,
}

impl Waiting {
    /// What waited when the process before ended.
    pub(super) fn new(board: Arc<Board>) -> Self {
        let kept = board.recall(KEPT).unwrap_or_default();
        // Of a former version, or none: nothing waits.
        let kept: Vec<Change> = serde_json::from_slice(&kept).unwrap_or_default();
        let due = Instant::now() + SETTLE;
        Self {
            board,
            changes: kept.into_iter().map(|change| (due, change)).collect(),
        }
    }

    /// Adds one.
    pub(super) fn push(&mut self, change: Change) {
        if self.changes.len() >= WAITING_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back((Instant::now() + SETTLE, change));
        self.keep();
    }

    /// The first, when its time has come. It goes on waiting until it is [done](Self::done).
    pub(super) async fn due(&self) -> Change {
        match self.changes.front() {
            Some((due, change)) => {
                tokio::time::sleep_until(*due).await;
                change.clone()
            }
            None => std::future::pending().await,
        }
    }

    /// The first has its picture, or there is none.
    pub(super) fn done(&mut self) {
        self.changes.pop_front();
        self.keep();
    }

    fn keep(&self) {
        let changes: Vec<_> = self.changes.iter().map(|(_, change)| change).collect();
        match serde_json::to_vec(&changes) {
            Ok(kept) => self.board.remember(KEPT, &kept),
            Err(error) => tracing::warn!(%error, "what waits for an evidence picture is not kept"),
        }
    }
}

#[cfg(test)]
mod tests {
    use parking::SpaceState;

    use super::*;

    fn space(state: SpaceState, since: Option<i64>, left: Option<i64>) -> SpaceNow {
        SpaceNow {
            space: SpaceId::new("A1").unwrap(),
            zone: parking::ZoneId::new("z").unwrap(),
            state,
            occupied_since: since.map(Timestamp::from_millis),
            left: left.map(Timestamp::from_millis),
            heard: None,
            sensor: None,
        }
    }

    fn told(watch: &mut Watch, now: SpaceNow) -> Vec<i64> {
        let changes = watch.changes(&[now]);
        changes.iter().map(|change| change.at.as_millis()).collect()
    }

    #[test]
    fn an_arrival_and_a_departure_want_a_picture_and_a_heartbeat_does_not() {
        use SpaceState::{Free, Occupied};
        let mut watch = Watch::default();
        let first = told(&mut watch, space(Free, None, Some(5)));
        assert!(first.is_empty(), "nothing is known before");
        assert_eq!(told(&mut watch, space(Occupied, Some(10), Some(5))), [10]);
        assert!(told(&mut watch, space(Occupied, Some(10), Some(5))).is_empty());
        assert_eq!(told(&mut watch, space(Free, None, Some(30))), [30]);
        assert_eq!(told(&mut watch, space(Occupied, Some(40), Some(30))), [40]);
    }

    #[test]
    fn a_vehicle_that_left_while_nothing_was_known_or_for_a_moment_only_wants_its_picture_too() {
        use SpaceState::{Free, Occupied, Unknown};
        let mut watch = Watch::default();
        assert!(told(&mut watch, space(Occupied, Some(10), None)).is_empty());
        assert!(told(&mut watch, space(Unknown, None, None)).is_empty());
        let again = told(&mut watch, space(Occupied, Some(10), None));
        assert!(again.is_empty(), "it is the same vehicle");
        assert!(told(&mut watch, space(Unknown, None, None)).is_empty());
        assert_eq!(told(&mut watch, space(Free, None, Some(20))), [20]);
        assert_eq!(told(&mut watch, space(Occupied, Some(30), Some(20))), [30]);
        let next = told(&mut watch, space(Occupied, Some(50), Some(45)));
        assert_eq!(next, [45, 50], "one left and the next came between two looks");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_when_the_process_dies_waits_in_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let change = |at| Change {
            space: SpaceId::new("A1").unwrap(),
            at: Timestamp::from_millis(at),
        };
        let board = Arc::new(Board::open(dir.path()).unwrap());
        let mut waiting = Waiting::new(Arc::clone(&board));
        waiting.push(change(1));
        waiting.push(change(2));
        assert_eq!(waiting.due().await, change(1));
        waiting.done();
        drop(waiting);
        let waiting = Waiting::new(board);
        assert_eq!(waiting.due().await, change(2), "and the first has its picture");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_goes_without_a_picture_when_too_many_wait() {
        let dir = tempfile::tempdir().unwrap();
        let mut waiting = Waiting::new(Arc::new(Board::open(dir.path()).unwrap()));
        for at in (0..).take(WAITING_MAX + 1) {
            waiting.push(Change {
                space: SpaceId::new("A1").unwrap(),
                at: Timestamp::from_millis(at),
            });
        }
        assert_eq!(waiting.changes.len(), WAITING_MAX);
        assert_eq!(waiting.due().await.at, Timestamp::from_millis(1));
    }
}
