//! The program as a child process, and an RTSP client that sees the bytes.

#![allow(dead_code, reason = "each test program uses a part of it")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running simulator.
pub struct Simulator {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub greeting: Value,
}

impl Simulator {
    pub fn start(folder: &Path, cameras: &str, arguments: &[&str]) -> Self {
        let file = folder.join("cameras.toml");
        std::fs::write(&file, cameras).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_camera-simulator"))
            .arg("--cameras")
            .arg(&file)
            .arg("--cache")
            .arg(folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut this = Self {
            child,
            input,
            output,
            greeting: Value::Null,
        };
        this.greeting = this.line();
        this
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub fn command(&mut self, command: &Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        self.line()
    }

    pub fn fault(&mut self, camera: &str, fault: &str) {
        let answer = self.command(&json!({ "camera": camera, "fault": fault }));
        assert_eq!(answer, json!({ "ok": true }));
    }

    pub fn port(&self) -> u16 {
        u16::try_from(self.greeting["port"].as_u64().unwrap()).unwrap()
    }

    pub fn client(&self, path: &str) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = format!("rtsp://127.0.0.1:{}/{path}", self.port());
        Client {
            stream,
            address,
            sequence: 0,
            bytes: Vec::new(),
        }
    }

    /// Closes standard input and returns whether the program ended well.
    pub fn end(mut self) -> bool {
        drop(self.input.take());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What came over the wire.
#[derive(Debug)]
pub enum Message {
    Answer {
        head: String,
        body: String,
    },
    Packet {
        channel: u8,
        bytes: Vec<u8>,
    },
    /// The peer closed or reset the connection.
    End,
    /// Nothing came in the time given.
    Nothing,
}

pub struct Client {
    pub stream: TcpStream,
    address: String,
    sequence: u32,
    bytes: Vec<u8>,
}

impl Client {
    pub fn send(&mut self, method: &str, target: &str, headers: &str) {
        self.sequence += 1;
        let request = format!(
            "{method} {}{target} RTSP/1.0\r\nCSeq: {}\r\n{headers}\r\n",
            self.address, self.sequence
        );
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    /// Sends a request and returns the head and the body of the answer.
    pub fn ask(&mut self, method: &str, target: &str, headers: &str) -> (String, String) {
        self.send(method, target, headers);
        loop {
            match self.next(PATIENCE) {
                Message::Answer { head, body } => return (head, body),
                Message::Packet { .. } => {}
                other => panic!("{method}: {other:?}"),
            }
        }
    }

    /// Describes, sets up and plays the only stream, over TCP. Returns the description.
    pub fn play(&mut self) -> String {
        let (head, description) = self.ask("DESCRIBE", "", "Accept: application/sdp\r\n");
        assert!(head.starts_with("RTSP/1.0 200"), "{head}");
        let (head, _) = self.ask(
            "SETUP",
            "/stream=0",
            "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
        );
        let session = head.lines().find_map(|line| line.strip_prefix("Session: ")).unwrap();
        let session = session.split(';').next().unwrap().to_owned();
        let (head, _) = self.ask("PLAY", "", &format!("Session: {session}\r\n"));
        assert!(head.starts_with("RTSP/1.0 200"), "{head}");
        description
    }

    /// The next thing that comes.
    pub fn next(&mut self, wait: Duration) -> Message {
        let until = Instant::now() + wait;
        loop {
            if let Some(message) = self.take_message() {
                return message;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Message::Nothing;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut part = [0; 16_384];
            match self.stream.read(&mut part) {
                Ok(0) => return Message::End,
                Ok(count) => self.bytes.extend(&part[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Message::End,
            }
        }
    }

    fn take_message(&mut self) -> Option<Message> {
        if self.bytes.first() == Some(&b'$') {
            let [_, channel, high, low] = *self.bytes.first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let bytes = self.bytes.get(4..4 + length)?.to_vec();
            self.bytes.drain(..4 + length);
            return Some(Message::Packet { channel, bytes });
        }
        let end = self.bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        let body = String::from_utf8(self.bytes.get(end..end + length)?.to_vec()).unwrap();
        self.bytes.drain(..end + length);
        Some(Message::Answer { head, body })
    }

    /// The next RTP packet.
    pub fn rtp(&mut self) -> Vec<u8> {
        loop {
            match self.next(PATIENCE) {
                Message::Packet { channel: 0, bytes } => return bytes,
                Message::Packet { .. } | Message::Answer { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next RTCP sender report: seconds since 1900, RTP timestamp.
    pub fn sender_report(&mut self) -> (u32, u32) {
        let number = |bytes: &[u8], at: usize| u32::from_be_bytes(*bytes[at..].first_chunk().unwrap());
        loop {
            match self.next(PATIENCE) {
                Message::Packet { channel: 1, bytes } if bytes[1] == 200 => {
                    return (number(&bytes, 8), number(&bytes, 16));
                }
                Message::Packet { .. } | Message::Answer { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads packets until nothing comes for this long, or the connection ends; says which.
    pub fn until_quiet(&mut self, quiet: Duration) -> Message {
        loop {
            match self.next(quiet) {
                Message::Packet { .. } | Message::Answer { .. } => {}
                other => return other,
            }
        }
    }
}
