//! Records of a camera's health that the engine has not taken yet: while the journal waits for its disk, video goes on.

use std::collections::VecDeque;

use parking::{CameraId, Input, RecordBody};
use tokio::sync::mpsc::Sender;

/// Records that wait: of a day and more. Full: a further one is lost, and the log tells it.
const OWED_MAX: usize = 256;

/// The records of one camera, in order.
#[derive(Debug, Default)]
pub(super) struct Owed(VecDeque<Input>);

impl Owed {
    /// Adds one.
    pub(super) fn push(&mut self, camera: &CameraId, body: RecordBody) {
        if self.0.len() < OWED_MAX {
            self.0.push_back(Input::Note(body));
        } else {
            tracing::error!(%camera, ?body, "a record of health is lost: the journal takes nothing");
        }
    }

    /// Hands the first over when the engine takes it; waits for ever when there is none, and when nobody takes any more.
    /// Cancelling this loses nothing.
    pub(super) async fn hand_over(&mut self, facts: &Sender<Input>) {
        if !self.0.is_empty()
            && let Ok(place) = facts.reserve().await
            && let Some(fact) = self.0.pop_front()
        {
            place.send(fact);
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Hands over what there is room for: the gateway stops.
    pub(super) fn leave(mut self, camera: &CameraId, facts: &Sender<Input>) {
        while let Some(fact) = self.0.pop_front() {
            if facts.try_send(fact).is_err() {
                let lost = self.0.len() + 1;
                tracing::warn!(%camera, lost, "records of health are lost: the journal takes nothing");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use parking::Timestamp;
    use tokio::sync::mpsc;

    use super::*;

    fn restored(second: i64) -> RecordBody {
        RecordBody::CameraRestored {
            camera: CameraId::new("c").unwrap(),
            since: Timestamp::EPOCH.plus_seconds(second),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn records_wait_in_order_until_the_engine_takes_them() {
        let camera = CameraId::new("c").unwrap();
        let (facts, mut engine) = mpsc::channel(1);
        let mut owed = Owed::default();
        for second in 0..3 {
            owed.push(&camera, restored(second));
        }
        owed.hand_over(&facts).await;
        let waits = tokio::time::timeout(std::time::Duration::from_secs(60), owed.hand_over(&facts));
        assert!(waits.await.is_err(), "the engine takes nothing");
        for second in 0..2 {
            assert_eq!(engine.recv().await.unwrap(), Input::Note(restored(second)));
            owed.hand_over(&facts).await;
        }
        owed.push(&camera, restored(3));
        owed.leave(&camera, &facts);
        assert_eq!(engine.recv().await.unwrap(), Input::Note(restored(2)));
        drop(facts);
        assert!(engine.recv().await.is_none(), "there was no room for the last");
    }

    #[test]
    fn no_more_wait_than_may() {
        let camera = CameraId::new("c").unwrap();
        let mut owed = Owed::default();
        for second in 0..300 {
            owed.push(&camera, restored(second));
        }
        assert_eq!(owed.0.len(), OWED_MAX);
        assert_eq!(owed.0.front(), Some(&Input::Note(restored(0))));
    }
}
