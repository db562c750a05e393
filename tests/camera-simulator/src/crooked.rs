//! Bad peers: servers on 127.0.0.1 that are no cameras, or cameras that no client can use.
//!
//! Each connection has a thread, which ends when the client goes away or the limits are reached. Nothing here uses
//! `GStreamer`.

use serde::Deserialize;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections at a time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 64;
/// Largest request; the connection of a larger one is closed.
const REQUEST_BYTES_MAX: usize = 8_192;
/// Requests on one connection; then it is closed.
const REQUESTS_MAX: usize = 1_000;
/// Longest life of a connection on which nothing happens; then it is closed.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// Bytes that [`Kind::EndlessHeader`] sends; then the connection is closed.
const ENDLESS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Pause of [`Kind::Slow`] after each byte.
const SLOW_PAUSE: Duration = Duration::from_secs(1);

/// What is wrong with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// Answers as a web server.
    Http,
    /// Answers DESCRIBE with something that is no session description.
    GarbageSdp,
    /// Asks for Digest with SHA-512 only.
    AuthUnsupported,
    /// Asks for the unknown scheme `Hoba` only.
    AuthUnknown,
    /// Asks for Digest with SHA-256 only (RFC 7616), and refuses every answer.
    AuthSha256,
    /// Accepts and never says anything.
    Silent,
    /// Sends the right answer, a byte a second.
    Slow,
    /// Answers DESCRIBE with 404.
    NotFound,
    /// Answers every request by pointing to itself.
    RedirectLoop,
    /// Sends a header without end.
    EndlessHeader,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Http,
        Self::GarbageSdp,
        Self::AuthUnsupported,
        Self::AuthUnknown,
        Self::AuthSha256,
        Self::Silent,
        Self::Slow,
        Self::NotFound,
        Self::RedirectLoop,
        Self::EndlessHeader,
    ];
}

/// Begins to listen on this port (0: any free one) and says where. The threads live as long as the process.
pub fn listen(kind: Kind, port: u16) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let address = listener.local_addr()?;
    let open = Arc::new(AtomicUsize::new(0));
    std::thread::Builder::new().name("crooked".to_owned()).spawn(move || {
        for connection in listener.incoming() {
            let Ok(connection) = connection else { continue };
            if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
                open.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let open = Arc::clone(&open);
            std::thread::spawn(move || {
                // That a client goes away is what is expected here.
                drop(serve(kind, connection, address));
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    })?;
    Ok(address)
}

fn serve(kind: Kind, mut connection: TcpStream, address: SocketAddr) -> io::Result<()> {
    connection.set_read_timeout(Some(IDLE_MAX))?;
    connection.set_write_timeout(Some(IDLE_MAX))?;
    connection.set_nodelay(true)?;
    for _ in 0..REQUESTS_MAX {
        let Some(request) = read_request(&mut connection)? else {
            return Ok(());
        };
        match kind {
            Kind::Silent => {}
            Kind::Slow => {
                for byte in answer(kind, &request, address).bytes() {
                    connection.write_all(&[byte])?;
                    std::thread::sleep(SLOW_PAUSE);
                }
            }
            Kind::EndlessHeader => return endless(&mut connection, &request),
            _ => connection.write_all(answer(kind, &request, address).as_bytes())?,
        }
        if kind == Kind::Http {
            return Ok(());
        }
    }
    Ok(())
}

fn endless(connection: &mut TcpStream, request: &str) -> io::Result<()> {
    connection.write_all(format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\nX-Filler: ", sequence(request)).as_bytes())?;
    let part = [b'x'; 4_096];
    for _ in 0..ENDLESS_BYTES_MAX / part.len() {
        connection.write_all(&part)?;
    }
    Ok(())
}

/// The answer to a request, for kinds that have one.
fn answer(kind: Kind, request: &str, address: SocketAddr) -> String {
    let sequence = sequence(request);
    let method = request.split(' ').next().unwrap_or_default();
    let rtsp = |status: &str, headers: &str, body: &str| {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        format!("RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{headers}{length}\r\n{body}")
    };
    let challenge = |challenge: &str| rtsp("401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), "");
    match (kind, method) {
        (Kind::Http, _) => {
            "HTTP/1.1 400 Bad Request\r\nServer: webcam\r\nContent-Type: text/html\r\nContent-Length: 24\
                            \r\nConnection: close\r\n\r\n<html>Bad Request</html>"
                .to_owned()
        }
        (Kind::RedirectLoop, _) => {
            let path = request
                .split(' ')
                .nth(1)
                .and_then(|target| target.splitn(4, '/').nth(3))
                .unwrap_or_default();
            rtsp(
                "302 Moved Temporarily",
                &format!("Location: rtsp://{address}/{path}\r\n"),
                "",
            )
        }
        (_, "OPTIONS") => rtsp("200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""),
        (Kind::GarbageSdp, _) => {
            let body = "\u{1}\u{2}v=9\r\nm=\r\nthis is no session description\r\na=:::\r\n\u{7f}";
            rtsp("200 OK", "Content-Type: application/sdp\r\n", body)
        }
        (Kind::AuthUnsupported, _) => {
            challenge("Digest realm=\"camera\", qop=\"auth\", algorithm=SHA-512, nonce=\"0123456789abcdef\"")
        }
        (Kind::AuthUnknown, _) => challenge("Hoba realm=\"camera\", challenge=\"0123456789abcdef\", max-age=600"),
        (Kind::AuthSha256, _) => {
            challenge("Digest realm=\"camera\", qop=\"auth\", algorithm=SHA-256, nonce=\"0123456789abcdef\"")
        }
        (Kind::Slow, _) => {
            let body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=slow\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
                        a=rtpmap:96 H264/90000\r\na=control:stream=0\r\n";
            rtsp("200 OK", "Content-Type: application/sdp\r\n", body)
        }
        _ => rtsp("404 Not Found", "", ""),
    }
}

/// The number of a request, which its answer repeats.
fn sequence(request: &str) -> u32 {
    let header = request.lines().filter_map(|line| line.split_once(':'));
    let mut numbers = header.filter(|(name, _)| name.eq_ignore_ascii_case("cseq"));
    numbers
        .next()
        .and_then(|(_, number)| number.trim().parse().ok())
        .unwrap_or(0)
}

/// Reads up to the empty line; none if the peer closed or sent too much.
fn read_request(connection: &mut TcpStream) -> io::Result<Option<String>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte)? == 0 || request.len() >= REQUEST_BYTES_MAX {
            return Ok(None);
        }
        request.extend(byte);
    }
    Ok(Some(String::from_utf8_lossy(&request).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a peer and returns what arrives until it closes, 256 bytes are there, or nothing comes for half a second.
    fn ask(kind: Kind, request: &str) -> String {
        let mut connection = TcpStream::connect(listen(kind, 0).unwrap()).unwrap();
        connection.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut part = [0; 64];
        while answer.len() < 256 {
            match connection.read(&mut part) {
                Ok(count) if count > 0 => answer.extend(&part[..count]),
                _ => break,
            }
        }
        String::from_utf8(answer).unwrap()
    }

    const DESCRIBE: &str = "DESCRIBE rtsp://127.0.0.1:1/a/b RTSP/1.0\r\nCSeq: 7\r\n\r\n";

    #[test]
    fn each_peer_is_wrong_in_its_own_way() {
        for (kind, expected) in [
            (Kind::Http, "HTTP/1.1 400"),
            (Kind::GarbageSdp, "no session description"),
            (Kind::AuthUnsupported, "algorithm=SHA-512"),
            (Kind::AuthUnknown, "WWW-Authenticate: Hoba"),
            (Kind::AuthSha256, "algorithm=SHA-256"),
            (Kind::NotFound, "RTSP/1.0 404"),
            (Kind::EndlessHeader, "xxxxxxxxxxxx"),
        ] {
            let answer = ask(kind, DESCRIBE);
            assert!(answer.contains(expected), "{kind:?}: {answer}");
        }
    }

    #[test]
    fn an_answer_repeats_the_number_of_the_request() {
        assert!(ask(Kind::NotFound, DESCRIBE).contains("\r\nCSeq: 7\r\n"));
    }

    #[test]
    fn a_redirection_leads_back_to_the_same_path() {
        assert!(ask(Kind::RedirectLoop, DESCRIBE).contains("/a/b\r\n"));
    }

    #[test]
    fn a_silent_peer_says_nothing_and_a_slow_one_almost_nothing() {
        assert_eq!(ask(Kind::Silent, DESCRIBE), "");
        assert_eq!(ask(Kind::Slow, DESCRIBE), "R");
    }

    #[test]
    fn a_peer_answers_options_before_it_refuses() {
        assert!(ask(Kind::AuthSha256, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").starts_with("RTSP/1.0 200 OK"));
    }

    #[test]
    fn a_request_that_is_too_large_is_not_answered() {
        assert_eq!(ask(Kind::NotFound, &"x".repeat(REQUEST_BYTES_MAX + 1)), "");
    }
}
