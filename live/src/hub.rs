//! One stream for several tasks: a thin cover over [`Fanout`].
//!
//! Publishing takes a lock, changes the machine and wakes the viewers; it never waits for one. A [`Viewer`] asks for its
//! next message, and sleeps on a counter of changes when there is none. Spans are measured by tokio's clock.
//!
//! **Invariants.** The lock is never held across an await. A viewer that is dropped has left. No wake-up is lost: the
//! counter is marked as seen before the machine is asked.
//!
//! **Limits.** Those of [`Limits`]. A viewer's task that hangs in sending keeps its place until it drops the
//! [`Viewer`]; it should race the sending against [`Viewer::too_slow`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::fanout::{Busy, Fanout, Limits, PublishError, Published, Totals, ViewerCounters, ViewerId};
use crate::message::Message;

#[derive(Debug)]
struct Shared {
    fanout: Mutex<Fanout>,
    /// Rises with each change that may concern a viewer.
    changes: watch::Sender<u64>,
    viewers: watch::Sender<usize>,
}

/// One stream. Clones are the same stream.
#[derive(Debug, Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

/// One viewer of a stream; leaves when dropped.
#[derive(Debug)]
pub struct Viewer {
    shared: Arc<Shared>,
    id: ViewerId,
    changes: watch::Receiver<u64>,
    over: bool,
}

impl Hub {
    /// Makes a stream that nobody watches.
    pub fn new(limits: Limits) -> Self {
        let fanout = Mutex::new(Fanout::new(limits));
        Self {
            shared: Arc::new(Shared {
                fanout,
                changes: watch::Sender::new(0),
                viewers: watch::Sender::new(0),
            }),
        }
    }

    /// Takes the next message of the source and wakes the viewers.
    pub fn publish(&self, message: Message) -> Result<Published, PublishError> {
        let published = self.shared.lock().publish(now(), message);
        if published == Ok(Published::Taken) {
            self.shared
                .changes
                .send_modify(|changes| *changes = changes.wrapping_add(1));
        }
        published
    }

    /// Lets a viewer in.
    pub fn join(&self) -> Result<Viewer, Busy> {
        let id = {
            let mut fanout = self.shared.lock();
            let id = fanout.join(now())?;
            self.shared.tell_viewers(&fanout);
            id
        };
        Ok(Viewer {
            shared: Arc::clone(&self.shared),
            id,
            changes: self.shared.changes.subscribe(),
            over: false,
        })
    }

    /// Returns the number of viewers as a channel, for a source that runs or shortens its chunks only while somebody
    /// watches.
    pub fn viewers(&self) -> watch::Receiver<usize> {
        self.shared.viewers.subscribe()
    }

    /// Returns the sums over the life of the stream.
    pub fn totals(&self) -> Totals {
        self.shared.lock().totals()
    }
}

impl Viewer {
    /// Waits for the next message; `None` after [`Message::Ended`]. May be cancelled without losing a message.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if self.over {
                return None;
            }
            self.changes.borrow_and_update();
            let message = self.shared.lock().take(self.id);
            if let Some(message) = message {
                self.over = matches!(message, Message::Ended { .. });
                return Some(message);
            }
            // The sender lives in what this viewer holds, so waiting cannot fail.
            self.changes.changed().await.ok()?;
        }
    }

    /// Waits until the viewer is ended for taking nothing. To be raced against sending to a connection that may hang.
    pub async fn too_slow(&self) {
        let mut changes = self.changes.clone();
        while !self.shared.lock().is_too_slow(self.id) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Returns what this viewer has received and missed so far.
    pub fn counters(&self) -> ViewerCounters {
        self.shared.lock().counters(self.id).unwrap_or_default()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let mut fanout = self.shared.lock();
        fanout.leave(self.id);
        self.shared.tell_viewers(&fanout);
    }
}

impl Shared {
    /// The machine is sound after a panic elsewhere: it has no state that is broken for a while.
    fn lock(&self) -> MutexGuard<'_, Fanout> {
        self.fanout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the locked machine so that counts are told in the order in which they were true.
    fn tell_viewers(&self, fanout: &Fanout) {
        let count = fanout.viewers();
        self.viewers
            .send_if_modified(|told| std::mem::replace(told, count) != count);
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::{Chunk, Init, StreamInfo};

    fn chunk(keyframe: bool) -> Message {
        Message::Chunk(Chunk::new(keyframe, None, b"moof").unwrap())
    }

    fn hub() -> Hub {
        let hub = Hub::new(Limits::default());
        let stream = StreamInfo {
            camera: "gate-1".to_owned(),
            profile: "sub".to_owned(),
            codecs: "avc1.42c028".to_owned(),
            width: 640,
            height: 360,
            fps: None,
            bitrate_kbit: None,
        };
        hub.publish(Message::Stream(stream)).unwrap();
        hub.publish(Message::Init(Init::new(b"ftyp").unwrap())).unwrap();
        hub
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_waits_is_woken_by_what_is_published() {
        let hub = hub();
        let mut viewer = hub.join().unwrap();
        assert!(matches!(viewer.next().await, Some(Message::Stream(_))));
        assert!(matches!(viewer.next().await, Some(Message::Init(_))));
        let source = hub.clone();
        let task = tokio::spawn(async move {
            for number in 0..100 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                source.publish(chunk(number % 20 == 0)).unwrap();
            }
            source
                .publish(Message::Ended {
                    reason: "ttl".to_owned(),
                })
                .unwrap();
        });
        let mut chunks = 0;
        while let Some(message) = viewer.next().await {
            chunks += i32::from(matches!(message, Message::Chunk(_)));
        }
        assert_eq!(chunks, 100);
        assert_eq!(viewer.next().await, None);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn cancelled_waiting_loses_nothing() {
        let hub = hub();
        let mut viewer = hub.join().unwrap();
        let (mut chunks, source) = (0, hub.clone());
        let task = tokio::spawn(async move {
            for number in 0..50 {
                tokio::time::sleep(Duration::from_millis(70)).await;
                source.publish(chunk(number == 0)).unwrap();
            }
        });
        while chunks < 50 {
            if let Ok(Some(Message::Chunk(_))) = tokio::time::timeout(Duration::from_millis(30), viewer.next()).await {
                chunks += 1;
            }
        }
        task.await.unwrap();
    }

    #[tokio::test]
    async fn the_count_of_viewers_is_told_and_a_dropped_viewer_has_left() {
        let hub = hub();
        let mut count = hub.viewers();
        assert_eq!(*count.borrow_and_update(), 0);
        let (one, two) = (hub.join().unwrap(), hub.join().unwrap());
        assert!(count.has_changed().unwrap());
        assert_eq!(*count.borrow_and_update(), 2);
        drop(one);
        assert_eq!(*count.borrow_and_update(), 1);
        drop(two);
        assert_eq!(*count.borrow_and_update(), 0);
    }

    #[tokio::test]
    async fn a_viewer_beyond_the_limit_is_busy_and_changes_nothing() {
        let hub = Hub::new(Limits {
            viewers_max: 1,
            ..Limits::default()
        });
        let _first = hub.join().unwrap();
        assert_eq!(hub.join().unwrap_err(), Busy { viewers_max: 1 });
        assert_eq!(*hub.viewers().borrow(), 1);
        assert_eq!(hub.totals().busy, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_hangs_is_told_apart_while_it_still_hangs() {
        let hub = hub();
        let viewer = hub.join().unwrap();
        let source = hub.clone();
        let task = tokio::spawn(async move {
            for number in 0..300 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                source.publish(chunk(number % 20 == 0)).unwrap();
            }
        });
        tokio::time::timeout(Duration::from_secs(30), viewer.too_slow())
            .await
            .unwrap();
        assert_eq!(hub.totals().too_slow, 1);
        task.await.unwrap();
    }
}
