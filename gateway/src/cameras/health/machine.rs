//! The machine: stream, sight and clock put together.

use std::time::Duration;

use super::baseline::Baseline;
use super::damper::{Damper, Standing, tampering};
use super::event::{Cause, ClockQuality, Effect, Event, Evidence, Health, Measure, Now, State, Statistics};
use super::hints::Hints;
use super::sight::{Confirmed, Sight, Verdict};
use super::stream::Stream;
use crate::cameras::picture::Features;

/// A camera's clock further off than this is wrong, seconds.
const CLOCK_WRONG_S: f32 = 5.0;
/// A camera's clock within this is right again, seconds.
const CLOCK_GOOD_S: f32 = 3.0;
/// A camera's clock further off than this is wrong by the first report: no network keeps one back for so long, seconds.
const CLOCK_FAR_OFF_S: f32 = 30.0;
/// After this time without the picture that was asked for, it is asked for again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The health of one camera. See the head of the module.
#[derive(Debug, Clone)]
pub struct HealthMachine {
    now: Duration,
    stream: Stream,
    sight: Sight,
    hints: Hints,
    clock: Confirmed,
    damper: Damper,
    current: Health,
    stream_time: Option<Duration>,
    /// When a picture was asked for that has not come.
    requested: Option<Duration>,
    /// Whether no picture was seen since the stream came up.
    is_unseen: bool,
}

impl HealthMachine {
    /// A machine that starts at `now`, with what was kept of the camera, or the default.
    pub fn new(now: Now, baseline: Baseline) -> Self {
        Self {
            now: now.mono,
            stream: Stream::new(now.mono),
            sight: Sight::new(baseline),
            hints: Hints::default(),
            clock: Confirmed::default(),
            damper: Damper::new(),
            current: Health {
                state: State::Connecting,
                since: now.mono,
                cause: Cause::Starting,
                evidence: Vec::new(),
            },
            stream_time: None,
            requested: None,
            is_unseen: true,
        }
    }

    /// The health as of the last step.
    pub fn health(&self) -> &Health {
        &self.current
    }

    /// What is usual for this camera, to be kept; about every 15 minutes is enough.
    pub fn baseline(&self) -> &Baseline {
        self.sight.baseline()
    }

    /// Takes an event.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let now = Now {
            mono: now.mono.max(self.now),
            ..now
        };
        self.now = now.mono;
        self.take(now, event);
        let mut effects = Vec::new();
        let was_up = self.stream.is_up();
        let stream_fault = self.stream.judge(now.mono);
        if self.stream.is_up() != was_up {
            self.restart_pictures();
        }
        if self.wants_picture(now.mono) {
            self.requested = Some(now.mono);
            effects.push(Effect::RequestPicture);
        }
        let health = self.put_together(now.mono, stream_fault);
        let is_change = (health.state, health.cause) != (self.current.state, self.current.cause);
        self.current = health;
        if is_change {
            effects.push(Effect::Changed(self.current.clone()));
        }
        let records = match self.standing(now.mono) {
            Some(standing) => self.damper.step(now.mono, standing),
            None => self.damper.wait(now.mono),
        };
        effects.extend(records.into_iter().map(Effect::Record));
        effects
    }

    fn take(&mut self, now: Now, event: Event) {
        match event {
            Event::Connecting => self.stream.connecting(now.mono),
            Event::Playing => {
                self.stream.playing(now.mono);
                self.restart_pictures();
            }
            Event::Failed(failure) => self.stream.failed(now.mono, failure),
            Event::Statistics(statistics) => self.counted(now.mono, &statistics),
            Event::CameraClock { offset_ms, quality } => self.clock_measured(now.mono, offset_ms, quality),
            Event::Picture { stream_time, features } => self.picture(now, stream_time, &features),
            Event::ViewAccepted => self.sight.accept_view(),
            Event::Tick => {}
        }
    }

    fn counted(&mut self, now: Duration, statistics: &Statistics) {
        let is_healthy = self.stream.is_up() && !self.sight.is_suspicious();
        self.stream.counted(now, statistics);
        self.hints.counted(now, statistics, is_healthy);
    }

    fn picture(&mut self, now: Now, stream_time: Duration, features: &Features) {
        self.requested = None;
        if self.stream_time.replace(stream_time) == Some(stream_time) || !self.stream.is_up() {
            return;
        }
        self.is_unseen = false;
        let collapsed_for = self.hints.collapsed_for(now.mono);
        // By when it was received: on a busy machine one picture is made much sooner than the next.
        let received = Now {
            mono: stream_time.min(now.mono),
            ..now
        };
        self.sight.look(received, stream_time, features, collapsed_for);
        if self.sight.is_suspicious() {
            self.hints.found();
        } else {
            self.hints.looked(now.mono);
        }
    }

    fn clock_measured(&mut self, now: Duration, offset_ms: i64, quality: ClockQuality) {
        if quality == ClockQuality::Untrusted {
            return;
        }
        let offset = Duration::from_millis(offset_ms.unsigned_abs()).as_secs_f32();
        let verdict = if offset > CLOCK_WRONG_S {
            Verdict::Bad(vec![Evidence::above(Measure::ClockOffsetS, offset, CLOCK_WRONG_S)])
        } else if offset <= CLOCK_GOOD_S {
            Verdict::Good
        } else {
            Verdict::Unsure
        };
        // A report that was late makes a good clock look wrong, and never a wrong one good.
        if offset > CLOCK_FAR_OFF_S || offset <= CLOCK_GOOD_S {
            self.clock.decide(now, verdict);
        } else {
            self.clock.observe(now, verdict);
        }
    }

    fn restart_pictures(&mut self) {
        self.sight.restart();
        self.hints.restart();
        self.stream_time = None;
        self.requested = None;
        self.is_unseen = true;
    }

    fn wants_picture(&self, now: Duration) -> bool {
        let is_asked = self
            .requested
            .is_some_and(|asked| now.saturating_sub(asked) < REQUEST_TIMEOUT);
        let is_wanted = self.is_unseen || self.sight.is_suspicious() || self.hints.is_suspicious();
        self.stream.is_up() && is_wanted && !is_asked
    }

    fn put_together(&self, now: Duration, stream_fault: Option<Health>) -> Health {
        let clock_fault = || {
            self.clock.active().map(|(since, evidence)| Health {
                state: State::WrongClock,
                since,
                cause: Cause::WrongClock,
                evidence: evidence.to_vec(),
            })
        };
        let fault = stream_fault.or_else(|| self.sight.fault()).or_else(clock_fault);
        fault.unwrap_or_else(|| Health {
            state: State::Up,
            since: if self.current.state == State::Up {
                self.current.since
            } else {
                now
            },
            cause: Cause::None,
            evidence: Vec::new(),
        })
    }

    /// What is the case for the records; none while it is not known.
    fn standing(&self, now: Duration) -> Option<Standing> {
        if !self.stream.is_up() {
            return self.stream.is_lost(now).then(|| Standing::Lost {
                last_frame: self.stream.last_use(),
                cause: self.current.cause,
            });
        }
        Some(match tampering(self.current.state) {
            Some(what) => Standing::Tampered {
                what,
                since: self.current.since,
                evidence: self.current.evidence.clone(),
            },
            None => Standing::Good,
        })
    }
}
