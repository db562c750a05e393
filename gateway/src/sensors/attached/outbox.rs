//! Readings that wait for the disk.

use std::future::Future;
use std::time::Duration;

use parking::Reading;
use tokio::sync::{mpsc, oneshot};

use super::super::codecs::Health;
use super::super::{Delivery, Done, DriverContext, Item, Outcome};

/// Readings of one sensor or bus that wait for the disk.
const WAITING_MAX: usize = 256;
/// Wait before a reading that was refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes readings of a source that cannot wait, and has them kept in their order.
#[derive(Clone)]
pub struct Outbox {
    context: DriverContext,
    sender: mpsc::Sender<(Reading, Health)>,
}

impl Outbox {
    /// An outbox, and the work of handing on what is put into it; that ends when nobody takes readings any more.
    pub fn new(context: &DriverContext) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let outbox = Self {
            context: context.clone(),
            sender,
        };
        (outbox, hand_on(context.clone(), waiting))
    }

    /// Puts a reading in. One for which there is no room is lost, which is told.
    pub fn put(&self, reading: Reading, health: Health) {
        let Err(error) = self.sender.try_send((reading, health)) else {
            return;
        };
        let (reading, _) = error.into_inner();
        let reason = format!("{WAITING_MAX} readings wait for the disk; this one is lost");
        let sensor = reading.sensor.as_str();
        self.context
            .status
            .set_aside("overrun", sensor, &reason, &reading.received);
    }
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
