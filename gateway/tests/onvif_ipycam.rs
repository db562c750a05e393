//! A camera that others wrote: ipycam, a package for Python.
//!
//! The environment variable `PARKIR_IPYCAM` names a Python interpreter that has the package:
//!
//! ```text
//! python3 -m venv target/ipycam && target/ipycam/bin/pip install --no-deps ipycam==1.3.0
//! PARKIR_IPYCAM=$PWD/target/ipycam/bin/python cargo test --test onvif_ipycam -- --ignored
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod onvif_camera;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;

use gateway::cameras::discovery::{Credentials, Interfaces, LoginError, Options, Problem, Report, RequestError, discover};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use onvif_camera::{PASSWORD, USER, credentials};

/// An ipycam that runs; it ends with its standard input.
struct Ipycam {
    address: Ipv4Addr,
    http_port: u16,
    udp_port: u16,
    _child: Child,
}

impl Ipycam {
    async fn start(last: u8, user: &str, password: &str) -> Self {
        let python = std::env::var("PARKIR_IPYCAM").expect("PARKIR_IPYCAM names a Python that has ipycam");
        let address = Ipv4Addr::new(127, 0, 77, last);
        let mut child = Command::new(python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/onvif_camera/ipycam_camera.py"
            ))
            .args([&address.to_string(), user, password])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("ipycam starts");
        let ports: Vec<u16> = line.split(' ').skip(1).map(|port| port.parse().unwrap()).collect();
        Self {
            address,
            http_port: ports[0],
            udp_port: ports[1],
            _child: child,
        }
    }

    /// Names it as a host, on the right UDP port or with the right HTTP port.
    async fn discovered(&self, by_probe: bool, credentials: Option<Credentials>) -> Report {
        let port = if by_probe { self.udp_port } else { 9 };
        let options = Options {
            interfaces: Interfaces::None,
            hosts: vec![IpAddr::V4(self.address)],
            credentials,
            listen: onvif_camera::LISTEN,
            request_timeout: onvif_camera::PATIENCE,
            target: SocketAddr::from((self.address, port)),
            http_ports: if by_probe { Vec::new() } else { vec![self.http_port] },
        };
        discover(&options, &onvif_camera::wall_clock()).await.unwrap()
    }
}

fn check(report: &Report) {
    let [found] = &report.found[..] else {
        panic!("{report:?}")
    };
    assert_eq!(
        (
            found.information.manufacturer.as_str(),
            found.information.serial.as_str()
        ),
        ("PythonCam", "PY-000001")
    );
    let stream = |profile: Option<&gateway::cameras::discovery::FoundProfile>| profile.unwrap().stream.clone().unwrap();
    assert_eq!(
        (stream(found.main()).path.as_str(), stream(found.sub()).path.as_str()),
        ("/video_main", "/video_sub")
    );
    assert_eq!(stream(found.main()).host.port(), 8554);
    assert_eq!(
        (found.main().unwrap().media.width, found.sub().unwrap().media.width),
        (1920, 640)
    );
    assert!(found.problems.is_empty(), "{:?}", found.problems);
}

#[tokio::test]
#[ignore = "needs PARKIR_IPYCAM"]
async fn ipycam_is_found_by_a_probe_and_without_one() {
    let camera = Ipycam::start(101, "", "").await;
    let probed = camera.discovered(true, None).await;
    check(&probed);
    // Its scopes have a blank in the name, which ends the name for everyone who reads the list of scopes.
    assert_eq!(probed.found[0].scopes.name.as_deref(), Some("Gerbang"));
    assert!(probed.found[0].clock_offset.unwrap().abs().as_secs() < 2);
    check(&camera.discovered(false, None).await);
}

#[tokio::test]
#[ignore = "needs PARKIR_IPYCAM"]
async fn ipycam_takes_the_token_and_refuses_a_wrong_password() {
    let camera = Ipycam::start(102, USER, PASSWORD).await;
    check(&camera.discovered(false, Some(credentials())).await);
    let wrong = Credentials {
        user: USER.into(),
        password: "salah".into(),
    };
    let report = camera.discovered(true, Some(wrong)).await;
    let problems = &report.found[0].problems;
    let refused = |problem: &Problem| {
        let Problem::Request { error, .. } = problem else {
            return false;
        };
        matches!(error, RequestError::Login(LoginError::Refused))
    };
    // It hides its clock behind the login, too.
    assert!(
        matches!(&problems[..], [Problem::ClockHidden, last] if refused(last)),
        "{problems:?}"
    );
}
