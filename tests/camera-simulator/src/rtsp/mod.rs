//! The RTSP side: one server object a camera behind one listener.
//!
//! Each camera has its own server object with its own sessions, passwords and clients, as if it were a device. None of
//! them listens itself: [`listener`] accepts all connections, reads the first request to see which camera is meant, and
//! hands the connection over. So faults of connections concern one camera only.
//!
//! - [`listener`]: accepts and routes
//! - [`server`]: the server object of a camera, its passwords and its connections
//! - [`mount`]: the streams that a camera sends
//! - [`record`]: the stream that a camera receives
//! - [`tls`]: receiving over TLS

pub mod listener;
pub mod mount;
pub mod record;
pub mod server;
pub mod tls;

use gstreamer as gst;
use gstreamer_rtsp_server::{RTSPMediaFactory, prelude::*};

/// Role of all who may use a path.
pub const ROLE: &str = "user";

/// Lets those with the role use what a factory makes.
fn allow(factory: &RTSPMediaFactory) {
    let role = gst::Structure::builder(ROLE)
        .field("media.factory.access", true)
        .field("media.factory.construct", true)
        .build();
    factory.add_role_from_structure(&role);
}
