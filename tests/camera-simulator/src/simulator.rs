//! All cameras of a process, and the commands that change them.
//!
//! # Commands
//!
//! One JSON object a line; each is answered by one line when it has taken effect. A good answer has `"ok":true`, a bad
//! one `"ok":false` and `"error"`.
//!
//! | command | effect |
//! | --- | --- |
//! | `{"camera":"c","fault":"freeze"}` | begins a fault ([`Fault`]); `"none"` ends it |
//! | `{"camera":"c","space":"U-07","occupied":true,"class":"car"}` | a vehicle appears; `car` may be left out |
//! | `{"camera":"c","space":"U-07","occupied":false}` | it disappears |
//! | `{"cmd":"spaces","camera":"c"}` | the polygons of the spaces, normalised |
//! | `{"cmd":"cameras"}` | the addresses of all streams |
//! | `{"cmd":"stats"}` | fault, connections, and frames by path of all cameras |

use crate::camera::Camera;
use crate::config::{Config, Source};
use crate::fault::Fault;
use crate::looped::{LoopError, Loops};
use crate::rtsp::listener;
use crate::rtsp::server::CameraServer;
use crate::rtsp::tls::{self, Identity, TlsError};
use crate::scene::{VehicleClass, layout};
use gstreamer::{self as gst, glib};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longest command; a longer one is refused.
pub const COMMAND_BYTES_MAX: usize = 65_536;
/// How often expired sessions are removed.
const SESSION_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// All cameras.
#[derive(Debug)]
pub struct Simulator {
    port: u16,
    tls_port: Option<u16>,
    certificate: Option<String>,
    cameras: BTreeMap<String, Arc<CameraServer>>,
    loops: Arc<Loops>,
}

/// Why the simulator cannot start or a command fails.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// `GStreamer` is not usable.
    #[error("GStreamer: {0}")]
    Gstreamer(#[from] glib::Error),
    /// A loop cannot be made.
    #[error(transparent)]
    Loop(#[from] LoopError),
    /// TLS is not possible.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The port cannot be used.
    #[error("cannot listen on port {port}: {source}")]
    Listen {
        /// The port.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// A command is not understood.
    #[error("command: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A command names a camera that does not exist.
    #[error("there is no camera {0}")]
    NoCamera(String),
    /// A command names a space that does not exist.
    #[error("camera {camera} has no space {space}")]
    NoSpace {
        /// The camera.
        camera: String,
        /// The space.
        space: String,
    },
    /// The streams do not show the change in time.
    #[error("camera {0}: the streams do not show the change yet")]
    NotShown(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Command {
    Fault {
        camera: String,
        fault: Fault,
    },
    Space {
        camera: String,
        space: String,
        occupied: bool,
        #[serde(default)]
        class: VehicleClass,
    },
    Ask {
        cmd: Question,
        camera: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    Spaces,
    Cameras,
    Stats,
}

impl Simulator {
    /// Makes what is missing of the loops, then begins to listen. With an identity, also on a port for TLS.
    pub fn start(
        config: &Config,
        port: u16,
        cache: &Path,
        identity: Option<(&Identity, u16)>,
    ) -> Result<Self, SimulatorError> {
        gst::init()?;
        let loops = Arc::new(Loops::new(cache));
        let mut cameras = BTreeMap::new();
        for camera in &config.camera {
            for stream in [Some(&camera.main), camera.sub.as_ref()].into_iter().flatten() {
                if stream.source == Source::Loop && !camera.audio_only {
                    loops.get(stream, Fault::None)?;
                }
            }
            let server = CameraServer::new(Arc::new(Camera::new(camera.clone())), &loops);
            cameras.insert(camera.name.clone(), Arc::new(server));
        }
        let port = listener::listen(port, cameras.clone()).map_err(|source| SimulatorError::Listen { port, source })?;
        let tls_port = match identity {
            Some((identity, port)) => {
                let all: Vec<_> = cameras.values().map(|server| Arc::clone(server.camera())).collect();
                Some(tls::listen(port, identity, &all)?)
            }
            None => None,
        };
        let watched: Vec<_> = cameras.values().cloned().collect();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(SESSION_CHECK_INTERVAL);
                for server in &watched {
                    server.remove_expired_sessions();
                }
            }
        });
        let certificate = identity.map(|(identity, _)| identity.certificate.clone());
        Ok(Self {
            port,
            tls_port,
            certificate,
            cameras,
            loops,
        })
    }

    /// The port of all cameras.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is said when the simulator is ready: `port`, and with TLS `tls_port`, `tls_certificate` (PEM) and the login.
    pub fn greeting(&self) -> Value {
        let mut greeting = json!({ "port": self.port });
        if let (Some(port), Some(certificate)) = (self.tls_port, &self.certificate) {
            greeting["tls_port"] = json!(port);
            greeting["tls_certificate"] = json!(certificate);
            greeting["tls_user"] = json!(tls::USER);
            greeting["tls_password"] = json!(tls::PASSWORD);
        }
        greeting
    }

    /// Carries out a command and returns the answer, when it has taken effect.
    pub fn answer(&self, line: &str) -> Value {
        match self.execute(line) {
            Ok(mut answer) => {
                answer["ok"] = json!(true);
                answer
            }
            Err(error) => json!({ "ok": false, "error": error.to_string() }),
        }
    }

    fn execute(&self, line: &str) -> Result<Value, SimulatorError> {
        match serde_json::from_str(line)? {
            Command::Fault { camera, fault } => {
                let server = self.camera(&camera)?;
                let config = server.camera().config();
                // Made before the fault begins, so that the stream does not pause meanwhile.
                for stream in [Some(&config.main), config.sub.as_ref()].into_iter().flatten() {
                    if stream.source == Source::Loop && !config.audio_only {
                        self.loops.get(stream, fault)?;
                    }
                }
                server.set_fault(fault);
                shown(server)
            }
            Command::Space {
                camera,
                space,
                occupied,
                class,
            } => {
                let server = self.camera(&camera)?;
                if !server.camera().set_space(&space, occupied.then_some(class)) {
                    return Err(SimulatorError::NoSpace { camera, space });
                }
                shown(server)
            }
            Command::Ask {
                cmd: Question::Spaces,
                camera,
            } => {
                let server = self.camera(camera.as_deref().unwrap_or_default())?;
                Ok(json!({ "spaces": layout::spaces(&server.camera().config().spaces) }))
            }
            Command::Ask {
                cmd: Question::Cameras, ..
            } => Ok(json!({ "cameras": self.addresses() })),
            Command::Ask {
                cmd: Question::Stats, ..
            } => {
                let of = |server: &CameraServer| {
                    json!({
                        "fault": server.camera().fault(),
                        "connections": server.connection_count(),
                        "streams": server.camera().stats(),
                    })
                };
                let all: BTreeMap<_, _> = self.cameras.iter().map(|(name, server)| (name, of(server))).collect();
                Ok(json!({ "cameras": all }))
            }
        }
    }

    fn addresses(&self) -> BTreeMap<&str, Value> {
        let of = |server: &CameraServer| {
            let config = server.camera().config();
            let address = |path: &str| format!("rtsp://127.0.0.1:{}/{}/{path}", self.port, config.name);
            json!({ "main": address("main"), "sub": config.sub.as_ref().map(|_| address("sub")),
                    "record": address("record") })
        };
        self.cameras
            .iter()
            .map(|(name, server)| (name.as_str(), of(server)))
            .collect()
    }

    fn camera(&self, name: &str) -> Result<&Arc<CameraServer>, SimulatorError> {
        self.cameras
            .get(name)
            .ok_or_else(|| SimulatorError::NoCamera(name.to_owned()))
    }
}

fn shown(server: &CameraServer) -> Result<Value, SimulatorError> {
    let camera = server.camera();
    if camera.wait_until_shown() {
        Ok(json!({}))
    } else {
        Err(SimulatorError::NotShown(camera.config().name.clone()))
    }
}
