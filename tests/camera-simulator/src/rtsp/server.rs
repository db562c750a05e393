//! The server object of one camera.
//!
//! It knows the connections that were handed to it by a second handle of each socket, so that a fault can reset them:
//! with a linger time of zero, closing the last handle sends RST instead of FIN.

use super::{ROLE, mount, record};
use crate::camera::Camera;
use crate::config::AuthScheme;
use crate::fault::Fault;
use crate::looped::Loops;
use crate::producer::Job;
use gstreamer_rtsp as rtsp;
use gstreamer_rtsp_server::{
    RTSPAuth, RTSPClient, RTSPFilterResult, RTSPMountPoints, RTSPServer, RTSPSessionPool, RTSPThreadPool, RTSPToken,
    gio, prelude::*,
};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags};
use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait for the server to notice clients that are gone; then a new one is handed over anyway.
const CLOSING_WAIT: Duration = Duration::from_secs(5);
/// What is appended to the password at [`Fault::Auth`].
const OTHER_PASSWORD_SUFFIX: &str = "-changed";
/// User and password that a camera without user asks for at [`Fault::Auth`].
const OTHER_USER: &str = "admin";

/// One camera on the network.
#[derive(Debug)]
pub struct CameraServer {
    camera: Arc<Camera>,
    server: RTSPServer,
    connections: Arc<Connections>,
    /// Held while a connection is handed over, because the server announces the client meanwhile.
    handover: Mutex<()>,
}

#[derive(Debug, Default)]
struct Connections {
    list: Mutex<List>,
    removed: Condvar,
}

#[derive(Debug, Default)]
struct List {
    open: BTreeMap<u64, TcpStream>,
    last: u64,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, connection: TcpStream) -> u64 {
        let mut list = self.lock();
        list.last += 1;
        let number = list.last;
        list.open.insert(number, connection);
        number
    }

    fn remove(&self, number: u64) {
        self.lock().open.remove(&number);
        self.removed.notify_all();
    }

    /// Waits until the server has noticed all clients that are gone.
    ///
    /// When the last client of a shared media goes, the server library closes the media, and meanwhile answers 503 to
    /// whoever asks for it: the client that connects again at once.
    fn wait_for_goners(&self) {
        let gone = |list: &mut List| list.open.values().any(is_gone);
        let waited = self.removed.wait_timeout_while(self.lock(), CLOSING_WAIT, gone);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether the peer of a connection has closed it.
fn is_gone(connection: &TcpStream) -> bool {
    let mut byte = [0];
    match net::recv(connection, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, count)) => count == 0,
        Err(error) => error != Errno::AGAIN,
    }
}

impl CameraServer {
    /// Makes the server object and the paths of a camera.
    pub fn new(camera: Arc<Camera>, loops: &Arc<Loops>) -> Self {
        let server = RTSPServer::new();
        // A thread a client, so that a stalled camera can keep a request without keeping those of other clients.
        let threads = RTSPThreadPool::new();
        threads.set_max_threads(-1);
        server.set_thread_pool(Some(&threads));
        server.set_session_pool(Some(&RTSPSessionPool::new()));
        let mounts = RTSPMountPoints::new();
        let config = camera.config();
        for (path, stream) in [("main", Some(&config.main)), ("sub", config.sub.as_ref())] {
            if let Some(stream) = stream.cloned() {
                let job = Job {
                    camera: Arc::clone(&camera),
                    path,
                    stream,
                    loops: Arc::clone(loops),
                };
                mounts.add_factory(&format!("/{}/{path}", config.name), mount::factory(job));
            }
        }
        mounts.add_factory(
            &format!("/{}/{}", config.name, record::PATH),
            record::factory(Arc::clone(&camera)),
        );
        server.set_mount_points(Some(&mounts));
        let connections = Arc::new(Connections::default());
        let (seen, known) = (Arc::clone(&camera), Arc::clone(&connections));
        server.connect_client_connected(move |_, client| watch(client, &seen, &known));
        let this = Self {
            camera,
            server,
            connections,
            handover: Mutex::new(()),
        };
        this.set_password(Fault::None);
        this
    }

    /// The camera.
    pub fn camera(&self) -> &Arc<Camera> {
        &self.camera
    }

    /// Number of open connections.
    pub fn connection_count(&self) -> usize {
        self.connections.lock().open.len()
    }

    /// Removes sessions whose clients are gone for longer than the timeout that they were told.
    pub fn remove_expired_sessions(&self) {
        if let Some(pool) = self.server.session_pool() {
            pool.cleanup();
        }
    }

    /// Takes over a connection from which `request` was read already.
    pub fn take(&self, connection: TcpStream, request: &str) -> io::Result<()> {
        let peer = connection.peer_addr()?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(None)?;
        let _one_at_a_time = self.handover.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections.wait_for_goners();
        let number = self.connections.add(connection.try_clone()?);
        let given = gio::Socket::from_fd(OwnedFd::from(connection))
            .map_err(io::Error::other)
            .and_then(|socket| {
                self.server
                    .transfer_connection(socket, &peer.ip().to_string(), i32::from(peer.port()), Some(request))
                    .map_err(io::Error::other)
            });
        if given.is_err() {
            self.connections.remove(number);
        }
        given
    }

    /// Begins or ends a fault.
    pub fn set_fault(&self, fault: Fault) {
        self.camera.set_fault(fault);
        self.set_password(fault);
        if fault.disconnects() {
            self.reset_connections();
        }
    }

    fn reset_connections(&self) {
        for connection in self.connections.lock().open.values() {
            reset_on_close(connection);
        }
        let mut all = |_: &RTSPServer, _: &RTSPClient| RTSPFilterResult::Ref;
        for client in self.server.client_filter(Some(&mut all)) {
            client.close();
        }
        self.connections.lock().open.clear();
        self.connections.removed.notify_all();
    }

    fn set_password(&self, fault: Fault) {
        let config = self.camera.config();
        let (user, password) = match (&config.user, &config.password, fault) {
            (Some(user), Some(password), Fault::Auth) => (user.clone(), format!("{password}{OTHER_PASSWORD_SUFFIX}")),
            (Some(user), Some(password), _) => (user.clone(), password.clone()),
            (_, _, Fault::Auth) => (OTHER_USER.to_owned(), OTHER_PASSWORD_SUFFIX.to_owned()),
            _ => return self.server.set_auth(RTSPAuth::NONE),
        };
        let auth = RTSPAuth::new();
        auth.set_realm(Some(&config.name));
        let token = RTSPToken::builder().field("media.factory.role", ROLE).build();
        match config.auth {
            AuthScheme::Basic => {
                auth.set_supported_methods(rtsp::RTSPAuthMethod::Basic);
                auth.add_basic(&RTSPAuth::make_basic(&user, &password), &token);
            }
            AuthScheme::Digest => {
                auth.set_supported_methods(rtsp::RTSPAuthMethod::Digest);
                auth.add_digest(&user, &password, &token);
            }
        }
        self.server.set_auth(Some(&auth));
    }
}

/// Lets closing the last handle of a connection send RST.
pub fn reset_on_close(connection: &TcpStream) {
    if let Err(error) = net::sockopt::set_socket_linger(connection, Some(Duration::ZERO)) {
        eprintln!("camera-simulator: a connection cannot be reset: {error}");
    }
}

/// Forgets the connection of a client when it is closed, and keeps its requests while the camera is stalled.
fn watch(client: &RTSPClient, camera: &Arc<Camera>, connections: &Arc<Connections>) {
    let number = connections.lock().last;
    let connections = Arc::clone(connections);
    client.connect_closed(move |_| connections.remove(number));
    let wait = || {
        let camera = Arc::clone(camera);
        move || {
            camera.wait_while_stalled();
            camera.wait_while_closing();
            rtsp::RTSPStatusCode::Ok
        }
    };
    let waits = wait();
    client.connect_pre_options_request(move |_, _| waits());
    let waits = wait();
    client.connect_pre_describe_request(move |_, _| waits());
    let waits = wait();
    client.connect_pre_setup_request(move |_, _| waits());
    let waits = wait();
    client.connect_pre_play_request(move |_, _| waits());
    let waits = wait();
    client.connect_pre_pause_request(move |_, _| waits());
    let waits = wait();
    client.connect_pre_get_parameter_request(move |_, _| waits());
    let waits = wait();
    client.connect_pre_set_parameter_request(move |_, _| waits());
    let waits = wait();
    client.connect_pre_teardown_request(move |_, _| waits());
}
