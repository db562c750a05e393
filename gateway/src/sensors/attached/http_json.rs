//! Sensors that serve their state as JSON over HTTP and are asked for it: relays and controllers in the cabinet.
//!
//! A profile says where in an answer stands what ([`Fields`](crate::sensors::Fields)). The box sees the state, so it says it as of
//! everything that hangs on it: when it changes, and now and then. Devices at one address are asked once for all their channels.
//! Plain HTTP, in the box's own network; no redirect is followed and no proxy used.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use parking::{ClockQuality, ReportKind, SensorId, Stamp};
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::{Position, Url};

use super::super::backoff::Backoff;
use super::super::fields::{Place, Understood};
use super::super::{BoundSensor, Driver, DriverContext, DriverState, read_secret};
use super::{Outbox, Presence, SILENT, cause};

/// Longest answer, bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// The longest wait before a device that does not answer is asked again.
const WAIT_MAX: Duration = Duration::from_mins(5);
/// A state that the device gives as older than this is not that of now, seconds.
const STALE_S: i64 = 120;

/// A device and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where it answers.
    pub url: Url,
    /// File of the bearer token that it wants, if it wants one. Read at every question.
    pub token_file: Option<PathBuf>,
    /// How often it is asked, on the clock of [`DriverContext::spans`].
    pub every: Duration,
    /// The same as it really is.
    pub pace: Duration,
    /// Its sensors and their channels.
    pub sensors: Vec<(SensorId, String)>,
}

/// The driver.
#[derive(Debug)]
pub struct HttpJson {
    devices: Vec<Device>,
    /// Seconds by which the city's clock is before UTC.
    utc_offset_s: i32,
}

impl HttpJson {
    /// A driver for devices.
    pub fn new(devices: Vec<Device>, utc_offset_s: i32) -> Self {
        Self { devices, utc_offset_s }
    }
}

impl Driver for HttpJson {
    fn name(&self) -> &'static str {
        "http"
    }

    fn run(self: Box<Self>, context: DriverContext, cancel: CancellationToken) -> BoxFuture<'static, ()> {
        async move {
            let client = reqwest::Client::builder()
                .timeout(ANSWER_TIME_MAX)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build();
            let client = match client {
                Ok(client) => client,
                Err(error) => {
                    let reason = format!("no HTTP: {error}");
                    context.status.set_state(DriverState::Waiting { reason });
                    cancel.cancelled().await;
                    return;
                }
            };
            let troubles = Arc::new(Mutex::new(vec![None; self.devices.len()]));
            let utc_offset_s = self.utc_offset_s;
            let devices = self.devices.into_iter().enumerate().map(|(place, device)| {
                let (context, cancel) = (context.clone(), cancel.clone());
                let (client, troubles) = (client.clone(), Arc::clone(&troubles));
                Outbox::beside(context.clone(), cancel.clone(), move |outbox| async move {
                    let task = Task {
                        sensors: sensors(&device, &context),
                        device,
                        client,
                        utc_offset_s,
                        context,
                        outbox,
                        troubles,
                        place,
                    };
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = task.ask_for_ever() => {}
                    }
                })
            });
            join_all(devices).await;
            context.status.set_state(DriverState::Stopped);
        }
        .boxed()
    }
}

/// A sensor of a device.
struct Sensor {
    id: SensorId,
    channel: String,
    bound: BoundSensor,
    presence: Presence,
}

fn sensors(device: &Device, context: &DriverContext) -> Vec<Sensor> {
    let sensors = device.sensors.iter().filter_map(|(id, channel)| {
        let bound = *context.sensors.get(id)?;
        // Whoever walks by is there for one question; what the device itself decides counts at once.
        let hold_s = bound.distance.map_or(0.0, |_| device.every.as_secs_f64());
        Some(Sensor {
            id: id.clone(),
            channel: channel.clone(),
            bound,
            presence: Presence::new(id.clone(), hold_s, device.every * 3),
        })
    });
    sensors.collect()
}

/// One device.
struct Task {
    device: Device,
    sensors: Vec<Sensor>,
    client: reqwest::Client,
    utc_offset_s: i32,
    context: DriverContext,
    outbox: Outbox,
    /// Why devices do not answer, of those that do not.
    troubles: Arc<Mutex<Vec<Option<String>>>>,
    /// This one's among them.
    place: usize,
}

impl Task {
    async fn ask_for_ever(mut self) {
        let mut backoff = Backoff::new(self.device.pace, self.device.pace.max(WAIT_MAX));
        loop {
            let wait = match ask(&self.client, &self.device).await {
                Ok(message) => {
                    backoff.reset();
                    self.show_state(None);
                    self.hear(&message);
                    self.device.pace
                }
                Err(reason) => {
                    self.is_silent(reason);
                    backoff.next_wait()
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn is_silent(&mut self, reason: String) {
        let now = (self.context.clock)();
        for sensor in &mut self.sensors {
            sensor.presence.lost_sight();
            self.context.status.set_aside("poll", sensor.id.as_str(), &reason, &now);
        }
        self.show_state(Some(reason));
    }

    /// There is a source as long as one device answers.
    fn show_state(&self, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = troubles.get_mut(self.place) {
            *own = trouble;
        }
        let state = match troubles.iter().cloned().collect::<Option<Vec<String>>>() {
            Some(troubles) => DriverState::Waiting {
                reason: troubles.join("; "),
            },
            None => DriverState::Connected,
        };
        self.context.status.set_state(state);
    }

    fn hear(&mut self, message: &Value) {
        let now = (self.context.spans)();
        for sensor in &mut self.sensors {
            let Some(fields) = &sensor.bound.profile.fields else {
                continue;
            };
            let place = Place {
                channel: &sensor.channel,
                utc_offset_s: self.utc_offset_s,
            };
            let understood = if fields.is_for(message, place) {
                fields.read(message, place).map_err(|error| error.to_string())
            } else {
                Err("the answer has nothing of this sensor; look at its channel".to_owned())
            };
            let understood = understood.and_then(|understood| fresh(understood, now));
            match understood {
                Err(reason) => {
                    sensor.presence.lost_sight();
                    self.context
                        .status
                        .set_aside("field", sensor.id.as_str(), &reason, &now);
                }
                Ok(understood) => {
                    let decoded = sensor.bound.with_limits(understood.decoded);
                    match decoded.report.occupied {
                        None => sensor.presence.shows_neither(now),
                        Some(is_occupied) => {
                            if let Some(mut reading) = sensor.presence.shows(now, is_occupied) {
                                // Between two questions nobody looked: when it changed is not known.
                                if self.device.every > SILENT {
                                    reading.report.kind = ReportKind::Heartbeat;
                                }
                                self.outbox.put(reading, decoded.health);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What is not older than it may be, by the device's own time if it gives one and the box has one.
fn fresh(understood: Understood, now: Stamp) -> Result<Understood, String> {
    let age_s = understood.observed.map(|observed| now.at.seconds_since(observed));
    match age_s {
        Some(age_s) if now.clock != ClockQuality::Unset && !(-STALE_S..=STALE_S).contains(&age_s) => Err(format!(
            "its time is {age_s} s from the box's: the device has not measured for long, or its clock is wrong"
        )),
        _ => Ok(understood),
    }
}

async fn ask(client: &reqwest::Client, device: &Device) -> Result<Value, String> {
    let mut request = client.get(device.url.clone());
    if let Some(file) = &device.token_file {
        let token = read_secret(file).map_err(|error| error.to_string())?;
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let (url, address) = (&device.url, shown(&device.url));
    let mut response = request.send().await.map_err(|error| no_answer(url, &error))?;
    if !response.status().is_success() {
        return Err(format!("{address} answers with status {}", response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(url, &error))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(format!(
                "the answer of {address} is longer than {} KiB",
                ANSWER_BYTES_MAX / 1024
            ));
        }
    }
    serde_json::from_slice(&body).map_err(|error| format!("the answer of {address} is no JSON: {error}"))
}

/// The address without its query, in which a key may stand.
fn shown(url: &Url) -> &str {
    &url[..Position::AfterPath]
}

fn no_answer(url: &Url, error: &reqwest::Error) -> String {
    let url = shown(url);
    if error.is_timeout() {
        return format!("{url} does not answer within {} s", ANSWER_TIME_MAX.as_secs());
    }
    format!("no answer from {url}: {}", cause(error))
}
