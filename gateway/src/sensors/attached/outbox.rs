//! Readings that wait for the disk.

use std::future::Future;
use std::time::Duration;

use parking::Reading;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::super::codecs::Health;
use super::super::{Delivery, Done, DriverContext, Item, Outcome};

/// Readings of one sensor or bus that wait for the disk.
const WAITING_MAX: usize = 256;
/// Wait before a reading that was refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest time to hand on what waits when the daemon stops.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(1);

/// Takes readings of a source that cannot wait, and has them kept in their order.
#[derive(Clone)]
pub struct Outbox {
    context: DriverContext,
    sender: mpsc::Sender<(Reading, Health)>,
}

impl Outbox {
    /// Does `work` with an outbox until it ends, is cancelled, or nobody takes readings any more. What was put in before is
    /// still handed on, for a while.
    pub async fn beside<W, F>(context: DriverContext, cancel: CancellationToken, work: W)
    where
        W: FnOnce(Self) -> F,
        F: Future<Output = ()>,
    {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let outbox = Self {
            context: context.clone(),
            sender,
        };
        let hand_on = hand_on(context, waiting);
        tokio::pin!(hand_on);
        {
            let work = work(outbox);
            tokio::pin!(work);
            tokio::select! {
                () = &mut work => {}
                // Work that has something to do at its end sees for itself that it is cancelled.
                () = cancelled_for(&cancel, LEAVE_TIME_MAX) => {}
                () = &mut hand_on => return,
            }
        }
        let _late = tokio::time::timeout(LEAVE_TIME_MAX, hand_on).await;
    }

    /// Puts a reading in. One for which there is no room is lost, which is told.
    pub fn put(&self, reading: Reading, health: Health) {
        // Closed is stopping.
        let Err(TrySendError::Full((reading, _))) = self.sender.try_send((reading, health)) else {
            return;
        };
        let reason = format!("{WAITING_MAX} readings wait for the disk; this one is lost");
        let sensor = reading.sensor.as_str();
        self.context
            .status
            .set_aside("overrun", sensor, &reason, &reading.received);
    }
}

/// Some time after it was cancelled.
async fn cancelled_for(cancel: &CancellationToken, time: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(time).await;
}

/// Hands readings on in their order, each again until it is on disk.
async fn hand_on(context: DriverContext, mut waiting: mpsc::Receiver<(Reading, Health)>) {
    while let Some((reading, health)) = waiting.recv().await {
        loop {
            context.status.count_reading();
            let (sender, told) = oneshot::channel();
            let delivery = Delivery {
                item: Item::Reading {
                    reading: reading.clone(),
                    health: health.clone(),
                },
                done: Done::new(move |outcome| {
                    sender.send(outcome).ok();
                }),
            };
            if context.sink.send(delivery).await.is_err() {
                return;
            }
            match told.await {
                Ok(Outcome::Journalled) => break,
                Ok(Outcome::Refused | Outcome::Dropped) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}
