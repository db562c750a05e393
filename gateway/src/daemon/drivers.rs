//! Which drivers of sensors there are, by the configuration, and the box's lights.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking::{Input, SensorId};
use tokio::sync::{mpsc, watch};

use super::Group;
use crate::clock::Clock;
use crate::config::{Attachment, Config, Sensor};
use crate::sensors::attached::contacts::{self, Contacts, LoopDetector};
use crate::sensors::attached::lights::Lights;
use crate::sensors::attached::magnetometers::{self, Handle, Magnetometers, Probe};
use crate::sensors::attached::modbus::{self, Device, Modbus, Way};
use crate::sensors::attached::serial::{Line, Serial};
use crate::sensors::chirpstack::{self, ChirpStack, Commander};
use crate::sensors::webhook::{self, Webhook};
use crate::sensors::{BoundSensor, Delivery, Driver, DriverContext, DriverStatus};
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
    let (mut drivers, commander) = of_networks(around.config);
    let Attached {
        drivers: attached,
        magnetometers,
    } = attached(around)?;
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

fn of_networks(config: &Config) -> (Vec<Box<dyn Driver>>, Option<Commander>) {
    let mut drivers: Vec<Box<dyn Driver>> = Vec::new();
    let commander = config.chirpstack.as_ref().map(|source| {
        let (driver, commander) = ChirpStack::new(chirpstack::Options {
            host: source.host.clone(),
            port: source.port,
            login: source
                .login
                .as_ref()
                .map(|login| (login.username.clone(), login.password_file.clone())),
            client_id: source.client_id.clone(),
            unacknowledged_max: UNACKNOWLEDGED_MAX,
        });
        drivers.push(Box::new(driver));
        commander
    });
    if let Some(source) = &config.webhook {
        let options = webhook::Options {
            listen: source.listen,
            token_file: source.token_file.clone(),
        };
        drivers.push(Box::new(Webhook::new(options)));
    }
    (drivers, commander)
}

/// Drivers of what hangs on the box, not started.
struct Attached {
    drivers: Vec<Box<dyn Driver>>,
    magnetometers: Option<Handle>,
}

/// Makes them.
fn attached(around: &Around) -> anyhow::Result<Attached> {
    let (mut lines, mut probes, mut loops) = (Vec::new(), Vec::new(), Vec::new());
    let mut on_modbus: BTreeMap<Way, modbus::Line> = BTreeMap::new();
    for sensor in &around.config.sensors {
        let profile = sensor.profile;
        match &sensor.attachment {
            Attachment::None => {}
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
    if probes.is_empty() {
        return Ok(Attached {
            drivers,
            magnetometers: None,
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
    })
}
