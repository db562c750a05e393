//! What the owner of a session holds: its events, its publisher, and acknowledgements.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS as WireQoS;
use rumqttc::v5::mqttbytes::v5::Publish;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::{Event, MqttError, Publication, PublishId, QoS};

/// Longest topic, bytes: its length is written in 16 bits.
const TOPIC_BYTES_MAX: usize = u16::MAX as usize;
/// Bytes of a PUBLISH packet beside topic and payload, at most: header 1 + 4, topic length 2, identifier 2, properties 1.
const PUBLISH_OVERHEAD_BYTES: usize = 10;

/// What the handles of a session and the task that drives it have in common.
pub(super) struct Shared {
    pub(super) broker: String,
    pub(super) session_present: bool,
    pub(super) packet_bytes_max: usize,
    pub(super) room: Arc<Semaphore>,
    /// Ends the session with a reason. Holds one; when full, a reason is already there.
    pub(super) stop: mpsc::Sender<MqttError>,
    state: Mutex<State>,
}

struct State {
    /// Bound to this session's event loop: what it is told after the end is dropped with it.
    client: AsyncClient,
    /// Publishes handed to the event loop and not yet given a packet identifier by it, oldest first.
    handed: VecDeque<Handed>,
    /// Packet identifiers of messages that came and are not acknowledged to the broker, oldest first.
    unacknowledged: VecDeque<Unacknowledged>,
    next_publish: u64,
}

/// A publish on its way; holds its room until the broker has answered.
pub(super) struct Handed {
    pub(super) id: PublishId,
    _room: OwnedSemaphorePermit,
}

struct Unacknowledged {
    packet: u16,
    done: bool,
}

impl Shared {
    pub(super) fn new(
        broker: String,
        session_present: bool,
        packet_bytes_max: usize,
        window: usize,
        client: AsyncClient,
        stop: mpsc::Sender<MqttError>,
    ) -> Self {
        Self {
            broker,
            session_present,
            packet_bytes_max,
            room: Arc::new(Semaphore::new(window)),
            stop,
            state: Mutex::new(State {
                client,
                handed: VecDeque::new(),
                unacknowledged: VecDeque::new(),
                next_publish: 1,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes down the oldest publish that has no packet identifier yet.
    pub(super) fn next_handed(&self) -> Option<Handed> {
        self.state().handed.pop_front()
    }

    /// Notes a message that must be acknowledged; gives how many wait.
    pub(super) fn note_incoming(&self, packet: u16) -> usize {
        let mut state = self.state();
        state.unacknowledged.push_back(Unacknowledged { packet, done: false });
        state.unacknowledged.len()
    }

    fn acknowledge(&self, packet: u16) {
        let mut state = self.state();
        if let Some(entry) = state
            .unacknowledged
            .iter_mut()
            .find(|entry| entry.packet == packet && !entry.done)
        {
            entry.done = true;
        }
        while state.unacknowledged.front().is_some_and(|entry| entry.done) {
            if let Some(entry) = state.unacknowledged.pop_front() {
                // Only identifier and quality of service of the message are used to make its acknowledgement.
                let mut publish = Publish::new("", WireQoS::AtLeastOnce, "", None);
                publish.pkid = entry.packet;
                if state.client.try_ack(&publish).is_err() {
                    // The event loop is gone, and with it everything that waits: nothing to acknowledge any more.
                    state.unacknowledged.clear();
                }
            }
        }
    }

    fn ended(&self) -> MqttError {
        MqttError::Ended {
            broker: self.broker.clone(),
        }
    }
}

/// The events of a session. Dropping it ends the session at once, without a word to the broker.
pub struct Events {
    pub(super) receiver: mpsc::Receiver<Result<Event, MqttError>>,
    pub(super) shared: Arc<Shared>,
    pub(super) task: AbortHandle,
}

impl Events {
    /// Waits for the next event. Cancel safe. The first error says why the session ended, all later ones only that
    /// it has. The owner keeps calling it, and never awaits [`Publisher::room`] instead: room comes from events.
    pub async fn next(&mut self) -> Result<Event, MqttError> {
        self.receiver.recv().await.unwrap_or_else(|| Err(self.shared.ended()))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("broker", &self.shared.broker)
            .finish_non_exhaustive()
    }
}

/// Publishes in a session.
#[derive(Clone)]
pub struct Publisher(pub(super) Arc<Shared>);

impl Publisher {
    /// The broker still had the session of this client: its subscriptions and what it queued for it.
    pub fn session_present(&self) -> bool {
        self.0.session_present
    }

    /// Waits until one more publish may be in flight. Cancel safe.
    pub async fn room(&self) -> Result<Room, MqttError> {
        match Arc::clone(&self.0.room).acquire_owned().await {
            Ok(permit) => Ok(Room {
                shared: Arc::clone(&self.0),
                permit,
            }),
            Err(_) => Err(self.0.ended()),
        }
    }

    /// Takes room if there is some now.
    pub fn try_room(&self) -> Option<Room> {
        let permit = Arc::clone(&self.0.room).try_acquire_owned().ok()?;
        Some(Room {
            shared: Arc::clone(&self.0),
            permit,
        })
    }

    /// Waits for room and publishes.
    pub async fn publish(&self, publication: Publication) -> Result<PublishId, MqttError> {
        self.room().await?.publish(publication)
    }

    /// Largest payload that can be published to `topic`, bytes.
    pub fn payload_bytes_max(&self, topic: &str) -> usize {
        self.0
            .packet_bytes_max
            .saturating_sub(topic.len() + PUBLISH_OVERHEAD_BYTES)
    }

    /// Sends what was published and acknowledged, and takes leave, so that the broker does not publish the last will.
    /// The session ends, with an error that says so, when the broker has it all and closes the connection.
    pub fn disconnect(&self) -> Result<(), MqttError> {
        self.0.state().client.try_disconnect().map_err(|_| self.0.ended())
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Publisher").field(&self.0.broker).finish()
    }
}

/// Room for one publish.
pub struct Room {
    shared: Arc<Shared>,
    permit: OwnedSemaphorePermit,
}

impl Room {
    /// Hands `publication` to the session. The room is free again when the broker has answered (QoS 1) or the
    /// message is written (QoS 0).
    pub fn publish(self, publication: Publication) -> Result<PublishId, MqttError> {
        let Publication {
            topic,
            payload,
            qos,
            retain,
        } = publication;
        let broker = &self.shared.broker;
        if topic.is_empty() || topic.len() > TOPIC_BYTES_MAX || topic.contains(['+', '#', '\0']) {
            return Err(MqttError::Topic {
                broker: broker.clone(),
                topic,
            });
        }
        let bytes = topic.len() + payload.len() + PUBLISH_OVERHEAD_BYTES;
        let max = self.shared.packet_bytes_max;
        if bytes > max {
            return Err(MqttError::TooLarge {
                broker: broker.clone(),
                topic,
                bytes,
                max,
            });
        }
        let mut state = self.shared.state();
        // The request queue has a place for every permit, so only the end of the session can refuse.
        if state.client.try_publish(topic, qos.into(), retain, payload).is_err() {
            return Err(self.shared.ended());
        }
        let id = PublishId(state.next_publish);
        state.next_publish += 1;
        state.handed.push_back(Handed { id, _room: self.permit });
        Ok(id)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Room").field(&self.shared.broker).finish()
    }
}

impl From<QoS> for WireQoS {
    fn from(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::AtMostOnce,
            QoS::AtLeastOnce => Self::AtLeastOnce,
        }
    }
}

/// The duty to acknowledge one message. Dropped, it ends the session so that the broker repeats the message.
#[must_use = "a message that is not acknowledged ends the session"]
pub struct Ack(pub(super) Option<Duty>);

pub(super) struct Duty {
    pub(super) shared: Arc<Shared>,
    pub(super) packet: u16,
    pub(super) topic: String,
}

impl Ack {
    /// Tells the broker that it need not keep the message. Sent once all messages before it are acknowledged too.
    pub fn acknowledge(mut self) {
        if let Some(duty) = self.0.take() {
            duty.shared.acknowledge(duty.packet);
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(Duty { shared, topic, .. }) = self.0.take() {
            let error = MqttError::GivenBack {
                broker: shared.broker.clone(),
                topic,
            };
            // Full or closed means that the session is ending already.
            let _ending = shared.stop.try_send(error);
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ack")
            .field(&self.0.as_ref().map(|duty| duty.packet))
            .finish()
    }
}
