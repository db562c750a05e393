//! What drivers hand on, and the way back to the source.

use std::fmt;

use parking::{Reading, SensorId, Stamp, Timestamp};

use super::codecs::Health;

/// A report, and the duty to say what became of it.
#[derive(Debug)]
pub struct Delivery {
    /// The report.
    pub item: Item,
    /// Tells the source.
    pub done: Done,
}

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// It was understood.
    Reading {
        /// What bears on parking.
        reading: Reading,
        /// What bears on the sensor's health; not for the ledger.
        health: Health,
    },
    /// It came from a bound sensor and could not be used.
    SetAside(SetAside),
}

/// A report of a bound sensor that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The sensor.
    pub sensor: SensorId,
    /// The report's own time as far as there is one, else when it came.
    pub observed: Timestamp,
    /// When it came.
    pub received: Stamp,
    /// Why.
    pub reason: String,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on disk. The source may forget it.
    Journalled,
    /// It is not, and may not be for a while (no space). The source must keep it.
    Refused,
    /// Nobody said: the consumer stopped with it in hand. The source must keep it.
    Dropped,
}

/// The duty to say what became of a delivery. Dropping it says [`Outcome::Dropped`].
pub struct Done(Option<Box<dyn FnOnce(Outcome) + Send>>);

impl Done {
    /// Calls `tell` once with what became of the delivery. `tell` must not block.
    pub fn new(tell: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    /// The report is on disk.
    pub fn journalled(self) {
        self.tell(Outcome::Journalled);
    }

    /// The report cannot be kept now; the source will bring it again.
    pub fn refused(self) {
        self.tell(Outcome::Refused);
    }

    fn tell(mut self, outcome: Outcome) {
        if let Some(tell) = self.0.take() {
            tell(outcome);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell(Outcome::Dropped);
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_source_is_told_exactly_once_whatever_becomes_of_a_delivery() {
        let (sender, told) = channel();
        let done = |sender: &std::sync::mpsc::Sender<Outcome>| {
            let sender = sender.clone();
            Done::new(move |outcome| sender.send(outcome).unwrap())
        };
        done(&sender).journalled();
        done(&sender).refused();
        drop(done(&sender));
        drop(sender);
        assert_eq!(
            told.iter().collect::<Vec<_>>(),
            [Outcome::Journalled, Outcome::Refused, Outcome::Dropped]
        );
    }
}
