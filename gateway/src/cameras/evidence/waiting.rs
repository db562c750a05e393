//! Changes of spaces that want a picture, and those of them that wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking::{SpaceId, SpaceNow, SpaceState, Timestamp};
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

/// What was last known of each space.
#[derive(Debug, Default)]
pub(super) struct Watch {
    known: BTreeMap<SpaceId, (SpaceState, Option<Timestamp>)>,
}

impl Watch {
    /// What changed. A space that is seen for the first time has not changed.
    pub(super) fn changes(&mut self, spaces: &[SpaceNow]) -> Vec<Change> {
        let mut changes = Vec::new();
        for now in spaces {
            let state = (now.state, now.occupied_since);
            let before = self.known.insert(now.space.clone(), state);
            let Some((state_before, since_before)) = before else {
                continue;
            };
            let at = match (state_before, now.state) {
                (_, SpaceState::Occupied) if since_before != now.occupied_since => now.occupied_since,
                (SpaceState::Occupied, SpaceState::Free) => now.heard,
                _ => None,
            };
            let space = now.space.clone();
            changes.extend(at.map(|at| Change { space, at }));
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
    use super::*;

    fn space(name: &str, state: SpaceState, since: Option<i64>, heard: i64) -> SpaceNow {
        SpaceNow {
            space: SpaceId::new(name).unwrap(),
            zone: parking::ZoneId::new("z").unwrap(),
            state,
            occupied_since: since.map(Timestamp::from_millis),
            heard: Some(Timestamp::from_millis(heard)),
            sensor: None,
        }
    }

    #[test]
    fn an_arrival_and_a_departure_want_a_picture_and_a_heartbeat_does_not() {
        let mut watch = Watch::default();
        let times = |changes: Vec<Change>| changes.iter().map(|change| change.at.as_millis()).collect::<Vec<_>>();
        assert!(
            watch.changes(&[space("A1", SpaceState::Free, None, 1)]).is_empty(),
            "nothing is known before"
        );
        assert_eq!(
            times(watch.changes(&[space("A1", SpaceState::Occupied, Some(10), 12)])),
            [10]
        );
        assert!(
            watch
                .changes(&[space("A1", SpaceState::Occupied, Some(10), 20)])
                .is_empty()
        );
        assert_eq!(times(watch.changes(&[space("A1", SpaceState::Free, None, 30)])), [30]);
        assert!(watch.changes(&[space("A1", SpaceState::Unknown, None, 30)]).is_empty());
        assert_eq!(
            times(watch.changes(&[space("A1", SpaceState::Occupied, Some(40), 40)])),
            [40]
        );
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
