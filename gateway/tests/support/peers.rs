//! Peers that are no good cameras: each takes connections on a port of its own and answers in its wrong way.

// Every test program compiles this file and uses its own part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// What a peer does.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Takes the connection and says nothing.
    Silent,
    /// Says this, whatever was asked.
    Says(String),
    /// Answers each RTSP request with this status line and these headers.
    Answers(&'static str, &'static str),
    /// Describes a stream so.
    Describes(String),
}

impl Peer {
    /// A web server.
    pub fn http() -> Self {
        Self::Says("HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\noops".to_owned())
    }

    /// A camera whose description of its stream is no such thing.
    pub fn garbage() -> Self {
        Self::Describes("\u{1}\u{2}<html>lorem ipsum".to_owned())
    }

    /// A camera with one stream of this kind: `video`, `JPEG/90000`.
    pub fn with_media(kind: &str, encoding: &str) -> Self {
        Self::Describes(format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm={kind} 0 RTP/AVP 96\r\na=rtpmap:96 {encoding}\r\na=control:track1\r\n"
        ))
    }

    /// Serves on a thread until the test program ends; gives the address of a stream.
    pub fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let peer = self.clone();
                // An asker that hangs up in the middle is none of the peer's troubles.
                std::thread::spawn(move || peer.serve(connection).ok());
            }
        });
        format!("rtsp://{address}/live")
    }

    fn serve(&self, mut connection: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(connection.try_clone()?);
        loop {
            let Some(sequence) = request(&mut reader)? else {
                return Ok(());
            };
            let answer = match self {
                Self::Silent => continue,
                Self::Says(words) => words.clone(),
                Self::Answers(status, headers) => format!("RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{headers}\r\n"),
                Self::Describes(sdp) => format!(
                    "RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                    sdp.len()
                ),
            };
            connection.write_all(answer.as_bytes())?;
        }
    }
}

/// Reads one request to its empty line; its `CSeq`. `None` when the asker has gone.
fn request(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut sequence = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some(sequence));
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("cseq:") {
            number.trim().clone_into(&mut sequence);
        }
    }
}
