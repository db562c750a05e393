//! Modbus devices that others wrote: pymodbus, a package for Python, over TCP and on a serial line of two pseudo-terminals.
//!
//! ```sh
//! python3 -m venv target/pymodbus && target/pymodbus/bin/pip install pymodbus==3.16.1 pyserial==3.5
//! PARKIR_PYMODBUS=$PWD/target/pymodbus/bin/python cargo test --workspace --test modbus_pymodbus -- --ignored
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use gateway::sensors::attached::modbus::Way;
use support::line::{Asked, Joined, asking};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A server that runs; it ends with its standard input.
struct Server {
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Server {
    async fn start(way: &str, place: &str) -> Self {
        let python = std::env::var("PARKIR_PYMODBUS").expect("PARKIR_PYMODBUS names a Python that has pymodbus");
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/modbus/server.py"))
            .args([way, place])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().expect("pymodbus starts"), "ready");
        Self {
            commands: child.stdin.take().unwrap(),
            lines,
            _child: child,
        }
    }

    async fn tell(&mut self, command: &str) {
        self.commands
            .write_all(format!("{command}\n").as_bytes())
            .await
            .unwrap();
        self.commands.flush().await.unwrap();
    }
}

/// Both devices are set up, their distances become states, and one that is late is found out.
async fn devices_are_read(server: &mut Server, asked: &mut Asked) {
    server.tell("set 11 6 275").await;
    server.tell("set 11 5 250").await;
    server.tell("set 12 5 90").await;
    for expected in ["wrote 11 8 0", "wrote 12 8 0"] {
        assert_eq!(server.lines.next_line().await.unwrap().unwrap(), expected);
    }
    let (free, health) = asked.next_of("urm-11").await;
    assert_eq!(free.report.occupied, Some(false));
    assert_eq!((health.distance_mm, health.temperature_c), (Some(2_500), Some(27.5)));
    let (occupied, health) = asked.next_of("urm-12").await;
    assert_eq!(occupied.report.occupied, Some(true));
    assert_eq!(health.distance_mm, Some(900));
    server.tell("set 11 5 85").await;
    let (occupied, _) = asked.next_of("urm-11").await;
    assert_eq!(occupied.report.occupied, Some(true));
}

#[tokio::test]
#[ignore = "needs pymodbus, which `./run test` installs"]
async fn two_devices_over_tcp_and_a_server_that_comes_back() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Server::start("tcp", &port.to_string()).await;
    let mut asked = asking(Way::Tcp(format!("127.0.0.1:{port}")));
    devices_are_read(&mut server, &mut asked).await;
    drop(server);
    asked.trouble("line").await;
    let mut server = Server::start("tcp", &port.to_string()).await;
    server.tell("set 11 5 250").await;
    let wrote = server.lines.next_line().await.unwrap().unwrap();
    assert!(wrote.ends_with("8 0"), "set up again after a restart: {wrote}");
    let (free, _) = asked.next_of("urm-11").await;
    assert_eq!(free.report.occupied, Some(false));
    asked.stop().await;
}

#[tokio::test]
#[ignore = "needs pymodbus, which `./run test` installs"]
async fn two_devices_on_one_serial_line_with_noise_and_one_that_is_late() {
    let joined = Joined::new();
    let mut server = Server::start("serial", joined.theirs()).await;
    let mut asked = asking(Way::Serial(joined.ours().into()));
    devices_are_read(&mut server, &mut asked).await;
    server.tell("garble 1").await;
    let garbled = asked.trouble("garbled").await;
    assert!(garbled.contains("is no answer"), "{garbled}");
    server.tell("set 11 5 250").await;
    let (free, _) = asked.next_of("urm-11").await;
    assert_eq!(free.report.occupied, Some(false), "it goes on");
    // It answers after its time, into the question to the other.
    server.tell("late 12 380").await;
    let silent = asked.trouble("silent").await;
    assert!(silent.contains("no answer from address 12 within 300 ms"), "{silent}");
    asked.trouble("late").await;
    server.tell("late 12 0").await;
    server.tell("set 12 5 240").await;
    let (free, health) = tokio::time::timeout(Duration::from_secs(60), asked.next_of("urm-12"))
        .await
        .unwrap();
    assert_eq!((free.report.occupied, health.distance_mm), (Some(false), Some(2_400)));
    asked.stop().await;
}
