//! Which drivers of sensors there are, by the configuration, and the box's lights.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking::{CameraId, Input, SensorId};
use tokio::sync::{mpsc, watch};
use url::Url;

use super::Group;
use crate::cameras::secrets;
use crate::clock::Clock;
use crate::config::{Attachment, Config, Sensor, SensorBroker};
use crate::sensors::attached::contacts::{self, Contacts, LoopDetector};
use crate::sensors::attached::hikvision::{self, Bay, Hikvision, Postbox};
use crate::sensors::attached::http_json::{self, HttpJson};
use crate::sensors::attached::lights::Lights;
use crate::sensors::attached::magnetometers::{self, Handle, Magnetometers, Probe};
use crate::sensors::attached::modbus::{self, Device, Modbus, Way};
use crate::sensors::attached::serial::{Line, Serial};
use crate::sensors::chirpstack::{ChirpStack, Commander};
use crate::sensors::mqtt_json::{MqttJson, Topic};
use crate::sensors::webhook::{self, Webhook};
use crate::sensors::{BoundSensor, Broker, Delivery, Driver, DriverContext, DriverStatus};
use crate::state;
use crate::uplink::link::LinkStatus;
use board::Board;

/// Uplinks taken from the broker of the LoRaWAN server and not yet on disk.
const UNACKNOWLEDGED_MAX: u16 = 128;
/// The least real time between two looks at a pin or a bus, on a clock that runs fast.
const PACE_MIN: Duration = Duration::from_millis(1);

/// What drivers work with.
pub(super) struct Around<'a> {
    pub config: &'a Arc<Config>,
    pub clock: &'a Arc<Clock>,
    pub board: &'a Arc<state::Board>,
    pub hardware: Board,
    pub deliveries: mpsc::Sender<Delivery>,
    pub facts: &'a mpsc::Sender<Input>,
    pub link: &'a watch::Receiver<LinkStatus>,
}

/// Drivers that run.
pub struct Drivers {
    /// How they are.
    pub statuses: Vec<DriverStatus>,
    /// The magnetometers, if there are any.
    pub magnetometers: Option<Handle>,
    /// Takes orders to sensors behind `ChirpStack`.
    pub commander: Option<Commander>,
}

/// Starts everything.
pub(super) fn start(around: &Around, group: &mut Group) -> anyhow::Result<Drivers> {
    let Attached {
        drivers: attached,
        magnetometers,
        postbox,
    } = attached(around)?;
    let (mut drivers, commander) = of_networks(around.config, postbox);
    drivers.extend(attached);
    let bound = |sensor: &Sensor| {
        let bound = BoundSensor {
            profile: sensor.profile,
            distance: sensor.distance,
        };
        (sensor.id.clone(), bound)
    };
    let sensors: HashMap<SensorId, BoundSensor> = around.config.sensors.iter().map(bound).collect();
    let sensors = Arc::new(sensors);
    let mut statuses = Vec::new();
    for driver in drivers {
        let status = DriverStatus::new(driver.name());
        statuses.push(status.clone());
        let (clock, spans) = (Arc::clone(around.clock), Arc::clone(around.clock));
        let context = DriverContext {
            clock: Arc::new(move || clock.now()),
            spans: Arc::new(move || spans.now_with_spans()),
            sink: around.deliveries.clone(),
            sensors: Arc::clone(&sensors),
            status,
        };
        group.spawn(driver.name(), |stop| async move {
            driver.run(context, stop).await;
            Ok(())
        });
    }
    if let Some(places) = &around.config.lights {
        let lights = Lights {
            board: around.hardware.clone(),
            places: places.clone(),
            link: around.link.clone(),
            drivers: statuses.clone(),
        };
        group.spawn("lights", |stop| async move {
            lights.run(stop).await;
            Ok(())
        });
    }
    Ok(Drivers {
        statuses,
        magnetometers,
        commander,
    })
}

fn of_networks(config: &Config, postbox: Option<Postbox>) -> (Vec<Box<dyn Driver>>, Option<Commander>) {
    let mut drivers: Vec<Box<dyn Driver>> = Vec::new();
    let commander = config.chirpstack.as_ref().map(|source| {
        let (driver, commander) = ChirpStack::new(broker(source), utc_offset_s(config));
        drivers.push(Box::new(driver));
        commander
    });
    if let Some(source) = &config.mqtt {
        let topics = topics(config);
        // Without a topic there is nothing to wait for.
        if !topics.is_empty() {
            drivers.push(Box::new(MqttJson::new(broker(source), topics, utc_offset_s(config))));
        }
    }
    if let Some(source) = &config.webhook {
        let options = webhook::Options {
            listen: source.listen,
            token_file: source.token_file.clone(),
            camera_token_file: source.camera_token_file.clone(),
        };
        drivers.push(Box::new(Webhook::new(options, postbox)));
    }
    (drivers, commander)
}

fn broker(source: &SensorBroker) -> Broker {
    let login = source.login.as_ref();
    Broker {
        host: source.host.clone(),
        port: source.port,
        login: login.map(|login| (login.username.clone(), login.password_file.clone())),
        client_id: source.client_id.clone(),
        unacknowledged_max: UNACKNOWLEDGED_MAX,
    }
}

fn topics(config: &Config) -> Vec<Topic> {
    let queued = config.site.sensors.iter().filter(|traits| traits.queued);
    let queued: HashSet<&SensorId> = queued.map(|traits| &traits.id).collect();
    let topics = config.sensors.iter().filter_map(|sensor| match &sensor.attachment {
        Attachment::Topic { filter, channel } => Some(Topic {
            sensor: sensor.id.clone(),
            filter: filter.clone(),
            channel: channel.clone(),
            queued: queued.contains(&sensor.id),
        }),
        _ => None,
    });
    topics.collect()
}

fn utc_offset_s(config: &Config) -> i32 {
    i32::from(config.site.timezone.hours_ahead()) * 3_600
}

/// Cameras that analyse their pictures, with the spaces of each.
fn cameras(config: &Config) -> Vec<hikvision::Camera> {
    // What is wrong with the file has been told, and costs its cameras their logins.
    let secrets = config
        .video
        .secrets_file
        .as_ref()
        .and_then(|path| secrets::load(path).ok());
    let mut cameras: BTreeMap<&CameraId, hikvision::Camera> = BTreeMap::new();
    for sensor in &config.sensors {
        let Attachment::Picture {
            camera,
            isapi,
            channel,
            region,
        } = &sensor.attachment
        else {
            continue;
        };
        let known = cameras.entry(camera).or_insert_with(|| hikvision::Camera {
            id: camera.clone(),
            isapi: isapi.clone(),
            login: secrets
                .as_ref()
                .and_then(|secrets| secrets.cameras.get(camera))
                .cloned(),
            bays: Vec::new(),
        });
        known.bays.push(Bay {
            sensor: sensor.id.clone(),
            channel: *channel,
            region: region.clone(),
        });
    }
    cameras.into_values().collect()
}

/// Devices that are asked over HTTP, those of one address together.
fn devices(config: &Config, pace: impl Fn(Duration) -> Duration) -> Vec<http_json::Device> {
    let mut devices: BTreeMap<(&Url, &Option<PathBuf>), http_json::Device> = BTreeMap::new();
    for sensor in &config.sensors {
        let Attachment::Url {
            url,
            every_s,
            token_file,
            channel,
        } = &sensor.attachment
        else {
            continue;
        };
        let every = Duration::from_secs(u64::from(*every_s));
        let device = devices.entry((url, token_file)).or_insert_with(|| http_json::Device {
            url: url.clone(),
            token_file: token_file.clone(),
            every,
            pace: pace(every),
            sensors: Vec::new(),
        });
        device.sensors.push((sensor.id.clone(), channel.clone()));
    }
    devices.into_values().collect()
}

/// Drivers of what hangs on the box, not started.
struct Attached {
    drivers: Vec<Box<dyn Driver>>,
    magnetometers: Option<Handle>,
    /// Where cameras post.
    postbox: Option<Postbox>,
}

/// Makes them.
fn attached(around: &Around) -> anyhow::Result<Attached> {
    let (mut lines, mut probes, mut loops) = (Vec::new(), Vec::new(), Vec::new());
    let mut on_modbus: BTreeMap<Way, modbus::Line> = BTreeMap::new();
    for sensor in &around.config.sensors {
        let profile = sensor.profile;
        match &sensor.attachment {
            Attachment::None | Attachment::Topic { .. } | Attachment::Url { .. } | Attachment::Picture { .. } => {}
            Attachment::Serial(path) => lines.push(Line {
                sensor: sensor.id.clone(),
                model: profile.ultrasonic.context("only ultrasonic sensors are on lines")?,
                path: path.clone(),
                limits: sensor.distance.context("they have limits")?,
            }),
            Attachment::Modbus { way, rate, address } => {
                let map = profile
                    .modbus
                    .as_ref()
                    .context("only devices with a map are on Modbus")?;
                let line = on_modbus.entry(way.clone()).or_insert_with(|| modbus::Line {
                    way: way.clone(),
                    rate: *rate,
                    devices: Vec::new(),
                });
                line.devices.push(Device {
                    sensor: sensor.id.clone(),
                    map,
                    address: *address,
                    limits: sensor.distance,
                });
            }
            Attachment::I2c { bus, address, rules } => probes.push(Probe {
                sensor: sensor.id.clone(),
                chip: profile.magnetometer.context("only magnetometers are on buses")?.chip,
                bus: bus.clone(),
                address: *address,
                rules: *rules,
            }),
            Attachment::Loop { presence, fault } => loops.push(LoopDetector {
                sensor: sensor.id.clone(),
                presence: presence.clone(),
                fault: fault.clone(),
            }),
        }
    }
    let pace = |pace: Duration| pace.div_f64(around.clock.rate()).max(PACE_MIN);
    let mut drivers: Vec<Box<dyn Driver>> = Vec::new();
    if !lines.is_empty() {
        drivers.push(Box::new(Serial::new(lines)));
    }
    if !on_modbus.is_empty() {
        drivers.push(Box::new(Modbus::new(on_modbus.into_values().collect())));
    }
    if !loops.is_empty() || !around.config.contacts.is_empty() {
        drivers.push(Box::new(Contacts {
            board: around.hardware.clone(),
            loops,
            own: around.config.contacts.clone(),
            pace: pace(contacts::POLL_EVERY),
            facts: around.facts.clone(),
        }));
    }
    let devices = devices(around.config, pace);
    if !devices.is_empty() {
        drivers.push(Box::new(HttpJson::new(devices, utc_offset_s(around.config))));
    }
    let cameras = cameras(around.config);
    let mut postbox = None;
    if !cameras.is_empty() {
        let (driver, its_postbox) = Hikvision::new(cameras);
        drivers.push(Box::new(driver));
        postbox = Some(its_postbox);
    }
    if probes.is_empty() {
        return Ok(Attached {
            drivers,
            magnetometers: None,
            postbox,
        });
    }
    let (driver, handle) = Magnetometers::new(
        around.hardware.clone(),
        probes,
        pace(magnetometers::SAMPLE_EVERY),
        Arc::clone(around.board),
    )?;
    drivers.push(Box::new(driver));
    Ok(Attached {
        drivers,
        magnetometers: Some(handle),
        postbox,
    })
}
