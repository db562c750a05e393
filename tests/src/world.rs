//! A whole small city on this machine: boxes with their sensor brokers and cameras, the city's broker, `kominfo` and its database.
//!
//! Keys, certificates and configuration are made by the programs' own commands, as an operator would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use parking::GatewayId;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::api::Api;
use crate::city::publisher::{self, Published};
use crate::city::uplink::Uplink;
use crate::clock::SimulatedClock;
use crate::link::{Link, Quality, Traffic};
use crate::process::{Daemon, Ready, Spec, free_address, run, workspace_program};
use crate::servers::mosquitto::{self, Broker};
use crate::servers::postgres::{self, Postgres};
use crate::street::{BoxFiles, Street};
use crate::street_cameras::RoadsideCameras;
use crate::street_wires::Wires;

/// First part of every box's log name.
pub const LOG_DOMAIN: &str = "parkir.example.id";

/// The city's name for boxes that send live view.
const LIVE_HOST: &str = "localhost";

/// How long a program may take to end when asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where `kominfo` keeps what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// In its own file.
    Sqlite,
    /// On a server of its own.
    Postgres,
}

/// The city's side.
#[derive(Debug)]
pub struct City {
    /// Instances of `kominfo serve`.
    pub kominfo: Vec<Daemon>,
    /// The interface of each instance.
    pub addresses: Vec<SocketAddr>,
    /// Its broker.
    pub broker: Broker,
    /// Its database server, if it has one.
    pub postgres: Option<Postgres>,
    /// How `kominfo` is told where its database is.
    pub database: String,
    /// Certificates and keys of the city.
    pub pki: PathBuf,
    /// Where boxes send live view, of each instance, `HOST:PORT`; none when no box has cameras.
    pub live: Vec<String>,
    /// Port of the broker on 127.0.0.1, as boxes see it.
    broker_port: u16,
    /// Between boxes and city, unless they are neighbours.
    link: Option<Link>,
}

/// One box and its sensor broker.
#[derive(Debug)]
pub struct RoadsideBox {
    /// The box.
    pub id: GatewayId,
    /// `gateway run`.
    pub gateway: Daemon,
    /// The broker between LoRaWAN server and box.
    pub sensor_broker: Broker,
    /// Its configuration.
    pub config: PathBuf,
    /// Its keys.
    pub keys: PathBuf,
    /// Its journal and what else it keeps.
    pub data: PathBuf,
    /// Its street.
    pub street: Street,
    /// Its cameras and its page, if its street has cameras.
    pub cameras: Option<RoadsideCameras>,
    /// Its simulated board, if sensors hang on it.
    pub wires: Option<Wires>,
}

/// Everything. Processes end before the folder is removed.
#[derive(Debug)]
pub struct World {
    /// The boxes.
    pub boxes: Vec<RoadsideBox>,
    /// The city.
    pub city: City,
    /// The clock that all boxes run on.
    pub clock: SimulatedClock,
    folder: TempDir,
}

impl World {
    /// Starts a city with `instances` of `kominfo` and a box for each street. Returns when all are up and the boxes
    /// listen to their sensors.
    pub async fn start(
        streets: Vec<Street>,
        clock: SimulatedClock,
        database: Database,
        instances: usize,
    ) -> anyhow::Result<Self> {
        let mut world = Self::prepare(streets, clock, database, instances).await?;
        world.start_boxes().await?;
        Ok(world)
    }

    /// The same with one instance on `SQLite`, and a link of that quality between boxes and city.
    pub async fn start_afar(streets: Vec<Street>, clock: SimulatedClock, quality: Quality) -> anyhow::Result<Self> {
        let link = Some(Link::new(quality));
        let mut world = Self::build(streets, clock, Database::Sqlite, 1, link).await?;
        world.start_boxes().await?;
        Ok(world)
    }

    /// Starts the gateways after [`World::prepare`].
    pub async fn start_boxes(&mut self) -> anyhow::Result<()> {
        for roadside in &mut self.boxes {
            roadside.start().await?;
        }
        Ok(())
    }

    /// The same with boxes that are ready to be started, but are not.
    pub async fn prepare(
        streets: Vec<Street>,
        clock: SimulatedClock,
        database: Database,
        instances: usize,
    ) -> anyhow::Result<Self> {
        Self::build(streets, clock, database, instances, None).await
    }

    async fn build(
        streets: Vec<Street>,
        clock: SimulatedClock,
        database: Database,
        instances: usize,
        link: Option<Link>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("parkir-").tempdir()?;
        let with_live = streets.iter().any(|street| !street.cameras.is_empty());
        let city = City::start(folder.path(), database, instances, with_live, link).await?;
        let mut boxes = Vec::new();
        for street in streets {
            boxes.push(RoadsideBox::prepare(folder.path(), &city, street, clock).await?);
        }
        Ok(Self {
            boxes,
            city,
            clock,
            folder,
        })
    }

    /// Everything's folder: keys, journals, logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The city's interface, on the first instance.
    pub fn api(&self) -> anyhow::Result<Api> {
        let address = self.city.addresses.first().context("no kominfo runs")?;
        Ok(Api::new(*address))
    }

    /// Begins to publish a day's uplinks to a box's sensor broker, each at its time.
    pub fn play(&self, number: usize, uplinks: Vec<Uplink>) -> JoinHandle<anyhow::Result<Published>> {
        let (broker, clock) = (self.boxes[number].sensor_broker.address, self.clock);
        tokio::spawn(async move { publisher::publish(broker, "lorawan-server", &uplinks, Some(clock)).await })
    }

    /// Asks everything to end, boxes first.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let City {
            kominfo,
            broker,
            postgres,
            ..
        } = &mut self.city;
        for roadside in &mut self.boxes {
            roadside.gateway.terminate(PATIENCE).await?;
            roadside.sensor_broker.daemon.terminate(PATIENCE).await?;
            if let Some(cameras) = &roadside.cameras {
                cameras.simulator.stop().await?;
            }
        }
        for daemon in kominfo {
            daemon.terminate(PATIENCE).await?;
        }
        broker.daemon.terminate(PATIENCE).await?;
        if let Some(postgres) = postgres {
            postgres.daemon.terminate(PATIENCE).await?;
        }
        Ok(())
    }

    /// Runs a command of `kominfo` on the city's database and returns what it printed.
    pub fn kominfo(&self, args: &[&str]) -> anyhow::Result<String> {
        let database = ["--database", self.city.database.as_str()];
        run(workspace_program("kominfo")?, args.iter().chain(&database))
    }
}

impl City {
    /// Makes the city's keys and certificates, and starts broker, database and `instances` of `kominfo serve`, which
    /// take live view if asked to. Boxes reach it over `link`, if there is one.
    pub async fn start(
        folder: &Path,
        database: Database,
        instances: usize,
        with_live: bool,
        mut link: Option<Link>,
    ) -> anyhow::Result<Self> {
        let pki = folder.join("city");
        fs::create_dir_all(&pki)?;
        let program = workspace_program("kominfo")?;
        let out = path_text(&pki)?;
        run(
            &program,
            ["keygen", "--name", &format!("kominfo.{LOG_DOMAIN}"), "--out", out],
        )?;
        run(
            &program,
            ["pki", "init", "--out", out, "--dns", "localhost", "--ip", "127.0.0.1"],
        )?;
        if with_live {
            run(&program, ["pki", "live", "--pki", out, "--dns", LIVE_HOST])?;
        }
        let broker = mosquitto::city(folder, &pki).await?;
        let broker_port = match &mut link {
            Some(link) => link.lead_to(broker.address).await?.port(),
            None => broker.address.port(),
        };
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(postgres::start().await?),
        };
        let file = || format!("sqlite:{}", folder.join("kominfo.sqlite").display());
        let database = postgres.as_ref().map_or_else(file, |server| server.url.clone());
        let mut city = Self {
            kominfo: Vec::new(),
            addresses: Vec::new(),
            broker,
            postgres,
            database,
            pki,
            live: Vec::new(),
            broker_port,
            link,
        };
        for number in 1..=instances {
            city.add_instance(folder, number, with_live).await?;
        }
        Ok(city)
    }

    /// What boxes and the first instance exchanged for live view, if a link lies between them.
    pub fn live_traffic(&self) -> Option<Traffic> {
        let (_, port) = self.live.first()?.rsplit_once(':')?;
        let port = SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?));
        self.link.as_ref()?.traffic(port)
    }

    async fn add_instance(&mut self, folder: &Path, number: usize, with_live: bool) -> anyhow::Result<()> {
        let address = free_address()?;
        let name = format!("kominfo-{number}");
        let pki = |file: &str| self.pki.join(file).display().to_string();
        let ready = Ready::Line("listening on http".to_owned());
        let mut spec = Spec::new(
            &name,
            workspace_program("kominfo")?,
            folder.join(format!("{name}.log")),
            ready,
        )
        .variable("RUST_LOG", "info,kominfo=debug")
        .args(["serve", "--accept-simulated", "--instance", &name])
        .args(["--listen", &address.to_string(), "--database", &self.database])
        .args(["--mqtt", &format!("mqtts://localhost:{}", self.broker.address.port())])
        .args(["--ca", &pki("ca.crt"), "--cert", &pki("kominfo-client.crt")])
        .args([
            "--key",
            &pki("kominfo-client.key"),
            "--cosigner-key",
            &pki("kominfo.key"),
        ]);
        if with_live {
            let listen = free_address()?;
            let seen = match &mut self.link {
                Some(link) => link.lead_to(listen).await?,
                None => listen,
            };
            let live = format!("{LIVE_HOST}:{}", seen.port());
            spec = spec
                .args([
                    "--command-key",
                    &pki("command.key"),
                    "--live-listen",
                    &listen.to_string(),
                ])
                .args(["--live-address", &live, "--live-cert", &pki("live.crt")])
                .args(["--live-key", &pki("live.key")]);
            self.live.push(live);
        }
        self.kominfo.push(Daemon::start(spec).await?);
        self.addresses.push(address);
        Ok(())
    }
}

impl RoadsideBox {
    /// Makes keys, certificate and configuration of a box and starts its sensor broker.
    async fn prepare(world: &Path, city: &City, street: Street, clock: SimulatedClock) -> anyhow::Result<Self> {
        let id = street.site.gateway.clone();
        let folder = world.join(id.as_str());
        let (keys, data) = (folder.join("keys"), folder.join("data"));
        fs::create_dir_all(&keys)?;
        enrol(&city.pki, &city.database, &id, &keys)?;
        let sensor_broker = mosquitto::sensors(&folder).await?;
        let (cameras, files) = if street.cameras.is_empty() {
            (None, None)
        } else {
            let key = city.pki.join("command.vkey");
            let started = RoadsideCameras::start(&folder, &street.cameras, &key, city.live.clone()).await?;
            (Some(started.0), Some(started.1))
        };
        let files = BoxFiles {
            log_domain: LOG_DOMAIN.to_owned(),
            data_dir: path_text(&data)?.to_owned(),
            keys_dir: path_text(&keys)?.to_owned(),
            city_host: "localhost".to_owned(),
            city_port: city.broker_port,
            sensor_port: sensor_broker.address.port(),
            cameras: files,
        };
        let config = folder.join("box.toml");
        fs::write(&config, street.box_toml(&files)?)?;
        let ready = Ready::Line("ready".to_owned());
        let spec = Spec::new(
            "gateway",
            workspace_program("gateway")?,
            folder.join("gateway.log"),
            ready,
        )
        .args([Path::new("run"), &config])
        .args(["--simulated-clock", &clock.to_string()]);
        let wires = if street.wires.is_empty() {
            None
        } else {
            Some(Wires::make(folder.join("board"), &street)?)
        };
        let spec = match &wires {
            Some(wires) => spec.args([Path::new("--simulated-board"), wires.folder()]),
            None => spec,
        };
        Ok(Self {
            id,
            wires,
            gateway: Daemon::prepared(spec),
            sensor_broker,
            config,
            keys,
            data,
            street,
            cameras,
        })
    }

    /// Starts `gateway run` and waits until the sensor broker keeps messages for it.
    async fn start(&mut self) -> anyhow::Result<()> {
        self.gateway.restart().await?;
        let subscribed = "application/+/device/+/event/";
        self.sensor_broker
            .daemon
            .wait_for_line(subscribed, PATIENCE)
            .await
            .map(drop)
    }
}

/// What an operator does once for a new box: its keys are made on the box, the city signs its certificate.
pub fn enrol(pki: &Path, database: &str, id: &GatewayId, keys: &Path) -> anyhow::Result<()> {
    let out = path_text(keys)?;
    run(
        workspace_program("gateway")?,
        ["keygen", "--id", id.as_str(), "--log-domain", LOG_DOMAIN, "--out", out],
    )?;
    let file = |name: &str| keys.join(name).display().to_string();
    run(
        workspace_program("kominfo")?,
        [
            "box",
            "add",
            "--id",
            id.as_str(),
            "--vkey",
            &file("ledger.vkey"),
            "--csr",
            &file("tls.csr"),
            "--certificate-out",
            &file("tls.pem"),
            "--pki",
            path_text(pki)?,
            "--database",
            database,
        ],
    )?;
    fs::copy(pki.join("ca.crt"), keys.join("ca.pem"))?;
    fs::copy(pki.join("kominfo.vkey"), keys.join("kominfo.vkey"))?;
    Ok(())
}

fn path_text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))
}
