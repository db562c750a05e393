//! Receiving over TLS: `rtsps://127.0.0.1:PORT/NAME/record` of all cameras, on a port of its own, for whoever
//! has the login that [`USER`] and [`PASSWORD`] are.

use super::{ROLE, record};
use crate::camera::Camera;
use gstreamer_rtsp as rtsp;
use gstreamer_rtsp_server::{RTSPAuth, RTSPMountPoints, RTSPServer, RTSPToken, gio, glib, prelude::*};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// User of the media server.
pub const USER: &str = "penerima";
/// Password of the media server.
pub const PASSWORD: &str = "rahasia-media";

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, PEM; it is its own authority if it was generated.
    pub certificate: String,
    /// Certificate and key, PEM.
    pub both: String,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate could be generated.
    #[error("cannot generate a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate or key is not understood.
    #[error("certificate and key: {0}\n  hint: the file has both, PEM; glib-networking must be installed")]
    Certificate(glib::Error),
    /// The port cannot be used.
    #[error("cannot listen on port {port}: {problem}")]
    Listen {
        /// The port.
        port: u16,
        /// What is wrong.
        problem: String,
    },
}

impl Identity {
    /// Generates one for `localhost` and 127.0.0.1.
    pub fn generate() -> Result<Self, TlsError> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let certificate = made.cert.pem();
        let both = format!("{certificate}{}", made.signing_key.serialize_pem());
        Ok(Self { certificate, both })
    }

    /// Reads one from a file that has both.
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        let both = std::fs::read_to_string(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let end = "-----END CERTIFICATE-----";
        let after = both.rfind(end).map_or(both.len(), |position| position + end.len());
        let certificate = both.get(..after).unwrap_or_default().trim_start().to_owned();
        Ok(Self { certificate, both })
    }
}

/// Begins to listen on this port (0: any free one) and says which it is. It lives as long as the process.
pub fn listen(port: u16, identity: &Identity, cameras: &[Arc<Camera>]) -> Result<u16, TlsError> {
    let certificate = gio::TlsCertificate::from_pem(&identity.both).map_err(TlsError::Certificate)?;
    let auth = RTSPAuth::new();
    auth.set_tls_certificate(Some(&certificate));
    let token = RTSPToken::builder().field("media.factory.role", ROLE).build();
    auth.set_supported_methods(rtsp::RTSPAuthMethod::Basic);
    auth.add_basic(&RTSPAuth::make_basic(USER, PASSWORD), &token);
    let mounts = RTSPMountPoints::new();
    for camera in cameras {
        let path = format!("/{}/{}", camera.config().name, record::PATH);
        mounts.add_factory(&path, record::factory(Arc::clone(camera)));
    }
    let server = RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(&port.to_string());
    server.set_auth(Some(&auth));
    server.set_mount_points(Some(&mounts));
    let fail = |problem: String| TlsError::Listen { port, problem };
    let context = glib::MainContext::new();
    server.attach(Some(&context)).map_err(|error| fail(error.to_string()))?;
    let bound = u16::try_from(server.bound_port()).map_err(|error| fail(error.to_string()))?;
    let run = move || {
        glib::MainLoop::new(Some(&context), false).run();
        drop(server);
    };
    std::thread::Builder::new()
        .name("tls".to_owned())
        .spawn(run)
        .map_err(|error| fail(error.to_string()))?;
    Ok(bound)
}
