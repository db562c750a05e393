//! Cameras of Hikvision, and those that speak its ISAPI, as sensors: the events of their own analysis.
//!
//! Events come by two ways: the box reads a camera's event stream ([`stream`]), or the camera posts them to the box's webhook
//! ([`Postbox`]). Either way they are [`Alert`]s, and a [`Watch`] for each space makes states of them. The camera's own time is
//! not used: the events are those of now, and cameras' clocks are wrong more often than the box's.
//!
//! Source: Hikvision, Intelligent Security API (General Application), sections on alarm and event.

pub mod alert;
pub mod parts;
mod stream;
pub mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use parking::{CameraId, SensorId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::alert::Alert;
use self::stream::Stream;
use self::watch::Watch;
use super::super::{Driver, DriverContext, DriverState};
use super::Outbox;
use crate::cameras::wire::Credentials;

/// Alerts that wait to be looked at.
const WAITING_MAX: usize = 64;
/// How often it is looked whether a camera is still heard, on a clock that is real.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Camera {
    /// Its name.
    pub id: CameraId,
    /// `host:port` of its ISAPI, if the box reads its stream; else it posts.
    pub isapi: Option<String>,
    /// User and password.
    pub login: Option<Credentials>,
    /// Spaces that it watches.
    pub bays: Vec<Bay>,
}

/// A space as a camera sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bay {
    /// What stands for it among the sensors.
    pub sensor: SensorId,
    /// Which camera of a recorder; 1 for a camera.
    pub channel: u32,
    /// Which region of the picture; without it, any.
    pub region: Option<String>,
}

/// The driver.
#[derive(Debug)]
pub struct Hikvision {
    cameras: Vec<Camera>,
    posted: mpsc::Receiver<(CameraId, Alert)>,
    missed: Missed,
}

/// Takes alerts that cameras post.
#[derive(Debug, Clone)]
pub struct Postbox {
    cameras: Vec<CameraId>,
    sender: mpsc::Sender<(CameraId, Alert)>,
    missed: Missed,
}

/// Cameras of which something was not taken in, and why.
type Missed = Arc<Mutex<BTreeMap<CameraId, String>>>;

/// A post that is on its way. Dropped before it is [put in](Post::put), it was missed.
#[derive(Debug)]
pub struct Post {
    camera: CameraId,
    postbox: Postbox,
    /// Why it is missed, if it is.
    missed: Option<String>,
}

/// What was heard of a camera.
enum Heard {
    Alert(Alert),
    /// Something that is no alert.
    Odd(String),
    /// It is not heard, and why.
    Nothing(String),
}

impl Postbox {
    /// A post of the camera of this name, if it is one that posts.
    pub fn post(&self, name: &str) -> Option<Post> {
        let camera = self.cameras.iter().find(|camera| camera.as_str() == name)?;
        Some(Post {
            camera: camera.clone(),
            postbox: self.clone(),
            missed: Some("its post broke off".to_owned()),
        })
    }
}

impl Post {
    /// It is of no use, and why.
    pub fn is_missed(&mut self, reason: &str) {
        self.missed = Some(reason.to_owned());
    }

    /// Puts its alerts in, all or none. False when there is no room.
    pub fn put(mut self, alerts: Vec<Alert>) -> bool {
        let sender = self.postbox.sender.clone();
        let Ok(places) = sender.try_reserve_many(alerts.len()) else {
            self.is_missed("too many alerts wait to be looked at");
            return false;
        };
        for (place, alert) in places.zip(alerts) {
            place.send((self.camera.clone(), alert));
        }
        self.missed = None;
        true
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if let Some(reason) = self.missed.take() {
            let mut missed = self.postbox.missed.lock().unwrap_or_else(PoisonError::into_inner);
            missed.insert(self.camera.clone(), reason);
        }
    }
}

impl Hikvision {
    /// A driver of these cameras, and where those of them that post do it.
    pub fn new(cameras: Vec<Camera>) -> (Self, Postbox) {
        let (sender, posted) = mpsc::channel(WAITING_MAX);
        let posting = cameras.iter().filter(|camera| camera.isapi.is_none());
        let postbox = Postbox {
            cameras: posting.map(|camera| camera.id.clone()).collect(),
            sender,
            missed: Missed::default(),
        };
        let missed = Arc::clone(&postbox.missed);
        let driver = Self {
            cameras,
            posted,
            missed,
        };
        (driver, postbox)
    }

    async fn run_until_cancelled(self, context: DriverContext, cancel: CancellationToken) {
        let (sender, heard) = mpsc::channel(WAITING_MAX);
        let mut streams: Vec<BoxFuture<'static, ()>> = Vec::new();
        for camera in &self.cameras {
            if let Some(address) = camera.isapi.clone() {
                let silence_max = Duration::from_secs(silent_s(camera, &context));
                let stream = Stream::new(camera.id.clone(), address, camera.login.clone(), silence_max);
                streams.push(stream.read_for_ever(sender.clone()).boxed());
            }
        }
        let watching = Watching {
            eyes: self.cameras.iter().map(|camera| Eye::new(camera, &context)).collect(),
            context: context.clone(),
            missed: self.missed,
        };
        let (posted, stop) = (self.posted, cancel.clone());
        Outbox::beside(context.clone(), cancel, |outbox| async move {
            let reading = async {
                join_all(streams).await;
                // Cameras that post have no stream.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = watching.run(heard, posted, outbox) => {}
                () = reading => {}
            }
        })
        .await;
        context.status.set_state(DriverState::Stopped);
    }
}

impl Driver for Hikvision {
    fn name(&self) -> &'static str {
        "hikvision"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        self.run_until_cancelled(context, cancel).boxed()
    }
}

/// A camera that says nothing for so long is not there, by the profiles of its spaces, seconds.
fn silent_s(camera: &Camera, context: &DriverContext) -> u64 {
    let sensors = camera.bays.iter().filter_map(|bay| context.sensors.get(&bay.sensor));
    let silences = sensors.filter_map(|bound| Some(bound.profile.hikvision.as_ref()?.silent_s));
    silences.max().unwrap_or_default().into()
}

/// A camera and what it watches.
struct Eye {
    camera: CameraId,
    /// Why it is not heard; a camera that posts is told by nobody to be silent.
    trouble: Option<String>,
    watches: Vec<(SensorId, Watch)>,
}

impl Eye {
    fn new(camera: &Camera, context: &DriverContext) -> Self {
        let watches = camera.bays.iter().filter_map(|bay| {
            let events = context.sensors.get(&bay.sensor)?.profile.hikvision.as_ref()?;
            let watch = Watch::new(bay.sensor.clone(), events, bay.channel, bay.region.clone());
            Some((bay.sensor.clone(), watch))
        });
        Self {
            camera: camera.id.clone(),
            trouble: None,
            watches: watches.collect(),
        }
    }
}

struct Watching {
    eyes: Vec<Eye>,
    context: DriverContext,
    missed: Missed,
}

impl Watching {
    async fn run(
        mut self,
        mut heard: mpsc::Receiver<(CameraId, Heard)>,
        mut posted: mpsc::Receiver<(CameraId, Alert)>,
        outbox: Outbox,
    ) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        // Whoever posts tells that it is there by posting only.
        self.context.status.set_state(DriverState::Connected);
        loop {
            tokio::select! {
                Some((camera, heard)) = heard.recv() => match heard {
                    Heard::Alert(alert) => self.hear(&camera, &alert, &outbox),
                    Heard::Odd(reason) => {
                        let now = (self.context.clock)();
                        self.context.status.set_aside("alert", camera.as_str(), &reason, &now);
                    }
                    Heard::Nothing(reason) => self.is_silent(&camera, &reason),
                },
                Some((camera, alert)) = posted.recv() => {
                    // What was missed may have been of before.
                    self.see_missed();
                    self.hear(&camera, &alert, &outbox);
                }
                _ = look.tick() => {
                    self.see_missed();
                    self.look();
                }
            }
        }
    }

    fn hear(&mut self, camera: &CameraId, alert: &Alert, outbox: &Outbox) {
        let now = (self.context.spans)();
        for eye in self.eyes.iter_mut().filter(|eye| eye.camera == *camera) {
            eye.trouble = None;
            for (_, watch) in &mut eye.watches {
                if let Some(reading) = watch.hears(now, alert) {
                    outbox.put(reading, crate::sensors::codecs::Health::default());
                }
            }
        }
        self.show_state();
    }

    /// There is a source as long as one camera is heard.
    fn show_state(&self) {
        let troubles = self.eyes.iter().map(|eye| eye.trouble.clone());
        let state = match troubles.collect::<Option<Vec<String>>>() {
            Some(troubles) => DriverState::Waiting {
                reason: troubles.join("; "),
            },
            None => DriverState::Connected,
        };
        self.context.status.set_state(state);
    }

    fn is_silent(&mut self, camera: &CameraId, reason: &str) {
        let now = (self.context.clock)();
        for eye in self.eyes.iter_mut().filter(|eye| eye.camera == *camera) {
            eye.trouble = Some(reason.to_owned());
            for (sensor, watch) in &mut eye.watches {
                watch.lost_sight();
                self.context.status.set_aside("camera", sensor.as_str(), reason, &now);
            }
        }
        self.show_state();
    }

    fn see_missed(&mut self) {
        let missed = std::mem::take(&mut *self.missed.lock().unwrap_or_else(PoisonError::into_inner));
        for (camera, reason) in missed {
            self.is_silent(&camera, &format!("an alert was not taken in: {reason}"));
        }
    }

    /// Tells of cameras that have been silent for too long.
    fn look(&mut self) {
        let now = (self.context.spans)();
        let mut silent = Vec::new();
        for eye in &mut self.eyes {
            let mut is_lost = false;
            for (_, watch) in &mut eye.watches {
                is_lost |= watch.look(now);
            }
            if is_lost && eye.trouble.is_none() {
                silent.push(eye.camera.clone());
            }
        }
        for camera in silent {
            self.is_silent(&camera, "it is not heard any more, not even by its heartbeat");
        }
    }
}
