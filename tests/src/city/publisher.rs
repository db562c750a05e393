//! Brings uplinks to the broker as a LoRaWAN server does: QoS 1, repeated until the broker has acknowledged them.
//!
//! The server keeps what it got from the radio until its broker has it for good. Mosquitto acknowledges a message a
//! moment before it saves it, so after a lost connection everything acknowledged in the last moments is sent again
//! as well; the box knows repeated messages by their identity.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::uplink::Uplink;
use crate::clock::SimulatedClock;

/// Messages sent and not yet acknowledged, at most.
const WINDOW: usize = 64;

/// What was acknowledged less than this before a connection was lost is sent again.
const UNSAVED: Duration = Duration::from_millis(500);

/// Pause before the next try to connect.
const RETRY: Duration = Duration::from_millis(50);

/// How long without any acknowledgement until the connection counts as dead.
const STALLED: Duration = Duration::from_secs(5);

/// What was done to bring all uplinks to the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// Uplinks acknowledged by the broker.
    pub acknowledged: usize,
    /// Publishes beyond the first of an uplink.
    pub repeated: usize,
    /// Connections lost.
    pub reconnections: usize,
}

/// Publishes all uplinks, each not before its time on `clock` (at once without one), and returns when the broker has
/// acknowledged the last.
pub async fn publish(
    broker: SocketAddr,
    client_id: &str,
    uplinks: &[Uplink],
    clock: Option<SimulatedClock>,
) -> anyhow::Result<Published> {
    let mut state = Delivery {
        uplinks,
        clock,
        next: 0,
        again: VecDeque::new(),
        recent: VecDeque::new(),
        done: Published::default(),
    };
    while !state.is_complete() {
        let mut options = MqttOptions::new(client_id, broker.ip().to_string(), broker.port());
        options
            .set_clean_start(true)
            .set_outgoing_inflight_upper_limit(u16::MAX);
        let (client, events) = AsyncClient::new(options, WINDOW);
        let connection = Connection::open(client, events);
        let mut in_flight = InFlight::default();
        if state.run(connection, &mut in_flight).await.is_err() {
            state.done.reconnections += 1;
            state.connection_lost(in_flight);
            tokio::time::sleep(RETRY).await;
        }
    }
    Ok(state.done)
}

/// An event loop polled by a task of its own, because polling it must not be cancelled half way.
struct Connection {
    client: AsyncClient,
    events: mpsc::Receiver<anyhow::Result<Event>>,
    task: AbortHandle,
}

impl Connection {
    fn open(client: AsyncClient, mut events: EventLoop) -> Self {
        // Full means that the publisher is busy; the event loop then waits, and so does the broker.
        let (sender, receiver) = mpsc::channel(2 * WINDOW);
        let task = tokio::spawn(async move {
            loop {
                let event = events.poll().await.map_err(anyhow::Error::from);
                let ended = event.is_err();
                if sender.send(event).await.is_err() || ended {
                    return;
                }
            }
        });
        Self {
            client,
            events: receiver,
            task: task.abort_handle(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What one connection has taken and not acknowledged.
#[derive(Default)]
struct InFlight {
    /// Given to the client, in order, packet id not yet known.
    queued: VecDeque<usize>,
    /// On the wire, by packet id.
    sent: HashMap<u16, usize>,
}

impl InFlight {
    fn len(&self) -> usize {
        self.queued.len() + self.sent.len()
    }
}

struct Delivery<'a> {
    uplinks: &'a [Uplink],
    clock: Option<SimulatedClock>,
    /// First uplink never given to any connection.
    next: usize,
    /// Uplinks to be sent again, first.
    again: VecDeque<usize>,
    /// Acknowledged lately.
    recent: VecDeque<(Instant, usize)>,
    done: Published,
}

impl Delivery<'_> {
    fn is_complete(&self) -> bool {
        self.next == self.uplinks.len() && self.again.is_empty() && self.done.acknowledged == self.uplinks.len()
    }

    async fn run(&mut self, mut connection: Connection, in_flight: &mut InFlight) -> anyhow::Result<()> {
        let mut connected = false;
        let mut heard = Instant::now();
        loop {
            if connected {
                self.send_what_is_due(&connection.client, in_flight)?;
                if self.is_complete() && in_flight.len() == 0 {
                    return Ok(());
                }
            }
            let may_send = connected && in_flight.len() < WINDOW;
            let wait = if may_send {
                self.until_next().min(STALLED)
            } else {
                STALLED
            };
            match tokio::time::timeout(wait, connection.events.recv()).await {
                Ok(Some(event)) => {
                    let event = event?;
                    connected |= matches!(event, Event::Incoming(Packet::ConnAck(_)));
                    self.handle(event, in_flight)?;
                    heard = Instant::now();
                }
                Ok(None) => anyhow::bail!("the connection has ended"),
                Err(_) if in_flight.len() > 0 || !connected => {
                    anyhow::ensure!(heard.elapsed() < STALLED, "no acknowledgement for {STALLED:?}");
                }
                Err(_) => heard = Instant::now(),
            }
        }
    }

    /// Time until the next uplink is due; long when there is none.
    fn until_next(&self) -> Duration {
        match (self.clock, self.uplinks.get(self.next)) {
            (_, None) => STALLED,
            (None, Some(_)) => Duration::ZERO,
            (Some(clock), Some(uplink)) => clock.until(uplink.publish_at),
        }
    }

    fn send_what_is_due(&mut self, client: &AsyncClient, in_flight: &mut InFlight) -> anyhow::Result<()> {
        while in_flight.len() < WINDOW {
            let index = match self.again.front() {
                Some(index) => *index,
                None if self.next < self.uplinks.len() && self.until_next().is_zero() => self.next,
                None => return Ok(()),
            };
            let uplink = &self.uplinks[index];
            client
                .try_publish(&uplink.topic, QoS::AtLeastOnce, false, uplink.payload.clone())
                .context("the client takes no more")?;
            in_flight.queued.push_back(index);
            if self.again.pop_front().is_some() {
                self.done.repeated += 1;
            } else {
                self.next += 1;
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: Event, in_flight: &mut InFlight) -> anyhow::Result<()> {
        match event {
            Event::Outgoing(Outgoing::Publish(id)) => {
                let index = in_flight
                    .queued
                    .pop_front()
                    .context("a publish that nobody asked for")?;
                in_flight.sent.insert(id, index);
            }
            Event::Incoming(Packet::PubAck(ack)) => {
                anyhow::ensure!(
                    matches!(ack.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers),
                    "the broker refuses an uplink: {:?}",
                    ack.reason
                );
                let index = in_flight
                    .sent
                    .remove(&ack.pkid)
                    .context("an acknowledgement of nothing")?;
                self.acknowledged(index);
            }
            _ => (),
        }
        Ok(())
    }

    fn acknowledged(&mut self, index: usize) {
        let now = Instant::now();
        self.done.acknowledged += 1;
        self.recent.push_back((now, index));
        while self
            .recent
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > UNSAVED)
        {
            self.recent.pop_front();
        }
    }

    fn connection_lost(&mut self, in_flight: InFlight) {
        let now = Instant::now();
        let unsaved = self
            .recent
            .drain(..)
            .filter(|(at, _)| now.duration_since(*at) <= UNSAVED)
            .map(|(_, index)| index);
        let mut again: Vec<usize> = unsaved.collect();
        self.done.acknowledged -= again.len();
        again.extend(in_flight.sent.into_values().chain(in_flight.queued));
        again.extend(self.again.drain(..));
        again.sort_unstable();
        self.again = again.into();
    }
}
