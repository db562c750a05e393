//! Accepts the connections of all cameras and hands each to the camera that its first request names.
//!
//! A camera that refuses connections resets them after the first request, because all cameras have the same port.

use super::server::{CameraServer, reset_on_close};
use crate::fault::Fault;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Largest first request; a connection with a larger one is closed.
const REQUEST_BYTES_MAX: usize = 8_192;
/// Longest time for the first request to arrive; then the connection is closed.
const REQUEST_WAIT: Duration = Duration::from_secs(10);
/// Connections whose first request has not arrived; further ones are closed.
const WAITING_MAX: usize = 256;

/// Begins to accept on this port (0: any free one) and says which it is. The threads live as long as the process.
pub fn listen(port: u16, cameras: BTreeMap<String, Arc<CameraServer>>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = listener.local_addr()?.port();
    let cameras = Arc::new(cameras);
    let waiting = Arc::new(AtomicUsize::new(0));
    std::thread::Builder::new().name("listener".to_owned()).spawn(move || {
        for connection in listener.incoming() {
            let Ok(connection) = connection else { continue };
            if waiting.fetch_add(1, Ordering::SeqCst) >= WAITING_MAX {
                waiting.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let (cameras, waiting) = (Arc::clone(&cameras), Arc::clone(&waiting));
            std::thread::spawn(move || {
                if let Err(error) = route(connection, &cameras) {
                    eprintln!("camera-simulator: connection: {error}");
                }
                waiting.fetch_sub(1, Ordering::SeqCst);
            });
        }
    })?;
    Ok(port)
}

fn route(mut connection: TcpStream, cameras: &BTreeMap<String, Arc<CameraServer>>) -> io::Result<()> {
    connection.set_read_timeout(Some(REQUEST_WAIT))?;
    let Some(request) = read_request(&mut connection)? else {
        return Ok(());
    };
    let Some(server) = camera_name(&request).and_then(|name| cameras.get(name)) else {
        return connection.write_all(b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n");
    };
    match server.camera().fault() {
        Fault::Drop => {
            reset_on_close(&connection);
            Ok(())
        }
        _ => server.take(connection, &request),
    }
}

/// Reads up to the empty line, and what came with it; none if the peer closed or sent something else.
fn read_request(connection: &mut TcpStream) -> io::Result<Option<String>> {
    let mut request = Vec::new();
    let mut part = [0; 1_024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = connection.read(&mut part)?;
        if count == 0 || request.len() + count > REQUEST_BYTES_MAX {
            return Ok(None);
        }
        request.extend(part.iter().take(count));
    }
    Ok(String::from_utf8(request).ok())
}

/// The first part of the path of a request such as `DESCRIBE rtsp://host:554/name/main RTSP/1.0`.
fn camera_name(request: &str) -> Option<&str> {
    let address = request.split_ascii_whitespace().nth(1)?;
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => address.strip_prefix('/')?,
    };
    path.split(['/', '?']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_camera_is_the_first_part_of_the_path() {
        let name =
            |address: &str| camera_name(&format!("DESCRIBE {address} RTSP/1.0\r\nCSeq: 1\r\n\r\n")).map(str::to_owned);
        assert_eq!(
            name("rtsp://127.0.0.1:8554/simpang-1/main").as_deref(),
            Some("simpang-1")
        );
        assert_eq!(
            name("rtsp://a:b@127.0.0.1/simpang-1/main/stream=0").as_deref(),
            Some("simpang-1")
        );
        assert_eq!(name("/simpang-1?x=1").as_deref(), Some("simpang-1"));
        assert_eq!(name("*"), None);
        assert_eq!(name("rtsp://127.0.0.1"), None);
        assert_eq!(camera_name(""), None);
    }
}
