//! A made-up camera, ingest and decoder around the machine: a keyframe every 2 s, 12.5 frames a second. Of the newest
//! keyframe a picture is made every 4 s and whenever one is asked for, one at a time, and as slowly as the rig is told.

use std::time::Duration;

use super::super::*;
use super::scene::{Scene, View};

/// What the camera does at a time.
pub enum Camera {
    /// Sends this view.
    Live(View),
    /// Sends this view again, encoded anew: the frames between are next to nothing.
    Stuck(View),
    /// The same, but it takes until the middle of each group of pictures, and this is how coarse its keyframes are: the
    /// noise that the encoder adds.
    Refined(View, f32),
    /// Sends the same encoded pictures again.
    Looped(View),
    /// Sends nothing.
    Silent,
}

pub fn at_s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A keyframe, and when it was received.
#[derive(Clone, Copy)]
struct Key {
    at: Duration,
    view: View,
}

pub struct Rig {
    pub machine: HealthMachine,
    scene: Scene,
    tick: u64,
    hour: Option<HourOfDay>,
    is_requested: bool,
    /// How long making one picture takes, in 100 ms, by the number of the picture.
    pub lag: fn(u64) -> u64,
    /// The newest keyframe, until a picture is made of it.
    key: Option<Key>,
    /// The picture that is being made, and the tick when it is done.
    making: Option<(Key, u64)>,
    last_keyframe: Option<Duration>,
    last_frame: Option<Duration>,
    /// Every change of state and every record, with its time.
    pub changes: Vec<(Duration, Health)>,
    pub records: Vec<(Duration, Record)>,
    pub requests: usize,
}

const TICK_MS: u64 = 100;

impl Rig {
    /// A camera that is up and has been looked at for long enough to be known.
    pub fn known(scene: Scene, camera: impl Fn(u64) -> View) -> Self {
        let mut rig = Self::new(scene, Baseline::default());
        rig.learn(camera);
        rig
    }

    pub fn new(scene: Scene, baseline: Baseline) -> Self {
        let hour = HourOfDay::new(12);
        let now = Now {
            mono: Duration::ZERO,
            hour,
        };
        let mut rig = Self {
            machine: HealthMachine::new(now, baseline),
            scene,
            tick: 0,
            hour,
            is_requested: false,
            lag: |_| 2,
            key: None,
            making: None,
            last_keyframe: None,
            last_frame: None,
            changes: Vec::new(),
            records: Vec::new(),
            requests: 0,
        };
        rig.event(Event::Connecting);
        rig.event(Event::Playing);
        rig
    }

    /// Lets the machine see pictures for 15 minutes, one in 30 s.
    fn learn(&mut self, camera: impl Fn(u64) -> View) {
        for _ in 0..30 {
            self.run_sparsely(30, |number| Camera::Live(camera(number)));
        }
        assert_eq!(self.machine.health().state, State::Up, "{:?}", self.changes);
        self.changes.clear();
        self.records.clear();
        self.requests = 0;
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.tick * TICK_MS)
    }

    pub fn set_hour(&mut self, hour: u8) {
        self.hour = HourOfDay::new(hour);
    }

    pub fn event(&mut self, event: Event) {
        let now = Now {
            mono: self.now(),
            hour: self.hour,
        };
        for effect in self.machine.step(now, event) {
            match effect {
                Effect::Changed(health) => self.changes.push((now.mono, health)),
                Effect::RequestPicture => {
                    self.is_requested = true;
                    self.requests += 1;
                }
                Effect::Record(record) => self.records.push((now.mono, record)),
            }
        }
    }

    /// Runs for `seconds`. `camera` is asked with the number of 100 ms since the start.
    pub fn run(&mut self, seconds: f64, camera: impl Fn(u64) -> Camera) {
        let end = self.now() + at_s(seconds);
        while self.now() < end {
            self.tick += 1;
            let doing = camera(self.tick);
            self.second(&doing, 1);
            if self.tick.is_multiple_of(20) {
                self.key = self.key_of(&doing);
                self.is_requested |= self.tick.is_multiple_of(40);
            }
            self.make_pictures();
        }
    }

    /// Hands over the picture that is done, and begins the next that is wanted.
    fn make_pictures(&mut self) {
        if let Some((key, _)) = self.making.take_if(|(_, done)| *done <= self.tick) {
            self.decode(key);
        }
        if self.is_requested && self.making.is_none() {
            let lag = (self.lag)(self.tick);
            self.making = self.key.take().map(|key| (key, self.tick + lag));
            self.is_requested = self.making.is_none();
        }
    }

    /// Runs for `seconds` with statistics every second, but one picture at the end only.
    pub fn run_sparsely(&mut self, seconds: u64, camera: impl Fn(u64) -> Camera) {
        let end = self.tick + seconds * 10;
        while self.tick < end {
            self.tick += 10;
            self.second(&camera(self.tick), 10);
        }
        if let Some(key) = self.key_of(&camera(self.tick)) {
            self.decode(key);
        }
    }

    fn key_of(&self, doing: &Camera) -> Option<Key> {
        let view = match *doing {
            Camera::Refined(view, coarse) if coarse > 0.0 => View {
                number: self.tick,
                noise: coarse,
                ..view
            },
            Camera::Live(view) | Camera::Stuck(view) | Camera::Looped(view) | Camera::Refined(view, _) => view,
            Camera::Silent => return None,
        };
        Some(Key { at: self.now(), view })
    }

    fn second(&mut self, doing: &Camera, ticks: u64) {
        let is_sending = !matches!(doing, Camera::Silent);
        let is_over = |every: u64| self.tick / every != (self.tick - ticks) / every;
        if is_sending {
            self.last_frame = Some(self.now());
            if is_over(20) {
                self.last_keyframe = Some(self.now());
            }
        }
        if !is_over(10) {
            return;
        }
        let jitter = u32::try_from(self.tick % 97).unwrap();
        let keyframe = match doing {
            Camera::Live(view) if view.covered => 3_000 + jitter,
            Camera::Live(view) if view.blur > 0 => 14_000 + 5 * jitter,
            Camera::Live(_) | Camera::Stuck(_) | Camera::Refined(..) => 40_000 + 10 * jitter,
            Camera::Looped(_) => 40_000,
            Camera::Silent => 0,
        };
        let between = match doing {
            Camera::Live(view) if view.covered => 150 + jitter,
            Camera::Live(_) | Camera::Looped(_) => 1_500 + jitter,
            Camera::Refined(..) if is_over(20) => 1_300 + jitter,
            Camera::Stuck(_) | Camera::Refined(..) => 40,
            Camera::Silent => 0,
        };
        let keyframes = u32::from(is_sending && is_over(20));
        let frames = if is_sending { 12 } else { 0 };
        let statistics = Statistics {
            frames,
            keyframes,
            bytes: keyframes * keyframe + (frames - keyframes.min(frames)) * between,
            keyframe_bytes: keyframes * keyframe,
            between_bytes: None,
            between_bytes_max: 0,
            gop: self.last_keyframe.map(|_| at_s(2.0)),
            last_frame: self.last_frame,
            last_keyframe: self.last_keyframe,
        };
        if is_sending {
            self.event(Event::Statistics(statistics));
        } else {
            self.event(Event::Tick);
        }
    }

    fn decode(&mut self, key: Key) {
        let features = Box::new(self.scene.measured(&key.view));
        let stream_time = key.at;
        self.event(Event::Picture { stream_time, features });
    }

    /// When a state was named, counted from `from`.
    pub fn named_after(&self, state: State, from: Duration) -> Option<Duration> {
        let change = self
            .changes
            .iter()
            .find(|(at, health)| *at >= from && health.state == state);
        change.map(|(at, _)| at.abs_diff(from))
    }

    pub fn kinds(&self) -> Vec<String> {
        let kind = |record: &Record| match record {
            Record::CameraLost { .. } => "lost".to_owned(),
            Record::CameraRestored { .. } => "restored".to_owned(),
            Record::CameraTampered { what, .. } => format!("{what:?}").to_lowercase(),
            Record::CameraUnsteady { changes, .. } => format!("unsteady {changes}"),
        };
        self.records.iter().map(|(_, record)| kind(record)).collect()
    }
}
