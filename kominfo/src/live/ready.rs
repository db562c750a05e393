//! Connections that wait: while a page shows a box's cameras, the box holds one idle connection, on which its next stream
//! begins without dialling.
//!
//! Pages say again and again that they are open and visible. However many do, a box is asked once; again after [`DIAL_WAIT`]
//! if it has not dialled, after [`RENEW_AFTER`] if it has, and for another connection no sooner than [`ANEW_AFTER`] after
//! the last command.
//!
//! **Limits.** [`READY_TTL`], [`READY_BOXES_MAX`], [`BOXES_A_PAGE_MAX`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use live::command::{READY_TTL_S_MAX, StreamId};
use live::link::DIAL_WAIT;
use parking::GatewayId;
use tokio::sync::watch;
use tokio::time::Instant;

use super::courier::CourierError;
use super::relay::{Refusal, Relay, fresh, reach};
use crate::store::StoreError;

/// How long a box holds a connection after a command.
pub(super) const READY_TTL: Duration = Duration::from_secs(READY_TTL_S_MAX);
/// Boxes that are asked to hold one, at once. A further one is not asked; its next stream waits for dialling.
pub(super) const READY_BOXES_MAX: usize = 32;
/// Boxes that one page may name at once. More are refused.
pub const BOXES_A_PAGE_MAX: usize = 8;
/// When a connection that is to be held is asked for again.
const RENEW_AFTER: Duration = Duration::from_secs(30);
/// Pause between a command and one for another connection of the same box.
const ANEW_AFTER: Duration = Duration::from_secs(5);
/// How much later than the box the city closes: the command took its time to the box.
const SLACK: Duration = Duration::from_secs(5);

/// Why a box could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// The store did not tell of it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The command was not given to the broker.
    #[error("cannot ask the box to hold a connection: {0}")]
    Unsent(String),
}

impl From<CourierError> for ReadyError {
    fn from(error: CourierError) -> Self {
        Self::Unsent(error.to_string())
    }
}

/// The connections that wait, one a box at most: a pure machine.
#[derive(Debug, Default)]
pub(super) struct Waits {
    boxes: HashMap<GatewayId, Wait>,
}

#[derive(Debug)]
struct Wait {
    id: StreamId,
    asked: Instant,
    /// When the city closes it.
    until: watch::Sender<Instant>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The box may dial with the identifier.
    Offered,
    /// It has.
    Held,
    /// A stream uses the connection, or it is closed.
    Over,
}

impl Waits {
    /// Whether a page that shows the box's cameras is a reason for a command now.
    fn is_due(&self, gateway: &GatewayId, now: Instant) -> bool {
        match self.boxes.get(gateway) {
            Some(wait) => {
                let pause = match wait.stage {
                    Stage::Offered => DIAL_WAIT,
                    Stage::Held => RENEW_AFTER,
                    Stage::Over => ANEW_AFTER,
                };
                now.saturating_duration_since(wait.asked) >= pause
            }
            None => true,
        }
    }

    /// Notes a command, if one is due; gives its identifier. `fresh` makes a random one.
    fn ask(&mut self, gateway: &GatewayId, now: Instant, fresh: impl FnOnce() -> StreamId) -> Option<StreamId> {
        // One that is over is kept only as long as it forbids another.
        self.boxes.retain(|_, wait| {
            let is_over = wait.stage == Stage::Over && now.saturating_duration_since(wait.asked) >= ANEW_AFTER;
            !is_over && *wait.until.borrow() > now
        });
        if !self.is_due(gateway, now) {
            return None;
        }
        let until = now + READY_TTL + SLACK;
        if let Some(wait) = self.boxes.get_mut(gateway).filter(|wait| wait.stage != Stage::Over) {
            wait.asked = now;
            wait.until.send_replace(until);
            return Some(wait.id);
        }
        if !self.boxes.contains_key(gateway) && self.boxes.len() >= READY_BOXES_MAX {
            return None;
        }
        let id = fresh();
        let wait = Wait {
            id,
            asked: now,
            until: watch::Sender::new(until),
            stage: Stage::Offered,
        };
        self.boxes.insert(gateway.clone(), wait);
        Some(id)
    }

    /// Takes a box's connection, if it was asked for; tells until when it may wait.
    fn admit(&mut self, gateway: &GatewayId, id: StreamId) -> Option<watch::Receiver<Instant>> {
        let wait = self.boxes.get_mut(gateway)?;
        if wait.id != id || wait.stage != Stage::Offered {
            return None;
        }
        wait.stage = Stage::Held;
        Some(wait.until.subscribe())
    }

    /// The connection waits no more.
    fn over(&mut self, gateway: &GatewayId, id: StreamId) {
        if let Some(wait) = self.boxes.get_mut(gateway).filter(|wait| wait.id == id) {
            wait.stage = Stage::Over;
        }
    }
}

/// A box's connection that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) gateway: GatewayId,
    pub(super) id: StreamId,
    /// When it is to be closed.
    until: watch::Receiver<Instant>,
    /// Counts as one of the box's connections.
    _place: Arc<()>,
}

impl Waiting {
    /// Waits until its time is over and was not prolonged.
    pub(super) async fn time_over(&mut self) {
        loop {
            let end = *self.until.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                changed = self.until.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }
}

impl Relay {
    /// A page shows cameras of this box: the box holds a connection for a while, if it can.
    pub async fn make_ready(&self, gateway: &GatewayId) -> Result<(), ReadyError> {
        if self.stop().is_cancelled() || !self.waits().is_due(gateway, Instant::now()) {
            tracing::trace!(%gateway, "a connection waits, or the box was asked for one lately");
            return Ok(());
        }
        let reach = reach(self.store(), gateway).await?;
        // An older box would only log that it knows no such command.
        if !reach.is_some_and(|reach| reach.ready && self.courier().refused_by(&reach).is_none()) {
            tracing::debug!(%gateway, "the box holds no connection for this city");
            return Ok(());
        }
        let Some(log) = self.store().logs(Some(gateway)).await?.into_iter().next() else {
            return Ok(());
        };
        let asked = self.waits().ask(gateway, Instant::now(), fresh);
        let Some(id) = asked else {
            return Ok(());
        };
        if let Err(error) = self.courier().ready(gateway, &log.origin, id).await {
            // What is not sent is not renewed either.
            self.waits().over(gateway, id);
            return Err(error.into());
        }
        tracing::debug!(%gateway, %id, "the box was asked to hold a connection");
        Ok(())
    }

    /// Takes a box's connection that waits, if it was asked for.
    pub(super) fn admit_waiting(&self, gateway: &GatewayId, id: StreamId) -> Result<Waiting, Refusal> {
        let until = self.waits().admit(gateway, id).ok_or(Refusal::Unknown)?;
        let place = self.place(gateway).inspect_err(|_| self.waits().over(gateway, id))?;
        Ok(Waiting {
            gateway: gateway.clone(),
            id,
            until,
            _place: place,
        })
    }

    /// A box's connection waits no more.
    pub(super) fn waited(&self, gateway: &GatewayId, id: StreamId) {
        self.waits().over(gateway, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(name: &str) -> GatewayId {
        GatewayId::new(name).unwrap()
    }

    fn id(number: u8) -> StreamId {
        StreamId::from_bytes([number; 16])
    }

    fn second(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn however_many_pages_show_a_box_it_is_asked_once_and_prolonged_now_and_then() {
        let (mut waits, begin, g) = (Waits::default(), Instant::now(), gateway("g"));
        assert_eq!(waits.ask(&g, begin, || id(1)), Some(id(1)));
        let until = waits.admit(&g, id(1)).unwrap();
        for seconds in 0..30 {
            assert_eq!(waits.ask(&g, second(begin, seconds), || id(2)), None);
        }
        assert_eq!(waits.ask(&g, second(begin, 30), || id(2)), Some(id(1)), "prolonged");
        assert_eq!(*until.borrow(), second(begin, 30) + READY_TTL + SLACK);
        assert_eq!(waits.ask(&g, second(begin, 31), || id(2)), None);
    }

    #[test]
    fn a_box_that_has_not_dialled_is_asked_again_for_the_same_connection() {
        let (mut waits, begin, g) = (Waits::default(), Instant::now(), gateway("g"));
        waits.ask(&g, begin, || id(1));
        assert_eq!(waits.ask(&g, second(begin, 9), || id(2)), None);
        assert_eq!(waits.ask(&g, second(begin, 10), || id(2)), Some(id(1)));
        assert!(waits.admit(&g, id(1)).is_some());
    }

    #[test]
    fn after_a_stream_has_used_the_connection_another_is_asked_for_but_not_at_once() {
        let (mut waits, begin, g) = (Waits::default(), Instant::now(), gateway("g"));
        waits.ask(&g, begin, || id(1));
        waits.admit(&g, id(1)).unwrap();
        waits.over(&g, id(1));
        assert_eq!(waits.ask(&g, second(begin, 4), || id(2)), None);
        assert_eq!(waits.ask(&g, second(begin, 5), || id(2)), Some(id(2)));
        waits.over(&g, id(1));
        assert!(
            waits.admit(&g, id(2)).is_some(),
            "the end of the one before is none of it"
        );
    }

    #[test]
    fn a_connection_is_taken_once_and_from_the_box_that_was_asked() {
        let (mut waits, begin, g) = (Waits::default(), Instant::now(), gateway("g"));
        waits.ask(&g, begin, || id(1));
        assert!(waits.admit(&gateway("h"), id(1)).is_none());
        assert!(waits.admit(&g, id(2)).is_none());
        assert!(waits.admit(&g, id(1)).is_some());
        assert!(waits.admit(&g, id(1)).is_none());
        waits.over(&g, id(1));
        assert!(waits.admit(&g, id(1)).is_none());
    }

    #[test]
    fn only_so_many_boxes_are_asked_and_a_forgotten_one_leaves_its_place() {
        let (mut waits, begin) = (Waits::default(), Instant::now());
        for number in 0..READY_BOXES_MAX {
            assert!(waits.ask(&gateway(&format!("g{number}")), begin, || id(1)).is_some());
        }
        assert_eq!(waits.ask(&gateway("late"), begin, || id(2)), None);
        waits.over(&gateway("g0"), id(1));
        assert_eq!(waits.ask(&gateway("late"), second(begin, 4), || id(2)), None);
        assert_eq!(waits.ask(&gateway("late"), second(begin, 5), || id(2)), Some(id(2)));
        let later = second(begin, 5) + READY_TTL + SLACK;
        assert_eq!(waits.ask(&gateway("later"), later, || id(3)), Some(id(3)));
    }
}
