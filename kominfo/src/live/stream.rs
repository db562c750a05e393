//! One camera's stream as the city asks for it: a pure machine.
//!
//! ```text
//!            first viewer                 the box dials
//!   Idle  ---------------->  Calling  ------------------>  Sending
//!                            ^  |  asked again while           |
//!                            |  |  nobody dials                | connection lost, ended by the box, time over
//!                            |  v                              v
//!                            +------------------------------ Resting
//! ```
//!
//! From every state, [`EMPTY_MAX`] without a viewer leads to [`Effect::Over`].
//!
//! **Invariants.** At most one identifier is in force, so a box is never asked for two streams of the same camera and
//! profile. Each dialling uses its identifier up; what follows has a new one. A stream that is not prolonged in time is
//! closed: by the command at the box, and here too.

use std::time::{Duration, Instant};

use live::command::StreamId;
use live::link::{Close, DIAL_WAIT, Reason};

/// How long a box may send after a command.
pub const TTL: Duration = Duration::from_secs(120);
/// When a stream that is being sent is asked for again.
const RENEW_AFTER: Duration = Duration::from_secs(60);
/// A renewal that could not be sent is tried again after this.
const RENEW_AGAIN: Duration = Duration::from_secs(5);
/// First and longest pause until a box that does not dial is asked again.
const CALL_AGAIN: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(30));
/// Pause while the broker is away.
const BROKER_AGAIN: Duration = Duration::from_secs(2);
/// First and longest pause after a connection that broke.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// A connection that lasted so long makes the next pause the first one.
const STEADY: Duration = Duration::from_secs(10);
/// How long a stream is kept when nobody watches, for a viewer who only loads the page again.
pub const EMPTY_MAX: Duration = Duration::from_secs(5);

/// What happens to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// So many watch now.
    Viewers(usize),
    /// The command was given to the broker, or could not be.
    Sent(bool),
    /// The box dialled with this identifier.
    Dialled(StreamId),
    /// The connection with this identifier is over; with the box's reason if it gave one.
    Left(StreamId, Option<String>),
    /// [`Stream::deadline`] may have come.
    Wake,
}

/// What is true of the way to the box, for those who wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The box is being asked.
    Calling,
    /// The box was asked and has not dialled.
    Silent,
    /// There is no connection to the broker.
    Broker,
    /// The connection broke.
    Lost,
    /// The box ended it for this reason.
    Refused(String),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the box to send, or to go on, for [`TTL`]; answer with [`Input::Sent`]. `offer`: the identifier is new, and
    /// the box may dial with it once.
    Ask {
        /// The stream.
        id: StreamId,
        /// It may be dialled with.
        offer: bool,
    },
    /// Tell the box to stop.
    Stop(StreamId),
    /// Close the box's connection.
    Close(Close),
    /// Tell the viewers.
    Tell(Link),
    /// Forget the stream.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Calling {
        id: StreamId,
        since: Instant,
        again: Instant,
        pause: Duration,
        /// When the newest command was given to the broker.
        sent: Option<Instant>,
        told: Told,
    },
    Sending {
        id: StreamId,
        since: Instant,
        renew: Instant,
        until: Instant,
    },
    Resting {
        until: Instant,
    },
}

/// What the viewers know while a box is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Calling,
    Silent,
    Broker,
}

/// The machine; see the module's head.
#[derive(Debug)]
pub struct Stream {
    state: State,
    viewers: usize,
    empty_since: Instant,
    rest: Duration,
}

impl Stream {
    /// A stream that nobody watches yet.
    pub fn new(now: Instant) -> Self {
        Self {
            state: State::Idle,
            viewers: 0,
            empty_since: now,
            rest: REST.0,
        }
    }

    /// When [`Input::Wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let empty = (self.viewers == 0).then(|| self.empty_since + EMPTY_MAX);
        let own = match self.state {
            State::Idle => None,
            State::Calling { again, since, told, .. } => {
                let silent = (told == Told::Calling).then(|| since + DIAL_WAIT);
                [Some(again), silent].into_iter().flatten().min()
            }
            State::Sending { renew, until, .. } => Some(renew.min(until)),
            State::Resting { until } => Some(until),
        };
        [empty, own].into_iter().flatten().min()
    }

    /// Takes an input; `fresh` makes a random identifier.
    pub fn step(&mut self, now: Instant, input: Input, fresh: impl FnOnce() -> StreamId) -> Vec<Effect> {
        match input {
            Input::Viewers(viewers) => {
                if viewers == 0 && self.viewers > 0 {
                    self.empty_since = now;
                }
                self.viewers = viewers;
                if viewers > 0 && self.state == State::Idle {
                    return self.call(now, fresh());
                }
                Vec::new()
            }
            Input::Sent(is_sent) => self.sent(now, is_sent),
            Input::Dialled(id) => self.dialled(now, id),
            Input::Left(id, reason) => self.left(now, id, reason),
            Input::Wake => self.wake(now, fresh),
        }
    }

    fn call(&mut self, now: Instant, id: StreamId) -> Vec<Effect> {
        self.state = State::Calling {
            id,
            since: now,
            again: now + CALL_AGAIN.0,
            pause: CALL_AGAIN.0,
            sent: None,
            told: Told::Calling,
        };
        vec![Effect::Tell(Link::Calling), Effect::Ask { id, offer: true }]
    }

    fn sent(&mut self, now: Instant, is_sent: bool) -> Vec<Effect> {
        match &mut self.state {
            State::Calling {
                since,
                again,
                pause,
                sent,
                told,
                ..
            } => {
                if is_sent {
                    *sent = Some(now);
                    if *told == Told::Broker {
                        // What was asked before has not left this house.
                        (*since, *told) = (now, Told::Calling);
                        (*again, *pause) = (now + CALL_AGAIN.0, CALL_AGAIN.0);
                        return vec![Effect::Tell(Link::Calling)];
                    }
                } else {
                    *again = now + BROKER_AGAIN;
                    if *told != Told::Broker {
                        *told = Told::Broker;
                        return vec![Effect::Tell(Link::Broker)];
                    }
                }
            }
            State::Sending { renew, until, .. } => {
                if is_sent {
                    (*renew, *until) = (now + RENEW_AFTER, now + TTL);
                } else {
                    *renew = now + RENEW_AGAIN;
                }
            }
            State::Idle | State::Resting { .. } => {}
        }
        Vec::new()
    }

    fn dialled(&mut self, now: Instant, with: StreamId) -> Vec<Effect> {
        match self.state {
            State::Calling { id, sent, .. } if id == with => {
                let sent = sent.unwrap_or(now);
                self.state = State::Sending {
                    id,
                    since: now,
                    renew: sent + RENEW_AFTER,
                    until: sent + TTL,
                };
                Vec::new()
            }
            // It was given up a moment before.
            _ => vec![Effect::Close(Close::NobodyWatches)],
        }
    }

    fn left(&mut self, now: Instant, of: StreamId, reason: Option<String>) -> Vec<Effect> {
        match self.state {
            State::Sending { id, since, .. } if id == of => {
                let link = reason.map_or(Link::Lost, Link::Refused);
                let is_refused = matches!(&link, Link::Refused(reason) if !Reason::is_passing(reason));
                self.rest(now, since, is_refused);
                vec![Effect::Tell(link)]
            }
            // Of a connection that was closed here before.
            _ => Vec::new(),
        }
    }

    /// Waits before the box is asked again: longer when it has said no, and when connections keep breaking.
    fn rest(&mut self, now: Instant, since: Instant, is_refused: bool) {
        if now.saturating_duration_since(since) >= STEADY {
            self.rest = REST.0;
        }
        let pause = if is_refused { REST.1 } else { self.rest };
        self.rest = (self.rest * 2).min(REST.1);
        self.state = State::Resting { until: now + pause };
    }

    fn wake(&mut self, now: Instant, fresh: impl FnOnce() -> StreamId) -> Vec<Effect> {
        if self.viewers == 0 && now >= self.empty_since + EMPTY_MAX {
            return self.give_up();
        }
        match &mut self.state {
            State::Calling {
                id,
                since,
                again,
                pause,
                told,
                ..
            } => {
                let mut effects = Vec::new();
                if *told == Told::Calling && now >= *since + DIAL_WAIT {
                    *told = Told::Silent;
                    effects.push(Effect::Tell(Link::Silent));
                }
                if now >= *again {
                    *pause = (*pause * 2).min(CALL_AGAIN.1);
                    *again = now + *pause;
                    effects.push(Effect::Ask { id: *id, offer: false });
                }
                effects
            }
            &mut State::Sending { id, since, until, .. } if now >= until => {
                self.rest(now, since, false);
                vec![
                    Effect::Stop(id),
                    Effect::Close(Close::TimeOver),
                    Effect::Tell(Link::Lost),
                ]
            }
            State::Sending { id, renew, .. } if now >= *renew => {
                *renew = now + RENEW_AGAIN;
                vec![Effect::Ask { id: *id, offer: false }]
            }
            State::Resting { until } if now >= *until => self.call(now, fresh()),
            _ => Vec::new(),
        }
    }

    fn give_up(&mut self) -> Vec<Effect> {
        let effects = match self.state {
            State::Idle | State::Resting { .. } => vec![Effect::Over],
            State::Calling { id, .. } => vec![Effect::Stop(id), Effect::Over],
            State::Sending { id, .. } => {
                vec![Effect::Stop(id), Effect::Close(Close::NobodyWatches), Effect::Over]
            }
        };
        self.state = State::Idle;
        effects
    }
}

#[cfg(test)]
mod tests;
