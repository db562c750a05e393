//! From the broker to the database: one worker a box, so that a box's messages keep their order and no box waits for
//! another.
//!
//! A message is acknowledged to the broker when it needs not come again: it is committed, told again, refused, or of no
//! use before something else comes. While the database is away nothing is acknowledged, and the boxes wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ledger::Receipt;
use parking::GatewayId;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::dialer::Target;
use crate::ingest::{Ingest, Outcome};
use crate::mqtt::{IN_FLIGHT_MAX, Message, MqttError, Publisher, Session};
use crate::store::{AlarmCode, NewRefusal, StoreError};

/// First and longest wait before the broker is called again.
const CALL_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// First and longest wait before the database is asked again.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a batch waits for the records before it, which another instance may be about to commit.
const GAP_WAIT: Duration = Duration::from_secs(2);
/// How often a box is asked for what is missing.
const GAP_TOLD: Duration = Duration::from_mins(1);
/// First and longest pause between looks at the size of the log meanwhile.
const GAP_LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
/// How long what is under way may take to end when the program stops.
const STOP_WAIT: Duration = Duration::from_secs(5);

const TOPICS: &str = "parkir/1/";

/// Which lane a message came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    Ledger,
    State,
    Telemetry,
    Status,
}

/// Receives until `stop`, over as many sessions as it takes. `publishers` is told of the session while there is one.
pub async fn receive(
    ingest: Arc<Ingest>,
    target: Target,
    client_id: String,
    publishers: watch::Sender<Option<Publisher>>,
    stop: CancellationToken,
) {
    let mut wait = CALL_AGAIN.0;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let error = tokio::select! {
            result = session(&ingest, &target, &client_id, &publishers, &stop) => result.err(),
            () = stop.cancelled() => None,
        };
        publishers.send_replace(None);
        if let Some(error) = error {
            tracing::warn!(%error, "session with the broker ended");
        }
        if began.elapsed() > CALL_AGAIN.1 {
            wait = CALL_AGAIN.0;
        }
        tokio::select! {
            () = sleep(wait) => wait = (wait * 2).min(CALL_AGAIN.1),
            () = stop.cancelled() => {}
        }
    }
}

async fn session(
    ingest: &Arc<Ingest>,
    target: &Target,
    client_id: &str,
    publishers: &watch::Sender<Option<Publisher>>,
    stop: &CancellationToken,
) -> Result<(), MqttError> {
    // Retained messages do not come through a shared subscription, so every instance listens to `status` for itself.
    let topics = [
        format!("$share/kominfo/{TOPICS}+/ledger"),
        format!("$share/kominfo/{TOPICS}+/state"),
        format!("$share/kominfo/{TOPICS}+/telemetry"),
        format!("{TOPICS}+/status"),
    ];
    let (mut session, publisher) = Session::open(target, client_id, &topics).await?;
    tracing::info!(broker = target.address(), client_id, "receiving");
    publishers.send_replace(Some(publisher.clone()));
    let mut workers = Workers::new(Arc::clone(ingest), publisher, stop.child_token());
    workers.tell_receipts();
    let result = loop {
        tokio::select! {
            message = session.next() => match message {
                Ok(message) => workers.hand(message)?,
                Err(error) => break Err(error),
            },
            () = stop.cancelled() => break Ok(()),
        }
    };
    if result.is_ok() {
        // What was committed in the last moments still gets its receipt and acknowledgement out.
        let drain = async { while session.next().await.is_ok() {} };
        tokio::select! {
            () = workers.finish() => {}
            () = drain => {}
            () = sleep(STOP_WAIT) => {}
        }
    }
    result
}

/// Messages for a worker.
type Queue = mpsc::Sender<(GatewayId, Message)>;

/// The workers of one session; they end with it.
struct Workers {
    ingest: Arc<Ingest>,
    publisher: Publisher,
    stop: CancellationToken,
    /// By lane, and on the ledger's by box: as many as boxes have a certificate.
    queues: HashMap<(Lane, Option<GatewayId>), Queue>,
    tasks: JoinSet<()>,
}

impl Workers {
    fn new(ingest: Arc<Ingest>, publisher: Publisher, stop: CancellationToken) -> Self {
        Self {
            ingest,
            publisher,
            stop,
            queues: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Puts the newest receipts on the broker again, as it may have lost them.
    fn tell_receipts(&mut self) {
        let (ingest, publisher) = (Arc::clone(&self.ingest), self.publisher.clone());
        self.tasks.spawn(async move {
            let logs = match ingest.store().logs(None).await {
                Ok(logs) => logs,
                Err(error) => return tracing::warn!(error = chain(&error), "cannot tell the receipts again"),
            };
            for log in logs {
                if let Some(receipt) = log.receipt
                    && publisher
                        .retain(&receipt_topic(&log.gateway), receipt.to_bytes())
                        .await
                        .is_err()
                {
                    return;
                }
            }
        });
    }

    /// Hands a message to its box's worker. A topic that is none of ours is left alone.
    fn hand(&mut self, message: Message) -> Result<(), MqttError> {
        let Some((lane, gateway)) = parse_topic(&message.topic) else {
            tracing::warn!(topic = message.topic, "message on a topic of no box");
            self.tasks
                .spawn(async move { message.acknowledgement.send().await.unwrap_or_default() });
            return Ok(());
        };
        while self.tasks.try_join_next().is_some() {}
        // The others are quick and small: one worker each serves all boxes.
        let of = (lane == Lane::Ledger).then(|| gateway.clone());
        let queue = self.queues.entry((lane, of)).or_insert_with(|| {
            let (queue, messages) = mpsc::channel(2 * usize::from(IN_FLIGHT_MAX));
            let worker = Worker {
                ingest: Arc::clone(&self.ingest),
                publisher: self.publisher.clone(),
                stop: self.stop.clone(),
                gave_up: None,
            };
            self.tasks.spawn(worker.run(lane, messages));
            queue
        });
        // Of those that want an acknowledgement the broker sends no more than half a queue before it sees some; the
        // others, which may be lost, and come as fast as somebody sends them, may take the other half.
        if !message.acknowledgement.is_wanted() && queue.capacity() <= usize::from(IN_FLIGHT_MAX) {
            tracing::debug!(topic = message.topic, "queue full: message of QoS 0 dropped");
            return Ok(());
        }
        queue.try_send((gateway, message)).map_err(|_| MqttError::Ended)
    }

    /// Lets the workers finish what they have begun.
    async fn finish(&mut self) {
        self.queues.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Takes messages in, one after the other.
struct Worker {
    ingest: Arc<Ingest>,
    publisher: Publisher,
    stop: CancellationToken,
    /// The size of the log at which a batch waited in vain for those before it, so that the ones behind it need not wait
    /// too; and when the box was last asked for them.
    gave_up: Option<(u64, Instant)>,
}

impl Worker {
    async fn run(mut self, lane: Lane, mut messages: mpsc::Receiver<(GatewayId, Message)>) {
        let stop = self.stop.clone();
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                next = messages.recv() => next,
            };
            let Some((gateway, message)) = next else { return };
            if !self.take(lane, &gateway, &message).await {
                return;
            }
            if message.acknowledgement.send().await.is_err() {
                return;
            }
        }
    }

    /// Takes a message in, however often the database must be asked. `false` when the program stops before that.
    async fn take(&mut self, lane: Lane, gateway: &GatewayId, message: &Message) -> bool {
        let began = Instant::now();
        let mut wait = ASK_AGAIN.0;
        loop {
            let taken = match lane {
                Lane::Ledger => self.ledger(gateway, message, began).await,
                Lane::State => self
                    .ingest
                    .state(gateway, &message.topic, &message.payload, clock::now())
                    .await
                    .map(told(gateway)),
                Lane::Telemetry => self
                    .ingest
                    .telemetry(gateway, &message.topic, &message.payload, clock::now())
                    .await
                    .map(told(gateway)),
                Lane::Status => self
                    .ingest
                    .status(gateway, &message.topic, &message.payload, clock::now())
                    .await
                    .map(told(gateway)),
            };
            let error = match taken {
                Ok(()) => return true,
                Err(error) => error,
            };
            tracing::error!(%gateway, error = chain(&error), "cannot take a message in");
            if matches!(error, StoreError::Corrupt { .. }) && self.tell_damage(gateway, message, &error).await {
                return true;
            }
            tokio::select! {
                () = sleep(wait) => wait = (wait * 2).min(ASK_AGAIN.1),
                () = self.stop.cancelled() => return false,
            }
        }
    }

    async fn ledger(&mut self, gateway: &GatewayId, message: &Message, began: Instant) -> Result<(), StoreError> {
        loop {
            match self
                .ingest
                .batch(gateway, &message.topic, &message.payload, clock::now())
                .await?
            {
                Outcome::Committed(receipt) => {
                    self.gave_up = None;
                    tracing::debug!(%gateway, size = receipt.size, "batch committed");
                    self.tell(gateway, receipt.to_bytes()).await;
                }
                Outcome::Repeated(receipt) => {
                    tracing::debug!(%gateway, size = receipt.size, "batch told again");
                    self.tell(gateway, receipt.to_bytes()).await;
                }
                Outcome::Gap { size, .. }
                    if self.gave_up.is_none_or(|(at, _)| at != size) && began.elapsed() < GAP_WAIT =>
                {
                    self.await_growth(gateway, size, began + GAP_WAIT).await?;
                    continue;
                }
                Outcome::Gap { size, receipt } => {
                    let told = self
                        .gave_up
                        .is_some_and(|(at, told)| at == size && told.elapsed() < GAP_TOLD);
                    if !told {
                        self.gave_up = Some((size, Instant::now()));
                        self.ask_for(gateway, size, receipt).await?;
                    }
                }
                Outcome::Refused { reason, detail } => {
                    tracing::warn!(%gateway, reason = reason.as_str(), detail, "batch refused");
                }
            }
            return Ok(());
        }
    }

    /// Waits until the log has more than `size` records, or until `deadline`.
    async fn await_growth(&self, gateway: &GatewayId, size: u64, deadline: Instant) -> Result<(), StoreError> {
        let mut pause = GAP_LOOK.0;
        while Instant::now() < deadline && !self.stop.is_cancelled() {
            sleep(pause).await;
            pause = (pause * 2).min(GAP_LOOK.1);
            if self
                .ingest
                .store()
                .log_size(gateway)
                .await?
                .is_none_or(|now| now > size)
            {
                break;
            }
        }
        Ok(())
    }

    /// Asks for the records from index `size` on: the box starts again from the receipt that it is told.
    async fn ask_for(&self, gateway: &GatewayId, size: u64, receipt: Option<Receipt>) -> Result<(), StoreError> {
        let detail = format!("the city has {size} records, and those after them have not come");
        tracing::warn!(%gateway, detail, "records are missing before a batch");
        self.ingest
            .store()
            .raise(gateway, AlarmCode::Gap, &detail, clock::now())
            .await?;
        if let Some(receipt) = receipt {
            self.tell(gateway, receipt.to_bytes()).await;
        }
        Ok(())
    }

    /// Tells the box its receipt. When that fails the session is over, and the box will ask again by sending again.
    async fn tell(&self, gateway: &GatewayId, receipt: Vec<u8>) {
        if self.publisher.retain(&receipt_topic(gateway), receipt).await.is_err() {
            tracing::debug!(%gateway, "the session ended before a receipt could be told");
        }
    }

    /// Raises the alarm that the city's own copy is damaged, so that one box's damage holds up no other.
    async fn tell_damage(&self, gateway: &GatewayId, message: &Message, error: &StoreError) -> bool {
        let refusal = NewRefusal {
            gateway: gateway.as_str(),
            reason: AlarmCode::StoreDamaged,
            detail: &error.to_string(),
            topic: &message.topic,
            payload: &message.payload,
        };
        self.ingest.store().refuse(&refusal, clock::now()).await.is_ok()
    }
}

fn told(gateway: &GatewayId) -> impl Fn(Option<AlarmCode>) {
    move |refused| {
        if let Some(reason) = refused {
            tracing::warn!(%gateway, reason = reason.as_str(), "state, telemetry or status refused");
        }
    }
}

fn receipt_topic(gateway: &GatewayId) -> String {
    format!("{TOPICS}{gateway}/receipt")
}

fn parse_topic(topic: &str) -> Option<(Lane, GatewayId)> {
    let (gateway, lane) = topic.strip_prefix(TOPICS)?.split_once('/')?;
    let lane = match lane {
        "ledger" => Lane::Ledger,
        "state" => Lane::State,
        "telemetry" => Lane::Telemetry,
        "status" => Lane::Status,
        _ => return None,
    };
    Some((lane, GatewayId::new(gateway).ok()?))
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_a_lane_and_a_box_or_nothing() {
        let lane = |topic| parse_topic(topic).map(|(lane, gateway)| (lane, gateway.to_string()));
        assert_eq!(lane("parkir/1/g-1/ledger"), Some((Lane::Ledger, "g-1".to_owned())));
        assert_eq!(lane("parkir/1/g-1/status"), Some((Lane::Status, "g-1".to_owned())));
        for other in [
            "parkir/1/g-1/receipt",
            "parkir/2/g/ledger",
            "parkir/1/../ledger",
            "parkir/1/ledger",
            "",
        ] {
            assert_eq!(lane(other), None, "{other}");
        }
    }
}
