//! Mosquitto with the shipped configuration, and certificates for whoever calls it.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use kominfo::dialer::{Target, TlsFiles};
use kominfo::{files, pki};
use parking::GatewayId;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::write;

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running broker; ends with this value.
pub struct Broker {
    process: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Broker {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        pki::init(&folder.path().join("pki"), &[], &["127.0.0.1".parse().unwrap()]).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/mosquitto");
        std::fs::copy(shipped.join("acl"), folder.path().join("pki/acl")).unwrap();
        let port = free_port();
        let mut text = std::fs::read_to_string(shipped.join("city.conf")).unwrap();
        for (from, to) in [
            ("/etc/mosquitto/parkir", folder.path().join("pki").display().to_string()),
            ("/var/lib/mosquitto", folder.path().display().to_string()),
            ("listener 8883", format!("listener {port} 127.0.0.1")),
        ] {
            assert!(text.contains(from));
            text = text.replace(from, &to);
        }
        // Or else it gives up root for a user who may not read this folder.
        text.push_str("\nuser root\n");
        let config = write(folder.path(), "city.conf", &text);
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let program = program.expect("Mosquitto is needed: apt-get install mosquitto");
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(program).arg("-c").arg(config).stderr(log).spawn().unwrap();
        let broker = Self { process, port, folder };
        // It says nothing when it is ready but by answering.
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return broker;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "Mosquitto does not answer: {}",
            std::fs::read_to_string(broker.folder.path().join("log")).unwrap()
        );
    }

    pub fn pki(&self) -> PathBuf {
        self.folder.path().join("pki")
    }

    pub fn target(&self, name: &str) -> Target {
        let (ca, certificate, key) = (
            self.pki().join("ca.crt"),
            self.pki().join(format!("{name}.crt")),
            self.pki().join(format!("{name}.key")),
        );
        let files = TlsFiles {
            ca: &ca,
            certificate: &certificate,
            key: &key,
        };
        Target::new(&format!("mqtts://127.0.0.1:{}", self.port), Some(files)).unwrap()
    }

    /// Gives a box its certificate.
    pub fn admit(&self, name: &str) -> Target {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let request = params.serialize_request(&key).unwrap().pem().unwrap();
        let request = write(&self.pki(), &format!("{name}.csr"), &request);
        let certificate = pki::sign_box(&self.pki(), &GatewayId::new(name).unwrap(), &request).unwrap();
        files::create(
            &self.pki().join(format!("{name}.crt")),
            &certificate,
            files::Access::Public,
        )
        .unwrap();
        files::create(
            &self.pki().join(format!("{name}.key")),
            &key.serialize_pem(),
            files::Access::Private,
        )
        .unwrap();
        self.target(name)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
